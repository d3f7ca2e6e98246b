"""A cluster on two "hosts" in real processes: certificates, one secret, and nothing told of it."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from identities import make_identities
from people import pause
from running import PATIENCE, RunningChat, environment, free_ports, short_folder, twistd, wait_until
from strangers import HANDLER, REMOTE
from twisted.internet import reactor

from chatcore.client import Client

SECRET = base64.b64encode(bytes(range(100, 148))).decode()


class TwoHosts:
    """A frontend and a master on one host, and a backend on another that nobody listed.

    Args:
        folder: where all of it is, with a short path.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.app = folder, folder / "app"
        files = {"servers/front/handlers.py": HANDLER, "servers/back/remotes.py": REMOTE}
        for path, text in files.items():
            (self.app / path).parent.mkdir(parents=True, exist_ok=True)
            (self.app / path).write_text(textwrap.dedent(text))
        with free_ports(4) as ports:
            self.master, self.front, self.clients, self.back = ports
        front = {"id": "front-1", "port": self.front, "clientPort": self.clients}
        (self.app / "servers.json").write_text(
            json.dumps({"development": {"front": [front], "back": []}})
        )
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.secret = folder / "secret"
        self.secret.write_text(f"{SECRET}\n")
        self.secret.chmod(0o600)

    def certs(self, *ids: str) -> None:
        """Make certificates, and copy to each "host" what it has to have."""
        command = [sys.executable, "-m", "chatcore", "certs", "tls", *ids, "--app", str(self.app)]
        subprocess.run(command, cwd=self.folder, env=environment(), check=True, timeout=PATIENCE)
        for host, owners in {"one": ("master", "front-1"), "two": ("target",)}.items():
            (there := self.folder / host / "tls").mkdir(parents=True, mode=0o700)
            for name in ("ca.pem", *(f"{id}.{end}" for id in owners for end in ("pem", "key"))):
                shutil.copy2(self.folder / "tls" / name, there / name)

    def start(self, name: str, host: str, *arguments: str, secret: Path | None = None) -> None:
        """Start a process of twistd on a "host"."""
        common = ("--app", str(self.app), "--run-dir", str(self.folder / host / "run"))
        trust = ("--tls", f"{host}/tls", "--secret-file", str(secret or self.secret))
        with self.output(name).open("wb") as output:
            self.processes[name] = subprocess.Popen(
                twistd("--nodaemon", *arguments[:1], *common, *trust, *arguments[1:]),
                cwd=self.folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def chatcore(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of an administrator against the frontend."""
        where = ("--at", f"127.0.0.1:{self.front}", "--secret-file", str(self.secret))
        return subprocess.run(
            [sys.executable, "-m", "chatcore", *words, *where],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def output(self, name: str) -> Path:
        return self.folder / f"{name}.out"

    def close(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(PATIENCE)

    def told(self) -> str:
        """All that was printed and logged, and what anybody can see of the processes."""
        texts = [file.read_text() for file in self.folder.glob("*.out")]
        texts += [file.read_text() for file in self.folder.glob("**/*.log*")]
        for process in self.processes.values():
            if process.poll() is None:
                texts.append(Path(f"/proc/{process.pid}/cmdline").read_text())
        return "\n".join(texts)

    def secrets(self) -> list[str]:
        """What nobody must read anywhere, in pieces."""
        keys = [file.read_text().splitlines()[1:-1] for file in self.folder.glob("**/*.key")]
        return [SECRET, SECRET[:20], *(line for lines in keys for line in lines)]


@pytest.fixture
def hosts() -> Iterator[TwoHosts]:
    with short_folder() as folder:
        hosts = TwoHosts(folder)
        yield hosts
        hosts.close()


async def ask(port: int, n: int) -> Any:
    client = Client(reactor=reactor)
    await client.init(host="127.0.0.1", port=port, timeout=PATIENCE)
    try:
        return await client.request("front.frontHandler.ask", {"n": n})
    finally:
        await client.disconnect()


async def until_answered(port: int, n: int) -> None:
    end = time.monotonic() + PATIENCE
    while await ask(port, n) != {"said": n}:
        assert time.monotonic() < end, "nobody answers"
        await pause()


async def test_a_node_on_another_host_joins_with_its_certificate(hosts: TwoHosts) -> None:
    hosts.certs("target")
    registry = ("--registry", f"master://127.0.0.1:{hosts.master}")
    hosts.start("master", "one", "chatmaster", "--port", str(hosts.master))
    hosts.start("front", "one", "chatnode", "--id", "front-1", *registry)
    wait_until(lambda: b"front-1 is ready" in hosts.output("front").read_bytes(), "the frontend")
    there = ("--host", "127.0.0.2", "--port", str(hosts.back))
    hosts.start("back", "two", "chatnode", "--type", "back", "--id", "target", *there, *registry)
    await until_answered(hosts.clients, 7)
    listed = hosts.chatcore("list", "--timeout", "60", "--tls", "tls")
    assert [line.split("\t")[:3] for line in listed.stdout.splitlines()] == [
        ["front-1", "front", "up"],
        ["target", "back", "up"],
    ], listed.stderr
    unlisted = hosts.chatcore("list", "--timeout", "60")
    assert unlisted.returncode == 3
    assert "Where links are encrypted, give --tls DIR" in unlisted.stderr
    # Others come: without a certificate, with another's, without the secret.
    wrong = hosts.folder / "wrong"
    wrong.write_text("the secret of some other cluster, which this one is not\n")
    wrong.chmod(0o600)
    thief = ("chatnode", "--type", "back", "--id", "a-thief", "--host", "127.0.0.2", "--port")
    shutil.copytree(hosts.folder / "two" / "tls", hosts.folder / "three" / "tls")
    hosts.start("no certificate", "three", *thief, str(hosts.back + 1), *registry)
    assert hosts.processes["no certificate"].wait(PATIENCE) == 2
    for ending in ("pem", "key"):
        file = hosts.folder / "three" / "tls" / f"target.{ending}"
        file.rename(file.with_name(f"a-thief.{ending}"))
    hosts.start("another's", "three", *thief, str(hosts.back + 1), *registry)
    assert hosts.processes["another's"].wait(PATIENCE) == 2
    shutil.copytree(hosts.folder / "tls", hosts.folder / "four" / "tls")
    command = ("chatnode", "--type", "back", "--id", "target", "--port", str(hosts.back + 2))
    hosts.start("no secret", "four", *command, *registry, secret=wrong)
    kept_out = "target is not ready"
    said = f"does not answer: master://127.0.0.1:{hosts.master}: it does not know this cluster's"
    rejected = " was rejected: target does not know this"
    for words, where in ((kept_out, "no secret"), (said, "no secret"), (rejected, "master")):
        wait_until(lambda: words in hosts.output(where).read_text(), words)  # noqa: B023
    assert "target is ready" not in hosts.output("no secret").read_text()
    assert f"it is that in {wrong}" in hosts.output("no secret").read_text()
    await until_answered(hosts.clients, 8)
    told = hosts.told()
    assert "three/tls/a-thief.pem: there is no such file" in told
    assert "this certificate is not that of a-thief: it is for target" in told
    assert "does not know this cluster's secret" in told
    assert not [secret for secret in hosts.secrets() if secret in told]
    assert wrong.read_text().strip() not in told


@pytest.mark.parametrize(
    "command",
    [
        [*twistd("-n", "chatnode"), "--type", "front", "--secret", SECRET],
        [*twistd("-n", "chatnode"), "--type", "front", "--secret-file", SECRET],
        [*twistd("-n", "chatnode"), "--type", "front", "--set", f"links.secret={SECRET}"],
        [*twistd("-n", "chatmaster"), f"--secret={SECRET}"],
        [sys.executable, "-m", "chatcore", "start", "--secret", SECRET],
        [sys.executable, "-m", "chatcore", "start", "--secret-file", SECRET],
    ],
    ids=lambda command: " ".join(command[-4:-1]),
)
def test_a_secret_in_an_argument_is_refused_and_not_repeated(
    hosts: TwoHosts, command: list[str]
) -> None:
    ended = subprocess.run(
        command, cwd=hosts.app, env=environment(), capture_output=True, text=True, timeout=PATIENCE
    )
    assert ended.returncode == 2
    assert SECRET not in ended.stdout + ended.stderr
    assert "secret" in ended.stderr


def encrypted(folder: Path) -> RunningChat:
    """The example chat under ``chatcore start``, with certificates and a secret of its own."""
    secret = folder / "cluster"
    secret.write_text(f"{SECRET}\n")
    secret.chmod(0o600)

    def certify(types: dict[str, list[dict[str, Any]]]) -> None:
        ids = [entry["id"] for entries in types.values() for entry in entries]
        make_identities(folder / "tls", "master", *ids)

    arguments = ["--tls", str(folder / "tls"), "--secret-file", str(secret)]
    return RunningChat(folder, arguments, certify)


def test_chatcore_start_encrypts_everything_and_tells_nobody_of_keys() -> None:
    with short_folder() as folder:
        chat = encrypted(folder)
        try:
            pids = [chat.process.pid, *map(int, chat_pids(chat))] if chat.process else []
            assert len(pids) > 7
            seen = [Path(f"/proc/{pid}/cmdline").read_text() for pid in pids]
            port = next(each["port"] for each in chat.servers["chat"])
            with socket.create_connection(("127.0.0.1", port)) as stranger:
                stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
                assert not stranger.recv(100).startswith(b"HTTP")
            wait_until(lambda: "it does not speak TLS" in chat.output, "its being refused")
            administer(chat)
            chat.halt()
            seen += [chat.output, *(file.read_text() for file in chat.run_folder.glob("*.log*"))]
        finally:
            chat.close()
        told = "\n".join(seen)
        keys = [file.read_text().splitlines()[1:-1] for file in folder.glob("**/*.key")]
        assert len(keys) > 7
        assert SECRET not in told
        assert not [line for lines in keys for line in lines if line in told]
        assert not (chat.run_folder / "secret").exists()


def test_a_start_that_keeps_no_master_needs_no_certificate_of_one(hosts: TwoHosts) -> None:
    make_identities(hosts.folder / "tls", "front-1")
    command = [sys.executable, "-m", "chatcore", "start", "--app", str(hosts.app)]
    options = ("--tls", "tls", "--registry", "static:", "--run-dir", "run")
    with hosts.output("start").open("wb") as output:
        hosts.processes["start"] = subprocess.Popen(
            [*command, *options],
            cwd=hosts.folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    wait_until(lambda: b"ready: 1 server" in hosts.output("start").read_bytes(), "it")
    for words, says in ((["list"], "front"), (["restart", "front-1"], "restarted")):
        ran = subprocess.run(
            [sys.executable, "-m", "chatcore", *words, "--app", str(hosts.app), *options[-2:]],
            cwd=hosts.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
        )
        assert ran.stdout.split("\t")[:2] == ["front-1", says], ran.stderr


def administer(chat: RunningChat) -> None:
    """By the folder; there is no certificate for administrators until one is named."""

    def chatcore(*words: str) -> list[list[str]]:
        ran = subprocess.run(
            [sys.executable, "-m", "chatcore", *words, "--app", str(chat.app)],
            env={**environment(), "CHATCORE_SECRET_FILE": str(chat.app.parent / "cluster")},
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return [line.split("\t") for line in ran.stdout.splitlines()]

    doors = sorted(chat.run_folder.glob("*.admin"))
    assert len(doors) == 8
    for door in doors:
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.settimeout(PATIENCE)
            stranger.connect(str(door))
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert not stranger.recv(100).startswith(b"HTTP")
    assert len(chatcore("list", "--timeout", "60")) == 7
    assert chatcore("drain", "chat-server-1")[0][:2] == ["chat-server-1", "drained"]
    make_identities(chat.app.parent / "tls", "admin")
    tls = ("--tls", str(chat.app.parent / "tls"))
    assert chatcore("restart", "chat-server-1", *tls)[0][:2] == ["chat-server-1", "restarted"]
    make_identities(chat.app.parent / "tls", "chat-server-4")
    assert chatcore("add", "chat")[0][:2] == ["chat-server-4", "started"]


def chat_pids(chat: RunningChat) -> list[str]:
    return [file.read_text() for file in chat.run_folder.glob("*.pid")]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://chat:{}@127.0.0.1:1/0", "The registry does not answer"),
        ("redis://chat:{}@127.0.0.1:1/nothing", "redis://"),
        ("rediss://chat:{}@127.0.0.1:1/0?ca=none.pem", "none.pem"),
    ],
)
def test_the_password_of_redis_is_told_nowhere(hosts: TwoHosts, url: str, said: str) -> None:
    password = "hunter2-of-this-test"
    environ = {**environment(), "CHATCORE_REGISTRY": url.format(password)}
    with hosts.output("front").open("wb") as output:
        process = hosts.processes["front"] = subprocess.Popen(
            twistd("--nodaemon", "chatnode", "--id", "front-1", "--app", str(hosts.app)),
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    wait_until(
        lambda: said in hosts.output("front").read_text() or process.poll() is not None, said
    )
    told = hosts.told()
    assert said in told
    assert password not in told
