"""Channels that follow the view: nodes come, go, drain and crash, and no room is split."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import pytest_twisted
from one_registry import OneRegistry
from running import short_folder
from small_cluster import Cluster, until
from twisted.internet import reactor

from chatcore.client import Client
from chatcore.errors import ChannelMoved
from chatcore.node.node import OPENING_SECONDS

APP = """
    from chatcore.application import by_session

    def configure(app):
        app.route("back", by_session("room"))
        app.placement("back", key=lambda name: name if "room" in name else name.split(":")[1])
        app.on("channel_moving", lambda channel, server_id: channel.state.update(left=1))
        told = app.data.setdefault("told", [])
        for event in ("add_servers", "replace_servers"):
            app.on(
                event,
                lambda servers, event=event: told.append((event, [each.id for each in servers])),
            )
        app.on("remove_servers", lambda ids: told.append(("remove_servers", ids)))
"""

FRONT = """
    from zope.interface import implementer
    from chatcore.interfaces import IHandler
    from ..back.remotes import IRoomRemote

    class IFrontHandler(IHandler):
        async def enter(msg, session): ""
        async def look(msg, session): ""

    @implementer(IFrontHandler)
    class FrontHandler:
        def __init__(self, app):
            self.app = app

        async def enter(self, msg, session):
            await session.bind(msg["uid"])
            await session.update(room=msg["room"])
            rooms = self.app.rpc.by(session)[IRoomRemote]
            return await rooms.add(msg["uid"], session.frontend_id, msg["room"])

        async def look(self, msg, session):
            room = msg["room"].replace("half a pair", chr(0xd83d))
            at = await self.app.rpc.by_key(room)[IRoomRemote].where()
            return {"at": at, "owner": self.app.servers.owner("back", room).id}
"""

BACK = """
    from zope.interface import implementer
    from chatcore.interfaces import IRemote

    class IRoomRemote(IRemote):
        async def add(uid, sid, room): ""
        async def where(): ""

    @implementer(IRoomRemote)
    class RoomRemote:
        def __init__(self, app):
            self.app = app
            app.channels.on_left(
                lambda channel, uid, sid, why: channel.push("onLeft", {"uid": uid})
            )

        async def add(self, uid, sid, room):
            channel = self.app.channels.get(room, create=True)
            channel.state.setdefault("by", self.app.server_id)
            channel.add(uid, sid)
            return {"at": self.app.server_id, "users": channel.uids()}

        async def where(self):
            return self.app.server_id
"""

HANDLERS = """
    from zope.interface import implementer
    from chatcore.interfaces import IHandler

    class IRoomHandler(IHandler):
        async def say(msg, session): ""

    @implementer(IRoomHandler)
    class RoomHandler:
        def __init__(self, app):
            self.app = app

        async def say(self, msg, session):
            channel = self.app.channels.get(session.get("room"))
            channel.push("onSay", {"n": msg["n"], "by": session.uid})
            return {"at": self.app.server_id, "users": channel.uids(), "state": channel.state}
