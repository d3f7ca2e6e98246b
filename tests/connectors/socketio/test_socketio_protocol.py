"""Socket.IO, versions 4 and 5, clause by clause: the protocol's documents and their test suite.

What the suite's server does in its handlers, the tests do by hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from chatcore.errors import ClientError
from chatcore.wire.body import Body

from ..clients import Connector, frame
from .clients import Poller, Socket, push, reply

Make = Callable[..., Connector]

BOTH = pytest.mark.parametrize("revision", [3, 4])
PLACES = {"namespaces": ("/", "/custom", "/管理")}


@pytest.fixture
def connector(make_socketio: Make) -> Connector:
    return make_socketio(socketio=PLACES)


def connected(connector: Connector, revision: int = 4, **how: Any) -> Socket:
    socket = Socket(connector, revision, **how)
    if revision == 4:
        socket.connect()
    return socket


def hooked(make: Make, outcome: Any) -> tuple[Connector, list[Any]]:
    """A connector whose application decides about handshakes, and what it was told."""
    asked: list[Any] = []

    def hook(handshake: Any) -> Any:
        asked.append(handshake)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return make(socketio=PLACES, welcome={"hook": hook}), asked


class TestConnect:
    def test_to_the_main_namespace(self, connector: Connector) -> None:
        socket = Socket(connector)
        assert socket.greeted == []
        told = socket.connect()
        assert told.startswith("40")
        said = json.loads(told[2:])
        assert set(said) == {"sid"}
        assert isinstance(said["sid"], str)
        assert connector.counters.sessions_now == 1

    def test_the_id_there_is_another_than_the_one_for_polling(self, connector: Connector) -> None:
        """The first is told to others; who knows the second is the client."""
        socket = Socket(connector)
        sids = {socket.sid, json.loads(socket.connect()[2:])["sid"]}
        sids.add(json.loads(socket.connect("40/custom,")[10:])["sid"])
        assert len(sids) == 3

    def test_version_4_is_there_at_once(self, connector: Connector) -> None:
        assert Socket(connector, 3).greeted == ["40"]
        assert Poller(connector, 3).greeted == ["40"]
        assert connector.counters.sessions_now == 2

    @pytest.mark.parametrize("namespace", ["/custom", "/管理"])
    @pytest.mark.parametrize("end", ["", ","])
    def test_to_another(self, connector: Connector, namespace: str, end: str) -> None:
        socket = Socket(connector)
        told = socket.connect(f"40{namespace}{end}")
        assert told.startswith(f'40{namespace},{{"sid":"')
        socket = Socket(connector, 3)
        assert socket.connect(f"40{namespace}{end}") == f"40{namespace},"

    def test_to_several(self, connector: Connector) -> None:
        socket = connected(connector)
        socket.connect("40/custom,")
        assert connector.counters.sessions_now == 2
        socket.say('42["a.b.c",1]', '42/custom,["a.b.c",2]')
        first, second = connector.asked
        assert first.session is not second.session
        push(first.session, "on1", 1)
        push(second.session, "on1", 1)
        connector.reactor.settle()
        assert socket.packets() == ['42["on1",1]', '42/custom,["on1",1]']

    @BOTH
    def test_to_one_that_there_is_not(self, connector: Connector, revision: int) -> None:
        socket = Socket(connector, revision)
        told = socket.connect("40/random")
        if revision == 4:
            assert told == '44/random,{"message":"Invalid namespace"}'
            assert socket.connect().startswith('40{"sid"')
        else:
            assert told == '44/random,"Invalid namespace"'
        assert connector.counters.sessions_now == 1

    @BOTH
    def test_twice(self, connector: Connector, revision: int) -> None:
        socket = connected(connector, revision)
        socket.say("40")
        assert socket.packets() == []
        assert connector.counters.sessions_now == 1

    def test_who_does_not_is_sent_away(self, connector: Connector) -> None:
        socket, poller = Socket(connector), Poller(connector)
        poller.say("6")
        connector.reactor.advance(10)
        connector.reactor.settle()
        assert socket.packets() == []
        assert socket.code == 1008
        assert poller.packets() == ["1"]
        assert connector.counters.clients_silent == 2

    @pytest.mark.parametrize(
        "packet", ['42["a.b.c"]', '430["x"]', "41", "41/custom,", '42/custom,["a.b.c"]', "4abc"]
    )
    def test_anything_else_first(self, connector: Connector, packet: str) -> None:
        socket = Socket(connector)
        socket.say(packet)
        assert socket.packets() == []
        assert socket.code == 1002
        assert connector.asked == []

    @pytest.mark.parametrize("packet", ["40[]", "40x", '40"x"', '40{"a":}', "40/custom,[1]"])
    def test_with_what_is_no_object(self, connector: Connector, packet: str) -> None:
        socket = Socket(connector)
        socket.say(packet)
        assert socket.packets() == []
        assert socket.code == 1002


class TestHook:
    """The application's word on who comes in."""

    def test_auth(self, make_socketio: Make) -> None:
        connector, asked = hooked(make_socketio, None)
        socket = Socket(connector)
        socket.connect('40{"token":"123"}')
        socket.connect('40/custom,{"token":"abc"}')
        assert [each.user for each in asked] == [{"token": "123"}, {"token": "abc"}]
        assert [each.sys["namespace"] for each in asked] == ["/", "/custom"]
        assert {(each.type, each.version) for each in asked} == {("socket.io", "4")}
        assert asked[0].address == ("192.0.2.1", 54321)

    def test_what_its_sessions_begin_with(self, make_socketio: Make) -> None:
        def hook(handshake: Any) -> None:
            handshake.settings.update(handshake.user, at=handshake.sys["namespace"])

        connector = make_socketio(socketio=PLACES, welcome={"hook": hook})
        socket = Socket(connector)
        socket.connect('40{"token":"123"}')
        socket.connect('40/custom,{"token":"abc"}')
        assert [each.settings for each in connector.sessions] == [
            {"token": "123", "at": "/"},
            {"token": "abc", "at": "/custom"},
        ]

    def test_queries(self, make_socketio: Make) -> None:
        connector, asked = hooked(make_socketio, None)
        socket = Socket(connector, 3, query="&token=a%20b&t=123")
        socket.connect("40/custom?more=1&t=9,")
        Poller(connector, 3, query="&token=c&b64=1&t=1")
        assert [each.user for each in asked] == [
            {"token": "a b"},
            {"token": "a b", "more": "1"},
            {"token": "c"},
        ]
        assert {each.version for each in asked} == {"3"}

    def test_query_and_auth(self, make_socketio: Make) -> None:
        connector, asked = hooked(make_socketio, None)
        socket = Socket(connector, query="&token=1&room=2")
        socket.connect('40{"token":3}')
        assert asked[0].user == {"token": 3, "room": "2"}

    def test_refused(self, make_socketio: Make) -> None:
        connector, _ = hooked(make_socketio, ClientError(403, why="no"))
        socket = Socket(connector)
        assert socket.connect() == (
            '44{"message":"refused by the application","data":{"code":403,"why":"no"}}'
        )
        assert not socket.closed
        assert connector.counters.clients_turned_away == 1
        connector.reactor.advance(10)
        connector.reactor.settle()
        socket.packets()
        assert socket.code == 1008

    @pytest.mark.parametrize("polls", [False, True])
    def test_refused_in_version_4(self, make_socketio: Make, polls: bool) -> None:
        """Its library takes what comes for the error; without the rest, it would try for ever."""
        connector, _ = hooked(make_socketio, ClientError(403, why="no"))
        client: Any = (Poller if polls else Socket)(connector, 3)
        assert client.greeted == ['44{"code":403,"why":"no"}', "41"]
        if not polls:
            client.packets()
            assert client.code == 1000
        assert connector.counters.sessions_now == 0

    def test_the_log_says_who_is_refused(self, make_socketio: Make) -> None:
        connector, _ = hooked(make_socketio, ClientError(403, why="no"))
        with capturedLogs() as events:
            Socket(connector).connect()
            Socket(connector).connect("40/nowhere")
        assert [formatEvent(event) for event in events] == [
            'The handshake of 192.0.2.1:54321 is refused: {"code":403,"why":"no"}'
            " refused by the application",
            "192.0.2.1:54321 asks for the namespace '/nowhere', which is not in"
            " socketio.namespaces",
        ]

    @pytest.mark.logs_failures
    def test_a_mistake(self, make_socketio: Make) -> None:
        connector, _ = hooked(make_socketio, ValueError("secret"))
        assert Socket(connector).connect() == '44{"message":"the server failed"}'

    def test_too_old(self, make_socketio: Make) -> None:
        connector = make_socketio(welcome={"check_client": lambda type, version: version == "4"})
        assert Socket(connector).connect().startswith('40{"sid"')
        assert Socket(connector, 3).greeted == ['44"its client is too old"', "41"]

    @BOTH
    def test_it_takes_its_time(self, make_socketio: Make, revision: int) -> None:
        waiting: Deferred[Any] = Deferred()
        connector, _ = hooked(make_socketio, waiting)
        socket = Socket(connector, revision)
        if revision == 4:
            socket.say("40")
        socket.say("40", '42["a.b.c"]')
        assert socket.packets() == []
        assert (connector.asked, connector.counters.sessions_now) == ([], 0)
        waiting.callback(None)
        connector.reactor.settle()
        assert socket.packets()[0].startswith("40")
        assert connector.counters.sessions_now == 1

    @BOTH
    @pytest.mark.parametrize("how", ["gone", "left"])
    def test_the_client_does_not_wait(self, make_socketio: Make, revision: int, how: str) -> None:
        waiting: Deferred[Any] = Deferred()
        cancelled: list[Any] = []
        waiting.addErrback(cancelled.append)
        connector, _ = hooked(make_socketio, waiting)
        socket = Socket(connector, revision)
        if revision == 4:
            socket.say("40")
        if how == "gone":
            socket.hang_up()
        else:
            socket.say("1")
        connector.reactor.settle()
        assert len(cancelled) == 1
        assert connector.counters.sessions_now == 0

    def test_the_time_for_it_is_limited(self, make_socketio: Make) -> None:
        connector, _ = hooked(make_socketio, Deferred())
        socket = Socket(connector)
        socket.say("40")
        connector.reactor.advance(5)
        connector.reactor.settle()
        assert socket.packets() == ['44{"message":"the server failed"}']


