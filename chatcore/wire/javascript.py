"""What JavaScript does with objects and JSON, where Pomelo's bytes and versions depend on it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")

_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_LARGEST_INDEX = 2**32 - 2


def is_index(key: object) -> bool:
    """Say whether JavaScript sorts this key of an object as a number, before all others."""
    return isinstance(key, str) and _INDEX.fullmatch(key) is not None and int(key) <= _LARGEST_INDEX


def in_order(entries: Mapping[str, T]) -> dict[str, T]:
    """An object's entries in the order in which JavaScript goes through them.

    Keys that look like an array's index come first, by their number; the others follow in the
    order in which they were added.
    """
    indexes = sorted((key for key in entries if is_index(key)), key=int)
    if not indexes:
        return dict(entries)
    ordered = {key: entries[key] for key in indexes}
    ordered.update(entries)  # what stands in it already keeps its place
    return ordered


def code_units(text: str) -> bytes:
    """The key by which JavaScript's ``sort()`` orders texts: their UTF-16 code units."""
    return text.encode("utf-16-be")


def compact_json(value: Any) -> str:
    """What ``JSON.stringify`` makes of a value whose objects are `in_order` already."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def version(text: str) -> str:
    """Pomelo's version of something that clients cache: base64 of the MD5 of its JSON."""
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()