"""

ROOMS = [f"room {number}" for number in range(8)]


class Rooms(Cluster):
    """A cluster to which things happen that are hard to arrange."""

    def crash(self, id: str) -> None:
        """Have a node be heard of no more; the registry has yet to notice."""
        node, registry = self.nodes[id], self.registry
        assert registry is not None
        for link in list(node.links._links.values()):
            link.abort()
        registry._hearers.pop(id)
        node.membership._registry = registry.of("nobody")
        node.links.stopService()

    def takes_for_owner(self, id: str, owner: str) -> None:
        """Have a node take another one for the owner of everything, as by an older view."""
        servers = self.nodes[id].servers
        servers.owner = lambda *key: (  # type: ignore[method-assign]
            setattr(servers, "_placed", (key[1], owner)) or servers.get(owner)
        )


@pytest_twisted.async_yield_fixture()
async def cluster() -> AsyncIterator[Rooms]:
    with short_folder() as folder:
        cluster = Rooms(
            folder,
            servers={"front": ["front-1", "front-2"], "back": ["back-1", "back-2", "back-3"]},
            files={
                "app.py": APP,
                "servers/front/handlers.py": FRONT,
                "servers/back/remotes.py": BACK,
                "servers/back/handlers.py": HANDLERS,
            },
            registry=OneRegistry(reactor.callLater),
        )
        yield cluster
        await cluster.close()


def at_least(heard: list[int], expected: list[int]) -> bool:
    return len(heard) >= len(expected)


class People:
    """Two in every room, each at another frontend."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.clients: dict[tuple[str, int], Client] = {}
        self.heard: dict[tuple[str, int], list[int]] = {}
        self.left: list[str] = []
        self._last = 0

    async def enter(self) -> None:
        for room in ROOMS:
            for number in (1, 2):
                client = await self.cluster.client(f"front-{number}")
                who = room, number
                self.clients[who] = client
                heard = self.heard[who] = []
                client.on("onSay", lambda msg, heard=heard: heard.append(msg["n"]))
                client.on("onLeft", lambda msg: self.left.append(msg["uid"]))
                uid = f"{room} {number}"
                await client.request("front.frontHandler.enter", {"uid": uid, "room": room})

    async def talk(self) -> dict[str, Any]:
        """Say something in each room, from each side; who answered comes back."""
        answers = {}
        for (room, _), client in self.clients.items():
            self._last += 1
            answers[room] = await client.request("back.roomHandler.say", {"n": self._last})
        return answers

    async def all_heard(self) -> None:
        """Each room has heard all that was said in it, in order."""
        per_round = len(self.clients)
        rounds = self._last // per_round
        for index, room in enumerate(ROOMS):
            expected = [
                turn * per_round + 2 * index + side + 1
                for turn in range(rounds)
                for side in range(2)
            ]
            for number in (1, 2):
                heard = self.heard[room, number]
                await until(partial(at_least, heard, expected), f"{room}: {heard} {expected}")
                assert heard == expected


async def test_nodes_that_come_and_go_take_their_share(cluster: Rooms) -> None:
    people = People(cluster)
    await cluster.start()
    await people.enter()
    first = await people.talk()
    assert {each["at"] for each in first.values()} == {"back-1", "back-2", "back-3"}
    await cluster.nodes["back-1"].drain()
    second = await people.talk()
    assert {each["at"] for each in second.values()} == {"back-2", "back-3"}
    assert cluster.nodes["back-1"].channels.names() == []
    for room, answer in second.items():
        assert answer["users"] == [f"{room} 1", f"{room} 2"]
        moved = {"left": 1} if first[room]["at"] == "back-1" else {}
        assert answer["state"] == {"by": first[room]["at"], **moved}
    await cluster.stop("back-1")
    await people.talk()
    await cluster.start("back-1")
    last = await people.talk()
    assert {room: each["at"] for room, each in last.items()} == {
        room: each["at"] for room, each in first.items()
    }
    assert all(each["users"] == [f"{room} 1", f"{room} 2"] for room, each in last.items())
    await people.all_heard()
    assert people.left == []


async def test_what_a_crashed_node_had_is_rebuilt(cluster: Rooms) -> None:
    people = People(cluster)
    await cluster.start()
    await people.enter()
    before = await people.talk()
    cluster.crash("back-2")
    registry = cluster.registry
    assert registry is not None
    registry.take_out("back-2")
    after = await people.talk()
    for room, answer in after.items():
        assert sorted(answer["users"]) == [f"{room} 1", f"{room} 2"]
        if before[room]["at"] != "back-2":
            assert answer["at"] == before[room]["at"]
        else:
            assert answer["at"] in ("back-1", "back-3")
    await people.all_heard()


