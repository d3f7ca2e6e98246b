"""Who tries a link port that is not theirs, over real sockets: nobody gets in or slows the rest."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from certificates import make_certificate
from cryptography.x509.oid import ExtendedKeyUsageOID
from identities import NOW, confine, make_identities
from links.wiring import REMOTES, SECRET, Log, hello_box, prove_box
from OpenSSL import SSL
from small_cluster import until
from strangers import ATTACKED, FRONT, PEER, Shows, Stranger, Target, attacked_node, reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.task import LoopingCall, deferLater

from chatcore.admin.visit import visit
from chatcore.errors import AdminError
from chatcore.links import hello
from chatcore.links.tls import LinkTls
from chatcore.wire.box import END, item

OTHER = b"the secret of some other cluster"

Attack = Callable[[Target], Awaitable[Stranger]]


def sends(data: bytes, *, again: bytes = b"") -> Attack:
    """Say something, and go on and on with something else."""

    async def attack(target: Target) -> Stranger:
        stranger = await target.meet()
        stranger.send_bytes(data)
        while again and not stranger.closed:
            stranger.send_bytes(again)
            await deferLater(reactor, 0, lambda: None)
        return stranger

    return attack


def says(*boxes: dict[bytes, bytes]) -> Attack:
    async def attack(target: Target) -> Stranger:
        stranger = await target.meet()
        stranger.send(*boxes)
        return stranger

    return attack


async def takes_its_name(target: Target) -> Stranger:
    stranger = await target.meet()
    stranger.send(hello_box(target.id, target.id))
    return stranger


async def does_not_know_the_secret(target: Target) -> Stranger:
    stranger = await target.meet()
    said, answer = await target.greet(stranger)
    stranger.send(prove_box(said, answer, secret=OTHER), REMOTES)
    return stranger


async def replays(target: Target) -> Stranger:
    """Say again what has let somebody in."""
    peer = await target.come_in()
    peer.transport.abortConnection()
    stranger = await target.meet()
    stranger.send_bytes(b"".join(peer.sent))
    return stranger


async def reflects(target: Target) -> Stranger:
    """Show the other side its own proofs, of another connection and of this one."""
    stranger, another = await target.meet(), await target.meet()
    said, answer = await target.greet(stranger)
    said_there, answer_there = await target.greet(another)
    another.send({**prove_box(said_there, answer_there), b"proof": answer[b"proof"]})
    await until(lambda: another.closed, "its end")
    stranger.send({**prove_box(said, answer), b"proof": answer[b"proof"]})
    return stranger


async def speaks_tls(target: Target) -> Stranger:
    return await target.meet(Shows())


BOXES = (item(b"_answer", b"1") + END) * 50

PLAIN: dict[str, Attack] = {
    "no hello": says({b"_ask": b"1", b"_command": b"Call", b"service": b"s", b"method": b"m"}),
    "its own id": takes_its_name,
    "the wrong secret": does_not_know_the_secret,
    "a hello again": replays,
    "its own proof": reflects,
    "a client": sends(b"GET / HTTP/1.1\r\nHost: chat.example.org\r\n\r\n"),
    "a client behind TLS": speaks_tls,
    "a long box": sends(item(b"_command", b"Hello") + item(b"id", bytes(5000)) + END),
    "a box without end": sends(b"\0\1a\xff\xff", again=bytes(100)),
    "boxes without end": sends(BOXES, again=BOXES),
}


async def nobody_noticed(target: Target, stranger: Stranger, log: Log) -> None:
    await until(lambda: stranger.closed, "the end of the stranger")
    await until(lambda: target.counters.links_rejected, "its being counted")
    assert stranger.got_nothing
    assert any("was rejected" in text for text in log.texts)
    if target.cluster is not None:
        assert target.node.links.get(PEER) is None
    await target.serve()


@pytest.mark.parametrize("attacked", ATTACKED)
@pytest.mark.parametrize("attack", PLAIN)
async def test_strangers_at_a_plain_port(attacked: str, attack: str) -> None:
    with Log() as log:
        async with ATTACKED[attacked](False) as target:
            await nobody_noticed(target, await PLAIN[attack](target), log)


async def shows_another_name(target: Target) -> Stranger:
    """A node of the cluster, which knows the secret, announces itself under another's id."""
    assert target.tls is not None
    stranger = await target.meet(Shows.of(target.tls, FRONT))
    _, answer = await target.greet(stranger)
    assert b"nonce" not in answer
    return stranger


