"""``chatcore inspect channels`` and ``channel``: who holds them, and who is in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from one_registry import OneRegistry
from running import PATIENCE
from small_cluster import until
from twisted.internet import reactor

from chatcore.cli.inspect import channel as channel_command
from chatcore.cli.inspect.asking import Asked
from chatcore.cli.inspect.channel import FIELDS as OF_ONE
from chatcore.cli.inspect.channels import FIELDS
from chatcore.cli.inspect.comparing import brought_together
from chatcore.cli.survey import Survey
from chatcore.cluster import handing_over
from chatcore.node.looking import channels as looking

from .clusters import AdministeredCluster, chat_files, chatcore, path_of, survey_of

SERVERS = {"front": ["front-1", "front-2"], "chat": ["chat-1", "chat-2"]}


def files() -> dict[str, str]:
    """An application whose only room is where its name places it."""
    found = chat_files()
    handlers = found["servers/front/handlers.py"]
    found["servers/front/handlers.py"] = handlers.replace("by(session)", 'by_key("attic")')
    return found


@pytest_twisted.async_yield_fixture
async def rooms(folder: Path) -> AsyncIterator[AdministeredCluster]:
    """Two frontends and two backends, whose places are those of a list."""
    cluster = AdministeredCluster(folder, servers=SERVERS, files=files())
    await cluster.start()
    yield cluster
    await cluster.close()


async def enter(cluster: AdministeredCluster, name: str, frontend: str = "front-1") -> Any:
    client = await cluster.client(frontend)
    await client.request("front.doorHandler.enter", {"name": name})
    return client


def put(cluster: AdministeredCluster, server: str, channel: str, *uids: str) -> Any:
    """Have users in a channel that a server holds, all of them on the first frontend."""
    found = cluster.nodes[server].channels.get(channel, create=True)
    assert found is not None
    for uid in uids:
        found.add(uid, "front-1")
    return found


def channels_of(ran: Any) -> list[dict[str, str]]:
    return [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in ran.lines]


def parts_of(ran: Any) -> list[dict[str, str]]:
    return [dict(zip(OF_ONE, line.split("\t"), strict=True)) for line in ran.lines]


class TestChannels:
    async def test_off_a_terminal(self, rooms: AdministeredCluster) -> None:
        for name in ("ann", "bob"):
            await enter(rooms, name)
        put(rooms, "chat-2", "cellar", "ann").state["topic"] = "wine"

        ran = await chatcore("inspect", "channels", "--app", path_of(rooms))

        assert (ran.code, ran.err) == (0, "")
        cellar, attic = sorted(channels_of(ran), key=lambda each: each["members"])
        assert (cellar["name"], cellar["node"], cellar["state_keys"]) == ("cellar", "chat-2", "1")
        assert (attic["name"], attic["type"], attic["members"]) == ("attic", "chat", "2")
        assert attic["frontends"] == "front-1"
        assert attic["node"] == attic["owner"]

    async def test_on_a_terminal_the_largest(self, rooms: AdministeredCluster) -> None:
        for name in ("ann", "bob", "cat"):
            await enter(rooms, name)
        put(rooms, "chat-1", "small", "ann")
        put(rooms, "chat-2", "large", "ann", "bob", "cat")
        put(rooms, "chat-2", "middling", "ann", "bob")

        ran = await chatcore("inspect", "channels", "--most", "2", "--type", "chat", "--app",
                             path_of(rooms), terminal=True)  # fmt: skip

        assert {line.split()[0] for line in ran.lines[1:3]} == {"attic", "large"}
        assert ran.lines[-1].startswith("2 of 4 channels; --most shows more (chat-1 ")

    async def test_all_of_them_answer_by_answer(
        self, rooms: AdministeredCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(looking, "MOST", 3)
        await enter(rooms, "ann")
        names = [f"room {number}" for number in range(10)]
        for name in names:
            put(rooms, "chat-2", name, "ann")

        ran = await chatcore("inspect", "channels", "chat-2", "--by", "name", "--app",
                             path_of(rooms))  # fmt: skip

        told = [each["name"] for each in channels_of(ran) if each["name"] != "attic"]
        assert told == names


class TestChannel:
    async def test_off_a_terminal(self, rooms: AdministeredCluster) -> None:
        await enter(rooms, "ann")
        await enter(rooms, "bob", "front-2")

        ran = await chatcore("inspect", "channel", "attic", "--app", path_of(rooms))

        assert (ran.code, ran.err) == (0, "")
        found = parts_of(ran)
        assert [(each["frontend"], each["uids"]) for each in found] == [
            ("front-1", "ann"),
            ("front-2", "bob"),
        ]
        for each in found:
            assert (each["members"], each["there"], each["sessions"]) == ("1", "1", "1")
            assert (each["agree"], each["outbox_bytes"]) == ("yes", "0")
            assert each["owner"] == each["holder"]

    async def test_on_a_terminal(self, rooms: AdministeredCluster) -> None:
        for name in ("ann", "bob", "cat"):
            await enter(rooms, name)
        (holder,) = [id for id in SERVERS["chat"] if rooms.nodes[id].channels.has("attic")]
        attic = rooms.nodes[holder].channels.get("attic")
        assert attic is not None
        attic.state["topic"] = "secret plans"

        ran = await chatcore("inspect", "channel", "attic", "--most", "2", "--app",
                             path_of(rooms), terminal=True)  # fmt: skip

        assert ran.lines[0] == f"attic of chat: {holder} has it, whose it is by its name (view 0)"
        assert ran.lines[1] == "  3 members, 0 B wait for them, state: topic"
        assert ran.lines[3].endswith("ann, bob and 1 more")
        assert "secret plans" not in ran.out

    async def test_one_that_nobody_has(self, rooms: AdministeredCluster) -> None:
        ran = await chatcore("inspect", "channel", "nowhere", "--app", path_of(rooms))

        assert ran.code == 1
        assert ran.err.startswith("chatcore: nobody has a channel 'nowhere'; by its name it would")

    async def test_what_owner_and_frontend_do_not_agree_on(
        self, rooms: AdministeredCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(channel_command, "LOOK_AGAIN", 0.0)
        for name in ("ann", "bob"):
            await enter(rooms, name)
        (holder,) = [id for id in SERVERS["chat"] if rooms.nodes[id].channels.has("attic")]
        clients = rooms.nodes["front-1"].clients
        assert clients is not None
        clients.groups.leave(holder, "attic", ["ann"])  # as if it had been told so

        ran = await chatcore("inspect", "channel", "attic", "--app", path_of(rooms))

        assert ran.code == 0
        assert ran.err == (
            f"chatcore: 'attic' of chat: {holder} has 2 members on front-1, and front-1 has 1;"
            f" only {holder} has ann\n"
        )
        (found,) = parts_of(ran)
        assert (found["agree"], found["members"], found["there"]) == ("no", "2", "1")

    async def test_what_has_passed_is_not_told(
        self, rooms: AdministeredCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("ann", "bob"):
            await enter(rooms, name)
        (holder,) = [id for id in SERVERS["chat"] if rooms.nodes[id].channels.has("attic")]
        clients = rooms.nodes["front-1"].clients
        assert clients is not None
        clients.groups.leave(holder, "attic", ["ann"])

        async def come_in(clock: Any, seconds: float) -> None:
            clients.groups.join(holder, "attic", ["ann"])

        monkeypatch.setattr(channel_command, "deferLater", come_in)

        ran = await chatcore("inspect", "channel", "attic", "--app", path_of(rooms))

        assert (ran.code, ran.err) == (0, "")

    async def test_a_frontend_that_is_gone(self, rooms: AdministeredCluster) -> None:
        await enter(rooms, "ann", "front-2")
        await rooms.end("front-1")

        ran = await chatcore("inspect", "channel", "attic", "--app", path_of(rooms))

        assert ran.code == 1
        assert ran.err.startswith("chatcore: front-1 does not tell: ")
        assert parts_of(ran)[0]["frontend"] == "front-2"


async def test_a_channel_that_moves(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is under way keeps a channel from going to its new owner."""
    monkeypatch.setattr(handing_over, "PATIENCE", PATIENCE)
    cluster = AdministeredCluster(folder, servers=SERVERS, files=files())
    cluster.registry = OneRegistry(reactor.callLater)  # type: ignore[attr-defined]  # Twisted's
    try:
        await cluster.start("front-1", "chat-2")
        await enter(cluster, "ann")
        old = cluster.nodes["chat-2"]
        number = old.moves.under_way.begin("attic")
        await cluster.start("chat-1")
        await until(lambda: old.servers.owner("chat", "attic").id == "chat-1", "another owner")

        one = await chatcore("inspect", "channel", "attic", "--app", path_of(cluster))
        many = await chatcore("inspect", "channels", "--app", path_of(cluster))
        old.moves.under_way.end(number)
        await until(lambda: cluster.nodes["chat-1"].channels.has("attic"), "the move")
        after = await chatcore("inspect", "channel", "attic", "--app", path_of(cluster))

        epoch = old.servers.view.epoch
        assert f"it is to go from chat-2 to chat-1, whose it is in view {epoch}\n" in one.err
        assert [each["holder"] for each in parts_of(one)] == ["chat-2"]
        (found,) = channels_of(many)
        assert (found["node"], found["owner"], found["state"]) == ("chat-2", "chat-1", "moving")
        assert [each["holder"] for each in parts_of(after)] == ["chat-1"]
        assert "it is to go" not in after.err
    finally:
        await cluster.close()


