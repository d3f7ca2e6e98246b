"""What pushes to a room of socket.io clients cost, here and on socket.io itself.

::

    .venv/bin/python tests/benchmarks/socketio_room.py --clients 500 --messages 1000

has as many clients of socket.io 4 in one room of the example chat, and of a server of socket.io 4
on Node, in turns. Some of them talk: each says the next thing when an earlier one was acknowledged,
and has a few under way at once. It tells how many pushes a second of processor time carries: of the
connector and the chat server together, and of the one process on Node. With ``--speakers 1
--window 1`` each push is a system call of its own, on both sides.
"""

from __future__ import annotations

import argparse
import base64
import os
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from npm import npm_packages
from running import RunningChat, free_ports, short_folder, wait_until

NODE = {"socket.io": "4.8.1"}
ENTER = b'["%b",{"username":"u%d","rid":"hall"}]'
SEND = b'["%b",{"content":"what is said in a room of many people","target":"*"}]'
HEARD = b'42["onChat"'
TICKS = os.sysconf("SC_CLK_TCK")


class Member:
    """A client of socket.io over WebSocket.

    Attributes:
        heard: pushes that have come.
        answers: what has been acknowledged.
    """

    def __init__(self, port: int) -> None:
        self.heard = self.answers = 0
        self.connected = False
        self._data = b""
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = port
        self._begin()

    def _begin(self) -> None:
        key = base64.b64encode(os.urandom(16))
        self.socket.sendall(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
            b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: %b\r\n\r\n" % (self._port, key)
        )
        while b"\r\n\r\n" not in self._data:
            self._data += self.socket.recv(4096)
        head, self._data = self._data.split(b"\r\n\r\n", 1)
        assert b" 101 " in head, head
        self.say(b"40")

    def say(self, packet: bytes) -> None:
        """Send one packet; it is masked with zeros."""
        assert len(packet) < 126
        self.socket.sendall(b"\x81" + bytes([0x80 | len(packet)]) + bytes(4) + packet)

    def readable(self) -> None:
        """Take what has come."""
        data = self._data + self._received()
        start, end = 0, len(data)
        while end - start >= 2:
            body, size = start + 2, data[start + 1]
            if size == 126:
                if end - start < 4:
                    break
                body, size = start + 4, int.from_bytes(data[start + 2 : start + 4], "big")
            if end - body < size:
                break
            start = body + size
            self._packet(data[body:start])
        self._data = data[start:]

    def _received(self) -> bytes:
        data = self.socket.recv(1 << 16)
        assert data, "the server hung up"
        return data

    def _packet(self, packet: bytes) -> None:
        if packet.startswith(HEARD):
            self.heard += 1
        elif packet.startswith(b"43"):
            self.answers += 1
        elif packet.startswith(b"40"):
            self.connected = True
        elif packet == b"2":
            self.say(b"3")


class Poller(Member):
    """A client that polls, on a connection for that and another one for what it says."""

    def _begin(self) -> None:
        self._query = b"EIO=4&transport=polling"
        self._said = socket.create_connection(("127.0.0.1", self._port))
        self._said.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._poll()
        head, content = self._whole(self.socket)
        assert content.startswith(b"0{"), (head, content)
        self._query += b"&sid=" + content.split(b'"sid":"')[1].split(b'"')[0]
        self.say(b"40")
        self._poll()

    def _poll(self) -> None:
        self.socket.sendall(
            b"GET /socket.io/?%b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (self._query, self._port)
        )

    def say(self, packet: bytes) -> None:
        self._said.sendall(
            b"POST /socket.io/?%b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
            b"Content-Type: text/plain;charset=UTF-8\r\nContent-Length: %d\r\n\r\n%b"
            % (self._query, self._port, len(packet), packet)
        )
        head, _ = self._whole(self._said)
        assert b" 200 " in head, head

    @staticmethod
    def _whole(connection: socket.socket) -> tuple[bytes, bytes]:
        data = b""
        while (found := _split(data)) is None:
            data += connection.recv(1 << 16)
        return found

    def readable(self) -> None:
        self._data += self._received()
        found = _split(self._data)
        if found is None:
            return
        self._data = b""
        head, content = found
        assert b" 200 " in head, (head, content)
        for packet in content.split(b"\x1e"):
            self._packet(packet)
        self._poll()


def _split(data: bytes) -> tuple[bytes, bytes] | None:
    """The head and the content of an answer, if all of it is there."""
    head, ended, content = data.partition(b"\r\n\r\n")
    if not ended:
        return None
    size = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    return (head, content) if len(content) >= size else None


