"""Who chats: a person for each library, transport and habit that there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

PACKAGES = {
    "component-emitter": "1.3.1",
    "pomelo-jsclient-websocket": "0.1.1",
    "pomelo-protobuf": "0.4.0",
    "pomelo-protocol": "0.1.6",
    "socket.io-client-0": "npm:socket.io-client@0.9.17",
    "socket.io-client-1": "npm:socket.io-client@1.7.4",
    "socket.io-client-2": "npm:socket.io-client@2.5.0",
    "socket.io-client-3": "npm:socket.io-client@3.1.3",
    "socket.io-client-4": "npm:socket.io-client@4.8.4",
    "ws": "8.18.0",
}

LEGACY = ("0.9", "1.x", "2.x")
"""The libraries that people have used to speak to Pomelo."""


@dataclass(frozen=True)
class About:
    """What a client is made of.

    Args:
        library: as in ``1.x``.
        transports: what it says that it uses, the last of which it stays with.
        habit: ``pomelo``, for composed messages, or ``plain``.
        scripted: whether it polls by scripts.
        fetches: whether it polls by the newer of the ways that browsers have.
        host: how it calls the servers.
    """

    library: str
    transports: tuple[str, ...]
    habit: str = "plain"
    scripted: bool = False
    fetches: bool = False
    host: str = ""

    @property
    def label(self) -> str:
        """What a test calls it."""
        carried = "upgrade" if len(self.transports) > 1 else self.shown[-1]
        return f"{self.library}-{carried}-{self.habit}"

    @property
    def shown(self) -> list[str]:
        """The transports that are seen."""
        if self.scripted and self.library != "0.9":
            return ["jsonp"]
        return ["fetch"] if self.fetches else list(self.transports)

    def as_json(self) -> dict[str, Any]:
        """For the libraries' side."""
        return asdict(self)


def _ways(library: str, page: bool) -> Iterator[About]:
    if library == "0.9":
        yield About(library, ("websocket",))
        yield About(library, ("xhr-polling",))
        if page:
            yield About(library, ("jsonp-polling",), scripted=True)
        return
    yield About(library, ("websocket",))
    yield About(library, ("polling",))
    yield About(library, ("polling", "websocket"))
    if library == "4.x":
        yield About(library, ("polling",), fetches=True)
    elif page:
        yield About(library, ("polling",), scripted=True)


def everybody(*, page: bool) -> list[About]:
    """All who can be in a page, or in Node.

    In a page, each calls the servers by another name: browsers have six connections for each.
    """
    found = []
    for library in ("0.9", "1.x", "2.x", "3.x", "4.x"):
        for each in _ways(library, page):
            found.append(each)
            if library in LEGACY:
                found.append(replace(each, habit="pomelo"))
    if page:
        found = [replace(each, host=f"p{n}.localhost") for n, each in enumerate(found)]
    return found
