"""The AMP examples of Twisted's own documentation, as they are but for their port."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted
from running import environment, free_ports
from twisted.internet.threads import deferToThread

from .commanding import inspect
from .test_proxy_command import running
from .twisted_documentation import documentation

SEEN = [
    ["open", "-", None],
    ["ask", "Sum", {"a": 13, "b": 81}],
    ["answer", "Sum", {"total": 94}],
    ["end", "-", None],
    ["open", "-", None],
    ["ask", "Divide", {"numerator": 1234, "denominator": 0}],
    ["error", "Divide", {}],
    ["end", "-", None],
]


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A folder with the two."""
    source = documentation() / "examples"
    for name in ("ampserver.py", "ampclient.py"):
        (tmp_path / name).write_text((source / name).read_text())
    return tmp_path


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


@pytest.fixture
def server(examples: Path) -> Iterator[int]:
    """The server; the port it listens on comes back."""
    with free_ports(1) as (port,):
        change(
            examples / "ampserver.py", "TCP(1234, pf)", f"TCP({port}, pf, interface='127.0.0.1')"
        )
    process = subprocess.Popen(
        [sys.executable, "ampserver.py"],
        cwd=examples,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "started\n"
        yield port
    finally:
        process.kill()
        process.communicate()


@pytest_twisted.ensureDeferred
async def test_are_proxied_recorded_and_decoded(
    examples: Path, server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = examples / "math.cap"
    words = ("0", f"127.0.0.1:{server}", "-v", "--json", "--commands", "ampserver")
    async with running(*words, "--record", str(capture), cwd=examples) as (process, place):
        change(examples / "ampclient.py", '"127.0.0.1", 1234', f'"127.0.0.1", {place[10:]}')
        done = await deferToThread(
            subprocess.run,
            [sys.executable, "ampclient.py"],
            cwd=examples,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stdout == (
            "Divided by zero: returning INF\nDone with math: [(True, 94), (True, inf)]\n"
        )
        lines = [await process.line() for _ in SEEN]
        await process.end()
    shown = inspect(
        monkeypatch,
        "show",
        str(capture),
        "-v",
        "--json",
        "--commands",
        "tests.inspector.arithmetic",
    ).json
    for told in (lines, shown):
        in_order = sorted(told, key=lambda line: line["connection"])
        assert [[line["kind"], line["route"] or "-", line.get("body")] for line in in_order] == SEEN
        (error,) = [line for line in told if line["kind"] == "error"]
        assert (error["error"], error["why"]) == ("ZERO_DIVISION", "float division by zero")
    raw = examples / "raw.amp"
    raw.write_bytes(_boxes(capture))
    decoded = inspect(monkeypatch, "decode", str(raw), "--json").json
    assert [line["kind"] for line in decoded].count("ask") == 2
    assert {line["route"] for line in decoded} == {"Sum", "Divide"}


def _boxes(capture: Path) -> bytes:
    from chatcore.inspector.capture import Event
    from chatcore.inspector.reading import read

    with capture.open("rb") as file:
        return b"".join(
            each.data for each in read(file) if isinstance(each, Event) and each.kind == "box"
        )
