"""The registry in Redis, beyond what holds for every registry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from valkey_server import PASSWORD, QUOTED

from chatcore.cluster.leases import Leases
from chatcore.cluster.redis_keys import beat, written
from chatcore.cluster.redis_registry import LEAP, patience
from chatcore.cluster.seals import Seal
from chatcore.cluster.view import Member, View

from .redis_for_real import ValkeyStage
from .redis_in_memory import BEATS, CHANNEL, SEAL, VIEW, RedisStage
from .registry_contract import FakeNode


@pytest.fixture
def stage() -> Iterator[RedisStage]:
    """In memory."""
    stage = RedisStage("keeps", lease=5.0)
    yield stage
    stage.check()


@pytest_twisted.async_yield_fixture
async def real(tmp_path: Path, there_is_valkey: None) -> AsyncIterator[ValkeyStage]:
    """A real Valkey."""
    stage = ValkeyStage(tmp_path, lease=0.6)
    yield stage
    await stage.close()
    stage.check()


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


class TestLeases:
    """One who looks at the others now and then."""

    def leases(self) -> Leases:
        return Leases(seconds=4.0, gap=2.0)

    def test_silence_counts_from_the_first_unchanged_reading_on(self) -> None:
        leases = self.leases()
        leases.read({"a": "1"}, [], 0.0, 0.5)
        for second in (1.0, 2.0, 3.0, 4.0):
            leases.read({"a": "1"}, [], second, second)
            assert not leases.over("a")
        leases.read({"a": "1"}, [], 4.5, 9.0)  # what was asked then may be answered much later
        assert leases.over("a")

    def test_a_slow_answer_is_nobodys_silence(self) -> None:
        leases = self.leases()
        leases.read({"a": "1"}, [], 0.0, 0.0)
        leases.read({"a": "1"}, [], 1.0, 30.0)
        leases.read({"a": "1"}, [], 30.0, 30.0)
        assert leases.over("a")
        leases.read({"a": "2"}, [], 31.0, 31.0)
        assert not leases.over("a") and leases.alive("a")

    @pytest.mark.parametrize("missed", [True, False])
    def test_after_a_gap_all_silence_begins_anew(self, missed: bool) -> None:
        leases = self.leases()
        for second in (0.0, 1.0, 2.0, 3.0):
            leases.read({"a": "1"}, [], second, second)
        if missed:
            leases.miss()
        again = 4.0 if missed else 100.0
        assert leases.read({"a": "1"}, [], again, again)
        leases.read({"a": "1"}, [], again + 1, again + 1)
        assert not leases.over("a") and not leases.alive("a")

    def test_who_never_beat_is_silent_and_who_is_unknown_is_not(self) -> None:
        leases = self.leases()
        for second in range(6):
            leases.read({}, ["a"], second, second)
        assert leases.over("a")
        assert not leases.over("b") and not leases.alive("b")


async def test_a_rival_is_refused_by_name_and_once(stage: RedisStage, logged: list[str]) -> None:
    await stage.cluster("chat-1", "chat-2")
    stage.start("chat-1", life="a rival")
    await stage.pass_time(4 * stage.lease)
    refused = [line for line in logged if "not let into the view" in line]
    assert len(refused) == 1
    assert refused[0].startswith("chat-1 is not let into the view: another chat-1, at ")
    assert ":4000, is in it and alive" in refused[0]


async def test_a_lost_notice_costs_one_sweep(stage: RedisStage) -> None:
    one, other = await stage.cluster("chat-1", "chat-2")
    stage.server.deaf = True
    one.enter("draining")
    await stage.until(lambda: one.is_in, "it to be written", 0.2)
    sweep = stage.lease / 5
    await stage.until(lambda: other.view["chat-1"][1] == "draining", "the sweep", sweep + 0.1)


async def test_a_notice_is_heard_at_once(stage: RedisStage) -> None:
    one, other = await stage.cluster("chat-1", "chat-2")
    for state in ("starting", "up", "draining"):
        one.enter(state)
        await stage.until(lambda state=state: other.view["chat-1"][1] == state, "it", 0.2)


async def test_many_that_come_at_once_all_come_in(stage: RedisStage) -> None:
    ids = [f"chat-{n:02}" for n in range(40)]
    nodes = await stage.cluster(*ids)
    assert nodes[0].epoch <= len(ids)


async def test_who_may_have_missed_a_view_leaves_its_epoch_out(stage: RedisStage) -> None:
    """Redis comes back as it was before the last view, and who heard of that one can't say so."""
    knows, other = await stage.cluster("chat-1", "chat-2")
    stage.hosts[other.registry].cut_off = True
    before = stage.data.copy()
    knows.enter("draining")
    await stage.until(lambda: knows.is_in, "it to be written")
    stage.hosts[knows.registry].cut_off = True
    await stage.take_away()
    stage.data = before
    await stage.bring_back()
    stage.hosts[other.registry].cut_off = False
    other.enter("draining")
    await stage.until(lambda: other.is_in, "the other to be heard")
    assert other.epoch > LEAP
    stage.hosts[knows.registry].cut_off = False
    await stage.pass_time(2 * stage.lease)
    assert knows.is_in and knows.epoch == other.epoch


