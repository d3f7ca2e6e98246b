"""Certificates of a cluster for tests, good ones and others."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from chatcore.config.authority import Authority
from chatcore.config.certificates import read_certificates, read_key

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


def confine(folder: Path, id: str, purpose: x509.ObjectIdentifier) -> None:
    """Have the certificate of ``id`` be for nothing but a purpose."""
    file = folder / f"{id}.pem"
    (old,), (authority,) = read_certificates(file), read_certificates(folder / "ca.pem")
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(old.not_valid_before_utc)
        .not_valid_after(old.not_valid_after_utc)
        .public_key(old.public_key())
    )
    for each in old.extensions:
        if isinstance(each.value, x509.ExtendedKeyUsage):
            builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        else:
            builder = builder.add_extension(each.value, critical=each.critical)
    key: Any = read_key(folder / "ca.key")
    assert old.issuer == authority.subject
    file.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
