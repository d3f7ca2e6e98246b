"""Calls over a link, and how each of them ends."""

from __future__ import annotations

from typing import Any

import pytest

from chatcore.errors import (
    CallTimedOut,
    LinkLost,
    NotConnected,
    RemoteRaised,
    RemoteRefused,
    RpcError,
)
from chatcore.links.link import Link
from chatcore.wire.box import END, Box, item, join

from .wiring import NOTE, Call, Log, Net, Node, note


class Answering:
    """What node b does with the commands of these tests."""

    def __init__(self) -> None:
        self.kept: list[tuple[Link, bytes]] = []

    def echo(self, link: Link, box: Box, ask: bytes | None) -> None:
        value = join(box, b"value")
        if ask is not None:
            link.answer(ask, item(b"value", value))

    def keep(self, link: Link, box: Box, ask: bytes | None) -> None:
        assert ask is not None
        self.kept.append((link, ask))

    def refuse(self, link: Link, box: Box, ask: bytes | None) -> None:
        code, why = box[b"code"], box[b"why"].decode()
        if ask is not None:
            link.refuse(ask, code, why)

    def write(self, link: Link, box: Box, ask: bytes | None) -> None:
        assert ask is not None
        link.write(item(b"_error", ask) + box[b"more"] + END)

    def fail(self, link: Link, box: Box, ask: bytes | None) -> None:
        raise ValueError("a responder that raises")


@pytest.fixture
def answering() -> Answering:
    return Answering()


@pytest.fixture
def b(net: Net, answering: Answering) -> Node:
    return Node(
        net,
        "b",
        ["a"],
        responders={
            b"Echo": answering.echo,
            b"Keep": answering.keep,
            b"Refuse": answering.refuse,
            b"Write": answering.write,
            b"Fail": answering.fail,
        },
    )


@pytest.fixture
def a(net: Net, b: Node) -> Node:
    a = Node(net, "a", ["b"])
    a.table.startService()
    net.settle()
    return a


ECHO = item(b"_command", b"Echo")
KEEP = item(b"_command", b"Keep")


def refusing(code: bytes, why: str) -> bytes:
    return item(b"_command", b"Refuse") + item(b"code", code) + item(b"why", why.encode())


def still_works(net: Net, a: Node) -> bool:
    call = a.ask("b", ECHO + item(b"value", b"still here"))
    net.settle()
    return call.box[b"value"] == b"still here" and not a.downs


def test_an_answer_comes_back(net: Net, a: Node) -> None:
    call = a.ask("b", ECHO + item(b"value", b"hello"))
    assert call.ended == []
    net.settle()
    assert call.box[b"value"] == b"hello"
    assert a.counters.calls_failed == 0


def test_both_sides_may_call(net: Net, a: Node, b: Node) -> None:
    calls = [a.ask("b", NOTE), b.ask("a", NOTE), b.ask("a", NOTE)]
    net.settle()
    assert all(call.box for call in calls)
    assert (len(a.heard), len(b.heard)) == (2, 1)


