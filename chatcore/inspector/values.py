"""Turning what boxes carry into JSON's types, so that it can be shown."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Mapping, Set
from typing import Any

from twisted.python.filepath import FilePath

from chatcore.inspector.redaction import HIDDEN, Redaction

DEEPEST = 50
"""Levels of lists and dictionaries that are shown."""

LONGEST_NUMBER = 10_000
"""Bits of a whole number that is written in decimal digits."""


def shown(name: str, value: Any, rule: Redaction) -> Any:
    """A value as it is shown, in JSON's types.

    Bytes that are no printable text become ``{"hex": …}``; what JSON does not know becomes a text.

    Args:
        name: of the key that it belongs to.
        value: any object, also one whose methods raise.
        rule: what is hidden.
    """
    if rule.hides(name):
        return HIDDEN
    try:
        return _shown(value, rule, DEEPEST)
    except (Exception, SystemExit) as problem:
        return f"[{type(value).__name__} that can't be shown: {type(problem).__name__}]"


def shown_bytes(name: str, data: bytes, rule: Redaction) -> Any:
    """Bytes of which nobody knows more."""
    return HIDDEN if rule.hides(name) else _bytes(data, rule)


def _shown(value: Any, rule: Redaction, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if value.bit_length() <= LONGEST_NUMBER else hex(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return rule.text(str(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return _bytes(bytes(value), rule)
    if depth <= 0:
        return "[too deep]"
    if isinstance(value, Mapping):
        return {
            str(name): shown_within(str(name), each, rule, depth - 1)
            for name, each in ((_key(key), each) for key, each in value.items())
        }
    if isinstance(value, list | tuple | Set):
        return [_shown(each, rule, depth - 1) for each in value]
    return rule.text(_text(value))


def shown_within(name: str, value: Any, rule: Redaction, depth: int) -> Any:
    """A value inside another one."""
    return HIDDEN if rule.hides(name) else _shown(value, rule, depth)


def _key(key: object) -> str:
    return key.decode("utf-8", "backslashreplace") if isinstance(key, bytes) else str(key)


def _text(value: object) -> str:
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, FilePath):
        path = value.path
        return path if isinstance(path, str) else path.decode("utf-8", "backslashreplace")
    return repr(value)


def _bytes(data: bytes, rule: Redaction) -> Any:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    if text and all(each.isprintable() or each in "\n\r\t" for each in text):
        return rule.text(text)
    if not data:
        return ""
    return {"hex": data.hex()} if rule.allows(data) else HIDDEN
