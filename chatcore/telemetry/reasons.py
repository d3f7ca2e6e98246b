"""Why a message did not arrive, and what can happen to a user: the words for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Reason = Literal[
    "left",
    "gone",
    "slow",
    "dropped",
    "link lost",
    "link blocked",
    "unencodable",
    "refused",
    "failed",
    "late",
    "no server",
    "kicked",
    "moved",
]
"""Why a message did not arrive."""

REASONS: Final[Mapping[Reason, str]] = {
    "left": "who was meant had left the channel",
    "gone": "its connection had ended",
    "slow": "it was disconnected because it did not read",
    "dropped": "given up by the outbox's policy, because the client did not keep up",
    "link lost": "there was no link to the node that it had to go to",
    "link blocked": "the link to the node that it had to go to was blocked, so it was shed",
    "unencodable": "its body can't be said in the client's encoding",
    "refused": "a limit, a rule, a filter or its route kept it from being acted on",
    "failed": "what acted on it raised",
    "late": "what acted on it took too long",
    "no server": "the server that it had to go to is down or was not linked, or there is none",
    "kicked": "who was meant was kicked",
    "moved": "who was meant was sent on to another frontend, or its channel had moved",
}
"""What each of these means, for people."""

Happening = Literal[
    "logged in",
    "refused login",
    "logged out",
    "taken over",
    "kicked",
    "moved",
    "closed",
    "slow",
    "outbox high-water",
    "pushes not sent",
    "requests not answered",
    "joined",
    "left",
    "link up",
    "link lost",
    "refused handshake",
    "held up",
]
"""What can happen to a user, or to the node that serves it."""

HAPPENINGS: Final[Mapping[Happening, str]] = {
    "logged in": "a session of it was bound",
    "refused login": "a session of it was not bound",
    "logged out": "a session of it was unbound, and goes on as nobody's",
    "taken over": "a newer session has its uid",
    "kicked": "it was told to go, and why",
    "moved": "it was sent on to another frontend",
    "closed": "a session of it has ended",
    "slow": "it was disconnected because it did not read",
    "outbox high-water": "much waits for it, because it does not read",
    "pushes not sent": "pushes that it did not get",
    "requests not answered": "requests of it that were refused, or failed",
    "joined": "it became a member of a channel",
    "left": "it is a member of a channel no more",
    "link up": "the link to another node came up",
    "link lost": "the link to another node was lost",
    "refused handshake": "the handshakes of clients were refused",
    "held up": "a call kept the node from everything else",
}
"""What each of these means, for people."""

GATHERED: Final[frozenset[Happening]] = frozenset(
    (
        "outbox high-water",
        "pushes not sent",
        "requests not answered",
        "refused handshake",
        "held up",
    )
)
"""Of these, those that come in numbers: what is the same within a minute is told as one."""
