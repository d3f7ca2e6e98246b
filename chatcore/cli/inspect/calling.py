"""``chatcore inspect call``: calling a remote of a server."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from chatcore.admin.invocation import Invocation
from chatcore.cli.cluster import Cluster, exit_of
from chatcore.cli.exits import DONE, FAILED, UNKNOWN, CommandError
from chatcore.cli.output import Output
from chatcore.cli.reaching import reach
from chatcore.cli.survey import Survey
from chatcore.config.names import suggestion
from chatcore.errors import AdminError


async def call(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    """Call a remote, on one server or on each of a type, and print what comes of it.

    Raises:
        CommandError: the arguments are no JSON, nobody can be asked, or there is no such server.
        ConfigError: as from `chatcore.cli.reaching.reach`.
    """
    invocation = Invocation(options.route, _read(options.args), options.show_secrets)
    cluster = Cluster(reach(options, reactor=reactor), seconds=options.timeout)
    outcomes: dict[str, dict[str, Any] | AdminError] = {}
    try:
        for id in _meant(options.node, await cluster.survey()):
            try:
                outcomes[id] = await cluster.invoke(invocation, id)
            except AdminError as problem:
                outcomes[id] = problem
            _tell(id, outcomes[id], output, alone=id == options.node)
    finally:
        await cluster.close()
    code = _exit(outcomes)
    output.document(_document(invocation.route, outcomes, code))
    return code


def _read(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse, object_pairs_hook=_unlike)
    except (ValueError, RecursionError) as problem:
        raise CommandError(
            f"the arguments are no JSON: {problem}",
            advice="""Write a list, as in '["room1", false]', or an object with the names of """
            """the parameters, as in '{"room": "room1"}', in quotes for the shell""",
        ) from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON's")


def _unlike(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"'{twice:.80}' stands there twice")
    return found


def _meant(name: str, survey: Survey) -> list[str]:
    """The servers that a name means: that one, or all of a type.

    Raises:
        CommandError: there are none.
    """
    if name in survey.ids:
        return [name]
    of_type = [id for id in survey.ids if survey.type_of(id) == name and not survey.is_down(id)]
    if of_type:
        return of_type
    types = dict.fromkeys(survey.type_of(id) for id in survey.ids)
    raise CommandError(
        f"there is no server '{name}', and none of such a type; nothing was called",
        exit=UNKNOWN,
        advice=suggestion(name, [*survey.ids, *filter(None, types)], "servers and types"),
    )


def _tell(id: str, outcome: Mapping[str, Any] | AdminError, output: Output, *, alone: bool) -> None:
    """Print a result, or say why there is none."""
    if isinstance(outcome, AdminError):
        if not output.on_terminal:
            output.record([id, None, None, outcome.problem], "")
        if not output.as_json:
            output.note(f"chatcore: {id}: {outcome}")
        return
    short = json.dumps(outcome["result"], ensure_ascii=False)
    if output.on_terminal:
        if not alone:
            output.say(f"{id}  ({outcome['ms']:.1f} ms)")
        for line in json.dumps(outcome["result"], ensure_ascii=False, indent=2).splitlines():
            output.say(line)
    else:
        output.record([id, outcome["ms"], short, None], "")


def _exit(outcomes: Mapping[str, Mapping[str, Any] | AdminError]) -> int:
    codes = {exit_of(each.code) for each in outcomes.values() if isinstance(each, AdminError)}
    if not codes:
        return DONE
    failed = sum(isinstance(each, AdminError) for each in outcomes.values())
    return codes.pop() if len(codes) == 1 and failed == len(outcomes) else FAILED


def _document(
    route: str, outcomes: Mapping[str, Mapping[str, Any] | AdminError], code: int
) -> dict[str, Any]:
    problems = {id: each for id, each in outcomes.items() if isinstance(each, AdminError)}
    document: dict[str, Any] = {
        "route": route,
        "results": {id: each for id, each in outcomes.items() if id not in problems},
        "problems": {
            id: {"error": each.problem, "code": each.code, "advice": each.advice}
            for id, each in problems.items()
        },
        "exit": code,
    }
    if problems:
        document["error"] = "; ".join(f"{id}: {each.problem}" for id, each in problems.items())
    return document
