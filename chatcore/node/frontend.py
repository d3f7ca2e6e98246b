"""What a frontend does for its clients, and for the backends whose members they are."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from twisted.logger import Logger

from chatcore.channels.broadcast import Broadcasts
from chatcore.channels.groups import GroupTable
from chatcore.connectors.connection import Reply
from chatcore.connectors.encoding import REFUSED
from chatcore.dispatch.dispatcher import Dispatcher
from chatcore.errors import BodyError, ChatcoreError, RpcError
from chatcore.links.link import Link, Responder
from chatcore.links.table import LinkTable
from chatcore.node.replies import TRUE, UNREADABLE, chunks, pack, push_encoder, to_body, unpack
from chatcore.sessions.copy import copy_of
from chatcore.sessions.service import SessionService
from chatcore.sessions.session import Session
from chatcore.telemetry import Counters, Seen
from chatcore.wire.body import Body
from chatcore.wire.box import END, Box, item, join
from chatcore.wire.message import Message

FORWARD = item(b"_command", b"Forward")
FORWARD_NOTIFY = item(b"_command", b"ForwardNotify")
VALUE = item(b"coding", b"msgpack")
"""Says that a body is a value, rather than the JSON that a client sent."""

GROUP_GONE = item(b"_command", b"GroupGone")
GROUP_OFFER = item(b"_command", b"GroupOffer")
OFFERS_DONE = item(b"_command", b"OffersDone") + END

MOST_REFUSALS = 100
"""How many different reasons of one kind for refusing requests are logged."""

LONGEST_REASON = 300

Choose = Callable[[str, Any], str]
"""The id of the server of a type that a session's requests go to."""


