"""Each app.py that a guide shows is one that the application of that guide may have."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import ROOT
from small_documents import blocks, write_application

from chatcore.config.servers import load_servers
from chatcore.node import verify

SHOWN = [
    pytest.param(guide, block, id=f"{guide.stem}-{number}")
    for guide in (ROOT / "docs" / "application.md", ROOT / "docs" / "socketio.md")
    for number, block in enumerate(blocks(guide, "python"))
    if block.startswith("# app.py\n")
]


@pytest.mark.parametrize(("guide", "shown"), SHOWN)
def test_is_accepted(guide: Path, shown: str, tmp_path: Path) -> None:
    write_application(guide, tmp_path, {})
    (tmp_path / "app.py").write_text(shown)
    verify(tmp_path, load_servers(tmp_path, "development"), [])
