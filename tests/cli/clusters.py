"""Clusters to administer: nodes in this process, and stand-ins that do what a test says."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from small_cluster import Cluster
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred

from chatcore.admin.desk import Desk
from chatcore.admin.outcomes import UNKNOWN
from chatcore.cli.exits import CommandError
from chatcore.cli.main import make_commands, tell
from chatcore.cli.output import Output
from chatcore.cluster.view import Member, View
from chatcore.config.claims import Claim
from chatcore.config.run_folder import RunFolder
from chatcore.config.servers import Server
from chatcore.errors import AdminError, ConfigError
from chatcore.links.link import LinkParts
from chatcore.links.settings import LinkSettings
from chatcore.links.table import LinkTable
from chatcore.node.administered import Process
from chatcore.node.ports import admin_place, unix_place
from chatcore.telemetry import Counters
from chatcore.turn import Turn


class Terminal(io.StringIO):
    """What a person would see."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Ran:
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return re.sub(r"\x1b\[[0-9;]*[mK]", "", self.out).splitlines()

    @property
    def records(self) -> dict[str, list[str]]:
        """The fields of each record, by its first."""
        return {line.split("\t")[0]: line.split("\t")[1:] for line in self.lines}

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def chatcore(*words: str, terminal: bool = False) -> Ran:
    """Run a command that talks to a cluster, in this process."""
    out, err = (Terminal(), Terminal()) if terminal else (io.StringIO(), io.StringIO())
    output = Output(out, err, as_json="--json" in words)
    try:
        parser, rest = make_commands().find(words)
        assert parser is not None
        options = parser.read(rest)
        code = await options.main(options, output, reactor=reactor)
    except (CommandError, ConfigError) as problem:
        code = tell(problem, output)
    return Ran(code, out.getvalue(), err.getvalue())


class AdministeredCluster(Cluster):
    """Nodes that behave as those of twistd do: each has its claim and its socket.

    Args:
        registry: the URL of their registry; servers.json alone unless given.
    """

    def __init__(self, *args: Any, registry: str | None = None, **more: Any) -> None:
        super().__init__(*args, **more)
        self._registry = registry
        self.killed: list[str] = []
        self._claims: dict[str, Claim] = {}

    def surroundings(self, server_id: str) -> dict[str, Any]:
        claim = self.run_folder.claim(server_id)
        assert claim is not None
        self._claims[server_id] = claim
        place = partial(admin_place, self.run_folder, server_id)
        kill = partial(self.kill, server_id)
        return {
            "registry_url": self._registry,
            "stop": lambda: self.end(server_id),
            "process": Process(place=place, note=claim.note, kill=kill),
        }

    def end(self, server_id: str) -> Deferred[Any]:
        """Stop a node, as its process does when it is told to."""
        if server_id not in self.nodes:
            return Deferred()
        stopping = self.nodes.pop(server_id).stopService()
        return stopping.addCallback(lambda _: self._claims.pop(server_id).release())

    async def stop(self, *ids: str) -> None:
        for server_id in ids or list(self.nodes):
            await self.end(server_id)

    def kill(self, server_id: str) -> None:
        self.killed.append(server_id)
        self.end(server_id)


