"""Pomelo's messages, composed as its library for socket.io does it, in every generation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from twisted.logger import capturedLogs, formatEvent

from chatcore.connectors.draining import Draining
from chatcore.connectors.settings import DrainSettings

from ..clients import Connector
from .clients import OldPoller, OldSocket, Poller, Socket, Web, push, reply

Make = Callable[..., Connector]


def composed(id: int, route: str, body: Any) -> str:
    """As pomelo-jsclient-socket.io composes it: each byte of the head is a character."""
    head = "".join(map(chr, id.to_bytes(4, "big"))) + chr(len(route))
    return head + route + (body if isinstance(body, str) else json.dumps(body))


class Client:
    """A client of any generation that speaks so."""

    def __init__(self, connector: Connector, generation: str, transport: str) -> None:
        self.old, self.polls = generation == "0.9", transport == "polling"
        if self.old:
            self.raw: Any = (OldPoller if self.polls else OldSocket)(connector)
            if self.polls:
                self.raw.packets()
        else:
            revision = 4 if generation == "4.x" else 3
            self.raw = (Poller if self.polls else Socket)(connector, revision)
            if revision == 4:
                self.raw.connect()

    @property
    def session(self) -> Any:
        return self.raw.session

    def send(self, text: str) -> None:
        """As ``socket.send`` does."""
        self.raw.say(f"3:::{text}" if self.old else f'42["message",{json.dumps(text)}]')

    def emit(self, text: str) -> None:
        """As ``socket.emit("message", …)`` does."""
        if self.old:
            event = {"name": "message", "args": [text]}
            self.raw.say(f"5:::{json.dumps(event)}")
        else:
            self.send(text)

    def got(self) -> list[Any]:
        """What the library would parse."""
        found: list[Any] = []
        for packet in self.raw.packets():
            if self.old:
                if packet in ("0::", "8::"):
                    continue
                assert packet.startswith("3:::"), packet
                found.append(json.loads(packet[4:]))
            elif packet not in ("41", "1"):
                assert packet.startswith('42["message",'), packet
                (_, text) = json.loads(packet[2:])
                found.append(json.loads(text))
        return found


@pytest.fixture(params=["polling", "websocket"])
def transport(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture(params=["0.9", "1.x", "4.x"])
def client(request: pytest.FixtureRequest, connector: Connector, transport: str) -> Client:
    return Client(connector, request.param, transport)


TEXT = "你好 é 😀 \u2028 \"'\\ \n\u0000"


def test_a_request(client: Client, connector: Connector) -> None:
    client.send(composed(2, "chat.chatHandler.send", {"content": TEXT, "timestamp": 1}))
    (asked,) = connector.asked
    assert (asked.message.id, asked.message.route) == (2, "chat.chatHandler.send")
    value = asked.session.connection.encoding.decode(asked.message)
    assert value == {"content": TEXT, "timestamp": 1}
    reply(connector, {"code": 200, "content": TEXT})
    assert client.got() == [{"id": 2, "body": {"code": 200, "content": TEXT}}]
    assert connector.counters.requests == 1


@pytest.mark.parametrize("id", [1, 127, 128, 255, 256, 65536, 2**31, 2**32 - 1])
def test_ids(client: Client, connector: Connector, id: int) -> None:
    client.send(composed(id, "a.b.c", {}))
    reply(connector, 1)
    assert client.got() == [{"id": id, "body": 1}]


def test_a_notify(client: Client, connector: Connector) -> None:
    client.send(composed(0, "a.b.c", {"n": 1}))
    assert connector.asked[0].reply is None
    assert connector.counters.notifies == 1


def test_a_notify_with_an_id_that_was_used(client: Client, connector: Connector) -> None:
    """Pomelo's own library sends them so, and forgets the answer."""
    client.send(composed(2, "a.b.c", {"n": 1}))
    client.send(composed(2, "a.b.c", {"n": 2}))
    reply(connector, 1)
    reply(connector, 2)
    assert client.got() == [{"id": 2, "body": 1}, {"id": 2, "body": 2}]


def test_as_an_event(client: Client, connector: Connector) -> None:
    client.emit(composed(3, "a.b.c", {}))
    reply(connector, 1)
    assert client.got() == [{"id": 3, "body": 1}]


def test_pushes(client: Client, connector: Connector) -> None:
    client.send(composed(2, "a.b.c", {}))
    push(client.session, "onChat", {"route": "onChat", "msg": TEXT})
    reply(connector, 1)
    assert client.got() == [
        {"route": "onChat", "body": {"route": "onChat", "msg": TEXT}},
        {"id": 2, "body": 1},
    ]


def test_a_kick(client: Client, connector: Connector) -> None:
    client.send(composed(0, "a.b.c", {}))
    client.session.connection.kick("rude")
    connector.reactor.settle()
    assert client.got() == [{"route": "onKick", "reason": "rude"}]


