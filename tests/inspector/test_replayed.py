"""What of a capture is played again, and where answers differ."""

from __future__ import annotations

from typing import Any

import pytest

from chatcore.inspector.capture import Direction, Event, Head
from chatcore.inspector.own import NOTHING, Declared
from chatcore.inspector.redaction import HIDDEN, Redaction
from chatcore.inspector.replayed import (
    NOTHING_THERE,
    Answered,
    Asked,
    Came,
    Comparison,
    Gone,
    Stays,
    steps,
    with_session,
)
from chatcore.wire.box import BoxParser, encode, join
from chatcore.wire.values import pack, unpack


def event(time: int, direction: Direction, box: dict[bytes, bytes], connection: int = 1) -> Event:
    data = encode(box.items())
    return Event("box", time, connection, "chat-1", "front-1", direction, data)


def forward(uid: str | None, number: int = 7, tag: bytes = b"1") -> dict[bytes, bytes]:
    return {
        b"_ask": tag,
        b"_command": b"Forward",
        b"route": b"chat.room.say",
        b"body": b'"x"',
        b"session": pack((number, uid, {}, ("", 0), None)),
    }


def members(command: bytes, *uids: str) -> dict[bytes, bytes]:
    return {b"_command": command, b"channel": b"attic", b"uids": pack(list(uids))}


def answer(tag: bytes = b"1", **values: Any) -> dict[bytes, bytes]:
    return {b"_answer": tag} | {key.encode(): pack(value) for key, value in values.items()}


def test_steps_in_the_order_of_their_times() -> None:
    records = [
        Head(),
        event(2_000, "out", answer(reply=1)),
        event(1_000, "in", forward("bob")),
        event(4_000, "in", members(b"GroupGone", "bob") | {b"_ask": b"2"}),
        event(3_000, "out", members(b"GroupJoin", "bob", "eve")),
        event(5_000, "out", {b"_command": b"Push", b"route": b"onChat", b"body": b"\xc0"}),
        Event("loss", 6_000, 1, boxes=3, bytes=99),
        event(7_000, "in", {b"_command": b"CallNotify", b"service": b"s", b"method": b"m"}),
    ]
    found = list(steps(records))
    assert [type(each) for each in found] == [Asked, Came, Answered, Came, Gone, Asked]
    asked, came, answered, joined, gone, notify = found
    assert isinstance(asked, Asked) and isinstance(answered, Answered)
    assert (asked.sender, asked.recipient, asked.key) == ("front-1", "chat-1", answered.key)
    assert came == Came(1_000, "front-1", ["bob"])
    assert joined == Came(3_000, "front-1", ["bob", "eve"])
    assert gone == Gone(4_000, "front-1", ["bob"])
    assert isinstance(notify, Asked) and notify.key is None


def test_asks_of_different_heads_are_different() -> None:
    records = [Head(), event(1, "in", forward("a")), Head(), event(1, "in", forward("a"))]
    one, other = [each for each in steps(records) if isinstance(each, Asked)]
    assert one.key != other.key


def test_who_comes_and_who_comes_again() -> None:
    found = [
        Came(1, "f", ["bob", "eve"]),
        Came(2, "f", ["bob"]),
        Gone(3, "f", ["bob"]),
        Gone(3, "f", ["bob"]),
        Came(4, "f", ["bob"]),
        Came(4, "g", ["bob"]),
        Gone(5, "f", ["bob", "eve", "joe"]),
    ]
    stays = Stays(found)
    assert stays.first() == {"f": ["bob", "eve"], "g": ["bob"]}
    assert stays.again("f", ["bob"]) == ["bob"]
    assert stays.again("f", ["bob", "eve", "joe"]) == []


def test_the_number_of_a_session() -> None:
    (asked,) = [each for each in steps([event(1, "in", forward("bob"))]) if isinstance(each, Asked)]
    assert with_session(asked, {"eve": 5}) is asked
    (box,) = BoxParser(1 << 20).feed(with_session(asked, {"bob": 5}).raw)
    assert unpack(join(box, b"session"))[:2] == [5, "bob"]
    assert box[b"body"] == b'"x"'


SAME = [
    (answer(reply={"a": 1, "b": [1, 2]}), answer(b"9", reply={"b": [1, 2], "a": 1})),
    (
        {b"_error": b"1", b"_error_code": b"RAISED", b"_error_description": b"12ab ValueError()"},
        {b"_error": b"2", b"_error_code": b"RAISED", b"_error_description": b"99ff ValueError()"},
    ),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_answers_that_are_the_same(one: Any, other: Any) -> None:
    assert Comparison([], Redaction()).of(one, other, NOTHING) == []


DIFFERENT = [
    (answer(reply={"a": 1}), answer(reply={"a": 2}), [("reply.a", 1, 2)]),
    (answer(reply=[1]), answer(reply=[1, 5]), [("reply.1", NOTHING_THERE, 5)]),
    (answer(reply=True), answer(reply=1), [("reply", True, 1)]),
    (answer(reply={"token": 1}), answer(reply={"token": 2}), [("reply.token", HIDDEN, HIDDEN)]),
    (
        answer(result=1),
        {b"_error": b"1", b"_error_code": b"REFUSED", b"_error_description": b"no"},
        [
            ("result", 1, NOTHING_THERE),
            ("error", NOTHING_THERE, "REFUSED"),
            ("why", NOTHING_THERE, "no"),
        ],
    ),
]


@pytest.mark.parametrize(("one", "other", "places"), DIFFERENT)
def test_answers_that_differ(one: Any, other: Any, places: Any) -> None:
    found = Comparison([], Redaction()).of(one, other, NOTHING)
    assert [(each.path, each.recorded, each.replayed) for each in found] == places


def test_what_is_not_compared_and_what_is_hidden() -> None:
    one = answer(reply={"time": 1, "users": [{"id": 1, "pin": 1}]})
    other = answer(reply={"time": 2, "users": [{"id": 2, "pin": 2}]})
    declared = Declared(hidden=("pin",))
    found = Comparison(["reply.time", "*.id"], Redaction()).of(one, other, declared)
    assert [(each.path, each.recorded) for each in found] == [("reply.users.0.pin", HIDDEN)]
    hidden = Comparison([], Redaction()).of(one, other, Declared(hides_answer=True))
    assert {each.recorded for each in hidden} == {HIDDEN}
    shown = Comparison([], Redaction(off=True)).of(one, other, Declared(hides_answer=True))
    assert [each.recorded for each in shown] == [1, 1, 1]