class Room:
    """Everybody in the room.

    Args:
        port: the server's.
        routes: what entering and saying something are called there.
        kind: of the clients.
        count: of them.
    """

    def __init__(
        self, port: int, routes: tuple[bytes, bytes], kind: type[Member], count: int
    ) -> None:
        self._enter, self._send = routes
        self._epoll = select.epoll()
        self.members: list[Member] = []
        self._of: dict[int, Member] = {}
        for number in range(count):
            one = kind(port)
            self.members.append(one)
            self._of[one.socket.fileno()] = one
            self._epoll.register(one.socket, select.EPOLLIN)
            self._until(lambda one=one: one.connected)
            one.say(b"420" + ENTER % (self._enter, number))
            self._until(lambda one=one: one.answers == 1)

    def talk(self, messages: int, speakers: int, window: int) -> int:
        """Have that many messages said and heard; how many pushes those were comes back."""
        talking, said = self.members[:speakers], 0
        heard = [each.heard + messages for each in self.members]
        answers = [each.answers for each in talking]
        under_way = [0] * speakers
        while said < messages:
            for number, each in enumerate(talking):
                under_way[number] -= each.answers - answers[number]
                answers[number] = each.answers
                while under_way[number] < window and said < messages:
                    each.say(b"421" + SEND % self._send)
                    under_way[number] += 1
                    said += 1
            self._take()
        self._until(lambda: [each.heard for each in self.members] == heard)
        return messages * len(self.members)

    def _take(self) -> None:
        ready = self._epoll.poll(30)
        assert ready, "nothing has come for 30 s"
        for number, _ in ready:
            self._of[number].readable()

    def _until(self, condition: Any) -> None:
        while not condition():
            self._take()

    def close(self) -> None:
        """Have everybody hang up."""
        self._epoll.close()
        for each in self.members:
            each.socket.close()


def processor_seconds(pids: Sequence[int]) -> float:
    """What processes have used so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


@contextmanager
def chatcore() -> Iterator[tuple[int, list[int], tuple[bytes, bytes]]]:
    """The example chat, with one server of each type."""

    def one_each(servers: Any) -> None:
        for entries in servers.values():
            del entries[1:]

    with short_folder() as folder:
        chat = RunningChat(folder, ("--set", "limits.messages_per_second=0"), one_each)
        try:
            pids = [chat.pid(id) for id in ("connector-server-1", "chat-server-1")]
            routes = b"connector.entryHandler.enter", b"chat.chatHandler.send"
            yield chat.port("connector-server-1"), [pid for pid in pids if pid], routes
        finally:
            chat.close()


@contextmanager
def node() -> Iterator[tuple[int, list[int], tuple[bytes, bytes]]]:
    """socket.io 4 on Node."""
    with free_ports(1) as (port,):
        pass
    process = subprocess.Popen(
        ["node", str(Path(__file__).with_suffix(".js")), str(port)],
        env={**os.environ, "NODE_PATH": str(npm_packages(NODE))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        wait_until(process.stdout.readline, "socket.io to start")
        yield port, [process.pid], (b"enter", b"send")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


SYSTEMS = {"chatcore": chatcore, "socket.io": node}
KINDS = {"websocket": Member, "polling": Poller}


def measure(system: str, kind: str, given: argparse.Namespace) -> float:
    """Pushes for a second of processor time."""
    with SYSTEMS[system]() as (port, pids, routes):
        room = Room(port, routes, KINDS[kind], given.clients)
        try:
            room.talk(given.messages // 10 + 1, given.speakers, given.window)
            before, begun = processor_seconds(pids), time.monotonic()
            pushes = room.talk(given.messages, given.speakers, given.window)
            took, used = time.monotonic() - begun, processor_seconds(pids) - before
        finally:
            room.close()
    print(
        f"{system:10} {kind:10} {pushes} pushes: {used:.2f} s of processor time, {took:.2f} s,"
        f" {pushes / used:,.0f} a second of processor time",
        flush=True,
    )
    return pushes / used


def main() -> None:
    """Run it with what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--speakers", type=int, default=10)
    parser.add_argument("--window", type=int, default=4, help="messages of each under way")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--transport", choices=sorted(KINDS), action="append")
    given = parser.parse_args()
    for kind in given.transport or ["websocket", "polling"]:
        found = Counter[str]()
        ratios = []
        for _ in range(given.rounds):
            for system in SYSTEMS:
                found[system] = int(measure(system, kind, given))
            ratios.append(found["chatcore"] / found["socket.io"])
        print(f"{kind}: {median(ratios):.2f} times as many as socket.io (median)", flush=True)


if __name__ == "__main__":
    main()
