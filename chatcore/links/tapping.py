"""The bytes of what comes over a link, for somebody beside who it is for."""

from __future__ import annotations

from chatcore.wire.box import Box, encode


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
