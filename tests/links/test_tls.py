"""Links behind TLS: who is who by certificate, over real sockets."""

from __future__ import annotations

import datetime
import select
import shutil
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st
from identities import NOW, confine, make_identities
from OpenSSL import SSL
from service_identity.hazmat import DNS_ID, DNSPattern
from small_cluster import until
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock

from chatcore.config.identities import dns_name
from chatcore.errors import ConfigError
from chatcore.links import greeting
from chatcore.links.tls import LinkTls
from chatcore.wire.box import END, item, join

from .tls_nodes import EARLY, ECHO, EXPIRED, FOREIGN, GOOD, NONE, NOWHERE, Between, Papers, nodes
from .wiring import Log


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name is short enough for a socket's."""
    with TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_two_nodes_with_certificates_talk(kind: str, folder: Path) -> None:
    async with nodes(folder, kind=kind) as (a, b):
        link = await until(lambda: a.table.get("b"), "the link")
        await until(lambda: b.table.get("a"), "the link")
        answers: list[bytes] = []
        big = bytes(range(256)) * 20_000
        for text in (b"1", big, b"2"):
            link.ask(
                ECHO + item(b"text", text),
                lambda box, problem: answers.append(join(box or {}, b"text")),
                "an echo",
            )
        await until(lambda: len(answers) == 3, "the answers")
        assert answers == [b"1", big, b"2"]
        assert link.transport.getHandle().get_protocol_version_name() == "TLSv1.3"
        assert b.counters.links_rejected == a.counters.links_rejected == 0


async def test_what_a_turn_wrote_has_left_when_it_ends(folder: Path) -> None:
    """Links have an order among them: what is acknowledged on one was told on the others."""
    async with nodes(folder) as (a, b):
        link = await until(lambda: a.table.get("b"), "the link")
        other = await until(lambda: b.table.get("a"), "the link")
        links = (link, other)
        await until(lambda: not any(arrived(each) for each in links), "silence")
        for size in (1, 100_000):
            link.write(ECHO + item(b"text", bytes(size)) + END)
            link.flush()
            assert arrived(other)
            await until(lambda: not arrived(other), "its being read")


def arrived(link: Any) -> bool:
    """Whether there is something to be read on the socket of a link."""
    return bool(select.select([link.transport.transport.socket], [], [], 0)[0])


EXPECTS_TLS = "it does not speak TLS, and this side was started with --tls"
SHOWS_WRONG = "it does not accept the certificate that this side shows"


@pytest.mark.parametrize(
    ("a", "b", "why_a", "why_b"),
    [
        (Papers(shows="c"), GOOD, "not that of 'a': it is for c", "not that of 'a': it is for c"),
        (GOOD, Papers(shows="c"), "not that of 'b': it is for c", SHOWS_WRONG),
        (FOREIGN, GOOD, "is of another authority", SHOWS_WRONG),
        (GOOD, FOREIGN, "is of another authority", SHOWS_WRONG),
        (EXPIRED, GOOD, SHOWS_WRONG, "expired on"),
        (GOOD, EXPIRED, "expired on", SHOWS_WRONG),
        (EARLY, GOOD, SHOWS_WRONG, "not valid before"),
        (NONE, GOOD, "it closed the link instead of saying hello", EXPECTS_TLS),
        (GOOD, NONE, "was it started with --tls, too?", "looks like a node with --tls"),
    ],
    ids=[
        *("other a", "other b", "foreign a", "foreign b", "expired a", "expired b"),
        *("early a", "plain a", "plain b"),
    ],
)
async def test_who_shows_something_else_is_not_let_in(
    folder: Path, a: Papers, b: Papers, why_a: str, why_b: str
) -> None:
    with Log() as log:
        async with nodes(folder, a=a, b=b) as (first, second):
            await until(lambda: first.counters.links_rejected > 1, "two attempts")
            await until(lambda: second.counters.links_rejected > 1, "two attempts")
            assert first.counters.links_up == second.counters.links_up == 0
            assert (second.counters.links_uncertified > 0) == (b is not NONE)
        told_a = [text for text in log.texts if text.startswith("b can't be linked to: ")]
        told_b = [text for text in log.texts if text.startswith("A link from 127.0.0.1:")]
        assert len(told_a) == 1
        assert why_a in told_a[0]
        assert why_b in told_b[0]
        assert len(told_a) + len(told_b) == len(log.texts)


async def test_a_certificate_is_not_enough_without_the_secret(folder: Path) -> None:
    with Log() as log:
        async with nodes(folder, secret=b"the secret of some other cluster") as (a, b):
            await until(lambda: b.counters.links_rejected, "an attempt")
            assert a.counters.links_up == b.counters.links_up == 0
            assert b.counters.links_uncertified == 0
        assert "b can't be linked to: it does not know this cluster's secret" in log.texts


