"""The servers.json of Pomelo's tutorials, in each of their forms, start the whole chat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from people import connect
from running import RunningChat, short_folder
from twisted.internet.threads import deferToThread

Servers = dict[str, list[dict[str, Any]]]


def ports_only(servers: Servers) -> None:
    """The first tutorial: one port each, and no word of frontends."""
    for entry in [*servers["gate"], *servers["connector"]]:
        entry["port"] = entry.pop("clientPort")
        del entry["frontend"]


def client_ports_only(servers: Servers) -> None:
    """A later one: frontends have a client port and no other; `frontend` is a text."""
    for entry in [*servers["gate"], *servers["connector"]]:
        entry.pop("port", None)
        entry["frontend"] = "true"


def fewer(servers: Servers) -> None:
    """Before scaling up: one server of each type, and ports written as texts."""
    for server_type, entries in servers.items():
        del entries[1:]
        servers[server_type] = entries
        for key in {"port", "clientPort"} & entries[0].keys():
            entries[0][key] = str(entries[0][key])


@pytest.mark.parametrize("form", [ports_only, client_ports_only, fewer])
async def test_a_form_of_servers_json(form: Callable[[Servers], None]) -> None:
    with short_folder() as folder:
        chat = await deferToThread(RunningChat, folder, (), form)
        try:
            gate = await connect(chat, "gate-server-1")
            found = await gate.client.request("gate.gateHandler.queryEntry", {"uid": "alice"})
            assert found["code"] == 200
            assert found["port"] in [chat.port(each) for each in chat.ids("connector")]
            alice = await connect(chat, chat.ids("connector")[0])
            assert await alice.enter("alice", "attic") == {"users": ["alice"]}
            assert await alice.say("hello") == {}
            await alice.until("onChat", msg="hello")
            await alice.leave()
            await gate.leave()
        finally:
            await deferToThread(chat.close)
