"""A client's message that is followed, at its frontend."""

from __future__ import annotations

from chatcore.connectors.parts import Reply
from chatcore.sessions.session import Session
from chatcore.telemetry import Reason
from chatcore.tracing import Span
from chatcore.wire.body import Body


class Followed:
    """Sees to it that it is known when the answer to a request is with its client.

    Args:
        span: what the request is followed as.
        session: whose.
        reply: answers it.
    """

    def __init__(self, span: Span, session: Session, reply: Reply) -> None:
        self._span, self._session, self._reply = span, session, reply

    def reply(self, body: Body) -> None:
        """Answer it."""
        answer = self._span.child(self._span.name, "answer")
        self._reply(body)
        self._session.connection.outbox.note(_Leaving(answer, self._span))


class _Leaving:
    """What its outbox is told to say that to."""

    def __init__(self, answer: Span, message: Span) -> None:
        self._answer, self._message = answer, message

    def waits(self, before: int) -> None:
        self._answer.add(before=before)

    def left(self) -> None:
        self._answer.finish()
        self._message.finish()

    def lost(self, reason: Reason, detail: str = "") -> None:
        self._answer.finish(reason, detail)
        self._message.finish(reason, detail)


def received(span: Span) -> None:
    """All that has to be done with a message before somebody acts on it is done."""
    span.child(span.name, "received", start=span.start).finish()
