"""What may be set about traces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from chatcore.config.settings import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingSettings:
    """Which messages are traced without that anybody asks, and how much is kept of it."""

    sample: Annotated[float, Meta(ge=0, le=1)] = setting(
        0.0, "fraction of clients' messages that are traced; 0: only those that somebody asks for"
    )
    per_second: Annotated[int, Meta(ge=1)] = setting(
        50,
        "messages that a server begins to trace each second, at most: of those that somebody asks"
        " for, and of all others",
    )
    export: Literal["", "opentelemetry"] = setting(
        "",
        "where hops go besides; opentelemetry: where the variables OTEL_* say, by its own package;"
        " empty: nowhere",
    )
    keep: Annotated[int, Meta(ge=100)] = setting(
        20_000, "spans that a server keeps of all traces; the oldest traces go first"
    )
    continues: bool = setting(
        True, "whether the traces go on here that clients name at their handshake, as traceparent"
    )
    keep_bytes: Annotated[int, Meta(ge=65536)] = setting(
        16 * 1024 * 1024, "bytes that these take up, about"
    )
