"""``chatcore inspect tap`` as a process: interrupted, stopped, and with nobody who reads it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_twisted
from running import environment
from small_cluster import until
from twisted.internet.threads import deferToThread

from chatcore.node import taps as taps_module
from chatcore.node.taps import RawTap

from .clusters import AdministeredCluster, path_of

KEYS = {"time", "node", "peer", "kind", "route", "size", "ms", "error"}


@asynccontextmanager
async def process(cluster: AdministeredCluster, *words: str) -> AsyncIterator[Any]:
    popen = subprocess.Popen(
        [sys.executable, "-m", "chatcore", "inspect", "tap", "--app", path_of(cluster), *words],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert popen.stdout is not None
    assert popen.stderr is not None
    try:
        line = await deferToThread(popen.stderr.readline)
        assert line == "chatcore: tapping 3 nodes\n"
        yield popen
    finally:
        popen.kill()
        await deferToThread(popen.wait)
        popen.stdout.close()
        popen.stderr.close()


def taps(cluster: AdministeredCluster) -> list[RawTap]:
    """What the nodes show to whom."""
    return [
        tap
        for node in cluster.nodes.values()
        for tap in node._administration._desk._taps._taps.values()  # type: ignore[union-attr]
    ]


def lost(cluster: AdministeredCluster) -> int:
    return sum(tap.lost_boxes for tap in taps(cluster))


@pytest_twisted.ensureDeferred
async def test_ctrl_c(cluster: AdministeredCluster) -> None:
    async with process(cluster, "--json", "--route", "chat.*") as popen:
        client = await cluster.client("front-1")
        assert await client.request("front.doorHandler.enter", {"name": "bob"}) == {"new": True}
        lines = [json.loads(await deferToThread(popen.stdout.readline)) for _ in range(2)]
        assert [line["kind"] for line in lines] == ["ask", "answer"]
        assert set(lines[0]) >= KEYS
        popen.send_signal(signal.SIGINT)
        out, err = await deferToThread(popen.communicate)
        assert popen.returncode == 130
        assert json.loads(out)["advice"].startswith("boxes: ")
        assert err == ""
    await until(lambda: not taps(cluster), "the end of the taps")
    assert not any(link.tap for node in cluster.nodes.values() for link in node.links.linked())


@pytest_twisted.ensureDeferred
async def test_a_reader_that_stops_loses_lines_and_delays_nobody(
    cluster: AdministeredCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taps_module, "HELD_BYTES", 400_000)
    client = await cluster.client("front-1")
    assert await client.request("front.doorHandler.enter", {"name": "x" * 30_000})
    async with process(cluster, "--json", "-v") as popen:
        number = 0
        while not lost(cluster):
            number += 1
            other = await cluster.client("front-1")
            name = f"{number} {'y' * 30_000}"
            # Nobody reads the pipe, and soon the command stops reading, too.
            answer = await other.request("front.doorHandler.enter", {"name": name})
            assert answer == {"new": True}
            await other.disconnect()
            assert all(tap.held <= 400_000 for tap in taps(cluster))
            assert number < 2000
        told = await deferToThread(read_until_lost, popen.stdout)
        assert told["error"].endswith("boxes were not seen")
        assert told["size"] > 0


def read_until_lost(pipe: Any) -> Any:
    for line in pipe:
        document = json.loads(line)
        if document["kind"] == "lost":
            return document
    raise AssertionError("nothing was told as lost")


@pytest_twisted.ensureDeferred
async def test_a_process_that_is_stopped_is_told_what_it_has_lost(
    cluster: AdministeredCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taps_module, "HELD_BYTES", 400_000)
    async with process(cluster, "--route", "chat.*") as popen:
        os.kill(popen.pid, signal.SIGSTOP)
        number = 0
        while not lost(cluster):
            number += 1
            client = await cluster.client("front-1")
            name = f"{number} {'z' * 30_000}"
            answer = await client.request("front.doorHandler.enter", {"name": name})
            assert answer == {"new": True}
            await client.disconnect()
            assert number < 2000
        os.kill(popen.pid, signal.SIGCONT)
        while True:
            fields = (await deferToThread(popen.stdout.readline)).split("\t")
            if fields[4] == "lost":
                break
        await until(lambda: not sum(tap.held for tap in taps(cluster)), "all to be read")
        popen.send_signal(signal.SIGTERM)
        _, err = await deferToThread(popen.communicate)
        assert popen.returncode == 130
        assert ", lost boxes: " in err