@pytest.mark.parametrize("rounds", [1, 5])
async def test_who_is_taken_for_dead_begins_anew(cluster: Rooms, rounds: int) -> None:
    people = People(cluster)
    await cluster.start()
    await people.enter()
    await people.talk()
    registry, node = cluster.registry, cluster.nodes["back-2"]
    assert registry is not None
    for _ in range(rounds):
        registry.take_out("back-2")
        node.membership.removed()
    await until(lambda: registry.members["back-2"].state == "up", "it to have its share again")
    after = await people.talk()
    assert {each["at"] for each in after.values()} == {"back-1", "back-2", "back-3"}
    for room, answer in after.items():
        assert sorted(answer["users"]) == [f"{room} 1", f"{room} 2"]
    await people.all_heard()
    assert people.left == []


async def test_who_is_taken_for_dead_drops_what_it_owned_at_once(cluster: Rooms) -> None:
    """Also while it hears of no view that says who owns it now."""
    people = People(cluster)
    await cluster.start()
    await people.enter()
    registry, node = cluster.registry, cluster.nodes["back-2"]
    assert registry is not None
    held = [node.channels.get(name) for name in node.channels.names()]
    assert held
    registry._hearers.pop("back-2")
    registry.take_out("back-2")
    node.membership.removed()
    assert node.channels.names() == []
    assert not node.moves.settling.may_answer(held[0].name)
    for channel in held:
        with pytest.raises(ChannelMoved, match="others own it now"):
            channel.push("onSay", {})


async def test_nodes_go_on_while_the_registry_is_away(cluster: Rooms) -> None:
    people = People(cluster)
    await cluster.start()
    await people.enter()
    before = await people.talk()
    for node in cluster.nodes.values():
        node.membership.lost("it is switched off", 0.0)
    after = await people.talk()
    for node in cluster.nodes.values():
        node.membership.found()
    again = await people.talk()
    for answers in (after, again):
        assert {room: each["at"] for room, each in answers.items()} == {
            room: each["at"] for room, each in before.items()
        }
    await people.all_heard()


async def test_a_node_may_own_nothing_while_it_can_not_know(cluster: Rooms) -> None:
    cluster.change({"registry.lost": "stop", "registry.lease_seconds": 1})
    people = People(cluster)
    await cluster.start()
    await people.enter()
    before = await people.talk()
    node = cluster.nodes["back-1"]
    node.membership.lost("it is cut off", 0.0)
    await until(lambda: not node.moves.settling.settled, "its lease to be over")
    room = next(room for room, answer in before.items() if answer["at"] == "back-1")
    asked = people.clients[room, 1].request("back.roomHandler.say", {"n": 99})
    await until(lambda: len(node.moves.arrivals), "the request to wait")
    node.membership.found()
    assert (await asked)["at"] == "back-1"
    await until(lambda: people.heard[room, 2][-1] == 99, "what was said")


async def test_a_room_may_be_called_anything(cluster: Rooms) -> None:
    """Also what no UTF-8 can say, as JavaScript's clients can."""
    await cluster.start()
    client = await cluster.client("front-1")
    await client.request("front.frontHandler.enter", {"uid": "ann", "room": "den"})
    for room in ("half a pair", "中" * 300, "😀", "a\0b"):
        answer = await client.request("front.frontHandler.look", {"room": room})
        assert answer["owner"] == answer["at"]


async def test_applications_are_told_who_comes_and_goes(cluster: Rooms) -> None:
    await cluster.start()
    told = cluster.nodes["front-1"].application.data["told"]
    told.clear()
    await cluster.stop("back-2")
    await cluster.start("back-2")
    registry = cluster.registry
    assert registry is not None
    member = registry.members["back-3"]
    registry.members["back-3"] = replace(member, incarnation="another life")
    registry.tell()
    await until(lambda: len(told) > 2, "all to be told")
    assert told == [
        ("remove_servers", ["back-2"]),
        ("add_servers", ["back-2"]),
        ("replace_servers", ["back-3"]),
    ]


