"""A process's side of being supervised."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from chatcore import supervised


class ReactorStandIn:
    """Runs at once what another thread hands over."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def callFromThread(self, callable: Callable[..., object], *args: object) -> None:
        callable(*args)

    def stop(self) -> None:
        self.stopped.set()


@pytest.fixture
def lifeline():
    read_end, write_end = os.pipe()
    open_ends = [write_end]

    def cut() -> None:
        while open_ends:
            os.close(open_ends.pop())

    yield read_end, cut
    cut()


def test_the_end_of_the_lifeline_stops_the_reactor(lifeline):
    fd, cut = lifeline
    reactor, gave_up = ReactorStandIn(), threading.Event()

    supervised.watch(reactor, fd=fd, grace=3600, give_up=gave_up.set)
    assert not reactor.stopped.is_set()
    cut()

    assert reactor.stopped.wait(30)
    assert not gave_up.is_set()


def test_something_else_may_be_done_instead(lifeline):
    fd, cut = lifeline
    reactor, done = ReactorStandIn(), threading.Event()

    supervised.watch(reactor, done.set, fd=fd, grace=3600)
    cut()

    assert done.wait(30)
    assert not reactor.stopped.is_set()


def test_what_does_not_come_to_an_end_is_ended(lifeline):
    fd, cut = lifeline
    gave_up = threading.Event()

    supervised.watch(ReactorStandIn(), fd=fd, grace=0, give_up=gave_up.set)
    cut()

    assert gave_up.wait(30)


def test_bytes_on_the_lifeline_mean_nothing():
    read_end, write_end = os.pipe()
    reactor = ReactorStandIn()
    thread = supervised.watch(reactor, fd=read_end, grace=0, give_up=lambda: None)

    os.write(write_end, b"anything")
    os.close(write_end)
    thread.join(30)

    assert reactor.stopped.is_set()


def test_a_word_that_is_said_before_anybody_watches_is_heard():
    read_end, write_end = os.pipe()
    os.write(write_end, b"drain\n")
    reactor = ReactorStandIn()
    heard = threading.Event()
    words = supervised.Words(reactor)
    words.heed(supervised.DRAIN, heard.set)

    thread = supervised.watch(reactor, words=words, fd=read_end, grace=0, give_up=lambda: None)

    assert heard.wait(30)
    os.close(write_end)
    thread.join(30)


def test_a_lifeline_that_has_ended_before_ends_the_process(lifeline):
    fd, cut = lifeline
    cut()

    with pytest.raises(SystemExit):
        supervised.watch(ReactorStandIn(), fd=fd)


def test_readiness_is_one_word_on_the_pipe():
    read_end, write_end = os.pipe()

    supervised.tell_ready(write_end)
    os.close(write_end)

    with os.fdopen(read_end, "rb") as reader:
        assert reader.read() == b"ready\n"


def test_readiness_is_told_to_nobody_where_there_is_no_pipe(tmp_path):
    file = tmp_path / "file"
    with file.open("wb") as opened:
        supervised.tell_ready(opened.fileno())
        number = opened.fileno()
    assert file.read_bytes() == b""
    supervised.tell_ready(number)


def test_readiness_told_to_somebody_who_has_gone_is_no_failure():
    read_end, write_end = os.pipe()
    os.close(read_end)

    supervised.tell_ready(write_end)
    os.close(write_end)


def test_the_signals_of_a_terminal_are_ignored_and_the_reactor_leaves_them_so():
    script = """
import os, signal
from chatcore import supervised
supervised.ignore_interrupt()
from twisted.internet import reactor
def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGHUP)
    reactor.callLater(0, finish)
def finish():
    print("still here")
    os.kill(os.getpid(), signal.SIGTERM)
reactor.callWhenRunning(interrupt)
reactor.run()
print("ended by SIGTERM")
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.stdout.splitlines() == ["still here", "ended by SIGTERM"], done.stderr
    assert done.returncode == 0
