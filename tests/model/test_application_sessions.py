"""``app.sessions`` on a frontend, and ``app.sessions.at(…)``, which offers the same elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed
from zope.interface.verify import verifyObject

from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.view import View
from chatcore.config.servers import Server
from chatcore.errors import BodyError, NoSuchServer, NotConnected, SessionError
from chatcore.interfaces import IFarSessions, ISessions
from chatcore.sessions.copy import SessionCopy
from chatcore.sessions.service import SessionService
from chatcore.telemetry import Counters

from .fakes import FakeConnection, FakeEncoding, result_of, sessions_of


def server(id: str) -> Server:
    return Server(
        id=id,
        type=id.partition("-")[0],
        host="127.0.0.1",
        port=4000,
        client_host=None,
        client_port=3010 if id.startswith("front") else None,
        frontend=id.startswith("front"),
        data={},
        line=1,
        max_connections=None,
    )


VIEW = ClusterServers(View.of([server(id) for id in ("back-1", "front-1", "front-2")]))


class Here:
    """A frontend with clients: two of alice's, bob's, and one that is not bound."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.service = SessionService(frontend_id="front-1", counters=self.counters)
        self.connections = [FakeConnection(FakeEncoding()) for _ in range(4)]
        for connection, uid in zip(self.connections, ("alice", "alice", "bob", ""), strict=True):
            session = self.service.open(connection)
            if uid:
                self.service.bind(session.id, uid)
        self.sessions = sessions_of(self.service, VIEW)

    def sent(self) -> list[list[bytes]]:
        return [connection.outbox.sent for connection in self.connections]

    def kicks(self) -> list[list[str]]:
        return [connection.kicks for connection in self.connections]


@pytest.fixture
def here() -> Here:
    return Here()


def got(answer: Any) -> Any:
    """What was answered, at once or as something to wait for."""
    return result_of(answer) if isinstance(answer, Awaitable) else answer


def all_of(sessions: Any) -> list[Any]:
    """All that one gets by going through them."""

    async def go_through() -> list[Any]:
        return [session async for session in sessions]

    return result_of(go_through()) if hasattr(sessions, "__aiter__") else list(sessions)


