"""Where the proxy listens and where it dials, as people write it."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.endpoints import (
    HostnameEndpoint,
    UNIXClientEndpoint,
    UNIXServerEndpoint,
    clientFromString,
    quoteStringArgument,
    serverFromString,
)
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint

from chatcore.errors import ConfigError

LOOPBACK = "127.0.0.1"

CONNECT_SECONDS = 10.0
"""Seconds that a target has to take a connection."""

_ADVICE = (
    "Give a port, HOST:PORT, the path of a socket, or one of Twisted's endpoint descriptions, as in"
    " tcp:8000:interface=127.0.0.1"
)
_HOST_PORT = re.compile(r"(?:(\[[^\[\]]+\]|[^\[\]:/]+):)?([0-9]{1,5})")
_KINDS = ("tcp", "tcp4", "tcp6", "ssl", "tls", "unix")
_LOOPBACKS = {"tcp": LOOPBACK, "tcp4": LOOPBACK, "ssl": LOOPBACK, "tcp6": r"\:\:1"}
_SOCKET_MODE = 0o600


def server_endpoint(reactor: Any, place: str) -> IStreamServerEndpoint:
    """Where to listen; on the loopback, or for this user only, unless the place says otherwise.

    Raises:
        ConfigError: the place can't be understood.
    """
    if _is_path(place):
        return UNIXServerEndpoint(reactor, place, mode=_SOCKET_MODE, wantPID=True)
    found = _host_port(place)
    if found is not None:
        host, port = found
        kind = "tcp6" if ":" in host else "tcp"
        place = f"{kind}:{port}:interface={quoteStringArgument(host)}"
    kind, *arguments = re.split(r"(?<!\\):", place)
    named = {each.partition("=")[0] for each in arguments if "=" in each}
    plain = [each for each in arguments if "=" not in each]
    if kind in _LOOPBACKS and "interface" not in named and len(plain) < 2:
        place += f":interface={_LOOPBACKS[kind]}"
    if kind == "unix" and "mode" not in named and len(plain) < 2:
        place += f":mode={_SOCKET_MODE:o}"
    try:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, place)
    except Exception as problem:
        raise _unclear(place, problem) from None
    return endpoint


def client_endpoint(reactor: Any, place: str) -> IStreamClientEndpoint:
    """Where to dial.

    Raises:
        ConfigError: the place can't be understood.
    """
    if _is_path(place):
        return UNIXClientEndpoint(reactor, place, timeout=CONNECT_SECONDS)
    found = _host_port(place)
    if found is not None:
        return HostnameEndpoint(reactor, *found, timeout=CONNECT_SECONDS)
    try:
        endpoint: IStreamClientEndpoint = clientFromString(reactor, place)
    except Exception as problem:
        raise _unclear(place, problem) from None
    return endpoint


def name_of(address: Any) -> str:
    """A peer's address in words; empty where it has none."""
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    if host is not None and port is not None:
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    name = getattr(address, "name", None)
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else ""


def _is_path(place: str) -> bool:
    return place.startswith(("/", "./", "../"))


def _host_port(place: str) -> tuple[str, int] | None:
    found = _HOST_PORT.fullmatch(place)
    if found is None or found[1] in _KINDS:
        return None
    port = int(found[2])
    if port > 65535:
        raise ConfigError(f"there is no port {port}", advice=_ADVICE)
    return (found[1] or LOOPBACK).strip("[]"), port


def _unclear(place: str, problem: Exception) -> ConfigError:
    return ConfigError(f"'{place}' is no place to connect to ({problem})", advice=_ADVICE)
