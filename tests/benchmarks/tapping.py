"""What a tap costs the servers that are tapped, and what it costs them that they could be.

::

    .venv/bin/python tests/benchmarks/tapping.py --rounds 10
    .venv/bin/python tests/benchmarks/tapping.py --before ../as-it-was --rounds 10

has people talk in one room of the example chat: each message crosses the link between a connector
and the chat server as a request with its answer, and as a push. It tells how many microseconds of
processor time a message takes, of both servers together, in turns: while nobody taps them, and
while ``chatcore inspect tap`` does, whose own time does not count. With ``--before``, a chat of
another checkout takes its turns, too. What is compared are the turns of one round.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import running
from running import RunningChat, environment, short_folder
from socketio_room import Member, Room

SERVERS = ("connector-server-1", "chat-server-1")
ROUTES = (b"connector.entryHandler.enter", b"chat.chatHandler.send")


class Chat:
    """A chat with one server of each type, and a room full of people.

    Args:
        chat: that chat.
        given: what the command line says.
    """

    def __init__(self, chat: RunningChat, given: argparse.Namespace) -> None:
        self._chat, self._given = chat, given
        self._pids = [chat.pid(id) or 0 for id in SERVERS]
        self.room = Room(chat.port("connector-server-1"), ROUTES, Member, given.clients)

    def microseconds(self) -> float:
        """The processor time of one message."""
        given = self._given
        self.room.talk(given.messages // 10 + 1, given.speakers, given.window)
        before = nanoseconds(self._pids)
        self.room.talk(given.messages, given.speakers, given.window)
        return (nanoseconds(self._pids) - before) / given.messages / 1000

    @contextmanager
    def tapped(self, *words: str) -> Iterator[None]:
        """While it is, by a process of its own."""
        command = [sys.executable, "-m", "chatcore", "inspect", "tap", "--app", str(self._chat.app)]
        popen = subprocess.Popen(
            [*command, "--json", *words],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert popen.stderr is not None
        try:
            line = popen.stderr.readline()
            assert "tapping" in line, line
            yield
        finally:
            popen.send_signal(signal.SIGINT)
            _, said = popen.communicate()
            if "lost" in said:
                print(said.strip(), flush=True)


def nanoseconds(pids: Sequence[int]) -> int:
    """The processor time that processes have used so far."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids)


@contextmanager
def chat_of(checkout: Path, given: argparse.Namespace) -> Iterator[Chat]:
    """The example chat, as a checkout has it."""

    def one_each(servers: Any) -> None:
        for entries in servers.values():
            del entries[1:]

    here, running.ROOT = running.ROOT, checkout
    with short_folder() as folder:
        try:
            chat = RunningChat(folder, ("--set", "limits.messages_per_second=0"), one_each)
        finally:
            running.ROOT = here
        try:
            yield Chat(chat, given)
        finally:
            chat.close()


def main() -> None:
    """Run it with what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--before", type=Path, help="another checkout to compare with")
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--speakers", type=int, default=10)
    parser.add_argument("--window", type=int, default=4, help="messages of each under way")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--verbose", action="store_true", help="tap with bodies")
    given = parser.parse_args()
    words = ["-v"] if given.verbose else []
    found: dict[str, list[float]] = {"off": [], "on": []}
    with ExitStack() as stack:
        this = stack.enter_context(chat_of(running.ROOT, given))
        other: Chat | None = None
        if given.before is not None:
            other = stack.enter_context(chat_of(given.before.resolve(), given))
            found["before"] = []
        for number in range(given.rounds):
            for turn in random.sample(sorted(found), len(found)):
                if turn == "on":
                    with this.tapped(*words):
                        found[turn].append(this.microseconds())
                else:
                    chat = other if turn == "before" and other is not None else this
                    found[turn].append(chat.microseconds())
            each = ", ".join(f"{turn} {values[-1]:.1f} us" for turn, values in found.items())
            print(f"round {number + 1}: {each} a message", flush=True)
    for turn, values in found.items():
        ratios = [one / off for one, off in zip(values, found["off"], strict=True)]
        print(f"{turn:7} {median(values):.1f} us a message, {median(ratios):.3f} of off (medians)")


if __name__ == "__main__":
    main()
