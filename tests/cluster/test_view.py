"""The view: which servers there are."""

from __future__ import annotations

import pytest
from zope.interface.verify import verifyObject

from chatcore.cluster.placement import ranking
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.view import View
from chatcore.config.servers import Server
from chatcore.errors import NoSuchServer
from chatcore.interfaces import IServers

KEYS = [f"room {number}" for number in range(300)]


def server(id: str, type: str) -> Server:
    return Server(id=id, type=type, host="127.0.0.1", port=None, line=1)


SERVERS = [
    server("gate-1", "gate"),
    server("chat-3", "chat"),
    server("chat-1", "chat"),
    server("chat-2", "chat"),
]


def test_it_is_what_applications_are_promised() -> None:
    assert verifyObject(IServers, ClusterServers(View.of(SERVERS)))


def test_servers_are_sorted_by_id() -> None:
    view = ClusterServers(View.of(SERVERS))
    assert [each.id for each in view.of_type("chat")] == ["chat-1", "chat-2", "chat-3"]
    assert [each.id for each in view] == ["chat-1", "chat-2", "chat-3", "gate-1"]
    assert view.types() == ["chat", "gate"]
    assert view.of_type("nothing") == []


def test_servers_are_found_by_id() -> None:
    view = ClusterServers(View.of(SERVERS))
    assert view.get("gate-1") is SERVERS[0]
    assert view.get("gate-2") is None


def test_a_view_has_a_number() -> None:
    assert View.of(SERVERS).epoch == 0
    assert View(7, ()).epoch == 7


def test_the_owner_is_the_same_on_every_node() -> None:
    views = [
        ClusterServers(View.of(SERVERS)),
        ClusterServers(View.of(reversed(SERVERS))),
        ClusterServers(View.of(SERVERS), connected=lambda id: False),
    ]
    for key in KEYS:
        owners = {view.owner("chat", key).id for view in views}
        assert owners == {ranking(["chat-1", "chat-2", "chat-3"], key)[0]}
    assert {views[0].owner("chat", key).id for key in KEYS} == {"chat-1", "chat-2", "chat-3"}


def test_an_owner_is_of_its_type() -> None:
    assert {ClusterServers(View.of(SERVERS)).owner("gate", key).id for key in KEYS} == {"gate-1"}


def test_picking_prefers_who_is_connected() -> None:
    up = {"chat-1", "chat-2", "chat-3"}
    view = ClusterServers(View.of(SERVERS), connected=lambda id: id in up)
    whole = {key: view.pick("chat", key).id for key in KEYS}
    assert whole == {key: view.owner("chat", key).id for key in KEYS}
    up.discard("chat-2")
    for key in KEYS:
        picked = view.pick("chat", key).id
        assert picked == next(id for id in ranking(whole.values(), key) if id in up)
    up.clear()
    with pytest.raises(NoSuchServer, match="none is connected now"):
        view.pick("chat", "lobby")


@pytest.mark.parametrize("length", [63, 64, 65, 10_000])
def test_keys_of_every_length_have_their_owner(length: int) -> None:
    view = ClusterServers(View.of(SERVERS))
    for key in ("x" * length, "x" * (length - 1) + "y"):
        for _ in range(2):  # also when it is remembered
            found = view.owner("chat", key).id
            assert found == ranking(["chat-1", "chat-2", "chat-3"], key)[0]


def test_owners_do_not_depend_on_who_is_connected() -> None:
    up = {"chat-1"}
    view = ClusterServers(View.of(SERVERS), connected=lambda id: id in up)
    assert {view.owner("chat", key).id for key in KEYS} == {"chat-1", "chat-2", "chat-3"}


@pytest.mark.parametrize("ask", ["owner", "pick"])
def test_a_type_that_nobody_has(ask: str) -> None:
    view = ClusterServers(View.of(SERVERS))
    for _ in range(2):
        with pytest.raises(NoSuchServer, match="owner of 'lobby' on area: no such server"):
            getattr(view, ask)("area", "lobby")


def test_the_view_without_some() -> None:
    view = ClusterServers(
        View.of(SERVERS), connected=lambda id: id == "chat-3", under_way=lambda id: len(id)
    )
    rest = view.without(["chat-1", "chat-9"])
    assert [each.id for each in rest.of_type("chat")] == ["chat-2", "chat-3"]
    assert rest.get("chat-1") is None
    assert (rest.connected("chat-3"), rest.connected("chat-1")) == (True, False)
    assert rest.under_way("chat-2") == 6
    for key in KEYS:
        order = ranking(["chat-1", "chat-2", "chat-3"], key)
        assert view.without(order[:1]).owner("chat", key).id == order[1]
    with pytest.raises(NoSuchServer):
        view.without(["chat-1", "chat-2", "chat-3"]).owner("chat", "a")


def test_who_is_connected() -> None:
    view = ClusterServers(View.of(SERVERS), connected=lambda id: id != "chat-2")
    assert view.connected("chat-1")
    assert not view.connected("chat-2")
    assert not view.connected("nobody")