class Standin:
    """A process that answers administrators as a test says.

    Args:
        run: the run folder that it has a claim in.
        id: its id.
        survey: what it answers to that.
        secret: the cluster's, as it knows it; that of the run folder unless given.
    """

    def __init__(
        self,
        run: RunFolder,
        id: str,
        survey: Mapping[str, Any],
        secret: bytes | None = None,
    ) -> None:
        self.id = id
        self.asked: list[tuple[str, str]] = []
        self.answers: dict[str, Callable[[str], Any]] = {}
        self.survey_value = survey
        self.counters = Counters()
        clock: Any = reactor
        self.table = LinkTable(
            id="master" if id == "start" else id,
            incarnation="life",
            secret=run.secret() if secret is None else secret,
            remotes={},
            parts=LinkParts(
                turn=Turn(clock.callLater),
                clock=clock,
                settings=LinkSettings(),
                counters=self.counters,
                responders={},
            ),
        )
        self.desk = Desk(host=self, counters=self.counters, clock=clock)
        self.table.admit(self.desk)
        self.table.startService()
        self._claim = run.claim(id)
        place = unix_place(run.admin_socket(id), id)
        self._port: Any = place.listen(reactor, self.table.factory)

    def end(self) -> None:
        """End at once, as a process that is killed."""
        if self._port is not None:
            self._ending = maybeDeferred(self._port.stopListening)
            self._port = None
        if self._claim is not None:
            self._claim.release()
        for link in list(self.table._closing):
            link.abort()

    async def close(self) -> None:
        self.end()
        await self._ending
        await self.table.stopService()
        self.desk.stop()

    # IAdministered

    async def survey(self, seconds: float, *, alone: bool) -> dict[str, Any]:
        return await self._answer("survey", self.id, self.survey_value)

    async def inspect(
        self, question: str, id: str, given: Any, seconds: float, *, passes_on: bool, asker: Any
    ) -> dict[str, Any]:
        return await self._answer(question, id, {"state": "up"})

    async def invoke(
        self, invocation: Any, id: str, seconds: float, *, passes_on: bool, asker: Any
    ) -> dict[str, Any]:
        return await self._answer(invocation.route, id, {"result": None, "ms": 1.0})

    async def order(
        self, what: str, id: str, seconds: float, *, passes_on: bool, asker: Any
    ) -> dict[str, Any]:
        return await self._answer(what, id, {"ended": True})

    async def _answer(self, what: str, id: str, usual: Any) -> Any:
        self.asked.append((what, id))
        answer = self.answers.get(what)
        if answer is None:
            return usual
        said = answer(id)
        if isinstance(said, Deferred):
            said = await said
        if isinstance(said, AdminError):
            raise said
        return said


def survey_of(
    *ids: str, asked: str = "chat-1", programs: Mapping[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    """A survey of servers, all of which are up.

    Args:
        ids: the servers in the view; what stands before the last dash is their type.
        asked: who says so.
        programs: the states of those that ``chatcore start`` has, by id.
    """
    view = View(7, tuple(Member(server=server(id)) for id in ids))
    return {
        "id": asked,
        "app": "/srv/chat",
        "env": "production",
        "version": "9.8",
        "view": view.to_value(),
        "supervised": programs is not None,
        "programs": None
        if programs is None
        else [
            {"id": id, "type": server(id).type, "state": state, "pid": 1000 + place}
            for place, (id, state) in enumerate(programs.items())
        ],
        **more,
    }


def server(id: str) -> Server:
    """A server, whose type is told by its id; those called front are frontends."""
    server_type = id.rpartition("-")[0] or id
    if server_type == "front":
        return Server(id=id, type=server_type, client_port=3010, frontend=True)
    return Server(id=id, type=server_type, port=4000)


def no_such_server(id: str) -> AdminError:
    return AdminError(f"there is no {id}", code=UNKNOWN)


def chat_files() -> dict[str, str]:
    """A small application: frontends, and a chat."""
    return {
        "servers/chat/remotes.py": """
            from zope.interface import implementer
            from chatcore.interfaces import IRemote

            class IRoomRemote(IRemote):
                async def add(uid: str, sid: str, room: str) -> bool: ...

            @implementer(IRoomRemote)
            class RoomRemote:
                def __init__(self, app):
                    self.app = app

                async def add(self, uid: str, sid: str, room: str) -> bool:
                    return self.app.channels.get(room, create=True).add(uid, sid)
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
                    return {"new": await room.add(msg["name"], self.app.server_id, "attic")}
            """,
    }


def path_of(cluster: AdministeredCluster) -> str:
    return str(Path(cluster.folder))
