"""Ways for a message not to arrive, each caused on purpose; trace and why name each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from small_cluster import until

from chatcore.client import Client

from .ways import BOB, Ways, gone, stop_reading

ALICE = "alice*room1"

Make = Callable[..., Awaitable[Ways]]


@pytest_twisted.async_yield_fixture
async def make(folder: Path) -> AsyncIterator[Make]:
    made: list[Ways] = []

    async def start(**settings: Any) -> Ways:
        made.append(Ways(folder, {key.replace("__", "."): each for key, each in settings.items()}))
        await made[0].start()
        return made[0]

    yield start
    for each in made:
        await each.close()


async def say(client: Client, **msg: Any) -> Any:
    return await client.request("room.talkHandler.say", msg)


SAY = "room.talkHandler.say"


async def traced(ways: Ways, client: Client, **msg: Any) -> dict[str, Any]:
    """What is told of a message that somebody says."""
    return await ways.trace(SAY, lambda: say(client, **msg))


def fates(story: dict[str, Any], uid: str = BOB) -> set[str]:
    """What became, for a member, of what was pushed."""
    return {each["outcome"] for each in story["members"] if each["uid"] == uid}


def absent(story: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Who was no member any more."""
    keys = "uid", "channel", "frontend", "outcome"
    return [tuple(each[key] for key in keys) for each in story["absent"]]  # type: ignore[misc]


def events(said: Any, what: str) -> list[Any]:
    return [each for each in said["events"] if each["what"] == what]


def one(said: Any, what: str) -> Any:
    (event,) = events(said, what)
    return event


async def test_the_member_left_the_channel_before(make: Make) -> None:
    ways = await make()
    alice, bob = await ways.enter(ALICE), await ways.enter(BOB)
    assert await bob.request("room.talkHandler.leave", {}) == {"left": True}

    story = await traced(ways, alice)
    assert absent(story) == [(BOB, "room1", "front-1", "left")]
    assert story["absent"][0]["why"] == "taken out by the application"
    assert (fates(story), fates(story, ALICE)) == (set(), {"written"})

    said = await ways.why()

    assert said["line"].startswith(f"{BOB} is connected to front-1 since ")
    assert "was taken from the channel room1 at " in said["line"]
    assert said["line"].endswith(" by room-1: taken out by the application")
    assert (one(said, "left")["about"]["channel"], said["channels"]) == ("room1", [])


async def test_its_connection_had_ended(make: Make) -> None:
    ways = await make()
    alice, bob = await ways.enter(ALICE), await ways.enter(BOB)
    await bob.disconnect()
    await ways.until_why(lambda said: events(said, "left"), "that bob left")

    story = await traced(ways, alice)
    assert absent(story) == [(BOB, "room1", "front-1", "gone")]

    said = await ways.why()

    assert said["line"].startswith(f"{BOB} was disconnected at ")
    assert said["line"].endswith(" by front-1: the client went, or its connection was cut")
    assert one(said, "left")["why"] == "closed"
    assert said["sessions"] == []


async def test_a_push_to_a_uid_whose_connection_had_ended(make: Make) -> None:
    ways = await make()
    alice = await ways.enter(ALICE)
    for to in ([BOB], [["carl", "front-1"]]):
        await alice.request("room.talkHandler.whisper", {"to": to})

    for uid, node in ((BOB, "room-1"), ("carl", "front-1")):
        said = await ways.until_why(lambda said: said["events"], "what was not sent", uid)
        assert one(said, "pushes not sent")["why"] == "gone"
        assert said["line"].startswith(
            f"{uid} is not connected; a push of onWhisper was not sent at "
        )
        assert said["line"].endswith(f" by {node}: gone (its connection had ended)")


