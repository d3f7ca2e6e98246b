"""Whether what somebody has written as JSON fits what a parameter is declared as.

Annotations are read as they are written, and never evaluated. What is not one of the simple types
below is taken for anything: the method itself has to judge it.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from chatcore.dispatch.components import lasting

_LISTS: Final = frozenset(
    [
        *("list", "List", "Sequence", "MutableSequence", "Iterable", "Collection"),
        *("set", "Set", "frozenset", "FrozenSet", "AbstractSet", "MutableSet"),
    ]
)
_TUPLES: Final = frozenset(("tuple", "Tuple"))
_DICTS: Final = frozenset(("dict", "Dict", "Mapping", "MutableMapping"))
_PLAIN: Final[Mapping[str, Callable[[Any], bool]]] = {
    "str": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "bytes": lambda value: isinstance(value, bytes),
    "None": lambda value: value is None,
    "NoneType": lambda value: value is None,
}


def misfit(parameter: inspect.Parameter, value: Any) -> str | None:
    """What is wrong with an argument; None where it fits, or where that can't be told.

    The argument itself is not told: it may be a password.
    """
    if parameter.annotation is inspect.Parameter.empty:
        return None
    written = written_as(parameter.annotation)
    try:
        declared = ast.parse(written, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if _fits(declared, value):
        return None
    return f"'{parameter.name}' has to be {written}, and is {kind(value)}"


def written_as(annotation: Any) -> str:
    """An annotation as it was written."""
    return lasting(annotation if isinstance(annotation, str) else _formatted(annotation))


def kind(value: Any) -> str:
    """What a value is, in JSON's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int):
        return "a whole number"
    if isinstance(value, float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else type(value).__name__


def _formatted(annotation: Any) -> str:
    return inspect.formatannotation(annotation)


def _fits(declared: ast.expr, value: Any) -> bool:
    if isinstance(declared, ast.BinOp) and isinstance(declared.op, ast.BitOr):
        return _fits(declared.left, value) or _fits(declared.right, value)
    if isinstance(declared, ast.Constant):
        if isinstance(declared.value, str):  # a name that is declared later
            return _fits_written(declared.value, value)
        return declared.value is not None or value is None
    if isinstance(declared, ast.Subscript):
        return _fits_generic(_name(declared.value), _arguments(declared), value)
    return _fits_name(_name(declared), value)


def _fits_written(written: str, value: Any) -> bool:
    try:
        return _fits(ast.parse(written, mode="eval").body, value)
    except (SyntaxError, ValueError):
        return True


def _fits_name(name: str, value: Any) -> bool:
    if name in _PLAIN:
        return _PLAIN[name](value)
    if name in _LISTS or name in _TUPLES:
        return isinstance(value, list)
    if name in _DICTS:
        return isinstance(value, dict)
    return True


def _fits_generic(name: str, arguments: Sequence[ast.expr], value: Any) -> bool:
    if name == "Optional":
        return value is None or any(_fits(each, value) for each in arguments)
    if name == "Union":
        return any(_fits(each, value) for each in arguments)
    if name == "Literal":
        return any(_is_literal(each, value) for each in arguments)
    if name in ("Annotated", "Final", "Required"):
        return _fits(arguments[0], value)
    if not _fits_name(name, value):
        return False
    if name in _LISTS and len(arguments) == 1:
        return all(_fits(arguments[0], each) for each in value)
    if name in _DICTS and len(arguments) == 2:
        return all(_fits(arguments[1], each) for each in value.values())
    return True


def _is_literal(declared: ast.expr, value: Any) -> bool:
    try:
        meant = ast.literal_eval(declared)
    except (ValueError, TypeError, SyntaxError):
        return True
    return type(meant) is type(value) and bool(meant == value)


def _name(declared: ast.expr) -> str:
    """The last part of a name, as in ``typing.Any``; empty where it is none."""
    if isinstance(declared, ast.Attribute):
        return declared.attr
    return declared.id if isinstance(declared, ast.Name) else ""


def _arguments(declared: ast.Subscript) -> Sequence[ast.expr]:
    inside = declared.slice
    return inside.elts if isinstance(inside, ast.Tuple) else [inside]
