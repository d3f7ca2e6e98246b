"""Administrators' links: who is one, what they may ask, and how much of it."""

from __future__ import annotations

from typing import Any

import pytest
from links.wiring import SECRET, MemoryEndpoint, Net, Node, link_up
from twisted.internet.defer import Deferred
from twisted.protocols import amp

from chatcore.admin import desk as desk_module
from chatcore.admin.desk import IDLE_SECONDS, Desk
from chatcore.admin.outcomes import BUSY, FAILED, LATE, LOST, REFUSED, STRANGER
from chatcore.admin.visit import Visit, visit
from chatcore.errors import AdminError
from chatcore.links.commands import Inspect, Order, Survey


class Host:
    """Is administered."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.waiting: list[Deferred[Any]] = []
        self.answer: Any = {"well": True}

    async def survey(self, seconds: float, *, alone: bool) -> Any:
        return await self._answer("survey", alone)

    async def inspect(
        self, question: str, id: str, given: Any, seconds: float, *, passes_on: bool, asker: Any
    ) -> Any:
        return await self._answer(question, id, given, seconds, passes_on)

    async def invoke(
        self, invocation: Any, id: str, seconds: float, *, passes_on: bool, asker: Any
    ) -> Any:
        return await self._answer(invocation, id, seconds, passes_on)

    async def order(
        self, what: str, id: str, seconds: float, *, passes_on: bool, asker: Any
    ) -> Any:
        return await self._answer(what, id, seconds, passes_on)

    async def _answer(self, *asked: Any) -> Any:
        self.asked.append(asked)
        if self.answer == "wait":
            self.waiting.append(Deferred())
            return await self.waiting[-1]
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Scene:
    """Node b is administered; a is its peer."""

    def __init__(self, net: Net) -> None:
        self.net, self.host = net, Host()
        self.a, self.b = Node(net, "a", ["b"]), Node(net, "b", ["a"])
        self.desk = Desk(host=self.host, counters=self.b.counters, clock=net.clock)
        self.b.table.admit(self.desk)
        self.a.table.startService()
        net.settle()

    def visit(self, id: str = "admin", to: str = "b", secret: bytes = SECRET) -> Deferred[Visit]:
        endpoint = MemoryEndpoint(self.net, "b")
        going = visit(endpoint, id=id, secret=secret, clock=self.net.clock, seconds=3, to=to)
        return Deferred.fromCoroutine(going)

    def arrive(self) -> Visit:
        return self.net.result(self.visit())

    def ask(self, coroutine: Any) -> Any:
        return self.net.result(_going(coroutine))

    def problem(self, asking: Any) -> AdminError:
        with pytest.raises(AdminError) as caught:
            self.net.result(asking if isinstance(asking, Deferred) else _going(asking))
        return caught.value


def _going(coroutine: Any) -> Deferred[Any]:
    return Deferred.fromCoroutine(coroutine)


@pytest.fixture
def scene(net: Net) -> Scene:
    return Scene(net)


def test_an_administrator_asks(scene: Scene) -> None:
    it = scene.arrive()

    assert it.peer == "b"
    assert scene.ask(it.survey(5)) == {"well": True}
    assert scene.ask(it.inspect("status", "c", {}, 2.5)) == {"well": True}
    assert scene.ask(it.order("drain", "c", 60)) == {"well": True}
    assert scene.host.asked == [
        ("survey", False), ("status", "c", {}, 2.5, True), ("drain", "c", 60.0, True)
    ]  # fmt: skip


def test_nobody_takes_an_administrator_for_a_node(scene: Scene) -> None:
    scene.arrive()

    assert [link.peer for link in scene.b.ups] == ["a"]
    assert scene.b.table.get("admin") is None
    assert scene.b.table.complete


def test_who_does_not_know_which_process_it_is_learns_it(scene: Scene) -> None:
    assert scene.net.result(scene.visit(to="")).peer == "b"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"id": "nadmin"}, "nobody of the id 'nadmin' is expected"),
        ({"to": "c"}, "looks for 'c'"),
        ({"secret": b"x" * 32}, "it does not know this cluster's secret"),
    ],
)
def test_who_is_not_let_in(scene: Scene, changes: dict[str, Any], says: str) -> None:
    problem = scene.problem(scene.visit(**changes))

    assert (problem.code, says in problem.problem) == (STRANGER, True)
    assert scene.host.asked == []


def test_an_administrator_may_ask_nothing_else(scene: Scene) -> None:
    """What nodes say to each other is none of its business, even if it tries."""
    stock = amp.AMP()
    link_up(scene.net, stock, "admin-by-hand", "b")

    class Note(amp.Command):
        pass

    with pytest.raises(amp.UnhandledCommand):
        scene.net.result(stock.callRemote(Note))
    assert scene.b.heard == []


def test_any_amp_peer_can_administer(scene: Scene) -> None:
    stock = amp.AMP()
    link_up(scene.net, stock, "admin-by-hand", "b")

    told = scene.net.result(stock.callRemote(Order, what="stop", id="b", seconds=4.0))
    assert told == {"outcome": {"result": {"well": True}}}
    scene.net.result(stock.callRemote(Survey, alone=True))
    scene.net.result(stock.callRemote(Inspect, what="status", id="b", seconds=1.0))
    assert scene.host.asked == [
        ("stop", "b", 4.0, True), ("survey", True), ("status", "b", {}, 1.0, True)
    ]  # fmt: skip


def test_a_node_asks_for_this_one_alone(scene: Scene) -> None:
    """So that nothing goes round in circles."""
    from chatcore.admin.asking import ask_question, ask_survey

    scene.b.table.get("a").serve(scene.desk.responders_for_nodes())
    scene.ask(ask_question(scene.a.link("b"), "status", "b", {}, 1))
    scene.ask(ask_survey(scene.a.link("b"), 1))

    assert scene.host.asked == [("status", "b", {}, 1.0, False), ("survey", True)]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"what": "explode", "id": "b", "seconds": 1.0}, "nobody here knows how to 'explode'"),
        ({"what": "stop", "id": "b", "seconds": 0.0}, "no number of seconds"),
        ({"what": "stop", "id": "b", "seconds": float("nan")}, "no number of seconds"),
        ({"what": "stop", "id": "b", "seconds": 1e9}, "no number of seconds"),
    ],
)
def test_what_makes_no_sense_is_refused(scene: Scene, given: dict[str, Any], says: str) -> None:
    stock = amp.AMP()
    link_up(scene.net, stock, "admin", "b")

    outcome = scene.net.result(stock.callRemote(Order, **given))["outcome"]

    assert outcome["code"] == REFUSED
    assert says in outcome["problem"]
    assert scene.host.asked == []


def test_a_problem_arrives_as_it_was_raised(scene: Scene) -> None:
    scene.host.answer = AdminError("it hangs", code=LATE, advice="Kill it")
    problem = scene.problem(scene.arrive().order("stop", "b", 5))
    assert (problem.problem, problem.code, problem.advice) == ("it hangs", LATE, "Kill it")


@pytest.mark.logs_failures
def test_a_mistake_of_ours_is_a_problem_too(scene: Scene) -> None:
    scene.host.answer = ZeroDivisionError("oh")
    problem = scene.problem(scene.arrive().survey(5))
    assert (problem.code, "ZeroDivisionError" in problem.problem) == (FAILED, True)


def test_an_answer_that_can_not_be_sent_is_a_problem(scene: Scene) -> None:
    scene.host.answer = {"it": object()}
    assert scene.problem(scene.arrive().survey(5)).code == FAILED


def test_who_is_too_slow(scene: Scene) -> None:
    scene.host.answer = "wait"
    asking = Deferred.fromCoroutine(scene.arrive().order("drain", "b", 5))
    scene.net.settle()
    scene.net.clock.advance(6.1)
    assert scene.problem(asking).code == LATE


def test_a_link_that_ends_meanwhile(scene: Scene) -> None:
    scene.host.answer = "wait"
    it = scene.arrive()
    asking = Deferred.fromCoroutine(it.order("drain", "b", 5))
    scene.net.settle()
    it.close()
    scene.net.settle()
    assert scene.problem(asking).code == LOST


class TestLimits:
    def test_there_are_few_of_them(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(desk_module, "MOST_LINKS", 2)
        first, _ = scene.arrive(), scene.arrive()
        third = scene.arrive()

        assert scene.problem(third.survey(5)).code == BUSY
        assert scene.b.counters.administrators_refused == 1
        assert third.closed.called
        assert scene.ask(first.survey(5)) == {"well": True}

        first.close()
        scene.net.settle()
        assert scene.ask(scene.arrive().survey(5)) == {"well": True}

    def test_they_ask_for_so_much_at_once(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(desk_module, "MOST_UNDER_WAY", 2)
        scene.host.answer = "wait"
        it = scene.arrive()
        asking = [Deferred.fromCoroutine(it.survey(5)) for _ in range(3)]
        scene.net.settle()

        assert scene.problem(asking[2]).code == BUSY
        assert scene.b.counters.administrators_refused == 1
        for waiting in scene.host.waiting:
            waiting.callback({"late": True})
        assert [scene.net.result(each) for each in asking[:2]] == [{"late": True}] * 2
        scene.host.answer = {"well": True}
        assert scene.ask(it.survey(5)) == {"well": True}

    def test_who_asks_nothing_is_sent_away(self, scene: Scene) -> None:
        it = scene.arrive()
        scene.net.clock.advance(IDLE_SECONDS / 2)
        assert scene.ask(it.survey(5)) == {"well": True}
        scene.net.clock.advance(IDLE_SECONDS * 0.9)
        scene.net.settle()
        assert not it.closed.called
        scene.net.clock.advance(IDLE_SECONDS * 0.2)
        scene.net.settle()
        assert it.closed.called

    def test_who_waits_for_an_answer_stays(self, scene: Scene) -> None:
        scene.host.answer = "wait"
        it = scene.arrive()
        asking = Deferred.fromCoroutine(it.order("drain", "b", 10 * IDLE_SECONDS))
        scene.net.settle()
        for _ in range(5):
            scene.net.clock.advance(IDLE_SECONDS)
            scene.net.settle()
        scene.host.waiting[0].callback({"ended": True})
        assert scene.net.result(asking) == {"ended": True}
