"""Completion of the words of ``chatcore``, in real shells."""

from __future__ import annotations

import os
import pty
import select
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted
from running import PATIENCE, environment
from twisted.internet.threads import deferToThread

from chatcore.cli import completion
from chatcore.cli.completing import complete
from chatcore.cli.main import main, make_commands
from chatcore.config.tokens import Token

from .clusters import AdministeredCluster, chat_files


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("chatcore re", {"reload", "restart"}),
        ("chatcore inspect pro", {"proxy"}),
        ("chatcore  inspect  '", None),
        ("chatcore list --ty", {"--type"}),
        ("chatcore --app x list --t", {"--timeout", "--tls", "--type"}),
        ("chatcore inspect call --show", {"--show-secrets"}),
        ("chatcore --", {"--help", "--json", "--version"}),
        ("chatcore inspect --h", {"--help"}),
        ("chatcore token ", {"viewer", "admin"}),
        ("chatcore completion ", {"bash", "zsh"}),
        ("chatcore list --app ", {"files"}),
        ("chatcore list --app=", {"files"}),
        ("chatcore list --timeout ", set()),
        ("chatcore inspect show ", {"files"}),
        ("chatcore nonsense ", set()),
        ("chatcore inspect nonsense -", set()),
        ("chatcore certs tls chat-", set()),
        ("chatcore", set()),
        ("", set()),
        ("chatcore 'list", {"list"}),
        ('chatcore "list', {"list"}),
        ("chatcore li\\", {"list"}),
    ],
)
def test_what_is_offered(line: str, words: set[str] | None) -> None:
    current = "" if line.endswith(" ") else _last(line)
    found = set(complete(current, line, make_commands()))
    assert found == words if words is not None else {"call", "show"} <= found


def _last(line: str) -> str:
    return line.rpartition(" ")[2].strip("'\"")


def test_scripts_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    for shell in ("bash", "zsh"):
        assert main(["completion", shell]) == 0
        assert capsys.readouterr().out == completion.SCRIPTS[shell]
    assert main(["completion", "fish"]) == 2


@pytest_twisted.async_yield_fixture
async def cluster(folder: Path) -> AsyncIterator[AdministeredCluster]:
    cluster = AdministeredCluster(
        folder, servers={"front": ["front-1"], "chat": ["chat-1", "chat-2"]}, files=chat_files()
    )
    await cluster.start()
    yield cluster
    await cluster.close()