class TestDisconnect:
    @BOTH
    def test_from_the_main_namespace(self, connector: Connector, revision: int) -> None:
        """The connection stays for another one, and is closed if there is none in time."""
        socket = connected(connector, revision)
        socket.say("41")
        assert connector.counters.sessions_now == 0
        assert socket.packets() == []
        assert not socket.closed
        assert socket.connect("40/custom,").startswith("40/custom,")
        assert connector.counters.sessions_now == 1
        socket.say("41/custom,")
        connector.reactor.advance(10)
        connector.reactor.settle()
        assert socket.packets() == []
        assert socket.code == 1008

    @BOTH
    def test_from_another_namespace(self, connector: Connector, revision: int) -> None:
        socket = connected(connector, revision)
        socket.connect("40/custom")
        socket.say("41/custom", '42["a.b.c"]', '42/custom,["a.b.c"]')
        assert len(connector.asked) == 1
        assert connector.counters.sessions_now == 1
        assert not socket.closed

    def test_sessions_end_with_it(self, connector: Connector) -> None:
        told: list[Any] = []
        connector.sessions.on_session_closed(lambda session, why: told.append((session.id, why)))
        socket = connected(connector)
        socket.connect("40/custom")
        socket.say("41/custom")
        assert told == [(2, "disconnect")]
        socket.hang_up()
        assert told == [(2, "disconnect"), (1, "disconnect")]

    def test_by_the_server(self, connector: Connector) -> None:
        """A kick names its reason; where it was the last namespace, the connection ends."""
        socket = connected(connector)
        socket.connect("40/custom")
        first, second = connector.sessions
        second.connection.kick("rude")
        connector.reactor.settle()
        assert socket.packets() == ['42/custom,["onKick",{"reason":"rude"}]', "41/custom,"]
        assert connector.counters.sessions_now == 1
        first.connection.kick("rude")
        connector.reactor.settle()
        assert socket.packets() == ['42["onKick",{"reason":"rude"}]', "41"]
        assert socket.code == 1000
        assert connector.counters.clients_kicked == 2

    def test_by_the_server_to_who_polls(self, connector: Connector) -> None:
        poller = Poller(connector)
        poller.connect()
        poller.poll()
        poller.session.connection.kick("rude")
        connector.reactor.settle()
        assert poller.polled() == ['42["onKick",{"reason":"rude"}]', "41"]
        assert poller.polls.get(poller.target).json["code"] == 1

    def test_answers_to_who_has_left_are_kept(self, connector: Connector) -> None:
        socket = connected(connector)
        socket.connect("40/custom")
        socket.say('42/custom,5["a.b.c"]', "41/custom,")
        reply(connector, 1)
        assert socket.packets() == []
        assert is_served(connector, socket)


