"""A frontend's side of a move: whose its groups are, and who is told of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Protocol

from chatcore.cluster.moving import Sends
from chatcore.cluster.ownership import Ownership
from chatcore.cluster.portions import Portions, Steps
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.view import Member, View
from chatcore.deadlines import IClock

_NOBODY = "\0"
"""Followed by a server type: in the place of the id of an owner where there is none. No id begins
like this."""

_LONGEST_BOX = 200
"""Bytes of a box that offers a group, but for names."""


class IGroups(Protocol):
    """The groups of a frontend, by the node that owns the channel."""

    def owners(self) -> Collection[str]:
        """Whose groups there are."""

    def channels(self, backend: str) -> Sequence[str]:
        """The channels of a node that have members here."""

    def unconfirmed(self, backend: str) -> Sequence[str]:
        """Its channels but for those of which it has said already that they are its."""

    def members(self, backend: str, channel: str) -> Sequence[str]:
        """The members here of a channel."""

    moves: int
    """How often a group has come to belong to another node."""

    def moved(self, backend: str) -> Mapping[str, int]:
        """The channels that have moved to a node, of which it has not said so yet.

        With the number of that move; later moves have higher ones.
        """

    def offered(self, backend: str, channel: str) -> None:
        """A node has been offered a channel's members here."""

    def offer_again(self, backend: str) -> None:
        """What a node has been offered may be lost."""

    def leaving(self, backend: str) -> Sequence[tuple[str, str]]:
        """The channels and uids of those who are gone, of which a node may not know yet."""

    def told(self, backend: str, channel: str, uid: str) -> None:
        """A node knows that somebody is gone."""

    def move_leaving(self, backend: str, channel: str, uid: str, to: str) -> None:
        """Have another node be told of somebody who is gone."""

    def move(self, channel: str, backend: str, to: str) -> None:
        """Have a group belong to another node's channel of the same name."""