class TestHereAndElsewhere:
    @pytest.fixture(params=["here", "at"])
    def sessions(self, request: pytest.FixtureRequest, here: Here) -> Any:
        return here.sessions if request.param == "here" else here.sessions.at("front-1")

    def test_keep_their_promise(self, sessions: Any, here: Here) -> None:
        promise = ISessions if sessions is here.sessions else IFarSessions
        assert verifyObject(promise, sessions)

    def test_find_copies(self, sessions: Any, here: Here) -> None:
        one = got(sessions.get(1))
        assert isinstance(one, SessionCopy)
        assert (one.id, one.uid, one.frontend_id) == (1, "alice", "front-1")
        assert [copy.id for copy in got(sessions.by_uid("alice"))] == [1, 2]
        assert got(sessions.get(99)) is None
        assert got(sessions.by_uid("nobody")) == []
        result_of(one.update(colour="red"))
        assert here.service.get(1).settings == {"colour": "red"}

    def test_count(self, sessions: Any) -> None:
        assert got(sessions.count() if hasattr(sessions, "count") else len(sessions)) == 4

    def test_all_of_them_and_those_that_are_bound(self, sessions: Any) -> None:
        every = all_of(sessions)
        assert [session.id for session in every] == [1, 2, 3, 4]
        assert sorted(session.id for session in all_of(sessions.bound())) == [1, 2, 3]
        assert all(isinstance(session, SessionCopy) for session in every)

    def test_change_settings(self, sessions: Any, here: Here) -> None:
        got(sessions.update(1, colour="red", id=5, self=6))
        assert here.service.get(1).settings == {
            "colour": "red",
            "id": 5,
            "self": 6,
        }
        with pytest.raises(SessionError, match="session 99 of front-1 is gone"):
            got(sessions.update(99, colour="red"))

    def test_push_to_one(self, sessions: Any, here: Here) -> None:
        assert got(sessions.push(2, "onNews", {"n": 1})) is True
        assert here.sent() == [[], [b'onNews {"n":1}'], [], []]
        assert got(sessions.push(99, "onNews", {})) is False

    def test_push_to_a_uid(self, sessions: Any, here: Here) -> None:
        assert got(sessions.push_to_uid("alice", "onNews", 5)) == 2
        assert here.sent() == [[b"onNews 5"], [b"onNews 5"], [], []]
        assert got(sessions.push_to_uid("nobody", "onNews", 5)) == 0

    def test_push_what_may_be_missed(self, sessions: Any, here: Here) -> None:
        """There is a session, so it is counted; that it does not read is its own affair."""
        here.connections[0].outbox.reads = False
        assert got(sessions.push(1, "onMove", 1, droppable=True)) is True
        assert got(sessions.push_to_uid("alice", "onMove", 2, droppable=True)) == 2
        assert here.sent() == [[], [b"onMove 2"], [], []]

    def test_push_what_cannot_be_sent(self, sessions: Any, here: Here) -> None:
        with pytest.raises(BodyError, match="can't be pushed"):
            got(sessions.push(1, "onNews", object()))
        with pytest.raises(BodyError, match="can't be pushed"):
            got(sessions.push_to_uid("alice", "onNews", object()))
        assert here.sent() == [[], [], [], []]

    def test_kick(self, sessions: Any, here: Here) -> None:
        assert got(sessions.kick("alice", "rude")) == 2
        assert got(sessions.kick("nobody")) == 0
        assert got(sessions.kick_id(4)) is True
        assert got(sessions.kick_id(99)) is False
        assert here.kicks() == [["rude"], ["rude"], [], ["kick"]]
        for bad in ("", None, 5):
            with pytest.raises(TypeError, match="the reason of a kick"):
                got(sessions.kick("alice", bad))
            with pytest.raises(TypeError, match="the reason of a kick"):
                got(sessions.kick_id(1, bad))

    def test_statistics(self, sessions: Any, here: Here) -> None:
        here.counters.clients_now = 6
        statistics = got(sessions.statistics())
        assert statistics == here.service.statistics(1000)
        assert (statistics.connections, statistics.sessions, statistics.logged_in) == (6, 4, 3)
        assert sorted(login.uid for login in statistics.logins) == ["alice", "alice", "bob"]
        assert len(got(sessions.statistics(2)).logins) == 2


class TestHere:
    def test_they_may_end_while_one_goes_through_them(self, here: Here) -> None:
        for session in here.sessions:
            for open_one in list(here.service):
                here.service.close(open_one, "gone")
            assert session.id >= 1
        assert len(here.sessions) == 0

    def test_a_kick_may_end_the_session_at_once(self, here: Here) -> None:
        class Ending(FakeConnection):
            def kick(self, reason: str) -> None:
                here.service.close(self.session, reason)

        for _ in range(3):
            connection = Ending()
            connection.session = here.service.open(connection)
            here.service.bind(connection.session.id, "carol")
        assert here.sessions.kick("carol") == 3
        assert len(here.service) == 4

    def test_a_backend_has_none(self) -> None:
        sessions = sessions_of(SessionService(frontend_id="back-1", counters=Counters()), VIEW)
        assert ([*sessions], [*sessions.bound()], len(sessions)) == ([], [], 0)
        assert (sessions.get(1), sessions.by_uid("alice"), sessions.kick("alice")) == (None, [], 0)
        assert not sessions.push(1, "onNews", {})
        assert sessions.statistics().logins == []


