"""Hooks that fail or hang, in real processes."""

from __future__ import annotations

import json
import signal
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import PATIENCE, environment, short_folder, twistd, wait_until


class Application:
    """An application of one backend whose ``lifecycle.py`` the test writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "servers" / "back").mkdir(parents=True)
        servers = {"development": {"back": [{"id": "back-1"}]}}
        (folder / "servers.json").write_text(json.dumps(servers))
        self.hooks = folder / "servers" / "back" / "lifecycle.py"
        self.log = folder / ".chatcore" / "back-1.log"

    def start(self, hooks: str, *arguments: str) -> subprocess.Popen[str]:
        self.hooks.write_text(textwrap.dedent(hooks))
        return subprocess.Popen(
            twistd("-n", "chatnode", "--app", str(self.folder), "--type", "back", *arguments),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def is_ready(self) -> bool:
        return self.log.exists() and "back-1 is ready" in self.log.read_text()


@pytest.fixture
def app() -> Iterator[Application]:
    with short_folder() as folder:
        yield Application(folder)


@pytest.mark.parametrize(
    ("before", "line"),
    [("", 6), ("await deferLater(reactor, 0.01, lambda: None)", 6)],
    ids=["at once", "later"],
)
def test_a_hook_that_fails_keeps_a_server_from_starting(
    app: Application, before: str, line: int
) -> None:
    """Whether the reactor runs already or not."""
    process = app.start(
        f"""\
        from twisted.internet import reactor
        from twisted.internet.task import deferLater

        async def before_startup(app):
            {before or "pass"}
            raise ValueError("no database")
        """
    )
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2, output + errors
    said = f"{app.hooks}:{line}: before_startup of servers/back/lifecycle.py: ValueError"
    assert errors.strip() == f"{said}: no database"
    assert "Traceback" in output  # for whoever wants to know more
    assert not (app.folder / ".chatcore" / "back-1.pid").exists()


@pytest.mark.parametrize(
    ("hooks", "code"),
    [
        ("def before_shutdown(app):\n    return Deferred()", {0, -signal.SIGTERM}),
        ("def before_shutdown(app):\n    time.sleep(1000)", {1}),
        ("def before_shutdown(app):\n    app.in_thread(time.sleep, 1000)", {1}),
    ],
    ids=["waits", "blocks", "leaves a thread"],
)
def test_a_hook_that_hangs_does_not_keep_a_process_alive(
    app: Application, hooks: str, code: set[int]
) -> None:
    head = "import time\nfrom twisted.internet.defer import Deferred\n\n"
    process = app.start(head + hooks, "--set", "node.stop_seconds=0.1")
    wait_until(app.is_ready, "the server")
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode in code, output + errors
    if code == {1}:
        assert "not stopped after 5.1 s; leaving at once" in errors
    else:
        assert "lifecycle.py has taken longer than 0." in output


@pytest.mark.parametrize("name", ["before_startup", "after_startup"])
def test_a_server_that_stops_itself(app: Application, name: str) -> None:
    """In order, and twice is once."""
    process = app.start(
        f"""\
        def {name}(app):
            app.stop()
            app.stop()

        def before_shutdown(app):
            print("leaving")
        """
    )
    output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    assert output.count("leaving") == 1
    assert not (app.folder / ".chatcore" / "back-1.pid").exists()
