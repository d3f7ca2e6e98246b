"""The supervisor, on a clock and with processes that do what a test says."""

from __future__ import annotations

import signal

import pytest


def test_everything_is_started_in_the_given_order_with_its_four_pipes(supervise):
    stage = supervise(chat=2, connector=1, gate=0)

    assert stage.reactor.started == ["chat", "connector", "gate"]
    assert all(
        process.child_fds == {0: "w", 1: "r", 2: "r", 3: "r"} for process in stage.reactor.processes
    )


def test_a_process_is_started_by_a_shell_that_ignores_what_terminals_send(supervise):
    stage = supervise(chat=2)

    [process] = stage.reactor.processes
    assert process.arguments == ["/bin/sh", "-c", 'trap "" INT HUP; exec "$@"', "sh", "run", "chat"]


def test_the_ready_line_comes_once_when_the_last_one_is_ready(supervise):
    stage = supervise(chat=2, gate=0)

    stage.reactor.last("chat").become_ready()
    assert stage.screen.lines == []

    stage.reactor.last("gate").become_ready()
    assert stage.screen.lines == ["chatcore | ready: all of it"]


def test_the_word_ready_may_come_in_pieces_and_counts_once(supervise):
    stage = supervise(chat=2)
    process = stage.reactor.last("chat")

    process.write(3, b"rea")
    assert stage.screen.lines == []
    process.write(3, b"dy\n")
    process.write(3, b"ready\n")
    assert stage.screen.lines == ["chatcore | ready: all of it"]


def test_any_other_word_is_not_ready(supervise):
    stage = supervise(chat=2)

    stage.reactor.last("chat").write(3, b"rubbish\nready!\n" + b"x" * 500 + b"ready\n")

    assert stage.screen.lines == []


def test_what_is_not_ready_after_a_while_is_named(supervise):
    stage = supervise(chat=2, gate=0, page=2)
    stage.reactor.last("gate").become_ready()

    stage.reactor.advance(14.9)
    assert stage.screen.lines == []
    stage.reactor.advance(0.1)
    assert stage.screen.lines == ["chatcore | still waiting for chat, page"]


def test_nobody_is_waited_for_where_all_have_been_told_to_stay_down(supervise):
    stage = supervise(chat=2)
    stage.supervisor.keepers["chat"].retire()

    stage.reactor.advance(60)

    assert stage.screen.lines == []


def test_nothing_is_left_on_the_clock_once_all_are_ready(supervise):
    stage = supervise(chat=2, gate=0)
    stage.all_ready()

    assert stage.reactor.getDelayedCalls() == []


