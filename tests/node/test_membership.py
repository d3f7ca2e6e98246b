"""What a node makes of what its registry says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.settings import RegistrySettings
from chatcore.cluster.view import Member, View
from chatcore.config.servers import Server
from chatcore.node.membership import Membership


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


class Links:
    """Links, as far as they matter here."""

    complete = True

    def follow(self, peers: object) -> None:
        pass

    def on_up(self, hook: object) -> None:
        pass


class Network:
    """Likewise."""

    def link_endpoint(self, server: Server) -> object:
        return server


class Scene:
    """A node that owns nothing once its registry has been silent for five seconds."""

    def __init__(self, **place: Any) -> None:
        self.clock, self.owns = Clock(), [True]
        server = Server(id="back-1", type="back", **place)
        self.member = member = Member(server=server, incarnation="life 1")
        self.membership = Membership(
            member=member,
            registry=cast(Any, None),
            servers=ClusterServers(View(1, (member,))),
            links=cast(Any, Links()),
            network=cast(Any, Network()),
            settings=RegistrySettings(lease_seconds=5.0, lost="stop"),
            changed=lambda: None,
            begin_anew=lambda: None,
            owns=self.owns.append,
            clock=self.clock,
        )


@pytest.mark.parametrize(("silent", "rest"), [(0.0, 5.0), (3.5, 1.5), (5.0, 0.0), (60.0, 0.0)])
def test_a_lease_begins_when_the_registry_was_heard_last(silent: float, rest: float) -> None:
    scene = Scene()
    scene.membership.lost("it does not answer", silent)
    if rest:
        scene.clock.advance(rest - 0.1)
        assert scene.owns == [True]
    scene.clock.advance(0.1)
    assert scene.owns == [True, False]
    scene.membership.found()
    assert scene.owns == [True, False, True]
    assert not scene.clock.getDelayedCalls()


def test_who_is_heard_in_time_owns_what_it_owned() -> None:
    scene = Scene()
    for _ in range(3):
        scene.membership.lost("it does not answer", 2.0)
        scene.clock.advance(2.9)
        scene.membership.found()
    scene.clock.advance(60)
    assert scene.owns == [True]


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ({}, "by a socket in its run folder, which servers on other machines, as back-2 on 192."),
        ({"port": 4000}, "on 127.0.0.1, which servers on other machines, as back-2 on 192.0.2.1"),
        ({"port": 4000, "host": "192.0.2.7"}, ""),
    ],
)
def test_who_can_not_be_reached_from_elsewhere_says_so_once(
    place: dict[str, Any], told: str, logged: list[str]
) -> None:
    scene = Scene(**place)
    near = Member(server=Server(id="back-3", type="back", port=4003))
    here = Member(server=Server(id="back-4", type="back", port=4004, host="127.0.0.2"))
    far = Member(server=Server(id="back-2", type="back", port=4002, host="192.0.2.1"))
    scene.membership.heard(View(2, (scene.member, near, here)))
    assert not logged
    for epoch in (3, 4):
        scene.membership.heard(View(epoch, (scene.member, near, far)))
    assert len(logged) == bool(told)
    assert told in "".join(logged)
    if told:
        assert ("--port and --host" in logged[0]) == (not place)


def test_since_when_it_is_in_the_view() -> None:
    scene = Scene()
    membership = scene.membership
    assert membership.joined is None
    scene.clock.advance(3)
    membership.heard(View(2, (scene.member,)))
    scene.clock.advance(5)
    membership.heard(View(3, (scene.member,)))
    assert membership.joined == 3.0

    membership.heard(View(4, ()))
    assert membership.joined is None
    scene.clock.advance(1)
    membership.heard(View(5, (scene.member,)))
    assert membership.joined == 9.0
