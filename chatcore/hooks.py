"""Checking where a function is given whether it can be called, not when it is needed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def takes(function: Callable[..., Any], *args: Any, **options: Any) -> str | None:
    """Why a function can't be called with these arguments; None if it can."""
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return None  # a builtin may have none
    try:
        signature.bind(*args, **options)
    except TypeError as problem:
        return str(problem)
    return None


def check_hook(hook: Callable[..., Any], what: str, *arguments: str) -> None:
    """Check that a hook can be called.

    Args:
        hook: what was given.
        what: what it is for, as in ``on_closed``.
        arguments: what it will be called with.

    Raises:
        TypeError: it can't be called, or not with these arguments.
    """
    if not callable(hook):
        raise TypeError(f"the hook of {what} is a function, not {hook!r}")
    problem = takes(hook, *arguments)
    if problem is not None:
        name = getattr(hook, "__qualname__", repr(hook))
        shown = ", ".join(arguments)
        raise TypeError(f"{what} calls {name} with ({shown}): {problem}")
