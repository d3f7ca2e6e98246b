"""Where commands write to, in real processes: what is closed, full, or knows no Unicode."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from running import environment

COMMAND = (sys.executable, "-m", "chatcore")


def shell(line: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a line of a shell, in which ``chatcore`` is the command."""
    script = f'chatcore() {{ {" ".join(COMMAND)} "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**environment(), **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An application with a name that is not ASCII; nothing of it runs."""
    app = tmp_path / "café ☕"
    (app / "servers").mkdir(parents=True)
    (app / ".chatcore").mkdir(mode=0o700)
    (app / ".chatcore" / "secret").write_text("x" * 40)
    (app / ".chatcore" / "secret").chmod(0o600)
    return app


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("chatcore --help >&-", 0),
        ("chatcore list --help 2>&-", 0),
        ("chatcore list >&-", 3),
        ("chatcore list 2>&-", 3),
        ("chatcore list >&- 2>&- <&-", 3),
        ("chatcore list --json >&-", 3),
        ("chatcore --help > /dev/full", 1),
        ("chatcore list --json > /dev/full", 3),
    ],
)
def test_what_is_closed_or_full(app: Path, line: str, code: int) -> None:
    ran = shell(line, app)
    assert ran.returncode == code, ran.stderr
    assert "Traceback" not in ran.stderr
    if code == 1:
        assert ran.stderr == ("chatcore: the output can't be written: No space left on device\n")


@pytest.mark.parametrize("words", ["--help", "list --help", "list --json", "certs tls x y z"])
def test_who_reads_only_the_beginning(app: Path, words: str) -> None:
    """Whether the reader has gone before, or goes while it is written."""
    ran = shell(f"chatcore {words} | head -c 1 >/dev/null; chatcore {words} | true", app)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("words", ["add --help", "list", "list --json", "certs ☕"])
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_can_not_be_encoded_is_written_all_the_same(
    app: Path, words: str, encoding: str
) -> None:
    ran = subprocess.run(
        [*COMMAND, *words.split()],
        cwd=app,
        env={**environment(), "PYTHONIOENCODING": encoding},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
    told = (ran.stdout + ran.stderr).decode(encoding)
    assert "Traceback" not in told
    if "--json" in words:
        assert "café ☕" in json.loads(told)["error"]
    elif words == "list" and encoding == "ascii":
        assert r"caf\xe9 \u2615" in told


def test_names_that_are_no_text(tmp_path: Path) -> None:
    app = os.fsencode(tmp_path) + b"/\xff"
    os.makedirs(app + b"/servers")
    for words in (["list"], ["list", "--json"]):
        ran = subprocess.run(
            [*COMMAND, *words, "--app", app],
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (ran.returncode, "Traceback" in ran.stderr) == (3, False), ran.stderr
        assert "\\udcff" in (ran.stdout or ran.stderr)


def test_a_name_that_takes_long_to_look_up_keeps_nobody(app: Path, tmp_path: Path) -> None:
    """The thread that looks it up can't be stopped; it ends with the command."""
    (tmp_path / "sitecustomize.py").write_text(
        "import socket, time\nsocket.getaddrinfo = lambda *a, **k: time.sleep(1000)\n"
    )
    env = environment()
    ran = subprocess.run(
        [*COMMAND, "list", "--at", "slow.example:1", "--insecure-links", "--timeout", "0.5"],
        cwd=app,
        env={**env, "PYTHONPATH": f"{tmp_path}{os.pathsep}{env['PYTHONPATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.returncode, "does not answer within 0.5 s" in ran.stderr) == (3, True), ran.stderr
