"""What a node tells of itself: numbers, what happened to whom, and why; and what limits its log."""

from chatcore.telemetry.journal import Entry, Journal
from chatcore.telemetry.keeping import OTHERS, ByLabel, Gauges, Samples
from chatcore.telemetry.lines import Rationed, Seen, Troubles
from chatcore.telemetry.names import GAUGES, Counters, Number
from chatcore.telemetry.reasons import HAPPENINGS, REASONS, Happening, Reason

__all__ = [
    "GAUGES",
    "HAPPENINGS",
    "OTHERS",
    "REASONS",
    "ByLabel",
    "Counters",
    "Entry",
    "Gauges",
    "Happening",
    "Journal",
    "Number",
    "Rationed",
    "Reason",
    "Samples",
    "Seen",
    "Troubles",
]