async def test_a_push_to_a_uid_that_may_be_where_no_link_goes(make: Make) -> None:
    ways = await make()
    alice = await ways.enter(ALICE, at="front-2")
    await ways.enter(BOB)
    room = ways.nodes["room-1"].links
    dial = ways.hold_apart("front-1", "room-1")
    await until(lambda: room.get("front-1") is None, "the loss of a link")
    for to in ([BOB], [[BOB, "front-1"]]):
        await alice.request("room.talkHandler.whisper", {"to": to})
    dial()
    await until(lambda: room.get("front-1"), "a new link")

    said = await ways.why()

    found = events(said, "pushes not sent")
    assert [each["why"] for each in found] == ["link lost", "link lost"]
    assert [each["about"].get("peer") for each in found] == [None, "front-1"]
    assert events(await ways.why(ALICE), "pushes not sent") == []


async def until_it_waits(ways: Ways, alice: Client, **msg: Any) -> None:
    """Say so much that the buffers of two sockets are full, and it waits for who does not read."""
    (session,) = ways.nodes["front-1"].sessions.by_uid(BOB)
    outbox = session.connection.outbox
    for _ in range(100):
        await say(alice, times=10, size=50_000, **msg)
        if outbox.unread_seconds:
            return
    raise AssertionError("the buffers of sockets have no end")


async def test_it_does_not_read_and_is_disconnected(make: Make) -> None:
    ways = await make()
    alice, bob = await ways.enter(ALICE, at="front-2"), await ways.enter(BOB)
    stop_reading(bob)
    await until_it_waits(ways, alice)

    story = await traced(ways, alice, times=40, size=50_000)
    assert "slow" in fates(story)
    assert fates(story, ALICE) == {"written"}

    said = await ways.until_why(lambda said: events(said, "closed"), "that bob is gone")

    assert said["line"].startswith(f"{BOB} was disconnected at ")
    assert " by front-1: slow (read nothing for " in said["line"]
    about = one(said, "slow")["about"]
    assert about["bytes"] > 2**20
    assert about["messages"] >= 10
    assert f"{about['messages']} messages lost" in said["line"]
    shares = [each["why"].split(" of")[0] for each in events(said, "outbox high-water")]
    assert shares == ["a quarter", "half", "all"]
    assert one(said, "closed")["why"] == "slow client"


@pytest.mark.parametrize("policy", ["drop-oldest", "newest-per-route"])
async def test_the_policy_gives_pushes_up(make: Make, policy: str) -> None:
    ways = await make(outbox__policy=policy)
    alice, bob = await ways.enter(ALICE, at="front-2"), await ways.enter(BOB)
    transport = stop_reading(bob)
    await until_it_waits(ways, alice)

    story = await traced(ways, alice, times=40, size=50_000)
    assert fates(story) == {"dropped", "waiting"}
    dropped = [each for each in story["members"] if each["outcome"] == "dropped"]
    told = {"drop-oldest": "outbox.bytes are full", "newest-per-route": "a newer push of its route"}
    assert dropped[0]["why"].startswith(told[policy])

    said = await ways.why()

    event = one(said, "pushes not sent")
    assert event["why"] == "dropped"
    assert event["routes"] == {"onChat": event["count"]}
    counters = ways.nodes["front-1"].counters
    assert event["count"] == counters.pushes_dropped + counters.pushes_replaced >= len(dropped)
    assert said["line"].startswith(f"{BOB} is connected to front-1 since ")
    assert f"but {event['count']} pushes (onChat {event['count']}) were not sent " in said["line"]
    assert "given up by the outbox's policy" in said["line"]
    assert said["sessions"][0]["waiting"] > 0
    transport.resumeProducing()


async def test_what_may_be_dropped_is(make: Make) -> None:
    ways = await make()
    alice, bob = await ways.enter(ALICE), await ways.enter(BOB)
    transport = stop_reading(bob)
    await until_it_waits(ways, alice)

    story = await traced(ways, alice, droppable=True, route="onMove")
    assert (fates(story), fates(story, ALICE)) == ({"dropped"}, {"written"})

    said = await ways.why()

    event = one(said, "pushes not sent")
    assert (event["why"], list(event["routes"])) == ("dropped", ["onMove"])
    assert "but a push of onMove was not sent at " in said["line"]
    transport.resumeProducing()


