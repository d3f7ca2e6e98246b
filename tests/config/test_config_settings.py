"""Declaring, assigning and describing settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta

from chatcore.config.kinds import in_words
from chatcore.config.settings import Assignment, describe, parse_assignment, resolve, setting
from chatcore.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    messages_per_second: Annotated[float, Meta(ge=0)] = setting(
        200, "messages a client may send each second; 0: any number"
    )
    connections: Annotated[int, Meta(ge=1, le=100_000)] = setting(20_000, "clients on one node")
    origins: tuple[str, ...] = setting((), "pages that may connect; empty: all")
    steps: list[Annotated[int, Meta(gt=0)]] = field(
        default_factory=list, metadata={"doc": "numbers to go through"}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    port: Annotated[int, Meta(ge=1, le=65535)] | None = setting(3001, "where it listens")
    host: str = setting("127.0.0.1", "the address it binds")
    shown: bool = setting(True, "whether there is a page")
    policy: Literal["disconnect", "drop"] = setting("disconnect", "what happens when it is full")
    least: int = setting(1, "the least")
    most: int = setting(9, "the most")

    def __post_init__(self) -> None:
        if self.least > self.most:
            raise ValueError("'least' is more than 'most'")


SECTIONS: dict[str, type] = {"limits": Limits, "page": Page}


def value_of(text: str) -> Any:
    assignment = parse_assignment(text)
    section, _, key = assignment.key.partition(".")
    return resolve(SECTIONS, [assignment]).as_dict()[section][key]


def mistake(*assignments: str | Assignment) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve(
            SECTIONS,
            [parse_assignment(one) if isinstance(one, str) else one for one in assignments],
        )
    return str(caught.value)


def from_python(key: str, value: object) -> Assignment:
    return Assignment(key=key, value=value, source="app.py:12")


def test_defaults_and_typed_access() -> None:
    settings = resolve(SECTIONS, [])
    limits: Limits = settings[Limits]
    assert limits.messages_per_second == 200
    assert limits == Limits()
    assert settings[Page].port == 3001


def test_a_section_that_nobody_named() -> None:
    with pytest.raises(KeyError):
        resolve({"limits": Limits}, [])[Page]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("limits.messages_per_second=0", 0.0),
        ("limits.messages_per_second=2.5", 2.5),
        (" limits.connections = 7 ", 7),
        ("limits.origins=", ()),
        ("limits.origins=https://a.example, https://b.example:444", (
            "https://a.example", "https://b.example:444")),
        ("limits.steps=1,2,,3", [1, 2, 3]),
        ("page.host=a=b", "a=b"),
        ("page.host=", ""),
        ("page.host=true", "true"),
        ("page.host=none", "none"),
        ("page.port=none", None),
        ("page.port=80", 80),
        ("page.policy=drop", "drop"),
        *((f"page.shown={word}", True) for word in ("true", "yes", "on", "1", "True", "ON")),
        *((f"page.shown={word}", False) for word in ("false", "no", "off", "0", "No")),
    ],
)  # fmt: skip
def test_values_from_the_command_line(text: str, expected: object) -> None:
    value = value_of(text)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("limits.messages_per_second", 5, 5.0),
        ("limits.origins", ["a"], ("a",)),
        ("limits.origins", ("a",), ("a",)),
        ("limits.steps", (1, 2), [1, 2]),
        ("page.port", None, None),
        ("page.shown", False, False),
    ],
)
def test_values_from_python(key: str, value: object, expected: object) -> None:
    section, _, field = key.partition(".")
    settings = resolve(SECTIONS, [from_python(key, value)])
    assert settings.as_dict()[section][field] == expected


def test_the_last_one_wins() -> None:
    settings = resolve(
        SECTIONS,
        [
            from_python("page.port", 1),
            parse_assignment("page.port=2"),
            parse_assignment("page.port=3"),
        ],
    )
    assert settings[Page].port == 3
    assert settings[Limits] == Limits()


@pytest.mark.parametrize("text", ["page.port", "", "=", "=3", " =3"])
def test_what_is_no_assignment(text: str) -> None:
    with pytest.raises(ConfigError, match="expected KEY=VALUE") as caught:
        parse_assignment(text)
    assert str(caught.value).startswith(f"--set {text}: ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("limits.messages_per_second=-1", "a number, at least 0"),
        ("limits.messages_per_second=fast", "a number, at least 0"),
        ("limits.messages_per_second=nan", "a number, at least 0"),
        ("limits.messages_per_second=inf", "a number, at least 0"),
        ("limits.messages_per_second=1e400", "a number, at least 0"),
        ("limits.messages_per_second=", "a number, at least 0"),
        ("limits.connections=0", "a whole number, at least 1, at most 100000"),
        ("limits.connections=1.5", "a whole number, at least 1, at most 100000"),
        ("limits.connections=true", "a whole number, at least 1, at most 100000"),
        ("limits.steps=1,0", "a list, separated by commas, each a whole number, more than 0"),
        ("page.shown=maybe", "true or false"),
        ("page.shown=2", "true or false"),
        ("page.policy=explode", "one of disconnect, drop"),
        ("page.port=65536", "a whole number, at least 1, at most 65535 or none"),
    ],
)
def test_values_that_do_not_fit(text: str, expected: str) -> None:
    key, _, value = text.partition("=")
    assert mistake(text) == f"--set {text}: '{key}' can't be {value!r}; expected {expected}"


@pytest.mark.parametrize("value", ["5", True, None, [], object(), float("nan"), float("inf")])
def test_python_values_that_do_not_fit(value: object) -> None:
    text = mistake(from_python("limits.messages_per_second", value))
    assert text.startswith("app.py:12: 'limits.messages_per_second' can't be ")
    assert text.endswith("; expected a number, at least 0")


def test_a_mistake_is_told_though_a_later_assignment_wins() -> None:
    assert "can't be '0'" in mistake("page.port=0", "page.port=1")


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("limits.message_per_second", "Did you mean 'limits.messages_per_second'?"),
        ("limits.messages-per-second", "Did you mean 'limits.messages_per_second'?"),
        ("messages_per_second", "Did you mean 'limits.messages_per_second'?"),
        ("page.connections", "Did you mean 'limits.connections'?"),
        ("limit.origins", "Did you mean 'limits.origins'?"),
        ("page", "The settings of 'page' are page.port"),
        ("page.zzz", "The settings of 'page' are page.port"),
        ("zzz.zzz", "as in limits.connections; the sections are limits"),
        ("page.__doc__", "The settings of 'page' are"),
        ("page.port.x", "Did you mean 'page.port'?"),
    ],
)
def test_unknown_settings(key: str, advice: str) -> None:
    text = mistake(f"{key}=1")
    assert text.startswith(f"--set {key}=1: unknown setting '{key}'. ")
    assert advice in text


def test_values_that_contradict_each_other() -> None:
    text = mistake(from_python("page.least", 5), "page.most=3", "limits.connections=5")
    assert text == (
        "--set page.most=3: the settings of 'page' can't be used: 'least' is more than 'most'"
    )


def test_every_setting_is_described() -> None:
    text = describe(SECTIONS)
    assert (
        "limits.messages_per_second = 200\n"
        "    messages a client may send each second; 0: any number (a number, at least 0)\n"
    ) in text
    assert "page.shown = true\n" in text
    assert "limits.origins = \n" in text
    assert text.count("\n    ") == 10


def test_what_is_described_can_be_set() -> None:
    keys = [line for line in describe(SECTIONS).split("\n") if not line.startswith(" ")]
    assert resolve(SECTIONS, [parse_assignment(key) for key in keys]).as_dict() == (
        resolve(SECTIONS, []).as_dict()
    )


def test_lengths_and_patterns_in_words() -> None:
    kind = Annotated[str, Meta(min_length=1, max_length=3, pattern="^a")]
    assert in_words(kind) == (
        "a text, its length at least 1, its length at most 3, matching the pattern ^a"
    )


@pytest.mark.parametrize("text", ["page.password=hush", "limits.secret=hush", "Token=hush"])
def test_what_may_be_secret_is_not_repeated(text: str) -> None:
    said = mistake(text)
    assert "unknown setting" in said
    assert "hush" not in said


def test_a_url_that_is_misplaced_is_not_repeated() -> None:
    for value in ("redis://joe:hush@h", ["redis://joe:hush@h"]):
        said = mistake(from_python("page.port", value))
        assert "'page.port' can't be that; expected a whole number" in said
        assert "hush" not in said