def test_where_to_go_on(client: Client, connector: Connector) -> None:
    client.send(composed(0, "a.b.c", {}))
    draining = Draining(
        parts=connector.parts, settings=DrainSettings(), elsewhere=lambda key: ("door-2", 3011)
    )
    draining.begin()
    connector.reactor.settle()
    moved = {"route": "onKick", "reason": "moved", "host": "door-2", "port": 3011}
    assert client.got() == [moved]
    draining.stop()


def test_before_it_says_so_it_is_not_known(client: Client, connector: Connector) -> None:
    """How a client is written to follows from how it writes."""
    push(client.session, "onChat", 1)
    connector.reactor.settle()
    (packet,) = client.raw.packets()
    assert packet in ('42["onChat",1]', '5:::{"name":"onChat","args":[1]}')


@pytest.mark.parametrize(
    "text",
    ["", "a", "abcd", "\0\0\0\2\x05a.b", "\0\0\0\2\0{}", "\0\0\0\2\xffa.b.c"],
)
def test_what_is_none(client: Client, connector: Connector, text: str) -> None:
    """In Pomelo, an exception that nobody catches; here it is refused, and life goes on."""
    with capturedLogs() as events:
        client.send(text)
    assert connector.asked == []
    assert connector.counters.requests_refused == 1
    (line,) = map(formatEvent, events)
    assert "where Pomelo's messages come in" in line
    client.send(composed(2, "a.b.c", {}))
    reply(connector, 1)
    assert client.got() == [{"id": 2, "body": 1}]


def test_a_body_that_is_no_json(client: Client, connector: Connector) -> None:
    """It is the dispatcher's to refuse; a connector does not read bodies."""
    client.send(composed(2, "a.b.c", "{"))
    assert connector.asked[0].message.body == b"{"


def test_what_is_no_text_is_an_event(connector: Connector) -> None:
    socket = Socket(connector, 3)
    socket.say('421["message",{"a":1}]', '422["message"]', '423["message","x","y"]')
    assert [asked.message.route for asked in connector.asked] == ["message"] * 2
    assert socket.packets() == ['433[{"code":500}]']


def test_half_an_emoji(connector: Connector) -> None:
    """Somebody cut a text between the two halves; it is a question mark to others."""
    client = Client(connector, "1.x", "websocket")
    client.send(composed(2, "a.b.c", '"\ud83d"'))
    (asked,) = connector.asked
    assert asked.session.connection.encoding.decode(asked.message) == "\ufffd"


def test_in_one_room_with_others(make_socketio: Make) -> None:
    """Each hears a push in its own way."""
    connector = make_socketio()
    kinds = [(each, how) for each in ("0.9", "1.x", "4.x") for how in ("polling", "websocket")]
    pomelos = [Client(connector, *kind) for kind in kinds]
    plain = [Client(connector, *kind) for kind in kinds]
    binary = connector.enter()
    for each in pomelos:
        each.send(composed(0, "a.b.c", {}))
    for session in connector.sessions:
        push(session, "onChat", {"msg": TEXT})
    connector.reactor.settle()
    for each in pomelos:
        assert each.got() == [{"route": "onChat", "body": {"msg": TEXT}}]
    for each in plain:
        (packet,) = each.raw.packets()
        text = packet.removeprefix("5:::" if each.old else "42")
        said = json.loads(text)
        assert said == (
            {"name": "onChat", "args": [{"msg": TEXT}]} if each.old else ["onChat", {"msg": TEXT}]
        )
    (message,) = binary.messages()
    assert json.loads(message.body) == {"msg": TEXT}
    assert connector.counters.sessions_now == 13


