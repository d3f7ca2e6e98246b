"""The checker itself, on histories that are made up."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from checking import check, main
from history import Event, History, What

CLEAN = """
0.0 ann entering
0.1 ann entered ann
0.2 bob entering
0.3 ann added bob
0.4 bob entered ann,bob
1.0 ann sent 1
1.1 ann heard ann 1
1.2 bob heard ann 1
1.3 ann acknowledged 1
1.4 bob sent 1
1.5 bob heard bob 1
1.6 ann heard bob 1
1.7 bob acknowledged 1
2.0 cid entering
2.1 ann added cid
2.2 bob added cid
2.3 cid entered ann,bob,cid
3.0 ann sent 2
3.1 ann heard ann 2
3.2 bob heard ann 2
3.3 cid heard ann 2
3.4 ann acknowledged 2
4.0 bob kicked
4.1 ann gone bob
4.2 cid gone bob
5.0 cid sent 1
5.1 ann heard cid 1
5.2 cid heard cid 1
5.3 cid acknowledged 1
6.0 bob entering
6.1 ann added bob
6.2 cid added bob
6.3 bob entered ann,bob,cid
7.0 ann sent 3
7.1 ann heard ann 3
7.2 bob heard ann 3
7.3 cid heard ann 3
7.4 ann acknowledged 3
"""


def event(line: str, room: str = "den") -> Event:
    at, who, kind, *rest = line.split()
    what = What("cut off" if kind == "cut" else kind)
    if what is What.HEARD:
        return Event(float(at), who, what, rest[2] if rest[2:] else room, int(rest[1]), rest[0])
    if what in (What.ADDED, What.GONE):
        return Event(float(at), who, what, other=rest[0])
    if what is What.ENTERED:
        return Event(float(at), who, what, room, detail=rest[0].split(","))
    if what is What.KICKED:
        return Event(float(at), who, what, room, detail={"reason": "moved"})
    if what is What.CHANGED:
        return Event(float(at), "", what, detail=" ".join(rest))
    return Event(float(at), who, what, room, int(rest[0]) if rest else 0)


def history(text: str, room: str = "den") -> list[Event]:
    lines = [line for line in text.splitlines() if line]
    return sorted((event(line, room) for line in lines), key=lambda each: each.at)


def changed(*, without: str = "", plus: str = "") -> list[Event]:
    """The clean history without some lines, named by their times, and with others."""
    times = without.split()
    left = [line for line in CLEAN.splitlines() if line and line.split()[0] not in times]
    assert len(left) == len(CLEAN.strip().splitlines()) - len(times)
    return history("\n".join([*left, *plus.split("; ")]))


def kinds(events: list[Event]) -> set[str]:
    return {violation.kind for violation in check(events).violations}


def test_a_clean_history_passes() -> None:
    found = check(history(CLEAN))
    assert found.violations == []
    assert (found.messages, found.acknowledged, found.deliveries) == (5, 5, 12)
    assert "no violation" in str(found)


def test_rooms_do_not_mix() -> None:
    others = CLEAN.replace("ann", "ava").replace("bob", "ben").replace("cid", "cat")
    assert kinds([*history(CLEAN), *history(others, "attic")]) == set()


@pytest.mark.parametrize(
    ("without", "plus", "kind"),
    [
        ("3.2", "", "lost"),
        ("3.1", "", "lost"),
        ("1.6", "7.5 ann heard bob 1", "orders differ"),
        ("", "7.5 ann heard ann 1", "twice"),
        ("", "7.5 bob heard ann 2", "twice"),
        ("3.3", "7.5 cid heard ann 2", "out of order"),
        ("", "7.5 ann heard bob 7", "never said"),
        ("", "7.5 ann heard dan 1", "never said"),
        ("1.2", "0.9 bob heard ann 1", "never said"),
        ("7.1", "7.1 ann heard ann 3 attic", "wrong room"),
        ("", "5.5 bob heard cid 1", "heard outside"),
        ("7.1", "7.5 ann heard ann 3", "acknowledged first"),
        ("", "3.95 bob sent 8; 4.0 bob cut 8; 4.05 ann heard bob 8", "acted on"),
        ("7.4", "", "unanswered"),
        ("7.4", "9.9 ann unanswered 3", "unanswered"),
        ("2.3", "2.3 cid entered bob,cid", "not named"),
        ("2.3", "2.3 cid entered ann,bob", "not named"),
        ("6.3", "6.3 bob entered ann,bob,cid,dan", "named"),
        ("2.1", "", "known wrongly"),
        ("", "7.5 ann added bob", "told wrongly"),
        ("", "7.5 ann gone dan", "told wrongly"),
        ("6.1", "", "known wrongly"),
        ("4.2 6.2", "", "not told"),
        ("", "8.0 bob lost", "known wrongly"),
    ],
)
def test_each_kind_of_fault_is_found(without: str, plus: str, kind: str) -> None:
    found = kinds(changed(without=without, plus=plus) if plus else changed(without=without))
    assert kind in found


def test_nobody_is_owed_what_was_said_while_they_came_or_went() -> None:
    """Sent before `enter` was answered, or acknowledged while the kick was on its way."""
    assert kinds(changed(without="1.2 0.4", plus="1.25 bob entered ann,bob")) == set()
    edge = changed(
        plus="3.6 ann sent 9; 3.7 ann heard ann 9; 3.8 cid heard ann 9; "
        "3.9 ann acknowledged 9; 6.9 ann changed x",
        without="7.0 7.1 7.2 7.3 7.4",
    )
    found = check(edge)
    assert (found.violations, found.on_the_edge) == ([], 1)
    assert {each.kind for each in check(edge, grace=0.05).violations} == {"lost"}


def test_nobody_is_owed_what_others_hear_after_they_went() -> None:
    said = "3.0 ann sent 9; 3.1 ann heard ann 9; {} cid heard ann 9; 3.2 ann acknowledged 9"
    assert "lost" in kinds(changed(plus=said.format("3.15")))
    assert "lost" not in kinds(changed(plus=said.format("3.95")))


def test_an_answer_that_was_passed_on_may_come_some_moments_before_the_push() -> None:
    restart = "6.5 -- changed restart chat-server-1"
    assert kinds(changed(without="7.1", plus=f"{restart}; 7.5 ann heard ann 3")) == set()
    late = changed(without="7.1", plus=f"{restart}; 7.9 ann heard ann 3")
    assert kinds(late) == {"acknowledged first"}


def test_what_failed_may_have_been_heard_by_some_but_once() -> None:
    failed = "7.45 ann failed 3"
    assert kinds(changed(without="7.4 7.2", plus=failed)) == set()
    assert kinds(changed(without="7.4 7.1 7.2 7.3", plus=failed)) == set()
    again = changed(without="7.4", plus=f"{failed}; 7.5 cid heard ann 3")
    assert kinds(again) == {"twice"}


def test_who_is_lost_may_be_named_for_a_while() -> None:
    """As long as nobody can know that a frontend died, and no longer."""
    text = """
