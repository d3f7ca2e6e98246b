"""``master://host:port``: the registry that a master keeps."""

from __future__ import annotations

from collections import ChainMap
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger

from chatcore.cluster.registry import IHearer, shown
from chatcore.cluster.settings import RegistrySettings, other_lease
from chatcore.cluster.view import Member, View
from chatcore.config.addresses import is_wildcard
from chatcore.config.entries import LOOPBACK
from chatcore.config.names import MASTER
from chatcore.config.servers import Server
from chatcore.deadlines import IClock
from chatcore.errors import ConfigError, RemoteRefused, RpcError, ViewError
from chatcore.links.greeting import NO_SECRET
from chatcore.links.kept import KeptLink
from chatcore.links.link import Link, LinkParts, Responder
from chatcore.links.settings import LinkSettings
from chatcore.links.tls import LinkTls
from chatcore.telemetry import Counters, Seen
from chatcore.turn import Turn
from chatcore.wire.box import Box, item, join
from chatcore.wire.values import UNPACKABLE, pack, unpack

PORT: Final = 3005
"""The master's port, where nobody says another."""

LEAVING_SECONDS: Final = 2.0
"""How long it may take to leave."""

ASK_AGAIN: Final = 1.0
"""Seconds after which a node asks again whose id another one has."""

LONGEST_PING_INTERVAL: Final = 1.0
"""Seconds between two pings; less where the lease is so short that few would fit."""

_LEASES_TOLD: Final = 8
"""Other leases of masters that are logged."""

ANNOUNCE = item(b"_command", b"Announce")
LEAVE = item(b"_command", b"Leave")


def master_server(host: str, port: int) -> Server:
    """The master as a server, which can be dialled and listened for like one."""
    return Server(id=MASTER, type=MASTER, host=host, port=port)


def url_of(master: Server) -> str:
    """Where nodes on the same machine find a master that listens at that address."""
    host = LOOPBACK if is_wildcard(master.host) else master.host
    return f"master://{f'[{host}]' if ':' in host else host}:{master.port}"


def master_of(url: str) -> Server:
    """The master that a URL means.

    Raises:
        ConfigError: the URL is not ``master://host:port``.
    """
    with suppress(ValueError):  # a port that is none, an IPv6 address without its end
        parts = urlsplit(url)
        if parts.hostname and url == f"master://{parts.netloc}" and "@" not in url:
            return master_server(parts.hostname, PORT if parts.port is None else parts.port)
    raise ConfigError(
        f"'{shown(url)}' is not the URL of a master", advice=f"As in master://127.0.0.1:{PORT}"
    )


def watched(links: LinkSettings, registry: RegistrySettings) -> LinkSettings:
    """How links between nodes and their master are watched: for as long as a lease holds."""
    return replace(
        links,
        ping_interval=min(LONGEST_PING_INTERVAL, registry.lease_seconds / 4),
        ping_timeout=registry.lease_seconds,
    )


