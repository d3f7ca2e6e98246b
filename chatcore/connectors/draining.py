"""Draining a frontend: its clients are told where to go on, a batch at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import ceil
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatcore.connectors.guest import GOING_AWAY
from chatcore.connectors.parts import ConnectorParts, IClient, cut_off
from chatcore.connectors.settings import DrainSettings
from chatcore.deadlines import Deadlines
from chatcore.wire import handshake

Elsewhere = Callable[[str], tuple[str, int] | None]
"""Where the client of a key goes on: a host and a port; None where there is no such place."""


class Draining:
    """Sends the clients of a frontend on to others.

    Those who are here are told in batches. Each takes leave first: nothing more is taken from it,
    what it has asked is answered, and what was sent to it is written. Those who come meanwhile are
    told as soon as they have shaken hands, and get no session.

    Args:
        parts: what the frontend's connections share.
        settings: how many at a time, and how long it may take.
        elsewhere: names the place for a client, by its uid where it has one.
    """

    log = Logger()

    def __init__(
        self, *, parts: ConnectorParts, settings: DrainSettings, elsewhere: Elsewhere
    ) -> None:
        self._parts, self._settings, self._elsewhere = parts, settings, elsewhere
        self._clock = parts.clock
        self._closings = Deadlines(settings.client_seconds, parts.clock, cut_off)
        self._here: dict[IClient, None] = {}
        self._queue: deque[IClient] = deque()
        self._leaving: dict[IClient, float] = {}
        self._batch = settings.batch
        self._begun = 0.0
        self._timer: Any = None
        self._emptied: Deferred[None] | None = None

    def begin(self) -> Deferred[None]:
        """Begin; to be called once.

        Returns:
            What fires when all who are here now are gone, and newcomers have had their grace.
        """
        settings = self._settings
        self._begun = self._clock.seconds()
        self._parts.draining = self
        self._here.update(self._parts.clients)
        self._queue.extend(each for each in self._here if each.works)
        enough = len(self._queue) * settings.interval_seconds * 2 / settings.seconds
        self._batch = max(settings.batch, ceil(enough))
        self.log.info("{n} clients are sent on to other frontends", n=len(self._queue))
        emptied = self._emptied = Deferred()
        self._step()
        return emptied

    def stop(self) -> None:
        """Forget the timers; who waits for the end is told that it has come."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._closings.clear()
        self._end()

    # IDraining

    def arrived(self, client: IClient) -> None:
        host, port = client.address
        self._move(client, f"{host} {port}")

    def took_place(self, guest: IClient, client: IClient) -> None:
        if guest in self._here:
            del self._here[guest]
            self._here[client] = None

    def gone(self, client: IClient) -> None:
        self._closings.stop(client)
        self._here.pop(client, None)
        self._leaving.pop(client, None)

    # What happens every few milliseconds.

    def _step(self) -> None:
        settings, passed = self._settings, self._clock.seconds() - self._begun
        if passed >= settings.seconds:
            for client in list(self._here):
                client.cut_off()
        elif passed >= settings.seconds - min(settings.client_seconds, settings.seconds / 2):
            self._send_on_the_rest()
        else:
            self._send_on_who_can_go(passed)
            if passed >= settings.client_seconds:
                self._close_the_silent()
            elif passed >= settings.grace_seconds:
                self._close_what_is_kept()
        if not self._here and passed >= min(settings.grace_seconds, settings.seconds):
            self._timer = None
            self._end()
        else:
            self._timer = self._clock.callLater(settings.interval_seconds, self._step)

    def _send_on_who_can_go(self, now: float) -> None:
        for client, until in list(self._leaving.items()):
            if client.leave() or now >= until:
                self._send_on(client)
        begun = 0
        while self._queue and begun < self._batch:
            client = self._queue.popleft()
            if client not in self._here or not client.works:
                continue
            begun += 1
            if client.leave():
                self._send_on(client)
            else:
                self._leaving[client] = now + self._settings.client_seconds

    def _send_on_the_rest(self) -> None:
        """It has taken so long that nobody is waited for any more."""
        for client in list(self._here):
            if client.works:
                self._send_on(client)
        self._close_the_silent()

    def _close_the_silent(self) -> None:
        """Who has connected before and not shaken hands yet may be nobody."""
        for client in list(self._here):
            if client.is_new:
                client.close(handshake.MOVED, GOING_AWAY)

    def _close_what_is_kept(self) -> None:
        """Browsers keep connections for requests that they may make one day.

        While there are clients, one that polls may be about to ask on one of these.
        """
        if all(client.is_new or client.asks_nothing for client in self._here):
            for client in list(self._here):
                if client.asks_nothing:
                    client.close(handshake.MOVED, GOING_AWAY)

    def _send_on(self, client: IClient) -> None:
        self._leaving.pop(client, None)
        session = client.session
        if session is not None:
            self._move(client, session.uid or f"{session.frontend_id} {session.id}")

    def _move(self, client: IClient, key: str) -> None:
        try:
            place = self._elsewhere(key)
        except Exception:
            self.log.failure("Finding another frontend")
            place = None
        session = client.session
        if session is not None and session.uid is not None:
            to = None if place is None else f"{place[0]}:{place[1]}"
            self._parts.counters.journal.note(session.uid, "moved", to=to)
        client.move(handshake.encode_move(place), self._closings)

    def _end(self) -> None:
        emptied, self._emptied = self._emptied, None
        if emptied is not None:
            emptied.callback(None)