@pytest.mark.logs_failures
async def test_what_can_not_move_stays_behind(cluster: Rooms) -> None:
    """And keeps nothing else from moving, however many members there are."""
    people = People(cluster)
    await cluster.start()
    await people.enter()
    before = await people.talk()
    room = next(room for room, answer in before.items() if answer["at"] == "back-1")
    channel = cluster.nodes["back-1"].channels.get(room)
    assert channel is not None
    channel.state |= {"open": object(), "large": "x" * 5_000_000, "small": [1, 2]}
    for number in range(11_000):
        channel.put(f"uid {number}", "front-2")
    await cluster.nodes["back-1"].drain()
    after = await people.talk()
    assert after[room]["state"] == {"by": "back-1", "left": 1, "small": [1, 2]}
    assert after[room]["users"] == [f"{room} 1", f"{room} 2"]
    await until(lambda: len(people.left) == 2 * 11_000, "the others to be told who is not there")
    with pytest.raises(ChannelMoved, match="owns it now"):
        channel.push("onSay", {})
    await people.all_heard()


@pytest.mark.logs_failures
async def test_a_key_that_an_application_can_not_say_keeps_nothing_from_moving(
    cluster: Rooms,
) -> None:
    people = People(cluster)
    await cluster.start()
    await people.enter()
    client = await cluster.client("front-1")
    await client.request("front.frontHandler.enter", {"uid": "ann", "room": "no colon"})
    for id in ("back-1", "back-2"):
        await cluster.nodes[id].drain()
    assert {each["at"] for each in (await people.talk()).values()} == {"back-3"}
    answer = await client.request("back.roomHandler.say", {"n": 1})
    assert (answer["at"], answer["users"]) == ("back-3", ["ann"])


async def test_a_hook_may_destroy_channels_that_are_to_move(cluster: Rooms) -> None:
    people = People(cluster)
    await cluster.start()
    await people.enter()
    node = cluster.nodes["back-1"]
    rooms = node.channels.names()
    assert len(rooms) > 1
    node.application.on(
        "channel_moving",
        lambda channel, server_id: [
            node.channels.destroy(name) for name in rooms if name != channel.name
        ],
    )
    await node.drain()
    assert node.moves.empty
    assert node.channels.names() == []


async def test_a_state_survives_that_its_owner_is_taken_for_dead(cluster: Rooms) -> None:
    """Also where it hears that before it hears of any view without it."""
    people = People(cluster)
    await cluster.start()
    await people.enter()
    before = await people.talk()
    rooms = [room for room, answer in before.items() if answer["at"] == "back-2"]
    registry, node = cluster.registry, cluster.nodes["back-2"]
    assert registry is not None
    for room in rooms:
        node.channels.get(room).state["turn"] = 7
    hearer = registry._hearers.pop("back-2")
    registry.take_out("back-2")
    others = ("back-1", "back-3")
    await until(
        lambda: all(cluster.nodes[id].servers.view.get("back-2") is None for id in others),
        "the others to hear of it",
    )
    registry._hearers["back-2"] = hearer
    node.membership.removed()
    await until(lambda: registry.members["back-2"].state == "up", "it to have its share again")
    after = await people.talk()
    assert [after[room]["state"].get("turn") for room in rooms] == [7] * len(rooms)


async def test_what_was_passed_on_is_refused_where_its_frontend_can_not_be_reached(
    cluster: Rooms,
) -> None:
    people = People(cluster)
    await cluster.start()
    await people.enter()
    before = await people.talk()
    room = next(room for room, answer in before.items() if answer["at"] == "back-1")
    new = cluster.nodes["back-1"]
    find = new.links.get
    new.links.get = lambda id: None if id == "front-1" else find(id)  # type: ignore[method-assign]
    cluster.takes_for_owner("front-1", "back-2")
    refused = new.counters.calls_refused
    assert await people.clients[room, 1].request("back.roomHandler.say", {"n": 1}) == {"code": 500}
    assert new.counters.calls_refused == refused + 1  # when it had waited for its link