async def administers(target: Target) -> Stranger:
    """A node of the cluster says that it is an administrator."""
    assert target.tls is not None
    stranger = await target.meet(Shows.of(target.tls, FRONT))
    _, answer = await target.greet(stranger, "admin-1")
    assert b"nonce" not in answer
    return stranger


async def is_an_administrator(target: Target) -> Stranger:
    """Who may administer says that it is a node."""
    assert target.tls is not None
    stranger = await target.meet(Shows.of(make_identities(target.tls, "admin"), "admin"))
    _, answer = await target.greet(stranger)
    assert b"nonce" not in answer
    return stranger


async def signs_itself(target: Target) -> Stranger:
    assert target.tls is not None
    (own := target.tls / "own").mkdir()
    return await target.meet(Shows(make_certificate(own, PEER)))


async def comes_from_elsewhere(target: Target) -> Stranger:
    assert target.tls is not None
    return await target.meet(Shows.of(make_identities(target.tls / "elsewhere", PEER), PEER))


async def comes_too_late(target: Target) -> Stranger:
    assert target.tls is not None
    (target.tls / f"{PEER}.pem").rename(target.tls / "good.pem")
    make_identities(target.tls, PEER, now=NOW - datetime.timedelta(days=90), days=60)
    stranger = await target.meet(Shows.of(target.tls, PEER))
    (target.tls / "good.pem").rename(target.tls / f"{PEER}.pem")
    return stranger


async def may_only_be_dialled(target: Target) -> Stranger:
    assert target.tls is not None
    folder = make_identities(target.tls, FRONT)
    good = (folder / f"{FRONT}.pem").read_bytes()
    confine(folder, FRONT, ExtendedKeyUsageOID.SERVER_AUTH)
    stranger = await target.meet(Shows.of(folder, FRONT))
    (folder / f"{FRONT}.pem").write_bytes(good)
    return stranger


async def speaks_an_old_tls(target: Target) -> Stranger:
    assert target.tls is not None
    shows = Shows.of(target.tls, PEER)
    shows.context.set_cipher_list(b"ALL:@SECLEVEL=0")
    shows.context.set_max_proto_version(SSL.TLS1_1_VERSION)
    return await target.meet(shows)


async def shows_nothing(target: Target) -> Stranger:
    return await target.meet(Shows())


async def speaks_no_tls(target: Target) -> Stranger:
    """Somebody who knows even the secret."""
    stranger = await target.meet()
    await target.greet(stranger)
    return stranger


ENCRYPTED: dict[str, Attack] = {
    "another's certificate": shows_another_name,
    "the certificate of no administrator": administers,
    "the certificate of an administrator": is_an_administrator,
    "a certificate signed by itself": signs_itself,
    "a certificate of another authority": comes_from_elsewhere,
    "a certificate that has expired": comes_too_late,
    "a certificate for the other end": may_only_be_dialled,
    "TLS 1.1": speaks_an_old_tls,
    "no certificate": shows_nothing,
    "no TLS": speaks_no_tls,
    "a client": sends(b"GET / HTTP/1.1\r\nHost: chat.example.org\r\n\r\n"),
    "a long record": sends(b"\x16\x03\x01\xff\xff", again=bytes(1000)),
    "records without end": sends(b"\x14\x03\x03\0\1\1" * 9, again=b"\x14\x03\x03\0\1\1" * 99),
}


