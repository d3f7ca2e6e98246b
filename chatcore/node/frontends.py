"""How a backend's channels reach the frontends: over links, or here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chatcore.channels.groups import GroupTable
from chatcore.cluster.view import View
from chatcore.links.table import LinkTable
from chatcore.node.replies import chunks, pack, push_encoder
from chatcore.telemetry import Counters
from chatcore.wire.box import END, item

PUSH = item(b"_command", b"Push")
PUSH_TO_UIDS = item(b"_command", b"PushToUids")
BROADCAST = item(b"_command", b"Broadcast")
GROUP_JOIN = item(b"_command", b"GroupJoin")
GROUP_LEAVE = item(b"_command", b"GroupLeave")
GROUP_RENEW = item(b"_command", b"GroupRenew") + END
GROUP_FORGET = item(b"_command", b"GroupForget")


class Frontends:
    """Implements `chatcore.channels.service.IFrontends`.

    Args:
        id: of this node.
        groups: this node's own, if it is a frontend itself.
    """

    def __init__(
        self,
        *,
        id: str,
        view: View,
        links: LinkTable,
        groups: GroupTable | None,
        counters: Counters,
    ) -> None:
        self.id = id
        self._view = view
        self._links = links
        self._groups = groups
        self._counters = counters

    def exists(self, frontend: str) -> bool:
        server = self._view.get(frontend)
        return server is not None and server.frontend

    def of_type(self, server_type: str) -> Sequence[str]:
        return [server.id for server in self._view.of_type(server_type) if server.frontend]

    def join(self, frontend: str, channel: str, uids: Sequence[str]) -> bool:
        if frontend == self.id and self._groups is not None:
            self._groups.join(self.id, channel, uids)
            return True
        head = GROUP_JOIN + _channel(channel)
        return all(self._tell(frontend, head + _uids(some) + END) for some in chunks(uids))

    def leave(self, frontend: str, channel: str, uids: Sequence[str]) -> bool:
        if frontend == self.id and self._groups is not None:
            self._groups.leave(self.id, channel, uids)
            return True
        head = GROUP_LEAVE + _channel(channel)
        return all(self._tell(frontend, head + _uids(some) + END) for some in chunks(uids))

    def renew(self, frontend: str) -> bool:
        return self._tell(frontend, GROUP_RENEW)

    def forget(self, frontend: str, uids: Sequence[str]) -> bool:
        return all(self._tell(frontend, GROUP_FORGET + _uids(some) + END) for some in chunks(uids))

    def push(self, frontends: Iterable[str], channel: str, route: str, body: bytes) -> list[str]:
        box = PUSH + _channel(channel) + _message(route, body) + END
        missed = []
        for frontend in frontends:
            if frontend == self.id and self._groups is not None:
                self._groups.push(self.id, channel, route, push_encoder(route, body))
            elif not self._push(frontend, box):
                missed.append(frontend)
        return missed

    def push_to_uids(self, frontend: str, uids: Sequence[str], route: str, body: bytes) -> bool:
        if frontend == self.id and self._groups is not None:
            self._groups.push_to_uids(uids, route, push_encoder(route, body))
            return True
        tail = _message(route, body) + END
        return all(self._push(frontend, PUSH_TO_UIDS + _uids(some) + tail) for some in chunks(uids))

    def broadcast(self, frontend: str, route: str, body: bytes) -> bool:
        if frontend == self.id and self._groups is not None:
            self._groups.broadcast(route, push_encoder(route, body))
            return True
        return self._push(frontend, BROADCAST + _message(route, body) + END)

    def _tell(self, frontend: str, box: bytes) -> bool:
        link = self._links.get(frontend)
        if link is None:
            return False  # told anew when the link is back
        link.write(box)
        return True

    def _push(self, frontend: str, box: bytes) -> bool:
        link = self._links.get(frontend)
        if link is None:
            return False
        if link.crowded:
            self._counters.link_pushes_shed += 1
            return False
        link.write(box)
        return True


def _channel(name: str) -> bytes:
    return item(b"channel", name.encode())


def _uids(uids: Sequence[str]) -> bytes:
    return item(b"uids", pack(list(uids)))


def _message(route: str, body: bytes) -> bytes:
    return item(b"route", route.encode()) + item(b"body", body)
