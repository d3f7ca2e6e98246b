"""What became of a message that was followed: one story of what all nodes have noted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Spans = list[dict[str, Any]]

WRITTEN: Final = "written"
UNKNOWN: Final = "unknown"
"""What is said of members of whom nobody says anything."""

WORKING: Final = frozenset(("received", "waited", "forward", "handler", "call", "remote"))
"""Kinds of spans that end soon, whatever clients read."""


@dataclass(slots=True, kw_only=True)
class Member:
    """What became of a push for one member.

    Args:
        push: the id of the span of the push.
        outcome: as in `chatcore.tracing.spans.Outcome`, or `UNKNOWN`.
        at: when, in microseconds since 1970, as the clock of the frontend has it.
        before: bytes that were before it in the outbox.
    """

    push: str
    route: str
    channel: str | None
    frontend: str
    uid: str | None
    session: int | None = None
    outcome: str
    at: int | None = None
    before: int | None = None
    why: str = ""

    @property
    def name(self) -> str:
        """Who it is, for people."""
        return self.uid if self.uid is not None else f"session {self.session}"

    @property
    def in_words(self) -> str:
        """What became of it, for people."""
        why = self.why
        if self.outcome == "waiting" and self.before:
            why = f"{self.before} bytes before it"
        return f"{self.outcome} ({why})" if why else self.outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """Somebody who was a member of a channel before something was pushed to it.

    Args:
        push: the id of the span of the push.
        reason: in the words of `chatcore.telemetry.reasons.REASONS`.
        why: more of it.
        at: when it left, in microseconds since 1970.
    """

    push: str
    channel: str
    frontend: str
    uid: str
    reason: str
    why: str
    at: int


@dataclass(slots=True)
class Hop:
    """A span, and what is a part of it."""

    span: Mapping[str, Any]
    parts: list[Hop] = field(default_factory=list)
    known: bool = True
    """Whether its beginning can be compared with that of the trace."""


class Story:
    """What became of one message.

    Args:
        trace: the id of its trace.
        spans: all that was noted of that.
        top: the id of the span that it begins with: a client's trace may have many messages.
        ends: of members who were in no group any more, by frontend and uid: why, and more of it.
    """

    def __init__(
        self,
        trace: str,
        spans: Iterable[dict[str, Any]],
        top: str = "",
        ends: Mapping[tuple[str, str], tuple[str, str]] = {},
    ) -> None:
        self.trace, self.top = trace, top
        self.spans: Spans = sorted(_under(top, spans), key=_order)
        self._ends = ends
        self._by_id = {span["span"]: span for span in self.spans}
        self._parts: dict[str, Spans] = defaultdict(list)
        for span in self.spans:
            self._parts[span["parent"]].append(span)
        self.members = list(self._members())
        self.absent: list[Absent] = []
        """Who had left a channel, lately, before something was pushed to it."""

    @property
    def first(self) -> dict[str, Any] | None:
        """Where it begins: the client's message, or the push."""
        tops = [span for span in self.spans if span["parent"] not in self._by_id]
        return min(tops, key=lambda span: (span["kind"] != "message", span["start"]), default=None)

    @property
    def start(self) -> int:
        """When it began, in microseconds since 1970."""
        return 0 if self.first is None else int(self.first["start"])

    @property
    def trouble(self) -> dict[str, Any] | None:
        """The span in which it came to nothing, the innermost that says so; None if it did not."""
        failed = [s for s in self.spans if s["reason"] and s["kind"] not in ("deliver", "push")]
        within = {span["parent"] for span in failed}
        if not any(span["kind"] in ("message", "handler", "forward", "waited") for span in failed):
            return None  # a call that failed, and a handler that went on without it
        return next((span for span in failed if span["span"] not in within), None)

    @property
    def outcome(self) -> str:
        """What became of it, in a word."""
        trouble, first = self.trouble, self.first
        if trouble is not None:
            return str(trouble["reason"])
        if first is None or first["kind"] != "message":
            return "pushed"
        if first["attributes"].get("what") == "notify":
            return "sent on"
        return "answered" if first["end"] is not None else "waiting"

    @property
    def is_complete(self) -> bool:
        """Whether all is noted that is to be expected."""
        return all(
            span["end"] is not None and (span["reason"] or self._is_followed_on(span))
            for span in self.spans
        )

    @property
    def is_under_way(self) -> bool:
        """Whether somebody acts on it yet."""
        return any(span["end"] is None and span["kind"] in WORKING for span in self.spans)

    def _is_followed_on(self, span: Mapping[str, Any]) -> bool:
        """Whether those have noted it, too, to whom it was sent on."""
        parts = self._parts[span["span"]]
        if span["kind"] in ("forward", "call", "passed on"):
            return bool(parts)
        if span["kind"] == "push":
            sent = [f for f, how in span["attributes"]["frontends"].items() if how == "sent"]
            return {part["node"] for part in parts} >= set(sent)
        return True

    # Its hops.

    def hops(self) -> list[Hop]:
        """What it consists of, as a tree."""
        tops = [span for span in self.spans if span["parent"] not in self._by_id]
        return [self._hop(span, None) for span in tops]

    def _hop(self, span: dict[str, Any], above: Hop | None) -> Hop:
        hop = Hop(span)
        hop.known = self._is_comparable(span, above)
        hop.parts = [self._hop(part, hop) for part in self._parts[span["span"]]]
        return hop

    def _is_comparable(self, span: Mapping[str, Any], above: Hop | None) -> bool:
        """Whether the clock of a span's node can be compared with that where all began."""
        first = self.first
        if first is None or span["node"] == first["node"]:
            return True
        before = self.start if above is None else above.span["start"]
        return bool(span["start"] >= max(before, self.start))

    def on_the_way(self, hop: Hop) -> int | None:
        """Microseconds that something took on links, there and back; None where nobody knows."""
        span = hop.span
        if span["kind"] not in ("forward", "call") or span["end"] is None:
            return None
        there = [p.span for p in hop.parts if p.span["node"] != span["node"]]
        if not there or any(each["end"] is None for each in there):
            return None
        if any(each["kind"] == "passed on" for each in there):
            return None
        took = max(s["end"] for s in there) - min(s["start"] for s in there)
        way: int = span["end"] - span["start"] - took
        return way if way >= 0 else None

    # Its members.

    @property
    def missing(self) -> list[tuple[str, str]]:
        """Members that the backend has counted, and their frontend has not: frontends and uids."""
        return [
            (member.frontend, member.uid)
            for member in self.members
            if member.outcome == UNKNOWN and member.uid is not None and not member.why
        ]

    def pushes(self) -> Iterator[tuple[Mapping[str, Any], list[Member]]]:
        """Each push, and what became of it for its members."""
        by_push: dict[str, list[Member]] = defaultdict(list)
        for member in self.members:
            by_push[member.push].append(member)
        for span in self.spans:
            if span["kind"] == "push" or span["span"] in by_push:
                yield span, by_push[span["span"]]

    def others(self, push: str) -> int:
        """Of a push, how many members there were beside those that are told of one by one."""
        span = self._by_id[push]
        delivered = [s for s in self._parts[push] if s["kind"] == "deliver"]
        if span["kind"] == "deliver":
            return int(span["others"])
        named = sum(map(len, span["attributes"].get("members", {}).values()))
        left_out = max(span["attributes"].get("count", 0) - named, 0)
        counted = sum(int(each["others"]) for each in delivered)
        return int(max(left_out, counted))

    def _members(self) -> Iterator[Member]:
        for span in self.spans:
            if span["kind"] == "push":
                yield from self._of_push(span)
            elif span["kind"] == "deliver":
                above = self._by_id.get(span["parent"])
                if above is None or above["kind"] != "push":
                    yield from self._of_delivery(span, span["span"])

    def _of_push(self, push: dict[str, Any]) -> Iterator[Member]:
        about = push["attributes"]
        delivered: dict[str, set[str | None]] = defaultdict(set)
        left_out: set[str] = set()
        for part in self._parts[push["span"]]:
            if part["kind"] == "deliver":
                delivered[part["node"]].update(each[0] for each in part["members"])
                if part["others"]:
                    left_out.add(part["node"])
                yield from self._of_delivery(part, push["span"])
        for frontend, uids in about.get("members", {}).items():
            how = about["frontends"].get(frontend, UNKNOWN)
            for uid in uids:
                if uid not in delivered[frontend] and frontend not in left_out:
                    yield self._not_there(push, frontend, uid, how, frontend in delivered)

    def _not_there(
        self, push: Mapping[str, Any], frontend: str, uid: str, how: str, told: bool
    ) -> Member:
        told = told and bool([p for p in self._parts[push["span"]] if p["node"] == frontend])
        why = ""
        if how == "sent":
            how = UNKNOWN
            if told:
                how, why = self._ends.get((frontend, uid), (UNKNOWN, ""))
            else:
                why = f"{frontend} has not told of it"
        return Member(
            push=push["span"],
            route=push["name"],
            channel=push["attributes"].get("channel"),
            frontend=frontend,
            uid=uid,
            outcome=how,
            why=why,
        )

    def _of_delivery(self, span: dict[str, Any], push: str) -> Iterator[Member]:
        for uid, session, outcome, at, before, why in span["members"]:
            yield Member(
                push=push,
                route=span["name"],
                channel=span["attributes"].get("channel"),
                frontend=span["node"],
                uid=uid,
                session=session,
                outcome=outcome,
                at=at,
                before=before,
                why=why,
            )

    def to_value(self) -> dict[str, Any]:
        """It in JSON's types."""
        first, trouble = self.first or {}, self.trouble
        written = [member for member in self.members if member.outcome == WRITTEN]
        left_out = sum(self.others(span["span"]) for span, _ in self.pushes())
        return {
            "trace": self.trace,
            "route": first.get("name"),
            "uid": first.get("attributes", {}).get("uid"),
            "node": first.get("node"),
            "start": self.start,
            "ms": _ms(first["end"] - first["start"]) if first.get("end") else None,
            "outcome": self.outcome,
            "why": None if trouble is None else trouble["error"],
            "at": None if trouble is None else trouble["node"],
            "complete": self.is_complete,
            "delivered": len(written),
            "of": len(self.members),
            "not_told_of": left_out,
            "members": [
                {
                    "push": member.push,
                    "route": member.route,
                    "channel": member.channel,
                    "frontend": member.frontend,
                    "uid": member.uid,
                    "session": member.session,
                    "outcome": member.outcome,
                    "why": member.why or None,
                    "ms": None if member.at is None else _ms(member.at - self.start),
                    "before": member.before,
                }
                for member in self.members
            ],
            "absent": [
                {
                    "push": each.push,
                    "channel": each.channel,
                    "frontend": each.frontend,
                    "uid": each.uid,
                    "outcome": each.reason,
                    "why": each.why or None,
                    "ms": _ms(each.at - self.start),
                }
                for each in self.absent
            ],
            "spans": self.spans,
        }


def tops(spans: Spans) -> list[dict[str, Any]]:
    """The spans of a trace that stories begin with."""
    known = {span["span"] for span in spans}
    return [span for span in spans if span["kind"] == "message" or span["parent"] not in known]


def _under(top: str, spans: Iterable[dict[str, Any]]) -> Spans:
    """A span and all that are a part of it; all, where they are those of one message."""
    every = list(spans)
    messages = [span for span in every if span["kind"] == "message"]
    if not top or len(messages) < 2:
        return every
    parts: dict[str, Spans] = defaultdict(list)
    for span in every:
        parts[span["parent"]].append(span)
    found = [span for span in every if span["span"] == top]
    for span in found:  # which grows meanwhile
        found += parts[span["span"]]
    return found


def _order(span: Mapping[str, Any]) -> tuple[int, bool]:
    return int(span["start"]), span["kind"] == "answer"


def _ms(microseconds: int) -> float:
    return round(microseconds / 1000, 3)
