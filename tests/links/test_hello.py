"""The hello with which a link begins: who gets in, who does not, and that nobody else notices."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory

from chatcore.links import hello
from chatcore.links.commands import VERSION
from chatcore.links.dialler import Peer
from chatcore.links.hello import DIALLER, LISTENER, Party
from chatcore.wire.box import END, Box, item

from .wiring import (
    NONCE,
    NOTE,
    REMOTES,
    SECRET,
    Closing,
    Log,
    MemoryEndpoint,
    Net,
    Node,
    Raw,
    hello_box,
    note,
    prove_box,
)

OTHER = b"the secret of some other cluster"


class Scene:
    """Node b, linked to a; "aa" may dial it too, and whoever attacks does so in its name."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.a = Node(net, "a", ["b"])
        self.b = Node(net, "b", ["a", "aa", "z"])
        self.a.table.startService()
        net.settle()
        self.link = self.b.link("a")

    def attack(self) -> Raw:
        return self.net.dial("b", Raw())

    def nobody_noticed(self, rejected: int = 1) -> None:
        """The link of a is as it was, nobody else is in, and nobody acted on anything."""
        assert self.b.ups == [self.link]
        assert self.b.downs == self.a.downs == []
        assert self.b.counters.links_rejected == rejected
        assert self.b.heard == []
        call = self.a.ask("b", NOTE)
        self.net.settle()
        assert call.box
        assert self.b.link("a") is self.link


@pytest.fixture
def scene(net: Net) -> Scene:
    return Scene(net)


def test_both_sides_learn_who_the_other_is(net: Net) -> None:
    a = Node(net, "a", ["b"], incarnation="third life of a", remotes={"aRemote.x": "1"})
    b = Node(net, "b", ["a"], incarnation="first life of b", remotes={"bRemote.y": "2"})
    a.table.startService()
    net.settle()
    for node, peer, incarnation, remotes in (
        (a, "b", "first life of b", {"bRemote.y": "2"}),
        (b, "a", "third life of a", {"aRemote.x": "1"}),
    ):
        link = node.link(peer)
        assert link.up
        assert (link.peer, link.peer_incarnation, link.peer_remotes) == (peer, incarnation, remotes)
        assert node.ups == [link]
        assert node.counters.links_up == 1
        assert node.counters.links_rejected == 0


def test_the_secret_is_never_sent(net: Net) -> None:
    a, b = Node(net, "a", ["b"]), Node(net, "b", ["a"])
    a.table.startService()
    net.settle()
    assert SECRET not in b"".join(a.wire("b").writes + b.wire("a").writes)


def test_a_peer_of_a_few_bytes_gets_in(scene: Scene) -> None:
    raw = scene.attack()
    said = hello_box("aa")
    raw.send(said)
    scene.net.settle()
    (answer,) = raw.boxes
    assert answer[b"_answer"] == b"1"
    assert answer[b"id"] == b"b"
    listener = Party("b", "life 1", answer[b"nonce"])
    shown = hello.proof(SECRET, LISTENER, VERSION, Party("aa", "life 1", NONCE), listener)
    assert answer[b"proof"] == shown
    raw.send(prove_box(said, answer))
    scene.net.settle()
    assert raw.boxes[1] == {b"_answer": b"2", b"remotes": b"\x80"}
    assert scene.b.table.get("aa") is None
    raw.send(REMOTES)
    raw.send_bytes(note(b"in"))
    scene.net.settle()
    assert scene.b.link("aa").up
    assert [box[b"text"] for box in scene.b.heard] == [b"in"]
    assert not raw.closed


Attack = Callable[[Scene, Raw], None]


def says(*boxes: dict[bytes, bytes]) -> Attack:
    def attack(scene: Scene, raw: Raw) -> None:
        raw.send(*boxes)

    return attack


def sends(data: bytes) -> Attack:
    def attack(scene: Scene, raw: Raw) -> None:
        raw.send_bytes(data)

    return attack


def without(key: bytes) -> dict[bytes, bytes]:
    return {name: value for name, value in hello_box("aa").items() if name != key}


def greeted(scene: Scene, raw: Raw) -> tuple[dict[bytes, bytes], Box]:
    said = hello_box("aa")
    raw.send(said)
    scene.net.settle()
    return said, raw.boxes[-1]


