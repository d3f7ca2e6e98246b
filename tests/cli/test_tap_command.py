"""``chatcore inspect tap``: what passes between the servers of a running cluster."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from rich.console import Console
from running import free_ports
from small_cluster import until

from chatcore.cli.exits import UNKNOWN, USAGE
from chatcore.cli.inspect.living import Board
from chatcore.config.tokens import Token
from chatcore.inspector.exchange import Totals
from chatcore.inspector.redaction import HIDDEN
from chatcore.inspector.seen import Seen
from chatcore.node import taps
from chatcore.node.told_taps import ToldTap

from .clusters import AdministeredCluster, Terminal, chat_files, chatcore, path_of
from .lasting import Lasting, lasting


def tapping(cluster: AdministeredCluster, *words: str, json: bool = True) -> Any:
    """Begin to tap a cluster."""
    more = ["--json"] if json else []
    return lasting("inspect", "tap", "--app", path_of(cluster), *more, *words)


async def talk(cluster: AdministeredCluster, *names: str) -> None:
    """Have clients enter."""
    for name in names:
        client = await cluster.client("front-1")
        answer = await client.request("front.doorHandler.enter", {"name": name})
        assert answer == {"new": True}


async def calls(tap: Lasting, count: int) -> list[Any]:
    """Wait until so many calls of the room were answered, and were shown; they come back."""

    def answered() -> bool:
        return [each["kind"] for each in tap.documents].count("answer") >= count

    await until(answered, f"{count} answers in {tap.lines}")
    return tap.documents


@pytest_twisted.ensureDeferred
async def test_a_message_is_shown_once_with_its_time(cluster: AdministeredCluster) -> None:
    async with tapping(cluster, "--route", "chat.roomRemote.*", "-v") as tap:
        await tap.has_said("tapping 3 nodes")
        await talk(cluster, "bob", "eve", "joe")
        shown = await calls(tap, 3)
        shown.sort(key=lambda each: (each["node"], each["ask"]))  # servers tell on their own
        assert [each["kind"] for each in shown] == ["ask", "answer"] * 3
        for ask, answer in zip(shown[::2], shown[1::2], strict=True):
            assert ask["node"].startswith("chat-")
            assert ask["peer"] == "front-1"
            assert (ask["direction"], answer["direction"]) == ("in", "out")
            assert {ask["route"], answer["route"]} == {"chat.roomRemote.add"}
            assert ask["ask"] == answer["ask"]
            assert answer["time"] >= ask["time"] > 1_700_000_000
            assert answer["ms"] is not None
            assert answer["size"] > 0
            assert answer["body"] == {"result": True}
        assert {each["body"]["args"]["uid"] for each in shown[::2]} == {"bob", "eve", "joe"}
    assert tap.output.unfinished is not None
    assert tap.output.unfinished.startswith("boxes: ")
    assert not any(link.tap for node in cluster.nodes.values() for link in node.links.linked())


@pytest_twisted.ensureDeferred
async def test_only_what_concerns_somebody(cluster: AdministeredCluster) -> None:
    async with (
        tapping(cluster, "--uid", "eve") as of_eve,
        tapping(cluster, "--channel", "attic") as of_attic,
        tapping(cluster, "--channel", "cellar") as of_cellar,
    ):
        for tap in (of_eve, of_attic, of_cellar):
            await tap.has_said("tapping 3 nodes")
        await talk(cluster, "bob", "eve")
        await calls(of_eve, 1)
        await until(lambda: len(of_attic.documents) >= 2, "two members")
        routes = [each["route"] for each in of_eve.documents]
        assert sorted(routes) == ["GroupJoin", "chat.roomRemote.add", "chat.roomRemote.add"]
        assert [each["route"] for each in of_attic.documents] == ["GroupJoin"] * 2
        assert of_cellar.documents == []


@pytest_twisted.ensureDeferred
async def test_pings_are_shown_where_they_are_asked_for(cluster: AdministeredCluster) -> None:
    async with tapping(cluster) as tap, tapping(cluster, "--route", "Ping") as of_pings:
        await tap.has_said("tapping 3 nodes")
        await of_pings.has_said("tapping 3 nodes")
        for node in cluster.nodes.values():
            for link in node.links.linked():
                link.ping()
        await calls(of_pings, 6)
        await talk(cluster, "bob")
        await calls(tap, 1)
        assert {each["route"] for each in of_pings.documents} == {"Ping"}
        assert "Ping" not in {each["route"] for each in tap.documents}


@pytest_twisted.ensureDeferred
async def test_what_is_seen_of_a_link(cluster: AdministeredCluster) -> None:
    async with (
        tapping(cluster, "--link", "chat-1:chat-2", "--route", "Ping") as between,
        tapping(cluster, "front-1", "--route", "Ping") as at_front,
    ):
        await between.has_said("tapping 2 nodes")
        await at_front.has_said("tapping 1 node")
        for node in cluster.nodes.values():
            for link in node.links.linked():
                link.ping()
        await calls(between, 2)
        await calls(at_front, 4)
        assert {(each["node"], each["peer"]) for each in between.documents} == {
            ("chat-1", "chat-2")
        }
        assert {(each["node"], each["peer"]) for each in at_front.documents} == {
            ("front-1", "chat-1"),
            ("front-1", "chat-2"),
        }


@pytest_twisted.ensureDeferred
async def test_the_other_end_shows_a_link_where_one_can_not(
    cluster: AdministeredCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taps, "MOST_TAPS", 1)
    async with tapping(cluster, "chat-1", "--route", "Ping") as first:
        await first.has_said("tapping 1 node")
        async with tapping(cluster, "--route", "Ping") as tap:
            await tap.has_said("chat-1 can't be tapped: chat-1 is tapped by 1 already")
            await tap.has_said("tapping 2 nodes")
            for id in ("chat-1", "chat-2"):
                for link in cluster.nodes[id].links.linked():
                    link.ping()
            await calls(tap, 4)
            assert {(each["node"], each["peer"]) for each in tap.documents} == {
                ("chat-2", "chat-1"),
                ("chat-2", "front-1"),
                ("front-1", "chat-1"),
            }
            await first.end()
            await tap.has_said("tapping chat-1 again")
            wanted = [each.wanted for each in cluster_taps(cluster, "chat-2", "front-1")]
            await until(
                lambda: "chat-1" in cluster_taps(cluster, "chat-2")[0].wanted.but, "one of both"
            )
            assert len(wanted) == 2


def cluster_taps(cluster: AdministeredCluster, *ids: str) -> list[Any]:
    """What those nodes show to whom."""
    found = []
    for id in ids:
        desk: Any = cluster.nodes[id]._administration._desk
        found += desk._taps._taps.values()
    return found


@pytest_twisted.ensureDeferred
async def test_a_viewer_sees_messages_and_no_secrets(cluster: AdministeredCluster) -> None:
    secret = cluster.run_folder.secret()
    file = cluster.folder / "ann.token"
    file.write_text(Token.make(secret, "viewer", "ann", int(time.time()) + 1000).text())
    file.chmod(0o600)
    words = ("--secret-file", str(file), "--route", "chat.*")
    async with tapping(cluster, *words, "-v", "--redact", "room") as tap:
        await tap.has_said("tapping 3 nodes")
        await talk(cluster, "bob")
        ask, answer = await calls(tap, 1)
        assert ask["body"]["args"] == {"uid": "bob", "sid": "front-1", "room": HIDDEN}
        assert answer["body"] == {"result": True}
        assert answer["ms"] is not None
        assert ask["node"].startswith("chat-")
        shown = cluster_taps(cluster, *cluster.nodes)
        assert {type(each) for each in shown} == {ToldTap}


@pytest_twisted.ensureDeferred
async def test_a_viewer_who_may_not_record_leaves_no_capture(cluster: AdministeredCluster) -> None:
    file = cluster.folder / "ann.token"
    secret = cluster.run_folder.secret()
    file.write_text(Token.make(secret, "viewer", "ann", int(time.time()) + 1000).text())
    file.chmod(0o600)
    capture = cluster.folder / "all.cap"

    ran = await chatcore("inspect", "record", str(capture), "--app", path_of(cluster),
                         "--secret-file", str(file))  # fmt: skip

    assert (ran.code, capture.exists()) == (5, False)
    assert "recording" not in ran.err


@pytest_twisted.ensureDeferred
async def test_servers_that_go_are_told_and_tapped_again(cluster: AdministeredCluster) -> None:
    async with tapping(cluster, "--route", "chat.*") as tap:
        await tap.has_said("tapping 3 nodes")
        await cluster.stop("chat-1")
        await tap.has_said("chat-1 ")
        await cluster.start("chat-1")
        await tap.has_said("tapping chat-1 again")
        linked = cluster.nodes["chat-1"].links
        await until(lambda: linked.complete, "all links")
        await talk(cluster, "bob", "eve", "joe")
        shown = await calls(tap, 3)
        assert [each["kind"] for each in shown].count("ask") == 3


@pytest_twisted.ensureDeferred
async def test_by_the_ports_for_links(folder: Path) -> None:
    """Who can't be reached is told, and others show what passes there."""
    with free_ports(2) as ports:
        keys = {f"chat-{number + 1}": {"port": port} for number, port in enumerate(ports)}
    cluster = AdministeredCluster(
        folder,
        servers={"front": ["front-1"], "chat": ["chat-1", "chat-2"]},
        files=chat_files(),
        keys=keys,
    )
    await cluster.start()
    secret = str(cluster.run_folder.secret_path)
    words = ("--at", f"127.0.0.1:{ports[0]}", "--secret-file", secret, "--json")
    async with lasting("inspect", "tap", *words, "--route", "chat.*") as tap:
        await tap.has_said("front-1 can't be tapped: it does not run on this machine, and has no")
        await tap.has_said("tapping 2 nodes")
        await talk(cluster, "bob", "eve")
        shown = await calls(tap, 2)
        assert {each["peer"] for each in shown} == {"front-1"}
    await cluster.close()


