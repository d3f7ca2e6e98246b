"""Which part of a node answers which question."""

from __future__ import annotations

from collections.abc import Mapping

from chatcore.admin.questions import Answer, Question
from chatcore.deadlines import IClock
from chatcore.node.looking.channels import Channels, OneChannel
from chatcore.node.looking.declared import Handlers, Remotes
from chatcore.node.looking.failures import Failures
from chatcore.node.looking.links import Links
from chatcore.node.looking.looked_at import ILookedAt
from chatcore.node.looking.nodes import Nodes
from chatcore.node.looking.numbers import Numbers
from chatcore.node.looking.sessions import OneSession, Sessions
from chatcore.node.looking.status import Status
from chatcore.node.looking.traces import Traces
from chatcore.node.looking.why import Why


def answers(node: ILookedAt, failures: Failures, clock: IClock) -> Mapping[Question, Answer]:
    """What a node answers to each question.

    Args:
        failures: knows what went wrong last.
        clock: the reactor.
    """
    status = Status(node, clock)
    return {
        "status": status,
        "nodes": Nodes(node, status, failures, clock),
        "links": Links(node, clock),
        "remotes": Remotes(node),
        "handlers": Handlers(node),
        "trace": Traces(node),
        "counters": Numbers(node),
        "why": Why(node, clock),
        "sessions": Sessions(node, clock),
        "session": OneSession(node),
        "channels": Channels(node, clock),
        "channel": OneChannel(node, clock),
    }
