"""``chatcore inspect remotes`` and ``handlers``: what servers declare, and where they differ."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from chatcore.cli.inspect.asking import ask_servers
from chatcore.cli.output import Output
from chatcore.cli.servers import shortened

Kind = Literal["remotes", "handlers"]

Answers = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that servers don't agree on.

    Args:
        route: what it is about.
        what: ``declared`` otherwise, ``missing``, ``known`` otherwise, ``unknown``, or ``gone``:
            known to some, and nowhere there.
        servers: those that it is about.
        text: the same for people.
    """

    route: str
    what: str
    servers: tuple[str, ...]
    text: str

    def to_value(self) -> dict[str, Any]:
        """The same in JSON's types."""
        return {
            "route": self.route,
            "what": self.what,
            "servers": list(self.servers),
            "text": self.text,
        }


@dataclass(slots=True)
class _Route:
    """What is declared under one route.

    Args:
        variants: the servers that declare it so, by what tells one declaration from another.
        known: likewise those servers of other types that know it so.
    """

    server_type: str
    variants: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    known: dict[tuple[str, str], list[str]] = field(default_factory=dict)


async def show(kind: Kind, options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    """Ask what servers declare, and print it.

    Raises:
        CommandError: nobody can be asked, or there is no such server.
    """
    asked = await ask_servers(options, output, kind, {}, reactor=reactor)
    found = merged(asked.answers)
    differences = find_differences(asked.answers)
    output.document(
        {
            kind: found,
            "differences": [each.to_value() for each in differences],
            "silent": asked.to_value(),
            "exit": asked.exit,
        }
    )
    if output.on_terminal:
        _show(found, output, whole=options.verbose)
        if not found and asked.answers:
            output.say(f"There are no {kind} on {shortened(sorted(asked.answers))}")
    else:
        for each in found:
            output.record(_fields(each), "")
    for difference in differences:
        output.note(f"chatcore: {difference.text}")
    return asked.exit


def merged(answers: Answers) -> list[dict[str, Any]]:
    """The methods that servers have; those that declare one alike are told together."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for id, answer in sorted(answers.items(), key=lambda each: (each[1]["type"], each[0])):
        for service in answer["services"]:
            for method in service["methods"]:
                key = (method["route"], *_variant(method))
                told = found.setdefault(
                    key,
                    {
                        "type": answer["type"],
                        "service": service["service"],
                        "class": service["class"],
                        **method,
                        "rules": _rules(method),
                        "servers": [],
                    },
                )
                told["servers"].append(id)
    return list(found.values())


def find_differences(answers: Answers) -> list[Difference]:
    """What the servers don't agree on: those of one type, and those of others with them."""
    routes: dict[str, _Route] = {}
    of_type: dict[str, list[str]] = {}
    for id, answer in answers.items():
        of_type.setdefault(answer["type"], []).append(id)
        for service in answer["services"]:
            for method in service["methods"]:
                route = routes.setdefault(method["route"], _Route(answer["type"]))
                route.variants.setdefault(_variant(method), []).append(id)
        for name, method in answer["elsewhere"].items():
            route = routes.setdefault(name, _Route(name.partition(".")[0]))
            route.known.setdefault(_variant(method), []).append(id)
    found: list[Difference] = []
    for name, route in sorted(routes.items()):
        there = of_type.get(route.server_type, [])
        if there:  # else nobody was asked who would have to know
            others = [id for id in answers if id not in there]
            found += _differences(name, route, there, others)
    return found


def _differences(
    name: str, route: _Route, there: Iterable[str], others: Iterable[str]
) -> Iterable[Difference]:
    """What is not as it should be with one route.

    Args:
        there: the servers of its type.
        others: those of other types.
    """
    has = {id for ids in route.variants.values() for id in ids}
    if not has:
        knowing = sorted(id for ids in route.known.values() for id in ids)
        text = f"{name} is known to {_names(knowing)}, and no {route.server_type} server has it"
        yield Difference(name, "gone", tuple(knowing), text)
        return
    texts = _texts({**route.variants, **route.known})
    declared = "; ".join(f"{texts[one]} on {_names(ids)}" for one, ids in route.variants.items())
    if len(route.variants) > 1:
        text = f"{name} is not declared alike: {declared}"
        yield Difference(name, "declared", tuple(sorted(has)), text)
    if missing := [id for id in there if id not in has]:
        text = f"{name} is missing on {_names(missing)}"
        yield Difference(name, "missing", tuple(missing), text)
    for variant, ids in route.known.items():
        if variant not in route.variants:
            text = f"{name} is known to {_names(ids)} as {texts[variant]}, but is {declared}"
            yield Difference(name, "known", tuple(sorted(ids)), text)
    knowing = [id for ids in route.known.values() for id in ids]
    if unknown := [id for id in others if id not in knowing]:
        text = f"{name} is not known to {_names(unknown)}"
        yield Difference(name, "unknown", tuple(unknown), text)


def _variant(method: Mapping[str, Any]) -> tuple[str, str]:
    """What tells one declaration from another: how it is written, and its fingerprint."""
    rules = _rules(method)
    text = method["declared"]
    return (f"{text} ({rules})" if rules else text), method["fingerprint"]


def _texts(variants: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """What is said of each declaration, so that no two are told alike."""
    written = [text for text, _ in variants]
    return {
        (text, mark): text if written.count(text) == 1 else f"{text} [{mark[:8]}]"
        for text, mark in variants
    }


def _rules(method: Mapping[str, Any]) -> str:
    """What is said of a method besides, in words."""
    words = []
    if method.get("idempotent"):
        words.append("idempotent")
    who = method.get("who", "anyone")
    if who != "anyone":
        words.append("nobody" if who == "nobody" else f"{who} only")
    if method.get("through"):
        words.append(f"through {', '.join(method['through'])}")
    return "; ".join(words)


def _names(ids: Iterable[str]) -> str:
    return ", ".join(ids)


def _place(method: Mapping[str, Any]) -> str | None:
    return None if method["file"] is None else f"{method['file']}:{method['line']}"


def _fields(method: Mapping[str, Any]) -> list[object]:
    return [
        method["route"],
        _full(method),
        _place(method),
        method["rules"],
        method["interface"],
        method["servers"],
        _first_line(method["doc"]),
    ]


def _full(method: Mapping[str, Any]) -> str:
    service = method["route"].removesuffix(method["name"])
    return f"{service}{method['declared']}"


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _show(found: Iterable[Mapping[str, Any]], output: Output, *, whole: bool) -> None:
    """Show methods to people, those of the same servers under their ids."""
    before: object = None
    for each in found:
        here = each["type"], each["servers"]
        if here != before:
            before = here
            ids = each["servers"]
            output.say(f"{each['type']}: {_names(ids) if whole else shortened(ids)}")
        rules = f"  ({each['rules']})" if each["rules"] else ""
        output.say(f"  {_full(each)}{rules}  {_place(each) or ''}".rstrip())
        for line in each["doc"].splitlines() if whole else [_first_line(each["doc"])]:
            if line.strip():
                output.say(f"      {line}")
        if whole:
            output.say(f"      of {each['interface']}, by {each['class']}{_hidden(each)}")


def _hidden(method: Mapping[str, Any]) -> str:
    names = [*method["hidden"], *(["the answer"] if method["hides_answer"] else [])]
    return f", hides {_names(names)}" if names else ""
