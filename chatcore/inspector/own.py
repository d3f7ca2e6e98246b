"""What chatcore's own boxes mean beyond what their commands declare.

A forwarded request carries a client's JSON and a session, a call carries arguments whose names the
remote's interface knows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from chatcore.inspector.redaction import HIDDEN, Redaction
from chatcore.inspector.values import shown
from chatcore.wire.box import Box, join
from chatcore.wire.values import unpack

REQUESTS: Final = (b"Forward", b"ForwardNotify")
CALLS: Final = (b"Call", b"CallNotify")
INVOKE: Final = b"Invoke"
"""Asks a node to make a call for an administrator; nodes pass it on to each other."""

HAND_OVER: Final = b"HandOver"
"""Gives a channel to its next owner, with what the application keeps in it."""

DATA: Final = frozenset(("args", "body", "outcome", "reply", "result", "session", "state"))
"""What of these commands' bodies an application has put there."""

OWN_SERVICES: Final = b"sys."
"""What the services begin with that chatcore's nodes offer each other."""

SESSION: Final = ("id", "uid", "settings", "address", "logged_in")
"""The parts of a session, in the order in which they cross a link."""

UNREADABLE: Final = (KeyError, ValueError, TypeError, RecursionError, msgspec.MsgspecError)


@dataclass(frozen=True, slots=True)
class Declared:
    """What is known of a method that can be called.

    Args:
        parameters: their names.
        hidden: what hides arguments, and the keys in what it is given and what it answers.
        hides_answer: whether the whole answer is hidden.
    """

    parameters: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    hides_answer: bool = False

    def to_value(self) -> list[Any]:
        """The same in JSON's types."""
        return [list(self.parameters), list(self.hidden), self.hides_answer]

    @classmethod
    def of(cls, value: Any) -> Declared:
        """Read what `to_value` made; ValueError when it is something else."""
        match value:
            case [list() as parameters, list() as hidden, bool() as hides_answer]:
                return cls(tuple(map(str, parameters)), tuple(map(str, hidden)), hides_answer)
        raise ValueError(f"{value!r:.100} declares nothing")


NOTHING: Final = Declared()
"""What is known of a method that nobody knows."""


def route(box: Box, server_type: str) -> bytes | None:
    """What is asked for; None where the command says it all.

    Args:
        server_type: of the node that is asked; empty where nobody knows it.
    """
    found = box.get(b"route")
    if found is not None or b"service" not in box or b"method" not in box:
        return found
    service = box[b"service"]
    called = b"%b.%b" % (service, box[b"method"])
    if not server_type or service.startswith(OWN_SERVICES):
        return called
    return b"%b.%b" % (server_type.encode(), called)


def body(command: bytes | None, box: Box, declared: Declared, rule: Redaction) -> dict[str, Any]:
    """The values of a body that say more than the command declares, by their keys.

    Args:
        declared: the method that is called.
        rule: what is hidden.
    """
    if command in REQUESTS:
        return _request(box, rule)
    if command in CALLS or command == INVOKE:
        return _call(box, declared, rule)
    return {}


def is_understood(command: bytes | None, route: str, declared: Mapping[str, Declared]) -> bool:
    """Whether it is known what has to be hidden of a body.

    Args:
        command: of an answer, that which it answers; None where nobody knows.
        route: what is asked for.
        declared: what is known of methods, by their routes.
    """
    if command is None or command == HAND_OVER:
        return False
    if command not in REQUESTS and command not in CALLS and command != INVOKE:
        return True
    return route in declared or route.encode().startswith(OWN_SERVICES)


def uids(command: bytes, box: Box) -> frozenset[str]:
    """Whom a box concerns: the session's uid, those of a group or a push, or a call's arguments."""
    try:
        if command in REQUESTS:
            uid = unpack(join(box, b"session"))[1]
            return frozenset((uid,) if isinstance(uid, str) else ())
        if command in CALLS:
            found = unpack(join(box, b"args"))
        elif b"uids" in box:
            found = unpack(join(box, b"uids"))
        else:
            return frozenset()
        return frozenset(_texts(found))
    except UNREADABLE:
        return frozenset()


def channels(box: Box) -> frozenset[str]:
    """The channels that a box concerns."""
    try:
        found = unpack(join(box, b"channels")) if b"channels" in box else []
    except UNREADABLE:
        found = []
    if b"channel" in box:
        found = [box[b"channel"].decode("utf-8", "replace")]
    return frozenset(_texts(found))


def _texts(values: Any) -> list[str]:
    """The texts in a list, and in lists in it."""
    if not isinstance(values, list):
        return []
    found = [each for each in values if isinstance(each, str)]
    for each in values:
        if isinstance(each, list):
            found += [inner for inner in each if isinstance(inner, str)]
    return found


def _request(box: Box, rule: Redaction) -> dict[str, Any]:
    told: dict[str, Any] = {}
    try:
        data = join(box, b"body")
        value = unpack(data) if box.get(b"coding") == b"msgpack" else json.loads(data or b"null")
        told["body"] = shown("body", value, rule)
    except UNREADABLE:
        pass  # it is shown as it is
    try:
        session = dict(zip(SESSION, unpack(join(box, b"session")), strict=True))
        told["session"] = shown("session", session, rule)
    except UNREADABLE:
        pass
    return told


def _call(box: Box, declared: Declared, rule: Redaction) -> dict[str, Any]:
    known = declared.parameters
    try:
        args = unpack(join(box, b"args"))
    except UNREADABLE:
        return {}
    if not known or not isinstance(args, list):
        return {"args": shown("args", args, rule)}
    given, more = dict(zip(known, args, strict=False)), args[len(known) :]
    told = {"args": shown("args", given, rule)}
    if more:  # nobody knows what these are
        told["more"] = shown("more", more, rule) if rule.off else HIDDEN
    return told
