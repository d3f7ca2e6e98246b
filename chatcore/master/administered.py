"""What a ``chatcore start`` does for those who administer it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from twisted.internet.endpoints import UNIXClientEndpoint

import chatcore
from chatcore.admin.outcomes import AWAY, UNKNOWN, What
from chatcore.admin.visit import Visit, visit
from chatcore.cluster.view import View
from chatcore.config.names import ADMIN, MASTER, suggestion
from chatcore.config.run_folder import RunFolder
from chatcore.errors import AdminError
from chatcore.master.keeper import Keeper
from chatcore.master.orders import Orders
from chatcore.master.supervisor import Supervisor

NODE_SECONDS = 3.0
"""Seconds that one of the own nodes has to say what it knows; then another one is asked."""


class Administered:
    """A ``chatcore start``, as it is administered.

    It acts on the processes that it owns. What is asked about others, their nodes are asked.

    Args:
        supervisor: has the processes.
        about: what administrators are told of it besides.
        run: the run folder.
        view: the newest view, where the master that numbers it runs in this process.
        reactor: the reactor.
    """

    def __init__(
        self,
        *,
        supervisor: Supervisor,
        about: Mapping[str, Any],
        run: RunFolder,
        view: Callable[[], View | None],
        reactor: Any,
    ) -> None:
        self._supervisor, self._about, self._run = supervisor, about, run
        self._view, self._reactor = view, reactor
        self._orders = Orders(supervisor, clock=reactor)

    async def survey(self, *, alone: bool) -> dict[str, Any]:
        view = self._view()
        value = None if view is None else view.to_value()
        if value is None and not alone:
            value = await self._view_of_a_node()
        return {
            "id": MASTER,
            "version": chatcore.__version__,
            **self._about,
            "view": value,
            "supervised": True,
            "programs": [_described(keeper) for keeper in self._servers().values()],
        }

    async def status(self, id: str, seconds: float, *, passes_on: bool) -> dict[str, Any]:
        keeper = self._servers().get(id)
        if keeper is not None:
            if not keeper.running:
                raise AdminError(f"{id} has no process now: it is {keeper.condition}", code=AWAY)
            return await self._visit(id, lambda it: it.status(id, seconds), seconds)
        return await self._by_a_node(id, lambda it: it.status(id, seconds), passes_on=passes_on)

    async def order(
        self, what: What, id: str, seconds: float, *, passes_on: bool
    ) -> dict[str, Any]:
        keeper = self._servers().get(id)
        if keeper is None:
            return await self._by_a_node(
                id, lambda it: it.order(what, id, seconds), passes_on=passes_on
            )
        await self._orders.act(what, keeper, seconds)
        return {"ended": True}

    def _servers(self) -> dict[str, Keeper]:
        keepers = self._supervisor.keepers
        return {name: each for name, each in keepers.items() if each.program.server is not None}

    # Its nodes.

    async def _view_of_a_node(self) -> Any:
        for id in self._up():
            try:
                survey = await self._visit(
                    id, lambda it: it.survey(NODE_SECONDS, alone=True), NODE_SECONDS
                )
            except AdminError:
                continue
            return survey.get("view")
        return None

    async def _by_a_node(
        self, id: str, ask: Callable[[Visit], Awaitable[dict[str, Any]]], *, passes_on: bool
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
                return await self._visit(own, ask, NODE_SECONDS)
            except AdminError as refused:
                problem = refused
                if refused.code != AWAY:
                    break
        raise problem

    def _up(self) -> list[str]:
        return [id for id, keeper in self._servers().items() if keeper.condition == "up"]

    async def _visit(
        self, id: str, ask: Callable[[Visit], Awaitable[dict[str, Any]]], seconds: float
    ) -> dict[str, Any]:
        endpoint = UNIXClientEndpoint(self._reactor, str(self._run.admin_socket(id)))
        visiting = await visit(
            endpoint,
            id=f"{ADMIN}-{MASTER}",
            secret=self._run.secret(),
            clock=self._reactor,
            seconds=seconds,
            to=id,
        )
        try:
            return await ask(visiting)
        finally:
            visiting.close()


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
