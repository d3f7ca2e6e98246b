"""Channels on their way from one node to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Hand:
    """A channel as its owner hands it over.

    Args:
        members: pairs of uid and frontend id, in the order of joining.
        state: what the application keeps with it.
    """

    members: Sequence[tuple[str, str]] = ()
    state: Mapping[str, Any] = field(default_factory=dict)


class Arriving:
    """What is known so far of a channel that comes here.

    Attributes:
        hands: what its old owners, of whom there is more than one after a cut, handed over.
        offers: who is connected, by frontend.
    """

    __slots__ = ("hands", "offers")

    def __init__(self) -> None:
        self.hands: list[Hand] = []
        self.offers: dict[str, dict[str, None]] = {}
