"""How values are kept that are no plain counters: distributions, and what is read when asked."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

Value = float | Mapping[str, float]
"""A value, or values by label."""

Reading = Callable[[], Value]
"""Reads a gauge."""

OTHERS = "others"
"""The label of what has none of its own any more."""


class Samples:
    """How many values there were, and how large, by fixed buckets.

    Args:
        buckets: their upper ends, which belong to them; one more bucket holds what is larger.
    """

    __slots__ = ("buckets", "counts", "sum")

    def __init__(self, buckets: tuple[float, ...]) -> None:
        self.buckets = buckets
        self.counts = [0] * (len(buckets) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """There was one more."""
        self.counts[bisect_left(self.buckets, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    def to_value(self) -> dict[str, Any]:
        """It in JSON's types: ``count`` and ``sum``, and ``counts`` beside the ``buckets``."""
        return {
            "count": self.count,
            "sum": self.sum,
            "buckets": list(self.buckets),
            "counts": list(self.counts),
        }


class ByLabel:
    """Samples that are told apart by a label, such as a route.

    Args:
        buckets: as of `Samples`.
        most: how many labels are told apart; all others are taken together.
    """

    __slots__ = ("_buckets", "_by_label", "_most")

    def __init__(self, buckets: tuple[float, ...], most: int) -> None:
        self._buckets, self._most = buckets, most
        self._by_label: dict[str, Samples] = {}

    def add(self, label: str, value: float) -> None:
        """There was one more of that label."""
        found = self._by_label.get(label)
        (self._new(label) if found is None else found).add(value)

    def _new(self, label: str) -> Samples:
        if len(self._by_label) >= self._most:
            label = OTHERS
        return self._by_label.setdefault(label, Samples(self._buckets))

    def to_value(self) -> dict[str, Any]:
        """The samples by label, in JSON's types."""
        return {label: each.to_value() for label, each in self._by_label.items()}


class Gauges:
    """Values that are read when somebody asks for them.

    Args:
        names: of all there may be.
    """

    __slots__ = ("_names", "_readings")

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._readings: dict[str, Reading] = {}

    def watch(self, name: str, reading: Reading) -> None:
        """Say how one is read.

        Raises:
            KeyError: there is no gauge of that name.
        """
        if name not in self._names:
            raise KeyError(f"{name!r} is not among the names of gauges")
        self._readings[name] = reading

    def read(self) -> Iterator[tuple[str, Any]]:
        """All that can be read, by name, in JSON's types."""
        for name, reading in self._readings.items():
            value = reading()
            yield name, dict(value) if isinstance(value, Mapping) else value
