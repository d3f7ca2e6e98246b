"""chatcore.js, in Node, with route codes and protobuf, at real nodes."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted
from npm import missing_node, npm_packages
from running import ROOT, short_folder
from small_cluster import Cluster
from twisted.internet.threads import deferToThread

pytestmark = pytest.mark.skipif(missing_node() is not None, reason=str(missing_node()))

PACKAGES = {"ws": "8.18.0"}
SAY = "back.sayHandler.say"
FILES = {
    "config/dictionary.json": '["onSaid", "onPlain"]',
    "config/serverProtos.json": json.dumps(
        {
            "onSaid": {"required string text": 1},
            "onNoted": {"repeated Note notes": 1},
            SAY: {"optional uInt32 length": 1},
            "message Note": {"required string text": 1, "optional uInt32 times": 2},
        }
    ),
    "config/clientProtos.json": json.dumps(
        {
            SAY: {"required string text": 1},
            "back.sayHandler.note": {"required string text": 1, "optional uInt32 times": 2},
        }
    ),
    "app.py": """
        def configure(app):
            app.set("connector.dictionary", True)
            app.set("connector.protobuf", True)
    """,
    "servers/front/handlers.py": "",
    "servers/back/handlers.py": """
        from zope.interface import implementer
        from chatcore.interfaces import IHandler

        class ISayHandler(IHandler):
            async def say(msg, session): ""
            async def note(msg, session): ""
            async def plain(msg, session): ""

        @implementer(ISayHandler)
        class SayHandler:
            def __init__(self, app):
                self.app = app

            def push(self, session, route, msg):
                self.app.channels.push_to_uids(route, msg, [(session.uid, session.frontend_id)])

            async def say(self, msg, session):
                await session.bind("somebody")
                self.push(session, "onSaid", msg)
                return {"length": len(msg["text"])}

            async def note(self, msg, session):
                self.push(session, "onNoted", {"notes": [msg, {"text": "again"}]})

            async def plain(self, msg, session):
                self.push(session, "onPlain", msg)
                return msg
    """,
}


@pytest_twisted.async_yield_fixture
async def cluster() -> AsyncIterator[Cluster]:
    with short_folder() as folder:
        servers = {"front": ["front-1", "front-2"], "back": ["back-1"]}
        made = Cluster(folder, servers=servers, files=FILES)
        try:
            yield made
        finally:
            await made.close()


@pytest.mark.parametrize("text", ["hi", "中 é", "😀 👩‍💻 \U0010ffff"])
async def test_a_visit(cluster: Cluster, text: str, tmp_path: Path) -> None:
    """Requests, notifies and pushes; and nothing is told twice, on any frontend."""
    modules = npm_packages(PACKAGES)
    await cluster.start()
    library = tmp_path / "chatcore.mjs"
    shutil.copy(ROOT / "chatcore" / "static" / "chatcore.js", library)
    ports = [str(cluster.servers.by_id(id).client_port) for id in ("front-1", "front-2")]
    script = Path(__file__).with_name("visit.mjs")
    ended = await deferToThread(
        subprocess.run,
        ["node", script, library, modules, *ports, text],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    seen = json.loads(ended.stdout)

    refused = f"can't be sent to {SAY}: 'text' is required, and missing"
    assert seen["answers"] == 3 * [{"length": len(text)}, {"text": text}, refused]
    notes = {"notes": [{"text": text, "times": 300}, {"text": "again"}]}
    assert seen["pushes"] == 3 * [[{"text": text}, notes, {"text": text}]]
    assert cluster.nodes["front-1"].counters.requests_refused == 0

    first, second, third = seen["handshakes"]
    short = ["heartbeat", "useDict", "useProto"]
    told = ["codeToRoute", "dict", "dictVersion", "protos", "routeToCode"]
    assert first["said"] == sorted([*short, *told])
    assert second["said"] == third["said"] == short
    assert "dictVersion" not in first["told"] and "protoVersion" not in first["told"]
    assert second["told"] == third["told"]
