"""What is noted of users and of the node, as those who look are told."""

from __future__ import annotations

from typing import Any, Final

from chatcore.inspector.redaction import Redaction
from chatcore.telemetry import Entry

_RULE: Final = Redaction()

_WORDS: Final = ("why", "detail")
"""Where the words of somebody else may stand: of an application that kicks, or of an error."""


def told_of(entry: Entry) -> dict[str, Any]:
    """An entry of the journal in JSON's types, without what nobody is to see."""
    value = entry.to_value()
    for name in _WORDS:
        if isinstance(value.get(name), str):
            value[name] = _RULE.text(value[name])
    return value
