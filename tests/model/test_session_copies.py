"""The copies of sessions that handlers work on, on the frontend and on backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred, maybeDeferred
from zope.interface.verify import verifyObject

from chatcore.errors import NotConnected, SessionError
from chatcore.interfaces import ISession
from chatcore.sessions.copy import FarHome, SessionCopy, copy_of, import_copy
from chatcore.sessions.service import SessionService
from chatcore.sessions.session import Session
from chatcore.telemetry import Counters

from .fakes import FakeConnection, result_of


@pytest.fixture
def service() -> SessionService:
    return SessionService(frontend_id="connector-1", counters=Counters())


@pytest.fixture
def session(service: SessionService) -> Session:
    return service.open(FakeConnection())


@pytest.fixture
def copy(service: SessionService, session: Session) -> SessionCopy:
    return copy_of(session, service)


class TestOnTheFrontend:
    def test_keeps_its_promise(self, copy: SessionCopy) -> None:
        assert verifyObject(ISession, copy)

    def test_what_is_set_stays_in_the_copy(self, copy: SessionCopy, session: Session) -> None:
        copy.set("rid", "1")
        assert copy.get("rid") == "1"
        assert session.get("rid") is None
        assert copy.get("nothing") is None
        assert copy.get("nothing", 5) == 5

    def test_push_publishes_the_keys_that_are_named(
        self, copy: SessionCopy, session: Session
    ) -> None:
        copy.set("rid", "1")
        copy.set("name", "alice")
        result_of(copy.push("rid"))
        assert session.settings == {"rid": "1"}

    def test_push_without_keys_publishes_all(self, copy: SessionCopy, session: Session) -> None:
        copy.set("rid", "1")
        copy.set("name", "alice")
        result_of(copy.push())
        assert session.settings == {"rid": "1", "name": "alice"}

    def test_pushing_what_was_never_set(self, copy: SessionCopy) -> None:
        with pytest.raises(KeyError):
            result_of(copy.push("rid"))

    def test_update_sets_and_publishes(self, copy: SessionCopy, session: Session) -> None:
        copy.set("local", True)
        result_of(copy.update(rid="1"))
        assert copy.get("rid") == "1"
        assert session.settings == {"rid": "1"}
        with pytest.raises(TypeError):
            result_of(copy.update(rid=object()))
        assert copy.get("rid") == "1"

    def test_the_next_request_sees_what_was_published(
        self, copy: SessionCopy, session: Session, service: SessionService
    ) -> None:
        result_of(copy.bind("alice"))
        result_of(copy.update(rid="1"))
        later = copy_of(session, service)
        assert (later.id, later.frontend_id, later.uid) == (session.id, "connector-1", "alice")
        assert later.get("rid") == "1"

    def test_a_copy_does_not_change_by_itself(
        self, copy: SessionCopy, service: SessionService
    ) -> None:
        service.update(copy.id, {"rid": "2"})
        service.bind(copy.id, "alice")
        assert (copy.get("rid"), copy.uid) == (None, None)

    def test_binding_to_another_uid_leaves_the_copy_as_it_was(self, copy: SessionCopy) -> None:
        result_of(copy.bind("alice"))
        with pytest.raises(SessionError):
            result_of(copy.bind("bob"))
        assert copy.uid == "alice"

    def test_unbinding(self, copy: SessionCopy, session: Session) -> None:
        result_of(copy.bind("alice"))
        result_of(copy.unbind())
        assert (copy.uid, session.uid) == (None, None)

    def test_kicking(self, copy: SessionCopy, session: Session) -> None:
        result_of(copy.kick())
        result_of(copy.kick("too loud"))
        assert session.connection.kicks == ["kick", "too loud"]

    def test_the_client_is_gone(
        self, copy: SessionCopy, session: Session, service: SessionService
    ) -> None:
        service.close(session, "gone")
        for act in (copy.bind("a"), copy.unbind(), copy.update(rid="1"), copy.push()):
            with pytest.raises(SessionError, match="is gone"):
                result_of(act)
        with pytest.raises(SessionError, match="is gone"):
            copy.on_closed(lambda session, reason: None)
        assert copy.uid is None

    def test_a_closed_hook_is_given_the_session_as_it_was_at_the_end(
        self, copy: SessionCopy, session: Session, service: SessionService
    ) -> None:
        """Pomelo emits 'closed' with a copy made then: who bound it later is known."""
        told: list[tuple[Any, ...]] = []
        copy.on_closed(lambda s, reason: told.append((s.id, s.uid, s.get("rid"), reason)))
        service.bind(session.id, "alice")
        service.update(session.id, {"rid": "1"})
        service.close(session, "gone")
        assert told == [(session.id, "alice", "1", "gone")]

    def test_a_closed_hook_is_checked_at_once(self, copy: SessionCopy) -> None:
        with pytest.raises(TypeError, match=r"on_closed calls .*with \(session, reason\)"):
            copy.on_closed(lambda: None)  # type: ignore[arg-type, misc]

    def test_it_shows_what_it_is(self, copy: SessionCopy) -> None:
        assert repr(copy) == f"<session {copy.id} of connector-1, uid None>"


class Asked:
    """The frontend that a far copy asks."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.answers: list[Deferred[None]] = []

    def __call__(self, method: str, *args: Any) -> Deferred[None]:
        self.calls.append((method, *args))
        self.answers.append(Deferred())
        return self.answers[-1]


