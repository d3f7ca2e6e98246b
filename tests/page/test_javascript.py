"""The page's modules without a page: they run in Node, against bytes, with time in our hands."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None, reason="needs Node: install the Debian package nodejs"
)


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """A folder with the library, the page's modules and their tests, as Node wants them."""
    sources = [
        REPOSITORY / "chatcore/static/chatcore.js",
        *(REPOSITORY / "examples/chat/web").glob("*.js"),
        *HERE.glob("*.mjs"),
    ]
    for source in sources:
        shutil.copy(source, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    return tmp_path


@pytest.mark.parametrize("suite", sorted(path.name for path in HERE.glob("*.test.mjs")))
def test_suite(suite: str, modules: Path) -> None:
    """Every test of the file passes, none is skipped, and there are some."""
    result = subprocess.run(
        ["node", "--test", "--test-reporter=tap", suite],
        cwd=modules,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    numbers = dict(re.findall(r"^# (pass|fail|skipped|todo) (\d+)$", result.stdout, re.MULTILINE))
    assert int(numbers.pop("pass")) > 1, result.stdout
    assert numbers == {"fail": "0", "skipped": "0", "todo": "0"}, result.stdout


def test_library_takes_nothing_from_elsewhere() -> None:
    """chatcore.js is one module that others can copy: no imports, nothing of a page."""
    text = (REPOSITORY / "chatcore/static/chatcore.js").read_text()
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)
    assert not re.search(r"^\s*import\b|\bimport\(", code, re.MULTILINE)
    # It keeps versions in localStorage where there is one, and only then.
    code = code.replace("globalThis.localStorage.", "")
    assert not re.search(r"\b(document|window|navigator|localStorage|sessionStorage)\b", code)


def test_page_loads_nothing_from_another_host() -> None:
    """Nothing in the page names another host, and no script or style stands in the HTML itself."""
    web = REPOSITORY / "examples/chat/web"
    allowed = {"http://www.w3.org/2000/svg"}
    for path in sorted(web.iterdir()):
        text = path.read_text()
        assert set(re.findall(r"https?://[\w./-]+", text)) <= allowed, path.name
    html = (web / "index.html").read_text()
    assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*\ssrc=)", html)