class TestBatches:
    """Where outboxes collect for a while, what they have collected comes as one message."""

    @pytest.fixture
    def connector(self, make_socketio: Make) -> Connector:
        return make_socketio(outbox={"interval": 0.05}, socketio={"namespaces": ("/", "/other")})

    @staticmethod
    def collect(connector: Connector) -> None:
        connector.reactor.advance(0.05)
        connector.reactor.settle()

    @staticmethod
    @contextmanager
    def patience(connector: Connector) -> Iterator[None]:
        """To shake hands takes the outbox's time, too."""
        reactor: Any = connector.reactor
        settle = reactor.settle
        reactor.settle = lambda: (reactor.advance(0.05), settle())
        yield
        del reactor.settle

    @pytest.fixture
    def client(
        self, request: pytest.FixtureRequest, connector: Connector, transport: str
    ) -> Client:
        with self.patience(connector):
            return Client(connector, request.param, transport)

    GENERATIONS = pytest.mark.parametrize("client", ["0.9", "1.x", "4.x"], indirect=True)

    @GENERATIONS
    def test_what_came_together(self, client: Client, connector: Connector) -> None:
        push(client.session, "onBefore", 0)
        client.send(composed(2, "a.b.c", {}))
        for number in range(3):
            push(client.session, "onChat", {"n": number, "text": TEXT})
        reply(connector, {"code": 200})
        if client.polls:
            client.raw.poll()
        else:
            assert client.raw.packets() == []
        self.collect(connector)
        before, *packets = client.raw.polled() if client.polls else client.raw.packets()
        assert "onBefore" in before
        (text,) = packets
        said = json.loads(text[4:] if client.old else json.loads(text[2:])[1])
        assert said == [
            *({"route": "onChat", "body": {"n": n, "text": TEXT}} for n in range(3)),
            {"id": 2, "body": {"code": 200}},
        ]

    @GENERATIONS
    def test_one_alone_is_no_batch(self, client: Client, connector: Connector) -> None:
        client.send(composed(0, "a.b.c", {}))
        push(client.session, "onChat", 1)
        if client.polls:
            client.raw.poll()
        self.collect(connector)
        text = client.raw.polled()[0] if client.polls else client.raw.packets()[0]
        assert json.loads(text[4:] if client.old else json.loads(text[2:])[1]) == {
            "route": "onChat",
            "body": 1,
        }

    @GENERATIONS
    def test_a_kick(self, client: Client, connector: Connector) -> None:
        client.send(composed(0, "a.b.c", {}))
        push(client.session, "onChat", 1)
        client.session.connection.kick("rude")
        first, second = client.raw.packets()
        assert json.loads(first[4:] if client.old else json.loads(first[2:])[1]) == [
            {"route": "onChat", "body": 1},
            {"route": "onKick", "reason": "rude"},
        ]
        assert second == ("0::" if client.old else "41")

    def test_who_does_not_speak_so_gets_none(self, connector: Connector) -> None:
        with self.patience(connector):
            socket = Socket(connector, 3)
        push(socket.session, "onChat", 1)
        push(socket.session, "onChat", 2)
        self.collect(connector)
        assert socket.packets() == ['42["onChat",1]', '42["onChat",2]']

    def test_each_namespace_has_its_own(self, connector: Connector) -> None:
        with self.patience(connector):
            socket = Socket(connector, 3)
            socket.say("40/other")
        said = json.dumps(composed(0, "a.b.c", {}))
        socket.say(f'42["message",{said}]')
        first, second = connector.sessions
        push(first, "onChat", 1)
        push(first, "onChat", 2)
        push(second, "onChat", 3)
        push(first, "onChat", b"")
        socket.ping(b"x")
        self.collect(connector)
        texts = [
            r"[{\"route\":\"onChat\",\"body\":1},{\"route\":\"onChat\",\"body\":2}]",
            r"{\"route\":\"onChat\",\"body\":\"\"}",
        ]
        assert [payload.decode() for _, payload in socket.frames()][-4:] == [
            f'42["message","{texts[0]}"]',
            '42/other,["onChat",3]',
            f'42["message","{texts[1]}"]',
            "x",
        ]

    def test_from_polling_to_a_websocket(self, connector: Connector) -> None:
        with self.patience(connector):
            poller = Poller(connector, 3)
        said = json.dumps(composed(0, "a.b.c", {}))
        poller.say(f'42["message",{said}]')
        push(poller.session, "onChat", 1)
        web = Web(connector, poller.target.replace("polling", "websocket"))
        web.say("2probe", "5")
        push(poller.session, "onChat", 2)
        self.collect(connector)
        probe, text = web.packets()
        assert [each["body"] for each in json.loads(json.loads(text[2:])[1])] == [1, 2]
        assert probe == "3probe"

    @pytest.mark.parametrize("policy", ["disconnect", "drop-oldest", "newest-per-route"])
    def test_who_does_not_read_while_it_begins(self, make_socketio: Make, policy: str) -> None:
        """What waits in frames already comes before what is held."""
        connector = make_socketio(outbox={"interval": 0.05, "policy": policy})
        with self.patience(connector):
            socket = Socket(connector, 3)
            socket.client.socket.room = 0
            push(socket.session, "on1", 1)
        push(socket.session, "on2", 2)
        said = json.dumps(composed(7, "a.b.c", {}))
        socket.say(f'42["message",{said}]')
        push(socket.session, "on3", 3)
        reply(connector, 4)
        self.collect(connector)
        assert socket.packets() == []
        socket.client.socket.room = 1 << 60
        self.collect(connector)
        first, second, batch = socket.packets()
        assert (first, second) == ('42["on1",1]', '42["on2",2]')
        assert json.loads(json.loads(batch[2:])[1]) == [
            {"route": "on3", "body": 3},
            {"id": 7, "body": 4},
        ]
        assert socket.session.connection.outbox.waiting == 0
