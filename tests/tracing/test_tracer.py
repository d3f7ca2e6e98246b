"""Which messages are followed, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.task import Clock

from chatcore.tracing import OFF, Span, Tracer, TracingSettings
from chatcore.tracing.arming import LONGEST_SECONDS, MOST_ARMED, MOST_COUNT
from chatcore.tracing.spans import MOST_MEMBERS
from chatcore.tracing.store import MOST_OF_ONE
from chatcore.tracing.traceparent import TraceParent, new_span, new_trace
from chatcore.tracing.tracer import LINGER_SECONDS, REACH_SECONDS

CLIENT = TraceParent(new_trace(), new_span())


class Following:
    """A tracer whose time stands still."""

    def __init__(self, chance: Callable[[], float] = lambda: 0.5, **settings: Any) -> None:
        self.clock = Clock()
        self.tracer = Tracer(
            node="front-1",
            settings=TracingSettings(**settings),
            clock=self.clock.seconds,
            now=lambda: round(self.clock.seconds() * 1_000_000),
            chance=chance,
        )

    def arm(self, word: str = "*", *, id: str = "a", count: int = 1, seconds: float = 10) -> Any:
        return self.tracer.arm(id=id, word=word, to="", count=count, seconds=seconds)

    def message(self, route: str = "chat.chatHandler.send", uid: str | None = "ann") -> Span | None:
        return self.tracer.message(route, uid, None)


class TestWhichAreFollowed:
    def test_those_of_a_route_and_those_of_a_uid(self) -> None:
        it = Following()
        it.arm("chat.*", id="a", count=2)
        it.arm("bob*room1", id="b", count=2)

        assert it.message("gate.gateHandler.ask", "ann") is None
        assert it.message("chat.chatHandler.send", "ann") is not None
        assert it.message("gate.gateHandler.ask", "bob*room1") is not None
        both = it.message("chat.chatHandler.send", "bob*room1")
        assert both is not None
        found = [it.tracer.armed(id) for id in "ab"]
        assert all(each is not None and each.found[-1] == (both.trace, both.id) for each in found)

    def test_why_it_is_told_and_for_whom_is_not(self) -> None:
        it = Following(sample=1.0)
        it.message()
        it.tracer.message("x.y.z", None, CLIENT)
        it.arm(id="5ecre7")
        it.message()
        kept = [each.to_value() for each in it.tracer.store.newest(9)]
        assert [each["why"] for each in kept] == [["sampled"], ["client"], ["asked"]]
        assert "5ecre7" not in str(kept)

    def test_so_many_and_so_long(self) -> None:
        it = Following()
        it.arm(count=2)
        assert [it.message() is None for _ in range(3)] == [False, False, True]
        it.arm(id="b", count=2)
        it.clock.advance(10)
        assert it.message() is None

    def test_no_more_than_so_many_a_second(self) -> None:
        it = Following(per_second=3)
        it.arm(count=100)
        assert sum(it.message() is not None for _ in range(10)) == 3
        it.clock.advance(1)
        assert sum(it.message() is not None for _ in range(10)) == 3

    def test_what_clients_name_keeps_nobody_from_finding(self) -> None:
        it = Following(per_second=3)
        assert sum(it.tracer.message("x.y.z", None, CLIENT) is not None for _ in range(9)) == 3
        it.arm("chat.*")
        assert it.message() is not None

    def test_few_look_at_the_same_time(self) -> None:
        it = Following()
        assert [it.arm(id=f"{n}") for n in range(MOST_ARMED)] == [None] * MOST_ARMED
        assert "already" in it.arm(id="more")
        it.tracer.disarm("3")
        assert it.arm(id="more") is None

    @pytest.mark.parametrize(
        "given",
        [
            {"count": 0},
            {"count": MOST_COUNT + 1},
            {"seconds": 0},
            {"seconds": LONGEST_SECONDS + 1},
            {"word": ""},
            {"word": "x" * 2000},
            {"id": "x" * 2000},
        ],
    )
    def test_what_makes_no_sense(self, given: dict[str, Any]) -> None:
        it = Following()
        assert it.arm(given.pop("word", "*"), **given)
        assert not it.tracer.active

    def test_by_chance(self) -> None:
        numbers = iter([0.3, 0.05, 0.1, 0.0])
        it = Following(chance=lambda: next(numbers), sample=0.1)
        assert it.tracer.active
        assert [it.message() is None for _ in range(4)] == [True, False, True, False]

    def test_those_of_clients_that_are_recorded_themselves(self) -> None:
        it = Following()
        span = it.tracer.message("a.b.c", None, CLIENT)
        assert span is not None
        assert (span.trace, span.parent) == (CLIENT.trace, CLIENT.span)
        assert it.tracer.message("a.b.c", None, CLIENT._replace(flags=0)) is None

    def test_nothing_is_active_where_nothing_is_followed(self) -> None:
        it = Following()
        assert not it.tracer.active
        it.arm()
        it.message()
        assert it.tracer.active
        it.clock.advance(LINGER_SECONDS - 1)
        it.tracer.current()
        assert it.tracer.active
        it.clock.advance(1)
        assert it.tracer.current() is None
        assert not it.tracer.active

    def test_what_came_with_a_trace(self) -> None:
        it = Following()
        assert it.tracer.came(b"nonsense", "a.b.c", "handler") is None
        assert not it.tracer.active
        span = it.tracer.came(str(CLIENT).encode(), "a.b.c", "handler")
        assert span is not None and it.tracer.active
        assert (span.trace, span.parent) == (CLIENT.trace, CLIENT.span)
        assert OFF.came(str(CLIENT).encode(), "a.b.c", "handler") is None

    def test_what_goes_on_for_ever_belongs_to_it_for_a_while(self) -> None:
        it = Following()
        it.arm()
        span = it.message()
        assert span is not None
        it.clock.advance(REACH_SECONDS)
        assert it.tracer.within(span, it.tracer.current) is span
        it.clock.advance(1)
        assert it.tracer.within(span, it.tracer.current) is None
        assert it.tracer.within(span, it.tracer.push, "onTick", ["ann"]) is None
        assert not it.tracer.active

    def test_several_nodes_in_a_process(self) -> None:
        one, other = Following(), Following()
        one.arm()
        span = one.message()
        assert one.tracer.within(span, one.tracer.current) is span
        assert one.tracer.within(span, other.tracer.current) is None
        assert one.tracer.current() is None


class TestWhatIsKept:
    def many(self, it: Following, count: int, fail: int = 0) -> list[Span]:
        made = []
        for number in range(count):
            it.clock.advance(1)
            it.arm(id=f"{number}")
            span = it.message()
            assert span is not None
            span.finish("failed" if number < fail else None)
            made.append(span)
        return made

    def test_the_oldest_go_first(self) -> None:
        it = Following(keep=100)
        made = self.many(it, 150)
        store = it.tracer.store
        assert (store.spans, len(store), store.forgotten) == (100, 100, 50)
        assert store.get(made[49].trace) is None and store.get(made[50].trace) is not None
        assert [kept.id for kept in store.newest(2)] == [made[149].trace, made[148].trace]

    def test_those_that_failed_stay_longer(self) -> None:
        it = Following(keep=100)
        made = self.many(it, 150, fail=10)
        assert all(it.tracer.store.get(span.trace) is not None for span in made[:10])
        self.many(it, 500, fail=500)
        assert it.tracer.store.spans == 100

    def test_bytes(self) -> None:
        it = Following(keep_bytes=65536)
        self.many(it, 300)
        assert it.tracer.store.bytes <= 65536
        assert it.tracer.store.bytes == sum(kept.size for kept in it.tracer.store.newest(1000))

    def test_of_one_trace(self) -> None:
        it = Following()
        (top,) = self.many(it, 1)
        for _ in range(2 * MOST_OF_ONE):
            last = top.child("a.b", "call")
        kept = it.tracer.store.get(top.trace)
        assert kept is not None
        assert (len(kept.spans), kept.left_out) == (MOST_OF_ONE, MOST_OF_ONE + 1)
        assert kept.spans[-1] is last

    def test_members(self) -> None:
        it = Following()
        (top,) = self.many(it, 1)
        delivery = top.delivery("onChat")
        fates = [delivery.fate(f"u{n}", n) for n in range(MOST_MEMBERS + 10)]
        delivery.sent()
        assert [fate is None for fate in fates[-11:]] == [False] + [True] * 10
        assert (len(delivery.fates), delivery.others, delivery.end) == (MOST_MEMBERS, 10, None)
        for fate in fates:
            if fate is not None:
                fate.left()
                fate.lost("gone")
        assert delivery.end is not None
        assert {fate.outcome for fate in delivery.fates} == {"written"}

    def test_members_of_a_small_store(self) -> None:
        it = Following(keep_bytes=65536)
        (top,) = self.many(it, 1)
        delivery = top.delivery("onChat")
        for number in range(1000):
            delivery.fate("u" * 1000, number)
        assert delivery.others > 950
        assert it.tracer.store.bytes <= 65536
