"""A client that speaks TLS with a connector in memory."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from cryptography.x509 import NameOID
from OpenSSL import SSL

from .clients import Client, Connector


class TlsClient:
    """One client's end of an encrypted connection.

    Args:
        connector: where it connects to.
        first: what it sends before TLS begins.
        piece: of how many bytes the pieces are in which everything arrives.
        version: the highest version of TLS; OpenSSL's unless given.
        offers: what it would speak, by ALPN.
    """

    def __init__(
        self,
        connector: Connector,
        *,
        first: bytes = b"",
        piece: int = 1 << 20,
        version: int = 0,
        offers: Sequence[bytes] = (b"h2", b"http/1.1"),
    ) -> None:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        if offers:
            context.set_alpn_protos(list(offers))
        if version:
            context.set_max_proto_version(version)
        self.client: Client = connector.connect()
        self._piece = piece
        self._tls = SSL.Connection(context, None)
        self._tls.set_connect_state()
        self._deliver(first)
        self._seen = b""
        while not self.closed:
            try:
                self._tls.do_handshake()
                break
            except SSL.WantReadError:
                self._exchange()
        self._exchange()

    @property
    def closed(self) -> bool:
        return self.client.closed

    @property
    def certificate(self) -> str:
        """The name in the certificate that the server showed."""
        shown = self._tls.get_peer_certificate(as_cryptography=True)
        assert shown is not None
        (name,) = shown.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(name.value)

    @property
    def protocol(self) -> bytes:
        """What was agreed upon by ALPN."""
        return self._tls.get_alpn_proto_negotiated()

    def send(self, data: bytes) -> None:
        self._tls.send(data)
        self._exchange()

    def take(self) -> bytes:
        """What the server said since this was asked last."""
        self._exchange()
        seen, self._seen = self._seen, b""
        return seen

    def close(self) -> None:
        """Close TLS in its own way."""
        self._tls.shutdown()
        self._exchange()

    def _exchange(self) -> None:
        with suppress(SSL.WantReadError):
            self._deliver(self._tls.bio_read(1 << 20))
        came = self.client.take()
        if came:
            self._tls.bio_write(came)
        while True:
            try:
                self._seen += self._tls.recv(1 << 16)
            except (SSL.WantReadError, SSL.ZeroReturnError):
                return
            except SSL.Error:
                return  # before the handshake is through

    def _deliver(self, data: bytes) -> None:
        for at in range(0, len(data), self._piece):
            self.client.send(data[at : at + self._piece])
