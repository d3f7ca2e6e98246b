"""Clients coming in."""
