"""The header by which a proxy tells whom it stands for: HAProxy's PROXY protocol, version 1 and 2.

https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt, sections 2.1 and 2.2.
"""

from __future__ import annotations

import ipaddress
import re

from chatcore.errors import ProxyError

LONGEST_LINE = 107
"""Bytes of a header of version 1, its line end included."""

LONGEST_REST = 4096
"""Bytes behind the first 16 of a header of version 2: addresses, and what else the proxy says."""

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
"""How version 2 begins."""

_LINE = b"PROXY "
_HEAD = 16
_NUMBER = re.compile(r"0|[1-9][0-9]{0,4}")
_LOCAL, _PROXY = 0, 1
_TCP4, _TCP6 = 0x11, 0x21
_LENGTHS = {_TCP4: 4, _TCP6: 16}

Source = tuple[str, int]


def read_header(data: bytes) -> tuple[Source | None, int] | None:
    """The header at the beginning of a connection.

    Args:
        data: all that came so far, at least one byte.

    Returns:
        The client's host and port, and the length of the header in bytes. There is no client where
        the proxy speaks for itself (``LOCAL``), or does not say for whom (``UNKNOWN``). None if
        more has to come.

    Raises:
        ProxyError: that is no such header.
    """
    if data[: len(SIGNATURE)] == SIGNATURE[: len(data)]:
        return _version_2(data)
    if data[: len(_LINE)] == _LINE[: len(data)]:
        return _version_1(data)
    raise ProxyError("no PROXY header, where every connection has to begin with one")


def _version_1(data: bytes) -> tuple[Source | None, int] | None:
    end = data.find(b"\r\n", 0, LONGEST_LINE)
    if end < 0:
        if len(data) >= LONGEST_LINE:
            raise ProxyError("a PROXY header that does not end")
        return None
    words = data[len(_LINE) : end].decode("latin-1").split(" ")
    if words[0] == "UNKNOWN":
        return None, end + 2
    if words[0] not in ("TCP4", "TCP6") or len(words) != 5:
        raise ProxyError("a PROXY header that names no addresses")
    version = 4 if words[0] == "TCP4" else 6
    try:
        source, _ = (ipaddress.ip_address(word) for word in words[1:3])
    except ValueError as problem:
        raise ProxyError(f"a PROXY header in which {problem}") from None
    if source.version != version or "%" in words[1]:
        raise ProxyError("a PROXY header with an address of another kind than it says")
    return (str(source), _port(words[3])), end + 2


def _port(word: str) -> int:
    if not _NUMBER.fullmatch(word) or int(word) > 65535:
        raise ProxyError(f"a PROXY header with the port {word!r}")
    return int(word)


def _version_2(data: bytes) -> tuple[Source | None, int] | None:
    if len(data) < _HEAD:
        return None
    version, command = data[12] >> 4, data[12] & 0xF
    size = int.from_bytes(data[14:16], "big")
    if version != 2 or command not in (_LOCAL, _PROXY):
        raise ProxyError(f"a PROXY header of version {version} with the command {command}")
    if size > LONGEST_REST:
        raise ProxyError(f"a PROXY header of {size} bytes; {LONGEST_REST} at most")
    end = _HEAD + size
    if len(data) < end:
        return None
    length = _LENGTHS.get(data[13])
    if command == _LOCAL or length is None:
        return None, end
    if size < 2 * length + 4:
        raise ProxyError("a PROXY header that is too short for its addresses")
    source = ipaddress.ip_address(data[_HEAD : _HEAD + length])
    at = _HEAD + 2 * length
    return (str(source), int.from_bytes(data[at : at + 2], "big")), end
