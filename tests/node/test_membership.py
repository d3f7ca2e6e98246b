"""What a node makes of what its registry says."""

from __future__ import annotations

from typing import Any, cast

import pytest
from twisted.internet.task import Clock

from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.settings import RegistrySettings
from chatcore.cluster.view import Member, View
from chatcore.config.servers import Server
from chatcore.node.membership import Membership


class Links:
    """Links, as far as they matter here."""

    complete = True

    def on_up(self, hook: object) -> None:
        pass


class Scene:
    """A node that owns nothing once its registry has been silent for five seconds."""

    def __init__(self) -> None:
        self.clock, self.owns = Clock(), [True]
        member = Member(server=Server(id="back-1", type="back"), incarnation="life 1")
        self.membership = Membership(
            member=member,
            registry=cast(Any, None),
            servers=ClusterServers(View(1, (member,))),
            links=cast(Any, Links()),
            network=cast(Any, None),
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
