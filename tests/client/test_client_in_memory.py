"""The whole client against servers in memory, on a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
import txaio
from twisted.internet import error
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.test.iosim import IOPump, connect, makeFakeClient, makeFakeServer
from zope.interface import implementer

from chatcore.client import (
    Client,
    ConnectFailed,
    Disconnected,
    HandshakeRefused,
    HeartbeatLost,
    Kicked,
    ProtocolBroken,
    TimedOut,
)
from chatcore.client.dialing import CLOSE_TIMEOUT
from chatcore.errors import BodyError
from chatcore.wire import message, package

from .servers import ScriptedFactory, ScriptedServer, echo


@implementer(IStreamClientEndpoint)
class MemoryEndpoint:
    """Connects to a server protocol in memory."""

    def __init__(self, make_server: Callable[[], Protocol]) -> None:
        self.make_server = make_server
        self.pumps: list[IOPump] = []

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        client = protocolFactory.buildProtocol(None)
        server = self.make_server()
        self.pumps.append(
            connect(
                server,
                makeFakeServer(server),
                cast(Protocol, client),
                makeFakeClient(client),
            )
        )
        return succeed(client)

    def flush(self) -> None:
        for pump in self.pumps:
            pump.flush()


class World:
    """A client, and the servers it may connect to."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.client = Client(reactor=self.clock)
        self.factory = ScriptedFactory(
            self.clock, reply={"code": 200, "sys": {"heartbeat": 3}, "user": 7}, answer=echo
        )
        self.events: list[tuple[str, Any]] = []
        for event in ("onChat", "onKick", "disconnect", "error"):
            self.client.on(event, lambda data, event=event: self.events.append((event, data)))
        self.endpoint = MemoryEndpoint(lambda: cast(Protocol, self.factory.buildProtocol(None)))

    def init(self, **options: Any) -> list[Any]:
        found = outcome(self.client.init(endpoint=self.endpoint, **options))
        self.endpoint.flush()
        return found

    def init_by(self, make_server: Callable[[], Protocol], **options: Any) -> list[Any]:
        """Connect to another server than the scripted one."""
        self.endpoint = MemoryEndpoint(make_server)
        return self.init(**options)

    @property
    def server(self) -> ScriptedServer:
        (server,) = self.factory.connections
        return server

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.endpoint.flush()

    def check_nothing_is_left(self) -> None:
        assert outcome(self.client.closed()) == [None]
        assert self.clock.getDelayedCalls() == []
        assert self.factory.connections == []
        assert not self.client.connected


def outcome(waiting: Deferred[Any]) -> list[Any]:
    found: list[Any] = []

    def failed(failure: Failure) -> None:
        found.append(failure.value)

    waiting.addCallbacks(found.append, failed)
    return found


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def working(world: World) -> World:
    assert world.init() == [7]
    return world


class Recorder(Protocol):
    """A server that says nothing, unless told what to say when something comes."""

    def __init__(self, says: bytes = b"", leaves: bool = False) -> None:
        self.says, self.leaves = says, leaves
        self.received = b""

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        assert self.transport is not None
        if self.says:
            self.transport.write(self.says)
        if self.leaves:
            self.transport.loseConnection()


