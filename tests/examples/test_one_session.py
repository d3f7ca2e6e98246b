"""The example of access: a uid has one session, whatever its people do at once."""

from __future__ import annotations

from typing import Any

import pytest
from small_cluster import until
from twisted.internet.defer import DeferredList

from .conftest import MakeExample


@pytest.mark.parametrize("doors", [("door-1", "door-1"), ("door-1", "door-2")])
async def test_two_logins_at_the_same_time_leave_one(
    example: MakeExample, doors: tuple[str, str]
) -> None:
    access = example("access")
    await access.start()
    clients = [await access.client(door) for door in doors]
    kicks: list[Any] = []
    for client in clients:
        client.on("onKick", kicks.append)
    logins = [client.request("door.entryHandler.login", {"name": "Ann"}) for client in clients]
    await DeferredList(logins, consumeErrors=True)
    await until(lambda: kicks, "the end of one of them")
    assert kicks == [{"reason": "logged in elsewhere"}]
    sessions, unreached = await access.nodes["vault-1"].application.sessions.find("Ann")
    assert (len(sessions), unreached) == (1, {})