@pytest.mark.parametrize("bound", [True, False])
async def test_who_stole_both_certificates_can_not_stand_between_two_nodes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, bound: bool
) -> None:
    """The hello is bound to the channel; if it were not, it could be passed on."""
    if not bound:
        monkeypatch.setattr(greeting, "channel_of", lambda transport: b"")
    stolen = [GOOD.read(folder, id) for id in ("b", "a")]
    between = Between(*(each for each in stolen if each is not None))
    with Log() as log:
        async with nodes(folder, between=between) as (a, b):
            if not bound:
                link = await until(lambda: a.table.get("b"), "the link")
                link.write(ECHO + item(b"text", b"read by others") + END)
                await until(lambda: b"read by others" in between.heard, "its being overheard")
                return
            await until(lambda: a.counters.links_rejected, "an attempt")
            assert a.counters.links_up == b.counters.links_up == 0
        assert "b can't be linked to: it does not know this cluster's secret" in log.texts


async def test_no_certificate_is_not_enough(folder: Path) -> None:
    """Whoever takes any certificate and shows none."""
    with Log() as log:
        papers = GOOD.read(folder, "a")
        assert papers is not None
        papers._context = CertificateOptions().getContext()
        async with nodes(folder, a=papers) as (a, b):
            await until(lambda: b.counters.links_uncertified, "an attempt")
            assert a.counters.links_up == b.counters.links_up == 0
        assert "it showed no certificate" in "".join(log.texts)


async def test_new_certificates_are_used_without_a_restart(folder: Path) -> None:
    """By links that are made from then on; those that are up stay."""
    aborted: list[Any] = []
    async with nodes(folder) as (a, b):
        link = await until(lambda: a.table.get("b"), "the link")
        old = link.transport.getPeerCertificate().get_serial_number()
        shutil.rmtree(folder / "tls")
        make_identities(folder / "tls", "a", "b")
        await until(lambda: b.table.get("a"), "the link")

        def renewed() -> bool:
            for table in (a.table, b.table):
                assert table._parts.tls is not None
                table._parts.tls.look()
            now = a.table.get("b")
            if now is None:
                return False
            if now.transport.getPeerCertificate().get_serial_number() != old:
                return True
            aborted.append(now)
            now.abort()
            return False

        await until(renewed, "a link with the new certificates")
        assert a.counters.links_lost == len(set(aborted))


def shake_hands(papers: LinkTls, client: Any, incoming: Any, outgoing: Any) -> SSL.Connection:
    """Lead a client through the handshake with the listening side."""
    server = papers.serverConnectionForTLS(NOWHERE)
    server.set_app_data(SimpleNamespace(problem=None, expected=""))
    server.set_accept_state()
    for _ in range(4):
        with suppress(ssl.SSLWantReadError):
            client.do_handshake()
            client.write(b".")
        server.bio_write(outgoing.read() or b"")
        with suppress(SSL.WantReadError):
            server.recv(9)
        with suppress(SSL.WantReadError):
            server.send(b".")
        with suppress(SSL.WantReadError):
            incoming.write(server.bio_read(1 << 20))
    with suppress(ssl.SSLWantReadError):
        client.read(9)
    return server


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_nobody_comes_back_without_a_certificate(folder: Path, version: ssl.TLSVersion) -> None:
    """A session of TLS that is resumed would show what its certificate was, not what it is."""
    tls = make_identities(folder / "tls", "a", "b")
    papers = LinkTls(tls, "b", clock=Clock())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(tls / "a.pem", tls / "a.key")
    context.maximum_version = version
    session = None
    for _ in range(2):
        pipes = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(*pipes, session=session)
        server = shake_hands(papers, client, *pipes)
        assert server.get_peer_certificate() is not None
        assert not client.session_reused
        session = client.session


class Day:
    """A time of day that a test sets, and a clock."""

    def __init__(self) -> None:
        self.now, self.clock = NOW, Clock()

    def pass_days(self, days: float) -> None:
        self.now += datetime.timedelta(days=days)
        self.clock.advance(days * 24 * 3600)

    def read(self, tls: Path, id: str = "a") -> LinkTls:
        clock: Any = self.clock
        return LinkTls(tls, id, clock=clock, today=lambda: self.now)


