"""The sessions of a frontend."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred

from chatcore.errors import SessionError
from chatcore.sessions.service import SessionService
from chatcore.telemetry import Counters

from .fakes import FakeConnection, Log


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def sessions(counters: Counters) -> SessionService:
    return SessionService(frontend_id="connector-1", counters=counters)


def test_each_session_has_a_number_of_its_own(sessions: SessionService, counters: Counters) -> None:
    first, second = sessions.open(FakeConnection()), sessions.open(FakeConnection())
    assert first.id != second.id
    assert sessions.get(first.id) is first
    assert list(sessions) == [first, second]
    assert (len(sessions), counters.sessions_now) == (2, 2)


def test_a_number_is_not_used_again(sessions: SessionService) -> None:
    first = sessions.open(FakeConnection())
    sessions.close(first, "gone")
    assert sessions.open(FakeConnection()).id != first.id


class TestBinding:
    def test_binds(self, sessions: SessionService) -> None:
        session = sessions.open(FakeConnection())
        assert session.uid is None
        sessions.bind(session.id, "alice")
        assert session.uid == "alice"
        assert sessions.by_uid("alice") == [session]

    def test_the_same_uid_again_is_no_mistake(self, sessions: SessionService) -> None:
        session = sessions.open(FakeConnection())
        sessions.bind(session.id, "alice")
        sessions.bind(session.id, "alice")
        assert sessions.by_uid("alice") == [session]

    def test_another_uid_is_refused(self, sessions: SessionService) -> None:
        session = sessions.open(FakeConnection())
        sessions.bind(session.id, "alice")
        with pytest.raises(SessionError, match="bound to 'alice' already"):
            sessions.bind(session.id, "bob")
        assert session.uid == "alice"
        assert sessions.by_uid("bob") == []

    def test_an_unknown_session_is_refused(self, sessions: SessionService) -> None:
        for act in (
            lambda: sessions.bind(77, "alice"),
            lambda: sessions.unbind(77),
            lambda: sessions.update(77, {"rid": "1"}),
            lambda: sessions.on_closed(77, lambda session, reason: None),
        ):
            with pytest.raises(SessionError, match="session 77 of connector-1 is gone"):
                act()

    @pytest.mark.parametrize("uid", ["", None, 0, 5, b"alice"])
    def test_a_uid_is_a_text(self, sessions: SessionService, uid: Any) -> None:
        session = sessions.open(FakeConnection())
        with pytest.raises(TypeError, match="a uid is a text"):
            sessions.bind(session.id, uid)
        assert session.uid is None

    def test_several_sessions_of_one_uid(self, sessions: SessionService) -> None:
        first, second = sessions.open(FakeConnection()), sessions.open(FakeConnection())
        sessions.bind(first.id, "alice")
        sessions.bind(second.id, "alice")
        assert sessions.by_uid("alice") == [first, second]
        sessions.close(first, "gone")
        assert sessions.by_uid("alice") == [second]
        sessions.close(second, "gone")
        assert sessions.by_uid("alice") == []

    def test_unbinding_forgets_who_it_is(self, sessions: SessionService) -> None:
        session = sessions.open(FakeConnection())
        sessions.bind(session.id, "alice")
        sessions.unbind(session.id)
        assert (session.uid, sessions.by_uid("alice")) == (None, [])
        sessions.bind(session.id, "bob")
        assert session.uid == "bob"

    def test_unbinding_what_is_not_bound_changes_nothing(self, sessions: SessionService) -> None:
        session = sessions.open(FakeConnection())
        sessions.unbind(session.id)
        assert session.uid is None

    def test_who_asked_is_told_of_each_gain_and_loss(self, sessions: SessionService) -> None:
        told: list[tuple[str, int]] = []
        sessions.on_uid_changed(lambda uid: told.append((uid, len(sessions.by_uid(uid)))))
        first, second = sessions.open(FakeConnection()), sessions.open(FakeConnection())
        sessions.bind(first.id, "alice")
        sessions.bind(first.id, "alice")
        sessions.bind(second.id, "alice")
        sessions.close(second, "gone")
        sessions.unbind(first.id)
        sessions.close(first, "gone")
        assert told == [("alice", 1), ("alice", 2), ("alice", 1), ("alice", 0)]


class TestClosing:
    def test_hooks_are_called_once_with_the_reason(
        self, sessions: SessionService, counters: Counters
    ) -> None:
        told: list[tuple[str | None, str]] = []
        session = sessions.open(FakeConnection())
        sessions.bind(session.id, "alice")
        sessions.on_closed(session.id, lambda session, reason: told.append((session.uid, reason)))
        sessions.close(session, "heartbeat timeout")
        sessions.close(session, "again")
        assert told == [("alice", "heartbeat timeout")]
        assert session.closed == "heartbeat timeout"
        assert (len(sessions), counters.sessions_now) == (0, 0)

    def test_the_session_is_gone_when_hooks_are_called(self, sessions: SessionService) -> None:
        session = sessions.open(FakeConnection())
        sessions.bind(session.id, "alice")
        found: list[Any] = []
        sessions.on_closed(
            session.id,
            lambda session, reason: found.append(
                (sessions.get(session.id), sessions.by_uid("alice"), len(sessions))
            ),
        )
        sessions.close(session, "gone")
        assert found == [(None, [], 0)]

    @pytest.mark.logs_failures
    def test_a_failing_hook_is_logged_and_the_others_are_called(
        self, sessions: SessionService, log: Log
    ) -> None:
        called: list[str] = []

        async def fails_later(session: object, reason: str) -> None:
            await waiting
            raise ValueError("later")

        def fails(session: object, reason: str) -> None:
            raise ValueError("at once")

        waiting: Deferred[None] = Deferred()
        session = sessions.open(FakeConnection())
        for hook in (fails, fails_later, lambda session, reason: called.append(reason)):
            sessions.on_closed(session.id, hook)
        sessions.close(session, "gone")
        assert called == ["gone"]
        waiting.callback(None)
        assert [str(problem) for problem in log.failures()] == ["at once", "later"]
        assert f"on_closed hook of session {session.id}" in log.text()

    def test_a_hook_may_wait(self, sessions: SessionService) -> None:
        waiting: Deferred[str] = Deferred()
        seen: list[str] = []

        async def hook(session: object, reason: str) -> None:
            seen.append(await waiting)

        session = sessions.open(FakeConnection())
        sessions.on_closed(session.id, hook)
        sessions.close(session, "gone")
        assert seen == []
        waiting.callback("done")
        assert seen == ["done"]

    def test_a_session_that_is_closed_takes_no_hook(self, sessions: SessionService) -> None:
        session = sessions.open(FakeConnection())
        sessions.close(session, "gone")
        with pytest.raises(SessionError, match="is gone"):
            sessions.on_closed(session.id, lambda session, reason: None)


class TestExport:
    def test_says_id_uid_and_settings(self, sessions: SessionService) -> None:
        session = sessions.open(FakeConnection())
        sessions.bind(session.id, "alice")
        sessions.update(session.id, {"rid": "1"})
        assert msgspec.msgpack.decode(session.export()) == [session.id, "alice", {"rid": "1"}]

    def test_is_kept_until_something_changes(self, sessions: SessionService) -> None:
        session = sessions.open(FakeConnection())
        first = session.export()
        assert session.export() is first
        for change in (
            lambda: sessions.bind(session.id, "alice"),
            lambda: sessions.update(session.id, {"rid": "1"}),
            lambda: sessions.unbind(session.id),
        ):
            before = session.export()
            change()
            assert session.export() != before
            assert session.export() is session.export()
        assert msgspec.msgpack.decode(session.export()) == [session.id, None, {"rid": "1"}]


class TestKicking:
    def test_kicks_through_the_connection(self, sessions: SessionService) -> None:
        session = sessions.open(connection := FakeConnection())
        sessions.kick(session.id, "too loud")
        assert connection.kicks == ["too loud"]

    def test_nobody_there_is_no_mistake(self, sessions: SessionService) -> None:
        session = sessions.open(connection := FakeConnection())
        sessions.close(session, "gone")
        sessions.kick(session.id, "too loud")
        assert connection.kicks == []


def test_settings_that_cannot_travel_are_refused(sessions: SessionService) -> None:
    """Where they are set; what was there before goes on travelling."""
    session = sessions.open(FakeConnection())
    sessions.update(session.id, {"colour": "red"})
    before = session.export()
    with pytest.raises(TypeError):
        sessions.update(session.id, {"colour": object()})
    assert (session.get("colour"), session.export()) == ("red", before)
