"""``chatcore inspect nodes`` and ``links``: how servers and their links are."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_cluster import until
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatcore.admin.outcomes import AWAY
from chatcore.cli.inspect.links import FIELDS as OF_LINKS
from chatcore.cli.inspect.links import joined
from chatcore.cli.inspect.nodes import FIELDS
from chatcore.cli.main import main
from chatcore.config.run_folder import RunFolder
from chatcore.dispatch.lag import INTERVAL, Lag
from chatcore.errors import AdminError, ConfigError
from chatcore.node.looking.failures import LONGEST, Failures, observe
from chatcore.telemetry import Counters

from .clusters import AdministeredCluster, Standin, chatcore, path_of, survey_of

log = Logger()


def nodes_of(ran: Any) -> dict[str, dict[str, str]]:
    return {id: dict(zip(FIELDS[1:], each, strict=True)) for id, each in ran.records.items()}


def links_of(ran: Any) -> list[dict[str, str]]:
    return [dict(zip(OF_LINKS, line.split("\t"), strict=True)) for line in ran.lines]


class TestNodes:
    async def test_off_a_terminal(self, cluster: AdministeredCluster) -> None:
        client = await cluster.client("front-1")
        await client.request("front.doorHandler.enter", {"name": "ann"})

        ran = await chatcore("inspect", "nodes", "--app", path_of(cluster))

        assert (ran.code, ran.err) == (0, "")
        found = nodes_of(ran)
        assert list(found) == ["chat-1", "chat-2", "front-1"]
        front = found["front-1"]
        assert (front["state"], front["sessions"], front["missing"]) == ("up", "1", "-")
        assert front["incarnation"] == cluster.nodes["front-1"].membership.member.incarnation
        assert (front["outbox_bytes"], found["chat-1"]["outbox_bytes"]) == ("0", "-")
        assert 0 <= float(front["in_view"]) <= float(front["uptime"])
        assert float(front["lag"]) >= 0
        assert front["failures"] == "0"

    async def test_on_a_terminal_with_counters(self, cluster: AdministeredCluster) -> None:
        await cluster.client("front-1")

        ran = await chatcore("inspect", "nodes", "-v", "--app", path_of(cluster), terminal=True)

        assert ran.lines[0].split()[:3] == ["server", "state", "up"]
        assert [line.split()[0] for line in ran.lines[1:4]] == ["chat-1", "chat-2", "front-1"]
        assert "  sessions_now 1" in ran.lines[ran.lines.index("front-1 counts") :]

    async def test_who_is_gone_is_silent(self, cluster: AdministeredCluster) -> None:
        await cluster.end("chat-2")

        ran = await chatcore("inspect", "nodes", "--app", path_of(cluster), "--json")

        assert ran.code == 1
        assert [each["state"] for each in ran.json["nodes"]] == ["up", "silent", "up"]
        assert ran.json["exit"] == 1
        assert "no link to chat-2" in ran.json["silent"]["chat-2"]

    @pytest.mark.logs_failures
    async def test_the_last_error_without_secrets(self, cluster: AdministeredCluster) -> None:
        log.error("It is {what}", what="worse")
        log.error("Can't log in with password=hunter2")

        ran = await chatcore("inspect", "nodes", "front-1", "--app", path_of(cluster))
        log.failure("Trying", Failure(ValueError("too much")))
        told = await chatcore("inspect", "nodes", "front-1", "--app", path_of(cluster), "--json")

        assert (nodes_of(ran)["front-1"]["failures"], "hunter2" in ran.out) == ("2", False)
        assert nodes_of(ran)["front-1"]["failure"] == "[hidden]"
        assert told.json["nodes"][0]["failure"]["text"] == "Trying: ValueError: too much"

    async def test_who_was_held_up_and_when(self, cluster: AdministeredCluster) -> None:
        journal = cluster.nodes["chat-2"].counters.journal
        for seconds in (2.5, 3.5):
            journal.note_node("held up", more={"seconds": seconds})

        ran = await chatcore("inspect", "nodes", "--app", path_of(cluster))
        told = await chatcore("inspect", "nodes", "--app", path_of(cluster), terminal=True)

        found = nodes_of(ran)
        assert (found["chat-2"]["held_up"], found["chat-2"]["held_up_seconds"]) == ("2", "3.5")
        assert float(found["chat-2"]["held_up_last"]) > 0
        assert (found["chat-1"]["held_up"], found["chat-1"]["held_up_last"]) == ("0", "-")
        (line,) = [line for line in told.lines if "did nothing else" in line]
        assert line.startswith("chat-2: did nothing else for 3.5 s until ")
        assert ", and 2 times since " in line

    async def test_one_that_is_kept_down_is_not_asked(
        self, run: RunFolder, standin: Callable[..., Standin]
    ) -> None:
        programs = {"chat-1": "up", "chat-2": "stopped"}
        start = standin("start", survey_of("chat-1", asked="start", programs=programs))

        ran = await chatcore("inspect", "nodes", "--app", str(run.path.parent))

        assert (ran.code, ran.err) == (0, "")
        assert [nodes_of(ran)[id]["state"] for id in ("chat-1", "chat-2")] == ["up", "down"]
        assert start.asked[1:] == [("nodes", "chat-1")]

    async def test_one_that_has_yet_to_start_is_no_silent_one(
        self, run: RunFolder, standin: Callable[..., Standin]
    ) -> None:
        programs = {"chat-1": "up", "chat-2": "waiting"}
        start = standin("start", survey_of("chat-1", asked="start", programs=programs))

        def has_none(id: str) -> Any:
            raise AdminError(f"{id} has no process now", code=AWAY)

        start.answers["nodes"] = has_none

        ran = await chatcore("inspect", "nodes", "chat-2", "--app", str(run.path.parent), "--json")

        states = [each["state"] for each in ran.json["nodes"]]
        assert states == ["waiting"]

    async def test_ids_and_a_type_are_too_much(self, cluster: AdministeredCluster) -> None:
        ran = await chatcore("inspect", "nodes", "chat-1", "--type", "chat", "--app",
                             path_of(cluster))  # fmt: skip
        strange = await chatcore("inspect", "nodes", "chat-9", "--app", path_of(cluster))

        assert (ran.code, strange.code) == (2, 4)
        assert "NODEs and --type can't go together" in ran.err
        assert "there is no server 'chat-9'" in strange.err


class TestFailures:
    def test_what_counts_and_how_much_of_it_is_kept(self) -> None:
        counters = Counters()
        failures = Failures(counters)
        failures.start()
        told = Logger(observer=observe)  # type: ignore[arg-type]  # a function is one

        told.warn("No error")
        assert failures.last is None
        told.error("Error in {what}\nTraceback", what="x" * 2000)

        assert failures.last is not None
        assert failures.last.text == f"Error in {'x' * (LONGEST - 9)}"
        assert counters.failures_logged == 1
        failures.stop()
        told.error("Another one")
        assert counters.failures_logged == 1

    def test_what_an_application_raised_is_told_without_what_it_says(self) -> None:
        failures = Failures(Counters())
        failures.start()
        told = Logger(observer=observe)  # type: ignore[arg-type]  # a function is one

        told.error("Error 5 in x: {problem!r}", problem=ValueError("it was not hunter2"))
        assert failures.last is not None
        assert failures.last.text == "Error 5 in x: ValueError"
        told.error("Taken back: {problem}", problem=ConfigError("no such type"))
        assert failures.last.text == "Taken back: no such type"
        failures.stop()

    def test_one_that_nobody_has_any_more_is_forgotten(self) -> None:
        counters = Counters()
        Failures(counters).start()
        gc.collect()

        Logger(observer=observe).error("An error")  # type: ignore[arg-type]  # as above

        assert counters.failures_logged == 0


class TestLag:
    def test_who_asks_first_waits_for_a_look(self) -> None:
        clock = Clock()
        lag = Lag(clock)
        asked = Deferred.fromCoroutine(lag.measured())
        assert not asked.called
        clock.advance(INTERVAL + 0.3)
        assert asked.result == pytest.approx(0.1)
        again = Deferred.fromCoroutine(lag.measured())
        assert again.result == pytest.approx(0.1)
        lag.stop()
        last = Deferred.fromCoroutine(lag.measured())
        lag.stop()  # who waits is told
        assert last.result == 0


class TestLinks:
    async def test_off_a_terminal(self, cluster: AdministeredCluster) -> None:
        ran = await chatcore("inspect", "links", "--app", path_of(cluster))

        assert (ran.code, ran.err) == (0, "")
        found = links_of(ran)
        pairs = [(each["dialler"], each["listener"]) for each in found]
        assert pairs == [("chat-1", "chat-2"), ("chat-1", "front-1"), ("chat-2", "front-1")]
        assert {each["state"] for each in found} == {"up"}
        assert {each["dialler_blocked"] for each in found} == {"no"}
        assert all(int(each["dialler_out"]) > 100 for each in found)
        assert all(int(each["listener_out"]) > 100 for each in found)

    async def test_round_trips_are_told(self, cluster: AdministeredCluster) -> None:
        link = cluster.nodes["chat-1"].links.get("front-1")
        assert link is not None
        link.ping()
        await until(lambda: link.round_trip is not None, "a ping")

        ran = await chatcore("inspect", "links", "--link", "front-*:chat-1", "--app",
                             path_of(cluster), "--json")  # fmt: skip

        (found,) = ran.json["links"]
        assert found["at_dialler"]["round_trip"] == link.round_trip

    async def test_what_is_down_stands_first_with_its_reason(
        self, cluster: AdministeredCluster
    ) -> None:
        await cluster.end("chat-2")
        links = cluster.nodes["chat-1"].links
        others = [links, cluster.nodes["front-1"].links]
        await until(lambda: not any(each.get("chat-2") for each in others), "the losses")
        await until(lambda: links.trouble("chat-2") is not None, "another attempt")

        ran = await chatcore("inspect", "links", "--app", path_of(cluster))
        told = await chatcore("inspect", "links", "--app", path_of(cluster), terminal=True)

        assert ran.code == 1
        assert ran.err.startswith("chatcore: chat-2 does not tell: ")
        found = links_of(ran)
        assert [each["state"] for each in found] == ["down", "down", "up"]
        assert (found[0]["dialler"], found[0]["listener"]) == ("chat-1", "chat-2")
        assert found[0]["dialler_problem"] != "-"
        assert found[0]["dialler_why"] == "the other side closed it"
        assert float(found[0]["dialler_lost"]) >= 0
        assert told.lines[-1] == "Links: 2 down, 1 up"

    async def test_one_that_only_one_end_believes_in(self, cluster: AdministeredCluster) -> None:
        believed = cluster.nodes["chat-1"].links._links
        kept = believed.pop("front-1")  # as if it had noticed a loss that the other has not

        ran = await chatcore("inspect", "links", "--app", path_of(cluster))
        told = await chatcore("inspect", "links", "--app", path_of(cluster), terminal=True)

        believed["front-1"] = kept
        first = links_of(ran)[0]
        assert (first["dialler"], first["listener"], first["state"]) == (
            "chat-1",
            "front-1",
            "half",
        )
        assert (first["dialler_blocked"], first["listener_blocked"]) == ("-", "no")
        assert ran.code == 0  # whom chat-1 can't ask is asked directly
        assert "half: only front-1 has it" in told.lines[1]
        assert told.lines[-1] == "Links: 1 half, 2 up"

    async def test_those_of_some(self, cluster: AdministeredCluster) -> None:
        ran = await chatcore("inspect", "links", "front-1", "--app", path_of(cluster))
        wrong = await chatcore("inspect", "links", "--link", "front-1", "--app", path_of(cluster))

        assert [each["dialler"] for each in links_of(ran)] == ["chat-1", "chat-2"]
        assert all(each["listener_out"] != "-" for each in links_of(ran))
        assert wrong.code == 2
        assert "Write A:B" in wrong.err

    async def test_why_this_side_gave_one_up(self, cluster: AdministeredCluster) -> None:
        links = cluster.nodes["chat-1"].links
        link = links.get("front-1")
        assert link is not None
        there = cluster.nodes["front-1"].links
        old = there.get("chat-1")
        link.abort("nothing came for too long")
        await until(lambda: links.get("front-1") not in (link, None), "a new one")
        await until(lambda: there.get("chat-1") not in (old, None), "it to be known there")

        ran = await chatcore("inspect", "links", "--link", "chat-1:front-1", "--app",
                             path_of(cluster), "--json")  # fmt: skip

        (found,) = ran.json["links"]
        assert (found["state"], found["problem"]) == ("up", None)
        assert found["at_dialler"]["why"] == "nothing came for too long"


def end(up: bool, **more: object) -> dict[str, object]:
    return {"up": up, "seconds": 9.0, "lost": None, "why": None, "problem": None, **more}


class TestBothEnds:
    """What comes of what the two ends say."""

    def test_one_that_only_one_end_believes_in(self) -> None:
        (link,) = joined(
            {
                "a": {"links": {"b": end(True)}},
                "b": {"links": {"a": end(False, seconds=2.0, why="reset")}},
            }
        )

        assert (link.state, link.seconds, link.problem) == ("half", 2.0, "reset")

    def test_one_whose_other_end_knows_nothing_of_it(self) -> None:
        (link,) = joined({"a": {"links": {"b": end(True)}}, "b": {"links": {}}})

        assert link.state == "half"
        assert link.problem == "one of the two does not have the other in its view"

    def test_one_of_which_one_end_tells(self) -> None:
        (link,) = joined({"b": {"links": {"a": end(True)}}})

        assert (link.dialler, link.listener, link.state) == ("a", "b", "up")


@pytest.mark.parametrize(
    "words",
    [
        ("nodes",),
        ("links",),
        ("remotes",),
        ("handlers",),
        ("sessions",),
        ("session", "ann"),
        ("channels",),
        ("channel", "attic"),
    ],
    ids=lambda words: words[0],
)
async def test_a_viewer_sees_it(
    cluster: AdministeredCluster, tmp_path: Path, words: tuple[str, ...]
) -> None:
    client = await cluster.client("front-1")
    await client.request("front.doorHandler.enter", {"name": "ann"})
    token, secret = tmp_path / "token", str(cluster.run_folder.secret_path)
    assert main(["token", "viewer", "--secret-file", secret, "--out", str(token)]) == 0
    await cluster.end("chat-2")  # so that somebody is asked directly, and in vain

    ran = await chatcore("inspect", *words, "--app", path_of(cluster), "--secret-file",
                         str(token), "--json")  # fmt: skip

    assert ran.code == (0 if words[0] in ("sessions", "session") else 1), ran.err
    assert list(ran.json["silent"]) == ([] if ran.code == 0 else ["chat-2"])
    for what in ("nodes", "links", "remotes", "handlers", "sessions"):
        assert ran.json.get(what, True), ran.out
