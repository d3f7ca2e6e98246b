"""The nodes that are linked to a master: what they announce, and the views that they are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from twisted.logger import Logger

from chatcore.cluster.settings import RegistrySettings
from chatcore.cluster.view import MOST_TOLD, Member, View
from chatcore.config.names import is_own_name, is_server_id
from chatcore.deadlines import IClock
from chatcore.errors import ViewError
from chatcore.links.link import Link, Responder
from chatcore.master.roll import Roll
from chatcore.telemetry import Counters
from chatcore.wire.box import Box, item, join
from chatcore.wire.values import UNPACKABLE, pack, unpack

NEW_VIEW = item(b"_command", b"NewView")

_UNREADABLE = (ViewError, KeyError, msgspec.MsgspecError, *UNPACKABLE)


@dataclass(slots=True)
class _Linked:
    """A node that is in the view, or was.

    Args:
        link: the link to it.
        epoch: that of the newest view that it knows.
    """

    link: Link
    epoch: int


class Nodes:
    """What a master does for the nodes of its cluster.

    Args:
        settings: those of the registry.
        learning: whether nodes may know of a cluster already when this master starts.
        epoch: where its views begin to count.
        counters: what counts.
        clock: what knows the time.
    """

    log = Logger()

    def __init__(
        self,
        *,
        settings: RegistrySettings,
        learning: bool,
        epoch: int,
        counters: Counters,
        clock: IClock,
    ) -> None:
        restart = settings.restart_seconds
        self._roll = Roll(
            away_seconds=settings.away_seconds,
            restart_seconds=settings.lease_seconds if restart is None else restart,
            learning=learning,
            epoch=epoch,
            clock=clock,
            settled=self._tell,
            displaced=self._displace,
        )
        self._counters = counters
        self._lease = item(b"lease", b"%g" % settings.lease_seconds)
        self._linked: dict[str, _Linked] = {}
        self._refusals: dict[Link, str] = {}

    @property
    def view(self) -> View:
        """The newest view."""
        return self._roll.view

    def linked(self, id: str) -> Link | None:
        """The link to a node that is in the view, or was taken out of it just now."""
        linked = self._linked.get(id)
        return None if linked is None else linked.link

    # What the master's door says.

    def expects(self, id: str) -> bool:
        """Whether that is what a node may be called."""
        return is_server_id(id) and not is_own_name(id)

    def responders(self) -> Mapping[bytes, Responder]:
        """The commands of nodes."""
        return {b"Announce": self._announce, b"Leave": self._leave}

    def arrived(self, link: Link) -> None:
        """A node is linked; it has still to announce itself."""

    def left(self, link: Link, silent: bool) -> None:
        """A link has ended."""
        self._forget(link)
        self._refusals.pop(link, None)
        self._roll.lost(link, silent=silent)

    def held_up(self) -> None:
        """This process did nothing for a while."""
        self._roll.be_lenient()

    def stop(self) -> None:
        """Forget all timers."""
        self._roll.stop()

    # What nodes say.

    def _announce(self, link: Link, box: Box, ask: bytes | None) -> None:
        if ask is None:
            return
        try:
            member, told = _announced(box, link.peer)
        except _UNREADABLE as problem:
            self._refuse(link, ask, f"its announcement can't be read: {problem}")
            return
        outcome, why = self._roll.announce(link, member, told)
        if outcome == "refused":
            self._refuse(link, ask, why)
            return
        if outcome == "taken":
            self._note_refusal(link, why)
        said = item(b"outcome", outcome.encode()) + item(b"why", why.encode()) + self._lease
        link.answer(ask, said)
        if outcome == "welcome":
            self._is_in(link, told)

    def _is_in(self, link: Link, told: View | None) -> None:
        old = self.linked(link.peer)
        if old is link:
            return
        self._linked[link.peer] = _Linked(link, -1 if told is None else told.epoch)
        if old is not None:
            old.abort()  # it has dialled anew, so what this side still has is dead

    def _displace(self, link: Link) -> None:
        self._forget(link)
        link.abort()

    def _leave(self, link: Link, box: Box, ask: bytes | None) -> None:
        self._forget(link)
        self._roll.leave(link)
        if ask is not None:
            link.answer(ask, b"")

    def _forget(self, link: Link) -> None:
        if self.linked(link.peer) is link:
            del self._linked[link.peer]

    def _refuse(self, link: Link, ask: bytes, why: str) -> None:
        self._note_refusal(link, why)
        link.refuse(ask, b"REFUSED", why)

    def _note_refusal(self, link: Link, why: str) -> None:
        self._counters.announcements_refused += 1
        if self._refusals.get(link) != why:  # it asks again and again
            self._refusals[link] = why
            self.log.warn("{id} is not let into the view: {why}", id=link.peer, why=why)

    # What they are told.

    def _tell(self, view: View) -> None:
        data = NEW_VIEW + item(b"view", pack(view.to_value()))
        for each in self._linked.values():
            if each.epoch < view.epoch:
                each.epoch = view.epoch
                if each.link.tell(data, "NewView") is not None:
                    each.link.abort()  # it takes nothing in; it hears the view when it dials anew


def _announced(box: Box, peer: str) -> tuple[Member, View | None]:
    member = Member.from_value(unpack(join(box, b"member")))
    if member.id != peer:
        raise ViewError(f"it is of {member.id!r}")
    if not member.incarnation:
        raise ViewError("it does not say which life of the node it is")
    told = View.from_value(unpack(join(box, b"view"))) if b"view" in box else None
    if told is not None and told.epoch > MOST_TOLD:
        raise ViewError(f"it tells of view {told.epoch}")  # from there nobody could count on
    return member, told
