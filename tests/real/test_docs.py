"""What the documents show works as it is shown."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from running import PATIENCE, ROOT, RunningChat, environment, free_ports, short_folder
from small_documents import blocks, write_application
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from chatcore.client import Client


async def test_the_bot_of_the_readme(chat: RunningChat, tmp_path: Path) -> None:
    """As printed, but for the port of the gate."""
    (bot,) = [block for block in blocks(ROOT / "README.md", "python") if "react(main)" in block]
    script = tmp_path / "bot.py"
    script.write_text(bot.replace("3014", str(chat.port("gate-server-1"))))
    ended = await deferToThread(
        subprocess.run,
        [sys.executable, str(script)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 0, ended.stderr
    assert "{'users': ['bot']}" in ended.stdout
    assert "{'msg': 'hello', 'from': 'bot', 'target': '*'}" in ended.stdout


async def test_the_application_of_the_guide() -> None:
    """The files of the page, put where it says, are an application that runs."""
    with free_ports(2) as ports:
        port, master_port = ports
    with short_folder() as folder:
        app = folder / "words"
        write_application(ROOT / "docs" / "application.md", app, {"3010": str(port)})
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "chatcore", "start", "--app", str(app)),
                *("--set", f"master.port={master_port}"),
            ],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            await deferToThread(_until_ready, process)
            client = Client(reactor=reactor)
            await client.init(host="127.0.0.1", port=port, timeout=PATIENCE)
            route = "door.wordHandler.say"
            assert await client.request(route, {"word": "a"}) == {"word": "a", "count": 1}
            assert await client.request(route, {"word": "a"}) == {"word": "a", "count": 2}
            too_long = await client.request(route, {"word": "a" * 21})
            assert too_long == {"code": 413, "why": "too long"}
            await client.disconnect()
        finally:
            process.terminate()
            await deferToThread(process.communicate)


def _until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if re.search(r"ready: 3 servers", line):
            return
    raise AssertionError("it never was ready")
