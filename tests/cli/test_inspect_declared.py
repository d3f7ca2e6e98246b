"""``chatcore inspect remotes`` and ``handlers``: what servers declare."""

from __future__ import annotations

import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from chatcore.dispatch.components import Component
from chatcore.dispatch.loading import load_application
from chatcore.errors import AdminError, ConfigError
from chatcore.interfaces import IRemote, redacted
from chatcore.node.looking.declared import Remotes

from .clusters import AdministeredCluster, chatcore, path_of

REMOTES = '''
    """Rooms."""
    from __future__ import annotations
    from zope.interface import implementer
    from chatcore.interfaces import IRemote, idempotent, redacted

    @redacted("pin")
    class IRoomRemote(IRemote):
        async def add(uid: str, sid: str, room: str, create: bool = False) -> list[str]:
            """Put a user into a room.

            Who is in it comes back.
            """

        @idempotent
        async def names() -> dict[str, list[str]]: ""

        @redacted("card", answer=True)
        async def pay(uid: str, card: str, token="t0p"): ""

    @implementer(IRoomRemote)
    class RoomRemote:
        def __init__(self, app): ""
        async def add(self, uid: str, sid: str, room: str, create: bool = False) -> list[str]:
            return []
        async def names(self) -> dict[str, list[str]]:
            return {}
        async def pay(self, uid: str, card: str, token="t0p"): ""
'''

HANDLERS = '''
    from typing import Any
    from zope.interface import implementer
    from chatcore.interfaces import IHandler, ISession, access

    class IDoorHandler(IHandler):
        @access("unbound")
        async def enter(msg: Any, session: ISession) -> Any:
            """Come in."""

    @implementer(IDoorHandler)
    class DoorHandler:
        def __init__(self, app): ""
        async def enter(self, msg: Any, session: ISession) -> Any: ""
'''


@pytest_twisted.async_yield_fixture
async def rooms(folder: Path) -> AsyncIterator[AdministeredCluster]:
    """A frontend and two backends, of which the second is not started yet."""
    cluster = AdministeredCluster(
        folder,
        servers={"front": ["front-1"], "room": ["room-1", "room-2"]},
        files={"servers/room/remotes.py": REMOTES, "servers/front/handlers.py": HANDLERS},
        settings={"links.ping_interval": 60.0},
    )
    yield cluster
    await cluster.close()


async def test_remotes_are_told_as_they_are_declared(rooms: AdministeredCluster) -> None:
    await rooms.start()

    ran = await chatcore("inspect", "remotes", "--app", path_of(rooms))

    assert (ran.code, ran.err) == (0, "")
    assert list(ran.records) == [
        "room.roomRemote.add",
        "room.roomRemote.names",
        "room.roomRemote.pay",
    ]
    assert ran.records["room.roomRemote.add"] == [
        "room.roomRemote.add(uid: str, sid: str, room: str, create: bool = False) -> list[str]",
        "servers/room/remotes.py:9",
        "-",
        "IRoomRemote",
        "room-1,room-2",
        "Put a user into a room.",
    ]
    assert ran.records["room.roomRemote.names"][2] == "idempotent"
    assert "token=[hidden]" in ran.records["room.roomRemote.pay"][0]


async def test_remotes_for_people(rooms: AdministeredCluster) -> None:
    await rooms.start()

    ran = await chatcore("inspect", "remotes", "--app", path_of(rooms), "-v", terminal=True)

    assert ran.lines[0] == "room: room-1, room-2"
    assert ran.lines[1].endswith("-> list[str]  servers/room/remotes.py:9")
    assert "      Who is in it comes back." in ran.lines
    assert ran.lines[-1] == "      of IRoomRemote, by RoomRemote, hides card, pin, the answer"


async def test_what_is_hidden_is_told_to_programs(rooms: AdministeredCluster) -> None:
    await rooms.start()

    ran = await chatcore("inspect", "remotes", "room-1", "--app", path_of(rooms), "--json")

    add, _, pay = ran.json["remotes"]
    assert (add["parameters"], add["hidden"]) == (["uid", "sid", "room", "create"], ["pin"])
    assert (pay["hidden"], pay["hides_answer"]) == (["card", "pin"], True)
    assert (add["servers"], ran.json["differences"], ran.json["silent"]) == (["room-1"], [], {})


