"""Clients of socket.io, of every version."""
