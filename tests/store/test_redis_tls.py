"""Redis behind TLS: whose certificates are taken, and what is said of the others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from certificates import make_certificate
from small_cluster import until
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import SSL4ServerEndpoint
from twisted.internet.ssl import CertificateOptions
from twisted.protocols.portforward import ProxyFactory
from valkey_server import Valkey

from chatcore.config.certificates import read_certificates, read_key
from chatcore.config.tls_files import TlsFiles
from chatcore.errors import ConfigError, StoreAway
from chatcore.tls import trust_root

Make = Callable[..., Any]


@pytest_twisted.async_yield_fixture
async def shield(valkey: Valkey) -> AsyncIterator[Callable[..., Any]]:
    """Puts TLS before Valkey, as Debian's redis-server has it built in; the port comes back."""
    from twisted.internet import reactor

    ports = []

    async def put(files: TlsFiles, clients: TlsFiles | None = None) -> int:
        options = CertificateOptions(
            privateKey=read_key(files.key),
            certificate=read_certificates(files.certificate)[0],
            trustRoot=clients and trust_root(read_certificates(clients.certificate)),
        )
        endpoint = SSL4ServerEndpoint(reactor, 0, options, interface="127.0.0.1")
        factory = ProxyFactory("127.0.0.1", valkey.port)
        factory.noisy = False
        port = await endpoint.listen(factory)
        ports.append(port)
        return int(port.getHost().port)

    yield put
    for port in ports:
        await maybeDeferred(port.stopListening)
    behind = ("127.0.0.1", valkey.port)
    await until(
        lambda: all(
            getattr(each, "addr", None) != behind
            for each in [*reactor.getReaders(), *reactor.getWriters()]
        ),
        "the other half of each connection to be closed",
    )


@pytest_twisted.ensureDeferred
async def test_a_certificate_of_a_trusted_authority_is_taken(
    tmp_path: Path, shield: Any, client: Make
) -> None:
    files = make_certificate(tmp_path)
    port = await shield(files)
    for host in ("127.0.0.1", "localhost"):
        redis = client(f"rediss://{host}:{port}?ca={files.certificate.name}", folder=tmp_path)
        assert await redis.command(b"PING") == b"PONG"


@pytest_twisted.ensureDeferred
async def test_other_certificates_are_refused_by_name(
    tmp_path: Path, shield: Any, client: Make
) -> None:
    files, other = make_certificate(tmp_path), make_certificate(tmp_path, "elsewhere.example")
    port, elsewhere = await shield(files), await shield(other)
    stranger = client(f"rediss://127.0.0.1:{port}", seconds=1.5)
    with pytest.raises(StoreAway, match="certificate"):
        await stranger.command(b"PING")
    ca = tmp_path / "both.pem"
    ca.write_bytes(files.certificate.read_bytes() + other.certificate.read_bytes())
    misnamed = client(f"rediss://localhost:{elsewhere}?ca={ca}", seconds=1.5)
    with pytest.raises(StoreAway, match="certificate is for another name"):
        await misnamed.command(b"PING")


@pytest_twisted.ensureDeferred
async def test_it_shows_a_certificate_of_its_own(tmp_path: Path, shield: Any, client: Make) -> None:
    files, own = make_certificate(tmp_path), make_certificate(tmp_path, "node")
    port = await shield(files, clients=own)
    url = f"rediss://127.0.0.1:{port}?ca=localhost.pem"
    with pytest.raises(StoreAway):
        await client(url, folder=tmp_path, seconds=1.5).command(b"PING")
    redis = client(url + "&certificate=node.pem&key=node.key", folder=tmp_path)
    assert await redis.command(b"PING") == b"PONG"


@pytest_twisted.ensureDeferred
async def test_a_redis_with_tls_of_its_own(tmp_path: Path, client: Make) -> None:
    server = Valkey(tmp_path, tls=make_certificate(tmp_path))
    try:
        redis = client(server.url)
        assert await redis.command(b"PING") == b"PONG"
        await redis.close()
    finally:
        server.stop()


@pytest_twisted.ensureDeferred
async def test_a_server_without_tls_keeps_nobody_waiting(valkey: Valkey, client: Make) -> None:
    with pytest.raises(StoreAway, match="no answer"):
        await client(f"rediss://127.0.0.1:{valkey.port}", seconds=1.5).command(b"PING")


@pytest.mark.parametrize("host", ["my_redis", "xn--a"])
def test_a_name_that_no_certificate_can_be_for_is_told_at_once(client: Make, host: str) -> None:
    with pytest.raises(ConfigError, match=f"'{host}' is no name"):
        client(f"rediss://{host}", start=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("ca=none.pem", "none.pem: can't be read: No such file"),
        ("ca=localhost.key", "localhost.key: no certificate"),
        ("ca=broken.pem", "broken.pem: no certificate"),
        ("certificate=localhost.pem&key=none.key", "none.key: can't be read"),
        ("certificate=localhost.pem&key=broken.pem", "broken.pem: no private key"),
        ("certificate=localhost.pem&key=node.key", "node.key: this is not the key of"),
    ],
)
def test_files_that_can_not_be_used_are_told_at_once(
    tmp_path: Path, client: Make, options: str, message: str
) -> None:
    make_certificate(tmp_path)
    make_certificate(tmp_path, "node")
    (tmp_path / "broken.pem").write_text(
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    )
    with pytest.raises(ConfigError, match=message):
        client(f"rediss://127.0.0.1:1?{options}", folder=tmp_path, start=False)
