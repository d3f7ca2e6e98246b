"""What a frontend speaks with its clients, from the application's handlers and files."""

from __future__ import annotations

from pathlib import Path

from chatcore.config.dictionary import load_routes
from chatcore.config.protos import load_protos
from chatcore.config.servers import Servers
from chatcore.connectors.encoding import Dialects
from chatcore.connectors.settings import ConnectorSettings
from chatcore.dispatch.components import Catalogue
from chatcore.wire.dictionary import Dictionary
from chatcore.wire.protobuf import Protos


def load_dialects(catalogue: Catalogue, servers: Servers, settings: ConnectorSettings) -> Dialects:
    """The dialects that clients may be spoken to in.

    Raises:
        ConfigError: there is a mistake in one of the files.
    """
    return Dialects(
        dictionary=_dictionary(catalogue, servers) if settings.dictionary else None,
        protos=load_schemas(catalogue.folder, servers.env) if settings.protobuf else None,
        json_responses=settings.json_responses,
    )


def load_schemas(folder: Path, env: str) -> Protos:
    """The protobuf schemas of an application.

    Raises:
        ConfigError: there is a mistake in one of the files.
    """
    files = load_protos(folder, env)
    return Protos(files.server, files.client)


def _dictionary(catalogue: Catalogue, servers: Servers) -> Dictionary:
    # Only of the types that servers.json lists, as in Pomelo: its clients compare the version.
    routes = [
        f"{handler.server_type}.{handler.service}.{method}"
        for type in servers.types
        for handler in catalogue.handlers(type)
        for method in handler.methods
    ]
    return Dictionary(routes, load_routes(catalogue.folder, servers.env, len(routes)))
