"""What is followed on a node, and what was noted of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatcore.admin.outcomes import BUSY, REFUSED
from chatcore.errors import AdminError
from chatcore.inspector.redaction import Redaction
from chatcore.node.looking.looked_at import ILookedAt
from chatcore.telemetry import Happening
from chatcore.tracing.store import Kept

MOST_TRACES = 100
"""Traces that are told at once."""

LONGEST_ANSWER = 2 * 1024 * 1024
"""Bytes of an answer, about; traces that don't fit are left out, and named."""

MOST_UIDS = 2_000
"""Uids of which it is told at once what has become of them."""

MOST_LEFT = 20
"""Of those who left a channel, so many are told."""

LATELY_SECONDS = 600.0
"""For so long they are."""

ENDS: Mapping[Happening, str] = {
    "slow": "slow",
    "kicked": "kicked",
    "taken over": "kicked",
    "moved": "moved",
    "closed": "gone",
    "logged out": "gone",
}
"""Why a push did not reach somebody to whom that happened."""


class Traces:
    """Answers what there is to be asked of traces.

    ==========  ===================================================================================
    ``arm``     ``id``, ``word``, ``to``, ``count``, ``seconds``: follow messages of that route or
                uid, or pushes to that uid
    ``disarm``  ``id``: follow them no more
    ``found``   ``id``: the traces of those that were found, with the span that each begins with,
                and how many are looked for yet
    ``spans``   ``traces``: what is noted of them
    ``recent``  ``count``: what is noted of the newest
    ``ends``    ``uids``: whether they have a session here, and what their last one ended of
    ``left``    ``channel``: who left it lately
    ==========  ===================================================================================

    Args:
        node: that node.
    """

    def __init__(self, node: ILookedAt) -> None:
        self._tracer, self._node = node.tracer, node
        self._words = Redaction().text
        self._acts = {
            "arm": self._arm,
            "disarm": self._disarm,
            "found": self._found,
            "spans": self._spans,
            "recent": self._recent,
            "ends": self._ends,
            "left": self._left,
        }

    def __call__(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What is asked for.

        Raises:
            AdminError: it makes no sense, or there is no room for it.
        """
        act = self._acts.get(_text(given, "do"))
        if act is None:
            raise AdminError("there is no such thing to do with traces", code=REFUSED)
        return {"now": self._tracer.now(), **act(given)}

    def _arm(self, given: Mapping[str, Any]) -> dict[str, Any]:
        problem = self._tracer.arm(
            id=_text(given, "id"),
            word=_text(given, "word", ""),
            to=_text(given, "to", ""),
            count=int(_number(given, "count")),
            seconds=_number(given, "seconds"),
        )
        if problem is not None:
            raise AdminError(problem, code=BUSY if "already" in problem else REFUSED)
        return {}

    def _disarm(self, given: Mapping[str, Any]) -> dict[str, Any]:
        self._tracer.disarm(_text(given, "id"))
        return {}

    def _found(self, given: Mapping[str, Any]) -> dict[str, Any]:
        arming = self._tracer.armed(_text(given, "id"))
        if arming is None:
            return {"found": [], "left": 0}
        return {"found": [list(each) for each in arming.found], "left": arming.left}

    def _spans(self, given: Mapping[str, Any]) -> dict[str, Any]:
        ids = _texts(given, "traces", MOST_TRACES)
        found = (self._tracer.store.get(id) for id in ids)
        return self._told([kept for kept in found if kept is not None])

    def _recent(self, given: Mapping[str, Any]) -> dict[str, Any]:
        count = min(max(int(_number(given, "count")), 1), MOST_TRACES)
        return self._told(self._tracer.store.newest(count))

    def _told(self, some: list[Kept]) -> dict[str, Any]:
        told: list[dict[str, Any]] = []
        left_out, size = [], 0
        for kept in some:
            size += kept.size
            if told and size > LONGEST_ANSWER:
                left_out.append(kept.id)
            else:
                told.append(self._redacted(kept.to_value()))
        return {"traces": told, "left_out": left_out, "forgotten": self._tracer.store.forgotten}

    def _redacted(self, value: dict[str, Any]) -> dict[str, Any]:
        for span in value["spans"]:
            if span["error"]:
                span["error"] = self._words(span["error"])
        return value

    def _ends(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"uids": {uid: self._end(uid) for uid in _texts(given, "uids", MOST_UIDS)}}

    def _left(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Of those who left a channel lately: uid, frontend, when, in microseconds, and why."""
        channel = _text(given, "channel")
        lately = self._node.counters.journal.now() - LATELY_SECONDS
        found: list[tuple[str, str, int, str]] = []
        for uid, frontend in self._node.channels.departed(channel):
            about = {"channel": channel, "peer": frontend}
            for entry in reversed(self._node.counters.journal.of(uid)):
                if entry.what == "left" and entry.about == about and entry.last >= lately:
                    found.append((uid, frontend, int(entry.last * 1e6), self._words(entry.why)))
                    break
        found.sort(key=lambda each: -each[2])
        return {"left": [list(each) for each in found[:MOST_LEFT]]}

    def _end(self, uid: str) -> list[str]:
        """Why a push did not reach somebody who was in no group here, and more of it."""
        if self._node.sessions.has_uid(uid):
            return ["left", "it is connected, and in the channel no more"]
        end = ["gone", ""]
        for entry in reversed(self._node.counters.journal.of(uid)):
            if entry.what == "logged in":
                break
            if entry.what in ENDS:
                end = [ENDS[entry.what], self._words(entry.why)]
                if entry.what != "closed":  # which follows from what was decided before
                    break
        return end


def _text(given: Mapping[str, Any], key: str, usual: str | None = None) -> str:
    value = given.get(key, usual)
    if not isinstance(value, str):
        raise AdminError(f"{key} is no text", code=REFUSED)
    return value


def _texts(given: Mapping[str, Any], key: str, most: int) -> list[str]:
    value = given.get(key)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise AdminError(f"{key} are no texts", code=REFUSED)
    if len(value) > most:
        raise AdminError(f"more than {most} {key} at once", code=REFUSED)
    return value


def _number(given: Mapping[str, Any], key: str) -> float:
    value = given.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 1e9:
        raise AdminError(f"{key} is no number", code=REFUSED)
    return value
