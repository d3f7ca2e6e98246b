"""Contexts of TLS, for clients' connections and for links alike."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
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
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatcore.config.certificates import day
from chatcore.deadlines import IClock
from chatcore.errors import ConfigError

WARNED_DAYS = 30
"""How many days before its end it is told that a certificate expires."""

REMIND_SECONDS = 24 * 3600.0
"""How often that is told again."""

_VERSIONS = {"1.2": TLSVersion.TLSv1_2, "1.3": TLSVersion.TLSv1_3}


def time_of_day() -> datetime.datetime:
    """What the dates in certificates are compared with."""
    return datetime.datetime.now(datetime.UTC)


class Expiry:
    """Tells people in time that certificates expire, and once more every day.

    Args:
        advice: what to do about it.
        clock: tells when a day has passed.
        today: the time of day.
    """

    log = Logger()

    def __init__(
        self, advice: str, *, clock: IClock, today: Callable[[], datetime.datetime] = time_of_day
    ) -> None:
        self._advice, self._clock, self._today = advice, clock, today
        self._used: list[tuple[Path, x509.Certificate]] = []
        self._told = 0.0

    def watch(self, used: Iterable[tuple[Path, x509.Certificate]]) -> None:
        """These certificates are used from now on, of these files."""
        self._used = list(used)
        self._tell()

    def look(self) -> None:
        """Tell it again, if a day has passed; to be called now and then."""
        if self._clock.seconds() - self._told >= REMIND_SECONDS:
            self._tell()

    def _tell(self) -> None:
        self._told = self._clock.seconds()
        now = self._today()
        for file, certificate in self._used:
            begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
            if now > end or now < begin:
                self.log.error(
                    "{file}: this certificate {what}; nobody who looks at it connects. {advice}",
                    file=file,
                    what=f"expired on {day(end)}" if now > end else f"begins on {day(begin)}",
                    advice=self._advice,
                )
            elif end - now < datetime.timedelta(days=WARNED_DAYS):
                self.log.warn(
                    "{file}: this certificate expires on {end}, in {days} days. {advice}",
                    file=file,
                    end=day(end),
                    days=(end - now).days,
                    advice=self._advice,
                )


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
