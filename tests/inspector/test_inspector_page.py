"""What docs/inspector.md shows is what comes out."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

import pytest
import pytest_twisted
from running import ROOT
from twisted.internet.threads import deferToThread
from twisted.protocols import amp

from chatcore.inspector.capture import Event, Head, Kind, decode, encode
from chatcore.inspector.redaction import NAMES
from chatcore.inspector.seen import FIELDS, KINDS, TROUBLE, Seen

from .arithmetic import Divide, Sum
from .boxes import box
from .commanding import inspect
from .proxying import connected
from .test_proxy_command import running, server

PAGE = ROOT / "docs" / "inspector.md"
TEXT = PAGE.read_text()
CONSOLE = re.compile(r"(?<=```console\n)(.*?)(?=```)", re.DOTALL)

SUM = box(_ask="1", _command="Sum", a="13", b="81")
TOTAL = box(_answer="1", total="94")
DIVIDE = box(_ask="2", _command="Divide", numerator="1234", denominator="0")
ZERO = box(_error="2", _error_code="ZERO_DIVISION", _error_description="float division by zero")
LOGIN = box(_ask="3", _command="Login", user="bob", password="hunter2")


def capture() -> bytes:
    start = 1_700_000_000_000_000

    def event(kind: Kind, time: int, direction: str = "", data: bytes = b"") -> bytes:
        return encode(
            Event(
                kind,
                start + time,
                1,
                "127.0.0.1:1234",
                "127.0.0.1:50124",
                direction,  # type: ignore[arg-type]
                data,
            )
        )

    return (
        encode(Head({"program": "chatcore"}))
        + event("open", 120)
        + event("box", 961, "in", SUM)
        + event("box", 2_410, "out", TOTAL)
        + event("box", 2_984, "in", DIVIDE)
        + event("box", 5_101, "out", ZERO)
        + event("box", 5_799, "in", LOGIN)
        + event("end", 2_005_802)
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the commands of the page are given."""
    (code,) = re.findall(r"```python\n# calculator.py\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "calculator.py").write_text(code)
    (tmp_path / "talk.cap").write_bytes(capture())
    (tmp_path / "talk.amp").write_bytes(SUM + TOTAL + DIVIDE + b"\r\n-- cut --\r\n" + ZERO + LOGIN)
    return tmp_path


def given(block: str) -> list[str]:
    return [line[2:] for line in block.splitlines() if line.startswith("$ ")]


def ran(command: str, folder: Path) -> str:
    """What a command of the page prints."""
    words, _, to = command.partition(" | ")
    chatcore, group, *rest = shlex.split(words)
    assert (chatcore, group) == ("chatcore", "inspect")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", list(sys.path))
        patch.setenv("COLUMNS", "100")
        return inspect(patch, *rest, terminal=not to and "--json" not in rest).out


def filled(block: str, folder: Path) -> str:
    """A block with what its commands print."""
    return "".join(f"$ {command}\n{ran(command, folder)}" for command in given(block))


OTHERS = [block for block in CONSOLE.findall(TEXT) if re.match(r".* (show|decode) ", block)]
"""Those that need nothing but a file."""


@pytest.mark.parametrize("block", OTHERS, ids=range(len(OTHERS)))
def test_what_is_shown(block: str, folder: Path) -> None:
    assert block == filled(block, folder)


def same(text: str) -> str:
    """A text without what differs each time."""
    for what in (r"\d\d:\d\d:\d\d\.\d{3}", r"127\.0\.0\.1:\d+", r"\d+\.\d ms"):
        text = re.sub(what, "…", text)
    return text


@pytest_twisted.ensureDeferred
async def test_what_the_proxy_shows(folder: Path) -> None:
    (block,) = [block for block in CONSOLE.findall(TEXT) if " proxy " in block]
    (command,) = given(block)
    _, _, _, _, _, *rest = shlex.split(command)
    ours, theirs = os.openpty()
    async with (
        server(Calculator) as target,
        running("0", target, *rest, cwd=folder, stdout=theirs) as (process, place),
    ):
        client = await connected(place, amp.AMP())
        await client.callRemote(Sum, a=13, b=81)
        with pytest.raises(ZeroDivisionError):
            await client.callRemote(Divide, numerator=1234, denominator=0)
        client.transport.loseConnection()
        os.close(theirs)
        count = len(block.splitlines()) - 2
        lines = [await deferToThread(line_of, ours) for _ in range(count)]
        os.close(ours)
        await process.end()
    _, listening, *shown = block.splitlines()
    assert listening == "chatcore: listening on 127.0.0.1:8001, and connecting to 127.0.0.1:1234"
    assert same("\n".join(shown)) == same("\n".join(lines))


class Calculator(amp.AMP):
    """The server of the page."""

    @Sum.responder
    def sum(self, a: int, b: int) -> dict[str, int]:
        return {"total": a + b}

    @Divide.responder
    def divide(self, numerator: int, denominator: int) -> dict[str, float]:
        return {"result": float(numerator) / denominator}


def line_of(fd: int) -> str:
    """A line of a terminal."""
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(fd, 1)
    return line.decode().rstrip("\r\n")


def test_its_tables_are_complete() -> None:
    told = TEXT[TEXT.index("## What is told") : TEXT.index("## Bodies")]
    keys = re.findall(r"^\| `(\w+)` \|", told, re.MULTILINE)
    assert keys == [*Seen("ask", body={}).to_value(), *KINDS]
    for kind, meaning in KINDS.items():
        assert f"| `{kind}` | {meaning} |\n" in TEXT
    assert "the fields are " + ", ".join(f"`{name}`" for name in FIELDS) in TEXT
    rule = TEXT[TEXT.index("in whose name") : TEXT.index("stands (case")]
    assert re.findall(r"`(\w+)`", rule) == list(NAMES)
    assert set(KINDS) >= TROUBLE


def test_the_bytes_of_a_record() -> None:
    (shown,) = re.findall(r"```hex\n(.*?)```", TEXT, re.DOTALL)
    event = Event("box", 1_700_000_000_000_000, 7, "n1", "p", "out", b"\0\1a\0\1b\0\0")
    assert encode(event).hex() == re.sub(r"\s", "", shown)
    assert decode(bytes.fromhex(shown)) == event
