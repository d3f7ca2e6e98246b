"""Asking a process as an administrator: over the same links and the same hello as nodes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from chatcore.admin.asker import Asker
from chatcore.admin.asking import (
    ask_order,
    ask_question,
    ask_survey,
    ask_to_add,
    ask_to_invoke,
    ask_to_reload,
    ask_to_replay,
    ask_to_tap,
)
from chatcore.admin.invocation import Invocation
from chatcore.admin.outcomes import AWAY, LATE, STRANGER, What
from chatcore.admin.questions import Question
from chatcore.deadlines import IClock
from chatcore.errors import AdminError
from chatcore.links import hello
from chatcore.links.dialler import in_words
from chatcore.links.greeting import Greeter
from chatcore.links.link import Link, LinkParts
from chatcore.links.settings import LinkSettings
from chatcore.links.tls import LinkTls
from chatcore.telemetry import Counters
from chatcore.turn import Turn
from chatcore.wire.box import Box, join

CLOSING_SECONDS = 1.0
"""Seconds that a link may take to close before it is cut."""


Took = Callable[[bytes, Callable[[], None]], object]
"""Given a batch of what has passed, and what to call once it is read."""


class Visit:
    """A link to a process, over which an administrator asks. Made by `visit`.

    Args:
        asker: for whom it is asked; for the administrator alone unless given.

    Attributes:
        closed: fires when the link is gone.
    """

    def __init__(self, link: Link, closed: Deferred[None], asker: Asker | None = None) -> None:
        self._link, self._asker = link, asker
        self.closed = closed

    @property
    def peer(self) -> str:
        """The id of the process."""
        return self._link.peer

    @property
    def is_over(self) -> bool:
        """Whether nothing can be asked any more."""
        return not self._link.up

    def close(self) -> None:
        """End the visit."""
        self._link.close()

    async def leave(self, clock: IClock) -> None:
        """End the visit; returns when the link is gone."""
        self._link.close()
        late = clock.callLater(CLOSING_SECONDS, self._link.abort)
        await self.closed
        if late.active():
            late.cancel()

    async def survey(self, seconds: float, *, alone: bool = False) -> dict[str, Any]:
        """Ask what there is; AdminError when it can't be told."""
        return await ask_survey(self._link, seconds, alone=alone)

    async def inspect(
        self, question: Question, id: str, given: Mapping[str, Any], seconds: float
    ) -> dict[str, Any]:
        """Ask a node something; AdminError when it can't be told."""
        return await ask_question(self._link, question, id, given, seconds, asker=self._asker)

    async def invoke(self, invocation: Invocation, id: str, seconds: float) -> dict[str, Any]:
        """Have a remote of a node called; AdminError when it does not fit or has no result."""
        return await ask_to_invoke(self._link, invocation, id, seconds, asker=self._asker)

    async def order(self, what: What, id: str, seconds: float) -> dict[str, Any]:
        """Have something done with a node, until it is done; AdminError when it was not."""
        return await ask_order(self._link, what, id, seconds, asker=self._asker)

    async def add(
        self, server_type: str, given: Mapping[str, str], count: int, seconds: float
    ) -> dict[str, Any]:
        """Have new servers taken in, which are still to be started; AdminError when they can't."""
        return await ask_to_add(self._link, server_type, given, count, seconds, asker=self._asker)

    async def reload(self, *, apply: bool, seconds: float) -> dict[str, Any]:
        """Have servers.json read again; AdminError when it can't be followed."""
        return await ask_to_reload(self._link, apply=apply, seconds=seconds, asker=self._asker)

    async def replay(self, what: str, given: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Have the node act on something that was recorded; AdminError when it does not."""
        return await ask_to_replay(self._link, what, given, seconds)

    async def tap(self, given: Mapping[str, Any], seconds: float, took: Took | None = None) -> Any:
        """Have the node show what passes on its links.

        Args:
            given: what is to be shown.
            took: given each batch of what has passed, and what to call once it is read.

        Raises:
            AdminError: it shows nothing.
        """

        def tapped(link: Link, box: Box, ask: bytes | None) -> None:
            if ask is not None and took is not None:
                took(join(box, b"events"), lambda: link.answer(ask, b""))

        if took is not None:
            self._link.serve({b"Tapped": tapped})
        return await ask_to_tap(self._link, given, seconds)


async def visit(
    endpoint: IStreamClientEndpoint,
    *,
    id: str,
    secret: bytes,
    clock: IClock,
    seconds: float,
    to: str = "",
    tls: LinkTls | None = None,
    asker: Asker | None = None,
) -> Visit:
    """Open a link to a process as an administrator.

    Args:
        endpoint: how it is reached.
        id: how the administrator is called.
        secret: the cluster's; the key of the token, where that is its id.
        clock: the reactor.
        seconds: that it may take.
        to: the id of who has to answer there; anybody unless given.
        tls: the administrator's certificate, where the link is encrypted.
        asker: for whom it is asked; for the administrator alone unless given.

    Raises:
        AdminError: nobody can be asked there; says why.
    """
    attempt = _Attempt(id=id, secret=secret, clock=clock, to=to, tls=tls, asker=asker)
    way = endpoint if tls is None else tls.dialling(endpoint, to)
    connecting = way.connect(attempt)
    connecting.addErrback(attempt.failed)
    late = clock.callLater(seconds, attempt.give_up, seconds)
    try:
        return await attempt.outcome
    except BaseException:
        connecting.cancel()
        attempt.drop()
        raise
    finally:
        if late.active():
            late.cancel()


class _Attempt(Factory):
    """Makes one link and leads it through the hello."""

    noisy = False

    def __init__(
        self,
        *,
        id: str,
        secret: bytes,
        clock: IClock,
        to: str,
        tls: LinkTls | None,
        asker: Asker | None,
    ) -> None:
        self._asker = asker
        self.outcome: Deferred[Visit] = Deferred()
        self._to = to
        self._link: Link | None = None
        self._closed: Deferred[None] = Deferred()
        self._greeter = Greeter(
            id=id,
            incarnation=secrets.token_hex(8),
            secret=secret,
            remotes={},
            up=self._up,
            tls=tls,
        )
        self._parts = LinkParts(
            turn=Turn(clock.callLater),
            clock=clock,
            settings=LinkSettings(),
            counters=Counters(),
            responders={},
            tls=tls,
        )

    def buildProtocol(self, addr: object) -> Link:
        return Link(
            parts=self._parts,
            limit=hello.UNPROVEN_BYTES,
            greet=lambda link, box, ask: link.abort(),  # who is dialled has nothing to ask
            made=self._made,
            lost=self._lost,
        )

    def failed(self, reason: Failure) -> None:
        """There is no connection."""
        self._end(AdminError(f"it can't be reached: {in_words(reason)}", code=AWAY))

    def give_up(self, seconds: float) -> None:
        """It takes too long."""
        self._end(AdminError(f"it does not answer within {seconds:g} s", code=LATE))

    def drop(self) -> None:
        """Close what there is."""
        if self._link is not None:
            self._link.abort()

    def _made(self, link: Link) -> None:
        if self.outcome.called:
            link.abort()
            return
        self._link = link
        self._greeter.dial(link, self._to, "", self._refused)

    def _refused(self, why: str) -> None:
        self._end(AdminError(why, code=STRANGER))

    def _up(self, link: Link) -> None:
        if not self.outcome.called:
            self.outcome.callback(Visit(link, self._closed, self._asker))

    def _lost(self, link: Link, reason: Failure) -> None:
        self._end(AdminError("it has closed the link", code=AWAY))
        self._closed.callback(None)

    def _end(self, problem: AdminError) -> None:
        if not self.outcome.called:
            self.outcome.errback(problem)
