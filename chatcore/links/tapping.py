"""Showing what passes on links to somebody beside who it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from chatcore.wire.box import Box, encode

if TYPE_CHECKING:
    from chatcore.links.link import Link


class LinkTap(Protocol):
    """Is shown what passes on a link that is proven: whole boxes, as they are on the wire.

    It is called for each write and for each read, so it has to be quick, and must not raise.
    """

    def sent(self, link: Link, data: bytes, boxes: int) -> None:
        """So many boxes leave now."""

    def came(self, link: Link, data: bytes, boxes: int) -> None:
        """So many boxes have come, and are about to be acted on."""


def whole(data: bytes, first: Box, held: int, waiting: int) -> bytes:
    """The boxes that bytes have completed, as they came.

    Args:
        data: what has come.
        first: the first of these boxes.
        held: how many bytes of it had come before.
        waiting: how many of the last bytes belong to a box that is to be completed yet.
    """
    end = len(data) - waiting
    if not held:
        return data[:end] if waiting else data
    begun = encode(first.items())
    return begun + data[len(begun) - held : end]
