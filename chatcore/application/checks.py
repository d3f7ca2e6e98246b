"""Checking what ``configure(app)`` is given: names, functions, settings."""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Mapping
from typing import Any

from chatcore.config.names import is_server_type
from chatcore.config.settings import Assignment
from chatcore.dispatch.blame import Place
from chatcore.errors import ConfigError


def caller(depth: int = 2) -> tuple[str, int]:
    """The file and line of the application that called who calls this."""
    frame = sys._getframe(depth)
    return frame.f_code.co_filename, frame.f_lineno


def wrong(problem: str, place: Place, advice: str | None = None) -> ConfigError:
    """A mistake at a line of the application."""
    return ConfigError(problem, file=place[0], line=place[1], advice=advice)


def name_of(thing: Any, given: str | None, what: str, place: Place) -> str:
    """The name of a component or plugin: the one given, its own, or that of its class.

    Raises:
        ConfigError: that can't be a name.
    """
    name = given if given is not None else getattr(thing, "name", None)
    if name is None or isinstance(name, property):
        own = getattr(thing, "__name__", None) or type(thing).__name__
        last = str(own).rpartition(".")[2]
        name = last[:1].lower() + last[1:]
    if not isinstance(name, str) or not is_server_type(name):
        raise wrong(
            f"{name!r} can't be the name of a {what}",
            place,
            "It is made of letters, digits, '-' and '_', and begins with a letter",
        )
    return name


def verify_section(name: str, section: Any, place: Place) -> None:
    """Check that a class can declare a section of settings.

    Raises:
        ConfigError: it is no dataclass, or not all of its fields have a default and a known type.
    """
    shown = getattr(section, "__name__", repr(section))
    if not isinstance(section, type) or not dataclasses.is_dataclass(section):
        raise wrong(f"the settings of '{name}' are {shown}, not a dataclass", place)
    for field in dataclasses.fields(section):
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise wrong(
                f"{shown}.{field.name} has no default",
                place,
                f'Write {field.name}: … = setting(…, "what it is")',
            )
    try:
        typing.get_type_hints(section, include_extras=True)
    except Exception as problem:
        raise wrong(
            f"the types of {shown} can't be told: {problem}",
            place,
            "Define it, and what its types name, at the top of a module",
        ) from None


def assignments_of(name: str, options: Mapping[str, Any], place: Place) -> list[Assignment]:
    """What options say about the settings of a section."""
    source = f"{place[0]}:{place[1]}"
    return [
        Assignment(key=f"{name}.{key}", value=value, source=source)
        for key, value in options.items()
    ]
