"""Who may call what, as the handlers' interfaces say."""

from __future__ import annotations

import textwrap
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_twisted
from running import short_folder
from small_cluster import Cluster
from twisted.logger import formatEvent, globalLogPublisher

from chatcore.config.servers import load_servers
from chatcore.errors import ConfigError
from chatcore.node import verify
from chatcore.wire import message, package

FAILED = {"code": 500}

BACK = """
    from zope.interface import implementer
    from chatcore.interfaces import IHandler, access

    class IOpenHandler(IHandler):
        async def everyone(msg, session): ""

        @access("bound")
        async def bound(msg, session): ""

        @access("unbound")
        async def unbound(msg, session): ""

        @access("nobody")
        async def nobody(msg, session): ""

        @access(through=["side"])
        async def side(msg, session): ""

    @access("bound", through="door")
    class IInner(IOpenHandler):
        async def inner(msg, session): ""

        @access("anyone")
        async def outer(msg, session): ""

    class Answers:
        def __init__(self, app):
            self.app = app

        async def _answer(self, msg, session):
            return {"ok": True}

        everyone = bound = unbound = nobody = side = inner = outer = _answer

    @implementer(IOpenHandler)
    class OpenHandler(Answers):
        pass

    @implementer(IInner)
    class InnerHandler(Answers):
        pass
"""

FRONT = """
    from zope.interface import implementer
    from chatcore.interfaces import IHandler, access

    class ILoginHandler(IHandler):
        @access("unbound")
        async def login(msg, session): ""

        @access("bound")
        async def logout(msg, session): ""

        async def own(msg, session): ""

        @access(through=["door", "side"])
        async def shared(msg, session): ""

    @implementer(ILoginHandler)
    class LoginHandler:
        def __init__(self, app):
            self.app = app

        async def login(self, msg, session):
            await session.bind("alice")
            return {"ok": True}

        async def logout(self, msg, session):
            await session.unbind()
            return {"ok": True}

        async def own(self, msg, session):
            return {"ok": True}

        shared = helper = own
"""

FILES = {
    "servers/door/handlers.py": FRONT,
    "servers/side/handlers.py": FRONT,
    "servers/back/handlers.py": BACK,
}


