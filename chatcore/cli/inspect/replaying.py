"""``chatcore inspect replay``: a capture, played to a running cluster."""

from __future__ import annotations

import argparse
import importlib
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater

from chatcore.admin.outcomes import AWAY, FORBIDDEN
from chatcore.admin.visit import Visit
from chatcore.cli.cluster import Cluster, exit_of
from chatcore.cli.exits import DONE, FAILED, CommandError
from chatcore.cli.output import Output
from chatcore.cli.reaching import Reach, is_address, reach
from chatcore.cli.survey import Survey
from chatcore.errors import AdminError, ConfigError, WireError
from chatcore.inspector import own
from chatcore.inspector.capture import Event, Head, VersionError
from chatcore.inspector.commands import CHATCORE, Dictionary
from chatcore.inspector.reading import Damage, read
from chatcore.inspector.redaction import Redaction
from chatcore.inspector.replayed import (
    Answered,
    Asked,
    Comparison,
    Difference,
    Gone,
    Stays,
    Step,
    steps,
    with_session,
)
from chatcore.inspector.seen import clock_time
from chatcore.wire.box import Box, BoxParser

AT_ONCE = 32
"""What one server is asked at the same time."""

AT_A_TIME = 500
"""Sessions that a frontend is asked for at a time."""

PATIENCE = 1.0
"""Seconds for which the end of a session waits for what was asked before it."""

LONGEST_BOX = 32 * 1024 * 1024


