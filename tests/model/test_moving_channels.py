"""Channels that come from another owner and go to one; the frontends are fakes."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from chatcore.channels.moving import Arriving, Hand
from chatcore.channels.service import ChannelService

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
