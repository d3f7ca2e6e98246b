"""What a node does for those who administer it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint

import chatcore
from chatcore.admin.asker import Asker
from chatcore.admin.asking import ask_order, ask_question, ask_to_invoke
from chatcore.admin.invocation import Invocation
from chatcore.admin.outcomes import AWAY, FAILED, REFUSED, UNKNOWN, UNSUPERVISED, What
from chatcore.admin.questions import Answer, Question
from chatcore.admin.visit import Visit, visit
from chatcore.cluster.view import View
from chatcore.config.names import ADMIN, suggestion
from chatcore.deadlines import IClock
from chatcore.errors import AdminError
from chatcore.links.link import Link
from chatcore.links.tls import LinkTls
from chatcore.node.looking.in_turn import InTurn
from chatcore.node.network import IPlace

SUPERVISOR_SECONDS = 20.0
"""Seconds within which the ``chatcore start`` that owns a node has to answer it, at most."""

LAST_WORDS_SECONDS = 0.1
"""Seconds that the answer has to leave before a node is killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """The process that a node runs in, as it is administered.

    Args:
        place: takes the place where administrators of this machine come in, beside the port for
            links.
        note: notes what they have to know for that, before they can.
        supervisor: how the ``chatcore start`` is reached that owns it, where one does.
        kill: ends it at once.
    """

    place: Callable[[], IPlace] | None = None
    note: Callable[[Mapping[str, str]], object] = lambda facts: None
    supervisor: IStreamClientEndpoint | None = None
    kill: Callable[[], object] | None = None


