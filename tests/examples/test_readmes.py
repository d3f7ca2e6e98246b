"""What the README of an example says is what happens."""

from __future__ import annotations

import pytest

from .conftest import MakeExample
from .staging import EXAMPLES, READY_TO_TRY, blocks


@pytest.mark.parametrize("name", READY_TO_TRY)
async def test_its_client_prints_what_the_readme_shows(
    name: str, example: MakeExample, capsys: pytest.CaptureFixture[str]
) -> None:
    one = example(name)
    await one.start()
    await one.try_it()
    start, shown = blocks(EXAMPLES / name / "README.md")
    assert capsys.readouterr().out == shown
    assert start == f"chatcore start --app examples/{name}\npython examples/{name}/client.py\n"
