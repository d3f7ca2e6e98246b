"""The view: which servers there are, and who owns what among them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import lru_cache

from zope.interface import implementer

from chatcore.cluster.placement import ranking
from chatcore.config.servers import Server
from chatcore.errors import NoSuchServer
from chatcore.interfaces import IServer, IServers

LONGEST_REMEMBERED = 64
"""Characters of a key whose ranking is remembered."""


@implementer(IServers)
class View:
    """A numbered list of servers.

    Args:
        servers: all there are.
        epoch: its number. The view that servers.json gives is the only one, number 0.
        connected: whether this node is connected to a server now.
        under_way: how many requests and calls this node has under way to a server.
    """

    def __init__(
        self,
        servers: Iterable[Server],
        *,
        epoch: int = 0,
        connected: Callable[[str], bool] = lambda server_id: True,
        under_way: Callable[[str], int] = lambda server_id: 0,
    ) -> None:
        self.epoch = epoch
        self._connected, self._under_way = connected, under_way
        self._by_id = {server.id: server for server in sorted(servers, key=lambda s: s.id)}
        self._by_type: dict[str, list[Server]] = {}
        for server in self._by_id.values():
            self._by_type.setdefault(server.type, []).append(server)
        self._frontends = [server for server in self._by_id.values() if server.frontend]
        # Rooms are asked for again and again; a bounded memory of the last ones saves hashing.
        self._remembered = lru_cache(maxsize=8192)(self._rank)

    def __iter__(self) -> Iterator[IServer]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def types(self) -> list[str]:
        """The server types there are."""
        return list(self._by_type)

    def frontends(self) -> Sequence[Server]:
        """Those that clients connect to, sorted by id."""
        return self._frontends

    def of_type(self, server_type: str) -> Sequence[IServer]:
        return self._by_type.get(server_type, [])

    def get(self, server_id: str) -> IServer | None:
        return self._by_id.get(server_id)

    def owner(self, server_type: str, key: str) -> IServer:
        return self._ranking(server_type, key)[0]

    def pick(self, server_type: str, key: str) -> IServer:
        ranked = self._ranking(server_type, key)
        for server in ranked:
            if self._connected(server.id):
                return server
        raise NoSuchServer(server_type, f"pick for {key[:40]!r}", "none is connected now")

    def connected(self, server_id: str) -> bool:
        return server_id in self._by_id and self._connected(server_id)

    def under_way(self, server_id: str) -> int:
        return self._under_way(server_id)

    def without(self, server_ids: Collection[str]) -> View:
        return View(
            (server for server in self._by_id.values() if server.id not in server_ids),
            epoch=self.epoch,
            connected=self._connected,
            under_way=self._under_way,
        )

    def _ranking(self, server_type: str, key: str) -> list[Server]:
        try:
            if len(key) > LONGEST_REMEMBERED:  # clients choose keys: what is kept is bounded
                return self._rank(server_type, key)
            return self._remembered(server_type, key)
        except TypeError:
            raise TypeError(f"a key is a text, not {key!r}") from None

    def _rank(self, server_type: str, key: str) -> list[Server]:
        servers = self._by_type.get(server_type)
        if not servers:
            raise NoSuchServer(server_type, f"owner of {key!r}")
        return [self._by_id[server_id] for server_id in ranking((s.id for s in servers), key)]
