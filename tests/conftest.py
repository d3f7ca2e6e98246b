"""What all tests share."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from hypothesis import settings
from running import RunningChat, short_folder
from twisted.internet.task import deferLater
from twisted.logger import LogEvent, globalLogPublisher
from valkey_server import find_valkey
from xdist.scheduler import LoadScopeScheduling

HERE = Path(__file__).parent

# A slow machine is no mistake of the code's.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


ONE, OTHER = "many processes", "more processes"

STREAMS = {
    "examples": ONE,
    "packaging": ONE,
    "page": ONE,
    "pomelo": ONE,
    "socketio": ONE,
    "real": OTHER,
}
"""Folders whose tests start whole clusters, and share them: two of these at a time keep a machine
busy, and more of them would keep each other from being served in time."""

APART = {"simulation"}
"""Folders whose tests share nothing. In others, those of one file may."""


class Streams(LoadScopeScheduling):
    """Says which tests run one after the other, where others run at the same time."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        folder = Path(path).parts[1]
        return nodeid if folder in APART else STREAMS.get(folder, path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Streams:
    """Have them run like that."""
    return Streams(config, log)


def pytest_collection_finish() -> None:
    """Keep what importing made out of the collections between tests: they are quick then."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def clean_reactor(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a delayed call, an open port or connection, or a lost failure."""
    from twisted.internet import reactor

    failures: list[Any] = []

    def observe(event: LogEvent) -> None:
        if event.get("log_failure") is not None:
            failures.append(event["log_failure"])

    before_calls = set(reactor.getDelayedCalls())
    before_sockets = _sockets(reactor)
    globalLogPublisher.addObserver(observe)
    try:
        yield
        if any(call.getTime() <= reactor.seconds() for call in reactor.getDelayedCalls()):
            pytest_twisted.blockon(deferLater(reactor, 0))  # the last turn has yet to end
        gc.collect()  # a failure that nobody handles is logged when its Deferred is collected
    finally:
        globalLogPublisher.removeObserver(observe)
    left: list[str] = []
    for call in set(reactor.getDelayedCalls()) - before_calls:
        left.append(f"delayed call {call}")
        call.cancel()
    left += [f"socket {each}" for each in _sockets(reactor) - before_sockets]
    expected = request.node.get_closest_marker("logs_failures") is not None
    if not expected:
        left += [f"logged failure {failure}" for failure in failures]
    if left:
        pytest.fail("left behind: " + "; ".join(left), pytrace=False)


@pytest.fixture
def there_is_valkey() -> None:
    """Skip a test where there is no Valkey, before its asynchronous fixtures begin."""
    find_valkey()


def _sockets(reactor: Any) -> set[Any]:
    return (set(reactor.getReaders()) | set(reactor.getWriters())) - set(reactor._internalReaders)


@pytest.fixture(scope="session")
def running_chat() -> Iterator[RunningChat]:
    """The whole chat in real processes, for all tests that need it."""
    with short_folder() as folder:
        chat = RunningChat(Path(folder))
        yield chat
        chat.close()


@pytest.fixture
def chat(running_chat: RunningChat) -> Iterator[RunningChat]:
    """The whole chat, complete at the beginning of each test."""
    running_chat.resume()
    yield running_chat
    running_chat.resume()
