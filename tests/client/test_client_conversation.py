"""The client's side of the protocol, against a clock and a list of frames."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from chatcore.client.conversation import Conversation
from chatcore.client.errors import (
    ConnectFailed,
    Disconnected,
    HandshakeRefused,
    HeartbeatLost,
    Kicked,
    ProtocolBroken,
    TimedOut,
)
from chatcore.errors import BodyError, MessageError, WireError
from chatcore.wire import message, package

HEARTBEAT = bytes.fromhex("03000000")
ACK = bytes.fromhex("02000000")


class World:
    """A conversation with everything around it, the server included."""

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.sent: list[bytes] = []
        self.closed = 0
        self.events: list[tuple[str, Any]] = []
        self.ends: list[tuple[Exception, bool]] = []
        self.conversation = Conversation(clock=self.clock, listener=self, **options)

    def send(self, frame: bytes) -> None:
        self.sent.append(frame)

    def close(self) -> None:
        self.closed += 1

    def happened(self, event: str, data: Any) -> None:
        self.events.append((event, data))

    def ended(self, why: Exception, worked: bool) -> None:
        self.ends.append((why, worked))

    def begin(self, user: Any = None, timeout: float = 10.0) -> list[Any]:
        return outcome(self.conversation.begin(self, user, timeout))

    def says(self, *packages: tuple[int, bytes]) -> None:
        self.conversation.received(b"".join(package.encode(*one) for one in packages))

    def answers_handshake(self, reply: object) -> None:
        self.says((package.HANDSHAKE, json.dumps(reply).encode()))

    def pushes(self, route: str, body: bytes) -> None:
        self.says((package.DATA, message.encode_push(route, body)))

    def replies(self, number: int, body: bytes) -> None:
        self.says((package.DATA, message.encode_response(number, body)))

    def request(self, route: str = "a.b.c", msg: Any = None, timeout: float = 10.0) -> list[Any]:
        return outcome(self.conversation.request(route, msg, timeout))

    def is_over(self) -> Exception:
        """Check that nothing is left, and return the reason."""
        assert self.closed == 1
        assert self.clock.getDelayedCalls() == []
        assert not self.conversation.working
        ((why, _),) = self.ends
        return why


def outcome(waiting: Deferred[Any]) -> list[Any]:
    """A list that gets the result of ``waiting``, or its exception, when there is one."""
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
    """A conversation after its handshake, with a heartbeat of three seconds."""
    world.begin()
    world.conversation.opened()
    world.answers_handshake({"code": 200, "sys": {"heartbeat": 3}})
    world.sent.clear()
    return world


@pytest.fixture
def quiet(world: World) -> World:
    """A conversation after its handshake, without heartbeats."""
    world.begin()
    world.conversation.opened()
    world.answers_handshake({"code": 200, "sys": {}})
    world.sent.clear()
    assert world.clock.getDelayedCalls() == []
    return world


class TestTheHandshake:
    def test_goes_out_when_the_connection_opens(self, world: World) -> None:
        world.begin(user={"token": "é"})
        assert world.sent == []
        world.conversation.opened()
        world.conversation.opened()
        (frame,) = world.sent
        ((kind, body),) = package.decode_frame(frame, 1000)
        assert kind == package.HANDSHAKE
        hello = json.loads(body)
        assert set(hello["sys"]) == {"type", "version"}
        assert hello["user"] == {"token": "é"}

    def test_says_which_client_it_is(self) -> None:
        world = World(client_type="bot", client_version="7.1")
        world.begin()
        world.conversation.opened()
        sys = json.loads(world.sent[0][4:])["sys"]
        assert sys == {"type": "bot", "version": "7.1"}
        world.conversation.end(Disconnected("enough"))

    def test_without_user_data(self, world: World) -> None:
        world.begin()
        world.conversation.opened()
        assert "user" not in json.loads(world.sent[0][4:])

    def test_is_acknowledged_and_gives_the_servers_user_data(self, world: World) -> None:
        ready = world.begin()
        world.conversation.opened()
        assert not world.conversation.working
        world.answers_handshake({"code": 200, "sys": {"heartbeat": 3}, "user": {"id": 7}})
        assert ready == [{"id": 7}]
        assert world.sent[1:] == [ACK]
        assert world.conversation.working

    @pytest.mark.parametrize("reply", [{"code": 200}, {"code": 200, "sys": None}])
    def test_a_server_that_says_little(self, world: World, reply: object) -> None:
        ready = world.begin()
        world.conversation.opened()
        world.answers_handshake(reply)
        assert ready == [None]
        assert world.clock.getDelayedCalls() == []

    @pytest.mark.parametrize("code", [500, 501, 404])
    def test_refused(self, world: World, code: int) -> None:
        ready = world.begin()
        world.conversation.opened()
        world.answers_handshake({"code": code})
        assert isinstance(ready[0], HandshakeRefused)
        assert ready[0].code == code
        assert str(code) in str(ready[0])
        assert world.sent[1:] == []
        assert world.is_over() is ready[0]
        assert world.ends[0][1] is False

    @pytest.mark.parametrize(
        "body",
        [
            b"", b"x", b"[]", b"200", b"null", b"{}", b'{"code":"200"}', b'{"code":null}',
            b"[" * 100_000, b'{"code":200,"sys":{"heartbeat":"3"}}',
            b'{"code":200,"sys":{"heartbeat":-1}}', b'{"code":200,"sys":{"heartbeat":true}}',
            b'{"code":200,"sys":{"heartbeat":[]}}', b'{"code":200,"sys":{"heartbeat":1e999}}',
            b'{"code":200,"sys":{"heartbeat":1' + b"0" * 400 + b"}}",
            b'{"code":200,"sys":{"heartbeat":86401}}',
        ],
    )  # fmt: skip
    def test_garbage(self, world: World, body: bytes) -> None:
        ready = world.begin()
        world.conversation.opened()
        world.says((package.HANDSHAKE, body))
        assert isinstance(ready[0], ProtocolBroken)
        assert isinstance(ready[0].__cause__, WireError)
        assert world.is_over() is ready[0]

    @pytest.mark.parametrize("kind", [package.ACK, package.HEARTBEAT, package.DATA])
    def test_another_package_first(self, world: World, kind: int) -> None:
        ready = world.begin()
        world.conversation.opened()
        world.says((kind, b""))
        assert isinstance(ready[0], ProtocolBroken)
        assert package.NAMES[kind] in str(ready[0])

    def test_user_data_that_can_not_be_sent(self, world: World) -> None:
        ready = world.begin(user=object())
        world.conversation.opened()
        assert isinstance(ready[0], BodyError)
        assert world.sent == []
        assert world.is_over() is ready[0]

    def test_no_connection_in_time(self, world: World) -> None:
        ready = world.begin(timeout=2)
        world.clock.advance(1.9)
        assert ready == []
        world.clock.advance(0.2)
        assert isinstance(ready[0], TimedOut)
        assert str(ready[0]) == "no connection within 2 s"
        assert world.is_over() is ready[0]

    def test_no_answer_in_time(self, world: World) -> None:
        ready = world.begin(timeout=2)
        world.conversation.opened()
        world.clock.advance(2)
        assert str(ready[0]) == "no answer to the handshake within 2 s"
        assert world.is_over() is ready[0]

    def test_an_answer_that_comes_too_late(self, world: World) -> None:
        ready = world.begin(timeout=2)
        world.conversation.opened()
        world.clock.advance(2)
        world.answers_handshake({"code": 200})
        world.conversation.opened()
        assert len(ready) == 1
        assert len(world.sent) == 1
        world.is_over()

    def test_no_connection_at_all(self, world: World) -> None:
        ready = world.begin()
        problem = ConnectFailed("refused")
        world.conversation.end(problem)
        assert ready == [problem]
        assert world.is_over() is problem

    def test_given_up_by_whoever_waits(self, world: World) -> None:
        waiting = world.conversation.begin(world, None, 10)
        found = outcome(waiting)
        waiting.cancel()
        assert isinstance(found[0], Disconnected)
        world.is_over()

    def test_several_packages_in_the_frame_of_the_reply(self, world: World) -> None:
        ready = world.begin()
        world.conversation.opened()
        world.says(
            (package.HANDSHAKE, b'{"code":200,"sys":{"heartbeat":3}}'),
            (package.HEARTBEAT, b""),
            (package.DATA, message.encode_push("onChat", b'{"msg":"hi"}')),
        )
        assert ready == [None]
        assert world.events == [("onChat", {"msg": "hi"})]


class TestRequests:
    def test_the_bytes(self, quiet: World) -> None:
        quiet.request("gate.gateHandler.queryEntry", {"uid": "alice"})
        ((kind, content),) = package.decode_frame(quiet.sent[0], 1000)
        assert kind == package.DATA
        assert message.decode(content) == message.Message(
            message.REQUEST, 1, "gate.gateHandler.queryEntry", b'{"uid":"alice"}'
        )

    def test_a_captured_reply(self, quiet: World) -> None:
        found = quiet.request()
        quiet.conversation.received(
            bytes.fromhex(
                "0400002d04017b22636f6465223a3230302c22686f7374223a"
                "223132372e302e302e31222c22706f7274223a333035317d"
            )
        )
        assert found == [{"code": 200, "host": "127.0.0.1", "port": 3051}]
        assert quiet.clock.getDelayedCalls() == []

    @pytest.mark.parametrize(
        ("body", "value"),
        [(b"{}", {}), (b"", {}), (b"null", None), (b"[1]", [1]), (b"3", 3),
         (b'{"code":500}', {"code": 500}), (b'"\\ud83d\\ude00"', "\U0001f600")],
    )  # fmt: skip
    def test_whatever_is_replied(self, quiet: World, body: bytes, value: object) -> None:
        found = quiet.request()
        quiet.replies(1, body)
        assert found == [value]

    def test_replies_find_their_requests_in_any_order(self, quiet: World) -> None:
        first, second = quiet.request(), quiet.request()
        quiet.replies(2, b'"two"')
        quiet.replies(1, b'"one"')
        assert (first, second) == (["one"], ["two"])

    def test_replies_in_one_frame(self, quiet: World) -> None:
        first, second = quiet.request(), quiet.request()
        quiet.says(
            (package.DATA, message.encode_response(1, b"1")),
            (package.DATA, message.encode_response(2, b"2")),
        )
        assert (first, second) == ([1], [2])

    def test_no_reply_in_time(self, quiet: World) -> None:
        slow, patient = quiet.request("a.b.slow", timeout=1), quiet.request(timeout=5)
        quiet.clock.advance(1)
        assert isinstance(slow[0], TimedOut)
        assert str(slow[0]) == "no answer to a.b.slow within 1 s"
        assert patient == []
        quiet.replies(1, b"{}")
        quiet.replies(2, b"{}")
        assert len(slow) == 1
        assert patient == [{}]

    def test_a_reply_that_nobody_asked_for(self, quiet: World) -> None:
        quiet.replies(9, b"not even JSON")
        assert quiet.ends == []

    def test_a_cancelled_request(self, quiet: World) -> None:
        waiting = quiet.conversation.request("a.b.c", {}, 10)
        found = outcome(waiting)
        waiting.cancel()
        assert isinstance(found[0], CancelledError)
        assert quiet.clock.getDelayedCalls() == []
        quiet.replies(1, b"{}")
        assert quiet.ends == []

    def test_everything_that_waits_fails_with_the_connection(self, quiet: World) -> None:
        first, second = quiet.request(), quiet.request()
        why = Disconnected("the connection ended")
        quiet.conversation.end(why)
        quiet.conversation.end(Disconnected("again"))
        assert (first, second) == ([why], [why])
        assert quiet.is_over() is why
        assert quiet.ends[0][1] is True

    def test_a_reply_that_is_not_json(self, quiet: World) -> None:
        found = quiet.request()
        quiet.replies(1, b"{")
        assert isinstance(found[0], ProtocolBroken)
        assert quiet.is_over() is found[0]

    @pytest.mark.parametrize("msg", [object(), {"x": {object()}}, float])
    def test_what_json_has_no_word_for(self, quiet: World, msg: object) -> None:
        with pytest.raises(BodyError):
            quiet.request(msg=msg)
        assert quiet.sent == []
        assert quiet.clock.getDelayedCalls() == []

    def test_a_route_that_is_too_long(self, quiet: World) -> None:
        with pytest.raises(MessageError):
            quiet.request("x" * 256)

    def test_before_the_handshake_and_after_the_end(self, world: World) -> None:
        for step in (world.begin, world.conversation.opened,
                     lambda: world.conversation.end(Disconnected("x"))):  # fmt: skip
            step()
            for call in (
                lambda: world.conversation.request("a.b.c", {}, 1),
                lambda: world.conversation.notify("a.b.c", {}),
                lambda: world.conversation.send_raw(b"x"),
            ):
                with pytest.raises(Disconnected, match="no connection"):
                    call()

    def test_ids_begin_again_and_skip_those_in_use(
        self, quiet: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("chatcore.client.conversation._LARGEST_ID", 3)
        first, *_ = [quiet.request(), quiet.request(), quiet.request()]
        quiet.replies(2, b"{}")
        quiet.replies(3, b"{}")
        quiet.request()
        quiet.request()
        numbers = [message.decode(frame[4:]).id for frame in quiet.sent]
        assert numbers == [1, 2, 3, 2, 3]
        assert first == []

    def test_a_reply_may_start_another_request(self, quiet: World) -> None:
        waiting = quiet.conversation.request("a.b.first", {}, 10)
        waiting.addCallback(lambda _: quiet.conversation.request("a.b.second", {}, 10))
        found = outcome(waiting)
        quiet.replies(1, b"{}")
        quiet.replies(2, b'"second"')
        assert found == ["second"]


class TestNotifiesAndRawFrames:
    def test_a_notify(self, quiet: World) -> None:
        quiet.conversation.notify("a.b.c", {"x": 1})
        ((_, content),) = package.decode_frame(quiet.sent[0], 1000)
        assert message.decode(content) == message.Message(message.NOTIFY, 0, "a.b.c", b'{"x":1}')
        assert quiet.clock.getDelayedCalls() == []

    def test_any_bytes(self, quiet: World) -> None:
        quiet.conversation.send_raw(b"\xff\0")
        assert quiet.sent == [b"\xff\0"]


class TestPushes:
    def test_the_route_is_the_event(self, quiet: World) -> None:
        quiet.pushes("onAdd", b'{"route":"onAdd","user":"bob"}')
        quiet.pushes("", b"[]")
        assert quiet.events == [("onAdd", {"route": "onAdd", "user": "bob"}), ("", [])]

    def test_an_end_in_the_middle_of_a_frame(self, quiet: World) -> None:
        quiet.says(
            (package.DATA, message.encode_push("onChat", b"1")),
            (package.KICK, b'{"reason":"x"}'),
            (package.DATA, message.encode_push("onChat", b"2")),
        )
        assert quiet.events == [("onChat", 1), ("onKick", {"reason": "x"})]

    def test_nothing_after_the_end(self, quiet: World) -> None:
        quiet.conversation.end(Disconnected("x"))
        quiet.pushes("onChat", b"1")
        assert quiet.events == []


class TestBrokenServers:
    @pytest.mark.parametrize(
        "frame",
        [
            b"", b"\x04", b"\x04\x00\x00\x05abcd", b"\x03\0\0\0\0", b"\x00\0\0\0", b"\x06\0\0\0",
            package.encode(package.DATA), package.encode(package.DATA, b"\xff"),
            package.encode(package.HANDSHAKE, b'{"code":200}'), package.encode(package.ACK),
            package.encode(package.DATA, message.encode_request(1, "a.b.c", b"{}")),
            package.encode(package.DATA, message.encode_notify("a.b.c", b"{}")),
            package.encode(package.DATA, message.encode_push("onChat", b"{")),
            package.encode(package.DATA, message.encode_push("onChat", b"[" * 100_000)),
            package.encode(package.DATA, message.encode_push(3, b"{}")),
        ],
    )  # fmt: skip
    def test_end_the_conversation(self, working: World, frame: bytes) -> None:
        found = working.request()
        working.conversation.received(frame)
        assert isinstance(found[0], ProtocolBroken)
        assert str(found[0]).startswith("the server broke the protocol: ")
        assert isinstance(found[0].__cause__, WireError)
        assert working.is_over() is found[0]
        assert working.events == []

    def test_packages_beyond_the_limit(self) -> None:
        world = World(max_package=20)
        ready = world.begin()
        world.conversation.opened()
        world.answers_handshake({"code": 200})
        assert ready == [None]
        world.pushes("onChat", b'"' + b"x" * 20 + b'"')
        assert isinstance(world.is_over(), ProtocolBroken)


class TestHeartbeats:
    def test_one_goes_out_some_seconds_after_one_came(self, working: World) -> None:
        working.says((package.HEARTBEAT, b""))
        working.clock.advance(2.9)
        assert working.sent == []
        working.clock.advance(0.2)
        assert working.sent == [HEARTBEAT]

    def test_two_that_came_make_one(self, working: World) -> None:
        working.says((package.HEARTBEAT, b""), (package.HEARTBEAT, b""))
        working.clock.advance(1)
        working.says((package.HEARTBEAT, b""))
        working.clock.advance(2)
        working.clock.advance(2)
        assert working.sent == [HEARTBEAT]

    def test_it_goes_on_as_long_as_the_server_answers(self, working: World) -> None:
        for _ in range(10):
            working.says((package.HEARTBEAT, b""))
            working.clock.advance(3)
        assert working.sent == [HEARTBEAT] * 10
        assert working.ends == []

    def test_silence_for_twice_as_long_ends_it(self, working: World) -> None:
        working.says((package.HEARTBEAT, b""))
        found = working.request(timeout=60)
        working.clock.pump([1] * 5 + [0.9])
        assert working.ends == []
        working.clock.advance(0.2)
        assert isinstance(found[0], HeartbeatLost)
        assert "for 6 s" in str(found[0])
        assert working.is_over() is found[0]

    def test_its_own_sleep_is_nobodys_silence(self, working: World) -> None:
        """A process that was held up reads what came meanwhile before it judges."""
        working.clock.callLater(20, working.says, (package.HEARTBEAT, b""))
        working.clock.rightNow += 20  # nothing runs for as long as that
        working.clock.advance(0)
        working.clock.advance(0)
        assert working.ends == []
        working.clock.pump([1] * 7)
        assert isinstance(working.is_over(), HeartbeatLost)

    def test_a_server_that_never_sent_one(self, working: World) -> None:
        working.clock.advance(6)
        assert isinstance(working.is_over(), HeartbeatLost)

    def test_any_package_counts_as_a_sign_of_life(self, working: World) -> None:
        for _ in range(10):
            working.clock.advance(5)
            working.pushes("onChat", b"{}")
        assert working.ends == []
        working.clock.advance(6)
        assert isinstance(working.is_over(), HeartbeatLost)

    def test_where_none_were_agreed_on(self, quiet: World) -> None:
        quiet.says((package.HEARTBEAT, b""))
        quiet.clock.advance(1000)
        assert quiet.sent == []
        assert quiet.ends == []

    def test_none_after_the_end(self, working: World) -> None:
        working.says((package.HEARTBEAT, b""))
        working.conversation.end(Disconnected("x"))
        working.clock.advance(10)
        assert working.sent == []
        working.is_over()


class TestKicks:
    def test_a_kick_ends_it_with_the_reason(self, working: World) -> None:
        found = working.request()
        working.conversation.received(
            bytes.fromhex("050000137b22726561736f6e223a2261747461636b227d")
        )
        assert working.events == [("onKick", {"reason": "attack"})]
        assert isinstance(found[0], Kicked)
        assert found[0].reason == "attack"
        assert str(found[0]) == "kicked by the server: attack"
        assert working.is_over() is found[0]

    @pytest.mark.parametrize(("body", "data"), [(b"", {}), (b"\xff", {}), (b"[]", []), (b"{}", {})])
    def test_a_kick_without_a_reason(self, working: World, body: bytes, data: object) -> None:
        working.says((package.KICK, body))
        assert working.events == [("onKick", data)]
        why = working.is_over()
        assert isinstance(why, Kicked)
        assert why.reason is None

    def test_a_kick_instead_of_a_handshake(self, world: World) -> None:
        ready = world.begin()
        world.conversation.opened()
        world.says((package.KICK, b'{"reason":"full"}'))
        assert isinstance(ready[0], Kicked)
        assert world.ends[0][1] is False
