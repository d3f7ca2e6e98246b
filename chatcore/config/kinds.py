"""The kinds of values that a setting can have: how people write them, and their names."""

from __future__ import annotations

import types
import typing
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, Literal, Union

import msgspec

_YES = ("true", "yes", "on", "1")
_NO = ("false", "no", "off", "0")
_NONE = ("none", "null")
_LISTS = (list, tuple, set, frozenset, Sequence, AbstractSet)
_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
_BOUNDS = {
    "gt": "more than",
    "ge": "at least",
    "lt": "less than",
    "le": "at most",
    "multiple_of": "a multiple of",
    "min_length": "its length at least",
    "max_length": "its length at most",
    "pattern": "matching the pattern",
}


def from_text(hint: Any, text: str) -> object:
    """Prepare what somebody wrote on a command line for ``msgspec.convert(…, strict=False)``.

    Truth values may be true, yes, on, false, no and off. Lists are separated by commas, and a text
    without anything in it is the empty list. ``none`` is None where a setting may be None.

    Args:
        hint: the type the setting is declared with.
        text: what was written.
    """
    choices = _choices(hint)
    word = text.lower()
    if type(None) in choices and word in _NONE:
        return None
    for choice in choices:
        if choice is bool and word in _YES + _NO:
            return word in _YES
        if typing.get_origin(choice) in _LISTS:
            inner = typing.get_args(choice)[0]
            return [from_text(inner, part.strip()) for part in text.split(",") if part.strip()]
    return text


def in_words(hint: Any) -> str:
    """Say which values a type takes, as in ``a whole number, at least 0``."""
    if typing.get_origin(hint) is Annotated:
        kind, *extras = typing.get_args(hint)
        bounds = [
            f"{words} {bound}"
            for extra in extras
            if isinstance(extra, msgspec.Meta)
            for name, words in _BOUNDS.items()
            if (bound := getattr(extra, name)) is not None
        ]
        return ", ".join([in_words(kind), *bounds])
    choices = _choices(hint)
    if len(choices) > 1:
        return " or ".join(in_words(choice) for choice in choices)
    if hint is None or hint is type(None):
        return "none"
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        return f"one of {', '.join(str(argument) for argument in arguments)}"
    if typing.get_origin(hint) in _LISTS:
        return f"a list, separated by commas, each {in_words(arguments[0])}"
    return _NAMES.get(hint, getattr(hint, "__name__", str(hint)))


def _choices(hint: Any) -> tuple[Any, ...]:
    """Return the types that a union is made of; of another type, itself."""
    if typing.get_origin(hint) is Annotated:
        return _choices(typing.get_args(hint)[0])
    if typing.get_origin(hint) in (Union, types.UnionType):
        return typing.get_args(hint)
    return (hint,)
