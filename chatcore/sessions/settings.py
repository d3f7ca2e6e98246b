"""What can be set about sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chatcore.config.settings import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """Sessions of a frontend."""

    per_uid: Literal["many", "refuse", "takeover"] = setting(
        "many",
        "what happens when a uid gets a second session: it has many, the new one is refused, or the"
        " new one takes over and the old one is kicked",
    )
    scope: Literal["node", "cluster"] = setting(
        "node",
        "where sessions.per_uid looks for the first session: on the same frontend, or on all"
        " frontends of the cluster",
    )
