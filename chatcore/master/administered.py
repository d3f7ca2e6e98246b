"""What a ``chatcore start`` does for those who administer it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint

import chatcore
from chatcore.admin.asker import Asker
from chatcore.admin.asking import ask_order, ask_question, ask_to_invoke
from chatcore.admin.invocation import Invocation
from chatcore.admin.outcomes import AWAY, FAILED, REFUSED, UNKNOWN, What
from chatcore.admin.questions import Question
from chatcore.admin.visit import Visit, visit
from chatcore.cluster.view import View
from chatcore.config.names import ADMIN, MASTER, suggestion
from chatcore.errors import AdminError
from chatcore.links.link import Link
from chatcore.links.tls import LinkTls
from chatcore.master.growing import Growing, to_value
from chatcore.master.keeper import Keeper
from chatcore.master.orders import Orders
from chatcore.master.plan import Plan
from chatcore.master.supervisor import Supervisor

NODE_SECONDS = 3.0
"""Seconds that one of the own nodes has to answer at all; then another one is asked."""


class Administered:
    """A ``chatcore start``, as it is administered.

    It acts on the processes that it owns. What is asked about others, their nodes are asked.

    Args:
        supervisor: has the processes.
        plan: what it has started.
        view: the newest view, where the master that numbers it runs in this process.
        link: the link of that master to a node, if there is one.
        tls: the certificates of links, where those are encrypted.
        reactor: the reactor.
    """

    def __init__(
        self,
        *,
        supervisor: Supervisor,
        plan: Plan,
        view: Callable[[], View | None],
        link: Callable[[str], Link | None],
        tls: LinkTls | None = None,
        reactor: Any,
    ) -> None:
        self._tls = tls
        self._supervisor, self._run = supervisor, plan.run
        self._about = {"app": str(plan.app), "env": plan.env}
        self._me = f"{ADMIN}-{plan.identity}"
        self._growing = Growing(plan, supervisor)
        self._view, self._link, self._reactor = view, link, reactor
        self._orders = Orders(supervisor, clock=reactor)

    async def survey(self, seconds: float, *, alone: bool) -> dict[str, Any]:
        view = self._view()
        value = None if view is None else view.to_value()
        if value is None and not alone:
            value = await self._view_of_a_node(seconds)
        return {
            "id": MASTER,
            "version": chatcore.__version__,
            **self._about,
            "view": value,
            "supervised": True,
            "programs": [_described(keeper) for keeper in self._servers().values()],
        }

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
        def by_visit(visiting: Visit) -> Awaitable[dict[str, Any]]:
            return visiting.inspect(question, id, given, seconds)

        def by_link(link: Link) -> Awaitable[dict[str, Any]]:
            return ask_question(link, question, id, given, seconds, asker=asker)

        return await self._of_a_node(
            id, by_visit, by_link, seconds, passes_on=passes_on, asker=asker
        )

    async def invoke(
        self, invocation: Invocation, id: str, seconds: float, *, passes_on: bool, asker: Asker
    ) -> dict[str, Any]:
        def by_visit(visiting: Visit) -> Awaitable[dict[str, Any]]:
            return visiting.invoke(invocation, id, seconds)

        def by_link(link: Link) -> Awaitable[dict[str, Any]]:
            return ask_to_invoke(link, invocation, id, seconds, asker=asker)

        return await self._of_a_node(
            id, by_visit, by_link, seconds, passes_on=passes_on, asker=asker
        )

    async def _of_a_node(
        self,
        id: str,
        by_visit: Callable[[Visit], Awaitable[dict[str, Any]]],
        by_link: Callable[[Link], Awaitable[dict[str, Any]]],
        seconds: float,
        *,
        passes_on: bool,
        asker: Asker,
    ) -> dict[str, Any]:
        """Ask a node for what it alone can answer, wherever it is."""
        keeper = self._servers().get(id)
        if keeper is not None:
            if not keeper.running:
                why = f", because it {keeper.last_why}" if keeper.last_why else ""
                how = f"it is {keeper.condition}{why}"
                raise AdminError(f"{id} has no process now: {how}", code=AWAY)
            return await self._visit(id, by_visit, seconds, asker)
        link = self._link(id)
        if link is not None:
            return await by_link(link)
        return await self._by_a_node(id, by_visit, passes_on=passes_on, asker=asker)

    async def order(
        self, what: What, id: str, seconds: float, *, passes_on: bool, asker: Asker
    ) -> dict[str, Any]:
        keeper = self._servers().get(id)
        link = self._link(id)
        if keeper is None and link is not None:
            return await ask_order(link, what, id, seconds, asker=asker)
        if keeper is None:
            return await self._by_a_node(
                id,
                lambda it: it.order(what, id, seconds),
                passes_on=passes_on,
                asker=asker,
            )
        is_end = what not in ("start", "restart")
        was_down = is_end and keeper.condition in ("stopped", "refused")
        try:
            await self._orders.act(what, keeper, seconds)
        except AdminError as problem:
            if problem.code != FAILED or problem.advice is not None:
                raise
            log = self._run.log_file(id)
            raise AdminError(problem.problem, code=FAILED, advice=f"{log} may tell more") from None
        finally:
            if self._growing.is_to_go(keeper):
                self._growing.forget(keeper)
                self._orders.forget(keeper)
        return {"ended": True} | ({"was_down": True} if was_down else {})

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
        self._refuse_while_stopping()
        view = self._view()
        if view is None:
            value = await self._view_of_a_node(seconds)
            view = None if value is None else View.from_value(value)
        others = () if view is None else [member.id for member in view.members]
        return {"ids": self._growing.add(server_type, given, count, others)}

    async def reload(
        self, seconds: float, *, apply: bool, passes_on: bool, asker: Asker
    ) -> dict[str, Any]:
        self._refuse_while_stopping()
        return to_value(self._growing.compare(apply=apply))

    def _refuse_while_stopping(self) -> None:
        if self._supervisor.stopping:
            raise AdminError("everything is being stopped", code=REFUSED)

    def _servers(self) -> dict[str, Keeper]:
        keepers = self._supervisor.keepers
        return {name: each for name, each in keepers.items() if each.program.server is not None}

    # Its nodes.

    async def _view_of_a_node(self, seconds: float) -> Any:
        """The view, as the first of its nodes knows it that answers; None where none does."""
        until = self._reactor.seconds() + seconds / 2
        for id in self._up():
            left = min(until - self._reactor.seconds(), NODE_SECONDS)
            if left <= 0:
                break
            try:
                survey = await self._visit(
                    id, partial(Visit.survey, seconds=left, alone=True), left
                )
            except AdminError:
                continue
            return survey.get("view")
        return None

    async def _by_a_node(
        self,
        id: str,
        ask: Callable[[Visit], Awaitable[dict[str, Any]]],
        *,
        passes_on: bool,
        asker: Asker,
    ) -> dict[str, Any]:
        """Ask for a node that somebody else has started, wherever that is."""
        nodes = self._up() if passes_on else []
        problem = AdminError(
            f"there is no server '{id}'",
            code=UNKNOWN,
            advice=suggestion(id, self._servers(), "servers here"),
        )
        for own in nodes:
            try:
                visiting = await self._open(own, NODE_SECONDS, asker)
            except AdminError as silent:
                problem = silent
                continue
            try:
                return await ask(visiting)
            except AdminError as refused:
                problem = refused
                if refused.code != AWAY:  # this one has no link to it; another one may
                    break
            finally:
                visiting.close()
        raise problem

    def _up(self) -> list[str]:
        return [id for id, keeper in self._servers().items() if keeper.condition == "up"]

    async def _visit(
        self,
        id: str,
        ask: Callable[[Visit], Awaitable[dict[str, Any]]],
        seconds: float,
        asker: Asker | None = None,
    ) -> dict[str, Any]:
        visiting = await self._open(id, seconds, asker)
        try:
            return await ask(visiting)
        finally:
            visiting.close()

    def _open(self, id: str, seconds: float, asker: Asker | None) -> Deferred[Visit]:
        """Open a link to one of its nodes."""
        return Deferred.fromCoroutine(
            visit(
                UNIXClientEndpoint(self._reactor, str(self._run.admin_socket(id))),
                id=self._me,
                secret=self._run.secret(),
                clock=self._reactor,
                seconds=seconds,
                to=id,
                tls=self._tls,
                asker=asker,
            )
        )


def _described(keeper: Keeper) -> dict[str, Any]:
    server = keeper.program.server
    assert server is not None
    return {
        "id": server.id,
        "type": server.type,
        "frontend": server.frontend,
        "host": server.host,
        "port": server.port,
        "clientHost": server.client_host,
        "clientPort": server.client_port,
        "state": keeper.condition,
        "pid": keeper.pid,
    }