0 ann entering
0 ann entered ann
1 ann lost
{0} bob entering
{0} bob entered ann,bob
{1} bob gone ann
"""
    assert kinds(history(text.format("2", "3"))) == set()
    assert kinds(history(text.format("20", "30"))) == {"named"}


def test_what_was_refused_is_found_by_its_time() -> None:
    plus = "4.5 ann sent 9; 4.9 ann failed 9; 5.5 ann sent 10; 5.6 ann cut 10"
    found = check(changed(plus=plus, without="7.0 7.1 7.2 7.3 7.4"))
    assert [each.number for each in found.refused] == [9]
    assert [each.number for each in found.cut_off] == [10]
    assert found.refused_between(4, 5) == found.refused
    assert found.refused_between(5, 6) == found.refused_outside([(4, 5)]) == []
    assert found.refused_outside([(3, 4), (5, 6)]) == found.refused


def test_a_room_is_served_again_when_nothing_is_refused_any_more() -> None:
    text = """
0.0 ann entering
0.1 ann entered ann
1.0 ann sent 1
1.9 ann failed 1
2.0 ann sent 2
2.2 ann heard ann 2
2.3 ann acknowledged 2
3.0 ann sent 3
3.1 ann failed 3
4.0 ann sent 4
4.1 ann heard ann 4
4.5 ann acknowledged 4
"""
    found = check(history(text))
    assert found.served_again(0.5) == {"den": 4.0}
    assert found.served_again(0.5, 3.0) == pytest.approx({"den": 1.8})
    assert found.served_again(4.2) == {"den": float("inf")}


def test_what_the_next_kill_makes_fail_says_nothing_about_the_one_before() -> None:
    """It was under way then, as something always is on a busy machine."""
    text = """
0.0 ann entering
0.1 ann entered ann
1.0 ann sent 1
1.2 ann heard ann 1
1.3 ann acknowledged 1
1.9 ann sent 2
2.0 -- changed kill -9 chat-server-1
2.1 ann failed 2
"""
    found = check(history(text))
    assert found.served_again(0.5, 2.0) == pytest.approx({"den": 0.8})
    assert found.served_again(1.5, 2.0) == {"den": float("inf")}
    assert found.served_again(0.5) == {"den": float("inf")}


def test_a_violation_shows_what_led_to_it() -> None:
    events = changed(without="3.3", plus="2.5 -- changed kill -9 chat-server-1")
    (violation,) = check(events).violations
    text = str(violation)
    assert text.startswith("lost: cid never heard #2 of ann, which was acknowledged\n")
    for line in (
        "2.300 cid entered in den",
        '2.500 -- changed "kill -9 chat-server-1"',
        "3.000 ann sent #2 in den",
        "3.200 bob heard ann #2 in den",
        "3.400 ann acknowledged #2 in den",
    ):
        assert line in text
    assert "room" not in text and "ann #1 " not in text


def test_a_saved_history_is_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "history"
    saved = History(time.monotonic)
    saved.events = history(CLEAN)
    saved.save(file)
    assert main(str(file)) == 0
    assert capsys.readouterr().out.startswith("5 messages, 5 acknowledged")
    saved.events = changed(without="3.2")
    saved.save(file)
    assert main(str(file)) == 1
    assert "bob never heard #2 of ann" in capsys.readouterr().out
