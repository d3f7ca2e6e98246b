"""A request in plain HTTP, and its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol
from urllib.parse import parse_qsl

from chatcore.errors import HttpError
from chatcore.interfaces import Address
from chatcore.wire.http import Head
from chatcore.wire.http_body import Body

TEXT = "text/plain; charset=UTF-8"

MOST_FIELDS = 100
"""Of a query."""

Header = tuple[str, str]


class IVisitor(Protocol):
    """Who makes requests on a connection."""

    address: Address

    def bears(self) -> bool:
        """Put up with a request of somebody who is not known; whether it may make it."""


class IRequests(Protocol):
    """The connection that a request came on."""

    @property
    def guest(self) -> IVisitor:
        """Who made it."""

    def go_ahead(self) -> None:
        """Who waits for a word before it sends a body may send it."""

    def answered(
        self,
        exchange: Exchange,
        status: int,
        content: bytes,
        kind: str,
        headers: Iterable[Header],
        close: bool,
    ) -> None:
        """A request has been acted on."""


class Exchange:
    """A request, and the answer to it, of which there is one.

    It is served when its head is there; who wants its body says so with `read`.

    Attributes:
        head: the request's.
        query: the query's fields; of those with one name, the first.
        address: whose request it is, as far as is known: a host and a port.
        body: what comes with it.
        lost: called if it can't be completed or answered: its connection is gone, or its body is
            none, too long or too slow.
    """

    __slots__ = ("_http", "_then", "address", "body", "head", "lost", "query")

    def __init__(self, http: IRequests, head: Head, body: Body, address: Address) -> None:
        self._http = http
        self.head, self.body, self.address = head, body, address
        self.query = query_of(head)
        self.lost: Callable[[], None] = _nothing
        self._then: Callable[[bytes], None] | None = None

    @property
    def is_forwarded(self) -> bool:
        """Whether a proxy made it for somebody else."""
        return self.address is not self._http.guest.address

    @property
    def is_read(self) -> bool:
        """Whether somebody waits for its body."""
        return self._then is not None

    def bears(self) -> bool:
        """Put up with a request of somebody who is not known; if there were too many, refuse it."""
        if self._http.guest.bears():
            return True
        self.answer(429, close=True)
        return False

    def read(self, most: int, then: Callable[[bytes], None]) -> None:
        """Have the body read.

        Args:
            most: its most bytes.
            then: given the body, when all of it is there.

        Raises:
            HttpError: it is too long.
        """
        self.body.limit(most)
        if self.body.done:
            then(self.body.content)
        else:
            self._then = then
            if self.head.fields.get("expect", "").lower() == "100-continue":
                self._http.go_ahead()

    def proceed(self) -> None:
        """More of the body has come."""
        if self.body.done and self._then is not None:
            then, self._then = self._then, None
            then(self.body.content)

    def answer(
        self,
        status: int,
        content: bytes = b"",
        *,
        kind: str = TEXT,
        headers: Iterable[Header] = (),
        close: bool = False,
    ) -> None:
        """Answer.

        Args:
            status: as in 200.
            content: the body.
            kind: its media type.
            headers: further headers.
            close: whether the connection is to end with it.
        """
        self._http.answered(self, status, content, kind, headers, close)


def query_of(head: Head) -> dict[str, str]:
    """The fields of a request's query; of those with one name, the first.

    Raises:
        HttpError: there are too many.
    """
    text = head.target.partition("?")[2]
    if text.count("&") >= MOST_FIELDS:
        raise HttpError("a query with too many fields")
    fields: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        fields.setdefault(name, value)
    return fields


def _nothing() -> None:
    pass
