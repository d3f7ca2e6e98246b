"""``chatcore inspect why``: what all servers know of a user, told as one story."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from running import ROOT
from small_cluster import until
from twisted.internet import reactor

from chatcore.cli.cluster import Cluster
from chatcore.cli.inspect.why import FIELDS
from chatcore.cli.inspect.why_story import Story
from chatcore.cli.inspect.why_words import first_line, sentence
from chatcore.cli.reaching import Reach
from chatcore.node.looking.traces import Traces
from chatcore.telemetry import GAUGES, HAPPENINGS, REASONS, Journal
from chatcore.telemetry.reasons import Happening

from .ways import BOB, Ways


@pytest_twisted.async_yield_fixture
async def ways(folder: Path) -> AsyncIterator[Ways]:
    cluster = Ways(folder)
    await cluster.start()
    yield cluster
    await cluster.close()


async def test_a_quiet_user(ways: Ways) -> None:
    await ways.enter(BOB)

    said = await ways.why()

    assert (said["known"], said["silent"], said["exit"]) == (True, {}, 0)
    assert said["line"].startswith(f"{BOB} is connected to front-1 since ")
    assert ", but" not in said["line"]
    assert [each["what"] for each in said["events"]] == ["logged in", "joined"]
    assert [each["node"] for each in said["events"]] == ["front-1", "room-1"]
    (session,) = said["sessions"]
    assert (session["server"], session["address"], session["waiting"]) == (
        "front-1",
        "127.0.0.1",
        0,
    )
    assert said["channels"] == [
        {"channel": "room1", "owner": "room-1", "frontend": "front-1", "says": [True, True]}
    ]


async def test_secrets_in_words_of_the_application_are_hidden(ways: Ways) -> None:
    await ways.enter(BOB)
    node = ways.nodes["front-1"]
    node.sessions.kick_uid(BOB, "token=hunter2 has expired")

    said = await ways.why()

    assert "kicked" in [each["what"] for each in said["events"]]
    assert "hunter2" not in str(said)
    ends = Traces(node)({"do": "ends", "uids": [BOB]})["uids"]
    assert ends == {BOB: ["kicked", "[hidden]"]}


async def test_on_a_terminal(ways: Ways) -> None:
    bob = await ways.enter(BOB)
    await bob.request("room.talkHandler.leave", {})

    ran = await ways.run("why", BOB, terminal=True)

    assert ran.code == 0, ran.err
    first, now, head, *rows = ran.lines
    assert first.endswith("by room-1: taken out by the application")
    assert now.startswith("  now: connected to front-1 from 127.0.0.1 (websocket, session ")
    assert head.split() == ["time", "(UTC)", "server", "what", "happened"]
    assert [row.split(maxsplit=2)[2].rstrip() for row in rows] == [
        "logged in from 127.0.0.1",
        "joined room1 on front-1",
        "left room1: taken out by the application",
    ]


async def test_off_a_terminal(ways: Ways) -> None:
    await ways.enter(BOB)

    ran = await ways.run("why", BOB)

    rows = [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in ran.lines]
    assert [row["what"] for row in rows] == ["logged in", "joined"]
    assert {row["count"] for row in rows} == {"1"}
    assert rows[0]["time"].endswith("Z")
    assert ran.err.startswith(f"{BOB} is connected to front-1 since ")


async def test_who_was_never_here(ways: Ways) -> None:
    await ways.enter(BOB)

    ran = await ways.run("why", "Bob", "--json")

    assert ran.code == ran.json["exit"] == 0
    assert ran.json["similar"] == [BOB]
    assert ran.json["line"].startswith("nobody here has known Bob since ")
    assert ran.json["line"].endswith(f"; do you mean {BOB}?")
    assert (await ways.run("why", "xyz", "--json")).json["similar"] == []


async def test_who_is_silent_is_told(ways: Ways) -> None:
    await ways.enter(BOB)
    await ways.stop("room-1")

    ran = await ways.run("why", BOB, "--json")

    assert ran.json["events"][0]["what"] == "logged in"


async def test_a_second_login(ways: Ways) -> None:
    ways.nodes["front-1"].sessions._per_uid = "takeover"
    await ways.enter(BOB)
    second = await ways.client("front-1")
    await second.request("front.doorHandler.enter", {"name": BOB, "room": "room1"})

    said = await ways.why()

    assert "but was disconnected at " in said["line"]
    assert said["line"].endswith(" by front-1: a newer session has its uid")
    assert "taken over" in [each["what"] for each in said["events"]]


@pytest.mark.logs_failures
async def test_a_refused_login(ways: Ways) -> None:
    ways.nodes["front-1"].sessions._per_uid = "refuse"
    await ways.enter(BOB)
    second = await ways.client("front-1")
    await second.request("front.doorHandler.enter", {"name": BOB, "room": "room1"})

    said = await ways.why()

    (refused,) = [each for each in said["events"] if each["what"] == "refused login"]
    assert refused["why"] == "it has a session here already"
    assert "but was refused its login at " in said["line"]


async def test_who_is_sent_on(ways: Ways) -> None:
    await ways.enter(BOB)
    node = ways.nodes["front-1"]
    await node.drain()

    said = await ways.why()

    assert " by front-1" in said["line"]
    assert f"{BOB} was sent on at " in said["line"]


async def test_every_number_of_a_node_can_be_asked_for(ways: Ways) -> None:
    await ways.enter(BOB)
    node = ways.nodes["front-1"]
    node.links.get("room-1").ping()  # type: ignore[union-attr]
    await until(lambda: node.counters.link_round_trip_seconds.count, "a round trip")

    run = ways.run_folder
    asking = Cluster(Reach(key=run.secret(), run=run, where="it", reactor=reactor), seconds=10)
    await asking.survey()
    found: Any = (await asking.inspect_all("counters", ["front-1"], {}, 5))["front-1"]
    await asking.close()

    numbers = {each["name"]: each for each in found["numbers"]}
    assert set(numbers) == {each.name for each in node.counters.all()} > set(GAUGES)
    assert all(each["help"] and each["kind"] for each in numbers.values())
    assert numbers["sessions_now"]["value"] == 1
    assert numbers["groups"]["value"] == 1
    assert set(numbers["link_queue_bytes"]["value"]) == {"room-1", "front-2"}
    assert numbers["link_round_trip_seconds"]["value"]["count"] == 1
    (route,) = numbers["request_seconds"]["value"]
    assert route == "front.doorHandler.enter"
    assert numbers["call_seconds"]["value"]["count"] >= 1


# The words.


def test_the_tables_of_the_page_are_complete() -> None:
    text = (ROOT / "docs" / "inspector.md").read_text()
    text = text[text.index("## What happened to a user") :]
    for words in (HAPPENINGS, REASONS):
        rows = "".join(f"| `{word}` | {meaning} |\n" for word, meaning in words.items())
        assert f"|---|---|\n{rows}\n" in text


def answer(journal: Journal, **more: Any) -> dict[str, Any]:
    return {
        "frontend": True,
        "since": 0.0,
        "time": 1_700_000_100.0,
        "happened": [each.to_value() for each in journal.of("bob")],
        "node": [each.to_value() for each in journal.of_node()],
        "sessions": [],
        "groups": [],
        "members": [],
        "similar": [],
        **more,
    }


def test_the_line_of_who_did_not_read() -> None:
    journal = Journal(lambda: 1_700_000_000.0)
    lost = {"seconds": 30.0, "bytes": 2**20, "messages": 312}
    journal.note("bob", "slow", "it has not read for too long", more=lost)
    journal.note("bob", "closed", "slow client", session=1)
    story = Story("bob", {"connector-server-2": answer(journal)})
    assert first_line(story) == (
        "bob was disconnected at 22:13:20 by connector-server-2: slow (read nothing for 30 s,"
        " 1.0 MiB waited, 312 messages lost)"
    )


@pytest.mark.parametrize("what", HAPPENINGS)
def test_everything_that_can_happen_has_a_sentence(what: Happening) -> None:
    journal = Journal(lambda: 1_700_000_000.0)
    note = journal.note_node if what in ("link up", "held up") else None
    if note is None:
        journal.note("bob", what, "because", channel="room1", peer="room-1")
    else:
        note(what, peer="room-1", more={"seconds": 3})
        journal.note("bob", "logged in", session=1)
    story = Story("bob", {"front-1": answer(journal)}, whole=True)
    (event,) = [each for each in story.events if each.what == what]
    assert sentence(event, story.now)
    assert first_line(story)


def test_what_held_up_the_owner_of_its_channel_is_told() -> None:
    journal, owner, other = (Journal(lambda: 1_000.0) for _ in range(3))
    journal.note("bob", "logged in", session=1)
    owner.note("bob", "joined", channel="room1", peer="front-1")
    for each in (owner, other):
        each.note_node("held up", more={"seconds": 7.5})
    journals = {"front-1": journal, "room-1": owner, "room-2": other}
    story = Story("bob", {id: answer(each) for id, each in journals.items()})
    (event,) = [each for each in story.events if each.what == "held up"]
    assert event.node == "room-1"
    assert "did nothing else for 7.5 s" in first_line(story)


def test_another_day_is_told() -> None:
    journal = Journal(lambda: 1_699_900_000.0)
    journal.note("bob", "closed", "idle for too long", session=1)
    story = Story("bob", {"front-1": answer(journal)})
    assert first_line(story) == (
        "bob was disconnected at 2023-11-13 18:26:40 by front-1: idle for too long"
    )


def test_what_happened_long_before_it_came_has_nothing_to_do_with_it() -> None:
    time = [1_000.0]
    journal = Journal(lambda: time[0])
    journal.note_node("link lost", "gone", peer="room-1")
    time[0] = 2_000.0
    journal.note("bob", "logged in", session=1)
    time[0] = 2_010.0
    journal.note_node("link lost", "gone again", peer="room-1")
    story = Story("bob", {"front-1": answer(journal)})
    assert [each.why for each in story.events if each.of_node] == ["gone again"]


def told_by(time: list[float]) -> tuple[Journal, Journal]:
    """What a frontend and the server of bob's channel know."""
    front, room = Journal(lambda: time[0]), Journal(lambda: time[0])
    front.note("bob", "logged in", session=1)
    room.note("bob", "joined", channel="attic", peer="front-1")
    return front, room


