"""Values into what crosses a link, and into what a client reads."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from chatcore.connectors.encoding import Encoding
from chatcore.dispatch.dispatcher import FAILED
from chatcore.wire.body import EMPTY, Body
from chatcore.wire.box import item
from chatcore.wire.values import UNPACKABLE, pack, unpack

FAILED_VALUE = pack(FAILED)

VALUE = item(b"coding", b"msgpack")
"""Says that a body is a value, rather than the JSON that a client sent."""

_EMPTY_VALUE = pack({})

TRUE = b"True"
"""As AMP writes it; what is false is left out."""

UNREADABLE = (KeyError, msgspec.MsgspecError, *UNPACKABLE)
"""What reading a peer's answer raises when it is not what was agreed."""


def to_body(packed: bytes) -> Body:
    """What a backend answered, for the client.

    Raises:
        msgspec.MsgspecError: that was no msgpack.
    """
    if packed == _EMPTY_VALUE:  # most handlers answer nothing in particular
        return EMPTY
    return Body(unpack(packed))


def push_encoder(route: str, packed: bytes) -> Callable[[Encoding], bytes]:
    """What makes the bytes of a push for one encoding."""
    body = to_body(packed)
    return lambda encoding: encoding.push(route, body)
