"""Reading the bodies of boxes with the `amp.Command` classes that declare them."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any

from twisted.protocols import amp

from chatcore.errors import ConfigError
from chatcore.inspector import own
from chatcore.inspector.redaction import HIDDEN, Redaction
from chatcore.inspector.values import shown, shown_bytes
from chatcore.wire.box import LONGEST_VALUE, Box, join

OWN = frozenset(
    (b"_command", b"_ask", b"_answer", b"_error", b"_error_code", b"_error_description")
)
"""The keys that are AMP's own, and no argument's."""

CHATCORE = "chatcore.links.commands"
"""The module that declares what crosses chatcore's links."""

_NOT_MEANT = (amp.Command, amp.ProtocolSwitchCommand)


class Dictionary:
    """What boxes mean, as far as their commands are known.

    Args:
        modules: where `amp.Command` classes stand.

    Attributes:
        speaks_chatcore: whether the boxes are those of chatcore's links.
        types: of its servers, by their ids, as far as they are known.
        declared: what is known of the methods that messages and calls are for, by their routes.
        wary: whether all is hidden of what it is not known what has to be hidden of it.
    """

    def __init__(self, modules: Iterable[ModuleType] = ()) -> None:
        self.types: dict[str, str] = {}
        self.declared: dict[str, own.Declared] = {}
        self.commands: dict[bytes, type[amp.Command]] = {amp.StartTLS.commandName: amp.StartTLS}
        self.speaks_chatcore = self.wary = False
        for module in modules:
            self.commands |= commands_of(module)
            self.speaks_chatcore |= module.__name__ == CHATCORE

    def learn(self, about: Mapping[str, Any]) -> None:
        """Take in what is said of an application; what can't be read is passed over.

        Args:
            about: has ``types`` and ``declared``, as the attributes of those names.
        """
        types, declared = about.get("types"), about.get("declared")
        if isinstance(types, dict):
            self.types.update((str(id), str(type)) for id, type in types.items())
        for route, value in declared.items() if isinstance(declared, dict) else ():
            with suppress(ValueError):
                self.declared[route] = own.Declared.of(value)

    def switches(self, command: bytes) -> bool:
        """Whether something else than AMP follows behind that command's answer."""
        known = self.commands.get(command)
        return known is not None and issubclass(known, amp.ProtocolSwitchCommand)

    def route(self, command: bytes, box: Box, to: str = "") -> str:
        """What is asked for: the command, or what chatcore's commands carry.

        Args:
            to: who is asked.
        """
        route = own.route(box, self.types.get(to, "")) if self.speaks_chatcore else None
        return named(route or command)

    def uids(self, command: bytes, box: Box) -> frozenset[str]:
        """Whom a box of chatcore's concerns."""
        return own.uids(command, box) if self.speaks_chatcore else frozenset()

    def channels(self, box: Box) -> frozenset[str]:
        """The channels that a box of chatcore's concerns."""
        return own.channels(box) if self.speaks_chatcore else frozenset()

    def body(
        self, command: bytes | None, kind: str, box: Box, rule: Redaction, route: str = ""
    ) -> dict[str, Any]:
        """What a box carries, in JSON's types.

        Args:
            command: the command; of an answer, that which it answers; None where nobody knows.
            kind: ``ask``, ``tell``, ``answer`` or ``error``.
            box: the box.
            rule: what is hidden.
            route: what is asked for.
        """
        known = None if command is None else self.commands.get(command)
        declared: list[tuple[bytes, Any]] = []
        if known is not None and kind in ("ask", "tell", "answer"):
            declared = known.response if kind == "answer" else known.arguments
        if not self.speaks_chatcore:
            return _decoded(declared, box, rule)
        method = self.declared.get(route, own.NOTHING)
        rule = rule.hiding(method.hidden)
        told = _decoded(declared, box, rule)
        if kind in ("ask", "tell"):
            told |= own.body(command, box, method, rule)
        elif kind == "answer" and method.hides_answer and not rule.off:
            told = dict.fromkeys(told, HIDDEN)
        if self.wary and kind != "error" and not own.is_understood(command, route, self.declared):
            told |= dict.fromkeys(told if command is None else own.DATA & told.keys(), HIDDEN)
        return told

    def rule_of(self, route: str, rule: Redaction) -> Redaction:
        """What is hidden of what a method says, beside what a rule hides."""
        return rule.hiding(self.declared.get(route, own.NOTHING).hidden)


