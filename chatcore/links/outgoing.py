"""In which order what a node has for others is written at the end of a turn."""

from __future__ import annotations

from typing import Protocol

from chatcore.turn import Turn


class Queue(Protocol):
    """What waits to be written to one other node.

    Attributes:
        tells: whether anything in it is more than an answer.
        answers: whether there is an answer in it.
    """

    tells: bool
    answers: bool

    def flush(self) -> None:
        """Write it."""


class Outgoing:
    """Has answers written after everything that was queued before them, for whichever node.

    An answer says that something is done. A node that is killed between two writes has told
    everybody what it acknowledged to one. What is for one node stays in order.

    Args:
        turn: at whose end all is written.
    """

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._waiting: list[Queue] = []

    def add(self, queue: Queue) -> None:
        """Have a queue that was empty written at the end of the turn."""
        if not self._waiting:
            self._turn.at_end(self._flush)
        self._waiting.append(queue)

    def answer(self, queue: Queue) -> None:
        """Prepare for an answer that is to be queued."""
        waiting = self._waiting
        if not waiting or waiting[-1] is queue or queue not in waiting:
            return  # at the end it is, or will be
        if not any(each.tells for each in waiting if each is not queue):
            return
        at = waiting.index(queue)
        if any(each.answers for each in waiting[at + 1 :]):
            self._flush()  # they wait for what is in this queue, which would wait for theirs
        else:
            waiting.append(waiting.pop(at))

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        done = 0
        try:
            for queue in waiting:
                done += 1
                queue.flush()
        finally:
            for queue in waiting[done:]:  # one that raised must not cost the others theirs
                self.add(queue)
