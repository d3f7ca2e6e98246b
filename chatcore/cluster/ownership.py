"""Who owns what in one view."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache

from chatcore.cluster.placement import ranking
from chatcore.cluster.view import Member, View
from chatcore.config.servers import Server
from chatcore.errors import NoSuchServer

LONGEST_REMEMBERED = 64
"""Characters of a key whose ranking is remembered."""

Rule = Callable[[Sequence[str], str], Sequence[str]]
"""Puts server ids into the order in which they own a key."""


class Ownership:
    """What follows from a view: which servers there are to choose from, and who owns which key.

    Args:
        view: the view.
        rules: how keys are placed on the servers of a type; by `ranking` where none is given.
        left_out: the ids of servers that are not to be chosen. Nobody takes their place who would
            not be chosen beside them.
    """

    def __init__(
        self, view: View, rules: Mapping[str, Rule], left_out: Collection[str] = ()
    ) -> None:
        self.view = view
        self._rules, self._left_out = rules, left_out
        self.servers: dict[str, Server] = {}
        self.by_type: dict[str, list[Server]] = {}
        up = {each.server.type for each in view.members if each.state == "up"}
        for member in view.members:
            if member.id in left_out:
                continue
            # A backend that drains goes on until somebody can take its place.
            goes_on = member.state == "draining" and not member.server.frontend
            if member.state == "up" or (goes_on and member.server.type not in up):
                self.servers[member.id] = member.server
                self.by_type.setdefault(member.server.type, []).append(member.server)
        # Rooms are asked for again and again; a bounded memory of the last ones saves hashing.
        self._remembered = lru_cache(maxsize=8192)(self._rank)

    def ranking(self, server_type: str, key: str) -> Sequence[Server]:
        """The servers of a type in the order in which they own a key.

        Raises:
            NoSuchServer: there is none of that type.
            TypeError: the key is not a text.
        """
        try:
            if len(key) > LONGEST_REMEMBERED:  # clients choose keys: what is kept is bounded
                return self._rank(server_type, key)
            return self._remembered(server_type, key)
        except TypeError:
            raise TypeError(f"a key is a text, not {key!r}") from None

    def owner(self, server_type: str, key: str) -> Member | None:
        """The member that owns a key; None where there is none of that type."""
        if server_type not in self.by_type:
            return None
        return self.view.get(self.ranking(server_type, key)[0].id)

    def without(self, server_ids: Collection[str]) -> Ownership:
        """What follows from the same view, with some servers left out."""
        return Ownership(self.view, self._rules, {*self._left_out, *server_ids})

    def lives(self, server_type: str) -> set[tuple[str, str]]:
        """The lives of those that share the keys of a type."""
        members = (self.view.get(server.id) for server in self.by_type.get(server_type, ()))
        return {member.life for member in members if member is not None}

    def _rank(self, server_type: str, key: str) -> list[Server]:
        servers = self.by_type.get(server_type)
        if not servers:
            raise NoSuchServer(server_type, f"owner of {key!r}")
        rule = self._rules.get(server_type, ranking)
        return [self.servers[server_id] for server_id in rule([s.id for s in servers], key)]