def asked(**answers: Mapping[str, Any]) -> Asked:
    """What servers said of a channel."""
    told = {id.replace("_", "-"): answer for id, answer in answers.items()}
    survey = Survey.of(survey_of("chat-1", "chat-2", "front-1"))
    return Asked(survey=survey, answers=told, silent={}, meant=frozenset(told), down=frozenset())


def said(server_type: str, **more: Any) -> dict[str, Any]:
    return {
        "type": server_type,
        "epoch": 7,
        "owner": "chat-2",
        "settled": True,
        "awaited": False,
        "handing_over": False,
        "went": None,
        "held": None,
        "groups": {},
        **more,
    }


def members(*uids: str, mark: str = "m", **more: Any) -> dict[str, Any]:
    return {"members": len(uids), "mark": mark, "uids": list(uids), **more}


def held(*uids: str, placed: bool = True, **more: Any) -> dict[str, Any]:
    frontends = {"front-1": members(*uids, **more)} if uids else {}
    return {
        "members": len(uids),
        "placed": placed,
        "state": [],
        "state_keys": 0,
        "frontends": frontends,
    }


def group(*uids: str, moving: bool = False, **more: Any) -> dict[str, Any]:
    waits = {"sessions": len(uids), "outbox_bytes": 0, "outbox_most": 0}
    return {**members(*uids, **more), **waits, "confirmed": not moving, "moving": moving}


