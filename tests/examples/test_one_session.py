"""The example of access: a uid has one session, whatever its people do at once."""

from __future__ import annotations

from typing import Any

from small_cluster import until
from twisted.internet.defer import DeferredList

from .conftest import MakeExample


async def test_two_logins_at_the_same_time_leave_one(example: MakeExample) -> None:
    access = example("access")
    await access.start()
    clients = [await access.client("door-1") for _ in range(2)]
    kicks: list[Any] = []
    for client in clients:
        client.on("onKick", kicks.append)
    logins = [client.request("door.entryHandler.login", {"name": "Ann"}) for client in clients]
    await DeferredList(logins, consumeErrors=True)
    await until(lambda: kicks, "the end of one of them")
    assert kicks == [{"reason": "logged in elsewhere"}]
    assert len(access.nodes["door-1"].application.sessions.by_uid("Ann")) == 1
