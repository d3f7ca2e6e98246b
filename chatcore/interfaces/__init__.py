"""The interfaces that applications declare and are given."""

from chatcore.interfaces.application import BroadcastFilter, IApplication, IConfigurator, Route
from chatcore.interfaces.channels import IChannel, IChannels
from chatcore.interfaces.components import IHandler, IRemote, idempotent
from chatcore.interfaces.handshake import CheckClient, HandshakeHook, IHandshake
from chatcore.interfaces.rpc import IRpc, IRpcCall, IRpcTarget
from chatcore.interfaces.servers import IServer, IServers
from chatcore.interfaces.sessions import (
    Found,
    IFarSessions,
    ISession,
    ISessions,
    Kicks,
    Login,
    SessionStatistics,
)

__all__ = [
    "BroadcastFilter",
    "CheckClient",
    "Found",
    "HandshakeHook",
    "IApplication",
    "IChannel",
    "IChannels",
    "IConfigurator",
    "IFarSessions",
    "IHandler",
    "IHandshake",
    "IRemote",
    "IRpc",
    "IRpcCall",
    "IRpcTarget",
    "IServer",
    "IServers",
    "ISession",
    "ISessions",
    "Kicks",
    "Login",
    "Route",
    "SessionStatistics",
    "idempotent",
]
