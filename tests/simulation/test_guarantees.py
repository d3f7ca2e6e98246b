"""Each promise of `docs/guarantees.md` names its test."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_tests_that_promises_name_are_there() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text()
    named = re.findall(r"`(tests/[a-z_/]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 10
    for file, name in named:
        assert (ROOT / file).is_file(), file
        assert not name or f"def {name}(" in (ROOT / file).read_text(), f"{file}::{name}"


def test_every_row_names_one() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and "| test |" not in line]
    without = [row for row in rows if "tests/" not in row and "the same" not in row]
    assert not without