def proves_with(**wrong: object) -> Attack:
    def attack(scene: Scene, raw: Raw) -> None:
        said, answer = greeted(scene, raw)
        raw.send(prove_box(said, answer, **wrong))

    return attack


def reflects(scene: Scene, raw: Raw) -> None:
    said, answer = greeted(scene, raw)
    raw.send({**prove_box(said, answer), b"proof": answer[b"proof"]})


def replays(scene: Scene, raw: Raw) -> None:
    # What was good on one connection is tried on another.
    first = scene.net.dial("b", Raw())
    said, answer = greeted(scene, first)
    proof = prove_box(said, answer)
    greeted(scene, raw)
    raw.send(proof)
    scene.net.settle()
    assert not first.closed
    first.transport.loseConnection()
    scene.b.counters.links_rejected -= 1


def proves_another_id(scene: Scene, raw: Raw) -> None:
    said, answer = greeted(scene, raw)
    raw.send(prove_box({**said, b"id": b"a"}, answer))


def tells_without_proving(scene: Scene, raw: Raw) -> None:
    greeted(scene, raw)
    raw.send(REMOTES)


def bad_remotes(wire: bytes) -> Attack:
    def attack(scene: Scene, raw: Raw) -> None:
        said, answer = greeted(scene, raw)
        raw.send(prove_box(said, answer))
        scene.net.settle()
        raw.send({**REMOTES, b"remotes": wire})

    return attack


def talks_after_proving(scene: Scene, raw: Raw) -> None:
    said, answer = greeted(scene, raw)
    raw.send(prove_box(said, answer))
    scene.net.settle()
    raw.send_bytes(note(b"before the remotes"))


def proves_twice(scene: Scene, raw: Raw) -> None:
    said, answer = greeted(scene, raw)
    raw.send(*[prove_box(said, answer)] * 2)


def hello_again(scene: Scene, raw: Raw) -> None:
    greeted(scene, raw)
    raw.send(hello_box("aa", ask=b"2"))