class TestRestart:
    def test_what_dies_is_started_again_after_a_second(self, supervise):
        stage = supervise(chat=2, gate=0)
        stage.all_ready()

        stage.reactor.last("chat").end(signal=signal.SIGKILL)
        assert stage.screen.lines[-1] == (
            "chatcore | chat was ended by SIGKILL; starting it again in 1 s"
        )
        stage.reactor.advance(0.9)
        assert stage.reactor.started == ["chat", "gate"]
        stage.reactor.advance(0.1)
        assert stage.reactor.started == ["chat", "gate", "chat"]

        stage.reactor.last("chat").become_ready()
        assert stage.screen.lines[-1] == "chatcore | chat is up again"

    @pytest.mark.parametrize("code", [0, 1, 3, 255])
    def test_every_exit_code_but_two_counts_as_dying(self, supervise, code):
        stage = supervise(chat=2)
        stage.all_ready()

        stage.reactor.last("chat").end(code)

        assert stage.screen.lines[-1] == (
            f"chatcore | chat ended with exit code {code}; starting it again in 1 s"
        )
        assert stage.finished == []

    def test_one_that_dies_before_it_was_ready_is_started_again_too(self, supervise):
        stage = supervise(chat=2)

        stage.reactor.last("chat").end(1)
        assert stage.screen.lines == [
            "chatcore | chat ended with exit code 1 before it was ready; starting it again in 1 s"
        ]
        stage.reactor.advance(1)
        stage.reactor.last("chat").become_ready()
        assert stage.screen.lines[-1] == "chatcore | ready: all of it"

    def test_the_pause_doubles_up_to_half_a_minute(self, supervise):
        stage = supervise(chat=2)
        pauses = []

        for _ in range(8):
            stage.reactor.last("chat").end(1)
            before, died_at = len(stage.reactor.processes), stage.reactor.seconds()
            while len(stage.reactor.processes) == before:
                stage.reactor.advance(0.5)
            pauses.append(stage.reactor.seconds() - died_at)

        assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]

    def test_the_pause_is_short_again_for_what_ran_well_meanwhile(self, supervise):
        stage = supervise(chat=2)
        for pause in (1, 2, 4):
            stage.reactor.last("chat").end(1)
            stage.reactor.advance(pause)

        stage.reactor.last("chat").become_ready()
        stage.reactor.advance(30)
        stage.reactor.last("chat").end(1)

        assert stage.screen.lines[-1].endswith("starting it again in 1 s")

    def test_the_pause_stays_long_for_what_fails_after_a_long_start(self, supervise):
        stage = supervise(chat=2)
        for pause in (1, 2, 4, 8):
            stage.reactor.advance(30)
            stage.reactor.last("chat").end(1)
            assert stage.screen.lines[-1].endswith(f"starting it again in {pause} s")
            stage.reactor.advance(pause)

    def test_what_it_left_behind_is_removed(self, supervise):
        stage = supervise(chat=2, gate=0)

        stage.reactor.last("chat").end(1)

        assert stage.tidied == ["chat"]

    def test_one_that_can_not_be_started_is_tried_again(self, supervise):
        stage = supervise(chat=2)
        stage.reactor.refuse = OSError("no more processes")
        stage.reactor.last("chat").end(1)
        stage.reactor.advance(1)
        assert stage.screen.lines[-1] == (
            "chatcore | chat could not be started: no more processes; starting it again in 2 s"
        )

        stage.reactor.refuse = None
        stage.reactor.advance(2)
        assert stage.reactor.started == ["chat", "chat"]

    def test_a_pipe_held_by_another_process_delays_the_restart_by_half_a_second_only(
        self, supervise
    ):
        stage = supervise(chat=2)
        process = stage.reactor.last("chat")

        reason = process.exit(1)
        stage.reactor.advance(0.4)
        assert not process.pipes_closed
        stage.reactor.advance(0.1)
        assert process.pipes_closed

        process.protocol.processEnded(reason)
        stage.reactor.advance(1)
        assert stage.reactor.started == ["chat", "chat"]


class TestConfigurationMistake:
    def test_it_ends_everything_at_the_beginning_only(self, supervise):
        """Later, when somebody tries to mend what keeps it from starting, it costs nobody else."""
        stage = supervise(chat=2, gate=0)
        stage.reactor.last("gate").become_ready()
        stage.reactor.last("chat").end(1)
        stage.reactor.advance(1)

        stage.reactor.last("chat").end(2)

        assert stage.screen.lines[-1] == (
            "chatcore | chat can't run as it is configured (exit code 2); it stays down"
        )
        assert (stage.reactor.last("gate").signals, stage.finished) == ([], [])

    def test_exit_code_two_ends_everything_with_its_message(self, supervise):
        stage = supervise(chat=2, gate=0)
        stage.reactor.last("gate").write(2, b"servers.json:3:7: unknown key 'prot'\n")

        stage.reactor.last("gate").end(2)
        assert stage.screen.lines == [
            "gate | servers.json:3:7: unknown key 'prot'",
            "chatcore | gate can't run as it is configured (exit code 2); stopping everything",
        ]
        assert stage.signals() == {"chat": ["TERM"], "gate": []}

        stage.reactor.last("chat").end(signal=signal.SIGTERM)
        assert stage.finished == [2]

    def test_its_message_is_complete_without_a_last_newline(self, supervise):
        stage = supervise(gate=0)
        stage.reactor.last("gate").write(2, b"no such type")

        stage.reactor.last("gate").end(2)

        assert stage.screen.lines[0] == "gate | no such type"

    def test_one_message_of_many_processes_is_shown_once(self, supervise):
        stage = supervise(one=2, two=2, three=2)
        for process in stage.reactor.processes:
            process.write(
                2, b"app.py:4: bad\n" if process.name != "three" else b"other.py:1: bad\n"
            )

        for process in stage.reactor.processes:
            process.end(2)

        shown = [line for line in stage.screen.lines if "bad" in line]
        assert shown == ["one | app.py:4: bad", "three | other.py:1: bad"]
        assert stage.finished == [2]

    def test_what_has_been_ready_before_is_tried_again_and_the_others_stay(self, supervise):
        stage = supervise(chat=2, gate=0)
        stage.all_ready()
        stage.reactor.last("chat").end(1)
        stage.reactor.advance(1)

        stage.reactor.last("chat").write(2, b"start of the component 'db': refused\n")
        stage.reactor.last("chat").end(2)
        assert stage.screen.lines[-2:] == [
            "chat | start of the component 'db': refused",
            "chatcore | chat ended with exit code 2 before it was ready; starting it again in 2 s",
        ]
        assert stage.signals()["gate"] == []

        stage.reactor.advance(2)
        stage.reactor.last("chat").become_ready()
        assert stage.screen.lines[-1] == "chatcore | chat is up again"
        assert stage.finished == []

    def test_such_a_one_is_no_reason_to_call_a_stop_disorderly(self, supervise):
        stage = supervise(chat=2, gate=0)
        stage.all_ready()
        stage.reactor.last("chat").end(2)

        stage.supervisor.interrupt()
        stage.reactor.last("gate").end()
        stage.reactor.advance(60)

        assert stage.finished == [0]
        assert stage.reactor.started == ["chat", "gate"]

    def test_nothing_more_is_started_after_it(self, supervise):
        stage = supervise(chat=2, gate=0)
        stage.reactor.last("chat").end(1)

        stage.reactor.last("gate").end(2)
        stage.reactor.advance(60)

        assert stage.reactor.started == ["chat", "gate"]
        assert stage.finished == [2]