class TestInit:
    def test_and_everything_after_it(self, working: World) -> None:
        assert working.client.connected
        found = outcome(working.client.request("chat.chatHandler.send", {"content": "hi"}))
        working.endpoint.flush()
        assert found == [["chat.chatHandler.send", {"content": "hi"}]]
        left = outcome(working.client.disconnect())
        assert left == []
        working.endpoint.flush()
        assert left == [None]
        working.check_nothing_is_left()

    def test_how_many_bytes_came(self, working: World) -> None:
        """The handshake counts, and so does what comes after it."""
        shaken = working.client.bytes_received
        assert shaken > package.HEAD
        working.server.push("onChat", "hi")
        working.endpoint.flush()
        expected = package.encode(package.DATA, message.encode_push("onChat", b'"hi"'))
        assert working.client.bytes_received - shaken == len(expected)
        working.client.disconnect()
        working.endpoint.flush()
        assert working.client.bytes_received == 0

    def test_the_user_data_of_both_sides(self, world: World) -> None:
        assert world.init(user={"token": 1}) == [7]
        ((_, body),) = package.decode_frame(world.factory.frames[0], 1000)
        assert b'"user":{"token":1}' in body
        outcome(world.client.disconnect())
        world.endpoint.flush()

    def test_refused(self, world: World) -> None:
        world.factory.reply = {"code": 501}
        (why,) = world.init()
        assert isinstance(why, HandshakeRefused)
        assert why.code == 501
        assert world.events == []
        world.check_nothing_is_left()

    def test_a_server_that_accepts_and_says_nothing(self, world: World) -> None:
        silent = Recorder()
        found = world.init_by(lambda: silent, timeout=3)
        assert silent.received.startswith(b"GET / HTTP/1.1\r\n")
        world.pass_time(2.9)
        assert found == []
        world.pass_time(0.2)
        assert isinstance(found[0], TimedOut)
        assert "no connection within 3 s" in str(found[0])
        world.check_nothing_is_left()

    def test_a_server_that_opens_and_says_nothing(self, world: World) -> None:
        world.factory.reply = None
        found = world.init(timeout=3)
        world.pass_time(3)
        assert isinstance(found[0], TimedOut)
        assert "no answer to the handshake within 3 s" in str(found[0])
        world.check_nothing_is_left()

    @pytest.mark.parametrize(
        "says",
        [
            b"HTTP/1.1 404 Not Found\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"SSH-2.0-OpenSSH\r\n\r\n",
            b"\0\0\0\0\r\n\r\n",
            b"",
        ],
    )
    def test_something_that_does_not_speak_websocket(self, world: World, says: bytes) -> None:
        (why,) = world.init_by(lambda: Recorder(says, leaves=True))
        assert isinstance(why, ConnectFailed)
        assert str(why).startswith("no WebSocket server there: ")
        world.check_nothing_is_left()

    def test_nothing_there(self, world: World) -> None:
        class Refusing(MemoryEndpoint):
            def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
                return fail(error.ConnectionRefusedError())

        world.endpoint = Refusing(Recorder)
        (why,) = world.init()
        assert isinstance(why, ConnectFailed)
        assert "refused" in str(why)
        world.check_nothing_is_left()

    def test_a_connection_that_does_not_come_about(self, world: World) -> None:
        class Dialing(MemoryEndpoint):
            cancelled = 0

            def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
                return Deferred(self.cancel)

            def cancel(self, _: Deferred[Any]) -> None:
                self.cancelled += 1

        world.endpoint = dialing = Dialing(Recorder)
        found = world.init(timeout=3)
        assert dialing.cancelled == 0
        world.pass_time(3)
        assert dialing.cancelled == 1
        assert isinstance(found[0], TimedOut)
        world.check_nothing_is_left()

    def test_disconnect_in_the_middle_of_it(self, world: World) -> None:
        found = world.init_by(Recorder)
        left = outcome(world.client.disconnect())
        assert isinstance(found[0], Disconnected)
        world.endpoint.flush()
        assert left == [None]
        assert world.events == []
        world.check_nothing_is_left()

    def test_cancelled_by_whoever_waits(self, world: World) -> None:
        waiting = world.client.init(endpoint=MemoryEndpoint(Recorder))
        found = outcome(waiting)
        waiting.cancel()
        assert isinstance(found[0], Disconnected)
        assert world.clock.getDelayedCalls() == []

    def test_twice(self, working: World) -> None:
        (why,) = working.init()
        assert isinstance(why, Disconnected)
        assert "disconnect() it first" in str(why)
        assert working.client.connected
        assert len(working.factory.connections) == 1

    def test_again_after_a_failure(self, world: World) -> None:
        world.factory.reply = {"code": 500}
        world.init()
        world.factory.reply = {"code": 200}
        assert world.init() == [None]
        assert world.client.connected

    def test_again_though_the_last_connection_is_still_closing(self, working: World) -> None:
        gate = working.endpoint
        outcome(working.client.disconnect())
        working.endpoint = MemoryEndpoint(gate.make_server)
        assert working.init() == [7]
        working.endpoint.flush()
        left = outcome(working.client.disconnect())
        working.endpoint.flush()
        assert left == []
        gate.flush()
        assert left == [None]
        assert [event for event, _ in working.events] == ["disconnect", "disconnect"]
        working.check_nothing_is_left()

    def test_without_a_place(self, world: World) -> None:
        with pytest.raises(TypeError, match="a port or an endpoint"):
            world.client.init()


