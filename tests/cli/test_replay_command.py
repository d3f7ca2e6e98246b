"""``chatcore inspect record`` and ``replay``: a chat, played to another cluster of it."""

from __future__ import annotations

import json
import random
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from running import EXAMPLE, short_folder
from small_cluster import until
from twisted.internet.defer import Deferred, gatherResults

from chatcore.cli.inspect.replaying import Capture, Players
from chatcore.cli.survey import Survey
from chatcore.client import Client
from chatcore.inspector.capture import Event, Head, encode
from chatcore.inspector.reading import read
from chatcore.inspector.redaction import HIDDEN

from .clusters import AdministeredCluster, Ran, chatcore, path_of, survey_of
from .lasting import Lasting, lasting

SERVERS = {
    "connector": ["connector-server-1", "connector-server-2", "connector-server-3"],
    "chat": ["chat-server-1", "chat-server-2", "chat-server-3"],
}


def chat_of(folder: Path, **changes: str) -> AdministeredCluster:
    """The example chat, in this process.

    Args:
        changes: what stands in some of its files instead, by what stood there.
    """
    files = {
        str(file.relative_to(EXAMPLE)): file.read_text()
        for file in [*EXAMPLE.glob("*.py"), *EXAMPLE.glob("servers/*/*.py")]
        if file.parent.name != "gate"
    }
    for old, new in changes.items():
        files = {path: text.replace(old, new) for path, text in files.items()}
    return AdministeredCluster(folder, servers=SERVERS, frontends=("connector",), files=files)


@asynccontextmanager
async def chatting(**changes: str) -> AsyncIterator[AdministeredCluster]:
    """A fresh cluster of the chat."""
    with short_folder() as folder:
        cluster = chat_of(Path(folder), **changes)
        await cluster.start()
        try:
            yield cluster
        finally:
            await cluster.close()


@pytest.fixture
def capture() -> Iterator[Path]:
    with short_folder() as folder:
        yield Path(folder) / "chat.cap"


class Guest:
    """Somebody who chats.

    Args:
        name: his.
        room: where.
    """

    def __init__(self, cluster: AdministeredCluster, name: str, room: str, door: str) -> None:
        self._cluster, self._name, self._room, self._door = cluster, name, room, door
        self._client: Client | None = None

    async def enter(self) -> Any:
        self._client = await self._cluster.client(self._door)
        about = {"username": self._name, "rid": self._room}
        return await self._client.request("connector.entryHandler.enter", about)

    async def say(self, text: str, to: str = "*") -> Any:
        assert self._client is not None
        said = {"rid": self._room, "content": text, "from": self._name, "target": to}
        return await self._client.request("chat.chatHandler.send", said)

    async def leave(self) -> None:
        assert self._client is not None
        await self._client.disconnect()


