"""Clients that come in beside the client port, by any of Twisted's endpoints."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from applications import HANDLER, Applications, refusal
from small_cluster import Cluster, until
from twisted.internet import reactor
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol

from chatcore.errors import ConfigError
from chatcore.wire import message, package
from chatcore.wire.package import PackageParser

APP = """
    import os
    from twisted.internet import reactor
    from twisted.internet.endpoints import UNIXServerEndpoint
    from zope.interface import implementer
    from twisted.internet.interfaces import IStreamServerEndpoint

    FOLDER = {folder!r}

    @implementer(IStreamServerEndpoint)
    class Own:
        def listen(self, factory):
            return UNIXServerEndpoint(reactor, FOLDER + "/own.sock").listen(factory)

    def configure(app):
        app.listen("unix:" + FOLDER + "/described.sock")
        app.listen(Own())
"""

WHERE = """
    from zope.interface import implementer
    from chatcore.interfaces import IHandler

    class IFrontHandler(IHandler):
        async def where(msg, session): ""

    @implementer(IFrontHandler)
    class FrontHandler:
        def __init__(self, app): pass
        def where(self, msg, session): return {"address": session.address}
"""


class Raw(Protocol):
    """A client that shakes hands and asks where it is."""

    transport: Any

    def __init__(self, before: bytes = b"") -> None:
        self.before = before
        self.parser = PackageParser(65536)
        self.heard: list[Any] = []
        self.over = False

    def connectionMade(self) -> None:
        asked = message.encode_request(1, "front.frontHandler.where", b"{}")
        self.transport.write(
            self.before
            + package.encode(package.HANDSHAKE, b'{"sys":{}}')
            + package.encode(package.ACK, b"")
            + package.encode(package.DATA, asked)
        )

    def dataReceived(self, data: bytes) -> None:
        self.heard += self.parser.feed(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.over = True


async def visit(path: Path, before: bytes = b"") -> bytes:
    """The answer to a client that comes by a Unix socket."""
    raw = await connectProtocol(UNIXClientEndpoint(reactor, str(path)), Raw(before))

    def answer() -> bytes | None:
        data = [body for kind, body in raw.heard if kind == package.DATA]
        return data[0][2:] if data else None

    found: bytes = await until(answer, "the answer")
    raw.transport.loseConnection()
    await until(lambda: raw.over, "the end")
    return found


async def started(application: Applications, folder: Path, settings: Any = None) -> Cluster:
    cluster = application(
        app=APP.format(folder=str(folder)), servers__front__handlers=WHERE, settings=settings
    )
    await cluster.start()
    return cluster


@pytest.mark.parametrize("name", ["described.sock", "own.sock"])
async def test_clients_come_by_them(application: Applications, folder: Path, name: str) -> None:
    """And by the client port, as ever; they end with the server."""
    cluster = await started(application, folder)
    assert await visit(folder / name) == b'{"address":["",0]}'
    client = await cluster.client("front-1")
    assert (await client.request("front.frontHandler.where"))["address"][0] == "127.0.0.1"
    await cluster.stop()
    with socket.socket(socket.AF_UNIX) as dialled, pytest.raises(OSError):
        dialled.connect(str(folder / name))


async def test_a_proxy_on_a_unix_socket_is_believed(
    application: Applications, folder: Path
) -> None:
    """Who may open it is said by its file."""
    await started(application, folder, {"proxy.protocol": True, "proxy.trusted": ()})
    header = b"PROXY TCP4 192.0.2.7 192.0.2.1 5555 80\r\n"
    assert await visit(folder / "own.sock", header) == b'{"address":["192.0.2.7",5555]}'


async def test_a_place_that_is_taken(application: Applications, folder: Path) -> None:
    """The server does not start, and says which line it was."""
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(folder / "described.sock"))
        other.listen()
        with pytest.raises(ConfigError, match="can't listen") as caught:
            await started(application, folder)
    assert (caught.value.file, caught.value.line) == (str(folder / "app.py"), 16)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("app.listen('nowhere:5')", "'nowhere:5' is no endpoint"),
        ("app.listen('tcp:port')", "'tcp:port' is no endpoint"),
        ("app.listen(3010)", "listen got 3010, not an endpoint"),
    ],
)
def test_mistakes(application: Applications, line: str, said: str) -> None:
    app = f"def configure(app):\n    {line}\n"
    message = refusal(application(app=app, servers__front__handlers=HANDLER))
    assert said in message and "app.py:2" in message
