"""Tables for people, where there is little room."""

from __future__ import annotations

from io import StringIO

import pytest

from chatcore.cli.output import Output
from chatcore.cli.servers import COLUMNS, FIELDS, row


def server(**known: object) -> dict[str, object]:
    return {
        **dict.fromkeys(FIELDS),
        "type": "connector",
        "state": "up",
        "pid": 12345,
        "host": "10.0.0.1",
        "port": 4050,
        "clientPort": 3050,
        "clients": 100,
        "channels": 12,
        "uptime": 60.0,
        "memory": 2**26,
        **known,
    }


def test_who_is_not_linked_is_told_in_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ids = [f"connector-server-{n}" for n in range(1, 9)]
    alone, linked = server(id="chat-server-1", missing=ids), server(id=ids[0], missing=[])
    out = StringIO()
    Output(out, out).table(COLUMNS, [row(alone), row(linked)])
    lines = out.getvalue().splitlines()
    assert "not linked to" in lines[0] and max(map(len, lines)) <= 80
    assert ids[0] in lines[1]

    out = StringIO()
    Output(out, out).table(COLUMNS, [row(linked)])
    assert "not linked to" not in out.getvalue()
