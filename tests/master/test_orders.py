"""What administrators have done with single processes, on stand-ins."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from chatcore.admin.outcomes import FAILED, LATE, REFUSED
from chatcore.errors import AdminError
from chatcore.master.orders import Orders


class Scene:
    """A supervisor whose two programs are up, and an administrator."""

    def __init__(self, stage: Any) -> None:
        self.stage, self.supervisor = stage, stage.supervisor
        self.orders = Orders(stage.supervisor, clock=stage.reactor)
        stage.all_ready()

    def ask(self, what: Any, name: str = "chat", seconds: float = 60) -> list[Any]:
        """Ask for something; what comes of it is put into the list: None, or an error."""
        came: list[Any] = []
        acting = self.orders.act(what, self.supervisor.keepers[name], seconds)
        waiting = Deferred.fromCoroutine(acting)
        waiting.addCallbacks(came.append, lambda failure: came.append(failure.value))
        return came

    def refusal(self, what: Any, name: str = "chat") -> AdminError:
        (problem,) = self.ask(what, name)
        assert isinstance(problem, AdminError)
        return problem

    def condition(self, name: str = "chat") -> str:
        return str(self.supervisor.keepers[name].condition)

    def process(self, name: str = "chat") -> Any:
        return self.stage.reactor.last(name)

    def advance(self, seconds: float) -> None:
        self.stage.reactor.advance(seconds)

    def starts(self, name: str = "chat") -> int:
        return int(self.stage.reactor.started.count(name))


@pytest.fixture
def scene(supervise: Callable[..., Any]) -> Scene:
    return Scene(supervise(chat=2, gate=0))


class TestDrain:
    def test_it_hands_over_ends_and_stays_down(self, scene: Scene) -> None:
        came = scene.ask("drain")
        assert scene.process().told == [(0, b"drain\n")]
        assert (scene.condition(), came) == ("draining", [])

        scene.process().write(3, b"drained\n")
        scene.process().end(0)
        assert (scene.condition(), came) == ("stopped", [None])
        scene.advance(3600)
        assert scene.starts() == 1
        assert scene.process("gate").signals == []

    def test_one_that_ends_before_it_has_handed_over(self, scene: Scene) -> None:
        came = scene.ask("drain")
        scene.process().end(signal=signal.SIGKILL)

        (problem,) = came
        assert problem.code == FAILED
        assert problem.problem == ("chat was ended by SIGKILL before it had handed over all it had")

    def test_one_that_nobody_could_take_anything_from(self, scene: Scene) -> None:
        came = scene.ask("drain")
        scene.process().end(0)

        (problem,) = came
        assert (problem.code, problem.problem) == (
            FAILED, "chat has stopped, and nobody took over all it had"
        )  # fmt: skip
        assert "no other server of its type" in problem.advice
        scene.advance(3600)
        assert scene.starts() == 1

    def test_it_takes_too_long_and_goes_on(self, scene: Scene) -> None:
        came = scene.ask("drain", seconds=5)
        scene.advance(5)
        assert (came[0].code, scene.condition()) == (LATE, "draining")

        again = scene.ask("drain")
        assert scene.process().told == [(0, b"drain\n")]
        scene.process().write(3, b"drained\n")
        scene.process().end(0)
        assert again == [None]

    def test_one_that_is_not_up_has_nothing_to_hand_over(self, scene: Scene) -> None:
        scene.process().end(1)
        scene.advance(1)
        came = scene.ask("drain")
        assert scene.process().signals == ["TERM"]
        scene.process().end(0)
        assert came == [None]

    def test_one_that_waits_to_be_started_again_is_not(self, scene: Scene) -> None:
        scene.process().end(1)
        assert scene.condition() == "waiting"
        assert scene.ask("drain") == [None]
        scene.advance(3600)
        assert (scene.starts(), scene.condition()) == (1, "stopped")

    def test_one_that_is_starting_and_hangs_is_not_said_to_drain(self, scene: Scene) -> None:
        scene.process().end(1)
        scene.advance(1)
        came = scene.ask("drain", seconds=5)
        scene.advance(5)
        assert (came[0].code, came[0].problem) == (LATE, "chat is still stopping")

    def test_stopping_everything_does_not_wait_for_it(self, scene: Scene) -> None:
        scene.ask("drain")
        scene.supervisor.stopService()
        scene.process("gate").end(0)
        assert scene.process().signals == ["TERM"]
        scene.process().end(0)
        assert scene.stage.finished == [0]


class TestStop:
    def test_it_ends_and_stays_down(self, scene: Scene) -> None:
        came = scene.ask("stop")
        assert scene.process().signals == ["TERM"]
        scene.process().end(0)
        scene.advance(3600)
        assert (came, scene.starts(), scene.condition()) == ([None], 1, "stopped")

    def test_what_does_not_end_is_killed(self, scene: Scene) -> None:
        came = scene.ask("stop")
        scene.advance(9)
        assert scene.process().signals == ["TERM", "KILL"]
        scene.process().end(signal=signal.SIGKILL)
        assert (came[0].code, came[0].problem) == (
            FAILED, "chat did not stop within 9 s, and was killed"
        )  # fmt: skip

    def test_one_that_drains(self, scene: Scene) -> None:
        drained, stopped = scene.ask("drain"), scene.ask("stop")
        assert scene.process().signals == ["TERM"]
        scene.process().end(0)
        assert (drained[0].code, stopped) == (FAILED, [None])

    def test_one_that_somebody_stops_is_not_drained(self, scene: Scene) -> None:
        stopped, drained = scene.ask("stop"), scene.ask("drain")
        scene.process().end(0)
        assert (stopped, drained[0].code) == ([None], FAILED)

    def test_killing(self, scene: Scene) -> None:
        came = scene.ask("kill")
        assert scene.process().signals == ["KILL"]
        scene.process().end(signal=signal.SIGKILL)
        scene.advance(3600)
        assert (came, scene.starts()) == ([None], 1)

    def test_what_not_even_that_ends(self, scene: Scene) -> None:
        came = scene.ask("kill", seconds=3)
        scene.advance(3)
        assert (came[0].code, scene.condition()) == (LATE, "stopping")

    def test_one_that_is_down_already(self, scene: Scene) -> None:
        scene.ask("kill")
        scene.process().end(signal=signal.SIGKILL)
        assert [scene.ask(what) for what in ("stop", "drain", "kill")] == [[None]] * 3


class TestRestart:
    def test_it_drains_and_starts(self, scene: Scene) -> None:
        came = scene.ask("restart")
        first = scene.process()
        assert first.told == [(0, b"drain\n")]
        first.write(3, b"drained\n")
        first.end(0)
        assert (scene.starts(), came) == (2, [])
        scene.process().become_ready()
        assert (came, scene.condition()) == ([None], "up")

    def test_it_begins_with_what_is_to_run_now(self, scene: Scene) -> None:
        from chatcore.master.keeper import Program

        keeper = scene.supervisor.keepers["chat"]
        keeper.program = Program(name="chat", command=("run", "--anew", "chat"), stage=2)
        scene.ask("restart")
        scene.process().end(0)
        assert "--anew" in scene.process().arguments

    def test_one_that_is_down_is_started(self, scene: Scene) -> None:
        scene.ask("kill")
        scene.process().end(signal=signal.SIGKILL)
        came = scene.ask("restart")
        scene.process().become_ready()
        assert (came, scene.starts()) == ([None], 2)

    def test_one_that_does_not_come_back(self, scene: Scene) -> None:
        came = scene.ask("restart")
        scene.process().end(0)
        scene.process().write(2, b"Traceback\n  deep\nValueError: no\n\n")
        scene.process().end(1)

        (problem,) = came
        assert problem.problem == (
            "chat ended with exit code 1 before it was ready: ValueError: no; it is started again"
        )
        assert scene.condition() == "waiting"

    def test_one_that_is_slow_to_come_back_goes_on(self, scene: Scene) -> None:
        came = scene.ask("restart", seconds=20)
        scene.process().end(0)
        scene.advance(20)
        assert (came[0].code, scene.condition()) == (LATE, "starting")

    def test_one_that_drains_for_too_long_stays_down_then(self, scene: Scene) -> None:
        came = scene.ask("restart", seconds=20)
        scene.advance(20)
        assert came[0].code == LATE
        scene.process().end(0)
        assert scene.condition() == "stopped"

    def test_somebody_stops_it_meanwhile(self, scene: Scene) -> None:
        restarted = scene.ask("restart")
        stopped = scene.ask("stop")
        scene.process().end(0)
        assert (restarted[0].problem, stopped) == (
            "chat: somebody asked to stop it meanwhile", [None]
        )  # fmt: skip
        assert (scene.starts(), scene.condition()) == (1, "stopped")

    def test_somebody_kills_it_while_it_starts(self, scene: Scene) -> None:
        restarted = scene.ask("restart")
        scene.process().end(0)
        killed = scene.ask("kill")
        scene.process().end(signal=signal.SIGKILL)
        assert (len(restarted), killed) == (1, [None])
        scene.advance(3600)
        assert scene.condition() == "stopped"

    @pytest.mark.parametrize("before", ["drain", "stop", "restart"])
    def test_one_that_is_ending_is_not_started(self, scene: Scene, before: str) -> None:
        scene.ask(before)
        for what in ("start", "restart"):
            assert scene.refusal(what).code == REFUSED

    def test_one_that_is_being_restarted_is_not_restarted_once_more(self, scene: Scene) -> None:
        scene.ask("restart")
        scene.process().end(0)
        assert scene.refusal("restart").problem == "chat is asked to restart already"

    def test_nothing_is_started_while_everything_stops(self, scene: Scene) -> None:
        scene.supervisor.stopService()
        assert scene.refusal("restart").code == REFUSED


def test_one_that_runs_need_not_be_started(scene: Scene) -> None:
    assert (scene.ask("start"), scene.starts()) == ([None], 1)


def test_what_is_said_on_the_console(scene: Scene) -> None:
    scene.ask("drain")
    assert scene.stage.screen.lines[-1] == "chatcore | an administrator asks to drain chat"


def test_a_new_program_that_can_not_run_as_it_is_configured_costs_nobody_else(
    scene: Scene,
) -> None:
    from chatcore.master.keeper import Program

    scene.supervisor.add(Program(name="new", command=("run", "new"), stage=2))
    came = scene.ask("start", "new")
    scene.process("new").write(2, b"--port is in use\n")
    scene.process("new").end(2)

    assert came[0].problem == "new ended with exit code 2 before it was ready: --port is in use"
    assert scene.condition("new") == "refused"
    assert scene.stage.screen.lines[-2:] == [
        "new | --port is in use",
        "chatcore | new can't run as it is configured (exit code 2); it stays down",
    ]
    assert scene.stage.signals()["chat"] == []
    again = scene.ask("start", "new")
    scene.process("new").become_ready()
    assert again == [None]


def test_those_that_stay_down_keep_nobody_from_being_ready(supervise: Callable[..., Any]) -> None:
    stage = supervise(chat=2, gate=0)
    scene = Scene.__new__(Scene)
    scene.stage, scene.supervisor = stage, stage.supervisor
    scene.orders = Orders(stage.supervisor, clock=stage.reactor)
    stage.reactor.last("gate").become_ready()

    scene.ask("kill")

    assert stage.screen.lines[-1] == "chatcore | ready: all of it"
    stage.reactor.last("chat").end(signal=signal.SIGKILL)
