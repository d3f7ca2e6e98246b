"""Clients of socket.io in memory: HTTP connections, those who poll on them, and WebSockets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chatcore.wire import engineio3, engineio4
from chatcore.wire.body import Body

from ..clients import BINARY, CLOSE, MASK, PING, TEXT, Client, Connector, frame, frames

LIMITS = {"limit": 1 << 20, "most": 10_000}


@dataclass
class Answer:
    """An answer to a request."""

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(method: str, target: str, body: bytes = b"", **fields: str) -> bytes:
    """A request as a client writes it; an underscore in a field's name is a hyphen."""
    given = {name.replace("_", "-"): value for name, value in fields.items()}
    if body or method == "POST":
        given.setdefault("Content-Length", str(len(body)))
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost:3050"]
    lines += [f"{name}: {value}" for name, value in given.items() if value]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Http:
    """One connection on which requests are made, one after the other."""

    def __init__(self, connector: Connector, host: str = "192.0.2.1") -> None:
        self.connector = connector
        self.client = connector.connect(host)
        self._came = b""
        self._methods: list[str] = []

    @property
    def refused(self) -> bool:
        return self.client.refused

    @property
    def closed(self) -> bool:
        """Whether the server has closed the connection, or at least its half of it."""
        client = self.client
        return client.closed or client.transport._writeDisconnected

    @property
    def waits(self) -> int:
        """How many requests were not answered yet."""
        self._came += self.client.take()
        return len(self._methods) - self._came.count(b"HTTP/1.1 ")

    def ask(self, method: str, target: str, body: bytes = b"", **fields: str) -> None:
        """Make a request; its answer is asked for with `answer`."""
        self._methods.append(method)
        self.client.send(request(method, target, body, **fields))

    def answers(self) -> list[Answer]:
        """The answers that came since this was asked last."""
        self._came += self.client.take()
        found = []
        while self._came:
            head, end, rest = self._came.partition(b"\r\n\r\n")
            assert end, self._came
            first, *lines = head.decode("latin-1").split("\r\n")
            pairs = [line.split(": ", 1) for line in lines]
            fields = {name.lower(): value for name, value in pairs}
            assert len(fields) == len(pairs), pairs
            status = int(first.split()[1])
            if status == 100:
                self._came = rest
                continue
            size = 0 if self._methods.pop(0) == "HEAD" else int(fields["content-length"])
            assert len(rest) >= size, rest
            found.append(Answer(status, fields, rest[:size]))
            self._came = rest[size:]
        return found

    def answer(self) -> Answer:
        """The one answer that came."""
        (one,) = self.answers()
        return one

    def get(self, target: str, **fields: str) -> Answer:
        self.ask("GET", target, **fields)
        return self.answer()

    def post(self, target: str, body: bytes = b"", **fields: str) -> Answer:
        self.ask("POST", target, body, **fields)
        return self.answer()

    def hang_up(self) -> None:
        self.client.hang_up()


class Polling:
    """A client that polls on one connection and posts on another."""

    accepted = "ok"
    connector: Connector
    host: str
    polls: Http
    sid: str
    target: str

    @cached_property
    def posts(self) -> Http:
        """Where it posts, from the first time on."""
        return Http(self.connector, self.host)

    @property
    def client(self) -> Any:
        """What stands for it on the server."""
        assert self.connector.lobby is not None
        return self.connector.lobby.clients[self.sid]

    @property
    def session(self) -> Any:
        return self.client.session

    def decode(self, answer: Answer) -> list[str]:
        """The packets of an answer, those with bytes as ``b`` and hexadecimal digits."""
        raise NotImplementedError

    def encode(self, packets: Sequence[str]) -> str:
        """Packets as they are posted."""
        raise NotImplementedError

    def poll(self) -> None:
        """Begin a poll."""
        self.polls.ask("GET", self.target)

    def polled(self) -> list[str]:
        """The packets of the poll that was answered."""
        answer = self.polls.answer()
        assert answer.status == 200, answer
        return self.decode(answer)

    def packets(self) -> list[str]:
        """Poll, and take what there is."""
        self.poll()
        return self.polled()

    def post(self, *packets: str) -> Answer:
        """Send packets."""
        body = self.encode(packets).encode()
        return self.posts.post(self.target, body, Content_Type="text/plain;charset=UTF-8")

    def say(self, *packets: str) -> None:
        """Send packets, which are taken."""
        answer = self.post(*packets)
        assert (answer.status, answer.text) == (200, self.accepted), answer

    def hang_up(self) -> None:
        self.polls.hang_up()
        self.posts.hang_up()


