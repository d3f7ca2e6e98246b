"""An application whose messages are followed, and the story of one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.clusters import AdministeredCluster, Ran, chatcore
from small_cluster import until
from twisted.internet.defer import Deferred

FILES = {
    "app.py": """
        def configure(app):
            app.route("chat", to_room)

        def to_room(session, server_type, servers):
            return session.get("room_at", "chat-1")
        """,
    "servers/chat/remotes.py": """
        from zope.interface import implementer
        from chatcore.interfaces import IRemote

        class IRoomRemote(IRemote):
            async def add(uid: str, sid: str, room: str) -> list[str]: ...
            async def fail() -> None: ...

        @implementer(IRoomRemote)
        class RoomRemote:
            def __init__(self, app):
                self.app = app

            async def add(self, uid: str, sid: str, room: str) -> list[str]:
                channel = self.app.channels.get(room, create=True)
                channel.add(uid, sid)
                return channel.uids()

            async def fail(self) -> None:
                raise ValueError("no")
        """,
    "servers/chat/handlers.py": """
        from typing import Any
        from twisted.internet.defer import Deferred
        from zope.interface import implementer
        from chatcore.interfaces import IHandler, ISession

        class IChatHandler(IHandler):
            async def send(msg: Any, session: ISession) -> Any: ...
            async def slowly(msg: Any, session: ISession) -> Any: ...
            async def later(msg: Any, session: ISession) -> Any: ...
            async def fail(msg: Any, session: ISession) -> Any: ...
            async def ask(msg: Any, session: ISession) -> Any: ...
            async def everybody(msg: Any, session: ISession) -> Any: ...
            async def some(msg: Any, session: ISession) -> Any: ...

        @implementer(IChatHandler)
        class ChatHandler:
            def __init__(self, app):
                self.app = app

            async def send(self, msg: Any, session: ISession) -> Any:
                room = self.app.channels.get("attic")
                await room.push("onChat", msg, droppable=bool(msg.get("droppable")))
                return {"said": len(room)}

            async def slowly(self, msg: Any, session: ISession) -> Any:
                await self.app.data[msg["gate"]]
                await self.app.channels.get("attic").push("onChat", msg)
                return {"traceparent": self.app.traceparent()}

            async def later(self, msg: Any, session: ISession) -> Any:
                Deferred.fromCoroutine(self.slowly(msg, session))

            async def fail(self, msg: Any, session: ISession) -> Any:
                raise ValueError("password=hunter2")

            async def ask(self, msg: Any, session: ISession) -> Any:
                return {"in": await self.app.rpc.call(
                    msg["at"], "chat.roomRemote.add", session.uid, session.frontend_id, "cellar")}

            async def everybody(self, msg: Any, session: ISession) -> Any:
                await self.app.channels.broadcast("front", "onNews", msg)

            async def some(self, msg: Any, session: ISession) -> Any:
                await self.app.channels.push_to_uids("onSome", msg, msg["uids"])
        """,
    "servers/front/handlers.py": """
        from typing import Any
        from zope.interface import implementer
        from chatcore.interfaces import IHandler, ISession
        from ..chat.remotes import IRoomRemote

        class IDoorHandler(IHandler):
            async def enter(msg: Any, session: ISession) -> Any: ...

        @implementer(IDoorHandler)
        class DoorHandler:
            def __init__(self, app):
                self.app = app

            async def enter(self, msg: Any, session: ISession) -> Any:
                await session.bind(msg["name"])
                room = self.app.rpc.by(session)[IRoomRemote]
                return {"users": await room.add(msg["name"], self.app.server_id, "attic")}
        """,
}

SERVERS = {"front": ["front-1", "front-2"], "chat": ["chat-1", "chat-2"]}


class Rooms(AdministeredCluster):
    """Two frontends and two backends, and people in a room on the first of these."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, object] = {},
        files: Mapping[str, str] = {},
    ) -> None:
        super().__init__(
            folder,
            servers=SERVERS,
            files={**FILES, **files},
            settings={"drain.grace_seconds": 0.0, "drain.interval_seconds": 0.01, **settings},
        )
        self.people: dict[str, Any] = {}

    async def enter(self, name: str, at: str = "front-1", **options: Any) -> Any:
        """Have somebody in the room."""
        client = self.people[name] = await self.client(at, **options)
        await client.request("front.doorHandler.enter", {"name": name})
        return client

    def look_for(self, *words: str, terminal: bool = False) -> Deferred[Ran]:
        """Begin to look for messages."""
        options = ("--app", str(self.folder), "--timeout", "10")
        return Deferred.fromCoroutine(
            chatcore("inspect", "trace", *options, *words, terminal=terminal)
        )

    async def looked_for(self) -> None:
        """Wait until all servers look for it."""
        nodes = self.nodes.values()
        await until(lambda: all(node.tracer._armed for node in nodes), "all to look for it")

    async def story_of(self, word: str, act: Any, *options: str, code: int = 0) -> dict[str, Any]:
        """What is told of the one message of which there is something to tell."""
        looking = self.look_for(word, "--json", *options)
        await self.looked_for()
        await act()
        ran = await looking
        assert ran.code == code, ran.err
        (story,) = ran.json["traces"]
        return dict(story)