class TestBroughtTogether:
    """What follows from what servers say."""

    def test_one_that_moves(self) -> None:
        (found,) = brought_together(
            asked(
                chat_1=said("chat", held=held("ann")),
                chat_2=said("chat", awaited=True, settled=False),
                front_1=said(
                    "front", owner="front-1", groups={"chat-2": group("ann", moving=True)}
                ),
            )
        )

        assert found.owner == "chat-2"
        assert found.moves == [
            "it is to go from chat-1 to chat-2, whose it is in view 7",
            "some of it has come to chat-2, which does not answer for it yet",
            "front-1 waits for chat-2 to say that it is its own now",
            "chat-2 does not answer yet for all that is its own in view 7",
        ]

    def test_one_that_two_hold(self) -> None:
        (found,) = brought_together(
            asked(
                chat_1=said("chat", held=held("ann")),
                chat_2=said("chat", held=held("bob")),
                front_1=said("front", groups={"chat-1": group("ann"), "chat-2": group("bob")}),
            )
        )

        assert list(found.problems.values()) == ["chat-1, chat-2 each hold it as their own"]
        assert len(found.moves) == 1

    def test_those_that_servers_have_each_for_themselves(self) -> None:
        (found,) = brought_together(
            asked(
                chat_1=said("chat", held=held("ann", placed=False)),
                chat_2=said("chat", held=held("bob")),
                front_1=said("front", groups={"chat-1": group("ann"), "chat-2": group("bob")}),
            )
        )

        assert [each.holder for each in found.held] == ["chat-1", "chat-2"]
        assert (found.problems, found.moves) == ({}, [])

    def test_one_that_a_frontend_takes_for_anothers(self) -> None:
        (found,) = brought_together(
            asked(
                chat_1=said("chat"),
                chat_2=said("chat", held=held("ann")),
                front_1=said("front", groups={"chat-1": group("ann")}),
            )
        )

        assert list(found.problems.values()) == [
            "front-1 has 1 members of it for chat-1, which has none",
            "chat-2 has 1 members on front-1, and front-1 has 0; only chat-2 has ann",
        ]

    def test_one_that_nobody_watches_does_not_move(self) -> None:
        (found,) = brought_together(asked(chat_1=said("chat", epoch=0, held=held("ann"))))

        assert (found.moves, found.problems) == ([], {})
        assert [part.agree for part in found.held[0].parts] == [None]
