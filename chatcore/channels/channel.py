"""A channel on the backend that owns it."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.defer import Deferred
from zope.interface import implementer

from chatcore.interfaces import IChannel


class IKeeper(Protocol):
    """Who keeps a channel, and acts for it: `chatcore.channels.service.ChannelService`."""

    def add(self, channel: Channel, uid: str, sid: str) -> bool: ...

    def leave(self, channel: Channel, uid: str, sid: str) -> bool: ...

    def push(
        self, channel: Channel, route: str, msg: Any, droppable: bool
    ) -> Deferred[list[str]]: ...

    def remove(self, channel: Channel) -> None: ...


@implementer(IChannel)
class Channel:
    """A named set of members; made by `ChannelService.get`."""

    __slots__ = (
        "__weakref__",
        "_keeper",
        "_members",
        "by_frontend",
        "moved_to",
        "name",
        "placed",
        "state",
    )

    def __init__(self, name: str, keeper: IKeeper) -> None:
        self.name = name
        self._keeper = keeper
        # Whether each was taken over from another owner, and has not been added here since.
        self._members: dict[tuple[str, str], bool] = {}
        self.by_frontend: dict[str, dict[str, None]] = {}
        self.state: dict[str, Any] = {}
        # Whether it is here because its name places it here: then it goes where its name goes.
        self.placed = True
        self.moved_to: str | None = None

    def __repr__(self) -> str:
        return f"<channel {self.name!r}, {len(self._members)} members>"

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, uid: object) -> bool:
        return any(uid in uids for uids in self.by_frontend.values())

    def members(self) -> list[tuple[str, str]]:
        return list(self._members)

    def member(self, uid: str) -> tuple[str, str] | None:
        for sid, uids in self.by_frontend.items():
            if uid in uids:
                return uid, sid
        return None

    def uids(self) -> list[str]:
        return list(dict.fromkeys(uid for uid, _ in self._members))

    def sids(self, uid: str) -> list[str]:
        return [sid for sid, uids in self.by_frontend.items() if uid in uids]

    def add(self, uid: str, sid: str) -> bool:
        return self._keeper.add(self, uid, sid)

    def leave(self, uid: str, sid: str) -> bool:
        return self._keeper.leave(self, uid, sid)

    def push(self, route: str, msg: Any, *, droppable: bool = False) -> Deferred[list[str]]:
        return self._keeper.push(self, route, msg, droppable)

    def destroy(self) -> None:
        self._keeper.remove(self)

    def put(self, uid: str, sid: str, *, inherited: bool = False) -> bool:
        """Note a member; False if it is noted already. The frontend is not told.

        Args:
            inherited: whether another owner has added it, and not this one.
        """
        if (uid, sid) in self._members:
            self._members[uid, sid] &= inherited
            return False
        self._members[uid, sid] = inherited
        self.by_frontend.setdefault(sid, {})[uid] = None
        return True

    def inherits(self, uid: str, sid: str) -> bool:
        """Whether it has a member from another owner, who has not come in anew since."""
        return self._members.get((uid, sid), False)

    def take(self, uid: str, sid: str) -> bool:
        """Strike a member off; False if it was none. The frontend is not told."""
        if (uid, sid) not in self._members:
            return False
        del self._members[uid, sid]
        uids = self.by_frontend[sid]
        del uids[uid]
        if not uids:
            del self.by_frontend[sid]
        return True