class TestWhere:
    @pytest.mark.parametrize(
        ("host", "header"),
        [("192.0.2.1", b"192.0.2.1:3014"), ("2001:db8::1", b"[2001:db8::1]:3014")],
    )
    def test_an_address_is_connected_to(self, host: str, header: bytes) -> None:
        reactor = MemoryReactorClock()
        client = Client(reactor=reactor)
        found = outcome(client.init(host=host, port=3014))
        ((asked, port, factory, _, _),) = reactor.tcpClients
        assert (asked, port) == (host, 3014)
        transport = StringTransport()
        protocol = factory.buildProtocol(None)
        protocol.makeConnection(transport)
        assert b"\r\nHost: " + header + b"\r\n" in transport.value()
        outcome(client.disconnect())
        protocol.connectionLost(Failure(error.ConnectionDone()))
        assert isinstance(found[0], Disconnected)


class TestWithoutAConnection:
    def test_every_call_says_so(self, world: World) -> None:
        (why,) = outcome(world.client.request("a.b.c"))
        assert isinstance(why, Disconnected)
        for call in (lambda: world.client.notify("a.b.c"), lambda: world.client.send_raw(b"x")):
            with pytest.raises(Disconnected):
                call()
        assert outcome(world.client.disconnect()) == [None]
        assert outcome(world.client.closed()) == [None]

    def test_what_can_not_be_sent_is_a_failure(self, working: World) -> None:
        (why,) = outcome(working.client.request("a.b.c", object()))
        assert isinstance(why, BodyError)
        with pytest.raises(BodyError):
            working.client.notify("a.b.c", object())


class TestMessages:
    def test_nothing_given_is_an_empty_object(self, working: World) -> None:
        found = outcome(working.client.request("a.b.c"))
        working.client.notify("a.b.d")
        working.endpoint.flush()
        assert found == [["a.b.c", {}]]
        assert message.decode(working.factory.frames[-1][4:]).body == b"{}"

    def test_other_empty_values_stay_what_they_are(self, working: World) -> None:
        found = outcome(working.client.request("a.b.c", 0))
        working.endpoint.flush()
        assert found == [["a.b.c", 0]]

    def test_a_raw_frame(self, working: World) -> None:
        working.client.send_raw(package.encode(package.HEARTBEAT))
        working.endpoint.flush()
        assert working.factory.frames[-1] == b"\x03\0\0\0"

    def test_several_packages_in_one_frame(self, working: World) -> None:
        found = outcome(working.client.request("a.b.c"))
        working.server.say(
            (package.DATA, message.encode_push("onChat", b"1")),
            (package.DATA, message.encode_response(1, b"2")),
            (package.DATA, message.encode_push("onChat", b"3")),
        )
        working.endpoint.flush()
        assert found == [2]
        assert working.events == [("onChat", 1), ("onChat", 3)]

    def test_a_text_frame_is_taken_as_bytes(self, working: World) -> None:
        frame = package.encode(package.DATA, message.encode_push("onChat", b'"x"'))
        working.server.sendMessage(frame, isBinary=False)
        working.endpoint.flush()
        assert working.events == [("onChat", "x")]

    def test_no_reply_in_time(self, working: World) -> None:
        working.factory.answer = lambda server, came: None
        found = outcome(working.client.request("a.b.c", timeout=1))
        working.pass_time(1)
        assert isinstance(found[0], TimedOut)
        assert working.client.connected

    def test_a_frame_that_is_too_long(self, world: World) -> None:
        world.client = Client(reactor=world.clock, max_frame=100)
        world.init()
        found = outcome(world.client.request("a.b.c", "x" * 200))
        world.endpoint.flush()
        assert isinstance(found[0], Disconnected)
        assert "100" in str(found[0])
        world.check_nothing_is_left()

    def test_a_message_that_is_too_long_in_short_frames(self, world: World) -> None:
        world.client = Client(reactor=world.clock, max_frame=100)
        world.init()
        gone: list[Any] = []
        world.client.on("disconnect", gone.append)
        pushed = message.encode_push("onChat", b'"' + b"x" * 200 + b'"')
        world.server.sendMessage(package.encode(package.DATA, pushed), True, fragmentSize=50)
        world.endpoint.flush()
        assert "WebSocket message" in str(gone[0])
        world.check_nothing_is_left()


