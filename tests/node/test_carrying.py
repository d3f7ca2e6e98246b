"""What an application may say about the way of messages to clients: their form, and their time."""

from __future__ import annotations

from typing import Any

import pytest
from applications import Applications, refusal
from small_cluster import Cluster, until

APP = """
    import json
    from chatcore.errors import BodyError

    class Coder:
        def encode(self, route, value):
            if value == "unsayable":
                raise BodyError("no word for it")
            return json.dumps({"route": route, "wrapped": value}).encode()

        def decode(self, route, data):
            value = json.loads(data)["wrapped"]
            return object() if value == "odd" else value

    def configure(app):
        app.coder(Coder())
        app.data["held"] = []

        def schedule(push):
            if push.route == "onLater":
                app.data["held"].append(push)
            else:
                push.send()

        app.push_scheduler(schedule)
"""

FRONT = """
    from zope.interface import implementer
    from chatcore.interfaces import IHandler

    class I{Type}Handler(IHandler):
        async def echo(msg, session): ""
        async def push(msg, session): ""

    @implementer(I{Type}Handler)
    class {Type}Handler:
        def __init__(self, app):
            self.app = app

        async def echo(self, msg, session):
            return msg

        async def push(self, msg, session):
            await self.app.channels.broadcast("front", msg["route"], msg["body"])
"""


async def started(application: Applications) -> Cluster:
    cluster = application(
        servers={"front": ["front-1"], "back": ["back-1"]},
        app=APP,
        servers__front__handlers=FRONT.format(Type="Front"),
        servers__back__handlers=FRONT.format(Type="Back"),
    )
    await cluster.start()
    return cluster


@pytest.mark.parametrize("type", ["front", "back"])
async def test_bodies_have_the_form_that_the_application_says(
    application: Applications, type: str
) -> None:
    """Of what clients send, of answers, of refusals and of pushes; wherever the handler is."""
    cluster = await started(application)
    client = await cluster.client("front-1")
    route = f"{type}.{type}Handler.echo"

    async def ask(wrapped: Any) -> Any:
        return await client.request(route, {"wrapped": wrapped})

    refused = {"route": route, "wrapped": {"code": 500}}
    assert await ask([1, {"a": "b"}]) == {"route": route, "wrapped": [1, {"a": "b"}]}
    assert await ask("unsayable") == refused
    assert await client.request(route, {"no": "word"}) == refused
    if type == "back":  # what only the frontend would understand
        assert await ask("odd") == refused
    assert await ask(2) == {"route": route, "wrapped": 2}
    pushes: list[Any] = []
    client.on("onNews", pushes.append)
    for body in ("unsayable", "news"):
        msg = {"wrapped": {"route": "onNews", "body": body}}
        await client.request(f"{type}.{type}Handler.push", msg)
    await until(lambda: pushes, "the push")
    assert pushes == [{"route": "onNews", "wrapped": "news"}]


async def test_pushes_leave_when_the_application_says(application: Applications) -> None:
    """Answers don't wait; who has gone meanwhile costs the others nothing."""
    cluster = await started(application)
    client, gone = await cluster.client("front-1"), await cluster.client("front-1")
    heard: list[Any] = []
    for event in ("onLater", "onNow"):
        client.on(event, lambda msg: heard.append(msg["wrapped"]))
    for route in ("onLater", "onNow"):
        msg = {"wrapped": {"route": route, "body": route}}
        await client.request("back.backHandler.push", msg)
    await until(lambda: heard, "a push")
    (push,) = cluster.nodes["front-1"].application.data["held"]
    assert (push.route, push.count, push.droppable) == ("onLater", 2, False)
    await gone.disconnect()
    push.send()
    push.send()
    await client.request("back.backHandler.echo", {"wrapped": 1})
    assert heard == ["onNow", "onLater"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("app.coder(Coder)", "has no method encode(route, value)"),
        ("app.coder(5)", "5 has no method encode(route, value)"),
        ("app.coder(Coder()); app.coder(Coder())", "coder was called before"),
        ("app.coder(Slow())", "coder got an async function"),
        ("app.coder(Coder()); app.set('connector.protobuf', True)", "both in protobuf and in"),
        ("app.coder(Coder()); app.set('connector.signed', True)", "a signature is read out"),
        ("app.push_scheduler(5)", "push_scheduler got 5, not a function"),
        ("app.push_scheduler(lambda: 1)", "can't be called with (push)"),
        ("app.push_scheduler(Slow().decode)", "can't be called with (push)"),
        ("app.push_scheduler(slow)", "push_scheduler got an async function"),
    ],
)
def test_mistakes(application: Applications, line: str, said: str) -> None:
    app = f"""
        class Coder:
            def encode(self, route, value): pass
            def decode(self, route, data): pass

        class Slow(Coder):
            async def encode(self, route, value): pass

        async def slow(push): pass

        def configure(app):
            {line}
    """
    assert said in refusal(application(app=app))
