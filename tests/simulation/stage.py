"""The application that is played, and what it tells the simulation of what it does."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from chatcore.config.run_folder import RunFolder
from chatcore.config.servers import Servers, load_servers
from chatcore.dispatch.components import Catalogue
from chatcore.dispatch.loading import load_application

from .world import Machine, World

APP = """
from chatcore.application import by_session

def configure(app):
    app.route("chat", by_session("rid"))
"""

ENTRY = """
from typing import Any
from zope.interface import implementer
from chatcore.interfaces import IApplication, IHandler, ISession
from ..chat.remotes import IChatRemote

class IEntryHandler(IHandler):
    async def enter(msg: Any, session: ISession) -> Any: ""

@implementer(IEntryHandler)
class EntryHandler:
    def __init__(self, app: IApplication) -> None:
        self.app = app

    async def enter(self, msg: Any, session: ISession) -> Any:
        await session.bind(msg["uid"])
        await session.update(rid=msg["rid"])
        chat = self.app.rpc.by(session)[IChatRemote]
        return {"code": 200, "by": await chat.add(msg["uid"], self.app.server_id, msg["rid"])}
"""

REMOTES = """
from typing import Any
from zope.interface import implementer
from chatcore.interfaces import IApplication, IRemote
from simulation import stage

class IChatRemote(IRemote):
    async def add(uid: str, sid: str, rid: str) -> str: ""

@implementer(IChatRemote)
class ChatRemote:
    def __init__(self, app: IApplication) -> None:
        self.app = app
        app.channels.on_left(self.left)

    async def add(self, uid: str, sid: str, rid: str) -> str:
        self.app.channels.get(rid, create=True).add(uid, sid)
        stage.now().acts(self.app.server_id, rid, "add")
        return self.app.server_id

    def left(self, channel: Any, uid: str, sid: str, reason: str) -> None:
        stage.now().leaves(self.app.server_id, channel.name, uid, sid, reason)
        channel.push("onLeave", {"uid": uid, "rid": channel.name})
"""

CHAT = """
from typing import Any
from zope.interface import implementer
from chatcore.interfaces import IApplication, IHandler, ISession
from simulation import stage

class IChatHandler(IHandler):
    async def send(msg: Any, session: ISession) -> Any: ""
    async def leave(msg: Any, session: ISession) -> Any: ""

@implementer(IChatHandler)
class ChatHandler:
    def __init__(self, app: IApplication) -> None:
        self.app = app

    async def send(self, msg: Any, session: ISession) -> Any:
        rid, me = session.get("rid"), self.app.server_id
        if before := msg.get("before"):
            await stage.now().sleep(me, before)
        channel = self.app.channels.get(rid)
        if channel is None or session.uid not in channel:
            return {"code": 404, "by": me}
        number = channel.state["said"] = channel.state.get("said", 0) + 1
        stage.now().pushes(me, rid, msg["id"], number)
        missed = await channel.push("onChat", {"id": msg["id"], "rid": rid, "pad": msg["pad"]})
        if after := msg.get("after"):
            await stage.now().sleep(me, after)
        return {"code": 200, "by": me, "missed": missed}

    async def leave(self, msg: Any, session: ISession) -> Any:
        rid = session.get("rid")
        channel = self.app.channels.get(rid)
        stage.now().acts(self.app.server_id, rid, "leave")
        if channel is None or not channel.leave(session.uid, session.frontend_id):
            return {"code": 404}
        return {"code": 200}
"""

FRONTENDS, BACKENDS = 4, 6
FIRST_CLIENT_PORT = 4000


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a backend did to a channel.

    Args:
        life: of the backend.
        epoch: of the view that it knew.
        said: the message that it pushed, if that is what it did.
        number: which one that was since the channel began, as its state has it.
        members: of the channel then.
        unlinked: the frontends that the backend could not reach then.
    """

    time: float
    rid: str
    life: tuple[str, str]
    epoch: int
    said: str | None
    number: int
    members: frozenset[tuple[str, str]]
    unlinked: frozenset[str]


@dataclass(frozen=True, slots=True)
class Leaving:
    """What a backend's ``on_left`` was told."""

    time: float
    life: tuple[str, str]
    rid: str
    uid: str
    front: str
    reason: str


@dataclass(frozen=True, slots=True)
class Script:
    """The application, ready to be played."""

    folder: Path
    servers: Servers
    run_folder: RunFolder
    catalogue: Catalogue

    def cast(self, ids: Iterable[str]) -> Servers:
        """The servers that begin, as servers.json would list them."""
        chosen = set(ids)
        return Servers(
            [each for each in self.servers if each.id in chosen],
            file=self.servers.file,
            env=self.servers.env,
            types=self.servers.types,
        )


def write(folder: Path) -> Script:
    """Write the application into a folder, and load it: once for all simulations."""
    files = {
        "app.py": APP,
        "servers/front/handlers.py": ENTRY,
        "servers/chat/remotes.py": REMOTES,
        "servers/chat/handlers.py": CHAT,
    }
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("from __future__ import annotations\n" + text)
    fronts = [
        {"id": f"front-{n}", "clientPort": FIRST_CLIENT_PORT + n} for n in range(1, FRONTENDS + 1)
    ]
    chats = [{"id": f"chat-{n}"} for n in range(1, BACKENDS + 1)]
    entries = {"development": {"front": fronts, "chat": chats}}
    (folder / "servers.json").write_text(json.dumps(entries))
    servers = load_servers(folder, "development")
    run_folder = RunFolder.open(folder)
    secret = run_folder.secret()
    run_folder.secret = cache(lambda: secret)  # type: ignore[method-assign]
    return Script(folder, servers, run_folder, load_application(folder))


class Stage:
    """What the application does, as the simulation sees it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.nodes: dict[str, Any] = {}
        self.machines: dict[str, Machine] = {}
        self.acted: list[Act] = []
        self.left: list[Leaving] = []
        self.died: dict[tuple[str, str], float] = {}

    def sleep(self, server_id: str, seconds: float) -> Deferred[None]:
        """What a handler waits for."""
        slept: Deferred[None] = Deferred()
        # Not by its reactor, which would have it to do yet when its node has stopped.
        self.world.later(seconds, slept.callback, None, machine=self.machines[server_id])
        return slept

    def acts(self, server_id: str, rid: str, what: str) -> None:
        self._note(server_id, rid, None, 0)

    def pushes(self, server_id: str, rid: str, said: str, number: int) -> None:
        self._note(server_id, rid, said, number)

    def leaves(self, server_id: str, rid: str, uid: str, front: str, reason: str) -> None:
        life = server_id, self.nodes[server_id].links.incarnation
        self.left.append(Leaving(self.world.now, life, rid, uid, front, reason))

    def _note(self, server_id: str, rid: str, said: str | None, number: int) -> None:
        node = self.nodes[server_id]
        life = server_id, node.links.incarnation
        epoch = node.servers.view.epoch
        frontends = [each.id for each in node.servers.frontends()]
        unlinked = frozenset(id for id in frontends if node.links.get(id) is None)
        members = frozenset(node.channels.get(rid).members()) if said is not None else frozenset()
        self.acted.append(Act(self.world.now, rid, life, epoch, said, number, members, unlinked))


_now: list[Stage] = []


def now() -> Stage:
    """The stage that is played on."""
    return _now[-1]


def enter(stage: Stage) -> None:
    _now[:] = [stage]