class TestTheEnd:
    def test_a_kick(self, working: World) -> None:
        found = outcome(working.client.request("a.b.c"))
        working.server.say((package.KICK, b'{"reason":"again"}'))
        working.endpoint.flush()
        (kick, (event, why)) = working.events
        assert kick == ("onKick", {"reason": "again"})
        assert event == "disconnect"
        assert isinstance(why, Kicked)
        assert found == [why]
        working.check_nothing_is_left()

    def test_the_server_leaves(self, working: World) -> None:
        working.factory.answer = lambda server, came: server.transport.loseConnection()
        found = outcome(working.client.request("a.b.c"))
        working.endpoint.flush()
        ((event, why),) = working.events
        assert event == "disconnect"
        assert found == [why]
        assert isinstance(why, Disconnected)
        working.check_nothing_is_left()

    def test_the_server_closes(self, working: World) -> None:
        working.server.sendClose(code=3001, reason="enough")
        working.endpoint.flush()
        ((event, why),) = working.events
        assert event == "disconnect"
        assert "code 3001" in str(why)
        working.check_nothing_is_left()

    def test_the_server_breaks_the_protocol(self, working: World) -> None:
        working.server.sendMessage(b"\x09", isBinary=True)
        working.endpoint.flush()
        assert [event for event, _ in working.events] == ["error", "disconnect"]
        assert isinstance(working.events[0][1], ProtocolBroken)
        assert working.events[0][1] is working.events[1][1]
        working.check_nothing_is_left()

    def test_the_server_breaks_websocket(self, working: World) -> None:
        working.server.transport.write(b"\xff\xff\xff\xff")
        working.endpoint.flush()
        ((event, why),) = working.events
        assert event == "disconnect"
        assert isinstance(why, Disconnected)
        working.check_nothing_is_left()

    def test_the_server_falls_silent(self, working: World) -> None:
        found = outcome(working.client.request("a.b.c", timeout=100))
        working.endpoint.pumps.clear()
        working.pass_time(6)
        assert isinstance(found[0], HeartbeatLost)
        assert [event for event, _ in working.events] == ["error", "disconnect"]
        left = outcome(working.client.closed())
        assert left == []
        working.pass_time(CLOSE_TIMEOUT)
        assert working.clock.getDelayedCalls() == []

    def test_a_server_that_never_answers_a_close_is_cut_off(self, world: World) -> None:
        world.factory.protocol = DeafServer
        world.init()
        left = outcome(world.client.disconnect())
        world.endpoint.flush()
        world.pass_time(CLOSE_TIMEOUT - 0.1)
        assert left == []
        world.pass_time(0.2)
        assert left == [None]
        world.check_nothing_is_left()

    def test_a_server_that_closes_and_does_not_leave_is_cut_off(self, world: World) -> None:
        world.factory.protocol = StayingServer
        world.factory.answer = lambda server, came: None
        world.init()
        found = outcome(world.client.request("a.b.c"))
        world.server.sendClose(code=1000)
        world.endpoint.flush()
        assert isinstance(found[0], Disconnected)
        assert not world.client.connected
        left = outcome(world.client.closed())
        assert left == []
        world.pass_time(CLOSE_TIMEOUT)
        assert left == [None]
        world.check_nothing_is_left()

    def test_a_request_while_the_server_leaves(self, working: World) -> None:
        working.server.transport.loseConnection()
        found = outcome(working.client.request("a.b.c"))
        working.endpoint.flush()
        assert isinstance(found[0], Disconnected)

    def test_disconnect_twice(self, working: World) -> None:
        first, second = outcome(working.client.disconnect()), outcome(working.client.disconnect())
        working.endpoint.flush()
        assert (first, second) == ([None], [None])
        assert [event for event, _ in working.events] == ["disconnect"]
        working.check_nothing_is_left()

    def test_disconnect_from_a_listener(self, working: World) -> None:
        working.client.on("onChat", lambda _: outcome(working.client.disconnect()))
        working.server.say(
            (package.DATA, message.encode_push("onChat", b"1")),
            (package.DATA, message.encode_push("onChat", b"2")),
        )
        working.endpoint.flush()
        assert [event for event, _ in working.events] == ["onChat", "disconnect"]
        working.check_nothing_is_left()

    def test_init_from_the_disconnect_listener(self, working: World) -> None:
        found: list[Any] = []

        def again(_: object) -> None:
            working.client.off("disconnect", again)
            working.client.init(endpoint=working.endpoint).addCallback(found.append)

        working.client.on("disconnect", again)
        working.server.transport.loseConnection()
        working.endpoint.flush()
        working.endpoint.flush()
        assert found == [7]
        assert working.client.connected


