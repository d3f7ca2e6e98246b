"""TLS on the client port."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from certificates import make_certificate
from OpenSSL import SSL
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from chatcore.config.tls_files import TlsFiles
from chatcore.connectors.tls import Certificates, load_context
from chatcore.errors import ConfigError
from chatcore.wire import message, package
from chatcore.wire.body import Body

from .clients import HANDSHAKE, UPGRADE, Connector, frame, frames, is_served
from .tls_clients import TlsClient

Make = Callable[..., Connector]

HELLO = package.encode(package.HANDSHAKE, HANDSHAKE) + package.encode(package.ACK)
ASKS = package.encode(package.DATA, message.encode_request(7, "a.b.c", b"{}"))
WELCOME = b'\x01\x00\x00\x15{"code":200,"sys":{}}'


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secure(make: Make, files: TlsFiles) -> Connector:
    return make(tls=files)


class TestWhatIsSpokenBehindIt:
    @pytest.mark.parametrize("piece", [1 << 20, 1])
    @pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
    def test_websocket_and_tcp(self, secure: Connector, piece: int, version: int) -> None:
        client = TlsClient(secure, piece=piece, version=version)
        client.send(UPGRADE)
        assert client.take().startswith(b"HTTP/1.1 101 ")
        client.send(frame(HELLO))
        assert client.take() == b"\x82\x19" + WELCOME
        client.send(frame(ASKS))

        other = TlsClient(secure, piece=piece, version=version)
        for byte in HELLO:
            other.send(bytes((byte,)))
        assert other.take() == WELCOME
        other.send(ASKS)
        assert [asked.message.id for asked in secure.asked] == [7, 7]

    def test_http(self, secure: Connector) -> None:
        client = TlsClient(secure)
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.take().startswith(b"HTTP/1.1 200 ")
        client.close()
        assert client.closed

    def test_an_answer_and_a_kick(self, secure: Connector) -> None:
        client = TlsClient(secure)
        client.send(HELLO + ASKS)
        (asked,) = secure.asked
        assert asked.reply is not None
        client.take()
        asked.reply(Body(None, b"{}"))
        secure.reactor.settle()
        assert client.take() == b"\4\0\0\4\4\7{}"
        secure.sessions.kick(asked.session.id, "away")
        secure.reactor.settle()
        assert client.take() == b'\5\0\0\x11{"reason":"away"}'
        client.close()
        assert client.closed

    def test_who_does_not_answer_the_close(self, secure: Connector) -> None:
        client = TlsClient(secure)
        client.send(HELLO)
        (session,) = secure.sessions
        secure.sessions.kick(session.id, "away")
        secure.reactor.settle()
        assert not client.closed
        secure.reactor.advance(2)
        secure.reactor.settle()
        assert client.closed

    def test_what_begins_nothing(self, secure: Connector) -> None:
        client = TlsClient(secure)
        client.send(b"\x16\x03\x01")
        assert client.closed
        assert secure.counters.clients_broken == 1

    def test_alpn_offers_no_http_2(self, secure: Connector) -> None:
        assert TlsClient(secure).protocol == b"http/1.1"

    @pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
    @pytest.mark.parametrize("offers", [(), (b"h2",), (b"h2", b"pomelo")])
    def test_alpn_without_a_name_that_is_known(
        self, secure: Connector, version: int, offers: tuple[bytes, ...]
    ) -> None:
        """As without ALPN (RFC 7301, section 3.2, allows to go on)."""
        client = TlsClient(secure, version=version, offers=offers)
        assert client.protocol == b""
        client.send(UPGRADE)
        assert client.take().startswith(b"HTTP/1.1 101 ")

    def test_behind_a_proxy(self, make: Make, files: TlsFiles) -> None:
        connector = make(tls=files, proxy={"protocol": True, "trusted": ("192.0.2.1",)})
        header = b"PROXY TCP4 198.51.100.7 192.0.2.1 56324 443\r\n"
        for piece in (1 << 20, 1):
            client = TlsClient(connector, first=header, piece=piece)
            client.send(HELLO)
            (session,) = connector.sessions
            assert session.connection.address == ("198.51.100.7", 56324)
            client.client.hang_up()


class TestWhoDoesNotSpeakIt:
    def test_http_is_told(self, secure: Connector) -> None:
        for said in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", UPGRADE):
            client = secure.connect()
            client.send(said)
            answer = client.take()
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert b"TLS" in answer
            assert client.closed

    def test_tcp_is_closed(self, secure: Connector) -> None:
        client = secure.connect()
        client.send(HELLO)
        assert client.closed
        assert client.take() == b""
        assert secure.counters.clients_broken == 1

    def test_both_may_be_allowed(self, make: Make, files: TlsFiles) -> None:
        connector = make(tls=files, plain=True)
        assert is_served(connector, connector.enter())
        plain = connector.connect()
        plain.send(HELLO)
        assert plain.take() == WELCOME
        client = TlsClient(connector)
        client.send(HELLO)
        assert client.take() == WELCOME

    def test_a_port_without_a_certificate(self, connector: Connector) -> None:
        client = connector.connect()
        client.send(b"\x16\x03\x01\2\0\1\0\1\xfc\3\3")
        assert client.closed
        assert connector.counters.clients_broken == 1

    @pytest.mark.parametrize("said", [b"\x16\x03\x01\0\5garba", b"\x16" + b"\xff" * 100])
    def test_what_only_looks_like_it(self, secure: Connector, said: bytes) -> None:
        for pieces in ([said], [bytes((byte,)) for byte in said]):
            client = secure.connect()
            for piece in pieces:
                client.send(piece)
            assert client.closed
        assert secure.counters.clients_broken == 2
        assert secure.counters.clients_now == 0

    def test_a_handshake_that_is_not_finished(self, secure: Connector) -> None:
        client = secure.connect()
        client.send(b"\x16\x03\x01\2\0\1\0")
        secure.reactor.advance(10)
        secure.reactor.settle()
        assert client.closed
        secure.count(clients_accepted=1, clients_silent=1)


class TestASlowClient:
    def test_what_it_does_not_read_waits_within_bounds(self, make: Make, files: TlsFiles) -> None:
        connector = make(tls=files, outbox={"bytes": 100_000, "seconds": 5})
        client = TlsClient(connector)
        client.send(UPGRADE)
        client.send(frame(HELLO))
        client.take()
        (session,) = connector.sessions
        outbox = session.connection.outbox
        push = session.connection.encoding.push("on", Body(None, b'"' + b"x" * 5000 + b'"'))

        client.client.socket.room = 0
        for _ in range(30):
            outbox.send(push)
            connector.reactor.settle()
        transport = client.client.transport
        held = len(transport.dataBuffer) + transport._tempDataLen
        assert held < 2 * 65536
        assert 10 * len(push) < outbox.waiting < 100_000
        client.client.socket.room = 1 << 60
        connector.reactor.settle()
        assert outbox.waiting == 0
        assert len(frames(client.take())) == 30
        client.send(frame(ASKS))
        assert [asked.message.id for asked in connector.asked] == [7]

    @pytest.mark.parametrize("too", ["much", "long"])
    def test_too_much_or_for_too_long(self, make: Make, files: TlsFiles, too: str) -> None:
        connector = make(tls=files, outbox={"bytes": 100_000, "seconds": 5})
        neighbour = TlsClient(connector)
        neighbour.send(HELLO)
        client = TlsClient(connector)
        client.send(HELLO)
        outbox = list(connector.sessions)[1].connection.outbox
        client.client.socket.room = 0
        for _ in range(100 if too == "much" else 20):
            outbox.send(b"x" * 5000)
            connector.reactor.settle()
        if too == "long":
            connector.reactor.advance(5)
        assert client.client.transport.aborted
        assert connector.counters.clients_slow == 1
        neighbour.send(ASKS)
        assert len(connector.asked) == 1


class TestReloading:
    def renewed(self, files: TlsFiles, other: TlsFiles) -> None:
        """Put another pair in place, as certbot does: new files under the old names."""
        for old, new in zip(files, other, strict=True):
            copy = new.with_suffix(".copy")
            copy.write_bytes(new.read_bytes())
            os.replace(copy, old)

    def test_a_new_pair_is_used_and_nobody_is_dropped(self, make: Make, tmp_path: Path) -> None:
        files, other = make_certificate(tmp_path), make_certificate(tmp_path, "renewed")
        connector = make(tls=files)
        before = TlsClient(connector)
        before.send(HELLO)
        assert before.take() == WELCOME
        self.renewed(files, other)
        assert TlsClient(connector).certificate == "localhost"
        connector.reactor.advance(30)
        after = TlsClient(connector)
        assert after.certificate == "renewed"
        before.send(ASKS)
        assert len(connector.asked) == 1

    def test_a_bad_pair_is_logged_and_the_old_one_stays(self, make: Make, tmp_path: Path) -> None:
        files, other = make_certificate(tmp_path), make_certificate(tmp_path, "renewed")
        connector = make(tls=files)
        logged: list[LogEvent] = []
        globalLogPublisher.addObserver(logged.append)
        try:
            files.certificate.write_bytes(other.certificate.read_bytes())
            for _ in range(3):
                connector.reactor.advance(30)
        finally:
            globalLogPublisher.removeObserver(logged.append)
        errors = [event for event in logged if event["log_level"].name == "error"]
        (error,) = errors
        assert str(files.key) in str(error["problem"])
        assert TlsClient(connector).certificate == "localhost"
        files.key.write_bytes(other.key.read_bytes())
        connector.reactor.advance(30)
        assert TlsClient(connector).certificate == "renewed"

    def test_files_that_vanish(self, make: Make, tmp_path: Path) -> None:
        files = make_certificate(tmp_path)
        connector = make(tls=files)
        files.key.unlink()
        connector.reactor.advance(30)
        assert TlsClient(connector).certificate == "localhost"

    def test_turned_off(self, files: TlsFiles) -> None:
        clock = Clock()
        Certificates(files=files, minimum="1.2", seconds=0, clock=clock).watch.start()
        assert clock.getDelayedCalls() == []


class TestWarnings:
    @pytest.mark.parametrize(
        ("days", "what"),
        [(100, ""), (10, "expires on .*, in 9 days"), (-1, "expired on .*; nobody who looks")],
    )
    def test_a_certificate_that_expires_is_told_at_start_and_daily(
        self, make: Make, tmp_path: Path, days: int, what: str
    ) -> None:
        """It is used all the same: some clients look at no dates."""
        logged: list[LogEvent] = []
        files = make_certificate(tmp_path, days=days)
        globalLogPublisher.addObserver(logged.append)
        try:
            connector = make(tls=files)
            for _ in range(3):
                connector.reactor.advance(24 * 3600)
                assert TlsClient(connector).certificate == "localhost"
                assert TlsClient(connector).certificate == "localhost"
        finally:
            globalLogPublisher.removeObserver(logged.append)
        told = [formatEvent(event) for event in logged if event.get("file") == files.certificate]
        assert len(told) == (4 if what else 0)
        for line in told:
            assert re.match(rf"{files.certificate}: this certificate {what}.*without a rest", line)

    def test_a_key_for_everybody(self, tmp_path: Path) -> None:
        logged: list[LogEvent] = []
        files = make_certificate(tmp_path, days=100)
        globalLogPublisher.addObserver(logged.append)
        try:
            for mode in (0o640, 0o644):
                files.key.chmod(mode)
                Certificates(files=files, minimum="1.2", seconds=0, clock=Clock())
        finally:
            globalLogPublisher.removeObserver(logged.append)
        (line,) = map(formatEvent, logged)
        assert line is not None and line.startswith(f"{files.key}: everybody on this machine")


class TestMistakes:
    def problem(self, files: TlsFiles) -> ConfigError:
        with pytest.raises(ConfigError) as caught:
            load_context(files, "1.2")
        return caught.value

    def test_a_file_that_is_missing(self, files: TlsFiles, tmp_path: Path) -> None:
        nowhere = tmp_path / "nowhere.pem"
        for wrong in (
            TlsFiles(nowhere, files.key),
            TlsFiles(files.certificate, nowhere),
            TlsFiles(files.certificate, files.key, nowhere),
        ):
            problem = self.problem(wrong)
            assert problem.file == nowhere
            assert "No such file" in str(problem)

    def test_files_that_hold_something_else(self, files: TlsFiles, tmp_path: Path) -> None:
        (other := tmp_path / "other.pem").write_text("-----BEGIN NOTHING-----\n")
        assert self.problem(TlsFiles(other, files.key)).file == other
        assert self.problem(TlsFiles(files.certificate, other)).file == other
        assert self.problem(TlsFiles(files.key, files.certificate)).file == files.key
        assert self.problem(TlsFiles(tmp_path, files.key)).file == tmp_path

    def test_the_key_of_another_certificate(self, files: TlsFiles, tmp_path: Path) -> None:
        other = make_certificate(tmp_path)
        problem = self.problem(TlsFiles(files.certificate, other.key))
        assert problem.file == other.key
        assert str(files.certificate) in str(problem)

    def test_a_key_that_is_too_short(self, tmp_path: Path) -> None:
        files = make_certificate(tmp_path, weak=True)
        problem = self.problem(files)
        assert problem.file == files.certificate
        assert "too small" in str(problem)

    def test_a_key_with_a_password(self, tmp_path: Path) -> None:
        files = make_certificate(tmp_path, password=b"secret")
        assert "password" in str(self.problem(files))

    def test_the_lowest_version(self, make: Make, files: TlsFiles) -> None:
        context = load_context(files, "1.3")
        connector = make(tls=files)
        assert connector.factory.certificates is not None
        connector.factory.certificates._context = context
        assert TlsClient(connector, version=SSL.TLS1_2_VERSION).closed
        assert connector.counters.clients_broken == 1
        assert not TlsClient(connector).closed
