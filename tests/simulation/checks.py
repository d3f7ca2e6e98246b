"""What has to hold, whatever happened: `docs/guarantees.md` in code."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from chatcore.cluster.ownership import Ownership

from . import insight
from .people import Said, Stay
from .stage import Act

if TYPE_CHECKING:
    from .play import Play

BACK_SECONDS = 8.0
"""Seconds within which every room is served again after a node has died."""

LAST_SECONDS = 1.0
"""How long what a node did may take to be known to others."""

UNHEARD_SECONDS = 10.0
"""How long a node may be cut off before it is taken out of the view."""

ON_THE_WAY = 1.0
"""Seconds after which a push has come, where neither networks nor machines stand still; or twice
as many as a way takes at most, where that is more."""

FLOWING = ("quiet", "planned", "crashes")
"""The kinds of schedules in which they don't."""


class Checker:
    """Looks at a simulation, and notes its faults."""

    def __init__(self, play: Play) -> None:
        self._play, self._world = play, play.world

    # Moments

    def at_rest(self) -> None:
        """Everything has healed, and nobody says anything any more."""
        self._stays = [stay for person in self._play.people for stay in person.stays]
        self._said = [said for person in self._play.people for said in person.said]
        self._everybody_is_in()
        self._members()
        self._answers()
        self._deliveries()
        self._orders()
        self._owners()
        self._states()

    def all_gone(self) -> None:
        """All clients have left."""
        self._endings()
        for id, node in self._play.nodes.items():
            if channels := insight.channels(node):
                self._fault(f"all have left, and {id} keeps {channels}")
            if groups := insight.groups(node):
                self._fault(f"all have left, and {id} keeps the groups {groups}")
            self._tables(id)

    def at_the_end(self) -> None:
        """All nodes have left."""
        play = self._play
        for id in play.nodes:
            self._fault(f"{id} has not left")
        if members := play.registry.members():
            self._fault(f"all have left, and the view has {members}")
        for machine in play.machines.values():
            if machine.calls:
                self._fault(f"{machine} is gone, and {machine.getDelayedCalls()} are to come")

    # What has to hold at rest

    def _everybody_is_in(self) -> None:
        for person in self._play.people:
            if person.stay is None:
                self._fault(f"{person.uid} can't come in")

    def _members(self) -> None:
        """Each channel has one owner, and each member is in one group of it, at its frontend."""
        play = self._play
        nodes = {id: node for id, node in play.nodes.items() if play.alive(id)}
        present = {
            (p.stay.uid, p.stay.front): p.stay.rid for p in play.people if p.stay is not None
        }
        owners: dict[str, list[str]] = {}
        for id, node in nodes.items():
            for name, members in insight.channels(node).items():
                owners.setdefault(name, []).append(id)
                wanted = {m for m, rid in present.items() if rid == name}
                if members != wanted:
                    self._fault(
                        f"{name} at {id}: missing {sorted(wanted - members)},"
                        f" strangers {sorted(members - wanted)}"
                    )
        for name in sorted(set(present.values())):
            due = [self._owner(node, name) for node in nodes.values()]
            if len(set(due)) != 1:
                self._fault(f"the nodes don't agree who owns {name}: {due}")
            if owners.get(name) != due[:1]:
                self._fault(f"{name} is with {owners.get(name)}, and {due[0]} owns it")
        for id, node in nodes.items():
            held = insight.groups(node)
            for (backend, channel), uids in held.items():
                due_at = self._owner(node, channel)
                if backend != due_at:
                    self._fault(f"{id} has {channel} of {backend}, and {due_at} owns it")
                strangers = {uid for uid in uids if present.get((uid, id)) != channel}
                if strangers:
                    self._fault(f"{id} has strangers in {channel}: {sorted(strangers)}")
            for (uid, front), rid in present.items():
                if front == id:
                    places = [place for place, uids in held.items() if uid in uids]
                    if [channel for _, channel in places] != [rid]:
                        self._fault(f"{uid} at {id} should be in {rid} alone, is in {places}")

    def _owner(self, node: insight.Node, name: str) -> str:
        return node.servers.owner("chat", name).id

    def _answers(self) -> None:
        """Each request has one answer, and it is a good one unless something went wrong."""
        for person in self._play.people:
            for late in person.late:
                self._fault(late)
        for said in self._said:
            if said.code in (200, None):
                if said.code is None and said.stay.until is None:
                    self._fault(f"{said.id} has no answer")
            elif said.code == 404 and said.stay.leaves is not None and not said.quick:
                pass  # it went while its message waited
            elif not self._may_fail(said):
                self._fault(f"{said.id} of {said.sent:.3f} was answered {said.code}")

    def _may_fail(self, said: Said) -> bool:
        """Whether something happened that a request may fail for."""
        if self._play.kind in ("quiet", "planned"):
            return False
        end = said.answered or self._world.now
        nobody = [
            [began, ended]
            for began, ended, view in self._play.registry.record.spans()
            if not Ownership(view, {}).by_type.get("chat")
        ]
        return any(
            began <= end and ended >= said.sent - BACK_SECONDS
            for began, ended in self._play.trouble + nobody
        )

    def _deliveries(self) -> None:
        """What was acknowledged came to each who was there, once; nothing came twice."""
        heard_by = {id(stay): Counter(stay.heard) for stay in self._stays}
        for stay in self._stays:
            for message, count in heard_by[id(stay)].items():
                if count > 1:
                    self._fault(f"{stay.uid} at {stay.front} got {message} {count} times")
        for said in self._said:
            if said.code != 200:
                continue
            for stay in self._stays:
                if (
                    stay.rid != said.rid
                    or stay.since > said.sent
                    or not self._was_there(stay, said)
                ):
                    continue
                if not heard_by[id(stay)][said.id] and not self._may_miss(stay, said):
                    self._fault(
                        f"{stay.uid} at {stay.front}, in {stay.rid} since {stay.since:.3f}, never"
                        f" got {said.id} of {said.sent:.3f}, acknowledged by {said.by} at"
                        f" {said.answered:.3f}"
                    )

    def _was_there(self, stay: Stay, said: Said) -> bool:
        """Whether a client was there when a message was acknowledged, and for long enough after."""
        ends = [end for end in (stay.leaves, stay.until) if end is not None]
        if not ends:
            return True
        assert said.answered is not None
        way = max(ON_THE_WAY, 2 * self._play.wires.longest_way)
        return self._play.kind in FLOWING and said.answered + way < min(ends)

    def _may_miss(self, stay: Stay, said: Said) -> bool:
        """Whether the guarantees allow that a client missed an acknowledged message."""
        if stay.uid in said.missed:
            return True
        assert said.answered is not None
        if self._play.kind in ("quiet", "planned"):
            return False
        acts = [act for act in self._play.stage.acted if act.said == said.id]
        for act in acts:
            if stay.front in act.unlinked:
                return True  # its members may have been given up already
            if (stay.uid, stay.front) not in act.members and self._was_lost(stay, act.time):
                return True  # it has yet to be offered again
            # What was on a connection that broke, or waited for it.
            if any(
                lost.sender == act.life[0]
                and lost.receiver == stay.front
                and lost.since <= said.answered
                and lost.until >= act.time
                for lost in self._play.wires.losses
            ):
                return True
            # A node that others had taken the place of, and that did not know it yet.
            removed = self._play.registry.record.removed_at.get(act.life)
            if removed is not None and act.time >= removed:
                return True
        return self._was_removed(stay.front, said)

    def _was_lost(self, stay: Stay, until: float) -> bool:
        """Whether a client's frontend has been taken out of the view while the client was there."""
        removed = self._play.registry.record.removed_at
        return any(id == stay.front and stay.since < at < until for (id, _), at in removed.items())

    def _was_removed(self, front: str, said: Said) -> bool:
        """Whether the frontend was out of the view when something was said."""
        return any(
            view.get(front) is None and began <= (said.answered or 0) and ended >= said.sent - 1.5
            for began, ended, view in self._play.registry.record.spans()
        )

    def _orders(self) -> None:
        """All who were in a room got what they got in the same order, each sender's as sent."""
        by_room: dict[str, list[Stay]] = {}
        for stay in self._stays:
            by_room.setdefault(stay.rid, []).append(stay)
        quick = {said.id: n for n, said in enumerate(self._said) if said.quick}
        same_stay = {said.id: id(said.stay) for said in self._said}
        for rid, stays in by_room.items():
            for n, one in enumerate(stays):
                self._sent_in_order(one, quick, same_stay)
                for other in stays[n + 1 :]:
                    common = set(one.heard) & set(other.heard)
                    first = [each for each in one.heard if each in common]
                    second = [each for each in other.heard if each in common]
                    if first != second:
                        self._fault(
                            f"in {rid}, {one.uid} got {first}, and {other.uid} got {second}"
                        )

    def _sent_in_order(self, stay: Stay, quick: dict[str, int], same_stay: dict[str, int]) -> None:
        last: dict[int, tuple[int, str]] = {}
        for message in stay.heard:
            if message in quick:
                sender = same_stay[message]
                number, before = last.get(sender, (-1, ""))
                if number > quick[message]:
                    self._fault(f"{stay.uid} got {before} before {message}")
                last[sender] = quick[message], message

    def _endings(self) -> None:
        """Each membership that ended by itself has ended once for the application.

        But those at a frontend that was lost may go on, if an owner has come since who has not
        heard of it; and what a node did last before it died, or since it was cut off until it
        was lost, is done once more.
        """
        removed_at, died = self._play.registry.record.removed_at, self._play.stage.died
        lost = {id for id, _ in removed_at}
        told: Counter[tuple[str, str, str]] = Counter()
        unheard: Counter[tuple[str, str, str]] = Counter()
        for each in self._play.stage.left:
            removed = removed_at.get(each.life, math.inf)
            if each.time < removed and each.time < died.get(each.life, math.inf) - LAST_SECONDS:
                place = each.uid, each.rid, each.front
                told[place] += 1
                unheard[place] += each.time > removed - UNHEARD_SECONDS
        for person in self._play.people:
            left = Counter((s.rid, s.front) for s in person.stays if s.why == "left")
            ended = Counter((s.rid, s.front) for s in person.stays if s.leaves is None)
            for place, tries in Counter(person.tries).items():
                times, most = told[person.uid, *place], tries - left[place]
                sure = times - unheard[person.uid, *place]
                if sure > most and place[1] not in lost:
                    self._fault(f"{person.uid} left {place} {times} times, and came in {most}")
                if times < ended[place] and self._play.kind in ("quiet", "planned"):
                    self._fault(f"{person.uid} left {place} {times} times of {ended[place]}")

    def _owners(self) -> None:
        """In each room, the owners acted one after the other, as the views say."""
        newest: dict[str, int] = {}
        numbering = self._play.registry.record
        for act in self._play.stage.acted:
            removed = numbering.removed_at.get(act.life)
            if removed is not None and act.time >= removed:
                continue  # it could not know
            epoch = numbering.owned_until(act.rid, act.life, act.epoch)
            if epoch is None:
                self._fault(
                    f"{act.life[0]} acted for {act.rid} at {act.time:.3f}: it never owned it"
                )
            elif epoch < newest.get(act.rid, 0):
                self._fault(
                    f"{act.life[0]} acted for {act.rid} at {act.time:.3f}, as its owner in view"
                    f" {epoch}, after the owner in view {newest[act.rid]} had acted"
                )
            newest[act.rid] = max(newest.get(act.rid, 0), epoch or 0)

    def _states(self) -> None:
        """A channel's state went along wherever the channel went."""
        if self._play.kind not in ("quiet", "planned"):
            return
        last: dict[str, Act] = {}
        for act in self._play.stage.acted:
            if act.said is None:
                continue
            before, last[act.rid] = last.get(act.rid), act
            if before is None or act.number == before.number + 1:
                continue
            if act.number != 1 or self._lived_on(before, act):
                self._fault(f"{act.said} is number {act.number} after {before}")

    def _lived_on(self, before: Act, act: Act) -> bool:
        """Whether somebody was in a room all the time between two messages there."""
        return any(
            stay.rid == act.rid
            and stay.since <= before.time
            and stay.leaves is None
            and (stay.until is None or stay.until > act.time)
            for stay in self._stays
        )

    # What has to hold in the end

    def _tables(self, id: str) -> None:
        for name, size in insight.tables(self._play.nodes[id]).items():
            if name in insight.EMPTY and size:
                self._fault(f"all have left, and {id} keeps {size} in {name}")

    def _fault(self, what: str) -> None:
        self._world.fault(what)
