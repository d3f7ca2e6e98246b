"""The client port: WebSocket, plain TCP and HTTP, with or without TLS, told apart by what comes.

A connection begins with a PROXY header where one is asked for, then TLS where the port has a
certificate, then what its first byte says: the type of Pomelo's first package, or the first letter
of an HTTP method.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from chatcore.config.peers import address_of, shown
from chatcore.connectors.addresses import canonical
from chatcore.connectors.answers import DRAINING, NO_SOCKETIO, UPGRADE, answer, welcome
from chatcore.connectors.connection import Connection
from chatcore.connectors.encoding import TCP, WEBSOCKET, Encoding
from chatcore.connectors.guest import POLICY, Guest
from chatcore.connectors.http import HttpConnection, HttpParts
from chatcore.connectors.origins import Origins
from chatcore.connectors.parts import ConnectorParts
from chatcore.connectors.proxies import Proxies
from chatcore.connectors.settings import ConnectorSettings, ProxySettings
from chatcore.connectors.socketio.answers import Trouble
from chatcore.connectors.socketio.lobby import Lobby, is_polling, is_socketio
from chatcore.connectors.tcp import ClientTcp
from chatcore.connectors.tls import Certificates
from chatcore.connectors.watching import Watch
from chatcore.connectors.websocket import WebSocketFactory
from chatcore.errors import HttpError, ProxyError
from chatcore.interfaces import Address
from chatcore.tls import is_tls_error
from chatcore.tracing.traceparent import read as read_traceparent
from chatcore.turn import is_plain, send_at_once
from chatcore.wire.http import Head, read_head
from chatcore.wire.package import NAMES
from chatcore.wire.proxy import read_header

_TLS = 0x16
"""How TLS begins: the type of a record that holds a handshake (RFC 8446, section 5.1)."""

_LETTERS = range(ord("A"), ord("Z") + 1)

_ORIGIN = re.compile(rb"\r\norigin:[^\r\n]*", re.IGNORECASE)


class ClientFactory(Factory):
    """Takes clients in, as many as the limits allow.

    Args:
        parts: what the connections share.
        reactor: the reactor, or a test's clock.
        connector: what is spoken.
        proxies: what is known of proxies in front of it.
        certificates: for TLS; None for a port without it.
        watches: what looks for changes in files as long as it takes clients in.
        plain: whether clients of a port with TLS may come without.
        lobby: takes in those of socket.io; None where they may not come.
    """

    noisy = False
    log = Logger()

    def __init__(
        self,
        parts: ConnectorParts,
        reactor: Any,
        *,
        connector: ConnectorSettings | None = None,
        proxies: Proxies | None = None,
        certificates: Certificates | None = None,
        watches: Iterable[Watch] = (),
        plain: bool = False,
        lobby: Lobby | None = None,
    ) -> None:
        self.parts = parts
        self.lobby = lobby
        self.connector = connector or ConnectorSettings()
        self.proxies = proxies or Proxies(ProxySettings())
        self.certificates = certificates
        self._watches = tuple(watches)
        self.plain = plain or certificates is None
        self.origins = Origins(parts.limits.origins)
        self.websockets = WebSocketFactory(parts, reactor)
        self.http = (
            None
            if lobby is None
            else HttpParts(
                parts,
                proxies=self.proxies,
                is_own=is_polling,
                serve=lobby.serve,
                seconds=lobby.settings.keep_seconds,
            )
        )
        self.welcome = welcome(
            websocket=self.connector.websocket,
            tcp=self.connector.tcp,
            socketio=lobby is not None,
        )
        self._unproxied = False

    def startFactory(self) -> None:
        for watch in self._watches:
            watch.start()

    def stopFactory(self) -> None:
        for watch in self._watches:
            watch.stop()

    def buildProtocol(self, addr: Any) -> Any:
        parts, proxies = self.parts, self.proxies
        admission = parts.admission
        if not admission.has_room():
            return None
        address = address_of(addr)
        if proxies.protocol and not proxies.trusts(address[0]):
            self.unproxied(address, "its address is not in proxy.trusted")
            return None
        known = not proxies.protocol and not proxies.may_forward(address[0])
        if known and not admission.admits(address[0]):
            return None
        arrival = Arrival(self, address)
        if known:
            arrival.settled = True
            admission.entered(arrival.guest)
        return arrival

    def unproxied(self, address: Address, problem: str) -> None:
        """A connection does not say whose it is: count it, and say so once."""
        self.parts.counters.clients_unproxied += 1
        if not self._unproxied:
            self._unproxied = True
            self.log.warn(
                "A connection from {client} is refused: {problem}. Others are only counted",
                client=shown(address),
                problem=problem,
            )


@implementer(IProtocol)
class Arrival:
    """A connection of which is not known yet what it speaks.

    Once that is known, another protocol takes its place at the transport.

    Args:
        port: where it came to.
        address: from where, as the socket says.

    Attributes:
        settled: whether its client was let in; before that, ``address`` may be a proxy's.
    """

    __slots__ = (
        "_buffer",
        "_lingers",
        "_port",
        "_secure",
        "_spoke",
        "_step",
        "guest",
        "settled",
        "transport",
    )

    def __init__(self, port: ClientFactory, address: Address) -> None:
        self._port = port
        self._buffer = b""
        self._secure = self._spoke = self._lingers = self.settled = False
        self._step: Callable[[Arrival, bytes], None] = (
            Arrival._proxy if port.proxies.protocol else Arrival._first
        )
        self.transport: Any = None
        self.guest = Guest(parts=port.parts, carrier=self, address=address)

    def makeConnection(self, transport: Any) -> None:
        # Called again by TLS, whose transport then takes the place of the one under it.
        self.transport = transport
        # Where there are no heartbeats, only the system finds out that a client's machine is gone.
        if hasattr(transport, "setTcpKeepAlive"):
            transport.setTcpKeepAlive(True)

    def connectionMade(self) -> None:
        pass

    def dataReceived(self, data: bytes) -> None:
        self._step(self, self._buffer + data if self._buffer else data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if is_tls_error(reason):
            self._port.parts.counters.clients_broken += 1
        self.guest.lost("disconnect")

    # ICarrier

    def end(self, code: int, reason: str) -> None:
        self._step, self._buffer = Arrival._ignore, b""
        if not self._spoke:
            self.transport.abortConnection()
        elif self._lingers and is_plain(self.transport):
            # Closing while more comes in would take back what was just said.
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()

    def abort(self) -> None:
        self.transport.abortConnection()

    # One step after the other; each is given all that came since the one before it.

    def _ignore(self, data: bytes) -> None:
        """Nobody listens any more."""

    def _proxy(self, data: bytes) -> None:
        """A proxy says whom it stands for."""
        try:
            found = read_header(data)
        except ProxyError as problem:
            self._port.unproxied(self.guest.address, str(problem))
            self.guest.close(str(problem), POLICY)
            return
        if found is None:
            self._buffer = data
            return
        source, length = found
        if source is not None:
            self.guest.address = canonical(source[0]), source[1]
        if self._port.proxies.may_forward(self.guest.address[0]) or self._settle():
            self._go_on(Arrival._first, data[length:])

    def _first(self, data: bytes) -> None:
        """The first byte tells what is spoken."""
        port, first = self._port, data[0]
        if first == _TLS and port.certificates is not None and not self._secure:
            self._start_tls(port.certificates, data)
        elif first in _LETTERS:
            self._go_on(Arrival._request, data)
        elif not self._may_speak:
            self.guest.broken("no TLS, where it is asked for")
        elif first in NAMES and port.connector.tcp:
            if self.settled or self._settle():
                send_at_once(self.transport)
                connection = self._connection(TCP)
                tcp = ClientTcp(connection, port.parts.limits.package_bytes)
                connection.carried(tcp)
                self._hand_over(tcp, data)
        else:
            self.guest.broken(f"a first byte {first:#04x} that nobody here understands")

    def _request(self, data: bytes) -> None:
        """The head of an HTTP request tells the rest."""
        try:
            found = read_head(data)
            if found is None:
                self._buffer = data
                return
            head, length = found
            if self._port.http is not None and self._may_speak and is_polling(head):
                self._poll(self._port.http, data)
                return
            if not self.settled:
                self.guest.address = self._port.proxies.client(self.guest.address, head.fields)
        except HttpError as problem:
            self._port.parts.counters.clients_broken += 1
            self._lingers = True
            self._say(answer(problem.status, f"{problem}\n"), str(problem))
            return
        if self.settled or self._settle():
            self._requested(head, data, length)

    def _poll(self, http: HttpParts, data: bytes) -> None:
        """Requests of those who poll may come, if from a proxy of many of them."""
        self._hand_over(HttpConnection(http, self.guest, self._given_back), data)

    def _given_back(self, guest: Guest, data: bytes) -> None:
        """Where requests of those who poll came, another one came."""
        port = self._port
        self.guest = Guest(parts=port.parts, carrier=self, address=guest.address, after=guest)
        self.settled = not port.proxies.may_forward(guest.address[0])
        self._step, self._buffer, self._spoke = Arrival._request, b"", True
        self._hand_over(self, data)

    def _requested(self, head: Head, data: bytes, length: int) -> None:
        """Answer a request, or hand the connection over to whoever serves it."""
        port = self._port
        if not self._may_speak:
            self._inform(head, 400, "This port speaks TLS: use wss:// or https://.\n")
        elif head.asks_for_websocket and not port.origins.allow(head.fields.get("origin")):
            port.parts.counters.clients_foreign += 1
            self._say(answer(403, "Pages from there may not connect.\n"), "a foreign page")
        elif is_socketio(head.path):
            self._socketio(port.lobby, head, data, length)
        elif head.just_looks and port.parts.draining is not None:
            self._inform(head, 503, DRAINING)
        elif not port.connector.websocket:
            self._inform(head, 200 if head.just_looks else 501, port.welcome)
        elif head.just_looks:
            self._inform(head, 200, port.welcome)
        elif not head.asks_for_websocket:
            self._inform(head, 426, port.welcome, UPGRADE)
        else:
            connection = self._connection(WEBSOCKET)
            connection.trace = read_traceparent(head.fields.get("traceparent"))
            websocket = port.websockets.made(connection)
            connection.carried(websocket)
            self._hand_over(websocket, _without_origin(head, data, length))

    def _socketio(self, lobby: Lobby | None, head: Head, data: bytes, length: int) -> None:
        """Hand the connection over to who speaks socket.io by WebSocket."""
        if lobby is None:
            self._inform(head, 404, NO_SOCKETIO)
            return
        try:
            websocket = lobby.websocket(self.guest, head)
        except (Trouble, HttpError) as trouble:
            self._inform(head, trouble.status, f"{trouble}\n")
        else:
            send_at_once(self.transport)
            self._hand_over(websocket, _without_origin(head, data, length))

    # What the steps are made of.

    @property
    def _may_speak(self) -> bool:
        """Whether it is encrypted, or needs not to be."""
        return self._secure or self._port.plain

    def _go_on(self, step: Callable[[Arrival, bytes], None], data: bytes) -> None:
        self._step, self._buffer = step, b""
        if data:
            step(self, data)

    def _settle(self) -> bool:
        """Let the client in whose address is known now; False if it may not come."""
        admission = self._port.parts.admission
        if not admission.admits(self.guest.address[0]):
            self.guest.close("not let in", POLICY)
            return False
        self.settled = True
        admission.entered(self.guest)
        return True

    def _start_tls(self, certificates: Certificates, data: bytes) -> None:
        self._secure, self._buffer = True, b""
        under = self.transport
        tls = certificates.wrap(self)
        under.protocol = tls
        tls.makeConnection(under)
        tls.dataReceived(data)

    def _connection(self, encoding: Encoding) -> Connection:
        """It speaks Pomelo's protocol."""
        guest = self.guest
        return Connection(
            parts=self._port.parts,
            carrier=self,
            encoding=encoding,
            address=guest.address,
            after=guest,
        )

    def _hand_over(self, protocol: Any, data: bytes) -> None:
        """Have another protocol in this one's place, as if it had been there from the start."""
        transport = self.transport
        if self._secure:
            transport.wrappedProtocol = protocol
        else:
            transport.protocol = protocol
        protocol.makeConnection(transport)
        protocol.dataReceived(data)

    def _inform(
        self, head: Head, status: int, text: str, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Answer a request that is in order, but not for here."""
        self._port.parts.counters.http_answers += 1
        self._lingers = head.has_body
        self._say(answer(status, text, headers=headers, body=head.method != "HEAD"), text)

    def _say(self, words: bytes, reason: str) -> None:
        """Say one last thing, and close."""
        self._spoke = True
        self.transport.write(words)
        self.guest.close(reason, POLICY)


def _without_origin(head: Head, data: bytes, length: int) -> bytes:
    """A request whose origin was looked at: Autobahn refuses all that are no URLs with a host."""
    return _ORIGIN.sub(b"", data[:length]) + data[length:] if "origin" in head.fields else data
