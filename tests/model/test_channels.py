"""Channels on the backend that owns them; the frontends are fakes."""

from __future__ import annotations

import gc
import re
import weakref
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from chatcore.channels.moving import Arriving
from chatcore.channels.service import ChannelService
from chatcore.errors import BodyError, NoSuchServer
from chatcore.interfaces import IChannel, IChannels

from .fakes import FakeFrontends, Log, result_of


@pytest.fixture
def frontends() -> FakeFrontends:
    return FakeFrontends("connector-1", "connector-2", "lobby-1")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def channels(frontends: FakeFrontends, clock: Clock) -> Any:
    service = ChannelService(frontends=frontends, clock=clock)
    for frontend in frontends.ids:
        service.frontend_up(frontend, "first")
        service.offers_done(frontend)
    frontends.take()
    yield service
    service.stop()
    assert clock.getDelayedCalls() == []


@pytest.fixture
def room(channels: ChannelService) -> Any:
    return channels.get("room", create=True)


@pytest.fixture
def left(channels: ChannelService) -> list[tuple[str, str, str, str]]:
    """What the hooks are told."""
    told: list[tuple[str, str, str, str]] = []
    channels.on_left(lambda channel, *rest: told.append((channel.name, *rest)))
    return told


def test_hooks_are_checked_at_once(channels: ChannelService) -> None:
    with pytest.raises(TypeError, match=r"with \(channel, uid, frontend_id, reason\)"):
        channels.on_left(lambda uid: None)  # type: ignore[arg-type, misc]


def test_they_keep_their_promise(channels: ChannelService, room: Any) -> None:
    assert verifyObject(IChannels, channels)
    assert verifyObject(IChannel, room)


class TestMembers:
    def test_adding_tells_the_frontend(self, room: Any, frontends: FakeFrontends) -> None:
        assert room.add("alice", "connector-1") is True
        assert frontends.take() == [("join", "connector-1", "room", ["alice"])]
        assert (room.uids(), len(room), "alice" in room) == (["alice"], 1, True)

    def test_adding_twice_changes_nothing(self, room: Any, frontends: FakeFrontends) -> None:
        room.add("alice", "connector-1")
        frontends.take()
        assert room.add("alice", "connector-1") is False
        assert (len(room), frontends.take()) == (1, [])

    @pytest.mark.parametrize("uid", [None, "", 7, b"alice"])
    def test_only_uids_come_in(self, room: Any, frontends: FakeFrontends, uid: Any) -> None:
        said = f"a uid is a text that is not empty, not {uid!r}; bind the session first"
        with pytest.raises(TypeError, match=re.escape(said)):
            room.add(uid, "connector-1")
        assert (len(room), frontends.told) == (0, [])

    def test_half_a_character_comes_not_in(self, room: Any, frontends: FakeFrontends) -> None:
        with pytest.raises(TypeError, match="half of a surrogate pair"):
            room.add("al\ud800ice", "connector-1")
        assert (len(room), frontends.told) == (0, [])

    def test_a_member_is_a_uid_on_a_frontend(self, room: Any, frontends: FakeFrontends) -> None:
        room.add("alice", "connector-1")
        assert room.add("alice", "connector-2") is True
        assert (room.uids(), len(room)) == (["alice"], 2)
        assert sorted(room.sids("alice")) == ["connector-1", "connector-2"]
        frontends.take()
        assert room.leave("alice", "connector-1") is True
        assert frontends.take() == [("leave", "connector-1", "room", ["alice"])]
        assert (room.sids("alice"), "alice" in room) == (["connector-2"], True)

    def test_an_unknown_frontend_is_refused(self, room: Any, channels: ChannelService) -> None:
        with pytest.raises(NoSuchServer, match="connector-9"):
            room.add("alice", "connector-9")
        assert (len(room), channels.names()) == (0, [])

    def test_uids_are_in_the_order_of_joining(self, room: Any) -> None:
        for uid, sid in (("c", "connector-1"), ("a", "connector-2"), ("b", "connector-1")):
            room.add(uid, sid)
        room.leave("c", "connector-1")
        room.add("c", "connector-2")
        assert room.uids() == ["a", "b", "c"]

    def test_leaving_what_one_is_not_in(self, room: Any, frontends: FakeFrontends) -> None:
        room.add("alice", "connector-1")
        frontends.take()
        assert room.leave("alice", "connector-2") is False
        assert room.leave("bob", "connector-1") is False
        assert frontends.take() == []
        assert (room.sids("bob"), "bob" in room) == ([], False)

    def test_leaving_calls_no_hook(self, room: Any, left: list[Any]) -> None:
        room.add("alice", "connector-1")
        room.leave("alice", "connector-1")
        assert left == []

    def test_destroying_removes_all(
        self, room: Any, channels: ChannelService, frontends: FakeFrontends, left: list[Any]
    ) -> None:
        room.add("alice", "connector-1")
        room.add("bob", "connector-1")
        room.add("carol", "connector-2")
        frontends.take()
        room.destroy()
        assert sorted(frontends.take()) == [
            ("leave", "connector-1", "room", ["alice", "bob"]),
            ("leave", "connector-2", "room", ["carol"]),
        ]
        assert (len(room), room.uids(), channels.names(), left) == (0, [], [], [])
        room.destroy()
        assert frontends.take() == []

    def test_what_is_destroyed_is_empty(
        self, room: Any, channels: ChannelService, frontends: FakeFrontends
    ) -> None:
        """Nothing fails, nobody is told; and it is made anew by who comes in, not beside it."""
        room.add("alice", "connector-1")
        room.destroy()
        frontends.take()
        assert result_of(room.push("onChat", 1)) == []
        assert (room.leave("alice", "connector-1"), room.member("alice")) == (False, None)
        assert (frontends.take(), channels.get("room")) == ([], None)
        assert room.add("bob", "connector-1") is True
        assert channels.get("room") is channels.get("room", create=True) is room
        assert (room.uids(), frontends.take()) == (
            ["bob"],
            [("join", "connector-1", "room", ["bob"])],
        )

    def test_destroying_by_name(self, room: Any, channels: ChannelService) -> None:
        assert not channels.destroy("room")
        room.add("alice", "connector-1")
        assert channels.destroy("room")
        assert (len(room), channels.names()) == (0, [])

    def test_who_is_in_it(self, room: Any) -> None:
        pairs = [("alice", "connector-1"), ("bob", "connector-2"), ("alice", "connector-2")]
        for uid, sid in pairs:
            room.add(uid, sid)
        assert room.members() == pairs
        assert (room.member("alice"), room.member("bob")) == (pairs[0], pairs[1])
        assert room.member("carol") is None
        room.leave(*pairs[0])
        assert room.member("alice") == pairs[2]


