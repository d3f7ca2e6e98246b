"""Kinds of messages, their ids and routes."""

from __future__ import annotations

from typing import Any

from pomelo.raw_client import (
    DATA,
    PUSH,
    REQUEST,
    RESPONSE,
    message,
    notify,
    package,
    request,
)
from pomelo.scripts.playing import LAB_ECHO, NOTE, PROBE_ECHO, each, script
from pomelo.stage import Stage


@script("request, notify and push from a client")
def kinds(stage: Stage) -> None:
    one = stage.at_work("probe")
    body = b'{"a":1}'
    one.send(request(1, NOTE, body), notify(NOTE, b'{"a":2}'), message(PUSH, 0, NOTE, b'{"a":3}'))
    one.take()
    one.ask(2, "probe.probeHandler.notes")


@script("notify that the handler answers")
def answered_notify(stage: Stage) -> None:
    one = stage.at_work("probe")
    one.send(notify(PROBE_ECHO), notify(LAB_ECHO))
    one.fence()


@script("response from a client")
def response_from_client(stage: Stage) -> None:
    one = stage.at_work("probe")
    one.send(message(RESPONSE, 1, "", b"{}"))
    one.fence()


@script("request with the id 0")
def request_zero(stage: Stage) -> None:
    one = stage.at_work("probe")
    one.send(message(REQUEST, 0, NOTE, b'{"a":1}'))
    one.ask(1, "probe.probeHandler.notes")


@each("request id", {str(n): n for n in (1, 127, 128, 300, 16384, 2097152, 2**31 - 1)})
def ids(stage: Stage, number: Any) -> None:
    one = stage.at_work("probe")
    one.ask(number, PROBE_ECHO)


@script("request id of 32 bits", ["websocket"], ruins="bare-server-2")
def large_id(stage: Stage) -> None:
    one = stage.at_work("bare", number=2)
    one.ask(2**31, "bare.bareHandler.echo")
    one.ask(2**32 - 1, "bare.bareHandler.echo")
    one.fence()


@script("request id written longer than needed")
def long_id(stage: Stage) -> None:
    one = stage.at_work("probe")
    route = bytes((len(PROBE_ECHO),)) + PROBE_ECHO.encode()
    one.send(package(DATA, b"\x00\x81\x80\x00" + route + b"{}"))
    one.take()


@script("request id of six bytes")
def six_bytes(stage: Stage) -> None:
    one = stage.at_work("probe")
    route = bytes((len(PROBE_ECHO),)) + PROBE_ECHO.encode()
    one.send(package(DATA, b"\x00\x81\x80\x80\x80\x80\x00" + route + b"{}"))
    one.take()
    one.fence()


@each("message of the kind", {str(kind): kind for kind in (4, 5, 6, 7)})
def unknown_kinds(stage: Stage, kind: Any) -> None:
    one = stage.at_work("probe")
    one.send(package(DATA, bytes((kind << 1,)) + b"\x01{}"))
    one.fence()


@each("message with the flag", {hex(bit): bit for bit in (0x10, 0x20, 0x40, 0x80)})
def flags(stage: Stage, bit: Any) -> None:
    one = stage.at_work("probe")
    route = bytes((len(PROBE_ECHO),)) + PROBE_ECHO.encode()
    one.send(package(DATA, bytes((bit, 1)) + route + b"{}"))
    one.take()
    one.fence()


@each(
    "route",
    {
        "no such server type": "shop.shopHandler.buy",
        "no such handler": "probe.otherHandler.echo",
        "no such handler, elsewhere": "lab.otherHandler.echo",
        "no such method": "probe.probeHandler.other",
        "no such method, elsewhere": "lab.labHandler.other",
        "two parts": "probe.probeHandler",
        "four parts": "probe.probeHandler.echo.more",
        "empty parts": "..",
        "no dot": "echo",
        "nothing": "",
        "255 bytes": "probe.probeHandler." + "x" * 236,
        "constructor": "probe.probeHandler.constructor",
        "__proto__": "probe.probeHandler.__proto__",
        "hasOwnProperty": "probe.probeHandler.hasOwnProperty",
        "hasOwnProperty, elsewhere": "lab.labHandler.hasOwnProperty",
        "to a frontend of another type": "bare.bareHandler.echo",
    },
)
def routes(stage: Stage, route: Any) -> None:
    one = stage.at_work("probe")
    one.ask(1, str(route))
    one.fence()


@script("notify to routes that do not exist")
def lost_notifies(stage: Stage) -> None:
    one = stage.at_work("probe")
    for route in ("shop.shopHandler.buy", "lab.labHandler.other", "probe.x", "echo"):
        one.send(notify(route))
    one.fence()


@script("route that is not UTF-8")
def bytes_route(stage: Stage) -> None:
    one = stage.at_work("probe")
    one.send(package(DATA, b"\x00\x01\x03\xff.\xfe{}"))
    one.take()
    one.fence()


@script("route code to a server without a dictionary")
def code_without_dictionary(stage: Stage) -> None:
    one = stage.at_work("gate")
    one.ask(1, 1)
    one.fence()
