"""Administering what a ``chatcore start`` owns; its processes are stand-ins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from chatcore.admin.outcomes import AWAY, FAILED, UNKNOWN, UNSUPERVISED
from chatcore.cluster.view import Member, View
from chatcore.config.claims import Claim
from chatcore.config.run_folder import RunFolder
from chatcore.errors import AdminError
from chatcore.master.administered import Administered
from chatcore.master.administration import Administration

from .clusters import Standin, chatcore, server, survey_of


class Start:
    """A ``chatcore start``, without any processes.

    Args:
        run: the run folder.
        conditions: how each of its programs is, by id.
        view: the view, where its own master numbers it.
    """

    def __init__(
        self, run: RunFolder, conditions: dict[str, str], view: View | None = None
    ) -> None:
        self.asked: list[tuple[str, str]] = []
        self.problem: AdminError | None = None
        keepers = {id: self._keeper(id, condition) for id, condition in conditions.items()}
        keepers["page"] = SimpleNamespace(name="page", program=SimpleNamespace(server=None))
        supervisor: Any = SimpleNamespace(keepers=keepers)
        host = Administered(
            supervisor=supervisor,
            about={"app": "/srv/chat", "env": "production"},
            run=run,
            view=lambda: view,
            reactor=reactor,
        )
        host._orders = self  # type: ignore[assignment]  # what they do is tested elsewhere
        self._administration = Administration(host, run=run, reactor=reactor)
        claim = run.claim("start")
        assert claim is not None
        self._claim: Claim = claim
        self._administration.start()

    def _keeper(self, id: str, condition: str) -> Any:
        running = condition in ("up", "starting", "draining", "stopping")
        return SimpleNamespace(
            name=id,
            program=SimpleNamespace(server=server(id)),
            condition=condition,
            running=running,
            pid=4711 if running else None,
        )

    async def act(self, what: str, keeper: Any, seconds: float) -> None:
        self.asked.append((what, keeper.name))
        if self.problem is not None:
            raise self.problem

    async def close(self) -> None:
        await self._administration.stop()
        self._claim.release()


@pytest_twisted.async_yield_fixture
async def start(run: RunFolder) -> Any:
    made: list[Start] = []

    def make(view: View | None = None, **conditions: str) -> Start:
        named = {id.replace("_", "-"): condition for id, condition in conditions.items()}
        made.append(Start(run, named, view))
        return made[-1]

    yield make
    for each in made:
        await each.close()


Stand = Callable[..., Standin]


async def test_the_list_shows_what_the_view_and_the_processes_say(
    app: Path, start: Callable[..., Start], standin: Stand
) -> None:
    view = View(9, (Member(server=server("chat-1")), Member(server=server("chat-9"))))
    start(view, chat_1="up", chat_2="stopped", chat_3="waiting", front_1="refused")
    well = {"state": "up", "epoch": 9, "pid": 99, "missing": ["chat-9"], "clients": 3}
    standin("chat-1", {}).answers["status"] = lambda id: (
        well if id == "chat-1" else AdminError("no link to it", code=AWAY)
    )

    ran = await chatcore("list", "--app", str(app))

    assert {id: fields[1] for id, fields in ran.records.items()} == {
        "chat-1": "up", "chat-2": "stopped", "chat-3": "waiting", "chat-9": "down",
        "front-1": "refused",
    }  # fmt: skip
    assert ran.records["chat-1"][2:4] == ["9", "99"]
    assert ran.records["chat-1"][-2] == "chat-9"


async def test_where_the_view_is_in_redis_a_node_is_asked_for_it(
    app: Path, start: Callable[..., Start], standin: Stand
) -> None:
    start(chat_1="up", chat_2="up")
    it = standin("chat-2", survey_of("chat-1", "chat-2", "far-1"))

    found = (await chatcore("list", "--app", str(app), "--json")).json

    assert (found["epoch"], found["supervised"]) == (7, True)
    assert [each["id"] for each in found["servers"]] == ["chat-1", "chat-2", "far-1"]
    assert ("survey", "chat-2") in it.asked


@pytest.mark.parametrize("what", ["stop", "drain", "kill", "restart"])
async def test_its_own_are_acted_on_by_itself(
    app: Path, start: Callable[..., Start], what: str
) -> None:
    it = start(View(1, ()), chat_1="up", front_1="up")

    ran = await chatcore(what, "chat-1", "front-1", "--app", str(app))

    assert ran.code == 0, ran.out
    assert sorted(it.asked) == [(what, "chat-1"), (what, "front-1")]


async def test_those_of_others_are_asked_by_one_of_its_nodes(
    app: Path, start: Callable[..., Start], standin: Stand
) -> None:
    view = View(1, (Member(server=server("chat-1")), Member(server=server("far-1"))))
    it = start(view, chat_1="up")
    node = standin("chat-1", {})

    ran = await chatcore("stop", "far-1", "--app", str(app))

    assert (ran.code, it.asked, node.asked) == (0, [], [("stop", "far-1")])


async def test_what_they_say_is_passed_on(
    app: Path, start: Callable[..., Start], standin: Stand
) -> None:
    view = View(1, (Member(server=server("chat-1")), Member(server=server("far-1"))))
    start(view, chat_1="up")
    nobody = AdminError("nobody starts far-1", code=UNSUPERVISED, advice="Do it by hand")
    standin("chat-1", {}).answers["restart"] = lambda id: nobody

    ran = await chatcore("restart", "far-1", "--app", str(app), "--json")

    assert ran.code == 2
    assert ran.json["error"] == "far-1: nobody starts far-1"
    assert ran.json["servers"][0]["advice"] == "Do it by hand"


async def test_a_restart_goes_one_by_one_up_to_the_first_that_fails(
    app: Path, start: Callable[..., Start]
) -> None:
    it = start(View(1, ()), chat_1="up", chat_2="up", chat_3="stopped")
    ran = await chatcore("restart", "--type", "chat", "--app", str(app))
    # What is down costs nobody anything, and the others wait for it where it is missing.
    assert (ran.code, [name for _, name in it.asked]) == (0, ["chat-3", "chat-1", "chat-2"])

    it.asked.clear()
    it.problem = AdminError("it ended with exit code 1", code=FAILED)
    ran = await chatcore("restart", "chat-1", "chat-2", "--app", str(app))
    assert (ran.code, it.asked) == (1, [("restart", "chat-1")])
    assert [fields[0] for fields in ran.records.values()] == ["failed", "left"]

    it.asked.clear()
    ran = await chatcore("restart", "--all", "--app", str(app))
    assert (ran.code, it.asked) == (1, [("restart", "chat-3")])


async def test_a_node_asks_the_start_that_owns_it(
    app: Path, run: RunFolder, start: Callable[..., Start]
) -> None:
    """Who reaches only a node can have everything done that ``chatcore start`` can do."""
    from twisted.internet.endpoints import UNIXClientEndpoint

    from chatcore.node.administered import Administered as NodeAdministered
    from chatcore.node.administered import Process

    it = start(View(1, ()), chat_1="up", chat_2="stopped")
    owner = UNIXClientEndpoint(reactor, str(run.admin_socket("start")))
    stopped: list[str] = []

    def node(process: Process) -> NodeAdministered:
        return NodeAdministered(
            id="chat-1",
            about={},
            secret=run.secret(),
            view=lambda: View(1, (Member(server=server("chat-1")),)),
            link=lambda id: None,
            status=lambda: {"state": "up"},
            drain=lambda: pytest.fail("it is not for the node to act"),
            is_empty=lambda: True,
            stop=lambda: stopped.append("itself"),
            process=process,
            clock=reactor,  # type: ignore[arg-type]  # it is one
        )

    owned = node(Process(supervisor=owner))
    for id in ("chat-1", "chat-2"):
        assert await owned.order("restart", id, 5, passes_on=False) == {"ended": True}
    assert it.asked == [("restart", "chat-1"), ("restart", "chat-2")]
    assert [each["id"] for each in (await owned.survey(alone=False))["programs"]] == [
        "chat-1", "chat-2"
    ]  # fmt: skip
    assert (await owned.survey(alone=True))["programs"] is None
    assert stopped == []

    problems = {}
    for id in ("chat-7", "chat-1"):
        with pytest.raises(AdminError) as caught:
            await node(Process()).order("restart", id, 5, passes_on=True)
        problems[id] = caught.value.code
    assert problems == {"chat-7": UNKNOWN, "chat-1": UNSUPERVISED}


async def test_one_that_was_restarted_while_it_was_asked(app: Path, standin: Stand) -> None:
    """Its link ends meanwhile; that it is another process now tells that it is done."""
    it = standin("chat-1", survey_of("chat-1", programs={"chat-1": "up"}))
    pids = iter([100, 100, 200])
    it.answers["status"] = lambda id: {"state": "up", "pid": next(pids)}
    it.answers["restart"] = lambda id: AdminError("the link has ended", code="lost")

    ran = await chatcore("restart", "chat-1", "--app", str(app))

    assert (ran.code, ran.records["chat-1"][0]) == (0, "restarted")


async def test_one_that_is_not_there_and_not_up(app: Path, start: Callable[..., Start]) -> None:
    start(View(1, ()), chat_1="up")
    ran = await chatcore("list", "--app", str(app), "--timeout", "0.5")
    assert ran.records["chat-1"][1] == "down"  # its process runs and takes nobody in
    assert AWAY not in ran.out
