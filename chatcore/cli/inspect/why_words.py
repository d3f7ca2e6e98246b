"""What happened to a user, told to people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from chatcore.cli.inspect.why_story import LATELY_SECONDS, SAME_SECONDS, Event, Story, clock
from chatcore.cli.inspect.wording import amount
from chatcore.telemetry import REASONS

MOST_ROUTES = 3
"""Routes that are named in a line."""

AT_ONCE_SECONDS = 2.0
"""Seconds within which a session ends whose end was decided."""

DECIDED = ("slow", "kicked", "taken over", "moved")
"""What ends a session, and is told rather than that it has ended; the most telling first."""

ENDED = (*DECIDED, "closed")

TROUBLE = (
    "slow",
    "kicked",
    "taken over",
    "refused login",
    "pushes not sent",
    "left",
    "requests not answered",
    "outbox high-water",
    "link lost",
    "held up",
)
"""What may be why a message did not arrive; the most telling first."""

_CLOSED = {
    "disconnect": "the client went, or its connection was cut",
    "heartbeat timeout": "heartbeat timeout: no sign of life came from the client",
    "slow client": "it did not read",
    "server stops": "the server was stopped",
}
"""What is said of the ends of sessions, in other words."""


_MEANINGS: Mapping[str, str] = {str(word): meaning for word, meaning in REASONS.items()}


def first_line(story: Story) -> str:
    """What matters most."""
    uid = story.uid
    if not story.is_known:
        line = f"nobody here has known {uid} since {clock(story.known_since, story.now)}"
        return f"{line}; do you mean {', '.join(story.similar)}?" if story.similar else line
    if story.sessions:
        return _connected(story)
    ending = _ending(story)
    refused = _last(story, "refused login")
    if refused is not None and (ending is None or refused.last > ending.last):
        return f"{uid} {_at(story, refused)}"
    if ending is not None:
        return f"{uid} {_at(story, ending)}"
    trouble = _trouble(story, 0.0)
    if trouble is None:
        return f"{uid} is not connected{_forgotten(story)}"
    return f"{uid} is not connected; {_at(story, trouble)}"


def _forgotten(story: Story) -> str:
    """That the frontend where a user was last has begun anew, and took what it knew with it."""
    last = next((each for each in reversed(story.own) if each.about.get("peer")), None)
    frontend = None if last is None else str(last.about["peer"])
    if last is None or story.began.get(str(frontend), 0.0) <= last.last:
        return ""
    when = clock(story.began[str(frontend)], story.now)
    return f"; it was at {frontend}, which has begun anew at {when} and knows no more of it"


def _connected(story: Story) -> str:
    places = ", ".join(dict.fromkeys(each.frontend for each in story.sessions))
    line = f"{story.uid} is connected to {places}"
    since = max((each.said["since"] or 0.0) for each in story.sessions)
    if since:
        line += f" since {clock(since, story.now)}"
    trouble = _trouble(story, story.now - LATELY_SECONDS)
    return line if trouble is None else f"{line}, but {_at(story, trouble)}"


def _ending(story: Story) -> Event | None:
    """How the last session ended: what was decided, if anything was."""
    last = next((each for each in reversed(story.own) if each.what in ENDED), None)
    if last is None or last.what != "closed":
        return last
    near = [each for each in story.own if last.last - each.last <= AT_ONCE_SECONDS]
    decided = [each for each in near if each.what in DECIDED and each.node == last.node]
    return min(decided, key=lambda each: DECIDED.index(each.what), default=last)


def _trouble(story: Story, since: float) -> Event | None:
    """What is most likely why a message did not arrive."""
    events = [
        each
        for each in story.events
        if each.what in TROUBLE and each.last >= since and not _is_no_trouble(story, each)
    ]
    hung = [each for each in events if each.what == "held up"]
    events = [each for each in events if not any(_follows(each, from_) for from_ in hung)]
    return min(events, key=lambda each: (TROUBLE.index(each.what), -each.last), default=None)


def _follows(event: Event, hung: Event) -> bool:
    """Whether a link was lost because one of its ends hung."""
    if event.what != "link lost" or hung.node not in (event.node, event.about.get("peer")):
        return False
    begin = hung.last - float(hung.about.get("seconds") or 0.0)
    return begin <= event.first <= hung.last + SAME_SECONDS


def _is_no_trouble(story: Story, event: Event) -> bool:
    """Whether it has left a channel because its session ended, or is a member again."""
    if event.what != "left":
        return False
    channel = event.about.get("channel")
    again = any(
        each.what == "joined" and each.about.get("channel") == channel and each.last >= event.last
        for each in story.own
    )
    return event.why == "closed" or again


def _last(story: Story, what: str) -> Event | None:
    return next((each for each in reversed(story.own) if each.what == what), None)


def _at(story: Story, event: Event) -> str:
    """What happened, when, and where, in the midst of a line."""
    when = f"at {clock(event.last, story.now)} by {event.node}"
    about, why = event.about, event.why
    match event.what:
        case "slow":
            return f"was disconnected {when}: slow ({_unread(about)})"
        case "kicked":
            return f"was kicked {when}: {why}"
        case "taken over":
            return f"was disconnected {when}: a newer session has its uid"
        case "moved":
            return f"was sent on {when} to {_place(about)}"
        case "refused login":
            return f"was refused its login {when}: {why}"
        case "closed":
            return f"was disconnected {when}: {_CLOSED.get(why, why)}"
        case "left":
            return f"was taken from the channel {about.get('channel')} {when}: {why}"
        case "requests not answered":
            return f"{_requests(event)} {_were(event)} not answered {when}: {_why(event)}"
        case "pushes not sent":
            return f"{_pushes(event)} {_were(event)} not sent {when}: {_why(event)}"
        case "outbox high-water":
            return f"{_much(event)} {when}"
        case "held up":
            return f"{event.node} {_held_up(event)}, until {clock(event.last, story.now)}"
    return f"{sentence(event, story.now)}, noted by {event.node}"


def sentence(event: Event, now: float) -> str:
    """What happened, without when and where."""
    tell = _SENTENCES.get(event.what)
    text = tell(event) if tell is not None else f"{event.what} {event.why}".strip()
    if event.until is not None:
        text += f", up again at {clock(event.until, now)}"
    return text


def times(event: Event, now: float) -> str:
    """When it happened: from when to when, if it did so many times."""
    begin, end = clock(event.first, now), clock(event.last, now)
    return begin if event.count == 1 or begin == end else f"{begin} to {end}"


def states(story: Story) -> Iterator[str]:
    """How it is now, in lines."""
    for each in story.sessions:
        said = each.said
        line = f"connected to {each.frontend} from {said['address']} ({said['encoding']}"
        line += f", session {said['id']}): {amount(said['waiting'])} wait for it"
        yield f"{line}, unread for {said['unread']:g} s" if said["unread"] else line
    for channel, backend, frontend, backend_says, frontend_says in story.channels:
        line = f"member of {channel} (owned by {backend}) on {frontend}"
        if not backend_says:
            line += f", as {frontend} says; {backend} does not say so"
        elif not frontend_says:
            line += f", as {backend} says; {frontend} does not say so"
        yield line


def _why(event: Event) -> str:
    meaning = _MEANINGS.get(event.why)
    text = event.why if meaning is None else f"{event.why} ({meaning})"
    detail, error = event.about.get("detail"), event.about.get("error")
    if detail:
        text += f": {detail}"
    return f"{text}, logged as error {error}" if error else text


def _unread(about: Mapping[str, Any]) -> str:
    seconds, size, messages = (about.get(key) or 0 for key in ("seconds", "bytes", "messages"))
    return f"read nothing for {seconds:g} s, {amount(size)} waited, {messages} messages lost"


def _place(about: Mapping[str, Any]) -> str:
    return about.get("to") or "nowhere: no other frontend was up"


def _routes(event: Event) -> str:
    named = sorted(event.routes.items(), key=lambda each: -each[1])
    texts = [f"{route} {count}" for route, count in named[:MOST_ROUTES]]
    if len(named) > MOST_ROUTES:
        texts.append("…")
    return f" ({', '.join(texts)})" if texts else ""


def _counted(event: Event, one: str, many: str) -> str:
    if event.count == 1 and len(event.routes) == 1:
        return f"a {one} of {next(iter(event.routes))}"
    return f"{event.count} {one if event.count == 1 else many}{_routes(event)}"


def _were(event: Event) -> str:
    return "was" if event.count == 1 else "were"


def _pushes(event: Event) -> str:
    channel, peer = event.about.get("channel"), event.about.get("peer")
    text = _counted(event, "push", "pushes")
    if channel:
        text += f" to {channel}"
    return f"{text} for {peer}" if peer else text


def _requests(event: Event) -> str:
    return _counted(event, "request", "requests")


def _much(event: Event) -> str:
    about = event.about
    return f"{amount(about.get('bytes') or 0)} waited for it, {event.why}"


def _held_up(event: Event) -> str:
    return f"did nothing else for {event.about.get('seconds')} s"


def _link(event: Event, what: str) -> str:
    text = f"the link to {event.about.get('peer')} was {what}"
    return f"{text}: {event.why}" if event.why else text


_SENTENCES: Mapping[str, Callable[[Event], str]] = {
    "logged in": lambda event: f"logged in from {event.about.get('address')}",
    "refused login": lambda event: f"was refused its login: {event.why}",
    "logged out": lambda event: "logged out; its connection stayed",
    "taken over": lambda event: "was kicked: a newer session has its uid",
    "kicked": lambda event: f"was kicked: {event.why}",
    "moved": lambda event: f"was sent on to {_place(event.about)}",
    "closed": lambda event: f"its session ended: {_CLOSED.get(event.why, event.why)}",
    "slow": lambda event: f"was disconnected as slow: {_unread(event.about)}",
    "outbox high-water": _much,
    "pushes not sent": lambda event: f"{_pushes(event)} {_were(event)} not sent: {_why(event)}",
    "requests not answered": lambda event: (
        f"{_requests(event)} {_were(event)} not answered: {_why(event)}"
    ),
    "joined": lambda event: f"joined {event.about.get('channel')} on {event.about.get('peer')}",
    "left": lambda event: f"left {event.about.get('channel')}: {event.why}",
    "link up": lambda event: f"the link to {event.about.get('peer')} came up",
    "link lost": lambda event: _link(event, "lost"),
    "refused handshake": lambda event: f"{event.count} handshakes were refused: {event.why}",
    "held up": lambda event: (
        f"{_held_up(event)} until then: a call kept it from everything, or its process stood still"
    ),
}
