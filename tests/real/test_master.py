"""A master on its own, and nodes that announce themselves to it, in real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from people import connect, until
from running import PATIENCE, CopiedChat, environment, short_folder, twistd, wait_until

START = ("gate-server-1", "connector-server-1", "chat-server-1", "chat-server-2")


class Cluster(CopiedChat):
    """The chat, each server of it started by hand."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = environment()

    @property
    def url(self) -> str:
        return f"master://127.0.0.1:{self.master_port}"

    def run(self, name: str, *command: str) -> None:
        """Start a command of twistd in the foreground."""
        self._processes[name] = subprocess.Popen(
            twistd("-n", *command, "--app", str(self.app)),
            env=self.environment,
            cwd=self.app.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def start_master(self) -> None:
        self.run("master", "chatmaster", "--port", str(self.master_port))

    def master_listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.master_port)) == 0

    def start(self, id: str, *arguments: str) -> None:
        self.run(id, "chatnode", "--id", id, *arguments)

    def log(self, name: str) -> str:
        file = self.run_folder / f"{name}.log"
        return file.read_text() if file.exists() else ""

    def kill(self, name: str) -> None:
        """End a process with SIGKILL."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def end(self, name: str) -> None:
        """End a process in order."""
        process = self._processes.pop(name)
        process.terminate()
        process.wait(PATIENCE)

    def signal(self, name: str, number: int) -> None:
        self._processes[name].send_signal(number)

    def close(self) -> None:
        for process in self._processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with short_folder() as folder:
        cluster = Cluster(folder)
        yield cluster
        cluster.close()


async def test_the_chat_goes_on_without_a_master_and_grows_when_it_is_back(
    cluster: Cluster,
) -> None:
    async def in_log(words: str, *ids: str, times: int = 1) -> None:
        await until(lambda: all(cluster.log(id).count(words) >= times for id in ids), words)

    cluster.start_master()
    for id in START:
        cluster.start(id, "--registry", cluster.url)
    for id in START:
        await in_log(f"{id} is ready", id)
    people = [await connect(cluster, "connector-server-1") for _ in range(6)]
    rooms = [f"room{number // 2}" for number in range(6)]
    for number, person in enumerate(people):
        assert "users" in await person.enter(f"p{number}", rooms[number])

    async def all_hear(word: str, *, at_once: bool = True) -> None:
        for number, person in enumerate(people):
            if at_once:
                assert await person.say(f"{word} {number}") == {}
            else:
                await person.say_again_and_again(f"{word} {number}")
            await people[number ^ 1].until("onChat", msg=f"{word} {number}")

    await all_hear("before")
    cluster.kill("master")
    await in_log("The registry does not answer", *START)
    await all_hear("without")
    newcomer = await connect(cluster, "connector-server-1")
    assert "users" in await newcomer.enter("newcomer", "room0")
    await people[0].until("onAdd", user="newcomer")

    cluster.start_master()
    await in_log("The registry answers again", *START)
    await all_hear("again")
    cluster.start("chat-server-3", "--registry", cluster.url)
    await in_log("chat-server-3 is ready", "chat-server-3")
    await in_log("to all 4 others", *START)
    await all_hear("with another one")

    cluster.signal("chat-server-3", signal.SIGSTOP)
    await in_log("chat-server-3 is taken out of the view", "master")
    await all_hear("while it sleeps", at_once=False)
    cluster.signal("chat-server-3", signal.SIGCONT)
    await in_log("chat-server-3 was taken out of the view", "chat-server-3")
    await in_log("to all 4 others", "chat-server-1", times=2)
    await all_hear("when it is awake")
    for person in [*people, newcomer]:
        assert person.kicked == []
        await person.leave()
    cluster.end("chat-server-2")
    await in_log("chat-server-2 is taken out of the view: it has left", "master")


def test_the_registry_may_be_told_by_the_environment(cluster: Cluster) -> None:
    cluster.environment["CHATCORE_REGISTRY"] = cluster.url
    cluster.start_master()
    cluster.start("chat-server-1")
    wait_until(lambda: "chat-server-1 has come" in cluster.log("master"), "it")


class TestMistakes:
    """Exit code 2, one message, nothing is left started."""

    def refused(self, cluster: Cluster, *command: str) -> str:
        ended = subprocess.run(
            twistd("-n", *command, "--app", str(cluster.app)),
            env=cluster.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert ended.returncode == 2, ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr
        assert not list(cluster.run_folder.glob("*.pid"))
        assert not list(cluster.run_folder.glob("*.lock"))
        return ended.stderr

    def test_of_the_master(self, cluster: Cluster) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            said = self.refused(cluster, "chatmaster", "--port", port)
        assert f"port {port} of 127.0.0.1" in said and "in use" in said
        assert "'master.port' can't be 'many'" in self.refused(
            cluster, "chatmaster", "--port", "many"
        )
        assert "which others may reach" in self.refused(cluster, "chatmaster", "--host", "0.0.0.0")
        assert "registry.lease_seconds" in self.refused(
            cluster, "chatmaster", "--set", "registry.leas_seconds=3"
        )
        open_to_all = cluster.app / "secret"
        open_to_all.write_text("x" * 40)
        open_to_all.chmod(0o644)
        said = self.refused(cluster, "chatmaster", "--secret-file", str(open_to_all))
        assert "can be read or written by others" in said and said.count("\n") == 1

    def test_of_the_registry(self, cluster: Cluster) -> None:
        node = ("chatnode", "--type", "chat")
        assert "is no registry" in self.refused(cluster, *node, "--registry", "mster://here")
        assert "not the URL of a master" in self.refused(
            cluster, *node, "--registry", "master://127.0.0.1:many"
        )
        assert "not encrypted" in self.refused(
            cluster, *node, "--registry", "master://192.0.2.7:3005"
        )
        for arguments in (
            ("--registry", "redis://joe:s3same@192.0.2.7"),
            ("--set", "registry.url=redis://joe:s3same@192.0.2.7"),
        ):
            said = self.refused(cluster, *node, *arguments)
            assert "CHATCORE_REGISTRY" in said
            assert "s3same" not in said


def test_there_is_one_master_for_a_run_folder(cluster: Cluster) -> None:
    cluster.start_master()
    wait_until(cluster.master_listens, "the master")
    for command in (
        twistd("-n", "chatmaster", "--app", str(cluster.app), "--port", "1"),
        [sys.executable, "-m", "chatcore", "start", "--app", str(cluster.app), *cluster.ports],
    ):
        second = subprocess.run(
            command, env=cluster.environment, capture_output=True, text=True, timeout=60
        )
        assert second.returncode == 2
        assert f"already, as process {cluster.pid('master')}" in second.stderr
    assert f"Use it with --registry {cluster.url}" in second.stderr
    pid = cluster.pid("master")
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: cluster.pid("master") is None, "its end")