@pytest.mark.parametrize(
    ("attack", "why"),
    [
        (proves_with(secret=OTHER), "does not know this cluster's secret"),
        (proves_with(role=LISTENER), "does not know this cluster's secret"),
        (reflects, "does not know this cluster's secret"),
        (replays, "does not know this cluster's secret"),
        (proves_another_id, "does not know this cluster's secret"),
        (says(hello_box("aa", to="c")), "'aa' looks for 'c'; this is 'b'"),
        (says(hello_box("nobody")), "nobody of the id 'nobody' is expected"),
        (says(hello_box("z")), "nobody of the id 'z' is expected"),
        (says(hello_box("b")), "nobody of the id 'b' is expected"),
        (says(hello_box("")), "nobody of the id '' is expected"),
        (says(hello_box("aa", version=b"2")), "version 2"),
        (says(hello_box("aa", version=b"")), "invalid literal"),
        (says(hello_box("aa", version=b"9" * 3000)), "version 999"),
        (says(hello_box("aa", nonce=b"short")), "nonce that is too short"),
        (says({**hello_box("aa"), b"id": b"\xff"}), "codec can't decode"),
        (says(without(b"version")), "version"),
        (says(without(b"id")), "id"),
        (says(without(b"to")), "to"),
        (says(without(b"incarnation")), "incarnation"),
        (says(without(b"nonce")), "nonce"),
        (says(without(b"_ask")), "b'Hello' before the hello is through"),
        (hello_again, "b'Hello' before the hello is through"),
        (
            says(prove_box(hello_box("aa"), {b"id": b"b", b"incarnation": b"", b"nonce": b""})),
            "b'Prove'",
        ),
        (says({b"_ask": b"1", b"_command": b"Ping"}), "b'Ping' before"),
        (says({b"_ask": b"1", b"_command": b"Note"}), "b'Note' before"),
        (says({b"_command": b"Note"}), "b'Note' before"),
        (says(REMOTES), "b'Remotes' before"),
        (tells_without_proving, "b'Remotes' before"),
        (talks_after_proving, "b'Note' before"),
        (proves_twice, "b'Prove' before"),
        (bad_remotes(b"\xc1"), "malformed"),
        (bad_remotes(b"\x81\xa1\xff\xa1x"), "codec can't decode"),
        (bad_remotes(b"\x90"), "Expected `object`"),
        (bad_remotes(b"\x81\xa1x\x01"), "Expected `str`"),
        (bad_remotes(b""), "truncated"),
        (sends(END), "an empty box"),
        (sends(b"GET / HTTP/1.1\r\n\r\n"), "key of 18245 bytes"),
        (sends(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "key of 5635 bytes"),
        (sends(item(b"a", b"") * 2), "twice"),
        (sends(item(b"a", bytes(4200)) + END), "4096"),
        (sends(b"\0\1a\xff\xff" + bytes(4100)), "4096"),
        (sends(b"".join(item(b"%d" % number, bytes(90)) for number in range(50))), "4096"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_who_does_not_prove_itself_is_closed_and_nobody_else(
    scene: Scene, log: Log, attack: Attack, why: str
) -> None:
    raw = scene.attack()
    attack(scene, raw)
    scene.net.settle()
    assert raw.closed
    (text,) = log.texts
    assert "rejected" in text or "is closed" in text
    assert why in text
    scene.nobody_noticed()


def test_who_is_rejected_is_told_why(scene: Scene) -> None:
    raw = scene.attack()
    raw.send(hello_box("aa", version=b"7"))
    scene.net.settle()
    (box,) = raw.boxes
    assert (box[b"_error"], box[b"_error_code"]) == (b"1", b"REJECTED")
    assert b"version 7" in box[b"_error_description"]


def test_nothing_is_acted_on_after_a_rejection(scene: Scene, log: Log) -> None:
    raw = scene.attack()
    raw.send(*[{b"_ask": b"1", b"_command": b"Note"}] * 100, hello_box("aa"))
    scene.net.settle()
    assert raw.closed
    assert len(raw.boxes) == len(log.texts) == 1
    scene.nobody_noticed()


def test_boxes_that_mean_nothing_are_put_up_with_for_a_while(scene: Scene, log: Log) -> None:
    raw = scene.attack()
    raw.send(*[{b"_answer": b"1"}, {b"x": b""}] * 100)
    scene.net.settle()
    assert raw.boxes == []
    assert not raw.closed
    for _ in range(10):  # endless: reading them costs time, too
        raw.send(*[{b"_answer": b"1"}, {b"x": b""}] * 100)
    scene.net.settle()
    assert raw.closed
    (text,) = log.texts
    assert "more than 4096 bytes before" in text
    scene.nobody_noticed()


@pytest.mark.parametrize("way", ["silent", "half a hello", "hello and no proof", "no remotes"])
def test_five_seconds_are_given(scene: Scene, log: Log, way: str) -> None:
    raw = scene.attack()
    if way == "half a hello":
        raw.send_bytes(item(b"_command", b"Hello"))
    elif way != "silent":
        said, answer = greeted(scene, raw)
        if way == "no remotes":
            raw.send(prove_box(said, answer))
    scene.net.pass_time(4.75)
    assert not raw.closed
    scene.net.pass_time(0.25)
    assert raw.closed
    (text,) = log.texts
    assert "within 5 s" in text
    scene.nobody_noticed()


def test_who_proves_itself_in_time_stays(scene: Scene) -> None:
    raw = scene.attack()
    scene.net.pass_time(4.5)
    said, answer = greeted(scene, raw)
    raw.send(prove_box(said, answer))
    scene.net.settle()
    raw.send(REMOTES)
    scene.net.pass_time(4)
    assert not raw.closed
    assert scene.b.link("aa").up


def test_sixty_four_may_be_unproven_and_the_oldest_makes_room(scene: Scene, log: Log) -> None:
    waiting = [scene.attack() for _ in range(64)]
    assert not any(raw.closed for raw in waiting)
    extra = [scene.attack() for _ in range(3)]
    scene.net.settle()
    assert [raw.closed for raw in waiting] == [True] * 3 + [False] * 61
    assert not any(raw.closed for raw in extra)
    assert len(log.texts) == 3
    assert all("64 are unproven" in text for text in log.texts)
    assert scene.b.counters.links_crowded == 3
    scene.net.pass_time(5)
    assert all(raw.closed for raw in (*waiting, *extra))
    scene.nobody_noticed(rejected=67)


def comes(scene: Scene, host: str) -> Raw:
    """Somebody who dials b from there."""
    raw = Raw()
    link = scene.b.table.factory.buildProtocol(IPv4Address("TCP", host, 1))
    scene.net.join(link or Closing(), raw)
    scene.net.settle()
    return raw


def test_who_crowds_the_door_pays_for_it(scene: Scene) -> None:
    """A stranger at one address holds all it can, and goes on; others have all their time."""

    come = partial(comes, scene)
    neighbour = come("192.0.2.8")
    crowd = [come("192.0.2.66") for _ in range(63)]
    node = come("192.0.2.7")
    assert crowd[0].closed
    crowd += [come("192.0.2.66") for _ in range(40)]
    assert [raw.closed for raw in crowd] == [True] * 41 + [False] * 62
    assert not neighbour.closed
    said = hello_box("aa")
    node.send(said)
    scene.net.settle()
    node.send(prove_box(said, node.boxes[0]), REMOTES)
    scene.net.settle()
    assert scene.b.link("aa").up
    assert not neighbour.closed


def test_an_address_that_floods_is_not_heard_for_a_while(scene: Scene, log: Log) -> None:
    for _ in range(70):
        comes(scene, "192.0.2.66").send_bytes(b"\xff\xff")
        scene.net.settle()
    assert scene.b.counters.links_flooding == 20
    assert scene.b.counters.links_rejected == 70
    assert not comes(scene, "192.0.2.7").closed
    assert comes(scene, "192.0.2.66").closed
    scene.net.pass_time(1)
    assert not comes(scene, "192.0.2.66").closed
    for _ in range(70):  # who is on this machine may as well be a node that shares its address
        comes(scene, "127.0.0.1").send_bytes(b"\xff\xff")
        scene.net.settle()
    assert not comes(scene, "127.0.0.1").closed


def test_a_crowd_fills_no_log(scene: Scene, log: Log) -> None:
    for _ in range(1000):
        scene.attack().send_bytes(b"\xff\xff")
    scene.net.settle()
    assert len(log.texts) == 5
    scene.net.pass_time(1)
    assert log.texts[5:] == ["995 more links were rejected"]
    scene.nobody_noticed(rejected=1000)


def test_those_that_this_side_dials_take_no_room(net: Net) -> None:
    others = [f"c{number}" for number in range(70)]
    b = Node(net, "b", ["a", *others])
    for each in others:
        net.listening[each] = Factory.forProtocol(Raw)  # they accept, and say nothing
    b.table.startService()
    net.settle()
    a = Node(net, "a", ["b"])
    a.table.startService()
    net.settle()
    assert b.link("a").up


# The other way round: who is dialled has to prove itself as well.


class Listener(Raw):
    """Answers what is asked of it as the test says."""

    answers: dict[bytes, Callable[[Box], dict[bytes, bytes]]]

    def dataReceived(self, data: bytes) -> None:
        known = len(self.boxes)
        super().dataReceived(data)
        for box in self.boxes[known:]:
            answer = self.answers.get(box.get(b"_command", b""))
            if answer is not None:
                self.send(answer(box))


def introduction(
    box: Box,
    *,
    id: str = "b",
    said: str | None = None,
    secret: bytes = SECRET,
    role: str = LISTENER,
    echo: bool = False,
) -> dict[bytes, bytes]:
    me = Party(id, "life 1", b"m" * 32)
    it = Party(box[b"id"].decode(), box[b"incarnation"].decode(), box[b"nonce"])
    return {
        b"_answer": box[b"_ask"],
        b"id": (said or id).encode(),
        b"incarnation": me.incarnation.encode(),
        b"nonce": me.nonce,
        b"proof": hello.proof(secret, role, VERSION, it, me),
    }


def welcome(box: Box, remotes: bytes = b"\x80") -> dict[bytes, bytes]:
    return {b"_answer": box[b"_ask"], b"remotes": remotes}


def refusal(box: Box) -> dict[bytes, bytes]:
    return {
        b"_error": box[b"_ask"],
        b"_error_code": b"REJECTED",
        b"_error_description": b"not you",
    }


def listens(net: Net, **answers: Callable[[Box], dict[bytes, bytes]]) -> list[Listener]:
    made: list[Listener] = []

    class Made(Listener):
        def connectionMade(self) -> None:
            self.answers = {name.encode(): answer for name, answer in answers.items()}
            made.append(self)

    net.listening["b"] = Factory.forProtocol(Made)
    return made


def test_a_listener_of_a_few_bytes_is_let_in(net: Net) -> None:
    (made,) = [listens(net, Hello=introduction, Prove=welcome)]
    a = Node(net, "a", ["b"])
    a.table.startService()
    net.settle()
    assert a.link("b").up
    assert [box[b"_command"] for box in made[0].boxes] == [b"Hello", b"Prove", b"Remotes"]


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"Hello": lambda box: introduction(box, secret=OTHER)}, "does not know this cluster's"),
        ({"Hello": lambda box: introduction(box, role=DIALLER)}, "does not know this cluster's"),
        ({"Hello": lambda box: introduction(box, id="c")}, "it is 'c' that answers there"),
        ({"Hello": lambda box: introduction(box, id="c", said="b")}, "does not know this"),
        ({"Hello": lambda box: {b"_answer": box[b"_ask"]}}, "its hello is incomplete"),
        ({"Hello": lambda box: {**introduction(box), b"id": b"\xff"}}, "its hello is incomplete"),
        ({"Hello": refusal}, "not you"),
        ({"Hello": lambda box: {b"_ask": b"1", b"_command": b"Hello"}}, "it asks before"),
        ({"Hello": introduction, "Prove": refusal}, "not you"),
        ({"Hello": introduction, "Prove": lambda box: {b"_answer": box[b"_ask"]}}, "can't be read"),
        ({"Hello": introduction, "Prove": lambda box: welcome(box, b"\xc1")}, "can't be read"),
        ({"Hello": introduction, "Prove": lambda box: welcome(box, b"\x90")}, "can't be read"),
        (
            {"Hello": introduction, "Prove": lambda box: welcome(box, b"\x81\xa1\xff\xa1x")},
            "can't be read",
        ),
    ],
)
def test_who_is_dialled_and_does_not_prove_itself_is_left(
    net: Net, log: Log, answers: dict[str, Callable[[Box], dict[bytes, bytes]]], why: str
) -> None:
    made = listens(net, **answers)
    a = Node(net, "a", ["b", "c"])
    c = Node(net, "c", ["a"])
    a.table.startService()
    net.pass_time(2)
    assert made[0].closed
    assert why in log.texts[0]
    assert "b can't be linked to" in log.texts[0]
    assert a.table.get("b") is None
    assert not any(NOTE in item(b"_command", box[b"_command"]) for box in made[0].boxes)
    call = a.ask("c", NOTE)  # the link beside it notices nothing
    net.settle()
    assert call.box == {b"_answer": b"3"}
    assert a.downs == c.downs == []


