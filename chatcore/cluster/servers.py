"""The servers of the view, as an application and the node itself see them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from twisted.logger import Logger
from zope.interface import implementer

from chatcore.cluster.ownership import Ownership, Rule
from chatcore.cluster.placement import pomelo_index, pomelo_ranking
from chatcore.cluster.view import View
from chatcore.config.servers import Server
from chatcore.errors import NoSuchServer
from chatcore.interfaces import IServer, IServers

ChangedHook = Callable[[View, View], None]


@implementer(IServers)
class ClusterServers:
    """The servers of the newest view that this node has heard of.

    What is chosen from are the servers that are up. One that drains, or takes no clients yet, is
    found by its id alone, and among the frontends.

    Args:
        view: the first view.
        rules: how keys are placed on the servers of a type, where it is not by `ranking`.
        connected: whether this node is connected to a server now.
        under_way: how many requests and calls this node has under way to a server.

    Attributes:
        view: the newest view.
        ownership: what follows from it.
    """

    log = Logger()

    def __init__(
        self,
        view: View,
        *,
        rules: Mapping[str, Rule] = {},
        connected: Callable[[str], bool] = lambda server_id: True,
        under_way: Callable[[str], int] = lambda server_id: 0,
    ) -> None:
        self._connected, self._under_way = connected, under_way
        self._rules = rules
        self._hooks: list[ChangedHook] = []
        self._placed: tuple[str, str] | None = None
        self._take(view)

    def _take(self, view: View) -> None:
        self.view = view
        self.ownership = Ownership(view, self._rules)
        self._frontends = [each.server for each in view.members if each.server.frontend]

    # What it follows.

    def follow(self, view: View) -> None:
        """Take a newer view for the one that counts, and tell all who asked."""
        old = self.view
        self._take(view)
        for hook in self._hooks:
            try:
                hook(old, view)
            except Exception:  # the others have to know of it all the more
                self.log.failure("View {epoch} could not be followed in all", epoch=view.epoch)

    def on_changed(self, hook: ChangedHook) -> None:
        """Have ``hook(old, new)`` called when there is a newer view, in the order of asking."""
        self._hooks.append(hook)

    def frontends(self) -> Sequence[Server]:
        """Those that have or will have clients, whatever their state, sorted by id."""
        return self._frontends

    def take_key(self, server_id: str) -> str | None:
        """The key by which a server was chosen just now; None if it was chosen by none.

        A route is a function of the application's: what it asked for its owner, and then chose, is
        what tells.
        """
        placed, self._placed = self._placed, None
        return placed[0] if placed is not None and placed[1] == server_id else None

    # What applications see.

    def __iter__(self) -> Iterator[IServer]:
        return iter(self.ownership.servers.values())

    def __len__(self) -> int:
        return len(self.ownership.servers)

    def types(self) -> list[str]:
        """The server types there are."""
        return list(self.ownership.by_type)

    def of_type(self, server_type: str) -> Sequence[IServer]:
        return self.ownership.by_type.get(server_type, [])

    def get(self, server_id: str) -> Server | None:
        member = self.view.get(server_id)
        return None if member is None else member.server

    def owner(self, server_type: str, key: str) -> IServer:
        owner = self.ownership.ranking(server_type, key)[0]
        self._placed = key, owner.id
        return owner

    def hashed(self, server_type: str, text: str) -> IServer:
        every = self.ownership.by_type.get(server_type)
        if not every:
            raise NoSuchServer(server_type, "a route by hash")
        server = every[pomelo_index(text, len(every))]
        if self._rules.get(server_type) is pomelo_ranking:
            self._placed = text, server.id
        return server

    def pick(self, server_type: str, key: str) -> IServer:
        for server in self.ownership.ranking(server_type, key):
            if self._connected(server.id):
                return server
        raise NoSuchServer(server_type, f"pick for {key[:40]!r}", "none is connected now")

    def connected(self, server_id: str) -> bool:
        return self.view.get(server_id) is not None and self._connected(server_id)

    def under_way(self, server_id: str) -> int:
        return self._under_way(server_id)

    def without(self, server_ids: Collection[str]) -> IServers:
        rest = tuple(each for each in self.view.members if each.id not in server_ids)
        servers = ClusterServers(
            View(self.view.epoch, rest),
            rules=self._rules,
            connected=self._connected,
            under_way=self._under_way,
        )
        servers.ownership = self.ownership.without(server_ids)
        return servers
