"""What somebody may ask who has a token, and what is told of who asks."""

from __future__ import annotations

import time
from typing import Any

import pytest
from links.wiring import SECRET, Log, Net
from twisted.internet.defer import Deferred
from twisted.protocols import amp

from chatcore.admin import desk as desk_module
from chatcore.admin.asker import Asker
from chatcore.admin.asking import ask_order, ask_question
from chatcore.admin.desk import RIGHTS
from chatcore.admin.invocation import Invocation
from chatcore.admin.outcomes import BUSY, FORBIDDEN
from chatcore.admin.visit import Visit
from chatcore.config.tokens import Token
from chatcore.errors import AdminError
from chatcore.links.commands import Order

from .test_desk import Scene

END = int(time.time()) + 100_000


class Host:
    """Writes down who asks for what."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Asker | None]] = []
        self.waiting: list[Deferred[Any]] | None = None

    async def survey(self, seconds: float, *, alone: bool) -> Any:
        return await self._answer("survey", None)

    async def inspect(self, what: str, *args: Any, asker: Asker, **more: Any) -> Any:
        return await self._answer(what, asker)

    async def invoke(self, invocation: Any, *args: Any, asker: Asker, **more: Any) -> Any:
        return await self._answer("invoke", asker)

    async def order(self, what: str, *args: Any, asker: Asker, **more: Any) -> Any:
        return await self._answer(what, asker)

    async def add(self, *args: Any, asker: Asker, **more: Any) -> Any:
        return await self._answer("add", asker)

    async def reload(self, *args: Any, asker: Asker, **more: Any) -> Any:
        return await self._answer("reload", asker)

    async def _answer(self, what: str, asker: Asker | None) -> Any:
        self.asked.append((what, asker))
        if self.waiting is not None:
            self.waiting.append(Deferred())
            await self.waiting[-1]
        return {"well": True}


@pytest.fixture
def scene(net: Net) -> Scene:
    scene = Scene(net)
    scene.host = scene.desk._host = Host()  # type: ignore[assignment]
    return scene


def come(scene: Scene, role: str, name: str = "ann") -> Visit:
    token = Token.make(SECRET, role, name, END)  # type: ignore[arg-type]
    return scene.net.result(scene.visit(str(token.id), secret=token.key))


def test_each_act_has_a_right(scene: Scene) -> None:
    assert set(scene.desk.responders()) == set(RIGHTS)


ACTS = {
    "stop chat-1": lambda it: it.order("stop", "chat-1", 5),
    "call chat.chatRemote.get b": lambda it: it.invoke(
        Invocation("chat.chatRemote.get", []), "b", 5
    ),
    "add chat": lambda it: it.add("chat", {}, 1, 5),
    "reload": lambda it: it.reload(apply=False, seconds=5),
}


@pytest.mark.parametrize("what", ACTS)
def test_a_viewer_has_nothing_done(scene: Scene, what: str) -> None:
    it = come(scene, "viewer")
    with Log() as log:
        problem = scene.problem(ACTS[what](it))
    assert problem.code == FORBIDDEN
    assert problem.problem.startswith(f"ann may not {what}: ")
    assert scene.host.asked == []
    assert [text for text in log.texts if "ann may not" in text]
    assert scene.b.counters.administrators_forbidden == 1
    scene.desk.stop()


def test_a_viewer_looks(scene: Scene) -> None:
    it = come(scene, "viewer")
    scene.ask(it.survey(5))
    scene.ask(it.inspect("status", "b", {}, 5))
    assert scene.host.asked == [("survey", None), ("status", Asker("viewer", "ann"))]


@pytest.mark.parametrize("what", ACTS)
def test_an_administrator_with_a_token_has_everything_done(scene: Scene, what: str) -> None:
    scene.ask(ACTS[what](come(scene, "admin")))
    (asked,) = scene.host.asked
    assert asked == (
        {"call": "invoke"}.get(what.split()[0], what.split()[0]),
        Asker("admin", "ann"),
    )


def test_who_passes_on_says_for_whom(scene: Scene) -> None:
    """Nobody may do more by that than by himself, nor take another's name who has a token."""
    bob, eve = Asker("viewer", "bob"), Asker("admin", "eve")
    scene.b.table.get("a").serve(scene.desk.responders_for_nodes())
    way = scene.a.link("b")
    problem = scene.problem(ask_order(way, "stop", "b", 1, asker=bob))
    assert (problem.code, problem.problem[:26]) == (FORBIDDEN, "bob (by a) may not stop b:")
    scene.ask(ask_question(way, "status", "b", {}, 1, asker=bob))
    scene.ask(ask_order(way, "stop", "b", 1, asker=eve))
    scene.ask(ask_order(way, "stop", "b", 1))

    it = come(scene, "viewer")
    assert scene.problem(ask_order(it._link, "stop", "b", 1, asker=eve)).code == FORBIDDEN
    scene.ask(ask_question(it._link, "status", "b", {}, 1, asker=eve))
    scene.ask(ask_question(come(scene, "admin")._link, "status", "b", {}, 1, asker=bob))
    assert [asker for _, asker in scene.host.asked] == [
        Asker("viewer", "bob (by a)"),
        Asker("admin", "eve (by a)"),
        Asker("admin", "a"),
        Asker("viewer", "ann"),
        Asker("admin", "ann"),
    ]


