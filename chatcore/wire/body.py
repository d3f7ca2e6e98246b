"""Message bodies: values, and JSON as Pomelo's clients write and read it."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from chatcore.errors import BodyError
from chatcore.wire.text import join_halves

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder().decode


class Body:
    """What is sent to clients: a value, made into JSON once however many are sent it.

    Args:
        value: the value.
        json: its JSON, where that is known already.
    """

    __slots__ = ("_json", "value")

    def __init__(self, value: Any, json: bytes | None = None) -> None:
        self.value = value
        self._json = json

    @property
    def json(self) -> bytes:
        """The value as JSON.

        Raises:
            BodyError: it, or something in it, has no form in JSON.
        """
        data = self._json
        if data is None:
            data = self._json = encode(self.value)
        return data


EMPTY = Body({}, b"{}")


def encode(value: Any) -> bytes:
    """A value as compact JSON in UTF-8.

    Characters beyond U+FFFF are written as escaped surrogate pairs: Pomelo's JavaScript clients
    can't read their four bytes, and every client reads the escape.

    Raises:
        BodyError: the value, or something in it, has no form in JSON.
    """
    try:
        data = _to_json(value)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as problem:
        raise BodyError(f"can't be sent as JSON: {problem}") from None
    if data.isascii():
        return data
    return _ASTRAL.sub(_escape, data.decode()).encode()


def _escape(match: re.Match[str]) -> str:
    point = ord(match.group()) - 0x10000
    return f"\\u{0xD800 | point >> 10:04x}\\u{0xDC00 | point & 0x3FF:04x}"


def decode(data: bytes) -> Any:
    """The value of a body. Nothing at all, and ``null``, are an empty object, as in Pomelo.

    Pomelo's JavaScript clients write each half of a surrogate pair as three bytes of its own; that
    is read too.

    Raises:
        BodyError: it isn't JSON, or it is an array: Pomelo spreads those over a handler's
            arguments, so that a client could forge its session.
    """
    if not data:
        return {}
    try:
        try:
            value = _from_json(data)
        except UnicodeDecodeError:
            value = _from_json(join_halves(data))
    except (ValueError, RecursionError, msgspec.MsgspecError) as problem:
        raise BodyError(f"a body that is not JSON: {problem}") from None
    if isinstance(value, list):
        raise BodyError("a body that is an array")
    return {} if value is None else value
