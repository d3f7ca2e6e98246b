"""What nodes know of channels, and what they keep: the only place that looks inside of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from chatcore.links.link import Link
from chatcore.node import Node

ROOMS = (
    *("chatcore.channels", "chatcore.cluster", "chatcore.connectors", "chatcore.dispatch"),
    *("chatcore.links", "chatcore.node", "chatcore.sessions", "chatcore.turn"),
)
"""Where the tables are that have to be empty in the end."""

EMPTY = {
    "Admission._here",
    "Admission._where",
    "Arrivals._waiting",
    "ChannelService._adopting",
    "ChannelService._channels",
    "ConnectorParts.clients",
    "Deliveries._due",
    "Deliveries._hands",
    "Deliveries._sent_to",
    "Draining._here",
    "Draining._leaving",
    "Draining._queue",
    "GroupTable._backends",
    "GroupTable._leaving",
    "GroupTable._of_uid",
    "Link._calls",
    "Link._queue",
    "LinkTable._new",
    "LinkTable._retiring",
    "Offering._moved",
    "Offering._owed",
    "Outgoing._waiting",
    "OwnCalls._under_way",
    "SessionService._by_id",
    "SessionService._by_uid",
    "Settling._arriving",
    "Settling._asked",
    "Turn._waiting",
    "UnderWay._keys",
}
"""The tables that are empty when everybody has left, and nothing is under way."""


def groups(node: Node) -> dict[tuple[str, str], set[str]]:
    """The members at a frontend, by backend and channel."""
    clients = node.clients
    if clients is None:
        return {}
    return {
        (backend, channel): set(group.uids)
        for backend, channels in clients.groups._backends.items()
        for channel, group in channels.items()
    }


def channels(node: Node) -> dict[str, set[tuple[str, str]]]:
    """The members of the channels of a backend."""
    return {name: set(node.channels.get(name).members()) for name in node.channels.names()}


def tables(node: Node) -> dict[str, int]:
    """How much is in each container of a node's that is its own, by class and attribute."""
    found: dict[str, int] = {}
    for holder, name, value in _attributes(node, set()):
        if isinstance(value, (Mapping, set, list, deque)):
            if isinstance(holder, Link) and name == "_calls":
                value = [what for what, *_ in value.values() if what != "ping"]
            key = f"{type(holder).__name__}.{name}"
            found[key] = found.get(key, 0) + len(value)
    return found


def _attributes(holder: Any, seen: set[int]) -> Iterator[tuple[Any, str, Any]]:
    if id(holder) in seen or not type(holder).__module__.startswith(ROOMS):
        return
    seen.add(id(holder))
    for name in _names(holder):
        value = getattr(holder, name, None)
        yield holder, name, value
        inner = value if isinstance(value, (list, tuple, set, deque)) else [value]
        if isinstance(value, Mapping):
            inner = list(value.values())
        for each in inner:
            yield from _attributes(each, seen)


def _names(holder: Any) -> list[str]:
    names = list(getattr(holder, "__dict__", ()))
    for kind in type(holder).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else slots
    return names