@pytest_twisted.ensureDeferred
async def test_it_ends_by_itself(cluster: AdministeredCluster) -> None:
    async with tapping(cluster, "--boxes", "2", json=False) as tap:
        await tap.has_said("tapping 3 nodes")
        await talk(cluster, "bob")
        await tap.ended
        assert tap.code == 0
        assert tap.notes[-1].startswith("chatcore: boxes: 2, asks: ")
        records = [line.split("\t") for line in tap.lines]
        assert records[0][3:6] == ["in", "ask", "chat.roomRemote.add"]
    ran = await chatcore("inspect", "tap", "--app", path_of(cluster), "--seconds", "0.01")
    assert ran.code == 0
    assert "tapping 3 nodes" in ran.err


@pytest_twisted.ensureDeferred
async def test_what_it_can_not_do(cluster: AdministeredCluster) -> None:
    ran = await chatcore("inspect", "tap", "chat-9", "--app", path_of(cluster))
    assert ran.code == UNKNOWN
    assert "there is no server 'chat-9'" in ran.err
    ran = await chatcore("inspect", "tap", "a", "--link", "a:b", "--app", path_of(cluster))
    assert ran.code == USAGE
    assert "--link says which servers are meant" in ran.err


@pytest.mark.parametrize("width", [80, 100, 200])
def test_no_number_is_cut_on_a_full_screen(width: int) -> None:
    board = Board(Totals(), lambda: 5.0)
    board.note("chatcore: tapping 7 nodes")
    route = "chat.chatHandler.send"
    about = {"node": "chat-server-1", "peer": "connector-server-1", "route": route}
    board.add(Seen("ask", **about))
    board.add(Seen("answer", ms=1234.5, **about))
    console = Console(width=width, record=True, file=io.StringIO())

    console.print(board.drawn())

    title, head, _, row = console.export_text().splitlines()[:4]
    assert title.startswith("chatcore: tapping 7 nodes")
    assert " ".join(head.split()) == "route link per s p50 ms p95 p99 errors count"
    assert row.split()[-6:] == ["1.0", "1234.5", "1234.5", "1234.5", "0", "1"]
    assert row.startswith(f"{route}  chat-")


@pytest_twisted.ensureDeferred
async def test_a_full_screen(cluster: AdministeredCluster) -> None:
    screen = Terminal()
    async with lasting("inspect", "tap", "--app", path_of(cluster), "--live", out=screen) as tap:
        await until(lambda: "tapping 3 nodes" in screen.getvalue(), "the screen")
        await talk(cluster, "bob", "eve")
        await until(lambda: "chat.roomRemote.add" in screen.getvalue(), "the calls")
    assert ENTERS_SCREEN in screen.getvalue()
    assert screen.getvalue().rindex(LEAVES_SCREEN) > screen.getvalue().rindex("chat.roomRemote.add")
    assert tap.output.unfinished is not None
    async with tapping(cluster, "--live") as tap:
        await tap.ended
        assert tap.code == USAGE
        assert "--live needs a terminal" in tap.lines[0]


ENTERS_SCREEN, LEAVES_SCREEN = "\x1b[?1049h", "\x1b[?1049l"
