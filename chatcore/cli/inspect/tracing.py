"""``chatcore inspect trace``: follow one client message to every member."""

from __future__ import annotations

import argparse
import re
import secrets
from collections import defaultdict
from collections.abc import Iterable
from fnmatch import translate
from typing import Any

from twisted.internet.task import deferLater

from chatcore.admin.outcomes import LATE
from chatcore.admin.questions import Question
from chatcore.cli.choosing import chosen
from chatcore.cli.cluster import Cluster, exit_of
from chatcore.cli.exits import DONE, FAILED, CommandError
from chatcore.cli.inspect.story import Absent, Story, tops
from chatcore.cli.inspect.telling import tell
from chatcore.cli.output import Output
from chatcore.cli.reaching import reach
from chatcore.config.names import nearest
from chatcore.errors import AdminError

LOOK = 0.2
"""Seconds between two looks whether something was found, or more of it is noted."""

QUIET = 1.0
"""Seconds without anything new after which what there is is told."""

STEP = 3.0
"""Seconds that a server has to answer."""

ARMED_LONGER = 5.0
"""Seconds that servers look for messages beyond those that somebody waits: who waits says when it
is over, and they end it by themselves only if that never comes."""

ENDED = "closed"
"""Why a backend says that a member left whose session has ended."""

_MOST_UIDS = 2_000

_ROUTE = re.compile(r"[\w-]+\.\w+\.\w+")
"""What has the form of a handler's route; uids may have it, too."""