class Administered:
    """A node, as it is administered.

    What it can't do itself it passes on: to the ``chatcore start`` that owns it, or to another
    node.

    Args:
        id: its id.
        about: what administrators are told of it besides.
        secret: the cluster's.
        view: the newest view.
        link: the link to another node, if it is up.
        answers: what it answers to each question.
        invoke: calls one of its remotes for somebody, within so many seconds.
        drain: has it hand over what it has; fires when that is done, or takes too long.
        is_empty: whether it has nothing to hand over.
        stop: ends its process in order.
        process: the process that it runs in.
        clock: the reactor.
        tls: the certificates of links, where those are encrypted.
    """

    def __init__(
        self,
        *,
        id: str,
        about: Mapping[str, Any],
        secret: bytes,
        view: Callable[[], View],
        link: Callable[[str], Link | None],
        answers: Mapping[Question, Answer],
        invoke: Callable[[Invocation, float, Asker], Awaitable[dict[str, Any]]],
        drain: Callable[[], Deferred[None]],
        is_empty: Callable[[], bool],
        stop: Callable[[], object],
        process: Process,
        clock: IClock,
        tls: LinkTls | None = None,
    ) -> None:
        self._tls = tls
        self._id, self._about, self._secret = id, about, secret
        self._view, self._link, self._answers = view, link, answers
        self._invoke, self._in_turn = invoke, InTurn(clock)
        self._drain, self._is_empty, self._stop = drain, is_empty, stop
        self._process, self._clock = process, clock

    async def survey(self, seconds: float, *, alone: bool) -> dict[str, Any]:
        found: dict[str, Any] = {
            "id": self._id,
            "version": chatcore.__version__,
            **self._about,
            "view": self._view().to_value(),
            "supervised": self._process.supervisor is not None,
            "programs": None,
        }
        if self._process.supervisor is not None and not alone:
            try:
                found["programs"] = (await self._ask_supervisor(seconds / 2))["programs"]
            except (
                AdminError
            ) as problem:  # it hangs, or has ended; the view tells more than nothing
                found["trouble"] = problem.problem
        return found

    async def inspect(
        self,
        question: Question,
        id: str,
        given: Mapping[str, Any],
        seconds: float,
        *,
        passes_on: bool,
        asker: Asker,
    ) -> dict[str, Any]:
        if id == self._id:
            answer = partial(self._answer, question, given)
            return await (answer() if asker.may("act") else self._in_turn(answer))
        link = self._link(id) if passes_on else None
        if link is not None:
            return await ask_question(link, question, id, given, seconds, asker=asker)
        if await self._is_supervised_with(id, seconds):
            return await self._with_supervisor(
                lambda it: it.inspect(question, id, given, seconds), seconds, asker
            )
        raise self._no_way_to(id)

    async def _answer(self, question: Question, given: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._answers[question](given)
        return answer if isinstance(answer, dict) else await answer

    async def invoke(
        self, invocation: Invocation, id: str, seconds: float, *, passes_on: bool, asker: Asker
    ) -> dict[str, Any]:
        if id == self._id:
            return await self._invoke(invocation, seconds, asker)
        link = self._link(id) if passes_on else None
        if link is not None:
            return await ask_to_invoke(link, invocation, id, seconds, asker=asker)
        if await self._is_supervised_with(id, seconds):
            return await self._with_supervisor(
                lambda it: it.invoke(invocation, id, seconds), seconds, asker
            )
        raise self._no_way_to(id)

    async def order(
        self, what: What, id: str, seconds: float, *, passes_on: bool, asker: Asker
    ) -> dict[str, Any]:
        if await self._is_supervised_with(id, seconds):
            return await self._with_supervisor(
                lambda it: it.order(what, id, seconds), seconds, asker
            )
        if id == self._id:
            return await self._do(what)
        link = self._link(id) if passes_on else None
        if link is None:
            raise self._no_way_to(id)
        return await ask_order(link, what, id, seconds, asker=asker)

    async def add(
        self,
        server_type: str,
        given: Mapping[str, str],
        count: int,
        seconds: float,
        *,
        passes_on: bool,
        asker: Asker,
    ) -> dict[str, Any]:
        self._refuse_if_unsupervised("add a server", "Start it with twistd chatnode")
        return await self._with_supervisor(
            lambda it: it.add(server_type, given, count, seconds), seconds, asker
        )

    async def reload(
        self, seconds: float, *, apply: bool, passes_on: bool, asker: Asker
    ) -> dict[str, Any]:
        self._refuse_if_unsupervised(
            "follow servers.json", "Start, drain and restart the servers one by one"
        )
        return await self._with_supervisor(
            lambda it: it.reload(apply=apply, seconds=seconds), seconds, asker
        )

    def _refuse_if_unsupervised(self, what: str, advice: str) -> None:
        if self._process.supervisor is None:
            raise AdminError(
                f"no 'chatcore start' owns {self._id}, so there is nobody who could {what}",
                code=UNSUPERVISED,
                advice=advice,
            )

    async def _do(self, what: What) -> dict[str, Any]:
        """Act on this node, which nobody supervises."""
        if what == "kill":
            kill = self._process.kill
            if kill is None:
                raise AdminError(f"{self._id} shares its process with others", code=REFUSED)
            self._clock.callLater(LAST_WORDS_SECONDS, kill)
        elif what == "stop":
            self._clock.callLater(0, self._stop)
        elif what == "drain":
            await self._drain()
            self._clock.callLater(0, self._stop)
            if not self._is_empty():
                raise AdminError(
                    f"{self._id} could not hand over all it had; it stops all the same",
                    code=FAILED,
                )
        else:
            raise AdminError(
                f"no 'chatcore start' owns {self._id}, so nobody would start it again",
                code=UNSUPERVISED,
                advice=f"Drain it, and start it as it was started: twistd chatnode --id {self._id}",
            )
        return {"ended": False}

    def _no_way_to(self, id: str) -> AdminError:
        view = self._view()
        if view.get(id) is None:
            known = [member.id for member in view.members]
            advice = suggestion(id, known, "servers")
            return AdminError(f"there is no server '{id}' in the view", code=UNKNOWN, advice=advice)
        return AdminError(f"{self._id} has no link to {id} now", code=AWAY)

    # The supervisor.

    async def _is_supervised_with(self, id: str, seconds: float) -> bool:
        if self._process.supervisor is None:
            return False
        programs = (await self._ask_supervisor(seconds))["programs"]
        return any(program["id"] == id for program in programs)

    async def _ask_supervisor(self, seconds: float) -> dict[str, Any]:
        seconds = min(seconds, SUPERVISOR_SECONDS)
        return await self._with_supervisor(lambda it: it.survey(seconds, alone=True), seconds)

    async def _with_supervisor(
        self,
        ask: Callable[[Visit], Awaitable[dict[str, Any]]],
        seconds: float,
        asker: Asker | None = None,
    ) -> dict[str, Any]:
        """Ask the ``chatcore start`` that owns this node.

        Args:
            asker: for whom this one asks; for itself unless given.

        Raises:
            AdminError: as it says; or it can't be asked.
        """
        endpoint = self._process.supervisor
        assert endpoint is not None
        try:
            visiting = await visit(
                endpoint,
                id=f"{ADMIN}-{self._id}",
                secret=self._secret,
                clock=self._clock,
                seconds=min(seconds, SUPERVISOR_SECONDS),
                tls=self._tls,
                asker=asker,
            )
        except AdminError as problem:
            raise AdminError(
                f"the 'chatcore start' that owns {self._id} can't be asked: {problem.problem}",
                code=problem.code,
                advice="See what keeps it from answering; 'chatcore kill' ends servers without it",
            ) from None
        try:
            return await ask(visiting)
        finally:
            visiting.close()
