"""One connection to a Redis server, as far as it is bytes; the only importer of txredisapi."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import ITCPTransport
from twisted.python.failure import Failure
from txredisapi import BaseRedisProtocol, InvalidResponse, RedisError, ResponseError

from chatcore.deadlines import IClock
from chatcore.errors import StoreLost, StoreRefused

Reply: TypeAlias = "bytes | int | list[Reply] | None"

ANSWER_BYTES: Final = 64 * 1024 * 1024
"""Bytes that one answer may have; who sends a longer one is no server of ours."""

NO_REDIS: Final = "what answers there is no Redis"

_CLUSTER: Final = "it belongs to a Redis Cluster; the URL has to name a Redis that belongs to none"

_MEANINGS: Final = {
    r"\bREADONLY\b": "it is a replica, which nobody may write to; the URL has to name the primary",
    r"^(MOVED|ASK|CROSSSLOT|TRYAGAIN|CLUSTERDOWN)\b|cluster mode": _CLUSTER,
    r"^ERR unknown command": "it lacks a command, as a Sentinel does; the URL has to name a Redis",
}
"""What errors mean that tell of a wrong server: what their texts hold, and what to say of them."""


class RedisProtocol(BaseRedisProtocol):  # type: ignore[misc]  # txredisapi has no types
    """Sends commands, and gives their answers back in order.

    txredisapi puts off what follows each string of an answer to another turn of the reactor. A
    script that has much to say should say it in one.

    Args:
        made: called when the connection is there.
        lost: called with the reason when it is gone.
        heard: called with each message published on a channel that was subscribed to; None where
            none will be.
        clock: the reactor.
    """

    def __init__(
        self,
        *,
        made: Callable[[RedisProtocol], None],
        lost: Callable[[RedisProtocol, Failure], None],
        heard: Callable[[bytes], None] | None,
        clock: IClock,
    ) -> None:
        super().__init__(charset=None, convertNumbers=False)
        self.callLater = clock.callLater  # otherwise that of the global reactor
        self._made, self._lost, self._heard = made, lost, heard
        self._unanswered = 0
        self.problem = ""
        """Why the connection was ended at this side; empty where it was not, or was asked for."""

    def command(self, *parts: bytes) -> Deferred[Reply]:
        """Send a command; its answer comes back.

        It may fail with `StoreRefused`, or with `StoreLost` when the connection ends before.
        """
        try:
            sent: Deferred[Any] = self.execute_command(*parts)
        except RedisError:
            return fail(StoreLost("the connection is gone"))
        return sent.addCallbacks(_plain, _typed)

    def abort(self) -> None:
        """End the connection now."""
        if self.transport is not None:
            self.transport.abortConnection()

    # What Twisted and txredisapi call.

    def connectionMade(self) -> None:
        super().connectionMade()
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
        self._made(self)

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        if self.problem:
            return
        if not unpause:  # that was put off, and is counted
            self._unanswered += len(data)
        try:
            super().dataReceived(data, unpause)
        except UnicodeDecodeError:
            self._break(NO_REDIS)
        if self._unanswered > ANSWER_BYTES:
            self._break(f"an answer has more than {ANSWER_BYTES} bytes")

    def lineReceived(self, line: str) -> bool:
        if line and line[0] not in "$*+-:":
            self._break(NO_REDIS)
        else:
            super().lineReceived(line)
        return bool(self.problem)  # then what follows is not read

    def connectionLost(self, why: Failure) -> None:
        self._lost(self, why)  # first: whoever hears that nothing came may ask for more
        super().connectionLost(why)

    def replyReceived(self, reply: Any) -> None:
        self._unanswered = 0
        if self._heard is not None and isinstance(reply, list) and reply[:1] == [b"message"]:
            self._heard(reply[-1])
        elif isinstance(reply, InvalidResponse) or not self.replyQueue.waiting:
            self._break(NO_REDIS)  # what comes next would be taken for the wrong answer
        else:
            super().replyReceived(reply)

    def _break(self, problem: str) -> None:
        self.problem = self.problem or problem
        self.abort()


def _plain(reply: Any) -> Reply:
    """An answer in bytes: txredisapi gives short ones as text."""
    if isinstance(reply, str):
        return reply.encode()
    return [_plain(each) for each in reply] if isinstance(reply, list) else reply


def _typed(failure: Failure) -> Failure:
    """What went wrong, as an error of ours."""
    if not failure.check(RedisError):
        return failure
    text = failure.getErrorMessage().strip()
    if failure.check(ResponseError):
        return Failure(StoreRefused(_explained(text)))
    return Failure(StoreLost(text))


def _explained(text: str) -> str:
    """An error of Redis', and what it means where it does not say so itself."""
    for found, meaning in _MEANINGS.items():
        if re.search(found, text):
            return f"{meaning} ({text})"
    return text
