"""Those who may only look are answered one after the other."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from chatcore.admin.asker import Asker
from chatcore.config.tokens import Role
from chatcore.node.administered import Administered, Process
from chatcore.node.looking.in_turn import LONGEST_REST, REST, InTurn


class Answering:
    """Answers whose end is told, and when each of them began."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.in_turn = InTurn(self.clock)  # type: ignore[arg-type]
        self.begun: list[float] = []
        self.under_way: list[Deferred[dict[str, Any]]] = []

    async def answer(self) -> dict[str, Any]:
        self.begun.append(self.clock.seconds())
        under_way: Deferred[dict[str, Any]] = Deferred()
        self.under_way.append(under_way)
        return await under_way

    def ask(self) -> Deferred[dict[str, Any]]:
        return Deferred.fromCoroutine(self.in_turn(self.answer))

    def end(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.under_way[-1].callback({})


def test_one_after_the_other_with_a_rest() -> None:
    it = Answering()
    asked = [it.ask() for _ in range(3)]
    assert it.begun == [0]
    it.end(0.01)
    assert asked[0].called and it.begun == [0]
    it.clock.advance(0.01 * REST)
    assert it.begun == [0, pytest.approx(0.01 + 0.01 * REST)]
    it.end(10)
    it.clock.advance(LONGEST_REST)
    assert len(it.begun) == 3
    it.end(0)
    assert all(each.called for each in asked)
    it.ask()
    assert len(it.begun) == 4, "nobody rests of nothing"


def test_an_answer_that_fails_holds_up_nobody() -> None:
    it = Answering()
    failing, other = it.ask(), it.ask()
    it.under_way[0].errback(ValueError("no"))
    assert len(it.begun) == 2
    it.end(0)
    assert other.called
    with pytest.raises(ValueError, match="no"):
        raise failing.result.value  # type: ignore[attr-defined]
    failing.addErrback(lambda reason: None)


def test_those_who_administer_do_not_wait_for_those_who_look() -> None:
    asked: list[Any] = []

    async def hang(given: Any) -> dict[str, Any]:
        asked.append(given["by"])
        return await Deferred()

    unused: Any = None
    node = Administered(
        id="chat-1",
        about={},
        secret=b"",
        view=unused,
        link=unused,
        answers={"status": hang},
        invoke=unused,
        drain=unused,
        is_empty=unused,
        stop=unused,
        process=Process(),
        clock=Clock(),  # type: ignore[arg-type]
    )
    roles: tuple[Role, ...] = ("viewer", "viewer", "admin", "admin")
    for role in roles:
        asker, given = Asker(role, "ann"), {"by": role}
        question = node.inspect("status", "chat-1", given, 5.0, passes_on=True, asker=asker)
        Deferred.fromCoroutine(question)
    assert asked == ["viewer", "admin", "admin"]
