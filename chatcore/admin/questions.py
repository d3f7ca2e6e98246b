"""What a node can be asked by those who look at it. Nothing changes by a question."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, get_args

Question = Literal[
    "status",
    "nodes",
    "links",
    "remotes",
    "handlers",
    "sessions",
    "session",
    "channels",
    "channel",
    "trace",
    "counters",
    "why",
]
"""What can be asked.

``status``
    how the node is, in a line
``nodes``
    the same at length: for how long, how late it is, what waits on it, what went wrong last
``links``
    how the node sees its links to the others
``remotes``, ``handlers``
    what can be called on the node, as it is declared there, and as what the node knows what can be
    called on others
``sessions``, ``session``
    the clients of a frontend; all that is known of one of them, or of those of a uid
``channels``, ``channel``
    the channels that the node holds; all that it knows of one, as its owner and as a frontend
``trace``
    what is noted of messages that are followed. Some may be asked to be: that changes nothing of
    what becomes of them, and ends by itself
``counters``
    all numbers of the node, with what they mean
``why``
    what happened to a user lately, and how it is now
"""

QUESTIONS: Final[tuple[Question, ...]] = get_args(Question)

Answer = Callable[[Mapping[str, Any]], dict[str, Any] | Awaitable[dict[str, Any]]]
"""Given what a question was asked with, gives its answer, in msgpack's types.

Every problem is an `chatcore.errors.AdminError`.
"""
