"""How a Redis server is dialled."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    wrapClientTLS,
)
from twisted.internet.error import VerifyError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import (
    Certificate,
    PrivateCertificate,
    optionsForClientTLS,
    trustRootFromCertificates,
)

from chatcore.errors import ConfigError
from chatcore.store.place import RedisPlace, Trust

_END = b"-----END CERTIFICATE-----"


def redis_endpoint(place: RedisPlace, seconds: float, reactor: Any) -> IStreamClientEndpoint:
    """How to dial a Redis server; with TLS, its certificate has to be for the host in its URL.

    Args:
        place: where it is.
        seconds: how long one attempt may take.
        reactor: the reactor.

    Raises:
        ConfigError: one of the files that TLS needs can't be used.
    """
    endpoint = _plain(place, seconds, reactor)
    if place.trust is None:
        return endpoint
    return wrapClientTLS(_options(place.host, place.trust), endpoint)


def _plain(place: RedisPlace, seconds: float, reactor: Any) -> IStreamClientEndpoint:
    try:
        version = ipaddress.ip_address(place.host).version
    except ValueError:
        return HostnameEndpoint(reactor, place.host, place.port, timeout=seconds)
    # Not the endpoint for names: it waits for a second address before it says that one refuses.
    endpoint = TCP4ClientEndpoint if version == 4 else TCP6ClientEndpoint
    return endpoint(reactor, place.host, place.port, seconds)


def _options(host: str, trust: Trust) -> Any:
    root = None if trust.ca is None else trustRootFromCertificates(_certificates(trust.ca))
    own = None
    if trust.certificate is not None and trust.key is not None:
        own = _own(trust.certificate, trust.key)
    try:
        return optionsForClientTLS(host, trustRoot=root, clientCertificate=own)
    except SSL.Error as problem:  # only with a certificate of our own something is left to fail
        raise ConfigError(
            f"the certificate can't be used with the key {trust.key}: {problem}",
            file=trust.certificate,
        ) from None


def _certificates(file: Path) -> list[Certificate]:
    blocks = _read(file).split(_END)[:-1]
    if not blocks:
        raise ConfigError("there is no certificate in it", file=file)
    try:
        return [Certificate.loadPEM(block + _END) for block in blocks]
    except (crypto.Error, ValueError) as problem:
        raise ConfigError(f"it holds no certificate: {problem}", file=file) from None


def _own(certificate: Path, key: Path) -> PrivateCertificate:
    both = _read(certificate) + b"\n" + _read(key)
    try:
        pair: PrivateCertificate = PrivateCertificate.loadPEM(both)
    except (crypto.Error, ValueError, VerifyError) as problem:
        raise ConfigError(
            f"it and its key {key} are not what they should be: {problem}", file=certificate
        ) from None
    return pair


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as problem:
        raise ConfigError(f"it can't be read: {problem.strerror}", file=file) from None
