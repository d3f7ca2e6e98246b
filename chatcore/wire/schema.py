"""Pomelo's protobuf schemas: from ``serverProtos.json`` and its like to what a codec is made of.

A schema names messages, by route or as ``message X`` for others to use. A message's fields are
written ``"<option> <type> <name>": <tag>``; messages may stand inside a message too::

    {
        "onChat": {"required string msg": 1, "repeated Person to": 2},
        "message Person": {"required string name": 1, "optional Person friend": 2}
    }

A type that is no word of its own is looked up inside the message that uses it, then at the root.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from chatcore.wire import javascript

Parsed = dict[str, Any]
"""A schema as pomelo-protobuf 0.4.0 parses it, and as clients get it."""

REQUIRED, OPTIONAL, REPEATED = "required", "optional", "repeated"
OPTIONS = (REQUIRED, OPTIONAL, REPEATED)

VARINT, EIGHT_BYTES, SIZED, FOUR_BYTES = 0, 1, 2, 5
WIRE_TYPES = {
    "uInt32": VARINT,
    "int32": VARINT,
    "sInt32": VARINT,
    "uInt64": VARINT,
    "sInt64": VARINT,
    "bool": VARINT,
    "float": FOUR_BYTES,
    "double": EIGHT_BYTES,
    "string": SIZED,
}
"""The simple types. ``uInt64``, ``sInt64`` and ``bool`` are Pinus's: only its clients know them."""

LARGEST_TAG = 2**28 - 1
"""Beyond it the JavaScript of Pomelo's codecs overflows."""

_MESSAGES, _TAGS = "__messages", "__tags"


def parse(schema: Mapping[str, Any]) -> Parsed:
    """A schema in the form in which clients get it.

    As pomelo-protobuf's own parser does, it passes over what it doesn't understand and over a tag
    that is used already; :mod:`chatcore.config.protos` is where mistakes are told.
    """
    return {name: _parse_message(message) for name, message in javascript.in_order(schema).items()}


def _parse_message(message: Mapping[str, Any]) -> Parsed:
    fields: Parsed = {}
    messages: Parsed = {}
    tags: dict[str, str] = {}
    for key, tag in javascript.in_order(message).items():
        match key.split(" "):
            case ["message", name]:
                messages[name] = _parse_message(tag)
            case [option, type, name] if option in OPTIONS and not tags.get(str(tag)):
                fields[name] = {"option": option, "type": type, "tag": tag}
                tags[str(tag)] = name
    fields[_MESSAGES], fields[_TAGS] = javascript.in_order(messages), javascript.in_order(tags)
    return javascript.in_order(fields)


@dataclass(slots=True, eq=False)
class Message:
    """A message of a schema, its types found; a message may lead back to itself."""

    fields: list[Field]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message; ``message`` is what its type names, None for a simple type."""

    name: str
    option: str
    type: str
    tag: int
    message: Message | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    """A schema whose types are found: ``roots`` by their keys, and ``every`` message there is."""

    roots: Mapping[str, Message]
    every: list[Message]


def resolve(parsed: Any) -> Resolved:
    """Find what the types of a parsed schema mean.

    Args:
        parsed: what `parse` made, or what another server's parser did.

    Raises:
        ValueError: it isn't a parsed schema, or uses a type that doesn't exist.
    """
    try:
        nodes = [
            node for name, message in _object(parsed).items() for node in _nodes(name, message)
        ]
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    made = {id(node): Message([]) for _, node in nodes}
    for place, node in nodes:
        for name, declared in node.items():
            if name not in (_MESSAGES, _TAGS):
                field = _field(f"'{place}.{name}'", name, declared)
                if field.type not in WIRE_TYPES:
                    used = _named(field.type, node, parsed)
                    if used is None:
                        raise ValueError(f"'{place}.{name}' has the unknown type '{field.type}'")
                    field = replace(field, message=made[id(used)])
                made[id(node)].fields.append(field)
    return Resolved({name: made[id(node)] for name, node in parsed.items()}, [*made.values()])


def _named(type: str, node: Parsed, roots: Parsed) -> Parsed | None:
    """The message that a type names inside ``node``."""
    inside: Parsed | None = node.get(_MESSAGES, {}).get(type)
    return roots.get(f"message {type}") if inside is None else inside


def _nodes(place: str, message: Any) -> Iterator[tuple[str, Parsed]]:
    """The message, and those that stand inside it, at any depth."""
    yield place, _object(message)
    for name, nested in _object(message.get(_MESSAGES, {})).items():
        yield from _nodes(f"{place}.{name}", nested)


def _field(whose: str, name: str, declared: Any) -> Field:
    option, type, tag = (_object(declared).get(key) for key in ("option", "type", "tag"))
    if option not in OPTIONS:
        raise ValueError(f"{whose} has the unknown option '{option}'")
    if not isinstance(type, str):
        raise ValueError(f"{whose} has no type")
    if not isinstance(tag, int) or not 1 <= tag <= LARGEST_TAG:
        raise ValueError(f"{whose} has a tag that is not from 1 to {LARGEST_TAG}")
    return Field(name, option, type, tag)


def _object(value: Any) -> Parsed:
    if not isinstance(value, dict):
        raise ValueError("it is not made of objects")
    return value
