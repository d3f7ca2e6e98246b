"""The channels that a node holds, and all that it knows of one."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from itertools import islice
from typing import Any, Final

from chatcore.channels.channel import Channel
from chatcore.channels.checks import LONGEST_NAME
from chatcore.channels.groups import Group
from chatcore.deadlines import IClock
from chatcore.node.looking.gathering import for_each, largest
from chatcore.node.looking.given import short, text, whole
from chatcore.node.looking.looked_at import ILookedAt

MOST: Final = 1000
"""Channels that one answer tells of."""

MOST_MEMBERS: Final = 10_000
"""Members of one channel that one answer tells of."""

MOST_KEYS: Final = 100
"""Keys of a channel's state that are told."""


class Channels:
    """Tells of the channels that a node holds: of some, or of all, one answer after the other.

    Args:
        node: that node.
        clock: the reactor.
    """

    def __init__(self, node: ILookedAt, clock: IClock) -> None:
        self._node, self._clock = node, clock

    async def __call__(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """So many channels as are asked for, in JSON's types.

        With ``all``, by their names, from behind the one that is given as ``after``; ``next`` is
        where the next answer goes on then. Else those that have the most members.

        Raises:
            AdminError: what was asked with makes no sense.
        """
        channels = self._node.channels
        most = whole(given, "most", MOST, MOST)
        names = channels.names()
        if given.get("all"):
            after = text(given, "after", LONGEST_NAME) if "after" in given else ""
            first = _First(most, after)
            await for_each(names, first.see, self._clock)
            chosen = first.sorted()
            more = chosen[-1] if chosen and first.seen > len(chosen) else None
        else:
            more = None
            chosen = await largest(names, most, self._members, self._clock)
        rows: list[dict[str, Any]] = []
        await for_each(chosen, lambda name: self._add(name, rows), self._clock)
        node = self._node
        return {
            "epoch": node.membership.epoch,
            "settled": node.moves.settling.settled,
            "handing_over": node.moves.handing_over.waits,
            "count": len(names),
            "channels": rows,
            "next": more,
        }

    def _members(self, name: str) -> int:
        channel = self._node.channels.get(name)
        return 0 if channel is None else len(channel)

    def _add(self, name: str, rows: list[dict[str, Any]]) -> None:
        channel = self._node.channels.get(name)
        if channel is None:
            return  # it has gone since
        rows.append(
            {
                "name": name,
                "members": len(channel),
                "frontends": {sid: len(uids) for sid, uids in channel.by_frontend.items()},
                "owner": _owner(self._node, name),
                "placed": channel.placed,
                "state_keys": len(channel.state),
            }
        )


class OneChannel:
    """Tells what a node knows of one channel: as its owner, as a frontend, and by its name.

    Args:
        node: that node.
        clock: the reactor.
    """

    def __init__(self, node: ILookedAt, clock: IClock) -> None:
        self._node, self._clock = node, clock

    async def __call__(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What it knows of the channel that is given as ``name``, in JSON's types.

        So many members are told on each frontend as are given as ``most``. A ``mark`` is the same
        for the same members, in whatever order.

        Raises:
            AdminError: what was asked with makes no sense.
        """
        name = text(given, "name", LONGEST_NAME)
        most = whole(given, "most", 0, MOST_MEMBERS)
        node, moves = self._node, self._node.moves
        channel = node.channels.get(name)
        groups = [] if node.clients is None else node.clients.groups.named(name)
        each = min(most, MOST_MEMBERS // max(len(groups), 1))
        return {
            "type": node.server.type,
            "epoch": node.membership.epoch,
            "owner": _owner(node, name),
            "settled": moves.settling.settled,
            "awaited": moves.settling.awaits(name),
            "handing_over": moves.handing_over.waits,
            "went": node.channels.went(name),
            "held": None if channel is None else await self._held(channel, most),
            "groups": {backend: await self._group(group, each) for backend, group in groups},
        }

    async def _held(self, channel: Channel, most: int) -> dict[str, Any]:
        parts = list(channel.by_frontend.items())
        most = min(most, MOST_MEMBERS // max(len(parts), 1))
        return {
            "members": len(channel),
            "placed": channel.placed,
            "state": [short(key) for key in islice(channel.state, MOST_KEYS)],
            "state_keys": len(channel.state),
            "frontends": {sid: await self._told(list(uids), most) for sid, uids in parts},
        }

    async def _group(self, group: Group, most: int) -> dict[str, Any]:
        uids = list(group.uids)
        waiting = _Waiting()
        sessions = self._node.sessions

        def see(uid: str) -> None:
            for session in sessions.by_uid(uid):
                waiting.add(session.connection.outbox.waiting)

        await for_each(uids, see, self._clock)
        return {
            **await self._told(uids, most),
            "sessions": waiting.sessions,
            "outbox_bytes": waiting.bytes,
            "outbox_most": waiting.most,
            "confirmed": group.confirmed,
            "moving": bool(group.moved),
        }

    async def _told(self, uids: list[str], most: int) -> dict[str, Any]:
        """Members: how many, their mark, and some of them."""
        marks = _Marks()
        await for_each(uids, marks.add, self._clock)
        return {"members": len(uids), "mark": marks.value, "uids": list(map(short, uids[:most]))}


class _First:
    """The first names behind one, in the order of the alphabet.

    Args:
        most: how many.
        after: that name.
    """

    def __init__(self, most: int, after: str) -> None:
        self._most, self._after = most, after
        self._found: list[str] = []
        self._last: str | None = None
        self.seen = 0

    def see(self, name: str) -> None:
        """Look at a name."""
        if name <= self._after:
            return
        self.seen += 1
        if self._last is not None and name >= self._last:
            return
        self._found.append(name)
        if len(self._found) >= 2 * self._most:
            self._cut()

    def sorted(self) -> list[str]:
        """Those that are the first of all that were seen."""
        self._cut()
        return self._found

    def _cut(self) -> None:
        self._found.sort()
        del self._found[self._most :]
        if len(self._found) == self._most:
            self._last = self._found[-1] if self._found else ""


class _Marks:
    """What is the same for the same texts in whatever order."""

    def __init__(self) -> None:
        self._sum = 0

    def add(self, uid: str) -> None:
        data = uid.encode("utf-8", "surrogatepass")
        self._sum += int.from_bytes(blake2b(data, digest_size=8).digest())

    @property
    def value(self) -> str:
        return f"{self._sum % 2**64:016x}"


class _Waiting:
    """What waits for some clients."""

    def __init__(self) -> None:
        self.sessions = self.bytes = self.most = 0

    def add(self, count: int) -> None:
        self.sessions += 1
        self.bytes += count
        self.most = max(self.most, count)


def _owner(node: ILookedAt, name: str) -> str | None:
    """The id of the server whose a channel of this node's type is by its name."""
    owner = node.moves.owner_of(name)
    return None if owner is None else owner.id
