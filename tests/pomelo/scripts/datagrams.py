"""Clients over UDP."""

from __future__ import annotations

import struct
from typing import Any

from pomelo.raw_client import ACK, DATA, HANDSHAKE, HEARTBEAT, KICK, notify, package, request
from pomelo.scripts.playing import LAB_ECHO, each, script
from pomelo.stage import Stage

ECHO = "air.airHandler.echo"
UDP = ("udp",)


@script("by UDP: a conversation", UDP)
def conversation(stage: Stage) -> None:
    one = stage.actor("air")
    one.shake()
    one.send(package(HEARTBEAT))
    one.take()
    one.ask(1, ECHO, {"a": "中"})
    one.ask(300, LAB_ECHO, {"a": [1]})
    one.ask(2, "air.airHandler.fail")
    one.send(notify("lab.labHandler.note", b'{"a":1}'))
    one.ask(3, "lab.labHandler.notes")


@script("by UDP: pushes and a kick", UDP, quiet=True)
def pushes(stage: Stage) -> None:
    one = stage.at_work("air")
    one.ask(1, "lab.labHandler.bind", {"uid": stage.unique("udp")})
    one.ask(2, "lab.labHandler.push", {"route": "onOther", "msg": {"a": 1}}, count=0)
    one.gather(2)
    one.send(notify("air.airHandler.kick", b'{"reason":"out"}'))
    one.take()
    one.send(request(4, ECHO))
    one.take()


@script("by UDP: two clients", UDP)
def two_clients(stage: Stage) -> None:
    one, other = stage.at_work("air", "one"), stage.at_work("air", "other")
    one.ask(1, "air.airHandler.note", {"a": 1})
    other.ask(1, "air.airHandler.notes")
    one.ask(2, "air.airHandler.notes")


@each(
    "by UDP: before the handshake",
    {
        "a request": request(1, ECHO),
        "an ack": package(ACK),
        "a heartbeat": package(HEARTBEAT),
        "nonsense": b"\x16\x03\x01\x02",
        "nothing": b"",
    },
    UDP,
)
def before_handshake(stage: Stage, data: Any) -> None:
    one = stage.actor("air")
    one.send(data)
    one.shake()


@script("by UDP: the handshake again before the ack", UDP)
def again(stage: Stage) -> None:
    one = stage.actor("air")
    one.greet({})
    one.take()
    one.greet({})
    one.send(package(ACK))
    one.fence()


@script("by UDP: a handshake that is refused", UDP)
def refused(stage: Stage) -> None:
    one = stage.actor("air")
    one.send(package(HANDSHAKE, b"{}"))
    one.take()


@script("by UDP: a kick from the client", UDP, quiet=True)
def kick(stage: Stage) -> None:
    one = stage.at_work("air")
    one.send(package(KICK))
    one.fence()


@each(
    "by UDP: a datagram with",
    {
        "two packages": request(1, ECHO) + request(2, ECHO),
        "bytes left over": request(1, ECHO) + b"\x04\x00",
        "less than its package": request(1, ECHO)[:-1],
        "a package of no type": struct.pack("!I", 9 << 24),
        "an empty message": package(DATA),
        "a message cut short": package(DATA, b"\x00\x81"),
        "nothing": b"",
    },
    UDP,
)
def odd(stage: Stage, data: Any) -> None:
    one = stage.at_work("air")
    one.send(data)
    one.fence()
