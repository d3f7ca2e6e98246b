"""Which JSON values fit which annotations."""

from __future__ import annotations

import inspect
import typing
from typing import Any

import pytest

from chatcore.node.fitting import misfit

STRING, WHOLE, NUMBER, TRUE, NULL, LIST, OBJECT = "a", 1, 1.5, True, None, ["a"], {"a": 1}
EVERY = [STRING, WHOLE, NUMBER, TRUE, NULL, LIST, OBJECT]


def parameter(annotation: Any) -> inspect.Parameter:
    return inspect.Parameter("it", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=annotation)


def fitting(annotation: Any) -> list[Any]:
    return [value for value in EVERY if misfit(parameter(annotation), value) is None]


@pytest.mark.parametrize(
    ("annotation", "fits"),
    [
        ("str", [STRING]),
        (str, [STRING]),
        ("int", [WHOLE]),
        ("float", [WHOLE, NUMBER]),
        (bool, [TRUE]),
        ("None", [NULL]),
        (None, [NULL]),
        ("list[str]", [LIST]),
        (list[str], [LIST]),
        ("list[int]", []),
        ("dict[str, int]", [OBJECT]),
        ("Mapping[str, str]", []),
        ("dict", [OBJECT]),
        ("tuple[str, ...]", [LIST]),
        ("Any", EVERY),
        (Any, EVERY),
        ("object", EVERY),
        ("typing.Optional[str]", [STRING, NULL]),
        (typing.Optional[str], [STRING, NULL]),  # noqa: UP045
        ("str | None", [STRING, NULL]),
        (str | None, [STRING, NULL]),
        (typing.Union[int, list[str]], [WHOLE, LIST]),  # noqa: UP007
        ("int | list[str] | None", [WHOLE, NULL, LIST]),
        ("Literal['a', 1]", [STRING, WHOLE]),
        (typing.Literal["a"], [STRING]),
        ("'str | None'", [STRING, NULL]),
        ("bytes", []),
        ("Person", EVERY),
        ("package.Person[str]", EVERY),
        ("this is no annotation", EVERY),
        ("__import__('os').abort()", EVERY),
        ("x" * 10_000 + "[" * 5_000, EVERY),
        (inspect.Parameter.empty, EVERY),
    ],
)
def test_what_fits(annotation: Any, fits: list[Any]) -> None:
    assert fitting(annotation) == fits


def test_nothing_of_the_value_is_told() -> None:
    said = misfit(parameter("int"), "the password")
    assert said == "'it' has to be int, and is a string"