async def test_the_link_to_the_frontend_is_lost(make: Make) -> None:
    ways = await make()
    alice = await ways.enter(ALICE, at="front-2")
    await ways.enter(BOB)
    room, front = ways.nodes["room-1"].links, ways.nodes["front-1"].links

    async def act() -> None:
        dial = ways.hold_apart("front-1", "room-1")
        await until(lambda: room.get("front-1") is None, "the loss of a link")
        await say(alice, times=3)
        dial()
        await until(lambda: room.get("front-1") and front.get("room-1"), "a new link")

    story = await ways.trace(SAY, act)
    assert (fates(story), fates(story, ALICE)) == ({"link lost"}, {"written"})

    said = await ways.why()

    event = one(said, "pushes not sent")
    assert (event["why"], event["count"], event["node"]) == ("link lost", 3, "room-1")
    assert event["about"] == {"peer": "front-1", "channel": "room1"}
    assert "but 3 pushes (onChat 3) to room1 for front-1 were not sent at " in said["line"]
    assert "by room-1: link lost" in said["line"]
    lost = one(said, "link lost")
    assert lost["until"] >= lost["time"]
    assert "the link to " in lost["text"]
    assert len(events(await ways.why(BOB, "-v"), "link lost")) == 2


async def test_what_happened_in_other_rooms_and_to_other_links_is_no_part_of_it(make: Make) -> None:
    ways = await make()
    await ways.enter(BOB)
    await ways.enter("eve", "room2")
    room = ways.nodes["room-1"].channels.get("room2")
    assert room is not None
    ways.cut("room-1", "front-1")
    await until(lambda: ways.nodes["room-1"].links.get("front-1") is None, "the loss of a link")
    assert await room.push("onChat", {}) == ["eve"]
    await until(lambda: ways.nodes["front-1"].links.get("room-1"), "a new link")

    assert events(await ways.why(), "pushes not sent") == []
    assert one(await ways.why("eve"), "pushes not sent")["about"]["channel"] == "room2"


async def test_the_link_is_blocked_and_the_push_is_shed(make: Make) -> None:
    ways = await make(links__queue_bytes=65_536)
    alice = await ways.enter(ALICE, at="front-2")
    await ways.enter(BOB)
    link = ways.nodes["room-1"].links.get("front-1")
    assert link is not None

    async def act() -> None:
        link.pauseProducing()
        await say(alice, times=8, size=10_000)
        link.resumeProducing()

    story = await ways.trace(SAY, act)
    assert fates(story) == {"written", "link blocked"}
    assert fates(story, ALICE) == {"written"}
    shed = len([each for each in story["members"] if each["outcome"] == "link blocked"])
    assert shed > 2

    said = await ways.why()

    event = one(said, "pushes not sent")
    assert (event["why"], event["count"], event["node"]) == ("link blocked", shed, "room-1")
    assert f"but {shed} pushes (onChat {shed}) to room1 for front-1 were not sent " in said["line"]
    assert "link blocked (the link to the node that it had to go to was blocked" in said["line"]


async def refused(ways: Ways, client: Client, route: str, *, code: int = 0) -> dict[str, Any]:
    """What is told of a request that is answered by a 500."""

    async def act() -> None:
        assert await client.request(route, {}) == {"code": 500}

    return await ways.trace(route, act, code=code)


@pytest.mark.logs_failures
async def test_the_handler_raised(make: Make) -> None:
    ways = await make()
    bob = await ways.enter(BOB)
    story = await refused(ways, bob, "room.talkHandler.fail")
    assert (story["outcome"], story["at"]) == ("failed", "room-1")
    assert story["why"].startswith("it raised ValueError; the log has it as error ")

    said = await ways.why()

    event = one(said, "requests not answered")
    assert (event["why"], event["node"]) == ("failed", "room-1")
    assert event["routes"] == {"room.talkHandler.fail": 1}
    assert event["about"]["detail"] == "ValueError"
    assert f"logged as error {event['about']['error']}" in said["line"]
    assert "but a request of room.talkHandler.fail was not answered at " in said["line"]
    assert "hunter2" not in str(said)


