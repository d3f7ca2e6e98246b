"""Reading the code out of the documents."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path


def blocks(document: Path, language: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", document.read_text(), re.DOTALL)


def write_application(document: Path, folder: Path, replaced: Mapping[str, str]) -> None:
    """Write the files that a document shows: Python that begins with its path, and servers.json."""
    files = {"config/servers.json": blocks(document, "json")[0]}
    for block in blocks(document, "python"):
        if path := re.match(r"# (\S+\.py)\n", block):
            files.setdefault(path[1], block)  # what is shown again is another way
    for name, text in files.items():
        for old, new in replaced.items():
            text = text.replace(old, new)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
