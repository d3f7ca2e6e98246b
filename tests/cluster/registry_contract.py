"""What holds for every registry: nodes that announce themselves to it, and what they are told.

A registry's own test module derives from `RegistryContract` and gives it a fixture ``stage``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chatcore.cluster.registry import IRegistry
from chatcore.cluster.view import Member, State, View
from chatcore.config.servers import Server


class FakeNode:
    """A node, as far as its registry knows one: writes down what it is told.

    A node that is removed goes on as another life of itself, as real ones do.
    """

    def __init__(self, registry: IRegistry, id: str, life: str, state: State) -> None:
        self.registry = registry
        # The line is nobody's business but that node's: no view has it.
        server = Server(id=id, type="chat", port=4000, data={"of": "the application"}, line=7)
        self.member = Member(server=server, incarnation=life, state=state)
        self.views: list[View] = []
        self.told: list[str] = []
        self.silences: list[float] = []
        """For how long the registry had been silent, each time it was missed."""
        self.gone = False
        """Whether its process has ended: what it is told from then on, nobody hears."""

    @property
    def epoch(self) -> int:
        return self.views[-1].epoch if self.views else -1

    @property
    def view(self) -> dict[str, tuple[str, State]]:
        """The life and the state of each member of its newest view."""
        members = self.views[-1].members if self.views else ()
        return {member.id: (member.incarnation, member.state) for member in members}

    @property
    def is_in(self) -> bool:
        """Whether it sees itself in the view, as it is."""
        return self.view.get(self.member.id) == (self.member.incarnation, self.member.state)

    def start(self) -> None:
        self.registry.start(self.member, self)

    def enter(self, state: State) -> None:
        self.member = replace(self.member, state=state)
        self.registry.announce(self.member)

    def heard(self, view: View) -> None:
        assert self.gone or not self.views or view.epoch > self.epoch
        self.views.append(view)
        self.told.append("heard")

    def lost(self, why: str, silent: float) -> None:
        assert why
        assert silent >= 0
        self.silences.append(silent)
        self.told.append("lost")

    def found(self) -> None:
        self.told.append("found")

    def removed(self) -> None:
        self.told.append("removed")
        if not self.gone:
            life = f"{self.member.incarnation}, anew"
            self.member = replace(self.member, incarnation=life)
            self.registry.announce(self.member)


class Stage(ABC):
    """A registry, the nodes that it knows, and what can happen to them.

    Attributes:
        lease: the seconds after which a silent node is missed.
        detects: within how many seconds a dead or silent node is out of the view.
        nodes: all that there were.
        delay: seconds that it may take beside, where it is a process of its own.
    """

    delay = 0.0
    lease: float
    detects: float

    def __init__(self) -> None:
        self.nodes: list[FakeNode] = []

    @abstractmethod
    def registry(self, id: str) -> IRegistry:
        """The registry, as a node of that id has it."""

    @abstractmethod
    async def pass_time(self, seconds: float) -> None:
        """Let time pass, with all that happens in it."""

    @abstractmethod
    async def crash(self, node: FakeNode) -> None:
        """End a node's process without a word."""

    @abstractmethod
    async def pause(self, node: FakeNode) -> None:
        """Let a node's process do nothing."""

    @abstractmethod
    async def wake(self, node: FakeNode) -> None:
        """Let it go on, as if no time had passed for it."""

    @abstractmethod
    async def take_away(self) -> None:
        """End the registry without a word. It forgets what it can forget."""

    @abstractmethod
    async def bring_back(self) -> None:
        """Start it again."""

    async def restart(self) -> None:
        """Both, one after the other."""
        await self.take_away()
        await self.bring_back()

    def start(self, id: str, *, life: str = "life 1", state: State = "up") -> FakeNode:
        """A node that has just started."""
        node = FakeNode(self.registry(id), id, life, state)
        self.nodes.append(node)
        node.start()
        return node

    async def cluster(self, *ids: str) -> list[FakeNode]:
        """Nodes that are all in the view, and know it of each other."""
        nodes = [self.start(id) for id in ids]
        await self.until(lambda: _agree(nodes, ids), "all to be in one view")
        return nodes

    async def leave(self, node: FakeNode) -> None:
        """Have a node leave; it may not take long, whatever the registry does."""
        left: list[object] = []
        node.registry.leave().addBoth(left.append)
        await self.until(lambda: left, "it to have left", 3.0)
        assert left == [None]

    async def until(
        self, condition: Callable[[], Any], what: str, seconds: float | None = None
    ) -> None:
        """Let time pass until something has happened, which it has to within some seconds."""
        left = 30.0 if seconds is None else seconds + self.delay
        while not condition():
            assert left > 0, f"waited for {what}; {[(n.member.id, n.view) for n in self.nodes]}"
            await self.pass_time(min(0.1, left))
            left -= 0.1

    def check(self) -> None:
        """See that all were told the same, and in an order that makes sense."""
        views: dict[int, View] = {}
        for node in self.nodes:
            for view in node.views:
                assert views.setdefault(view.epoch, view) == view, "two views of one epoch"
            epochs = [view.epoch for view in node.views]
            assert epochs == sorted(set(epochs)), "epochs that do not grow"
            away = [word for word in node.told if word in ("lost", "found")]
            assert away == [("lost", "found")[n % 2] for n in range(len(away))], "told twice"


