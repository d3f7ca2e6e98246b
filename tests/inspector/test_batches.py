"""What a tapped server tells, as it crosses a link."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore.errors import WireError
from chatcore.inspector.batches import (
    BOXES,
    END,
    LOST,
    OPEN,
    THERE,
    TOLD,
    Boxes,
    Ended,
    Lost,
    Opened,
    Told,
    decode,
    encode,
    message,
)
from chatcore.inspector.capture import Event
from chatcore.inspector.commands import Dictionary
from chatcore.inspector.exchange import Exchange
from chatcore.inspector.redaction import Redaction
from chatcore.inspector.seen import Seen
from chatcore.inspector.tapped import Links, TappedEvents, TappedMessages

from .boxes import box

SEEN = Seen(
    "answer",
    12,
    "a",
    "b",
    3,
    "out",
    route="chat.say",
    ms=0.5,
    body={"big": 2**80, "text": "\udc80"},
    uids=frozenset(("bob", "eve")),
)


def test_all_that_is_told() -> None:
    events = [
        (THERE, 1, 1, "b"),
        (OPEN, 2, 2, "c"),
        (BOXES, 3, 1, True, b"x"),
        (LOST, 4, 1, False, 5, 600),
        (END, 5, 2),
        (TOLD, message(SEEN)),
    ]
    *found, told = decode(encode(events))
    assert found == [
        Opened(1, 1, "b", False),
        Opened(2, 2, "c", True),
        Boxes(3, 1, "out", b"x"),
        Lost(4, 1, "in", 5, 600),
        Ended(5, 2),
    ]
    assert isinstance(told, Told)
    assert told.seen.body == {"big": 2**80, "text": "?"}
    told.seen.body = SEEN.body
    assert told.seen == SEEN


NONSENSE: list[Any] = [
    [()],
    [(9, 1)],
    [(BOXES, 1)],
    [(BOXES, 1, 1, 7, b"")],
    [(TOLD, b"{")],
    [(TOLD, b'{"kind": "song"}')],
    [(TOLD, b'{"kind": "ask", "more": 1}')],
    [5],
    {},
]


@pytest.mark.parametrize("events", NONSENSE, ids=range(len(NONSENSE)))
def test_nonsense(events: Any) -> None:
    with pytest.raises(WireError, match="a batch that can't be read"):
        decode(encode(events))


@given(st.binary(max_size=60))
def test_bytes_that_are_none(data: bytes) -> None:
    with suppress(WireError):
        decode(data)


ASK = box(_ask="1", _command="Sum", a="1")
ANSWER = box(_answer="1", total="1")


def told(*events: Any, node: str = "a", tapped: tuple[str, ...] = ()) -> list[Seen]:
    messages = TappedMessages(Links(lambda: tapped), Exchange(Dictionary(), Redaction()))
    return [seen for event in decode(encode(list(events))) for seen in messages.of(node, 1, event)]


def test_messages_of_several_links() -> None:
    found = told(
        (THERE, 1, 1, "b"),
        (OPEN, 2, 2, "c"),
        (BOXES, 10, 1, True, ASK + ASK),
        (BOXES, 20, 2, False, ASK),
        (BOXES, 1020, 2, True, ANSWER),
        (LOST, 1030, 1, False, 2, 99),
        (BOXES, 2010, 1, False, ANSWER),
        (END, 3010, 1),
    )
    assert [(each.kind, each.peer, each.direction, each.ms) for each in found] == [
        ("open", "c", "", None),
        ("ask", "b", "out", None),
        ("ask", "b", "out", None),
        ("ask", "c", "in", None),
        ("answer", "c", "out", 1.0),
        ("lost", "b", "in", None),
        ("answer", "b", "in", 2.0),
        ("unanswered", "b", "out", 3.0),
        ("end", "b", "", None),
    ]
    assert found[5].error == "2 boxes were not seen"


def test_who_shows_a_link() -> None:
    events = [(THERE, 1, 1, "a"), (BOXES, 2, 1, True, ASK)]
    assert len(told(*events, node="b")) == 1
    assert told(*events, node="b", tapped=("a", "b")) == []
    assert len(told((THERE, 1, 1, "b"), events[1], node="a", tapped=("a", "b"))) == 1


def test_events_of_a_capture() -> None:
    events = TappedEvents(Links(lambda: ()))
    batch = [
        (THERE, 1, 8, "b"),
        (BOXES, 2, 8, True, ASK + ANSWER),
        (LOST, 3, 8, False, 2, 99),
        (END, 4, 8),
        (END, 4, 9),
    ]
    found = [each for event in decode(encode(batch)) for each in events.of("a", 5, event)]
    assert found == [
        Event("open", 1, 1, "a", "b"),
        Event("box", 2, 1, "a", "b", "out", ASK),
        Event("box", 2, 1, "a", "b", "out", ANSWER),
        Event("loss", 3, 1, "a", "b", "in", boxes=2, bytes=99),
        Event("end", 4, 1, "a", "b"),
    ]
