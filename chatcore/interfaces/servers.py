"""The servers of the view, as an application sees them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from zope.interface import Attribute, Interface


class IServer(Interface):
    """One server of the view."""

    id: str = Attribute("Its id.")
    type: str = Attribute("Its server type.")
    host: str = Attribute("The host its link port is on.")
    client_host: str | None = Attribute("The host that clients are told, where it differs.")
    client_port: int | None = Attribute("The port for clients, on a frontend.")
    frontend: bool = Attribute("Whether clients connect to it.")
    weight: int = Attribute("How much it is given, compared with others of its type.")
    data: Mapping[str, Any] = Attribute("The object `data` of its entry in servers.json.")


class IServers(Interface):
    """The servers of the view that are up. Iterating gives all of them, sorted by id."""

    def __iter__() -> Iterator[IServer]:
        """All servers, sorted by id."""

    def __len__() -> int:
        """How many there are."""

    def types() -> list[str]:
        """The server types there are."""

    def of_type(server_type: str) -> Sequence[IServer]:
        """All servers of a type, sorted by id."""

    def get(server_id: str) -> IServer | None:
        """The server with that id, also one that drains or takes no clients yet."""

    def owner(server_type: str, key: str) -> IServer:
        """Which server of a type owns a key: the same on every node.

        Raises:
            NoSuchServer: there is none of that type.
        """

    def hashed(server_type: str, text: str) -> IServer:
        """Which server of a type Pomelo's applications choose for a text, by its CRC-32.

        Raises:
            NoSuchServer: there is none of that type.
        """

    def pick(server_type: str, key: str) -> IServer:
        """As `owner`, but only among the servers that this node is connected to now.

        For handing out frontends, where nothing is lost if two nodes differ.

        Raises:
            NoSuchServer: it is connected to none of that type.
        """

    def connected(server_id: str) -> bool:
        """Whether this node is connected to a server now; it always is to itself."""

    def under_way(server_id: str) -> int:
        """How many requests and calls this node has sent there that wait for their answer."""

    def without(server_ids: Collection[str]) -> IServers:
        """The same servers without some, which are not chosen any more.

        Who drains is not chosen in their place: it takes nothing new as long as others are up.
        """
