"""Values to Pomelo's protobuf, byte for byte as pomelo-protobuf 0.4.0 writes them.

What Google's does differently: ``int32`` is zig-zag, and a repeated number is written as one head,
the count of its values, and the values. Fields come in the order of the value's keys. A key that
the schema doesn't know is left out, and so is ``None`` where a field isn't required.

Where pomelo-protobuf throws, or writes what no client reads as it was meant, `FieldError` is
raised: a number where text was expected, a list where one value was, a number that JavaScript
doesn't hold exactly, half a surrogate pair, ``NaN`` as a whole number. True and false are 1 and 0
as numbers, and numbers may be given as decimal text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from struct import Struct
from struct import error as StructError
from typing import Any

import msgspec

from chatcore.errors import BodyError
from chatcore.wire import javascript, text
from chatcore.wire.schema import REPEATED, REQUIRED, SIZED, WIRE_TYPES, Field, Message

Write = Callable[[Any], bytes]

LARGEST = 2**53 - 1
"""The largest whole number of a ``uInt32``: what JavaScript holds exactly."""
SMALLEST = -(2**52)
"""The smallest of an ``int32``, whose zig-zag form JavaScript still holds exactly."""

_ONE_BYTE = tuple(bytes((number,)) for number in range(0x80))
_WHOLE = re.compile(r"\s*([+-]?[0-9]{1,400})(\.[0-9]*)?\s*", re.ASCII)
_DECIMAL = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*", re.ASCII)
_pack_float = Struct("<f").pack
_pack_double = Struct("<d").pack


class FieldError(BodyError):
    """What is wrong with a field, and the way to it, written from the inside out."""

    def __init__(self, problem: str) -> None:
        self.problem, self.path = problem, ""
        super().__init__(problem)

    def within(self, step: str) -> FieldError:
        """Add the step that leads to where it happened."""
        dot = "." if self.path and not self.path.startswith("[") else ""
        self.path = f"{step}{dot}{self.path}"
        return self

    def __str__(self) -> str:
        return f"'{self.path}' {self.problem}" if self.path else f"the message {self.problem}"


def encoders(
    messages: Mapping[str, Message], every: list[Message], *, cesu: bool
) -> dict[str, Write]:
    """A function for each of ``messages`` that writes its values.

    Args:
        messages: those that are wanted.
        every: all messages that they may lead to.
        cesu: whether text is written as CESU-8, for Pomelo's JavaScript clients.
    """
    simple = dict(_SIMPLE, string=_cesu_string if cesu else _string)
    fields: dict[Message, dict[str, Write]] = {message: {} for message in every}
    made = {message: _message(message, fields[message]) for message in every}
    for message in every:
        for field in message.fields:
            inner = field.message
            element = simple[field.type] if inner is None else _sized(made[inner])
            fields[message][field.name] = _field(field, element)
    return {name: made[message] for name, message in messages.items()}


def varint(number: int) -> bytes:
    """A number from 0 on, seven bits to a byte, the lowest first."""
    if number < 0x80:
        return _ONE_BYTE[number]
    if number < 0x4000:
        return bytes((number & 0x7F | 0x80, number >> 7))
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def _message(message: Message, fields: Mapping[str, Write]) -> Write:
    get = fields.get
    required = frozenset(field.name for field in message.fields if field.option == REQUIRED)
    has_index = any(javascript.is_index(field.name) for field in message.fields)

    def write(value: Any) -> bytes:
        if type(value) is not dict:
            value = _object(value)
        if has_index:
            value = javascript.in_order(value)
        parts = []
        name = ""
        try:
            for name, item in value.items():
                write_field = get(name)
                if write_field is not None and (item is not None or name in required):
                    parts.append(write_field(item))
        except FieldError as error:
            raise error.within(name) from None
        if required and not required <= value.keys():
            missing = min(required - value.keys())
            raise FieldError("is required, and missing").within(missing)
        return b"".join(parts)

    return write


def _field(field: Field, element: Write) -> Write:
    head = varint(field.tag << 3 | WIRE_TYPES.get(field.type, SIZED))
    if field.option != REPEATED:
        return lambda value: head + element(value)
    if WIRE_TYPES.get(field.type, SIZED) == SIZED:
        return lambda value: b"".join([head + item for item in _elements(value, element)])

    def counted(value: Any) -> bytes:
        items = _elements(value, element)
        return head + varint(len(items)) + b"".join(items) if items else b""

    return counted


def _elements(value: Any, element: Write) -> list[bytes]:
    if not isinstance(value, (list, tuple)):
        value = _plain(value)
        if not isinstance(value, list):
            raise _wrong(value, "a list")
    items: list[bytes] = []
    try:
        for item in value:
            items.append(element(item))
    except FieldError as error:
        raise error.within(f"[{len(items)}]") from None
    return items


def _sized(write: Write) -> Write:
    def element(value: Any) -> bytes:
        data = write(value)
        return varint(len(data)) + data

    return element


def _string(value: Any) -> bytes:
    data = _encoded(value, str.encode)
    return varint(len(data)) + data


def _cesu_string(value: Any) -> bytes:
    data = _encoded(value, text.encode_cesu)
    return varint(len(data)) + data


def _encoded(value: Any, encode: Callable[[str], bytes]) -> bytes:
    if type(value) is not str:
        value = _text(value)
    try:
        return encode(value)
    except UnicodeEncodeError:
        raise FieldError("holds half of a surrogate pair, which is not a character") from None


def _unsigned(value: Any) -> bytes:
    number: int = value if type(value) is int else _whole_number(value)
    if not 0 <= number <= LARGEST:
        raise _wrong(value, f"a whole number from 0 to {LARGEST}")
    return varint(number)


def _signed(value: Any) -> bytes:
    number: int = value if type(value) is int else _whole_number(value)
    if not SMALLEST <= number <= LARGEST:
        raise _wrong(value, f"a whole number from {SMALLEST} to {LARGEST}")
    return varint(number * 2 if number >= 0 else -number * 2 - 1)


def _bool(value: Any) -> bytes:
    if not isinstance(value, (bool, int, float)):
        raise _wrong(value, "true or false")
    return _ONE_BYTE[1 if value else 0]


def _float(value: Any) -> bytes:
    try:
        return _pack_float(value)
    except (StructError, OverflowError):
        number = _number(value)
    try:
        return _pack_float(number)
    except OverflowError:  # JavaScript rounds what is too large for a float to infinity
        return _pack_float(float("inf") if number > 0 else float("-inf"))


def _double(value: Any) -> bytes:
    try:
        return _pack_double(value)
    except (StructError, OverflowError):
        return _pack_double(_number(value))


_SIMPLE: Mapping[str, Write] = {
    "uInt32": _unsigned,
    "uInt64": _unsigned,
    "int32": _signed,
    "sInt32": _signed,
    "sInt64": _signed,
    "bool": _bool,
    "float": _float,
    "double": _double,
}


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    plain = _plain(value)
    if not isinstance(plain, dict):
        raise _wrong(value, "an object")
    return plain


def _whole_number(value: Any) -> int:
    """What is no plain int as one, cut off after the point."""
    plain = _plain(value)
    try:
        if isinstance(plain, (int, float)):
            return int(plain)
        if isinstance(plain, str) and (found := _WHOLE.fullmatch(plain)):
            return int(found[1])
    except (ValueError, OverflowError):
        pass
    raise _wrong(value, "a whole number")


def _number(value: Any) -> float:
    plain = _plain(value)
    try:
        if isinstance(plain, (int, float)):
            return float(plain)
        if isinstance(plain, str) and _DECIMAL.fullmatch(plain):
            return float(plain)
    except OverflowError:
        pass
    raise _wrong(value, "a number")


def _text(value: Any) -> str:
    plain = _plain(value)
    if not isinstance(plain, str):
        raise _wrong(value, "text")
    return plain


def _plain(value: Any) -> Any:
    """What JSON would make of it, for what isn't one of JSON's own types."""
    try:
        return msgspec.to_builtins(value)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        return value


def _wrong(value: Any, expected: str) -> FieldError:
    shown = type(value).__name__
    if value is None or isinstance(value, (float, str)):
        shown = repr(value if not isinstance(value, str) else value[:50])
    elif isinstance(value, int):
        shown = str(value) if value.bit_length() < 200 else "too large"
    return FieldError(f"is {shown}, where {expected} was expected")