class TestNames:
    @pytest.mark.parametrize("name", ["", None, 5, b"room", "\udfff"])
    def test_are_texts(self, channels: ChannelService, name: Any) -> None:
        assert channels.get(name) is None
        with pytest.raises(TypeError, match="the name of a channel"):
            channels.get(name, create=True)

    def test_are_not_too_long(self, channels: ChannelService) -> None:
        assert channels.get("ü" * 512, create=True) is not None
        with pytest.raises(ValueError, match="1024 bytes"):
            channels.get("ü" * 513, create=True)

    def test_get_makes_only_when_asked(self, channels: ChannelService) -> None:
        assert channels.get("room") is None
        assert channels.get("room", create=True) is not None

    def test_a_channel_has_its_name_while_it_has_members(
        self, channels: ChannelService, room: Any
    ) -> None:
        assert channels.names() == []
        room.add("alice", "connector-1")
        assert (channels.names(), channels.get("room")) == (["room"], room)
        room.leave("alice", "connector-1")
        assert (channels.names(), channels.get("room")) == ([], None)

    def test_a_name_never_has_two_channels(self, channels: ChannelService, room: Any) -> None:
        assert channels.get("room", create=True) is room
        room.add("alice", "connector-1")
        assert channels.get("room", create=True) is room
        room.leave("alice", "connector-1")
        assert channels.get("room", create=True) is room
        room.add("bob", "connector-1")
        assert channels.get("room") is room

    def test_an_empty_channel_that_nobody_holds_is_no_more(self, channels: ChannelService) -> None:
        room = channels.get("room", create=True)
        assert room is not None
        room.add("alice", "connector-1")
        held = weakref.ref(room)
        del room
        gc.collect()
        assert held() is not None
        channels.gone("connector-1", "room", "alice")
        gc.collect()
        assert held() is None

    def test_it_shows_what_it_is(self, room: Any) -> None:
        room.add("alice", "connector-1")
        assert repr(room) == "<channel 'room', 1 members>"


