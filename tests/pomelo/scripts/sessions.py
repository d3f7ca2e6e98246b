"""Sessions, kicks and pushes."""

from __future__ import annotations

import json
from typing import Any

from pomelo.raw_client import (
    notify,
)
from pomelo.scripts.playing import each, script
from pomelo.stage import Stage


@each("session", {"here": "probe.probeHandler", "elsewhere": "lab.labHandler"})
def sessions(stage: Stage, handler: Any) -> None:
    one = stage.at_work("probe")
    uid = stage.unique(f"session {handler}")
    steps: list[tuple[str, object]] = [
        ("who", {}),
        ("bind", {"uid": uid}),
        ("bind", {"uid": uid}),
        ("bind", {"uid": uid + "2"}),
        ("set", {"color": "red"}),
        ("who", {}),
        ("set", {"color": "blue", "push": True}),
        ("who", {}),
        ("unbind", {"uid": uid}),
        ("bind", {"uid": uid + "3"}),
        ("who", {}),
    ]
    for number, (step, body) in enumerate(steps, 1):
        one.ask(number, f"{handler}.{step}", body)


@each("kick", {"here": "probe.probeHandler", "elsewhere": "lab.labHandler"})
def kicks(stage: Stage, handler: Any) -> None:
    one = stage.at_work("probe")
    one.ask(1, f"{handler}.bind", {"uid": stage.unique(f"kick {handler}")})
    one.send(notify(f"{handler}.kick", '{"reason":"too loud 中"}'.encode()))
    one.ended()


@script("kick without a reason")
def kick_without_reason(stage: Stage) -> None:
    one = stage.at_work("probe")
    one.ask(1, "probe.probeHandler.bind", {"uid": stage.unique("no reason")})
    one.send(notify("probe.probeHandler.kick"))
    one.ended()


@script("two sessions of one uid")
def two_sessions(stage: Stage) -> None:
    one, other = stage.at_work("probe", "one"), stage.at_work("probe", "other")
    uid = stage.unique("two sessions")
    for who in (one, other):
        who.ask(1, "lab.labHandler.bind", {"uid": uid})
    one.ask(2, "lab.labHandler.push", {"route": "onOther", "msg": {"n": 1}}, count=0)
    one.gather(2)
    other.take()
    one.ask(3, "lab.labHandler.unbind", {"uid": uid})
    other.ask(3, "lab.labHandler.push", {"route": "onOther", "msg": {"n": 2}}, count=0)
    other.gather(2)
    other.send(notify("probe.probeHandler.kick", b'{"reason":"all of them"}'))
    other.ended()
    one.fence()


_PLACE = {"x": -3, "y": 150}
_PUSHES: dict[str, Any] = {
    "JSON": ("onOther", {"text": "中文", "n": [1, 2]}),
    "emoji in JSON": ("onOther", {"text": "😀"}),
    "route in the body": ("onOther", {"route": "onOther", "user": "bob"}),
    "route with a code": ("onAdd", {"user": "bob"}),
    "an array": ("onOther", [1, 2]),
    "text": ("onOther", "text"),
    "by a schema": ("onChat", {"msg": "hi all", "from": "alice", "target": "*"}),
    "by a schema, Chinese": ("onChat", {"msg": "中文", "from": "é", "target": "*"}),
    "by a schema, emoji": ("onChat", {"msg": "😀", "from": "a", "target": "*"}),
    "by a schema, empty text": ("onChat", {"msg": "", "from": "a", "target": "*"}),
    "by a schema, another order": ("onChat", {"target": "*", "from": "a", "msg": "x"}),
    "by a schema, more than it says": ("onChat", {"msg": "x", "y": 1, "from": "a", "target": "b"}),
    "by a schema, less than it asks": ("onChat", {"msg": "hi"}),
    "by a schema, all types": (
        "onTyped",
        {
            "number": 300,
            "text": "x",
            "half": 1.5,
            "whole": 0.1,
            "place": _PLACE,
            "numbers": [1, 2, 300],
            "texts": ["a", "bc"],
            "places": [_PLACE, {"x": 5}],
        },
    ),
    "by a schema, large numbers": ("onTyped", {"number": 4294967295, "place": {"x": -(2**31)}}),
    "by a schema, empty arrays": ("onTyped", {"number": 0, "numbers": [], "texts": []}),
    "by a schema, text for a number": ("onTyped", {"number": "12"}),
    "by a schema, a fraction": ("onTyped", {"number": 1.9}),
}


@each("push", dict(_PUSHES))
def pushes(stage: Stage, pushed: Any) -> None:
    one = stage.at_work("connector")
    route, body = pushed
    one.ask(1, "lab.labHandler.bind", {"uid": stage.unique(f"push {json.dumps(pushed)}")})
    one.ask(2, "lab.labHandler.push", {"route": route, "msg": body}, count=0)
    one.gather(2)
