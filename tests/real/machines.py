"""Two machines, as network namespaces, that are joined by a wire that can be cut."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Machine:
    """One of them.

    Args:
        namespace: its name.
        address: where the other machine reaches it.
        desk: where this test reaches it, whatever becomes of the wire.
    """

    namespace: str
    address: str
    desk: str

    @property
    def this_side(self) -> str:
        """The address of this test, for that machine."""
        net, _, last = self.desk.rpartition(".")
        return f"{net}.{int(last) - 1}"

    @property
    def inside(self) -> tuple[str, ...]:
        """What a command begins with that is to run there."""
        return "ip", "netns", "exec", self.namespace


class TwoMachines:
    """Both, and the wire between them.

    A machine's address is not that of its end of the wire: when that is down, the machine still
    reaches itself.
    """

    def __init__(self) -> None:
        mark = os.getpid()
        net = f"198.19.{mark % 250}"  # others may have such machines, too
        self.one = Machine(f"one-{mark}", "198.18.7.1", f"{net}.2")
        self.other = Machine(f"other-{mark}", "198.18.7.2", f"{net}.6")

    def build(self) -> None:
        one, other = self.one, self.other
        for machine in (one, other):
            _ip("netns", "add", machine.namespace)
            _ip("-n", machine.namespace, "link", "set", "lo", "up")
            _ip("-n", machine.namespace, "addr", "add", f"{machine.address}/32", "dev", "lo")
        wire = ("type", "veth", "peer", "name", "wire", "netns", other.namespace)
        _ip("-n", one.namespace, "link", "add", "wire", *wire)
        self.join()
        for machine in (one, other):
            here, there = machine.namespace, ("-n", machine.namespace)
            _ip("link", "add", here, "type", "veth", "peer", "name", "desk", "netns", here)
            _ip("addr", "add", f"{machine.this_side}/30", "dev", here)
            _ip("link", "set", here, "up")
            _ip(*there, "addr", "add", f"{machine.desk}/30", "dev", "desk")
            _ip(*there, "link", "set", "desk", "up")

    def cut(self) -> None:
        """Cut the wire: what is sent into it is lost."""
        for machine in (self.one, self.other):
            _ip("-n", machine.namespace, "link", "set", "wire", "down")

    def join(self) -> None:
        """Join both ends again."""
        for here, there in ((self.one, self.other), (self.other, self.one)):
            _ip("-n", here.namespace, "link", "set", "wire", "up")
            way = (f"{there.address}/32", "dev", "wire", "src", here.address)
            _ip("-n", here.namespace, "route", "replace", *way)

    def clear(self) -> None:
        for machine in (self.one, self.other):
            for words in ("link", "netns"):
                subprocess.run(["ip", words, "del", machine.namespace], capture_output=True)


@contextmanager
def two_machines() -> Iterator[TwoMachines]:
    """Two machines; the test is skipped where there can't be any."""
    if shutil.which("ip") is None:
        pytest.skip("there is no ip: the Debian package iproute2")
    machines = TwoMachines()
    with ExitStack() as stack:
        stack.callback(machines.clear)
        try:
            machines.build()
        except subprocess.CalledProcessError as problem:
            why = problem.stderr.strip()
            pytest.skip(f"no network namespaces with iproute2 here, which root makes: {why}")
        yield machines


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
