"""Clients over raw TCP, in Python and in C, that follow the protocol to the letter."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pomelo.raw_client import RawClient, Store
from pomelo.servers import IServers

HERE = Path(__file__).parent
EVERYTHING = [
    *("codeToRoute", "dict", "dictVersion", "heartbeat", "protos"),
    *("routeToCode", "useDict", "useProto"),
]
CACHED = ["heartbeat", "useDict", "useProto"]
TEXT = "hello 你好 😀"

BOTH = pytest.mark.parametrize("which", ["pomelo", "chatcore"])


def visit(servers: IServers, name: str, store: Path, *more: str) -> list[dict[str, Any]]:
    """Run the Python client once; what it printed comes back."""
    command = [sys.executable, "raw_client.py", "--gate", str(servers.port("gate-server-1"))]
    command += ["--name", name, "--room", name, "--say", TEXT, "--store", str(store), *more]
    result = subprocess.run(
        command, cwd=HERE, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@BOTH
def test_python_client(which: str, both: dict[str, IServers], tmp_path: Path) -> None:
    """Two runs: the second has the dictionary and the schemas from the first."""
    rest = [
        {"entered": {"users": ["raw"]}},
        {"said": {}},
        {"heard": {"msg": TEXT, "from": "raw", "target": "*"}},
        {"beats": True},
    ]
    first = [{"gate": ["protos", "useProto"]}, {"entry": 200}, {"connector": EVERYTHING}]
    first[2] = {"connector": [each for each in EVERYTHING if each != "protos"]}
    again = [{"gate": ["useProto"]}, {"entry": 200}, {"connector": CACHED}]
    assert visit(both[which], "raw", tmp_path) == first + rest
    assert visit(both[which], "raw", tmp_path) == again + rest


@BOTH
def test_python_client_meets_another(which: str, both: dict[str, IServers], tmp_path: Path) -> None:
    """Two people in a room, bodies by schemas both ways, a kick, heartbeats."""
    servers = both[which]
    clients = []
    for number, name in enumerate(("alice", "bob"), 1):
        port = servers.port(f"connector-server-{number}")
        client = RawClient("127.0.0.1", port, Store(tmp_path / name))
        assert sorted(client.shake_hands()["sys"]) == EVERYTHING
        clients.append(client)
    alice, bob = clients
    enter = "connector.entryHandler.enter"
    assert alice.request(enter, {"username": "alice", "rid": "tcp"}) == {"users": ["alice"]}
    assert bob.request(enter, {"username": "bob", "rid": "tcp"}) == {"users": ["alice", "bob"]}
    assert alice.push("onAdd") == {"route": "onAdd", "user": "bob"}
    assert bob.request("chat.chatHandler.send", {"content": TEXT, "target": "alice"}) == {}
    assert alice.push("onChat") == {"msg": TEXT, "from": "bob", "target": "alice"}
    typed = {
        "text": TEXT,
        "number": 4294967295,
        "half": -0.5,
        "place": {"x": -3},
        "texts": ["", "b"],
    }
    answer = alice.request("lab.labHandler.typed", typed)
    assert json.loads(answer["text"]) == typed
    alice.notify("lab.labHandler.kick", {"reason": "too loud"})
    alice.wait_closed()
    assert alice.kicked == {"reason": "too loud"}
    assert bob.push("onLeave") == {"route": "onLeave", "user": "alice"}
    bob.close()


@BOTH
def test_python_client_keeps_itself_alive(
    which: str, both: dict[str, IServers], tmp_path: Path
) -> None:
    """Heartbeats of the client's own keep it connected for longer than it may be silent."""
    client = RawClient("127.0.0.1", both[which].port("bare-server-1"), Store(tmp_path))
    assert client.shake_hands()["sys"] == {"heartbeat": 1}
    client.linger(3)
    assert client.request("bare.bareHandler.echo", {"a": 1}) == {"got": {"a": 1}}
    client.close()


@pytest.fixture(scope="module")
def strict_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client in C, compiled."""
    if shutil.which("gcc") is None:
        pytest.skip("needs a C compiler: install the Debian packages gcc and libc6-dev")
    program = tmp_path_factory.mktemp("strict") / "strict_client"
    flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror"]
    result = subprocess.run(
        ["gcc", *flags, "-o", program, HERE / "strict_client.c", "-lm"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return program


def run_strict(program: Path, port: int, store: Path, *commands: str) -> list[str]:
    """Have the client in C do something; what it printed comes back."""
    result = subprocess.run(
        [program, "127.0.0.1", str(port), store],
        input="\n".join(commands) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.splitlines()


@BOTH
def test_client_in_c(
    which: str, both: dict[str, IServers], strict_client: Path, tmp_path: Path
) -> None:
    """The same visit by a client that would crash over what is not as it has to be; twice."""
    servers = both[which]
    gate, connector = servers.port("gate-server-1"), servers.port("connector-server-1")
    ask = 'request gate.gateHandler.queryEntry {"uid":"c"}'
    entry = run_strict(strict_client, gate, tmp_path, ask)
    assert entry[0] == "handshake protos useProto"
    assert json.loads(entry[1].removeprefix("answer "))["code"] == 200

    said = json.dumps({"content": TEXT, "target": "*"}, ensure_ascii=False)
    typed = '{"number":7,"place":{"x":-3},"numbers":[1,300],"places":[{"x":1}]}'
    chat = [
        'request connector.entryHandler.enter {"username":"c","rid":"strict"}',
        f"request chat.chatHandler.send {said}",
        "push onChat",
        'notify lab.labHandler.note {"text":"😀"}',
        "request lab.labHandler.notes {}",
        f'request lab.labHandler.push {{"route":"onTyped","msg":{typed}}}',
        "push onTyped",
        'notify lab.labHandler.kick {"reason":"too loud"}',
        "kicked",
    ]
    expected = [
        'answer {"users":["c"]}',
        "answer {}",
        f'push {{"msg":"{TEXT}","from":"c","target":"*"}}',
        "told",
        'answer {"notes":[{"text":"😀"}]}',
        "answer {}",
        f"push {typed}",
        "told",
        'kicked {"reason":"too loud"}',
    ]
    dictionary = "dict routeToCode codeToRoute dictVersion useDict"
    first = run_strict(strict_client, connector, tmp_path, *chat)
    assert first == [f"handshake heartbeat {dictionary} useProto", *expected]
    again = run_strict(strict_client, connector, tmp_path, *chat)
    assert again == ["handshake heartbeat useDict useProto", *expected]

    bare = servers.port("bare-server-1")
    alive = run_strict(strict_client, bare, tmp_path, "beats 3", "request bare.bareHandler.echo {}")
    assert alive == ["handshake heartbeat", "beaten", 'answer {"got":{}}']


def test_answers_for_libpomelo2_are_json(
    chatcore: IServers, strict_client: Path, tmp_path: Path
) -> None:
    """A client that reads every answer as JSON gets JSON, also where a schema has the route."""
    port = chatcore.port("connector-server-1")
    ask = 'request lab.labHandler.typed {"text":"中","number":300}'
    answer = run_strict(strict_client, port, tmp_path, ask)[1]
    assert json.loads(json.loads(answer.removeprefix("answer "))["text"]) == {
        "text": "中",
        "number": 300,
    }
