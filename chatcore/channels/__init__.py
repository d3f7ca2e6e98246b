"""Channels on a backend, and their groups on the frontends."""
