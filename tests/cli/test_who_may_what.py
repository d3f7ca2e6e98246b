"""Who may do what: every row and column of the table in docs/operating.md, on a real cluster.

Each command of chatcore needs a row there, and here, in `WORDS`, what it is called with, where that
is more than its name.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from running import PATIENCE, free_ports
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from chatcore.cli.main import main, make_commands
from chatcore.config.tokens import Role, Token
from chatcore.inspector.capture import Event, Head, encode
from chatcore.node.administered import Administered
from chatcore.node.replaying import Replays
from chatcore.node.taps import Taps
from chatcore.wire.box import encode as encode_box

from .clusters import AdministeredCluster, Ran, chat_files, chatcore

PAGE = Path(__file__).parents[2] / "docs" / "operating.md"
HEAD = "### Who may do what"
YES, NO, ASKS_NOBODY = "yes", "no", "\u2013"

PEOPLE = {
    "stranger": "a stranger",
    "expired viewer": "an expired token",
    "expired administrator": "an expired token",
    "viewer": "a viewer's token",
    "administrator": "an administrator's token",
    "secret": "the secret",
}
"""Who tries it, and in which column it stands what comes of it."""

WORDS: dict[str, list[str]] = {
    "stop": ["chat-1"],
    "drain": ["chat-1"],
    "kill": ["chat-1"],
    "restart": ["chat-1"],
    "add": ["chat"],
    "token": ["viewer"],
    "inspect call": ["chat-1", "chat.roomRemote.add", '["u", "front-1", "attic"]'],
    "inspect session": ["nobody"],
    "inspect channel": ["nowhere"],
    "inspect trace": ["--recent"],
    "inspect tap": ["--seconds", "0.01"],
    "inspect record": ["FILE.new", "--seconds", "0.01"],
    "inspect replay": ["FILE"],
    "inspect why": ["bob"],
}
"""What commands are called with; FILE is a capture with a call in it."""

ENDLESS: tuple[str, ...] = ()
"""Commands that go on until they are ended: here it is only tried whom they refuse."""

NOTHING_THERE = ("inspect session", "inspect channel", "inspect trace")
"""Commands that tell that there is nothing here to be shown, by exit code 1."""

ACTS = {
    "invoke": {"result": True, "ms": 1.0},
    "order": {"ended": True},
    "add": {"ids": []},
    "reload": {},
}
"""What changes something, and what comes of it here."""


def table() -> dict[str, dict[str, str]]:
    """The page's table: what stands in each column, by command."""
    section = PAGE.read_text().partition(HEAD)[2].partition("\n### ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0].strip("`"): dict(zip(head[1:], row[1:], strict=True)) for row in rows}


def commands() -> Iterator[str]:
    """Every command that there is."""
    known = make_commands()
    for name in known.parsers:
        if name in known.groups:
            yield from (f"{name} {each}" for each in known.groups[name].parsers)
        else:
            yield name


TABLE = table()


def test_every_command_has_its_row() -> None:
    """A new one needs a row in the page, before anybody may use it."""
    assert sorted(TABLE) == sorted(commands())
    assert set(PEOPLE.values()) == set(next(iter(TABLE.values())))
    for row in TABLE.values():
        assert set(row.values()) in ({YES}, {NO}, {YES, NO}, {ASKS_NOBODY})


def asks_a_cluster(command: str) -> bool:
    known = make_commands()
    first, _, second = command.partition(" ")
    parser = known.groups[first].parsers[second] if second else known.parsers[first]
    return parser.takes_value("--at")


def test_what_asks_a_cluster_has_no_dashes() -> None:
    for command, row in TABLE.items():
        if command != "token":  # which asks for the secret alone
            assert asks_a_cluster(command) == (set(row.values()) != {ASKS_NOBODY}), command


class Scene:
    """A cluster, and those who come to it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.acts: list[str] = []
        self.asked: list[str] = []
        with free_ports(1) as (port,):
            self.at = f"127.0.0.1:{port}"
        self.cluster = AdministeredCluster(
            folder,
            servers={"front": ["front-1"], "chat": ["chat-1", "chat-2"]},
            keys={"chat-1": {"port": port}},
            files=chat_files(),
        )
        for name, result in ACTS.items():
            monkeypatch.setattr(Administered, name, self._act(name, result))
        monkeypatch.setattr(Replays, "act", self._act("replay", {}))
        monkeypatch.setattr(Taps, "begin", self._tap(Taps.begin))
        for name in ("survey", "inspect"):
            monkeypatch.setattr(Administered, name, self._question(name))

    def _act(self, name: str, result: dict[str, Any]) -> Any:
        async def act(*args: Any, **given: Any) -> dict[str, Any]:
            self.acts.append(name)
            empty = {"new": [], "gone": [], "changed": {}, "blocked": []}
            return empty if name == "reload" else result

        return act

    def _tap(self, original: Any) -> Any:
        def begin(taps: Taps, to: Any, given: dict[str, Any], *, raw: bool) -> Any:
            (self.acts if given.get("raw") else self.asked).append("tap")
            return original(taps, to, given, raw=raw)

        return begin

    def _question(self, name: str) -> Any:
        asked, original = self.asked, getattr(Administered, name)

        async def question(*args: Any, **given: Any) -> Any:
            asked.append(name)
            return await original(*args, **given)

        return question

    def shows(self, person: str) -> str:
        """The file that somebody gives with --secret-file."""
        secret = self.cluster.run_folder.secret()
        if person == "secret":
            return str(self.cluster.run_folder.secret_path)
        role: Role = "viewer" if "viewer" in person else "admin"
        end = int(time.time()) + (-10 if "expired" in person else 1000)
        text = Token.make(secret, role, "ann", end).text()
        file = self.cluster.folder / f"shown-by-{person.replace(' ', '-')}"
        file.write_text(secrets.token_hex(32) if person == "stranger" else text)
        file.chmod(0o600)
        return str(file)

    async def run(self, command: str, person: str, way: str) -> Ran:
        where = ["--at", self.at] if way == "port" else ["--app", str(self.cluster.folder)]
        file = self.cluster.folder / "a.cap"
        call = {b"_ask": b"1", b"_command": b"Call", b"service": b"room", b"method": b"get"}
        box = encode_box([*call.items(), (b"args", b"\x90")])
        event = Event("box", 1, 1, "chat-1", "front-1", "in", box)
        file.write_bytes(encode(Head({"frontends": ["front-1"]})) + encode(event))
        given = [each.replace("FILE", str(file)) for each in WORDS.get(command, [])]
        words = [*command.split(), *given]
        running = chatcore(*words, *where, "--secret-file", self.shows(person))
        return await Deferred.fromCoroutine(running).addTimeout(PATIENCE, reactor)


@pytest_twisted.async_yield_fixture
async def scene(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    scene = Scene(folder, monkeypatch)
    await scene.cluster.start()
    yield scene
    await scene.cluster.close()


ASKING = [command for command in TABLE if TABLE[command]["a stranger"] != ASKS_NOBODY]


@pytest.mark.parametrize("way", ["socket", "port"])
@pytest.mark.parametrize("command", [each for each in ASKING if each != "token"])
async def test_each_command(scene: Scene, command: str, way: str) -> None:
    row = TABLE[command]
    changes = row["a viewer's token"] == NO
    for person, column in PEOPLE.items():
        scene.acts.clear()
        scene.asked.clear()
        if row[column] == YES and command in ENDLESS:
            continue
        if (command, way) == ("kill", "socket") and person in ("secret", "stranger"):
            continue  # on this machine, it is the system that lets them kill by a signal, or not
        ran = await scene.run(command, person, way)
        said = f"{command} by {person}: {ran.code} {ran.out} {ran.err}"
        if row[column] == YES:
            if command in NOTHING_THERE:
                assert (ran.code, "inspect" in scene.asked) == (1, True), said
            else:
                assert ran.code == 0, said
            assert bool(scene.acts) == changes, said
            continue
        assert scene.acts == [], said
        if person == "viewer":
            assert ran.code == 5, said
            assert "ann may not" in ran.out + ran.err
            continue
        assert (ran.code, scene.asked) == (3, []), said
        why = "secret" if person == "stranger" else "is good no more since"
        assert why in ran.out + ran.err, said


@pytest.mark.parametrize("person", PEOPLE)
async def test_tokens_are_made_of_the_secret_alone(
    scene: Scene, person: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stranger makes some, too, of what he takes for the secret; they are good for nothing."""
    code = main(["token", *WORDS["token"], "--secret-file", scene.shows(person)])
    text = capsys.readouterr().out
    assert code == (0 if person in ("secret", "stranger") else 2)
    if code == 0:
        file = scene.cluster.folder / "made"
        file.write_text(text)
        file.chmod(0o600)
        ran = await chatcore("list", "--at", scene.at, "--secret-file", str(file))
        good = TABLE["token"][PEOPLE[person]] == YES
        assert ran.code == (0 if good else 3)
