"""Bytes to values and back: no Twisted, no clock, no I/O.

Each codec takes its limits as arguments and raises a `chatcore.errors.WireError` of its own.
"""