def test_the_same_reason_is_logged_once(net: Net, log: Log) -> None:
    made = listens(net, Hello=lambda box: introduction(box, secret=OTHER))
    a = Node(net, "a", ["b"])
    a.table.startService()
    net.pass_time(40)
    assert len(made) > 5
    assert len(log.texts) == 1
    assert a.counters.links_rejected == sum(raw.closed for raw in made)


def test_who_is_dialled_and_says_nothing_is_left_after_five_seconds(net: Net, log: Log) -> None:
    made = listens(net)
    a = Node(net, "a", ["b"])
    a.table.startService()
    net.pass_time(4.75)
    assert [raw.closed for raw in made] == [False]
    net.pass_time(0.25)
    assert made[0].closed
    assert log.texts
    net.pass_time(1)
    assert len(made) == 2  # and tried again


def test_what_is_logged_of_a_refusal_is_plain_text(net: Net, log: Log) -> None:
    """Whoever listens there has proven nothing, and writes into no terminal."""
    text = {b"_error_description": b"no\n2026-01-01 all is well\x1b[2J"}
    listens(net, Hello=lambda box: {**refusal(box), **text})
    a = Node(net, "a", ["b"])
    a.table.startService()
    net.settle()
    (line,) = log.texts
    assert line.isprintable()
    assert "all is well" in line


