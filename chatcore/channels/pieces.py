"""Long lists in pieces that fit a box, whatever else is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from chatcore.channels.moving import Hand

T = TypeVar("T")

MOST_IN_A_PIECE = 10_000
"""Uids, members or names."""

LONGEST_PIECE = 256 * 1024
"""Characters that they have together, unless it is one alone: a mebibyte at most.

With a channel's state, or what can be pushed, they fit into the smallest box that
``links.box_bytes`` may allow.
"""


def pieces(items: Sequence[T], length: Callable[[Any], int] = len) -> Iterator[Sequence[T]]:
    """A list of uids, or of something else, in pieces.

    Args:
        length: how many characters one of them has.
    """
    for start in range(0, len(items), MOST_IN_A_PIECE):
        some = items[start : start + MOST_IN_A_PIECE]
        if len(some) == 1 or sum(map(length, some)) <= LONGEST_PIECE:
            yield some
        else:
            yield from _shorter(some, length)


def _shorter(items: Sequence[T], length: Callable[[Any], int]) -> Iterator[Sequence[T]]:
    start = size = 0
    for at, item in enumerate(items):
        size += length(item)
        if size > LONGEST_PIECE and at > start:
            yield items[start:at]
            start, size = at, length(item)
    yield items[start:]


def of_hand(hand: Hand) -> list[Hand]:
    """What is handed over of a channel, in pieces; the first one has the state."""
    if len(hand.members) <= 1:
        return [hand]
    first, *others = pieces(hand.members, _member_length)
    return [Hand(first, hand.state), *map(Hand, others)]


def _member_length(member: tuple[str, str]) -> int:
    return len(member[0]) + len(member[1])
