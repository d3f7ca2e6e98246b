"""The JSON inside handshake and kick packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chatcore.errors import BodyError, HandshakeError
from chatcore.wire import body
from chatcore.wire.dictionary import Dictionary
from chatcore.wire.protobuf import Protos

OK, FAILED, TOO_OLD = 200, 500, 501

MOVED = "moved"
"""The reason of a kick that tells a client where to go on."""

_NOTHING: Mapping[str, Any] = {}


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


def encode_reply(
    *,
    heartbeat: int = 0,
    user: Any = None,
    dictionary: Dictionary | None = None,
    protos: Protos | None = None,
    sys: Mapping[str, Any] = _NOTHING,
) -> bytes:
    """The answer to a handshake that is accepted.

    A client that names the version it keeps of the dictionary, or of the schemas, isn't sent them
    again.

    Args:
        heartbeat: seconds between heartbeats; 0 for none. libpomelo2 takes a fraction for none.
        user: what the application wants the client to know; left out when empty.
        dictionary: the route dictionary, where one is in use.
        protos: the protobuf schemas, where they are in use.
        sys: the ``sys`` of the client's request.

    Raises:
        BodyError: ``user`` has no form in JSON.
    """
    members = []
    if heartbeat:
        members.append(b'"heartbeat":%d' % heartbeat)
    if dictionary is not None:
        if sys.get("dictVersion") != dictionary.version:
            members.append(dictionary.handshake)
        members.append(b'"useDict":true')
    if protos is not None:
        if not protos.version or sys.get("protoVersion") != protos.version:
            members.append(protos.handshake)
        members.append(b'"useProto":true')
    told = b',"user":' + body.encode(user) if user else b""
    return b'{"code":%d,"sys":{%b}%b}' % (OK, b",".join(members), told)


def encode_refusal(code: int = FAILED) -> bytes:
    """The answer to a handshake that is refused, after which the connection is closed."""
    return body.encode({"code": code})


def encode_kick(reason: str) -> bytes:
    """Why a client is kicked."""
    return body.encode({"reason": reason})


def encode_move(place: tuple[str, int] | None) -> bytes:
    """The kick of a client that is to go on elsewhere.

    Args:
        place: the host and the client port; None where there is no such place.
    """
    told: dict[str, Any] = {"reason": MOVED}
    if place is not None:
        told["host"], told["port"] = place
    return body.encode(told)
