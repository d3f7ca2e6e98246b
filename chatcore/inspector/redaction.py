"""What is not shown of bodies unless somebody asks for it: passwords, tokens and the like."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final

HIDDEN: Final = "[hidden]"
"""What stands in the place of what is not shown."""

NAMES: Final = (
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "token",
    "credential",
    "apikey",
    "accesskey",
    "privatekey",
    "authorization",
    "cookie",
    "proof",
)
"""What hides the value of a key in whose name it stands. Case, ``-``, ``_`` and ``.`` are none."""

MOST_RULES = 1000
"""Rules that were made of one for different methods and are kept."""

# Each of these reads a text once, whatever stands in it: none repeats within what it repeats.
_SEPARATORS = re.compile(r"[-_. ]")
_IN_URLS = re.compile(r"://[^/\s@]*:[^/\s@:]*@")


class Redaction:
    """The rule by which values are hidden.

    Args:
        names: further names beside `NAMES`.
        off: whether everything is shown.
    """

    def __init__(self, names: Iterable[str] = (), *, off: bool = False) -> None:
        names = list(names)
        self.names = [*NAMES, *filter(None, map(_normal, names))]
        self.off = off
        self._given_names = names
        self._more: dict[tuple[str, ...], Redaction] = {}
        separated = "|".join(r"[-_. ]?".join(map(re.escape, name)) for name in self.names)
        self._somewhere = re.compile(separated, re.IGNORECASE)
        self._given = re.compile(
            rf"(?:{separated})\w{{0,40}}[\"']?\s{{0,9}}[=:]\s{{0,9}}\S", re.IGNORECASE
        )

    def hiding(self, names: tuple[str, ...]) -> Redaction:
        """The rule that hides more by further names."""
        if not names or self.off:
            return self
        if names not in self._more:
            if len(self._more) >= MOST_RULES:
                self._more.clear()
            self._more[names] = Redaction([*self._given_names, *names])
        return self._more[names]

    def hides(self, name: str) -> bool:
        """Whether the value of a key of that name is hidden."""
        normal = _normal(name)
        return not self.off and any(each in normal for each in self.names)

    def text(self, text: str) -> str:
        """A text that may be shown, of one that may have something to hide.

        A text that is JSON loses what its keys hide; any other that gives one of the names a value,
        as in ``password=…``, is hidden as a whole.
        """
        if self.off:
            return text
        if text[:1] in ("{", "["):
            try:
                value = json.loads(text)
                shown = self.value(value)
                return text if shown == value else json.dumps(shown, ensure_ascii=False)
            except RecursionError:
                return HIDDEN
            except ValueError:
                pass
        return HIDDEN if self._given.search(text) or _IN_URLS.search(text) else text

    def value(self, value: Any) -> Any:
        """A value of JSON's types that may be shown, of one that may have something to hide."""
        if self.off:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {
                name: HIDDEN if self.hides(str(name)) else self.value(each)
                for name, each in value.items()
            }
        if isinstance(value, list):
            return [self.value(each) for each in value]
        return value

    def allows(self, data: bytes) -> bool:
        """Whether bytes that nobody can read here may be shown: none of the names stands there."""
        return self.off or not self._somewhere.search(data.decode("latin-1"))


def _normal(name: str) -> str:
    return _SEPARATORS.sub("", name).casefold()
