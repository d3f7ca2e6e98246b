"""A master and a node's registry against stock `twisted.protocols.amp`."""

from __future__ import annotations

from typing import Any

import pytest
from links.wiring import NONCE, SECRET, done
from twisted.internet.protocol import Factory
from twisted.protocols import amp

from chatcore.cluster.view import View
from chatcore.links import hello
from chatcore.links.commands import (
    VERSION,
    Announce,
    Hello,
    Leave,
    NewView,
    Prove,
    Refused,
    Remotes,
)
from chatcore.links.hello import DIALLER, LISTENER, Party

from .hosts import Host, Port, Way
from .masters import MasterStage
from .registry_contract import FakeNode


class StockNode(amp.AMP):
    """A node that stock AMP makes of the declared commands."""

    def __init__(self) -> None:
        super().__init__()
        self.views: list[View] = []

    @NewView.responder
    def new_view(self, view: Any) -> dict[str, Any]:
        self.views.append(View.from_value(view))
        return {}


class StockMaster(amp.AMP):
    """A master that stock AMP makes of them, which lets everybody in."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Any] = []

    @Hello.responder
    def greet(self, version: int, id: str, to: str, incarnation: str, nonce: bytes) -> Any:
        self.it, self.me = Party(id, incarnation, nonce), Party("master", "stock", NONCE)
        proof = hello.proof(SECRET, LISTENER, VERSION, self.it, self.me)
        return {"id": "master", "incarnation": "stock", "nonce": NONCE, "proof": proof}

    @Prove.responder
    def prove(self, proof: bytes) -> Any:
        assert proof == hello.proof(SECRET, DIALLER, VERSION, self.it, self.me)
        return {"remotes": {}}

    @Remotes.responder
    def remotes(self, remotes: Any) -> Any:
        return {}

    @Announce.responder
    def announce(self, member: Any, view: Any) -> Any:
        self.heard.append((member["id"], member["state"], view))
        if member["state"] == "draining":
            raise Refused("not in my cluster")
        epoch = 1 if view is None else view["epoch"] + 1
        self.callRemote(NewView, view={"epoch": epoch, "members": [member]})
        return {"outcome": "welcome", "why": ""}

    @Leave.responder
    def leave(self) -> Any:
        self.heard.append("leave")
        return {}


async def test_a_stock_node_is_in_the_view() -> None:
    stage = MasterStage()
    (other,) = await stage.cluster("chat-1")
    host = Host(stage.world)
    stock = StockNode()
    factory = Factory()
    factory.protocol = lambda: stock
    Way(stage.world, host, "master").connect(factory)

    def call(command: Any, **arguments: Any) -> Any:
        return done(stock.callRemote(command, **arguments), stage.world.settle)

    me = Party("chat-2", "stock", NONCE)
    said = call(
        Hello, version=VERSION, id=me.id, to="master", incarnation=me.incarnation, nonce=me.nonce
    )
    it = Party(said["id"], said["incarnation"], said["nonce"])
    assert said["proof"] == hello.proof(SECRET, LISTENER, VERSION, me, it)
    assert call(Prove, proof=hello.proof(SECRET, DIALLER, VERSION, me, it)) == {"remotes": {}}
    stock.callRemote(Remotes, remotes={})
    member = FakeNode(stage.registry("chat-2"), "chat-2", "stock", "up").member.to_value()
    member["data"] = {"long": "x" * 100_000}
    welcome = {"outcome": "welcome", "why": "", "lease": f"{stage.lease:g}"}
    assert call(Announce, member=member) == welcome
    assert [each.id for each in stock.views[-1].members] == ["chat-1", "chat-2"]
    assert stock.views[-1] == other.views[-1]
    with pytest.raises(Refused):
        call(Announce, member={**member, "id": "chat-3"})
    assert call(Leave) == {}
    assert set(other.view) == {"chat-1"}


async def test_a_node_finds_a_stock_master() -> None:
    stage = MasterStage()
    await stage.take_away()
    stock = StockMaster()
    factory = Factory()
    factory.protocol = lambda: stock
    Port(stage.world, Host(stage.world), "master").listen(None, factory)
    node = stage.start("chat-1", state="starting")
    await stage.until(lambda: node.is_in, "it to be in")
    node.enter("up")
    await stage.until(lambda: len(stock.heard) == 2, "it to be heard")
    assert stock.heard == [("chat-1", "starting", None), ("chat-1", "up", None)]
    node.enter("draining")
    await stage.pass_time(3)
    assert len(stock.heard) >= 4, "it is not let in, and asks again"
    await stage.leave(node)
    assert stock.heard[-1] == "leave"
