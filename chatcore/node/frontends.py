"""How a backend's channels reach the frontends: over links, or here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from chatcore.channels.broadcast import Broadcasts
from chatcore.channels.groups import GroupTable
from chatcore.channels.pieces import pieces
from chatcore.cluster.servers import ClusterServers
from chatcore.errors import RpcError
from chatcore.links.table import LinkTable
from chatcore.node.arrivals import FOR_EVER
from chatcore.node.replies import TRUE, push_encoder
from chatcore.telemetry import Counters
from chatcore.wire.box import END, Box, item
from chatcore.wire.values import pack

PUSH = item(b"_command", b"Push")
PUSH_TO_UIDS = item(b"_command", b"PushToUids")
BROADCAST = item(b"_command", b"Broadcast")
BOUND = item(b"bound", TRUE)
DROPPABLE = item(b"droppable", TRUE)
GROUP_JOIN = item(b"_command", b"GroupJoin")
GROUP_LEAVE = item(b"_command", b"GroupLeave")
GROUP_RENEW = item(b"_command", b"GroupRenew") + END
GROUP_FORGET = item(b"_command", b"GroupForget")


class Frontends:
    """Implements `chatcore.channels.service.IFrontends`.

    Args:
        id: of this node.
        groups: this node's own, if it is a frontend itself.
        broadcasts: so are these.
        ask: asks a frontend, which may be this node, something about its sessions.
    """

    def __init__(
        self,
        *,
        id: str,
        view: ClusterServers,
        links: LinkTable,
        groups: GroupTable | None,
        broadcasts: Broadcasts | None,
        ask: Callable[..., Awaitable[Any]],
        counters: Counters,
    ) -> None:
        self.id = id
        self._view = view
        self._links = links
        self._groups = groups
        self._broadcasts = broadcasts
        self._ask = ask
        self._counters = counters

    def all(self) -> Sequence[str]:
        return [server.id for server in self._view.frontends()]

    def exists(self, frontend: str) -> bool:
        server = self._view.get(frontend)
        return server is not None and server.frontend

    def of_type(self, server_type: str) -> Sequence[str]:
        return [each.id for each in self._view.frontends() if each.type == server_type]

    def join(self, frontend: str, channel: str, uids: Sequence[str]) -> bool:
        if frontend == self.id and self._groups is not None:
            self._groups.join(self.id, channel, uids)
            return True
        head = GROUP_JOIN + _channel(channel)
        return all(self._tell(frontend, head + _uids(some) + END) for some in pieces(uids))

    def leave(self, frontend: str, channel: str, uids: Sequence[str]) -> bool:
        if frontend == self.id and self._groups is not None:
            self._groups.leave(self.id, channel, uids)
            return True
        head = GROUP_LEAVE + _channel(channel)
        return all(self._tell(frontend, head + _uids(some) + END) for some in pieces(uids))

    def renew(self, frontend: str) -> bool:
        return self._tell(frontend, GROUP_RENEW)

    def forget(
        self, frontend: str, uids: Sequence[str], done: Callable[[Sequence[str]], None]
    ) -> None:
        link = self._links.get(frontend)
        if link is None:
            return  # asked anew when the link is back
        for some in pieces(uids):

            def answered(
                box: Box | None, problem: RpcError | None, some: Sequence[str] = some
            ) -> None:
                if box is not None:
                    done(some)

            ask = GROUP_FORGET + _uids(some)
            link.ask(ask, answered, "GroupForget", FOR_EVER, always=True)

    def push(
        self,
        frontends: Iterable[str],
        channel: str,
        route: str,
        body: bytes,
        droppable: bool = False,
    ) -> list[str]:
        box = PUSH + _channel(channel) + _message(route, body, droppable) + END
        missed = []
        for frontend in frontends:
            if frontend == self.id and self._groups is not None:
                encode = push_encoder(route, body)
                self._groups.push(self.id, channel, route, encode, droppable=droppable)
            elif not self._push(frontend, box):
                missed.append(frontend)
        return missed

    def push_to_uids(
        self, frontend: str, uids: Sequence[str], route: str, body: bytes, droppable: bool = False
    ) -> bool:
        if frontend == self.id and self._groups is not None:
            encode = push_encoder(route, body)
            self._groups.push_to_uids(uids, route, encode, droppable=droppable)
            return True
        tail = _message(route, body, droppable) + END
        return all(self._push(frontend, PUSH_TO_UIDS + _uids(some) + tail) for some in pieces(uids))

    async def push_to_found(
        self, frontend: str, uids: Sequence[str], route: str, body: bytes, droppable: bool = False
    ) -> list[str]:
        link = self._links.get(frontend)
        if link is not None and link.crowded:
            self._counters.link_pushes_shed += 1
            return []
        found: list[str] = []
        for some in pieces(uids):
            try:
                found += await self._ask(frontend, "push_to_uids", some, route, body, droppable)
            except RpcError:
                break  # the caller is told that they were not reached
        return found

    def broadcast(
        self,
        frontend: str,
        route: str,
        body: bytes,
        *,
        bound: bool = False,
        where: bytes | None = None,
        droppable: bool = False,
    ) -> bool:
        if frontend == self.id and self._broadcasts is not None:
            self._broadcasts.send(
                route,
                push_encoder(route, body),
                body,
                bound=bound,
                where=where,
                droppable=droppable,
            )
            return True
        options = BOUND if bound else b""
        if where is not None:
            options += item(b"where", where)
        return self._push(frontend, BROADCAST + _message(route, body, droppable) + options + END)

    def _tell(self, frontend: str, box: bytes) -> bool:
        link = self._links.get(frontend)
        if link is None:
            return False  # told anew when the link is back
        link.write(box)
        return True

    def _push(self, frontend: str, box: bytes) -> bool:
        link = self._links.get(frontend)
        if link is None:
            return False
        if link.crowded:
            self._counters.link_pushes_shed += 1
            return False
        link.write(box)
        return True


def _channel(name: str) -> bytes:
    return item(b"channel", name.encode())


def _uids(uids: Sequence[str]) -> bytes:
    return item(b"uids", pack(list(uids)))


def _message(route: str, body: bytes, droppable: bool) -> bytes:
    message = item(b"route", route.encode()) + item(b"body", body)
    return message + DROPPABLE if droppable else message
