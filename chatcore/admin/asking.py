"""Asking over a link: what an administrator asks, and what a node passes on to another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from chatcore.admin.asker import Asker
from chatcore.admin.invocation import Invocation
from chatcore.admin.outcomes import AWAY, FAILED, LATE, LOST, MISTAKE, What, result_of
from chatcore.admin.questions import Question
from chatcore.errors import AdminError, CallTimedOut, LinkLost, NotConnected, RpcError
from chatcore.links.link import Link
from chatcore.wire.box import Box, item, join
from chatcore.wire.values import UNPACKABLE, pack, unpack

SLACK = 1.0
"""Seconds more that who is asked is waited for than it was given: it says best why it is late."""


async def ask_survey(link: Link, seconds: float, *, alone: bool = False) -> dict[str, Any]:
    """Ask what there is.

    Args:
        seconds: that it may take.
        alone: whether no other process is to be asked for it.

    Raises:
        AdminError: it can't be told.
    """
    given = {b"alone": str(alone).encode(), **_within(seconds)}
    return _table(await ask(link, "Survey", given, seconds + SLACK))


async def ask_question(
    link: Link,
    question: Question,
    id: str,
    given: Mapping[str, Any],
    seconds: float,
    *,
    asker: Asker | None = None,
) -> dict[str, Any]:
    """Ask a node something.

    Args:
        given: what the question needs to be understood.
        asker: for whom this side asks; for itself unless given.

    Raises:
        AdminError: it can't be told.
    """
    asked = {b"what": question.encode(), **_about(id, seconds), **_for(asker)}
    if given:
        asked[b"given"] = pack(dict(given))
    return _table(await ask(link, "Inspect", asked, seconds + SLACK))


async def ask_to_invoke(
    link: Link, invocation: Invocation, id: str, seconds: float, *, asker: Asker | None = None
) -> dict[str, Any]:
    """Have a remote of a node called; returns when it has a result.

    Args:
        asker: for whom this side asks; for itself unless given.

    Raises:
        AdminError: the call does not fit, or gave no result.
    """
    try:
        args = pack(invocation.args)
    except UNPACKABLE as problem:
        raise AdminError(f"these arguments can't be sent: {problem}", code=MISTAKE) from None
    given = {
        b"route": invocation.route.encode(),
        b"args": args,
        b"whole": str(invocation.whole).encode(),
        **_about(id, seconds),
        **_for(asker),
    }
    return _table(await ask(link, "Invoke", given, seconds + SLACK))


async def ask_order(
    link: Link, what: What, id: str, seconds: float, *, asker: Asker | None = None
) -> dict[str, Any]:
    """Have something done with a node; returns when it is done.

    Args:
        asker: for whom this side asks; for itself unless given.

    Raises:
        AdminError: it was not.
    """
    given = {b"what": what.encode(), **_about(id, seconds), **_for(asker)}
    return _table(await ask(link, "Order", given, seconds + SLACK))


async def ask_to_add(
    link: Link,
    server_type: str,
    given: Mapping[str, str],
    count: int,
    seconds: float,
    *,
    asker: Asker | None = None,
) -> dict[str, Any]:
    """Have new servers taken in, which are still to be started.

    Args:
        asker: for whom this side asks; for itself unless given.

    Raises:
        AdminError: they can't be had.
    """
    asked = {
        b"type": server_type.encode(),
        b"given": pack(dict(given)),
        b"count": b"%d" % count,
        **_within(seconds),
        **_for(asker),
    }
    return _table(await ask(link, "Add", asked, seconds + SLACK))


async def ask_to_reload(
    link: Link, *, apply: bool, seconds: float, asker: Asker | None = None
) -> dict[str, Any]:
    """Have servers.json read again.

    Args:
        asker: for whom this side asks; for itself unless given.

    Raises:
        AdminError: it can't be followed.
    """
    given = {b"apply": str(apply).encode(), **_within(seconds), **_for(asker)}
    return _table(await ask(link, "Reload", given, seconds + SLACK))


async def ask_to_tap(link: Link, given: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Ask a node to show what passes on its links, over this one.

    Args:
        given: what is to be shown.

    Raises:
        AdminError: it shows nothing.
    """
    asked = {b"given": pack(dict(given)), **_within(seconds)}
    return _table(await ask(link, "Tap", asked, seconds + SLACK))


async def ask_to_replay(
    link: Link, what: str, given: Mapping[str, Any], seconds: float
) -> dict[str, Any]:
    """Ask a node to act on something that was recorded.

    Raises:
        AdminError: it does not.
    """
    asked = {b"what": what.encode(), b"given": pack(dict(given)), **_within(seconds)}
    return _table(await ask(link, "Replay", asked, seconds + SLACK))


def ask(link: Link, command: str, given: Mapping[bytes, bytes], seconds: float) -> Deferred[Any]:
    """Ask one of the commands of administrators over a link; what comes of it is its result.

    Args:
        given: its arguments, encoded.
        seconds: that it may take.

    Returns:
        What gives the result, or fails with an `AdminError`.
    """
    answered: Deferred[Any] = Deferred()

    def done(box: Box | None, problem: RpcError | None) -> None:
        if box is None:
            answered.errback(_explained(link.peer, problem))
            return
        try:
            answered.callback(result_of(unpack(join(box, b"outcome"))))
        except AdminError as refused:
            answered.errback(refused)
        except (KeyError, ValueError, msgspec.MsgspecError) as wrong:
            problem_said = f"{link.peer} gave an answer that can't be read: {wrong!r}"
            answered.errback(AdminError(problem_said, code=FAILED))

    payload = b"".join(item(key, value) for key, value in given.items())
    link.ask(item(b"_command", command.encode()) + payload, done, command, seconds)
    return answered


def _explained(peer: str, problem: RpcError | None) -> AdminError:
    if isinstance(problem, CallTimedOut):
        return AdminError(f"{peer} does not answer in time", code=LATE)
    if isinstance(problem, LinkLost):
        return AdminError(f"the link to {peer} has ended", code=LOST)
    if isinstance(problem, NotConnected):
        return AdminError(f"the link to {peer} can't be used: {problem.why}", code=AWAY)
    return AdminError(str(problem), code=FAILED)


def _about(id: str, seconds: float) -> dict[bytes, bytes]:
    return {b"id": id.encode(), **_within(seconds)}


def _for(asker: Asker | None) -> dict[bytes, bytes]:
    return {} if asker is None else {b"asker": asker.passed_on().encode()}


def _within(seconds: float) -> dict[bytes, bytes]:
    return {b"seconds": b"%g" % seconds}


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise AdminError(f"an answer that can't be understood: {value!r:.100}", code=FAILED)
    return value
