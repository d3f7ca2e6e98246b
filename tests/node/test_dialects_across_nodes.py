"""Route codes and protobuf from a client to a backend and back, with real links."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted
from running import short_folder
from small_cluster import Cluster
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from chatcore.config.servers import load_servers
from chatcore.config.settings import Assignment
from chatcore.errors import ConfigError
from chatcore.node import verify
from chatcore.wire import message, package

SAY = "back.sayHandler.say"
FILES = {
    "config/dictionary.json": '["onSaid"]',
    "config/serverProtos.json": json.dumps(
        {"onSaid": {"required string text": 1}, SAY: {"optional uInt32 length": 1}}
    ),
    "config/clientProtos.json": json.dumps({SAY: {"required string text": 1}}),
    "app.py": """
        def configure(app):
            @app.configure(type="front")
            def fronts():
                app.set("connector.dictionary", True)
                app.set("connector.protobuf", True)
    """,
    "servers/front/handlers.py": "",
    "servers/back/handlers.py": """
        from zope.interface import implementer
        from chatcore.interfaces import IHandler

        class ISayHandler(IHandler):
            async def say(msg, session): ""

        @implementer(ISayHandler)
        class SayHandler:
            def __init__(self, app):
                self.app = app

            async def say(self, msg, session):
                await session.bind("somebody")
                to = [(session.uid, session.frontend_id)]
                self.app.channels.push_to_uids("onSaid", {"text": msg["text"]}, to)
                return {"length": len(msg["text"])}
    """,
}


@pytest_twisted.async_yield_fixture
async def cluster() -> AsyncIterator[Cluster]:
    with short_folder() as folder:
        made = Cluster(folder, servers={"front": ["front-1"], "back": ["back-1"]}, files=FILES)
        try:
            yield made
        finally:
            await made.close()


@pytest.mark.parametrize("text", ["hi", "中", "😀"])
async def test_there_and_back(cluster: Cluster, text: str) -> None:
    await cluster.start()
    client = await cluster.client("front-1")
    said: Deferred[Any] = Deferred()
    client.on("onSaid", said.callback)
    assert await client.request(SAY, {"text": text}) == {"length": len(text)}
    assert await said == {"text": text}


async def test_clients_that_share_what_servers_say(cluster: Cluster) -> None:
    """The second is told nothing that the first was told, and understands all the same."""
    await cluster.start()
    cache: dict[str, Any] = {}
    sizes = []
    for text in ("hi", "again"):
        client = await cluster.client("front-1", cache=cache)
        sizes.append(client.bytes_received)
        assert await client.request(SAY, {"text": text}) == {"length": len(text)}
    assert sizes[1] < 100 < sizes[0]


async def test_a_body_that_is_no_protobuf(cluster: Cluster) -> None:
    await cluster.start()
    client = await cluster.client("front-1")
    for body in (b"\x0a\x7fhi", b'{"text":"hi"}', b"\x0b"):
        bad = message.encode_request(1000, SAY, body)
        client.send_raw(package.encode(package.DATA, bad))
    assert await client.request(SAY, {"text": "well"}) == {"length": 4}
    assert cluster.nodes["front-1"].counters.requests_refused == 3


@pytest.mark.parametrize(
    "file", ["config/dictionary.json", "config/serverProtos.json", "config/clientProtos.json"]
)
def test_a_mistake_in_a_file_is_told_before_anything_starts(file: str) -> None:
    with short_folder() as folder:
        made = Cluster(
            folder,
            servers={"front": ["front-1"], "back": ["back-1"]},
            files=FILES | {file: '{"a": 5'},
        )
        with pytest.raises(ConfigError) as wrong:
            verify(folder, load_servers(folder, "development"), [])
        assert str(wrong.value).startswith(f"{folder / file}:1:")
        assert not made.nodes


async def test_changed_schemas_are_for_who_comes_then() -> None:
    with short_folder() as folder:
        cluster = Cluster(
            folder,
            servers={"front": ["front-1"], "back": ["back-1"]},
            files=FILES,
            settings={"connector.reload_seconds": 0.01},
        )
        try:
            await cluster.start()
            before = await cluster.client("front-1")
            changed = {SAY: {"optional uInt32 size": 1}}  # the answer's length has no place there
            (folder / "config/serverProtos.json").write_text(json.dumps(changed))
            for _ in range(1000):
                after = await cluster.client("front-1")
                answer = await after.request(SAY, {"text": "hi"})
                await after.disconnect()
                if answer == {}:
                    break
            assert answer == {}
            assert await before.request(SAY, {"text": "hi"}) == {"length": 2}
        finally:
            await cluster.close()


@pytest.mark.parametrize(
    ("setting", "usual"),
    [
        ("dictionary_file", "dictionary.json"),
        ("server_protos", "serverProtos.json"),
        ("client_protos", "clientProtos.json"),
    ],
)
def test_files_of_other_names(setting: str, usual: str) -> None:
    """The one that a setting names is read, and the usual one is not."""
    files = FILES | {f"config/{usual}": "[5", "spoken/here.json": FILES[f"config/{usual}"]}
    with short_folder() as folder:
        made = Cluster(folder, servers={"front": ["front-1"], "back": ["back-1"]}, files=files)
        given = Assignment(key=f"connector.{setting}", value="spoken/here.json", source="test")
        verify(folder, made.servers, [given])
        (folder / "spoken/here.json").write_text('{"a": 5')
        with pytest.raises(ConfigError) as wrong:
            verify(folder, made.servers, [given])
        assert str(wrong.value).startswith(f"{folder}/spoken/here.json:1:")


async def test_answers_that_can_not_say_that_they_failed(cluster: Cluster) -> None:
    """It is the schema's fault, so it is told at start; pushes need no code."""
    logged: list[LogEvent] = []
    globalLogPublisher.addObserver(logged.append)
    try:
        await cluster.start()
    finally:
        globalLogPublisher.removeObserver(logged.append)
    said = [formatEvent(event) for event in logged]
    (warning,) = [line for line in said if "schemas leave no room for a code" in line]
    assert f"in the answers of {SAY}: " in warning
    assert '"optional uInt32 code"' in warning


async def test_answers_that_can(cluster: Cluster) -> None:
    schemas = {SAY: {"optional uInt32 length": 1, "optional uInt32 code": 2}}
    (cluster.folder / "config/serverProtos.json").write_text(json.dumps(schemas))
    logged: list[LogEvent] = []
    globalLogPublisher.addObserver(logged.append)
    try:
        await cluster.start()
    finally:
        globalLogPublisher.removeObserver(logged.append)
    assert not [event for event in logged if "schemas leave no" in (formatEvent(event) or "")]
