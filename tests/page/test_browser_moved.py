"""A connector is emptied before it stops: people at the page go to another one, and see nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest
from running import RunningChat, short_folder
from visitor import Visitor
from webdriver import wait_until

WATCH = """
    window.phases = [];
    new MutationObserver(() => window.phases.push(document.body.dataset.phase))
      .observe(document.body, { attributeFilter: ["data-phase"] });
"""


@pytest.fixture
def chat() -> Iterator[RunningChat]:
    """A chat whose connectors drain before they stop."""
    with short_folder() as folder:
        settings = ("--set", "drain.on_term=true", "--set", "drain.grace_seconds=0.2")
        chat = RunningChat(folder, settings)
        yield chat
        chat.close()


def test_moving_to_another_connector(visitor: Callable[..., Visitor], chat: RunningChat) -> None:
    alice, bob = visitor(), visitor()
    alice.join("alice", "terrace")
    bob.join("bob", "terrace")
    bob.wait_names("alice", "bob")
    alice.wait_notice("bob is online now.")
    alice.say("before")
    for person in (alice, bob):
        person.wait_text("before")
    left = alice.connector(chat)
    there = [person for person in (alice, bob) if person.connector(chat) == left]
    for person in there:
        person.browser.run(WATCH)
        person.browser.write("#entry", "half a thought")
    seen = [person.notices() for person in (alice, bob)]
    pid = chat.pid(left)
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    for person in there:
        wait_until(lambda who=person: who.connector(chat) != left, "another connector")
        person.wait_inside()
        person.wait_names("alice", "bob")
        assert person.browser.value("#entry") == "half a thought"
        person.browser.press("Enter")
    for person in (alice, bob):
        wait_until(
            lambda who=person: who.texts() == ["before"] + ["half a thought"] * len(there),
            "what was said then",
        )
    assert [person.notices() for person in (alice, bob)] == seen
    for person in there:
        assert person.browser.run("return window.phases.join()") == "moving,in"
        assert not {"You are back.", "The connection was lost."} & set(person.notices())
        assert not person.browser.shown("#banner")
