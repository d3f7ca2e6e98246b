"""A node that its registry does not let into the view is not ready."""

from __future__ import annotations

from pathlib import Path

import pytest
from links.wiring import Log
from one_registry import OneRegistry, Seat
from small_cluster import Cluster, until
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from chatcore.cluster.registry import IHearer
from chatcore.cluster.view import Member


class Closed(OneRegistry):
    """A registry that does not answer before it is opened."""

    def __init__(self) -> None:
        super().__init__(reactor.callLater)
        self.kept_out: list[tuple[Seat, Member, IHearer]] = []

    def of(self, id: str) -> Seat:
        return _Closed(self, id)

    def open(self) -> None:
        for seat, member, hearer in self.kept_out:
            hearer.found()
            Seat.start(seat, member, hearer)


class _Closed(Seat):
    _all: Closed

    def start(self, member: Member, hearer: IHearer) -> None:
        self._all.kept_out.append((self, member, hearer))
        reactor.callLater(0, hearer.lost, "redis://far: it is away", 0.0)


async def test_who_was_never_let_in_is_not_ready(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatcore.node.node.OPENING_SECONDS", 0.05)
    registry = Closed()
    cluster = Cluster(folder, servers={"front": ["front-1"]}, files={}, registry=registry)
    (folder / "servers/front").mkdir(parents=True)
    with Log() as log:
        ready = Deferred.fromCoroutine(cluster.start())
        try:
            await until(lambda: "not ready" in "".join(log.texts[2:]), "it to say so")
            node = cluster.nodes["front-1"]
            assert not ready.called and node.membership.member.state == "starting"
            assert len(node.listening) == 1, "for links alone"
            said = "The registry does not answer: redis://far: it is away; front-1 waits for it"
            assert log.texts[1].startswith(said)
        finally:
            registry.open()
            await ready
        try:
            assert node.membership.member.state == "up"
            assert len(node.listening) == 2
            assert len(log.texts) == 3, "each is said once"
        finally:
            await cluster.close()
