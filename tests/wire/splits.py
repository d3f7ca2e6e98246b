"""Byte streams cut into pieces."""

from __future__ import annotations

from hypothesis import strategies as st

CUTS = st.lists(st.integers(min_value=0, max_value=400), max_size=30)


def cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    """The stream in pieces; some may be empty."""
    places = sorted(min(place, len(stream)) for place in cuts)
    return [
        stream[start:stop] for start, stop in zip([0, *places], [*places, len(stream)], strict=True)
    ]
