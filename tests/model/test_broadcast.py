"""A frontend's share of a broadcast."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chatcore.channels.broadcast import Broadcasts
from chatcore.channels.groups import GroupTable
from chatcore.interfaces import BroadcastFilter
from chatcore.sessions.service import SessionService
from chatcore.telemetry import Counters

from .fakes import FakeConnection, Log

pack = msgspec.msgpack.encode


class Frontend:
    """Clients: two of alice's, bob's, and one that is not bound."""

    def __init__(self, wanted: BroadcastFilter | None = None) -> None:
        counters = Counters()
        self.sessions = SessionService(frontend_id="connector-1", counters=counters)
        groups = GroupTable(sessions=self.sessions, gone=lambda *args: None, counters=counters)
        self.broadcasts = Broadcasts(sessions=self.sessions, groups=groups, wanted=wanted)
        self.encoded: list[str] = []
        for uid in ("alice", "alice", "bob", None):
            session = self.sessions.open(FakeConnection("plain" if uid else "packed"))
            if uid is not None:
                self.sessions.bind(session.id, uid)

    def sent(self, msg: Any = "news", **options: Any) -> list[int]:
        """How often a broadcast reaches each of them."""

        def encode(encoding: str) -> bytes:
            self.encoded.append(encoding)
            return encoding.encode()

        outboxes = [session.connection.outbox for session in self.sessions]
        for outbox in outboxes:
            outbox.sent.clear()
        self.broadcasts.send("onNews", encode, pack(msg), **options)
        return [len(outbox.sent) for outbox in outboxes]


def test_goes_to_all_once_and_is_encoded_once_for_each_encoding() -> None:
    frontend = Frontend()
    assert frontend.sent() == [1, 1, 1, 1]
    assert sorted(frontend.encoded) == ["packed", "plain"]


def test_may_be_missed_by_those_who_do_not_keep_up() -> None:
    frontend = Frontend()
    next(iter(frontend.sessions)).connection.outbox.reads = False
    assert frontend.sent(droppable=True) == [0, 1, 1, 1]
    assert frontend.sent() == [1, 1, 1, 1]


def test_to_those_that_are_bound() -> None:
    """Each of alice's sessions once; Pomelo sends each of a uid's k sessions k of them."""
    assert Frontend().sent(bound=True) == [1, 1, 1, 0]


def test_to_those_that_the_filter_picks() -> None:
    def wanted(session: Any, msg: Any, where: Any) -> bool:
        asked.append((session.frontend_id, msg, where))
        return bool(session.uid == where["uid"])

    asked: list[Any] = []
    frontend = Frontend(wanted)
    assert frontend.sent(where=pack({"uid": "alice"})) == [1, 1, 0, 0]
    assert asked == [("connector-1", "news", {"uid": "alice"})] * 4
    assert frontend.sent(where=pack({"uid": None})) == [0, 0, 0, 1]
    assert frontend.sent(where=pack({"uid": None}), bound=True) == [0, 0, 0, 0]
    asked.clear()
    assert (frontend.sent(), asked) == ([1, 1, 1, 1], [])  # it is asked only where there is a where


def test_the_filter_works_on_copies() -> None:
    def wanted(session: Any, msg: Any, where: Any) -> bool:
        session.set("seen", True)
        return True

    frontend = Frontend(wanted)
    assert frontend.sent(where=pack(1)) == [1, 1, 1, 1]
    assert all(session.settings == {} for session in frontend.sessions)


@pytest.mark.logs_failures
def test_a_filter_that_raises_leaves_out_whom_it_raised_for(log: Log) -> None:
    """Which is logged once for the whole broadcast."""

    def wanted(session: Any, msg: Any, where: Any) -> bool:
        return len(session.uid) == where  # of which one has none, and of where there is no length

    frontend = Frontend(wanted)
    frontend.sessions.unbind(1)
    assert frontend.sent(where=pack(3)) == [0, 0, 1, 0]
    assert [type(problem) for problem in log.failures()] == [TypeError]


def test_without_a_filter_nobody_is_picked(log: Log) -> None:
    """To send to all what was meant for some is worse than to send it to nobody."""
    frontend = Frontend()
    for _ in range(2):
        assert frontend.sent(where=pack(1)) == [0, 0, 0, 0]
    assert log.text().count("app.broadcast_filter") == 1
