"""What backends ask of a frontend: pushes for its clients, and who is in their channels."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from chatcore.channels.broadcast import Broadcasts
from chatcore.channels.groups import GroupTable
from chatcore.links.link import Link, Responder
from chatcore.node.replies import TRUE, push_encoder
from chatcore.sessions.service import SessionService
from chatcore.tracing import Tracer
from chatcore.wire.box import Box, join
from chatcore.wire.values import unpack


class FromBackends:
    """Acts on what backends say of their channels, and to the members.

    Args:
        sessions: the clients of this node.
        groups: who is in which channel.
        broadcasts: sends to all clients.
        tracer: told of pushes that are followed.
    """

    def __init__(
        self,
        *,
        sessions: SessionService,
        groups: GroupTable,
        broadcasts: Broadcasts,
        tracer: Tracer,
    ) -> None:
        self._sessions, self._groups, self._broadcasts = sessions, groups, broadcasts
        self._tracer = tracer

    def responders(self) -> Mapping[bytes, Responder]:
        """The commands that a frontend acts on."""
        return {
            b"Push": self._push,
            b"PushToUids": self._push_to_uids,
            b"Broadcast": self._broadcast,
            b"GroupJoin": self._join,
            b"GroupLeave": self._leave,
            b"GroupRenew": self._renew,
            b"GroupForget": self._forget,
        }

    def _leave(self, link: Link, box: Box, ask: bytes | None) -> None:
        self._groups.leave(link.peer, box[b"channel"].decode(), _uids(box))

    def _push(self, link: Link, box: Box, ask: bytes | None) -> None:
        route = box[b"route"].decode()
        encode = push_encoder(route, join(box, b"body"))
        channel, droppable = box[b"channel"].decode(), box.get(b"droppable") == TRUE
        if b"trace" in box:
            push = partial(self._groups.push, droppable=droppable)
            span = self._tracer.far(box[b"trace"])
            self._tracer.within(span, push, link.peer, channel, route, encode)
            return
        self._groups.push(link.peer, channel, route, encode, droppable=droppable)

    def _push_to_uids(self, link: Link, box: Box, ask: bytes | None) -> None:
        route = box[b"route"].decode()
        encode = push_encoder(route, join(box, b"body"))
        droppable = box.get(b"droppable") == TRUE
        if b"trace" in box:
            push = partial(self._groups.push_to_uids, droppable=droppable)
            span = self._tracer.far(box[b"trace"])
            self._tracer.within(span, push, _uids(box), route, encode)
            return
        self._groups.push_to_uids(_uids(box), route, encode, droppable=droppable)

    def _broadcast(self, link: Link, box: Box, ask: bytes | None) -> None:
        route, packed = box[b"route"].decode(), join(box, b"body")
        send = partial(
            self._broadcasts.send,
            bound=box.get(b"bound") == TRUE,
            where=join(box, b"where") if b"where" in box else None,
            droppable=box.get(b"droppable") == TRUE,
        )
        encode = push_encoder(route, packed)
        if b"trace" in box:
            self._tracer.within(self._tracer.far(box[b"trace"]), send, route, encode, packed)
        else:
            send(route, encode, packed)

    def _join(self, link: Link, box: Box, ask: bytes | None) -> None:
        self._groups.join(link.peer, box[b"channel"].decode(), _uids(box))

    def _renew(self, link: Link, box: Box, ask: bytes | None) -> None:
        self._groups.renew(link.peer)

    def _forget(self, link: Link, box: Box, ask: bytes | None) -> None:
        # Only those that are members until now: who has come anew since is not meant.
        members = set().union(*self._groups.held(link.peer).values())
        for uid in members.intersection(_uids(box)):
            for session in self._sessions.by_uid(uid):
                session.connection.kick("membership lost")
        if ask is not None:
            link.answer(ask, b"")


def _uids(box: Box) -> list[str]:
    uids = unpack(join(box, b"uids"))
    if not isinstance(uids, list):
        raise ValueError("uids are a list")
    return uids
