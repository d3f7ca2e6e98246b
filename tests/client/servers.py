"""Servers of a few lines for the client's tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from chatcore.wire import message, package

Answer = Callable[["ScriptedServer", message.Message], None]


class ScriptedServer(WebSocketServerProtocol):
    """Speaks Pomelo as far as its factory says."""

    factory: ScriptedFactory

    def connectionMade(self) -> None:
        super().connectionMade()
        self.factory.connections.append(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.factory.frames.append(payload)
        for kind, body in package.decode_frame(payload, package.LARGEST):
            if kind == package.HANDSHAKE and self.factory.reply is not None:
                self.say((package.HANDSHAKE, json.dumps(self.factory.reply).encode()))
            elif kind == package.DATA:
                self.factory.answer(self, message.decode(body))

    def say(self, *packages: tuple[int, bytes]) -> None:
        """Send packages in one frame."""
        self.sendMessage(b"".join(package.encode(*one) for one in packages), isBinary=True)

    def push(self, route: str, value: object) -> None:
        self.say((package.DATA, message.encode_push(route, json.dumps(value).encode())))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.factory.lost(self)


class ScriptedFactory(WebSocketServerFactory):
    """Args: the handshake's reply, None for none at all; what to do with a message."""

    protocol = ScriptedServer
    noisy = False

    def __init__(self, reactor: Any, *, reply: object, answer: Answer) -> None:
        super().__init__(reactor=reactor)
        self.setProtocolOptions(openHandshakeTimeout=0, closeHandshakeTimeout=0)
        self.reply, self.answer = reply, answer
        self.frames: list[bytes] = []
        self.connections: list[ScriptedServer] = []
        self._waiting: list[Deferred[None]] = []

    def lost(self, connection: ScriptedServer) -> None:
        self.connections.remove(connection)
        if not self.connections:
            waiting, self._waiting = self._waiting, []
            for one in waiting:
                one.callback(None)

    def empty(self) -> Deferred[None]:
        """Fire when no connection is left."""
        waiting: Deferred[None] = Deferred()
        if self.connections:
            self._waiting.append(waiting)
        else:
            waiting.callback(None)
        return waiting


def echo(server: ScriptedServer, came: message.Message) -> None:
    """Answer a request with its own route and body."""
    if came.kind == message.REQUEST:
        value = json.dumps([came.route, json.loads(came.body)]).encode()
        server.say((package.DATA, message.encode_response(came.id, value)))
