"""What a cluster keeps in Redis: its view, and the heartbeats of its nodes.

Of a cluster called ``chat:production`` there are three hashes and a channel. A mark that follows
from the cluster's secret keeps it apart from others of that name:

``chatcore:{chat:production}:MARK:view``
    ``view`` is the view in JSON, ``stamp`` the mark, the epoch, and something random. A view is
    written only by who knows the stamp of the one before.
``chatcore:{chat:production}:MARK:beats``
    a field for each life of a node: a count that changes with each heartbeat, the seconds of its
    lease, and the highest epoch that it has heard of
``chatcore:{chat:production}:last``
    ``last`` is the mark, the life and the count of whoever in a view has beaten last, whatever its
    mark: so who would begin a cluster of another secret finds that there is one already
``chatcore:{chat:production}:views``
    where the stamp of each new view is published, whatever its mark

Views and heartbeats are sealed (`chatcore.cluster.seals`): each view for its stamp, each heartbeat
for its life. What has no good seal was not written by a node, and counts as if it was not there.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import quote

import msgspec
from twisted.internet.defer import Deferred

from chatcore.cluster.seals import Seal
from chatcore.cluster.view import MOST_TOLD, Member, View
from chatcore.errors import ViewError
from chatcore.store.script import Script

BEAT: Final = Script("""
for i = 5, #ARGV do
    redis.call('HDEL', KEYS[2], ARGV[i])
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
local stamp = redis.call('HGET', KEYS[1], 'stamp') or ''
local lines = {stamp, '', redis.call('HGET', KEYS[3], 'last') or ''}
if ARGV[4] ~= '' then
    redis.call('HSET', KEYS[3], 'last', ARGV[4])
end
if stamp ~= ARGV[3] then
    lines[2] = redis.call('HGET', KEYS[1], 'view') or ''
end
local beats = redis.call('HGETALL', KEYS[2])
for i = 1, #beats, 2 do
    lines[#lines + 1] = beats[i] .. ' ' .. beats[i + 1]
end
return table.concat(lines, '\\n')
""")
"""A heartbeat: LIFE, BEAT, the STAMP that is known, and what makes it the LAST one if this life is
in the view; then the lives whose heartbeats are to be forgotten. What there is comes back in one
string, the view only if it has another stamp."""

WRITE: Final = Script("""
if (redis.call('HGET', KEYS[1], 'stamp') or '') ~= ARGV[1] then
    return 0
end
redis.call('HSET', KEYS[1], 'stamp', ARGV[2], 'view', ARGV[3])
for i = 4, #ARGV do
    redis.call('HDEL', KEYS[2], ARGV[i])
end
local told = redis.pcall('PUBLISH', KEYS[4], ARGV[2])
return type(told) == 'table' and told.err or 1
""")
"""A new view, if nobody was quicker: the STAMP of the one before, its own STAMP, the VIEW, and the
lives that have ended with it. The answer is 0 if somebody was; a text if it is written, and why it
could not be published."""

MOST_STRANGERS: Final = 1000
"""Heartbeats of nobody in the view that a node removes in one sweep."""


class IStore(Protocol):
    """What is needed of `chatcore.store.redis.Redis`."""

    connections: int

    def start(self) -> None: ...

    def close(self) -> Deferred[None]: ...

    async def run(self, script: Script, keys: list[bytes], arguments: list[bytes]) -> Any: ...

    def subscribe(self, channel: bytes, *, heard: Any, begun: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found in Redis.

    Args:
        stamp: that of the view; empty where there is none.
        view: the view, where it is not the one that was known.
        beats: the heartbeats, by life.
        another: the heartbeat of a cluster of another secret, by its mark, if it beat last.
        unsealed: the lives whose heartbeats were written by nobody who knows the secret.
        is_forged: whether the view was.
    """

    stamp: str
    view: View | None
    beats: Mapping[str, str]
    another: Mapping[str, str]
    unsealed: Sequence[str]
    is_forged: bool

    @classmethod
    def parse(cls, answer: object, seal: Seal) -> Reading:
        """Read the answer to `BEAT`.

        Raises:
            ViewError: it holds something else.
        """
        if not isinstance(answer, bytes):
            raise ViewError(f"{answer!r:.100} is no view")
        stamp, sealed, last, *lines = answer.split(b"\n")
        text = seal.take(stamp, sealed) if sealed else b""
        beats, unsealed = _beats(lines, seal)
        mark, _, beat = _text(last).partition(" ")
        return cls(
            stamp=_text(stamp),
            view=_view(text) if text else None,
            beats=beats,
            another={mark: beat} if mark not in ("", seal.mark) else {},
            unsealed=unsealed,
            is_forged=text is None,
        )


def _view(text: bytes) -> View:
    try:
        view = View.from_value(msgspec.json.decode(text))
    except (ValueError, msgspec.DecodeError, RecursionError, ViewError) as problem:
        raise ViewError(f"what is kept there is no view of this version: {problem}") from None
    if view.epoch > MOST_TOLD:
        raise ViewError(f"view {view.epoch} is kept there, from which nobody could count on")
    return view


def _beats(lines: Iterable[bytes], seal: Seal) -> tuple[dict[str, str], list[str]]:
    """The heartbeats, by life, and the lives of those that have no good seal."""
    beats: dict[str, str] = {}
    unsealed: list[str] = []
    for line in lines:
        life, _, sealed = line.partition(b" ")
        beat = seal.take(life, sealed)
        if beat is None:
            unsealed.append(_text(life))
        else:
            beats[_text(life)] = _text(beat)
    return beats, unsealed


def life_key(member: Member) -> str:
    """A life of a node as one word."""
    return f"{member.id}/{quote(member.incarnation, safe='')}"


def life_keys(view: View | None) -> Iterable[str]:
    """All lives of a view."""
    return [] if view is None else [life_key(member) for member in view.members]


def beat(count: int, lease: float, epoch: int) -> str:
    """A heartbeat."""
    return f"{count} {lease:g} {epoch}"


def lease_of(beat: str) -> str:
    """The lease that a heartbeat tells; empty if it is none."""
    parts = beat.split(" ")
    return parts[1] if len(parts) == 3 else ""


def epoch_of(beat: str) -> int:
    """The epoch that a heartbeat tells; 0 if it is none."""
    text = beat.rpartition(" ")[2]
    epoch = int(text[:20]) if text.isascii() and text.isdigit() else 0
    return epoch if epoch <= MOST_TOLD else 0


def new_stamp(mark: str, view: View) -> str:
    """What tells a view from another one of the same epoch, and of another cluster."""
    return f"{mark}-{view.epoch}-{secrets.token_hex(8)}"


def keys_of(cluster: str, mark: str) -> list[bytes]:
    """The keys of a cluster: of the view, of the heartbeats, of the last one, and the channel."""
    name = f"chatcore:{{{cluster}}}"
    keys = (f"{name}:{mark}:view", f"{name}:{mark}:beats", f"{name}:last", f"{name}:views")
    return [each.encode() for each in keys]


def as_sent(text: str) -> bytes:
    """A text for Redis, also one that came from there and is none."""
    return text.encode("utf-8", "surrogateescape")


def written(view: View) -> bytes:
    """A view as it is kept."""
    return msgspec.json.encode(view.to_value())


def as_kept(member: Member) -> Member:
    """A member as it comes back from Redis: equal to itself there, which it need not be before."""
    return Member.from_value(msgspec.json.decode(msgspec.json.encode(member.to_value())))


def _text(data: bytes) -> str:
    """What came from Redis; whoever wrote it may have written anything."""
    return data.decode("utf-8", "surrogateescape")