@pytest.mark.parametrize("size", [65_535, 65_536, 131_070, 1_000_000])
def test_large_values_cross(net: Net, a: Node, size: int) -> None:
    value = bytes(range(256)) * (size // 256 + 1)
    call = a.ask("b", ECHO + item(b"value", value[:size]))
    net.settle()
    assert join(call.box, b"value") == value[:size]


def test_answers_go_to_the_calls_they_belong_to(net: Net, a: Node, answering: Answering) -> None:
    calls = [a.ask("b", KEEP) for _ in range(20)]
    net.settle()
    for number, (link, ask) in reversed(list(enumerate(answering.kept))):
        link.answer(ask, item(b"value", b"%d" % number))
    net.settle()
    assert [call.box[b"value"] for call in calls] == [b"%d" % number for number in range(20)]


def test_what_the_remote_raised(net: Net, a: Node) -> None:
    call = a.ask("b", refusing(b"RAISED", "e7f0 ValueError('no')"))
    net.settle()
    problem = call.problem
    assert isinstance(problem, RemoteRaised)
    assert problem.error_id == "e7f0"
    assert (problem.server, problem.call) == ("b", "a call")
    assert str(problem) == "a call on b: the remote raised ValueError('no')"
    assert a.counters.calls_failed == 1


@pytest.mark.parametrize("code", [b"REFUSED", b"UNKNOWN", b"SOMETHING NEW"])
def test_what_the_remote_refused(net: Net, a: Node, code: bytes) -> None:
    call = a.ask("b", refusing(code, "it is late"))
    net.settle()
    assert isinstance(call.problem, RemoteRefused)
    assert code.decode() in str(call.problem)
    assert "it is late" in str(call.problem)
    assert a.counters.calls_failed == 1


@pytest.mark.parametrize(
    "more",
    [
        b"",
        item(b"_error_code", b"\xff\xfe"),
        item(b"_error_description", b"\xff"),
        item(b"_error_code", b"RAISED"),
        item(b"_error_code", b"RAISED") + item(b"_error_description", b"\xff\xff"),
    ],
)
def test_an_error_that_is_hardly_one_still_ends_the_call(net: Net, a: Node, more: bytes) -> None:
    call = a.ask("b", item(b"_command", b"Write") + item(b"more", more))
    net.settle()
    assert isinstance(call.problem, RemoteRaised | RemoteRefused)
    assert still_works(net, a)


def test_long_and_broken_descriptions_are_sent_all_the_same(net: Net, a: Node, b: Node) -> None:
    def refuse(link: Link, box: Box, ask: bytes | None) -> None:
        assert ask is not None
        link.refuse(ask, b"REFUSED", "中\ud800" * 100_000)

    call = Call()
    b.table._parts.responders[b"Odd"] = refuse
    a.link("b").ask(item(b"_command", b"Odd"), call, "odd")
    net.settle()
    assert "中?中" in str(call.problem)
    assert len(str(call.problem)) < 2000


def test_no_answer_within_the_deadline(net: Net, a: Node, answering: Answering) -> None:
    call = a.ask("b", KEEP)
    net.pass_time(7.75)
    assert call.ended == []
    net.pass_time(0.25)
    assert isinstance(call.problem, CallTimedOut)
    assert a.counters.calls_failed == 1
    # The answer that comes after all belongs to nobody.
    ((link, ask),) = answering.kept
    link.answer(ask, item(b"value", b"late"))
    net.settle()
    assert len(call.ended) == 1
    assert still_works(net, a)


def test_deadlines_of_different_lengths(net: Net, a: Node) -> None:
    long, short, usual = a.ask("b", KEEP, 30), a.ask("b", KEEP, 1), a.ask("b", KEEP)
    again = a.ask("b", KEEP, 1)
    ended = []
    for second in range(1, 31):
        net.pass_time(1)
        for name, call in {"long": long, "short": short, "usual": usual, "again": again}.items():
            if call.ended and name not in [known for _, known in ended]:
                assert isinstance(call.problem, CallTimedOut)
                ended.append((second, name))
    assert ended == [(1, "short"), (1, "again"), (8, "usual"), (30, "long")]


def test_an_answered_call_has_no_deadline_any_more(net: Net, a: Node) -> None:
    calls = [a.ask("b", NOTE), a.ask("b", NOTE, 1)]
    net.pass_time(20)
    assert all(call.box for call in calls)


@pytest.mark.parametrize("side", ["mine", "theirs"])
def test_calls_under_way_when_the_link_is_lost(net: Net, a: Node, b: Node, side: str) -> None:
    link = a.link("b")
    calls = [a.ask("b", KEEP), a.ask("b", KEEP, 60)]
    backwards = b.ask("a", NOTE)
    net.freeze(a.wire("b"))
    (a.wire("b") if side == "mine" else b.wire("a")).abortConnection()
    net.thaw()
    net.settle()
    for call in (*calls, backwards):
        assert isinstance(call.problem, LinkLost)
    assert a.counters.calls_failed == 2
    after = Call()
    link.ask(NOTE, after, "a call")
    assert isinstance(after.problem, NotConnected)
    assert a.counters.calls_failed == 3
    net.pass_time(60)
    assert all(len(call.ended) == 1 for call in calls)


def test_who_is_told_of_a_loss_may_call_again(net: Net, a: Node) -> None:
    link, again = a.link("b"), Call()
    link.ask(KEEP, lambda box, problem: link.ask(KEEP, again, "again"), "first")
    net.settle()
    a.wire("b").abortConnection()
    net.settle()
    assert isinstance(again.problem, NotConnected)


def test_an_unknown_command_is_refused(net: Net, a: Node, b: Node) -> None:
    call = a.ask("b", item(b"_command", b"Nonsense\xff"))
    net.settle()
    assert isinstance(call.problem, RemoteRefused)
    assert "UNHANDLED" in str(call.problem)
    assert "there is no command Nonsense" in str(call.problem)
    assert still_works(net, a)


def test_an_unknown_command_that_wants_no_answer_gets_none(net: Net, a: Node, b: Node) -> None:
    before = len(b.wire("a").writes)
    a.link("b").write(item(b"_command", b"Nonsense") + END)
    net.settle()
    assert len(b.wire("a").writes) == before
    assert still_works(net, a)


@pytest.mark.logs_failures
@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (item(b"_command", b"Fail"), ValueError),
        (ECHO, KeyError),
        (refusing(b"X", "y")[:-1] + b"\xff", UnicodeDecodeError),
    ],
    ids=["it raises", "a key is missing", "a text is none"],
)
def test_a_responder_that_raises_costs_one_answer(
    net: Net, a: Node, log: Log, payload: bytes, kind: type[Exception]
) -> None:
    other = a.ask("b", KEEP)
    call = a.ask("b", payload)
    a.link("b").write(payload + END)
    net.settle()
    assert isinstance(call.problem, RemoteRefused)
    assert "a bad box" in str(call.problem)
    assert [type(each) for each in log.failures] == [kind, kind]
    assert other.ended == []
    assert still_works(net, a)


