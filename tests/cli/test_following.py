"""Which servers are tapped, as the view changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from links.wiring import done
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from chatcore.admin.outcomes import AWAY, FORBIDDEN
from chatcore.cli.exits import CommandError
from chatcore.cli.inspect.following import FIRST_SECONDS, LOOK_SECONDS, Following
from chatcore.cli.survey import Survey
from chatcore.errors import AdminError

from .clusters import survey_of


class Visit:
    """A visit that says what it is asked for."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.closed: Deferred[None] = Deferred()

    async def tap(self, given: Any, seconds: float, took: Any = None) -> Any:
        self._server.given.append(given)
        if self._server.refuses is not None:
            raise self._server.refuses
        return {"told": False, "types": {}, "declared": {"chat.a.b": [["x"], [], False]}}

    def close(self) -> None:
        if not self.closed.called:
            self.closed.callback(None)

    async def leave(self, clock: Any) -> None:
        self.close()


class Server:
    """One that may be visited.

    Attributes:
        away: why it can't be reached, if so.
        refuses: why it is not tapped, if so.
        hangs: what has to fire before it answers.
        given: what it was asked for.
    """

    def __init__(self) -> None:
        self.away: AdminError | None = None
        self.refuses: AdminError | None = None
        self.hangs: Deferred[None] | None = None
        self.given: list[Any] = []
        self.visits: list[Visit] = []


class Scene:
    """A cluster of which only this is known. It stands for the ways in, too."""

    def __init__(self) -> None:
        self.reactor = Clock()
        self.ids: tuple[str, ...] = ()
        self.servers = {id: Server() for id in ("a", "b", "c", "d")}
        self.notes: list[str] = []
        self.unknown = False
        self._begun: Following | None = None

    def following(self, link: frozenset[str] | None = None, **more: Any) -> Following:
        scene: Any = self
        return Following(
            reach=scene,
            cluster=scene,
            means=lambda survey: [each for each in survey.ids if link is None or each in link],
            given={"bodies": True},
            link=link,
            took=lambda *args: None,
            note=self.notes.append,
            seconds=5.0,
            **more,
        )

    async def survey(self) -> Survey:
        if self.unknown:
            raise CommandError("nobody answers")
        return Survey.of(survey_of(*self.ids, asked="a"))

    async def visit(self, id: str, member: Any, seconds: float) -> Any:
        server = self.servers[id]
        if server.hangs is not None:
            await server.hangs
        if server.away is not None:
            raise server.away
        server.visits.append(Visit(server))
        return server.visits[-1]

    def begin(self, following: Following) -> int:
        self._begun = following
        count = done(Deferred.fromCoroutine(following.begin()))
        self.going = Deferred.fromCoroutine(following.follow())
        self.going.addErrback(lambda failure: None)
        return count

    def end(self) -> None:
        if self._begun is not None:
            done(Deferred.fromCoroutine(self._begun.close()))
            self.going.cancel()

    def pass_time(self) -> None:
        self.reactor.advance(LOOK_SECONDS)

    def but(self, id: str) -> list[str]:
        """Whose links a server was told last that others show."""
        return list(self.servers[id].given[-1]["but"])


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.end()


def test_each_link_is_shown_by_one(scene: Scene) -> None:
    scene.ids = (
        "a",
        "b",
        "c",
    )
    following = scene.following()
    assert scene.begin(following) == 3
    assert [scene.but(id) for id in "abc"] == [[], ["a"], ["a", "b"]]
    assert all(len(server.given) <= 1 for server in scene.servers.values())
    assert following.tapped == {"a", "b", "c"}
    assert following.declared["chat.a.b"].parameters == ("x",)


def test_frontends_may_come_first_as_those_who_ask(scene: Scene) -> None:
    scene.ids = ("a", "b", "front-1")
    scene.servers["front-1"] = Server()

    scene.begin(scene.following(askers_first=True))

    assert [scene.but(id) for id in scene.ids] == [["front-1"], ["a", "front-1"], []]