@pytest.mark.parametrize("attacked", ATTACKED)
@pytest.mark.parametrize("attack", ENCRYPTED)
async def test_strangers_at_an_encrypted_port(attacked: str, attack: str) -> None:
    with Log() as log:
        async with ATTACKED[attacked](True) as target:
            await nobody_noticed(target, await ENCRYPTED[attack](target), log)
            assert target.counters.links_uncertified


async def test_administrators_have_a_certificate_of_their_own() -> None:
    async with attacked_node(True) as target:
        assert target.tls is not None
        way = TCP4ClientEndpoint(reactor, "127.0.0.1", target.port)
        for to, other in (("", False), (target.id, False), (FRONT, True)):
            asked = visit(
                way,
                id="admin-1",
                secret=SECRET,
                clock=reactor,
                seconds=5,
                to=to,
                tls=LinkTls(target.tls, "admin-1", clock=reactor),
            )
            if other:
                with pytest.raises(AdminError, match=f"not that of '{FRONT}': it is for target"):
                    await asked
                continue
            visiting = await asked
            assert visiting.peer == target.id
            assert (await visiting.survey(5))["view"] is not None
            await visiting.leave(reactor)


@pytest.mark.parametrize("attacked", ATTACKED)
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
async def test_a_drip_is_cut_off(
    attacked: str, encrypted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hello, "UNPROVEN_SECONDS", 0.4)
    with Log() as log:
        async with ATTACKED[attacked](encrypted) as target:
            stranger = await target.meet()
            stranger.send_bytes(b"\x16\x03\x01\x01\0\x01" if encrypted else b"\0\1a\x0b\xb8")

            def drip() -> None:
                if not stranger.closed:
                    stranger.send_bytes(b"\0")

            dripping = LoopingCall(drip)
            dripping.start(0.05)
            try:
                await nobody_noticed(target, stranger, log)
            finally:
                dripping.stop()
        assert "it did not prove itself within 0.4 s" in "".join(log.texts)


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
async def test_a_node_gets_in_however_many_strangers_hold_the_door(encrypted: bool) -> None:
    """As many as there may be, and each that has to go comes again at once."""
    async with attacked_node(encrypted) as target:
        crowd: list[Stranger] = []
        over: list[bool] = []

        async def hold() -> None:
            while not over:
                crowd.append(await target.meet())
                await until(lambda stranger=crowd[-1]: stranger.closed or over, "its end")

        holding = [Deferred.fromCoroutine(hold()) for _ in range(80)]
        await until(lambda: target.counters.links_crowded > 20, "a crowd")
        assert target.cluster is not None
        await target.cluster.start(PEER)
        await until(lambda: target.node.links.get(PEER), "the link of a node")
        await target.serve()
        over.append(True)
        for each in holding:
            await each
        for stranger in crowd:
            stranger.transport.abortConnection()
        await until(lambda: all(each.closed for each in crowd), "their end")


async def test_a_flood_fills_no_log_and_stops_nobody() -> None:
    with Log() as log:
        async with attacked_node(False) as target:
            strangers = []
            for _ in range(20):
                for _ in range(20):
                    strangers.append(await target.meet())
                    strangers[-1].send_bytes(b"\xff\xff")
                await target.serve()
            await until(lambda: all(each.closed for each in strangers), "their end")
            assert target.counters.links_rejected == len(strangers)
        told = [text for text in log.texts if "was rejected" in text]
        seconds = [text for text in log.texts if "more links were rejected" in text]
        assert len(told) <= 5 * (len(seconds) + 1)
        assert len(told) + sum(int(text.split()[0]) for text in seconds) == len(strangers)


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
async def test_who_was_let_in_and_sends_too_much_harms_only_itself(encrypted: bool) -> None:
    async with attacked_node(encrypted) as target:
        peer: Any = await target.come_in()
        await until(lambda: target.node.links.get(PEER), "the link")
        box = b"".join(item(b"%d" % number, bytes(60_000)) for number in range(300))
        for at in range(0, len(box), 1_000_000):
            peer.send_bytes(box[at : at + 1_000_000])
            await target.serve()
        await until(lambda: peer.closed, "its end")
        assert target.node.links.get(PEER) is None
        await target.serve()
