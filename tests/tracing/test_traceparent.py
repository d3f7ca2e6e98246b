"""What traces are called between programs (W3C Trace Context, section 3.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore.tracing.traceparent import TraceParent, new_span, new_trace, read

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("text", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f" 00-{TRACE}-{SPAN}-01\t", True),
        (f"01-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-brings", True),
        (f"00-{TRACE}-{SPAN}-01".encode(), True),
    ],
)
def test_what_is_understood(text: str | bytes, sampled: bool) -> None:
    found = read(text)
    assert found is not None
    assert (found.trace, found.span, found.sampled) == (TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "text",
    [
        "",
        None,
        7,
        ["00"],
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"01-{TRACE}-{SPAN}-01more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}",
        f"00{TRACE}{SPAN}01",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"01-{TRACE}-{SPAN}-01-{'x' * 300}",
        b"\xff" * 55,
    ],
)
def test_what_says_nothing(text: object) -> None:
    assert read(text) is None


@given(st.text() | st.binary())
def test_whatever_comes(text: str | bytes) -> None:
    found = read(text)
    assert found is None or read(str(found)) == TraceParent(found.trace, found.span, found.sampled)


def test_what_is_made_up() -> None:
    made = TraceParent(new_trace(), new_span())
    assert read(str(made)) == made and made.sampled
