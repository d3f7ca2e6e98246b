"""How long a server's channels are away when it leaves, and what their clients notice of it.

::

    .venv/bin/python tests/benchmarks/hand_over.py --channels 3000 --members 10 --how kill

starts a small application with two frontends and three servers that own channels, fills the
channels, and has one of the three leave. It tells after how many seconds every channel answered
with all its members, the longest that anybody waited for an answer meanwhile, how many were
refused, and for how long each server did nothing else.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from running import RunningChat, environment, short_folder
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater, react
from twisted.internet.threads import deferToThread

from chatcore.client import Client

AT_ONCE = 200
"""Channels that are asked about in one request."""

WATCHERS = 4
LEAVES = "room-1"
HELD_UP = "HELD_UP_FOLDER"
"""The variable that names the folder where servers note how long they were held up."""


class Watcher:
    """Asks about one channel after the other, and notes how long each answer took."""

    def __init__(self, client: Client, rooms: Sequence[str], members: int) -> None:
        self._client, self._rooms, self._members = client, rooms, members
        self.stopped = False
        self.longest = 0.0
        self.asked = self.refused = self.short = 0

    async def watch(self) -> None:
        """Go on until it is stopped."""
        while not self.stopped:
            begun = time.monotonic()
            (size,) = await sizes(self._client, [random.choice(self._rooms)])
            self.asked += 1
            self.longest = max(self.longest, time.monotonic() - begun)
            self.refused += size < 0
            self.short += 0 <= size < self._members


async def sizes(client: Client, rooms: Sequence[str]) -> list[int]:
    """How many members each channel has; -1 for one that does not answer."""
    answer = await client.request("front.doorHandler.sizes", {"rooms": rooms})
    return answer.get("sizes", [-1] * len(rooms))


async def connected(reactor: Any, port: int, uid: str) -> tuple[Client, str]:
    """A client with a uid, and the frontend that it is on."""
    client = Client(reactor=reactor)
    await client.init(url=f"tcp://127.0.0.1:{port}")
    return client, (await client.request("front.doorHandler.enter", {"uid": uid}))["sid"]


async def all_there(reactor: Any, client: Client, rooms: Sequence[str], members: int) -> float:
    """Wait until every channel answers with all its members; when the last did comes back."""
    missing = list(rooms)
    while missing:
        asked, rest = missing[:AT_ONCE], missing[AT_ONCE:]
        found = await sizes(client, asked)
        still = [room for room, size in zip(asked, found, strict=True) if size != members]
        missing = rest + still
        if len(still) == len(asked):
            await deferLater(reactor, 0.02, lambda: None)
    return time.monotonic()


def held_up(folder: Path, since: float) -> dict[str, float]:
    """For how long each server did nothing else since then, at the longest."""
    longest = {}
    for file in sorted(folder.iterdir()):
        notes = (map(float, line.split()) for line in file.read_text().splitlines())
        longest[file.name] = max((late for when, late in notes if when > since), default=0.0)
    return longest


def leave(chat: RunningChat, how: str) -> float:
    """Have the server leave; how long that took comes back."""
    begun = time.monotonic()
    if how == "kill":
        pid = chat.pid(LEAVES)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    else:
        command = [sys.executable, "-m", "chatcore", how, "--app", str(chat.app), LEAVES]
        subprocess.run(command, env=environment(), stdin=subprocess.DEVNULL, check=True)
    return time.monotonic() - begun


async def measure(reactor: Any, chat: RunningChat, channels: int, members: int, how: str) -> None:
    """Fill the channels, have a server leave, and tell what that did."""
    rooms = [f"channel {number}" for number in range(channels)]
    ports = [chat.port(front) for front in chat.ids("front")]
    people = [await connected(reactor, ports[n % 2], f"u{n}") for n in range(members)]
    pairs = [[f"u{n}", sid] for n, (_, sid) in enumerate(people)]
    client = people[0][0]
    begun = time.monotonic()
    for start in range(0, channels, AT_ONCE):
        some = {"rooms": rooms[start : start + AT_ONCE], "members": pairs}
        await client.request("front.doorHandler.fill", some)
    await all_there(reactor, client, rooms, members)
    print(f"{channels} channels of {members} filled in {time.monotonic() - begun:.2f} s")

    asking = [await connected(reactor, ports[n % 2], f"w{n}") for n in range(WATCHERS)]
    watchers = [Watcher(each, rooms, members) for each, _ in asking]
    watching = [Deferred.fromCoroutine(watcher.watch()) for watcher in watchers]
    await deferLater(reactor, 1, lambda: None)
    usual = max(watcher.longest for watcher in watchers)
    begun = time.monotonic()
    took = await deferToThread(leave, chat, how)
    back = await all_there(reactor, client, rooms, members) - begun
    for watcher in watchers:
        watcher.stopped = True
    await DeferredList(watching)
    for id, seconds in held_up(Path(os.environ[HELD_UP]), begun).items():
        print(f"{id} did nothing else for {seconds * 1000:.0f} ms")
    print(f"{how}: the command took {took:.2f} s, every channel was back after {back:.2f} s")
    print(
        f"{sum(w.asked for w in watchers)} times asked: "
        f"{sum(w.refused for w in watchers)} refused, "
        f"{sum(w.short for w in watchers)} without all members, "
        f"the longest wait {max(w.longest for w in watchers):.3f} s ({usual:.3f} s before)"
    )
    everybody = [each for each, _ in people + asking]
    await DeferredList([each.disconnect() for each in everybody], consumeErrors=True)


def main() -> None:
    """Run it with what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--channels", type=int, default=1000)
    parser.add_argument("--members", type=int, default=10, help="of each channel")
    parser.add_argument("--how", choices=["drain", "restart", "kill"], default="drain")
    given = parser.parse_args()
    with short_folder() as folder, tempfile.TemporaryDirectory() as held_up_folder:
        os.environ[HELD_UP] = held_up_folder
        unlimited = ("--set", "limits.messages_per_second=0")
        chat = RunningChat(folder, unlimited, source=Path(__file__).with_name("rooms"))
        try:
            react(
                lambda reactor: Deferred.fromCoroutine(
                    measure(reactor, chat, given.channels, given.members, given.how)
                )
            )
        finally:
            chat.close()


if __name__ == "__main__":
    main()
