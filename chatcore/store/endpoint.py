"""How a Redis server is dialled."""

from __future__ import annotations

import ipaddress
from typing import Any

from OpenSSL import SSL
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    wrapClientTLS,
)
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS

from chatcore.config.certificates import read_certificates, read_key, verify_pair
from chatcore.errors import ConfigError
from chatcore.store.place import RedisPlace, Trust
from chatcore.tls import trust_root, words


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
    shown = {} if trust.own is None else _shown(trust)
    root = None if trust.ca is None else trust_root(read_certificates(trust.ca))
    try:
        return optionsForClientTLS(host, trustRoot=root, extraCertificateOptions=shown)
    except SSL.Error as problem:  # only with a certificate of our own something is left to fail
        file = None if trust.own is None else trust.own.certificate
        raise ConfigError(
            f"OpenSSL does not take this certificate: {words(problem)}", file=file
        ) from None


def _shown(trust: Trust) -> dict[str, Any]:
    assert trust.own is not None
    certificate, *chain = read_certificates(trust.own.certificate)
    key = read_key(trust.own.key)
    verify_pair(certificate, key, trust.own.certificate, trust.own.key)
    return {"certificate": certificate, "privateKey": key, "extraCertChain": chain}
