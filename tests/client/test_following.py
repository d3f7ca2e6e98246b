"""The client goes on where a server sends it, and gives up when that is in vain."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from chatcore.client.errors import ConnectFailed, Moved
from chatcore.client.following import LONGEST_WAIT, MOST_TRIES, NAMED_TRIES, STEADY, Following

NAMED = {"reason": "moved", "host": "door-2", "port": 3011}
NOWHERE = {"reason": "moved"}
THERE = ("door-2", 3011)


class World:
    """A client's following, and what the servers would say."""

    def __init__(self, find: Any = None, chance: float = 1.0, connect: Any = None) -> None:
        self.clock = Clock()
        self.up = False
        self.tried: list[tuple[float, Any]] = []
        self.came: list[Any] = []
        self.gave_up: list[Any] = []
        self.following = Following(
            clock=self.clock,
            chance=lambda: chance,
            connect=connect or self._connect,
            find=find,
            came=self.came.append,
            gave_up=self.gave_up.append,
        )

    def _connect(self, place: Any) -> Deferred[Any]:
        self.tried.append((round(self.clock.seconds(), 3), place))
        return succeed("hello") if self.up else fail(ConnectFailed("down"))

    def moved(self, kick: Any = NAMED) -> None:
        self.following.go_on(Moved(kick))

    def later(self, seconds: float) -> None:
        self.clock.pump([0.01] * round(seconds * 100))

    @property
    def places(self) -> list[Any]:
        return [place for _, place in self.tried]


@pytest.mark.parametrize(
    ("kick", "place"),
    [
        (NAMED, THERE),
        (NOWHERE, None),
        ({"reason": "moved", "host": "", "port": 1}, None),
        ({"reason": "moved", "host": 7, "port": 1}, None),
        ({"reason": "moved", "host": "a", "port": True}, None),
        ({"reason": "moved", "host": "a", "port": "1"}, None),
        ({"reason": "moved", "host": "a", "port": 65536}, None),
    ],
)
def test_what_a_kick_names(kick: Any, place: Any) -> None:
    assert Moved(kick).place == place


def test_soon_and_not_all_at_once() -> None:
    world, other = World(chance=1.0), World(chance=0.25)
    for each in (world, other):
        each.up = True
        each.moved()
        each.later(0.3)
        assert each.came == ["hello"]
    assert (world.tried, other.tried) == ([(0.2, THERE)], [(0.05, THERE)])


def test_ever_more_slowly_and_not_for_ever() -> None:
    world = World()
    world.moved()
    world.later(60)
    times = [when for when, _ in world.tried]
    waits = [round(b - a, 1) for a, b in zip([0, *times], times, strict=False)]
    assert waits == [0.2, 0.5, 1, 2, 4, 8, LONGEST_WAIT, LONGEST_WAIT]
    assert world.places == [THERE] * MOST_TRIES
    assert [problem.place for problem in world.gave_up] == [THERE]
    assert world.clock.getDelayedCalls() == []


def test_then_where_it_is_found() -> None:
    world = World(find=lambda: ("door-3", 3012))
    world.moved()
    world.later(2)
    world.up = True
    world.later(3)
    assert world.places == [THERE] * NAMED_TRIES + [("door-3", 3012)]
    assert world.came == ["hello"]


def test_nowhere_named() -> None:
    """To the server that is found, or to the same one again, which may be back by then."""
    found = World(find=lambda: succeed(("door-3", 3012)))
    same = World()
    for world in (found, same):
        world.up = True
        world.moved(NOWHERE)
        world.later(1)
    assert (found.tried, same.tried) == ([(0.5, ("door-3", 3012))], [(0.5, None)])


@pytest.mark.logs_failures
@pytest.mark.parametrize("answer", [None, "door-3", ValueError("no")])
def test_a_function_that_finds_nothing(answer: Any) -> None:
    def find() -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    world = World(find=find)
    world.moved(NOWHERE)
    world.later(60)
    assert (world.tried, len(world.gave_up)) == ([], 1)


def test_servers_that_send_it_back_and_forth_are_not_followed_for_ever() -> None:
    world = World()
    world.up = True
    for number in range(MOST_TRIES):
        world.moved()
        while len(world.came) == number:
            world.later(0.1)
    world.moved()
    assert (len(world.came), len(world.gave_up)) == (MOST_TRIES, 1)


def test_a_connection_that_lasted_counts_anew() -> None:
    world = World()
    world.up = True
    for _ in range(3 * MOST_TRIES):
        world.moved()
        world.later(0.3)
        world.clock.advance(STEADY)
    assert (len(world.came), world.gave_up) == (3 * MOST_TRIES, [])


def test_it_can_be_stopped_while_it_connects() -> None:
    answer: Deferred[Any] = Deferred(lambda d: d.errback(ConnectFailed("given up")))
    world = World(connect=lambda place: answer)
    world.moved()
    world.later(1)
    world.following.stop()
    assert answer.called
    assert world.clock.getDelayedCalls() == []
    assert world.gave_up == []


def test_it_can_be_stopped() -> None:
    world = World()
    world.moved()
    world.later(1)
    before = len(world.tried)
    world.following.stop()
    world.later(60)
    assert (len(world.tried), world.gave_up) == (before, [])
    assert world.clock.getDelayedCalls() == []
