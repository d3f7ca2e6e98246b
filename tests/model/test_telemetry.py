"""What the parts of a node count, measure and note, and the one door by which all of it is read."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from chatcore.telemetry import GAUGES, HAPPENINGS, OTHERS, REASONS, Counters, Journal
from chatcore.telemetry.journal import (
    LONGEST,
    MOST_IN_ALL,
    MOST_OF_EACH,
    MOST_OF_NODE,
    MOST_ROUTES,
    MOST_STRANGERS,
    MOST_UIDS,
)
from chatcore.telemetry.names import MOST_ROUTES as MOST_TIMED
from chatcore.telemetry.reasons import GATHERED


def test_every_number_is_reached_by_one_door_with_its_kind_and_help() -> None:
    counters = Counters()
    for name in GAUGES:
        counters.gauges.watch(name, lambda: 7)
    found = {each.name: each for each in counters.all()}
    kept = {each.name for each in fields(Counters)} - {"gauges", "journal"}
    assert set(found) == kept | set(GAUGES)
    for each in found.values():
        assert each.kind in ("counter", "gauge", "samples")
        assert each.help.endswith(".")
        assert len(each.help) > 10
    assert {name for name in kept if name.endswith("_now")} == {
        each.name for each in found.values() if each.kind == "gauge" and each.name in kept
    }
    assert set(counters.as_dict()) == {
        name for name in kept if found[name].kind in ("counter", "gauge")
    }


def test_what_is_counted_sampled_and_read() -> None:
    counters = Counters()
    counters.pushes += 3
    counters.call_seconds.add(0.001)
    counters.call_seconds.add(0.0011)
    counters.call_seconds.add(60)
    counters.gauges.watch("outbox_bytes", lambda: 42)
    found = {each.name: each.value for each in counters.all()}
    assert found["pushes"] == 3
    assert found["outbox_bytes"] == 42
    seconds = found["call_seconds"]
    assert seconds["count"] == 3
    assert seconds["counts"][:2] == [1, 1]
    assert seconds["counts"][-1] == 1
    assert len(seconds["counts"]) == len(seconds["buckets"]) + 1
    assert seconds["sum"] == pytest.approx(60.0021)


def test_a_gauge_that_nobody_declared_is_refused() -> None:
    with pytest.raises(KeyError, match="outbocks"):
        Counters().gauges.watch("outbocks", lambda: 0)


def test_routes_are_bounded() -> None:
    counters = Counters()
    for number in range(2 * MOST_TIMED):
        counters.request_seconds.add(f"chat.chatHandler.r{number}", 0.1)
    found = counters.request_seconds.to_value()
    assert len(found) == MOST_TIMED + 1
    assert found[OTHERS]["count"] == MOST_TIMED


def test_every_word_has_its_sentence() -> None:
    assert all(REASONS.values())
    assert all(HAPPENINGS.values())
    assert set(HAPPENINGS) > GATHERED


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def values(journal: Journal, uid: str) -> list[dict[str, object]]:
    return [each.to_value() for each in journal.of(uid)]


def test_what_is_the_same_is_told_as_one_with_its_first_and_last_time() -> None:
    time = Time()
    journal = Journal(time)
    for route in ("onChat", "onChat", "onAdd"):
        journal.note("bob", "pushes not sent", "dropped", route=route)
        time.now += 10
    assert values(journal, "bob") == [
        {
            "what": "pushes not sent",
            "why": "dropped",
            "first": 1000.0,
            "last": 1020.0,
            "count": 3,
            "routes": {"onChat": 2, "onAdd": 1},
        }
    ]


def test_what_is_the_same_much_later_is_told_by_itself() -> None:
    time = Time()
    journal = Journal(time)
    journal.note("bob", "pushes not sent", "dropped")
    time.now += 3600
    journal.note("bob", "pushes not sent", "dropped")
    assert [each["first"] for each in values(journal, "bob")] == [1000.0, 4600.0]


def test_logins_and_their_ends_stay_in_their_order() -> None:
    journal = Journal(Time())
    for _ in range(2):
        journal.note("bob", "logged in", session=1)
        journal.note("bob", "closed", "heartbeat timeout", session=1)
    assert [each["what"] for each in values(journal, "bob")] == ["logged in", "closed"] * 2
    journal.note("bob", "refused login", "no")
    journal.note("bob", "refused login", "no")
    assert values(journal, "bob")[-1]["count"] == 2


def test_all_of_it_is_bounded() -> None:
    journal = Journal(Time())
    for number in range(MOST_UIDS + 10):
        journal.note(f"u{number}", "logged in")
    assert len(journal) == MOST_UIDS
    assert journal.of("u9") == []
    assert journal.of("u10") != []
    for number in range(2 * MOST_OF_EACH):
        journal.note("u10", "joined", channel=f"room{number}")
    assert len(journal.of("u10")) == MOST_OF_EACH
    assert journal.of("u10")[-1].about == {"channel": f"room{2 * MOST_OF_EACH - 1}"}
    for number in range(2 * MOST_OF_NODE):
        journal.note_node("link up", peer=f"chat-{number}")
    assert len(journal.of_node()) == MOST_OF_NODE
    entry = journal.note("u10", "requests not answered", "x" * 2 * LONGEST, channel="c" * 1000)
    assert len(entry.why) == len(entry.about["channel"]) == LONGEST
    for number in range(2 * MOST_ROUTES):
        entry.again(0.0, f"chat.chatHandler.{number}")
    assert entry.routes is not None
    assert len(entry.routes) == MOST_ROUTES + 1
    assert entry.routes[OTHERS] == MOST_ROUTES


def test_there_is_a_bound_for_all_uids_together() -> None:
    journal = Journal(Time())
    for number in range(MOST_IN_ALL // MOST_OF_EACH + 10):
        for step in range(MOST_OF_EACH):
            journal.note(f"u{number}", "joined", channel=f"room{step}")
    assert sum(len(journal.of(uid)) for uid in journal.uids()) <= MOST_IN_ALL
    assert journal.of("u0") == []


def test_who_was_never_here_displaces_nobody() -> None:
    journal = Journal(Time())
    journal.note("bob", "logged in")
    for number in range(2 * MOST_STRANGERS):
        journal.note(f"s{number}", "pushes not sent", "gone", stranger=True)
    assert len(list(journal.uids())) == MOST_STRANGERS + 1
    assert [each["what"] for each in values(journal, "bob")] == ["logged in"]
    last = f"s{2 * MOST_STRANGERS - 1}"
    journal.note(last, "logged in")
    assert [each["what"] for each in values(journal, last)] == ["pushes not sent", "logged in"]
    journal.note("bob", "pushes not sent", "gone", stranger=True)
    assert len(values(journal, "bob")) == 2


def test_of_a_very_long_uid_not_all_is_kept() -> None:
    journal = Journal(Time())
    ann, bob = "x" * 65_000 + "ann", "x" * 65_000 + "bob"
    journal.note(ann, "logged in")
    assert (len(journal.of(ann)), len(journal.of(bob))) == (1, 0)
    assert len(next(journal.uids())) < 2 * LONGEST


def test_a_push_to_what_is_no_uid_is_noted_like_any_other() -> None:
    journal = Journal(Time())
    strange: list[Any] = [b"x" * 1000, None, ["a", "b"]]
    journal.missed(strange, "gone", "onChat")
    assert [type(each) for each in journal.uids()] == [str] * 3
    assert len(journal.of("None")) == 1
