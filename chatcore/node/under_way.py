"""What is under way on a node, by the keys that it may touch."""

from __future__ import annotations

from collections.abc import Callable


class UnderWay:
    """Knows which requests and calls have not ended yet."""

    def __init__(self) -> None:
        self._keys: dict[int, str | None] = {}
        self._last = 0
        self._awaited: set[int] = set()
        self._told: Callable[[], None] | None = None

    def __len__(self) -> int:
        return len(self._keys)

    def begin(self, key: str | None) -> int:
        """Something begins; the number by which it ends comes back."""
        self._last += 1
        self._keys[self._last] = key
        return self._last

    def end(self, number: int) -> None:
        """It has ended. Once is enough."""
        if self._keys.pop(number, self) is self:
            return
        self._awaited.discard(number)
        if self._told is not None and not self._awaited:
            told, self._told = self._told, None
            told()

    def has(self, key: str) -> bool:
        """Whether anything is under way by a key."""
        return key in self._keys.values()

    def when_ended(self, concerns: Callable[[str | None], bool], ended: Callable[[], None]) -> None:
        """Call ``ended`` when all that is under way now has ended, of the keys that concern."""
        self._awaited = {number for number, key in self._keys.items() if concerns(key)}
        self._told = None
        if self._awaited:
            self._told = ended
        else:
            ended()
