"""Who owns what in a view, and how a choice tells by which key it was made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chatcore.application import Configurator, by_hash, by_session
from chatcore.cluster.ownership import Ownership
from chatcore.cluster.placement import pomelo_ranking
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.view import Member, State, View
from chatcore.config.servers import Server
from chatcore.errors import ConfigError, NoSuchServer, ViewError

KEYS = [f"room {number}" for number in range(100)]


def member(id: str, state: State = "up", type: str = "chat", life: str = "first") -> Member:
    server = Server(id=id, type=type, frontend=type == "connector", data={"zone": 1})
    return Member(server=server, incarnation=life, state=state)


def view(*members: Member, epoch: int = 1) -> View:
    return View(epoch, members)


def configurator() -> Configurator:
    return Configurator(
        env="test", server_type="chat", server_types=["chat", "connector"], folder=Path()
    )


class Session:
    uid = "ann"

    def get(self, key: str) -> str:
        return "den"


SESSION: Any = Session()


def test_only_those_that_are_up_own_keys() -> None:
    ownership = Ownership(
        view(member("a"), member("b", "starting"), member("c", "draining"), member("d")), {}
    )
    assert {ownership.owner("chat", key).id for key in KEYS} == {"a", "d"}  # type: ignore[union-attr]
    assert ownership.owner("area", "x") is None
    assert ownership.lives("chat") == {("a", "first"), ("d", "first")}


def test_who_drains_goes_on_until_another_can_take_its_place() -> None:
    last = Ownership(view(member("a", "draining"), member("b", "starting")), {})
    assert {ownership.id for ownership in map(last.servers.get, last.servers)} == {"a"}  # type: ignore[union-attr]
    replaced = Ownership(view(member("a", "draining"), member("b")), {})
    assert list(replaced.servers) == ["b"]
    frontend = Ownership(view(member("f", "draining", "connector")), {})
    assert list(frontend.servers) == []  # it takes nobody in


def test_who_drains_is_chosen_for_nobody_that_failed() -> None:
    """It takes nothing new: not even what could not be done elsewhere."""
    servers = ClusterServers(view(member("a"), member("b"), member("c", "draining")))
    assert [each.id for each in servers.without(["a"])] == ["b"]
    for tried in (servers.without(["a", "b"]), servers.without(["a"]).without(["b"])):
        assert list(tried) == list(tried.of_type("chat")) == []
        for choose in (tried.owner, tried.hashed, tried.pick):
            with pytest.raises(NoSuchServer):
                choose("chat", "den")
        assert tried.get("a") is None
        assert tried.get("c") is not None, "it is there all the same"
    last = ClusterServers(view(member("c", "draining"), member("d", "draining")))
    assert [each.id for each in last.without(["c"])] == ["d"], "who goes on is chosen as before"


def test_a_choice_tells_by_which_key_it_was_made() -> None:
    servers = ClusterServers(view(member("a"), member("b")))
    chosen = by_session("room")(SESSION, "chat", servers)
    assert servers.take_key(chosen) == "den"
    assert servers.take_key(chosen) is None  # of this choice, and of no other
    servers.owner("chat", "den")
    other = next(each.id for each in servers if each.id != chosen)
    assert servers.take_key(other) is None  # a route that asked, and chose another one
    by_hash("room")(SESSION, "chat", servers)
    assert all(servers.take_key(each.id) is None for each in servers)  # keys are not placed so


def test_channels_are_placed_as_the_route_goes() -> None:
    app = configurator()
    app.route("chat", by_hash("room"))
    servers = ClusterServers(view(*map(member, "abc")), rules=app.placements)
    chosen = by_hash("room")(SESSION, "chat", servers)
    assert servers.take_key(chosen) == "den"
    for key in KEYS:
        ids = ["a", "b", "c"]
        assert servers.owner("chat", key).id == pomelo_ranking(ids, key)[0]
        assert servers.owner("chat", key).id == servers.hashed("chat", key).id


def test_a_key_that_a_name_stands_for() -> None:
    app = configurator()
    app.placement("chat", key=lambda name: name.removeprefix("area "))
    assert app.channel_key("chat", "area 7") == "7"
    assert app.channel_key("connector", "area 7") == "area 7"


@pytest.mark.parametrize(
    ("server_type", "options", "why"),
    [
        ("chatt", {"how": "pomelo"}, "did you mean 'chat'"),
        ("chat", {"how": "pommelo"}, "pomelo"),
        ("chat", {"key": 7}, "not a function of a name"),
        ("chat", {"key": lambda: ""}, "not a function of a name"),
    ],
)
def test_mistakes_in_placement(server_type: str, options: Any, why: str) -> None:
    with pytest.raises(ConfigError, match="(?i)" + why):
        configurator().placement(server_type, **options)


def test_views_cross_links_as_they_are() -> None:
    known = view(member("b"), member("a", "draining"), member("f", "starting", "connector"))
    again = View.from_value(known.to_value())
    assert again == known
    assert [each.id for each in again.members] == ["a", "b", "f"]
    assert again.get("a").server.data == {"zone": 1}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "broken",
    [
        None,
        {},
        {"epoch": -1, "members": []},
        {"epoch": 1, "members": [7]},
        {"epoch": 1, "members": [{}]},
        {"epoch": 1, "members": [member("a").to_value() | {"state": "asleep"}]},
        {"epoch": 1, "members": [member("a").to_value() | {"id": "../a"}]},
        {"epoch": 1, "members": [member("a").to_value() | {"port": 70_000}]},
        {"epoch": 1, "members": [member("a").to_value() | {"incarnation": None}]},
    ],
)
def test_what_is_no_view(broken: Any) -> None:
    with pytest.raises(ViewError, match=r"no view|no member"):
        View.from_value(broken)