@pytest.mark.logs_failures
async def test_the_handler_is_late(make: Make) -> None:
    ways = await make(limits__handler_seconds=0.2, links__call_timeout=0.1)
    bob = await ways.enter(BOB)
    story = await refused(ways, bob, "room.talkHandler.dream")
    assert (story["outcome"], story["at"]) == ("late", "room-1")

    said = await ways.why()

    event = one(said, "requests not answered")
    assert (event["why"], event["routes"]) == ("late", {"room.talkHandler.dream": 1})
    assert ": late (what acted on it took too long)" in said["line"]


@pytest.mark.parametrize(
    ("route", "detail"),
    [
        ("room.talkHandler.nothing", "there is no such route"),
        ("room.talkHandler.secret", "nobody"),
    ],
    ids=["unknown", "barred"],
)
async def test_the_frontend_refuses_it(make: Make, route: str, detail: str) -> None:
    ways = await make()
    bob = await ways.enter(BOB)
    story = await refused(ways, bob, route)
    assert (story["outcome"], story["at"]) == ("refused", "front-1")
    assert detail in story["why"]

    said = await ways.why()

    event = one(said, "requests not answered")
    assert (event["why"], event["node"], event["routes"]) == ("refused", "front-1", {route: 1})
    assert detail in event["about"]["detail"]
    assert f"but a request of {route} was not answered at " in said["line"]
    assert " by front-1: refused (" in said["line"]


async def test_a_limit_refuses_it(make: Make) -> None:
    ways = await make(limits__messages_per_second=0.001, limits__message_burst=3)
    bob = await ways.enter(BOB)
    for _ in range(2):
        await say(bob)
    story = await refused(ways, bob, SAY)
    assert (story["outcome"], story["at"]) == ("refused", "front-1")
    assert story["why"] == "a limit, or its signature, forbids it"

    said = await ways.why()

    event = one(said, "requests not answered")
    assert (event["why"], event["node"]) == ("refused", "front-1")
    assert event["about"]["detail"] == "a limit, or its signature, forbids it"


@pytest.mark.logs_failures
async def test_the_body_cant_be_said_in_the_clients_encoding(make: Make) -> None:
    ways = await make(connector__protobuf=True)
    alice = await ways.enter(ALICE)
    await ways.enter(BOB)
    story = await traced(ways, alice, route="onNumber", more={"number": -1})
    assert fates(story) == {"unencodable"}

    said = await ways.why()

    event = one(said, "pushes not sent")
    assert (event["why"], event["routes"]) == ("unencodable", {"onNumber": 1})
    assert "but a push of onNumber was not sent at " in said["line"]
    assert " by front-1: unencodable (" in said["line"]


async def test_the_owner_is_down(make: Make) -> None:
    ways = await make()
    bob = await ways.enter(BOB)
    await ways.stop("room-1")
    story = await refused(ways, bob, SAY, code=1)
    assert (story["outcome"], story["at"]) == ("no server", "front-1")

    said = await ways.why()

    event = one(said, "requests not answered")
    assert (event["why"], event["node"]) == ("no server", "front-1")
    assert event["about"]["detail"] == "NotConnected of room-1"
    assert ": no server (" in said["line"]


async def test_it_was_kicked(make: Make) -> None:
    ways = await make()
    alice, bob = await ways.enter(ALICE), await ways.enter(BOB)
    kicked = await alice.request("room.talkHandler.kick", {"uid": BOB, "why": "too loud"})
    assert kicked == {"kicked": [1, {}]}
    await gone(bob)
    await ways.until_why(lambda said: events(said, "left"), "that bob left")

    story = await traced(ways, alice)
    assert absent(story) == [(BOB, "room1", "front-1", "kicked")]
    assert story["absent"][0]["why"] == "too loud"

    said = await ways.why()

    assert said["line"].startswith(f"{BOB} was kicked at ")
    assert said["line"].endswith(" by front-1: too loud")
    assert [each["what"] for each in said["events"]][-3:] == ["kicked", "closed", "left"]
