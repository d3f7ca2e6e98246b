"""Who comes with a token: as its holder, until it expires, and as nobody else."""

from __future__ import annotations

import time

import pytest
from twisted.internet.defer import Deferred

from chatcore.admin.desk import LAST_SECONDS, LOOK_SECONDS, Desk
from chatcore.admin.outcomes import STRANGER
from chatcore.admin.visit import Visit, visit
from chatcore.config.tokens import LATEST, Token, TokenId
from chatcore.errors import AdminError
from chatcore.links import hello
from chatcore.links.commands import VERSION
from chatcore.links.hello import DIALLER, Party
from chatcore.links.link import Link

from .test_hello import introduction, listens
from .wiring import SECRET, Log, MemoryEndpoint, Net, Node, Raw, hello_box, prove_box

LATER = int(time.time()) + 1000


class Nobody:
    """Is not asked anything here."""


class Scene:
    """Node b takes in people; a is its peer, and z may be."""

    def __init__(self, net: Net) -> None:
        self.net, self.now = net, LATER - 10.0
        self.a, self.b = Node(net, "a", ["b"]), Node(net, "b", ["a", "aa", "z"])
        self.desk = Desk(
            host=Nobody(),  # type: ignore[arg-type]
            counters=self.b.counters,
            clock=net.clock,
            today=lambda: self.now,
        )
        self.b.table.admit(self.desk)
        self.a.table.startService()
        net.settle()

    def come(self, id: str, key: bytes) -> Deferred[Visit]:
        endpoint = MemoryEndpoint(self.net, "b")
        return Deferred.fromCoroutine(
            visit(endpoint, id=id, secret=key, clock=self.net.clock, seconds=3, to="b")
        )

    def refusal(self, id: str, key: bytes) -> str:
        with pytest.raises(AdminError) as caught:
            self.net.result(self.come(id, key))
        assert caught.value.code == STRANGER
        return caught.value.problem


@pytest.fixture
def scene(net: Net) -> Scene:
    return Scene(net)


def token(role: str = "viewer", name: str = "ann", end: int = LATER) -> Token:
    return Token.make(SECRET, role, name, end)  # type: ignore[arg-type]


@pytest.mark.parametrize("role", ["viewer", "admin"])
def test_the_holder_of_a_token_comes_in(scene: Scene, role: str) -> None:
    given = token(role)
    assert scene.net.result(scene.come(str(given.id), given.key)).peer == "b"
    assert [link.peer for link in scene.b.ups] == ["a"]  # and is nobody's peer


def test_nothing_else_follows_from_it(scene: Scene) -> None:
    """Neither another name, role or end, nor a node, the master, or who knows the secret."""
    mine = token()
    others = [
        token(name="bob").id, token(role="admin").id, token(end=LATER + 1).id, "admin",
        "admin-a", "admin-b", "aa",
    ]  # fmt: skip
    for other in others:
        assert "secret" in scene.refusal(str(other), mine.key)
    for other in ("master", "z", "viewer", "viewer:ann", "viewer-ann", f"node:ann:{LATER}"):
        assert "is expected" in scene.refusal(other, mine.key)
    with_admin = token(role="admin")
    for other in ("admin", "admin-b", "aa", str(mine.id)):
        assert "secret" in scene.refusal(other, with_admin.key)
    assert SECRET not in (mine.key, with_admin.key)
    assert len({Token.make(SECRET, "viewer", each, LATER).key for each in "abc"}) == 3


def test_one_of_another_cluster(scene: Scene) -> None:
    strange = Token.make(b"the secret of some other cluster", "admin", "ann", LATER)
    assert "it does not know this cluster's secret" in scene.refusal(str(strange.id), strange.key)


def test_the_secret_is_no_key_of_a_token(scene: Scene) -> None:
    assert "secret" in scene.refusal(str(token().id), SECRET)


def test_an_expired_one_is_told_so(scene: Scene) -> None:
    past = token(end=int(time.time()) - 1)
    with Log() as log:
        said = scene.refusal(str(past.id), past.key)
    why = f"the viewer token of 'ann' is good no more since {past.id.until}"
    assert said.endswith(why)
    assert any(why in text for text in log.texts)


