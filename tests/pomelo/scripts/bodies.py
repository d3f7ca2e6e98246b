"""Bodies of requests and answers."""

from __future__ import annotations

from typing import Any

from pomelo.raw_client import (
    notify,
    request,
)
from pomelo.scripts.playing import LAB_ECHO, PROBE_ECHO, each, script
from pomelo.stage import Stage

_BODIES: dict[str, bytes] = {
    "null": b"null",
    "true": b"true",
    "false": b"false",
    "zero": b"0",
    "a number": b"17",
    "text": b'"text"',
    "empty text": b'""',
    "an array": b'[{"a":1},2]',
    "an empty array": b"[]",
    "nothing": b"",
    "no JSON": b"{a:1}",
    "cut short": b'{"a":',
    "spaces around": b' \n{"a": 1}\t ',
    "not UTF-8": b'{"a":"\xff"}',
    "the same key twice": b'{"a":1,"a":2}',
    "Chinese and emoji": '{"a":"中文 😀"}'.encode(),
    "emoji, each half in three bytes": b'{"a":"\xed\xa0\xbd\xed\xb8\x80"}',
    "emoji, escaped": b'{"a":"\\ud83d\\ude00"}',
    "half an emoji, escaped": b'{"a":"\\ud83d"}',
    "control characters": b'{"a":"\\u0000\\u001f\\u007f\\"\\\\\\/\\b\\f\\n\\r\\t\\u2028"}',
    "whole numbers": b'{"a":[0,-1,9007199254740991,-9007199254740991]}',
    "numbers with a point": b'{"a":[0.1,-1.5,1.25e-5]}',
    "whole numbers with a point": b'{"a":[1.0,-0.0,1e3]}',
    "numbers beyond 53 bits": b'{"a":9007199254740993}',
    "numbers with an exponent": b'{"a":[1e21,1e-7,1.5e300]}',
    "a number beyond all": b'{"a":1e999}',
    "nested": b'{"a":{"b":[{"c":[[]]},null,{}]}}',
    "order of keys": b'{"z":1,"a":2,"m":3}',
    "order of keys that are numbers": b'{"b":1,"2":2,"1":3}',
    "__proto__": b'{"__proto__":{"a":1},"b":2}',
}


@each("body here", dict(_BODIES))
def bodies_here(stage: Stage, body: Any) -> None:
    one = stage.at_work("probe")
    one.send(request(1, PROBE_ECHO, body))
    one.take()
    one.fence()


@each("body elsewhere", dict(_BODIES))
def bodies_elsewhere(stage: Stage, body: Any) -> None:
    one = stage.at_work("probe")
    one.send(request(1, LAB_ECHO, body))
    one.take()
    one.fence()


@script("what a handler is given")
def whole(stage: Stage) -> None:
    one = stage.at_work("probe")
    one.ask(1, "probe.probeHandler.whole", {"a": 1})
    one.ask(2, "lab.labHandler.whole", {"__route__": "x", "a": 1})


_VALUES: dict[str, Any] = {
    "null": None,
    "false": False,
    "zero": 0,
    "empty text": "",
    "true": True,
    "a number": 5,
    "text": "text",
    "an empty array": [],
    "an array": [1, "a", None],
    "an empty object": {},
    "emoji": "😀",
}


@each("answer", dict(_VALUES))
def answers(stage: Stage, value: Any) -> None:
    one = stage.at_work("probe")
    one.ask(1, "probe.probeHandler.value", {"value": value})
    one.ask(2, "lab.labHandler.value", {"value": value})


@each("handler", {name: name for name in ("nothing", "fail", "refuse", "explode")})
def outcomes(stage: Stage, name: Any) -> None:
    one = stage.at_work("probe")
    one.ask(1, f"lab.labHandler.{name}")
    one.send(notify(f"lab.labHandler.{name}"))
    one.ask(2, f"probe.probeHandler.{name}")
    one.send(notify(f"probe.probeHandler.{name}"))
    one.fence()
