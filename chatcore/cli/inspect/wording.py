"""Times and sizes, for people."""

from __future__ import annotations

from chatcore.cli.servers import duration


def amount(count: int | None) -> str | None:
    """A size for people, of bytes."""
    if count is None:
        return None
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= 10 * size:
            return f"{count / size:.0f} {unit}"
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def ago(seconds: float | None) -> str | None:
    """How long ago something was."""
    return None if seconds is None else f"{duration(max(seconds, 0.0))} ago"


def milliseconds(seconds: float | None) -> float | None:
    """A time in milliseconds, as exact as anybody wants it."""
    return None if seconds is None else round(seconds * 1000, 1)
