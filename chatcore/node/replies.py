"""Values into what crosses a link, and into what a client reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from chatcore.connectors.encoding import Encoding
from chatcore.dispatch.dispatcher import FAILED
from chatcore.errors import BodyError
from chatcore.wire import body

pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder().decode

FAILED_VALUE = pack(FAILED)

_EMPTY_VALUE = pack({})

UIDS_IN_A_BOX = 10_000

UNPACKABLE = (TypeError, ValueError, OverflowError, RecursionError)
"""What `pack` raises for a value that can't cross a link."""

UNREADABLE = (KeyError, BodyError, msgspec.MsgspecError, *UNPACKABLE)
"""What reading a peer's answer raises when it is not what was agreed."""


def to_body(value: bytes) -> bytes:
    """What a backend answered, as the client reads it.

    Raises:
        BodyError: it has no form in JSON.
        msgspec.MsgspecError: that was no msgpack.
    """
    if value == _EMPTY_VALUE:  # most handlers answer nothing in particular
        return body.EMPTY
    return body.encode(unpack(value))


def push_encoder(route: str, value: bytes) -> Callable[[Encoding], bytes]:
    """What makes the bytes of a push for one encoding; the JSON is made once for all."""
    data = to_body(value)
    return lambda encoding: encoding.push(route, data)


def chunks(uids: Sequence[str]) -> Iterator[Sequence[str]]:
    """A list of uids in parts that each fit a box."""
    for start in range(0, len(uids), UIDS_IN_A_BOX):
        yield uids[start : start + UIDS_IN_A_BOX]