class Offering:
    """Has the groups of a frontend follow the views, and offers them to their new owners.

    Args:
        id: this node's.
        servers: those of the view.
        key_of: the key by which a channel is placed, by server type and name.
        groups: the frontend's.
        sends: what is said to others.
        clock: the reactor.
    """

    def __init__(
        self,
        *,
        id: str,
        servers: ClusterServers,
        key_of: Callable[[str, str], str],
        groups: IGroups,
        sends: Sends,
        clock: IClock,
    ) -> None:
        self._id, self._servers, self._key_of = id, servers, key_of
        self._groups, self._sends, self._clock = groups, sends, clock
        self._following: dict[str, Portions] = {}
        self._saying: dict[str, Portions] = {}
        # The types of which groups have moved since it was last looked whose they are.
        self._moved: set[str] = set()
        # The nodes that have to be told of all their groups, and not of those alone that moved.
        self._owed: set[str] = set()
        self._owners: dict[str, Member] = {}
        self._here: dict[str, int] = {}
        # By type: since which view it has had the owners that it has, and up to which of these
        # beginnings its groups have followed.
        self._since: dict[str, int] = {}
        self._lives: dict[str, set[tuple[str, str]]] = {}
        self._done: dict[str, int] = {}
        # How many moves each node has been told of.
        self._said: dict[str, int] = {}
        self._before: dict[str, Ownership] = {}
        self._telling: dict[str, dict[tuple[str, str], None]] = {}

    # What happens.

    def view_changed(self, old: View, new: View) -> None:
        """There is a newer view."""
        for member in (*old.members, *new.members):
            self._owners.setdefault(member.id, member)
        for server_type in self._types():
            before = self._lives.get(server_type)
            lives = self._lives[server_type] = self._servers.ownership.lives(server_type)
            if before != lives or new.epoch != old.epoch + 1:
                self._begin(server_type)
                self._since[server_type] = new.epoch
            elif any(not new.has(each) for each in self._of_type(server_type)):
                self._begin(server_type)
            elif self._is_done(server_type):
                self._say_done(server_type)
        self.check()

    def _begin(self, server_type: str) -> None:
        """Have the groups of a type follow anew."""
        self._done.pop(server_type, None)
        if server_type in self._following:
            self._following.pop(server_type).stop()
        for member in self._of_type(server_type):
            if member.id in self._saying:
                self._saying.pop(member.id).stop()

    def pushes_done(self, backend: str, epoch: int) -> None:
        """All is here that a node pushed for channels that it owns no more by that view."""
        self._here[backend] = epoch
        self._offer_late(backend)
        self.check()

    def group_moved(self, backend: str, owner: str, channels: Sequence[str]) -> None:
        """Channels of a node belong to another now."""
        moves = self._groups.moves
        for channel in channels:
            self._groups.move(channel, backend, owner)
        member = self._owners.get(backend)
        if member is not None and self._groups.moves != moves:
            self._moved.add(member.server.type)

    def gone(self, owner: str, channel: str, uid: str, *, again: bool = False) -> None:
        """A member is connected here no more: tell who owns the channel, until that one knows.

        Args:
            again: whether another has been told already, or none could be: meanwhile who left may
                have asked to come in.
        """
        server_type = self._type_of(owner)
        if not self._sends.linked(owner):
            if server_type is not None and self._owner(server_type, channel) is None:
                # Whoever owns it next has to be told, which need not be that one.
                self._groups.move_leaving(owner, channel, uid, _NOBODY + server_type)
            return
        telling = self._telling.setdefault(owner, {})
        if (channel, uid) in telling:
            return  # an answer is awaited, and behind it may come who has that uid now
        telling[channel, uid] = None

        def done(known: bool) -> None:
            telling.pop((channel, uid), None)
            if known:
                # Another of its type may be the one to be told by now. But servers of other types
                # have channels of the same names.
                for backend in list(self._groups.owners()):
                    if backend == owner or self._type_of(backend) == server_type:
                        self._groups.told(backend, channel, uid)

        self._sends.gone(owner, channel, uid, done, again=again)

    def link_up(self, backend: str) -> None:
        """A link is there: offer what is held of its other side."""
        member = self._servers.view.get(backend)
        if member is not None and self._is_done(member.server.type):
            self._owed.add(backend)
            self._tell(member)

    def link_down(self, backend: str) -> None:
        """A link was lost: its other side says nothing any more."""
        self._here.pop(backend, None)
        self._telling.pop(backend, None)
        self._owed.discard(backend)
        self._said.pop(backend, None)
        self._groups.offer_again(backend)
        if backend in self._saying:
            self._saying.pop(backend).stop()
        self._offer_late(backend)
        self.check()

    def check(self) -> None:
        """Offer to the servers of each type of which all that they pushed is here."""
        for server_type in self._types():
            if self._is_done(server_type) or any(self._is_waited_for(server_type)):
                continue
            following = _portions(self._following, server_type, self._clock)
            if not following.busy:
                following.do(self._follow(server_type))

    def stop(self) -> None:
        """Offer no more."""
        for portions in (*self._following.values(), *self._saying.values()):
            portions.stop()
        self._following.clear()
        self._saying.clear()

    # Its own.

    def _types(self) -> list[str]:
        return sorted({each.server.type for each in self._owners.values()})

    def _of_type(self, server_type: str) -> list[Member]:
        return [each for each in self._owners.values() if each.server.type == server_type]

    def _type_of(self, id: str) -> str | None:
        member = self._owners.get(id)
        return None if member is None else member.server.type

    def _offer_late(self, backend: str) -> None:
        """Offer what a node has told late that it has moved, now that it has told all."""
        server_type = self._type_of(backend)
        if server_type in self._moved and self._is_done(server_type):
            following = _portions(self._following, server_type, self._clock)
            following.do(self._offer_moved(server_type))

    def _offer_moved(self, server_type: str) -> Steps:
        """Offer what has moved within a type to its owners, as the newest view has them."""
        while True:
            self._moved.discard(server_type)
            for id in list(self._groups.owners()):
                member = self._owners.get(id)
                if member is not None and member.server.type == server_type:
                    for channel in list(self._groups.moved(id)):
                        self._move(channel, member)
                        yield True
            if server_type not in self._moved:
                break
        self._done[server_type] = self._since.get(server_type, 0)
        for member in self._servers.view.members:
            if member.server.type == server_type:
                self._tell(member)

    def _tell(self, member: Member) -> None:
        """Offer a node its groups; where there is no link to it, later."""
        if self._sends.linked(*member.life):
            _portions(self._saying, member.id, self._clock).do(self._say(member))

    def _move(self, channel: str, member: Member) -> None:
        """Have the group of a member's channel belong to whom the view says."""
        owner = self._owner(member.server.type, channel)
        # Where nobody owns it now, it waits: whoever comes, another life of this node too, has yet
        # to hear of it.
        self._groups.move(channel, member.id, member.id if owner is None else owner.id)

    def _owner(self, server_type: str, channel: str) -> Member | None:
        key = self._key_of(server_type, channel)
        return self._servers.ownership.owner(server_type, key)

    def _is_done(self, server_type: str) -> bool:
        return self._done.get(server_type, -1) == self._since.get(server_type, 0)

    def _is_waited_for(self, server_type: str) -> Iterator[str]:
        """Who may have pushed by an older view what is not here yet."""
        view, since = self._servers.view, self._since.get(server_type, 0)
        for id, member in self._owners.items():
            if member.server.type != server_type or not self._sends.linked(*member.life):
                continue
            gone = not view.has(member)
            # Of a node that has left the view what is on its way is waited for, and no more.
            if (gone and id != self._id) or (view.epoch and self._here.get(id, -1) < since):
                yield id

    def _follow(self, server_type: str) -> Steps:
        """Have the groups of those that are gone, or can't say it, belong to the new owners."""
        view, before = self._servers.view, self._before.get(server_type)
        owners = [(i, each) for i, each in self._owners.items() if each.server.type == server_type]
        gone = [id for id, member in owners if not view.has(member)]
        mute = [(id, member) for id, member in owners if not self._can_say(member)]
        for id, member in mute:
            for channel in self._groups.channels(id):
                key = self._key_of(server_type, channel)
                was = None if before is None else before.owner(server_type, key)
                if id in gone or (was is not None and was.id == id):
                    self._move(channel, member)
                yield True
        for id in gone:
            self._move_leaving(id, server_type)
            self._forget(id)
        self._move_leaving(_NOBODY + server_type, server_type)
        self._before[server_type] = self._servers.ownership
        yield from self._offer_moved(server_type)

    def _can_say(self, member: Member) -> bool:
        """Whether a node can tell itself which groups of its are another's."""
        return self._servers.view.has(member) and self._sends.linked(*member.life)

    def _move_leaving(self, id: str, server_type: str) -> None:
        """Have the new owners be told what a node that is gone may not have heard.

        Where nobody owns the channel, whoever comes has to be told.
        """
        for channel, uid in self._groups.leaving(id):
            owner = self._owner(server_type, channel)
            to = _NOBODY + server_type if owner is None else owner.id
            self._groups.move_leaving(id, channel, uid, to)

    def _forget(self, id: str) -> None:
        """Take the present life of a node for the one that is meant, or none."""
        self._here.pop(id, None)
        member = self._servers.view.get(id)
        if member is not None:
            self._owners[id] = member
        elif id not in self._groups.owners():
            del self._owners[id]

    def _say(self, member: Member) -> Steps:
        """Offer groups to a node, those included who went unnoticed.

        Who owns a channel anew has to know them, so that it can tell the others that they left.
        """
        to, epoch = member.id, self._servers.view.epoch
        moved, moves = self._groups.moved(to), self._groups.moves
        of_all = to in self._owed
        # At once: they may be back, and ask to come in, before all is said.
        said = self._say_leaving(to, epoch, set())
        for channel in self._groups.channels(to) if of_all else self._groups.unconfirmed(to):
            uids = self._groups.members(to, channel)
            while uids and not self._sends.has_room(to, _size(channel, uids)):
                yield False
                uids = self._groups.members(to, channel)
            if uids:
                self._groups.offered(to, channel)
                self._sends.offer(to, epoch, channel, uids, moved=moved.get(channel, 0))
            yield True
        self._say_leaving(to, epoch, said)
        self._owed.discard(to)
        self._said[to] = moves
        self._sends.offers_done(to, self._servers.view.epoch, moves)

    def _say_done(self, server_type: str) -> None:
        """Say of this view, too, that all has been offered, where nothing has to be."""
        epoch = self._servers.view.epoch
        for member in self._servers.view.members:
            to = member.id
            if member.server.type == server_type and to in self._said and not self._is_told(to):
                self._sends.offers_done(to, epoch, self._said[to])

    def _is_told(self, to: str) -> bool:
        """Whether a node is being offered groups now."""
        return to in self._saying and self._saying[to].busy

    def _say_leaving(self, to: str, epoch: int, said: set[tuple[str, str]]) -> set[tuple[str, str]]:
        """Offer those who went unnoticed, but for some, and say that they are gone."""
        leaving = [each for each in self._groups.leaving(to) if each not in said]
        for channel, uid in leaving:
            self._sends.offer(to, epoch, channel, [uid], moved=0)
        for channel, uid in leaving:
            self.gone(to, channel, uid, again=True)
        return said.union(leaving)


def _size(channel: str, uids: Sequence[str]) -> int:
    """How many bytes it takes at most to offer a group."""
    return _LONGEST_BOX + 4 * (len(channel) + sum(map(len, uids)))


def _portions(table: dict[str, Portions], key: str, clock: IClock) -> Portions:
    """What does the work that belongs to a key."""
    portions = table.get(key)
    if portions is None:
        portions = table[key] = Portions(clock)
    return portions
