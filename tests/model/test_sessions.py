"""The sessions of a frontend."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from twisted.internet.defer import Deferred

from chatcore.errors import SessionError
from chatcore.interfaces import Login
from chatcore.sessions.service import TAKEN_OVER, SessionService
from chatcore.sessions.session import Session
from chatcore.sessions.settings import SessionSettings
from chatcore.telemetry import Counters

from .fakes import FakeConnection, Log

NOW = 1_700_000_000.5


def service(counters: Counters, now: Callable[[], float] = lambda: NOW, **settings: Any) -> Any:
    return SessionService(
        frontend_id="connector-1",
        counters=counters,
        settings=SessionSettings(**settings),
        now=now,
    )


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def sessions(counters: Counters) -> SessionService:
    return service(counters)


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

    @pytest.mark.parametrize("uid", ["", None, 0, 5, b"alice", "al\ud83dice"])
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

    def test_what_was_found_stays_as_it_was(self, sessions: SessionService) -> None:
        """Who goes through a uid's sessions and closes them misses none."""
        opened = [sessions.open(FakeConnection()) for _ in range(5)]
        for session in opened:
            sessions.bind(session.id, "alice")
        found = sessions.by_uid("alice")
        for session in found:
            sessions.close(session, "gone")
        assert found == opened
        assert (sessions.by_uid("alice"), sessions.has_uid("alice")) == ([], False)

    def test_many_of_one_uid_end_without_being_compared(
        self, sessions: SessionService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whose connections all end at once holds nobody up."""
        opened = [sessions.open(FakeConnection()) for _ in range(100)]
        for session in opened:
            sessions.bind(session.id, "alice")
        compared: list[object] = []
        monkeypatch.setattr(Session, "__eq__", lambda *both: compared.append(both))
        for session in reversed(opened):
            sessions.close(session, "gone")
        assert (compared, sessions.has_uid("alice")) == ([], False)

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

    def test_unbinding_somebody_else_is_refused(self, sessions: SessionService) -> None:
        """Whoever thinks it is still alice must not log bob out."""
        session = sessions.open(FakeConnection())
        sessions.bind(session.id, "bob")
        with pytest.raises(SessionError, match="bound to 'bob', not to 'alice'"):
            sessions.unbind(session.id, "alice")
        assert session.uid == "bob"
        sessions.unbind(session.id, "bob")
        sessions.unbind(session.id, "bob")  # nobody any more
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


class TestHooks:
    """Those that are told of every session."""

    @pytest.fixture
    def told(self, sessions: SessionService) -> list[tuple[Any, ...]]:
        told: list[tuple[Any, ...]] = []
        sessions.on_bound(lambda session: told.append(("bound", session.id, session.uid)))
        sessions.on_unbound(lambda session, uid: told.append(("unbound", session.id, uid)))
        sessions.on_session_closed(lambda session, why: told.append(("closed", session.uid, why)))
        return told

    def test_are_told_once_of_each_change(
        self, sessions: SessionService, told: list[tuple[Any, ...]]
    ) -> None:
        session = sessions.open(FakeConnection())
        for uid in ("alice", "alice"):
            sessions.bind(session.id, uid)
        for _ in range(2):
            sessions.unbind(session.id)
        sessions.bind(session.id, "bob")
        sessions.on_closed(session.id, lambda session, why: told.append(("own", why)))
        for _ in range(2):
            sessions.close(session, "gone")
        assert told == [
            ("bound", 1, "alice"),
            ("unbound", 1, "alice"),
            ("bound", 1, "bob"),
            ("own", "gone"),
            ("closed", "bob", "gone"),
        ]

    @pytest.mark.logs_failures
    def test_what_they_raise_changes_nothing(self, sessions: SessionService, log: Log) -> None:
        async def fails(*told: Any) -> None:
            raise ValueError("no")

        sessions.on_bound(fails)
        sessions.on_session_closed(fails)
        session = sessions.open(FakeConnection())
        sessions.bind(session.id, "alice")
        assert session.uid == "alice"
        sessions.close(session, "gone")
        assert len(sessions) == 0
        assert [str(problem) for problem in log.failures()] == ["no", "no"]


class TestSeveralSessionsOfOneUid:
    def sessions(self, per_uid: str) -> tuple[SessionService, Session, Session]:
        class Closing(FakeConnection):
            """Closes as soon as it is kicked, as real ones do."""

            def kick(self, reason: str) -> None:
                super().kick(reason)
                sessions.close(self.session, reason)

        sessions: SessionService = service(Counters(), per_uid=per_uid)
        opened = []
        for _ in range(2):
            connection = Closing()
            connection.session = sessions.open(connection)
            opened.append(connection.session)
        sessions.bind(opened[0].id, "alice")
        return sessions, opened[0], opened[1]

    def test_are_many(self) -> None:
        sessions, first, second = self.sessions("many")
        sessions.bind(second.id, "alice")
        assert sessions.by_uid("alice") == [first, second]

    def test_are_refused(self) -> None:
        sessions, first, second = self.sessions("refuse")
        with pytest.raises(SessionError, match=r"'alice' has a session already.*per_uid"):
            sessions.bind(second.id, "alice")
        assert (second.uid, sessions.by_uid("alice")) == (None, [first])
        sessions.bind(first.id, "alice")  # its own
        sessions.bind(second.id, "bob")
        sessions.close(first, "gone")
        sessions.unbind(second.id)
        sessions.bind(second.id, "alice")
        assert sessions.by_uid("alice") == [second]

    def test_are_taken_over(self) -> None:
        """The uid is never without a session, so that nobody takes it for gone meanwhile."""
        sessions, first, second = self.sessions("takeover")
        left = []
        sessions.on_uid_changed(lambda uid: left.append(len(sessions.by_uid(uid))))
        sessions.bind(second.id, "alice")
        assert sessions.by_uid("alice") == [second]
        assert (first.closed, second.closed) == (TAKEN_OVER, None)
        assert left == [2, 1]
        sessions.bind(second.id, "alice")
        assert second.closed is None


class TestStatistics:
    def test_say_who_is_logged_in(self, counters: Counters) -> None:
        time = 0.0
        sessions: SessionService = service(counters, now=lambda: time)
        counters.clients_now = 5
        for uid in ("alice", "bob", "alice", None):
            session = sessions.open(FakeConnection())
            assert session.opened == time
            time += 10.0
            if uid is not None:
                sessions.bind(session.id, uid)
        statistics = sessions.statistics(2)
        assert (statistics.server_id, statistics.connections) == ("connector-1", 5)
        assert (statistics.sessions, statistics.logged_in) == (4, 3)
        address = FakeConnection.address
        assert statistics.logins == [
            Login(uid="alice", id=3, address=address, logged_in=30.0),
            Login(uid="bob", id=2, address=address, logged_in=20.0),
        ]

    def test_binding_again_keeps_the_time(self, sessions: SessionService) -> None:
        session = sessions.open(FakeConnection())
        assert sessions.bind(session.id, "alice") == session.logged_in == NOW
        assert sessions.bind(session.id, "alice") == NOW
        sessions.unbind(session.id)
        assert session.logged_in is None
        assert [*sessions.bound()] == []


class TestExport:
    def test_says_id_uid_and_settings(self, sessions: SessionService) -> None:
        session = sessions.open(FakeConnection())
        sessions.bind(session.id, "alice")
        sessions.update(session.id, {"rid": "1"})
        address = list(FakeConnection.address)
        exported = msgspec.msgpack.decode(session.export())
        assert exported == [session.id, "alice", {"rid": "1"}, address, NOW]

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
        assert msgspec.msgpack.decode(session.export())[:3] == [session.id, None, {"rid": "1"}]


class TestKicking:
    def test_kicks_through_the_connection(self, sessions: SessionService) -> None:
        session = sessions.open(connection := FakeConnection())
        assert sessions.kick(session.id, "too loud")
        assert connection.kicks == ["too loud"]

    @pytest.mark.parametrize("reason", [None, "", 5, "\ude00"])
    def test_always_says_why(self, sessions: SessionService, reason: Any) -> None:
        session = sessions.open(connection := FakeConnection())
        sessions.bind(session.id, "alice")
        for kick, whom in ((sessions.kick, session.id), (sessions.kick_uid, "alice")):
            with pytest.raises(TypeError, match="the reason of a kick"):
                kick(whom, reason)
        assert connection.kicks == []

    def test_nobody_there_is_no_mistake(self, sessions: SessionService) -> None:
        session = sessions.open(connection := FakeConnection())
        sessions.close(session, "gone")
        assert not sessions.kick(session.id, "too loud")
        assert connection.kicks == []


class TestSettings:
    @pytest.mark.parametrize(
        "bad", [{"colour": object()}, {"colour": 1 << 70}, {5: "a key"}, {"colour": [object()]}]
    )
    def test_that_cannot_travel_are_refused(
        self, sessions: SessionService, bad: dict[Any, Any]
    ) -> None:
        """Where they are set; what was there before goes on travelling."""
        session = sessions.open(FakeConnection())
        sessions.update(session.id, {"colour": "red"})
        before = session.export()
        with pytest.raises(TypeError):
            sessions.update(session.id, bad)
        assert (session.get("colour"), session.export()) == ("red", before)

    def test_are_removed(self, sessions: SessionService) -> None:
        session = sessions.open(FakeConnection())
        sessions.update(session.id, {"colour": "red", "size": 1})
        sessions.update(session.id, {"size": 2}, ["colour", "nothing"])
        assert session.settings == {"size": 2}

    def test_share_nothing_with_who_set_them(self, sessions: SessionService) -> None:
        session = sessions.open(FakeConnection())
        mine = {"list": [1, {"deep": ()}]}
        sessions.update(session.id, mine)
        mine["list"].append(2)
        assert session.settings == {"list": [1, {"deep": []}]}  # as a backend is given it


class SessionsMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order, what is known by uid is what the sessions say."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[Session] = []
        self.told: dict[str, int] = {}

    @initialize(per_uid=st.sampled_from(["many", "refuse", "takeover"]))
    def begin(self, per_uid: str) -> None:
        self.per_uid = per_uid
        self.counters = Counters()
        self.sessions: SessionService = service(self.counters, per_uid=per_uid)
        self.sessions.on_uid_changed(
            lambda uid: self.told.__setitem__(uid, len(self.sessions.by_uid(uid)))
        )

    @rule()
    def come(self) -> None:
        class Closing(FakeConnection):
            def kick(self, reason: str) -> None:
                sessions.close(self.session, reason)

        sessions, connection = self.sessions, Closing()
        connection.session = sessions.open(connection)
        self.open.append(connection.session)

    @rule(which=st.integers(0, 5), uid=st.sampled_from("abc"))
    def bind(self, which: int, uid: str) -> None:
        if which < len(self.open):
            with suppress(SessionError):
                self.sessions.bind(self.open[which].id, uid)

    @rule(which=st.integers(0, 5), uid=st.sampled_from(["a", "b", None]))
    def unbind(self, which: int, uid: str | None) -> None:
        if which < len(self.open):
            with suppress(SessionError):
                self.sessions.unbind(self.open[which].id, uid)

    @rule(which=st.integers(0, 5))
    def go(self, which: int) -> None:
        if which < len(self.open):
            self.sessions.close(self.open[which], "gone")

    @rule(uid=st.sampled_from("abc"))
    def kick(self, uid: str) -> None:
        self.sessions.kick_uid(uid, "rude")

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "sessions"):
            return
        alive = [session for session in self.open if session.closed is None]
        assert list(self.sessions) == alive
        assert self.counters.sessions_now == len(alive)
        bound = [session for session in alive if session.uid is not None]
        assert sorted(s.id for s in self.sessions.bound()) == sorted(s.id for s in bound)
        for uid in "abc":
            of_uid = self.sessions.by_uid(uid)
            assert {s.id for s in of_uid} == {s.id for s in bound if s.uid == uid}
            assert self.told.get(uid, 0) == len(of_uid)
            if self.per_uid != "many":
                assert len(of_uid) <= 1
        assert all((s.logged_in is None) == (s.uid is None) for s in alive)


TestWhateverHappens = SessionsMachine.TestCase
