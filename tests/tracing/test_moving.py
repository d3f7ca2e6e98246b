"""What is noted of requests that wait for channels that move, or are passed on to the owner."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.protocols import amp

from chatcore.cluster.moving import PATIENCE
from chatcore.node.arrivals import Arrivals
from chatcore.telemetry import Counters
from chatcore.tracing import OFF, Tracer
from chatcore.tracing.traceparent import TraceParent, new_span, new_trace, read
from chatcore.wire.box import END, Box

PARENT = TraceParent(new_trace(), new_span())


class Link:
    """A link that remembers what was sent."""

    up, peer = True, "front-1"

    def __init__(self) -> None:
        self.boxes: list[Box] = []
        self.refused: list[str] = []

    def ask(self, payload: bytes, done: Any, what: str, timeout: float) -> None:
        self.boxes += amp.parseString(payload + END)

    def refuse(self, ask: bytes, code: bytes, why: str) -> None:
        self.refused.append(why)


class Owning:
    """A node, and who owns what comes to it."""

    def __init__(self, tracer: Tracer | None = None) -> None:
        self.clock, self.owner, self.settled = Clock(), "chat-2", True
        self.came, self.there = Link(), Link()
        self.served: list[float] = []
        self.tracer = tracer or Tracer(
            node="chat-1",
            clock=self.clock.seconds,
            now=lambda: round(self.clock.seconds() * 1_000_000),
        )
        parts: Any = {
            "servers": SimpleNamespace(
                ownership=SimpleNamespace(owner=lambda *_: SimpleNamespace(id=self.owner)),
                view=SimpleNamespace(epoch=5),
            ),
            "settling": SimpleNamespace(may_answer=lambda key: self.settled, ready=True),
            "links": SimpleNamespace(get=lambda id: self.there),
        }
        self.arrivals = Arrivals(
            id="chat-1",
            server_type="chat",
            counters=Counters(),
            clock=self.clock,
            longest=7.5,
            tracer=self.tracer,
            **parts,
        )

    def request(self, trace: bytes) -> None:
        box = {
            b"_ask": b"1",
            b"_command": b"Forward",
            b"route": b"chat.chatHandler.send",
            b"epoch": b"5",
            b"key": b"room",
            b"trace": trace,
        }
        self.look(self.came, box, b"1")

    def look(self, link: Any, box: Box, ask: bytes | None) -> None:
        if self.arrivals.admit(link, box, ask, self.look):
            self.served.append(self.arrivals.waited)

    def spans(self) -> list[Any]:
        kept = self.tracer.store.get(PARENT.trace)
        return [] if kept is None else list(kept.spans)


def test_one_that_is_passed_on() -> None:
    it = Owning()
    it.request(str(PARENT).encode())

    (box,) = it.there.boxes
    (span,) = it.spans()
    assert (span.kind, span.name) == ("passed on", "chat.chatHandler.send")
    assert (span.parent, span.attributes) == (PARENT.span, {"server": "chat-2"})
    assert read(box[b"trace"]) == TraceParent(PARENT.trace, span.id)


@pytest.mark.parametrize("trace", [b"nonsense", str(PARENT).encode()], ids=["nonsense", "a trace"])
def test_one_that_is_passed_on_where_nothing_is_followed(trace: bytes) -> None:
    it = Owning(OFF)
    it.request(trace)
    assert it.there.boxes[0][b"trace"] == trace


def test_one_that_waits_and_is_served() -> None:
    it = Owning()
    it.owner, it.settled = "chat-1", False
    it.request(str(PARENT).encode())
    it.clock.advance(1.5)
    it.settled = True
    it.arrivals.again()
    it.request(str(PARENT).encode())

    assert it.served == [1.5, 0.0]
    it.arrivals.stop()


def test_one_that_waits_for_too_long() -> None:
    it = Owning()
    it.owner, it.settled = "chat-1", False
    it.request(str(PARENT).encode())
    it.clock.advance(PATIENCE)

    assert it.came.refused == ["not settled in time"]
    (span,) = it.spans()
    assert (span.kind, span.reason, span.error) == ("waited", "late", "not settled in time")
    assert span.start == 0