class TestStop:
    def test_the_stages_stop_one_after_the_other(self, supervise):
        stage = supervise(page=2, chat=2, connector=1, gate=0)
        stage.all_ready()

        stage.supervisor.interrupt()
        assert stage.signals() == {"page": [], "chat": [], "connector": [], "gate": ["TERM"]}

        stage.reactor.last("gate").end()
        assert stage.signals() == {"page": [], "chat": [], "connector": ["TERM"], "gate": ["TERM"]}

        stage.reactor.last("connector").end()
        assert stage.signals()["page"] == stage.signals()["chat"] == ["TERM"]

        stage.reactor.last("chat").end()
        assert stage.finished == []
        stage.reactor.last("page").end()
        assert stage.finished == [0]

    def test_a_stage_waits_for_all_of_the_one_before(self, supervise):
        stage = supervise(chat=2, one=1, two=1)

        stage.supervisor.interrupt()
        stage.reactor.last("one").end()
        assert stage.signals() == {"chat": [], "one": ["TERM"], "two": ["TERM"]}

        stage.reactor.last("two").end()
        assert stage.signals()["chat"] == ["TERM"]

    def test_the_end_of_a_process_by_our_signal_is_an_orderly_end(self, supervise):
        stage = supervise(chat=2)

        stage.supervisor.interrupt()
        stage.reactor.last("chat").end(signal=signal.SIGTERM)

        assert stage.finished == [0]
        assert stage.tidied == ["chat"]
        assert stage.screen.lines == [
            "chatcore | stopping; Ctrl-C again kills what is left at once"
        ]

    def test_nothing_is_left_on_the_clock(self, supervise):
        stage = supervise(chat=2, gate=0)
        stage.reactor.last("chat").end(1)

        stage.supervisor.interrupt()
        stage.reactor.last("gate").end()

        assert stage.finished == [0]
        assert stage.reactor.getDelayedCalls() == []

    def test_what_waits_for_its_restart_is_not_started_again(self, supervise):
        stage = supervise(chat=2, gate=0)
        stage.reactor.last("chat").end(1)

        stage.supervisor.interrupt()
        stage.reactor.advance(2)

        assert stage.reactor.started == ["chat", "gate"]

    def test_later_stages_are_told_before_the_kill_when_an_earlier_one_hangs(self, supervise):
        stage = supervise(chat=2, gate=0)

        stage.supervisor.interrupt()
        stage.reactor.advance(3.4)
        assert stage.signals() == {"chat": [], "gate": ["TERM"]}
        stage.reactor.advance(0.1)
        assert stage.signals() == {"chat": ["TERM"], "gate": ["TERM"]}

    def test_what_is_left_after_nine_seconds_is_killed(self, supervise):
        stage = supervise(chat=2, connector=1, gate=0)

        stage.supervisor.interrupt()
        stage.reactor.advance(3.5)
        stage.reactor.last("chat").end()
        stage.reactor.advance(5.4)
        assert "KILL" not in stage.signals()["gate"]  # it may yet leave by itself
        stage.reactor.advance(0.1)
        assert stage.signals() == {
            "chat": ["TERM"],
            "connector": ["TERM", "KILL"],
            "gate": ["TERM", "KILL"],
        }
        assert stage.screen.lines[-1] == "chatcore | killing connector, gate"

        stage.reactor.last("gate").end(signal=signal.SIGKILL)
        stage.reactor.last("connector").end(signal=signal.SIGKILL)
        assert stage.finished == [1]
        assert sorted(stage.tidied) == ["chat", "connector", "gate"]

    def test_an_application_may_need_more_time(self, supervise):
        stage = supervise(chat=2, gate=0, stop_seconds=10)

        stage.supervisor.interrupt()
        stage.reactor.advance(10.4)
        assert stage.signals() == {"chat": [], "gate": ["TERM"]}
        stage.reactor.advance(0.1)
        stage.reactor.advance(5.5)
        assert stage.signals() == {"chat": ["TERM", "KILL"], "gate": ["TERM", "KILL"]}

        for process in stage.reactor.processes:
            process.end(signal=signal.SIGKILL)

    def test_what_not_even_a_kill_ends_is_given_up(self, supervise):
        stage = supervise(chat=2)

        stage.supervisor.interrupt()
        stage.reactor.advance(9)
        stage.reactor.advance(2)

        assert stage.screen.lines[-1] == "chatcore | chat does not end, though it was killed"
        assert stage.finished == [1]

    def test_a_second_interrupt_kills_at_once(self, supervise):
        stage = supervise(chat=2, gate=0)

        stage.supervisor.interrupt()
        stage.supervisor.interrupt()
        assert stage.signals() == {"chat": ["KILL"], "gate": ["TERM", "KILL"]}

        for process in stage.reactor.processes:
            process.end(signal=signal.SIGKILL)
        assert stage.finished == [1]

    def test_stopping_twice_is_stopping_once(self, supervise):
        stage = supervise(chat=2)
        ends: list[str] = []

        stage.supervisor.stopService().addCallback(lambda _: ends.append("first"))
        stage.supervisor.stopService().addCallback(lambda _: ends.append("second"))
        assert stage.signals() == {"chat": ["TERM"]}
        assert ends == []

        stage.reactor.last("chat").end()
        stage.supervisor.stopService().addCallback(lambda _: ends.append("late"))
        assert ends == ["first", "second", "late"]
        assert stage.finished == [0]

    def test_one_that_becomes_ready_during_the_stop_says_nothing(self, supervise):
        stage = supervise(chat=2)

        stage.supervisor.interrupt()
        stage.reactor.last("chat").become_ready()

        assert stage.screen.lines == [
            "chatcore | stopping; Ctrl-C again kills what is left at once"
        ]