class TestOnABackend:
    @pytest.fixture
    def asked(self) -> Asked:
        return Asked()

    @pytest.fixture
    def far(self, asked: Asked, session: Session, service: SessionService) -> SessionCopy:
        service.bind(session.id, "alice")
        service.update(session.id, {"rid": "1"})
        return import_copy(session.export(), "connector-1", FarHome(asked))

    def test_keeps_its_promise(self, far: SessionCopy) -> None:
        assert verifyObject(ISession, far)

    def test_is_what_was_exported(self, far: SessionCopy, session: Session) -> None:
        assert (far.id, far.frontend_id, far.uid) == (session.id, "connector-1", "alice")
        assert far.get("rid") == "1"

    @pytest.mark.parametrize("data", [b"", b"\xc1", msgspec.msgpack.encode([1, 2])])
    def test_what_is_no_session(self, data: bytes) -> None:
        with pytest.raises(ValueError):
            import_copy(data, "connector-1", FarHome(Asked()))

    @pytest.mark.parametrize(
        ("act", "call"),
        [
            (lambda copy: copy.bind("bob"), ("bind", "bob")),
            (lambda copy: copy.unbind(), ("unbind", "alice")),
            (lambda copy: copy.update(rid="2"), ("update", {"rid": "2"})),
            (lambda copy: copy.push(), ("update", {"rid": "1"})),
            (lambda copy: copy.push("rid"), ("update", {"rid": "1"})),
            (lambda copy: copy.kick("why"), ("kick", "why")),
            (lambda copy: copy.remove("x") or copy.push("x"), ("update", {}, ["x"])),
        ],
    )
    def test_asks_its_frontend_and_waits_for_it(
        self, far: SessionCopy, asked: Asked, act: Any, call: tuple[Any, ...]
    ) -> None:
        waiting = Deferred.fromCoroutine(act(far))
        name, *args = call
        assert asked.calls == [(name, far.id, *args)]
        assert not waiting.called
        asked.answers[0].callback(None)
        assert waiting.called

    def test_is_bound_when_the_frontend_has_said_so(self, far: SessionCopy, asked: Asked) -> None:
        far.uid = None
        Deferred.fromCoroutine(far.bind("bob"))
        assert far.uid is None
        asked.answers[0].callback(None)
        assert far.uid == "bob"

    def test_is_not_bound_when_the_frontend_refused(self, far: SessionCopy, asked: Asked) -> None:
        waiting = Deferred.fromCoroutine(far.bind("bob"))
        asked.answers[0].errback(NotConnected("connector-1", "bind"))
        with pytest.raises(NotConnected):
            result_of(waiting)
        assert far.uid == "alice"

    def test_what_is_set_stays_here(self, far: SessionCopy, asked: Asked) -> None:
        far.set("rid", "2")
        assert (far.get("rid"), asked.calls) == ("2", [])

    def test_only_the_frontend_knows_when_it_closes(self, far: SessionCopy) -> None:
        with pytest.raises(SessionError, match="on_left"):
            far.on_closed(lambda session, reason: None)


