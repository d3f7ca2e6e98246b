"""The places that nodes listen on."""

from __future__ import annotations

import stat
from pathlib import Path

from running import short_folder
from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import Factory, Protocol

from chatcore.node.ports import unix_place


async def test_a_unix_socket_is_for_its_owner_alone() -> None:
    with short_folder() as folder:
        path = Path(folder) / "a.sock"
        place = unix_place(path, "a test")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        port = place.listen(reactor, Factory.forProtocol(Protocol))
        try:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        finally:
            await maybeDeferred(port.stopListening)
        assert not path.exists()
