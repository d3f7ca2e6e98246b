"""Reading what a question was asked with: anybody may have written it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatcore.admin.outcomes import REFUSED
from chatcore.errors import AdminError

LONGEST = 200
"""Characters of a name that are told where there are many."""


def text(given: Mapping[str, Any], name: str, longest: int) -> str:
    """A text that has to be given, and is not empty; AdminError where it is not."""
    value = given.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise AdminError(f"there is no usable {name} in what was asked", code=REFUSED)
    return value


def whole(given: Mapping[str, Any], name: str, usual: int, most: int) -> int:
    """A number that may be given: not below 0, and taken as ``most`` where it is above."""
    value = given.get(name, usual)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise AdminError(f"{name} is no number in what was asked", code=REFUSED)
    return min(value, most)


def short(value: str | None) -> str | None:
    """A name, cut where it is very long."""
    if value is None or len(value) <= LONGEST:
        return value
    return f"{value[:LONGEST]}… ({len(value) - LONGEST} more)"
