"""A client of Pomelo's protocol over raw TCP: sockets and struct, nothing of chatcore's.

It is as strict as the clients in C that people have in the field: all four keys of the dictionary
or none, all of the protos or none, nothing used that was neither sent nor cached, heartbeats from
a timer of its own. What a server sent of its dictionary and schemas is kept in a folder between
runs, and their versions are sent the next time.

Run as a program, it visits a chat and prints what it saw, a line of JSON for each thing::

    python raw_client.py --gate 3014 --name alice --room lobby --say hello --store /tmp/alice
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

HANDSHAKE, ACK, HEARTBEAT, DATA, KICK = 1, 2, 3, 4, 5
REQUEST, NOTIFY, RESPONSE, PUSH = 0, 1, 2, 3


class Broken(Exception):
    """The server did what a client in C would not have survived."""


# Packages.


def package(kind: int, body: bytes = b"") -> bytes:
    """One package: type, three bytes of length, body."""
    return struct.pack("!I", kind << 24 | len(body)) + body


class Stream:
    """Cuts what comes from a socket into packages."""

    def __init__(self) -> None:
        self.waiting = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        self.waiting += data
        while len(self.waiting) >= 4:
            (head,) = struct.unpack_from("!I", self.waiting)
            kind, end = head >> 24, 4 + (head & 0xFFFFFF)
            if kind not in (HANDSHAKE, HEARTBEAT, DATA, KICK):
                raise Broken(f"a package of type {kind}")
            if len(self.waiting) < end:
                break
            body, self.waiting = self.waiting[4:end], self.waiting[end:]
            yield kind, body


# Messages.


class Message(NamedTuple):
    """One message; the route is its text or its code, and empty in a response."""

    kind: int
    id: int
    route: str | int
    body: bytes


def varint(number: int) -> bytes:
    """A number in groups of seven bits, the low ones first."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number, and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at


def message(kind: int, number: int, route: str | int, body: bytes) -> bytes:
    """A message in a package of its own."""
    compressed = isinstance(route, int)
    data = bytes((kind << 1 | compressed,))
    if kind in (REQUEST, RESPONSE):
        data += varint(number)
    if isinstance(route, int):
        data += struct.pack("!H", route)
    elif kind != RESPONSE:
        text = route.encode()
        data += bytes((len(text),)) + text
    return package(DATA, data + body)


def request(number: int, route: str | int, body: bytes = b"{}") -> bytes:
    return message(REQUEST, number, route, body)


def notify(route: str | int, body: bytes = b"{}") -> bytes:
    return message(NOTIFY, 0, route, body)


def read_message(data: bytes) -> Message:
    """Take a message apart."""
    flag, at, number = data[0], 1, 0
    kind = flag >> 1  # unmasked: a set bit above the kind would be an unknown kind
    if kind not in (RESPONSE, PUSH):
        raise Broken(f"a message with the flag {flag:#x} from a server")
    if kind == RESPONSE:
        number, at = read_varint(data, at)
        return Message(kind, number, "", data[at:])
    if flag & 1:
        return Message(kind, 0, struct.unpack_from("!H", data, at)[0], data[at + 2 :])
    end = at + 1 + data[at]
    return Message(kind, 0, data[at + 1 : end].decode(), data[end:])


# Protobuf, as Pomelo has it. A schema is in the form that a handshake carries:
# name -> {option, type, tag}, with `__tags` and `__messages`.

_FIXED = {"float": ("<f", 5), "double": ("<d", 1)}
_ZIGZAG = ("int32", "sInt32")


def encode_protobuf(schema: Mapping[str, Any], value: Mapping[str, Any]) -> bytes:
    """A value by its schema."""
    return _encode(schema, schema, value)


def decode_protobuf(schema: Mapping[str, Any], data: bytes) -> dict[str, Any]:
    """The value that was encoded by a schema."""
    return _decode(schema, schema, data)


