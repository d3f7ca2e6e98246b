"""The route dictionary: two bytes instead of a route's text (Pomelo's ``useDict``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from chatcore.wire import body, javascript

MOST_ROUTES = 0xFFFF
"""A code has two bytes, and 0 is none."""


class Dictionary:
    """The codes of routes, equal on every node that was given the same routes.

    Codes run from 1: first the handlers' routes, sorted as JavaScript sorts, then the others as
    they come. A route that comes twice has the later of its codes, and both mean it, as in Pomelo.

    Args:
        routes: those of all handlers of all server types, in any order.
        extra: further routes, as of pushes, in the order of ``dictionary.json``.

    Attributes:
        codes: route to code.
        routes: code to route.
        version: what clients compare, to know whether the dictionary they keep is this one.

    Raises:
        ValueError: there are more than 65,535 routes.
    """

    def __init__(self, routes: Iterable[str], extra: Iterable[str] = ()) -> None:
        every = [*sorted(routes, key=javascript.code_units), *extra]
        if len(every) > MOST_ROUTES:
            raise ValueError(f"{len(every)} routes; a dictionary holds {MOST_ROUTES}")
        by_code = dict(enumerate(every, start=1))
        codes = javascript.in_order({route: code for code, route in by_code.items()})
        self.codes: Mapping[str, int] = MappingProxyType(codes)
        self.routes: Mapping[int, str] = MappingProxyType(by_code)
        self.version = javascript.version(javascript.compact_json(codes))
        self.handshake = self._handshake()

    def _handshake(self) -> bytes:
        """Its members of a handshake reply's ``sys``, made once for all clients."""
        codes = dict(self.codes)
        members = {
            "dict": codes,
            "routeToCode": codes,
            "codeToRoute": {str(code): route for code, route in self.routes.items()},
            "dictVersion": self.version,
        }
        return body.encode(members)[1:-1]
