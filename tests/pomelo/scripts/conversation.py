"""Handshakes and heartbeats."""

from __future__ import annotations

import json
from typing import Any

from pomelo.raw_client import (
    ACK,
    HANDSHAKE,
    HEARTBEAT,
    package,
    request,
)
from pomelo.scripts.playing import PROBE_ECHO, each, script
from pomelo.stage import Stage


@each("handshake", {kind: kind for kind in ("gate", "connector", "probe", "bare")})
def shakes_hands(stage: Stage, kind: Any) -> None:
    one = stage.actor(str(kind))
    one.shake()


_KNOWN = {"type": "js-websocket", "version": "0.0.1"}


@each(
    "handshake",
    {
        "as the JavaScript client": {"sys": {**_KNOWN, "rsa": {}, "protoVersion": 0}, "user": {}},
        "without type and version": {"sys": {}},
        "with fields that nobody knows": {"sys": {**_KNOWN, "x": [1, 2]}, "y": None},
        "with versions of other kinds": {"sys": {"dictVersion": 7, "protoVersion": [1]}},
        "versions that are not ours": {"sys": {"dictVersion": "a", "protoVersion": "b"}},
        "user is told much": {"sys": _KNOWN, "user": {"tell": {"level": 3, "to": ["中", None]}}},
        "user is told text": {"sys": _KNOWN, "user": {"tell": "hi"}},
        "user is told nothing": {"sys": _KNOWN, "user": {"tell": None}},
        "user is told zero": {"sys": _KNOWN, "user": {"tell": 0}},
    },
)
def accepted(stage: Stage, hello: Any) -> None:
    one = stage.actor("probe")
    one.send(package(HANDSHAKE, json.dumps(hello).encode()))
    one.take()
    one.send(package(ACK))
    one.fence()


@script("handshake: user is told emoji")
def emoji(stage: Stage) -> None:
    one = stage.actor("probe")
    one.shake(stage.versions("probe"), user={"tell": "😀"})


@each(
    "handshake refused",
    {
        "no sys": b'{"user":{}}',
        "sys is null": b'{"sys":null}',
        "sys is false": b'{"sys":false}',
        "sys is text": b'{"sys":"here"}',
        "sys is a number": b'{"sys":1}',
        "sys is an array": b'{"sys":[]}',
        "null": b"null",
        "an array": b"[]",
        "no JSON": b"{sys",
        "not UTF-8": b'{"sys":"\xff\xfe"}',
        "nothing": b"",
        "client type": b'{"sys":{"type":"outdated","version":"1.0"}}',
        "client version": b'{"sys":{"type":"js-websocket","version":"0.0.0"}}',
        "by the application": b'{"sys":{"type":"a","version":"1"},"user":{"refuse":true}}',
    },
)
def refused(stage: Stage, hello: Any) -> None:
    one = stage.actor("probe")
    one.send(package(HANDSHAKE, hello))
    one.take()
    one.ended()


@script("second handshake before the ack")
def second_handshake(stage: Stage) -> None:
    one = stage.actor("probe")
    one.greet(_KNOWN)
    one.take()
    one.greet({})
    one.send(package(ACK))
    one.fence()


@script("second handshake and ack at work")
def handshake_at_work(stage: Stage) -> None:
    one = stage.at_work("probe")
    one.greet({})
    one.send(package(ACK))
    one.fence()


@script("data, heartbeat and ack before the handshake")
def before_handshake(stage: Stage) -> None:
    one = stage.actor("probe")
    one.send(request(1, PROBE_ECHO), package(HEARTBEAT), package(ACK))
    one.shake(_KNOWN)


@script("data and heartbeat before the ack")
def before_ack(stage: Stage) -> None:
    one = stage.actor("probe")
    one.greet(_KNOWN)
    one.take()
    one.send(request(1, PROBE_ECHO), package(HEARTBEAT), package(ACK))
    one.fence()


@script("ack with a body")
def ack_with_body(stage: Stage) -> None:
    one = stage.actor("probe")
    one.greet(_KNOWN)
    one.take()
    one.send(package(ACK, b"thanks"))
    one.fence()


@script("heartbeats")
def heartbeats(stage: Stage) -> None:
    one = stage.at_work("connector")
    one.send(package(HEARTBEAT))
    one.take()
    one.send(package(HEARTBEAT, b"body"), package(HEARTBEAT))
    one.take(2)


@script("heartbeats where there are none")
def heartbeats_off(stage: Stage) -> None:
    one = stage.at_work("gate")
    one.send(package(HEARTBEAT), package(HEARTBEAT))
    one.fence()


@script("no heartbeat in time")
def silent(stage: Stage) -> None:
    one = stage.at_work("bare")
    one.ended()


@script("data instead of heartbeats")
def data_as_life(stage: Stage) -> None:
    one = stage.at_work("bare")
    one.busy(3.5)
