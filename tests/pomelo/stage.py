"""Where the same script is played to two servers, and what was seen is written down."""

from __future__ import annotations

import json
import re
import socket
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pomelo.carriers import CARRIERS, Closed, ICarrier, Package, WebSocketCarrier
from pomelo.raw_client import (
    ACK,
    DATA,
    HANDSHAKE,
    HEARTBEAT,
    KICK,
    RESPONSE,
    Message,
    message,
    package,
    read_message,
    request,
)
from pomelo.servers import IServers

PATIENT = 60.0
"""Seconds to wait for what has to come."""

NAMES = {HANDSHAKE: "handshake", HEARTBEAT: "heartbeat", KICK: "kick"}
_FENCE = 1 << 27
_PORT = re.compile(r'"port":\d+')


class Actor:
    """A client in a script. Whatever it is sent gets into the transcript, in order.

    Args:
        name: what the transcript calls it.
        patience: seconds to wait, after which nothing is taken for silence.
        elsewhere: has another client served: if that is quick, silence is not slowness.
        lines: the transcript.
    """

    def __init__(
        self,
        *,
        name: str,
        kind: str,
        carrier: ICarrier,
        patience: float,
        elsewhere: Callable[[], None],
        lines: list[str],
    ) -> None:
        self.name, self._kind = name, kind
        self._carrier, self._patience, self._lines = carrier, patience, lines
        self._elsewhere = elsewhere
        self._seen: list[str] = []
        self._fences = 0
        self._over = self._answered = False
        self.last = b""

    def send(self, *pieces: bytes) -> None:
        """Send pieces, each in a frame of its own or, over TCP, one after the other."""
        for each in pieces:
            self._carrier.send(each)

    def send_text(self, data: bytes) -> None:
        """Send a text frame."""
        assert isinstance(self._carrier, WebSocketCarrier)
        self._carrier.send_text(data)

    def shake(self, sys: object = None, **more: object) -> None:
        """Shake hands, acknowledge, and take what comes until the server works."""
        self.greet({"type": "oracle", "version": "1.0"} if sys is None else sys, **more)
        self.take()
        self.send(package(ACK))
        self.fence()

    def greet(self, sys: object, **more: object) -> None:
        """Send the handshake."""
        self.send(package(HANDSHAKE, json.dumps({"sys": sys, **more}).encode()))

    def ask(self, number: int, route: str | int, body: object = None, count: int = 1) -> None:
        """Send a request, and take what comes: its answer and other packages."""
        self.send(request(number, route, _json(body)))
        self.take(count)

    def take(self, count: int = 1) -> None:
        """Write down the next packages."""
        for _ in range(count):
            if not self._note():
                break

    def gather(self, count: int) -> None:
        """Write down the next packages in an order of ours, where theirs is promised by nobody."""
        start = len(self._lines)
        self.take(count)
        self._lines[start:] = sorted(self._lines[start:])

    def gather_until(self, *words: str) -> None:
        """Write down what comes until each of these words has, in an order of ours."""
        start = len(self._lines)
        while not all(any(word in line for line in self._lines[start:]) for word in words):
            if not self._note():
                break
        self._lines[start:] = sorted(self._lines[start:])

    def fence(self, route: str | None = None) -> None:
        """Ask for something harmless; write down what comes before its answer, and that it came."""
        if self._served(route):
            self._write("served")

    def ended(self) -> None:
        """Write down what comes until the server closes."""
        while self._note():
            pass

    def close_code(self) -> None:
        """The same, and the code with which it closes."""
        while self._note(code=True):
            pass

    def busy(self, seconds: float) -> None:
        """Ask for something harmless again and again, and say whether that was answered."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._over:
            self._served()
            time.sleep(0.1)
        if not self._over:
            self._write("served")

    def leave(self) -> None:
        """Hang up."""
        self._over = True
        self._carrier.close()

    def _served(self, route: str | None = None) -> bool:
        self._fences += 1
        number = _FENCE + self._fences
        self.send(request(number, route or HARMLESS[self._kind], b'{"uid":"fence"}'))
        self._answered = False
        while not self._answered and self._note(until=number):
            pass
        return self._answered

    def _control(self) -> bool:
        """Whether something came after all, while another client was served."""
        self._elsewhere()
        try:
            self._keep(self._carrier.receive(0.2))
        except TimeoutError:
            return False
        except Closed:
            return True  # and it will say so again
        return True

    def _keep(self, found: list[Package]) -> None:
        self.last = found[-1][1]
        self._seen += [_line(each) for each in found]

    def _note(self, until: int | None = None, code: bool = False) -> bool:
        """Write down one package; False after the last."""
        if self._over:
            return False
        if not self._seen:
            try:
                found = self._carrier.receive(self._patience)
            except TimeoutError:
                if self._control():
                    return self._note(until, code)
                self._write("silence")
                return False
            except Closed as closed:
                self._over = True
                self._write(f"closed {closed.code}" if code else "closed")
                return False
            self._keep(found)
        line = self._seen.pop(0)
        if until is not None and line.startswith(f"response {until} "):
            self._answered = True
            return True
        self._write(line)
        return True

    def _write(self, line: str) -> None:
        self._lines.append(f"{self.name}: {line}" if self.name else line)


HARMLESS = {
    "gate": "gate.gateHandler.queryEntry",
    "connector": "lab.labHandler.nothing",
    "probe": "probe.probeHandler.nothing",
    "bare": "bare.bareHandler.nothing",
    "air": "air.airHandler.nothing",
}


@dataclass
class Stage:
    """One server, one kind of carrier, and a transcript.

    Args:
        servers: Pomelo's or ours.
        carrier: how clients come in.
        patience: seconds after which nothing is taken for silence.
    """

    servers: IServers
    carrier: str
    patience: float
    lines: list[str] = field(default_factory=list)
    _actors: list[Actor] = field(default_factory=list)

    def actor(self, kind: str, name: str = "", number: int = 1) -> Actor:
        """A client that is connected to a server of a type; nothing is said yet."""
        actor = Actor(
            name=name,
            kind=kind,
            carrier=CARRIERS[self.carrier](self.servers.port(f"{kind}-server-{number}")),
            patience=self.patience,
            elsewhere=lambda: self._serve_another(kind),
            lines=self.lines,
        )
        self._actors.append(actor)
        return actor

    def speak(self, kind: str, data: bytes) -> None:
        """Send something that is not Pomelo's, and write down the first line that comes back."""
        with socket.create_connection(
            ("127.0.0.1", self.servers.port(f"{kind}-server-1")), PATIENT
        ) as plain:
            plain.sendall(data)
            plain.settimeout(self.patience)
            try:
                found = plain.recv(4096)
            except TimeoutError:
                self._serve_another(kind)
                self.lines.append("silence")
            except ConnectionError:
                self.lines.append("closed")
            else:
                line = found.partition(b"\r\n")[0].decode()
                self.lines.append(line or "closed")

    def _serve_another(self, kind: str) -> None:
        """Have somebody else served by a server of that type, and by one behind it."""
        other = Stage(self.servers, self.carrier, PATIENT)
        try:
            if kind not in HARMLESS:
                other.learn(kind, {"rsa": {"rsa_n": "c5" * 128, "rsa_e": "10001"}})
                return
            one = other.at_work(kind)
            if kind != "gate":
                one.fence(HARMLESS["connector"])
                assert other.lines == ["served"], other.lines
        finally:
            other.close()

    def at_work(self, kind: str, name: str = "", number: int = 1) -> Actor:
        """A client that has shaken hands; that part isn't written down."""
        actor = self.actor(kind, name, number)
        start = len(self.lines)
        actor.shake()
        del self.lines[start:]
        return actor

    def learn(self, kind: str, sys: object = None) -> dict[str, Any]:
        """The part `sys` of a server's handshake."""
        actor = self.actor(kind)
        start = len(self.lines)
        actor.greet(sys or {})
        actor.take()
        del self.lines[start:]
        return dict(json.loads(actor.last)["sys"])

    def versions(self, kind: str) -> dict[str, str]:
        """What a client says that has a server's dictionary and schemas from before."""
        sys = self.learn(kind)
        return {"dictVersion": sys["dictVersion"], "protoVersion": sys["protos"]["version"]}

    def unique(self, what: str) -> str:
        """A name that only this script has on this carrier, and the same on both servers."""
        return f"n{zlib.crc32(f'{self.carrier} {what}'.encode())}"

    def close(self) -> None:
        for actor in self._actors:
            actor.leave()


