"""A master and its nodes: what is theirs alone, beside the contract of all registries."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from links.wiring import Log

from chatcore.cluster import master_registry
from chatcore.cluster.master_registry import MasterRegistry
from chatcore.cluster.settings import RegistrySettings
from chatcore.cluster.view import View
from chatcore.errors import NotConnected, RpcError
from chatcore.links.link import Link
from chatcore.wire.box import Box, item
from chatcore.wire.values import pack

from .masters import MasterStage
from .registry_contract import FakeNode


@pytest.fixture
def stage() -> Iterator[MasterStage]:
    stage = MasterStage()
    yield stage
    stage.check()


@pytest.fixture
def log() -> Iterator[Log]:
    with Log() as log:
        yield log


def link_of(node: FakeNode) -> Link:
    """A node's link to its master."""
    assert isinstance(node.registry, MasterRegistry)
    kept = node.registry._kept
    assert kept is not None and kept.link is not None
    return kept.link


def answer_to(stage: MasterStage, link: Link, payload: bytes) -> Box | RpcError:
    """What the other side of a link answers."""
    ended: list[Box | RpcError] = []
    link.ask(payload, lambda box, problem: ended.append(box or problem or {}), "it")
    stage.world.settle()
    return ended[0]


# What a master takes from whom.


async def test_nobody_announces_another(stage: MasterStage, log: Log) -> None:
    one, other = await stage.cluster("chat-1", "chat-2")
    false = replace(other.member, incarnation="false")
    payload = master_registry.ANNOUNCE + item(b"member", pack(false.to_value()))
    assert "chat-2" in str(answer_to(stage, link_of(one), payload))
    await stage.pass_time(1)
    assert other.view["chat-2"] == ("life 1", "up")
    assert stage.master.counters.announcements_refused == 1
    assert "chat-1 is not let into the view" in log.texts[0]


@pytest.mark.parametrize(
    "items",
    [
        b"",
        item(b"member", b""),
        item(b"member", b"\xc1"),
        item(b"member", pack(None)),
        item(b"member", pack({"id": "chat-1"})),
        item(b"member", b"\x81" * 3000),
        item(b"member", pack(FakeNode(None, "chat-1", "1", "asleep").member.to_value())),
        item(b"member", pack(FakeNode(None, "chat-1", "", "up").member.to_value())),
    ],
)
async def test_garbage_is_refused_and_hurts_nobody(stage: MasterStage, items: bytes) -> None:
    one, _ = await stage.cluster("chat-1", "chat-2")
    assert isinstance(answer_to(stage, link_of(one), master_registry.ANNOUNCE + items), RpcError)
    assert stage.master.counters.announcements_refused == 1
    newcomer = stage.start("chat-3")
    await stage.until(lambda: "chat-3" in one.view and newcomer.is_in, "it to work on")


@pytest.mark.parametrize("epoch", [2**53, 2**63, -1, "7", None])
async def test_a_view_that_nobody_could_count_on_from_is_refused(
    stage: MasterStage, epoch: Any
) -> None:
    one, other = await stage.cluster("chat-1", "chat-2")
    told = {"epoch": epoch, "members": [one.member.to_value()]}
    payload = master_registry.ANNOUNCE + item(b"member", pack(one.member.to_value()))
    assert isinstance(answer_to(stage, link_of(one), payload + item(b"view", pack(told))), RpcError)
    assert stage.master.nodes.view.epoch == other.epoch


async def test_commands_of_others_are_nothing_for_nodes(stage: MasterStage) -> None:
    (one,) = await stage.cluster("chat-1")
    for command in (b"Call", b"NewView", b"Shutdown"):
        assert "UNHANDLED" in str(answer_to(stage, link_of(one), item(b"_command", command)))


async def test_who_does_not_know_the_secret_is_not_heard_and_goes_on_trying(
    stage: MasterStage, log: Log
) -> None:
    stranger = FakeNode(stage.registry("chat-9", secret=b"?" * 32), "chat-9", "life 1", "up")
    stage.nodes.append(stranger)
    stranger.start()
    await stage.pass_time(30)
    assert stranger.told == ["lost"]
    assert stage.master.nodes.view.members == ()
    assert 10 < stage.master.counters.links_rejected < 80
    assert stage.counters[stranger.registry].registry_lost == 1


@pytest.mark.parametrize("id", ["master", "admin", "admin-1", "start", "page", "../x", ""])
async def test_ids_that_no_node_can_have_are_refused(stage: MasterStage, id: str) -> None:
    node = FakeNode(stage.registry(id), "chat-1", "life 1", "up")
    node.member = replace(node.member, server=replace(node.member.server, id=id))
    stage.nodes.append(node)
    node.start()
    await stage.pass_time(2)
    assert node.told == ["lost"]


# Two that have one id.


async def test_a_second_one_is_told_why_it_is_not_let_in_once(stage: MasterStage, log: Log) -> None:
    (first,) = await stage.cluster("chat-1")
    second = stage.start("chat-1", life="a rival")
    await stage.pass_time(10)
    said = "chat-1 is not let into the view: another chat-1 is in the view, and may be alive"
    assert log.texts == [said, said], "at both ends"
    assert stage.master.counters.announcements_refused > 5, "it asks again"
    assert second.told == []
    assert first.told == ["heard"]


