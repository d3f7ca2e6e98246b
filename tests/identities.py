"""Certificates of a cluster for tests, good ones and others."""

from __future__ import annotations

import datetime
from pathlib import Path

from chatcore.config.authority import Authority

NOW = datetime.datetime.now(datetime.UTC)


def make_identities(folder: Path, *ids: str, now: datetime.datetime = NOW, days: int = 60) -> Path:
    """Certificates of these, in a folder as ``--tls`` takes it; the authority may be there.

    Args:
        now: when they are made.
        days: how long they are valid from then on.
    """
    authority = Authority.open(folder, now)
    for id in ids:
        authority.issue(id, days)
    return folder


def pretend(folder: Path, id: str, other: str) -> None:
    """Have ``id`` show the certificate of ``other``, and use its key."""
    for ending in ("pem", "key"):
        (folder / f"{other}.{ending}").replace(folder / f"{id}.{ending}")