def _nested(root: Mapping[str, Any], schema: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    found = schema["__messages"].get(kind) or root["__messages"].get(kind)
    if found is None:
        raise Broken(f"a schema without its message {kind}")
    return dict(found)


def _encode(root: Mapping[str, Any], schema: Mapping[str, Any], value: Mapping[str, Any]) -> bytes:
    data = b""
    for name, item in value.items():
        field = schema.get(name)
        if field is None:
            continue
        kind = field["type"]
        wire = 0 if kind in ("uInt32", *_ZIGZAG) else _FIXED[kind][1] if kind in _FIXED else 2
        head = varint(field["tag"] << 3 | wire)
        if field["option"] != "repeated":
            data += head + _encode_one(root, schema, kind, item)
        elif wire == 2:
            data += b"".join(head + _encode_one(root, schema, kind, each) for each in item)
        elif item:
            values = b"".join(_encode_one(root, schema, kind, each) for each in item)
            data += head + varint(len(item)) + values
    return data


def _encode_one(root: Mapping[str, Any], schema: Mapping[str, Any], kind: str, item: Any) -> bytes:
    if kind == "uInt32":
        return varint(item)
    if kind in _ZIGZAG:
        return varint(-item * 2 - 1 if item < 0 else item * 2)
    if kind in _FIXED:
        return struct.pack(_FIXED[kind][0], item)
    if kind == "string":
        return _counted(item.encode())
    return _counted(_encode(root, _nested(root, schema, kind), item))


def _counted(data: bytes) -> bytes:
    return varint(len(data)) + data


def _decode(root: Mapping[str, Any], schema: Mapping[str, Any], data: bytes) -> dict[str, Any]:
    value: dict[str, Any] = {}
    at = 0
    while at < len(data):
        head, at = read_varint(data, at)
        name = schema["__tags"].get(str(head >> 3))
        if name is None:
            raise Broken(f"a field with the unknown tag {head >> 3}")
        field = schema[name]
        kind = field["type"]
        if field["option"] != "repeated":
            value[name], at = _decode_one(root, schema, kind, data, at)
            continue
        count = 1
        if kind in ("uInt32", *_ZIGZAG, *_FIXED):
            count, at = read_varint(data, at)
        for _ in range(count):
            item, at = _decode_one(root, schema, kind, data, at)
            value.setdefault(name, []).append(item)
    return value


def _decode_one(
    root: Mapping[str, Any], schema: Mapping[str, Any], kind: str, data: bytes, at: int
) -> tuple[Any, int]:
    if kind in _FIXED:
        layout = struct.Struct(_FIXED[kind][0])
        return layout.unpack_from(data, at)[0], at + layout.size
    number, at = read_varint(data, at)
    if kind == "uInt32":
        return number, at
    if kind in _ZIGZAG:
        return (number >> 1) ^ -(number & 1), at
    part = data[at : at + number]
    if len(part) < number:
        raise Broken(f"a {kind} that is cut short")
    if kind == "string":
        return part.decode(), at + number
    return _decode(root, _nested(root, schema, kind), part), at + number


# The client.


class Store:
    """What a server said of its dictionary and its schemas, kept in files between runs.

    Args:
        folder: where the files are; None to forget all.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def load(self, name: str) -> dict[str, Any] | None:
        if self._folder is None or not (self._folder / name).exists():
            return None
        return dict(json.loads((self._folder / name).read_text()))

    def save(self, name: str, value: Mapping[str, Any]) -> None:
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / name).write_text(json.dumps(value))


class RawClient:
    """One connection.

    Args:
        store: what is known of servers of this kind from before.
        patience: how long to wait for anything, in seconds.
    """

    def __init__(self, host: str, port: int, store: Store, patience: float = 60) -> None:
        self._socket = socket.create_connection((host, port), patience)
        self._store, self._patience = store, patience
        self._stream = Stream()
        self._packages: list[tuple[int, bytes]] = []
        self._routes: dict[int, str] = {}
        self._beat: float | None = None
        self._next_beat = self._dead = float("inf")
        self._dictionary: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._protos: dict[str, Any] = {"server": {}, "client": {}}
        self.pushes: list[tuple[str, Any]] = []
        self.kicked: Any = None
        self.closed = False
        self.beats = 0

    def shake_hands(self, user: Any = None) -> dict[str, Any]:
        """Open the conversation; the server's answer comes back.

        Raises:
            Broken: it refused, or its answer is one that a strict client can't use.
        """
        dictionary, protos = self._store.load("dictionary.json"), self._store.load("protos.json")
        sys: dict[str, Any] = {"type": "raw", "version": "0.0.1"}
        if dictionary is not None:
            sys["dictVersion"] = dictionary["dictVersion"]
        if protos is not None:
            sys["protoVersion"] = protos["version"]
        hello = {"sys": sys} if user is None else {"sys": sys, "user": user}
        self._socket.sendall(package(HANDSHAKE, json.dumps(hello).encode()))
        kind, body = self._next_package()
        if kind != HANDSHAKE:
            raise Broken(f"a package of type {kind} instead of the handshake")
        answer: dict[str, Any] = json.loads(body)
        if answer["code"] != 200:
            raise Broken(f"refused with {answer['code']}")
        self._take_dictionary(answer["sys"], dictionary)
        self._take_protos(answer["sys"], protos)
        self._socket.sendall(package(ACK))
        self._beat = answer["sys"].get("heartbeat")
        if self._beat:
            now = time.monotonic()
            self._next_beat, self._dead = now + self._beat, now + 2 * self._beat
        return answer

    def _take_dictionary(self, sys: Mapping[str, Any], known: Mapping[str, Any] | None) -> None:
        keys = ("routeToCode", "codeToRoute", "dictVersion")
        sent = {key: sys[key] for key in keys if key in sys}
        if sent and len(sent) < len(keys):
            raise Broken(f"only {sorted(sent)} of the dictionary")
        if sent:
            self._store.save("dictionary.json", sent)
        elif sys.get("useDict"):
            if known is None:
                raise Broken("a dictionary is used that was not sent")
            sent = dict(known)
        self._dictionary = sent.get("routeToCode", {})
        self._names = {int(code): route for code, route in sent.get("codeToRoute", {}).items()}
        if self._names != {code: route for route, code in self._dictionary.items()}:
            raise Broken("a dictionary whose two halves differ")

    def _take_protos(self, sys: Mapping[str, Any], known: Mapping[str, Any] | None) -> None:
        sent = sys.get("protos")
        if sent is not None:
            if sorted(sent) != ["client", "server", "version"]:
                raise Broken(f"only {sorted(sent)} of the protos")
            self._store.save("protos.json", sent)
        elif sys.get("useProto"):
            if known is None:
                raise Broken("protos are used that were not sent")
            sent = known
        if sent is not None:
            self._protos = dict(sent)

    def request(self, route: str, body: Any) -> Any:
        """Ask, and wait for the answer; pushes that come before it are kept."""
        number = len(self._routes) + 1
        self._routes[number] = route
        self._socket.sendall(message(REQUEST, number, self._code(route), self._encode(route, body)))
        while True:
            found = self._next_message()
            if found is None:
                raise Broken(f"closed instead of answering {route}")
            if found.kind == RESPONSE:
                if found.id != number:
                    raise Broken(f"an answer to {found.id} instead of {number}")
                return self._decode(route, found.body)

    def notify(self, route: str, body: Any) -> None:
        """Tell, without an answer."""
        self._socket.sendall(message(NOTIFY, 0, self._code(route), self._encode(route, body)))

    def push(self, route: str) -> Any:
        """The body of the next push with that route, now or when it comes."""
        while True:
            for at, (name, body) in enumerate(self.pushes):
                if name == route:
                    del self.pushes[at]
                    return body
            if self._next_message() is None:
                raise Broken(f"closed before {route} came")

    def linger(self, beats: int) -> None:
        """Stay until the server has answered that many heartbeats more."""
        goal = self.beats + beats
        while self.beats < goal:
            if self._next_message(until_beat=True) is None and self.closed:
                raise Broken("closed while only heartbeats were sent")

    def wait_closed(self) -> None:
        """Wait until the server closes."""
        while self._next_message() is not None:
            pass

    def close(self) -> None:
        self._socket.close()
        self.closed = True

    def _code(self, route: str) -> str | int:
        return self._dictionary.get(route, route)

    def _encode(self, route: str, body: Any) -> bytes:
        schema = self._protos["client"].get(route)
        if schema is not None:
            return encode_protobuf(schema, body)
        return json.dumps(body, ensure_ascii=False).encode()

    def _decode(self, route: str, data: bytes) -> Any:
        schema = self._protos["server"].get(route)
        return json.loads(data) if schema is None else decode_protobuf(schema, data)

    def _next_message(self, until_beat: bool = False) -> Message | None:
        """The next message; None when the server closed, or at the next heartbeat's answer."""
        while not self.closed:
            try:
                kind, body = self._next_package()
            except EOFError:
                self.close()
                break
            if kind == KICK:
                self.kicked = json.loads(body)
            elif kind == HEARTBEAT:
                self.beats += 1
                if until_beat:
                    break
            elif kind == DATA:
                found = read_message(body)
                if found.kind == PUSH:
                    route = found.route
                    name = self._names[route] if isinstance(route, int) else route
                    self.pushes.append((name, self._decode(name, found.body)))
                return found
        return None

    def _next_package(self) -> tuple[int, bytes]:
        """The next package, with our own heartbeats sent while it is waited for."""
        deadline = time.monotonic() + self._patience
        while not self._packages:
            now = time.monotonic()
            if now > deadline:
                raise Broken(f"nothing came for {self._patience} s")
            if now > self._dead:
                raise Broken("no heartbeat came")
            if now >= self._next_beat:
                self._socket.sendall(package(HEARTBEAT))
                assert self._beat is not None
                self._next_beat = now + self._beat
            wait = min(deadline, self._next_beat, self._dead) - now
            if select.select([self._socket], [], [], max(wait, 0))[0]:
                data = self._socket.recv(65536)
                if not data:
                    raise EOFError
                self._packages += self._stream.feed(data)
                if self._beat:
                    self._dead = time.monotonic() + 2 * self._beat
        return self._packages.pop(0)


def visit(options: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """A visit to a chat: through the gate into a room, say something, and go."""
    store = Store(Path(options.store)) if options.store else Store(None)
    gate = RawClient(options.host, options.gate, store)
    yield "gate", sorted(gate.shake_hands()["sys"])
    entry = gate.request("gate.gateHandler.queryEntry", {"uid": options.name})
    yield "entry", entry["code"]
    gate.close()
    client = RawClient(entry["host"], entry["port"], store)
    yield "connector", sorted(client.shake_hands()["sys"])
    room = {"username": options.name, "rid": options.room}
    yield "entered", client.request("connector.entryHandler.enter", room)
    said = {"rid": options.room, "content": options.say, "from": options.name, "target": "*"}
    yield "said", client.request("chat.chatHandler.send", said)
    yield "heard", client.push("onChat")
    client.linger(options.beats)
    yield "beats", client.beats > options.beats
    client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--gate", type=int, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--room", required=True)
    parser.add_argument("--say", required=True)
    parser.add_argument("--store")
    parser.add_argument("--beats", type=int, default=0)
    for what, seen in visit(parser.parse_args()):
        print(json.dumps({what: seen}), flush=True)


if __name__ == "__main__":
    main()
