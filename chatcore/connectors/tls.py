"""TLS on the client port: its certificate, and how a connection is wrapped into it."""

from __future__ import annotations

from typing import Any, cast

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IProtocol
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from chatcore.config.certificates import is_public, read_certificates, read_key, verify_pair
from chatcore.config.tls_files import TlsFiles
from chatcore.connectors.watching import Watch
from chatcore.deadlines import IClock
from chatcore.tls import Expiry, make_context

ALPN = [b"http/1.1"]
"""What is spoken behind TLS, as far as it has a name (RFC 7301): no HTTP/2."""

_RENEW = "Get a new one, and put it in its place: it is used without a restart"


def load_context(files: TlsFiles, minimum: str) -> SSL.Context:
    """What connections are encrypted with.

    Args:
        files: the certificate and its key.
        minimum: the lowest version of TLS, ``1.2`` or ``1.3``.

    Raises:
        ConfigError: a file is missing, can't be read, or holds something else; the key is that of
            another certificate; or OpenSSL does not take them, as where they are too weak.
    """
    certificate, *chain = read_certificates(files.certificate)
    key = read_key(files.key)
    verify_pair(certificate, key, files.certificate, files.key)
    if files.chain is not None:
        chain += read_certificates(files.chain)
    context = make_context(
        certificate=certificate, key=key, chain=chain, file=files.certificate, minimum=minimum
    )
    context.set_alpn_select_callback(_select)
    return context


def _select(connection: SSL.Connection, offered: list[bytes]) -> Any:
    """One of what a client offers. Nothing, rather than an end, where none is spoken here.

    Twisted's own answers nothing by an empty name, which OpenSSL takes for a mistake.
    """
    return next((name for name in ALPN if name in offered), SSL.NO_OVERLAPPING_PROTOCOLS)


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

    log = Logger()

    def __init__(self, *, files: TlsFiles, minimum: str, seconds: float, clock: IClock) -> None:
        self._files, self._minimum = files, minimum
        self._expiry = Expiry(_RENEW, clock=clock)
        self.watch = Watch(files, seconds=seconds, clock=clock, load=self._load)
        self._load()
        self._factory = TLSMemoryBIOFactory(self, False, Factory(), cast(Any, clock))

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        self._expiry.look()
        return SSL.Connection(self._context, None)

    def wrap(self, protocol: IProtocol) -> TLSMemoryBIOProtocol:
        """TLS for one connection, with ``protocol`` behind it."""
        # Not its subclass that collects small writes: outboxes have done so already.
        return TLSMemoryBIOProtocol(self._factory, protocol)

    def _load(self) -> None:
        self._context = load_context(self._files, self._minimum)
        certificate, *_ = read_certificates(self._files.certificate)
        self._expiry.watch([(self._files.certificate, certificate)])
        if is_public(self._files.key):
            self.log.warn(
                "{file}: everybody on this machine can read this key. Run chmod o-rwx {file}",
                file=self._files.key,
            )
