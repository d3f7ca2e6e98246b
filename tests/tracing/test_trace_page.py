"""What docs/inspector.md shows of a message that is followed is what comes out."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from running import ROOT

from .rooms import Rooms

TEXT = (ROOT / "docs" / "inspector.md").read_text()
CONSOLE = re.compile(r"(?<=```console\n)(.*?)(?=```)", re.DOTALL)
SEND = "chat.chatHandler.send"


def same(text: str) -> list[str]:
    """The lines of a text without what differs each time."""
    for what in (r"[0-9a-f]{32}", r" +\d+\.\d ms", r"\d+\.\d s"):
        text = re.sub(what, "…", text)
    # What two frontends do at the same time may come in either order.
    return sorted(text.splitlines())


async def test_what_is_shown(folder: Path) -> None:
    (block,) = [block for block in CONSOLE.findall(TEXT) if " trace " in block]
    command, rest = block.split("\n", 1)
    words = shlex.split(command.removeprefix("$ chatcore inspect trace "))
    rooms = Rooms(folder, {"outbox.policy": "drop-oldest", "outbox.bytes": 65_536})
    await rooms.start()
    try:
        ann = await rooms.enter("ann")
        await rooms.enter("bob")
        await rooms.enter("cleo", "front-2")
        (bob,) = rooms.nodes["front-1"].sessions.by_uid("bob")
        bob.connection.outbox.pauseProducing()
        looking = rooms.look_for(*words, terminal=True)
        await rooms.looked_for()
        for _ in range(2):
            await ann.request(SEND, {"text": "x" * 50_000})
        ran = await looking
    finally:
        await rooms.close()
    assert same(ran.err + ran.out) == same(rest), ran.err + ran.out