class Poller(Polling):
    """A client of Engine.IO that polls."""

    def __init__(
        self, connector: Connector, revision: int = 4, host: str = "192.0.2.1", query: str = ""
    ) -> None:
        self.connector, self.revision, self.host = connector, revision, host
        self.target = f"/socket.io/?EIO={revision}&transport=polling{query}"
        self.polls = Http(connector, host)
        self.first = self.polls.get(self.target)
        assert self.first.status == 200, self.first
        opened, *rest = self.decode(self.first)
        assert opened[0] == "0"
        self.said: dict[str, Any] = json.loads(opened[1:])
        self.greeted = rest
        self.sid: str = self.said["sid"]
        self.target += f"&sid={self.sid}"

    def decode(self, answer: Answer) -> list[str]:
        if answer.fields["content-type"] == "application/octet-stream":
            packets = engineio3.decode_bytes(answer.body, **LIMITS)
        elif self.revision == 3:
            packets = engineio3.decode_texts(answer.body, **LIMITS)
        else:
            packets = engineio4.decode(answer.body, **LIMITS)
        return [
            f"b{packet.data.hex()}" if packet.binary else f"{packet.kind}{packet.data.decode()}"
            for packet in packets
        ]

    def encode(self, packets: Sequence[str]) -> str:
        if self.revision == 3:
            return "".join(f"{len(packet)}:{packet}" for packet in packets)
        return "\x1e".join(packets)

    def connect(self, packet: str = "40") -> str:
        """Enter a namespace; what is said to that."""
        self.say(packet)
        (told,) = self.packets()
        return told


def upgrade(target: str, **fields: str) -> bytes:
    """A request for a WebSocket."""
    return request(
        "GET",
        target,
        Upgrade="websocket",
        Connection="Upgrade",
        Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==",
        Sec_WebSocket_Version="13",
        **fields,
    )


class Web:
    """A WebSocket; who is refused one has an `answer` instead."""

    def __init__(
        self, connector: Connector, target: str, host: str = "192.0.2.1", **fields: str
    ) -> None:
        self.connector = connector
        self.client: Client = connector.connect(host)
        self.client.send(upgrade(target, **fields))
        head, _, self._came = self.client.take().partition(b"\r\n\r\n")
        self.head = head.decode("latin-1")
        self.status = int(self.head.split()[1])
        self.code: int | None = None

    @property
    def closed(self) -> bool:
        return self.client.closed

    @property
    def refusal(self) -> tuple[int, str]:
        """Status and text of who is refused."""
        return self.status, self._came.decode()

    def frames(self) -> list[tuple[int, bytes]]:
        """What came, up to a close frame, whose code is noted."""
        data, self._came = self._came + self.client.take(), b""
        found = frames(data)
        if found and found[-1][0] == CLOSE:
            self.code = int.from_bytes(found.pop()[1][:2], "big")
        assert all(kind != CLOSE for kind, _ in found)
        return found

    def packets(self) -> list[str]:
        """The messages that came, those with bytes as ``b`` and hexadecimal digits."""
        found = self.frames()
        assert all(kind in (TEXT, BINARY) for kind, _ in found)
        return [
            payload.decode() if kind == TEXT else f"b{payload.hex()}" for kind, payload in found
        ]

    def say(self, *packets: str, settle: bool = True) -> None:
        self.client.send(b"".join(frame(each.encode(), TEXT) for each in packets), settle)

    def say_bytes(self, data: bytes) -> None:
        self.client.send(frame(data))

    def ping(self, payload: bytes = b"") -> None:
        self.client.send(frame(payload, PING))

    def answer_close(self) -> None:
        """Answer a close frame that came."""
        self.frames()
        assert self.code is not None
        self.client.send(frame(self.code.to_bytes(2, "big"), CLOSE))

    def hang_up(self) -> None:
        self.client.hang_up()


