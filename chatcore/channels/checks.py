"""What is looked at before anything is sent: whom it is for, and whether it can be said."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chatcore.errors import BodyError
from chatcore.sessions.session import LONGEST_UID
from chatcore.wire.body import encode as to_json
from chatcore.wire.message import LONGEST_ROUTE
from chatcore.wire.text import check_text
from chatcore.wire.values import pack

LONGEST_NAME = 1024
"""Bytes of a channel's name."""

LONGEST_PUSH = 4 * 1024 * 1024
"""Bytes of a message, as clients read it and as it crosses links."""


def by_frontend(
    members: Iterable[tuple[str, str] | str],
) -> tuple[dict[str, dict[str, None]], dict[str, None]]:
    """Members by their frontend, and those of whom only the uid is known; each once."""
    if isinstance(members, str):
        raise TypeError(f"members are a list, not {members!r}")
    found: dict[str, dict[str, None]] = {}
    anywhere: dict[str, None] = {}
    for member in members:
        if isinstance(member, str):
            anywhere[member] = None
            continue
        try:
            uid, sid = member
            found.setdefault(sid, {})[uid] = None
        except (TypeError, ValueError):
            raise TypeError(
                f"a member is a uid, or a pair of uid and frontend id, not {member!r}"
            ) from None
    try:
        for uids in (anywhere, *found.values()):
            pack(list(uids))
            if max(map(len, uids), default=0) > LONGEST_UID:
                raise ValueError(f"a uid of more than {LONGEST_UID} characters")
    except (TypeError, ValueError) as problem:
        raise TypeError(f"these members can't cross a link: {problem}") from None
    return found, anywhere


def packed(where: Any) -> bytes:
    """What picks the clients of a broadcast, as it crosses links.

    Raises:
        TypeError: it can't.
    """
    try:
        return pack(where)
    except (TypeError, ValueError, OverflowError, RecursionError) as problem:
        raise TypeError(f"where={where!r} can't cross a link: {problem}") from None


def check_name(name: str) -> None:
    """Refuse what can't be the name of a channel.

    Raises:
        TypeError: it is no text, or empty.
        ValueError: it is too long.
    """
    check_text("the name of a channel", name)
    if len(name.encode()) > LONGEST_NAME:
        raise ValueError(f"a channel's name of more than {LONGEST_NAME} bytes: {name[:40]!r}…")


def encode_push(route: str, msg: Any) -> bytes:
    """A message to be pushed, as it crosses links.

    Raises:
        BodyError: it can't be pushed.
    """
    if not isinstance(route, str):
        raise BodyError(f"{route!r:.100} can't be pushed: a route is a text")
    try:
        if len(route.encode()) > LONGEST_ROUTE:
            raise BodyError(f"a route of more than {LONGEST_ROUTE} bytes")
        # What packs but has no form in JSON, or no room, would fail at every frontend instead.
        longest, packed = len(to_json(msg)), pack(msg)
        if max(longest, len(packed)) > LONGEST_PUSH:
            raise BodyError(f"a message of more than {LONGEST_PUSH} bytes")
        return packed
    except (BodyError, TypeError, ValueError, OverflowError, RecursionError) as problem:
        raise BodyError(f"{route[:40]!r} can't be pushed: {problem}") from None
