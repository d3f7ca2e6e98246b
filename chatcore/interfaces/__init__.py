"""The interfaces that applications declare and are given."""

from chatcore.interfaces.application import IApplication, IConfigurator, Route
from chatcore.interfaces.channels import IChannel, IChannels
from chatcore.interfaces.components import IHandler, IRemote
from chatcore.interfaces.handshake import CheckClient, HandshakeHook, IHandshake
from chatcore.interfaces.rpc import IRpc, IRpcTarget
from chatcore.interfaces.servers import IServer, IServers
from chatcore.interfaces.sessions import ISession, ISessions, Login, SessionStatistics

__all__ = [
    "CheckClient",
    "HandshakeHook",
    "IApplication",
    "IChannel",
    "IChannels",
    "IConfigurator",
    "IHandler",
    "IHandshake",
    "IRemote",
    "IRpc",
    "IRpcTarget",
    "IServer",
    "IServers",
    "ISession",
    "ISessions",
    "Login",
    "Route",
    "SessionStatistics",
]
