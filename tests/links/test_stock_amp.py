"""Links against stock `twisted.protocols.amp`, in both directions, with the declared commands."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from twisted.internet.protocol import Factory
from twisted.protocols import amp

from chatcore.errors import RemoteRaised, RemoteRefused
from chatcore.links import commands, hello
from chatcore.links.commands import (
    VERSION,
    Call,
    CallNotify,
    Failed,
    Forward,
    ForwardNotify,
    GroupForget,
    GroupGone,
    GroupJoin,
    GroupLeave,
    GroupOffer,
    GroupRenew,
    Hello,
    OffersDone,
    Ping,
    Prove,
    Push,
    PushToUids,
    Raised,
    Refused,
    Rejected,
    Remotes,
)
from chatcore.links.hello import DIALLER, LISTENER, Party
from chatcore.links.link import Link
from chatcore.node.frontends import BOUND, DROPPABLE
from chatcore.wire.box import Box, item, join
from chatcore.wire.values import pack, unpack

from .wiring import NONCE, SECRET, Log, Net, Node, link_up

LARGE = [65_534, 65_535, 65_536, 131_070, 1_000_000]


def blob(size: int) -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in range(size // 4 + 1))[:size]


class Stock(amp.AMP):
    """A peer that stock AMP makes of the declared commands, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Any] = []
        self.closed = False

    def connectionLost(self, reason: Any) -> None:
        self.closed = True
        super().connectionLost(reason)

    @Ping.responder
    def ping(self) -> dict[str, Any]:
        self.heard.append("ping")
        return {}

    @Call.responder
    def call(self, service: str, method: str, args: Any, **stamp: Any) -> dict[str, Any]:
        self.heard.append((service, method, args))
        if method == "raise":
            raise Raised("e9 ValueError('no')")
        if method == "refuse":
            raise Refused("no such method")
        return {"result": args}

    @CallNotify.responder
    def call_notify(self, service: str, method: str, args: Any, **stamp: Any) -> dict[str, Any]:
        self.heard.append(("notify", service, method, args))
        return {}

    @Push.responder
    def push(
        self, channel: str, route: str, body: Any, droppable: bool | None, **trace: Any
    ) -> dict[str, Any]:
        self.heard.append((channel, route, body, *([droppable] if droppable else [])))
        return {}

    @commands.Broadcast.responder
    def broadcast(self, **message: Any) -> dict[str, Any]:
        self.heard.append(message)
        return {}


class StockListener(Stock):
    """The same at the other end: it knows the secret and lets nodes in."""

    @Hello.responder
    def greet(
        self, version: int, id: str, to: str, incarnation: str, nonce: bytes
    ) -> dict[str, Any]:
        assert (version, to) == (VERSION, "b")
        self.it = Party(id, incarnation, nonce)
        self.me = Party("b", "stock life", NONCE)
        proof = hello.proof(SECRET, LISTENER, VERSION, self.it, self.me)
        return {"id": "b", "incarnation": "stock life", "nonce": NONCE, "proof": proof}

    @Prove.responder
    def prove(self, proof: bytes) -> dict[str, Any]:
        if proof != hello.proof(SECRET, DIALLER, VERSION, self.it, self.me):
            raise Rejected("no")
        return {"remotes": {"stockRemote.do": "f00d"}}

    @Remotes.responder
    def remotes(self, remotes: dict[str, str]) -> dict[str, Any]:
        self.heard.append(remotes)
        return {}


