"""The chat in real processes behind TLS, over WebSocket and over plain TCP."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from certificates import make_certificate
from people import Person, pause
from running import PATIENCE, RunningChat, short_folder
from twisted.internet import reactor
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.internet.threads import deferToThread

from chatcore.client import Client


@pytest.fixture
def encrypted() -> Iterator[RunningChat]:
    with short_folder() as folder:
        chat = RunningChat(
            Path(folder),
            ["--set", "tls.reload_seconds=0.1"],
            lambda types: _encrypt(Path(folder) / "chat" / "tls", types),
        )
        yield chat
        chat.close()


def _encrypt(folder: Path, types: dict[str, list[dict[str, Any]]]) -> None:
    folder.mkdir()
    make_certificate(folder)
    files = {"certificate": "tls/localhost.pem", "key": "tls/localhost.key"}
    for entry in types["gate"] + types["connector"]:
        entry["tls"] = files


async def connect(chat: RunningChat, server_id: str, scheme: str) -> Person:
    pem = (chat.app / "tls" / "localhost.pem").read_bytes()
    client = Client(reactor=reactor)
    await client.init(
        url=f"{scheme}://127.0.0.1:{chat.port(server_id)}",
        trust=trustRootFromCertificates([Certificate.loadPEM(pem)]),
    )
    return Person(client)


async def enter(chat: RunningChat, name: str, scheme: str) -> Person:
    """Go the way that a client goes: the gate names the connector."""
    gate = await connect(chat, "gate-server-1", scheme)
    found = await gate.client.request("gate.gateHandler.queryEntry", {"uid": name})
    await gate.leave()
    (id,) = [id for id in chat.ids("connector") if chat.port(id) == found["port"]]
    person = await connect(chat, id, scheme)
    await person.enter(name, "room")
    return person


def _certificate(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=PATIENCE).strip()


async def test_people_talk_and_the_certificate_is_renewed_meanwhile(
    encrypted: RunningChat,
) -> None:
    alice = await enter(encrypted, "alice", "wss")
    bob = await enter(encrypted, "bob", "tls")
    await bob.say("hello")
    await alice.until("onChat", msg="hello", **{"from": "bob"})

    (new := encrypted.app.parent / "new").mkdir()
    for file in make_certificate(new):
        os.replace(file, encrypted.app / "tls" / file.name)
    renewed = (encrypted.app / "tls" / "localhost.pem").read_text().strip()
    for server_id in ("gate-server-1", *encrypted.ids("connector")):
        port = encrypted.port(server_id)
        for _ in range(400):
            with suppress(OSError):
                if await deferToThread(_certificate, port) == renewed:
                    break
            await pause()
        else:
            raise AssertionError(f"{server_id} still shows its old certificate")
    carol = await enter(encrypted, "carol", "wss")
    await carol.say("and me")
    for person in (alice, bob):
        await person.until("onChat", msg="and me", **{"from": "carol"})
    for person in (alice, bob, carol):
        await person.leave()
