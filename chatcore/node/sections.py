"""The settings of a node, by section."""

from chatcore.application.crons import CronSettings
from chatcore.cluster.settings import RegistrySettings
from chatcore.connectors.settings import (
    ConnectorSettings,
    DrainSettings,
    HeartbeatSettings,
    Limits,
    OutboxSettings,
    ProxySettings,
    SocketioSettings,
    TlsSettings,
)
from chatcore.links.settings import LinkSettings
from chatcore.node.lifecycle import NodeSettings
from chatcore.sessions.settings import SessionSettings
from chatcore.tracing import TracingSettings

SECTIONS: dict[str, type] = {
    "connector": ConnectorSettings,
    "socketio": SocketioSettings,
    "limits": Limits,
    "heartbeat": HeartbeatSettings,
    "outbox": OutboxSettings,
    "drain": DrainSettings,
    "tls": TlsSettings,
    "proxy": ProxySettings,
    "links": LinkSettings,
    "registry": RegistrySettings,
    "sessions": SessionSettings,
    "node": NodeSettings,
    "crons": CronSettings,
    "tracing": TracingSettings,
}
"""The settings of a node, by section."""
