"""Each app.py that the guide shows is one that the application of the guide may have."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import ROOT
from small_documents import blocks, write_application

from chatcore.config.servers import load_servers
from chatcore.node import verify

GUIDE = ROOT / "docs" / "application.md"
SHOWN = [block for block in blocks(GUIDE, "python") if block.startswith("# app.py\n")]


@pytest.mark.parametrize("shown", SHOWN, ids=range(len(SHOWN)))
def test_is_accepted(shown: str, tmp_path: Path) -> None:
    write_application(GUIDE, tmp_path, {})
    (tmp_path / "app.py").write_text(shown)
    verify(tmp_path, load_servers(tmp_path, "development"), [])
