"""The groups of channels on a frontend."""

from __future__ import annotations

from typing import Any

import pytest

from chatcore.channels.groups import GroupTable
from chatcore.errors import PackageError
from chatcore.sessions.service import SessionService
from chatcore.sessions.session import Session
from chatcore.telemetry import Counters

from .fakes import FakeConnection, Log


class Frontend:
    """A frontend with clients, and what it told the backends."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.sessions = SessionService(frontend_id="connector-1", counters=self.counters)
        self.told: list[tuple[str, str, str]] = []
        self.groups = GroupTable(
            sessions=self.sessions,
            gone=lambda *args: self.told.append(args),
            counters=self.counters,
        )
        self.encoded: list[str] = []

    def enter(self, uid: str, encoding: str = "plain") -> Session:
        session = self.sessions.open(FakeConnection(encoding))
        self.sessions.bind(session.id, uid)
        return session

    def leave(self, session: Session) -> None:
        self.sessions.close(session, "gone")

    def encode(self, encoding: Any) -> bytes:
        self.encoded.append(encoding)
        return f"as {encoding}".encode()

    def push(self, backend: str = "chat-1", channel: str = "room") -> None:
        self.encoded.clear()
        self.groups.push(backend, channel, "onChat", self.encode)

    def empty(self) -> bool:
        """Whether nothing at all is kept."""
        return not self.groups._backends and not self.groups._of_uid


@pytest.fixture
def frontend() -> Frontend:
    return Frontend()


def sent(session: Session) -> list[bytes]:
    """What a session was sent since this was asked last."""
    outbox: Any = session.connection.outbox
    data, outbox.sent = outbox.sent, []
    return data


def test_a_push_reaches_all_members_once(frontend: Frontend) -> None:
    alice, bob, carol = (frontend.enter(uid) for uid in ("alice", "bob", "carol"))
    frontend.groups.join("chat-1", "room", ["alice", "bob"])
    frontend.push()
    assert (sent(alice), sent(bob), sent(carol)) == ([b"as plain"], [b"as plain"], [])
    assert (frontend.encoded, frontend.counters.pushes) == (["plain"], 2)


def test_joining_twice_changes_nothing(frontend: Frontend) -> None:
    alice = frontend.enter("alice")
    frontend.groups.join("chat-1", "room", ["alice", "alice"])
    frontend.groups.join("chat-1", "room", ["alice"])
    frontend.push()
    assert sent(alice) == [b"as plain"]
    frontend.groups.leave("chat-1", "room", ["alice"])
    frontend.push()
    assert sent(alice) == []
    assert frontend.empty()


def test_a_push_is_encoded_once_for_each_encoding(frontend: Frontend) -> None:
    clients = [
        frontend.enter(uid, encoding)
        for uid, encoding in (
            ("a", "plain"),
            ("b", "packed"),
            ("c", "plain"),
            ("d", "packed"),
            ("e", "plain"),
        )
    ]
    frontend.groups.join("chat-1", "room", "abcde")
    frontend.push()
    assert sorted(frontend.encoded) == ["packed", "plain"]
    for client in clients:
        assert sent(client) == [f"as {client.connection.encoding}".encode()]
    a, c = clients[0].connection.outbox, clients[2].connection.outbox
    frontend.push()
    assert a.sent[0] is c.sent[0]


def test_a_uid_that_is_gone_already_is_reported(frontend: Frontend) -> None:
    alice = frontend.enter("alice")
    frontend.groups.join("chat-1", "room", ["bob", "alice", "carol"])
    assert frontend.told == [("chat-1", "room", "bob"), ("chat-1", "room", "carol")]
    assert frontend.groups.held("chat-1") == {"room": ["alice"]}
    frontend.push()
    assert sent(alice) == [b"as plain"]


def test_nothing_is_kept_of_who_is_gone_already(frontend: Frontend) -> None:
    frontend.groups.join("chat-1", "room", ["bob"])
    assert frontend.told == [("chat-1", "room", "bob")]
    assert frontend.empty()


def test_the_last_session_of_a_uid_ends_its_memberships(frontend: Frontend) -> None:
    first, second = frontend.enter("alice"), frontend.enter("alice")
    frontend.enter("bob")
    frontend.groups.join("chat-1", "room", ["alice", "bob"])
    frontend.groups.join("chat-1", "hall", ["alice"])
    frontend.groups.join("chat-2", "room", ["alice"])
    frontend.leave(first)
    assert frontend.told == []
    frontend.leave(second)
    assert sorted(frontend.told) == [
        ("chat-1", "hall", "alice"),
        ("chat-1", "room", "alice"),
        ("chat-2", "room", "alice"),
    ]
    assert frontend.groups.held("chat-1") == {"room": ["bob"]}
    assert frontend.groups.held("chat-2") == {}


def test_unbinding_ends_memberships_too(frontend: Frontend) -> None:
    alice = frontend.enter("alice")
    frontend.groups.join("chat-1", "room", ["alice"])
    frontend.sessions.unbind(alice.id)
    assert frontend.told == [("chat-1", "room", "alice")]
    frontend.push()
    assert sent(alice) == []
    assert frontend.empty()


def test_a_second_session_gets_pushes_too(frontend: Frontend) -> None:
    first = frontend.enter("alice")
    frontend.groups.join("chat-1", "room", ["alice"])
    frontend.push()
    second = frontend.enter("alice", "packed")
    frontend.push()
    assert (len(sent(first)), sent(second)) == (2, [b"as packed"])
    frontend.leave(first)
    frontend.push()
    assert (sent(first), sent(second)) == ([], [b"as packed"])


def test_channels_of_different_backends_do_not_mix(frontend: Frontend) -> None:
    alice, bob = frontend.enter("alice"), frontend.enter("bob")
    frontend.groups.join("chat-1", "room", ["alice"])
    frontend.groups.join("chat-2", "room", ["bob"])
    frontend.push("chat-2")
    assert (sent(alice), sent(bob)) == ([], [b"as plain"])
    frontend.push("chat-3")
    frontend.push("chat-1", "hall")
    assert (sent(alice), sent(bob)) == ([], [])


def test_leaving(frontend: Frontend) -> None:
    alice, bob = frontend.enter("alice"), frontend.enter("bob")
    frontend.groups.join("chat-1", "room", ["alice", "bob"])
    frontend.groups.leave("chat-1", "room", ["alice", "nobody"])
    frontend.groups.leave("chat-1", "hall", ["bob"])
    frontend.groups.leave("chat-2", "room", ["bob"])
    frontend.push()
    assert (sent(alice), sent(bob)) == ([], [b"as plain"])
    assert frontend.told == []
    frontend.leave(alice)
    assert frontend.told == []


def test_dropping_the_groups_of_a_backend(frontend: Frontend) -> None:
    alice = frontend.enter("alice")
    frontend.groups.join("chat-1", "room", ["alice"])
    frontend.groups.join("chat-1", "hall", ["alice"])
    frontend.groups.join("chat-2", "room", ["alice"])
    frontend.groups.renew("chat-1")
    frontend.groups.renew("chat-9")
    assert frontend.groups.held("chat-1") == {}
    assert frontend.groups.held("chat-2") == {"room": ["alice"]}
    frontend.push("chat-1")
    assert sent(alice) == []
    assert frontend.told == []
    frontend.groups.renew("chat-2")
    assert frontend.empty()


def test_who_goes_while_a_new_owner_has_yet_to_answer_is_told(frontend: Frontend) -> None:
    """Their group was offered, and crossed what its owner says when a link is back."""
    alice = frontend.enter("alice")
    frontend.groups.join("chat-1", "room", ["alice"])
    frontend.groups.move("room", "chat-1", "chat-2")
    frontend.groups.offered("chat-2", "room")
    frontend.groups.renew("chat-2")
    frontend.leave(alice)
    assert frontend.told == [("chat-2", "room", "alice")]
    frontend.enter("alice")
    frontend.groups.join("chat-2", "room", ["alice"])  # it has taken the offer
    assert frontend.groups.held("chat-2") == {}
    frontend.groups.told("chat-2", "room", "alice")
    assert frontend.empty()


def test_what_is_held(frontend: Frontend) -> None:
    for uid in "abc":
        frontend.enter(uid)
    frontend.groups.join("chat-1", "room", "abc")
    frontend.groups.join("chat-1", "hall", "b")
    assert frontend.groups.held("chat-1") == {"room": ["a", "b", "c"], "hall": ["b"]}
    assert frontend.groups.held("chat-2") == {}


def test_to_uids(frontend: Frontend) -> None:
    first, second = frontend.enter("alice"), frontend.enter("alice", "packed")
    bob = frontend.enter("bob")
    frontend.groups.push_to_uids(["alice", "nobody", "alice"], "onChat", frontend.encode)
    assert (sent(first), sent(second), sent(bob)) == ([b"as plain"], [b"as packed"], [])
    assert frontend.counters.pushes == 2


def test_to_sessions(frontend: Frontend) -> None:
    bound, other = frontend.enter("alice"), frontend.enter("alice")
    unbound = frontend.sessions.open(FakeConnection("packed"))
    frontend.groups.push_to_sessions([bound, unbound], "onChat", frontend.encode)
    assert (sent(bound), sent(other), sent(unbound)) == ([b"as plain"], [], [b"as packed"])
    assert sorted(frontend.encoded) == ["packed", "plain"]


def test_a_client_that_goes_while_it_is_pushed_to(frontend: Frontend) -> None:
    """A slow client is cut off by the push that is too much for it; the others get theirs."""
    clients = [frontend.enter(uid) for uid in "abc"]
    frontend.groups.join("chat-1", "room", "abc")
    outbox: Any = clients[1].connection.outbox
    outbox.push = lambda data, route: frontend.leave(clients[1])
    frontend.push()
    assert (sent(clients[0]), sent(clients[2])) == ([b"as plain"], [b"as plain"])
    assert frontend.told == [("chat-1", "room", "b")]
    frontend.push()
    assert (sent(clients[0]), sent(clients[2])) == ([b"as plain"], [b"as plain"])
    assert len(frontend.told) == 1


def test_the_backend_may_answer_at_once_when_it_is_this_node() -> None:
    """Its hooks change the groups while `join` and the end of a session still go on."""
    frontend = Frontend()
    frontend.enter("alice")
    frontend.enter("bob")
    groups = frontend.groups
    groups._gone = lambda backend, channel, uid: groups.leave(backend, channel, ["alice", "bob"])
    groups.join("chat-1", "room", ["alice", "nobody", "bob"])
    assert groups.held("chat-1") == {"room": ["bob"]}
    frontend.leave(frontend.sessions.by_uid("bob")[0])
    frontend.leave(frontend.sessions.by_uid("alice")[0])
    assert frontend.empty()


def test_nothing_is_kept_when_all_have_gone(frontend: Frontend) -> None:
    clients = [frontend.enter(uid) for uid in "aabbc"]
    for backend in ("chat-1", "chat-2"):
        for channel in ("room", "hall"):
            frontend.groups.join(backend, channel, "abc")
    frontend.groups.leave("chat-1", "room", "a")
    for client in clients:
        frontend.leave(client)
    assert frontend.empty()
    assert len(frontend.told) == 11


def test_a_droppable_push_is_for_those_who_keep_up(frontend: Frontend) -> None:
    quick, slow = frontend.enter("quick"), frontend.enter("slow")
    outbox: Any = slow.connection.outbox
    outbox.reads = False
    frontend.groups.join("chat-1", "room", ["quick", "slow"])
    frontend.groups.push("chat-1", "room", "onMove", frontend.encode, droppable=True)
    frontend.groups.push_to_uids(["quick", "slow"], "onMove", frontend.encode, droppable=True)
    sessions = list(frontend.sessions)
    frontend.groups.push_to_sessions(sessions, "onMove", frontend.encode, droppable=True)
    assert (sent(quick), sent(slow)) == ([b"as plain"] * 3, [])
    frontend.push()
    assert sent(slow) == [b"as plain"]


def test_what_one_encoding_can_not_say_the_others_do(frontend: Frontend, log: Log) -> None:
    clients = [frontend.enter(uid, encoding) for uid, encoding in (("a", "short"), ("b", "plain"))]
    frontend.groups.join("chat-1", "room", "ab")

    def encode(encoding: Any) -> bytes:
        if encoding == "short":
            raise PackageError("too long")
        return frontend.encode(encoding)

    frontend.groups.push("chat-1", "room", "onChat", encode)
    assert [sent(client) for client in clients] == [[], [b"as plain"]]
    assert (frontend.counters.pushes, frontend.counters.pushes_failed) == (1, 1)
    assert "A push of onChat can't be sent as short: too long" in log.text()


@pytest.mark.logs_failures
def test_a_push_that_the_application_fails_over_is_sent(log: Log) -> None:
    """At once, and the mistake is told once for each route."""

    def schedule(push: Any) -> None:
        raise ValueError(push.route)

    sessions = SessionService(frontend_id="connector-1", counters=Counters())
    connection = FakeConnection()
    session = sessions.open(connection)
    sessions.bind(session.id, "alice")
    groups = GroupTable(
        sessions=sessions, gone=lambda *gone: None, counters=Counters(), schedule=schedule
    )
    groups.join("chat-1", "room", ["alice"])
    for route in ("onChat", "onChat", "onAdd"):
        groups.push("chat-1", "room", route, lambda encoding, route=route: route.encode())
    groups.push_to_uids(["bob"], "onMove", lambda encoding: b"nobody is asked about it")
    assert connection.outbox.sent == [b"onChat", b"onChat", b"onAdd"]
    assert [str(problem) for problem in log.failures()] == ["onChat", "onAdd"]
