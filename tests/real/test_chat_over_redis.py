"""The chat without a master: its servers are started one by one, and meet in Valkey."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_twisted
from alone import Servers, talk
from people import Person, connect, until
from running import PATIENCE, environment, short_folder, twistd
from valkey_server import PASSWORD, QUOTED, Valkey


@pytest.fixture
def servers() -> Iterator[Servers]:
    with short_folder() as folder:
        data = folder / "valkey"
        data.mkdir()
        valkey = Valkey(data, password=PASSWORD)
        servers = Servers(folder, valkey)
        yield servers
        servers.close()
        valkey.stop()


@pytest_twisted.async_yield_fixture
async def people(servers: Servers) -> AsyncIterator[Any]:
    """Connects people, who leave at the end."""
    there: list[Person] = []

    async def come(server_id: str, name: str) -> Person:
        person = await connect(servers, server_id)
        there.append(person)
        assert "users" in await person.enter(name, "kitchen")
        return person

    yield come
    for person in there:
        await person.leave()


CONNECTORS, CHATS = ("connector-server-1", "connector-server-2"), ("chat-server-1", "chat-server-2")


@pytest_twisted.ensureDeferred
async def test_a_chat_that_meets_in_valkey(servers: Servers, people: Any) -> None:
    await servers.start(*CHATS, *CONNECTORS)
    anne, bob = await people(CONNECTORS[0], "anne"), await people(CONNECTORS[1], "bob")
    await talk(anne, bob, "hello")

    servers.valkey.stop()
    await talk(bob, anne, "is it away?")
    await until(
        lambda: all("does not answer" in servers.log(id) for id in CHATS), "it to be missed"
    )
    await talk(anne, bob, "and we don't mind")
    servers.valkey.forget()
    servers.valkey.start()
    await until(lambda: len(servers.states()) == 4, "the view to be put back")
    await talk(bob, anne, "it is back")

    await servers.start("chat-server-3")
    await servers.end(*CHATS)
    await until(lambda: len(servers.states()) == 3, "the view without them")
    await talk(anne, bob, "we have moved")
    carl = await people(CONNECTORS[0], "carl")
    await bob.until("onAdd", user="carl")
    await talk(carl, anne, "here I am")
    assert anne.kicked == bob.kicked == []

    await servers.end("chat-server-3", how=signal.SIGKILL)
    await servers.start(CHATS[0])
    await until(lambda: "chat-server-3" not in servers.states(), "the dead one to be missed")
    await anne.say_again_and_again("it died")
    await bob.until("onChat", msg="it died")
    for id in (*CONNECTORS, *CHATS, "chat-server-3"):
        assert PASSWORD not in servers.log(id) and QUOTED not in servers.log(id)


@pytest_twisted.ensureDeferred
async def test_the_application_says_where_its_servers_meet(servers: Servers, people: Any) -> None:
    with (servers.app / "app.py").open("a") as app:
        app.write(f"    app.set('registry.url', {servers.valkey.url!r})\n")
    servers.environment = {"CHATCORE_REGISTRY": ""}
    await servers.start(CHATS[0], *CONNECTORS)
    anne, bob = await people(CONNECTORS[0], "anne"), await people(CONNECTORS[1], "bob")
    await talk(anne, bob, "hello")


def test_a_password_in_an_argument_is_refused(servers: Servers) -> None:
    ended = subprocess.run(
        [
            *twistd("-n", "chatnode", "--app", str(servers.app), "--type", "chat"),
            *("--registry", servers.valkey.url),
        ],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 2
    assert "--registry holds a password" in ended.stderr
    assert "CHATCORE_REGISTRY" in ended.stderr
    assert PASSWORD not in ended.stderr and QUOTED not in ended.stderr


def test_a_url_that_can_not_be_used_is_told_before_anything_starts(servers: Servers) -> None:
    ended = subprocess.run(
        twistd("-n", "chatnode", "--app", str(servers.app), "--type", "chat"),
        env={**environment(), "CHATCORE_REGISTRY": "redis://:secret/word@127.0.0.1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 2
    assert "the URL of the Redis server can't be used" in ended.stderr
    assert "secret/word" not in ended.stderr