async def test_a_node_that_dials_anew_replaces_what_is_left_of_its_link(
    stage: MasterStage,
) -> None:
    """As after a cable was cut: one side has given the link up, and the other not yet."""
    one, other = await stage.cluster("chat-1", "chat-2")
    epoch = other.epoch
    old = stage.master.nodes.linked("chat-1")
    twin = FakeNode(stage.registry("chat-1"), "chat-1", "life 1", "up")
    twin.start()
    await stage.until(lambda: stage.master.nodes.linked("chat-1") is not old, "the new link")
    await stage.crash(one)
    await stage.pass_time(10)
    assert other.epoch == epoch


async def test_a_view_that_did_not_reach_a_node_is_heard_after_all(
    stage: MasterStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when its link has been blocked for so long that it takes no more."""
    one, other = await stage.cluster("chat-1", "chat-2")
    link = stage.master.nodes.linked("chat-1")
    monkeypatch.setattr(link, "tell", lambda payload, what: NotConnected("chat-1", what))
    stage.start("chat-3")
    await stage.until(lambda: "chat-3" in one.view and "chat-3" in other.view, "all to hear")
    assert "removed" not in one.told


# When a master is away, or looks so.


@pytest.mark.parametrize("reads_first", [False, True])
async def test_a_master_that_does_nothing_for_a_while_moves_nothing(
    stage: MasterStage, reads_first: bool
) -> None:
    nodes = await stage.cluster("chat-1", "chat-2", "chat-3")
    view = nodes[0].view
    for seconds in (0.5, 3.0, 10.0, 60.0):
        stage.master_host.pause()
        await stage.pass_time(seconds)
        stage.master_host.wake(reads_first=reads_first)
        await stage.pass_time(20)
        assert [node.view for node in nodes] == [view] * 3, f"after {seconds} s"
    assert not any("removed" in node.told for node in nodes)
    await stage.crash(nodes[0])
    await stage.until(lambda: "chat-1" not in nodes[1].view, "it to notice who dies after all")


async def test_a_master_s_silence_is_noticed_within_a_lease(stage: MasterStage) -> None:
    (node,) = await stage.cluster("chat-1")
    stage.master_host.pause()
    await stage.until(lambda: node.told[-1] == "lost", "it to notice", stage.lease + 1)
    assert stage.lease <= node.silences[0] <= stage.lease + 1


async def test_who_leaves_does_not_wait_for_a_master_that_does_nothing(
    stage: MasterStage,
) -> None:
    (node,) = await stage.cluster("chat-1")
    stage.master_host.pause()
    left: list[None] = []
    node.registry.leave().addCallback(left.append)
    await stage.pass_time(1)
    assert left == []
    await stage.until(lambda: left, "it to have left", 1.3)
    assert stage.hosts[node.registry].clock.getDelayedCalls() == []


async def test_the_master_is_looked_for_again_and_again_but_not_too_often(
    stage: MasterStage,
) -> None:
    (node,) = await stage.cluster("chat-1")
    await stage.take_away()
    dialled = len(stage.world.dialled)
    await stage.pass_time(600)
    assert 300 < len(stage.world.dialled) - dialled < 1300
    assert stage.counters[node.registry].registry_lost == 1


async def test_nodes_that_come_back_one_after_the_other_find_their_places(
    stage: MasterStage,
) -> None:
    nodes = await stage.cluster("chat-1", "chat-2", "chat-3", "chat-4")
    for late in nodes[1:]:
        await stage.pause(late)
    await stage.restart()
    for late in nodes[1:]:
        await stage.pass_time(1.2)
        await stage.wake(late)
    await stage.pass_time(10)
    assert [node.view for node in nodes] == [nodes[0].view] * 4
    assert not any("removed" in node.told for node in nodes)
    for seen in nodes[0].views[-3:]:
        assert len(seen.members) == 4


async def test_a_restart_of_everything_at_once(stage: MasterStage) -> None:
    nodes = await stage.cluster("chat-1", "chat-2")
    await stage.take_away()
    for node in nodes:
        await stage.crash(node)
    await stage.bring_back()
    anew = [stage.start(id, life="life 2") for id in ("chat-1", "chat-2")]
    await stage.until(lambda: all(node.is_in for node in anew), "them to be in", 3.0)
    assert all(len(node.views) == 1 for node in anew)


async def test_clusters_that_find_one_master_become_one(stage: MasterStage) -> None:
    """Two masters had nodes of their own, as when somebody started one too many."""
    nodes = await stage.cluster("chat-1", "chat-2")
    other = MasterStage(world=stage.world, port="the other one")
    others = [other.start("chat-2", life="another"), other.start("chat-3")]
    await other.until(lambda: len(others[0].view) == len(others[1].view) == 2, "them to be in")
    await stage.take_away()
    stage.world.listening["master"] = stage.world.listening["the other one"]
    everybody = {"chat-1", "chat-2", "chat-3"}
    await other.until(lambda: set(others[0].view) == everybody, "them to be one")
    await stage.until(lambda: set(nodes[0].view) == everybody, "them to be one")
    assert others[0].is_in, "it was there first"
    await stage.until(lambda: nodes[1].told[-2:] == ["removed", "found"], "it to be told")
    assert "removed" not in nodes[0].told + others[0].told + others[1].told


async def test_who_goes_by_another_lease_says_so_once(log: Log) -> None:
    """As when somebody set it for the servers, and not for the master."""
    stage = MasterStage(lease_seconds=2.5)
    own, stage.settings = stage.settings, RegistrySettings(lease_seconds=4.0)
    other = stage.start("chat-1")
    stage.settings = own
    same = stage.start("chat-2")
    await stage.until(lambda: other.is_in and same.is_in, "both to be in")
    other.enter("draining")
    await stage.restart()
    await stage.pass_time(5)
    (said,) = [text for text in log.texts if "lease_seconds" in text]
    assert said.startswith("master goes by registry.lease_seconds=2.5, and this process by 4:")
    stage.check()


# What a node takes from a master.


async def test_views_that_are_none_or_old_are_not_heard(stage: MasterStage, log: Log) -> None:
    one, _ = await stage.cluster("chat-1", "chat-2")
    link = stage.master.nodes.linked("chat-1")
    assert link is not None
    told = list(one.told)
    old = View(one.epoch - 1, ())
    for payload in (b"", item(b"view", b"\xc1"), item(b"view", pack(old.to_value())),
                    item(b"view", pack(one.views[-1].to_value()))):  # fmt: skip
        link.tell(item(b"_command", b"NewView") + payload, "NewView")
    await stage.pass_time(1)
    assert one.told == told
    assert "the master sent what is no view" in log.texts[0]
    stage.start("chat-3")
    await stage.until(lambda: "chat-3" in one.view, "it to work on")


@pytest.mark.logs_failures
async def test_a_hearer_that_raises_hurts_itself_only(
    stage: MasterStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await stage.cluster("chat-1", "chat-2")

    def broken(view: View) -> None:
        raise LookupError("a mistake of the node's")

    monkeypatch.setattr(one, "heard", broken)
    stage.start("chat-3")
    await stage.until(lambda: "chat-3" in other.view, "the others to hear")
    monkeypatch.undo()
    stage.start("chat-4")
    await stage.until(lambda: "chat-4" in one.view, "it to hear the next one")


# All of it at once.


def alive(stage: MasterStage) -> list[FakeNode]:
    return [node for node in stage.nodes if not node.gone]


async def _play(seed: int) -> None:
    chance = random.Random(seed)
    stage = MasterStage(lease_seconds=2.0)
    ids = [f"chat-{n}" for n in range(5)]
    asleep: list[FakeNode] = []
    lives = iter(range(1000))
    master_is_away = False

    async def begin() -> None:
        free = [id for id in ids if id not in {node.member.id for node in alive(stage)}]
        if free:
            stage.start(chance.choice(free), life=f"life {next(lives)}")

    async def end(how: Callable[[FakeNode], Any]) -> None:
        nodes = [node for node in alive(stage) if node not in asleep]
        if nodes:
            await how(chance.choice(nodes))

    async def leave(node: FakeNode) -> None:
        await stage.leave(node)
        node.gone = True

    async def sleep(node: FakeNode) -> None:
        await stage.pause(node)
        asleep.append(node)

    async def wake() -> None:
        if asleep:
            await stage.wake(asleep.pop(chance.randrange(len(asleep))))

    async def change(node: FakeNode) -> None:
        node.enter(chance.choice(["starting", "up", "draining"]))

    async def master() -> None:
        nonlocal master_is_away
        await (stage.bring_back() if master_is_away else stage.take_away())
        master_is_away = not master_is_away

    async def blink() -> None:
        if not master_is_away:
            stage.master_host.pause()
            await stage.pass_time(chance.choice([0.5, 2.5, 8.0]))
            stage.master_host.wake()

    for _ in range(40):
        act = chance.choice([begin, begin, begin, end, end, end, end, wake, wake, master, blink])
        if act is end:
            await end(chance.choice([leave, stage.crash, sleep, change]))
        else:
            await act()
        await stage.pass_time(chance.choice([0.0, 0.05, 0.3, 1.5, 4.0]))
    if master_is_away:
        await master()
    while asleep:
        await wake()
    nodes = alive(stage)
    everybody = {node.member.id for node in nodes}
    await stage.until(
        lambda: all(node.is_in and set(node.view) == everybody for node in nodes),
        f"all who live to be in one view, and nobody else; seed {seed}",
    )
    stage.check()


@pytest.mark.parametrize("tens", range(8))
async def test_whatever_happens_in_the_end_all_who_live_are_in_one_view(tens: int) -> None:
    for seed in range(tens * 10, tens * 10 + 10):
        await _play(seed)
