"""Packages, frames and streams, whole and broken."""

from __future__ import annotations

import struct
from typing import Any

from pomelo.raw_client import (
    ACK,
    DATA,
    HANDSHAKE,
    HEARTBEAT,
    KICK,
    notify,
    package,
    request,
)
from pomelo.scripts.playing import LAB_ECHO, PROBE_ECHO, each, script
from pomelo.stage import Stage


@each("package of the type", {str(kind): kind for kind in (0, KICK, 6, 255)})
def bad_types(stage: Stage, kind: Any) -> None:
    one = stage.at_work("probe")
    one.send(struct.pack("!I", kind << 24))
    one.ended()


@each("message without", {"anything": b"", "an id": b"\x00", "a route": b"\x00\x01"})
def truncated(stage: Stage, data: Any) -> None:
    one = stage.at_work("probe")
    one.send(package(DATA, data))
    one.fence()


@each(
    "message cut short",
    {
        "in its id": b"\x00\x81",
        "in its route": b"\x00\x01\x20probe.probe",
        "in its route code": b"\x01\x01\x00",
    },
)
def cut_short(stage: Stage, data: Any) -> None:
    one = stage.at_work("probe")
    one.send(package(DATA, data))
    one.fence()


@script("close code after nonsense", ["websocket"])
def close_code(stage: Stage) -> None:
    one = stage.at_work("probe")
    one.send(b"\x09\x00\x00\x00")
    one.close_code()


@script("close code after a refused handshake", ["websocket"])
def close_code_refused(stage: Stage) -> None:
    one = stage.actor("probe")
    one.send(package(HANDSHAKE, b"{}"))
    one.close_code()


@script("close code after a kick", ["websocket"])
def close_code_kick(stage: Stage) -> None:
    one = stage.at_work("probe")
    one.ask(1, "probe.probeHandler.bind", {"uid": stage.unique("close code")})
    one.send(notify("probe.probeHandler.kick", b'{"reason":"out"}'))
    one.close_code()


@script("two packages in one frame", ["websocket"])
def two_packages(stage: Stage) -> None:
    one = stage.at_work("probe")
    one.send(request(1, PROBE_ECHO) + request(2, PROBE_ECHO))
    one.take(2)
    one.fence()


@script("empty frame", ["websocket"])
def empty_frame(stage: Stage) -> None:
    one = stage.at_work("probe")
    one.send(b"")
    one.fence()


@script("text frames", ["websocket"])
def text_frames(stage: Stage) -> None:
    one = stage.at_work("probe")
    one.send_text(package(HEARTBEAT))
    one.take()
    one.send_text(request(1, PROBE_ECHO, '{"a":"中"}'.encode()))
    one.take()


@each("bytes left over", {str(n): n for n in (1, 2, 3)}, ["websocket"])
def trailing(stage: Stage, count: Any) -> None:
    one = stage.at_work("probe")
    one.send(request(1, PROBE_ECHO) + b"\x04\x00\x00"[:count])
    one.take()
    one.fence()


@script("frame shorter than its package", ["websocket"])
def short_frame(stage: Stage) -> None:
    one = stage.at_work("probe")
    one.send(request(1, PROBE_ECHO, b'{"a":1}     ')[:-5])
    one.take()
    one.fence()


@script("every byte on its own", ["tcp"])
def byte_by_byte(stage: Stage) -> None:
    one = stage.actor("probe")
    hello = package(HANDSHAKE, b'{"sys":{}}')
    for byte in hello:
        one.send(bytes((byte,)))
    one.take()
    for byte in package(ACK) + request(1, PROBE_ECHO, '{"a":"中"}'.encode()) + package(HEARTBEAT):
        one.send(bytes((byte,)))
    one.take(3)


@script("many packages at once", ["tcp"])
def many_at_once(stage: Stage) -> None:
    one = stage.at_work("probe")
    one.send(
        b"".join(request(n, PROBE_ECHO, b'{"n":%d}' % n) for n in range(1, 6)) + package(HEARTBEAT)
    )
    one.take(6)


@script("nonsense from the first byte", ["tcp"])
def nonsense(stage: Stage) -> None:
    one = stage.actor("probe")
    one.send(b"\x16\x03\x01\x02\x00\x01\x00\x01")
    one.ended()


@each(
    "plain HTTP",
    {
        "GET": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "HEAD": b"HEAD / HTTP/1.0\r\n\r\n",
        "OPTIONS": b"OPTIONS / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    },
    ["tcp"],
)
def http(stage: Stage, data: Any) -> None:
    stage.speak("bare", data)


@script("long messages")
def long_messages(stage: Stage) -> None:
    one = stage.at_work("probe")
    one.ask(1, PROBE_ECHO, {"a": "x" * 60_000})
    one.ask(2, LAB_ECHO, {"a": "中" * 20_000})


@script("messages that are too long")
def too_long(stage: Stage) -> None:
    one = stage.at_work("probe")
    one.send(request(1, "probe.probeHandler.nothing", b'{"a":"%s"}' % (b"x" * 70_000)))
    one.take()
    one.fence()