async def test_a_redis_that_is_replaced_unnoticed_makes_no_two_views_of_one_epoch(
    stage: RedisStage,
) -> None:
    """As by a failover behind a proxy, which keeps the connections, to what lacks the last view."""
    one, other = await stage.cluster("chat-1", "chat-2")
    stage.server.deaf = True
    before, epoch = stage.data.copy(), one.epoch
    one.enter("draining")
    await stage.until(lambda: one.is_in, "it to be written", 0.2)
    stage.data = stage.server.data = before
    assert (one.epoch, other.epoch) == (epoch + 1, epoch), "the other has not heard of it"
    first = before.at(BEATS)[b"chat-1/life%201"]
    await stage.until(lambda: before.at(BEATS)[b"chat-1/life%201"] != first, "it to beat there")
    other.enter("draining")
    await stage.until(lambda: one.is_in and other.is_in and one.epoch == other.epoch, "one view")


async def test_a_life_that_was_taken_out_does_not_come_back(stage: RedisStage) -> None:
    sleeper, other = await stage.cluster("chat-1", "chat-2")
    await stage.pause(sleeper)
    await stage.until(lambda: set(other.view) == {"chat-2"}, "it to be out")
    sleeper.gone = True  # it does not begin anew
    await stage.wake(sleeper)
    await stage.pass_time(2 * stage.lease)
    assert sleeper.told.count("removed") == 1
    assert set(other.view) == {"chat-2"}


async def test_what_is_no_view_is_told_and_left_alone(stage: RedisStage) -> None:
    node, _ = await stage.cluster("chat-1", "chat-2")
    epoch, kept = node.epoch, dict(stage.data.at(VIEW))
    for nonsense in (b"[]", b"\xff", b'{"epoch": -1, "members": []}', b"[" * 10_000):
        sealed = SEAL.put(b"?", nonsense)  # as by a node of a later version
        stage.data.at(VIEW).update({b"stamp": b"?", b"view": sealed})
        await stage.until(lambda: node.told[-1] == "lost", "it to be missed")
        assert (node.epoch, stage.data.at(VIEW)[b"view"]) == (epoch, sealed)
        stage.data.at(VIEW).update(kept)
        await stage.until(lambda: node.told[-1] == "found", "it to be found again")
    assert stage.counters[node.registry].registry_lost == 4
    assert node.epoch == epoch


