"""Mutual TLS on links: each side shows a certificate of the cluster's authority, for its own id.

The side that dials checks, within the handshake, that the certificate is for the id that it
dialled. The side that listens knows nobody's id before the hello; it checks then that the
certificate is for the id that the hello claims (`LinkTls.verify`).
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509, X509Store, X509StoreContext, X509StoreContextError
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import verify_certificate_hostname
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from chatcore.config.certificates import (
    day,
    read_certificates,
    read_key,
    verify_dates,
    verify_pair,
    verify_private,
    verify_purposes,
    verify_unchanged,
)
from chatcore.config.identities import IdentityFiles, dns_name, holders_of
from chatcore.config.tokens import is_like_id
from chatcore.deadlines import IClock
from chatcore.errors import ConfigError, IdentityError
from chatcore.links.hello import CHANNEL, CHANNEL_BYTES
from chatcore.links.settings import LinkSettings
from chatcore.tls import Expiry, make_context, time_of_day, words
from chatcore.turn import write_now

LOOK_SECONDS = 1.0
"""How often, at most, it is looked whether the files have changed."""

_RENEW = "Make a new one with 'chatcore certs DIR --renew', and copy it here"

_ANEW = "Make all certificates anew with 'chatcore certs', in an empty folder"

_WHY = {
    SSL.X509VerificationCodes.ERR_DEPTH_ZERO_SELF_SIGNED_CERT: "signed by nobody but itself",
    SSL.X509VerificationCodes.ERR_SELF_SIGNED_CERT_IN_CHAIN: "of another authority",
    SSL.X509VerificationCodes.ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "of another authority",
    SSL.X509VerificationCodes.ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: "of another authority",
    SSL.X509VerificationCodes.ERR_CERT_SIGNATURE_FAILURE: "of another authority",
    SSL.X509VerificationCodes.ERR_INVALID_PURPOSE: "made for something else",
}
"""What a certificate is that OpenSSL does not accept, where it has no date to tell."""

_NO_TLS = ("wrong version number", "http request", "unknown protocol", "packet length too long")
"""What OpenSSL says of bytes that are no TLS at all."""


def link_tls(settings: LinkSettings, folder: Path, id: str, clock: IClock) -> LinkTls | None:
    """The certificates of somebody's links, where the settings say that there are any.

    Args:
        folder: the application's, from which the setting is seen.
        id: whose.

    Raises:
        ConfigError: as from `LinkTls`.
    """
    return LinkTls((folder / settings.tls).absolute(), id, clock=clock) if settings.tls else None


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class LinkTls:
    """The certificates that the links of one node, master or administrator use.

    They are read again when their files have changed: links made from then on use the new ones.
    What is wrong with the new files is logged, and the old certificates stay in use.

    Args:
        folder: where the files of `IdentityFiles` are.
        id: whose certificate this side shows.
        clock: tells when to look at the files.
        today: the time of day, for the dates in certificates.

    Attributes:
        folder: where the files are.

    Raises:
        ConfigError: a file is missing, can't be used, or holds something else; or a certificate is
            not valid now, or not for that id.
    """

    log = Logger()

    def __init__(
        self,
        folder: Path,
        id: str,
        *,
        clock: IClock,
        today: Callable[[], datetime.datetime] = time_of_day,
    ) -> None:
        self.folder = folder
        self._id, self._clock, self._today = id, clock, today
        self._files = IdentityFiles(folder, id)
        self._expiry = Expiry(_RENEW, clock=clock, today=today)
        self._looked = clock.seconds()
        self._seen = self._state()
        self._load()

    def listening(self, factory: IProtocolFactory) -> IProtocolFactory:
        """What takes links in behind TLS."""
        return _Wrapping(self, False, factory, self._clock)

    def dialling(self, endpoint: IStreamClientEndpoint, peer: str) -> IStreamClientEndpoint:
        """The way to a node through TLS.

        Args:
            peer: who alone is accepted at its end; empty where the hello is still to say whom to
                expect, and the certificate is verified then.
        """
        return _TlsEndpoint(self, endpoint, peer, self._clock)

    def verify(self, transport: Any, id: str) -> None:
        """Verify that the other side of a connection showed the certificate of an id.

        Who has a token and can read the key of the very process that it asks may show that one's.

        Raises:
            IdentityError: it did not.
        """
        if not isinstance(transport, _Tls):
            raise IdentityError("the link is not encrypted")
        certificate = transport.getPeerCertificate()
        if certificate is None:
            problem = "none was shown"
        else:
            own = (self._files.holder,) if is_like_id(id) else ()
            problems = [_not_for(certificate, each) for each in (*holders_of(id), *own)]
            problem = problems[0] if all(problems) else ""
        if problem:
            raise IdentityError(f"its certificate is not that of {id!r}: {problem}")

    def look(self) -> None:
        """Read the files again if they have changed, and remind of certificates that expire.

        To be called now and then; it is called whenever a link is made.
        """
        now = self._clock.seconds()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        seen = self._state()
        if seen != self._seen:
            self._seen = seen
            self._read_again()
        self._expiry.look()

    # What Twisted asks for.

    def clientConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        self.look()
        return SSL.Connection(self._context, None)

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        self.look()
        return SSL.Connection(self._context, None)

    # Its own.

    def _state(self) -> list[tuple[int, int, int] | None]:
        return [_state_of(file) for file in self._files]

    def _read_again(self) -> None:
        try:
            self._load()
        except ConfigError as problem:
            self.log.error("The certificates read before stay in use. {problem}", problem=problem)
            return
        self.log.info("Read the certificate of {id} again", id=self._files.holder)

    def _load(self) -> None:
        files, now = self._files, self._today()
        for file in files:
            if not file.exists():
                raise ConfigError(
                    "there is no such file",
                    file=file,
                    advice=f"Make it with 'chatcore certs DIR {files.holder}', and copy it here",
                )
        verify_unchanged(files.authority)
        authorities = read_certificates(files.authority)
        certificate, *chain = read_certificates(files.own.certificate)
        verify_private(files.own.key)
        key = read_key(files.own.key)
        verify_pair(certificate, key, files.own.certificate, files.own.key)
        verify_dates([certificate, *chain], files.own.certificate, now, _RENEW)
        self._verify_name(certificate)
        current = [each for each in authorities if each.not_valid_after_utc >= now] or authorities
        verify_dates(current, files.authority, now, _ANEW)
        verify_purposes(certificate, files.own.certificate)
        self._verify_issued(certificate, chain, current)
        context = make_context(
            certificate=certificate,
            key=key,
            chain=chain,
            file=files.own.certificate,
            trusted=current,
        )
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verify)
        self._context = context
        last = max(current, key=lambda each: each.not_valid_after_utc)
        self._expiry.watch([(files.own.certificate, certificate), (files.authority, last)])

    def _verify_issued(
        self,
        certificate: x509.Certificate,
        chain: Sequence[x509.Certificate],
        trusted: Sequence[x509.Certificate],
    ) -> None:
        """Verify that the others, who trust the same authority, will accept this side."""
        store = X509Store()
        store.set_time(self._today())
        for each in trusted:
            store.add_cert(X509.from_cryptography(each))
        between = [X509.from_cryptography(each) for each in chain]
        try:
            X509StoreContext(
                store, X509.from_cryptography(certificate), between
            ).verify_certificate()
        except X509StoreContextError as problem:
            code, _, text = problem.errors
            raise ConfigError(
                f"this certificate is {_WHY.get(code, 'not accepted')}, seen from"
                f" {self._files.authority.name}: {text}",
                file=self._files.own.certificate,
                advice="Copy the certificate and the authority's from the same folder",
            ) from None

    def _verify_name(self, certificate: x509.Certificate) -> None:
        problem = _not_for(certificate, self._id)
        if problem:
            raise ConfigError(
                f"this certificate is not that of {self._files.holder}: {problem}",
                file=self._files.own.certificate,
                advice=f"It has to name {dns_name(self._id)}, as 'chatcore certs' makes it",
            )


class _Tls(TLSMemoryBIOProtocol):
    """TLS of one link.

    Not Twisted's own, which collects small writes: links have done so already.

    Attributes:
        dials: whether this side dialled.
        expected: the id that was dialled, if it is known.
        problem: what is wrong with the certificate that the other side showed.
    """

    dials = False
    expected = ""
    problem: str | None = None

    def makeConnection(self, transport: Any) -> None:
        super().makeConnection(_Straight(transport))


class _Straight:
    """A transport that gives to its socket at once what the socket takes.

    What is written first has to leave first, for whichever node it is: see `Outgoing`.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        write_now(self._transport, data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _Wrapping(TLSMemoryBIOFactory):
    """Makes the TLS of links."""

    def __init__(
        self,
        tls: LinkTls,
        dials: bool,
        factory: IProtocolFactory,
        clock: IClock,
        expected: str = "",
    ) -> None:
        super().__init__(tls, dials, factory, cast(Any, clock))
        self._dials, self._expected = dials, expected

    def buildProtocol(self, addr: Any) -> _Tls | None:  # type: ignore[override]  # as in Factory
        link = self.wrappedFactory.buildProtocol(addr)
        if link is None:
            return None
        tls = _Tls(self, link)
        tls.dials, tls.expected = self._dials, self._expected
        return tls


@implementer(IStreamClientEndpoint)
class _TlsEndpoint:
    """A way that leads through TLS."""

    def __init__(
        self, tls: LinkTls, endpoint: IStreamClientEndpoint, peer: str, clock: IClock
    ) -> None:
        self._tls, self._endpoint, self._peer, self._clock = tls, endpoint, peer, clock

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        wrapping = _Wrapping(self._tls, True, protocolFactory, self._clock, self._peer)
        connecting: Deferred[Any] = self._endpoint.connect(cast(Factory, wrapping))
        return connecting.addCallback(lambda tls: tls.wrappedProtocol)


def channel_of(transport: Any) -> bytes:
    """What only the two ends of a connection behind TLS know; nothing where it is in clear."""
    if not isinstance(transport, _Tls):
        return b""
    exported: bytes = transport.getHandle().export_keying_material(CHANNEL, CHANNEL_BYTES)
    return exported


def explained(transport: Any, reason: Failure) -> Failure:
    """Why a link ended, with a `IdentityError` in words where that was TLS.

    Args:
        transport: the link's, as it was.
        reason: what Twisted says.
    """
    if not isinstance(transport, _Tls):
        return reason
    if isinstance(reason.value, SSL.Error):
        return Failure(IdentityError(transport.problem or _explained(reason.value)))
    if transport.dials and transport.getPeerCertificate() is None:
        return Failure(
            IdentityError("it closed the link before TLS began; was it started with --tls, too?")
        )
    return reason


def _explained(problem: SSL.Error) -> str:
    said = words(problem)
    if any(each in said for each in _NO_TLS):
        return "it does not speak TLS, and this side was started with --tls"
    if "did not return a certificate" in said:
        return "it showed no certificate"
    if "alert" in said:
        return f"it does not accept the certificate that this side shows ({said})"
    return f"TLS failed: {said}"


def _verify(connection: SSL.Connection, shown: X509, error: int, depth: int, ok: int) -> bool:
    """Judge a certificate of the other side's; called by OpenSSL for each, from the top down."""
    tls = cast(_Tls, connection.get_app_data())
    try:
        certificate = shown.to_cryptography()
    except ValueError as problem:  # OpenSSL is less strict
        tls.problem = f"its certificate can't be read: {problem}"
        return False
    if not ok:
        tls.problem = f"its certificate is {_why(certificate, error, depth)}"
        return False
    if depth == 0 and tls.expected:
        why = _not_for(certificate, tls.expected)
        if why:
            tls.problem = f"its certificate is not that of {tls.expected!r}: {why}"
            return False
    return True


def _why(certificate: x509.Certificate, error: int, depth: int) -> str:
    codes = SSL.X509VerificationCodes
    whose = "" if depth == 0 else ", or that of its authority"
    if error == codes.ERR_CERT_HAS_EXPIRED:
        return f"expired on {day(certificate.not_valid_after_utc)}{whose}"
    if error == codes.ERR_CERT_NOT_YET_VALID:
        return f"not valid before {day(certificate.not_valid_before_utc)}{whose}"
    return _WHY.get(error, f"not accepted (OpenSSL's reason {error}{whose})")


def _not_for(certificate: X509 | x509.Certificate, id: str) -> str:
    """Why a certificate is not that of an id; empty where it is."""
    if isinstance(certificate, X509):
        certificate = certificate.to_cryptography()
    try:
        verify_certificate_hostname(certificate, dns_name(id))
    except ValueError as problem:
        return str(problem)
    except (VerificationError, CertificateError):
        return f"it is for {_names(certificate)}"
    return ""


def _names(certificate: x509.Certificate) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = [str(name) for name in names.get_values_for_type(x509.DNSName)]
    except (x509.ExtensionNotFound, ValueError):
        found = []
    return ", ".join(found)[:200] or "nobody"


def _state_of(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
