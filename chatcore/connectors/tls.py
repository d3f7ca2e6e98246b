"""TLS on the client port: its certificate, and how a connection is wrapped into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IProtocol
from twisted.internet.protocol import Factory
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from chatcore.config.tls_files import TlsFiles
from chatcore.connectors.watching import Watch
from chatcore.deadlines import IClock
from chatcore.errors import ConfigError

ALPN = [b"http/1.1"]
"""What is spoken behind TLS, as far as it has a name (RFC 7301): no HTTP/2."""

_VERSIONS = {"1.2": TLSVersion.TLSv1_2, "1.3": TLSVersion.TLSv1_3}


def load_context(files: TlsFiles, minimum: str) -> SSL.Context:
    """What connections are encrypted with.

    Args:
        files: the certificate and its key.
        minimum: the lowest version of TLS, ``1.2`` or ``1.3``.

    Raises:
        ConfigError: a file is missing, can't be read, or holds something else; the key is that of
            another certificate; or OpenSSL does not take them, as where they are too weak.
    """
    certificate, *chain = _certificates(files.certificate)
    key = _key(files.key)
    if _public(key.public_key()) != _public(certificate.public_key()):
        raise ConfigError(
            f"this is not the key of the certificate in {files.certificate}", file=files.key
        )
    if files.chain is not None:
        chain += _certificates(files.chain)
    # Twisted names OpenSSL's own classes for these; that calls for cryptography's by now.
    options = CertificateOptions(
        privateKey=cast(Any, key),
        certificate=cast(Any, certificate),
        extraCertChain=cast(Any, chain),
        raiseMinimumTo=_VERSIONS[minimum],
    )
    try:
        context = options.getContext()
    except SSL.Error as problem:
        why = ", ".join(reason for _, _, reason in problem.args[0])
        raise ConfigError(
            f"OpenSSL does not take this certificate: {why}", file=files.certificate
        ) from None
    context.set_alpn_select_callback(_select)
    return context


def _select(connection: SSL.Connection, offered: list[bytes]) -> Any:
    """One of what a client offers. Nothing, rather than an end, where none is spoken here.

    Twisted's own answers nothing by an empty name, which OpenSSL takes for a mistake.
    """
    return next((name for name in ALPN if name in offered), SSL.NO_OVERLAPPING_PROTOCOLS)


def is_tls_error(reason: Failure) -> bool:
    """Whether a connection ended because its client got TLS wrong, or did not accept ours."""
    return reason.check(SSL.Error) is not None


def _public(key: Any) -> bytes:
    data: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return data


def _certificates(file: Path) -> list[x509.Certificate]:
    data = _read(file)
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        raise ConfigError(
            "no certificate",
            file=file,
            advice="It has to begin with -----BEGIN CERTIFICATE-----",
        ) from None


def _key(file: Path) -> PrivateKeyTypes:
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


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as problem:
        raise ConfigError(
            f"can't be read: {problem.strerror}", file=file, advice="TLS needs it"
        ) from None


@implementer(IOpenSSLServerConnectionCreator)
class Certificates:
    """The certificate in use, which is loaded anew when its files have changed.

    Connections that are up keep the one that they began with.

    Args:
        files: where it is.
        minimum: the lowest version of TLS.
        seconds: how often to look whether the files have changed; 0 for never.
        clock: tells when.

    Raises:
        ConfigError: as from `load_context`.
    """

    def __init__(self, *, files: TlsFiles, minimum: str, seconds: float, clock: IClock) -> None:
        self._files, self._minimum = files, minimum
        self.watch = Watch(files, seconds=seconds, clock=clock, load=self._load)
        self._load()
        self._factory = TLSMemoryBIOFactory(self, False, Factory(), cast(Any, clock))

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return SSL.Connection(self._context, None)

    def wrap(self, protocol: IProtocol) -> TLSMemoryBIOProtocol:
        """TLS for one connection, with ``protocol`` behind it."""
        # Not its subclass that collects small writes: outboxes have done so already.
        return TLSMemoryBIOProtocol(self._factory, protocol)

    def _load(self) -> None:
        self._context = load_context(self._files, self._minimum)