@pytest.mark.parametrize("whose", ["a", "b"])
def test_nodes_of_different_clusters_do_not_link(net: Net, log: Log, whose: str) -> None:
    a = Node(net, "a", ["b"], secret=OTHER if whose == "a" else SECRET)
    b = Node(net, "b", ["a"], secret=OTHER if whose == "b" else SECRET)
    a.table.startService()
    net.pass_time(60)
    assert a.ups == b.ups == []
    assert a.table.missing() == ["b"]
    assert sorted(log.texts) == [
        "A link was rejected: a does not know this cluster's secret",
        "b can't be linked to: it does not know this cluster's secret",
    ], "each side says it, and once for now"


def test_who_hears_of_a_view_a_moment_later_warns_of_nothing(net: Net, log: Log) -> None:
    a, b = Node(net, "a", ["b"]), Node(net, "b", [])
    a.table.startService()
    net.pass_time(8)
    assert not a.ups and b.counters.links_rejected > 3
    b.table.follow({"a": Peer(MemoryEndpoint(net, "a"))})
    net.pass_time(5)
    assert a.link("b").up and b.link("a").up
    assert log.texts == []


def test_whom_nobody_expects_for_long_is_told_on_both_sides_and_once(net: Net, log: Log) -> None:
    a, b = Node(net, "a", ["b"]), Node(net, "b", [])
    a.table.startService()
    net.pass_time(50)
    why = "nobody of the id 'a' is expected to dial 'b'"
    here, there = sorted(log.texts)
    assert here == f"A link was rejected: {why}"
    assert there.startswith("b can't be linked to: ") and there.endswith(why)
    b.table.follow({"a": Peer(MemoryEndpoint(net, "a"))})
    net.pass_time(5)
    assert a.link("b").up