def test_certificates_that_expire_are_told_in_time_and_every_day(folder: Path) -> None:
    tls, day = make_identities(folder / "tls", "a", days=60), Day()
    with Log() as log:
        papers = day.read(tls)
        day.pass_days(29)
        papers.look()
        assert log.texts == []
        for _ in range(3):
            day.pass_days(1)
            papers.look()
            papers.look()
        assert len(log.texts) == 3
        assert f"{tls}/a.pem: this certificate expires on " in log.texts[2]
        assert "in 27 days" in log.texts[2]
        day.pass_days(40)
        papers.look()
        assert "this certificate expired on" in log.texts[-1]
        (tls / "a.pem").unlink()
        make_identities(tls, "a", now=day.now)
        day.pass_days(0.1)
        papers.look()
        assert len(log.texts) == 4


def test_what_can_not_be_used_is_told_and_what_was_read_stays(folder: Path) -> None:
    tls, day = make_identities(folder / "tls", "a"), Day()
    papers = day.read(tls)
    context = papers.clientConnectionForTLS(NOWHERE).get_context()
    with Log() as log:
        (tls / "a.pem").write_text("nonsense")
        day.pass_days(0.1)
        assert papers.clientConnectionForTLS(NOWHERE).get_context() is context
        assert log.texts == [
            "The certificates read before stay in use. "
            f"{tls}/a.pem: no certificate. It has to begin with -----BEGIN CERTIFICATE-----"
        ]


def _open_key(tls: Path) -> None:
    (tls / "a.key").chmod(0o640)


def _open_authority(tls: Path) -> None:
    (tls / "ca.pem").chmod(0o664)


def _no_authority(tls: Path) -> None:
    (tls / "ca.pem").unlink()


def _another_key(tls: Path) -> None:
    make_identities(tls, "b")
    (tls / "b.key").replace(tls / "a.key")


def _another_name(tls: Path) -> None:
    make_identities(tls, "b")
    for ending in ("pem", "key"):
        (tls / f"b.{ending}").replace(tls / f"a.{ending}")


def _another_authority(tls: Path) -> None:
    make_identities(tls.parent / "elsewhere", "a")
    (tls.parent / "elsewhere" / "ca.pem").replace(tls / "ca.pem")


def _only_to_dial(tls: Path) -> None:
    confine(tls, "a", ExtendedKeyUsageOID.CLIENT_AUTH)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_open_key, r"a\.key: this key can be read or written by others\. .*chmod 600"),
        (_open_authority, r"ca\.pem: others may write here whom .*chmod go-w"),
        (_no_authority, r"ca\.pem: there is no such file\. .*chatcore certs"),
        (_another_key, r"a\.key: this is not the key of the certificate in .*a\.pem"),
        (
            _another_authority,
            r"a\.pem: this certificate is of another authority, seen",
        ),
        (_only_to_dial, r"a\.pem: this certificate is not for both ends of a connection"),
        (_another_name, r"a\.pem: this certificate is not that of a: it is for b\. .*name a"),
        (lambda tls: (tls / "a.key").write_bytes(b""), r"a\.key: no private key"),
    ],
)
def test_files_that_can_not_be_used_are_refused(
    folder: Path, spoil: Callable[[Path], object], why: str
) -> None:
    tls = make_identities(folder / "tls", "a")
    spoil(tls)
    with pytest.raises(ConfigError, match=why):
        Day().read(tls)


@pytest.mark.parametrize("days", [-90, 90])
def test_certificates_of_another_time_are_refused(folder: Path, days: int) -> None:
    day = Day()
    made = NOW + datetime.timedelta(days=days)
    tls = make_identities(folder / "tls", "a", now=min(made, NOW))
    (tls / "a.pem").unlink()
    make_identities(tls, "a", now=made)
    with pytest.raises(ConfigError, match=r"a\.pem: this certificate (expired on|is not valid)"):
        day.read(tls)


ids = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", fullmatch=True).filter(
    lambda id: not id.startswith("admin")
)


@given(ids, ids)
def test_every_id_has_a_name_of_its_own(one: str, other: str) -> None:
    assert (dns_name(one) == dns_name(other)) == (one == other)
    pattern = DNSPattern.from_bytes(dns_name(one).encode())
    assert DNS_ID(dns_name(one)).verify(pattern)
    assert DNS_ID(dns_name(other)).verify(pattern) == (one == other)


def test_usual_ids_are_their_own_names() -> None:
    for id in ("chat-server-1", "gate", "chat.eu.example.org", "cluster-server-chat-0"):
        assert dns_name(id) == id
    assert dns_name("Chat_1") == "_chat__1"
    assert dns_name("10.0.0.1") == "_10.0.0.1"
    assert dns_name("admin-x") == dns_name("admin") == "admin"
    with pytest.raises(ValueError, match="can't be an id"):
        dns_name("*")
