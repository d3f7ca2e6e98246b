"""All numbers of a node, for whoever wants to show or keep them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatcore.node.looking.looked_at import ILookedAt


class Numbers:
    """Tells what a node counts, samples and reads, with what each of it means.

    Args:
        node: that node.
    """

    def __init__(self, node: ILookedAt) -> None:
        self._node = node

    def __call__(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All of it, as of `chatcore.telemetry.Number.to_value`."""
        return {"numbers": [each.to_value() for each in self._node.counters.all()]}
