"""Pomelo's conversation with a client, whatever carries it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from chatcore.config.peers import shown
from chatcore.connectors.client import Client
from chatcore.connectors.encoding import REFUSED, Encoding
from chatcore.connectors.guest import POLICY, Guest, ICarrier, State
from chatcore.connectors.outbox import Outbox
from chatcore.connectors.parts import ConnectorParts
from chatcore.connectors.signing import Verifier
from chatcore.connectors.welcome import Accepted, Refused
from chatcore.dispatch.dispatcher import FAILED
from chatcore.errors import BodyError, HandshakeError, PackageError, WireError
from chatcore.interfaces import Address
from chatcore.wire import handshake, message, package
from chatcore.wire.body import Body
from chatcore.wire.message import Message
from chatcore.wire.package import Package

_REFUSED = "a limit, or its signature, forbids it"

_MOST_SHOWN = 200
"""Characters of the answer to a refused handshake that are logged."""


class Connection(Client):
    """A client that speaks Pomelo's protocol.

    Args:
        parts: what it shares with the others.
        carrier: closes what carries it.
        encoding: how packages are written for it.
        address: where the client is, as far as is known: its host and port.
        outbox: where what is sent waits, if not in one of the kind that the settings ask for.
        after: who it was before it was known that it speaks this.
    """

    __slots__ = ("_settings", "_verifier", "encoding")

    def __init__(
        self,
        *,
        parts: ConnectorParts,
        carrier: ICarrier,
        encoding: Encoding,
        address: Address,
        outbox: Outbox | None = None,
        after: Guest | None = None,
    ) -> None:
        super().__init__(parts=parts, carrier=carrier, address=address, outbox=outbox, after=after)
        self.encoding = encoding
        self._verifier: Verifier | None = None
        self._settings: Mapping[str, Any] = {}

    def carried(self, carrier: ICarrier) -> None:
        """It is carried by this from now on."""
        self._carrier = carrier

    def about(self) -> dict[str, Any]:
        return {"speaks": "pomelo", **self.encoding.about(), **super().about()}

    def received(self, frame: bytes) -> None:
        """Take a frame, which holds whole packages."""
        try:
            packages = package.decode_frame(frame, self._parts.limits.package_bytes)
        except PackageError as problem:
            self.broken(str(problem))
        else:
            self.received_packages(packages)

    def received_packages(self, packages: Iterable[Package]) -> None:
        """Take packages, where the carrier cuts a stream into them itself."""
        try:
            for each in packages:
                self._package(each)
        except WireError as problem:
            self.broken(str(problem))
        except Exception:
            self._failed()

    def _say_kicked(self, told: bytes) -> None:
        self.outbox.send(self.encoding.package(package.KICK, told))

    # The conversation: Pomelo's states, and what each of them listens to.

    def _package(self, each: Package) -> None:
        kind, data = each
        state = self._state
        if state is State.WORKING:
            parts = self._parts
            now = parts.clock.seconds()
            if kind == package.DATA:
                parts.silences.start(self, now)
                if parts.idlers is not None:
                    parts.idlers.start(self, now)
                self._message(message.decode(data), now)
            elif kind == package.KICK:
                raise HandshakeError("only a server kicks")
            elif self.bears(now=now) and kind == package.HEARTBEAT and parts.heartbeat.interval:
                parts.silences.start(self, now)
                self.outbox.send(self.encoding.heartbeat)
        elif state is State.CLOSED:
            pass
        elif state is State.LEAVING:
            self._package_of_leaver(kind)
        elif state is State.WAITING_FOR_HANDSHAKE and kind == package.HANDSHAKE:
            self._shake_hands(data)
        elif state is State.WAITING_FOR_ACK and kind == package.ACK:
            self._work()
        elif kind == package.KICK:
            raise HandshakeError("only a server kicks")
        else:
            self.bears()

    def _package_of_leaver(self, kind: int) -> None:
        parts = self._parts
        if kind == package.KICK:
            raise HandshakeError("only a server kicks")
        if self.bears() and parts.heartbeat.interval:
            parts.silences.start(self)
            if kind == package.HEARTBEAT:
                self.outbox.send(self.encoding.heartbeat)

    def _shake_hands(self, data: bytes) -> None:
        self._state = State.DECIDING
        welcome = self._parts.welcome
        self._asked = welcome.decide(data, self.encoding, self.address, self._decided)

    def _decided(self, outcome: Accepted | Refused) -> None:
        if self._state is not State.DECIDING:
            return  # it did not wait for the answer
        self._asked = None
        try:
            reply = self.encoding.package(package.HANDSHAKE, outcome.reply)
        except PackageError as problem:  # as a long dictionary, which fits no datagram
            if self._parts.failures.admit():
                self.log.error("The answer to a handshake: {problem}", problem=problem)
            outcome = Refused(handshake.encode_refusal(), str(problem), broken=False)
            reply = self.encoding.package(package.HANDSHAKE, outcome.reply)
        if isinstance(outcome, Refused):
            self.outbox.send(reply)
            counters = self._parts.counters
            if outcome.broken:
                counters.clients_broken += 1
            else:
                counters.clients_turned_away += 1
            why = "it can't be read" if outcome.broken else "the application refused it"
            counters.journal.note_node("refused handshake", why)
            answer = outcome.reply.decode("utf-8", "replace")[:_MOST_SHOWN]
            self._tell("The handshake of {client} is refused: {why}", f"{answer} {outcome.why}")
            self.close(outcome.why, POLICY)
            return
        self.encoding = outcome.encoding
        self._verifier, self._settings = outcome.verifier, outcome.settings
        self.trace = outcome.trace or self.trace
        self._state = State.WAITING_FOR_ACK
        self.outbox.send(reply)  # last: it may be too much for the outbox

    def _work(self) -> None:
        self._state = State.WORKING
        self._shook_hands()
        if self._parts.draining is not None:
            self._parts.draining.arrived(self)
            return
        self._session = self._parts.sessions.open(self, self._settings)
        if self.trace is not None:
            self._continue_trace(self._session)
        if self._parts.idlers is not None:
            self._parts.idlers.start(self)
        if self._parts.heartbeat.interval:
            self._parts.silences.start(self)
            self.outbox.send(self.encoding.heartbeat)

    def _message(self, each: Message, now: float) -> None:
        session, parts = self._session, self._parts
        assert session is not None
        if isinstance(each.route, int):
            route = self.encoding.routes.get(each.route, each.route)
            each = Message(each.kind, each.id, route, each.body)
        if each.kind == message.REQUEST and each.id:
            parts.counters.requests += 1
            reply = partial(self._respond, each.id, each.route, now)
            self._under_way += 1
        elif each.kind != message.RESPONSE:
            # A request with the id 0, and a push from a client, are notifies to Pomelo.
            parts.counters.notifies += 1
            reply = None
        else:
            self.bears(now=now)
            return
        admitted = self._admit(each, now)
        if admitted is not None:
            parts.serve(session, admitted, reply)
            return
        parts.counters.requests_refused += 1
        self._note_refused(session, each.route, _REFUSED)
        if reply is not None:
            reply(REFUSED)

    def _admit(self, each: Message, now: float) -> Message | None:
        """The message as it is to be served; None where a limit or its signature forbids it."""
        if not self._may_ask(len(each.body), now, request=each.kind == message.REQUEST):
            return None
        if self._verifier is None:
            return each
        try:
            return each._replace(body=self._verifier.unsigned(each.body))
        except BodyError as problem:
            self.log.debug("{client}: {p}", client=shown(self.address), p=problem)
            return None

    def _respond(self, number: int, route: str | int, asked: float, body: Body) -> None:
        self._under_way -= 1
        self._measure(route, asked, body)
        if self._state is not State.WORKING and self._state is not State.LEAVING:
            return
        if body is REFUSED:
            answer = self.encoding.refusal(number, route)
        else:
            try:
                answer = self.encoding.response(number, route, body)
            except (BodyError, PackageError) as problem:
                answer = self.encoding.refusal(number, route)
                if body.value != FAILED:
                    counters = self._parts.counters
                    counters.requests_failed += 1
                    counters.journal.unanswered(self._session, "unencodable", route)
                    self.log.error("The answer of {route}: {problem}", route=route, problem=problem)
        self.outbox.send(answer)
