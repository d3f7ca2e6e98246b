"""The exit codes of ``chatcore``."""

from __future__ import annotations

from typing import Final

from chatcore.errors import ChatcoreError

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
UNKNOWN: Final = 4
FORBIDDEN: Final = 5
INTERRUPTED: Final = 130

MEANINGS: Final = {
    DONE: "done",
    FAILED: "failed, or done in part",
    USAGE: "a mistake in options, files or components",
    UNREACHABLE: "no cluster was reached",
    UNKNOWN: "there is no such server",
    FORBIDDEN: "who has a viewer's token may not do that",
    INTERRUPTED: "interrupted",
}


class CommandError(ChatcoreError):
    """Why a command can't be done.

    Args:
        problem: what is wrong, without a full stop.
        exit: the exit code.
        advice: what to do next, without a full stop.
    """

    def __init__(self, problem: str, *, exit: int = USAGE, advice: str | None = None) -> None:
        self.problem, self.exit, self.advice = problem, exit, advice
        super().__init__(f"{problem}. {advice}" if advice else problem)
