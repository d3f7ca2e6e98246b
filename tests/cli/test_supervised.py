"""Administering what a ``chatcore start`` owns; its processes are stand-ins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from chatcore.admin.asker import Asker
from chatcore.admin.desk import Desk
from chatcore.admin.outcomes import AWAY, FAILED, FORBIDDEN, MISTAKE, UNKNOWN, UNSUPERVISED
from chatcore.cli.ordering import DONE_WORDS
from chatcore.cluster.view import Member, View
from chatcore.config.claims import Claim
from chatcore.config.run_folder import RunFolder
from chatcore.config.tokens import Token
from chatcore.errors import AdminError
from chatcore.links.settings import LinkSettings
from chatcore.master.administered import Administered
from chatcore.master.growing import Changes
from chatcore.master.plan import Plan
from chatcore.master.service import Reception
from chatcore.node.ports import admin_place
from chatcore.telemetry import Counters

from .clusters import AdministeredCluster, Standin, chatcore, server, survey_of

ADMIN = Asker("admin", "admin")


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
        supervisor: Any = SimpleNamespace(keepers=keepers, stopping=False)
        plan = Plan(
            app=Path("/srv/chat"), env="production", run=run, programs=(), needs=(), ready=""
        )
        host = Administered(
            supervisor=supervisor,
            plan=plan,
            view=lambda: view,
            link=lambda id: None,
            reactor=reactor,
        )
        self.host = host
        host._orders = self  # type: ignore[assignment]  # what they do is tested elsewhere
        counters = Counters()
        self._reception = Reception(
            places=[admin_place(run, "start")],
            secret=run.secret(),
            links=LinkSettings(),
            guests=[Desk(host=host, counters=counters, clock=reactor)],  # type: ignore[arg-type]
            counters=counters,
            reactor=reactor,
        )
        claim = run.claim("start")
        assert claim is not None
        self._claim: Claim = claim
        self._reception.startService()

    def _keeper(self, id: str, condition: str) -> Any:
        running = condition in ("up", "starting", "draining", "stopping")
        return SimpleNamespace(
            name=id,
            program=SimpleNamespace(server=server(id)),
            condition=condition,
            running=running,
            kept=condition != "stopped",
            refused=condition == "refused",
            has_been_up=True,
            last_why="" if running else "ended with exit code 127 before it was ready",
            pid=4711 if running else None,
        )

    async def act(self, what: str, keeper: Any, seconds: float) -> None:
        self.asked.append((what, keeper.name))
        if self.problem is not None:
            raise self.problem

    async def close(self) -> None:
        await self._reception.stopService()
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


@pytest.mark.parametrize("what", ["stop", "drain", "kill"])
async def test_what_was_down_already_is_told_so(
    app: Path, start: Callable[..., Start], what: str
) -> None:
    start(View(1, ()), chat_1="stopped", chat_2="refused", chat_3="waiting")
    ran = await chatcore(what, "--all", "--app", str(app))
    assert (ran.code, {id: fields[0] for id, fields in ran.records.items()}) == (
        0, {"chat-1": "down", "chat-2": "down", "chat-3": DONE_WORDS[what]}
    )  # fmt: skip


async def test_who_drains_the_last_of_a_type_is_told_what_that_means(
    app: Path, start: Callable[..., Start]
) -> None:
    ids = ("chat-1", "chat-2", "front-1")
    start(
        View(1, tuple(Member(server=server(id), state="up") for id in ids)),
        chat_1="up",
        chat_2="up",
        front_1="up",
    )
    where = ("--app", str(app))
    assert (await chatcore("drain", "chat-1", *where)).err == ""
    assert (await chatcore("stop", "front-1", *where)).err == ""

    (chat,) = (await chatcore("drain", "--type", "chat", *where)).err.splitlines()
    assert chat.startswith("chatcore: no server of the type 'chat' will be up then: nobody takes")
    (front,) = (await chatcore("drain", "front-1", *where)).err.splitlines()
    assert "'front' will be up then: its clients are disconnected" in front


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
            answers={"status": lambda given: {"state": "up"}},
            invoke=lambda *args: pytest.fail("it is not asked to"),
            drain=lambda: pytest.fail("it is not for the node to act"),
            is_empty=lambda: True,
            stop=lambda: stopped.append("itself"),
            process=process,
            clock=reactor,  # type: ignore[arg-type]  # it is one
        )

    owned = node(Process(supervisor=owner))
    for id in ("chat-1", "chat-2"):
        assert await owned.order("restart", id, 5, passes_on=False, asker=ADMIN) == {"ended": True}
    assert it.asked == [("restart", "chat-1"), ("restart", "chat-2")]
    assert [each["id"] for each in (await owned.survey(5, alone=False))["programs"]] == [
        "chat-1", "chat-2"
    ]  # fmt: skip
    assert (await owned.survey(5, alone=True))["programs"] is None
    assert stopped == []

    problems = {}
    for id in ("chat-7", "chat-1"):
        with pytest.raises(AdminError) as caught:
            await node(Process()).order("restart", id, 5, passes_on=True, asker=ADMIN)
        problems[id] = caught.value.code
    assert problems == {"chat-7": UNKNOWN, "chat-1": UNSUPERVISED}


@pytest.mark.parametrize("through", ["the start itself", "a node that it owns"])
async def test_what_a_viewer_asks_is_a_viewers_everywhere(
    app: Path, run: RunFolder, start: Callable[..., Start], through: str
) -> None:
    """Also where a node asks ``chatcore start`` as itself, or would."""
    from twisted.internet.endpoints import UNIXClientEndpoint

    from chatcore.admin.visit import visit

    it = start(View(1, ()), chat_1="up")
    direct = through == "the start itself"
    token = Token.make(run.secret(), "viewer", "ann", 2**33)
    visiting = await visit(
        UNIXClientEndpoint(reactor, str(run.admin_socket("start"))),
        id=str(token.id) if direct else "admin-chat-1",
        secret=token.key if direct else run.secret(),
        clock=reactor,  # type: ignore[arg-type]  # it is one
        seconds=10,
        asker=None if direct else Asker("viewer", "ann"),
    )
    assert [each["id"] for each in (await visiting.survey(5, alone=True))["programs"]] == ["chat-1"]
    for ask in (
        lambda: visiting.order("stop", "chat-1", 5),
        lambda: visiting.add("chat", {}, 1, 5),
        lambda: visiting.reload(apply=True, seconds=5),
    ):
        with pytest.raises(AdminError, match="may not") as caught:
            await ask()
        assert caught.value.code == FORBIDDEN
    await visiting.leave(reactor)  # type: ignore[arg-type]
    assert it.asked == []


async def test_one_that_was_restarted_while_it_was_asked(app: Path, standin: Stand) -> None:
    """Its link ends meanwhile; that it is another process now tells that it is done."""
    it = standin("chat-1", survey_of("chat-1", programs={"chat-1": "up"}))
    pids = iter([100, 100, 200])
    it.answers["status"] = lambda id: {"state": "up", "pid": next(pids)}
    it.answers["restart"] = lambda id: AdminError("the link has ended", code="lost")

    ran = await chatcore("restart", "chat-1", "--app", str(app))

    assert (ran.code, ran.records["chat-1"][0]) == (0, "restarted")


async def test_how_far_it_is_is_shown_on_a_terminal(
    app: Path, standin: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatcore.cli.ordering.LOOK", 0.01)
    it = standin("chat-1", survey_of("chat-1", programs={"chat-1": "up"}))
    it.answers["status"] = lambda id: {"state": "draining", "clients": 3, "channels": 2}
    draining: Deferred[Any] = Deferred()

    def drain(id: str) -> Any:
        reactor.callLater(0.2, draining.callback, {"ended": True})
        return draining

    it.answers["drain"] = drain
    ran = await chatcore("drain", "chat-1", "--app", str(app), terminal=True)

    assert (ran.code, ran.err.count("draining chat-1: 3 clients, 2 channels")) == (0, 1)
    assert ran.lines[0].startswith("chat-1  drained (0.")


async def test_a_great_many_at_once(app: Path, standin: Stand) -> None:
    ids = [f"chat-{number}" for number in range(200)]
    it = standin("front-1", survey_of(*ids))
    ran = await chatcore("stop", "--all", "--app", str(app))
    assert (ran.code, len(ran.lines)) == (0, 200)
    assert it.counters.administrators_refused == 0
    ran = await chatcore("list", "--app", str(app))
    assert len(ran.lines) == 200
    strange = await chatcore("stop", "chat-x", "--app", str(app))
    assert "There are 200 servers, as chat-0," in strange.err


async def test_one_that_is_not_there_and_not_up(app: Path, start: Callable[..., Start]) -> None:
    start(View(1, ()), chat_1="up")
    ran = await chatcore("list", "--app", str(app), "--timeout", "0.5")
    assert ran.records["chat-1"][1] == "down"  # its process runs and takes nobody in
    assert AWAY not in ran.out


async def test_why_one_waits_is_told(app: Path, start: Callable[..., Start]) -> None:
    start(View(1, ()), chat_1="waiting")

    ran = await chatcore("inspect", "nodes", "--app", str(app))

    assert (ran.code, ran.records["chat-1"][1]) == (1, "waiting")
    assert ran.err == (
        "chatcore: chat-1 does not tell: chat-1 has no process now: it is waiting, because it"
        " ended with exit code 127 before it was ready\n"
    )


class Grows:
    """Stands for the part of a ``chatcore start`` that takes servers in."""

    def __init__(self, problem: AdminError | None = None) -> None:
        self.asked: list[Any] = []
        self.problem = problem
        self.changes = Changes()

    def add(self, server_type: str, given: Any, count: int, far: Any) -> list[str]:
        self.asked.append((server_type, given, count, sorted(far)))
        if self.problem is not None:
            raise self.problem
        return ["chat-1"]

    def compare(self, *, apply: bool) -> Changes:
        self.asked.append(apply)
        if self.problem is not None:
            raise self.problem
        return self.changes

    def is_to_go(self, keeper: Any) -> bool:
        return False


def growing(it: Start, problem: AdminError | None = None) -> Grows:
    grows = Grows(problem)
    it.host._growing = grows  # type: ignore[assignment]  # tested elsewhere
    return grows


class TestAdd:
    @pytest.mark.parametrize(
        ("words", "asked"),
        [
            (["chat"], ("chat", {}, 1)),
            (["--type", "chat", "--count", "3"], ("chat", {}, 3)),
            (["serverType=chat", "port=6060"], ("chat", {"port": "6060"}, 1)),
            (
                ["port=6060++", "clusterCount=2", "chat", "data=a=b"],
                ("chat", {"port": "6060++", "clusterCount": "2", "data": "a=b"}, 1),
            ),
        ],
    )
    async def test_what_is_asked(
        self, app: Path, start: Callable[..., Start], words: list[str], asked: Any
    ) -> None:
        it = start(View(1, (Member(server=server("far-1")),)), chat_1="stopped")
        grows = growing(it)

        ran = await chatcore("add", *words, "--app", str(app))

        assert grows.asked == [(*asked, ["far-1"])]
        assert it.asked == [("start", "chat-1")]
        assert (ran.code, ran.records["chat-1"][0]) == (0, "started")

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            ([], "no type given"),
            (["port=1"], "no type given"),
            (["chat", "game"], "one type, please"),
            (["chat", "--count", "2", "clusterCount=2"], "say the same"),
            (["chat", "port=1", "port=2"], "or is there twice"),
            (["chat", "=2"], "makes no sense"),
            (["chat", "--count", "many"], "invalid int value"),
        ],
    )
    async def test_a_mistake(self, words: list[str], says: str) -> None:
        ran = await chatcore("add", *words)
        assert (ran.code, says in ran.err) == (2, True), ran.err

    async def test_what_is_wrong_with_it_is_told(
        self, app: Path, start: Callable[..., Start]
    ) -> None:
        growing(start(View(1, ())), AdminError("no such type", code=MISTAKE, advice="Look"))
        ran = await chatcore("add", "chat", "--app", str(app))
        assert (ran.code, ran.err) == (2, "chatcore: no such type. Look\n")

    @pytest.mark.parametrize("words", [["add", "chat"], ["reload"], ["reload", "--dry-run"]])
    async def test_nobody_supervises(self, cluster: AdministeredCluster, words: list[str]) -> None:
        ran = await chatcore(*words, "--app", str(cluster.folder))
        assert ran.code == 2
        assert "no 'chatcore start' owns chat-1" in ran.err
        assert "twistd chatnode" in ran.err or "one by one" in ran.err


class TestReload:
    async def test_nothing_has_changed(self, app: Path, start: Callable[..., Start]) -> None:
        grows = growing(start(View(1, ())))
        ran = await chatcore("reload", "--app", str(app))
        assert (ran.code, ran.out, ran.err, grows.asked) == (0, "", "", [False])

    async def test_it_says_so_and_does_nothing_else(
        self, app: Path, start: Callable[..., Start]
    ) -> None:
        it = start(View(1, ()), chat_1="up")
        grows = growing(it)
        grows.changes = Changes(new=["chat-4"], gone=["chat-3"], changed={"chat-1": "port: 1 -> 2"})

        ran = await chatcore("reload", "--dry-run", "--app", str(app))
        told = (await chatcore("reload", "--dry-run", "--app", str(app), "--json")).json

        assert (it.asked, grows.asked) == ([], [False, False])
        assert [line.split("\t")[:2] for line in ran.lines] == [
            ["chat-4", "new"], ["chat-3", "gone"], ["chat-1", "changed"]
        ]  # fmt: skip
        assert told["changed"] == {"chat-1": "port: 1 -> 2"}

    async def test_it_goes_step_by_step(self, app: Path, start: Callable[..., Start]) -> None:
        names = ["chat_1", "chat_2", "chat_3", "chat_4", "chat_5", "front_1", "front_2"]
        it = start(View(1, ()), **dict.fromkeys(names, "up"))
        growing(it).changes = Changes(
            new=["chat-4", "chat-5"],
            gone=["chat-3", "front-2"],
            changed={"chat-1": "", "chat-2": "", "front-1": ""},
            blocked=["chat-5", "chat-2"],
        )

        ran = await chatcore("reload", "--app", str(app))

        assert ran.code == 0, ran.out
        assert it.asked == [
            ("start", "chat-4"),
            ("drain", "front-2"), ("drain", "chat-3"),
            ("restart", "chat-1"), ("restart", "front-1"),
            ("drain", "chat-2"),
            ("start", "chat-5"), ("start", "chat-2"),
        ]  # fmt: skip
        assert "chat-4: new, and to be started" in ran.err

    async def test_it_leaves_the_rest_when_something_fails(
        self, app: Path, start: Callable[..., Start]
    ) -> None:
        it = start(View(1, ()), chat_1="up", chat_3="up", chat_4="stopped")
        it.problem = AdminError("it ended with exit code 2", code=FAILED)
        growing(it).changes = Changes(new=["chat-4"], gone=["chat-3"], changed={"chat-1": ""})

        ran = await chatcore("reload", "--app", str(app))

        assert (ran.code, it.asked) == (1, [("start", "chat-4")])
        assert {id: fields[0] for id, fields in ran.records.items()} == {
            "chat-4": "failed", "chat-3": "left", "chat-1": "left"
        }  # fmt: skip
