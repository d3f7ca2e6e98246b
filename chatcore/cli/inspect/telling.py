"""How the story of a message is told to people, and to programs that read lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from chatcore.cli.inspect.story import WRITTEN, Absent, Hop, Member, Story
from chatcore.cli.output import Output

MOST_NAMED = 100
"""Members that are named to people who did not get a push; the others are counted."""

_WORDS: Final[Mapping[str, str]] = {
    "answered": "answered",
    "sent on": "a notify, sent on",
    "pushed": "pushed",
    "waiting": "not answered yet",
}


def tell(output: Output, story: Story) -> None:
    """Print it."""
    output.record(
        [story.trace, "trace", None, None, *_head_fields(story)],
        _head(story),
    )
    width = max((len(span["node"]) for span in story.spans), default=0)
    for hop in story.hops():
        _tell_hop(output, story, hop, 0, width)
    trouble = story.trouble
    if trouble is not None:
        output.say(f"{trouble['reason']} at {trouble['node']}: {trouble['error'] or 'no reason'}")
    pushes = list(story.pushes())
    for span, members in pushes:
        _tell_push(output, story, span, members, alone=len(pushes) == 1)
    for absent in story.absent:
        _tell_absent(output, story, absent)


def _head_fields(story: Story) -> list[object]:
    first = story.first or {"node": None, "name": None, "attributes": {}}
    trouble = story.trouble or {"error": None}
    about = first["attributes"]
    return [first["node"], first["name"], about.get("uid"), story.outcome, trouble["error"]]


def _head(story: Story) -> str:
    first = story.first
    if first is None:
        return f"trace {story.trace}: nothing is known of it"
    about = first["attributes"]
    who = f" of {about['uid']}" if about.get("uid") else ""
    what = about.get("what", "push")
    text = f"{what} {first['name']}{who} at {first['node']}"
    if story.outcome == "answered":
        took = _shown(first["end"] - first["start"])
        return f"{text}: answered after {took} ms (trace {story.trace})"
    return f"{text}: {_WORDS.get(story.outcome, story.outcome)} (trace {story.trace})"


def _tell_hop(output: Output, story: Story, hop: Hop, depth: int, width: int) -> None:
    span = hop.span
    at = span["start"] - story.start if hop.known else None
    took = None if span["end"] is None else span["end"] - span["start"]
    fields = [
        story.trace,
        span["kind"],
        None if at is None else _shown(at),
        None if took is None else _shown(took),
        span["node"],
        span["name"],
        None,
        span["reason"],
        span["error"],
    ]
    begins = "~" if at is None else _shown(at)
    told = ", ".join(_parts(story, hop, took))
    output.record(fields, f"{begins:>8} ms  {span['node']:{width}}  {'  ' * depth}{told}")
    for part in hop.parts:
        _tell_hop(output, story, part, depth + 1, width)


def _parts(story: Story, hop: Hop, took: int | None) -> Iterator[str]:
    """What is told of a hop."""
    span = hop.span
    yield _what(span)
    if span["kind"] == "deliver":
        written = [each for each in span["members"] if each[2] == WRITTEN]
        count = len(span["members"]) + span["others"]
        yield f"written to {len(written)} of {count}"
        last = max((each[3] for each in written), default=None)
        if last is not None:
            yield f"within {_shown(last - span['start'])} ms"
    elif span["kind"] == "push":
        for frontend, how in span["attributes"]["frontends"].items():
            if how != "sent":
                yield f"{how} to {frontend}"
    else:
        yield "under way" if took is None else f"{_shown(took)} ms"
    way = story.on_the_way(hop)
    if way is not None:
        yield f"{_shown(way)} ms of it on the way"
    if span["reason"]:
        yield f"{span['reason']}: {span['error']}" if span["error"] else span["reason"]


def _what(span: Mapping[str, Any]) -> str:
    kind, name, about = span["kind"], span["name"], span["attributes"]
    if kind in ("received", "waited", "answer"):
        return str(kind)
    if kind in ("forward", "passed on"):
        return f"{kind} to {about.get('server')}"
    if kind == "call":
        return f"call {name} of {about.get('server')}"
    if kind == "push":
        where = f" to channel {about['channel']}" if about.get("channel") else ""
        count = about.get("count", 0)
        return f"push {name}{where}" + (
            f", {count} member{'' if count == 1 else 's'}" * bool(count)
        )
    return f"{kind} {name}"


def _tell_push(
    output: Output, story: Story, span: Mapping[str, Any], members: list[Member], *, alone: bool
) -> None:
    for member in members:
        if not output.on_terminal:
            at = None if member.at is None else _shown(member.at - story.start)
            fields = [story.trace, "member", at, None, member.frontend, member.route]
            output.record([*fields, member.name, member.outcome, member.why], "")
    lost = [member for member in members if member.outcome != WRITTEN]
    text = f"delivered to {len(members) - len(lost)} of {len(members)} members"
    if len(members) == 1:
        text = text.removesuffix("s")
    others = story.others(span["span"])
    if others:
        text += f", and {others} more that nobody tells of one by one"
    if not alone:
        text = f"{span['name']}: {text}"
    if len(lost) == 1:
        text += f"; not to: {_of(lost[0])}"
    elif lost:
        text += "; not to:"
    output.say(text)
    if len(lost) > 1:
        for member in lost[:MOST_NAMED]:
            output.say(f"  {_of(member)}")
        if len(lost) > MOST_NAMED:
            output.say(f"  and {len(lost) - MOST_NAMED} more")


def _tell_absent(output: Output, story: Story, absent: Absent) -> None:
    before = story.start - absent.at
    fields = [story.trace, "absent", _shown(-before), None, absent.frontend, absent.channel]
    text = f"{absent.reason} ({absent.why})" if absent.why else absent.reason
    output.record(
        [*fields, absent.uid, absent.reason, absent.why],
        f"no member of {absent.channel} any more: {absent.uid} at {absent.frontend},"
        f" {before / 1e6:.1f} s before: {text}",
    )


def _of(member: Member) -> str:
    return f"{member.name} at {member.frontend}: {member.in_words}"


def _shown(microseconds: int) -> str:
    return f"{microseconds / 1000:.1f}"
