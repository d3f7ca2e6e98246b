"""What an application may be told of: ``app.on(event, hook)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatcore.application.checks import caller, wrong
from chatcore.config.names import suggestion
from chatcore.dispatch.blame import Place
from chatcore.hooks import takes

EVENTS: Final[dict[str, tuple[str, ...]]] = {
    "bind_session": ("session",),
    "unbind_session": ("session", "uid"),
    "close_session": ("session", "reason"),
    "start_server": ("server_id",),
    "start_all": (),
    "link_up": ("server_id",),
    "link_down": ("server_id",),
    "channel_moving": ("channel", "server_id"),
    "channel_arrived": ("channel", "how"),
    "add_servers": ("servers",),
    "remove_servers": ("server_ids",),
    "replace_servers": ("servers",),
    "add_crons": ("crons",),
    "remove_crons": ("ids",),
}
"""The events, each with what its hooks are called with."""


class Events:
    """The hooks of an application for the events of this server."""

    log = Logger()

    def __init__(self) -> None:
        self._hooks: dict[str, list[Callable[..., Any]]] = {event: [] for event in EVENTS}

    def on(self, event: str, hook: Callable[..., Any], place: Place | None = None) -> None:
        """Have a hook called, in the order in which they were added; it may be async.

        Args:
            place: who asks for it.

        Raises:
            ConfigError: there is no such event, or the hook can't be called with what it brings.
        """
        verify_hook(event, hook, place or caller())
        self._hooks[event].append(hook)

    def wanted(self, event: str) -> bool:
        """Whether anybody asked for it."""
        return bool(self._hooks[event])

    def emit(self, event: str, *args: Any) -> None:
        """Call the hooks. What they raise is logged, and hurts nobody."""
        for hook in tuple(self._hooks[event]):
            maybeDeferred(hook, *args).addErrback(self._failed, event)

    def ask(self, event: str, *args: Any) -> Deferred[Any] | None:
        """Call the hooks, and wait for them: what fires when all have ended, if one waits."""
        called = [
            maybeDeferred(hook, *args).addErrback(self._failed, event)
            for hook in tuple(self._hooks[event])
        ]
        waiting = [each for each in called if not each.called or each.paused]
        return DeferredList(waiting) if waiting else None

    def _failed(self, failure: Failure, event: str) -> None:
        self.log.failure("A hook of the event {event} raised", failure, event=event)


def verify_hook(event: str, hook: Any, place: Place) -> None:
    """Check a hook before it is needed.

    Raises:
        ConfigError: there is no such event, or the hook can't be called with what it brings.
    """
    if event not in EVENTS:
        raise wrong(f"no event {event!r}", place, suggestion(str(event), EVENTS, "events"))
    if not callable(hook):
        raise wrong(f"the hook for {event} is {hook!r}, not a function", place)
    if takes(hook, *EVENTS[event]) is not None:
        expected = ", ".join(EVENTS[event])
        raise wrong(f"the hook for {event} can't be called with ({expected})", place)
