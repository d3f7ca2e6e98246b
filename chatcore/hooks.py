"""Checking a hook where it is given, not when it is needed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


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
    try:
        inspect.signature(hook).bind(*arguments)
    except ValueError:
        return  # a builtin may have no signature
    except TypeError as problem:
        name = getattr(hook, "__qualname__", repr(hook))
        shown = ", ".join(arguments)
        raise TypeError(f"{what} calls {name} with ({shown}): {problem}") from None
