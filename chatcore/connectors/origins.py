"""Which pages may open WebSockets (RFC 6454; RFC 6455, section 10.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

Origin = tuple[str, str, int] | None
"""Scheme, host and port; None for ``null``, as which pages without an origin present themselves."""

_PORTS = {"http": 80, "https": 443}
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?")


def parse_origin(text: str) -> Origin:
    """An origin as a browser sends it, as in ``https://chat.example.org:8443``.

    Raises:
        ValueError: that is none.
    """
    small = text.lower()
    if small == "null":
        return None
    found = _ORIGIN.fullmatch(small)
    if found is None:
        raise ValueError(f"{text!r} is no origin; write it as in https://chat.example.org")
    scheme, host, port = found.groups()
    return scheme, host, int(port) if port else _PORTS.get(scheme, 0)


def origin_of(fields: Mapping[str, str], *, script: bool) -> str | None:
    """The page that makes a request, as far as it is told; ``null`` for one that hides.

    Args:
        fields: the headers, by name in small letters.
        script: whether a script is asked for. Browsers fetch those for pages of all origins without
            saying so; then only the page itself is named, where it does not forbid that.
    """
    origin = fields.get("origin")
    if origin is not None or not script:
        return origin
    found = _ORIGIN.match(fields.get("referer", "").lower())
    return "null" if found is None else found[0]


class Origins:
    """The origins that are allowed; all, if there are none.

    Args:
        texts: the origins.

    Raises:
        ValueError: one of them is none.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._allowed = frozenset(parse_origin(text) for text in texts)

    def allow(self, text: str | None) -> bool:
        """Whether a WebSocket may be opened.

        Args:
            text: the header ``Origin``. Every browser sends it; who sends none is no page.
        """
        if not self._allowed or text is None:
            return True
        try:
            return parse_origin(text) in self._allowed
        except ValueError:
            return False