class TestElsewhere:
    @pytest.mark.parametrize("settings", [{}, {"notes": "x" * 100_000}], ids=["many", "large"])
    def test_more_than_can_be_told_at_once(self, here: Here, settings: dict[str, Any]) -> None:
        for _ in range(16 if settings else 1100):
            here.service.update(here.service.open(FakeConnection()).id, settings)
        asked: list[int] = []
        ask = here.sessions._ask

        def noting(*args: Any) -> Awaitable[Any]:
            asked.append(args[2])
            return ask(*args)

        here.sessions._ask = noting
        everyone = [session.id for session in all_of(here.sessions.at("front-1"))]
        assert everyone == [session.id for session in here.service]
        assert len(asked) > 3
        assert len(all_of(here.sessions.at("front-1").bound())) == 3

    def test_who_comes_and_goes_while_one_goes_through_them(self, here: Here) -> None:
        async def go_through() -> list[int]:
            seen = []
            async for session in here.sessions.at("front-1"):
                seen.append(session.id)
                for each in list(here.service):
                    here.service.close(each, "gone")
                if len(seen) == 4:
                    here.service.open(FakeConnection())
            return seen

        assert result_of(go_through()) == [1, 2, 3, 4, 5]

    @pytest.mark.parametrize("id", ["back-1", "nowhere"])
    def test_only_frontends_have_sessions(self, here: Here, id: str) -> None:
        with pytest.raises(NoSuchServer, match=f"by_uid of its sessions on {id}.*no such frontend"):
            result_of(here.sessions.at(id).by_uid("alice"))

    def test_a_frontend_that_is_away(self, here: Here) -> None:
        with pytest.raises(NotConnected):
            result_of(here.sessions.at("front-2").kick("alice"))

    def test_everywhere_says_who_did_not_answer(self, here: Here) -> None:
        found = result_of(here.sessions.find("alice"))
        assert [session.id for session in found.sessions] == [1, 2]
        assert {id: type(why) for id, why in found.unreached.items()} == {"front-2": NotConnected}
        kicked, unreached = result_of(here.sessions.kick_everywhere("alice", "rude"))
        assert (kicked, list(unreached)) == (2, ["front-2"])
        assert here.kicks() == [["rude"], ["rude"], [], []]

    @pytest.mark.parametrize(("id", "kicked"), [(1, [2]), (2, [1]), (3, [1, 2])])
    def test_everywhere_but_one_session(self, here: Here, id: int, kicked: list[int]) -> None:
        stays = here.sessions.get(id)
        kicks = result_of(here.sessions.kick_everywhere("alice", "rude", but=stays))
        assert kicks.kicked == len(kicked)
        assert [n for n, kicks in enumerate(here.kicks(), 1) if kicks] == kicked

    def test_a_session_of_another_frontend_stays_there(self, here: Here) -> None:
        asked: list[Any] = []

        def ask(*what: Any) -> Deferred[int]:
            asked.append(what)
            return succeed(1)

        here.sessions._ask = ask
        other = SessionCopy(1, "front-2", "alice", {}, here.service)
        assert result_of(here.sessions.kick_everywhere("alice", "rude", but=other)).kicked == 2
        assert asked == [
            ("front-1", "kick_uid", "alice", "rude"),
            ("front-2", "kick_uid", "alice", "rude", 1),
        ]

    def test_who_is_over_his_time_gets_no_answer(self, here: Here) -> None:
        """A handler that is cancelled while it waits for all frontends does not go on."""
        here.sessions._ask = lambda *asked: Deferred()
        waiting = Deferred.fromCoroutine(here.sessions.find("alice"))
        waiting.cancel()
        with pytest.raises(CancelledError):
            result_of(waiting)

    def test_everywhere_takes_no_nonsense(self, here: Here) -> None:
        sessions: Any = here.sessions
        for act in (
            sessions.find(None),
            sessions.kick_everywhere("", "rude"),
            sessions.kick_everywhere("alice", ""),
            sessions.kick_everywhere("alice", "rude", but=1),
        ):
            with pytest.raises(TypeError):
                result_of(act)