async def test_who_comes_later_does_not_wait_for_those_that_are_down(cluster: Rooms) -> None:
    await cluster.start()
    await cluster.stop("back-1", "back-2")
    began = reactor.seconds()
    await cluster.start("back-2")
    assert cluster.nodes["back-2"].membership.member.state == "up"
    assert reactor.seconds() - began < OPENING_SECONDS


@pytest.mark.logs_failures
async def test_a_handler_that_is_too_late_makes_no_second_room(cluster: Rooms) -> None:
    """Neither of one that it held, nor a new one."""
    await cluster.start()
    node = cluster.nodes["back-1"]
    room = await until(lambda: next(filter(node.moves.owns, ROOMS), None), "it to own something")
    held = node.channels.get(room, create=True)
    number = node.moves.under_way.begin(room)
    node.membership.enter("draining")
    await until(lambda: node.servers.view.members[0].state == "draining", "the view to change")
    assert node.moves.handing_over.waits
    assert node.channels.get(room, create=True) is held  # the move still waits for it
    node.moves.handing_over._give_up()
    await until(lambda: not node.moves.handing_over.waits, "the move to wait no longer")
    with pytest.raises(ChannelMoved, match="owns it now"):
        held.add("ann", "front-1")
    del held
    with pytest.raises(ChannelMoved, match="owns it now"):
        node.channels.get(room, create=True)
    node.moves.under_way.end(number)


async def test_pushes_come_before_the_answer_to_what_was_passed_on(cluster: Rooms) -> None:
    """Though the answer goes by way of the old owner, and the pushes go straight."""
    people = People(cluster)
    await cluster.start()
    await people.enter()
    before = await people.talk()
    room = next(room for room, answer in before.items() if answer["at"] == "back-1")
    cluster.takes_for_owner("front-1", "back-2")
    link = cluster.nodes["back-1"].links.get("front-1")
    assert link is not None
    link.pauseProducing()
    asked = people.clients[room, 1].request("back.roomHandler.say", {"n": 99})
    await until(lambda: people.heard[room, 2][-1] == 99, "the other one to hear it")
    await until(lambda: link.under_way, "it to be asked whether it has read all")
    assert not asked.called
    link.resumeProducing()
    assert (await asked)["at"] == "back-1"
    assert people.heard[room, 1][-1] == 99


async def test_who_comes_back_while_an_owner_is_missing_is_in(cluster: Rooms) -> None:
    """The new owner hears later that the old session has ended than that there is a new one."""
    people = People(cluster)
    await cluster.start()
    await people.enter()
    before = await people.talk()
    room = next(room for room, answer in before.items() if answer["at"] == "back-2")
    uid = f"{room} 1"
    cluster.crash("back-2")
    await people.clients[room, 1].disconnect()
    front, others = cluster.nodes["front-1"], [cluster.nodes[id] for id in ("back-1", "back-3")]
    await until(lambda: not front.sessions.has_uid(uid), "the frontend to notice")
    kept: list[tuple[Any, ...]] = []
    offering = front.moves.offering
    assert offering is not None
    pushes_done = offering.pushes_done
    offering.pushes_done = lambda *done: kept.append(done)  # type: ignore[method-assign]
    registry = cluster.registry
    assert registry is not None
    registry.take_out("back-2")
    client = await cluster.client("front-1")
    entering = client.request("front.frontHandler.enter", {"uid": uid, "room": room})
    await until(lambda: any(len(each.moves.arrivals) for each in others), "it to wait")
    owners = {"back-1", "back-3"}
    await until(lambda: owners <= {who for who, _ in kept}, "both to have pushed all")
    offering.pushes_done = pushes_done  # type: ignore[method-assign]
    for done in kept:
        pushes_done(*done)
    assert sorted((await entering)["users"]) == [f"{room} 1", f"{room} 2"]
    answer = await client.request("back.roomHandler.say", {"n": 1})
    assert sorted(answer["users"]) == [f"{room} 1", f"{room} 2"]
    assert people.left == [uid]
