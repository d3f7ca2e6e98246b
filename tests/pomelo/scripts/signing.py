"""Servers that want every message signed."""

from __future__ import annotations

from typing import Any

from pomelo.raw_client import ACK, package, request
from pomelo.scripts.playing import each
from pomelo.stage import Stage

ECHO = "sealed.sealedHandler.echo"
_KEY = {"rsa_n": "c5" * 128, "rsa_e": "10001"}


@each(
    "handshake where messages are signed",
    {"with a key": {"rsa": _KEY}, "without a key": {}, "with an empty key": {"rsa": {}}},
)
def keys(stage: Stage, sys: Any) -> None:
    one = stage.actor("sealed")
    one.greet(sys)
    one.take()
    one.send(package(ACK))


@each(
    "message where they are signed",
    {
        "without a signature": b"{}",
        "with a wrong signature": b'{"a":1,"__crypto__":"0123456789abcdef"}',
        "with a signature that is none": b'{"a":1,"__crypto__":[]}',
        "that is null": b"null",
        "that is not JSON": b"{a",
    },
)
def unsigned(stage: Stage, body: Any) -> None:
    one = stage.actor("sealed")
    one.greet({"rsa": _KEY})
    one.take()
    one.send(package(ACK), request(1, ECHO, body))
    one.take()
