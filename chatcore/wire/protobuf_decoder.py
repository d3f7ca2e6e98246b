"""Pomelo's protobuf to values, from clients that are trusted with nothing.

It takes what Pomelo's clients are known to write: JavaScript's wrong wire types (what a known
field holds follows from the schema alone) and CESU-8. As in Pomelo a required field may be missing,
and of a field that comes twice the last one counts. A tag that the schema doesn't know is passed
over, as far as its wire type tells where it ends.

Nothing is believed: a size or a count that goes beyond the data is refused before room is made for
it, numbers are no larger than JavaScript holds them, text has no halves of surrogate pairs, and
messages are nested no deeper than `MAX_DEPTH`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct
from typing import Any

from chatcore.wire import text
from chatcore.wire.protobuf_encoder import LARGEST, FieldError
from chatcore.wire.schema import (
    EIGHT_BYTES,
    FOUR_BYTES,
    REPEATED,
    SIZED,
    VARINT,
    WIRE_TYPES,
    Field,
    Message,
)

MAX_DEPTH = 64
"""How many messages may stand one inside the other."""

Decode = Callable[[bytes], dict[str, Any]]

_Element = Callable[[bytes, int, int, int], tuple[Any, int]]
"""Data, where the element begins, where it must end at the latest, depth: value, where it ends."""
_Read = Callable[[bytes, int, int, int, dict[str, Any]], int]
"""The same, and the message that the field goes into: where the field ends."""

_LONGEST_VARINT = 10
_SIZES = {VARINT: 1, EIGHT_BYTES: 8, FOUR_BYTES: 4}
_unpack_float = Struct("<f").unpack_from
_unpack_double = Struct("<d").unpack_from


def decoders(messages: Mapping[str, Message], every: list[Message]) -> dict[str, Decode]:
    """A function for each of ``messages`` that reads it; they raise `FieldError`.

    Args:
        messages: those that are wanted.
        every: all messages that they may lead to.
    """
    fields: dict[Message, dict[int, _Read]] = {message: {} for message in every}
    made = {message: _message(fields[message]) for message in every}
    for message in every:
        for field in message.fields:
            inner = field.message
            element = _SIMPLE[field.type] if inner is None else _nested(made[inner])
            fields[message][field.tag] = _field(field, element)
    return {name: _whole(made[message]) for name, message in messages.items()}


def _whole(element: _Element) -> Decode:
    return lambda data: element(data, 0, len(data), 0)[0]


def _message(fields: Mapping[int, _Read]) -> _Element:
    get = fields.get

    def element(data: bytes, at: int, end: int, depth: int) -> tuple[Any, int]:
        if depth > MAX_DEPTH:
            raise FieldError(f"is nested in more than {MAX_DEPTH} messages")
        values: dict[str, Any] = {}
        while at < end:
            head, at = _varint(data, at, end)
            read = get(head >> 3)
            if read is not None:
                at = read(data, at, end, depth, values)
            else:
                at = _skip(data, at, end, head)
        return values, at

    return element


def _field(field: Field, element: _Element) -> _Read:
    name = field.name
    if field.option != REPEATED:

        def read(data: bytes, at: int, end: int, depth: int, values: dict[str, Any]) -> int:
            try:
                values[name], at = element(data, at, end, depth)
            except FieldError as error:
                raise error.within(name) from None
            return at

        return read

    size = _SIZES.get(WIRE_TYPES.get(field.type, SIZED))

    def read_repeated(data: bytes, at: int, end: int, depth: int, values: dict[str, Any]) -> int:
        items = values.setdefault(name, [])
        try:
            count = 1
            if size is not None:
                count, at = _varint(data, at, end)
                if count * size > end - at:
                    raise FieldError(f"is said to have {count} values, more than there is room for")
            for _ in range(count):
                value, at = element(data, at, end, depth)
                items.append(value)
        except FieldError as error:
            raise error.within(name) from None
        return at

    return read_repeated


def _nested(element: _Element) -> _Element:
    def nested(data: bytes, at: int, end: int, depth: int) -> tuple[Any, int]:
        size, at = _varint(data, at, end)
        return element(data, at, _stop(at + size, end), depth + 1)

    return nested


def _string(data: bytes, at: int, end: int, depth: int) -> tuple[str, int]:
    size, at = _varint(data, at, end)
    stop = _stop(at + size, end)
    try:
        return text.decode(data[at:stop]), stop
    except UnicodeDecodeError:
        raise FieldError("is not text in UTF-8") from None


def _unsigned(data: bytes, at: int, end: int, depth: int) -> tuple[int, int]:
    number, at = _varint(data, at, end)
    if number > LARGEST:
        raise FieldError(f"is larger than {LARGEST}")
    return number, at


def _signed(data: bytes, at: int, end: int, depth: int) -> tuple[int, int]:
    number, at = _varint(data, at, end)
    if number > 2 * LARGEST:
        raise FieldError(f"is larger than {LARGEST}")
    return (-(number >> 1) - 1 if number & 1 else number >> 1), at


def _bool(data: bytes, at: int, end: int, depth: int) -> tuple[bool, int]:
    number, at = _varint(data, at, end)
    return number != 0, at


def _float(data: bytes, at: int, end: int, depth: int) -> tuple[float, int]:
    stop = _stop(at + 4, end)
    return _unpack_float(data, at)[0], stop


def _double(data: bytes, at: int, end: int, depth: int) -> tuple[float, int]:
    stop = _stop(at + 8, end)
    return _unpack_double(data, at)[0], stop


_SIMPLE: Mapping[str, _Element] = {
    "uInt32": _unsigned,
    "uInt64": _unsigned,
    "int32": _signed,
    "sInt32": _signed,
    "sInt64": _signed,
    "bool": _bool,
    "float": _float,
    "double": _double,
    "string": _string,
}


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A number, and where it ends."""
    if at < end and data[at] < 0x80:
        return data[at], at + 1
    number = shift = 0
    for place in range(at, min(end, at + _LONGEST_VARINT)):
        byte = data[place]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place + 1
        shift += 7
    raise FieldError(
        "ends inside a number" if end - at < _LONGEST_VARINT else "has an endless number"
    )


def _stop(stop: int, end: int) -> int:
    if stop > end:
        raise FieldError(f"goes {stop - end} bytes beyond the end")
    return stop


def _skip(data: bytes, at: int, end: int, head: int) -> int:
    """Pass over a field that the schema doesn't know."""
    tag, wire_type = head >> 3, head & 7
    if tag and wire_type == VARINT:
        return _varint(data, at, end)[1]
    if tag and wire_type == SIZED:
        size, at = _varint(data, at, end)
        return _stop(at + size, end)
    if tag and wire_type in (EIGHT_BYTES, FOUR_BYTES):
        return _stop(at + _SIZES[wire_type], end)
    raise FieldError(f"has the unknown tag {tag} of wire type {wire_type}")
