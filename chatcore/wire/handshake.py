"""The JSON inside handshake and kick packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chatcore.errors import BodyError, HandshakeError
from chatcore.wire import body

OK, FAILED, TOO_OLD = 200, 500, 501


@dataclass(frozen=True, slots=True)
class HandshakeRequest:
    """What a client says of itself.

    Attributes:
        sys: its protocol's own part: type, version, cached dictionary and protobuf versions.
        user: whatever the application put beside it.
    """

    sys: Mapping[str, Any]
    user: Any


def decode_request(data: bytes) -> HandshakeRequest:
    """Read a client's handshake.

    Raises:
        HandshakeError: it isn't an object with a ``sys`` object in it; the answer is code 500.
    """
    try:
        value = body.decode(data)
    except BodyError as problem:
        raise HandshakeError(f"a handshake that can't be read: {problem}") from None
    sys = value.get("sys") if isinstance(value, dict) else None
    if not isinstance(sys, dict):
        raise HandshakeError("a handshake without `sys`")
    return HandshakeRequest(sys, value.get("user"))


def encode_reply(*, heartbeat: float = 0, user: Any = None) -> bytes:
    """The answer to a handshake that is accepted.

    Args:
        heartbeat: seconds between heartbeats; 0 for none.
        user: what the application wants the client to know; left out when empty.
    """
    reply: dict[str, Any] = {"code": OK, "sys": {}}
    if heartbeat:
        whole = int(heartbeat)
        reply["sys"]["heartbeat"] = whole if whole == heartbeat else heartbeat
    if user:
        reply["user"] = user
    return body.encode(reply)


def encode_refusal(code: int = FAILED) -> bytes:
    """The answer to a handshake that is refused, after which the connection is closed."""
    return body.encode({"code": code})


def encode_kick(reason: str) -> bytes:
    """Why a client is kicked."""
    return body.encode({"reason": reason})