class TestTimers:
    def test_autobahn_starts_none_of_its_own(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loop = Clock()
        monkeypatch.setattr(txaio.config, "loop", loop)
        world.init_by(Recorder)
        assert loop.getDelayedCalls() == []
        outcome(world.client.disconnect())
        world.endpoint.flush()
        world.endpoint = MemoryEndpoint(lambda: cast(Protocol, world.factory.buildProtocol(None)))
        world.factory.protocol = StayingServer
        assert world.init() == [7]
        outcome(world.client.disconnect())
        assert loop.getDelayedCalls() == []
        world.endpoint.flush()
        assert loop.getDelayedCalls() == []
        world.pass_time(CLOSE_TIMEOUT)
        world.check_nothing_is_left()


class DeafServer(ScriptedServer):
    """Does not answer a close."""

    def onCloseFrame(self, code: int, reasonRaw: bytes) -> bool | None:
        return None


class StayingServer(ScriptedServer):
    """Keeps the connection after a close was answered."""

    def dropConnection(self, abort: bool = False) -> None:
        pass


class TestListeners:
    def test_several_and_some_leave(self, working: World) -> None:
        heard: list[str] = []

        def first(data: Any) -> None:
            heard.append(f"first {data}")
            working.client.off("onAdd", first)

        working.client.on("onAdd", first)
        working.client.on("onAdd", lambda data: heard.append(f"second {data}"))
        working.server.push("onAdd", 1)
        working.server.push("onAdd", 2)
        working.endpoint.flush()
        assert heard == ["first 1", "second 1", "second 2"]
        working.client.off("onAdd")
        working.client.off("onAdd", first)
        working.server.push("onAdd", 3)
        working.endpoint.flush()
        assert len(heard) == 3

    def test_a_push_that_nobody_listens_to(self, working: World) -> None:
        working.server.push("onNothing", 1)
        working.endpoint.flush()
        assert working.client.connected

    def test_async_listeners_run(self, working: World) -> None:
        gate: Deferred[str] = Deferred()
        heard: list[Any] = []

        async def listener(data: Any) -> None:
            heard.append((data, await gate))

        working.client.on("onAdd", listener)
        working.server.push("onAdd", 1)
        working.endpoint.flush()
        assert heard == []
        gate.callback("open")
        assert heard == [(1, "open")]

    def test_what_they_raise_is_logged_and_hurts_nobody(
        self, working: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        logged: list[Any] = []

        class Log:
            def failure(self, format: str, failure: Failure | None = None, **keys: Any) -> None:
                logged.append((failure or Failure()).value)

        def plain(_: object) -> None:
            raise ValueError("plain")

        async def slow(_: object) -> None:
            raise ValueError("async")

        def deferred(_: object) -> Deferred[Any]:
            return fail(ValueError("deferred"))

        monkeypatch.setattr(Client, "_log", Log())
        for listener in (plain, slow, deferred):
            working.client.on("onAdd", listener)
        heard: list[Any] = []
        working.client.on("onAdd", heard.append)
        working.server.push("onAdd", 1)
        working.endpoint.flush()
        assert heard == [1]
        assert [str(problem) for problem in logged] == ["plain", "async", "deferred"]
        assert working.client.connected
