"""What is told to people of a registry in Redis: each thing once, or until it is right again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from twisted.logger import Logger
from twisted.python.failure import Failure

from chatcore.cluster.redis_keys import Reading, lease_of
from chatcore.cluster.settings import other_lease
from chatcore.errors import StoreAway, StoreError, StoreLost, ViewError
from chatcore.telemetry import Seen

_MOST_PROBLEMS: Final = 8
"""Problems that are logged until there is none."""


class Notices:
    """Logs what somebody should see to.

    Args:
        cluster: the cluster's name.
        where: which Redis it is in.
        lease: the seconds by which this node goes.
    """

    log = Logger()

    def __init__(self, *, cluster: str, where: str, lease: float) -> None:
        self._cluster, self._where, self._lease = cluster, where, lease
        self._once, self._problems = Seen(4), Seen(_MOST_PROBLEMS)
        self._refused = ""

    def failed(self, failure: Failure) -> None:
        """Something went wrong. That Redis is away, the store says itself."""
        if failure.check(StoreAway, StoreLost):
            return
        if not self._problems.first(repr(failure.value)):
            return
        if failure.check(StoreError, ViewError):
            self.log.warn("The registry in Redis: {problem}", problem=failure.value)
        else:
            self.log.failure("The registry in Redis", failure)

    def fine(self) -> None:
        """Nothing is wrong now; what goes wrong next is news."""
        self._problems = Seen(_MOST_PROBLEMS)

    def refused(self, id: str, why: str) -> None:
        """This node may not be in the view."""
        if self._refused != why:
            self._refused = why
            self.log.warn("{id} is not let into the view: {why}", id=id, why=why)

    def silent(self, id: str, seconds: float) -> None:
        """A node was taken out of the view."""
        self.log.warn(
            "{id} is taken out of the view: it has been silent for {seconds:g} s",
            id=id,
            seconds=seconds,
        )

    def put_back(self, epoch: int) -> None:
        """Redis knew no view, or an older one."""
        self.log.warn("Redis had lost the view; it is put back as view {n}", n=epoch)

    def another_cluster(self) -> None:
        """A cluster of the same name and another secret is there."""
        if self._once.first("another"):
            self.log.warn(
                "Another cluster called {name} is in the same Redis, with another secret. The two"
                " do not mix; if they are to be one, give all servers one secret, or else set"
                " registry.cluster for one of them",
                name=self._cluster,
            )

    def unpublished(self, why: bytes) -> None:
        """A view was written, and nobody could be told."""
        if self._once.first("unpublished"):
            text = why.decode("utf-8", "replace")
            self.log.warn("New views can't be published, and are found late: {why}", why=text)

    def forged(self, reading: Reading) -> None:
        """Something was found that no node has written."""
        if self._once.first("forged"):
            self.log.warn(
                "Somebody who does not know this cluster's secret has written into its {what} in"
                " Redis, which counts for nothing. See who else may use {where}",
                what="view" if reading.is_forged else "heartbeats",
                where=self._where,
            )

    def leases(self, beats: Mapping[str, str], alive: Callable[[str], bool]) -> None:
        """See that nobody alive goes by another lease."""
        for life, each in beats.items():
            theirs = lease_of(each)
            if theirs in ("", f"{self._lease:g}") or not alive(life):
                continue
            if self._once.first("lease"):
                id = life.partition("/")[0]
                self.log.warn("{problem}", problem=other_lease(theirs, id, self._lease))
