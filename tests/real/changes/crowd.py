"""Many clients who talk in their rooms, whatever is done to the servers, and note all they see."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from history import History, What
from running import PATIENCE
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater

from chatcore.client import Client, ClientFailure, Kicked, TimedOut

EVERY = 1.0
"""Seconds between the messages of one client."""

WANDER = 0.3
"""Seconds until the next client leaves, to come back."""

UNDER_WAY = 4
"""Messages of one client without an answer, at which it stops to send more: a machine that is busy
with others must not get further and further behind."""

ANSWER = 20.0
"""Seconds after which a client takes it that nobody answers."""

_SEND = "chat.chatHandler.send"
_ENTER = "connector.entryHandler.enter"
_ASK = "gate.gateHandler.queryEntry"


class Crowd:
    """Clients of the example chat, in rooms, each of whom numbers what it says.

    Args:
        reactor: the reactor.
        gate: the client port of the gate.
        history: takes down all that they see.
        tag: what the names of these clients and rooms begin with, and no others in the chat.
        clients: how many there are.
        rooms: over how many rooms they are spread.
        every: seconds between the messages of one client.
        wander: seconds until the next client leaves, to come back; 0 for never.
        seed: of what they choose at random.
    """

    def __init__(
        self,
        *,
        reactor: Any,
        gate: int,
        history: History,
        tag: str = "",
        clients: int = 300,
        rooms: int = 50,
        every: float = EVERY,
        wander: float = WANDER,
        seed: int = 1,
    ) -> None:
        self.reactor, self.gate, self.history = reactor, gate, history
        self.every, self._wander = every, wander
        self.random = random.Random(seed)
        self.talking, self.over = True, False
        self.cache: dict[str, Any] = {}
        self.members = [
            Member(self, f"{tag}u{n}", f"{tag}room{n % rooms}", n) for n in range(clients)
        ]
        self._lives: list[Deferred[None]] = []
        self._next: Any = None

    async def gather(self, seconds: float = PATIENCE) -> None:
        """Let everybody come, and wait until all are in."""
        for member in self.members:
            self._lives.append(Deferred.fromCoroutine(member.live()))
        await self.until(lambda: all(m.is_in for m in self.members), "all to be in", seconds)
        if self._wander:
            self._next = self.reactor.callLater(self._wander, self._somebody_leaves)

    async def settle(self, seconds: float = PATIENCE) -> None:
        """Let everybody fall silent; wait until all is answered, and all know who is there.

        At the end everybody says a last word, which all in the room have to hear: what was said
        before has come by then, or will not.
        """
        self._stay_now()
        self.talking = False
        await self.until(self._all_answered, "every message to be answered", seconds)
        await self.until(lambda: all(m.is_in for m in self.members), "all to be in", seconds)
        with suppress(AssertionError):  # the checker says who takes whom for what
            await self.until(self._all_know, "everybody to know who is there", seconds)
        self.history.changed("the last words")
        for member in self.members:
            member.say()
        with suppress(AssertionError):  # the checker says what was lost
            await self.until(self._all_said, "the last words", seconds)

    async def disperse(self) -> None:
        """End every connection."""
        self.over = True
        self._stay_now()
        self.talking = False
        await DeferredList([member.go() for member in self.members], consumeErrors=True)
        for life in self._lives:
            life.cancel()
        await DeferredList(self._lives, consumeErrors=True)

    async def pause(self, seconds: float) -> None:
        """Let time pass."""
        await deferLater(self.reactor, seconds, lambda: None)

    async def until(self, condition: Callable[[], object], what: str, seconds: float) -> None:
        """Wait for something, and fail when it takes too long."""
        end = self.history.now + seconds
        while not condition():
            assert self.history.now < end, f"waited {seconds:g} s for {what}"
            await self.pause(0.1)

    def _somebody_leaves(self) -> None:
        self._next = self.reactor.callLater(self._wander, self._somebody_leaves)
        self.random.choice(self.members).leave()

    def _stay_now(self) -> None:
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _all_answered(self) -> bool:
        return all(member.is_in and not member.under_way for member in self.members)

    def _all_know(self) -> bool:
        return all(m.known == {each.name for each in self._in(m.room)} for m in self.members)

    def _all_said(self) -> bool:
        return self._all_answered() and all(
            m.last_heard.get(each.name) == each.number
            for m in self.members
            for each in self._in(m.room)
        )

    def _in(self, room: str) -> Sequence[Member]:
        return [member for member in self.members if member.room == room]


class Member:
    """One client, through all its connections."""

    def __init__(self, crowd: Crowd, name: str, room: str, place: int) -> None:
        self.name, self.room = name, room
        self.number = self.under_way = 0
        self.is_in = False
        self.known: set[str] = set()
        self._left: set[str] = set()
        self.last_heard: dict[str, int] = {}
        self._crowd, self._note = crowd, crowd.history.add
        self._scheme = "tcp" if place % 6 else "ws"
        self._kicked_to: tuple[str, int] | None = None
        self._ending = False
        self._ended: Deferred[None] = Deferred()
        self._speaking: Any = None
        self._client = Client(reactor=crowd.reactor, cache=crowd.cache)
        self._gate = Client(reactor=crowd.reactor, cache=crowd.cache)
        for route, take in (
            ("onChat", self._heard),
            ("onAdd", self._added),
            ("onLeave", self._gone),
            ("onKick", self._kicked),
            ("disconnect", self._disconnected),
        ):
            self._client.on(route, take)

    async def live(self) -> None:
        """Go to where the gate says, or a kick, and enter; again when it ends."""
        await self._wait(0, 2)
        while not self._crowd.over:
            place, self._kicked_to = self._kicked_to, None
            try:
                place = place or await self._asked_gate()
                await self._stay(*place)
            except ClientFailure as why:
                if not self._crowd.over and not self._ending:
                    self._note(self.name, What.TURNED_AWAY, detail=f"{place}: {why}")
            if self._kicked_to is None:
                await self._wait(0.1, 1.0)

    def leave(self) -> None:
        """End the connection, and come back."""
        if self.is_in:
            self.go()

    def go(self) -> Deferred[Any]:
        """End the connection."""
        self._ending = True
        leaving = self._client.disconnect()
        return DeferredList([leaving, self._gate.disconnect()])

    def say(self) -> None:
        """Say the next number in the room."""
        self.number += 1
        number = self.number
        self.under_way += 1
        self._note(self.name, What.SENT, self.room, number)
        answer = self._client.request(
            _SEND, {"content": f"{self.room} {number}", "target": "*"}, timeout=ANSWER
        )
        answer.addCallbacks(self._answered, self._not_answered, (number,), {}, (number,), {})

    async def _asked_gate(self) -> tuple[str, int]:
        await self._gate.init(port=self._crowd.gate, timeout=PATIENCE)
        try:
            named = await self._gate.request(_ASK, {"uid": self.name})
        finally:
            await self._gate.disconnect()
        if named.get("code") != 200:
            raise ClientFailure(f"the gate said {named}")
        return named["host"], named["port"]

    async def _stay(self, host: str, port: int) -> None:
        self._ended, self._ending = Deferred(), False
        await self._client.init(url=f"{self._scheme}://{host}:{port}", timeout=PATIENCE)
        self._note(self.name, What.CONNECTED, detail=port)
        try:
            await self._enter()
            self.is_in = True
            self._speak_in(self._crowd.random.uniform(0, self._crowd.every))
            await self._ended
        except ClientFailure as why:
            if isinstance(why, TimedOut):
                self._note(self.name, What.REFUSED, self.room, detail=str(why))
        finally:
            self._fall_silent()
            await self._client.disconnect()

    async def _enter(self) -> None:
        while True:
            self.known, self._left = set(), set()
            self._note(self.name, What.ENTERING, self.room)
            reply = await self._client.request(
                _ENTER, {"username": self.name, "rid": self.room}, timeout=ANSWER
            )
            if "users" in reply:
                self._note(self.name, What.ENTERED, self.room, detail=reply["users"])
                self.known |= set(reply["users"]) - self._left
                return
            self._note(self.name, What.REFUSED, self.room, detail=reply)
            await self._wait(0.3, 0.8)

    def _speak_in(self, seconds: float) -> None:
        self._speaking = self._crowd.reactor.callLater(seconds, self._speak)

    def _speak(self) -> None:
        if self._crowd.talking and self.under_way < UNDER_WAY:
            self.say()
        self._speak_in(self._crowd.every)

    def _fall_silent(self) -> None:
        self.is_in = False
        if self._speaking is not None and self._speaking.active():
            self._speaking.cancel()

    def _answered(self, reply: Any, number: int) -> None:
        self.under_way -= 1
        if reply == {}:
            self._note(self.name, What.ACKNOWLEDGED, self.room, number)
        else:
            self._note(self.name, What.FAILED, self.room, number, detail=reply)

    def _not_answered(self, failure: Any, number: int) -> None:
        self.under_way -= 1
        what = What.UNANSWERED if failure.check(TimedOut) else What.CUT_OFF
        self._note(self.name, what, self.room, number, detail=failure.getErrorMessage())

    def _heard(self, msg: Any) -> None:
        room, _, number = msg["msg"].partition(" ")
        self.last_heard[msg["from"]] = int(number)
        self._note(self.name, What.HEARD, room, int(number), msg["from"])

    def _added(self, msg: Any) -> None:
        self._note(self.name, What.ADDED, other=msg["user"])
        self.known.add(msg["user"])
        self._left.discard(msg["user"])

    def _gone(self, msg: Any) -> None:
        self._note(self.name, What.GONE, other=msg["user"])
        self.known.discard(msg["user"])
        self._left.add(msg["user"])

    def _kicked(self, data: Any) -> None:
        if isinstance(data, dict) and data.get("reason") == "moved" and "port" in data:
            self._kicked_to = data["host"], data["port"]

    def _disconnected(self, why: Exception) -> None:
        """The connection has ended, and what it still owed fails after this."""
        self._fall_silent()
        if isinstance(why, Kicked):
            self._note(self.name, What.KICKED, self.room, detail=why.data)
        elif self._ending:
            self._note(self.name, What.LEFT, self.room)
        else:
            self._note(self.name, What.LOST, self.room, detail=str(why))
        if not self._ended.called:
            self._ended.callback(None)

    async def _wait(self, least: float, most: float) -> None:
        await self._crowd.pause(self._crowd.random.uniform(least, most))