@pytest.mark.logs_failures
async def test_a_mistake_of_the_nodes_own_ends_nothing(
    stage: RedisStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await stage.cluster("chat-1", "chat-2")

    def mistaken(*what: object) -> None:
        raise ZeroDivisionError

    for word in ("heard", "lost", "found"):
        monkeypatch.setattr(other, word, mistaken)
    one.enter("draining")
    await stage.pass_time(stage.lease)
    await stage.take_away()
    await stage.pass_time(stage.lease)
    await stage.bring_back()
    await stage.pass_time(stage.lease)
    monkeypatch.undo()
    one.enter("starting")
    await stage.until(lambda: other.view["chat-1"][1] == "starting", "it to hear again")
    assert "chat-2" in one.view


async def test_heartbeats_of_the_dead_are_not_kept(stage: RedisStage) -> None:
    node, *others = await stage.cluster("chat-1", "chat-2", "chat-3")
    for life in range(5):
        for other in others:
            await stage.crash(other)
        await stage.until(lambda: len(node.view) == 1, "them to be out")
        others = [stage.start(id, life=f"{id} {life}") for id in ("chat-2", "chat-3")]
        await stage.until(lambda: len(node.view) == 3, "the next to be in")
    await stage.pass_time(2 * stage.lease)
    assert len(stage.data.at(BEATS)) <= 5


async def test_heartbeats_of_those_who_are_never_let_in_are_not_kept(stage: RedisStage) -> None:
    """As of a second server with one id that is started again and again; nothing else changes."""
    await stage.cluster("chat-1", "chat-2")
    for life in range(20):
        rival = stage.start("chat-1", life=f"rival {life}")
        await stage.pass_time(1.5)
        await stage.crash(rival)
    await stage.pass_time(2 * stage.lease)
    assert len(stage.data.at(BEATS)) == 2


@pytest.mark.parametrize(
    "garbage",
    [
        {b"x": b"1 5 4503599627370496"},
        {b"x": SEAL.put(b"x", b"1 5 9007199254740991")},  # from there nobody could count on
        {b"x": SEAL.put(b"y", b"1 5 1000000")},  # written for another life
        {b"x": b"9" * 5000},
        {b"\xff\xfe": b"\xff"},
        {b"": b""},
        {b"one": b"two\nthree 4"},
    ],
)
async def test_garbage_among_the_heartbeats_hurts_nobody_and_goes(
    stage: RedisStage, garbage: dict[bytes, bytes]
) -> None:
    one, other = await stage.cluster("chat-1", "chat-2")
    stage.data.at(BEATS).update(garbage)
    one.enter("draining")
    await stage.until(lambda: other.view["chat-1"][1] == "draining", "it to work on")
    await stage.take_away()
    await stage.bring_back()
    one.enter("starting")
    await stage.until(lambda: other.view["chat-1"][1] == "starting", "it to work again")
    assert "lost" not in one.told + other.told
    assert other.epoch < 2 * LEAP
    await stage.pass_time(2 * stage.lease)
    assert len(stage.data.at(BEATS)) == 2


OTHER = Seal(b"another secret", "it")


async def test_who_has_another_secret_is_not_let_in_and_told_why(
    stage: RedisStage, logged: list[str]
) -> None:
    nodes = await stage.cluster("chat-1", "chat-2")
    epoch = nodes[0].epoch
    strangers = [
        FakeNode(stage.registry(id, OTHER), id, "elsewhere", "up") for id in ("chat-2", "chat-3")
    ]
    for stranger in strangers:
        stranger.start()
    await stage.pass_time(4 * stage.lease)
    assert [node.epoch for node in nodes] == [epoch, epoch]
    assert [stranger.views for stranger in strangers] == [[], []]
    told = [line for line in logged if "not let into the view" in line]
    assert len(told) == 2, "each says so once"
    for part in ("the cluster it in redis://memory:6379 has another secret", "/cluster.secret"):
        assert part in told[0]
    await stage.leave(nodes[0])
    await stage.crash(nodes[1])
    await stage.until(lambda: strangers[0].is_in, "it to begin when nobody else is there")


async def test_clusters_that_begin_at_the_same_moment_do_not_mix(
    stage: RedisStage, logged: list[str]
) -> None:
    stranger = FakeNode(stage.registry("chat-1", OTHER), "chat-1", "elsewhere", "up")
    stranger.start()
    await stage.cluster("chat-1", "chat-2")
    late = stage.start("chat-3")
    await stage.until(lambda: late.is_in, "it to be in")
    assert set(late.view) == {"chat-1", "chat-2", "chat-3"}
    assert set(stranger.view) == {"chat-1"}
    told = [line for line in logged if line.startswith("Another cluster called it is in")]
    assert len(told) == 3, "all who hear of the others say so, and once"


async def test_a_view_that_no_node_has_written_counts_for_nothing(
    stage: RedisStage, logged: list[str]
) -> None:
    """Whoever may write to Redis, and does not know the secret, gets nobody into the view."""
    node, other = await stage.cluster("chat-1", "chat-2")
    view, kept = node.view, stage.data.at(VIEW)
    server = replace(node.member.server, id="chat-3")
    members = (*node.views[-1].members, Member(server=server))
    forged = written(View(node.epoch + 1, members))
    stamp = f"{SEAL.mark}-{node.epoch + 1}-ff".encode()
    for text in (forged, OTHER.put(stamp, forged), SEAL.put(kept[b"stamp"], forged), b"", b"[]"):
        stage.data.at(VIEW).update({b"stamp": stamp, b"view": text})
        await stage.until(lambda: stage.data.at(VIEW)[b"stamp"] != stamp, "it to be put back")
        await stage.until(lambda: other.epoch == node.epoch, "both to go by it")
        assert node.view == other.view == view
    newcomer = stage.start("chat-4")
    await stage.until(lambda: newcomer.is_in, "it to work on")
    assert set(newcomer.view) == {"chat-1", "chat-2", "chat-4"}
    assert not {"lost", "removed"} & {*node.told, *other.told}
    assert stage.counters[node.registry].registry_forged >= 4
    told = [line for line in logged if "does not know this cluster's secret" in line]
    assert 1 <= len(told) <= 2, "each says so once"


async def test_heartbeats_that_no_node_has_written_keep_nobody_alive(stage: RedisStage) -> None:
    dead, other = await stage.cluster("chat-1", "chat-2")
    await stage.crash(dead)
    life = b"chat-1/life%201"
    for count in range(100, 100 + 2 * int(stage.detects)):
        text = beat(count, stage.lease, dead.epoch).encode()
        stage.data.at(BEATS)[life] = OTHER.put(life, text)
        await stage.pass_time(0.5)
    assert set(other.view) == {"chat-2"}


async def test_a_view_has_an_end(
    stage: RedisStage, logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await stage.cluster("chat-1", "chat-2")
    most = len(written(one.views[-1])) + 100
    monkeypatch.setattr("chatcore.cluster.redis_registry.MOST_BYTES", most)
    third = stage.start("chat-3")
    await stage.pass_time(2 * stage.lease)
    assert set(other.view) == {"chat-1", "chat-2"}
    refused = [line for line in logged if "not let into the view" in line]
    assert len(refused) == 1 and f"more than {most} bytes" in refused[0]
    one.enter("draining")
    await stage.until(lambda: other.view["chat-1"][1] == "draining", "who is in to stay in")
    await stage.leave(other)
    await stage.until(lambda: third.is_in, "it to come in when there is room")


async def test_who_was_taken_out_hears_that_before_it_may_own_again(stage: RedisStage) -> None:
    sleeper, other = await stage.cluster("chat-1", "chat-2")
    stage.hosts[sleeper.registry].cut_off = True
    await stage.until(lambda: sleeper.told[-1] == "lost" and len(other.view) == 1, "both to know")
    stage.hosts[sleeper.registry].cut_off = False
    await stage.until(lambda: sleeper.told[-1] == "found", "it to be back")
    assert sleeper.told[-4:] == ["lost", "heard", "removed", "found"]


async def test_who_goes_by_another_lease_says_so_once(stage: RedisStage, logged: list[str]) -> None:
    await stage.cluster("chat-1", "chat-2")
    stage.lease = 6.0
    third = stage.start("chat-3")
    stage.lease = 5.0
    await stage.until(lambda: third.is_in, "it to be in")
    await stage.pass_time(2 * stage.lease)
    said = [line for line in logged if "lease_seconds" in line]
    assert sum(line.startswith("chat-3 goes by registry.lease_seconds=6") for line in said) == 2
    assert len(said) == 3, "each says it once"


async def test_it_says_for_how_long_redis_has_been_silent(stage: RedisStage) -> None:
    (node,) = await stage.cluster("chat-1")
    await stage.take_away()
    await stage.until(lambda: node.silences, "it to be missed")
    sweep = stage.lease / 5
    assert patience(stage.lease) <= node.silences[0] <= patience(stage.lease) + 2 * sweep


class TestWithValkey:
    """What only a real server shows."""

    async def test_a_stall_of_ten_seconds(self, tmp_path: Path) -> None:
        """With the lease that nodes have unless told otherwise."""
        stage = ValkeyStage(tmp_path, lease=5.0)
        try:
            nodes = await stage.cluster("chat-1", "chat-2", "chat-3")
            view = nodes[0].view
            stage.valkey.freeze()
            await stage.pass_time(10.0)
            stage.valkey.thaw()
            late = stage.start("chat-4")
            await stage.until(lambda: late.is_in, "it to work again")
            await stage.until(lambda: all("chat-4" in node.view for node in nodes), "all to know")
            for node in nodes:
                assert [word for word in node.told if word != "heard"] == ["lost", "found"]
                assert node.view == {**view, "chat-4": ("life 1", "up")}
        finally:
            await stage.close()
        stage.check()

    async def test_all_data_lost(self, real: ValkeyStage) -> None:
        nodes = await real.cluster("chat-1", "chat-2", "chat-3")
        epoch, view = nodes[0].epoch, nodes[0].view
        real.forgets = True
        for lose in (real.restart, self.flushed(real)):
            await lose()
            await real.until(lambda: real.valkey.ask("EXISTS", VIEW.decode()), "it to be put back")
            await real.pass_time(2 * real.lease)
            assert all(node.epoch > epoch for node in nodes)
            assert {node.epoch for node in nodes} == {nodes[0].epoch}
            assert all(node.view == view and "removed" not in node.told for node in nodes)
            epoch = nodes[0].epoch

    def flushed(self, real: ValkeyStage) -> Any:
        async def flush() -> None:
            real.valkey.ask("FLUSHALL")

        return flush

    async def test_a_wrong_password_that_is_put_right(
        self, tmp_path: Path, logged: list[str]
    ) -> None:
        stage = ValkeyStage(tmp_path, lease=0.6, password=PASSWORD)
        try:
            nodes = await stage.cluster("chat-1", "chat-2")
            view, epoch = nodes[0].view, nodes[0].epoch
            stage.valkey.stop()
            stage.valkey.password = "another"
            stage.valkey.start()
            late = stage.start("chat-3")
            await stage.until(
                lambda: all(node.told[-1] == "lost" for node in nodes), "all to miss it"
            )
            await stage.pass_time(2 * stage.lease)
            assert [node.epoch for node in (*nodes, late)] == [epoch, epoch, -1]
            assert any("the login was refused: WRONGPASS" in line for line in logged)
            stage.valkey.ask("CONFIG", "SET", "requirepass", PASSWORD)
            await stage.until(lambda: late.is_in, "the last to be let in")
            await stage.until(lambda: all("chat-3" in node.view for node in nodes), "all to know")
            assert all({**node.view, **view} == node.view for node in nodes)
            assert not any("removed" in node.told for node in nodes)
            assert not any(PASSWORD in line or QUOTED in line for line in logged)
        finally:
            await stage.close()
        stage.check()

    async def test_killed_connections_change_nothing(self, real: ValkeyStage) -> None:
        one, other = await real.cluster("chat-1", "chat-2")
        for _ in range(3):
            real.valkey.ask("CLIENT", "KILL", "SKIPME", "yes")
            await real.pass_time(0.5)
        assert "lost" not in one.told + other.told
        one.enter("draining")
        await real.until(lambda: other.view["chat-1"][1] == "draining", "it to work")
        await real.until(lambda: _listeners(real) == 2, "both to listen again")

    async def test_a_user_with_no_more_rights_than_are_needed(self, real: ValkeyStage) -> None:
        commands = "auth select ping eval evalsha subscribe hset hget hgetall hdel publish"
        rights = [f"+{command}" for command in commands.split()]
        real.valkey.ask(
            "ACL", "SETUSER", "chat", "on", ">pass", "~chatcore:*", "&chatcore:*", *rights
        )
        real.url = f"redis://chat:pass@127.0.0.1:{real.valkey.port}/3"
        one, other = await real.cluster("chat-1", "chat-2")
        one.enter("draining")
        await real.until(lambda: other.view["chat-1"][1] == "draining", "it to be heard")
        await real.leave(one)

    async def test_a_user_who_may_not_publish(self, real: ValkeyStage, logged: list[str]) -> None:
        """As those are who got their rights before there were rights for channels."""
        real.valkey.ask("ACL", "SETUSER", "chat", "on", ">pass", "~*", "resetchannels", "+@all")
        real.url = f"redis://chat:pass@127.0.0.1:{real.valkey.port}"
        one, other = await real.cluster("chat-1", "chat-2")
        for state in ("draining", "starting"):
            one.enter(state)
            await real.until(lambda state=state: other.view["chat-1"][1] == state, "the sweep")
        assert "lost" not in one.told + other.told
        for said in ("is not heard: NOPERM", "can't be published, and are found late: "):
            assert 1 <= sum(said in line for line in logged) <= 2, "each node says so once"

    async def test_a_user_who_may_not_write_the_view(
        self, real: ValkeyStage, logged: list[str]
    ) -> None:
        rights = ["~chatcore:*beats", "~chatcore:*last", "%R~chatcore:*view", "&*", "+@all"]
        real.valkey.ask("ACL", "SETUSER", "chat", "on", ">pass", *rights)
        real.url = f"redis://chat:pass@127.0.0.1:{real.valkey.port}"
        real.start("chat-1")
        await real.pass_time(4 * real.lease)
        told = [line for line in logged if "The registry in Redis: " in line]
        assert len(told) == 1 and "NOPERM" in told[0]

    async def test_a_primary_that_becomes_a_replica(
        self, real: ValkeyStage, logged: list[str]
    ) -> None:
        one, other = await real.cluster("chat-1", "chat-2")
        view = one.view
        real.valkey.ask("REPLICAOF", "127.0.0.1", "1")
        await real.until(lambda: one.told[-1] == other.told[-1] == "lost", "it to be missed")
        await real.pass_time(4 * real.lease)
        real.valkey.ask("REPLICAOF", "NO", "ONE")
        await real.until(lambda: one.told[-1] == other.told[-1] == "found", "it to be found")
        await real.pass_time(2 * real.lease)
        assert one.view == other.view == view
        away = [line for line in logged if "is away: it is a replica" in line]
        assert len(away) == 2, "each says so once"

    async def test_a_server_that_refuses_to_write(self, real: ValkeyStage) -> None:
        one, other = await real.cluster("chat-1", "chat-2")
        real.valkey.ask("CONFIG", "SET", "maxmemory", "1")
        await real.until(lambda: one.told[-1] == other.told[-1] == "lost", "it to be missed")
        real.valkey.ask("CONFIG", "SET", "maxmemory", "0")
        await real.until(lambda: one.told[-1] == other.told[-1] == "found", "it to be found")

    async def test_many_that_come_at_once(self, real: ValkeyStage) -> None:
        nodes = await real.cluster(*(f"chat-{n:02}" for n in range(30)))
        for node in nodes[:10]:
            node.enter("draining")
        await real.until(lambda: all(node.is_in for node in nodes), "all changes")
        await real.pass_time(0.5)
        assert {tuple(node.view.items()) for node in nodes} == {tuple(nodes[0].view.items())}


def _listeners(real: ValkeyStage) -> int:
    return int(real.valkey.ask("PUBSUB", "NUMSUB", CHANNEL.decode())[1])