class Socket(Web):
    """A client of Engine.IO over a WebSocket."""

    def __init__(
        self, connector: Connector, revision: int = 4, host: str = "192.0.2.1", query: str = ""
    ) -> None:
        target = f"/socket.io/?EIO={revision}&transport=websocket{query}"
        super().__init__(connector, target, host)
        assert self.status == 101, self.head
        opened, *self.greeted = self.packets()
        assert opened[0] == "0"
        self.said: dict[str, Any] = json.loads(opened[1:])
        self.sid: str = self.said["sid"]

    @property
    def session(self) -> Any:
        assert self.connector.lobby is not None
        return self.connector.lobby.clients[self.sid].session

    def connect(self, packet: str = "40") -> str:
        """Enter a namespace; what is said to that."""
        self.say(packet)
        (told,) = self.packets()
        return told


def later(connector: Connector, seconds: float) -> None:
    """Let time pass, as a reactor does that is not held up."""
    while seconds > 0:
        connector.reactor.advance(min(seconds, 0.5))
        connector.reactor.settle()
        seconds -= 0.5


def reply(connector: Connector, value: Any) -> None:
    """Answer the oldest request."""
    asked = connector.asked.pop(0)
    assert asked.reply is not None
    asked.reply(Body(value))
    connector.reactor.settle()


def push(session: Any, route: str, value: Any) -> None:
    """Push to one session."""
    connection = session.connection
    connection.outbox.push(connection.encoding.push(route, Body(value)), route)


def masked(data: bytes) -> bytes:
    return bytes(each ^ MASK[at % 4] for at, each in enumerate(data))


class OldPoller(Polling):
    """A client of socket.io 0.9 that polls."""

    accepted = "1"

    def __init__(
        self,
        connector: Connector,
        host: str = "192.0.2.1",
        query: str = "",
        transport: str = "xhr-polling",
    ) -> None:
        self.connector, self.host = connector, host
        self.polls = Http(connector, host)
        self.said = self.polls.get(f"/socket.io/1/?t=1{query}").text.split(":")
        self.sid = self.said[0]
        self.target = f"/socket.io/1/{transport}/{self.sid}?t=2{query}"

    def decode(self, answer: Answer) -> list[str]:
        text = answer.text
        script, call = answer.fields["content-type"].startswith("text/javascript"), "io.j[0]("
        if script:
            assert text.startswith(call) and text.endswith(");"), text
            text = json.loads(text[len(call) : -2])
        if not text.startswith("\ufffd"):
            return [text]
        found = []
        while text:
            _, size, rest = text.split("\ufffd", 2)
            units = rest.encode("utf-16-le")
            found.append(units[: 2 * int(size)].decode("utf-16-le"))
            text = units[2 * int(size) :].decode("utf-16-le")
        return found

    def packets(self) -> list[str]:
        """Poll, and take what there is."""
        self.poll()
        return self.polled()

    def encode(self, packets: Sequence[str]) -> str:
        if len(packets) < 2:
            return "".join(packets)
        sizes = [len(packet.encode("utf-16-le")) // 2 for packet in packets]
        pairs = zip(sizes, packets, strict=True)
        return "".join(f"\ufffd{size}\ufffd{packet}" for size, packet in pairs)


class OldSocket(Web):
    """A client of socket.io 0.9 over a WebSocket."""

    def __init__(self, connector: Connector, host: str = "192.0.2.1", query: str = "") -> None:
        http = Http(connector, host)
        self.said = http.get(f"/socket.io/1/?t=1{query}").text.split(":")
        http.hang_up()
        self.sid = self.said[0]
        more = query.replace("&", "?", 1)
        super().__init__(connector, f"/socket.io/1/websocket/{self.sid}{more}", host)
        assert self.status == 101, self.head
        self.greeted = self.packets()

    @property
    def session(self) -> Any:
        assert self.connector.lobby is not None
        return self.connector.lobby.clients[self.sid].session
