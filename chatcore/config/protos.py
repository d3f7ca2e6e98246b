"""``serverProtos.json`` and ``clientProtos.json``: how messages are written in protobuf.

The first of these two places of the application folder that exists is read, for each, unless a
setting names another file:

1. ``config/<environment>/serverProtos.json``
2. ``config/serverProtos.json``

What a file holds is told in :mod:`chatcore.wire.schema`. Pomelo passes over what it doesn't
understand, and messages are then sent without those fields; here every mistake is told.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from chatcore.config.names import suggestion
from chatcore.config.positions import Document, Where, find_json

SERVER_FILE, CLIENT_FILE = "serverProtos.json", "clientProtos.json"

OPTIONS = ("required", "optional", "repeated")
TYPES = (
    "uInt32", "int32", "sInt32", "uInt64", "sInt64", "bool", "float", "double", "string",
)  # fmt: skip
LARGEST_TAG = 2**28 - 1

_OF_PINUS = ("map", "obj")
_RESERVED = ("__messages", "__tags", "__proto__")
_FORM = 'A field is written "<option> <type> <name>": <tag>, as in "required string msg": 1'


class ProtoFiles(NamedTuple):
    """What the two files hold, as it stands there; None for a file that doesn't exist."""

    server: dict[str, Any] | None
    client: dict[str, Any] | None


def proto_files(app: Path, env: str, *, server: str = "", client: str = "") -> list[Path]:
    """The places where the schemas of an application may be; see `load_protos`."""
    folders = (app / "config" / env, app / "config")
    return [
        place
        for name, given in ((SERVER_FILE, server), (CLIENT_FILE, client))
        for place in ([app / given] if given else [folder / name for folder in folders])
    ]


def load_protos(app: Path, env: str, *, server: str = "", client: str = "") -> ProtoFiles:
    """Read the protobuf schemas of an application.

    Args:
        app: the application folder.
        env: the environment, as in ``development``.
        server, client: the files that are to be read instead, if any.

    Raises:
        ConfigError: for the first mistake found, with file, line and column.
    """
    return ProtoFiles(_load(app, env, SERVER_FILE, server), _load(app, env, CLIENT_FILE, client))


def _load(app: Path, env: str, name: str, given: str) -> dict[str, Any] | None:
    document = find_json(app, env, name, given)
    if document is None:
        return None
    if not isinstance(document.value, dict):
        raise document.error(
            "expected an object of messages", advice='Write {"onChat": {"required string msg": 1}}'
        )
    roots = _messages(document, ())
    for key in document.value:
        if key in ("", "__proto__"):
            raise document.error(f"'{key}' can't be a route", (key,))
        _check_message(document, (key,), roots, ())
    value: dict[str, Any] = document.value
    return value


def _messages(document: Document, where: Where) -> list[str]:
    """The names of the messages that are declared at a place, for others to use."""
    names = []
    for key in _object(document, where):
        first, *rest = key.split(" ")
        if first != "message" or (not rest and not where):  # a route may have that name
            continue
        if len(rest) != 1 or not rest[0]:
            raise document.error(
                f"'{key}' declares no message", (*where, key), advice='Write "message <Name>"'
            )
        if rest[0] in (*TYPES, *_RESERVED):
            raise document.error(f"'{rest[0]}' can't be the name of a message", (*where, key))
        names.append(rest[0])
    return names


def _check_message(
    document: Document, where: Where, roots: list[str], outside: tuple[str, ...]
) -> None:
    """Check a message and those inside it.

    Args:
        document: the file it stands in.
        where: its place in that file.
        roots: the messages that every message sees.
        outside: those that stand around this one, which it does not see.
    """
    inside = _messages(document, where)
    tags: dict[int, Where] = {}
    names: dict[str, Where] = {}
    for key, value in _object(document, where).items():
        place = (*where, key)
        if key.split(" ")[0] == "message":
            _check_message(document, place, roots, (*outside, *inside))
            continue
        option, type, name = _words(document, place, key)
        _refuse_unknown_option(document, place, option)
        _refuse_unknown_type(document, place, type, [*inside, *roots], outside)
        if name in _RESERVED:
            raise document.error(f"'{name}' can't be the name of a field", place)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LARGEST_TAG:
            raise document.error(
                f"the tag of '{name}' is {json.dumps(value)[:40]}, "
                f"where a whole number from 1 to {LARGEST_TAG} was expected",
                place,
            )
        _refuse_twin(document, place, f"the tag {value}", tags.setdefault(value, place))
        _refuse_twin(document, place, f"the name '{name}'", names.setdefault(name, place))


def _object(document: Document, where: Where) -> dict[str, Any]:
    value = document.value
    for step in where:
        value = value[step]
    if not isinstance(value, dict):
        raise document.error(
            "expected a message, which is an object of fields", where, advice=_FORM
        )
    return value


def _words(document: Document, place: Where, key: str) -> tuple[str, str, str]:
    words = key.split(" ")
    if len(words) != 3 or not all(words):
        raise document.error(f"'{key}' is no field", place, advice=_FORM)
    option, type, name = words
    return option, type, name


def _refuse_unknown_option(document: Document, place: Where, option: str) -> None:
    if option in _OF_PINUS:
        raise document.error(
            f"the option '{option}' is Pinus's, and not supported",
            place,
            advice="Use a repeated message with a key and a value",
        )
    if option not in OPTIONS:
        raise document.error(
            f"unknown option '{option}'", place, advice=suggestion(option, OPTIONS, "options")
        )


def _refuse_unknown_type(
    document: Document, place: Where, type: str, messages: list[str], outside: tuple[str, ...]
) -> None:
    if type in TYPES or type in messages:
        return
    advice = suggestion(type, [*TYPES, *messages], "types")
    if type in outside:
        advice = "A message sees those inside it and those at the root of the file: move it there"
    raise document.error(f"unknown type '{type}'", place, advice=advice)


def _refuse_twin(document: Document, place: Where, what: str, first: Where) -> None:
    if first != place:
        line, _ = document.place(first)
        raise document.error(f"{what} is already used in line {line}", place)
