"""Takes encrypted connections, and hands on what is in them: TLS for a server that has none.

Run as ``python tls_in_front.py ADDRESS PORT TO-ADDRESS TO-PORT CERTIFICATE KEY``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.endpoints import SSL4ServerEndpoint
from twisted.internet.ssl import CertificateOptions
from twisted.protocols.portforward import ProxyFactory

from chatcore.config.certificates import read_certificates, read_key


def main(address: str, port: str, to: str, to_port: str, certificate: str, key: str) -> None:
    options = CertificateOptions(
        certificate=read_certificates(Path(certificate))[0], privateKey=read_key(Path(key))
    )
    endpoint = SSL4ServerEndpoint(reactor, int(port), options, interface=address)
    endpoint.listen(ProxyFactory(to, int(to_port)))
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
