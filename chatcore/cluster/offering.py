"""A frontend's side of a move: whose its groups are, and who is told of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Protocol

from chatcore.cluster.moving import Sends
from chatcore.cluster.ownership import Ownership
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.view import Member, View

_NOBODY = "\0"
"""Followed by a server type: in the place of the id of an owner where there is none. No id begins
like this."""


class IGroups(Protocol):
    """The groups of a frontend, by the node that owns the channel."""

    def owners(self) -> Collection[str]:
        """Whose groups there are."""

    def held(self, backend: str) -> Mapping[str, Sequence[str]]:
        """The members here of each channel of a node."""

    def unconfirmed(self, backend: str) -> Mapping[str, Sequence[str]]:
        """The same, of the channels of which that node has not said yet that they are its."""

    moves: int
    """How often a group has come to belong to another node."""

    def moved(self, backend: str) -> Mapping[str, int]:
        """The channels that have moved to a node, of which it has not said so yet.

        With the number of that move; later moves have higher ones.
        """

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
    """

    def __init__(
        self,
        *,
        id: str,
        servers: ClusterServers,
        key_of: Callable[[str, str], str],
        groups: IGroups,
        sends: Sends,
    ) -> None:
        self._id, self._servers, self._key_of = id, servers, key_of
        self._groups, self._sends = groups, sends
        self._owners: dict[str, Member] = {}
        self._here: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._before: dict[str, Ownership] = {}
        self._telling: dict[str, dict[tuple[str, str], None]] = {}

    # What happens.

    def view_changed(self, old: View, new: View) -> None:
        """There is a newer view."""
        for member in old.members:
            self._owners.setdefault(member.id, member)
        for member in new.members:
            self._owners.setdefault(member.id, member)
        self.check()

    def pushes_done(self, backend: str, epoch: int) -> None:
        """All is here that a node pushed for channels that it owns no more by that view."""
        self._here[backend] = epoch
        self.check()

    def group_moved(self, backend: str, owner: str, channels: Sequence[str]) -> None:
        """Channels of a node belong to another now."""
        for channel in channels:
            self._groups.move(channel, backend, owner)
        member = self._owners.get(owner)
        if member is not None and self._is_done(member.server.type):
            self._offer_all(member.server.type)  # later than it was waited for

    def gone(self, owner: str, channel: str, uid: str, *, again: bool = False) -> None:
        """A member is connected here no more: tell who owns the channel, until that one knows.

        Args:
            again: whether another has been told already, or none could be: meanwhile who left may
                have asked to come in.
        """
        server_type = self._type_of(owner)
        telling = self._telling.setdefault(owner, {})

        def done(known: bool) -> None:
            telling.pop((channel, uid), None)
            if known:
                # Another of its type may be the one to be told by now. But servers of other types
                # have channels of the same names.
                for backend in list(self._groups.owners()):
                    if backend == owner or self._type_of(backend) == server_type:
                        self._groups.told(backend, channel, uid)

        # Not while an answer is awaited: behind it may come who has that uid now.
        if (channel, uid) not in telling and self._sends.linked(owner):
            telling[channel, uid] = None
            self._sends.gone(owner, channel, uid, done, again=again)

    def link_up(self, backend: str) -> None:
        """A link is there: offer what is held of its other side."""
        member = self._servers.view.get(backend)
        if member is not None and self._is_done(member.server.type):
            self._say(member, self._groups.held(backend))

    def link_down(self, backend: str) -> None:
        """A link was lost: its other side says nothing any more."""
        self._here.pop(backend, None)
        self._telling.pop(backend, None)
        self.check()

    def check(self) -> None:
        """Offer to the servers of each type of which all that they pushed is here."""
        view = self._servers.view
        types = {each.server.type for each in self._owners.values()}
        for server_type in types:
            if not self._is_done(server_type) and not any(self._is_waited_for(server_type)):
                self._follow(server_type)
                self._done[server_type] = view.epoch
                self._offer_all(server_type)

    # Its own.

    def _type_of(self, id: str) -> str | None:
        member = self._owners.get(id)
        return None if member is None else member.server.type

    def _offer_all(self, server_type: str) -> None:
        """Offer what has moved within a type to its owners, as the newest view has them."""
        for id in list(self._groups.owners()):
            if (member := self._owners.get(id)) and member.server.type == server_type:
                for channel in list(self._groups.moved(id)):
                    self._move(channel, member)
        for member in self._servers.view.members:
            if member.server.type == server_type:
                self._say(member, self._groups.unconfirmed(member.id))

    def _move(self, channel: str, member: Member) -> None:
        """Have the group of a member's channel belong to whom the view says."""
        key = self._key_of(member.server.type, channel)
        owner = self._servers.ownership.owner(member.server.type, key)
        # Where nobody owns it now, it waits: whoever comes, another life of this node too, has yet
        # to hear of it.
        self._groups.move(channel, member.id, member.id if owner is None else owner.id)

    def _is_done(self, server_type: str) -> bool:
        return self._done.get(server_type, -1) == self._servers.view.epoch

    def _is_waited_for(self, server_type: str) -> Iterator[str]:
        """Who may have pushed by an older view what is not here yet."""
        view = self._servers.view
        for id, member in self._owners.items():
            if member.server.type != server_type or not self._sends.linked(*member.life):
                continue
            gone = not view.has(member)
            # Of a node that has left the view what is on its way is waited for, and no more.
            if (gone and id != self._id) or (view.epoch and self._here.get(id, -1) < view.epoch):
                yield id

    def _follow(self, server_type: str) -> None:
        """Have the groups of those that are gone, or can't say it, belong to the new owners."""
        view = self._servers.view
        before = self._before.get(server_type)
        self._before[server_type] = self._servers.ownership
        for id, member in list(self._owners.items()):
            if member.server.type != server_type:
                continue
            gone = not view.has(member)
            if gone or not self._sends.linked(*member.life):
                for channel in list(self._groups.held(id)):
                    key = self._key_of(server_type, channel)
                    was = None if before is None else before.owner(server_type, key)
                    if gone or (was is not None and was.id == id):
                        self._move(channel, member)
            if gone:
                self._move_leaving(id, server_type)
                self._forget(id)
        self._move_leaving(_NOBODY + server_type, server_type)

    def _move_leaving(self, id: str, server_type: str) -> None:
        """Have the new owners be told what a node that is gone may not have heard.

        Where nobody owns the channel, whoever comes has to be told.
        """
        for channel, uid in self._groups.leaving(id):
            owner = self._servers.ownership.owner(server_type, self._key_of(server_type, channel))
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

    def _say(self, member: Member, groups: Mapping[str, Sequence[str]]) -> None:
        """Offer groups to a node, those included who went unnoticed.

        Who owns a channel anew has to know them, so that it can tell the others that they left.
        """
        to, epoch = member.id, self._servers.view.epoch
        leaving = self._groups.leaving(to)
        moved = self._groups.moved(to)
        for channel, uids in groups.items():
            self._sends.offer(to, epoch, channel, uids, moved=moved.get(channel, 0))
        for channel, uid in leaving:
            self._sends.offer(to, epoch, channel, [uid], moved=0)
        for channel, uid in leaving:  # before its requests are served, as soon as that is done
            self.gone(to, channel, uid, again=True)
        self._sends.offers_done(to, epoch, self._groups.moves)