async def replay(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    """Play a capture, and say where answers are others than those that were recorded.

    Raises:
        CommandError: nobody can be asked, or nothing may be replayed.
        ConfigError: as from `chatcore.cli.reaching.reach`, or the capture can't be read.
    """
    if options.to is not None:
        if options.at or options.app != ".":
            raise CommandError("--to says where the cluster is", advice="Give no --app or --at")
        if is_address(options.to):
            options.at = [options.to]
        else:
            options.app = options.to
    capture = Capture(options.file)
    for damage in capture.damages:
        output.note(
            f"chatcore: {options.file}: damaged at offset {damage.offset}: {damage.why}; "
            f"{damage.size} bytes were left out"
        )
    found = reach(options, reactor=reactor)
    cluster = Cluster(found, seconds=options.timeout)
    try:
        survey = await cluster.survey()
    finally:
        await cluster.close()
    stays = Stays(capture.steps())
    players = Players(found, survey, capture, seconds=options.timeout)
    replaying = Replaying(
        options, output, capture=capture, stays=stays, players=players, reactor=reactor
    )
    try:
        await replaying.run()
    except AdminError as problem:
        raise CommandError(
            problem.problem, exit=exit_of(problem.code), advice=problem.advice
        ) from None
    finally:
        output.unfinished = replaying.count.text()
        await players.close()
    output.say(replaying.count.text())
    output.line({"summary": replaying.count.to_value()})
    if not output.as_json and not output.on_terminal:
        output.note(f"chatcore: {replaying.count.text()}")
    return FAILED if replaying.count.different else DONE


class Capture:
    """A capture, which is read more than once.

    Args:
        file: its name.

    Attributes:
        about: what its heads say.

        dictionary: what is known of the application.
        frontends: those of its servers that are.
        damages: what of it can't be read.

    Raises:
        ConfigError: it can't be read.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self.dictionary = Dictionary([importlib.import_module(CHATCORE)])
        self.frontends: set[str] = set()
        self.damages: list[Damage] = []
        found = False
        for record in self.records():
            found = found or not isinstance(record, Damage)
            if isinstance(record, Damage):
                self.damages.append(record)
            elif isinstance(record, Head):
                self.dictionary.learn(record.about)
                said = record.about.get("frontends")
                self.frontends.update(map(str, said) if isinstance(said, list) else ())
        if not found:
            raise ConfigError("is no capture, or an empty one", file=file)

    def steps(self) -> Iterator[Step]:
        """What it says, in order. Who sends clients' messages on is a frontend."""
        for step in steps(self.records()):
            if isinstance(step, Asked) and step.command in own.REQUESTS and b"hops" not in step.box:
                self.frontends.add(step.sender)
            yield step

    def records(self) -> Iterator[Head | Event | Damage]:
        """All that is in it.

        Raises:
            ConfigError: it can't be read.
        """
        try:
            with open(self._file, "rb") as file:
                yield from read(file)
        except OSError as problem:
            raise ConfigError(f"can't be read: {problem.strerror}", file=self._file) from None
        except VersionError as problem:
            raise ConfigError(str(problem), file=self._file) from None


class Players:
    """Those who act on what was recorded: the servers of a cluster, each of which is visited.

    For a server that is not there, one of its type stands in, always the same.

    Args:
        reach: knows the ways in.
        survey: what there is.
        capture: what was recorded.
        seconds: that a step may take.
    """

    def __init__(self, reach: Reach, survey: Survey, capture: Capture, *, seconds: float) -> None:
        self._reach, self._survey, self._seconds = reach, survey, seconds
        self._types = capture.dictionary.types
        self._visits: dict[str, Visit] = {}

    def for_server(self, id: str) -> str | None:
        """Who acts for a server of the recording; None where nobody does."""
        if self._survey.member(id) is not None:
            return id
        server_type = self._types.get(id)
        same = [each for each in self._survey.ids if self._survey.type_of(each) == server_type]
        recorded = sorted(each for each, type in self._types.items() if type == server_type)
        return same[recorded.index(id) % len(same)] if same and id in recorded else None

    async def visit(self, id: str) -> Visit:
        """The visit to a server of the cluster.

        Raises:
            AdminError: it can't be reached.
        """
        if id not in self._visits:
            self._visits[id] = await self._reach.visit(id, self._survey.member(id), self._seconds)
        return self._visits[id]

    async def close(self) -> None:
        """End all visits, and with them the sessions that were made for this."""
        for visiting in self._visits.values():
            await visiting.leave(self._reach.reactor)


@dataclass(slots=True)
class Count:
    """What has come of a replay."""

    asked: int = 0
    same: int = 0
    different: int = 0
    uncompared: int = 0
    notifies: int = 0
    left_out: int = 0
    nobody: int = 0

    def text(self) -> str:
        """The same in words."""
        counts = {
            "asked": self.asked,
            "answered as recorded": self.same,
            "answered otherwise": self.different,
            "without a recorded answer": self.uncompared,
            "notifies": self.notifies,
            "calls between servers left out": self.left_out,
            "for servers that nobody stands in for": self.nobody,
        }
        always = ("asked", "answered as recorded", "answered otherwise")
        return ", ".join(f"{what}: {n}" for what, n in counts.items() if n or what in always)

    def to_value(self) -> dict[str, int]:
        """The same in JSON's types."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class _Playing:
    """Something that was asked again."""

    asked: Asked
    player: str
    answer: Deferred[Box]


class Replaying:
    """Plays a capture: in its order, and as many things at the same time as it says.

    Nothing is asked before what was answered before it has been answered again.

    Args:
        options: those of the command.
        output: where differences are printed.
        capture: what is played.
        stays: whose sessions are where.
        players: act on it.
        reactor: the reactor.

    Attributes:
        count: what has come of it.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        output: Output,
        *,
        capture: Capture,
        stays: Stays,
        players: Players,
        reactor: Any,
    ) -> None:
        self.count = Count()
        self._options, self._output, self._reactor = options, output, reactor
        self._capture, self._stays, self._players = capture, stays, players
        rule = Redaction(options.redact, off=options.show_secrets)
        self._comparison = Comparison(options.ignore, rule)
        self._numbers: dict[str, dict[str, int]] = {}
        self._playing: dict[object, _Playing] = {}
        self._of: dict[str, deque[_Playing]] = {}
        self._begun: tuple[float, int] | None = None

    async def run(self) -> None:
        """Play all of it.

        Raises:
            AdminError: it may not be played.
        """
        try:
            await self._play()
        finally:
            for playing in self._playing.values():
                playing.answer.addErrback(lambda failure: None)

    async def _play(self) -> None:
        for frontend, uids in self._stays.first().items():
            await self._come(frontend, uids)
        for step in self._capture.steps():
            await self._pace(step.time)
            if isinstance(step, Asked):
                await self._ask(step)
            elif isinstance(step, Answered):
                await self._compare(step)
            elif isinstance(step, Gone):
                await self._go(step)
        for playing in list(self._playing.values()):
            await playing.answer
            self.count.uncompared += 1

    async def _pace(self, time: int) -> None:
        speed, clock = self._options.speed, self._reactor
        if speed is None:
            return
        if self._begun is None:
            self._begun = clock.seconds(), time
        since, first = self._begun
        due = since + (time - first) / 1e6 / speed
        if due > clock.seconds():
            await deferLater(clock, due - clock.seconds())

    async def _ask(self, asked: Asked) -> None:
        if not self._is_meant(asked):
            return
        player = self._players.for_server(asked.recipient)
        if player is None:
            self.count.nobody += 1
            return
        try:
            visiting = await self._players.visit(player)
        except AdminError as problem:
            self.count.nobody += 1
            self._output.note(f"chatcore: {player} can't be asked: {problem.problem}")
            return
        sender = self._players.for_server(asked.sender) or asked.sender
        raw = with_session(asked, self._numbers.get(sender, {})).raw
        under_way = self._of.setdefault(player, deque())
        while len(under_way) >= AT_ONCE:
            await _when_there(under_way[0].answer)
            self._tidy(under_way)
        answer = Deferred.fromCoroutine(self._answer(visiting, raw, sender))
        if asked.key is None:
            self.count.notifies += 1
            await answer
            return
        self.count.asked += 1
        self._playing[asked.key] = playing = _Playing(asked, player, answer)
        under_way.append(playing)
        self._tidy(under_way)

    @staticmethod
    def _tidy(under_way: deque[_Playing]) -> None:
        while under_way and under_way[0].answer.called:
            under_way.popleft()

    def _is_meant(self, asked: Asked) -> bool:
        if asked.box.get(b"service", b"").startswith(own.OWN_SERVICES) or b"hops" in asked.box:
            return False
        if asked.key is None and not self._options.notifies:
            return False
        frontends = self._capture.frontends
        if self._options.all_calls or not frontends or asked.sender in frontends:
            return True
        self.count.left_out += 1
        return False

    async def _answer(self, visiting: Visit, raw: bytes, sender: str) -> Box:
        """What a server says to a box now."""
        seconds = self._options.timeout
        try:
            said = await visiting.replay("box", {"data": raw, "sender": sender}, seconds)
            reply = said.get("reply")
            if reply is None:
                return {}
            (box,) = BoxParser(LONGEST_BOX).feed(reply)
            return box
        except AdminError as problem:
            if problem.code == FORBIDDEN:
                raise
            why = problem.problem
        except (WireError, ValueError, TypeError) as wrong:
            why = f"an answer that can't be read: {wrong!r}"
        return {b"_error": b"", b"_error_code": b"NOT PLAYED", b"_error_description": why.encode()}

    async def _compare(self, answered: Answered) -> None:
        playing = self._playing.pop(answered.key, None)
        if playing is None:
            return
        box = await playing.answer
        route = self._route(playing.asked)
        declared = self._capture.dictionary.declared.get(route, own.NOTHING)
        found = self._comparison.of(answered.box, box, declared)
        if not found:
            self.count.same += 1
            return
        self.count.different += 1
        self._tell(playing, route, found)

    def _route(self, asked: Asked) -> str:
        return self._capture.dictionary.route(asked.command, asked.box, asked.recipient)

    def _tell(self, playing: _Playing, route: str, found: list[Difference]) -> None:
        asked, first, more = playing.asked, found[0], len(found) - 1
        output = self._output
        output.line(
            {
                "time": asked.time / 1e6,
                "node": playing.player,
                "peer": asked.sender,
                "route": route,
                "differences": [
                    {"path": each.path, "recorded": each.recorded, "replayed": each.replayed}
                    for each in found
                ],
            }
        )
        recorded, replayed = (
            json.dumps(each, ensure_ascii=False) for each in (first.recorded, first.replayed)
        )
        when = clock_time(asked.time)
        fields = [when, playing.player, asked.sender, route, first.path, recorded, replayed]
        text = (
            f"{when[11:-4]}  {asked.sender} -> {playing.player}  {route}  {first.path}: "
            f"{recorded} was recorded, {replayed} is said now"
        )
        output.record([*fields, len(found)], text + (f", and {more} more" if more else ""))

    # Whose sessions are where.

    async def _come(self, recorded: str, uids: Iterable[str]) -> None:
        frontend = self._players.for_server(recorded)
        if frontend is None:
            return
        every = list(uids)
        numbers = self._numbers.setdefault(frontend, {})
        for start in range(0, len(every), AT_A_TIME):
            some = every[start : start + AT_A_TIME]
            said = await self._sessions(frontend, "come", some)
            found = said.get("sessions")
            if isinstance(found, Mapping):
                numbers.update((str(uid), int(number)) for uid, number in found.items())

    async def _go(self, gone: Gone) -> None:
        frontend = self._players.for_server(gone.frontend)
        if frontend is None:
            return
        there = [uid for uid in gone.uids if self._numbers.get(frontend, {}).pop(uid, None)]
        if not there:
            return
        await self._settle()
        await self._sessions(frontend, "go", there)
        again = self._stays.again(gone.frontend, there)
        if again:
            await self._come(gone.frontend, again)

    async def _sessions(self, frontend: str, what: str, uids: list[str]) -> dict[str, Any]:
        try:
            visiting = await self._players.visit(frontend)
            return await visiting.replay(what, {"uids": uids}, self._options.timeout)
        except AdminError as problem:
            if problem.code == FORBIDDEN:
                raise
            raise CommandError(
                f"{frontend} can't have the sessions of the recording: {problem.problem}",
                exit=exit_of(AWAY),
                advice=problem.advice,
            ) from None

    async def _settle(self) -> None:
        """Wait until what was asked before is answered, unless it waits for what comes."""
        waiting = [
            _when_there(each.answer) for each in self._playing.values() if not each.answer.called
        ]
        if waiting:
            await DeferredList(waiting).addTimeout(
                PATIENCE, self._reactor, onTimeoutCancel=lambda result, timeout: None
            )


def _when_there(answer: Deferred[Box]) -> Deferred[None]:
    """What fires when something is answered, and leaves the answer to others."""
    there: Deferred[None] = Deferred(lambda _: None)

    def told(result: Any) -> Any:
        if not there.called:
            there.callback(None)
        return result

    answer.addBoth(told)
    return there
