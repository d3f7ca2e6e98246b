"""How servers are shown: as records for programs, and as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from chatcore.admin.outcomes import AWAY, UNKNOWN
from chatcore.cli.output import Column
from chatcore.cli.survey import Survey
from chatcore.errors import AdminError

FIELDS: Final = (
    "id",
    "type",
    "state",
    "epoch",
    "pid",
    "host",
    "port",
    "clientHost",
    "clientPort",
    "clients",
    "sessions",
    "channels",
    "requests",
    "uptime",
    "memory",
    "missing",
    "version",
)
"""The fields of a server, in the order of its record. Times are seconds, sizes are bytes."""

MOST_NAMES = 2
"""Names that are told in one field of a table."""

STATES: Final = {
    "starting": "its process runs and takes no clients yet",
    "up": "it serves",
    "draining": "it hands over what it has, to stop then",
    "stopping": "its process ends",
    "waiting": "it ended, and 'chatcore start' will start it again",
    "stopped": "it stays down until 'chatcore restart'",
    "refused": "it can't run as it is configured",
    "down": "the view lists it, and it can't be reached",
    "silent": "it was asked, and did not answer",
}
"""The states in which servers are shown."""

COLUMNS: Final = (
    Column("server"),
    Column("type", 4),
    Column("state"),
    Column("pid", 6),
    Column("for links", 9),
    Column("for clients", 7),
    Column("clients", 2),
    Column("sessions", 11),
    Column("channels", 3),
    Column("requests", 8),
    Column("up", 5),
    Column("memory", 10),
    Column("not linked to", 1),
)
"""The columns of a table for people."""


def describe(
    survey: Survey, statuses: Mapping[str, Mapping[str, Any] | AdminError]
) -> list[dict[str, Any]]:
    """Bring together what is known of each server, as records with all `FIELDS`."""
    return [_described(survey, id, statuses.get(id)) for id in statuses]


def row(server: Mapping[str, Any]) -> Sequence[object]:
    """A server in a table for people, by its `COLUMNS`."""
    return (
        server["id"],
        server["type"],
        server["state"],
        server["pid"],
        _address(server["host"], server["port"]) or "socket",
        _address(server["clientHost"] or server["host"], server["clientPort"]),
        server["clients"],
        server["sessions"],
        server["channels"],
        server["requests"],
        duration(server["uptime"]),
        size(server["memory"]),
        shortened(server["missing"] or ()),
    )


def shortened(names: Sequence[str]) -> str:
    """Some of those names, and how many more there are."""
    if len(names) <= MOST_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[: MOST_NAMES - 1])} and {len(names) - MOST_NAMES + 1} more"


def duration(seconds: float | None) -> str | None:
    """A time for people."""
    if seconds is None:
        return None
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


def size(count: int | None) -> str | None:
    """A size for people, of bytes."""
    return None if count is None else f"{count / 2**20:.0f} MiB"


def _described(
    survey: Survey, id: str, status: Mapping[str, Any] | AdminError | None
) -> dict[str, Any]:
    member = survey.member(id)
    program = (survey.programs or {}).get(id)
    found: dict[str, Any] = dict.fromkeys(FIELDS)
    found |= {"id": id, "type": survey.type_of(id)}
    if member is not None:
        found |= {key: value for key, value in member.to_value().items() if key in found}
    if program is not None:
        found |= {key: value for key, value in program.items() if key in found}
    if isinstance(status, Mapping):
        found |= {key: value for key, value in status.items() if key in found}
        if program is not None and program.get("state") in ("draining", "stopping"):
            found["state"] = program["state"]
        return found
    if program is None or program.get("state") == "up":
        gone = isinstance(status, AdminError) and status.code in (AWAY, UNKNOWN)
        found["state"] = "down" if gone else "silent"
    return found


def _address(host: object, port: object) -> str | None:
    if port is None:
        return None
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
