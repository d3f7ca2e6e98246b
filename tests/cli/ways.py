"""An application in which messages can be kept from arriving, on purpose."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from small_cluster import until
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from chatcore.client import Client

from .clusters import AdministeredCluster, Ran, chatcore, path_of

BOB = "bob*room1"

FILES = {
    "servers/room/remotes.py": """
        from zope.interface import implementer
        from chatcore.interfaces import IRemote

        class IRoomRemote(IRemote):
            async def add(uid: str, sid: str, room: str) -> bool: ""

        @implementer(IRoomRemote)
        class RoomRemote:
            def __init__(self, app):
                self.app = app

            async def add(self, uid: str, sid: str, room: str) -> bool:
                return self.app.channels.get(room, create=True).add(uid, sid)
        """,
    "servers/room/handlers.py": """
        from typing import Any
        from zope.interface import implementer
        from twisted.internet.defer import Deferred
        from chatcore.interfaces import IHandler, ISession, access

        class ITalkHandler(IHandler):
            async def say(msg: Any, session: ISession) -> Any: ""
            async def leave(msg: Any, session: ISession) -> Any: ""
            async def kick(msg: Any, session: ISession) -> Any: ""
            async def whisper(msg: Any, session: ISession) -> Any: ""
            async def fail(msg: Any, session: ISession) -> Any: ""
            async def dream(msg: Any, session: ISession) -> Any: ""

            @access("nobody")
            async def secret(msg: Any, session: ISession) -> Any: ""

        @implementer(ITalkHandler)
        class TalkHandler:
            def __init__(self, app):
                self.app = app

            async def say(self, msg: Any, session: ISession) -> Any:
                room = self.app.channels.get(session.get("room"))
                if room is None:
                    return {"missed": None}
                for _ in range(msg.get("times", 1)):
                    missed = await room.push(
                        msg.get("route", "onChat"),
                        {"text": "x" * msg.get("size", 0)} | msg.get("more", {}),
                        droppable=msg.get("droppable", False),
                    )
                return {"missed": missed}

            async def leave(self, msg: Any, session: ISession) -> Any:
                room = self.app.channels.get(session.get("room"))
                return {"left": room.leave(session.uid, session.frontend_id)}

            async def kick(self, msg: Any, session: ISession) -> Any:
                return {"kicked": await self.app.sessions.kick_everywhere(msg["uid"], msg["why"])}

            async def whisper(self, msg: Any, session: ISession) -> Any:
                members = [tuple(each) if isinstance(each, list) else each for each in msg["to"]]
                push = self.app.channels.push_to_uids
                return {"missed": await push("onWhisper", {"text": "psst"}, members)}

            async def fail(self, msg: Any, session: ISession) -> Any:
                raise ValueError("the password is hunter2")

            async def dream(self, msg: Any, session: ISession) -> Any:
                await Deferred()

            async def secret(self, msg: Any, session: ISession) -> Any:
                return {}
        """,
    "servers/front/handlers.py": """
        from typing import Any
        from zope.interface import implementer
        from chatcore.interfaces import IHandler, ISession
        from ..room.remotes import IRoomRemote

        class IDoorHandler(IHandler):
            async def enter(msg: Any, session: ISession) -> Any: ""

        @implementer(IDoorHandler)
        class DoorHandler:
            def __init__(self, app):
                self.app = app

            async def enter(self, msg: Any, session: ISession) -> Any:
                await session.bind(msg["name"])
                await session.update(room=msg["room"])
                room = self.app.rpc.by(session)[IRoomRemote]
                return {"new": await room.add(msg["name"], self.app.server_id, msg["room"])}
        """,
    "config/serverProtos.json": json.dumps({"onNumber": {"required uInt32 number": 1}}),
}

SERVERS = {"front": ["front-1", "front-2"], "room": ["room-1"]}


class Ways(AdministeredCluster):
    """Two frontends and the server of rooms, where things go wrong."""

    def __init__(self, folder: Path, settings: dict[str, object] | None = None) -> None:
        super().__init__(
            folder,
            servers=SERVERS,
            files=FILES,
            settings={"drain.grace_seconds": 0.0, "drain.interval_seconds": 0.01}
            | (settings or {}),
        )

    async def enter(self, name: str, room: str = "room1", *, at: str = "front-1") -> Client:
        """A client that is logged in, and a member."""
        client = await self.client(at)
        asked = await client.request("front.doorHandler.enter", {"name": name, "room": room})
        assert asked == {"new": True}
        return client

    async def why(self, uid: str = BOB, *more: str) -> Any:
        """What ``chatcore inspect why --json`` says."""
        ran = await self.run("why", uid, "--json", *more)
        return ran.json

    async def trace(
        self, word: str, act: Callable[[], Awaitable[Any]], *more: str, code: int = 0
    ) -> dict[str, Any]:
        """What ``chatcore inspect trace --json`` tells of the one message that something sends."""
        looking = Deferred.fromCoroutine(
            self.run("trace", word, "--json", "--timeout", "10", *more)
        )
        nodes = self.nodes.values()
        await until(lambda: all(node.tracer._armed for node in nodes), "all to look for it")
        await act()
        ran = await looking
        assert ran.code == code, ran.err
        (story,) = ran.json["traces"]
        return dict(story)

    def hold_apart(self, one: str, other: str) -> Callable[[], None]:
        """Cut the link between two nodes; what is called to have it dialled anew comes back."""
        dialler = self.nodes[one].links._diallers[other]
        dialler.stop()
        self.cut(one, other)
        return dialler.start

    async def run(self, *words: str, terminal: bool = False) -> Ran:
        """Run a command of ``chatcore inspect``."""
        return await chatcore("inspect", *words, "--app", path_of(self), terminal=terminal)

    async def until_why(self, holds: Callable[[Any], Any], what: str, uid: str = BOB) -> Any:
        """Wait until ``chatcore inspect why --json`` says something."""
        for _ in range(200):
            said = await self.why(uid)
            if holds(said):
                return said
            await later()
        raise AssertionError(f"nobody says {what}: {said}")


async def later() -> None:
    """Give other parts of this process their turn."""
    await deferLater(reactor, 0.05, lambda: None)


def stop_reading(client: Client) -> Any:
    """Have a client read nothing more; its transport comes back."""
    conversation: Any = client._conversation
    transport = conversation._wire._protocol.transport
    transport.pauseProducing()
    return transport


async def gone(client: Client) -> None:
    """Wait until a client is disconnected."""
    await until(lambda: not client.connected, "the end of a connection")
