"""Choosing any server of a type."""

from __future__ import annotations

from collections import Counter

import pytest

from chatcore.cluster.balance import LeastActive, RoundRobin, Weighted, balances
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.view import View
from chatcore.config.servers import Server
from chatcore.errors import NoSuchServer


class Some:
    """Servers of two types, some of them down, with calls under way."""

    def __init__(self, **weights: int) -> None:
        self.down: set[str] = set()
        self.busy: Counter[str] = Counter()
        self.view = ClusterServers(
            View.of(
                [
                    *(Server(id=id, type="chat", weight=weight) for id, weight in weights.items()),
                    Server(id="x", type="game"),
                    Server(id="y", type="game"),
                ]
            ),
            connected=lambda id: id not in self.down,
            under_way=lambda id: self.busy[id],
        )


@pytest.fixture
def some() -> Some:
    return Some(a=1, b=1, c=1)


def test_round_robin_goes_round(some: Some) -> None:
    choose = RoundRobin()
    assert "".join(choose("chat", some.view) for _ in range(7)) == "abcabca"
    assert choose("game", some.view) == "x"  # each type has its own turn
    assert choose("chat", some.view) == "b"
    some.down = {"c"}
    assert "".join(choose("chat", some.view) for _ in range(4)) == "abab"
    some.down = set()
    assert "".join(choose("chat", some.view) for _ in range(3)) == "cab"


def test_weights_are_shares_and_mixed() -> None:
    some, choose = Some(a=5, b=1, c=1), Weighted()
    chosen = "".join(choose("chat", some.view) for _ in range(70))
    assert Counter(chosen) == {"a": 50, "b": 10, "c": 10}
    assert chosen == "aabacaa" * 10
    some.down = {"a"}
    assert Counter(choose("chat", some.view) for _ in range(10)) == {"b": 5, "c": 5}
    some.down = set()
    assert Counter(choose("chat", some.view) for _ in range(70))["a"] == 50


def test_least_active_is_given_more(some: Some) -> None:
    choose = LeastActive()
    assert "".join(choose("chat", some.view) for _ in range(4)) == "abca"  # equal: in turn
    some.busy.update(a=2, b=1, c=2)
    assert [choose("chat", some.view) for _ in range(3)] == ["b"] * 3
    some.busy["b"] = 3
    assert "".join(choose("chat", some.view) for _ in range(4)) == "caca"
    some.busy.clear()
    assert "".join(choose("chat", some.view) for _ in range(3)) == "bca"


def test_one_that_is_down_seems_to_have_nothing_to_do(some: Some) -> None:
    some.busy.update(b=9, c=9)
    some.down = {"a"}
    assert {LeastActive()("chat", some.view) for _ in range(5)} == {"b"}


@pytest.mark.parametrize("how", sorted(balances()))
def test_those_that_are_connected_are_preferred(some: Some, how: str) -> None:
    choose = balances()[how]
    some.down = {"a", "c"}
    assert {choose("chat", some.view) for _ in range(20)} == {"b"}
    some.down = {"a", "b", "c"}  # none is: whoever is called will say so
    assert {choose("chat", some.view) for _ in range(100)} == {"a", "b", "c"}
    with pytest.raises(NoSuchServer):
        choose("gate", some.view)


def test_nothing_is_remembered_of_another_node(some: Some) -> None:
    one, other = balances(), balances()
    for how in ("round_robin", "weighted", "least_active"):
        assert one[how]("chat", some.view) == "a"
        assert one[how]("chat", some.view) == "b"
        assert other[how]("chat", some.view) == "a"
