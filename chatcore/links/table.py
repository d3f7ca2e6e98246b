"""All links of a node: who dials, who listens, who is up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatcore.deadlines import Deadlines
from chatcore.errors import BoxError
from chatcore.links import hello
from chatcore.links.arrivals import TLS, Arrivals
from chatcore.links.dialler import Dialler, Peer, in_words
from chatcore.links.greeting import Greeter
from chatcore.links.guests import IGuests
from chatcore.links.link import Link, LinkParts, LinkTap
from chatcore.links.pings import Pings

_CLIENT = re.compile(rb"[A-Z]+ /|\x01\x00")
"""How a client begins: a request, or Pomelo's handshake (of less than 64 KiB)."""

CLOSING_SECONDS = 1.0
"""How long the links may take to close before they are cut."""

FIRST_LINK_SECONDS = 5.0
"""How long what is meant for a node that has just come waits for the first link to it."""

MOST_WAITING = 10_000
"""How much may wait for the first link to one node."""

LAST_WORDS_SECONDS = 0.2
"""How long the link to a node that left the view may take to bring what was on its way."""


@dataclass(frozen=True, slots=True)
class Loss:
    """That a link was lost.

    Args:
        time: when, by the clock.
        why: in words.
    """

    time: float
    why: str


class LinkTable(Service):
    """Keeps one link to every other node of the view; `follow` tells it which those are.

    Of two nodes, the one with the smaller id dials.

    Args:
        id: this node's id.
        incarnation: which life of this node this is.
        secret: the cluster's.
        remotes: the fingerprints of this node's remotes.
        parts: what the links share.
        client_port: that of this node, to be told to a client who came to the wrong one.
    """

    log = Logger()

    def __init__(
        self,
        *,
        id: str,
        incarnation: str,
        secret: bytes,
        remotes: Mapping[str, str],
        parts: LinkParts,
        client_port: int | None = None,
    ) -> None:
        self.id = id
        self._client_port = client_port
        self._leaving = False
        self._guests: IGuests | None = None
        self._peers: Mapping[str, Peer] = {}
        self._losses: dict[str, Loss] = {}
        self._since: dict[str, float] = {}
        self._parts = parts
        self._links: dict[str, Link] = {}
        self._up_hooks: list[Callable[[Link], None]] = []
        self._down_hooks: list[Callable[[Link], None]] = []
        self._tap: LinkTap | None = None
        self._greeter = Greeter(
            id=id,
            incarnation=incarnation,
            secret=secret,
            remotes=remotes,
            up=self._up,
            tls=parts.tls,
        )
        self._arrivals = Arrivals(
            greeter=self._greeter,
            expected=self.expects,
            parts=parts,
            made=self._made,
            lost=self._lost,
            strange=self._strange,
        )
        self._retiring: dict[Link, Any] = {}
        self._new: dict[str, dict[Callable[[Link | None], object], None]] = {}
        self._late = Deadlines(FIRST_LINK_SECONDS, parts.clock, self._never_up)
        self._closing: dict[Link, Deferred[None]] = {}
        self._diallers: dict[str, Dialler] = {}
        self._pings = Pings(parts, self._links.values)
        self.factory = self._arrivals.factory

    def admit(self, guests: IGuests) -> None:
        """Take in those, too, whom no view lists. They are nobody's peers."""
        self._guests = guests

    def get(self, peer: str) -> Link | None:
        """The link to a node, if it is up."""
        return self._links.get(peer)

    def peers(self) -> list[str]:
        """The ids of all other nodes of the view."""
        return list(self._peers)

    def since(self, peer: str) -> float:
        """Since when, by the clock, the link to a node is up, or is not."""
        return self._since.get(peer, 0.0)

    def loss(self, peer: str) -> Loss | None:
        """When and why the link to a node was lost last; None if it was not."""
        return self._losses.get(peer)

    def dials(self, peer: str) -> bool:
        """Whether it is this node that dials, of the two."""
        return self.id < peer

    def trouble(self, peer: str) -> str | None:
        """What keeps this node from linking to one that it dials, if anything is known of it."""
        dialler = self._diallers.get(peer)
        return None if dialler is None else dialler.trouble

    def knows(self, peer: str) -> bool:
        """Whether that is the id of another node."""
        return peer in self._peers

    @property
    def incarnation(self) -> str:
        """Which life of this node this is."""
        return self._greeter.incarnation

    def follow(self, peers: Mapping[str, Peer]) -> None:
        """Keep links to these and to no others from now on.

        The link to a node that is not among them any more may bring what was on its way.

        Args:
            peers: all other nodes of the view, by id.
        """
        old, self._peers = self._peers, peers
        self._forget_others(peers)
        for id in [id for id in self._new if peers.get(id) != old.get(id)]:
            self._tell_waiting(id, None)
        for id, link in self._links.items():
            if self._is_meant(id, link.peer_incarnation):
                self._forget_retiring(link)  # a view without it came in between
            else:
                self._retire(link)
        for id, peer in peers.items():
            if peer.incarnation and peer != old.get(id) and not self._is_linked(id):
                self._new[id] = {}
        for id in [id for id in self._diallers if peers.get(id) != old.get(id)]:
            self._diallers.pop(id).stop()
        for id, peer in peers.items():
            if self.id < id and id not in self._diallers:
                dialler = self._diallers[id] = self._new_dialler(id, peer)
                if self.running and not self._is_linked(id):
                    dialler.start()

    def _forget_others(self, peers: Mapping[str, Peer]) -> None:
        """Forget what is only told of nodes of the view; what comes in, has no link yet."""
        now = self._parts.clock.seconds()
        self._since = {id: self._since.get(id, now) for id in peers}
        self._losses = {id: loss for id, loss in self._losses.items() if id in peers}

    def wait_for(self, peer: str, told: Callable[[Link | None], object]) -> bool:
        """Have ``told(link)`` called when the first link to a node that has just come is up.

        Or ``told(None)``, if that takes too long. What waits is told in order.

        Returns:
            False if nobody will be told: that node has been linked to before, or was waited for
            long enough, or by too many, or its coming and going is not known.
        """
        waiting = self._new.get(peer)
        if waiting is None or len(waiting) >= MOST_WAITING:
            return False
        waiting[told] = None
        self._late.start((peer, told))
        return True

    def _never_up(self, waiting: tuple[str, Callable[[Link | None], object]]) -> None:
        self._tell_waiting(waiting[0], None)  # all of them: it has not just come any more

    def _tell_waiting(self, peer: str, link: Link | None) -> None:
        for told in self._new.pop(peer, {}):
            self._late.stop((peer, told))
            told(link)

    def _new_dialler(self, id: str, peer: Peer) -> Dialler:
        return Dialler(
            peer=id,
            way=peer,
            own=self.id,
            link=self.new_link,
            clock=self._parts.clock,
            tls=self._parts.tls,
        )

    def begin_anew(self, incarnation: str) -> None:
        """Go on as another life of this node: all links are closed, and made anew."""
        self._greeter.incarnation = incarnation
        for link in list(self._links.values()):
            link.abort("this node begins anew")

    @property
    def complete(self) -> bool:
        """Whether the links to all other nodes are up."""
        return all(peer in self._links for peer in self._peers)

    def missing(self) -> list[str]:
        """The nodes to which there is no link now."""
        return [peer for peer in self._peers if peer not in self._links]

    def all_read(self, seconds: float) -> Deferred[None]:
        """What fires when the other nodes have read all that was written to them, answers included.

        Those to which the link is lost are waited for no longer.

        Args:
            seconds: how long that may take; it fires then in any case.
        """
        read: list[Deferred[None]] = []
        for link in list(self._links.values()):
            waiting: Deferred[None] = Deferred()
            read.append(waiting)
            link.when_read(partial(waiting.callback, None))
        clock = cast(IReactorTime, self._parts.clock)
        return _all(read).addTimeout(seconds, clock)

    def on_up(self, hook: Callable[[Link], None]) -> None:
        """Have ``hook(link)`` called when a link is up."""
        self._up_hooks.append(hook)

    def on_down(self, hook: Callable[[Link], None]) -> None:
        """Have ``hook(link)`` called when a link that was up is lost."""
        self._down_hooks.append(hook)

    def show(self, tap: LinkTap | None) -> None:
        """Show somebody all that passes between nodes from now on, on whichever link; or nobody."""
        self._tap = tap
        for link in self._links.values():
            link.tap = tap

    def linked(self) -> list[Link]:
        """The links that are up now."""
        return list(self._links.values())

    def startService(self) -> None:
        super().startService()
        self._pings.start()
        for dialler in self._diallers.values():
            dialler.start()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self._pings.stop()
        for dialler in self._diallers.values():
            dialler.stop()
        for link in list(self._retiring):
            self._forget_retiring(link)
        for peer in list(self._new):
            self._tell_waiting(peer, None)
        self._late.clear()
        links = list(self._closing)
        for link in links:
            link.close()
        late = self._parts.clock.callLater(CLOSING_SECONDS, _abort_all, links)

        def closed(_: object) -> None:
            self._arrivals.stop()
            if late.active():
                late.cancel()

        return _all(self._closing.values()).addCallback(closed)

    def expects(self, peer: str, incarnation: str) -> bool:
        """Whether that life of a node, or that guest, may dial this one."""
        if self._host(peer) is not None:
            return True
        return peer < self.id and self._is_meant(peer, incarnation)

    def _host(self, peer: str) -> IGuests | None:
        """Who takes care of a peer that is no node."""
        guests = self._guests
        return guests if guests is not None and guests.expects(peer) else None

    def _is_meant(self, peer: str, incarnation: str) -> bool:
        """Whether that life of a node is the one in the view."""
        meant = self._peers.get(peer)
        return meant is not None and meant.incarnation in ("", incarnation)

    def _is_linked(self, id: str) -> bool:
        """Whether there is a link to the life of a node that is in the view."""
        link = self._links.get(id)
        return link is not None and self._is_meant(id, link.peer_incarnation)

    def _retire(self, link: Link) -> None:
        if link not in self._retiring:
            why = (
                f"{link.peer} has begun anew"
                if link.peer in self._peers
                else f"{link.peer} was taken out of the view"
            )
            self._retiring[link] = self._parts.clock.callLater(LAST_WORDS_SECONDS, link.abort, why)

    def _forget_retiring(self, link: Link) -> None:
        timer = self._retiring.pop(link, None)
        if timer is not None and timer.active():
            timer.cancel()

    # What links say.

    def new_link(self, dialler: Dialler) -> Link:
        """A link for a connection that this side makes."""

        def made(link: Link) -> None:
            self._made(link)
            self._greeter.dial(link, dialler.peer, dialler.incarnation, dialler.failed)

        def lost(link: Link, reason: Failure) -> None:
            if not link.peer:
                self._parts.counters.links_rejected += 1
            self._lost(link, reason)
            current = self._diallers.get(dialler.peer)
            if current is dialler:
                dialler.lost(bool(link.peer))
            elif current is not None and self.running:
                current.start()  # which it may not have been: this link was kept

        def greet(link: Link, box: object, ask: bytes | None) -> None:
            dialler.failed("it asks before it has proven itself")
            link.abort()

        def broken(link: Link, problem: BoxError, data: bytes) -> None:
            tls = TLS.match(data) is not None
            dialler.failed(
                "it speaks TLS: start this side with --tls, too" if tls else str(problem)
            )

        return Link(
            parts=self._parts,
            limit=hello.UNPROVEN_BYTES,
            greet=greet,
            made=made,
            lost=lost,
            broken=broken,
        )

    def _made(self, link: Link) -> None:
        self._closing[link] = Deferred()

    def _strange(self, data: bytes) -> str:
        """What to say of bytes with which no link begins."""
        tls = TLS.match(data)
        if not tls and not _CLIENT.match(data):
            return ""
        who = "a node with --tls, which this one is without; or a client" if tls else "a client"
        port = self._client_port
        where = "has no client port" if port is None else f"has its client port at {port}"
        return f". This looks like {who}, and this is the link port; {self.id} {where}"

    def leave(self) -> None:
        """This node is going to stop: links that end from now on are not lost."""
        self._leaving = True

    def _up(self, link: Link) -> None:
        host = self._host(link.peer)
        if host is not None:
            host.arrived(link)
            return
        if not self._is_meant(link.peer, link.peer_incarnation):
            link.abort()  # the view has changed since it said hello
            return
        old = self._links.get(link.peer)
        if old is not None:
            # The other side has lost it and dialled anew; what this side still has is dead.
            old.abort("the other side has dialled anew")
            if self._links.get(link.peer) is old:
                self._down(old, old.ended)
        self._links[link.peer] = link
        self._since[link.peer] = self._parts.clock.seconds()
        link.tap = self._tap
        self._parts.counters.links_up += 1
        self._parts.counters.journal.note_node("link up", peer=link.peer)
        if self.complete:
            self.log.info("{id} is linked to all {n} others", id=self.id, n=len(self._peers))
        self._tell(self._up_hooks, link)
        self._tell_waiting(link.peer, link)

    def _lost(self, link: Link, reason: Failure) -> None:
        self._forget_retiring(link)
        if self._links.get(link.peer) is link:
            self._down(link, link.ended or _ended(reason))
        elif (host := self._host(link.peer)) is not None:
            host.left(link)
        self._closing.pop(link).callback(None)

    def _down(self, link: Link, why: str) -> None:
        del self._links[link.peer]
        if link.peer in self._peers:
            self._since[link.peer] = now = self._parts.clock.seconds()
            self._losses[link.peer] = Loss(now, why)
        link.tap = None
        self._parts.counters.links_lost += 1
        self._parts.counters.journal.note_node("link lost", why, peer=link.peer)
        if self.running and not self._leaving and link.peer in self._peers:
            self.log.warn("Lost the link to {peer}", peer=link.peer)
        self._tell(self._down_hooks, link)

    def _tell(self, hooks: Iterable[Callable[[Link], None]], link: Link) -> None:
        """Call hooks; what one raises keeps nothing from the others."""
        for hook in hooks:
            try:
                hook(link)
            except Exception:
                self.log.failure("A hook of {link} raised", link=link)


def _ended(reason: Failure) -> str:
    """Why a link ended that this side did not give up, as an operator would say it."""
    if reason.check(ConnectionDone):
        return "the other side closed it"
    if reason.check(ConnectionLost, ConnectionAborted):
        return "the connection was cut"
    return in_words(reason).rstrip(".")


def _abort_all(links: Iterable[Link]) -> None:
    for link in links:
        link.abort()


def _all(waiting: Iterable[Deferred[None]]) -> Deferred[None]:
    return DeferredList(list(waiting), consumeErrors=True).addCallback(lambda _: None)
