"""Dictionary and schemas."""

from __future__ import annotations

from typing import Any

from pomelo.raw_client import (
    request,
)
from pomelo.scripts.playing import LAB_ECHO, each, script
from pomelo.stage import Stage


@script("route codes")
def codes(stage: Stage) -> None:
    codes = stage.learn("connector")["dict"]
    one = stage.at_work("connector")
    one.ask(1, codes[LAB_ECHO], {"a": 1})
    one.ask(2, LAB_ECHO, {"a": 2})


@each("route code", {"0": 0, "that is in no dictionary": 999, "of a push": "onAdd"})
def unknown_codes(stage: Stage, code: Any) -> None:
    codes = stage.learn("connector")["dict"]
    one = stage.at_work("connector")
    one.ask(1, codes[code] if isinstance(code, str) else code)
    one.fence()


@each(
    "cached",
    {
        "dictionary": ["dictVersion"],
        "schemas": ["protoVersion"],
        "both": ["dictVersion", "protoVersion"],
    },
)
def cached(stage: Stage, what: Any) -> None:
    versions = stage.versions("connector")
    one = stage.actor("connector")
    one.shake({key: versions[key] for key in what})


_TYPED: dict[str, bytes] = {
    "least": b"\x0a\x02hi",
    "all types": b"\x0a\x01a\x10\xac\x02\x1d\x00\x00\xc0\x3f\x21\x9a\x99\x99\x99\x99\x99\xb9\x3f"
    b"\x2a\x05\x08\x05\x10\xac\x02\x30\x03\x01\x02\xac\x02\x3a\x01a\x3a\x02bc"
    b"\x42\x02\x08\x01\x42\x02\x08\x02",
    "wire types of the JavaScript client": b"\x0a\x01a\x12\xac\x02\x2a\x05\x0a\x05\x12\xac\x02"
    b"\x32\x03\x01\x02\xac\x02",
    "Chinese and emoji": b"\x0a\x0a" + "中文😀".encode(),
    "emoji, each half in three bytes": b"\x0a\x06\xed\xa0\xbd\xed\xb8\x80",
    "required field missing": b"\x10\x05",
    "empty text": b"\x0a\x00",
    "a field twice": b"\x0a\x01a\x0a\x01b",
    "nothing": b"",
    "cut short in a text": b"\x0a\x09abc",
    "cut short in a head": b"\x0a\x01a\x8a",
    "cut short in a number": b"\x0a\x01a\x10\xac",
    "cut short in a double": b"\x0a\x01a\x21\x00\x00",
    "unknown tag": b"\x0a\x01a\x78\x01",
    "endless number": b"\x0a\x01a\x10" + b"\xff" * 20,
    "JSON instead": b'{"text":"a"}',
}


@each("protobuf", dict(_TYPED))
def typed(stage: Stage, body: Any) -> None:
    one = stage.at_work("connector")
    one.send(request(1, "lab.labHandler.typed", body))
    one.take()
    one.fence()


@script("emoji by a schema to a JavaScript client")
def javascript(stage: Stage) -> None:
    one = stage.actor("connector")
    one.shake({"type": "js-websocket", "version": "0.0.1", **stage.versions("connector")})
    one.ask(1, "lab.labHandler.bind", {"uid": stage.unique("javascript")})
    pushed = {"msg": "😀", "from": "a", "target": "*"}
    one.ask(2, "lab.labHandler.push", {"route": "onChat", "msg": pushed}, count=0)
    one.gather(2)


@each("protobuf here", {"good": b"\x0a\x02hi", "unknown tag": b"\x78\x01"})
def typed_here(stage: Stage, body: Any) -> None:
    one = stage.at_work("probe")
    one.send(request(1, "probe.probeHandler.typed", body))
    one.take()
    one.fence()
