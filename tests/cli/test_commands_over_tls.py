"""Administering a cluster whose links are encrypted, by the folder of its application."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from identities import NOW, make_identities
from links.wiring import Log, Raw, hello_box
from small_cluster import until
from strangers import Shows
from twisted.internet import reactor
from twisted.internet.endpoints import UNIXClientEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory

from chatcore.admin.outcomes import STRANGER
from chatcore.admin.visit import visit
from chatcore.errors import AdminError
from chatcore.links.tls import LinkTls

from .clusters import AdministeredCluster, Ran, chat_files, chatcore
from .lasting import lasting

IDS = ("front-1", "chat-1", "chat-2")


@pytest_twisted.async_yield_fixture
async def encrypted(folder: Path) -> AsyncIterator[AdministeredCluster]:
    """A frontend and two backends, all of them up, and a certificate for administrators."""
    cluster = AdministeredCluster(
        folder,
        servers={"front": ["front-1"], "chat": ["chat-1", "chat-2"]},
        files=chat_files(),
        settings={
            "drain.grace_seconds": 0.0,
            "drain.interval_seconds": 0.01,
            "links.tls": "certificates",
        },
    )
    make_identities(folder / "certificates", now=NOW - datetime.timedelta(days=100))
    make_identities(folder / "certificates", "admin", *IDS)
    await cluster.start()
    yield cluster
    await cluster.close()


def without_administrators(cluster: AdministeredCluster) -> None:
    """As on a machine that has only what its servers need."""
    for file in (cluster.folder / "certificates").glob("admin.*"):
        file.unlink()


async def ask(cluster: AdministeredCluster, *words: str) -> Ran:
    return await chatcore(*words, "--app", str(cluster.folder))


@pytest.mark.parametrize("prepare", [lambda cluster: None, without_administrators])
async def test_certificates_are_found_by_themselves(
    encrypted: AdministeredCluster, prepare: Callable[[Any], None]
) -> None:
    prepare(encrypted)
    listed = await ask(encrypted, "list")
    assert {id: fields[1] for id, fields in listed.records.items()} == dict.fromkeys(IDS, "up")
    ran = await ask(encrypted, "drain", "--all")
    assert (ran.code, sorted(ran.records)) == (0, sorted(IDS))
    assert encrypted.nodes == {}
    assert not list(encrypted.run_folder.path.glob("*.about"))


async def test_what_passes_is_seen_as_it_is_inside(encrypted: AdministeredCluster) -> None:
    words = ("inspect", "tap", "--app", str(encrypted.folder), "--json", "--route", "chat.*", "-v")
    async with lasting(*words) as tap:
        await tap.has_said("tapping 3 nodes")
        client = await encrypted.client("front-1")
        await client.request("front.doorHandler.enter", {"name": "bob"})
        await until(lambda: len(tap.documents) >= 2, "a call and its answer")
        assert tap.documents[0]["body"]["args"]["uid"] == "bob"


async def test_the_option_wins(encrypted: AdministeredCluster, folder: Path) -> None:
    make_identities(folder / "others", "admin")
    ran = await ask(encrypted, "list", "--tls", str(folder / "others"))
    assert (ran.code, ran.out) == (3, "")
    assert "its certificate is of another authority" in ran.err

    mine = (folder / "certificates").rename(folder / "elsewhere")
    ran = await ask(encrypted, "list")
    assert (ran.code, "there is no such file" in ran.err) == (2, True)
    assert (await ask(encrypted, "list", "--tls", str(mine))).code == 0


async def test_a_certificate_that_has_expired_is_told(
    encrypted: AdministeredCluster, folder: Path
) -> None:
    """And once there is a new one, it works."""
    without_administrators(encrypted)
    long_ago = NOW - datetime.timedelta(days=50)
    make_identities(folder / "certificates", "admin", now=long_ago, days=1)
    ran = await ask(encrypted, "list")
    assert ran.code == 2
    assert "admin.pem: " in ran.err and "--renew" in ran.err
    without_administrators(encrypted)
    make_identities(folder / "certificates", "admin")
    assert (await ask(encrypted, "list")).code == 0


class Stranger(Raw):
    """Somebody who connects to the socket."""


@pytest.mark.parametrize("speaks", ["nothing", "boxes", "clients", "TLS", "another's TLS"])
async def test_a_stranger_at_the_socket(
    encrypted: AdministeredCluster, folder: Path, speaks: str
) -> None:
    """Is refused in time, and nobody notices."""
    path = encrypted.run_folder.admin_socket("chat-1")
    way: Any = UNIXClientEndpoint(reactor, str(path))
    if speaks == "TLS":
        way = wrapClientTLS(Shows(), way)
    elif speaks == "another's TLS":
        way = wrapClientTLS(Shows.of(folder / "certificates", "front-1"), way)
    with Log() as log:
        stranger: Any = await way.connect(Factory.forProtocol(Stranger))
        if speaks == "clients":
            stranger.send_bytes(b"GET / HTTP/1.1\r\n\r\n")
        elif speaks != "nothing":
            stranger.send(hello_box("admin", "chat-1"))
        assert (await ask(encrypted, "list")).code == 0
        await until(lambda: stranger.closed, "its end")
    assert not any(b"nonce" in box for box in stranger.boxes)
    assert any("was rejected" in text for text in log.texts)
    assert encrypted.nodes["chat-1"].counters.links_rejected == 1


@pytest.mark.parametrize(
    ("id", "shows", "welcome"),
    [
        ("admin", "admin", True),
        ("admin-front-1", "front-1", True),
        ("admin-anybody", "admin", True),
        ("admin", "front-1", False),
        ("admin-chat-2", "front-1", False),
    ],
)
async def test_a_process_that_administers_shows_its_own_certificate(
    encrypted: AdministeredCluster, folder: Path, id: str, shows: str, welcome: bool
) -> None:
    path = encrypted.run_folder.admin_socket("chat-1")
    going = visit(
        UNIXClientEndpoint(reactor, str(path)),
        id=id,
        secret=encrypted.run_folder.secret(),
        clock=reactor,
        seconds=10,
        to="chat-1",
        tls=LinkTls(folder / "certificates", shows, clock=reactor),
    )
    if welcome:
        visiting = await going
        assert (await visiting.survey(5))["id"] == "chat-1"
        await visiting.leave(reactor)
        return
    with pytest.raises(AdminError, match=f"its certificate is not that of '{id}'") as caught:
        await going
    assert caught.value.code == STRANGER


async def test_who_answers_has_to_be_who_was_meant(
    encrypted: AdministeredCluster, folder: Path
) -> None:
    """Another process of the cluster in its place is none."""
    await encrypted.stop("front-1")
    path = encrypted.run_folder.admin_socket("chat-1")
    path.unlink()
    await encrypted.start("front-1")
    await encrypted.stop("chat-2")
    encrypted.run_folder.admin_socket("front-1").rename(path)
    ran = await ask(encrypted, "list")
    assert (ran.code, ran.out) == (3, "")
    assert "its certificate is not that of 'chat-1'" in ran.err
    path.rename(encrypted.run_folder.admin_socket("front-1"))
    path.touch()
