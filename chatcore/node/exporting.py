"""Spans for those who collect them with OpenTelemetry, where its package is installed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.logger import Logger

import chatcore
from chatcore.errors import ConfigError
from chatcore.inspector.redaction import Redaction
from chatcore.tracing import Delivery, Kind, Span
from chatcore.tracing.spans import WRITTEN

STOP_SECONDS = 2.0
"""Seconds that the last spans have to leave when a node stops."""

MOST_EVENTS = 100
"""Members who did not get a push that are told of one by one; the others are counted."""

_KINDS: dict[Kind, str] = {
    "message": "SERVER",
    "forward": "CLIENT",
    "call": "CLIENT",
    "handler": "SERVER",
    "remote": "SERVER",
    "push": "PRODUCER",
    "deliver": "CONSUMER",
}
"""What these are to OpenTelemetry; the others are INTERNAL."""


class OpenTelemetry:
    """Gives spans to OpenTelemetry's own exporter, in a thread of its own.

    Where they go is said by the variables ``OTEL_EXPORTER_OTLP_*``, ``OTEL_BSP_*``,
    ``OTEL_SERVICE_NAME``, ``OTEL_RESOURCE_ATTRIBUTES`` and ``OTEL_SDK_DISABLED``.

    Args:
        id: of this node.
        server_type: its type.
        exporter: where they go instead, for tests.

    Raises:
        ConfigError: the package is not installed.
    """

    log = Logger()

    def __init__(self, *, id: str, server_type: str, exporter: Any = None) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import Event, ReadableSpan, export
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope
            from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
        except ImportError as missing:
            raise ConfigError(
                f"tracing.export is opentelemetry, and {missing.name or missing} is not installed",
                advice="pip install 'chatcore[opentelemetry]'",
            ) from None
        self._redaction = Redaction()
        self._make_exporter = OTLPSpanExporter if exporter is None else lambda: exporter
        self._make_processor = export.BatchSpanProcessor
        self._event, self._readable, self._context = Event, ReadableSpan, SpanContext
        self._kinds, self._status, self._codes = SpanKind, Status, StatusCode
        self._sampled = TraceFlags(TraceFlags.SAMPLED)
        self._scope = InstrumentationScope("chatcore", chatcore.__version__)
        about = {"service.instance.id": id, "chatcore.server.type": server_type}
        said = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        if not (os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in said):
            about["service.name"] = "chatcore"
        self._resource = Resource.create(about)
        self._off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
        self._processor: Any = None
        self._failed = False

    def start(self) -> None:
        """Begin; not before the process is what it will be: a thread begins."""
        if not self._off:
            self._processor = self._make_processor(self._make_exporter())

    def __call__(self, span: Span) -> None:
        """Take a span that has ended. Those who are followed never feel what goes wrong here."""
        if self._processor is None:
            return
        try:
            self._processor.on_end(self._of(span))
        except Exception:
            if not self._failed:
                self.log.failure("A span can't be exported; of others that is not told again")
            self._failed = True

    async def stop(self, reactor: Any) -> None:
        """Have the last ones leave, if that does not take too long."""
        processor, self._processor = self._processor, None
        if processor is None:
            return
        gone: Deferred[None] = Deferred()

        def told() -> None:
            if not gone.called:
                gone.callback(None)

        def shut_down() -> None:
            try:
                processor.shutdown()
            finally:
                reactor.callFromThread(told)

        # No thread of the reactor's: that would be waited for when the process ends.
        threading.Thread(target=shut_down, daemon=True).start()
        try:
            await gone.addTimeout(STOP_SECONDS, reactor)
        except TimeoutError:
            self.log.warn("The last spans could not be exported within {n:g} s", n=STOP_SECONDS)

    def _of(self, span: Span) -> Any:
        """A span as OpenTelemetry has it."""
        end = span.start if span.end is None else span.end
        return self._readable(
            name=span.name,
            context=self._named(span.trace, span.id, remote=False),
            parent=self._named(span.trace, span.parent, remote=True) if span.parent else None,
            resource=self._resource,
            attributes=dict(self._attributes(span)),
            events=tuple(self._events(span)) if isinstance(span, Delivery) else (),
            kind=getattr(self._kinds, _KINDS.get(span.kind, "INTERNAL")),
            status=self._outcome(span),
            start_time=span.start * 1000,
            end_time=end * 1000,
            instrumentation_scope=self._scope,
        )

    def _named(self, trace: str, span: str, *, remote: bool) -> Any:
        return self._context(int(trace, 16), int(span, 16), remote, self._sampled)

    def _outcome(self, span: Span) -> Any:
        if span.reason is None:
            return self._status(self._codes.UNSET)
        why = self._redaction.text(span.error or "")
        return self._status(self._codes.ERROR, f"{span.reason}: {why}" if why else span.reason)

    def _attributes(self, span: Span) -> Iterator[tuple[str, Any]]:
        yield "chatcore.kind", span.kind
        if span.reason is not None:
            yield "error.type", span.reason
        for key, value in span.attributes.items():
            if isinstance(value, str | int | float | bool):
                yield f"chatcore.{key}", value
            elif key == "frontends":
                for frontend, how in value.items():
                    yield f"chatcore.frontend.{frontend}", how
        if isinstance(span, Delivery):
            yield "chatcore.members", len(span.fates) + span.others
            yield "chatcore.written", sum(fate.outcome == WRITTEN for fate in span.fates)

    def _events(self, span: Delivery) -> Iterator[Any]:
        """Who did not get a push."""
        lost = [fate for fate in span.fates if fate.outcome != WRITTEN]
        for fate in lost[:MOST_EVENTS]:
            about = {"chatcore.uid": fate.uid or "", "chatcore.why": fate.detail}
            yield self._event(fate.outcome, about, (fate.at or span.start) * 1000)
