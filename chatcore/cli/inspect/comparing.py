"""What servers say of one channel, brought together: whose it is, where it goes, who agrees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chatcore.cli.inspect.asking import Asked

MOST_NAMED: Final = 5
"""Members that are named of those about whom servers don't agree."""

_Told = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A frontend's part of a channel.

    Args:
        frontend: the frontend.
        at_holder: its members, as the channel's holder says; None if that has none there.
        there: the same, as the frontend says.
        silent: whether the frontend was not asked, or did not answer.
    """

    frontend: str
    at_holder: _Told | None
    there: _Told | None
    silent: bool

    @property
    def agree(self) -> bool | None:
        """Whether both say the same; None where one could not be asked."""
        if self.silent:
            return None
        one = None if self.at_holder is None else self.at_holder["mark"]
        other = None if self.there is None else self.there["mark"]
        return bool(one == other)

    def to_value(self) -> dict[str, Any]:
        """It in JSON's types."""
        there = self.there or {}
        return {
            "frontend": self.frontend,
            "members": self.at_holder["members"] if self.at_holder else 0,
            "there": None if self.silent else there.get("members", 0),
            "sessions": there.get("sessions"),
            "outbox_bytes": there.get("outbox_bytes"),
            "outbox_most": there.get("outbox_most"),
            "agree": self.agree,
            "uids": (self.at_holder or there)["uids"],
        }


@dataclass(frozen=True, slots=True)
class Held:
    """A channel, as one server holds it.

    Args:
        holder: that server.
        said: what it says of it.
        parts: those of the frontends.
    """

    holder: str
    said: _Told
    parts: list[Part]

    @property
    def placed(self) -> bool:
        """Whether it is there because of its name."""
        return bool(self.said["placed"])

    def to_value(self) -> dict[str, Any]:
        """It in JSON's types."""
        return {
            "holder": self.holder,
            "members": self.said["members"],
            "placed": self.placed,
            "state": self.said["state"],
            "state_keys": self.said["state_keys"],
            "outbox_bytes": sum((part.there or {}).get("outbox_bytes", 0) for part in self.parts),
            "frontends": [part.to_value() for part in self.parts],
        }


@dataclass(slots=True)
class OfType:
    """A channel on the servers of one type.

    Args:
        type: that type.
        owner: the server whose it is by its name.
        epoch: the view by which it is so.
        held: those that hold it. Where nobody watches who is there, and where a name places it
            elsewhere, each may have one of its own.
        problems: on what servers don't agree, by what tells one from another.
        moves: what is under way.
    """

    type: str
    owner: str | None
    epoch: int
    held: list[Held] = field(default_factory=list)
    problems: dict[tuple[str, ...], str] = field(default_factory=dict)
    moves: list[str] = field(default_factory=list)

    def to_value(self) -> dict[str, Any]:
        """It in JSON's types."""
        return {
            "type": self.type,
            "owner": self.owner,
            "epoch": self.epoch,
            "held": [each.to_value() for each in self.held],
            "moving": list(self.moves),
            "problems": list(self.problems.values()),
        }


def brought_together(asked: Asked) -> list[OfType]:
    """What servers say of a channel, for each server type that has one of that name."""
    survey, answers = asked.survey, asked.answers
    types: dict[str, OfType] = {}
    for answer in answers.values():
        concerned = [answer["type"]] if answer["held"] is not None or answer["awaited"] else []
        concerned += [survey.type_of(backend) for backend in answer["groups"]]
        for server_type in concerned:
            if server_type not in types:
                types[server_type] = _of_type(server_type, answers)
    for id, answer in sorted(answers.items()):
        if answer["held"] is not None:
            parts = list(_parts(id, answer["held"], answers))
            types[answer["type"]].held.append(Held(id, answer["held"], parts))
    for each in types.values():
        each.moves = list(_moves(each, asked))
        each.problems = dict(_problems(each, asked))
    return sorted(types.values(), key=lambda each: each.type)


