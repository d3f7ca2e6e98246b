"""Which frontend keeps the claim to a uid."""

from __future__ import annotations

from chatcore.cluster.placement import weight
from chatcore.cluster.view import View

Place = tuple[int, str]
"""How strongly a uid is drawn to its home, and which frontend that is."""


class Homes:
    """Where the claims to uids are kept, in one view: each at a home, which is a frontend.

    All frontends of the view share them by rendezvous hashing but those that drain, for they are
    about to go; where all do, they all share them still. A frontend that is starting has its
    share: it has links long before it has clients, so that homes have moved, once, when its clients
    come.

    Args:
        view: the view.

    Attributes:
        epoch: its number.
        frontends: the incarnations of all frontends, by id.
        lives: the ids and incarnations of those that are homes.
        ids: their ids.
    """

    def __init__(self, view: View) -> None:
        self.epoch = view.epoch
        frontends = [member for member in view.members if member.server.frontend]
        homes = [member for member in frontends if member.state != "draining"] or frontends
        self.frontends = {member.id: member.incarnation for member in frontends}
        self.lives = frozenset(member.life for member in homes)
        self.ids = frozenset(member.id for member in homes)

    def has(self, id: str, incarnation: str) -> bool:
        """Whether the view has that life of a frontend."""
        return self.frontends.get(id) in ("", incarnation)

    def of(self, uid: str) -> str | None:
        """The home of a uid; None where there is no frontend."""
        return self.place(uid)[1] if self.ids else None

    def place(self, uid: str) -> Place:
        """The home of a uid, for who goes on to follow it as the view changes.

        Raises:
            ValueError: there is no frontend.
        """
        return max((weight(id, uid), id) for id in self.ids)

    def place_again(self, uid: str, old: Place, others: frozenset[str]) -> Place:
        """The home of a uid whose home was another view's.

        Args:
            old: that home.
            others: the ids that are homes now and were not then.

        Raises:
            ValueError: there is no frontend.
        """
        if old[1] not in self.ids:
            return self.place(uid)
        return max(old, *((weight(id, uid), id) for id in others)) if others else old
