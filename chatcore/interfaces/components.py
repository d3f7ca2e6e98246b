"""What the interfaces of handlers, remotes and crons derive from."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

from zope.interface import Interface
from zope.interface.interface import InterfaceClass

F = TypeVar("F", bound=Callable[..., Any])

IDEMPOTENT = "__chatcore_idempotent__"


def idempotent(function: F) -> F:
    """Mark a method of a remote's interface: calling it twice does no more than calling it once.

    Only such methods may be called with ``failure="retry"``. Use it as a decorator, or, where
    mypy-zope is used, which does not see decorated methods, as ``idempotent(names)`` below the
    method in the interface.
    """
    setattr(function, IDEMPOTENT, True)
    return function


if TYPE_CHECKING:

    class IHandler(Interface):
        """What a handler's interface derives from."""

    class IRemote(Interface):
        """What a remote's interface derives from."""

    class ICron(Interface):
        """What a cron's interface derives from. Its methods take no arguments."""

else:

    class ComponentInterface(InterfaceClass):
        """An interface that remembers the functions it was declared with.

        Whether a method is declared ``async``, its annotations and its line are what
        `zope.interface` itself forgets.
        """

        def __init__(self, name, bases=(), attrs=None, *args, **kwargs):
            found = {n: f for n, f in (attrs or {}).items() if isinstance(f, FunctionType)}
            super().__init__(name, bases, attrs, *args, **kwargs)
            self.functions = found

    IHandler = ComponentInterface(
        "IHandler", (Interface,), {}, "What a handler's interface derives from.", __name__
    )
    IRemote = ComponentInterface(
        "IRemote", (Interface,), {}, "What a remote's interface derives from.", __name__
    )
    ICron = ComponentInterface(
        "ICron", (Interface,), {}, "What a cron's interface derives from.", __name__
    )