def test_who_ends_it_as_soon_as_it_has_begun_ends_it(scene: Scene) -> None:
    scene.ids = ("a", "b")
    scene.servers["b"].hangs = hanging = Deferred()
    following = scene.following()

    async def run() -> None:
        await following.begin()
        await following.close()

    running = Deferred.fromCoroutine(run())
    hanging.callback(None)  # what follows, follows in the midst of visiting this one
    done(running)
    scene.pass_time()

    assert [len(scene.servers[id].visits) for id in "ab"] == [1, 1]
    assert scene.notes == []


def test_one_that_comes_and_goes(scene: Scene) -> None:
    scene.ids = (
        "a",
        "c",
    )
    following = scene.following()
    scene.begin(following)
    scene.ids = ("a", "b", "c")
    scene.pass_time()
    assert following.tapped == {"a", "b", "c"}
    assert scene.but("c") == ["a", "b"]
    scene.ids = ("b", "c")
    survey_knows = scene.servers["a"].visits[-1]
    scene.ids = ("c",)
    scene.pass_time()
    assert "chatcore: b has left" in scene.notes
    assert scene.servers["b"].visits[-1].closed.called
    assert scene.but("c") == ["a"]
    assert not survey_knows.closed.called
    assert following.tapped == {"a", "c"}
    scene.end()
    assert scene.servers["c"].visits[-1].closed.called
    assert following.tapped == frozenset()


def test_one_that_can_not_be_tapped_is_tried_again(scene: Scene) -> None:
    scene.ids = (
        "a",
        "b",
    )
    scene.servers["a"].away = AdminError("it is away", code=AWAY)
    following = scene.following()
    assert scene.begin(following) == 1
    assert scene.but("b") == []
    scene.pass_time()
    assert scene.notes == ["chatcore: a can't be tapped: it is away"]
    scene.servers["a"].away = None
    scene.pass_time()
    assert scene.notes[1:] == ["chatcore: tapping a again"]
    assert scene.but("b") == ["a"]
    scene.servers["a"].visits[-1].close()
    assert scene.notes[2:] == [
        "chatcore: a has closed the link; it is tried again",
        "chatcore: tapping a again",
    ]
    assert following.tapped == {"a", "b"}


def test_one_that_hangs_keeps_nobody_waiting(scene: Scene) -> None:
    scene.ids = ("a", "b")
    scene.servers["a"].hangs = hangs = Deferred()
    following = scene.following()
    counts: list[int] = []
    Deferred.fromCoroutine(following.begin()).addCallback(counts.append)
    assert following.tapped == {"b"}
    scene.reactor.advance(FIRST_SECONDS)
    assert counts == [1]
    hangs.callback(None)
    assert following.tapped == {"a", "b"}
    done(Deferred.fromCoroutine(following.close()))


def test_one_link(scene: Scene) -> None:
    scene.ids = (
        "a",
        "b",
        "c",
    )
    assert scene.begin(scene.following(frozenset("bc"))) == 2
    assert scene.servers["a"].given == []
    assert scene.servers["b"].given == [{"bodies": True, "but": [], "peers": ["c"]}]
    assert scene.servers["c"].given == [{"bodies": True, "but": ["b"], "peers": ["b"]}]


def test_who_may_not_is_told_at_once(scene: Scene) -> None:
    scene.ids = ("a",)
    scene.servers["a"].refuses = AdminError("ann may not", code=FORBIDDEN)
    following = scene.following()
    scene.begin(following)
    with pytest.raises(CommandError, match="ann may not"):
        done(following.failed)


def test_a_view_that_nobody_tells(scene: Scene) -> None:
    scene.ids = ("a",)
    following = scene.following()
    scene.begin(following)
    scene.unknown = True
    scene.pass_time()
    scene.pass_time()
    assert scene.notes == ["chatcore: who is there is not known now: nobody answers"]
    assert following.tapped == {"a"}