def keep_lasting(found: list[OfType], again: list[OfType]) -> None:
    """Forget problems that have passed, and tell of the others what is known now.

    Args:
        found: what was found first.
        again: what was found a while later.
    """
    later = {each.type: each for each in again}
    for each in found:
        now = later.get(each.type)
        problems = {} if now is None else now.problems
        each.problems = {key: problems[key] for key in each.problems if key in problems}
        each.moves = [] if now is None else now.moves


def _of_type(server_type: str, answers: Mapping[str, _Told]) -> OfType:
    """What follows from the name of a channel, by the newest view that is known."""
    alike = [each for each in answers.values() if each["type"] == server_type]
    newest = max(alike, key=lambda each: int(each["epoch"]), default=None)
    if newest is None:
        return OfType(server_type, None, 0)
    return OfType(server_type, newest["owner"], newest["epoch"])


def _parts(holder: str, held: _Told, answers: Mapping[str, _Told]) -> Iterator[Part]:
    """The frontends' parts of what a server holds."""
    there = {id: answer["groups"].get(holder) for id, answer in answers.items()}
    at_holder: Mapping[str, _Told] = held["frontends"]
    for frontend in sorted({*at_holder, *(id for id, group in there.items() if group)}):
        silent = frontend not in answers
        yield Part(frontend, at_holder.get(frontend), there.get(frontend), silent)


def _moves(found: OfType, asked: Asked) -> Iterator[str]:
    """What is under way with a channel that goes from one server to another."""
    if not found.epoch:
        return  # nothing moves where nobody watches who is there
    for each in found.held:
        if each.placed and each.holder != found.owner:
            whose = f"whose it is in view {found.epoch}"
            yield f"it is to go from {each.holder} to {found.owner}, {whose}"
    for id, answer in sorted(asked.answers.items()):
        if answer["awaited"] and answer["type"] == found.type:
            yield f"some of it has come to {id}, which does not answer for it yet"
        for backend, group in answer["groups"].items():
            if group["moving"] and asked.survey.type_of(backend) == found.type:
                yield f"{id} waits for {backend} to say that it is its own now"
    owner = asked.answers.get(found.owner or "")
    if owner is not None and not owner["settled"]:
        yield f"{found.owner} does not answer yet for all that is its own in view {found.epoch}"


def _problems(found: OfType, asked: Asked) -> Iterator[tuple[tuple[str, ...], str]]:
    """On what servers don't agree."""
    placed = [each.holder for each in found.held if each.placed]
    if found.epoch and len(placed) > 1:
        yield ("held twice",), f"{', '.join(placed)} each hold it as their own"
    holders = [each.holder for each in found.held]
    for id, answer in sorted(asked.answers.items()):
        for backend, group in answer["groups"].items():
            alike = asked.survey.type_of(backend) == found.type
            if alike and backend in asked.answers and backend not in holders:
                text = f"{id} has {group['members']} members of it for {backend}, which has none"
                yield ("foreign", id, backend), text
    for each in found.held:
        for part in each.parts:
            if part.agree is False:
                key = ("members", each.holder, part.frontend)
                yield key, _difference(each.holder, part)


_NOBODY: Final[_Told] = {"members": 0, "uids": []}


def _difference(holder: str, part: Part) -> str:
    """What a channel's holder and a frontend don't agree on."""
    at_holder, there = part.at_holder or _NOBODY, part.there or _NOBODY
    text = (
        f"{holder} has {at_holder['members']} members on {part.frontend},"
        f" and {part.frontend} has {there['members']}"
    )
    mine, theirs = at_holder["uids"], there["uids"]
    if len(mine) < at_holder["members"] or len(theirs) < there["members"]:
        return text
    for who, others in ((holder, _without(mine, theirs)), (part.frontend, _without(theirs, mine))):
        if others:
            text += f"; only {who} has {_some(others)}"
    return text


def _without(some: Iterable[str], others: Iterable[str]) -> list[str]:
    known = set(others)
    return [each for each in some if each not in known]


def _some(uids: list[str]) -> str:
    more = len(uids) - MOST_NAMED
    return ", ".join(uids[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