@pytest.mark.logs_failures
@pytest.mark.parametrize("how", ["answered", "refused", "timed out", "lost"])
def test_a_caller_that_raises_costs_nobody_else(net: Net, a: Node, log: Log, how: str) -> None:
    def raises(box: Any, problem: Any) -> None:
        raise ValueError("a caller that raises")

    payload = {"answered": NOTE, "refused": refusing(b"REFUSED", "")}.get(how, KEEP)
    a.link("b").ask(payload, raises, "bad", 5)
    beside = a.ask("b", KEEP, 5)
    later = a.ask("b", KEEP, 6)
    net.settle()
    if how == "lost":
        a.wire("b").abortConnection()
        net.settle()
        assert isinstance(beside.problem, LinkLost)
        assert len(a.downs) == 1
    else:
        net.pass_time(6)
        assert isinstance(beside.problem, CallTimedOut)
        assert isinstance(later.problem, CallTimedOut)
        assert still_works(net, a)
    assert [type(each) for each in log.failures] == [ValueError]


@pytest.mark.parametrize(
    "box",
    [{b"_answer": b"77"}, {b"_answer": b""}, {b"_error": b"1"}, {b"x": b"y"}, {b"_ask": b"5"}],
    ids=str,
)
def test_boxes_that_belong_to_no_call_are_ignored(net: Net, a: Node, b: Node, box: Box) -> None:
    call = a.ask("b", KEEP)
    b.link("a").write(b"".join(item(*pair) for pair in box.items()) + END)
    net.settle()
    assert call.ended == []
    assert still_works(net, a)


def test_bytes_that_are_no_box_close_this_link_only(net: Net, log: Log) -> None:
    b = Node(net, "b", ["a", "aa"])
    a, beside = Node(net, "a", ["b"]), Node(net, "aa", ["b"])
    for node in (a, beside):
        node.table.startService()
    net.settle()
    a.link("b").write(END)
    net.settle()
    assert any("<link to a> is closed: an empty box" in text for text in log.texts)
    assert [link.peer for link in b.downs] == ["a"]
    assert len(a.downs) == 1
    call = beside.ask("b", NOTE)
    net.settle()
    assert call.box
    assert beside.downs == []


def test_a_proven_link_takes_boxes_up_to_its_limit(net: Net, log: Log) -> None:
    a = Node(net, "a", ["b"])
    b = Node(net, "b", ["a"], box_bytes=70_000)
    a.table.startService()
    net.settle()
    a.link("b").write(note(bytes(69_000)))
    net.settle()
    assert len(b.heard) == 1
    a.link("b").write(note(bytes(70_000)))
    net.settle()
    assert len(b.heard) == 1
    assert len(b.downs) == 1
    assert any("more than 70000 bytes" in text for text in log.texts)


