"""Settings: declared by the rooms that use them, set with ``--set`` or in ``app.py``.

A room declares a section as a frozen dataclass, each field with a type, a default and words::

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Limits:
        \"\"\"What one client may do.\"\"\"

        messages_per_second: Annotated[float, Meta(ge=0)] = setting(
            200, "messages a client may send each second; 0: any number"
        )

The assembly names the sections, ``{"limits": Limits}``, and resolves them with what people wrote.
A key is ``section.field``. Later assignments win over earlier ones.
"""

from __future__ import annotations

import dataclasses
import math
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from chatcore.config.kinds import from_text, in_words
from chatcore.config.names import listing, nearest, suggestion
from chatcore.errors import ConfigError

T = TypeVar("T")

_SECRET = re.compile(r"(?i)secret|password|passwd|token|credential")
"""What keys of secrets are called."""


def setting(default: T, doc: str, *, secret: bool = False) -> T:
    """Declare a field of a section.

    Args:
        default: its value when nobody sets it; immutable, so a tuple rather than a list.
        doc: what it is, with its unit.
        secret: whether its value may be one that nobody is to see in a log.
    """
    field: T = dataclasses.field(default=default, metadata={"doc": doc}, repr=not secret)
    return field


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A value that somebody gave to a setting.

    Args:
        key: which setting, as in ``limits.messages_per_second``.
        value: what it becomes.
        source: where that was said, as in ``--set limits.messages_per_second=0`` or ``app.py:12``.
        text: whether ``value`` is the text of a command line, still to be understood.
    """

    key: str
    value: object
    source: str
    text: bool = False


def parse_assignment(text: str) -> Assignment:
    """Take ``KEY=VALUE`` of the option ``--set`` apart.

    Raises:
        ConfigError: there is no ``=`` or no key.
    """
    key, equals, value = (part.strip() for part in text.partition("="))
    # What it may hold must not stand in an error's text, which goes into logs.
    source = f"--set {key}=***" if _SECRET.search(key) else f"--set {text}"
    if not equals or not key:
        raise ConfigError(
            "expected KEY=VALUE", file=source, advice="As in --set limits.messages_per_second=0"
        )
    return Assignment(key=key, value=value, source=source, text=True)


class Settings:
    """The resolved settings.

    ``settings[Limits]`` is the section that ``Limits`` declares, and so is ``settings["limits"]``;
    ``settings["limits.connections"]`` is one value.

    Raises:
        LookupError: there is no such section or setting.
    """

    def __init__(self, sections: Mapping[str, object]) -> None:
        self._by_name = dict(sections)
        self._by_class = {type(section): section for section in sections.values()}

    @typing.overload
    def __getitem__(self, key: type[T]) -> T: ...

    @typing.overload
    def __getitem__(self, key: str) -> Any: ...

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return self._by_class[key]
        name, dot, field = key.partition(".")
        section = self._by_name.get(name)
        if section is not None and not dot:
            return section
        if section is not None and field in _defaults(type(section)):
            return getattr(section, field)
        every = [f"{name}.{field}" for name, values in self.as_dict().items() for field in values]
        advice = suggestion(key, every, "settings")
        raise LookupError(f"there is no setting '{key}'. {advice}")

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Return every value by section and field, for people to look at."""
        return {
            name: {key: getattr(section, key) for key in _defaults(type(section))}
            for name, section in self._by_name.items()
        }


def resolve(sections: Mapping[str, type], assignments: Sequence[Assignment]) -> Settings:
    """Give every setting its value.

    Args:
        sections: the class that declares each section, by the section's name.
        assignments: what people wrote; later ones win.

    Raises:
        ConfigError: a key that does not exist, or a value of the wrong kind or out of range, also
            where a later assignment wins over it.
    """
    values: dict[str, dict[str, Any]] = {name: {} for name in sections}
    sources: dict[str, str] = {}
    for assignment in assignments:
        name, field = _known(sections, assignment)
        values[name][field] = _convert(_hints(sections[name])[field], assignment)
        sources[name] = assignment.source
    made: dict[str, object] = {}
    for name, section in sections.items():
        try:
            made[name] = section(**values[name])
        except Exception as error:  # whatever a section of the application's own does
            raise ConfigError(
                f"the settings of '{name}' can't be used: {error}", file=sources.get(name)
            ) from error
    return Settings(made)


def describe(sections: Mapping[str, type]) -> str:
    """Write down every key with its default, the values it takes, and what it is."""
    lines: list[str] = []
    for name, section in sections.items():
        hints, docs = _hints(section), _docs(section)
        for field, default in _defaults(section).items():
            lines.append(f"{name}.{field} = {_written(default)}")
            lines.append(f"    {docs[field]} ({in_words(hints[field])})")
    return "\n".join(lines)


def _known(sections: Mapping[str, type], assignment: Assignment) -> tuple[str, str]:
    name, _, field = assignment.key.partition(".")
    if name in sections and field in _defaults(sections[name]):
        return name, field
    every = [f"{known}.{key}" for known, section in sections.items() for key in _defaults(section)]
    last = assignment.key.rpartition(".")[2]
    same_last = [key for key in every if key.endswith(f".{last}")]
    if same_last:
        advice = f"Did you mean '{same_last[0]}'?"
    elif name in sections:
        own = [key for key in every if key.startswith(f"{name}.")]
        advice = suggestion(assignment.key, own, f"settings of '{name}'")
    else:
        close = nearest(assignment.key, every)
        advice = f"Did you mean '{close}'?" if close else _about_sections(sections)
    raise ConfigError(f"unknown setting '{assignment.key}'", file=assignment.source, advice=advice)


def _about_sections(sections: Iterable[str]) -> str:
    return (
        f"A setting is one of a section, as in limits.connections; the sections are"
        f" {listing(sections)}. What an application keeps for itself goes into app.data"
    )


def _convert(hint: Any, assignment: Assignment) -> Any:
    value, given = assignment.value, assignment.value
    try:
        if assignment.text:
            value = from_text(hint, str(given))
        value = msgspec.convert(value, hint, strict=not assignment.text)
        if isinstance(value, float) and not math.isfinite(value):
            raise msgspec.ValidationError(f"{value} is not a number one can count with")
        return value
    except msgspec.ValidationError as error:
        shown = repr(given)
        if _SECRET.search(assignment.key) or "://" in shown:  # URLs have passwords, too
            shown = "that"
        raise ConfigError(
            f"'{assignment.key}' can't be {shown}; expected {in_words(hint)}",
            file=assignment.source,
        ) from error


def _hints(section: type) -> dict[str, Any]:
    return typing.get_type_hints(section, include_extras=True)


def _docs(section: Any) -> dict[str, str]:
    return {field.name: field.metadata.get("doc", "") for field in dataclasses.fields(section)}


def _defaults(section: Any) -> dict[str, Any]:
    return {
        field.name: field.default
        if field.default_factory is dataclasses.MISSING
        else field.default_factory()
        for field in dataclasses.fields(section)
    }


def _written(value: object) -> str:
    """Write a value the way that ``--set`` understands."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, tuple | list | frozenset | set):
        return ",".join(_written(one) for one in value)
    return str(value)
