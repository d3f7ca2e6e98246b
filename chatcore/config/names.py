"""Names that people choose: which are usable, and which one was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

SERVER_ID_RULE = (
    "a server id is made of letters, digits, '.', '-' and '_', does not begin with '.' or '-' "
    "and has at most 64 characters, because files are named after it"
)
SERVER_TYPE_RULE = (
    "a server type is made of letters, digits, '-' and '_', begins with a letter "
    "and has at most 64 characters, because it is the first part of a route"
)

MASTER = "master"
ADMIN = "admin"
"""What the names of administrators begin with."""
VIEWER = "viewer"
"""The name in the certificate of those who may only look."""
START = "start"
"""The name under which ``chatcore start`` is known in the run folder."""

PAGE = "page"
"""The name of the process that serves the application's page."""

OWN_NAMES = (MASTER, START, PAGE, VIEWER)

MOST_NAMED = 30
"""Names that exist, of which somebody is told who used one that does not."""

_SERVER_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_SERVER_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


def is_server_id(name: str) -> bool:
    """Say whether ``name`` can be a server id, which is also a part of file names."""
    return _SERVER_ID.fullmatch(name) is not None


def is_server_type(name: str) -> bool:
    """Say whether ``name`` can be a server type, which is also the first part of a route."""
    return _SERVER_TYPE.fullmatch(name) is not None


def is_own_name(name: str) -> bool:
    """Say whether ``name`` is kept for processes and people of chatcore's own.

    The master, what ``chatcore start`` holds, the page, viewers and administrators are called so.
    """
    return name in OWN_NAMES or name.startswith(ADMIN)


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Find the existing name that looks most like ``name``; None when nothing comes close."""
    by_lower = {known.lower(): known for known in names}
    found = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def listing(names: Iterable[str]) -> str:
    """Write names as a person would: ``a, b and c``."""
    every = list(names)
    if len(every) < 2:
        return "".join(every)
    return f"{', '.join(every[:-1])} and {every[-1]}"


def suggestion(name: str, names: Iterable[str], what: str) -> str:
    """Advise somebody who used a name that does not exist.

    Args:
        name: the name that was used.
        names: the names that exist.
        what: what they are, in the plural, as in ``"server ids"``.
    """
    every = list(names)
    if not every:
        return f"There are no {what}"
    there_are = f"The {what} are {listing(every)}"
    if len(every) > MOST_NAMED:
        there_are = f"There are {len(every)} {what}, as {listing(every[:MOST_NAMED])}"
    close = nearest(name, every)
    return f"Did you mean '{close}'? {there_are}" if close else there_are
