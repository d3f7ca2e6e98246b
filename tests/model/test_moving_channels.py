"""Channels that come from another owner and go to one; the frontends are fakes."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from chatcore.channels.moving import Arriving, Hand
from chatcore.channels.service import MOST_DEPARTED, ChannelService

from .fakes import FakeFrontends

Left = list[tuple[str, str]]


@pytest.fixture
def channels() -> Any:
    service = ChannelService(frontends=FakeFrontends("front-1", "front-2"), clock=Clock())
    yield service
    service.stop()


@pytest.fixture
def left(channels: ChannelService) -> Left:
    told: Left = []
    channels.on_left(lambda channel, uid, sid, reason: told.append((uid, reason)))
    return told


def coming(*members: str, offered: tuple[str, ...] = ()) -> Arriving:
    """A channel as its old owner hands it over, and as one of the frontends offers it."""
    arriving = Arriving()
    arriving.hands.append(Hand([(uid, "front-1") for uid in members]))
    arriving.offers["front-1"] = dict.fromkeys(offered)
    return arriving


def all_told(frontend: str) -> bool:
    return True


class TestWhatIsToldByWayOfAnother:
    def test_who_came_along_is_meant(self, channels: ChannelService, left: Left) -> None:
        channels.arrive("room", coming("ann", "bob", offered=("ann", "bob")), all_told)
        channels.gone_before("front-1", "room", "ann")
        assert left == [("ann", "closed")]

    def test_who_has_come_in_since_is_not(self, channels: ChannelService, left: Left) -> None:
        """The old session has ended, and there is a new one."""
        channels.arrive("room", coming("ann", "bob", offered=("ann", "bob")), all_told)
        room = channels.get("room")
        assert room is not None
        assert room.add("ann", "front-1") is False
        room.add("eve", "front-1")
        for uid in ("ann", "eve", "who"):
            channels.gone_before("front-1", "room", uid)
        channels.gone_before("front-1", "hall", "ann")
        assert left == []
        assert room.uids() == ["ann", "bob", "eve"]


class TestWhatComesAgain:
    """An owner that never heard that it has arrived hands a channel over once more."""

    def test_nobody_leaves_twice(self, channels: ChannelService, left: Left) -> None:
        everybody = "ann", "bob", "eve", "joe"
        arriving = coming(*everybody, offered=("bob", "eve", "joe"))
        channels.arrive("room", arriving, all_told)
        assert left == [("ann", "closed")]
        room = channels.get("room")
        assert room is not None
        channels.gone("front-1", "room", "bob")
        room.leave("eve", "front-1")
        left.clear()
        channels.arrive("room", coming(*everybody), all_told, late=True)
        assert left == []
        assert room.uids() == ["joe"]

    def test_it_does_not_fill_what_was_destroyed(
        self, channels: ChannelService, left: Left
    ) -> None:
        channels.arrive("room", coming("ann", offered=("ann",)), all_told)
        channels.destroy("room")
        channels.arrive("room", coming("ann"), all_told, late=True)
        assert (left, channels.names()) == ([], [])

    def test_who_left_unnoticed_is_told_however_late_it_is_handed_over(
        self, channels: ChannelService, left: Left
    ) -> None:
        channels.arrive("room", coming("ann", "bob"), all_told, late=True)
        assert left == [("ann", "closed"), ("bob", "closed")]

    def test_what_comes_in_time_is_believed_though_somebody_left_before(
        self, channels: ChannelService, left: Left
    ) -> None:
        """Who left while the room was here has come in where it was meanwhile."""
        channels.arrive("room", coming("ann", offered=("ann",)), all_told)
        channels.gone("front-1", "room", "ann")
        channels.arrive("room", coming("ann", offered=("ann",)), all_told)
        room = channels.get("room")
        assert room is not None
        assert room.uids() == ["ann"]

    def test_what_is_remembered_is_bounded(self, channels: ChannelService) -> None:
        for number in range(MOST_DEPARTED + 5):
            channels.arrive("room", coming(f"u{number}"), all_told)
        assert len(channels._departed) == MOST_DEPARTED
