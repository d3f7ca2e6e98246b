"""What a trace is called where it crosses from one program to another (W3C Trace Context)."""

from __future__ import annotations

import re
import secrets
from typing import NamedTuple

SAMPLED = 0x01
"""The flag that says that a trace is recorded (section 3.2.2.5.1)."""

LONGEST = 256
"""Characters of what is looked at at all; later versions may have more than 55."""

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


class TraceParent(NamedTuple):
    """What a trace is called, and which of its spans is meant.

    Args:
        trace: 32 hexadecimal digits.
        span: 16 of them.
        flags: see `SAMPLED`.
    """

    trace: str
    span: str
    flags: int = SAMPLED

    @property
    def sampled(self) -> bool:
        """Whether it is recorded where it comes from."""
        return bool(self.flags & SAMPLED)

    def __str__(self) -> str:
        return f"00-{self.trace}-{self.span}-{self.flags & SAMPLED:02x}"


def read(text: object) -> TraceParent | None:
    """What a ``traceparent`` says; None where it says nothing (section 3.2).

    Args:
        text: as it came: text, bytes, or anything.
    """
    if isinstance(text, bytes):
        text = text.decode("ascii", "replace")
    if not isinstance(text, str) or len(text) > LONGEST:
        return None
    found = _FORM.fullmatch(text.strip(" \t"))
    if found is None:
        return None
    version, trace, span, flags, more = found.groups()
    if version == "ff" or (version == "00" and more is not None):
        return None
    if trace == _NO_TRACE or span == _NO_SPAN:
        return None
    return TraceParent(trace, span, int(flags, 16))


def new_trace() -> str:
    """An id that no trace has yet."""
    return secrets.token_hex(16)


def new_span() -> str:
    """An id that no span has yet."""
    return secrets.token_hex(8)