def load(names: Iterable[str], *, folder: str | None = None) -> Dictionary:
    """Import modules and take the commands that stand there.

    Args:
        names: of modules, as in ``package.module``.
        folder: where they are looked for first; the current directory unless given.

    Raises:
        ConfigError: there is no such module, it can't be imported, or no command stands there.
    """
    modules = [_import(name, folder or os.getcwd()) for name in names]
    for module in modules:
        if not commands_of(module):
            raise ConfigError(
                f"no subclass of twisted.protocols.amp.Command stands in {module.__name__}",
                file=module.__file__,
                advice="Name the module that declares the commands",
            )
    return Dictionary(modules)


def commands_of(module: ModuleType) -> dict[bytes, type[amp.Command]]:
    """The commands of a module, by their names on the wire."""
    return {
        each.commandName: each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, amp.Command) and each not in _NOT_MEANT
    }


def named(name: bytes) -> str:
    """A name on the wire, as it is shown."""
    return name.decode("utf-8", "backslashreplace")


def _import(name: str, folder: str) -> ModuleType:
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as problem:
        if problem.name is None or not (
            name == problem.name or name.startswith(f"{problem.name}.")
        ):
            raise _broken(name, problem) from problem
        raise ConfigError(
            f"there is no module '{name}'",
            advice=f"It is looked for in {folder} and where Python looks for modules, and named as "
            "in an import: package.module",
        ) from None
    except (Exception, SystemExit) as problem:
        raise _broken(name, problem) from problem


def _broken(name: str, problem: BaseException) -> ConfigError:
    return ConfigError(f"the module '{name}' can't be imported: {problem!r}")


class _Strings(amp.AmpBox):
    """A box that knows which of its keys were read."""

    def __init__(self, box: Mapping[bytes, bytes]) -> None:
        super().__init__(box)
        self.used: set[bytes] = set()

    def __getitem__(self, key: bytes) -> bytes:
        self.used.add(key)
        return super().__getitem__(key)

    def get(self, key: bytes, default: Any = None) -> Any:
        self.used.add(key)
        return super().get(key, default)

    def pop(self, key: bytes, *default: Any) -> Any:
        self.used.add(key)
        return super().pop(key, *default)


def _nobody() -> amp.AMP:
    """The connection that arguments are given; there is none."""
    nobody = amp.AMP()
    # What amp.Descriptor asks; the descriptor itself went another way.
    vars(nobody)["_getDescriptor"] = lambda number: f"descriptor {number}"
    return nobody


def _decoded(
    declared: Iterable[tuple[bytes, Any]], box: Mapping[bytes, bytes], rule: Redaction
) -> dict[str, Any]:
    strings = _Strings({key: value for key, value in box.items() if key not in OWN})
    nobody = _nobody()
    body: dict[str, Any] = {}
    for name, argument in declared:
        objects: dict[str, Any] = {}
        raw = box.get(name)
        try:
            argument.fromBox(name, strings, objects, nobody)
        except (Exception, SystemExit) as problem:
            strings.used.add(name)
            body[named(name)] = _unreadable(named(name), raw, problem, rule)
            continue
        for attribute, value in objects.items():
            if raw is not None or value is not None:  # else it is optional, and not there
                body[attribute] = shown(named(name), value, rule)
    told = OWN | strings.used
    left = {key: value for key, value in box.items() if key not in told}
    for key in left:
        if not _goes_on(key, left):
            body[named(key)] = shown_bytes(named(key), join(left, key), rule)
    return body


def _goes_on(key: bytes, box: Mapping[bytes, bytes]) -> bool:
    """Whether a key only carries on a value that is too long for one.

    What is hidden of a value has to be hidden of all its parts.
    """
    name, _, number = key.rpartition(b".")
    return number.isdigit() and len(box.get(name, b"")) == LONGEST_VALUE


def _unreadable(
    name: str, raw: bytes | None, problem: BaseException, rule: Redaction
) -> dict[str, Any]:
    """An argument that is not as declared: why, and what is there."""
    if raw is None:
        return {"unreadable": "it is not there"}
    why = type(problem).__name__
    if not rule.hides(name) and rule.allows(raw):  # what it says may quote the value
        why = rule.text(f"{why}: {problem}")
    return {"unreadable": why, "raw": shown_bytes(name, raw, rule)}
