"""The socket in the run folder at which a process takes in administrators of its machine."""

from __future__ import annotations

import secrets
from typing import Any

from chatcore.admin.desk import Desk
from chatcore.links.door import Door
from chatcore.links.link import LinkParts
from chatcore.links.settings import LinkSettings
from chatcore.telemetry import Counters
from chatcore.turn import Turn


def door_for(desk: Desk, *, id: str, secret: bytes, counters: Counters, reactor: Any) -> Door:
    """Make what takes administrators in, and nobody else.

    Nothing is encrypted there: a socket does not leave the machine, and this one can be opened by
    its owner alone.

    Args:
        desk: acts on what they ask.
        id: of the process.
        secret: the cluster's.
        counters: what counts.
        reactor: the reactor.
    """
    return Door(
        id=id,
        incarnation=secrets.token_hex(8),
        secret=secret,
        parts=LinkParts(
            turn=Turn(reactor.callLater),
            clock=reactor,
            settings=LinkSettings(),
            counters=counters,
            responders={},
        ),
        expects=lambda id, incarnation: desk.expects(id),
        up=desk.arrived,
        down=desk.left,
        held_up=desk.held_up,
    )