async def trace(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    """Wait for messages, or take those that were followed lately, and tell what became of them.

    Raises:
        CommandError: nobody can be asked, or the options make no sense.
    """
    if not (options.word or options.to or options.recent):
        raise CommandError(
            "there is nothing to look for",
            advice="Give the route of messages, the uid of who sends them, --to UID, or --recent",
        )
    cluster = Cluster(reach(options, reactor=reactor), seconds=options.timeout)
    try:
        survey = await cluster.survey()
        ids = [id for id in chosen(options, survey) if not survey.is_down(id)]
        asking = _Asking(cluster, ids, output, min(options.timeout, STEP))
        find = _recent if options.recent else _awaited
        stories = await find(asking, options, output, reactor=reactor)
        if options.recent:
            for story in stories:
                tell(output, story)
    finally:
        await cluster.close()
    asking.tell()
    code = DONE if stories else FAILED
    if asking.silent and not all(story.is_complete for story in stories):
        code = exit_of(next(iter(asking.silent.values())).code)
    silent = {id: problem.problem for id, problem in asking.silent.items()}
    if output.as_json:
        told = [story.to_value() for story in stories]
        output.document({"traces": told, "silent": silent, "exit": code})
    if not stories:
        output.note(f"chatcore: {_none(options)}")
    return code


class _Asking:
    """Asks all servers the same, and remembers who did not answer."""

    def __init__(self, cluster: Cluster, ids: list[str], output: Output, seconds: float) -> None:
        self._cluster, self.ids, self._output, self._seconds = cluster, ids, output, seconds
        self.silent: dict[str, AdminError] = {}

    def may_ask(self, id: str) -> bool:
        """Whether a server is one of those that are asked, and answers."""
        return id in self.ids and id not in self.silent

    async def all(self, do: str, **given: Any) -> dict[str, dict[str, Any]]:
        """What all say, but for those who took too long to answer before."""
        late = [id for id, problem in self.silent.items() if problem.code == LATE]
        return await self.some([id for id in self.ids if id not in late], do, **given)

    async def some(self, ids: Iterable[str], do: str, **given: Any) -> dict[str, dict[str, Any]]:
        """What these say."""
        given["do"] = do
        found = await self._cluster.inspect_all("trace", ids, given, self._seconds)
        answers = {}
        for id, answer in found.items():
            if isinstance(answer, AdminError):
                self.silent[id] = answer
            else:
                self.silent.pop(id, None)
                answers[id] = answer
        return answers

    async def of_others(self, question: Question) -> dict[str, dict[str, Any]]:
        """What those answer to another question who have answered before."""
        ids = [id for id in self.ids if id not in self.silent]
        found = await self._cluster.inspect_all(question, ids, {}, self._seconds)
        return {id: each for id, each in found.items() if not isinstance(each, AdminError)}

    def tell(self) -> None:
        """Say who did not answer when it was last asked."""
        for id, problem in self.silent.items():
            self._output.note(f"chatcore: {id} does not tell: {problem}")


async def _awaited(
    asking: _Asking, options: argparse.Namespace, output: Output, *, reactor: Any
) -> list[Story]:
    """The stories of messages that come from now on."""
    id, count = secrets.token_hex(8), options.count
    armed = await asking.all(
        "arm",
        id=id,
        word=options.word or "",
        to=options.to or "",
        count=count,
        seconds=options.timeout + ARMED_LONGER,
    )
    asking.tell()
    if not armed:
        raise CommandError("no server looks for it", exit=FAILED)
    output.note(f"chatcore: looking for {_sought(options)} on {_servers(len(armed))}")
    await _note_strange(asking, options, output)
    end = reactor.seconds() + options.timeout
    known: dict[tuple[str, str], None] = {}
    stories: list[Story] = []
    try:
        over = False
        while not over:
            found = await asking.all("found", id=id)
            all_found = [(trace, top) for each in found.values() for trace, top in each["found"]]
            fresh = [each for each in all_found if each not in known][: count - len(known)]
            known.update(dict.fromkeys(fresh))
            over = len(known) >= count or reactor.seconds() >= end or not found
            if over:
                await asking.all("disarm", id=id)
            for story in await _stories(asking, fresh, end, reactor):
                tell(output, story)  # at once: others may be long in coming
                stories.append(story)
            if not over:
                await deferLater(reactor, LOOK)
    except BaseException:
        await asking.all("disarm", id=id)
        raise
    return stories


async def _note_strange(asking: _Asking, options: argparse.Namespace, output: Output) -> None:
    """Say so where a route is looked for that no server declares: nobody may ever ask for it."""
    word = options.word or ""
    if not _ROUTE.fullmatch(word):
        return
    answers = await asking.of_others("handlers")
    routes = [
        method["route"]
        for answer in answers.values()
        for service in answer["services"]
        for method in service["methods"]
    ]
    if not routes or word in routes:
        return
    meant = nearest(word, routes)
    advice = f". Did you mean {meant!r}?" if meant else ""
    output.note(f"chatcore: no server has a handler {word!r}{advice}")


async def _recent(
    asking: _Asking, options: argparse.Namespace, output: Output, *, reactor: Any
) -> list[Story]:
    """The stories of messages that were followed lately, the oldest first."""
    answers = await asking.all("recent", count=100)
    by_trace: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for answer in answers.values():
        for kept in answer["traces"]:
            by_trace[kept["trace"]] += kept["spans"]
    stories = [Story(id, s, top["span"]) for id, s in by_trace.items() for top in tops(s)]
    wanted = [story for story in stories if _is_wanted(story, options)]
    wanted.sort(key=lambda story: story.start)
    ids = [(story.trace, story.top) for story in wanted[-options.count :]]
    return await _stories(asking, ids, reactor.seconds(), reactor)


def _is_wanted(story: Story, options: argparse.Namespace) -> bool:
    first = story.first
    if first is None:
        return False
    if not (options.word or options.to):
        return True
    if options.to and any(member.uid == options.to for member in story.members):
        return True
    if not options.word:
        return False
    uid = first["attributes"].get("uid")
    return uid == options.word or re.match(translate(options.word), first["name"]) is not None


async def _stories(
    asking: _Asking, traces: list[tuple[str, str]], end: float, reactor: Any
) -> list[Story]:
    """What has become of some messages, once all is known or nothing new is.

    Args:
        end: the time until which those are waited for that somebody acts on yet.
    """
    if not traces:
        return []
    before, since, pause = None, reactor.seconds(), LOOK
    while True:
        stories = await _look(asking, traces)
        now, seen = reactor.seconds(), [story.spans for story in stories]
        if seen != before:
            before, since = seen, now
        if all(story.is_complete for story in stories):
            break
        under_way = any(story.is_under_way for story in stories)
        if now - since >= QUIET and (not under_way or now >= end):
            break
        await deferLater(reactor, pause)
        pause = min(2 * pause, QUIET / 2)
    stories = [await _with_ends(asking, story) for story in stories]
    return [await _with_absent(asking, story) for story in stories]


async def _look(asking: _Asking, traces: list[tuple[str, str]]) -> list[Story]:
    ids = list(dict.fromkeys(trace for trace, _ in traces))
    answers = await asking.all("spans", traces=ids)
    spans: dict[str, list[dict[str, Any]]] = {id: [] for id in ids}
    for answer in answers.values():
        for kept in answer["traces"]:
            spans[kept["trace"]] += kept["spans"]
    return [Story(trace, spans[trace], top) for trace, top in traces]


async def _with_ends(asking: _Asking, story: Story) -> Story:
    """The same with what has become of members whom their frontends do not count as such."""
    missing: dict[str, list[str]] = defaultdict(list)
    for frontend, uid in story.missing:
        missing[frontend].append(uid)
    ends: dict[tuple[str, str], tuple[str, str]] = {}
    for frontend, uids in missing.items():
        if not asking.may_ask(frontend):
            continue
        told = await asking.some([frontend], "ends", uids=uids[:_MOST_UIDS])
        for answer in told.values():
            for uid, (reason, why) in answer["uids"].items():
                ends[frontend, uid] = reason, why
    return Story(story.trace, story.spans, story.top, ends) if ends else story


async def _with_absent(asking: _Asking, story: Story) -> Story:
    """The same with those who had left the channels before something was pushed to them."""
    members = {(member.push, member.uid) for member in story.members}
    for span, _ in story.pushes():
        channel = span["attributes"].get("channel")
        if span["kind"] != "push" or channel is None or not asking.may_ask(span["node"]):
            continue
        for answer in (await asking.some([span["node"]], "left", channel=channel)).values():
            for uid, frontend, at, said in answer["left"]:
                if at <= span["start"] and (span["span"], uid) not in members:
                    reason, why = await _why_left(asking, frontend, uid, said)
                    story.absent.append(
                        Absent(
                            push=span["span"],
                            channel=channel,
                            frontend=frontend,
                            uid=uid,
                            reason=reason,
                            why=why,
                            at=at,
                        )
                    )
    return story


async def _why_left(asking: _Asking, frontend: str, uid: str, why: str) -> tuple[str, str]:
    """Why somebody is no member any more, as the backend says or the frontend knows better."""
    if why.startswith("frontend"):
        return "link lost", why
    if why != ENDED or not asking.may_ask(frontend):
        return "left", why
    for answer in (await asking.some([frontend], "ends", uids=[uid])).values():
        reason, said = answer["uids"][uid]
        return ("gone", "") if reason == "left" else (reason, said)  # it is connected again
    return "gone", ""


def _sought(options: argparse.Namespace) -> str:
    """What is looked for, for people."""
    parts = []
    if options.word:
        parts.append(f"messages of {options.word}")
    if options.to:
        parts.append(f"pushes to {options.to}")
    return " and ".join(parts)


def _servers(count: int) -> str:
    return f"{count} server{'' if count == 1 else 's'}"


def _none(options: argparse.Namespace) -> str:
    if options.recent:
        return (
            "no such message was followed lately. tracing.sample=0.01 follows one in a hundred"
            " without that anybody asks"
        )
    return f"no {_sought(options)} came within {options.timeout:g} s"