class TestPushing:
    def test_one_box_for_each_frontend_with_members(
        self, room: Any, frontends: FakeFrontends
    ) -> None:
        for uid in ("alice", "bob", "carol"):
            room.add(uid, "connector-1")
        room.add("dave", "lobby-1")
        frontends.take()
        assert result_of(room.push("onChat", {"msg": "hi"})) == []
        body = msgspec.msgpack.encode({"msg": "hi"})
        assert sorted(frontends.take()) == [
            ("push", "connector-1", "room", "onChat", body),
            ("push", "lobby-1", "room", "onChat", body),
        ]

    def test_nobody_is_told_when_nobody_is_in(self, room: Any, frontends: FakeFrontends) -> None:
        assert result_of(room.push("onChat", {})) == []
        assert frontends.take() == []

    def test_who_was_not_reached_comes_back(self, room: Any, frontends: FakeFrontends) -> None:
        for uid, sid in (("a", "connector-1"), ("b", "connector-2"), ("c", "connector-2")):
            room.add(uid, sid)
        frontends.take()
        frontends.down.add("connector-2")
        assert sorted(result_of(room.push("onChat", {}))) == ["b", "c"]
        assert [(told[0], told[1]) for told in frontends.take()] == [("push", "connector-1")]

    def test_to_uids(self, channels: ChannelService, frontends: FakeFrontends) -> None:
        frontends.down.add("connector-2")
        missed = result_of(
            channels.push_to_uids(
                "onChat",
                5,
                [("a", "connector-1"), ("b", "connector-2"), ("c", "connector-1"), ("d", "x")],
            )
        )
        assert missed == ["b", "d"]
        assert frontends.take() == [
            ("uids", "connector-1", ["a", "c"], "onChat", msgspec.msgpack.encode(5))
        ]

    def test_to_each_once(self, channels: ChannelService, frontends: FakeFrontends) -> None:
        frontends.down.add("connector-2")
        pairs = [("a", "connector-1"), ("b", "connector-2")] * 2
        assert result_of(channels.push_to_uids("onChat", 5, pairs)) == ["b"]
        assert [told[:3] for told in frontends.take()] == [("uids", "connector-1", ["a"])]

    def test_to_uids_wherever_they_are(
        self, channels: ChannelService, frontends: FakeFrontends
    ) -> None:
        """All frontends are asked; who was found on none comes back when all have answered."""
        frontends.found = {"connector-1": {"a"}, "lobby-1": {"a", "c"}}
        frontends.answers = Deferred()
        members = ["a", "b", "c", "a", ("p", "connector-2"), ("q", "nowhere")]
        waiting = channels.push_to_uids("onChat", 5, members)
        assert isinstance(waiting, Deferred)
        assert not waiting.called
        body = msgspec.msgpack.encode(5)
        assert frontends.take() == [
            ("uids", "connector-2", ["p"], "onChat", body),
            ("found", "connector-1", ["a", "b", "c"], "onChat", body),
            ("found", "connector-2", ["a", "b", "c"], "onChat", body),
            ("found", "lobby-1", ["a", "b", "c"], "onChat", body),
        ]
        frontends.answers.callback(None)
        assert result_of(waiting) == ["q", "b"]

    @pytest.mark.parametrize(
        "members", ["alice", [5], [("a", "b", "c")], [None], ["\ud800"], [("\ud800", "lobby-1")]]
    )
    def test_to_what_are_no_members(
        self, channels: ChannelService, frontends: FakeFrontends, members: Any
    ) -> None:
        with pytest.raises(TypeError, match="member"):
            channels.push_to_uids("onChat", 5, members)
        assert frontends.take() == []

    def test_to_some_of_a_type(self, channels: ChannelService, frontends: FakeFrontends) -> None:
        body, whom = msgspec.msgpack.encode("!"), msgspec.msgpack.encode({"room": 1})
        channels.broadcast("lobby", "onNews", "!", bound=True)
        channels.broadcast("lobby", "onNews", "!", where={"room": 1})
        assert frontends.take() == [
            ("broadcast", "lobby-1", "onNews", body, True, None, False),
            ("broadcast", "lobby-1", "onNews", body, False, whom, False),
        ]
        with pytest.raises(TypeError, match="where"):
            channels.broadcast("lobby", "onNews", "!", where=object())
        with pytest.raises(NoSuchServer, match="no frontend of that type"):
            channels.broadcast("loby", "onNews", "!")
        assert frontends.take() == []

    def test_that_those_who_do_not_keep_up_may_miss(
        self, channels: ChannelService, room: Any, frontends: FakeFrontends
    ) -> None:
        room.add("a", "lobby-1")
        frontends.take()
        body = msgspec.msgpack.encode(1)
        room.push("onMove", 1, droppable=True)
        channels.push_to_uids("onMove", 1, [("a", "lobby-1")], droppable=True)
        channels.broadcast("lobby", "onMove", 1, droppable=True)
        assert frontends.take() == [
            ("push", "lobby-1", "room", "onMove", body, "droppable"),
            ("uids", "lobby-1", ["a"], "onMove", body, "droppable"),
            ("broadcast", "lobby-1", "onMove", body, False, None, True),
        ]

    def test_to_all_of_a_type(self, channels: ChannelService, frontends: FakeFrontends) -> None:
        frontends.down.add("connector-2")
        assert result_of(channels.broadcast("connector", "onNews", None)) == ["connector-2"]
        assert frontends.take() == [
            ("broadcast", "connector-1", "onNews", msgspec.msgpack.encode(None))
        ]

    @pytest.mark.parametrize(
        "message", [object(), {"a": {1, object()}}, 2**64, "\ud800", [lambda: None], {(1, 2): 3}]
    )
    def test_what_can_not_be_encoded(
        self, channels: ChannelService, room: Any, frontends: FakeFrontends, message: Any
    ) -> None:
        room.add("alice", "connector-1")
        frontends.take()
        for push in (
            lambda: room.push("onChat", message),
            lambda: channels.push_to_uids("onChat", message, [("alice", "connector-1")]),
            lambda: channels.broadcast("connector", "onChat", message),
        ):
            with pytest.raises(BodyError, match="can't be pushed"):
                push()
        with pytest.raises(BodyError, match="can't be pushed: a route is a text"):
            room.push({"route": "onChat"}, "as Pomelo has it")
        assert frontends.take() == []

    def test_what_is_nested_too_deep(self, room: Any) -> None:
        deep: Any = []
        for _ in range(100_000):
            deep = [deep]
        with pytest.raises(BodyError):
            room.push("onChat", deep)

    @pytest.mark.parametrize(("route", "fits"), [("r" * 255, True), ("ü" * 127, True)])
    def test_a_route_that_fits(
        self, room: Any, frontends: FakeFrontends, route: str, fits: bool
    ) -> None:
        room.add("alice", "connector-1")
        result_of(room.push(route, {}))
        assert frontends.take()[-1][3] == route

    @pytest.mark.parametrize("route", ["r" * 256, "ü" * 128, "\ud800"])
    def test_a_route_that_does_not_fit(
        self, room: Any, frontends: FakeFrontends, route: str
    ) -> None:
        room.add("alice", "connector-1")
        frontends.take()
        with pytest.raises(BodyError):
            room.push(route, {})
        assert frontends.take() == []

    def test_a_member_who_goes_because_of_the_push(
        self, channels: ChannelService, room: Any, frontends: FakeFrontends, left: list[Any]
    ) -> None:
        """A slow client of this very node is cut off while it is being pushed to."""
        room.add("alice", "connector-1")
        room.add("bob", "connector-2")
        room.add("carol", "lobby-1")
        plain_tell = frontends._tell

        def cut_off(what: str, frontend: str, *more: Any) -> bool:
            done = plain_tell(what, frontend, *more)
            if what == "push" and frontend == "connector-1":
                channels.gone("connector-1", "room", "alice")
                room.leave("bob", "connector-2")
                return False
            return done

        frontends._tell = cut_off
        frontends.take()
        assert result_of(room.push("onChat", {})) in ([], ["alice"])
        assert ("push", "lobby-1") in [(told[0], told[1]) for told in frontends.take()]
        assert left == [("room", "alice", "connector-1", "closed")]
        assert room.uids() == ["carol"]