def test_what_is_sent_arrives_in_order(net: Net, a: Node, b: Node) -> None:
    for number in range(300):
        if number % 3:
            a.link("b").write(note(b"%d" % number))
        else:
            a.ask("b", NOTE + item(b"text", b"%d" % number))
        if number % 7 == 0:
            net.settle()
    net.settle()
    assert [int(box[b"text"]) for box in b.heard] == list(range(300))


def test_answers_and_pushes_keep_their_order(net: Net, a: Node, b: Node) -> None:
    seen: list[str] = []

    def act(link: Link, box: Box, ask: bytes | None) -> None:
        assert ask is not None
        link.write(note(b"pushed before the answer"))
        link.answer(ask, b"")
        link.write(note(b"pushed after it"))

    b.table._parts.responders[b"Act"] = act
    a.table._parts.responders[b"Note"] = lambda link, box, ask: seen.append(box[b"text"].decode())
    a.link("b").ask(item(b"_command", b"Act"), lambda box, problem: seen.append("answer"), "act")
    net.settle()
    assert seen == ["pushed before the answer", "answer", "pushed after it"]


def test_all_of_a_turn_is_one_write(net: Net, a: Node, b: Node) -> None:
    mine, theirs = a.wire("b"), b.wire("a")
    before = len(mine.writes), len(theirs.writes)
    calls = [a.ask("b", NOTE) for _ in range(100)]
    for number in range(100):
        a.link("b").write(note(b"%d" % number))
    assert len(mine.writes) == before[0]
    net.settle()
    assert len(mine.writes) == before[0] + 1
    assert len(theirs.writes) == before[1] + 1  # 100 answers
    assert len(b.heard) == 200
    assert all(call.box for call in calls)


def test_errors_say_what_was_called_and_where(net: Net, a: Node) -> None:
    call = Call()
    a.link("b").ask(KEEP, call, "chatRemote.add", 1)
    net.pass_time(1)
    problem = call.problem
    assert isinstance(problem, RpcError)
    assert str(problem) == "chatRemote.add on b: no answer within the deadline"


LIMIT = 70_000


@pytest.fixture
def narrow(net: Net, answering: Answering) -> tuple[Node, Node]:
    """Two nodes whose boxes may not be long."""
    responders = {b"Echo": answering.echo}
    a = Node(net, "a", ["b"], box_bytes=LIMIT)
    b = Node(net, "b", ["a"], box_bytes=LIMIT, responders=responders)
    a.table.startService()
    net.settle()
    return a, b


def around(total: int, payload: bytes, ask: bytes) -> bytes:
    """The payload with a value that makes its box as long as that, the end not counted."""
    value = total - len(item(b"_ask", ask) + payload + item(b"value", b"x" * 65_536)) + 65_536
    return payload + item(b"value", b"v" * value)


def test_a_call_as_long_as_a_box_may_be_passes(net: Net, narrow: tuple[Node, Node]) -> None:
    a, b = narrow
    call = a.ask("b", around(LIMIT, NOTE, b"3"))
    net.settle()
    assert call.box
    assert len(join(b.heard[0], b"value")) > 69_000


def test_a_call_that_is_longer_is_refused_here(net: Net, narrow: tuple[Node, Node]) -> None:
    a, b = narrow
    beside = a.ask("b", NOTE)
    call = a.ask("b", around(LIMIT + 1, NOTE, b"3"))
    assert isinstance(call.problem, RemoteRefused)
    assert "too many for a box" in str(call.problem)
    net.settle()
    assert beside.box
    assert len(b.heard) == 1
    assert a.downs == b.downs == []
    assert a.counters.calls_failed == 1


def test_an_answer_that_is_too_long_becomes_a_refusal(net: Net, narrow: tuple[Node, Node]) -> None:
    a, b = narrow

    def long(link: Link, box: Box, ask: bytes | None) -> None:
        assert ask is not None
        link.answer(ask, item(b"value", bytes(LIMIT)))

    b.table._parts.responders[b"Long"] = long
    call = a.ask("b", item(b"_command", b"Long"))
    net.settle()
    assert isinstance(call.problem, RemoteRefused)
    assert "an answer of 70" in str(call.problem)
    assert a.downs == b.downs == []
    assert still_works(net, a)
