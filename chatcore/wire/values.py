"""Values as they cross links and are kept: msgpack, with JSON's types, bytes and datetimes."""

from __future__ import annotations

import msgspec

pack = msgspec.msgpack.Encoder().encode
"""A value as bytes; raises one of `UNPACKABLE` for what has no such form."""

unpack = msgspec.msgpack.Decoder().decode
"""The value of such bytes; raises `msgspec.MsgspecError`, or one of `UNPACKABLE`, for others."""

UNPACKABLE = (TypeError, ValueError, OverflowError, RecursionError)
"""What `pack` raises for a value that can't cross a link."""
