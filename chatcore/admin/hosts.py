"""What a process can do for those who administer it, as the desk asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from chatcore.admin.asker import Asker
from chatcore.admin.invocation import Invocation
from chatcore.admin.outcomes import What
from chatcore.admin.questions import Question
from chatcore.links.link import Link


class IAdministered(Protocol):
    """What a process does for those who administer it. Every problem is an `AdminError`."""

    async def survey(self, seconds: float, *, alone: bool) -> dict[str, Any]:
        """What there is.

        Args:
            seconds: within which the answer is wanted.
            alone: whether no other process is to be asked for it.
        """

    async def inspect(
        self,
        question: Question,
        id: str,
        given: Mapping[str, Any],
        seconds: float,
        *,
        passes_on: bool,
        asker: Asker,
    ) -> dict[str, Any]:
        """What a node answers to a question.

        Args:
            given: what the question needs to be understood; nothing in it has been looked at.
            seconds: within which the answer is wanted.
            passes_on: whether another process may be asked for it.
            asker: who asks; who is asked in turn has to know it.
        """

    async def invoke(
        self, invocation: Invocation, id: str, seconds: float, *, passes_on: bool, asker: Asker
    ) -> dict[str, Any]:
        """Call a remote of a node; returns when it has a result.

        Args:
            invocation: what to call; nothing in it has been looked at.
        """

    async def order(
        self, what: What, id: str, seconds: float, *, passes_on: bool, asker: Asker
    ) -> dict[str, Any]:
        """Do something with a node; returns when it is done."""

    async def add(
        self,
        server_type: str,
        given: Mapping[str, str],
        count: int,
        seconds: float,
        *,
        passes_on: bool,
        asker: Asker,
    ) -> dict[str, Any]:
        """Take in new servers, which are still to be started."""

    async def reload(
        self, seconds: float, *, apply: bool, passes_on: bool, asker: Asker
    ) -> dict[str, Any]:
        """Read servers.json again, and say what has changed.

        Args:
            apply: whether it is followed from now on.
        """


class ITaps(Protocol):
    """Shows what passes on the links of a node, as long as somebody looks."""

    def begin(self, to: Link, given: Mapping[str, Any], *, raw: bool) -> dict[str, Any]:
        """Show it over a link from now on, or show something else there.

        Args:
            given: what is to be shown; nothing in it has been looked at.
            raw: whether bytes may be shown, and not only what is told of them.

        Raises:
            AdminError: it can't be shown.
        """

    def end(self, to: Link) -> None:
        """Nobody looks over that link any more."""

    def stop(self) -> None:
        """Show nobody anything any more."""


class IReplays(Protocol):
    """Acts on what another cluster's servers have asked each other, as it was recorded."""

    async def act(self, by: Link, what: str, given: Mapping[str, Any], seconds: float) -> Any:
        """Do something for somebody who replays a recording.

        Args:
            what: that.
            given: what it takes; nothing in it has been looked at.
            seconds: that it may take.

        Raises:
            AdminError: it can't be done.
        """

    def end(self, by: Link) -> None:
        """Nobody replays anything over that link any more."""

    def stop(self) -> None:
        """Nobody does at all."""