@pytest_twisted.async_yield_fixture
async def cluster() -> AsyncIterator[Cluster]:
    with short_folder() as folder:
        cluster = Cluster(
            folder,
            servers={"door": ["door-1"], "side": ["side-1"], "back": ["back-1"]},
            frontends=("door", "side"),
            files=FILES,
        )
        await cluster.start()
        yield cluster
        await cluster.close()


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What was logged."""
    lines: list[str] = []

    def observe(event: object) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


async def allowed(client: object, service: str) -> set[str]:
    methods = ["everyone", "bound", "unbound", "nobody", "side"]
    methods += ["inner", "outer"] if service == "innerHandler" else []
    found = set()
    for method in methods:
        reply = await client.request(f"back.{service}.{method}", {})
        assert reply in ({"ok": True}, FAILED)
        if reply == {"ok": True}:
            found.add(method)
    return found


async def test_before_and_after_bind(cluster: Cluster) -> None:
    door = await cluster.client("door-1")
    assert await allowed(door, "openHandler") == {"everyone", "unbound"}
    assert await allowed(door, "innerHandler") == {"outer", "unbound"}
    assert await door.request("door.loginHandler.logout", {}) == FAILED
    assert await door.request("door.loginHandler.login", {}) == {"ok": True}
    assert await door.request("door.loginHandler.login", {}) == FAILED
    assert await allowed(door, "openHandler") == {"everyone", "bound"}
    assert await allowed(door, "innerHandler") == {"everyone", "bound", "inner", "outer"}
    assert await door.request("door.loginHandler.logout", {}) == {"ok": True}
    assert await allowed(door, "openHandler") == {"everyone", "unbound"}


async def test_through_another_type_of_frontend(cluster: Cluster) -> None:
    side = await cluster.client("side-1")
    assert await side.request("side.loginHandler.login", {}) == {"ok": True}
    assert await allowed(side, "openHandler") == {"everyone", "bound", "side"}
    assert await allowed(side, "innerHandler") == {"side"}


async def test_what_another_frontend_answers_is_for_its_own_clients(cluster: Cluster) -> None:
    client = await cluster.client("door-1")
    assert await client.request("door.loginHandler.own") == {"ok": True}
    assert await client.request("side.loginHandler.own") == FAILED
    assert await client.request("side.loginHandler.shared") == {"ok": True}


async def test_it_is_counted_and_said_once(cluster: Cluster, said: list[str]) -> None:
    door = await cluster.client("door-1")
    counters = cluster.nodes["door-1"].counters
    for _ in range(3):
        assert await door.request("back.openHandler.nobody", {}) == FAILED
        assert await door.request("back.openHandler.side", {}) == FAILED
        # Nothing of it is read: this is no JSON.
        bad = message.encode_request(1000, "back.openHandler.bound", b"{")
        door.send_raw(package.encode(package.DATA, bad))
        door.notify("back.openHandler.bound", {})
    assert await door.request("back.openHandler.everyone", {}) == {"ok": True}
    assert counters.requests_refused == 12
    assert [line for line in said if "was refused" in line] == [
        "back.openHandler.nobody was refused: nobody may call it",
        "back.openHandler.side was refused: it may be called through side only",
        "back.openHandler.bound was refused: only who is bound may call it",
    ]


@pytest.mark.parametrize("service", ["back.openHandler", "door.loginHandler"])
async def test_what_is_not_declared_can_not_be_reached(cluster: Cluster, service: str) -> None:
    """Neither the helpers of a class, nor what it inherits, nor what an interface inherits."""
    door = await cluster.client("door-1")
    names = ["helper", "_answer", "app", "constructor", "__init__", "__class__", "__proto__"]
    names += ["hasOwnProperty", "toString", "__init_subclass__", "providedBy", "names"]
    for name in names:
        assert await door.request(f"{service}.{name}", {}) == FAILED, name


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('@access("bond")', r'access: who may be "anyone", .*, not \'bond\'. Did you mean bound?'),
        ("@access", r"access: it says nothing. Write @access\(\"bound\"\), with brackets"),
        ("@access()", r"access: it says nothing. Say who"),
        ("@access(through=5)", "access: through is a server type or several, not 5"),
        ('@access(through="dor")', "OpenHandler.one is to be called through dor, but there is no "),
        ('@access(through="back")', "through back, but back is no frontend.*are door and side"),
    ],
)
def test_mistakes_are_told_before_anything_starts(line: str, says: str) -> None:
    with short_folder() as folder:
        refused(folder, interface(line, ""), says, 5)
        refused(folder, interface("", line), says, 7)


def test_a_type_that_has_no_servers_now_is_no_mistake() -> None:
    servers = {"door": ["door-1"], "side": [], "back": ["back-1"]}
    with short_folder() as folder:
        Cluster(folder, servers=servers, frontends=("door",), files=FILES)
        verify(folder, load_servers(folder, "development"), [])


def test_what_contradicts_itself_is_refused() -> None:
    other = """
        class IOther(IHandler):
            @access("nobody")
            async def one(msg, session): ""
    """
    both = interface("", "") + textwrap.dedent(other)
    text = both.replace("@implementer(IOpenHandler)", "@implementer(IOpenHandler, IOther)")
    before, _, after = text.partition("@implementer")
    head, _, tail = after.partition("class IOther")
    moved = f"{before}class IOther{tail}\n@implementer{head}"
    with short_folder() as folder:
        refused(folder, moved, "IOther and IOpenHandler say different things", None)


def test_remotes_have_nothing_to_do_with_it() -> None:
    text = interface("", '@access("bound")').replace("Handler", "Remote")
    with short_folder() as folder:
        says = "IOpenRemote says which clients may call one. Clients can't call remotes"
        refused(folder, text, says, 7, file="remotes.py")


def interface(above: str, within: str) -> str:
    """A handler, with lines above its interface (line 5) and above its method (line 7)."""
    return textwrap.dedent(
        f"""\
        from zope.interface import implementer
        from chatcore.interfaces import IHandler, access

        pass
        {above}
        class IOpenHandler(IHandler):
            {within}
            async def one(msg, session): ""

        @implementer(IOpenHandler)
        class OpenHandler:
            def __init__(self, app): pass
            async def one(self, msg, session): pass
        """
    )


def refused(
    folder: Path, text: str, says: str, line: int | None, file: str = "handlers.py"
) -> None:
    files = FILES | {f"servers/back/{file}": text}
    if file == "remotes.py":
        del files["servers/back/handlers.py"]
    servers = {"door": ["door-1"], "side": ["side-1"], "back": ["back-1"]}
    Cluster(folder, servers=servers, frontends=("door", "side"), files=files)
    with pytest.raises(ConfigError, match=says) as raised:
        verify(folder, load_servers(folder, "development"), [])
    assert raised.value.file == str(folder / "servers/back" / file)
    if line is not None:
        assert raised.value.line == line
