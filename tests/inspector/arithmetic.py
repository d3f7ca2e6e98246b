"""Commands as a program has them that is not chatcore, and a server for them."""

from __future__ import annotations

import decimal
from typing import Any

from twisted.protocols import amp


class Sum(amp.Command):
    arguments = [(b"a", amp.Integer()), (b"b", amp.Integer())]
    response = [(b"total", amp.Integer())]


class Divide(amp.Command):
    arguments = [(b"numerator", amp.Integer()), (b"denominator", amp.Integer())]
    response = [(b"result", amp.Float())]
    errors = {ZeroDivisionError: b"ZERO_DIVISION"}


class Note(amp.Command):
    arguments = [(b"text", amp.Unicode())]
    requiresAnswer = False


class Picky(amp.Argument):
    """An argument of the program's own, which raises."""

    def fromString(self, inString: bytes) -> Any:
        if inString == b"exit":
            raise SystemExit(3)
        raise RuntimeError(f"not {inString!r}")


class Everything(amp.Command):
    arguments = [
        (b"integer", amp.Integer()),
        (b"string", amp.String()),
        (b"float", amp.Float()),
        (b"boolean", amp.Boolean()),
        (b"unicode", amp.Unicode()),
        (b"path", amp.Path()),
        (b"list-of", amp.ListOf(amp.Integer())),
        (b"rows", amp.AmpList([(b"name", amp.Unicode()), (b"password", amp.Unicode())])),
        (b"descriptor", amp.Descriptor()),
        (b"decimal", amp.Decimal()),
        (b"when", amp.DateTime()),
        (b"absent", amp.Integer(optional=True)),
        (b"picky", Picky(optional=True)),
    ]


class Switch(amp.ProtocolSwitchCommand):
    arguments: list[Any] = []


class Arithmetic(amp.AMP):
    """Answers."""

    @Sum.responder
    def sum(self, a: int, b: int) -> dict[str, int]:
        return {"total": a + b}

    @Divide.responder
    def divide(self, numerator: int, denominator: int) -> dict[str, float]:
        return {"result": float(decimal.Decimal(numerator) / denominator)}

    @Note.responder
    def note(self, text: str) -> dict[str, Any]:
        return {}
