"""Which part of a node answers which question."""

from __future__ import annotations

from collections.abc import Mapping

from chatcore.admin.questions import Answer, Question
from chatcore.deadlines import IClock
from chatcore.node.looking.declared import Handlers, Remotes
from chatcore.node.looking.looked_at import ILookedAt
from chatcore.node.looking.status import Status


def answers(node: ILookedAt, clock: IClock) -> Mapping[Question, Answer]:
    """What a node answers to each question.

    Args:
        clock: the reactor.
    """
    return {
        "status": Status(node, clock),
        "remotes": Remotes(node),
        "handlers": Handlers(node),
    }