class TestEverywhere:
    """A copy is the same to a handler on the frontend and on a backend."""

    @pytest.fixture(params=["here", "far"])
    def a_copy(
        self, request: pytest.FixtureRequest, service: SessionService, session: Session
    ) -> Callable[[], SessionCopy]:
        def ask(method: str, *args: Any) -> Deferred[Any]:
            """As the frontend does it, behind what a link does to arguments and results."""
            args = msgspec.msgpack.decode(msgspec.msgpack.encode(args))
            done = maybeDeferred(getattr(service, method), session.id, *args[1:])
            return done.addCallback(lambda r: msgspec.msgpack.decode(msgspec.msgpack.encode(r)))

        def copy() -> SessionCopy:
            if request.param == "here":
                return copy_of(session, service)
            return import_copy(session.export(), session.frontend_id, FarHome(ask))

        return copy

    def test_says_who_where_and_since_when(
        self, a_copy: Callable[[], SessionCopy], session: Session
    ) -> None:
        copy = a_copy()
        assert (copy.logged_in, copy.address) == (None, FakeConnection.address)
        result_of(copy.bind("alice"))
        assert copy.logged_in == a_copy().logged_in == session.logged_in is not None
        result_of(copy.update(rid="1"))
        assert a_copy().as_dict() == {
            "id": session.id,
            "frontend_id": "connector-1",
            "uid": "alice",
            "address": FakeConnection.address,
            "logged_in": session.logged_in,
            "settings": {"rid": "1"},
        }
        result_of(copy.unbind())
        assert (copy.logged_in, session.logged_in) == (None, None)

    def test_nothing_in_it_is_shared(
        self, a_copy: Callable[[], SessionCopy], session: Session
    ) -> None:
        mine: dict[str, Any] = {"friends": ["bob"], "flat": 1}
        result_of(a_copy().update(**mine))
        mine["friends"].append("carol")
        one, other = a_copy(), a_copy()
        one.get("friends").append("dave")
        assert (one.get("friends"), other.get("friends")) == (["bob", "dave"], ["bob"])
        assert session.settings == {"friends": ["bob"], "flat": 1}
        result_of(one.push("friends"))
        one.get("friends").append("erin")
        assert session.settings == a_copy().settings == {"friends": ["bob", "dave"], "flat": 1}

    def test_settings_are_as_they_travel(self, a_copy: Callable[[], SessionCopy]) -> None:
        result_of(a_copy().update(pair=(1, 2)))
        assert a_copy().get("pair") == [1, 2]

    def test_removing(self, a_copy: Callable[[], SessionCopy], session: Session) -> None:
        result_of(a_copy().update(a=1, b=2, c=3))
        copy = a_copy()
        copy.remove("a")
        copy.remove("b")
        assert (copy.get("a"), dict(copy.settings)) == (None, {"c": 3})
        assert session.settings == {"a": 1, "b": 2, "c": 3}
        result_of(copy.push("a"))
        assert session.settings == {"b": 2, "c": 3}
        copy.set("d", 4)
        result_of(copy.push())
        assert session.settings == {"c": 3, "d": 4}
        copy.set("a", 5)  # after all
        result_of(copy.push("a"))
        assert a_copy().settings == {"c": 3, "d": 4, "a": 5}

    def test_what_it_shows_cannot_be_changed(self, a_copy: Callable[[], SessionCopy]) -> None:
        with pytest.raises(TypeError):
            a_copy().settings["a"] = 1

    def test_mistakes_are_told_apart(
        self, a_copy: Callable[[], SessionCopy], session: Session
    ) -> None:
        copy = a_copy()
        for act in (
            copy.bind(""),
            copy.kick(""),
        ):
            with pytest.raises(TypeError):
                result_of(act)
        copy.set(5, 1)
        with pytest.raises(TypeError, match="the key of a setting"):
            result_of(copy.push())
        assert session.settings == {}

    def test_unbinding_somebody_else(
        self, a_copy: Callable[[], SessionCopy], service: SessionService, session: Session
    ) -> None:
        result_of(a_copy().bind("alice"))
        old = a_copy()
        service.unbind(session.id)
        service.bind(session.id, "bob")
        with pytest.raises(SessionError, match="bound to 'bob'"):
            result_of(old.unbind())
        assert session.uid == "bob"
