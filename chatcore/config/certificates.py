"""Certificates and keys in PEM files: read, and what is wrong with them."""

from __future__ import annotations

import datetime
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from chatcore.errors import ConfigError


def read_certificates(file: Path) -> list[x509.Certificate]:
    """The certificates in a file, at least one.

    Raises:
        ConfigError: it can't be read, or holds something else.
    """
    data = _read(file)
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        raise ConfigError(
            "no certificate",
            file=file,
            advice="It has to begin with -----BEGIN CERTIFICATE-----",
        ) from None


def read_key(file: Path) -> PrivateKeyTypes:
    """The private key in a file.

    Raises:
        ConfigError: it can't be read, holds something else, or has a password.
    """
    data = _read(file)
    try:
        return load_pem_private_key(data, None)
    except TypeError:
        raise ConfigError(
            "this key has a password",
            file=file,
            advice="Nobody is there to type it: remove it with openssl pkey, and chmod 600 the key",
        ) from None
    except ValueError:
        raise ConfigError(
            "no private key", file=file, advice="It has to begin with -----BEGIN PRIVATE KEY-----"
        ) from None


def verify_pair(
    certificate: x509.Certificate, key: PrivateKeyTypes, certificate_file: Path, key_file: Path
) -> None:
    """Verify that a key is that of a certificate.

    Raises:
        ConfigError: it belongs to another one.
    """
    if _public(key.public_key()) != _public(certificate.public_key()):
        raise ConfigError(
            f"this is not the key of the certificate in {certificate_file}", file=key_file
        )


def verify_private(file: Path, what: str = "this key") -> None:
    """Verify that nobody but this user may read or write a file.

    Args:
        file: the file.
        what: what is in it.

    Raises:
        ConfigError: others may, or it can't be looked at.
    """
    found = _state(file)
    if found.st_uid != os.geteuid():
        raise ConfigError(f"{what} belongs to another user", file=file)
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigError(
            f"{what} can be read or written by others",
            file=file,
            advice=f"Make a new one, or run chmod 600 {file} if nobody has seen it",
        )


def is_public(file: Path) -> bool:
    """Whether everybody on this machine may read a file.

    Raises:
        ConfigError: it can't be looked at.
    """
    return bool(_state(file).st_mode & stat.S_IROTH)


def verify_unchanged(file: Path) -> None:
    """Verify that nobody but this user and root may change whom a file has us trust.

    Raises:
        ConfigError: others may, or it can't be looked at.
    """
    found = _state(file)
    if found.st_uid not in (0, os.geteuid()) or stat.S_IMODE(found.st_mode) & 0o022:
        raise ConfigError(
            "others may write here whom this cluster trusts",
            file=file,
            advice=f"See that it is what you think, make it yours, and run chmod go-w {file}",
        )


def verify_dates(
    certificates: Iterable[x509.Certificate], file: Path, now: datetime.datetime, advice: str
) -> None:
    """Verify that certificates are valid at a time.

    Raises:
        ConfigError: one of them is not yet, or no more.
    """
    for certificate in certificates:
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if now > end:
            raise ConfigError(f"this certificate expired on {day(end)}", file=file, advice=advice)
        if now < begin:
            raise ConfigError(
                f"this certificate is not valid before {day(begin)}",
                file=file,
                advice="Look at the clocks of this machine and of the one where it was made",
            )


def verify_purposes(certificate: x509.Certificate, file: Path) -> None:
    """Verify that who shows a certificate may dial with it, and be dialled.

    Raises:
        ConfigError: it says that it is for something else.
    """
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    wanted = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH}
    if ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in found and not wanted <= set(found):
        raise ConfigError(
            "this certificate is not for both ends of a connection",
            file=file,
            advice="Its extended key usage has to hold clientAuth and serverAuth, as 'chatcore"
            " certs' makes it",
        )


def day(time: datetime.datetime) -> str:
    """A time as people are told it, in UTC."""
    return f"{time.astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC"


def _state(file: Path) -> os.stat_result:
    try:
        return file.stat()
    except OSError as problem:
        raise ConfigError(f"can't be read: {problem.strerror}", file=file) from None


def _public(key: Any) -> bytes:
    data: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return data


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as problem:
        raise ConfigError(
            f"can't be read: {problem.strerror}", file=file, advice="TLS needs it"
        ) from None
