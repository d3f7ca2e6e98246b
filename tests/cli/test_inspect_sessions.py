"""``chatcore inspect sessions`` and ``session``: who is connected."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from chatcore.cli.inspect.sessions import FIELDS
from chatcore.inspector.redaction import HIDDEN
from chatcore.node.looking import sessions as looking
from chatcore.node.looking.gathering import SECONDS, STEPS, for_each, largest
from chatcore.node.looking.sessions import LONGEST_VALUE

from .clusters import AdministeredCluster, chat_files, chatcore, path_of


@pytest_twisted.async_yield_fixture
async def doors(folder: Path) -> AsyncIterator[AdministeredCluster]:
    """Two frontends and a backend."""
    cluster = AdministeredCluster(
        folder,
        servers={"front": ["front-1", "front-2"], "chat": ["chat-1"]},
        files=chat_files(),
    )
    await cluster.start()
    yield cluster
    await cluster.close()


async def enter(cluster: AdministeredCluster, name: str, frontend: str = "front-1") -> Any:
    client = await cluster.client(frontend)
    await client.request("front.doorHandler.enter", {"name": name})
    return client


def sessions_of(ran: Any) -> list[dict[str, str]]:
    return [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in ran.lines]


class TestSessions:
    async def test_off_a_terminal(self, doors: AdministeredCluster) -> None:
        await enter(doors, "ann")
        await enter(doors, "bob", "front-2")

        ran = await chatcore("inspect", "sessions", "--app", path_of(doors))

        assert (ran.code, ran.err) == (0, "")
        found = sessions_of(ran)
        assert [(each["node"], each["id"], each["uid"]) for each in found] == [
            ("front-1", "1", "ann"),
            ("front-2", "1", "bob"),
        ]
        assert {each["transport"] for each in found} == {"websocket"}
        assert {each["speaks"] for each in found} == {"pomelo"}
        assert {each["state"] for each in found} == {"working"}
        assert {each["outbox_bytes"] for each in found} == {"0"}
        assert all(float(each["opened"]) <= float(each["logged_in"]) for each in found)
        assert all(float(each["seen"]) >= 0 for each in found)

    async def test_on_a_terminal_the_rest_is_counted(self, doors: AdministeredCluster) -> None:
        for name in ("ann", "bob", "cat"):
            await enter(doors, name)

        ran = await chatcore("inspect", "sessions", "--most", "2", "--by", "newest", "--app",
                             path_of(doors), terminal=True)  # fmt: skip

        assert [line.split()[2] for line in ran.lines[1:3]] == ["cat", "bob"]
        assert ran.lines[3] == "2 of 3 sessions; --most shows more (front-1 3, front-2 0)"

    async def test_those_first_for_which_the_most_waits(self, doors: AdministeredCluster) -> None:
        for name in ("ann", "bob", "cat"):
            await enter(doors, name)
        (bob,) = doors.nodes["front-1"].sessions.by_uid("bob")
        outbox = bob.connection.outbox
        outbox.pauseProducing()
        outbox.send(b"x" * 3000)

        ran = await chatcore("inspect", "sessions", "--most", "1", "--app", path_of(doors))
        told = await chatcore("inspect", "session", "bob", "--app", path_of(doors), terminal=True)

        (found,) = sessions_of(ran)
        assert (found["uid"], found["outbox_bytes"], found["outbox_messages"]) == (
            "bob",
            "3000",
            "1",
        )
        assert any("2.9 KiB in 1 messages" in each for each in told.lines)

    async def test_all_of_them_answer_by_answer(
        self, doors: AdministeredCluster, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(looking, "MOST", 2)
        for name in ("ann", "bob", "cat", "dan", "eve"):
            await enter(doors, name)

        ran = await chatcore("inspect", "sessions", "--by", "oldest", "--app", path_of(doors))

        assert [each["uid"] for each in sessions_of(ran)] == ["ann", "bob", "cat", "dan", "eve"]

    async def test_those_of_a_uid(self, doors: AdministeredCluster) -> None:
        await enter(doors, "ann")
        await enter(doors, "bob")
        await enter(doors, "ann", "front-2")

        ran = await chatcore("inspect", "sessions", "--uid", "ann", "--app", path_of(doors),
                             "--json")  # fmt: skip

        assert [each["node"] for each in ran.json["sessions"]] == ["front-1", "front-2"]
        assert (ran.json["count"], ran.json["counts"]) == (2, {"front-1": 1, "front-2": 1})

    async def test_a_frontend_that_is_gone(self, doors: AdministeredCluster) -> None:
        await doors.end("front-2")

        ran = await chatcore("inspect", "sessions", "--app", path_of(doors))

        assert ran.code == 1
        assert "front-2 does not tell" in ran.err


class TestSession:
    async def test_all_that_is_known(self, doors: AdministeredCluster) -> None:
        await enter(doors, "ann")
        (session,) = doors.nodes["front-1"].sessions.by_uid("ann")
        session.update(
            {"rid": "attic", "token": "t0psecret", "long": "y" * 1000, "deep": {"pwd": 1}}
        )

        journal = doors.nodes["front-1"].counters.journal
        journal.note("ann", "pushes not sent", "dropped", route="onChat", count=3)

        ran = await chatcore("inspect", "session", "ann", "--app", path_of(doors), "--json")
        told = await chatcore("inspect", "session", "ann", "--app", path_of(doors))

        assert "t0psecret" not in ran.out + told.out
        assert "front-1\t1\tnoted pushes not sent\t3 times; dropped; onChat 3" in told.lines
        (found,) = ran.json["sessions"]
        assert (found["node"], found["id"]) == ("front-1", session.id)
        assert found["settings"]["rid"] == "attic"
        assert found["settings"]["token"] == HIDDEN
        assert found["settings"]["deep"] == {"pwd": HIDDEN}
        assert found["settings"]["long"] == f"{'y' * LONGEST_VALUE}… (700 more)"
        assert found["groups"] == [["chat-1", "attic"]]

    async def test_by_its_number_on_one_frontend(self, doors: AdministeredCluster) -> None:
        await enter(doors, "ann")
        await enter(doors, "1", "front-2")

        both = await chatcore("inspect", "session", "1", "--app", path_of(doors))
        one = await chatcore("inspect", "session", "1", "front-1", "--app", path_of(doors))

        assert both.lines[0] == "front-1\t1\tuid\tann"
        assert "front-2\t1\tuid\t1" in both.lines
        assert all(line.startswith("front-1\t") for line in one.lines)
        assert "front-1\t1\tchannel\tattic of chat-1" in one.lines

    async def test_one_that_is_not_there(self, doors: AdministeredCluster) -> None:
        ran = await chatcore("inspect", "session", "nobody", "--app", path_of(doors))

        assert ran.code == 1
        assert "there is no session 'nobody'" in ran.err

    async def test_settings_that_are_many(self, doors: AdministeredCluster) -> None:
        await enter(doors, "ann")
        (session,) = doors.nodes["front-1"].sessions.by_uid("ann")
        session.update({"much": "z" * 100_000})

        ran = await chatcore("inspect", "session", "ann", "--app", path_of(doors), "--json")

        (found,) = ran.json["sessions"]
        assert (found["settings"], found["settings_cut"]) == ({"much": None}, True)


class Turns:
    """A clock whose turns a test makes."""

    def __init__(self) -> None:
        self.now = 0.0
        self._waiting: list[Callable[[], Any]] = []

    def seconds(self) -> float:
        return self.now

    def callLater(self, delay: float, call: Callable[..., Any], *args: Any) -> None:
        self._waiting.append(partial(call, *args))

    def turn(self) -> None:
        self._waiting.pop(0)()


class TestGathering:
    """Looking through much keeps nobody from anything."""

    def test_a_portion_in_each_turn(self) -> None:
        clock = Turns()
        seen: list[int] = []

        def see(item: int) -> None:
            seen.append(item)
            clock.now += SECONDS / STEPS * 1.001

        done = Deferred.fromCoroutine(for_each(range(3 * STEPS), see, clock))

        for portions in (1, 2, 3):
            assert (len(seen), done.called) == (portions * STEPS, False)
            clock.turn()
        assert (seen, done.called) == (list(range(3 * STEPS)), True)

    def test_the_largest(self) -> None:
        numbers = [3, 9, 1, 9, 5]
        pairs = list(enumerate(numbers))
        found = Deferred.fromCoroutine(largest(pairs, 3, lambda pair: pair[1], Clock()))
        assert found.result == [(1, 9), (3, 9), (4, 5)]
        none = Deferred.fromCoroutine(largest(pairs, 0, lambda pair: pair[1], Clock()))
        assert none.result == []
