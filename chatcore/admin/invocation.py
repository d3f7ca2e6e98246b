"""A call to a remote that an administrator asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Invocation:
    """What is to be called.

    Args:
        route: ``TYPE.SERVICE.METHOD``, as it is declared.
        args: the arguments in JSON's types: a list, or a dict by the names of the parameters.
        whole: whether the result is told with what is hidden otherwise: passwords, tokens, and
            what the interface says.
    """

    route: str
    args: Any
    whole: bool = False
