"""A node's place in the view: it announces itself, and follows what the registry says."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatcore.cluster.registry import IRegistry
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.settings import RegistrySettings
from chatcore.cluster.view import Member, State, View
from chatcore.config.servers import Server
from chatcore.deadlines import IClock
from chatcore.links.dialler import Peer
from chatcore.links.table import LinkTable
from chatcore.node.network import INetwork
from chatcore.node.reachable import out_of_reach

COMING_UP_SECONDS = 5.0
"""How long a node that begins anew waits for its links before it takes a share of the keys."""


def new_incarnation() -> str:
    """What tells one life of a node from another."""
    return secrets.token_hex(8)


class Membership:
    """Announces a node, and has its servers and links follow the view.

    Args:
        member: the node, as it is announced first.
        registry: knows which nodes there are.
        servers: those of the view.
        links: to them.
        network: how they are reached.
        settings: how long it may be out of reach, and what then.
        changed: called after each view has been taken.
        clock: the reactor.
        begin_anew: called when others have taken this node's place, before it goes on as another
            life of itself.
        owns: told False when this node is to own nothing, because it can't know whether others
            have taken its place, and True when it may again.

    Attributes:
        joined: since when, by the clock, this life of the node is in the view; None while it is
            not.
    """

    log = Logger()

    def __init__(
        self,
        *,
        member: Member,
        registry: IRegistry,
        servers: ClusterServers,
        links: LinkTable,
        network: INetwork,
        settings: RegistrySettings,
        changed: Callable[[], None],
        begin_anew: Callable[[], None],
        owns: Callable[[bool], None],
        clock: IClock,
    ) -> None:
        self.member = member
        self.joined: float | None = None
        self._clock = clock
        self._coming_up: Any = None
        links.on_up(lambda link: self._come_up_if_linked())
        self._registry, self._servers = registry, servers
        self._links, self._network = links, network
        self._settings = settings
        self._changed, self._begin_anew, self._owns = changed, begin_anew, owns
        self._lease: Any = None
        self._owns_nothing = False
        self.registry_is_lost = self._left = self._told_unreachable = False
        self._peers: dict[str, tuple[tuple[Server, str], Peer]] = {}

    @property
    def let_in(self) -> bool:
        """Whether this life of the node is in the view, as far as it knows."""
        known = self._servers.view.get(self.member.id)
        return known is not None and known.incarnation in ("", self.member.incarnation)

    @property
    def epoch(self) -> int:
        """That of the view which the node follows."""
        return self._servers.view.epoch

    def start(self) -> None:
        """Announce the node."""
        self._registry.start(self.member, self)

    def enter(self, state: State) -> None:
        """Announce that the node is in another state; who drains is in none other any more."""
        if self.member.state not in (state, "draining"):
            self.member = replace(self.member, state=state)
            self._registry.announce(self.member)

    def leave(self) -> Deferred[None]:
        """Have the node taken out of the view; it follows no other from now on."""
        self._left = True
        for timer in (self._coming_up, self._lease):
            _cancel(timer)
        self._coming_up = self._lease = None
        return self._registry.leave()

    # What the registry says.

    def heard(self, view: View) -> None:
        if self._left or view.epoch < self._servers.view.epoch:
            return
        self._links.follow(
            {each.id: self._peer(each) for each in view.members if each.id != self.member.id}
        )
        self._peers = {id: known for id, known in self._peers.items() if view.get(id) is not None}
        self._servers.follow(view)
        self._note_joined()
        self._changed()
        self._come_up_if_linked()
        self._tell_if_out_of_reach()

    def _note_joined(self) -> None:
        if not self.let_in:
            self.joined = None
        elif self.joined is None:
            self.joined = self._clock.seconds()

    def _tell_if_out_of_reach(self) -> None:
        if self._told_unreachable or not self.let_in:
            return
        if problem := out_of_reach(self.member.server, self._servers.view):
            self._told_unreachable = True
            self.log.warn("{problem}", problem=problem)

    def lost(self, why: str, silent: float) -> None:
        self.registry_is_lost = True
        epoch = self._servers.view.epoch
        self.log.warn(
            "The registry does not answer: {why}; {id} {what}",
            why=why,
            id=self.member.id,
            what=f"goes on with view {epoch}" if epoch else "waits for it, and is not ready before",
        )
        if self._settings.lost == "stop" and self._lease is None:
            rest = max(self._settings.lease_seconds - silent, 0.0)
            self._lease = self._clock.callLater(rest, self._lease_is_over)

    def _lease_is_over(self) -> None:
        self._lease, self._owns_nothing = None, True
        self.log.warn(
            "{id} owns nothing until the registry answers again, as registry.lost says",
            id=self.member.id,
        )
        self._owns(False)

    def found(self) -> None:
        self.registry_is_lost = False
        _cancel(self._lease)
        self._lease = None
        if self._owns_nothing:
            self._owns_nothing = False
            self._owns(True)
        self.log.info("The registry answers again")

    def removed(self) -> None:
        self.log.warn(
            "{id} was taken out of the view, and others have taken its place; it begins anew",
            id=self.member.id,
        )
        if self.member.state == "up" and self._coming_up is None:
            self._coming_up = self._clock.callLater(COMING_UP_SECONDS, self._come_up)
        state: State = "starting" if self._coming_up is not None else self.member.state
        self.member = replace(self.member, incarnation=new_incarnation(), state=state)
        self.joined = None
        self._begin_anew()
        self._links.begin_anew(self.member.incarnation)
        self._registry.announce(self.member)

    def _come_up_if_linked(self) -> None:
        """Take a share of the keys again, once the others can bring what belongs to them."""
        if self._coming_up is not None and self.let_in and self._links.complete:
            self._come_up()

    def _come_up(self) -> None:
        _cancel(self._coming_up)
        self._coming_up = None
        self.enter("up")

    def _peer(self, member: Member) -> Peer:
        """How to reach a member; the same as before where nothing of that has changed."""
        known, peer = self._peers.get(member.id) or (None, None)
        if peer is None or known != (member.server, member.incarnation):
            peer = Peer(self._network.link_endpoint(member.server), member.incarnation)
            self._peers[member.id] = (member.server, member.incarnation), peer
        return peer


def _cancel(timer: Any) -> None:
    """Cancel a timer, if there is one."""
    if timer is not None and timer.active():
        timer.cancel()