class Shell:
    """A shell that completes.

    Args:
        folder: where it is, and where it finds the command ``chatcore``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = folder / "bin" / "chatcore"
        command.parent.mkdir()
        # On a busy machine, Python alone may take a second to begin.
        command.write_text(
            f"#!{sys.executable}\n"
            "import sys\n"
            "from chatcore.cli import completing, completion\n"
            "from chatcore.cli.main import main\n"
            "if sys.argv[1] == 'stop':\n"
            "    sys.exit(print(f\"said {' '.join(sys.argv)}.\"))\n"
            f"completion.SECONDS = completing.ASKING_SECONDS = {PATIENCE / 2}\n"
            "sys.exit(main())\n"
        )
        command.chmod(0o755)

    def run(self, *command: str) -> list[str]:
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        ran = subprocess.run(
            command,
            env={**environment(), "PATH": path, "HOME": str(self.folder)},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert ran.stderr == ""
        return ran.stdout.splitlines()

    def bash(self, line: str, words: list[str]) -> list[str]:
        """What bash offers behind a line; ``words`` is as bash cuts it."""
        quoted = " ".join(map(shlex.quote, words))
        return self.run(
            "bash",
            "--norc",
            "-c",
            'eval "$(chatcore completion bash)"\n'
            "complete -p chatcore | grep -q _chatcore || echo 'no completion'\n"
            f"COMP_LINE={shlex.quote(line)} COMP_POINT={len(line)}\n"
            f"COMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1}\n"
            "_chatcore chatcore\n"
            'if ((${#COMPREPLY[@]})); then printf "%s\\n" "${COMPREPLY[@]}"; fi\n',
        )


LINES = [
    ("chatcore stop ", ["chatcore", "stop", ""], ["chat-1", "chat-2", "front-1"]),
    ("chatcore stop ch", ["chatcore", "stop", "ch"], ["chat-1", "chat-2"]),
    ("chatcore stop chat-1 ch", ["chatcore", "stop", "chat-1", "ch"], ["chat-2"]),
    ("chatcore list --type ", ["chatcore", "list", "--type", ""], ["chat", "front"]),
    ("chatcore list --type=c", ["chatcore", "list", "--type", "=", "c"], ["chat"]),
    ("chatcore list --type=", ["chatcore", "list", "--type", "="], ["chat", "front"]),
    ("chatcore inspect remotes f", ["chatcore", "inspect", "remotes", "f"], ["front-1"]),
    ("chatcore inspect ca", ["chatcore", "inspect", "ca"], ["call"]),
    (
        "chatcore inspect call chat-2 ",
        ["chatcore", "inspect", "call", "chat-2", ""],
        ["chat.roomRemote.add"],
    ),
    (
        "chatcore inspect call chat chat.",
        ["chatcore", "inspect", "call", "chat", "chat."],
        ["chat.roomRemote.add"],
    ),
    ("chatcore inspect call front-1 ", ["chatcore", "inspect", "call", "front-1", ""], []),
    ("chatcore inspect call none ", ["chatcore", "inspect", "call", "none", ""], []),
]


async def test_bash_asks_the_running_cluster(cluster: AdministeredCluster) -> None:
    shell = Shell(cluster.folder)
    for line, words, offered in LINES:
        assert await deferToThread(shell.bash, line, words) == offered, line


async def test_a_viewers_token_is_enough(cluster: AdministeredCluster) -> None:
    token = Token.make(cluster.run_folder.secret(), "viewer", "ann", int(time.time()) + 100)
    file = cluster.folder / "token"
    file.write_text(token.text())
    file.chmod(0o600)
    shell = Shell(cluster.folder)
    words = ["chatcore", "inspect", "call", "--secret-file", "token", "chat-1", ""]
    assert await deferToThread(shell.bash, " ".join(words), words) == ["chat.roomRemote.add"]


async def test_nothing_is_said_where_nothing_runs(folder: Path) -> None:
    shell = Shell(folder)
    for line in ("chatcore stop ", "chatcore inspect call x ", "chatcore stop --app /nowhere "):
        words = [*line.split(), ""]
        assert await deferToThread(shell.bash, line, words) == []


async def test_real_bash_completes_at_its_prompt(cluster: AdministeredCluster) -> None:
    shell = Shell(cluster.folder)
    assert await deferToThread(_typed, shell, "bash") == "stop chat-1 front-1"


async def test_zsh_completes_at_its_prompt(cluster: AdministeredCluster) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("zsh is missing: apt-get install zsh")
    shell = Shell(cluster.folder)
    assert await deferToThread(_typed, shell, "zsh") == "stop chat-1 front-1"


def _typed(shell: Shell, name: str) -> str:
    """What a command is called with where Tab is pressed at the prompt."""
    begin = {
        "bash": "eval \"$(chatcore completion bash)\"; bind 'set enable-bracketed-paste off'",
        "zsh": 'autoload -U compinit && compinit -u -D; eval "$(chatcore completion zsh)"',
    }
    options = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"]}
    ours, theirs = pty.openpty()
    path = f"{shell.folder / 'bin'}:{os.environ['PATH']}"
    process = subprocess.Popen(
        [name, *options[name]],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=shell.folder,
        env={**environment(), "PATH": path, "HOME": str(shell.folder), "TERM": "dumb", "PS1": "> "},
        start_new_session=True,
    )
    os.close(theirs)
    seen = b""

    def until(what: bytes) -> bytes:
        nonlocal seen
        end = time.monotonic() + PATIENCE
        while what not in seen:
            ready, _, _ = select.select([ours], [], [], max(end - time.monotonic(), 0))
            assert ready, seen
            seen += os.read(ours, 4096)
        before, _, seen = seen.partition(what)
        return before

    try:
        os.write(ours, f"{begin[name]}; printf 'be%s\\n' gun\n".encode())
        until(b"begun\r")
        os.write(ours, b"chatcore stop chat-1 fr\t\n")
        until(b"said ")
        return until(b".\r").decode().partition("chatcore ")[2]
    finally:
        process.kill()
        process.wait()
        os.close(ours)
