"""One story of what all nodes have noted, where their clocks differ and some say nothing."""

from __future__ import annotations

import io
from typing import Any

from cli.clusters import Terminal

from chatcore.cli.inspect.story import Story, tops
from chatcore.cli.inspect.telling import tell
from chatcore.cli.output import Output

START = 1_700_000_000_000_000


def span(id: str, parent: str, kind: str, node: str, at: int, took: int | None, **more: Any) -> Any:
    """A span.

    Args:
        at: milliseconds after the beginning, as the clock of its node has it.
        took: milliseconds.
    """
    return {
        "trace": "t",
        "span": id,
        "parent": parent,
        "node": node,
        "name": more.pop("name", "chat.chatHandler.send"),
        "kind": kind,
        "start": START + at * 1000,
        "end": None if took is None else START + (at + took) * 1000,
        "reason": more.pop("reason", None),
        "error": more.pop("error", None),
        "attributes": more.pop("attributes", {}),
        **more,
    }


def story(skew: int = 0, *, handler: int | None = 5, **about: Any) -> list[Any]:
    """A request that was forwarded to a backend whose clock is so many milliseconds ahead."""
    what = {"what": "request", "uid": "ann", **about}
    return [
        span("m", "client", "message", "front-1", 0, 12, attributes=what),
        span("r", "m", "received", "front-1", 0, 1),
        span("f", "m", "forward", "front-1", 1, 9, attributes={"server": "chat-1"}),
        span("h", "f", "handler", "chat-1", 3 + skew, handler),
        span("a", "m", "answer", "front-1", 10, 2),
    ]


def told(story: Story) -> list[str]:
    out = Terminal()
    tell(Output(out, io.StringIO()), story)
    return out.getvalue().splitlines()


class TestClocks:
    def test_that_agree(self) -> None:
        lines = told(Story("t", story()))
        assert lines[0].endswith("answered after 12.0 ms (trace t)")
        assert [line[:11] for line in lines[1:]] == [
            "     0.0 ms",
            "     0.0 ms",
            "     1.0 ms",
            "     3.0 ms",
            "    10.0 ms",
        ]
        # Of nine milliseconds, the handler took five.
        assert lines[3].endswith("forward to chat-1, 9.0 ms, 4.0 ms of it on the way")

    def test_one_that_is_behind(self) -> None:
        lines = told(Story("t", story(-1000)))
        assert sum(line.startswith("       ~ ms  chat-1") for line in lines) == 1
        assert lines[0].endswith("answered after 12.0 ms (trace t)")
        assert any(line.endswith("4.0 ms of it on the way") for line in lines)

    def test_durations_that_can_not_be(self) -> None:
        lines = told(Story("t", story(handler=20)))
        assert not any("on the way" in line for line in lines)


class TestWhatIsNotSaid:
    def test_a_handler_that_is_under_way(self) -> None:
        found = Story("t", story(handler=None))
        assert (found.is_under_way, found.is_complete) == (True, False)

    def test_nobody_took_it(self) -> None:
        found = Story("t", [each for each in story() if each["span"] != "h"])
        assert (found.is_under_way, found.is_complete) == (False, False)
        assert found.outcome == "answered"

    def test_a_frontend_that_is_silent(self) -> None:
        about = {
            "frontends": {"front-1": "sent", "front-2": "link lost"},
            "members": {"front-1": ["ann"], "front-2": ["bob"]},
            "count": 2,
        }
        push = span("p", "h", "push", "chat-1", 4, 0, name="onChat", attributes=about)
        found = Story("t", [*story(), push])
        assert [(each.uid, each.outcome, each.why) for each in found.members] == [
            ("ann", "unknown", "front-1 has not told of it"),
            ("bob", "link lost", ""),
        ]
        assert not found.is_complete
        assert told(found)[-3:] == [
            "delivered to 0 of 2 members; not to:",
            "  ann at front-1: unknown (front-1 has not told of it)",
            "  bob at front-2: link lost",
        ]

    def test_members_beyond_those_that_are_named(self) -> None:
        about = {"frontends": {"front-1": "sent"}, "members": {"front-1": ["ann"]}, "count": 3}
        push = span("p", "h", "push", "chat-1", 4, 0, name="onChat", attributes=about)
        members = [["ann", 1, "written", START + 5000, 0, ""]]
        deliver = span(
            "d", "p", "deliver", "front-1", 5, 1, name="onChat", members=members, others=2
        )
        found = Story("t", [*story(), push, deliver])
        assert found.is_complete
        assert told(found)[-1] == (
            "delivered to 1 of 1 member, and 2 more that nobody tells of one by one"
        )

    def test_nothing(self) -> None:
        assert told(Story("t", [])) == ["trace t: nothing is known of it"]
        assert Story("t", []).to_value()["route"] is None


def test_several_messages_of_one_trace() -> None:
    second = [
        {**each, "span": f"{each['span']}2", "parent": f"{each['parent']}2"} for each in story()
    ]
    second[0]["parent"] = "client"
    every = [*story(), *second]
    assert [each["span"] for each in tops(every)] == ["m", "m2"]
    found = Story("t", every, "m2")
    assert {each["span"] for each in found.spans} == {"m2", "r2", "f2", "h2", "a2"}
