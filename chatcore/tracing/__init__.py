"""Following one client message through the cluster: what is noted of it, and where that is kept."""

from chatcore.tracing.arming import Arming
from chatcore.tracing.settings import TracingSettings
from chatcore.tracing.spans import MOST_MEMBERS, Delivery, Fate, Kind, Span
from chatcore.tracing.store import Store
from chatcore.tracing.tracer import OFF, Tracer, trace_item

__all__ = [
    "MOST_MEMBERS",
    "OFF",
    "Arming",
    "Delivery",
    "Fate",
    "Kind",
    "Span",
    "Store",
    "Tracer",
    "TracingSettings",
    "trace_item",
]
