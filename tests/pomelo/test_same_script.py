"""The same bytes to Pomelo and to chatcore: the same packages come back, or the list says why."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from pomelo.differences import DIFFERENCES, Seen
from pomelo.scripts import SCRIPTS
from pomelo.servers import IServers, RunningPomelo
from pomelo.stage import PATIENT

SHORT = 1.0
"""Seconds after which silence is taken for that, where the list says that nothing comes."""

LONG = 120
"""Characters of a line of the transcript from which on the list only has its beginning."""

PLAYED = [(name, carrier) for name, each in SCRIPTS.items() for carrier in each.carriers]
LISTED = {(name, carrier): seen for each in DIFFERENCES for name, carrier, seen in each.all()}
GUIDE = Path(__file__).parent.parent.parent / "docs" / "pomelo.md"

Performances = dict[tuple[str, str], tuple[Future[list[str]], Future[list[str]]]]


@pytest.fixture(scope="session")
def performances(
    request: pytest.FixtureRequest, both: dict[str, IServers]
) -> Iterator[Performances]:
    """Every script that a selected test asks for, played to both, side by side."""
    chosen = {
        (each.callspec.params["name"], each.callspec.params["carrier"])
        for each in request.session.items
        if isinstance(each, pytest.Function) and each.function is test_same_script
    }
    with ThreadPoolExecutor(40) as pool:
        yield {
            (name, carrier): (
                pool.submit(_perform, both, "pomelo", name, carrier),
                pool.submit(_perform, both, "chatcore", name, carrier),
            )
            for name, carrier in PLAYED
            if (name, carrier) in chosen
        }


def _perform(both: dict[str, IServers], which: str, name: str, carrier: str) -> list[str]:
    lines = getattr(LISTED.get((name, carrier), Seen()), which)
    script, servers = SCRIPTS[name], both[which]
    silent = script.quiet or any(line.endswith("silence") for line in lines)
    try:
        return script.perform(servers, carrier, SHORT if silent else PATIENT)
    finally:
        if script.ruins and isinstance(servers, RunningPomelo):
            servers.end(script.ruins)


@pytest.mark.parametrize(("name", "carrier"), PLAYED)
def test_same_script(name: str, carrier: str, performances: Performances) -> None:
    """What both servers do differs in what the list says, no more and no less."""
    pomelo, chatcore = (each.result() for each in performances[name, carrier])
    expected = LISTED.get((name, carrier), Seen())
    assert _difference(pomelo, chatcore) == expected, "\n".join(
        ["what Pomelo (-) and chatcore (+) sent:", *difflib.ndiff(pomelo, chatcore)]
    )
    assert pomelo, "nothing was seen"


def _difference(pomelo: list[str], chatcore: list[str]) -> Seen:
    lines = list(difflib.ndiff(pomelo, chatcore))
    return Seen(
        tuple(_short(line[2:]) for line in lines if line.startswith("- ")),
        tuple(_short(line[2:]) for line in lines if line.startswith("+ ")),
    )


def _short(line: str) -> str:
    line = re.sub("push #[0-9]+ ", "push #code ", line)  # it changes with every route there is
    return line if len(line) < LONG else line[:40] + "…"


def test_list_names_scripts_once() -> None:
    """What is listed is played, and has one reason."""
    listed = [(name, carrier) for each in DIFFERENCES for name, carrier, _ in each.all()]
    assert set(listed) <= set(PLAYED)
    assert len(listed) == len(set(listed))


def test_list_is_in_the_guide() -> None:
    """docs/pomelo.md has the table of differences as the list has it."""
    table = "\n".join(each.row() for each in DIFFERENCES)
    assert table in GUIDE.read_text(), f"the table in {GUIDE.name} has to be:\n{table}"