class TestLeavingByItself:
    def test_the_last_session_ended(
        self, channels: ChannelService, room: Any, frontends: FakeFrontends, left: list[Any]
    ) -> None:
        room.add("alice", "connector-1")
        room.add("alice", "connector-2")
        frontends.take()
        channels.gone("connector-1", "room", "alice")
        assert left == [("room", "alice", "connector-1", "closed")]
        assert room.sids("alice") == ["connector-2"]

    def test_a_report_that_crossed_a_join_ends_that_too(
        self, channels: ChannelService, room: Any, frontends: FakeFrontends
    ) -> None:
        """The frontend may have found a new session of the uid when the join arrived."""
        room.add("alice", "connector-1")
        room.leave("alice", "connector-1")
        room.add("alice", "connector-1")
        frontends.take()
        channels.gone("connector-1", "room", "alice")
        assert room.uids() == []
        assert frontends.take() == [("leave", "connector-1", "room", ["alice"])]

    def test_who_is_no_member_can_not_leave(
        self, channels: ChannelService, room: Any, left: list[Any]
    ) -> None:
        room.add("alice", "connector-1")
        channels.gone("connector-2", "room", "alice")
        channels.gone("connector-1", "room", "bob")
        channels.gone("connector-1", "hall", "alice")
        assert (left, room.uids()) == ([], ["alice"])

    def test_a_hook_may_push_to_who_is_left(
        self, channels: ChannelService, room: Any, frontends: FakeFrontends
    ) -> None:
        channels.on_left(lambda channel, uid, sid, reason: channel.push("onLeave", {"user": uid}))
        room.add("alice", "connector-1")
        room.add("bob", "connector-2")
        frontends.take()
        channels.gone("connector-1", "room", "alice")
        assert [told[:4] for told in frontends.take() if told[0] == "push"] == [
            ("push", "connector-2", "room", "onLeave")
        ]

    def test_a_hook_is_there_once(
        self, channels: ChannelService, room: Any, left: list[Any]
    ) -> None:
        told: list[str] = []

        class Handler:
            def left(self, channel: IChannel, uid: str, sid: str, reason: str) -> None:
                told.append(uid)
                channels.on_left(self.left)
                channels.on_left(lambda *about: self.left(*about))

        channels.on_left(Handler().left)
        room.add("alice", "connector-1")
        channels.gone("connector-1", "room", "alice")
        assert told == ["alice"]
        with pytest.raises(TypeError, match="the hook of on_left is a function, not 5"):
            channels.on_left(5)

    def test_a_hook_may_fill_or_destroy_the_channel(
        self, channels: ChannelService, room: Any, left: list[Any]
    ) -> None:
        def bring_in(channel: IChannel, uid: str, sid: str, reason: str) -> None:
            if uid == "alice":
                channel.add("robot", "lobby-1")
            else:
                channel.destroy()

        channels.on_left(bring_in)
        room.add("alice", "connector-1")
        channels.gone("connector-1", "room", "alice")
        assert (room.uids(), channels.names()) == (["robot"], ["room"])
        room.add("bob", "connector-1")
        channels.gone("lobby-1", "room", "robot")
        assert (room.uids(), channels.names()) == ([], [])

    @pytest.mark.logs_failures
    def test_a_failing_hook_is_logged_and_the_others_are_called(
        self, channels: ChannelService, room: Any, log: Log
    ) -> None:
        waiting: Deferred[None] = Deferred()

        def fails(*args: Any) -> None:
            raise ValueError("at once")

        async def fails_later(*args: Any) -> None:
            await waiting
            raise ValueError("later")

        channels.on_left(fails)
        channels.on_left(fails_later)
        told: list[Any] = []
        channels.on_left(lambda *args: told.append(args))
        room.add("alice", "connector-1")
        channels.gone("connector-1", "room", "alice")
        assert len(told) == 1
        assert channels.names() == []
        waiting.callback(None)
        assert [str(problem) for problem in log.failures()] == ["at once", "later"]
        assert "on_left hook of channel room" in log.text()


