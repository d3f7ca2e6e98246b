"""How a backend's channels reach the frontends: over links, or here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any

from chatcore.channels.broadcast import Broadcasts
from chatcore.channels.groups import GroupTable
from chatcore.channels.pieces import pieces
from chatcore.cluster.servers import ClusterServers
from chatcore.dispatch.reasons import reason_of
from chatcore.errors import NotConnected, RpcError
from chatcore.links.table import LinkTable
from chatcore.node.arrivals import FOR_EVER
from chatcore.node.replies import TRUE, push_encoder
from chatcore.telemetry import Counters, Reason
from chatcore.tracing import MOST_MEMBERS, OFF, Span, Tracer, trace_item
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

SENT = "sent"
"""What has become of a push at a frontend, where it was sent there; else why it was not."""


Members = Callable[[str], Mapping[str, Collection[str]]]
"""The members of a channel of this node, by their frontend."""


class Frontends:
    """Implements `chatcore.channels.service.IFrontends`.

    Args:
        id: of this node.
        groups: this node's own, if it is a frontend itself.
        broadcasts: so are these.
        ask: asks a frontend, which may be this node, something about its sessions.
        members: of a channel; asked of pushes that are followed.
        tracer: told of those.
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
        members: Members = lambda channel: {},
        tracer: Tracer = OFF,
    ) -> None:
        self._members, self._tracer = members, tracer
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
        span = self._follow_channel(channel, route, body) if self._tracer.active else None
        box = PUSH + _channel(channel) + _message(route, body, droppable, span) + END
        missed = []
        for frontend in frontends:
            if frontend == self.id and self._groups is not None:
                encode = push_encoder(route, body)
                push = partial(self._groups.push, droppable=droppable)
                self._here(span, push, self.id, channel, route, encode)
            elif (why := self._push(frontend, box, span)) is not None:
                missed.append(frontend)
                self._note(why, frontend, route, channel=channel)
        if span is not None:
            span.finish()
        return missed

    def push_to_uids(
        self, frontend: str, uids: Sequence[str], route: str, body: bytes, droppable: bool = False
    ) -> bool:
        span = None
        if self._tracer.active:
            span = self._follow({frontend: uids}, route, body, uids)
        try:
            if frontend == self.id and self._groups is not None:
                encode = push_encoder(route, body)
                push = partial(self._groups.push_to_uids, droppable=droppable)
                self._here(span, push, uids, route, encode)
                return True
            tail = _message(route, body, droppable, span) + END
            for some in pieces(uids):
                why = self._push(frontend, PUSH_TO_UIDS + _uids(some) + tail, span)
                if why is not None:
                    self._counters.journal.missed(uids, why, route, peer=frontend)
                    return False
            return True
        finally:
            if span is not None:
                span.finish()

    async def push_to_found(
        self, frontend: str, uids: Sequence[str], route: str, body: bytes, droppable: bool = False
    ) -> list[str] | Reason:
        link = self._links.get(frontend)
        if link is not None and link.crowded:
            self._counters.link_pushes_shed += 1
            return "link blocked"
        found: list[str] = []
        for some in pieces(uids):
            try:
                found += await self._ask(frontend, "push_to_uids", some, route, body, droppable)
            except NotConnected as problem:
                return found or ("link blocked" if link is not None else self._away(problem.server))
            except RpcError as problem:
                return found or reason_of(problem)
        return found

    def _away(self, frontend: str) -> Reason:
        """Why a frontend gets nothing to which there is no link."""
        return "link lost" if self.exists(frontend) else "no server"

    def broadcast(
        self,
        frontends: Iterable[str],
        route: str,
        body: bytes,
        *,
        bound: bool = False,
        where: bytes | None = None,
        droppable: bool = False,
    ) -> list[str]:
        span = self._follow({}, route, body, None) if self._tracer.active else None
        options = BOUND if bound else b""
        if where is not None:
            options += item(b"where", where)
        box = BROADCAST + _message(route, body, droppable, span) + options + END
        missed = []
        for frontend in frontends:
            if frontend == self.id and self._broadcasts is not None:
                send = partial(self._broadcasts.send, bound=bound, where=where, droppable=droppable)
                self._here(span, send, route, push_encoder(route, body), body)
            elif (why := self._push(frontend, box, span)) is not None:
                missed.append(frontend)
                self._note(why, frontend, route)
        if span is not None:
            span.finish()
        return missed

    def _here(self, span: Span | None, send: Callable[..., object], *args: Any) -> None:
        """Send to clients of this node."""
        if span is None:
            send(*args)
        else:
            span.attributes["frontends"][self.id] = SENT
            self._tracer.within(span, send, *args)

    def _follow_channel(self, channel: str, route: str, body: bytes) -> Span | None:
        """What a push to a channel is followed as, if it is."""
        members = self._members(channel)
        uids = _All(members.values())
        return self._follow(members, route, body, uids, channel=channel)

    def _follow(
        self,
        members: Mapping[str, Collection[str]],
        route: str,
        body: bytes,
        uids: Collection[str] | None,
        **about: Any,
    ) -> Span | None:
        """What a push is followed as, if it is.

        Args:
            members: whom it is meant for, by frontend.
            uids: the same; None for everybody.
        """
        span = self._tracer.push(route, uids, bytes=len(body), frontends={}, **about)
        if span is None:
            return None
        left, named = MOST_MEMBERS, {}
        for frontend, each in members.items():
            named[frontend] = list(islice(each, left))
            left -= len(named[frontend])
        span.add(members=named, count=sum(map(len, members.values())))
        self._tracer.grew(span, sum(len(uid) + 16 for uid in chain(*named.values())))
        return span

    def _tell(self, frontend: str, box: bytes) -> bool:
        link = self._links.get(frontend)
        if link is None:
            return False  # told anew when the link is back
        link.write(box)
        return True

    def _push(self, frontend: str, box: bytes, span: Span | None = None) -> Reason | None:
        """Send a push to a frontend; why it was not sent, if so."""
        link = self._links.get(frontend)
        why: Reason | None = None
        if link is None:
            why = self._away(frontend)
        elif link.crowded:
            self._counters.link_pushes_shed += 1
            why = "link blocked"
        else:
            link.write(box)
        if span is not None:
            span.attributes["frontends"][frontend] = SENT if why is None else why
        return why

    def _note(self, why: Reason, frontend: str, route: str, channel: str | None = None) -> None:
        journal = self._counters.journal
        journal.note_node("pushes not sent", why, route=route, peer=frontend, channel=channel)


def _channel(name: str) -> bytes:
    return item(b"channel", name.encode())


def _uids(uids: Sequence[str]) -> bytes:
    return item(b"uids", pack(list(uids)))


def _message(route: str, body: bytes, droppable: bool, span: Span | None = None) -> bytes:
    message = item(b"route", route.encode()) + item(b"body", body)
    if span is not None:
        message += trace_item(span)
    return message + DROPPABLE if droppable else message


class _All:
    """Several collections as one, which nobody makes of them."""

    def __init__(self, some: Iterable[Collection[str]]) -> None:
        self._some = list(some)

    def __contains__(self, each: object) -> bool:
        return any(each in some for some in self._some)

    def __iter__(self) -> Iterator[str]:
        return chain(*self._some)

    def __len__(self) -> int:
        return sum(map(len, self._some))
