"""Servers of the chat that are started one by one, and meet in Valkey."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from people import Person, until
from running import CopiedChat, environment, twistd
from valkey_server import Valkey

from chatcore.cluster.redis_keys import keys_of
from chatcore.cluster.seals import Seal
from chatcore.config.run_folder import RunFolder

LEASE = 2.0
"""Seconds within which a server is missed that is silent."""


class Servers(CopiedChat):
    """Servers of the chat, each started by itself.

    Args:
        folder: where to put everything; short.
        valkey: where they meet.
        change: what to change in servers.json.
    """

    def __init__(
        self, folder: Path, valkey: Valkey, change: Callable[[Any], None] | None = None
    ) -> None:
        super().__init__(folder, change)
        self.valkey = valkey
        self.environment = {"CHATCORE_REGISTRY": valkey.url}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    async def start(self, *ids: str) -> None:
        """Start servers, and wait until they are in the view."""
        for id in ids:
            command, more = self.command(id)
            with (self.app.parent / f"{id}.output").open("ab") as output:
                self.processes[id] = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**environment(), **self.environment, **more},
                )
        for id in ids:
            await until(lambda id=id: self.is_up(id), f"{id} to be up")

    def command(self, id: str) -> tuple[list[str], Mapping[str, str]]:
        """What starts a server, and its part of the environment."""
        command = twistd("-n", "chatnode", "--app", str(self.app), "--id", id)
        return [*command, "--set", f"registry.lease_seconds={LEASE:g}"], {}

    def is_up(self, id: str) -> bool:
        assert self.processes[id].poll() is None, self.log(id)[-2000:]
        return self.states().get(id) == "up"

    def states(self) -> dict[str, str]:
        """The states of the members of the view in Valkey."""
        cluster = f"{self.app.name}:development"
        seal = Seal(self.cluster_secret(), cluster)
        key = keys_of(cluster, seal.mark)[0].decode()
        view, stamp = self.valkey.ask("HGET", key, "view"), self.valkey.ask("HGET", key, "stamp")
        text = None if view is None else seal.take(stamp.encode(), view.encode())
        members = [] if text is None else json.loads(text)["members"]
        return {member["id"]: member["state"] for member in members}

    def cluster_secret(self) -> bytes:
        return RunFolder.open(self.app).secret()

    async def end(self, *ids: str, how: signal.Signals = signal.SIGTERM) -> None:
        for id in ids:
            self.processes[id].send_signal(how)
        for id in ids:
            ended = self.processes.pop(id)
            await until(lambda ended=ended: ended.poll() is not None, f"{id} to end")

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    def log(self, id: str) -> str:
        """All that a server has printed."""
        return (self.app.parent / f"{id}.output").read_text()


async def talk(one: Person, other: Person, word: str) -> None:
    """What one says, the other hears."""
    answer = await one.say(word)
    assert answer.get("code") != 500, f"{word!r} was refused"
    await other.until("onChat", msg=word)
