"""Hooks are checked when they are given."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from chatcore.hooks import check_hook


class Lobby:
    def left(self, session: Any, reason: str) -> None: ...
    def other(self, session: Any) -> None: ...


@pytest.mark.parametrize(
    "hook",
    [
        Lobby().left,
        lambda session, reason, more=1: None,
        lambda *all: None,
        partial(lambda more, session, reason: None, 1),
        [].append.__self__.insert,
    ],
)
def test_what_can_be_called(hook: Any) -> None:
    check_hook(hook, "on_closed", "session", "reason")


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        (None, "the hook of on_closed is a function, not None"),
        (Lobby().other, r"on_closed calls Lobby\.other with \(session, reason\): too many"),
        (Lobby.left, "missing a required argument: 'reason'"),
        (lambda session, reason, *, more: None, "missing a required"),
    ],
)
def test_what_can_not(hook: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        check_hook(hook, "on_closed", "session", "reason")
