"""Spans for OpenTelemetry: in memory, and by OTLP over HTTP."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from small_cluster import until
from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource
from twisted.web.server import Site

from chatcore.errors import ConfigError
from chatcore.node.exporting import OpenTelemetry
from chatcore.tracing import Span, Tracer
from chatcore.tracing.traceparent import new_trace

from .rooms import Rooms

pytest.importorskip("opentelemetry.sdk", reason="pip install 'chatcore[opentelemetry]'")

SEND = "chat.chatHandler.send"


class Receiver(Resource):
    """What collects spans, as OTLP over HTTP has it."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.spans: list[Any] = []
        self.services: set[str] = set()

    def render_POST(self, request: Any) -> bytes:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        assert request.path == b"/v1/traces"
        asked = ExportTraceServiceRequest.FromString(request.content.read())
        for each in asked.resource_spans:
            told = {pair.key: pair.value.string_value for pair in each.resource.attributes}
            self.services.add(told["service.instance.id"])
            for scope in each.scope_spans:
                self.spans += scope.spans
        request.setHeader("Content-Type", "application/x-protobuf")
        return b""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")


async def test_what_they_are(quick: None) -> None:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    memory = InMemorySpanExporter()
    tracer = Tracer(node="front-1")
    exporter = tracer.exporter = OpenTelemetry(id="front-1", server_type="front", exporter=memory)
    exporter.start()
    tracer.arm(id="a", word="*", to="", count=1, seconds=10)
    message = tracer.message(SEND, "ann", None)
    assert message is not None
    message.add(uid="ann", session=7)
    delivery = message.child("onChat", "push").delivery("onChat", channel="attic")
    for uid in ("ann", "bob"):
        fate = delivery.fate(uid, 1)
        assert fate is not None
        if uid == "ann":
            fate.left()
        else:
            fate.lost("dropped", "reads nothing since 12.3 s")
    delivery.sent()
    message.finish("failed", "it raised ValueError; password=hunter2")

    def found() -> dict[str, Any]:
        return {each.attributes["chatcore.kind"]: each for each in memory.get_finished_spans()}

    await until(lambda: len(found()) == 2, "the spans")
    await exporter.stop(reactor)
    first, last = found()["message"], found()["deliver"]
    assert f"{first.context.trace_id:032x}" == message.trace
    assert f"{first.context.span_id:016x}" == message.id
    assert (first.parent, first.name, first.kind.name) == (None, SEND, "SERVER")
    assert (first.start_time, first.end_time) == (message.start * 1000, (message.end or 0) * 1000)
    assert (first.status.status_code.name, first.attributes["error.type"]) == ("ERROR", "failed")
    assert "hunter2" not in str(first.to_json())
    assert first.attributes["chatcore.uid"] == "ann"
    assert f"{last.parent.span_id:016x}" == delivery.parent
    assert (last.attributes["chatcore.written"], last.attributes["chatcore.members"]) == (1, 2)
    (event,) = last.events
    assert (event.name, event.attributes["chatcore.uid"]) == ("dropped", "bob")
    assert last.resource.attributes["service.instance.id"] == "front-1"


@pytest.mark.logs_failures
async def test_one_that_can_not_be_exported_hurts_nobody(quick: None) -> None:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    memory = InMemorySpanExporter()
    tracer = Tracer(node="front-1")
    exporter = tracer.exporter = OpenTelemetry(id="front-1", server_type="front", exporter=memory)
    exporter.start()
    for trace in ("not hexadecimal", new_trace()):
        Span(tracer, trace=trace, parent="", name=SEND, kind="handler").finish()
    await until(lambda: len(memory.get_finished_spans()) == 1, "the other span")
    await exporter.stop(reactor)


async def test_a_receiver(folder: Path, quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = Receiver()
    net: Any = reactor
    port = net.listenTCP(0, Site(receiver), interface="127.0.0.1")
    where = f"http://127.0.0.1:{port.getHost().port}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", where)
    rooms = Rooms(folder, {"tracing.export": "opentelemetry", "tracing.sample": 1.0})
    await rooms.start()
    try:
        ann = await rooms.enter("ann")
        await ann.request(SEND, {"text": "hi"})
        await until(
            lambda: {"message", "handler", "push"} <= set(map(kind, receiver.spans)),
            "the spans at the receiver",
        )
    finally:
        await rooms.close()
        await port.stopListening()
        # Those of the exporter are kept open, which are those of threads.
        await deferToThread(lambda: None)
    by_kind = {kind(span): span for span in receiver.spans if span.name == SEND}
    assert by_kind["handler"].parent_span_id == by_kind["forward"].span_id
    assert by_kind["handler"].trace_id == by_kind["message"].trace_id
    assert {"front-1", "chat-1"} <= receiver.services


def kind(span: Any) -> str:
    (found,) = [a.value.string_value for a in span.attributes if a.key == "chatcore.kind"]
    return str(found)


async def test_nobody_receives_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    rooms = Rooms(folder, {"tracing.export": "opentelemetry", "tracing.sample": 1.0})
    await rooms.start()
    ann = await rooms.enter("ann")
    assert await ann.request(SEND, {"text": "hi"}) == {"said": 1}
    await rooms.close()


async def test_the_package_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    rooms = Rooms(folder, {"tracing.export": "opentelemetry"})
    with pytest.raises(ConfigError, match=r"pip install 'chatcore\[opentelemetry\]'"):
        await rooms.start("front-1")
