"""The client port of a node, as settings and servers.json have it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import pytest_twisted
from certificates import make_certificate
from running import free_ports, short_folder
from small_cluster import Cluster, until
from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.internet.threads import deferToThread

from chatcore.client import Client, ClientFailure
from chatcore.config.servers import load_servers
from chatcore.config.settings import Assignment
from chatcore.errors import ConfigError
from chatcore.node import verify

FRONT = """
    from zope.interface import implementer
    from chatcore.interfaces import IHandler

    class IFrontHandler(IHandler):
        async def where(msg, session): ""
        async def ban(msg, session): ""

    @implementer(IFrontHandler)
    class FrontHandler:
        def __init__(self, app):
            self.app = app

        def where(self, msg, session):
            return {"host": session.address[0], "listed": self.app.blacklist.entries()}

        def ban(self, msg, session):
            return {"closed": self.app.blacklist.add(*msg["who"])}
"""

BACK = """
    from zope.interface import implementer
    from chatcore.interfaces import IHandler

    class IBackHandler(IHandler):
        async def ban(msg, session): ""

    @implementer(IBackHandler)
    class BackHandler:
        def __init__(self, app):
            self.app = app

        def ban(self, msg, session):
            return self.app.blacklist.add("192.0.2.1")
"""

FILES = {"servers/front/handlers.py": FRONT, "servers/back/handlers.py": BACK}
WHERE = "front.frontHandler.where"


class Running:
    """A cluster of one frontend, and clients by URL."""

    def __init__(self, folder: Path, **how: Any) -> None:
        how.setdefault("servers", {"front": ["front-1"]})
        self.cluster = Cluster(folder, files=FILES, **how)
        self.port = self.cluster.servers.by_id("front-1").client_port
        self._clients: list[Client] = []

    @property
    def counters(self) -> Any:
        return self.cluster.nodes["front-1"].counters

    async def client(self, scheme: str = "ws", host: str = "127.0.0.1", **how: Any) -> Client:
        client = Client(reactor=reactor)
        self._clients.append(client)
        await client.init(url=f"{scheme}://{host}:{self.port}", **how)
        return client

    async def close(self) -> None:
        for client in self._clients:
            with suppress(ClientFailure):
                await client.disconnect()
        await self.cluster.stop()


@pytest_twisted.async_yield_fixture
async def make() -> AsyncIterator[Any]:
    """Starts a node; called with what `Cluster` takes, or with a function of the folder."""
    made: list[Running] = []
    with short_folder() as folder:

        async def make(**how: Any) -> Running:
            app = folder / "app"
            app.mkdir()
            made.append(Running(app, **how))
            await made[-1].cluster.start()
            return made[-1]

        yield make
        for each in made:
            await each.close()


@pytest.mark.parametrize("scheme", ["ws", "tcp"])
@pytest.mark.parametrize(
    ("bound", "dialled", "seen"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("::1", "[::1]", "::1"),
        ("::", "127.0.0.1", "127.0.0.1"),
        ("::", "[::1]", "::1"),
    ],
)
async def test_addresses(make: Any, scheme: str, bound: str, dialled: str, seen: str) -> None:
    running = await make(keys={"front-1": {"clientHost": bound}})
    client = await running.client(scheme, dialled)
    assert await client.request(WHERE) == {"host": seen, "listed": []}


@pytest.mark.parametrize("key", ["clientHost", "host"])
async def test_nobody_else_is_listened_to(make: Any, key: str) -> None:
    """Only the configured address is bound, for clients and for links."""
    with free_ports(1) as ports:
        port = ports[0]
    running = await make(
        servers={"front": ["front-1"], "back": ["back-1"]},
        keys={"front-1": {key: "127.0.0.2"}, "back-1": {"host": "127.0.0.3", "port": port}},
    )
    client = await running.client(host="127.0.0.2")
    assert (await client.request(WHERE))["listed"] == []
    with pytest.raises(ClientFailure):
        await running.client(host="127.0.0.1")
    hosts = [each.getHost() for node in running.cluster.nodes.values() for each in node.listening]
    assert [each.host for each in hosts if isinstance(each, IPv4Address)] == [
        "127.0.0.2",
        "127.0.0.3",
    ]


@pytest.mark.parametrize(
    ("most", "limit", "both"), [(2, 20000, 2), (5, 2, 2), (2, 0, 2), (None, 2, 2)]
)
async def test_the_smaller_of_two_limits(make: Any, most: int, limit: int, both: int) -> None:
    running = await make(
        keys={"front-1": {} if most is None else {"max-connections": most}},
        settings={"limits.connections": limit},
    )
    clients = [await running.client() for _ in range(both)]
    with pytest.raises(ClientFailure):
        await running.client()
    assert running.counters.clients_refused == 1
    await clients.pop().disconnect()
    await until(lambda: running.counters.clients_now == both - 1, "room")
    await running.client("tcp")


async def test_the_blacklist(make: Any) -> None:
    running = await make(
        servers={"front": ["front-1"], "back": ["back-1"]},
        settings={"limits.blacklist": ("192.0.2.0/24",)},
    )
    client, other = await running.client(), await running.client("tcp")
    assert (await client.request(WHERE))["listed"] == ["192.0.2.0/24"]
    ended: list[str] = []
    for each in (client, other):
        each.on("onKick", lambda kick: ended.append(kick["reason"]))
    with pytest.raises(ClientFailure):
        await client.request("front.frontHandler.ban", {"who": ["127.0.0.0/8"]})
    await until(lambda: len(ended) == 2, "both to be told")
    assert ended == ["blacklisted", "blacklisted"]
    with pytest.raises(ClientFailure):
        await running.client()
    assert running.counters.clients_blacklisted == 3


@pytest.mark.logs_failures
async def test_a_backend_has_no_blacklist_to_add_to(make: Any) -> None:
    running = await make(servers={"front": ["front-1"], "back": ["back-1"]})
    client = await running.client()
    assert await client.request("back.backHandler.ban") == {"code": 500}


def fetched(url: str) -> int:
    """The status that a URL is answered with."""
    try:
        with urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except HTTPError as problem:
        return problem.code


@pytest.mark.parametrize(
    ("settings", "status"),
    [({}, 200), ({"connector.socketio": False}, 404), ({"connector.signed": True}, 404)],
)
async def test_who_may_come_by_socketio(make: Any, settings: dict[str, Any], status: int) -> None:
    """Nobody where every message has to be signed: its clients sign none."""
    running = await make(settings=settings)
    url = f"http://127.0.0.1:{running.port}/socket.io/?EIO=4&transport=polling"
    assert await deferToThread(fetched, url) == status


class TestTls:
    @pytest.mark.parametrize("given", ["settings", "entry"])
    async def test_both_protocols(self, make: Any, tmp_path: Path, given: str) -> None:
        files = make_certificate(tmp_path)
        names = {"certificate": str(files.certificate), "key": str(files.key)}
        other = make_certificate(tmp_path, "other")
        running = await make(
            settings={
                "tls.certificate": str((files if given == "settings" else other).certificate),
                "tls.key": str((files if given == "settings" else other).key),
            },
            keys={"front-1": {} if given == "settings" else {"tls": names}},
        )
        certificate = Certificate.loadPEM(files.certificate.read_bytes())
        trust = trustRootFromCertificates([certificate])
        for scheme in ("wss", "tls"):
            for host in ("127.0.0.1", "localhost"):
                client = await running.client(scheme, host, trust=trust)
                assert (await client.request(WHERE))["host"] == "127.0.0.1"
                await client.disconnect()
            with pytest.raises(ClientFailure):
                await running.client(scheme)  # nobody that the system trusts has signed it
        for scheme in ("ws", "tcp"):
            with pytest.raises(ClientFailure):
                await running.client(scheme)
        await until(lambda: running.counters.clients_now == 0, "all to be gone")

    def application(self, folder: Path, entry: dict[str, Any]) -> Path:
        for path in FILES:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "servers/front/handlers.py").write_text("")
        entries = [{"id": "front-1", "clientPort": 3010}, {"clientPort": 3011, **entry}]
        (folder / "servers.json").write_text(json.dumps({"development": {"front": entries}}))
        return folder

    @pytest.mark.parametrize("given", ["settings", "entry"])
    def test_a_mistake_is_told_before_anything_starts(self, tmp_path: Path, given: str) -> None:
        entry: dict[str, Any] = {"id": "front-2"}
        settings = {}
        if given == "entry":
            entry["tls"] = {"certificate": "tls/a.pem", "key": "tls/a.key"}
        else:
            settings = {"tls.certificate": "tls/a.pem", "tls.key": "tls/a.key"}
        app = self.application(tmp_path, entry)
        assignments = [Assignment(key=k, value=v, source="test") for k, v in settings.items()]
        with pytest.raises(ConfigError) as caught:
            verify(app, load_servers(app, "development"), assignments)
        assert caught.value.file == app / "tls" / "a.pem"

    @pytest.mark.parametrize("udp", [False, True])
    def test_nothing_to_come_by(self, tmp_path: Path, udp: bool) -> None:
        app = self.application(tmp_path, {"id": "front-2"})
        given = {"websocket": False, "tcp": False, "socketio": False, "udp": udp}
        said = [Assignment(key=f"connector.{k}", value=v, source="test") for k, v in given.items()]
        servers = load_servers(app, "development")
        if udp:
            assert verify(app, servers, said)["front"]["connector.udp"] is True
        else:
            with pytest.raises(ConfigError, match="all turned off, so that no client could come"):
                verify(app, servers, said)

    def test_a_library_that_is_not_there(self, tmp_path: Path) -> None:
        app = self.application(tmp_path, {"id": "front-2"})
        said = Assignment(key="socketio.script", value="web/socket.io.js", source="app.py:3")
        servers = load_servers(app, "development")
        with pytest.raises(ConfigError, match=r"socketio\.script can't be read") as caught:
            verify(app, servers, [said])
        assert caught.value.file == app / "web/socket.io.js"
        (app / "web").mkdir()
        (app / "web/socket.io.js").write_text("var io")
        verify(app, servers, [said])

    @pytest.mark.parametrize("key", ["certificate", "key"])
    def test_half_a_pair(self, tmp_path: Path, key: str) -> None:
        app = self.application(tmp_path, {"id": "front-2"})
        half = Assignment(key=f"tls.{key}", value="a.pem", source="app.py:3")
        with pytest.raises(ConfigError, match="belong together"):
            verify(app, load_servers(app, "development"), [half])
