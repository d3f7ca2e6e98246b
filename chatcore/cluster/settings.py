"""What can be set about registries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from msgspec import Meta

from chatcore.config.settings import setting

Lease = Annotated[float, Meta(ge=1, le=3600)]
Seconds = Annotated[float, Meta(ge=0, le=3600)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySettings:
    """What knows which nodes there are."""

    url: str | None = setting(
        None,
        "where the registry is: static:, master://host:port, redis://… or rediss://…; the option"
        " --registry and the environment variable CHATCORE_REGISTRY win over it",
        secret=True,
    )
    url_file: str | None = setting(
        None,
        "a file that holds the registry's URL instead, for one with a password; seen from the"
        " application folder",
    )
    cluster: Annotated[str, Meta(min_length=1)] | None = setting(
        None,
        "the cluster's name, by which it is told from others in the same Redis; none: that of the"
        " application folder and the environment, as in chat:production",
    )
    lease_seconds: Lease = setting(
        5.0, "seconds of silence after which a node is taken out of the view"
    )
    away_seconds: Seconds = setting(
        1.0,
        "seconds that a node may take to come back to the master when their connection has ended;"
        " then it is taken out of the view",
    )
    restart_seconds: Seconds | None = setting(
        None,
        "seconds that nodes may take to come back to a master that was started anew, or did"
        " nothing for a while; none: lease_seconds",
    )
    lost: Literal["serve", "stop"] = setting(
        "serve",
        "what a node does that has not reached its registry for lease_seconds: go on with the view"
        " that it has, or own nothing until it has found it again",
    )


OF_MASTERS: Final = (
    "registry.lease_seconds",
    "registry.away_seconds",
    "registry.restart_seconds",
)
"""Settings by which a master goes. It does not read ``app.py``, so they can't be set there."""


def other_lease(theirs: str, id: str, own: float) -> str:
    """What to say where two that watch each other go by different leases.

    Args:
        theirs: the lease of who ``id`` is, as it tells it.
        own: this process's, in seconds.
    """
    return (
        f"{id} goes by registry.lease_seconds={theirs:.20}, and this process by {own:g}: who is"
        " missed, and when, depends on whom one asks. Set it in settings.json, alike for all"
    )