def test_a_life_that_is_over_is_no_trouble_while_the_next_view_is_on_its_way(
    net: Net, log: Log
) -> None:
    a, b = Node(net, "a", []), Node(net, "b", ["a"], incarnation="life 2")
    endpoint = MemoryEndpoint(net, "b")
    a.table.follow({"b": Peer(endpoint, "life 1")})
    a.table.startService()
    net.pass_time(8)
    assert log.texts == []
    net.pass_time(20)
    assert log.texts == ["b can't be linked to: it has started anew"]
    a.table.follow({"b": Peer(endpoint, "life 2")})
    net.pass_time(1)
    assert a.link("b").up and b.link("a").up


def test_what_follows_the_hello_at_once_may_be_large(net: Net) -> None:
    # What the listener's hooks send comes right behind its last word of the hello.
    a = Node(net, "a", ["b"], on_up=lambda link: link.write(note(b"from a" * 100_000)))
    b = Node(net, "b", ["a"], on_up=lambda link: link.write(note(b"from b" * 100_000)))
    a.table.startService()
    net.settle()
    assert a.link("b").up
    assert [box[b"text"][:6] for box in a.heard] == [b"from b"]
    assert [box[b"text"][:6] for box in b.heard] == [b"from a"]


def test_a_node_may_have_many_remotes(net: Net) -> None:
    many = {f"someRemote.method{number}": "0123456789abcdef" for number in range(3000)}
    a, b = Node(net, "a", ["b"], remotes=many), Node(net, "b", ["a"], remotes=many)
    a.table.startService()
    net.settle()
    assert a.link("b").peer_remotes == b.link("a").peer_remotes == many


def test_proofs_depend_on_everything_said() -> None:
    def shown(**other: object) -> bytes:
        said: dict[str, object] = {
            "secret": SECRET,
            "role": DIALLER,
            "version": 1,
            "dialler": Party("a", "life", b"n"),
            "listener": Party("b", "life", b"m"),
        }
        return hello.proof(**{**said, **other})

    proofs = [
        shown(),
        shown(secret=OTHER),
        shown(role=LISTENER),
        shown(version=2),
        shown(channel=b"x"),
        shown(dialler=Party("b", "life", b"m"), listener=Party("a", "life", b"n")),
        *(shown(dialler=Party(*p)) for p in (("x", "life", b"n"), ("a", "x", b"n"))),
        shown(dialler=Party("a", "life", b"x")),
        *(shown(listener=Party(*p)) for p in (("x", "life", b"m"), ("b", "x", b"m"))),
        shown(listener=Party("b", "life", b"x")),
        shown(dialler=Party("al", "ife", b"n")),
    ]
    assert len(set(proofs)) == len(proofs)
    assert hello.proves(shown(), shown())
    assert not hello.proves(b"", shown())
    assert len({hello.new_nonce() for _ in range(100)}) == 100
