"""How channels move from node to node without being split: the words of it.

Every node follows the views. When the servers that share the keys of a type change, some keys get
another owner, and with them their channels. Each node then says how far it has come, on its links,
where everything stays in order:

``Seen(epoch)``
    to all others: I send nothing any more by an older view.
``PushesDone(epoch)``
    an owner to the frontends: that was the last push for channels that are not mine in this view;
    before it comes ``GroupMoved`` for each of them.
``HandOver(epoch, channel, members, state)``, ``GivenUp(epoch, frontend, uids)`` and then
``HandedOver(epoch)``
    an owner to the others of its type: what was mine and is yours, and who was told as left and
    has yet to hear it.
``GroupOffer(epoch, channel, uids)`` and then ``OffersDone(epoch)``
    a frontend to the servers of a type: whom I hold of channels that are yours now.

An owner passes requests on from the moment it knows that a key is not its own. It hands over when
the requests that were under way have ended, and all others have said ``Seen``: so nothing that was
meant for it is still on its way, and what it passed on went before its ``HandedOver``. A frontend
offers when it has ``PushesDone`` of all owners of the type, or they are gone: so what the old owner
pushed is here before the new one pushes. The new owner answers for a key once it has all
``HandedOver`` and all ``OffersDone``.

The frontends know best who is connected, and the old owner in which order they came, and the state.
If it is gone, what the frontends offer is what there is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from chatcore.channels.moving import Hand

PATIENCE: Final = 5.0
"""Seconds that one side of a move waits for another before it goes on without."""


class Sends(Protocol):
    """What a node says to others, itself included. What can't be said now is dropped: it is said
    again when the link is back."""

    def linked(self, id: str, incarnation: str = "") -> bool:
        """Whether that life of a node, or any, can be reached now; this one always can."""

    def has_room(self, to: str, size: int) -> bool:
        """Whether so many bytes can be said to a node now without that calls to it fail."""

    def seen(self, to: str, epoch: int) -> None: ...

    def pushes_done(self, to: str, epoch: int) -> None: ...

    def group_moved(self, to: str, owner: str, channels: Sequence[str]) -> None: ...

    def hand_over(
        self, to: str, epoch: int, channel: str, hand: Hand, done: Callable[[bool], None]
    ) -> bool:
        """Hand a channel over, or a piece of it; ``done`` is told whether it has arrived.

        Returns:
            False if there is no room for it now: nothing was said.
        """

    def handed_over(self, to: str, epoch: int) -> None: ...

    def offer(self, to: str, epoch: int, channel: str, uids: Sequence[str], *, moved: int) -> None:
        """Offer a group; ``moved`` is the number of the move by which it came to that node, 0 if
        by none."""

    def offers_done(self, to: str, epoch: int, moves: int) -> None:
        """All groups have been offered that moved there by one of so many moves."""

    def gone(
        self, to: str, channel: str, uid: str, done: Callable[[bool], None], *, again: bool
    ) -> None:
        """A member of a channel is connected to this frontend no more; ``done`` is told whether
        its owner knows that now. If it is said ``again``, it was so before all requests that wait
        there."""
