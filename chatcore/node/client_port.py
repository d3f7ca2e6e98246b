"""A frontend's client port, as it is configured in settings and in servers.json."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from chatcore.config.servers import Server
from chatcore.config.settings import Settings
from chatcore.config.tls_files import TlsFiles
from chatcore.connectors.parts import ConnectorParts
from chatcore.connectors.port import ClientFactory
from chatcore.connectors.proxies import Proxies
from chatcore.connectors.settings import (
    ConnectorSettings,
    Limits,
    ProxySettings,
    SocketioSettings,
    TlsSettings,
)
from chatcore.connectors.socketio.lobby import Lobby
from chatcore.connectors.socketio.script import Script
from chatcore.connectors.tls import Certificates, load_context
from chatcore.connectors.watching import Watch
from chatcore.errors import ConfigError


def client_limits(server: Server, settings: Settings) -> Limits:
    """What a server's clients may use up: of two limits of connections, the smaller one."""
    limits = settings[Limits]
    given = [most for most in (limits.connections, server.max_connections) if most]
    return replace(limits, connections=min(given, default=0))


def client_factory(
    *,
    parts: ConnectorParts,
    reactor: Any,
    server: Server,
    settings: Settings,
    folder: Path,
    schemas: Watch,
) -> ClientFactory:
    """What takes in the clients of a server.

    Args:
        folder: the application's, from which relative paths are seen.
        schemas: looks for changes in the protobuf schemas.

    Raises:
        ConfigError: something is wrong with its certificate, or with a file that it serves.
    """
    tls, files = settings[TlsSettings], _tls_files(server, settings, folder)
    certificates = None
    watches = [schemas]
    if files is not None:
        certificates = Certificates(
            files=files, minimum=tls.minimum, seconds=tls.reload_seconds, clock=reactor
        )
        watches.append(certificates.watch)
    connector = settings[ConnectorSettings]
    lobby = None
    if connector.takes_socketio:
        script = load_script(server, settings, folder)
        lobby = Lobby(parts, settings[SocketioSettings], reactor, script=script)
    return ClientFactory(
        parts,
        reactor,
        lobby=lobby,
        connector=connector,
        proxies=Proxies(settings[ProxySettings]),
        certificates=certificates,
        watches=watches,
        plain=tls.plain,
    )


def load_script(server: Server, settings: Settings, folder: Path) -> Script:
    """The library of socket.io that a server has for pages, if it is to have one.

    Raises:
        ConfigError: its file can't be read.
    """
    name = settings[SocketioSettings].script
    if not (name and server.frontend and settings[ConnectorSettings].takes_socketio):
        return Script()
    file = folder / name
    try:
        return Script(file.read_bytes())
    except OSError as problem:
        raise ConfigError(
            f"socketio.script can't be read: {problem.strerror}",
            file=file,
            advice="Name the library's file, seen from the application folder",
        ) from None


def check_certificate(server: Server, settings: Settings, folder: Path) -> None:
    """Check what encrypts a server's client port, if anything does.

    Raises:
        ConfigError: something is wrong with its certificate.
    """
    files = _tls_files(server, settings, folder)
    if files is not None:
        load_context(files, settings[TlsSettings].minimum)


def _tls_files(server: Server, settings: Settings, folder: Path) -> TlsFiles | None:
    tls = settings[TlsSettings]
    if not server.frontend:
        return None
    if server.tls is not None:
        return server.tls.seen_from(folder)
    if not tls.certificate:
        return None
    chain = Path(tls.chain) if tls.chain else None
    return TlsFiles(Path(tls.certificate), Path(tls.key), chain).seen_from(folder)