class TestLosingAFrontend:
    def test_its_members_stay_for_ten_seconds(
        self, channels: ChannelService, room: Any, clock: Clock, left: list[Any]
    ) -> None:
        hall = channels.get("hall", create=True)
        assert hall is not None
        room.add("alice", "connector-1")
        room.add("bob", "connector-2")
        hall.add("alice", "connector-1")
        channels.frontend_down("connector-1")
        clock.advance(9.9)
        assert (left, "alice" in room) == ([], True)
        clock.advance(0.1)
        assert sorted(left) == [
            ("hall", "alice", "connector-1", "frontend lost"),
            ("room", "alice", "connector-1", "frontend lost"),
        ]
        assert (room.uids(), channels.names()) == (["bob"], ["room"])

    def test_a_frontend_that_comes_back_in_time_is_told_everything_anew(
        self,
        channels: ChannelService,
        room: Any,
        frontends: FakeFrontends,
        clock: Clock,
        left: list[Any],
    ) -> None:
        hall = channels.get("hall", create=True)
        assert hall is not None
        room.add("alice", "connector-1")
        room.add("bob", "connector-1")
        room.add("carol", "connector-2")
        hall.add("carol", "connector-2")
        frontends.down.add("connector-1")
        channels.frontend_down("connector-1")
        clock.advance(9)
        room.leave("bob", "connector-1")
        room.add("dave", "connector-1")
        frontends.down.clear()
        frontends.take()
        channels.frontend_up("connector-1", "first")
        assert frontends.take() == [
            ("renew", "connector-1"),
            ("join", "connector-1", "room", ["alice", "dave"]),
        ]
        clock.advance(60)
        assert (left, len(room)) == ([], 3)

    def test_nothing_is_adopted_after_a_flap(self, channels: ChannelService, room: Any) -> None:
        room.add("alice", "connector-1")
        channels.frontend_down("connector-1")
        room.leave("alice", "connector-1")
        channels.frontend_up("connector-1", "first")
        channels.offered("connector-1", "room", ["alice"])
        channels.offers_done("connector-1")
        assert (room.uids(), channels.names()) == ([], [])

    def test_who_was_given_up_is_told_when_the_frontend_is_back(
        self,
        channels: ChannelService,
        room: Any,
        frontends: FakeFrontends,
        clock: Clock,
    ) -> None:
        room.add("alice", "connector-1")
        room.add("bob", "connector-1")
        room.add("carol", "connector-2")
        channels.frontend_down("connector-1")
        clock.advance(10)
        frontends.take()
        channels.frontend_up("connector-1", "first")
        assert frontends.take() == [
            ("forget", "connector-1", ["alice", "bob"]),
            ("renew", "connector-1"),
        ]
        channels.frontend_down("connector-1")
        channels.frontend_up("connector-1", "first")
        assert frontends.take() == [  # the first may have been lost with the link
            ("forget", "connector-1", ["alice", "bob"]),
            ("renew", "connector-1"),
        ]
        frontends.forgetting.pop()()
        channels.frontend_down("connector-1")
        channels.frontend_up("connector-1", "first")
        assert frontends.take() == [("renew", "connector-1")]

    def test_who_was_given_up_is_not_taken_back_because_views_change(
        self,
        channels: ChannelService,
        room: Any,
        frontends: FakeFrontends,
        clock: Clock,
        left: list[Any],
    ) -> None:
        """The offer has crossed what the frontend is asked to forget."""
        room.add("alice", "connector-1")
        channels.frontend_down("connector-1")
        clock.advance(10)
        channels.frontend_up("connector-1", "first")
        channels.offered("connector-1", "room", ["alice"], moved=True)
        assert room.uids() == []
        frontends.forgetting.pop()()
        channels.offered("connector-1", "room", ["alice"], moved=True)  # of another session
        assert room.uids() == ["alice"]
        assert len(left) == 1

    def test_who_was_given_up_is_told_by_the_next_owner_as_well(
        self,
        channels: ChannelService,
        room: Any,
        frontends: FakeFrontends,
        clock: Clock,
        left: list[Any],
    ) -> None:
        """The frontend has not been back when the channel moves."""
        room.add("alice", "connector-1")
        channels.frontend_down("connector-1")
        clock.advance(10)
        assert channels.given_up() == [("connector-1", ["alice"])]

        after = FakeFrontends("connector-1")
        others = ChannelService(frontends=after, clock=clock)
        others.frontend_up("connector-1", "first")
        arriving = Arriving()
        arriving.offers = {"connector-1": {"alice": None, "bob": None}}
        for frontend, uids in channels.given_up():
            arriving.give_up(frontend, uids)
        others.arrive("room", arriving, lambda frontend: True)
        assert after.take() == [
            ("forget", "connector-1", ["alice"]),
            ("join", "connector-1", "room", ["bob"]),
        ]
        assert others.given_up() == [("connector-1", ["alice"])]
        after.forgetting.pop()()
        assert others.given_up() == []
        assert len(left) == 1
        others.stop()

    def test_who_was_given_up_and_has_come_in_anew_is_a_member(
        self, channels: ChannelService, room: Any, frontends: FakeFrontends, clock: Clock
    ) -> None:
        room.add("alice", "connector-1")
        room.add("bob", "connector-1")
        channels.frontend_down("connector-1")
        clock.advance(10)
        channels.frontend_up("connector-1", "first")
        room.add("alice", "connector-1")
        channels.offered("connector-1", "room", ["alice", "bob"], moved=True)
        assert room.uids() == ["alice"]

    def test_who_has_gone_before_being_offered_is_told_as_left_and_no_member(
        self, channels: ChannelService, room: Any, frontends: FakeFrontends, left: list[Any]
    ) -> None:
        """The frontend offers those, too, of whom it has yet to hear that this is known."""
        room.add("eve", "connector-2")
        channels.frontend_up("connector-1", "second")
        channels.gone("connector-1", "room", "alice")
        assert left == []
        for _ in range(2):
            channels.offered("connector-1", "room", ["alice", "bob"])
        channels.gone("connector-1", "room", "bob")
        channels.offered("connector-1", "room", ["bob"])
        assert [uid for _, uid, _, _ in left] == ["alice", "bob"]
        room.add("alice", "connector-1")
        channels.offered("connector-1", "room", ["alice"])
        channels.offers_done("connector-1")
        assert room.uids() == ["eve", "alice"]
        assert len(left) == 2

    def test_who_is_offered_by_an_old_move_and_is_no_member_is_told_to_have_left(
        self, channels: ChannelService, room: Any, frontends: FakeFrontends
    ) -> None:
        """The link was lost with what the frontend was told before."""
        room.add("alice", "connector-1")
        frontends.take()
        channels.offered("connector-1", "room", ["alice", "bob"], settled=True)
        channels.offered("connector-1", "room", ["alice"], settled=True)
        channels.offered("connector-1", "room", ["eve"])
        assert frontends.take() == [("leave", "connector-1", "room", ["bob"])]
        assert room.uids() == ["alice"]

    def test_a_frontend_that_started_anew_holds_nobody(
        self,
        channels: ChannelService,
        room: Any,
        frontends: FakeFrontends,
        clock: Clock,
        left: list[Any],
    ) -> None:
        room.add("alice", "connector-1")
        room.add("bob", "connector-2")
        channels.frontend_down("connector-1")
        channels.frontend_up("connector-1", "second")
        assert left == [("room", "alice", "connector-1", "frontend restarted")]
        assert room.uids() == ["bob"]
        clock.advance(60)
        assert len(left) == 1

    def test_who_was_given_up_is_not_told_by_a_frontend_that_started_anew(
        self, channels: ChannelService, room: Any, frontends: FakeFrontends, clock: Clock
    ) -> None:
        room.add("alice", "connector-1")
        channels.frontend_down("connector-1")
        clock.advance(10)
        frontends.take()
        channels.frontend_up("connector-1", "second")
        channels.offers_done("connector-1")
        channels.frontend_down("connector-1")
        channels.frontend_up("connector-1", "second")
        assert frontends.take() == [("renew", "connector-1")]

    def test_who_comes_in_while_the_link_is_down_for_long_goes_after_ten_seconds(
        self,
        channels: ChannelService,
        room: Any,
        frontends: FakeFrontends,
        clock: Clock,
        left: list[Any],
    ) -> None:
        frontends.down.add("connector-1")
        channels.frontend_down("connector-1")
        clock.advance(11)
        room.add("alice", "connector-1")
        clock.advance(6)
        room.add("bob", "connector-1")
        clock.advance(4)
        assert sorted(told[1] for told in left) == ["alice", "bob"]
        assert channels.names() == []

    def test_two_frontends_at_once(
        self, channels: ChannelService, room: Any, clock: Clock, left: list[Any]
    ) -> None:
        room.add("alice", "connector-1")
        room.add("bob", "connector-2")
        channels.frontend_down("connector-1")
        clock.advance(5)
        channels.frontend_down("connector-2")
        clock.advance(5)
        assert room.uids() == ["bob"]
        clock.advance(5)
        assert room.uids() == []


