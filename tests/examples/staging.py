"""The examples, run for tests: copies on free ports, their servers in this process."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

from running import PATIENCE, ROOT, CopiedChat
from small_cluster import Nodes
from twisted.internet import reactor
from twisted.internet.defer import Deferred

EXAMPLES = ROOT / "examples"

READY_TO_TRY = sorted(file.parent.name for file in EXAMPLES.glob("*/client.py"))
"""The examples with a client of their own, which prints what their README says."""


class Example(Nodes):
    """A copy of an example, on ports of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.copied = CopiedChat(folder, source=EXAMPLES / name)
        super().__init__(self.copied.app)
        self.client_ports = [server.client_port for server in self.servers if server.frontend]

    async def try_it(self) -> None:
        """Run its client, as people do, against this copy."""
        file = self.folder / "client.py"
        spec = importlib.util.spec_from_file_location("client_of_an_example", file)
        assert spec is not None and spec.loader is not None
        client: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(client)
        tried = Deferred.fromCoroutine(client.main(reactor, *self.client_ports))
        await tried.addTimeout(PATIENCE, reactor)


def blocks(readme: Path) -> list[str]:
    """What stands between lines of three backticks: how to start it; what its client prints."""
    return re.findall(r"^```\n(.*?)^```$", readme.read_text(), re.MULTILINE | re.DOTALL)
