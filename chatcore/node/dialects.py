"""What a frontend speaks with its clients, from the application's handlers and files."""

from __future__ import annotations

from pathlib import Path

from twisted.logger import Logger

from chatcore.config.dictionary import load_routes
from chatcore.config.names import listing, nearest
from chatcore.config.positions import find_json
from chatcore.config.protos import CLIENT_FILE, load_protos, proto_files
from chatcore.config.servers import Servers
from chatcore.connectors.coding import Coded
from chatcore.connectors.encoding import Dialects
from chatcore.connectors.settings import ConnectorSettings
from chatcore.connectors.watching import Watch
from chatcore.deadlines import IClock
from chatcore.dispatch.components import Catalogue
from chatcore.dispatch.dispatcher import FAILED
from chatcore.errors import BodyError, ConfigError
from chatcore.interfaces import ICoder
from chatcore.wire.dictionary import Dictionary
from chatcore.wire.protobuf import Protos, Schema

log = Logger()


def load_dialects(
    catalogue: Catalogue,
    servers: Servers,
    settings: ConnectorSettings,
    coder: ICoder | None = None,
) -> Dialects:
    """The dialects that clients may be spoken to in.

    Raises:
        ConfigError: there is a mistake in one of the files, or bodies are to have two forms.
    """
    if coder is not None and settings.protobuf:
        raise ConfigError(
            "bodies can't be both in protobuf and in the form of app.coder",
            advice="Set connector.protobuf to false, or leave out app.coder",
        )
    if coder is not None and settings.signed:
        raise ConfigError(
            "a signature is read out of a body in JSON, not in the form of app.coder",
            advice="Set connector.signed to false, or leave out app.coder",
        )
    if settings.protobuf:
        _verify_schemas(catalogue, servers, settings)
    return Dialects(
        coded=None if coder is None else Coded(coder),
        dictionary=_dictionary(catalogue, servers, settings) if settings.dictionary else None,
        protos=_schemas(catalogue.folder, servers.env, settings) if settings.protobuf else None,
        json_responses=settings.json_responses,
    )


def watch_schemas(
    dialects: Dialects, folder: Path, env: str, settings: ConnectorSettings, clock: IClock
) -> Watch:
    """What has who comes then spoken to by the schemas of that time, when they have changed."""
    return Watch(
        proto_files(folder, env, **_given(settings)) if settings.protobuf else (),
        seconds=settings.reload_seconds if settings.protobuf else 0,
        clock=clock,
        load=lambda: dialects.use(_schemas(folder, env, settings)),
    )


def warn_of_mute_answers(dialects: Dialects, catalogue: Catalogue, servers: Servers) -> None:
    """Log which requests have answers that can't say that something failed."""
    if dialects.protos is None:
        return
    schemas = dialects.protos.server
    mute = [route for route in _routes(catalogue, servers) if _is_mute(schemas, route)]
    if mute:
        log.warn(
            "The protobuf schemas leave no room for a code in the answers of {routes}: a refusal"
            " reaches clients as an empty body, which looks like success. Give these schemas an"
            ' "optional uInt32 code", and no required fields',
            routes=", ".join(mute),
        )


def _verify_schemas(catalogue: Catalogue, servers: Servers, settings: ConnectorSettings) -> None:
    """Refuse schemas of requests that no handler answers, and say so where there are none.

    Raises:
        ConfigError: a schema is a request's of which no handler knows.
    """
    folder, env = catalogue.folder, servers.env
    places = proto_files(folder, env, **_given(settings))
    if not any(map(Path.exists, places)):
        log.warn(
            "connector.protobuf is true, but there are no schemas, so every body is JSON. They"
            " are looked for in {places}",
            places=listing(map(str, places)),
        )
    client = find_json(folder, env, CLIENT_FILE, settings.client_protos)
    if client is None or not isinstance(client.value, dict):
        return
    routes = _routes(catalogue, servers)
    for route in client.value:
        parts = route.split(".")
        if len(parts) == 3 and parts[0] in servers.types and route not in routes:
            raise client.error(
                f"no handler has the route '{route}'", (route,), advice=_near(route, routes)
            )


def _near(route: str, routes: list[str]) -> str:
    near = nearest(route, routes)
    return f"Did you mean '{near}'?" if near else "Write the handler, or leave out its schema"


def _is_mute(schemas: Schema, route: str) -> bool:
    if route not in schemas:
        return False
    try:
        return not schemas.encode(FAILED, route)
    except BodyError:
        return True


def _schemas(folder: Path, env: str, settings: ConnectorSettings) -> Protos:
    files = load_protos(folder, env, **_given(settings))
    return Protos(files.server, files.client)


def _given(settings: ConnectorSettings) -> dict[str, str]:
    return {"server": settings.server_protos, "client": settings.client_protos}


def _dictionary(catalogue: Catalogue, servers: Servers, settings: ConnectorSettings) -> Dictionary:
    # Only of the types that servers.json lists, as in Pomelo: its clients compare the version.
    routes = _routes(catalogue, servers)
    more = load_routes(catalogue.folder, servers.env, len(routes), file=settings.dictionary_file)
    return Dictionary(routes, more)


def _routes(catalogue: Catalogue, servers: Servers) -> list[str]:
    return [
        f"{handler.server_type}.{handler.service}.{method}"
        for type in servers.types
        for handler in catalogue.handlers(type)
        for method in handler.methods
    ]
