"""``chatcore inspect proxy`` as a process: its lines, its captures, and readers that stop."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest_twisted
from running import ROOT, environment, free_ports, wait_until
from twisted.internet.threads import deferToThread
from twisted.protocols import amp

from chatcore.inspector.capture import Event
from chatcore.inspector.reading import Damage, read

from .arithmetic import Arithmetic, Sum
from .boxes import box
from .proxying import Peer, connected, listening, until


class Process:
    """The command.

    Args:
        words: behind ``chatcore inspect proxy``.
        cwd: where it runs.
        stdout: where it prints.
    """

    def __init__(self, *words: str, cwd: Path = ROOT, stdout: int = subprocess.PIPE) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "chatcore", "inspect", "proxy", *words],
            env=environment(),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )

    async def start(self) -> str:
        """Wait until it listens; where, comes back."""
        assert self.popen.stderr is not None
        line = await deferToThread(self.popen.stderr.readline)
        found = re.match(r"chatcore: listening on (\S+), and connecting to ", line)
        assert found, line
        return found[1]

    async def line(self) -> Any:
        """What its next line says."""
        assert self.popen.stdout is not None
        return json.loads(await deferToThread(self.popen.stdout.readline))

    async def end(self, number: int = signal.SIGINT) -> tuple[str, str]:
        """End it; what it has yet to write comes back."""
        self.popen.send_signal(number)
        return await deferToThread(self.popen.communicate)


@asynccontextmanager
async def running(*words: str, **more: Any) -> AsyncIterator[tuple[Process, str]]:
    process = Process(*words, **more)
    try:
        yield process, await process.start()
    finally:
        process.popen.kill()
        await deferToThread(process.popen.wait)
        for stream in (process.popen.stdout, process.popen.stderr):
            if stream is not None:
                stream.close()


@asynccontextmanager
async def server(make: Callable[[], Any]) -> AsyncIterator[str]:
    port = await listening(make)
    try:
        yield port.place
    finally:
        await port.stopListening()


def events(file: Path) -> list[Event | Damage]:
    with file.open("rb") as opened:
        return [each for each in read(opened) if isinstance(each, Event | Damage)]


def has(file: Path, boxes: int) -> bool:
    """Whether so many boxes were recorded."""
    found = [each for each in events(file) if isinstance(each, Event) and each.kind == "box"]
    return len(found) == boxes


def got(peers: list[Peer], size: int) -> bool:
    """Whether so many bytes have come to the first of those."""
    return bool(peers) and len(peers[0].came) == size


def is_as_long_as(file: Path, size: int) -> bool:
    """Whether a file has so many bytes."""
    return file.stat().st_size >= size


@pytest_twisted.ensureDeferred
async def test_lines_come_at_once() -> None:
    async with server(Arithmetic) as target:
        words = ("0", target, "--json", "-v", "--commands", "tests.inspector.arithmetic")
        async with running(*words) as (process, place):
            client = await connected(place, amp.AMP())
            assert await client.callRemote(Sum, a=13, b=81) == {"total": 94}
            lines = [await process.line() for _ in range(3)]
            assert [line["kind"] for line in lines] == ["open", "ask", "answer"]
            assert lines[1]["body"] == {"a": 13, "b": 81}
            assert lines[1]["node"] == target
            client.transport.loseConnection()
            assert (await process.line())["kind"] == "end"
            out, _ = await process.end()
            assert process.popen.returncode == 130
            assert json.loads(out)["advice"] == "connections: 1, bytes passed: 65"


@pytest_twisted.ensureDeferred
async def test_a_reader_that_stops_delays_nothing(tmp_path: Path) -> None:
    capture = tmp_path / "all.cap"
    raw = box(_command="Big", data=b"x" * 60_000)
    portion = 4 * 2**20 // len(raw)
    count = 6 * portion
    peers: list[Peer] = []

    def make() -> Peer:
        peers.append(Peer())
        return peers[-1]

    async with (
        server(make) as target,
        running("0", target, "--json", "-v", "--record", str(capture)) as (process, place),
    ):
        client = await connected(place, Peer())
        for sent in range(portion, count + 1, portion):
            client.transport.write(raw * portion)
            await until(partial(got, peers, len(raw) * sent))
            # So that who records keeps up, also where the machine is busy.
            await until(partial(is_as_long_as, capture, len(raw) * sent))
        client.transport.loseConnection()
        await peers[0].ended
        await until(partial(has, capture, count))
        process.popen.send_signal(signal.SIGINT)
        assert process.popen.stderr is not None
        assert await deferToThread(process.popen.wait, 60) == 130
        out, err = await deferToThread(process.popen.communicate)
        assert out.count("\n") < count
        missed = re.search(r"bytes passed: (\d+), not shown or recorded: (\d+)", err)
        assert missed
        assert int(missed[1]) == len(raw) * count > int(missed[2]) > 0
    assert [each.kind for each in events(capture)] == ["open", *["box"] * count, "end"]


@pytest_twisted.ensureDeferred
async def test_a_capture_has_all_that_was_seen_however_it_ends(tmp_path: Path) -> None:
    capture = tmp_path / "all.cap"
    async with server(Arithmetic) as target:
        for run in (1, 2):
            words = ("0", target, "--record", str(capture))
            async with running(*words) as (process, place):
                client = await connected(place, amp.AMP())
                for number in range(10):
                    await client.callRemote(Sum, a=number, b=0)
                expected = run * 20
                await deferToThread(wait_until, partial(has, capture, expected), "all boxes")
                await process.end(signal.SIGKILL)
    assert [each.kind for each in events(capture)] == ["open", *["box"] * 20] * 2


@pytest_twisted.ensureDeferred
async def test_a_target_that_is_not_there_is_logged() -> None:
    with free_ports(1) as (port,):
        pass
    async with running("0", f"127.0.0.1:{port}", "--json") as (process, place):
        client = await connected(place, Peer())
        await client.ended
        line = await process.line()
        assert line["kind"] == "failed"
        assert line["error"] == (
            f"127.0.0.1:{port} can't be reached: Connection was refused by other side: 111: "
            "Connection refused."
        )
        _, err = await process.end()
        assert f"{line['peer']}: {line['error']}" in err


@pytest_twisted.ensureDeferred
async def test_a_place_that_is_taken() -> None:
    async with server(Peer) as place:
        process = Process(place, place)
        _, err = await deferToThread(process.popen.communicate)
        assert process.popen.returncode == 2
        assert err.startswith(f"chatcore: {place} can't be listened on: ")


@pytest_twisted.ensureDeferred
async def test_a_recording_may_go_through_a_pipe() -> None:
    async with server(Arithmetic) as target:
        words = ("inspect", "proxy", "0", target, "--json", "--record", "-")
        process = Process(*words[2:])
        show = subprocess.Popen(
            [sys.executable, "-m", "chatcore", "inspect", "show", "-", "--json"],
            env=environment(),
            stdin=process.popen.stdout,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            client = await connected(await process.start(), amp.AMP())
            await client.callRemote(Sum, a=1, b=2)
            client.transport.loseConnection()
            assert show.stdout is not None
            lines = [await deferToThread(show.stdout.readline) for _ in range(4)]
            assert [json.loads(line)["kind"] for line in lines] == ["open", "ask", "answer", "end"]
            process.popen.send_signal(signal.SIGINT)
            assert await deferToThread(process.popen.wait) == 130
            assert process.popen.stdout is not None
            process.popen.stdout.close()
            assert await deferToThread(show.wait) == 0
        finally:
            for popen in (process.popen, show):
                popen.kill()
                await deferToThread(popen.wait)
                for stream in (popen.stdout, popen.stderr):
                    if stream is not None:
                        stream.close()
