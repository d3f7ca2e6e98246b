"""What an application may say about the way of messages to clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zope.interface import Attribute, Interface


class ICoder(Interface):
    """Writes and reads the bodies of messages, instead of JSON and protobuf.

    Both methods run for every message, on frontends, and must answer at once.
    """

    def encode(route: str, value: Any) -> bytes:
        """The body of an answer to that route, or of a push.

        Raises:
            BodyError: the value has no form. An answer becomes ``{"code": 500}``, in this form if
                it has one; a push is not sent.
        """

    def decode(route: str, data: bytes) -> Any:
        """The value of what a client sent to that route; it has to be able to cross links.

        Raises:
            BodyError: that is no body; the client is answered ``{"code": 500}``.
        """


class IPush(Interface):
    """A push on a frontend, before it is sent to those of its clients that it is for."""

    route: str = Attribute("Its route.")
    count: int = Attribute("How many sessions here it is for.")
    droppable: bool = Attribute("Whether those may miss it who do not keep up.")

    def send() -> None:
        """Give it to the outboxes of its clients; nothing happens the second time.

        They are those that it was for when it came; who has gone since gets nothing.
        """


PushScheduler = Callable[[IPush], Any]
"""Given each push on a frontend, calls its ``send``: now, later or never."""