class MasterRegistry:
    """The registry of a cluster that has a master, as a node sees it.

    It keeps a link to the master, announces the node on each, and hands on the views that come.

    Args:
        endpoint: how the master is dialled.
        secret: the cluster's.
        settings: those of the registry.
        links: those of links.
        counters: what counts.
        clock: the reactor, or a test's clock.
        where: the URL, for people.
        secret_file: where the secret was read, for people.
        tls: the certificates of links, where those are encrypted.
        asked: what acts on what the master asks the node besides; it may be filled later.
    """

    log = Logger()
    _member: Member
    _hearer: IHearer

    def __init__(
        self,
        *,
        endpoint: IStreamClientEndpoint,
        secret: bytes,
        settings: RegistrySettings,
        links: LinkSettings,
        counters: Counters,
        clock: IClock,
        where: str,
        secret_file: str,
        tls: LinkTls | None = None,
        asked: dict[bytes, Responder] | None = None,
    ) -> None:
        self._endpoint, self._secret, self._clock = endpoint, secret, clock
        self._counters = counters
        self._where, self._secret_file = where, secret_file
        self._parts = LinkParts(
            turn=Turn(clock.callLater),
            clock=clock,
            settings=watched(links, settings),
            counters=counters,
            responders=ChainMap({b"NewView": self._new_view}, {} if asked is None else asked),
            tls=tls,
        )
        self._own_lease, self._leases = settings.lease_seconds, Seen(_LEASES_TOLD)
        self._kept: KeptLink | None = None
        self._view: View | None = None
        self._welcome_on: Link | None = None
        self._been_in = self._lost = False
        self._problem = ""
        self._again: Any = None
        self._leaving: Deferred[None] | None = None

    def start(self, member: Member, hearer: IHearer) -> None:
        self._member, self._hearer = member, hearer
        self._kept = KeptLink(
            id=member.id,
            incarnation=member.incarnation,
            peer=MASTER,
            endpoint=self._endpoint,
            secret=self._secret,
            parts=self._parts,
            up=lambda link: self._announce(),
            down=self._down,
        )
        self._kept.start()

    def announce(self, member: Member) -> None:
        if self._leaving is not None or self._kept is None:
            return
        if member.life != self._member.life:
            self._been_in = False
            self._kept.begin_anew(member.incarnation)
        self._member = member
        self._announce()

    def leave(self) -> Deferred[None]:
        if self._leaving is not None or self._kept is None:
            return self._leaving or succeed(None)
        self._forget_again()
        kept, link = self._kept, self._kept.link
        if link is None:
            self._leaving = kept.stop(LEAVING_SECONDS)
            return self._leaving
        leaving = self._leaving = Deferred()
        until = self._clock.seconds() + LEAVING_SECONDS

        def left(box: Box | None, problem: RpcError | None) -> None:
            kept.stop(max(until - self._clock.seconds(), 0)).chainDeferred(leaving)

        link.ask(LEAVE, left, "Leave", LEAVING_SECONDS)
        return leaving

    # The link.

    def _announce(self) -> None:
        """Say how the node is, if the master is there to hear it."""
        self._forget_again()
        link, member = None if self._kept is None else self._kept.link, self._member
        if link is None:
            return
        payload = ANNOUNCE + item(b"member", pack(member.to_value()))
        if self._view is not None and link is not self._welcome_on:
            payload += item(b"view", pack(self._view.to_value()))
        link.ask(payload, partial(self._answered, link, member), "Announce")

    def _answered(
        self, link: Link, member: Member, box: Box | None, problem: RpcError | None
    ) -> None:
        if self._leaving is not None or member is not self._member:
            return  # what counts is the answer to what was said later
        if box is None and not isinstance(problem, RemoteRefused):
            link.abort()
            return
        outcome, why = (b"", str(problem)) if box is None else _outcome(box)
        if box is not None and b"lease" in box:
            self._compare(box[b"lease"].decode("utf-8", "replace"))
        if outcome == b"welcome":
            self._welcome_on, self._problem = link, ""
        elif outcome == b"removed":
            self._removed()  # before it may think that it has found its place again
        else:
            self._say(f"{member.id} is not let into the view: {why}")
            self._again = self._clock.callLater(ASK_AGAIN, self._announce)
        self._found()

    def _down(self, why: str, silent: float) -> None:
        self._forget_again()
        if self._leaving is not None:
            return
        if why == NO_SECRET:
            why += (
                f", or this side doesn't: all hosts need the same one, and here it is that in"
                f" {self._secret_file}. Copy it from a host that runs, and name it with"
                " --secret-file"
            )
        if self._lost:
            self._say(f"the master can't be reached: {why}")
            return
        self._lost, self._problem = True, f"the master can't be reached: {why}"
        self._counters.registry_lost += 1
        self._hearer.lost(f"{self._where}: {why}", silent)

    def _found(self) -> None:
        if self._lost:
            self._lost = False
            self._hearer.found()

    def _say(self, problem: str) -> None:
        """Log what is in the way, once as long as it is the same."""
        if problem != self._problem:
            self._problem = problem
            self.log.warn("{problem}", problem=problem)

    def _compare(self, lease: str) -> None:
        """See that the master misses nobody sooner or later than this node thinks."""
        if lease != f"{self._own_lease:g}" and self._leases.first(lease):
            self.log.warn("{problem}", problem=other_lease(lease, MASTER, self._own_lease))

    def _forget_again(self) -> None:
        if self._again is not None and self._again.active():
            self._again.cancel()
        self._again = None

    # The views.

    def _new_view(self, link: Link, box: Box, ask: bytes | None) -> None:
        if self._leaving is not None:
            return
        try:
            view = View.from_value(unpack(join(box, b"view")))
        except (ViewError, KeyError, msgspec.MsgspecError, *UNPACKABLE) as problem:
            self._say(f"the master sent what is no view: {problem}")
            return
        if self._view is not None and view.epoch <= self._view.epoch:
            return
        member, was_in = self._member, self._been_in
        self._view, self._been_in = view, view.has(member)
        is_out = was_in and not self._been_in
        self._hearer.heard(view)
        if is_out and member.life == self._member.life:
            self._removed()

    def _removed(self) -> None:
        self._been_in = False
        self._hearer.removed()


def _outcome(box: Box) -> tuple[bytes, str]:
    return box.get(b"outcome", b""), box.get(b"why", b"").decode("utf-8", "replace")
