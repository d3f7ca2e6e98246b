"""Clients of socket.io, of every version, on the port of all others."""