def test_a_backend_that_hung_is_named_and_not_what_followed() -> None:
    time = [1_000.0]
    front, room = told_by(time)
    time[0] = 1_010.0
    front.note_node("link lost", "it was taken out of the view", peer="room-1")
    time[0] = 1_100.0
    room.note_node("held up", more={"seconds": 95.0})
    room.note_node("link lost", "the other side closed it", peer="front-1")
    time[0] = 1_100.5
    front.note_node("link up", peer="room-1")
    room.note_node("link up", peer="front-1")

    story = Story("bob", {"front-1": answer(front), "room-1": answer(room)})

    assert [(each.node, each.what) for each in story.events if each.of_node] == [
        ("front-1", "link lost"),
        ("room-1", "held up"),
    ]
    assert first_line(story) == (
        "bob is not connected; room-1 did nothing else for 95.0 s, until 1970-01-01 00:18:20"
    )


def test_a_second_loss_of_a_link_is_one_of_its_own() -> None:
    time = [1_000.0]
    front, room = told_by(time)
    time[0] = 1_010.0
    front.note_node("link lost", "cut", peer="room-1")
    time[0] = 1_020.0
    front.note_node("link up", peer="room-1")
    time[0] = 1_030.0
    room.note_node("link lost", "cut again", peer="front-1")

    story = Story("bob", {"front-1": answer(front), "room-1": answer(room)})

    assert [each.why for each in story.events if each.of_node] == ["cut", "cut again"]


def test_a_server_without_anything_of_the_user_may_hang() -> None:
    time = [1_000.0]
    front, room = told_by(time)
    gate = Journal(lambda: time[0])
    gate.note_node("held up", more={"seconds": 5.0})

    said = {"front-1": answer(front), "room-1": answer(room), "gate-1": answer(gate)}

    assert [each for each in Story("bob", said).events if each.of_node] == []


def test_a_frontend_that_has_begun_anew_is_named() -> None:
    room = Journal(lambda: 1_700_000_000.0)
    room.note("bob", "joined", channel="attic", peer="front-1")
    room.note("bob", "left", "closed", channel="attic", peer="front-1")
    anew = {**answer(Journal()), "since": 1_700_000_001.0}

    line = first_line(Story("bob", {"front-1": anew, "room-1": answer(room)}))
    kept = first_line(Story("bob", {"front-1": answer(Journal()), "room-1": answer(room)}))

    assert line == (
        "bob is not connected; it was at front-1, which has begun anew at 22:13:21 and knows no"
        " more of it"
    )
    assert kept == "bob is not connected"