class TestRelay:
    def test_lines_stand_in_one_column_behind_the_name(self, supervise):
        stage = supervise(chat=2, **{"gate-server-1": 0})
        stage.reactor.last("chat").write(1, b"hello\n")
        stage.reactor.last("gate-server-1").write(1, b"there\n")

        assert stage.screen.of(1) == "chat          | hello\ngate-server-1 | there\n"

    def test_lines_split_anywhere_come_whole(self, supervise):
        stage = supervise(chat=2)
        process = stage.reactor.last("chat")

        for piece in (b"one", b" li", b"ne\ntwo", b" lines\r", b"\n", b"\nend"):
            process.write(1, piece)
        assert stage.screen.lines == ["chat | one line", "chat | two lines", "chat |"]

        process.end()
        assert stage.screen.lines[3] == "chat | end"

    def test_the_two_outputs_are_kept_apart(self, supervise):
        stage = supervise(chat=2)
        process = stage.reactor.last("chat")
        process.become_ready()

        process.write(1, b"to out, ")
        process.write(2, b"to err\n")
        process.write(1, b"too\n")

        assert "to out, too" in stage.screen.of(1)
        assert "to err" in stage.screen.of(2)

    def test_errors_wait_until_it_is_ready(self, supervise):
        stage = supervise(chat=2, gate=0)
        process = stage.reactor.last("chat")

        process.write(2, b"a warning\n")
        assert stage.screen.lines == []
        process.become_ready()
        assert stage.screen.lines == ["chat | a warning"]

    def test_errors_of_one_that_died_are_shown(self, supervise):
        stage = supervise(chat=2)
        process = stage.reactor.last("chat")

        process.write(2, b"Traceback\nValueError: no\n")
        process.end(1)

        assert stage.screen.lines[:2] == ["chat | Traceback", "chat | ValueError: no"]

    def test_errors_of_one_that_is_slow_are_shown(self, supervise):
        stage = supervise(chat=2)
        stage.reactor.last("chat").write(2, b"still trying\n")

        stage.reactor.advance(15)

        assert stage.screen.lines[-1] == "chat | still trying"

    def test_a_flood_of_errors_is_not_kept_back_for_ever(self, supervise):
        stage = supervise(chat=2)

        for _ in range(600):
            stage.reactor.last("chat").write(2, b"again\n")

        assert len(stage.screen.lines) == 600