class Frontend:
    """Serves clients' messages: here, or by forwarding them.

    Args:
        server_type: of this node.
        routes: all routes there are, with the server type that answers each.
        choose: picks the server to forward to.
        handler_seconds: how long a handler may take; 0 for ever.
    """

    log = Logger()

    def __init__(
        self,
        *,
        server_type: str,
        routes: Iterable[str],
        choose: Choose,
        dispatcher: Dispatcher,
        sessions: SessionService,
        groups: GroupTable,
        broadcasts: Broadcasts,
        links: LinkTable,
        counters: Counters,
        handler_seconds: float,
    ) -> None:
        self._server_type = server_type
        self._targets: dict[str | int, tuple[str, bytes]] = {
            r: (r.partition(".")[0], item(b"route", r.encode())) for r in routes
        }
        self._choose = choose
        self._dispatcher = dispatcher
        self._sessions = sessions
        self._groups = groups
        self._broadcasts = broadcasts
        self._links = links
        self._counters = counters
        # The backend answers in this time, also when its handler does not.
        self._patience = handler_seconds + 1 if handler_seconds else 0
        # Whom backends gave no chance to say goodbye to, and who was dropped with their groups.
        self._untold: dict[str, list[tuple[str, str]]] = {}
        self._dropped: dict[str, set[str]] = {}
        self._unknown_routes = Seen(MOST_REFUSALS)
        self._unchosen = Seen(MOST_REFUSALS)
        links.on_up(self._offer)

    def serve(self, session: Session, message: Message, reply: Reply | None) -> None:
        """Act on a client's request or notify; each request gets exactly one reply."""
        target = self._targets.get(message.route)
        if target is None:
            self._say_unknown(message.route)
            self._refuse(reply)
            return
        server_type, route = target
        if server_type == self._server_type:
            self._answer_here(session, message, reply)
        else:
            self._forward(session, message, reply, server_type, route)

    def _answer_here(self, session: Session, message: Message, reply: Reply | None) -> None:
        route = str(message.route)
        try:
            msg = session.connection.encoding.decode(route, message.body)
        except BodyError:
            self._refuse(reply)
            return

        def replied(value: Any) -> None:
            if reply is not None:
                reply(Body(value))

        self._dispatcher.handle(route, msg, copy_of(session, self._sessions), replied)

    def _forward(
        self,
        session: Session,
        message: Message,
        reply: Reply | None,
        server_type: str,
        route: bytes,
    ) -> None:
        try:
            link = self._links.get(self._choose(server_type, session))
            exported = session.export()
        except (LookupError, ChatcoreError) as problem:
            self._say_unchosen(server_type, problem)
            self._refuse(reply)  # nobody to route to, or not yet: the client is told
            return
        except Exception as problem:
            self._dispatcher.report(f"the route to {server_type}", problem)
            self._refuse(reply)
            return
        encoding = session.connection.encoding
        if encoding.is_json(message.route):
            payload = route + item(b"body", message.body) + item(b"session", exported)
        else:
            # Schemas are an affair of the frontend and its client: who comes after a change of
            # them has others than who was there before, and no backend knows which.
            try:
                value = pack(encoding.decode(message.route, message.body))
            except BodyError:
                self._refuse(reply)
                return
            payload = route + VALUE + item(b"body", value) + item(b"session", exported)
        if link is None or link.overloaded:
            self._counters.requests_failed += 1
            if reply is not None:
                reply(REFUSED)
        elif reply is None:
            link.write(FORWARD_NOTIFY + payload + END)
        else:
            done = partial(self._forwarded, reply)
            link.ask(FORWARD + payload, done, str(message.route), self._patience)

    def _forwarded(self, reply: Reply, box: Box | None, problem: RpcError | None) -> None:
        if box is not None:
            try:
                reply(to_body(join(box, b"reply")))
                return
            except UNREADABLE as wrong:
                self.log.error("A backend's answer can't be passed on: {why!r}", why=wrong)
        self._counters.requests_failed += 1
        reply(REFUSED)

    def _refuse(self, reply: Reply | None) -> None:
        self._counters.requests_refused += 1
        if reply is not None:
            reply(REFUSED)

    def _say_unknown(self, route: str | int) -> None:
        if not self._unknown_routes.first(route):
            return
        near = difflib.get_close_matches(str(route), map(str, self._targets), 1)
        self.log.warn(
            "{route}: no such route{near}",
            route=_printable(str(route)),
            near=f"; did you mean {near[0]}?" if near else "",
        )

    def _say_unchosen(self, server_type: str, problem: Exception) -> None:
        why = f"{type(problem).__name__}: {problem}"[:LONGEST_REASON]
        if self._unchosen.first((server_type, why)):
            self.log.warn("The route to {type}: {why}", type=server_type, why=_printable(why))

    # What backends ask of it.

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
        self._groups.push(link.peer, channel, route, encode, droppable=droppable)

    def _push_to_uids(self, link: Link, box: Box, ask: bytes | None) -> None:
        route = box[b"route"].decode()
        encode = push_encoder(route, join(box, b"body"))
        droppable = box.get(b"droppable") == TRUE
        self._groups.push_to_uids(_uids(box), route, encode, droppable=droppable)

    def _broadcast(self, link: Link, box: Box, ask: bytes | None) -> None:
        route, packed = box[b"route"].decode(), join(box, b"body")
        self._broadcasts.send(
            route,
            push_encoder(route, packed),
            packed,
            bound=box.get(b"bound") == TRUE,
            where=join(box, b"where") if b"where" in box else None,
            droppable=box.get(b"droppable") == TRUE,
        )

    def _join(self, link: Link, box: Box, ask: bytes | None) -> None:
        self._groups.join(link.peer, box[b"channel"].decode(), _uids(box))

    def _renew(self, link: Link, box: Box, ask: bytes | None) -> None:
        self._dropped[link.peer] = self._groups.drop(link.peer)

    def _forget(self, link: Link, box: Box, ask: bytes | None) -> None:
        # Only those that were members until now: who has come anew since is not meant.
        for uid in self._dropped.get(link.peer, set()).intersection(_uids(box)):
            for session in list(self._sessions.by_uid(uid)):
                session.connection.kick("membership lost")

    def gone(self, backend: str, channel: str, uid: str) -> None:
        """A member of a backend's channel is connected here no more: tell the backend."""
        link = self._links.get(backend)
        if link is not None:
            link.write(_gone_box(channel, uid))
        else:
            self._untold.setdefault(backend, []).append((channel, uid))

    def _offer(self, link: Link) -> None:
        """Say whom this frontend holds as members, those included who went unnoticed.

        A backend that started anew has to know them, so that it can tell the others that they left.
        """
        untold = self._untold.pop(link.peer, [])
        held = self._groups.held(link.peer)
        for channel, uid in untold:
            held.setdefault(channel, []).append(uid)
        for channel, uids in held.items():
            for some in chunks(uids):
                link.write(GROUP_OFFER + _members(channel, some) + END)
        link.write(OFFERS_DONE)
        for channel, uid in untold:
            link.write(_gone_box(channel, uid))


def _printable(text: str) -> str:
    """Text of a client's, so that it can't pass for other lines of the log."""
    return text if text.isprintable() else repr(text)


def _gone_box(channel: str, uid: str) -> bytes:
    return GROUP_GONE + _members(channel, [uid]) + END


def _members(channel: str, uids: Sequence[str]) -> bytes:
    return item(b"channel", channel.encode()) + item(b"uids", msgspec.msgpack.encode(uids))


def _uids(box: Box) -> list[str]:
    uids = unpack(join(box, b"uids"))
    if not isinstance(uids, list):
        raise ValueError("uids are a list")
    return uids
