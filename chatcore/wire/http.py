"""The head of an HTTP/1 request, as far as a client port needs it (RFC 9112, sections 2 to 5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from chatcore.errors import HttpError

LONGEST_HEAD = 16384
"""Bytes that a head may have."""

END = b"\r\n\r\n"

LONGEST_KNOWN = 64
"""Characters of a header's name that may be remembered."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_NAME = re.compile(_TOKEN.decode())
_FIRST = re.compile(rb"(%s) ([!-~\x80-\xff]+) HTTP/(\d\.\d)" % _TOKEN)


def is_token(text: str) -> bool:
    """Whether a text may be a name, as of a method, a header or a subprotocol (section 5.6.2)."""
    return _NAME.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request.

    Args:
        method: as in ``GET``.
        target: what is asked for, as in ``/path?query``.
        version: ``1.1`` or ``1.0``.
        fields: the headers by name in small letters; several of one name joined by commas.
    """

    method: str
    target: str
    version: str
    fields: Mapping[str, str]

    @property
    def path(self) -> str:
        """What is asked for, without the query."""
        return self.target.partition("?")[0]

    @property
    def asks_for_websocket(self) -> bool:
        """Whether it is to become a WebSocket (RFC 6455, section 4.1)."""
        return (
            self.method == "GET"
            and self.version == "1.1"
            and "websocket" in _options(self.fields.get("upgrade", ""))
        )

    @property
    def just_looks(self) -> bool:
        """Whether it only asks what is there, as browsers and health checks do."""
        return self.method in ("GET", "HEAD") and "upgrade" not in self.fields

    @property
    def has_body(self) -> bool:
        """Whether something follows it that belongs to it (RFC 9112, section 6)."""
        fields = self.fields
        return "transfer-encoding" in fields or fields.get("content-length", "0") != "0"


def read_head(data: bytes) -> tuple[Head, int] | None:
    """The head at the beginning of ``data``, and its length in bytes; None if more has to come.

    Raises:
        HttpError: that is no HTTP, another version of it, or a head that is too long.
    """
    end = data.find(END, 0, LONGEST_HEAD)
    if end < 0 and len(data) >= LONGEST_HEAD:
        raise HttpError(f"an HTTP request whose head has more than {LONGEST_HEAD} bytes", 431)
    line, ended, _ = data.partition(b"\n")
    if not ended:
        return None
    first = _FIRST.fullmatch(line, 0, len(line) - 1)
    if first is None or not line.endswith(b"\r"):
        raise HttpError("a line that begins no HTTP request")
    method, target, version = (part.decode("latin-1") for part in first.groups())
    if version not in ("1.1", "1.0"):
        raise HttpError(f"HTTP in version {version}", 505)
    if end < 0:
        return None
    return Head(method, target, version, _fields(data[len(line) + 1 : end])), end + len(END)


def _fields(data: bytes) -> dict[str, str]:
    """The headers, without the end of the last."""
    text = data.decode("latin-1")
    lines = text.split("\r\n") if text else []
    ends = max(len(lines) - 1, 0)
    if "\0" in text or text.count("\r") != ends or text.count("\n") != ends:
        raise HttpError("a header that is none")
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        key = _key(name) if len(name) <= LONGEST_KNOWN else _read_key(name)
        if not colon:
            raise HttpError("a header that is none")
        value = value.strip(" \t")
        fields[key] = f"{fields[key]}, {value}" if key in fields else value
    return fields


def _read_key(name: str) -> str:
    if not is_token(name):
        raise HttpError("a header that is none")
    return name.lower()


_key = lru_cache(256)(_read_key)
"""The same, which need not be read anew for the few names that nearly all headers have."""


def _options(text: str) -> list[str]:
    return [option.strip().lower() for option in text.split(",")]
