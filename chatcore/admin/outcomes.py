"""What comes of what an administrator asks: a result, or a problem of some kind."""

from __future__ import annotations

from typing import Any, Final, Literal

from chatcore.errors import AdminError

UNKNOWN: Final = "unknown"
"""Nobody knows a server of that id."""

AWAY: Final = "away"
"""The server is known, and can't be reached now."""

STRANGER: Final = "stranger"
"""Who answers is not who was meant, or knows another secret."""

FORBIDDEN: Final = "forbidden"
"""Who asked may look only, and nothing was done."""

UNSUPERVISED: Final = "unsupervised"
"""It takes a ``chatcore start``, and none owns that server."""

REFUSED: Final = "refused"
"""It makes no sense now; nothing was done."""

BUSY: Final = "busy"
"""So much is asked already that nothing was done; it is worth while to ask again."""

MISTAKE: Final = "mistake"
"""What was asked, or servers.json, says something that makes no sense."""

FAILED: Final = "failed"
"""It was tried, and came to another end."""

LOST: Final = "lost"
"""The link ended while it was under way: it may be done, and may not."""

LATE: Final = "late"
"""It is not done within the time; it may be done yet."""

What = Literal["stop", "drain", "kill", "start", "restart"]
"""What can be done with a server.

``stop``
    end its process in order
``drain``
    have it hand over what it has, and then end its process in order
``kill``
    end its process at once, whatever is lost
``start``
    start its process, which takes whoever started it before
``restart``
    drain, then start
"""

WHATS: Final[tuple[What, ...]] = ("stop", "drain", "kill", "start", "restart")


def done(result: Any) -> dict[str, Any]:
    """What is sent of a result."""
    return {"result": result}


def not_done(problem: AdminError) -> dict[str, Any]:
    """What is sent of a problem."""
    return {"problem": problem.problem, "code": problem.code, "advice": problem.advice}


def result_of(outcome: Any) -> Any:
    """The result that was sent.

    Raises:
        AdminError: a problem was.
    """
    if isinstance(outcome, dict) and "result" in outcome:
        return outcome["result"]
    if not (isinstance(outcome, dict) and isinstance(outcome.get("problem"), str)):
        raise AdminError(f"an answer that can't be understood: {outcome!r:.100}", code=FAILED)
    advice = outcome.get("advice")
    raise AdminError(
        outcome["problem"],
        code=str(outcome.get("code", FAILED)),
        advice=advice if isinstance(advice, str) else None,
    )