def is_served(connector: Connector, socket: Socket) -> bool:
    socket.say('4277["a.b.c"]')
    if len(connector.asked) != 1:
        return False
    reply(connector, "here")
    return socket.packets() == ['4377["here"]']


class TestMessages:
    @BOTH
    def test_an_event(self, connector: Connector, revision: int) -> None:
        socket = connected(connector, revision)
        socket.say('42["chat.chatHandler.send",{"a":[1,"2",null,true]}]')
        (asked,) = connector.asked
        assert (asked.message.route, asked.reply) == ("chat.chatHandler.send", None)
        assert asked.message.body == b'{"a":[1,"2",null,true]}'
        assert asked.session.connection.encoding.decode(asked.message) == {
            "a": [1, "2", None, True]
        }
        assert connector.counters.notifies == 1

    @BOTH
    def test_an_event_that_is_acknowledged(self, connector: Connector, revision: int) -> None:
        socket = connected(connector, revision)
        socket.say('42456["a.b.c",{"n":1}]')
        reply(connector, {"code": 200, "text": "你好"})
        assert socket.packets() == ['43456[{"code":200,"text":"你好"}]']
        assert connector.counters.requests == 1

    @BOTH
    def test_in_a_namespace(self, connector: Connector, revision: int) -> None:
        socket = connected(connector, revision)
        socket.connect("40/管理,")
        socket.say('42/管理,0["a.b.c"]')
        reply(connector, None)
        assert socket.packets() == ["43/管理,0[null]"]

    @BOTH
    def test_bytes(self, connector: Connector, revision: int) -> None:
        socket = connected(connector, revision)
        kind = b"\4" if revision == 3 else b""
        socket.say(
            '452-789["a.b.c",{"a":{"_placeholder":true,"num":0},"b":{"_placeholder":true,"num":1}}]'
        )
        socket.say_bytes(kind + b"\1\2\3")
        assert connector.asked == []
        socket.say_bytes(kind + b"\4\5\6")
        (asked,) = connector.asked
        encoding = asked.session.connection.encoding
        assert encoding.decode(asked.message) == {"a": b"\1\2\3", "b": b"\4\5\6"}
        assert not encoding.is_json(asked.message)
        reply(connector, [b"\1\2\3", {"x": b"\4\5\6"}])
        assert socket.packets() == [
            '462-789[[{"_placeholder":true,"num":0},{"x":{"_placeholder":true,"num":1}}]]',
            f"b{(kind + bytes([1, 2, 3])).hex()}",
            f"b{(kind + bytes([4, 5, 6])).hex()}",
        ]

    def test_bytes_pushed(self, connector: Connector) -> None:
        socket = connected(connector)
        push(socket.session, "onImage", {"data": b"\xff\0"})
        connector.reactor.settle()
        assert socket.packets() == [
            '451-["onImage",{"data":{"_placeholder":true,"num":0}}]',
            "bff00",
        ]

    def test_more_arguments_than_one(self, connector: Connector) -> None:
        """A handler takes one message."""
        socket = connected(connector)
        socket.say('425["a.b.c",1,2]')
        assert connector.asked == []
        assert socket.packets() == ['435[{"code":500}]']
        assert connector.counters.requests_refused == 1
        with capturedLogs() as events:
            socket.say('42["a.b.c",1,2]')
        assert socket.packets() == []
        (line,) = map(formatEvent, events)
        assert "emits 'a.b.c' with several arguments" in line and "into one object" in line
        assert is_served(connector, socket)

    def test_an_answer_that_can_not_be_sent(self, connector: Connector) -> None:
        socket = connected(connector)
        socket.say('425["a.b.c"]')
        reply(connector, {1, object})
        assert socket.packets() == ['435[{"code":500}]']

    def test_a_push_that_can_not_be_sent(self, connector: Connector) -> None:
        from chatcore.errors import SocketioError

        socket = connected(connector)
        with pytest.raises(SocketioError):
            push(socket.session, "disconnect", 1)

    def test_acknowledgements_that_nobody_asked_for(self, connector: Connector) -> None:
        socket = connected(connector)
        socket.say('431["x"]', "430[]")
        assert is_served(connector, socket)

    @BOTH
    @pytest.mark.parametrize(
        "packet",
        [
            "4abc",
            "42{}",
            "42",
            "42[]",
            "42[1.5]",
            '42abc["a.b.c",1]',
            '42["a.b.c"',
            '42["a.b.c"]]',
            '42["a.b.c",]',
            '42["connect"]',
            '42["disconnect",1]',
            '4299999999999999999["a.b.c"]',
            '451["a.b.c",1]',
            '45-["a.b.c",1]',
            '4511-["a.b.c",1]',
            '451-["a.b.c",{"_placeholder":true,"num":0}]\x00',
            "43[]",
            "43",
            "49",
            "4",
            '42/custom["a.b.c"]x',
        ],
    )
    def test_what_is_none(self, connector: Connector, revision: int, packet: str) -> None:
        neighbour, socket = connected(connector), connected(connector, revision)
        socket.say(packet)
        assert socket.packets() == []
        assert socket.code == 1002
        assert connector.counters.clients_broken == 1
        assert connector.counters.sessions_now == 1
        assert is_served(connector, neighbour)

    @BOTH
    def test_attachments_out_of_place(self, connector: Connector, revision: int) -> None:
        kind = b"\4" if revision == 3 else b""
        announced = '451-["a.b.c",{"_placeholder":true,"num":0}]'
        for said in (
            [frame(kind + b"x")],
            [frame(announced.encode().join([b"", b""]) or announced.encode(), 1)] * 2,
            [frame(announced.replace('num":0', 'num":1').encode(), 1), frame(kind + b"x")],
            [frame(announced.encode(), 1), frame(kind + b"x" * 65537)],
        ):
            socket = connected(connector, revision)
            socket.client.send(b"".join(said))
            assert socket.packets() == []
            assert socket.code in (1002, 1009), said
        assert connector.asked == []

    @pytest.mark.parametrize("packet", ['40{"a":%s}', "40/custom,%s", '440{"a":%s}', "430[%s]"])
    def test_what_is_deep_anywhere(self, connector: Connector, packet: str) -> None:
        neighbour, socket = connected(connector), Socket(connector)
        socket.say(packet % ("[" * 30_000 + "]" * 30_000))
        assert socket.packets() == []
        assert connector.counters.clients_broken == 1
        assert is_served(connector, neighbour)

    def test_names_that_mean_something_to_others(self, connector: Connector) -> None:
        """Whatever a client calls its events, it is a route, and routes are looked up."""
        socket = connected(connector)
        for name in ("__proto__", "constructor", "error", "1", "你好", "a" * 255):
            socket.say(f"42[{json.dumps(name)},1]")
            assert connector.asked.pop().message.route == name

    def test_names_that_are_longer_than_routes(self, connector: Connector) -> None:
        socket = connected(connector)
        with capturedLogs() as events:
            socket.say(f'421["{"a" * 256}",1]')
        assert connector.asked == []
        assert socket.packets() == ['431[{"code":500}]']
        assert connector.counters.requests_refused == 1
        (line,) = map(formatEvent, events)
        assert len(line) < 300
        assert is_served(connector, socket)

    def test_a_value_that_is_deep(self, connector: Connector) -> None:
        neighbour, socket = connected(connector), connected(connector)
        deep = "[" * 20_000 + "]" * 20_000
        socket.say(f'421["a.b.c",{deep}]')
        assert is_served(connector, neighbour)
        assert connector.counters.clients_broken == 1

    def test_pushes_are_made_once_for_all(self, connector: Connector) -> None:
        """Clients of a kind share their encoding."""
        sockets = [connected(connector) for _ in range(3)]
        assert len({id(each.session.connection.encoding) for each in sockets}) == 1
        made = sockets[0].session.connection.encoding.push("onChat", Body("x"))
        assert made == frame(b'42["onChat","x"]', 1, mask=None)