async def chat(cluster: AdministeredCluster, seed: int, guests: int, rounds: int) -> None:
    """Have guests come, talk, whisper, go and come again, in some order."""
    chance = random.Random(seed)
    rooms = [f"room{number}" for number in range(1 + guests // 5)]
    everybody = [
        Guest(
            cluster,
            f"guest{number}",
            chance.choice(rooms),
            chance.choice(SERVERS["connector"]),
        )
        for number in range(guests)
    ]

    async def live(guest: Guest, place: int) -> None:
        assert "users" in await guest.enter()
        for turn in range(rounds):
            await guest.say(f"{place} {turn}", chance.choice(["*", "*", "*", "guest0", "nobody"]))
        await guest.leave()
        if place % 3 == 0:
            await guest.enter()
            await guest.say("again")

    await gatherResults(
        [Deferred.fromCoroutine(live(guest, place)) for place, guest in enumerate(everybody)]
    )


LAST_WORDS = "these are the last words"


async def recorded(cluster: AdministeredCluster, capture: Path, *words: str, **much: int) -> None:
    """Record a chat."""
    command = ("inspect", "record", str(capture), "--app", path_of(cluster), *words)
    async with lasting(*command) as record:
        await record.has_said("recording 6 nodes")
        await chat(cluster, **much)
        for door in SERVERS["connector"]:
            last = Guest(cluster, door.replace("-", "_"), "room0", door)
            await last.enter()
            await last.say(LAST_WORDS)
        await until(lambda: has_last_words(capture), "the last words")


def has_last_words(capture: Path) -> bool:
    return capture.read_bytes().count(f'"content":"{LAST_WORDS}"'.encode()) == 3


async def replayed(cluster: AdministeredCluster, capture: Path, *words: str) -> Ran:
    return await chatcore(
        "inspect", "replay", str(capture), "--app", path_of(cluster), "--timeout", "60", *words
    )


def boxes(capture: Path) -> list[Event]:
    with capture.open("rb") as file:
        records = list(read(file))
    assert isinstance(records[0], Head)
    return [each for each in records if isinstance(each, Event) and each.kind == "box"]


@pytest_twisted.ensureDeferred
async def test_ten_thousand_boxes_are_answered_as_they_were_recorded(capture: Path) -> None:
    async with chatting() as cluster:
        await recorded(cluster, capture, seed=1, guests=100, rounds=26)
    assert stat.S_IMODE(capture.stat().st_mode) == 0o600
    assert len(boxes(capture)) >= 10_000
    async with chatting() as cluster:
        ran = await replayed(cluster, capture, "--json")
        summary = json.loads(ran.lines[-1])["summary"]
        assert summary["different"] == summary["uncompared"] == summary["nobody"] == 0, ran.out
        assert summary["same"] == summary["asked"] > 2000
        assert ran.code == 0
        assert not any(node.counters.sessions_now for node in cluster.nodes.values())


@pytest_twisted.ensureDeferred
async def test_what_is_answered_otherwise_is_told(capture: Path) -> None:
    async with chatting() as cluster:
        await recorded(cluster, capture, seed=2, guests=6, rounds=1)
    change = {"return [name_of(each) for each in room.uids()]": "return [rid]"}
    async with chatting(**change) as cluster:
        ran = await replayed(cluster, capture)
        assert ran.code == 1
        records = [line.split("\t") for line in ran.lines]
        assert {record[3] for record in records} == {"chat.chatRemote.add"}
        assert all(record[4].startswith("result.0") for record in records)
        assert f"answered otherwise: {len(records)}" in ran.err
    async with chatting(**change) as cluster:
        ran = await replayed(cluster, capture, "--ignore", "result.*")
        assert (ran.code, ran.out) == (0, "")
    hidden = {
        "async def add(uid": "@redacted(answer=True)\n    async def add(uid",
        "IChannel, IRemote": "IChannel, IRemote, redacted",
        **change,
    }
    capture.unlink()
    async with chatting(**hidden) as cluster:
        await recorded(cluster, capture, seed=2, guests=6, rounds=1)
        ran = await replayed(cluster, capture)
        assert HIDDEN in ran.out
        assert "guest" not in ran.out


@pytest_twisted.ensureDeferred
async def test_a_recording_is_shown_with_what_the_application_declares(capture: Path) -> None:
    async with chatting() as cluster:
        await recorded(cluster, capture, seed=3, guests=3, rounds=1)
    about = heads(capture)[0].about
    assert about["dialect"] == "chatcore"
    assert about["frontends"] == SERVERS["connector"]
    assert about["types"]["chat-server-2"] == "chat"

    async def shown(*words: str) -> list[Any]:
        command = Lasting("inspect", "show", str(capture), "--json", *words)
        await command.ended
        return command.documents

    asks = [each for each in await shown("-v", "--route", "chat.*") if each["kind"] == "ask"]
    add = next(each for each in asks if each["route"] == "chat.chatRemote.add")
    assert add["body"]["args"].keys() == {"uid", "sid", "rid"}
    send = next(each for each in asks if each["route"] == "chat.chatHandler.send")
    assert send["body"]["body"].keys() >= {"content", "target"}
    uid = send["body"]["session"]["uid"]
    of_one = await shown("--uid", uid)
    assert {each["route"] for each in of_one} >= {
        "GroupJoin",
        "chat.chatRemote.add",
        "chat.chatHandler.send",
    }
    room = send["body"]["session"]["settings"]["rid"]
    of_room = await shown("--channel", room)
    assert {each["route"] for each in of_room} >= {"GroupJoin", "onChat"}
    link = frozenset((send["node"], send["peer"]))
    of_link = await shown("--link", ":".join(sorted(link)))
    assert {frozenset((each["node"], each["peer"])) for each in of_link} == {link}
    pcap = capture.with_suffix(".pcap")
    await Lasting("inspect", "show", str(capture), "--pcap", str(pcap)).ended
    assert pcap.stat().st_size > 24


def heads(capture: Path) -> list[Head]:
    with capture.open("rb") as file:
        return [each for each in read(file) if isinstance(each, Head)]


def test_who_acts_for_a_server_of_a_recording(capture: Path) -> None:
    types = {"old-1": "chat", "old-2": "chat", "chat-2": "chat", "front-9": "front", "x": "other"}
    capture.write_bytes(encode(Head({"types": types})))
    survey = Survey.of(survey_of("chat-1", "chat-2", "front-1"))
    reach: Any = None
    players = Players(reach, survey, Capture(str(capture)), seconds=1.0)
    acts = {id: players.for_server(id) for id in (*types, "stranger")}
    assert acts == {
        "old-1": "chat-2",
        "old-2": "chat-1",
        "chat-2": "chat-2",
        "front-9": "front-1",
        "x": None,
        "stranger": None,
    }


@pytest_twisted.ensureDeferred
async def test_at_another_pace_and_to_whom(capture: Path) -> None:
    async with chatting() as cluster:
        await recorded(cluster, capture, seed=4, guests=3, rounds=2)
    async with chatting() as cluster:
        words = ("inspect", "replay", str(capture), "--json", "--to", path_of(cluster))
        ran = await chatcore(*words, "--speed", "50", "--notifies", "--all-calls")
        assert ran.code == 0, ran.out
        ran = await chatcore(*words, "--app", "x")
        assert (ran.code, "--to says where" in ran.out) == (2, True)
        ran = await chatcore("inspect", "replay", __file__, "--app", path_of(cluster))
        assert (ran.code, "is no capture" in ran.err) == (2, True)
        ran = await chatcore("inspect", "replay", "nowhere.cap", "--app", path_of(cluster))
        assert (ran.code, "can't be read" in ran.err) == (2, True)
