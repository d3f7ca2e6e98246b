"""What can be set about clients' connections."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Annotated, Literal

from msgspec import Meta

from chatcore.config.settings import setting
from chatcore.connectors.addresses import parse_network
from chatcore.connectors.origins import parse_origin
from chatcore.wire.http import is_token

Seconds = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
Size = Annotated[int, Meta(ge=64, le=4 * 1024 * 1024)]
Policy = Literal["disconnect", "drop-oldest", "newest-per-route"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorSettings:
    """What a frontend speaks with its clients."""

    websocket: bool = setting(True, "whether Pomelo's clients may come by WebSocket")
    tcp: bool = setting(True, "whether clients may come by plain TCP, as Pomelo's C client does")
    socketio: bool = setting(
        True,
        "whether clients may come by socket.io, of any version; never where messages have to be"
        " signed",
    )
    udp: bool = setting(
        False, "whether clients may also come by UDP, on the port of the same number"
    )
    dictionary: bool = setting(
        False, "whether routes are sent as numbers, as with Pomelo's useDict"
    )
    protobuf: bool = setting(
        False,
        "whether bodies are sent in protobuf where a schema has their route, as with Pomelo's"
        " useProtobuf",
    )
    dictionary_file: str = setting(
        "",
        "file of routes beside those of handlers, seen from the application folder; none:"
        " dictionary.json in config, or in its folder for the environment",
    )
    server_protos: str = setting(
        "", "file of the schemas of pushes and answers; none: serverProtos.json, likewise"
    )
    client_protos: str = setting(
        "", "file of the schemas of requests and notifies; none: clientProtos.json, likewise"
    )
    reload_seconds: Seconds = setting(
        30.0,
        "seconds between looks whether the protobuf schemas have changed, for who comes then;"
        " 0 for never",
    )
    json_responses: tuple[str, ...] = setting(
        ("desktop", "CSharp Client", "Java Client", "Python Client", "Lua Client"),
        "types of clients that read every answer as JSON, whatever the schemas: libpomelo2's, as it"
        " and its bindings call themselves",
    )
    signed: bool = setting(
        False, "whether clients have to sign every message, as Pomelo's useCrypto asks them to"
    )

    @property
    def takes_socketio(self) -> bool:
        """Whether clients of socket.io may come: they sign nothing."""
        return self.socketio and not self.signed

    def __post_init__(self) -> None:
        if not (self.websocket or self.tcp or self.takes_socketio or self.udp):
            raise ValueError(
                "websocket, tcp, socketio and udp are all turned off, so that no client could come"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketioSettings:
    """What clients of socket.io are told, and may do."""

    namespaces: tuple[str, ...] = setting(("/",), "namespaces that clients may connect to")
    polling: bool = setting(True, "whether they may poll; all do so at first unless told not to")
    old: bool = setting(True, "whether those of socket.io 0.9 may come")
    ping_seconds: Annotated[float, Meta(gt=0)] = setting(
        25.0, "seconds between signs of life, from clients (1.x, 2.x) or to them (others)"
    )
    patience_seconds: Annotated[float, Meta(gt=0)] = setting(
        20.0, "seconds that a sign of life may be late, before the client is gone"
    )
    upgrade_seconds: Annotated[float, Meta(gt=0)] = setting(
        10.0, "seconds that a client that polls may take to go on by WebSocket"
    )
    keep_seconds: Seconds = setting(
        75.0, "seconds that an HTTP connection may stay without a request; 0 for ever"
    )
    script: str = setting(
        "",
        "file of the clients' library, which is served at /socket.io/socket.io.js, seen from the"
        " application folder; none: nothing is served there",
    )
    payload_bytes: Annotated[int, Meta(ge=1024, le=16 * 1024 * 1024)] = setting(
        1_000_000, "bytes that a client may send in one request when it polls"
    )
    attachments: Count = setting(10, "binary arguments that one event may have")
    cookie: str = setting(
        "io", "name of the cookie that clients of 1.x and 2.x get with their id; none: no cookie"
    )

    def __post_init__(self) -> None:
        for each in self.namespaces:
            if not each.startswith("/") or "," in each or "?" in each:
                raise ValueError(f"{each!r} is no namespace; write it as in '/admin'")
        if self.cookie and not is_token(self.cookie):
            raise ValueError(f"{self.cookie!r} is no name for a cookie; write it as in 'io'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What clients may use up. 0 turns a limit off."""

    package_bytes: Size = setting(65536, "bytes that a package's body may have")
    handshake_seconds: Seconds = setting(
        10.0,
        "seconds from connecting to the handshake's ack; so many as well for a request of a client"
        " that polls to come whole, and for it to come back after its first",
    )
    idle_seconds: Seconds = setting(
        0.0, "seconds that a client may go without a request or notify; heartbeats don't count"
    )
    connections: Count = setting(20000, "connections that a frontend accepts")
    connections_per_address: Count = setting(
        0,
        "connections that it accepts from one IPv4 address, or from one /64 of IPv6; clients of"
        " socket.io that poll count beside theirs",
    )
    blacklist: tuple[str, ...] = setting(
        (), "addresses and networks that are not let in, such as 192.0.2.7 or 2001:db8::/32"
    )
    origins: tuple[str, ...] = setting(
        (), "pages that may open WebSockets, such as https://chat.example.org; none given: all"
    )
    udp_handshakes: Count = setting(
        1000,
        "clients over UDP that may wait for their ack, at most a quarter of all connections; for"
        " one more, the oldest is forgotten",
    )
    udp_handshakes_per_address: Count = setting(
        100,
        "clients over UDP that may shake hands within handshake_seconds at one IPv4 address, or at"
        " one /64 of IPv6",
    )
    udp_connections: Count = setting(
        5000, "of all connections, those over UDP: nobody proves that they are not invented"
    )
    polling_handshakes: Count = setting(
        5000,
        "clients of socket.io that poll and have made their first request only, at most a quarter"
        " of all connections; for one more, the oldest is forgotten",
    )
    polling_handshakes_per_address: Count = setting(
        1000, "of those, how many may be at one IPv4 address, or at one /64 of IPv6"
    )
    messages_per_second: Seconds = setting(
        200.0, "messages a second from one client; each 4096 bytes of one count as one more"
    )
    message_burst: Annotated[int, Meta(ge=1)] = setting(
        400, "messages that one client may send at once"
    )
    requests_under_way: Count = setting(64, "requests of one client that wait for their answer")
    requests_under_way_in_all: Count = setting(
        20000,
        "requests and notifies of all clients that wait on one server, those of clients that have"
        " gone included",
    )
    handler_seconds: Seconds = setting(10.0, "seconds that a handler or remote may take")

    def __post_init__(self) -> None:
        for each in self.blacklist:
            parse_network(each)
        for origin in self.origins:
            parse_origin(origin)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """Encryption of the client port."""

    certificate: str = setting(
        "", "file of the certificate, as PEM, seen from the application folder; none: no TLS"
    )
    key: str = setting("", "file of its private key, as PEM without a password")
    chain: str = setting(
        "", "file of the certificates between it and the authority, where they are not beside it"
    )
    minimum: Literal["1.2", "1.3"] = setting("1.2", "lowest version of TLS")
    plain: bool = setting(False, "whether clients may also come without TLS, on the same port")
    reload_seconds: Seconds = setting(
        30.0, "seconds between looks whether these files have changed; 0 for never"
    )

    def __post_init__(self) -> None:
        if bool(self.certificate) != bool(self.key):
            raise ValueError("a certificate and a key belong together")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """Proxies between clients and the client port."""

    protocol: bool = setting(
        False, "whether every connection begins with a PROXY header (HAProxy's), 1 or 2"
    )
    forwarded_hops: Count = setting(
        0, "proxies that append to X-Forwarded-For; 0: the header is not believed"
    )
    trusted: tuple[str, ...] = setting(
        (
            "127.0.0.0/8",
            "::1",
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "fc00::/7",
        ),
        "addresses and networks of the proxies that are believed",
    )

    def __post_init__(self) -> None:
        for each in self.trusted:
            parse_network(each)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatSettings:
    """Heartbeats between clients and frontends."""

    interval: Seconds = setting(
        30.0,
        "seconds between heartbeats; 0 for none. Clients are told whole seconds, rounded up: others"
        " libpomelo2 does not read",
    )
    timeout: Seconds = setting(
        0.0,
        "seconds without a sign of life after which a client is gone; 0: twice the interval that"
        " clients are told",
    )

    def __post_init__(self) -> None:
        if self.timeout and not self.interval:
            raise ValueError(
                "without heartbeats nobody has to say anything, so there is no timeout for them;"
                " limits.idle_seconds closes clients that ask for nothing"
            )
        if self.interval and 0 < self.timeout <= self.told:
            raise ValueError(
                f"clients are heard every {self.told} s, so the timeout has to be longer than that"
            )

    @property
    def told(self) -> int:
        """The interval that clients are told, in seconds."""
        return ceil(self.interval)

    @property
    def silence(self) -> float:
        """Seconds without a sign of life after which a client is gone; 0 where nobody looks."""
        return self.timeout or 2 * self.told if self.interval else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainSettings:
    """How a server that drains gets rid of what it has; most of it is about clients."""

    batch: Annotated[int, Meta(ge=1)] = setting(
        50, "clients that are sent on at a time; more where half of seconds would not do for all"
    )
    interval_seconds: Annotated[float, Meta(ge=0.01)] = setting(0.1, "seconds between two batches")
    client_seconds: Annotated[float, Meta(gt=0)] = setting(
        5.0,
        "seconds that a client is given to be answered and to read what waits for it, before it is"
        " sent on; and as many again to take that and go",
    )
    grace_seconds: Seconds = setting(
        2.0, "seconds that the client port stays open at least, to send newcomers on as well"
    )
    seconds: Annotated[float, Meta(gt=0)] = setting(
        30.0, "seconds in all; who is left then is cut off"
    )
    name_places: bool = setting(
        True,
        "whether clients are told which frontend to go on to; not where all of them come by one"
        " address, as that of a load balancer",
    )
    on_term: bool = setting(
        False, "whether SIGTERM, and whatever else stops a server, drains it first"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxSettings:
    """What may wait for a client that does not read."""

    bytes: Annotated[int, Meta(ge=65536)] = setting(
        1024 * 1024, "bytes that may wait; beyond them, the policy says what happens"
    )
    seconds: Seconds = setting(
        30.0, "seconds that anything may wait; the policy says what happens then"
    )
    policy: Policy = setting(
        "disconnect",
        "whether a client with more waiting is disconnected, or does without the oldest pushes, or"
        " is sent only the newest push of each route; if that is not enough, it is disconnected",
    )
    interval: Annotated[float, Meta(ge=0, le=5)] = setting(
        0.0,
        "seconds to collect what is sent to a client; 0: until the end of the reactor's turn."
        " Pomelo's clients of socket.io get what was collected as one message",
    )
