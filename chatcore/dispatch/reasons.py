"""Why a request is not answered as it should be, in the words that all parts use for it."""

from __future__ import annotations

from chatcore.dispatch.calling import DeadlinePassed
from chatcore.errors import (
    CallTimedOut,
    ChannelMoved,
    LinkLost,
    NoSuchServer,
    NotConnected,
    RpcError,
)
from chatcore.telemetry import Reason


def reason_of(problem: BaseException) -> Reason:
    """Why what acted on a request, or a call, gave no result."""
    if isinstance(problem, DeadlinePassed | CallTimedOut):
        return "late"
    if isinstance(problem, NotConnected) and "blocked" in problem.why:
        return "link blocked"
    if isinstance(problem, NoSuchServer | NotConnected):
        return "no server"
    if isinstance(problem, LinkLost):
        return "link lost"
    if isinstance(problem, ChannelMoved):
        return "moved"
    return "refused" if isinstance(problem, RpcError) and problem.nothing_ran else "failed"


def in_words(problem: BaseException, error_id: str | None = None) -> str:
    """The same for people; the log has more under the id."""
    if isinstance(problem, DeadlinePassed | RpcError):
        return str(problem)
    where = f"; the log has it as error {error_id}" if error_id else ""
    return f"it raised {type(problem).__name__}{where}"