def _agree(nodes: list[FakeNode], ids: tuple[str, ...]) -> bool:
    return len({node.epoch for node in nodes}) == 1 and all(
        set(node.view) == set(ids) and node.is_in for node in nodes
    )


class RegistryContract:
    """The tests; a fixture ``stage`` is needed, which calls `Stage.check` at its end."""

    async def test_a_node_that_announces_itself_is_in_the_view(self, stage: Stage) -> None:
        node = stage.start("chat-1")
        assert node.told == [], "before start() has returned"
        await stage.until(lambda: node.is_in, "it to be in")
        (member,) = node.views[-1].members
        assert member.to_value() == node.member.to_value()
        assert node.told == ["heard"]

    async def test_all_nodes_hear_the_same(self, stage: Stage) -> None:
        await stage.cluster("chat-1", "chat-2", "chat-3", "connector-1")

    async def test_a_change_of_state_is_heard_by_all(self, stage: Stage) -> None:
        door, other = await stage.cluster("connector-1", "chat-1")
        for state in ("starting", "up", "draining"):
            before = other.epoch
            door.enter(state)
            await stage.until(lambda: other.view["connector-1"][1] == door.member.state, "it")
            assert state == "starting" or other.epoch > before
        await stage.until(lambda: door.is_in, "the node itself to hear of it")

    async def test_where_nothing_happens_nothing_is_heard(self, stage: Stage) -> None:
        nodes = await stage.cluster("chat-1", "chat-2")
        told = [list(node.told) for node in nodes]
        await stage.pass_time(4 * stage.lease)
        assert [node.told for node in nodes] == told

    async def test_who_leaves_is_out_at_once_and_hears_no_more(self, stage: Stage) -> None:
        leaver, other = await stage.cluster("chat-1", "chat-2")
        await stage.leave(leaver)
        await stage.until(lambda: set(other.view) == {"chat-2"}, "it to be out", 1.0)
        heard = len(leaver.told)
        stage.start("chat-3")
        await stage.until(lambda: set(other.view) == {"chat-2", "chat-3"}, "the next one")
        assert len(leaver.told) == heard

    async def test_who_left_comes_back_as_another_life(self, stage: Stage) -> None:
        leaver, other = await stage.cluster("chat-1", "chat-2")
        await stage.leave(leaver)
        again = stage.start("chat-1", life="life 2")
        await stage.until(lambda: again.is_in, "it to be in")
        await stage.until(lambda: other.view.get("chat-1") == ("life 2", "up"), "the other to know")

    async def test_who_dies_is_out_within_a_lease(self, stage: Stage) -> None:
        dead, other = await stage.cluster("chat-1", "chat-2")
        await stage.crash(dead)
        await stage.until(lambda: set(other.view) == {"chat-2"}, "it to be out", stage.detects)

    async def test_who_does_nothing_is_out_and_finds_out_when_it_wakes(self, stage: Stage) -> None:
        sleeper, other = await stage.cluster("chat-1", "chat-2")
        await stage.pause(sleeper)
        await stage.until(lambda: set(other.view) == {"chat-2"}, "it to be out", stage.detects)
        await stage.wake(sleeper)
        await stage.until(lambda: "removed" in sleeper.told, "it to find out")
        await stage.until(lambda: sleeper.is_in, "it to be in again")
        await stage.until(lambda: other.view.get("chat-1") == ("life 1, anew", "up"), "all to know")
        assert sleeper.told.count("removed") == 1
        assert "removed" not in other.told

    async def test_a_short_pause_changes_nothing(self, stage: Stage) -> None:
        sleeper, other = await stage.cluster("chat-1", "chat-2")
        epoch = other.epoch
        await stage.pause(sleeper)
        await stage.pass_time(stage.lease / 2)
        await stage.wake(sleeper)
        await stage.pass_time(2 * stage.lease)
        assert (other.epoch, sleeper.epoch) == (epoch, epoch)
        assert "removed" not in sleeper.told

    async def test_a_dead_node_is_replaced_by_its_next_life(self, stage: Stage) -> None:
        dead, other = await stage.cluster("chat-1", "chat-2")
        await stage.crash(dead)
        again = stage.start("chat-1", life="life 2")
        await stage.until(lambda: again.is_in, "the new life to be in", stage.detects)
        await stage.until(lambda: other.view.get("chat-1") == ("life 2", "up"), "the other to know")
        await stage.pass_time(2 * stage.lease)
        assert again.is_in
        assert "removed" not in again.told

    async def test_a_living_node_keeps_its_id(self, stage: Stage) -> None:
        first, other = await stage.cluster("chat-1", "chat-2")
        second = stage.start("chat-1", life="a rival")
        await stage.pass_time(2 * stage.lease)
        assert first.is_in
        assert other.view["chat-1"] == ("life 1", "up")
        assert "removed" not in first.told + second.told
        await stage.leave(first)
        await stage.until(lambda: second.is_in, "the second to come in when the first has left")

    async def test_a_restart_of_the_registry_moves_nothing(self, stage: Stage) -> None:
        nodes = await stage.cluster("chat-1", "chat-2", "chat-3")
        view = nodes[0].view
        await stage.restart()
        await stage.pass_time(2 * stage.detects)
        newcomer = stage.start("chat-4")
        await stage.until(lambda: newcomer.is_in, "it to work again")
        await stage.until(lambda: all("chat-4" in node.view for node in nodes), "all to know")
        for node in nodes:
            assert "removed" not in node.told
            seen = [{member.id for member in each.members} for each in node.views]
            complete = seen.index(set(view))
            assert all(set(view) <= each for each in seen[complete:]), "somebody was missing"
            assert node.view == {**view, "chat-4": ("life 1", "up")}

    async def test_while_the_registry_is_away_the_view_holds(self, stage: Stage) -> None:
        nodes = await stage.cluster("chat-1", "chat-2")
        epoch, view = nodes[0].epoch, nodes[0].view
        await stage.take_away()
        await stage.until(lambda: all("lost" in node.told for node in nodes), "them to notice")
        await stage.pass_time(10 * stage.lease)
        assert all(node.epoch == epoch for node in nodes)
        await stage.bring_back()
        await stage.until(lambda: all("found" in node.told for node in nodes), "them to find it")
        await stage.pass_time(2 * stage.detects)
        assert [node.view for node in nodes] == [view, view]
        assert not any("removed" in node.told for node in nodes)

    async def test_who_dies_while_the_registry_is_away_is_out_when_it_is_back(
        self, stage: Stage
    ) -> None:
        dead, other = await stage.cluster("chat-1", "chat-2")
        await stage.take_away()
        await stage.crash(dead)
        await stage.pass_time(stage.lease)
        assert set(other.view) == {"chat-1", "chat-2"}
        await stage.bring_back()
        await stage.until(lambda: set(other.view) == {"chat-2"}, "it to be out")
        assert "removed" not in other.told

    async def test_what_is_announced_while_the_registry_is_away_counts_when_it_is_back(
        self, stage: Stage
    ) -> None:
        one, other = await stage.cluster("chat-1", "chat-2")
        await stage.take_away()
        one.enter("draining")
        third = stage.start("chat-3")
        await stage.pass_time(stage.lease)
        await stage.until(lambda: third.told == ["lost"], "it to be missed")
        await stage.bring_back()
        await stage.until(lambda: third.is_in, "the third to be in")
        await stage.until(lambda: other.view["chat-1"] == ("life 1", "draining"), "the change")
        assert [word for word in third.told if word != "heard"] == ["lost", "found"]

    async def test_who_leaves_while_the_registry_is_away_does_not_wait_for_it(
        self, stage: Stage
    ) -> None:
        leaver, other = await stage.cluster("chat-1", "chat-2")
        await stage.take_away()
        await stage.leave(leaver)
        await stage.bring_back()
        await stage.until(lambda: set(other.view) == {"chat-2"}, "it to be out")

    async def test_who_never_started_can_leave(self, stage: Stage) -> None:
        await stage.leave(FakeNode(stage.registry("chat-1"), "chat-1", "life 1", "up"))
