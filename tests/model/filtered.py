"""A dispatcher with filters around its handlers, as a node puts it together."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from chatcore.application import Configurator
from chatcore.dispatch.calling import Caller
from chatcore.dispatch.dispatcher import Dispatcher
from chatcore.dispatch.lag import Lag
from chatcore.node.filtering import Surroundings
from chatcore.sessions.copy import SessionCopy
from chatcore.telemetry import Counters

ROUTE = "chat.chatHandler.send"


class FilteredNode:
    """Register with ``app``, then ask.

    Attributes:
        app: what ``configure(app)`` is given.
        replies: all answers, of all requests.
    """

    def __init__(self, seconds: float = 10) -> None:
        self.clock = Clock()
        self.counters = Counters()
        self.lag = Lag(self.clock)
        self.app = Configurator(env="test", server_type="chat", server_types=["chat"])
        self.caller = Caller(seconds=seconds, clock=self.clock)
        self.dispatcher = Dispatcher(caller=self.caller, counters=self.counters)
        self.replies: list[Any] = []
        self._seconds = seconds
        self._surroundings: Surroundings | None = None

    def handler(self, function: Callable[..., Any]) -> Callable[..., Any]:
        self.dispatcher.add_handler(ROUTE, function)
        return function

    def begin(self, msg: Any = None, session: Any = None, notify: bool = False) -> list[Any]:
        """Send a request; its answers come into what is returned."""
        if self._surroundings is None:
            self._surroundings = Surroundings(
                self.app,
                seconds=self._seconds,
                dispatcher=self.dispatcher,
                counters=self.counters,
                lag=self.lag,
                clock=self.clock,
            )
            app: Any = "the application"
            self._surroundings.surround(app, None)
        replies: list[Any] = []

        def reply(value: Any) -> None:
            replies.append(value)
            self.replies.append(value)

        self.dispatcher.handle(ROUTE, msg, session or client(1), reply, notify)
        return replies

    def ask(self, msg: Any = None, session: Any = None) -> Any:
        """Send a request that is answered at once."""
        (reply,) = self.begin(msg, session)
        return reply

    def close(self) -> None:
        """Nothing may be left."""
        self.caller.stop()
        if self._surroundings is not None:
            self._surroundings.stop()
        assert self.clock.getDelayedCalls() == []
        gc.collect()


def client(id: int, uid: str | None = None) -> SessionCopy:
    home: Any = None
    return SessionCopy(id, "connector-1", uid, {}, home)


class Waits:
    """Something that waits until it is told to go on."""

    def __init__(self) -> None:
        self.under_way: list[Deferred[Any]] = []
        self.cancelled = 0

    async def __call__(self, *args: Any) -> Any:
        def cancelled(_: Deferred[Any]) -> None:
            self.cancelled += 1

        waiting: Deferred[Any] = Deferred(cancelled)
        self.under_way.append(waiting)
        return await waiting

    def go_on(self, value: Any = None) -> None:
        self.under_way.pop(0).callback(value)
