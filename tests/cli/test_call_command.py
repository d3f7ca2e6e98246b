"""``chatcore inspect call``: remotes of running nodes, with arguments that fit."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from links.wiring import Log
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from chatcore.config.tokens import Token

from .clusters import AdministeredCluster, Ran, chatcore

FILES = {
    "servers/chat/remotes.py": """
        from typing import Any
        from twisted.internet.defer import Deferred
        from zope.interface import implementer
        from chatcore.interfaces import IRemote, redacted

        class IRoomRemote(IRemote):
            async def add(uid: str, rooms: list[str], silent: bool = False) -> Any:
                "Say what came."
            async def many(count: int, after: str | None = None, data: Any = None) -> Any: ...
            async def fails(why: str) -> None: ...
            async def waits() -> None: ...
            async def whoami() -> str: ...
            async def login(name: str, password: str) -> Any: ...
            async def odd() -> Any: ...
            async def big(times: int, text: str) -> str: ...

            @redacted("card")
            async def pays(amount: float) -> Any: ...

            @redacted(answer=True)
            async def keeps() -> Any: ...

        @implementer(IRoomRemote)
        class RoomRemote:
            def __init__(self, app):
                self.app = app

            async def add(self, uid, rooms, silent=False):
                return [uid, rooms, silent]

            async def many(self, count, after=None, data=None):
                return {"count": count, "after": after, "data": data}

            async def fails(self, why):
                raise ValueError(why)

            async def waits(self):
                await Deferred()

            async def whoami(self):
                return self.app.server_id

            async def login(self, name, password):
                return {"name": name, "password": password}

            async def odd(self):
                return {"bytes": bytes([0, 255]), "deep": [[1.5, None]], "name": "Zoë"}

            async def big(self, times, text):
                return text * times

            async def pays(self, amount):
                return {"amount": amount, "cardNumber": "4111"}

            async def keeps(self):
                return "nothing to see"
        """,
    "servers/front/handlers.py": """
        from typing import Any
        from zope.interface import implementer
        from chatcore.interfaces import IHandler, ISession

        class IDoorHandler(IHandler):
            async def enter(msg: Any, session: ISession) -> Any: ...

        @implementer(IDoorHandler)
        class DoorHandler:
            def __init__(self, app):
                self.app = app

            async def enter(self, msg: Any, session: ISession) -> Any:
                return {}
        """,
}


PAGE = Path(__file__).parents[2] / "docs" / "inspector.md"

CHAT = {
    "servers/chat/remotes.py": """
        from zope.interface import implementer
        from chatcore.interfaces import IRemote

        class IChatRemote(IRemote):
            async def add(uid: str, sid: str, name: str, flag: bool) -> list[str]: ...
            async def get(name: str, flag: bool) -> list[str]: ...
            async def kick(uid: str, sid: str, name: str) -> None: ...

        @implementer(IChatRemote)
        class ChatRemote:
            def __init__(self, app):
                pass

            async def add(self, uid, sid, name, flag):
                return []

            async def get(self, name, flag):
                return ["ann"] if flag else ["ann", "bob"]

            async def kick(self, uid, sid, name):
                pass
        """
}


async def test_what_the_page_shows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = AdministeredCluster(folder, servers={"chat": ["chat-server-1"]}, files=CHAT)
    await cluster.start()
    monkeypatch.chdir(folder)
    try:
        shown = re.findall(r"```console\n(\$ chatcore inspect call .*?)```", PAGE.read_text(), re.S)
        assert len(shown) == 2
        for block in shown:
            told = ""
            for command in re.findall(r"^\$ (.*)$", block, re.M):
                words, _, pipe = command.partition(" | ")
                ran = await chatcore(*shlex.split(words)[1:], terminal=not pipe)
                told += f"$ {command}\n{ran.out}{ran.err}"
            assert re.sub(r"\t[0-9.]+\t", "\t0.2\t", told) == block
    finally:
        await cluster.close()


@pytest_twisted.async_yield_fixture
async def cluster(folder: Path) -> AsyncIterator[AdministeredCluster]:
    cluster = AdministeredCluster(
        folder, servers={"front": ["front-1"], "chat": ["chat-1", "chat-2"]}, files=FILES
    )
    await cluster.start()
    yield cluster
    await cluster.close()


async def call(
    cluster: AdministeredCluster, route: str, args: Any = None, *more: str, node: str = "chat-1"
) -> Ran:
    words = [] if args is None else [args if isinstance(args, str) else json.dumps(args)]
    where = ("--app", str(cluster.folder))
    return await chatcore(
        "inspect", "call", node, f"chat.roomRemote.{route}", *words, *where, *more
    )


@pytest.mark.parametrize(
    ("route", "args", "result"),
    [
        ("add", ["ann", ["a"]], ["ann", ["a"], False]),
        ("add", {"rooms": [], "uid": "ann", "silent": True}, ["ann", [], True]),
        ("many", [3], {"count": 3, "after": None, "data": None}),
        ("many", {"count": 3, "data": {"x": [1]}}, {"count": 3, "after": None, "data": {"x": [1]}}),
        ("whoami", None, "chat-1"),
        ("odd", [], {"bytes": {"hex": "00ff"}, "deep": [[1.5, None]], "name": "Zoë"}),
    ],
)
async def test_the_result_is_printed(
    cluster: AdministeredCluster, route: str, args: Any, result: Any
) -> None:
    ran = await call(cluster, route, args)
    assert (ran.code, ran.err) == (0, "")
    ((id, ms, told, problem),) = [line.split("\t") for line in ran.lines]
    assert (id, json.loads(told), problem) == ("chat-1", result, "-")
    assert float(ms) >= 0
    document = (await call(cluster, route, args, "--json")).json
    assert document["results"]["chat-1"]["result"] == result
    assert (document["problems"], document["exit"]) == ({}, 0)


async def test_people_see_it_as_it_reads_best(cluster: AdministeredCluster) -> None:
    ran = await chatcore(
        "inspect", "call", "chat-1", "chat.roomRemote.add", '["ann", []]',
        "--app", str(cluster.folder), terminal=True,
    )  # fmt: skip
    assert json.loads(ran.out) == ["ann", [], False]


async def test_each_server_of_a_type(cluster: AdministeredCluster) -> None:
    ran = await call(cluster, "whoami", node="chat")
    assert {id: fields[1] for id, fields in ran.records.items()} == {
        "chat-1": '"chat-1"', "chat-2": '"chat-2"'
    }  # fmt: skip


@pytest.mark.parametrize(
    ("route", "args", "says"),
    [
        ("add", ["ann"], "'rooms' is missing"),
        ("add", [], "'uid' and 'rooms' are missing"),
        ("add", ["ann", [], True, 4], "4 arguments were given, and it takes 2 to 3"),
        ("whoami", [1], "1 arguments were given, and it takes 0"),
        ("add", {"uid": "ann", "room": []}, "no parameter 'room'. Did you mean 'rooms'?"),
        ("add", {"uid": "ann"}, "'rooms' is missing"),
        ("add", [1, []], "'uid' has to be str, and is a whole number"),
        ("add", ["ann", ["a", 1]], "'rooms' has to be list[str], and is a list"),
        ("add", ["ann", [], 1], "'silent' has to be bool, and is a whole number"),
        ("many", [True], "'count' has to be int, and is true or false"),
        ("many", [1, 2], "'after' has to be str | None, and is a whole number"),
        ("add", "7", "the arguments of chat.roomRemote.add are a whole number"),
        ("login", [["hunter2"], "hunter2"], "'name' has to be str, and is a list"),
    ],
)
async def test_what_does_not_fit_is_not_called(
    cluster: AdministeredCluster, monkeypatch: pytest.MonkeyPatch, route: str, args: Any, says: str
) -> None:
    node = cluster.nodes["chat-1"]
    monkeypatch.setattr(node.backend, "send_packed", lambda *args, **more: pytest.fail("called"))
    ran = await call(cluster, route, args)
    assert ran.code == 2
    assert says in ran.err
    assert f"It is declared as {route}(" in ran.err
    assert "hunter2" not in ran.err + ran.out
    assert node.counters.calls_refused == 1


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ("[", "no JSON"),
        ("[NaN]", "NaN is no number of JSON's"),
        ("room1", "no JSON"),
        ('{"uid": "a", "uid": "b"}', "'uid' stands there twice"),
        ("[" * 100_000, "no JSON"),
        ("[1e400]", None),
        ("[99999999999999999999999]", "can't be sent"),
        ('["\\ud800", []]', "can't be sent"),
    ],
)
async def test_what_is_no_json(cluster: AdministeredCluster, args: str, says: str | None) -> None:
    ran = await call(cluster, "add", args)
    assert (ran.code, says is None or says in ran.err) == (2, True), ran.err
    assert cluster.nodes["chat-1"].counters.calls_failed == 0


@pytest.mark.parametrize(
    ("node", "route", "code", "says"),
    [
        ("chat-1", "chat.roomRemote.ad", 2, "Did you mean 'chat.roomRemote.add'?"),
        ("chat-1", "chat.rumRemote.add", 2, "Did you mean 'chat.roomRemote.add'?"),
        ("chat-1", "nonsense", 2, "has no remote 'nonsense'"),
        ("front-1", "chat.roomRemote.add", 2, "front-1 is a front server, and chat.roomRemote.add"),
        ("chat-1", "chat.sys.sessions.kick", 2, "has no remote"),
        ("chat-1", "sys.sessions.kick", 2, "has no remote"),
        ("chat-1", "chat.roomRemote.__init__", 2, "has no remote"),
        ("chat-1", "front.doorHandler.enter", 2, "has no remote"),
        ("chat-11", "chat.roomRemote.add", 4, "Did you mean 'chat-1'?"),
        ("master", "chat.roomRemote.add", 4, "there is no server 'master'"),
    ],
)
async def test_what_there_is_not(
    cluster: AdministeredCluster, node: str, route: str, code: int, says: str
) -> None:
    ran = await chatcore("inspect", "call", node, route, "--app", str(cluster.folder))
    assert (ran.code, says in ran.err) == (code, True), ran.err


@pytest.mark.logs_failures
async def test_what_it_raises_is_told_with_its_error_id(cluster: AdministeredCluster) -> None:
    with Log() as log:
        ran = await call(cluster, "fails", ["no room"])
    assert ran.code == 1
    assert "ValueError('no room')" in ran.err
    error_id = ran.err.partition("has it as error ")[2].strip()
    assert len(error_id) == 8
    assert any(f"Error {error_id} in roomRemote.fails" in text for text in log.texts)
    told = (await call(cluster, "fails", ["no room"], "--json")).json
    assert (told["exit"], told["problems"]["chat-1"]["code"]) == (1, "failed")


async def test_long_arguments_and_results(cluster: AdministeredCluster) -> None:
    """And those that are too long for a box are told as that, also through another server."""
    ran = await call(cluster, "big", [40, "x" * 100_000], "--json")
    assert len(ran.json["results"]["chat-1"]["result"]) == 4_000_000
    for node in ("chat-1", "chat-2"):
        ran = await call(cluster, "big", [200, "x" * 100_000], node=node)
        assert ran.code == 1, ran.err
        assert "too" in ran.err, ran.err
    assert (await call(cluster, "whoami")).code == 0


async def test_what_takes_too_long(cluster: AdministeredCluster) -> None:
    ran = await call(cluster, "waits", [], "--timeout", "0.2")
    assert (ran.code, "gave no result within 0.2 s" in ran.err) == (1, True)
    assert cluster.nodes["chat-1"].counters.calls_failed == 1


@pytest.mark.parametrize(
    ("route", "args", "hidden", "whole"),
    [
        ("login", ["ann", "x"], {"name": "ann", "password": "[hidden]"}, {"password": "x"}),
        ("pays", [1], {"amount": 1, "cardNumber": "[hidden]"}, {"cardNumber": "4111"}),
        ("keeps", [], "[hidden]", "nothing to see"),
    ],
)
async def test_secrets_are_shown_to_who_asks_for_them(
    cluster: AdministeredCluster, route: str, args: Any, hidden: Any, whole: Any
) -> None:
    told = (await call(cluster, route, args, "--json")).json["results"]["chat-1"]["result"]
    assert told == hidden
    told = (await call(cluster, route, args, "--json", "--show-secrets")).json
    result = told["results"]["chat-1"]["result"]
    assert result == whole if isinstance(whole, str) else whole.items() <= result.items()


async def test_the_log_tells_who_called_and_nothing_of_what(cluster: AdministeredCluster) -> None:
    token = Token.make(cluster.run_folder.secret(), "admin", "ann", int(time.time()) + 100)
    file = cluster.folder / "token"
    file.write_text(token.text())
    file.chmod(0o600)
    lines: list[str] = []

    def note(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(note)
    try:
        for node in ("chat-1", "chat-2"):
            ran = await call(
                cluster, "login", ["bob", "hunter2"], "--secret-file", str(file), node=node
            )
            assert ran.code == 0
    finally:
        globalLogPublisher.removeObserver(note)
    told = [line for line in lines if "calls chat.roomRemote.login" in line]
    # The second was asked through the first.
    assert sorted(told) == [
        "ann (by chat-1) calls chat.roomRemote.login", "ann calls chat.roomRemote.login"
    ]  # fmt: skip
    assert not any("hunter2" in line for line in lines)
