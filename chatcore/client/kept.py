"""What servers said of route codes and schemas, so that they need not say it again."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from chatcore.client.dialect import Dialect
from chatcore.errors import HandshakeError


class Kept:
    """What one server said in its handshakes.

    Args:
        cache: what all servers said, by their addresses; it holds what JSON can. What else is found
            there is passed over.
        server: the address of this one.
    """

    def __init__(self, cache: MutableMapping[str, Any], server: str) -> None:
        self._cache, self._server = cache, server
        self._known: Mapping[str, Any] = {}

    def offer(self) -> dict[str, str]:
        """The versions that are known here, for the ``sys`` of a handshake."""
        self._known = _usable(self._cache.get(self._server))
        versions = {
            "dictVersion": self._known.get("dictVersion"),
            "protoVersion": self._known.get("protos", {}).get("version"),
        }
        return {name: version for name, version in versions.items() if version}

    def agree(self, sys: Mapping[str, Any]) -> Dialect:
        """What both speak, and keep it.

        Args:
            sys: what the server said; it may leave out what it was offered.

        Raises:
            HandshakeError: it said something that can't be used, or too little.
        """
        told = {key: sys[key] for key in ("dictVersion", "protos") if key in sys}
        codes = sys.get("routeToCode", sys.get("dict"))
        if codes is not None:
            told["routeToCode"] = codes
        used = dict(told)
        for flag, key in (("useDict", "routeToCode"), ("useProto", "protos")):
            if sys.get(flag) and key not in told:
                if key not in self._known:
                    raise HandshakeError(f"{flag} without what is used, and none is known here")
                used[key] = self._known[key]
        dialect = Dialect.agreed(used)
        kept = {**self._known, **told}
        if kept != self._known:
            self._cache[self._server] = kept
        return dialect


def _usable(found: Any) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        return {}
    try:
        Dialect.agreed(found)
    except HandshakeError:
        return {}
    return found
