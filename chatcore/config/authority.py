"""The authority of a cluster: makes the certificates with which its nodes know each other."""

from __future__ import annotations

import datetime
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chatcore.config.certificates import (
    day,
    read_certificates,
    read_key,
    verify_dates,
    verify_pair,
    verify_private,
)
from chatcore.config.identities import AUTHORITY, IdentityFiles, dns_name
from chatcore.errors import ConfigError

DAYS = 365
"""How long a certificate is valid unless somebody says otherwise."""

AUTHORITY_DAYS = 3650
"""The same for the authority's own."""

MOST_DAYS = 36500

SKEW = datetime.timedelta(hours=1)
"""How much the clocks of the cluster's machines may differ."""

_ANEW = "Make all certificates anew in an empty folder: links need them from one authority"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate of the set.

    Args:
        name: whose: ``ca``, or an id.
        files: its files, without their folder.
        end: until when it is valid.
        state: whether it was made now, made in place of an older one, or there already.
    """

    name: str
    files: tuple[str, ...]
    end: datetime.datetime
    state: Literal["made", "renewed", "there"]


class Authority:
    """Makes certificates in a folder, and leaves those that are there; made by `open`."""

    def __init__(
        self,
        folder: Path,
        certificate: x509.Certificate,
        key: CertificateIssuerPrivateKeyTypes,
        now: datetime.datetime,
        issued: Issued,
    ) -> None:
        self._folder, self._certificate, self._key = folder, certificate, key
        self._now = now
        self.issued = issued

    @classmethod
    def open(cls, folder: Path, now: datetime.datetime) -> Authority:
        """Find the authority in a folder, and make both where they are missing.

        Args:
            folder: where all the files are, for this user alone.
            now: the time of day.

        Raises:
            ConfigError: the folder is open to others; or what is there is no authority, has
                expired, or has no key.
        """
        _make_private(folder)
        certificate_file, key_file = folder / f"{AUTHORITY}.pem", folder / f"{AUTHORITY}.key"
        state: Literal["made", "there"] = "there"
        if not certificate_file.exists():
            state = "made"
            _make_authority(certificate_file, key_file, now)
        if not key_file.exists():
            raise ConfigError(
                "the authority's key is not here, so no certificate can be made",
                file=key_file,
                advice="Make them on the machine that has it, and copy them from there",
            )
        certificate, *_ = read_certificates(certificate_file)
        verify_private(key_file)
        key = read_key(key_file)
        verify_pair(certificate, key, certificate_file, key_file)
        verify_dates([certificate], certificate_file, now, _ANEW)
        files = (certificate_file.name, key_file.name)
        end = certificate.not_valid_after_utc
        issued = Issued(name=AUTHORITY, files=files, end=end, state=state)
        return cls(folder, certificate, key, now, issued)  # type: ignore[arg-type]  # signs itself

    def issue(self, id: str, days: int = DAYS, *, renew: bool = False) -> Issued:
        """Make the certificate of an id, unless it is there.

        Args:
            id: of a server, or ``master`` or ``admin``.
            days: how long it is valid, but no longer than the authority.
            renew: whether to make it though it is there; its key stays.

        Raises:
            ConfigError: what is there is no certificate, or can't be written; or the id can have
                none.
        """
        files = IdentityFiles(self._folder, id).own
        names = tuple(file.name for file in files)
        there = files.certificate.exists()
        if there and not renew:
            found, *_ = read_certificates(files.certificate)
            self._verify_issuer(found, files.certificate)
            end = found.not_valid_after_utc
            return Issued(name=id, files=names, end=end, state="there")
        key = _key_in(files.key)
        end = min(self._now + datetime.timedelta(days=days), self._certificate.not_valid_after_utc)
        certificate = (
            _begun(id, self._now, end)
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
                ),
                critical=False,
            )
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(dns_name(id))]), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._certificate.public_key()),  # type: ignore[arg-type]  # it signs, so it is of a type that can
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        _write(files.certificate, certificate.public_bytes(Encoding.PEM), 0o644)
        end = certificate.not_valid_after_utc
        return Issued(name=id, files=names, end=end, state="renewed" if there else "made")

    def _verify_issuer(self, certificate: x509.Certificate, file: Path) -> None:
        try:
            certificate.verify_directly_issued_by(self._certificate)
        except (ValueError, TypeError, InvalidSignature):
            raise ConfigError(
                "this certificate is of another authority than ca.pem", file=file, advice=_ANEW
            ) from None

    def __repr__(self) -> str:
        return f"<authority in {self._folder}, valid until {day(self.issued.end)}>"


def _make_authority(certificate_file: Path, key_file: Path, now: datetime.datetime) -> None:
    key = _key_in(key_file)
    name = f"chatcore authority {secrets.token_hex(4)}"
    certificate = (
        _begun(name, now, now + datetime.timedelta(days=AUTHORITY_DAYS))
        .issuer_name(_subject(name))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(certificate_file, certificate.public_bytes(Encoding.PEM), 0o644)


def _begun(name: str, now: datetime.datetime, end: datetime.datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(end)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(**used: bool) -> x509.KeyUsage:
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: used.get(name, False) for name in every})


def _key_in(file: Path) -> ec.EllipticCurvePrivateKey:
    """The key in a file, made where there is none."""
    if file.exists():
        verify_private(file)
        key = read_key(file)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ConfigError("this is not a key that 'chatcore certs' has made", file=file)
        return key
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write(file, pem, 0o600)
    return key


def _write(file: Path, data: bytes, mode: int) -> None:
    """Have a file hold this, whole or not at all."""
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as opened:
            os.fchmod(descriptor, mode)  # whatever the umask is
            opened.write(data)
            opened.flush()
            os.fsync(descriptor)
        temporary.replace(file)
    except OSError as problem:
        with suppress(OSError):
            temporary.unlink()
        raise ConfigError(f"can't be written: {problem.strerror}", file=file) from None


def _make_private(folder: Path) -> None:
    try:
        with suppress(FileExistsError):
            folder.mkdir(0o700, parents=True)
            folder.chmod(0o700)
        found = folder.stat()
        if found.st_uid != os.geteuid():
            raise ConfigError(f"the folder {folder} belongs to another user")
        if not folder.is_dir():
            raise ConfigError(f"{folder} is not a folder")
        if found.st_mode & 0o077:
            if any(folder.iterdir()) and not (folder / f"{AUTHORITY}.pem").exists():
                raise ConfigError(
                    f"the folder {folder} is open to others and holds other things",
                    advice="Choose an empty folder, or close this one with chmod 700",
                )
            folder.chmod(0o700)
    except OSError as problem:
        raise ConfigError(f"{folder} can't be used: {problem.strerror}") from None
