"""The interfaces that applications declare and are given."""

from chatcore.interfaces.access import access
from chatcore.interfaces.application import IApplication
from chatcore.interfaces.blacklist import IBlacklist
from chatcore.interfaces.carrying import ICoder, IPush, PushScheduler
from chatcore.interfaces.channels import IChannel, IChannels
from chatcore.interfaces.components import ICron, IHandler, IRemote, idempotent
from chatcore.interfaces.configurator import BroadcastFilter, IConfigurator, Route
from chatcore.interfaces.filters import After, Before, ErrorHandler, IFilter, IRequest
from chatcore.interfaces.handshake import CheckClient, HandshakeHook, IHandshake
from chatcore.interfaces.lifecycle import IComponent, ICronJob, ICrons, IPlugin
from chatcore.interfaces.redaction import redacted
from chatcore.interfaces.rpc import IRpc, IRpcCall, IRpcTarget
from chatcore.interfaces.servers import IServer, IServers
from chatcore.interfaces.sessions import (
    Address,
    Found,
    IFarSessions,
    ISession,
    ISessions,
    Kicks,
    Login,
    SessionStatistics,
)

__all__ = [
    "Address",
    "After",
    "Before",
    "BroadcastFilter",
    "CheckClient",
    "ErrorHandler",
    "Found",
    "HandshakeHook",
    "IApplication",
    "IBlacklist",
    "IChannel",
    "IChannels",
    "ICoder",
    "IComponent",
    "IConfigurator",
    "ICron",
    "ICronJob",
    "ICrons",
    "IFarSessions",
    "IFilter",
    "IHandler",
    "IHandshake",
    "IPlugin",
    "IPush",
    "IRemote",
    "IRequest",
    "IRpc",
    "IRpcCall",
    "IRpcTarget",
    "IServer",
    "IServers",
    "ISession",
    "ISessions",
    "Kicks",
    "Login",
    "PushScheduler",
    "Route",
    "SessionStatistics",
    "access",
    "idempotent",
    "redacted",
]