async def test_handlers_with_who_may_call_them(rooms: AdministeredCluster) -> None:
    await rooms.start()

    ran = await chatcore("inspect", "handlers", "--app", path_of(rooms))

    assert ran.records == {
        "front.doorHandler.enter": [
            "front.doorHandler.enter(msg: Any, session: ISession) -> Any",
            "servers/front/handlers.py:7",
            "unbound only; through front",
            "IDoorHandler",
            "front-1",
            "Come in.",
        ]
    }


async def test_differences_are_told(rooms: AdministeredCluster) -> None:
    await rooms.start("room-1", "front-1")
    changed = REMOTES.replace("card: str", "card: int").replace("names", "list")
    (rooms.folder / "servers/room/remotes.py").write_text(textwrap.dedent(changed))
    await rooms.start("room-2")

    ran = await chatcore("inspect", "remotes", "--app", path_of(rooms), "--json")
    told = await chatcore("inspect", "remotes", "--app", path_of(rooms))

    assert [each["what"] for each in ran.json["differences"]] == [
        "missing",
        "unknown",
        "missing",
        "declared",
    ]
    assert told.err.splitlines() == [
        "chatcore: room.roomRemote.list is missing on room-1",
        "chatcore: room.roomRemote.list is not known to front-1",
        "chatcore: room.roomRemote.names is missing on room-2",
        "chatcore: room.roomRemote.pay is not declared alike:"
        " pay(uid: str, card: str, token=[hidden]) on room-1;"
        " pay(uid: str, card: int, token=[hidden]) on room-2",
    ]
    # Who asks those of one type alone is told what these say of each other.
    alone = await chatcore("inspect", "remotes", "front-1", "room-2", "--app", path_of(rooms))
    assert [line.split(" ", 4)[4] for line in alone.err.splitlines()][1:] == [
        "to front-1, and no room server has it",
        "to front-1 as pay(uid: str, card: str, token=[hidden]), but is"
        " pay(uid: str, card: int, token=[hidden]) on room-2",
    ]


async def test_who_does_not_tell_is_named_and_the_command_fails(
    rooms: AdministeredCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rooms.start()
    answer = Remotes.__call__

    def call(self: Remotes, given: dict[str, Any]) -> dict[str, Any]:
        if self._node.server.id == "room-2":
            raise AdminError("it hangs", code="failed")
        return answer(self, given)

    monkeypatch.setattr(Remotes, "__call__", call)

    ran = await chatcore("inspect", "remotes", "--app", path_of(rooms))

    assert ran.code == 1
    assert ran.err == "chatcore: room-2 does not tell: it hangs\n"
    assert ran.records["room.roomRemote.add"][4] == "room-1"


async def test_who_has_none_is_named_to_people(rooms: AdministeredCluster) -> None:
    await rooms.start()

    words = ("inspect", "remotes", "front-1", "--app", path_of(rooms))
    ran, told = await chatcore(*words), await chatcore(*words, terminal=True)

    assert (ran.code, ran.out) == (0, "")
    assert told.lines == ["There are no remotes on front-1"]


class TestRedacted:
    @pytest.mark.parametrize("names", [(), ("",), ("--",), (3,)])
    def test_it_names_something(self, names: tuple[str, ...]) -> None:
        with pytest.raises(ConfigError, match=r"test_inspect_declared\.py:\d+: redacted"):
            redacted(*names)

    def test_it_stands_over_interfaces(self) -> None:
        with pytest.raises(ConfigError, match="neither a method of an interface nor"):
            redacted("card")(Component)
        with pytest.raises(ConfigError, match="it says nothing"):
            redacted(IRemote)  # type: ignore[arg-type]  # that is the mistake

    def test_it_is_inherited_and_added_to(self, folder: Path) -> None:
        base = """
            from chatcore.interfaces import IRemote, redacted
            from zope.interface import implementer

            @redacted("card")
            class IBase(IRemote):
                @redacted("iban")
                async def pay(a, b): ""

            class IMore(IBase):
                @redacted("bic")
                async def pay(a, b): ""
                async def plain(): ""

            @implementer(IMore)
            class Pays:
                def __init__(self, app): ""
                async def pay(self, a, b): ""
                async def plain(self): ""
            """
        (folder / "servers/room").mkdir(parents=True)
        (folder / "servers/room/remotes.py").write_text(textwrap.dedent(base))
        (found,) = load_application(folder).remotes("room")

        assert set(found.methods["pay"].redacted.names) == {"bic", "iban", "card"}
        assert found.methods["plain"].redacted.names == ("card",)
