"""How a Redis server is dialled."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
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
from twisted.logger import Logger

from chatcore.config.certificates import read_certificates, read_key, verify_pair
from chatcore.errors import ConfigError
from chatcore.store.place import RedisPlace, Trust
from chatcore.tls import trust_root, words


class Approach:
    """The way to a server; user, password and files of TLS may change while it is used.

    They are read before each attempt. What can't be used is told, and what was read before is used
    instead. Another server is not gone to: some nodes would be there, and some here.

    Args:
        read: gives the place as it is written down now; it may raise `ConfigError`.
        seconds: how long one attempt may take.
        reactor: the reactor.

    Raises:
        ConfigError: the place can't be read, or one of the files that TLS needs can't be used.
    """

    log = Logger()

    def __init__(self, read: Callable[[], RedisPlace], seconds: float, reactor: Any) -> None:
        self._read, self._seconds, self._reactor = read, seconds, reactor
        self._problem = ""
        self._way = self._look()

    def __call__(self) -> tuple[RedisPlace, IStreamClientEndpoint]:
        """The place and how it is dialled, as they are known now."""
        problem = ""
        try:
            way = self._look()
            if str(way[0]) == str(self._way[0]):
                self._way = way
            else:
                problem = f"the registry is {way[0]} by now, which takes a restart"
        except ConfigError as wrong:
            problem = str(wrong)
        if problem and problem != self._problem:
            self.log.warn("{problem}; what was read before is used", problem=problem)
        self._problem = problem
        return self._way

    def _look(self) -> tuple[RedisPlace, IStreamClientEndpoint]:
        place = self._read()
        return place, redis_endpoint(place, self._seconds, self._reactor)


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
        if "_" not in place.host:
            return HostnameEndpoint(reactor, place.host, place.port, timeout=seconds)
        version = 4  # as containers are called; that endpoint takes it for no name at all
    # Not the endpoint for names: it waits for a second address before it says that one refuses.
    endpoint = TCP4ClientEndpoint if version == 4 else TCP6ClientEndpoint
    return endpoint(reactor, place.host, place.port, seconds)


def _options(host: str, trust: Trust) -> Any:
    shown = {} if trust.own is None else _shown(trust)
    root = None if trust.ca is None else trust_root(read_certificates(trust.ca))
    try:
        return optionsForClientTLS(host, trustRoot=root, extraCertificateOptions=shown)
    except UnicodeError:  # what idna raises
        raise ConfigError(
            f"with TLS, the certificate has to be for the host, and '{host}' is no name that one"
            " can be for",
            advice="Call it by a name of letters, digits, '-' and '.', or by its address",
        ) from None
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
