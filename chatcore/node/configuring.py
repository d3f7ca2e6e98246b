"""What the application says about one of its servers, and what the settings come to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from chatcore.application import Configurator
from chatcore.application.crons import CronSettings, verified_action
from chatcore.cluster.settings import OF_MASTERS
from chatcore.config.addresses import is_loopback
from chatcore.config.crons import CronEntry, load_crons
from chatcore.config.servers import Server, Servers
from chatcore.config.settings import Assignment, Settings, resolve
from chatcore.config.settings_file import settings_in_file
from chatcore.config.times import zone_of
from chatcore.connectors.settings import ConnectorSettings, HeartbeatSettings, Limits
from chatcore.dispatch.blame import guarded, source_of
from chatcore.dispatch.components import Catalogue
from chatcore.dispatch.loading import load_plugin
from chatcore.errors import ConfigError
from chatcore.links.settings import ENCRYPT, LinkSettings
from chatcore.node.access import verify_access
from chatcore.node.lifecycle import NodeSettings
from chatcore.node.server_types import verify_components
from chatcore.sessions.settings import SessionSettings

OF_START: Final = ("page", "master")
"""Sections that belong to ``chatcore start``, and to no node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """A server, configured.

    Attributes:
        said: what ``configure(app)`` said.
        settings: what all settings came to.
        catalogue: the components of the application and of its plugins.
        crons: those of this server.
    """

    said: Configurator
    settings: Settings
    catalogue: Catalogue
    crons: Sequence[CronEntry]


def configure(
    catalogue: Catalogue,
    servers: Servers,
    server: Server,
    assignments: Sequence[Assignment],
    sections: Mapping[str, type],
) -> Configured:
    """Let the application configure a server, and give every setting its value.

    Args:
        catalogue: the components that its folder holds.
        assignments: settings given where the node is started.
        sections: those of the node.

    Raises:
        ConfigError: something in the application or in the settings is wrong.
    """
    said = _said(catalogue, servers, server.type, sections)
    _refuse_settings_of_masters(said.assignments)
    complete = _with_plugins(catalogue, servers, said)
    verify_access(complete, servers)
    known = {**sections, **said.sections}
    given = [
        *settings_in_file(catalogue.folder, servers.env),
        *said.assignments,
        *assignments,
    ]
    others = partial(_sections_elsewhere, catalogue, servers, server, sections)
    settings = resolve(known, _for_this_type(given, known, others))
    _verify_zone(settings)
    _refuse_blind_reload(settings[NodeSettings])
    if not (settings[LinkSettings].tls or settings[LinkSettings].insecure):
        _refuse_open_links(servers)
    _refuse_idle_scope(settings[SessionSettings])
    if settings[ConnectorSettings].udp:
        _refuse_clients_for_ever(settings)
    crons = load_crons(catalogue.folder, servers)
    for folder in complete.folders:
        crons += load_crons(folder, servers, lenient=True)
    _verify_crons(crons, complete)
    verify_components(complete, servers)
    return Configured(
        said=said,
        settings=settings,
        catalogue=complete,
        crons=[
            entry
            for entry in crons
            if entry.server_type == server.type and entry.server_id in (None, server.id)
        ],
    )


def _said(
    catalogue: Catalogue, servers: Servers, server_type: str, sections: Mapping[str, type]
) -> Configurator:
    types = dict.fromkeys([*servers.types, *catalogue.server_types])
    said = Configurator(
        env=servers.env,
        server_type=server_type,
        server_types=list(types),
        folder=catalogue.folder,
        taken=[*sections, *OF_START],
    )
    if catalogue.configure is not None:
        file, line = source_of(catalogue.configure)
        guarded(
            catalogue.configure,
            said,
            folder=catalogue.folder,
            doing="configure(app)",
            place=(file or catalogue.folder / "app.py", line),
        )
        said.verify()
    return said


def _with_plugins(catalogue: Catalogue, servers: Servers, said: Configurator) -> Catalogue:
    types = dict.fromkeys([*servers.types, *catalogue.server_types])
    complete = catalogue.complete(types)
    own, complete.hooks = complete.hooks, []
    for plugin in said.plugins:
        if plugin.folder is not None:
            load_plugin(complete, plugin.folder, plugin.package)
    complete.hooks += own  # who uses a plugin finds at start what it has made
    return complete.complete(types)


