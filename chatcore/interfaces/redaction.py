"""What of calls is not shown to those who look at them, declared where the methods are."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Final, TypeVar

from zope.interface.interface import InterfaceClass

from chatcore.errors import ConfigError

T = TypeVar("T")

_MARK = "__chatcore_redacted__"


@dataclass(frozen=True, slots=True)
class Redacted:
    """What of a method's calls is hidden, beside what is hidden everywhere.

    Attributes:
        names: hides the arguments, and the keys within them and within the answer, in whose names
            one of these stands.
        answer: whether the whole answer is hidden.
    """

    names: tuple[str, ...] = ()
    answer: bool = False

    def __or__(self, other: Redacted) -> Redacted:
        """What either hides."""
        names = dict.fromkeys((*self.names, *other.names))
        return Redacted(tuple(names), self.answer or other.answer)

    def __bool__(self) -> bool:
        return bool(self.names or self.answer)


NOTHING: Final = Redacted()
"""Nothing but what is hidden everywhere."""


def redacted(*names: str, answer: bool = False) -> Callable[[T], T]:
    """Say what of a method's calls, or of all of an interface's, the inspector never shows.

    Passwords, tokens and the like are hidden anyway. As a decorator it stands over ``async def`` in
    an interface derived from `IHandler` or `IRemote`, or over the interface. What a method says
    adds to what its interface says. Where mypy-zope is used, which can't deal with decorated
    methods, write ``redacted(…)(name)`` below the method.

    Args:
        names: hides the arguments, and the keys at any depth within them and within the answer, in
            whose names one of these stands; case, ``-``, ``_`` and ``.`` don't matter.
        answer: whether the whole answer is hidden.

    Raises:
        ConfigError: it says nothing, or it does not stand over a method or an interface.
    """
    frame = sys._getframe(1)
    file, line = frame.f_code.co_filename, frame.f_lineno

    def wrong(problem: str, advice: str) -> ConfigError:
        return ConfigError(f"redacted: {problem}", file=file, line=line, advice=advice)

    if (names and isinstance(names[0], FunctionType | InterfaceClass)) or not (names or answer):
        raise wrong("it says nothing", 'Name what is hidden, as in @redacted("card")')
    for name in names:
        if not isinstance(name, str) or not name.strip("-_. "):
            raise wrong(f"{name!r} is no name", "Name arguments or keys, as they are written")
    said = Redacted(tuple(names), answer)

    def mark(declared: T) -> T:
        if isinstance(declared, InterfaceClass):
            declared.setTaggedValue(_MARK, said)
        elif isinstance(declared, FunctionType):
            setattr(declared, _MARK, said)
        else:
            raise wrong(
                f"{declared!r} is neither a method of an interface nor an interface",
                "Put it there, not on the class that implements it",
            )
        return declared

    return mark


def hidden_of(interface: Any, name: str) -> Redacted:
    """What is hidden of a method's calls.

    Args:
        interface: it has the method, or inherits it.
        name: the method's.
    """
    said = NOTHING
    for each in interface.__iro__:
        function = getattr(each, "functions", {}).get(name)
        for mark in (vars(function).get(_MARK) if function else None, _mark_of(each)):
            said |= mark or NOTHING
    return said


def _mark_of(interface: Any) -> Redacted | None:
    found: Redacted | None = interface.queryDirectTaggedValue(_MARK)
    return found
