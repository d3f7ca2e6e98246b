"""Pomelo's published JavaScript client, unchanged, bundled as a page has it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from npm import npm_packages
from serving import serving

from pomelo.servers import IServers

FOLDER = Path(__file__).parent / "javascript"

PACKAGES = {
    "component-emitter": "1.3.1",
    "node-bignumber": "1.2.1",
    "pomelo-jsclient-websocket": "0.1.1",
    "pomelo-protobuf": "0.4.0",
    "pomelo-protocol": "0.1.6",
    "ws": "8.18.0",
}

PARTS = {
    "EventEmitter": "component-emitter/index.js",
    "Protocol": "pomelo-protocol/lib/protocol.js",
    "protobuf": "pomelo-protobuf/lib/client/protobuf.js",
    "pomelo": "pomelo-jsclient-websocket/lib/pomelo-client.js",
}
"""What the client expects of its window, in the order in which each needs those before it."""

# The client asks protobuf for a function that was given another name before it was published. The
# tutorials' own bundle has the client call `decode`.
_RENAMED = "window.protobuf.decodeStr = window.protobuf.decode;\n"


def bundle() -> str:
    """The client and what it needs, as one script."""
    modules = npm_packages(PACKAGES)
    text = ""
    for name, path in PARTS.items():
        if name == "pomelo":
            text += _RENAMED
        source = (modules / path).read_text()
        text += (
            f"window.{name} = (function () {{ var module = {{ exports: {{}} }};\n"
            f"(function (module, exports) {{\n{source}\n}}).call(window, module, module.exports);\n"
            "return module.exports; })();\n"
        )
    return text


def ports(servers: IServers) -> dict[str, int]:
    """Where the story goes."""
    kinds = ("gate", "probe", "bare", "sealed")
    return {kind: servers.port(f"{kind}-server-1") for kind in kinds}


def play_in_node(folder: Path, servers: IServers, room: str, text: str) -> list[str]:
    """The story, told by Node."""
    (folder / "bundle.js").write_text(bundle())
    result = subprocess.run(
        ["node", FOLDER / "node.js", folder / "bundle.js", json.dumps(ports(servers)), room, text],
        env={**os.environ, "NODE_PATH": str(npm_packages(PACKAGES))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return list(json.loads(result.stdout))


PAGE = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>story</title></head><body>
<script src="story.js"></script>
<script>
  function open() {
    return new Promise(function (done) {
      var frame = document.createElement('iframe');
      frame.src = 'window.html';
      frame.onload = function () { done(frame.contentWindow); };
      document.body.appendChild(frame);
    });
  }
</script></body></html>
"""

WINDOW = """<!DOCTYPE html>
<html><head><meta charset="utf-8"></head><body>
<script src="story.js"></script>
<script>listen(window);</script>
<script src="bundle.js"></script></body></html>
"""


@contextmanager
def page_server() -> Iterator[str]:
    """Serve the page on which a browser tells the story; its address comes back."""
    files = {
        "/page.html": PAGE,
        "/window.html": WINDOW,
        "/bundle.js": bundle(),
        "/story.js": (FOLDER / "story.js").read_text(),
    }
    with serving(files) as address:
        yield f"{address}/page.html"