def test_an_expired_one_can_not_go_on_with_an_empty_key(scene: Scene) -> None:
    past = token(end=1)
    raw = scene.net.dial("b", Raw())
    said = hello_box(str(past.id))
    answer = {b"id": b"b", b"incarnation": b"life 1", b"nonce": b"n" * 32}
    raw.send(said, prove_box(said, answer, secret=b""))  # type: ignore[arg-type]
    scene.net.settle()
    assert raw.closed
    assert not any(b"nonce" in box or b"remotes" in box for box in raw.boxes)


def test_nobody_answers_as_a_node_with_it(net: Net) -> None:
    """Neither to a node, nor to somebody with the secret or with another token."""
    mine, other = token(role="admin"), token()
    made = listens(net, Hello=lambda box: introduction(box, secret=mine.key))
    a = Node(net, "a", ["b"])
    with Log() as log:
        a.table.startService()
        net.pass_time(2)
    assert (a.table.get("b"), made[0].closed) == (None, True)
    assert "does not know this cluster's secret" in log.texts[0]
    for id, key in (("admin", SECRET), (str(other.id), other.key)):
        coming = visit(MemoryEndpoint(net, "b"), id=id, secret=key, clock=net.clock, seconds=3)
        with pytest.raises(AdminError, match="does not know this cluster's secret"):
            net.result(Deferred.fromCoroutine(coming))
    said = [box for each in made for box in each.boxes]
    assert {box.get(b"proof", b"") for box in said} == {b""}  # nothing that could be passed on


@pytest.mark.parametrize(
    "id",
    [
        "viewer:", "viewer:ann", "viewer:ann:", "viewer:ann:0", "viewer:ann:-5", "viewer::5",
        "viewer:ann:1e9", "Viewer:ann:99999999999", "viewer:ann:999999999999", "admin:x:y:9",
        "viewer:a b:99999999999", "viewer:ann:99999999999\n", ":::", "a:b",
    ],
)  # fmt: skip
def test_ids_that_are_none(scene: Scene, id: str) -> None:
    assert "is expected" in scene.refusal(id, SECRET)


def test_a_link_is_closed_when_the_token_expires(scene: Scene) -> None:
    given = token()
    scene.now = LATER - 20.0
    it = scene.net.result(scene.come(str(given.id), given.key))
    scene.net.pass_time(19)
    assert not it.is_over
    scene.now = LATER - 5.0  # the clock of the machine was set back
    scene.net.pass_time(2)
    assert not it.is_over
    scene.now = LATER
    scene.net.pass_time(5)
    assert it.is_over


def test_who_reads_nothing_is_cut_off_then(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written to him is in the way of an end in order."""
    given = token()
    scene.now = LATER - 5.0
    it = scene.net.result(scene.come(str(given.id), given.key))
    monkeypatch.setattr(Link, "close", lambda link: None)
    scene.now = LATER
    scene.net.pass_time(5)
    assert not it.is_over
    scene.net.pass_time(LAST_SECONDS)
    assert it.is_over


def test_an_end_far_away_is_looked_for_now_and_then(scene: Scene) -> None:
    given = token(end=LATEST)
    scene.net.result(scene.come(str(given.id), given.key))
    ends = [call.getTime() for call in scene.net.clock.getDelayedCalls()]
    assert max(ends) <= scene.net.clock.seconds() + LOOK_SECONDS


def test_the_proof_binds_the_holder() -> None:
    """What one proves with its token is no proof of another."""
    me, it = Party(str(token().id), "life", b"n"), Party("b", "life", b"m")
    other = Party(str(token(name="bob").id), "life", b"n")
    key = token().key
    assert hello.proof(key, DIALLER, VERSION, me, it) != hello.proof(
        key, DIALLER, VERSION, other, it
    )


def test_the_last_day_has_a_date() -> None:
    assert TokenId("viewer", "ann", LATEST).until == "9999-12-31 23:59 UTC"
