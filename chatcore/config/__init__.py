"""Reading what people wrote: server lists, folders and settings.

Everything here raises :class:`chatcore.errors.ConfigError` for a mistake that a person made, and
nothing here knows Twisted.
"""
