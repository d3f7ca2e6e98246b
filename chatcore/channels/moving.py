"""Channels on their way from one node to another."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.logger import Logger

from chatcore.wire.values import UNPACKABLE, pack

LONGEST_STATE = 4 * 1024 * 1024
"""Bytes of a channel's state that can move."""

_log = Logger()


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
        given_up: who is as well, but has been told as left.
    """

    __slots__ = ("given_up", "hands", "offers")

    def __init__(self) -> None:
        self.hands: list[Hand] = []
        self.offers: dict[str, dict[str, None]] = {}
        self.given_up: dict[str, list[str]] = {}

    def give_up(self, frontend: str, uids: Container[str]) -> None:
        """Take nobody in of these."""
        offered = self.offers.get(frontend, {})
        given_up = [uid for uid in offered if uid in uids]
        if given_up:
            self.given_up[frontend] = given_up
            for uid in given_up:
                del offered[uid]


def movable(channel: str, state: Mapping[str, Any]) -> dict[str, Any]:
    """What of a channel's state can go along; what can't is logged, and stays behind."""
    goes: dict[str, Any] = {}
    left = LONGEST_STATE
    for key, value in state.items():
        try:
            size = len(pack((key, value)))
            if size > left:
                raise ValueError(f"the state would have more than {LONGEST_STATE} bytes")
        except UNPACKABLE as problem:
            _log.error(
                "{key!r:.100} in the state of channel {channel!r:.100} can't move: {why}",
                key=key,
                channel=channel,
                why=str(problem),
            )
            continue
        left -= size
        goes[key] = value
    return goes
