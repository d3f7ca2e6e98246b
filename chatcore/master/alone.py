"""What a master on its own does for those who administer it: it passes on what it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import chatcore
from chatcore.admin.asker import Asker
from chatcore.admin.asking import ask_order, ask_question, ask_to_invoke
from chatcore.admin.invocation import Invocation
from chatcore.admin.outcomes import AWAY, UNKNOWN, UNSUPERVISED, What
from chatcore.admin.questions import Question
from chatcore.config.names import MASTER, suggestion
from chatcore.errors import AdminError
from chatcore.links.link import Link
from chatcore.master.nodes import Nodes


class Alone:
    """A master that supervises nobody, as it is administered.

    Args:
        about: what administrators are told of it besides.
    """

    nodes: Nodes

    def __init__(self, about: Mapping[str, str]) -> None:
        self.about = dict(about)

    def serve(self, nodes: Nodes) -> None:
        """Pass on to these nodes from now on."""
        self.nodes = nodes

    async def survey(self, seconds: float, *, alone: bool) -> dict[str, Any]:
        return {
            "id": MASTER,
            "version": chatcore.__version__,
            **self.about,
            "view": self.nodes.view.to_value(),
            "supervised": False,
            "programs": None,
        }

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
        return await ask_question(self._link(id), question, id, given, seconds, asker=asker)

    async def invoke(
        self, invocation: Invocation, id: str, seconds: float, *, passes_on: bool, asker: Asker
    ) -> dict[str, Any]:
        return await ask_to_invoke(self._link(id), invocation, id, seconds, asker=asker)

    async def order(
        self, what: What, id: str, seconds: float, *, passes_on: bool, asker: Asker
    ) -> dict[str, Any]:
        return await ask_order(self._link(id), what, id, seconds, asker=asker)

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
        raise _nobody_starts("Start it with twistd chatnode; it announces itself here")

    async def reload(
        self, seconds: float, *, apply: bool, passes_on: bool, asker: Asker
    ) -> dict[str, Any]:
        raise _nobody_starts("Start, drain and restart the servers one by one")

    def _link(self, id: str) -> Link:
        link = self.nodes.linked(id)
        if link is not None:
            return link
        if self.nodes.view.get(id) is not None:
            raise AdminError(f"the master has no link to {id} now", code=AWAY)
        known = [member.id for member in self.nodes.view.members]
        advice = suggestion(id, known, "servers")
        raise AdminError(f"there is no server '{id}' in the view", code=UNKNOWN, advice=advice)


def _nobody_starts(advice: str) -> AdminError:
    return AdminError(
        "this master is on its own, and starts nothing", code=UNSUPERVISED, advice=advice
    )
