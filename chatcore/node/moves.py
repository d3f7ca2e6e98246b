"""Moving channels between nodes, over links: what `chatcore.cluster.moving` tells, in boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatcore.channels.groups import GroupTable
from chatcore.channels.moving import Hand
from chatcore.channels.pieces import pieces
from chatcore.channels.service import ChannelService, moved
from chatcore.cluster.handing_over import HandingOver
from chatcore.cluster.offering import Offering
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.settling import Settling
from chatcore.cluster.view import Member, View
from chatcore.deadlines import IClock
from chatcore.errors import RpcError
from chatcore.links.link import Link, Responder
from chatcore.links.table import LinkTable
from chatcore.node.arrivals import FOR_EVER, Arrivals
from chatcore.node.replies import TRUE
from chatcore.node.under_way import UnderWay
from chatcore.telemetry import Counters
from chatcore.tracing import OFF, Tracer
from chatcore.wire.box import END, Box, item, join
from chatcore.wire.values import pack, unpack

SEEN = item(b"_command", b"Seen")
PUSHES_DONE = item(b"_command", b"PushesDone")
GROUP_MOVED = item(b"_command", b"GroupMoved")
HAND_OVER = item(b"_command", b"HandOver")
GIVEN_UP = item(b"_command", b"GivenUp")
HANDED_OVER = item(b"_command", b"HandedOver")
GROUP_OFFER = item(b"_command", b"GroupOffer")
OFFERS_DONE = item(b"_command", b"OffersDone")
GROUP_GONE = item(b"_command", b"GroupGone")


ROOM = 65_536
"""Bytes that there has to be room for on the links to frontends before more channels are taken in.
"""

LOOK = 0.05
"""Seconds between two looks whether a node that drains is empty."""


class Moves:
    """All that a node does so that its channels are where the view says.

    Args:
        id: this node's.
        server_type: its type.
        servers: those of the view.
        member: this node as it announces itself.
        key_of: the key by which a channel is placed, by server type and name.
        links: to other nodes.
        channels: this node's.
        groups: those of a frontend.
        settled: called each time all that belongs to this node has come.
        counters: where refusals are counted.
        clock: the reactor.
        longest_wait: seconds that a request waits at most for channels that move.
        tracer: told what becomes of those that are followed.
    """

    log = Logger()

    def __init__(
        self,
        *,
        id: str,
        server_type: str,
        servers: ClusterServers,
        member: Callable[[], Member],
        key_of: Callable[[str, str], str],
        links: LinkTable,
        channels: ChannelService,
        groups: GroupTable | None,
        settled: Callable[[], None],
        counters: Counters,
        clock: IClock,
        longest_wait: float,
        tracer: Tracer = OFF,
    ) -> None:
        self._id, self._type, self._servers, self._links = id, server_type, servers, links
        self._channels, self._groups = channels, groups
        self._key_of, self._clock = key_of, clock
        self._look: Any = None
        self._stamp = b""  # of the newest view
        # How many moves each frontend had told of when it last said that it was done.
        self._settled_with: dict[str, int] = {}
        self._told = settled
        self.under_way = UnderWay()
        self.settling = Settling(
            id=id,
            server_type=server_type,
            servers=servers,
            member=member,
            key_of=self._own_key,
            linked=self.linked,
            has_room=self._frontends_have_room,
            take_in=channels,
            settled=self._settled,
            clock=clock,
        )
        self.handing_over = HandingOver(
            id=id,
            server_type=server_type,
            servers=servers,
            key_of=self._own_key,
            channels=channels,
            arriving=self.settling,
            quiet=self.under_way,
            sends=self,
            clock=clock,
        )
        self.offering = (
            None
            if groups is None
            else Offering(
                id=id, servers=servers, key_of=key_of, groups=groups, sends=self, clock=clock
            )
        )
        self.arrivals = Arrivals(
            id=id,
            server_type=server_type,
            servers=servers,
            settling=self.settling,
            links=links,
            counters=counters,
            clock=clock,
            longest=longest_wait,
            tracer=tracer,
        )
        servers.on_changed(self._view_changed)
        links.on_up(self._up)
        links.on_down(self._down)

    def stamp(self, key: str | None) -> bytes:
        """What a box carries so that its receiver can tell whether it is still the owner."""
        if key is None or not self._stamp:
            return self._stamp
        return self._stamp + item(b"key", key.encode("utf-8", "surrogatepass"))

    def owns(self, channel: str) -> bool:
        """Whether the name of a channel places it on this node.

        Raises:
            ChannelMoved: a request asks that was routed here by the same key, and has gone on for
                longer than the move of what belongs to the key has waited for it.
        """
        if not self._servers.view.epoch:
            return True
        key = self._own_key(channel)
        owner = self._servers.ownership.owner(self._type, key)
        if owner is None or owner.id == self._id or not self.under_way.has(key):
            return owner is not None and owner.id == self._id
        if not self.handing_over.waits:
            raise moved(channel, owner.id)
        return True  # until it goes along with the others

    def owner_of(self, channel: str) -> Member | None:
        """Whose a channel of this node's type is by the view; None where nobody could own it."""
        return self._servers.ownership.owner(self._type, self._own_key(channel))

    def left(self, owner: str, channel: str, uid: str) -> None:
        """A member of a channel is connected to this frontend no more."""
        assert self.offering is not None
        self.offering.gone(owner, channel, uid)

    def begin_anew(self) -> None:
        """Forget what this node owned: others have taken its place."""
        states = self._channels.begin_anew()
        self.settling.begin_anew()
        self.handing_over.begin_anew()
        for name, state in states:
            # By the view that it knows they may be its own still: then the next one says whose.
            self.handing_over.pass_on(name, Hand(state=state))
        if self._groups is not None:
            self._groups.confirm_nothing()

    @property
    def empty(self) -> bool:
        """Whether all that belonged to this node is with others now, and nothing comes for it."""
        return (
            self.handing_over.done
            and not self.under_way
            and not self.arrivals
            and not self.arrivals.relaying
        )

    @property
    def _awaits_another(self) -> bool:
        """Whether this node still owns its keys, and another will soon be able to."""
        return self._id in self._servers.ownership.servers and any(
            each.state == "starting" and each.server.type == self._type
            for each in self._servers.view.members
        )

    def emptied(self, seconds: float) -> Deferred[None]:
        """What fires when this node has nothing more to hand over.

        Args:
            seconds: how long that may take; it is logged what is left then.
        """
        end = self._clock.seconds() + seconds
        emptied: Deferred[None] = Deferred()

        def look() -> None:
            member = self._servers.view.get(self._id)
            known = member is None or member.state == "draining" or not self._servers.view.epoch
            if known and self.empty and not self._awaits_another:
                emptied.callback(None)
            elif self._clock.seconds() >= end:
                self.log.warn(
                    "{id} has not handed over all it had within {seconds:g} s",
                    id=self._id,
                    seconds=seconds,
                )
                emptied.callback(None)
            else:
                self._look = self._clock.callLater(LOOK, look)

        look()
        return emptied

    def stop(self) -> None:
        """Forget the timers."""
        if self._look is not None and self._look.active():
            self._look.cancel()
        self.settling.stop()
        self.handing_over.stop()
        if self.offering is not None:
            self.offering.stop()
        self.arrivals.stop()

    # What happens.

    def _view_changed(self, old: View, new: View) -> None:
        self._stamp = _epoch(new.epoch) if new.epoch else b""
        for member in old.members:
            if member.server.frontend and not new.has(member):
                self._settled_with.pop(member.id, None)
                self._channels.frontend_left(member.id)
        self.handing_over.view_changed(old, new)
        if self.offering is not None:
            self.offering.view_changed(old, new)
        begun = self.settling.epoch
        self.settling.view_changed(old, new)
        if begun != self.settling.epoch:
            self.arrivals.owners_changed()
        self.arrivals.again()

    def _settled(self) -> None:
        self.arrivals.again()
        self._told()

    def _up(self, link: Link) -> None:
        server = self._servers.get(link.peer)
        if server is not None and server.frontend:
            self._channels.frontend_up(link.peer, link.peer_incarnation)
        self.arrivals.again()  # what is passed on now comes before the word that all was
        self.handing_over.link_up(link.peer)
        if self.offering is not None:
            self.offering.link_up(link.peer)
        self.settling.check()
        self.arrivals.again()

    def _down(self, link: Link) -> None:
        server = self._servers.get(link.peer)
        if server is not None and server.frontend:
            self._channels.frontend_down(link.peer)
        self.handing_over.link_down(link.peer)
        if self.offering is not None:
            self.offering.link_down(link.peer)
        self.settling.link_changed(link.peer)

    # What this node says.

    def linked(self, id: str, incarnation: str = "") -> bool:
        if id == self._id:
            return True
        link = self._links.get(id)
        return link is not None and incarnation in ("", link.peer_incarnation)

    def has_room(self, to: str, size: int) -> bool:
        link = self._links.get(to)
        return link is None or link.has_room(size)

    def _frontends_have_room(self) -> bool:
        return all(self.has_room(each.id, ROOM) for each in self._servers.frontends())

    def seen(self, to: str, epoch: int) -> None:
        self._tell(to, SEEN + _epoch(epoch))

    def pushes_done(self, to: str, epoch: int) -> None:
        if to != self._id:
            self._tell(to, PUSHES_DONE + _epoch(epoch))
        elif self.offering is not None:
            self.offering.pushes_done(to, epoch)

    def group_moved(self, to: str, owner: str, channels: Sequence[str]) -> None:
        if to == self._id and self.offering is not None:
            self.offering.group_moved(to, owner, channels)
            return
        head = GROUP_MOVED + item(b"owner", owner.encode())
        for some in pieces(channels):
            self._tell(to, head + item(b"channels", pack(list(some))))

    def hand_over(
        self, to: str, epoch: int, channel: str, hand: Hand, done: Callable[[bool], None]
    ) -> bool:
        if to == self._id:
            done(True)
            self.settling.handed(channel, hand)
            return True
        link = self._links.get(to)
        if link is None:
            return True
        box = HAND_OVER + _epoch(epoch) + item(b"channel", channel.encode())
        box += item(b"members", pack(hand.members)) + item(b"state", pack(hand.state))
        if not link.has_room(len(box)):
            return False
        link.ask(box, _told(done), "HandOver", FOR_EVER, always=True)
        return True

    def handed_over(self, to: str, epoch: int) -> None:
        for frontend, uids in self._channels.given_up():
            head = GIVEN_UP + _epoch(epoch) + item(b"frontend", frontend.encode())
            for some in pieces(uids):
                self._tell(to, head + item(b"uids", pack(list(some))))
        self._tell(to, HANDED_OVER + _epoch(epoch))

    def offer(self, to: str, epoch: int, channel: str, uids: Sequence[str], *, moved: int) -> None:
        if to == self._id:
            self._offered_here(self._id, channel, list(uids), moved)
            return
        head = GROUP_OFFER + _epoch(epoch) + item(b"channel", channel.encode())
        head += item(b"moved", b"%d" % moved)
        for some in pieces(uids):
            self._tell(to, head + item(b"uids", pack(list(some))))

    def offers_done(self, to: str, epoch: int, moves: int) -> None:
        if to == self._id:
            self._settled_with[to] = moves
            self.settling.offers_done(to, epoch)
        else:
            self._tell(to, OFFERS_DONE + _epoch(epoch) + item(b"moves", b"%d" % moves))

    def gone(
        self, to: str, channel: str, uid: str, done: Callable[[bool], None], *, again: bool
    ) -> None:
        if to == self._id:
            done(True)
            self._gone_here(channel, uid)
            return
        link = self._links.get(to)
        if link is None:
            done(False)
            return
        box = GROUP_GONE + item(b"channel", channel.encode()) + item(b"uids", pack([uid]))
        if again:
            box += item(b"again", TRUE)
        link.ask(box + self.stamp(None), _told(done), "GroupGone", FOR_EVER, always=True)

    def _tell(self, to: str, payload: bytes) -> None:
        link = self._links.get(to)
        if link is not None:
            link.write(payload + END)

    # What others say.

    def responders(self) -> Mapping[bytes, Responder]:
        """The commands of moves."""
        acts: dict[bytes, Responder] = {
            b"Seen": self._on_seen,
            b"HandOver": self._on_hand_over,
            b"GivenUp": self._on_given_up,
            b"HandedOver": self._on_handed_over,
            b"GroupOffer": self._on_offer,
            b"OffersDone": self._on_offers_done,
            b"GroupGone": self._on_gone,
        }
        if self.offering is not None:
            acts |= {b"PushesDone": self._on_pushes_done, b"GroupMoved": self._on_group_moved}
        return acts

    def _on_seen(self, link: Link, box: Box, ask: bytes | None) -> None:
        self.handing_over.seen(link.peer, int(box[b"epoch"]))

    def _on_pushes_done(self, link: Link, box: Box, ask: bytes | None) -> None:
        assert self.offering is not None
        self.offering.pushes_done(link.peer, int(box[b"epoch"]))

    def _on_group_moved(self, link: Link, box: Box, ask: bytes | None) -> None:
        assert self.offering is not None
        channels = unpack(join(box, b"channels"))
        self.offering.group_moved(link.peer, box[b"owner"].decode(), channels)

    def _on_hand_over(self, link: Link, box: Box, ask: bytes | None) -> None:
        if self.arrivals.hold(link, box, ask, self._on_hand_over):
            return
        name = box[b"channel"].decode()
        members = [(uid, sid) for uid, sid in unpack(join(box, b"members"))]
        hand = Hand(members, unpack(join(box, b"state")))
        if ask is not None:
            link.answer(ask, b"")
        owner = self._servers.ownership.owner(self._type, self._own_key(name))
        if owner is None or owner.id == self._id:
            self.settling.handed(name, hand)
        else:
            self.handing_over.pass_on(name, hand)

    def _on_given_up(self, link: Link, box: Box, ask: bytes | None) -> None:
        if not self.arrivals.hold(link, box, ask, self._on_given_up):
            self.settling.given_up(box[b"frontend"].decode(), unpack(join(box, b"uids")))

    def _on_handed_over(self, link: Link, box: Box, ask: bytes | None) -> None:
        if not self.arrivals.hold(link, box, ask, self._on_handed_over):
            self.settling.handed_over(link.peer, int(box[b"epoch"]))

    def _on_offer(self, link: Link, box: Box, ask: bytes | None) -> None:
        if not self.arrivals.hold(link, box, ask, self._on_offer):
            name, uids = box[b"channel"].decode(), unpack(join(box, b"uids"))
            self._offered_here(link.peer, name, uids, int(box.get(b"moved", b"0")))

    def _offered_here(self, frontend: str, name: str, uids: list[str], moved: int) -> None:
        if self.settling.awaits(name):
            self.settling.offered(frontend, name, uids)
            return
        key = self._own_key(name)
        owner = self._servers.ownership.owner(self._type, key)
        mine = owner is None or owner.id == self._id
        if mine and not self.settling.may_answer(key):
            self.settling.offered(frontend, name, uids)
        elif (
            owner is not None
            and not mine
            and not self._channels.has(name)
            and self.handing_over.has_begun
        ):  # it would not go with what is here any more
            self.group_moved(frontend, owner.id, [name])
            self.handing_over.say_pushes_done(frontend)
        elif mine or not moved:
            # What this node has settled with already is older than what it has said since.
            late = moved > self._settled_with.get(frontend, 0)
            settled = bool(moved) and not late
            self._channels.offered(frontend, name, uids, moved=late, settled=settled)

    def _on_offers_done(self, link: Link, box: Box, ask: bytes | None) -> None:
        if not self.arrivals.hold(link, box, ask, self._on_offers_done):
            self._channels.offers_done(link.peer)
            self._settled_with[link.peer] = int(box.get(b"moves", b"0"))
            self.settling.offers_done(link.peer, int(box[b"epoch"]))

    def _on_gone(self, link: Link, box: Box, ask: bytes | None) -> None:
        if self.arrivals.hold(link, box, ask, self._on_gone):
            return
        name = box[b"channel"].decode()
        frontend = box.get(b"origin", link.peer.encode()).decode()
        key = self._own_key(name)
        owner = self._servers.ownership.owner(self._type, key)
        if self._servers.view.epoch and owner is not None:
            if owner.id != self._id:
                if not self._channels.has(name):
                    if not self.arrivals.pass_on(owner.id, link, box, ask):
                        self.arrivals.put_off(link, box, ask, self._on_gone, for_ever=True)
                    return
            elif not self.settling.may_answer(key):  # it may be offered, and not be in yet
                self.arrivals.put_off(link, box, ask, self._on_gone, for_ever=True)
                return
        elif not self.settling.ready or self.settling.awaits(name):
            self.arrivals.put_off(link, box, ask, self._on_gone, for_ever=True)
            return
        gone = self._channels.gone_before if b"origin" in box else self._channels.gone
        for uid in unpack(join(box, b"uids")):
            gone(frontend, name, uid)
        if ask is not None:  # last: what the others are told of it leaves before
            link.answer(ask, b"")

    def _gone_here(self, name: str, uid: str) -> None:
        """A member of a channel of this very node is connected here no more."""
        if self._servers.view.epoch:
            key = self._own_key(name)
            owner = self._servers.ownership.owner(self._type, key)
            if owner is not None and owner.id != self._id:
                if not self._channels.has(name):
                    self.left(owner.id, name, uid)
                    return
            elif self.settling.awaits(name) if owner is None else not self.settling.may_answer(key):
                self.arrivals.put_off_own(partial(self._gone_here, name, uid))
                return
        self._channels.gone(self._id, name, uid)

    def _own_key(self, channel: str) -> str:
        return self._key_of(self._type, channel)


def _told(done: Callable[[bool], None]) -> Callable[[Box | None, RpcError | None], None]:
    return lambda box, problem: done(box is not None)


def _epoch(epoch: int) -> bytes:
    return item(b"epoch", b"%d" % epoch)
