"""Whatever a capture holds, it can be shown."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.protocols import amp

from chatcore.inspector.aside import Passed
from chatcore.inspector.capture import Event, Head
from chatcore.inspector.captured import messages
from chatcore.inspector.commands import CHATCORE, Dictionary, load
from chatcore.inspector.exchange import Exchange, Way
from chatcore.inspector.pcap import convert
from chatcore.inspector.redaction import Redaction
from chatcore.inspector.seen import KINDS
from chatcore.inspector.stream import Boxed, Strange
from chatcore.inspector.watching import Streams

from .boxes import BOXES, GARBAGE, box
from .test_capture_format import EVENTS

CHATCORES = load([CHATCORE])
KEYS = st.sampled_from(
    [b"_ask", b"_command", b"_answer", b"_error", b"_error_code", b"_error_description"]
) | st.sampled_from([b"route", b"service", b"method", b"args", b"args.1", b"body", b"id", b"\xff"])
VALUES = (
    st.binary(max_size=30)
    | st.sampled_from([b"1", b"2", b'{"password": 1}', b"[" * 2000])
    | st.sampled_from(sorted(CHATCORES.commands))
)
ANY_BOX = st.dictionaries(KEYS, VALUES, min_size=1).map(lambda items: amp.Box(items).serialize())
ANY_EVENT = st.builds(
    lambda event, data: replace(event, data=data, connection=event.connection % 3),
    EVENTS,
    ANY_BOX | BOXES | GARBAGE,
)


@given(st.lists(ANY_EVENT | st.just(Head({"dialect": "chatcore"})), max_size=20))
def test_any_capture(records: list[Head | Event]) -> None:
    exchange = Exchange(Dictionary(), Redaction(), bodies=True, most=5)
    for seen in messages(records, exchange, lambda dialect: CHATCORES):
        assert seen.kind in KINDS
        json.dumps(seen.to_value(), allow_nan=False)
        assert len(seen.fields()) == 10
        seen.text()
    assert b"".join(convert(records))


def test_unfinished_boxes_of_many_connections_are_bounded() -> None:
    streams = Streams(most=1000)
    begun = box(_command="Big", data=b"x" * 400)[:-10]
    ways = [Way(number, "in") for number in range(1, 6)]
    found = [
        piece
        for way in ways
        for _, pieces in streams.told(Passed("data", way, 1, begun))
        for piece in pieces
    ]
    garbage = [piece for piece in found if isinstance(piece, Strange)]
    assert [piece.raw for piece in garbage] == [begun] * 3
    assert {piece.why for piece in garbage} == {"too many boxes are unfinished to keep this one"}
    for way in ways:  # who is kept may end, and makes room
        ((_, pieces),) = streams.told(Passed("data", way, 1, b"x" * 8 + b"\0\0"))
        assert any(isinstance(piece, Boxed) for piece in pieces) == (way.connection < 3)
    for way in ways:
        list(streams.told(Passed("end", way, 1)))
    ((_, pieces),) = streams.told(Passed("data", Way(7, "in"), 1, begun))
    assert pieces == []