class Here:
    """What our node does with what a stock peer sends."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def responders(self) -> dict[bytes, Any]:
        noting = [Push, PushToUids, GroupJoin, GroupLeave, GroupGone, GroupRenew, GroupForget]
        return {
            b"Call": self.call,
            b"CallNotify": self.call_notify,
            b"Forward": self.forward,
            b"ForwardNotify": self.forward,
            **{each.commandName: self.note for each in (*noting, GroupOffer, OffersDone)},
        }

    def note(self, link: Link, box: Box, ask: bytes | None) -> None:
        assert (ask is None) != (box[b"_command"] in (b"GroupGone", b"GroupForget"))
        if ask is not None:
            link.answer(ask, b"")
        told = {
            name: unpack(join(box, name.encode())) if name in ("uids", "body") else text
            for name, text in (
                (key.decode(), value.decode("latin-1")) for key, value in box.items()
            )
            if not name.startswith("_") and "." not in name
        }
        self.heard.append((told.pop("_command", box[b"_command"].decode()), told))

    def forward(self, link: Link, box: Box, ask: bytes | None) -> None:
        told = box[b"route"].decode(), join(box, b"body"), join(box, b"session")
        self.heard.append((box[b"_command"].decode(), told))
        if ask is not None:
            link.answer(ask, item(b"reply", pack({"size": len(told[1]), "route": told[0]})))

    def call_notify(self, link: Link, box: Box, ask: bytes | None) -> None:
        assert ask is None
        told = box[b"service"].decode(), box[b"method"].decode(), unpack(join(box, b"args"))
        self.heard.append(("CallNotify", told))

    def call(self, link: Link, box: Box, ask: bytes | None) -> None:
        assert ask is not None
        method = box[b"method"].decode()
        if method == "echo":
            link.answer(ask, item(b"result", pack(unpack(join(box, b"args")))))
        elif method == "raise":
            link.refuse(ask, b"RAISED", "e5 ValueError('no')")
        elif method == "refuse":
            link.refuse(ask, b"REFUSED", "no such method 中")
        else:
            raise KeyError(method)


@pytest.fixture
def here() -> Here:
    return Here()


@pytest.fixture
def b(net: Net, here: Here) -> Node:
    return Node(net, "b", ["a"], remotes={"bRemote.do": "beef"}, responders=here.responders())


@pytest.fixture
def stock(net: Net, b: Node) -> Stock:
    """A stock peer that is linked to our node."""
    stock = Stock()
    assert link_up(net, stock, "a", "b") == {"bRemote.do": "beef"}
    return stock


# A stock peer dials.


def test_a_stock_peer_gets_through_the_hello(stock: Stock, b: Node) -> None:
    link = b.link("a")
    assert link.up
    assert (link.peer_incarnation, link.peer_remotes) == ("stock life", {"stock.method": "f00"})
    assert b.ups == [link]


def test_a_stock_peer_is_told_that_it_is_rejected(net: Net, b: Node, log: Log) -> None:
    stock = net.dial("b", Stock())
    hello_said = stock.callRemote(
        Hello, version=VERSION, id="a", to="b", incarnation="x", nonce=NONCE
    )
    net.result(hello_said)
    with pytest.raises(Rejected, match="secret"):
        net.result(stock.callRemote(Prove, proof=b"wrong"))
    net.settle()
    assert stock.closed


def test_ping(net: Net, stock: Stock) -> None:
    assert net.result(stock.callRemote(Ping)) == {}


@pytest.mark.parametrize(
    "args",
    [
        [],
        [1, -1.5, "中😀", None, True, {"a": [b"bytes"]}],
        [datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)],
        ["x" * 70_000, "y" * 200_000],
    ],
    ids=["none", "all kinds", "a time", "long"],
)
def test_call(net: Net, stock: Stock, args: list[Any]) -> None:
    found = net.result(stock.callRemote(Call, service="s", method="echo", args=args))
    assert found == {"result": args}


@pytest.mark.parametrize("size", LARGE)
def test_call_with_values_of_every_length(net: Net, stock: Stock, size: int) -> None:
    args = [blob(size - 5)]  # so much msgpack puts before it
    assert abs(len(pack(args)) - size) <= 2
    found = net.result(stock.callRemote(Call, service="s", method="echo", args=args))
    assert found == {"result": args}


@pytest.mark.parametrize("size", LARGE)
def test_a_call_that_nobody_waits_for(net: Net, stock: Stock, here: Here, size: int) -> None:
    args = ["中", blob(size)]
    stock.callRemote(CallNotify, service="chatRemote", method="note", args=args)
    assert net.result(stock.callRemote(Ping)) == {}
    assert here.heard == [("CallNotify", ("chatRemote", "note", args))]


@pytest.mark.parametrize("size", LARGE)
def test_forward(net: Net, stock: Stock, here: Here, size: int) -> None:
    body, session = blob(size), blob(size)[::-1]
    found = net.result(
        stock.callRemote(Forward, route="chat.chatHandler.send", body=body, session=session)
    )
    assert found == {"reply": {"size": size, "route": "chat.chatHandler.send"}}
    assert here.heard == [("Forward", ("chat.chatHandler.send", body, session))]


def test_what_is_told(net: Net, stock: Stock, here: Here) -> None:
    big = "中" * 50_000
    stock.callRemote(ForwardNotify, route="r", body=b"{}", session=b"")
    stock.callRemote(Push, channel="c", route="onChat", body={"msg": big})
    stock.callRemote(PushToUids, uids=["u"], route="onChat", body=[1])
    stock.callRemote(commands.Broadcast, route="onChat", body=None)
    stock.callRemote(GroupJoin, channel="c", uids=["u1", "u2"])
    stock.callRemote(GroupLeave, channel="c", uids=[])
    stock.callRemote(GroupGone, channel="c", uids=["u1"])
    stock.callRemote(GroupRenew)
    stock.callRemote(GroupForget, uids=["u" * 70_000])
    stock.callRemote(GroupOffer, channel="c", uids=["u2"], epoch=0)
    stock.callRemote(OffersDone, epoch=7)
    assert net.result(stock.callRemote(Ping)) == {}
    assert here.heard == [
        ("ForwardNotify", ("r", b"{}", b"")),
        ("Push", {"channel": "c", "route": "onChat", "body": {"msg": big}}),
        ("PushToUids", {"uids": ["u"], "route": "onChat", "body": [1]}),
        # nobody here acts on Broadcast: it is passed over
        ("GroupJoin", {"channel": "c", "uids": ["u1", "u2"]}),
        ("GroupLeave", {"channel": "c", "uids": []}),
        ("GroupGone", {"channel": "c", "uids": ["u1"]}),
        ("GroupRenew", {}),
        ("GroupForget", {"uids": ["u" * 70_000]}),
        ("GroupOffer", {"channel": "c", "uids": ["u2"], "epoch": "0"}),
        ("OffersDone", {"epoch": "7"}),
    ]


@pytest.mark.parametrize(
    ("method", "kind", "text"),
    [
        ("raise", Raised, "e5 ValueError"),
        ("refuse", Refused, "no such method 中"),
    ],
)
def test_errors(net: Net, stock: Stock, method: str, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        net.result(stock.callRemote(Call, service="s", method=method, args=[]))
    assert net.result(stock.callRemote(Ping)) == {}


@pytest.mark.logs_failures
def test_a_responder_that_raises(net: Net, stock: Stock, log: Log) -> None:
    with pytest.raises(Failed, match="bad box"):
        net.result(stock.callRemote(Call, service="s", method="nonsense", args=[]))
    assert [type(each) for each in log.failures] == [KeyError]
    assert net.result(stock.callRemote(Ping)) == {}


class Unheard(amp.Command):
    arguments = [(b"x", amp.Integer())]


def test_an_unknown_command(net: Net, stock: Stock) -> None:
    with pytest.raises(amp.UnhandledCommand):
        net.result(stock.callRemote(Unheard, x=1))
    assert net.result(stock.callRemote(Ping)) == {}


def test_our_node_calls_a_stock_peer_that_dialled(net: Net, stock: Stock, b: Node) -> None:
    value = pack(["x" * 200_000])
    call = b.ask("a", CALL + item(b"service", b"s") + item(b"method", b"m") + item(b"args", value))
    net.settle()
    assert join(call.box, b"result") == value


CALL = item(b"_command", b"Call")


# Our node dials a stock peer.


@pytest.fixture
def listener(net: Net) -> StockListener:
    listener = StockListener()
    factory = Factory()
    factory.buildProtocol = lambda addr: listener
    net.listening["b"] = factory
    return listener


@pytest.fixture
def a(net: Net, listener: StockListener) -> Node:
    a = Node(net, "a", ["b"], remotes={"aRemote.do": "cafe"})
    a.table.startService()
    net.settle()
    return a


def test_our_node_is_let_in(a: Node, listener: StockListener) -> None:
    link = a.link("b")
    assert link.up
    assert (link.peer_incarnation, link.peer_remotes) == ("stock life", {"stockRemote.do": "f00d"})
    assert listener.heard == [{"aRemote.do": "cafe"}]


def test_our_pings_are_answered(net: Net, a: Node, listener: StockListener) -> None:
    net.pass_time(11)
    assert listener.heard.count("ping") == 2
    assert a.link("b").round_trip == 0
    assert a.downs == []


def asked(a: Node, method: str, args: Any) -> Any:
    return a.ask(
        "b",
        CALL
        + item(b"service", b"someRemote")
        + item(b"method", method.encode())
        + item(b"args", pack(args)),
    )


@pytest.mark.parametrize("size", LARGE)
def test_our_calls(net: Net, a: Node, listener: StockListener, size: int) -> None:
    args = ["中", blob(size - 9)]
    call = asked(a, "do", args)
    net.settle()
    assert unpack(join(call.box, b"result")) == args
    assert listener.heard[-1] == ("someRemote", "do", args)


@pytest.mark.parametrize(
    ("method", "kind", "text"),
    [
        ("raise", RemoteRaised, "the remote raised ValueError"),
        ("refuse", RemoteRefused, "no such method"),
    ],
)
def test_their_errors(net: Net, a: Node, method: str, kind: type[Exception], text: str) -> None:
    call = asked(a, method, [])
    net.settle()
    assert isinstance(call.problem, kind)
    assert text in str(call.problem)
    again = asked(a, "do", [])
    net.settle()
    assert again.box


def test_what_a_stock_peer_does_not_know(net: Net, a: Node) -> None:
    call = a.ask("b", item(b"_command", b"Nonsense"))
    net.settle()
    assert isinstance(call.problem, RemoteRefused)
    assert "UNHANDLED" in str(call.problem)


def test_our_pushes(net: Net, a: Node, listener: StockListener) -> None:
    link = a.link("b")
    for size in (10, 65_535, 100_000):
        link.write(
            b"".join(
                (
                    item(b"_command", b"Push"),
                    item(b"channel", "房间".encode()),
                    item(b"route", b"onChat"),
                    item(b"body", pack(blob(size))),
                    b"\0\0",
                )
            )
        )
    message = item(b"route", b"onChat") + item(b"body", pack(1)) + DROPPABLE
    link.write(item(b"_command", b"Push") + item(b"channel", b"c") + message + b"\0\0")
    where = item(b"where", pack({"colour": "red"}))
    link.write(item(b"_command", b"Broadcast") + message + BOUND + where + b"\0\0")
    net.settle()
    assert listener.heard[1:] == [
        *[("房间", "onChat", blob(size)) for size in (10, 65_535, 100_000)],
        ("c", "onChat", 1, True),
        {
            "route": "onChat",
            "body": 1,
            "droppable": True,
            "trace": None,
            "bound": True,
            "where": {"colour": "red"},
        },
    ]
    assert a.downs == []


@pytest.mark.parametrize("size", LARGE)
def test_our_calls_that_nobody_waits_for(
    net: Net, a: Node, listener: StockListener, size: int
) -> None:
    args = ["中", blob(size)]
    payload = (
        item(b"_command", b"CallNotify")
        + item(b"service", b"someRemote")
        + item(b"method", b"note")
        + item(b"args", pack(args))
    )
    assert a.link("b").tell(payload, "someRemote.note") is None
    net.settle()
    assert listener.heard[1:] == [("notify", "someRemote", "note", args)]
    assert a.downs == []
