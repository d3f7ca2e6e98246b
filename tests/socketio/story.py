"""A whole chat, from the gate to the end, of everybody in one room."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from running import PATIENCE, RunningChat, environment

from .people import About
from .stages import Failed, IStage, Outcomes

ROOM = "大厅"
SIGNS = "你好 😀 é ~ \u2028 \\ \"'"
NOTES = 3
HEX = "00010a7f80c3a9feffffff"
BASE64 = "AAEKf4DDqf7///8="


class Member:
    """Somebody in the story.

    Args:
        label: what a test calls them.
        name: what others call them.
        about: their client; None for Pomelo's.
        stage: where they are.
        shown: the transports that are to be seen.
    """

    def __init__(
        self, *, label: str, name: str, about: About | None, stage: IStage, shown: list[str]
    ) -> None:
        self.label, self.name, self.about, self.stage = label, name, about, stage
        self.shown = shown
        self.chapters: list[str] = []
        self.complaints: list[str] = []

    @property
    def knows_bytes(self) -> bool:
        """Whether bytes are more than text to them."""
        about = self.about
        return about is not None and about.habit == "plain" and about.library != "0.9"

    def expect(self, what: str, found: object, expected: object) -> None:
        """Note what is not as it should be."""
        if found != expected:
            self.complaints.append(f"{what}: {found!r} instead of {expected!r}")


class Story:
    """What all of them do, chapter by chapter; who fails is left out of the rest.

    Args:
        chat: where.
        members: who.
    """

    def __init__(self, chat: RunningChat, members: Iterable[Member]) -> None:
        self.chat = chat
        self.members = {each.name: each for each in members}
        self._pool = ThreadPoolExecutor(10)
        self._port: dict[str, int] = {}

    @property
    def here(self) -> list[Member]:
        """All who have not failed."""
        return [each for each in self.members.values() if not each.complaints]

    def tell(self) -> None:
        """All of it."""
        for chapter in CHAPTERS:
            told = self.here
            getattr(self, chapter)()
            for each in told:
                each.chapters.append(chapter)
        self._pool.shutdown()

    def have(
        self,
        what: str,
        *arguments: Any,
        of: Iterable[Member] | None = None,
        each: Callable[[Member], list[Any]] | None = None,
    ) -> Outcomes:
        """Have people do something at the same time; what came of it, by name.

        Args:
            of: who; all who are here unless given.
            each: gives further arguments.
        """
        orders: dict[IStage, list[list[Any]]] = defaultdict(list)
        for member in self.here if of is None else of:
            more = [] if each is None else each(member)
            orders[member.stage].append([member.name, what, *arguments, *more])
        found: Outcomes = {}
        for future in [self._pool.submit(stage.act, each) for stage, each in orders.items()]:
            found.update(future.result())
        for name in [name for name, each in found.items() if isinstance(each, Failed)]:
            self.members[name].complaints.append(f"{what}: {found.pop(name)}")
        return found

    def check(self, what: str, found: Outcomes, expected: Callable[[Member], object]) -> None:
        """Hold what came of something to what should."""
        for name, value in found.items():
            member = self.members[name]
            member.expect(what, value, expected(member))

    # Chapters.

    def arrive(self) -> None:
        """Everybody goes to the gate, and to the connector that it names."""
        self.have(
            "appear", each=lambda member: [member.about.as_json() if member.about else POMELO]
        )
        found = self.have("arrive", self.chat.port("gate-server-1"))
        self._port = {name: each["port"] for name, each in found.items()}
        self.check(
            "transports",
            {name: each["transports"] for name, each in found.items()},
            lambda member: member.shown,
        )

    def enter(self) -> None:
        """All at once; everybody hears of everybody, once."""
        self._enter(self.here)

    def _enter(self, newcomers: list[Member]) -> None:
        there = [each for each in self.here if each not in newcomers]
        found = self.have("enter", ROOM, of=newcomers)
        present = {name: each.get("users", []) for name, each in found.items()}
        everybody = Counter([*(each.name for each in there), *found])
        unknown = {name: len(everybody) - len(users) for name, users in present.items()}
        unknown.update((each.name, len(found)) for each in there)
        heard = self.have("hear", "onAdd", each=lambda member: [unknown[member.name]])
        for name, added in heard.items():
            users = present.get(name) or [each.name for each in there]
            known = Counter([*users, *(each["user"] for each in added)])
            self.members[name].expect("who is here", known, everybody)

    def talk(self) -> None:
        """All at once; everybody hears all of it, once, each person's words in their order."""
        self._talk("talk", 2)

    def _talk(self, about: str, count: int = 1) -> None:
        texts = {each.name: [f"{SIGNS} {about} {n}" for n in range(count)] for each in self.here}
        said = self.have("say", each=lambda member: [texts[member.name], "*"])
        self.check("answers", said, _all([{}] * count))
        told = {name: words for name, words in texts.items() if name in said}
        heard = self.have("hear", "onChat", sum(map(len, told.values())))
        for name, all_of_it in heard.items():
            words: dict[str, list[str]] = defaultdict(list)
            for each in all_of_it:
                words[each["from"]].append(each["msg"])
            self.members[name].expect("what was said", dict(words), told)

    def whisper(self) -> None:
        """Everybody to one person."""
        names = [each.name for each in self.here]
        to = dict(zip(names, names[1:] + names[:1], strict=True))
        self.check(
            "answers", self.have("say", each=lambda one: [[SIGNS], to[one.name]]), _all([{}])
        )
        by = {name: each for each, name in to.items()}
        self.check(
            "what was whispered",
            self.have("hear", "onChat", 1),
            lambda one: [{"msg": SIGNS, "from": by[one.name], "target": one.name}],
        )

    def ask(self) -> None:
        """Requests and notifies, here and elsewhere."""
        notes = [f"{SIGNS} {n}" for n in range(NOTES)]
        value = {"text": SIGNS, "list": [1, 2.5, None, {"a": [True]}], "long": "长" * 3000}
        none = {"code": 500}
        self.check(
            "answers",
            self.have("ask", notes, value),
            _all([{"notes": notes}, value, value, none, none]),
        )
        strays = {name: each["strays"] for name, each in self._rest().items()}
        self.check("answers that nobody waits for", strays, _count_notifies)

    def send_bytes(self) -> None:
        """Bytes there and back, and to everybody; JSON has base64 for them."""
        senders = [each for each in self.here if each.knows_bytes]
        inside = {"bytes": HEX}
        value = {"given": [inside, {"more": inside}], "text": "你好 😀"}
        for route in ("connector.labHandler.echo", "chat.labHandler.echo"):
            self.check(route, self.have("bytes", route, HEX, of=senders), _all(value))
        text = {"given": [BASE64, {"more": BASE64}], "text": "你好 😀"}
        found = self.have("bytes", "chat.labHandler.spread", HEX, of=senders[:1])
        self.check("answer", found, _all({}))
        self.check(
            "bytes",
            self.have("heardBytes"),
            lambda member: value if member in senders else text,
        )

    def be_kicked(self) -> None:
        """All but Pomelo's people are kicked; those hear that they left, once."""
        self._rest()
        kicked = [each for each in self.here if each.about is not None]
        found = self.have("kick", "太吵了 😀", of=kicked)
        self.check("kick", found, _all({"reason": "太吵了 😀"}))
        self._hear_leave(found)
        self.check("stays away", self.have("away", of=kicked), _all(True))
        self.have("comeBack", of=[each for each in kicked if not each.complaints])
        self.have("forget")
        self._enter([each for each in kicked if not each.complaints])

    def _hear_leave(self, names: Iterable[str]) -> None:
        gone = Counter(list(names))
        witnesses = [each for each in self.here if each.about is None]
        left = self.have("hear", "onLeave", gone.total(), of=witnesses)
        for name, each in left.items():
            found = Counter(one["user"] for one in each)
            self.members[name].expect("who left", found, gone)

    def survive(self) -> None:
        """Each connector is killed; their libraries come again when it does."""
        self._rest()
        for server_id in self.chat.ids("connector"):
            port = self.chat.port(server_id)
            hit = [each for each in self.here if self._port[each.name] == port]
            self.chat.kill(server_id)
            self.have("survive", of=hit)
            self.have("forget")
            self._enter([each for each in hit if not each.complaints])
        self._talk("survived")

    def move(self) -> None:
        """Connectors are drained and started anew, one after the other."""
        self._rest()
        ports = {self.chat.port(each) for each in self.chat.ids("connector")}
        for server_id in self.chat.ids("connector"):
            port = self.chat.port(server_id)
            (other,) = ports - {port}
            moved = [each for each in self.here if self._port[each.name] == port]
            restart = self._pool.submit(self._restart, server_id)
            found = self.have("move", of=moved)
            self.check("moved", found, _all({"reason": "moved", "port": other}))
            self._port.update((name, each["port"]) for name, each in found.items())
            restart.result()
            self.have("forget")
            self._enter([each for each in moved if not each.complaints])
        self._talk("moved")

    def _restart(self, server_id: str) -> None:
        words = [sys.executable, "-m", "chatcore", "restart", server_id]
        subprocess.run(
            [*words, "--app", str(self.chat.app)],
            check=True,
            env=environment(),
            timeout=2 * PATIENCE,
        )

    def leave(self) -> None:
        """Everybody goes."""
        self._rest()
        going = [each for each in self.here if each.about is not None]
        self._hear_leave(self.have("leave", of=going))

    def _rest(self) -> Outcomes:
        """Nothing was lost, doubled, or is left over."""
        found = self.have("rest")
        for name, each in found.items():
            member = self.members[name]
            member.expect("what else was heard", each["heard"], [])
            member.expect("transports", each["transports"], member.shown)
        return found


POMELO: Mapping[str, Any] = {"library": "pomelo", "host": ""}


def _all(value: object) -> Callable[[Member], object]:
    """The same of everybody."""
    return lambda member: value


def _count_notifies(member: Member) -> object:
    """Each notify of those who give it the number of a request is answered."""
    return NOTES if member.about is not None and member.about.habit == "pomelo" else 0


CHAPTERS = (
    "arrive",
    "enter",
    "talk",
    "whisper",
    "ask",
    "send_bytes",
    "be_kicked",
    "survive",
    "move",
    "leave",
)
