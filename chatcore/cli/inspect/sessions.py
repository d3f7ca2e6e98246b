"""``chatcore inspect sessions`` and ``session``: who is connected, and how it goes with them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from chatcore.cli.exits import FAILED
from chatcore.cli.inspect.asking import Asked, ask_servers
from chatcore.cli.inspect.wording import ago, amount
from chatcore.cli.output import Column, Output
from chatcore.cli.servers import duration

MOST_AT_ONCE: Final = 1000
"""Sessions that a server picks out by itself; where more are wanted, it tells all it has."""

MOST_ON_TERMINAL: Final = 50
"""Sessions that people are shown unless they say how many."""

FIELDS: Final = (
    "node",
    "id",
    "uid",
    "address",
    "port",
    "transport",
    "speaks",
    "bodies",
    "state",
    "opened",
    "logged_in",
    "seen",
    "under_way",
    "outbox_bytes",
    "outbox_messages",
    "unread",
)
"""The fields of a session, in the order of its record: times since 1970 and times that have passed
in seconds, sizes in bytes."""

COLUMNS: Final = (
    Column("frontend"),
    Column("id"),
    Column("uid"),
    Column("address", 4),
    Column("by", 5),
    Column("state", 9),
    Column("connected", 2),
    Column("seen", 3),
    Column("asked", 6),
    Column("waiting", 1),
    Column("messages", 8),
    Column("unread", 1),
)
"""The columns of a table for people."""

_ORDERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "outbox": lambda each: -(each.get("outbox_bytes") or 0),
    "oldest": lambda each: each["opened"],
    "newest": lambda each: -each["opened"],
}

ORDERS: Final = tuple(_ORDERS)
"""By what sessions can be sorted."""


async def show(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    """Ask frontends for their sessions, and print them.

    Raises:
        CommandError: nobody can be asked, or there is no such server.
    """
    most = options.most
    if most is None:
        most = MOST_ON_TERMINAL if output.on_terminal else 0
    given: dict[str, Any] = {}
    if options.uid is not None:
        given = {"uid": options.uid}
    elif 0 < most <= MOST_AT_ONCE:
        given = {"by": options.by, "most": most}
    asked = await ask_servers(
        options, output, "sessions", given, reactor=reactor, frontends=True, pages="sessions"
    )
    found = _told(asked)
    found.sort(key=_ORDERS[options.by])
    count = sum(answer["count"] for answer in asked.answers.values())
    some = found[:most] if most else found
    output.document(
        {
            "sessions": some,
            "count": count,
            "counts": {id: each["count"] for id, each in _frontends(asked)},
            "silent": asked.to_value(),
            "exit": asked.exit,
        }
    )
    if output.on_terminal:
        if some:
            output.table(COLUMNS, [_row(each) for each in some])
        output.say(_summary(len(some), asked, options.uid))
    else:
        for each in some:
            output.record([each.get(name) for name in FIELDS], "")
    return asked.exit


async def show_one(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    """Ask frontends for a session, or for those of a uid, and print all that is known.

    Raises:
        CommandError: nobody can be asked, or there is no such server.
    """
    given = {"who": options.who}
    asked = await ask_servers(options, output, "session", given, reactor=reactor, frontends=True)
    found = _told(asked)
    code = asked.exit if found or asked.exit else FAILED
    output.document({"sessions": found, "silent": asked.to_value(), "exit": code})
    if not found:
        output.note(
            f"chatcore: there is no session {options.who!r:.80}, by its number or by its uid;"
            f" 'chatcore inspect why' tells what happened to a uid"
        )
    for each in found:
        if output.on_terminal:
            _describe(each, output)
        else:
            for name, value in _facts(each):
                output.record([each["node"], each["id"], name, value], "")
    return code


def _told(asked: Asked) -> list[dict[str, Any]]:
    """What frontends said of sessions, with who said so."""
    return [
        {"node": id, **session}
        for id, answer in _frontends(asked)
        for session in answer["sessions"]
    ]


def _frontends(asked: Asked) -> Iterable[tuple[str, Mapping[str, Any]]]:
    return ((id, each) for id, each in sorted(asked.answers.items()) if each["frontend"])


def _row(session: Mapping[str, Any]) -> list[object]:
    return [
        session["node"],
        session["id"],
        session["uid"],
        _address(session),
        _by(session),
        None if session.get("state") == "working" else session.get("state"),
        duration(time.time() - session["opened"]),
        ago(session.get("seen")),
        session.get("under_way"),
        amount(session.get("outbox_bytes")),
        session.get("outbox_messages"),
        duration(session["unread"]) if session.get("unread") else None,
    ]


def _address(session: Mapping[str, Any]) -> str:
    host, port = session["address"], session["port"]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


def _by(session: Mapping[str, Any]) -> str:
    """How it is spoken to."""
    speaks, transport = session.get("speaks"), session.get("transport")
    return str(transport) if speaks == "pomelo" else f"{speaks}, {transport}"


def _summary(shown: int, asked: Asked, uid: str | None) -> str:
    counts = {id: each["count"] for id, each in _frontends(asked)}
    count = sum(counts.values())
    if uid is not None:
        return f"{count} of the uid {uid!r}"
    where = ", ".join(f"{id} {count}" for id, count in counts.items())
    if shown < count:
        return f"{shown} of {count} sessions; --most shows more ({where})"
    return f"{count} sessions ({where})" if counts else "No frontend was asked"


def _facts(session: Mapping[str, Any]) -> list[tuple[str, object]]:
    """What is known of a session, one thing after the other; times and sizes as they are."""
    facts = [(name, session.get(name)) for name in FIELDS[2:]]
    facts += [(name, session[name]) for name in ("engine", "namespace") if session.get(name)]
    facts += [("dictionary", session["dictionary"])] if "dictionary" in session else []
    facts += [(f"setting {key}", value) for key, value in session["settings"].items()]
    facts += [("channel", f"{name} of {owner}") for owner, name in session["groups"]]
    return facts + [(f"noted {each['what']}", _noted(each)) for each in session["noted"]]


def _noted(entry: Mapping[str, Any]) -> str:
    routes = ", ".join(f"{route} {count}" for route, count in entry.get("routes", {}).items())
    words = [f"{entry['count']} times" if entry["count"] > 1 else "once", entry["why"], routes]
    return "; ".join(word for word in words if word)


def _describe(session: Mapping[str, Any], output: Output) -> None:
    """Show a session to people."""
    uid = session["uid"]
    output.say(f"session {session['id']} of {session['node']}: {uid or 'bound to nobody'}")
    bodies = f", bodies are {session['bodies']}" if session.get("bodies") else ""
    known = ", dictionary" if session.get("dictionary") else ""
    where = f", namespace {session['namespace']}" if session.get("namespace") else ""
    lines = {
        "from": f"{_address(session)} by {session.get('speaks')} over"
        f" {session.get('transport')}{bodies}{known}{where}",
        "connected": f"{_time(session['opened'])}, {ago(time.time() - session['opened'])}",
        "logged in": _time(session["logged_in"]) if session["logged_in"] else None,
        "seen": ago(session.get("seen")) or "nobody watches for signs of life",
        "state": session.get("state"),
        "asked": f"{session.get('under_way')} under way",
        "waiting": _waiting(session),
        "settings": None if session["settings"] else "none",
    }
    for name, line in lines.items():
        if line is not None:
            output.say(f"  {name:<10}{line}")
    for key, value in session["settings"].items():
        output.say(f"  {'settings':<10}{key}{'' if session['settings_cut'] else f': {value!r}'}")
    for owner, name in session["groups"]:
        output.say(f"  {'channel':<10}{name} of {owner}")
    more = session["groups_count"] - len(session["groups"])
    if more > 0:
        output.say(f"  {'channel':<10}and {more} more")
    for each in session["noted"]:
        when = ago(time.time() - each["last"])
        output.say(f"  {'noted':<10}{each['what']}, {_noted(each)}, {when}")


def _waiting(session: Mapping[str, Any]) -> str:
    text = f"{amount(session.get('outbox_bytes'))} in {session.get('outbox_messages')} messages"
    unread = session.get("unread")
    return f"{text}; it has not read for {duration(unread)}" if unread else text


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
