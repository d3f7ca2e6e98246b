"""Who watches may be slow, or stop: what passes is not delayed, and what is not seen is counted."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from chatcore.inspector.aside import OVERHEAD, Aside, Passed
from chatcore.inspector.exchange import Way

IN, OUT, OTHER = Way(1, "in"), Way(1, "out"), Way(2, "in")
SIZE = 1000
ROOM = 3 * (SIZE + OVERHEAD)


class Watcher:
    """Takes nothing until the gate is open."""

    def __init__(self) -> None:
        self.gate, self.holds = threading.Event(), threading.Event()
        self.taken: list[Passed] = []
        self.failures: list[BaseException] = []
        self.aside = Aside(self.take, failed=self.failures.append, limit=ROOM)
        self.aside.start()

    def take(self, pieces: Sequence[Passed]) -> None:
        self.holds.set()
        assert self.gate.wait(20)
        self.taken += pieces

    def stop(self) -> list[tuple[str, Way, int]]:
        self.gate.set()
        assert self.aside.stop(20, 9)
        return [(each.what, each.way, each.size or len(each.data)) for each in self.taken]


def data(way: Way) -> Passed:
    return Passed("data", way, 1, b"x" * SIZE)


def test_all_comes_in_its_order() -> None:
    watcher = Watcher()
    watcher.gate.set()
    for way in (IN, OUT, IN):
        watcher.aside.put(data(way))
    watcher.aside.put(Passed("end", Way(1), 2))
    assert watcher.stop() == [
        ("data", IN, SIZE),
        ("data", OUT, SIZE),
        ("data", IN, SIZE),
        ("end", Way(1), 0),
    ]
    assert watcher.aside.missed == 0


def test_what_does_not_fit_is_counted_where_it_is_missing() -> None:
    watcher = Watcher()
    for way in (IN, IN, OUT):
        watcher.aside.put(data(way))
    for way in (IN, OUT, OUT, OTHER):
        watcher.aside.put(data(way))
    watcher.aside.put(Passed("open", Way(3), 2))
    watcher.aside.put(Passed("end", Way(3), 3))  # of which nobody has heard
    watcher.aside.put(Passed("end", Way(1), 4))
    assert watcher.aside.missed == 4 * SIZE
    assert watcher.stop() == [
        ("data", IN, SIZE),
        ("data", IN, SIZE),
        ("data", OUT, SIZE),
        ("missed", IN, SIZE),
        ("missed", OUT, 2 * SIZE),
        ("end", Way(1), 0),
        ("missed", Way(), SIZE),
    ]


def test_goes_on_when_there_is_room() -> None:
    watcher = Watcher()
    for _ in range(5):
        watcher.aside.put(data(IN))
    assert watcher.holds.wait(20)
    watcher.gate.set()
    again = threading.Event()

    def until_room() -> None:
        while not any(each.what == "missed" for each in watcher.taken):
            watcher.aside.put(data(IN))
        again.set()

    threading.Thread(target=until_room).start()
    assert again.wait(20)
    watcher.stop()
    whats = [each.what for each in watcher.taken]
    assert whats[:4] == ["data", "data", "data", "missed"]
    assert sum(each.size for each in watcher.taken) == watcher.aside.missed


def test_who_fails_is_given_nothing_more() -> None:
    failures: list[BaseException] = []
    failed = threading.Event()

    def take(pieces: Sequence[Passed]) -> None:
        raise OSError(28, "No space left on device")

    def tell(problem: BaseException) -> None:
        failures.append(problem)
        failed.set()

    aside = Aside(take, failed=tell)
    aside.start()
    aside.put(data(IN))
    assert failed.wait(20)
    aside.put(data(IN))
    assert aside.stop(20, 9)
    assert aside.missed >= SIZE
    assert [problem.errno for problem in failures if isinstance(problem, OSError)] == [28]


def test_who_never_comes_back_holds_nobody_up() -> None:
    watcher = Watcher()
    watcher.aside.put(data(IN))
    assert watcher.holds.wait(20)
    watcher.aside.put(data(IN))
    assert not watcher.aside.stop(0, 9)
    watcher.gate.set()
