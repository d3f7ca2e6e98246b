"""Turning what an application's code raised into a message that names its line."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from chatcore.errors import ConfigError

Place = tuple[str | Path, int | None]
"""A file and a line."""


def guarded(
    function: Callable[..., Any],
    *args: Any,
    folder: Path,
    doing: str,
    place: Place | None = None,
    advice: str | None = None,
) -> Any:
    """Call code of the application; what it raises becomes a `ConfigError` that names the line.

    Args:
        place: what to name where no line of the application raised it.
        advice: what to do next about whatever it raises.
    """
    try:
        return function(*args)
    except ConfigError:
        raise
    except (Exception, SystemExit) as problem:
        raise blamed(problem, [folder], doing, place or (folder, None), advice) from problem


def blamed(
    problem: BaseException,
    folders: Sequence[Path],
    doing: str,
    place: Place,
    advice: str | None = None,
) -> ConfigError:
    """What to say about an exception: the innermost line of the application that it came from.

    Args:
        folders: where the application's code is.
        doing: what was being done.
        place: what to name where no line of the application raised it.
        advice: what to do next.
    """
    if isinstance(problem, ConfigError):
        return problem
    if isinstance(problem, SyntaxError) and problem.filename:
        return ConfigError(
            f"{doing}: {problem.msg}",
            file=problem.filename,
            line=problem.lineno,
            column=problem.offset,
        )
    frames = [
        frame
        for frame in traceback.extract_tb(problem.__traceback__)
        if any(Path(frame.filename).is_relative_to(folder) for folder in folders)
    ]
    file, line = (frames[-1].filename, frames[-1].lineno) if frames else place
    if isinstance(problem, ModuleNotFoundError) and (problem.name or "").split(".")[0] == "servers":
        advice = "Import from other server types as from ..chat.remotes import …"
    return ConfigError(
        f"{doing}: {type(problem).__name__}: {problem}", file=file, line=line, advice=advice
    )


def source_of(thing: Any) -> tuple[str | None, int | None]:
    """The file and the line in which a class or function stands, as far as that can be known."""
    try:
        return inspect.getsourcefile(thing), inspect.getsourcelines(thing)[1]
    except (OSError, TypeError):
        return None, None


def mistake_in(thing: Any, problem: str, advice: str) -> ConfigError:
    """A mistake in a class or function of the application, at its file and line."""
    file, line = source_of(thing)
    return ConfigError(problem, file=file, line=line, advice=advice)
