"""What can be set about clients' connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from chatcore.config.settings import setting

Seconds = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
Size = Annotated[int, Meta(ge=64, le=4 * 1024 * 1024)]
Policy = Literal["disconnect", "drop-oldest", "newest-per-route"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorSettings:
    """What a frontend speaks with its clients."""

    dictionary: bool = setting(
        False, "whether routes are sent as numbers, as with Pomelo's useDict"
    )
    protobuf: bool = setting(
        False,
        "whether bodies are sent in protobuf where a schema has their route, as with Pomelo's"
        " useProtobuf",
    )
    json_responses: tuple[str, ...] = setting(
        ("desktop",),
        "types of clients that read every answer as JSON, as libpomelo2 does, whatever the schemas",
    )
    signed: bool = setting(
        False, "whether clients have to sign every message, as Pomelo's useCrypto asks them to"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What clients may use up. 0 turns a limit off."""

    package_bytes: Size = setting(65536, "bytes that a package's body may have")
    handshake_seconds: Seconds = setting(10.0, "seconds from connecting to the handshake's ack")
    idle_seconds: Seconds = setting(
        0.0, "seconds that a client may go without a request or notify; heartbeats don't count"
    )
    connections: Count = setting(20000, "connections that a frontend accepts")
    messages_per_second: Seconds = setting(
        200.0, "messages a second from one client; each 4096 bytes of one count as one more"
    )
    message_burst: Annotated[int, Meta(ge=1)] = setting(
        400, "messages that one client may send at once"
    )
    requests_under_way: Count = setting(64, "requests of one client that wait for their answer")
    handler_seconds: Seconds = setting(10.0, "seconds that a handler or remote may take")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatSettings:
    """Heartbeats between clients and frontends."""

    interval: Seconds = setting(30.0, "seconds between heartbeats; 0 for none")
    timeout: Seconds = setting(
        0.0, "seconds without a sign of life after which a client is gone; 0: twice the interval"
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
        0.0, "seconds to collect what is sent to a client; 0: until the end of the reactor's turn"
    )