def _json(body: object) -> bytes:
    return json.dumps({} if body is None else body, ensure_ascii=False).encode()


def _line(found: tuple[int, bytes]) -> str:
    kind, body = found
    if kind != DATA:
        return f"{NAMES[kind]} {_text(body)}".rstrip()
    each = read_message(body)
    canonical = message(*each)[4:]
    spelled = "" if canonical == body else f" (spelled {body.hex()})"
    return f"{_head(each)} {_text(each.body)}{spelled}".rstrip()


def _head(each: Message) -> str:
    if each.kind == RESPONSE:
        return f"response {each.id}"
    return f"push {'#' * isinstance(each.route, int)}{each.route}"


def _text(body: bytes) -> str:
    """A body as it is, except for ports, which can't be the same."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return f"hex {body.hex()}"
    return _PORT.sub('"port":0', text) if text.isprintable() else f"hex {body.hex()}"


def warm_up(servers: IServers, patience: float = PATIENT) -> None:
    """Have every backend push to every connector once.

    While Pomelo connects to another server, it queues what it pushes there by reference, and who
    joins a channel in that moment gets what was pushed before.

    Args:
        patience: seconds to wait for each answer.

    Raises:
        AssertionError: its servers don't reach each other.
    """
    for number in (1, 2):
        stage = Stage(servers, "websocket", patience)
        one = stage.at_work("connector", number=number)
        one.ask(1, "connector.entryHandler.enter", {"username": "early", "rid": f"warm{number}"})
        one.ask(2, "chat.chatHandler.send", {"content": "", "target": "*"}, count=2)
        push = {"route": "onOther", "msg": {}}
        one.ask(3, "lab.labHandler.push", push, count=2)
        stage.close()
        entered = 'response 1 {"users":["early"]}'
        assert entered in stage.lines and len(stage.lines) == 5, stage.lines
