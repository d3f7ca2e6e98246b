"""Which clients may call what, declared where the handlers' methods are."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Literal, TypeVar, get_args

from zope.interface.interface import InterfaceClass

from chatcore.errors import ConfigError

T = TypeVar("T")

Who = Literal["anyone", "bound", "unbound", "nobody"]

_WHO: tuple[str, ...] = get_args(Who)
_MARK = "__chatcore_access__"


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call a method; what is None is said elsewhere, or not at all.

    Attributes:
        who: one of `Who`.
        through: the server types of the frontends through which it may be called.
        file, line: where it is said.
    """

    who: str | None = None
    through: tuple[str, ...] | None = None
    file: str | None = None
    line: int | None = None

    def __or__(self, other: Access) -> Access:
        """What this says, and where it says nothing, what another says."""
        return Access(
            self.who or other.who,
            self.through or other.through,
            self.file or other.file,
            self.line or other.line,
        )


def access(who: Who | None = None, *, through: str | Sequence[str] = ()) -> Callable[[T], T]:
    """Say which clients may call a method of a handler, or all methods of an interface.

    As a decorator it stands over ``async def`` in an interface derived from `IHandler`, or over the
    interface. What a method says counts more than what its interface says. Where mypy-zope is used,
    which can't deal with decorated methods, write ``access(…)(name)`` below the method.

    Args:
        who: ``"anyone"``, as where nothing is said; ``"bound"``, only who is bound to a uid;
            ``"unbound"``, only who is not bound yet; or ``"nobody"``.
        through: the server type of the frontends through which it may be called, or several; any
            unless given.

    Raises:
        ConfigError: that is no such word, or it does not stand over a method or an interface.
    """
    frame = sys._getframe(1)
    file, line = frame.f_code.co_filename, frame.f_lineno

    def wrong(problem: str, advice: str) -> ConfigError:
        return ConfigError(f"access: {problem}", file=file, line=line, advice=advice)

    words = ", ".join(f'"{each}"' for each in _WHO)
    if isinstance(who, FunctionType | InterfaceClass):
        raise wrong("it says nothing", 'Write @access("bound"), with brackets')
    if who is not None and who not in _WHO:
        raise wrong(f"who may be {words}, not {who!r}", _near(who))
    types = (through,) if isinstance(through, str) else through
    if not isinstance(types, Iterable) or not all(isinstance(each, str) for each in types):
        raise wrong(
            f"through is a server type or several, not {through!r}", 'Write through="connector"'
        )
    said = Access(who, tuple(types) or None, file, line)
    if said.who is None and said.through is None:
        raise wrong("it says nothing", f"Say who ({words}) or through which server types")

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


def said_of(interface: Any, name: str) -> Access | None:
    """What is said of a method, or of its interface; None if nothing is.

    Args:
        interface: it has the method, or inherits it.
        name: the method's.
    """
    family = [each for each in interface.__iro__ if hasattr(each, "functions")]
    functions = [each.functions[name] for each in family if name in each.functions]
    marks = [vars(function).get(_MARK) for function in functions]
    marks += [each.queryDirectTaggedValue(_MARK) for each in family]
    found = [mark for mark in marks if mark is not None]
    if not found:
        return None
    said = Access()
    for mark in found:
        said |= mark
    return said


def _near(word: object) -> str:
    near = difflib.get_close_matches(str(word), _WHO, 1)
    return f"Did you mean {near[0]}?" if near else "Choose one of them"
