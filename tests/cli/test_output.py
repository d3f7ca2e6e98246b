"""What commands print."""

from __future__ import annotations

import io
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from chatcore.cli.ordering import LOOK, Ordering
from chatcore.cli.output import Column, Output
from chatcore.cli.servers import COLUMNS

from .clusters import Terminal


class Torn(io.StringIO):
    """Whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def drawn(columns: int, rows: list[list[object]], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    out = io.StringIO()
    Output(out, io.StringIO()).table(COLUMNS, rows)
    return [line.rstrip() for line in out.getvalue().splitlines()]


SERVER = ["connector-server-1", "connector", "up", 4711, "127.0.0.1:4050", "127.0.0.1:3050"]
ROW = [*SERVER, 3, 3, None, 0, "4 s", "60 MiB", "chat-server-1"]


@pytest.mark.parametrize(
    ("columns", "heads"),
    [
        (200, [column.head for column in COLUMNS if column.head != "channels"]),
        (60, ["server", "type", "state", "clients", "not linked to"]),
        (50, ["server", "state", "clients", "not linked to"]),
        (40, ["server", "state", "not linked to"]),
    ],
)
def test_as_much_as_fits(columns: int, heads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    head, line = drawn(columns, [ROW], monkeypatch)
    assert head.split("  ")[0] == "server"
    assert [each for each in (part.strip() for part in head.split("  ")) if each] == heads
    assert line.startswith("connector-server-1")


def test_a_table_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn(80, [], monkeypatch) == ["server  state"]


def test_who_reads_no_more_keeps_nothing_from_being_done() -> None:
    out, err = Torn(), io.StringIO()
    output = Output(out, err)
    output.record(["a"], "a")
    output.note("still here")
    output.record(["b"], "b")
    assert (output.finish(0), output.finish(3), err.getvalue()) == (1, 3, "still here\n")


def test_what_is_lost_beside_it_is_lost() -> None:
    err = io.StringIO()
    with open("/dev/full", "w") as full:
        output = Output(full, err)
        beside = output.unbuffered()
        beside.record(["a"], "a")

        assert (beside.reader_is_gone, output.finish(0)) == (True, 1)
    assert err.getvalue() == "chatcore: the output can't be written: No space left on device\n"


def test_columns_without_a_rank_are_always_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    out = io.StringIO()
    Output(out, io.StringIO()).table((Column("id"), Column("at", 1)), [["a", None]])
    assert out.getvalue().split() == ["id", "a"]


class Slow:
    """A cluster that takes its time."""

    def __init__(self) -> None:
        self.ordered: Deferred[bool] = Deferred()
        self.asked: list[Deferred[Any]] = []

    async def order(self, what: str, id: str) -> bool:
        return await self.ordered

    async def status(self, id: str, seconds: float) -> Any:
        self.asked.append(Deferred())
        return await self.asked[-1]


def test_how_far_it_is_is_not_shown_of_what_is_done() -> None:
    """The answer about it comes when it is over."""
    out, err, clock, cluster = Terminal(), Terminal(), Clock(), Slow()
    output = Output(out, err)
    ordering = Ordering(cluster, output, reactor=clock)  # type: ignore[arg-type]  # stands for one
    done = Deferred.fromCoroutine(ordering.together("drain", ["chat-1"]))
    clock.advance(LOOK)
    cluster.asked[0].callback({"state": "draining", "clients": 3})
    assert err.getvalue().endswith("draining chat-1: 3 clients")
    clock.advance(LOOK)
    cluster.ordered.callback(True)
    assert done.called
    cluster.asked[1].callback({"state": "draining"})
    assert err.getvalue().endswith("\x1b[2K")
    assert out.getvalue() == f"chat-1  drained ({2 * LOOK:.1f} s)\n"