def _for_this_type(
    given: Iterable[Assignment],
    known: Mapping[str, type],
    others: partial[set[str]],
) -> list[Assignment]:
    """Leave out what is said to servers of other types, whose application has other sections."""
    ours: list[Assignment] = []
    elsewhere: set[str] | None = None
    for assignment in given:
        name = assignment.key.partition(".")[0]
        if name in OF_START:
            continue
        if name not in known:
            elsewhere = others() if elsewhere is None else elsewhere
            if name in elsewhere:
                continue
        ours.append(assignment)
    return ours


def _sections_elsewhere(
    catalogue: Catalogue, servers: Servers, server: Server, sections: Mapping[str, type]
) -> set[str]:
    return {
        name
        for server_type in servers.types
        if server_type != server.type
        for name in _said(catalogue, servers, server_type, sections).sections
    }


def _refuse_settings_of_masters(said: Iterable[Assignment]) -> None:
    for assignment in said:
        name = assignment.key.partition(".")[0]
        if name in OF_START or assignment.key in OF_MASTERS:
            raise ConfigError(
                f"'{assignment.key}' can't be set in app.py, which chatcore start and twistd"
                " chatmaster do not read",
                file=assignment.source,
                advice="Write it into settings.json, for all alike",
            )


def _verify_zone(settings: Settings) -> None:
    try:
        zone_of(settings[CronSettings].timezone)
    except ValueError as problem:
        raise ConfigError(f"crons.timezone: {problem}", advice="As in Europe/Berlin") from None


def _verify_crons(crons: Sequence[CronEntry], catalogue: Catalogue) -> None:
    ids: dict[tuple[str, str, str | None], CronEntry] = {}
    for entry in crons:
        place = (entry.file, entry.line)
        actions = {
            f"{cron.service}.{method}": _nothing
            for cron in catalogue.crons(entry.server_type)
            for method in cron.methods
        }
        verified_action(entry.action, actions, entry.id, place)
        for server_id in {None, entry.server_id}:
            other = ids.get((entry.server_type, entry.id, server_id))
            if other is not None:
                raise ConfigError(
                    f"the id {entry.id} is the cron's in {other.file}:{other.line} already",
                    file=entry.file,
                    line=entry.line,
                    advice="Give one of the two another id",
                )
        ids[entry.server_type, entry.id, entry.server_id] = entry


def _nothing() -> None:
    pass


def _refuse_blind_reload(settings: NodeSettings) -> None:
    if settings.reload_handlers and not settings.reload_seconds:
        raise ConfigError(
            "with node.reload_seconds=0 nobody looks whether files have changed, and"
            " node.reload_handlers is on",
            advice="Set node.reload_seconds to more than 0, as 1",
        )


def _refuse_open_links(servers: Servers) -> None:
    for server in servers:
        if server.port is not None and not is_loopback(server.host):
            raise ConfigError(
                f"the link port of {server.id} is on {server.host}, which others may reach,"
                " and links are not encrypted",
                file=servers.file if server.line else None,
                line=server.line or None,
                advice=ENCRYPT,
            )


def _refuse_idle_scope(settings: SessionSettings) -> None:
    if settings.scope == "cluster" and settings.per_uid == "many":
        raise ConfigError(
            "sessions.scope is cluster, and sessions.per_uid lets a uid have many sessions: nobody"
            " looks for its first one",
            advice="Set sessions.per_uid to refuse or takeover",
        )


def _refuse_clients_for_ever(settings: Settings) -> None:
    limits = settings[Limits]
    silence = settings[HeartbeatSettings].interval or limits.idle_seconds
    if not silence or not limits.handshake_seconds:
        raise ConfigError(
            "with connector.udp=true, only silence tells that a client is gone, and nothing looks"
            " for it",
            advice="Set limits.handshake_seconds, and heartbeat.interval or limits.idle_seconds,"
            " to more than 0",
        )
