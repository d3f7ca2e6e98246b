"""Contexts of TLS, for clients' connections and for links alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    TLSVersion,
    trustRootFromCertificates,
)
from twisted.python.failure import Failure

from chatcore.errors import ConfigError

_VERSIONS = {"1.2": TLSVersion.TLSv1_2, "1.3": TLSVersion.TLSv1_3}


def make_context(
    *,
    certificate: x509.Certificate,
    key: PrivateKeyTypes,
    chain: Sequence[x509.Certificate],
    file: Path,
    minimum: str = "1.2",
    trusted: Sequence[x509.Certificate] = (),
) -> SSL.Context:
    """What connections are encrypted with.

    Args:
        certificate: what this side shows.
        key: its key.
        chain: what lies between it and the authority.
        file: where the certificate was read, for the error's text.
        minimum: the lowest version of TLS, ``1.2`` or ``1.3``.
        trusted: the authorities of which the other side has to show a certificate; with none, it
            is not asked for one.

    Raises:
        ConfigError: OpenSSL does not take the certificate, as where it is too weak.
    """
    # Twisted names OpenSSL's own classes for these; that calls for cryptography's by now.
    options = CertificateOptions(
        privateKey=cast(Any, key),
        certificate=cast(Any, certificate),
        extraCertChain=cast(Any, list(chain)),
        raiseMinimumTo=_VERSIONS[minimum],
        trustRoot=trust_root(trusted) if trusted else None,
    )
    try:
        return options.getContext()
    except SSL.Error as problem:
        raise ConfigError(
            f"OpenSSL does not take this certificate: {words(problem)}", file=file
        ) from None


def trust_root(trusted: Iterable[x509.Certificate]) -> Any:
    """Authorities, as Twisted takes them."""
    return trustRootFromCertificates(
        [Certificate(X509.from_cryptography(certificate)) for certificate in trusted]
    )


def is_tls_error(reason: Failure) -> bool:
    """Whether a connection ended because the other side got TLS wrong, or did not accept ours."""
    return reason.check(SSL.Error) is not None


def words(problem: SSL.Error) -> str:
    """What OpenSSL says about a mistake."""
    errors = problem.args[0] if problem.args else ()
    return ", ".join(reason for _, _, reason in errors) or "no reason given"