@pytest.mark.parametrize("said", ["viewer:", "root:x", "nonsense:", ":", "viewer:\x1b[2Jx"])
def test_odd_askers_look_only(said: str) -> None:
    asker = Asker.of("chat-1", said)
    assert not asker.may("act")
    assert asker.name.isprintable()


def test_a_name_is_not_endless() -> None:
    assert len(Asker.of("chat-1", "viewer:" + "x" * 5000).name) < 100


def test_what_is_refused_is_told_in_short(scene: Scene) -> None:
    """Nothing in the log is longer than a line, or steers a terminal."""
    token = Token.make(SECRET, "viewer", "ann", END)
    it = scene.net.result(scene.visit(str(token.id), secret=token.key))
    with Log() as log:
        problem = scene.problem(it.order("\x1b[2J\n" + "x" * 5000, "b", 5))  # type: ignore[arg-type]
        for _ in range(20):
            scene.problem(it.order("stop", "b", 5))
    assert (problem.code, len(problem.problem) < 300) == (FORBIDDEN, True)
    assert all(text.isprintable() for text in log.texts)
    assert len(log.texts) == desk_module.MOST_LINES
    scene.desk.stop()
    assert scene.b.counters.administrators_forbidden == 21


def test_any_amp_peer_is_held_to_it(scene: Scene) -> None:
    from links.wiring import link_up

    token, stock = Token.make(SECRET, "viewer", "ann", END), amp.AMP()
    link_up(scene.net, stock, str(token.id), "b", token.key)
    for asker in ({}, {"asker": "admin:root"}):
        told = scene.net.result(stock.callRemote(Order, what="stop", id="b", seconds=4.0, **asker))[
            "outcome"
        ]
        assert told["code"] == FORBIDDEN
    assert scene.host.asked == []
    scene.desk.stop()


class TestViewersKeepNobodyOut:
    def test_with_links(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(desk_module, "MOST_LINKS", 3)
        monkeypatch.setattr(desk_module, "KEPT_LINKS", 1)
        for name in "ab":
            scene.ask(come(scene, "viewer", name).survey(5))
        third = come(scene, "viewer", "c")
        assert scene.problem(third.survey(5)).code == BUSY
        assert scene.ask(scene.arrive().survey(5)) == {"well": True}

    def test_with_what_they_ask(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(desk_module, "MOST_UNDER_WAY", 3)
        monkeypatch.setattr(desk_module, "KEPT_UNDER_WAY", 1)
        scene.host.waiting = waiting = []  # type: ignore[attr-defined]
        it, admin = come(scene, "viewer"), scene.arrive()
        asking = [Deferred.fromCoroutine(it.survey(50)) for _ in range(3)]
        scene.net.settle()
        assert scene.problem(asking[2]).code == BUSY
        theirs = Deferred.fromCoroutine(admin.survey(50))
        scene.net.settle()
        for each in list(waiting):
            each.callback(None)
        assert [scene.net.result(each) for each in (*asking[:2], theirs)] == [{"well": True}] * 3


def test_it_is_a_problem_of_its_own() -> None:
    with pytest.raises(AdminError) as caught:
        Asker("viewer", "ann").need("act", "tap raw boxes")
    assert caught.value.code == FORBIDDEN
    Asker("admin", "ann").need("act", "tap raw boxes")