class TestStarting:
    """A backend that starts may be one that crashed: the frontends hold its groups."""

    @pytest.fixture
    def channels(self, frontends: FakeFrontends, clock: Clock) -> Any:
        service = ChannelService(frontends=frontends, clock=clock)
        yield service
        service.stop()
        assert clock.getDelayedCalls() == []

    def test_adopts_what_frontends_hold(
        self, channels: ChannelService, frontends: FakeFrontends
    ) -> None:
        channels.frontend_up("connector-1", "first")
        channels.offered("connector-1", "room", ["alice", "bob"])
        channels.offered("connector-1", "hall", ["alice"])
        channels.offers_done("connector-1")
        channels.frontend_up("connector-2", "first")
        channels.offered("connector-2", "room", ["carol"])
        channels.offers_done("connector-2")
        room = channels.get("room")
        assert room is not None
        assert room.uids() == ["alice", "bob", "carol"]
        assert sorted(channels.names()) == ["hall", "room"]
        assert [told for told in frontends.take() if told[0] in ("renew", "leave")] == []

    def test_adopts_into_a_channel_that_somebody_holds(
        self, channels: ChannelService, room: Any
    ) -> None:
        channels.frontend_up("connector-1", "first")
        channels.offered("connector-1", "room", ["alice"])
        assert room.uids() == ["alice"]
        assert channels.get("room") is room

    def test_an_empty_offer_makes_no_channel(self, channels: ChannelService) -> None:
        channels.frontend_up("connector-1", "first")
        channels.offered("connector-1", "room", [])
        assert channels.names() == []

    def test_an_offer_that_crossed_a_leave_is_confirmed(
        self, channels: ChannelService, room: Any, frontends: FakeFrontends
    ) -> None:
        """The frontend has forgotten the member when the leave arrived."""
        channels.frontend_up("connector-1", "first")
        room.add("alice", "connector-1")
        room.leave("alice", "connector-1")
        frontends.take()
        channels.offered("connector-1", "room", ["alice"])
        assert room.uids() == ["alice"]
        assert frontends.take() == [("join", "connector-1", "room", ["alice"])]

    def test_nothing_is_adopted_once_the_offers_are_done(self, channels: ChannelService) -> None:
        channels.frontend_up("connector-1", "first")
        channels.offers_done("connector-1")
        channels.offered("connector-1", "room", ["alice"])
        assert channels.names() == []

    def test_who_went_between_offer_and_now(
        self, channels: ChannelService, left: list[Any]
    ) -> None:
        channels.frontend_up("connector-1", "first")
        channels.offered("connector-1", "room", ["alice"])
        channels.offers_done("connector-1")
        channels.gone("connector-1", "room", "alice")
        assert left == [("room", "alice", "connector-1", "closed")]
        assert channels.names() == []

    def test_who_was_added_before_the_frontend_was_there_is_told_to_it(
        self, channels: ChannelService, room: Any, frontends: FakeFrontends
    ) -> None:
        frontends.down.add("connector-1")
        room.add("alice", "connector-1")
        frontends.down.clear()
        channels.frontend_up("connector-1", "first")
        channels.offers_done("connector-1")
        assert ("join", "connector-1", "room", ["alice"]) in frontends.take()
        assert room.uids() == ["alice"]

    def test_who_was_added_to_a_frontend_that_never_comes_goes_after_ten_seconds(
        self,
        channels: ChannelService,
        room: Any,
        frontends: FakeFrontends,
        clock: Clock,
        left: list[Any],
    ) -> None:
        frontends.down.add("connector-1")
        room.add("alice", "connector-1")
        clock.advance(10)
        assert left == [("room", "alice", "connector-1", "frontend lost")]

    def test_a_link_that_is_lost_while_it_offers_begins_again(
        self, channels: ChannelService, clock: Clock, left: list[Any]
    ) -> None:
        channels.frontend_up("connector-1", "first")
        channels.offered("connector-1", "hall", ["alice"])
        channels.frontend_down("connector-1")
        channels.frontend_up("connector-1", "first")
        channels.offered("connector-1", "hall", ["alice"])
        channels.offered("connector-1", "room", ["alice", "bob"])
        channels.offers_done("connector-1")
        clock.advance(60)
        room = channels.get("room")
        assert room is not None
        assert room.uids() == ["alice", "bob"]
        assert left == []
