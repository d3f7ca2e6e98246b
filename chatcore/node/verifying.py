"""Checking an application without starting it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from twisted.internet.task import Clock

from chatcore.config.servers import Servers
from chatcore.config.settings import Assignment, Settings
from chatcore.connectors.settings import ConnectorSettings
from chatcore.deadlines import IClock
from chatcore.dispatch.components import Catalogue
from chatcore.dispatch.loading import forget, load_application
from chatcore.links.settings import LinkSettings
from chatcore.links.tls import link_tls
from chatcore.node.client_port import check_certificate, load_script
from chatcore.node.configuring import configure
from chatcore.node.dialects import load_dialects
from chatcore.node.sections import SECTIONS
from chatcore.node.server_types import compare_types


def verify(
    folder: Path, servers: Servers, assignments: Sequence[Assignment]
) -> dict[str, Settings]:
    """Check an application as each of its servers would, without starting any.

    Returns:
        The settings of each server type that has servers.

    Raises:
        ConfigError: something in the application or in the settings is wrong.
    """
    catalogue = load_application(folder)
    try:
        return _verified(catalogue, folder, servers, assignments)
    finally:
        forget(catalogue.package)


def _verified(
    catalogue: Catalogue, folder: Path, servers: Servers, assignments: Sequence[Assignment]
) -> dict[str, Settings]:
    compare_types(catalogue, servers)
    found = {}
    for server_type in servers.types:
        for server in servers.of_type(server_type)[:1]:
            configured = configure(catalogue, servers, server, assignments, SECTIONS)
            found[server_type] = configured.settings
            if server.frontend:
                complete, settings = configured.catalogue, configured.settings
                coder = configured.said.codes_bodies
                load_dialects(complete, servers, settings[ConnectorSettings], coder)
        for server in servers.of_type(server_type):
            check_certificate(server, found[server_type], folder)
            load_script(server, found[server_type], folder)
            link_tls(found[server_type][LinkSettings], folder, server.id, cast(IClock, Clock()))
    return found
