"""How scripts are written, and the list of them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pomelo.servers import IServers
from pomelo.stage import Stage

Play = Callable[[Stage], None]

PROBE_ECHO = "probe.probeHandler.echo"
LAB_ECHO = "lab.labHandler.echo"
NOTE = "probe.probeHandler.note"

BOTH = ("websocket", "tcp")


@dataclass(frozen=True)
class Script:
    """Something to play to both.

    Args:
        name: says what is sent.
        carriers: how the clients come in.
        ruins: the server that is of no use to Pomelo after it.
        quiet: both are silent at some point of it.
    """

    name: str
    play: Play
    carriers: tuple[str, ...]
    ruins: str | None = None
    quiet: bool = False

    def perform(self, servers: IServers, carrier: str, patience: float) -> list[str]:
        """Play it to one of the two; what was seen comes back."""
        stage = Stage(servers, carrier, patience)
        try:
            self.play(stage)
        finally:
            stage.close()
        return stage.lines


SCRIPTS: dict[str, Script] = {}


def script(
    name: str,
    carriers: Iterable[str] = BOTH,
    ruins: str | None = None,
    quiet: bool = False,
) -> Callable[[Play], Play]:
    """The decorated function is a script."""

    def add(play: Play) -> Play:
        assert name not in SCRIPTS, name
        SCRIPTS[name] = Script(name, play, tuple(carriers), ruins, quiet)
        return play

    return add


def each(
    name: str, cases: Mapping[str, Any], carriers: Iterable[str] = BOTH
) -> Callable[[Callable[[Stage, Any], None]], Callable[[Stage, Any], None]]:
    """The decorated function is a script for each of the cases, which it is given."""

    def add(play: Callable[[Stage, Any], None]) -> Callable[[Stage, Any], None]:
        for case, value in cases.items():
            script(f"{name}: {case}", carriers)(partial(_given, play, value))
        return play

    return add


def _given(play: Callable[[Stage, Any], None], value: Any, stage: Stage) -> None:
    play(stage, value)
