"""An application's own form of bodies, where ``app.coder`` was given one."""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger

from chatcore.errors import BodyError
from chatcore.interfaces import ICoder
from chatcore.telemetry import Seen

MOST_MISTAKES = 100
"""How many different mistakes of a coder are logged."""


class Coded:
    """Bodies as a coder writes and reads them: stands where protobuf's schemas would.

    Args:
        coder: the application's.
    """

    log = Logger()

    def __init__(self, coder: ICoder) -> None:
        self._coder = coder
        self._mistakes = Seen(MOST_MISTAKES)
        self.server = self.client = self

    def __contains__(self, route: object) -> bool:
        return True

    def encode(self, value: Any, route: str, *, cesu: bool = False) -> bytes:
        """Write a body.

        Raises:
            BodyError: the coder can't.
        """
        try:
            data = self._coder.encode(route, value)
        except BodyError:
            raise
        except Exception as problem:
            raise self._mistake("write", route, problem) from problem
        if not isinstance(data, bytes):
            raise self._mistake("write", route, TypeError(f"{type(data).__name__}, not bytes"))
        return data

    def decode(self, data: bytes, route: str) -> Any:
        """Read a body.

        Raises:
            BodyError: the coder can't.
        """
        try:
            return self._coder.decode(route, data)
        except BodyError:
            raise
        except Exception as problem:
            raise self._mistake("read", route, problem) from problem

    def _mistake(self, verb: str, route: str, problem: Exception) -> BodyError:
        what = f"the application's coder can't {verb} a body: {problem!r}"
        if self._mistakes.first((verb, route, type(problem))):
            self.log.error("{route}: {what}", route=route, what=what)
        return BodyError(what)
