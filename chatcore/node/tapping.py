"""A node's taps: what they say of the application, and who is shown what."""

from __future__ import annotations

from functools import cache
from typing import Any

from chatcore.deadlines import IClock
from chatcore.dispatch.components import Catalogue
from chatcore.inspector.own import Declared
from chatcore.links.link import Link
from chatcore.node.looking.looked_at import ILookedAt
from chatcore.node.taps import ITap, Taps, Wanted, microseconds


def taps_of(node: ILookedAt, clock: IClock) -> Taps:
    """What shows what passes on the links of a node.

    Args:
        clock: the reactor.
    """

    @cache
    def declared() -> dict[str, Declared]:
        return declared_in(node.catalogue)

    def types() -> dict[str, str]:
        return {member.id: member.server.type for member in node.servers.view.members}

    def about() -> dict[str, Any]:
        return {
            "id": node.server.id,
            "types": types(),
            "declared": {route: each.to_value() for route, each in declared().items()},
        }

    def make_told(to: Link, wanted: Wanted) -> ITap:
        # Late: most nodes never decode what passes, and have no need of all that it takes.
        from chatcore.node.told_taps import ToldTap

        return ToldTap(
            to,
            wanted,
            id=node.server.id,
            types=types,
            declared=declared(),
            counters=node.counters,
            clock=clock,
            now=microseconds,
        )

    return Taps(
        links=node.links, about=about, make_told=make_told, counters=node.counters, clock=clock
    )


def declared_in(catalogue: Catalogue) -> dict[str, Declared]:
    """What is known of the methods that messages and calls are for, by their routes."""
    return {
        f"{each.server_type}.{each.service}.{method.name}": Declared(
            tuple(method.signature.parameters) if each in remotes else (),
            method.redacted.names,
            method.redacted.answer,
        )
        for remotes in [list(catalogue.remotes())]
        for each in [*remotes, *catalogue.handlers()]
        for method in each.methods.values()
    }
