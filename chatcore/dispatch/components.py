"""What an application consists of: its components and their methods."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from chatcore.dispatch.blame import mistake_in
from chatcore.dispatch.hooks import Hooks
from chatcore.interfaces import ICron, IHandler, IRemote
from chatcore.interfaces.access import Access
from chatcore.interfaces.redaction import NOTHING, Redacted

EVERY_TYPE: Final = "all"
"""The folder of what every server type has: ``servers/all``."""

_NUMBERED = re.compile(r"chatcore_application_\d+_")
"""What begins the package that an application is imported as; it differs each time."""


_INTERFACE = re.compile(r"<InterfaceClass (?:[^<>]*\.)?(\w+)>")


def lasting_name(thing: Any) -> str:
    """The full name of a class or interface, the same each time the application is imported."""
    module, name = getattr(thing, "__module__", None), getattr(thing, "__name__", None)
    return _NUMBERED.sub("", f"{module}.{name}")


def lasting(declared: object) -> str:
    """A declaration as it was written, the same each time the application is imported."""
    return _INTERFACE.sub(r"\1", _NUMBERED.sub("", str(declared)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method that an interface declares.

    Attributes:
        name: as it goes over the wire.
        signature: as declared, without ``self``.
        interface: the name of the interface that declares it.
        idempotent: whether calling it twice does no more than calling it once.
        access: which clients may call it; None where nothing is said.
        redacted: what of its calls is hidden from those who look.
        doc: what it says of itself.
        file, line: where it is declared.
    """

    name: str
    signature: inspect.Signature
    interface: str
    idempotent: bool = False
    access: Access | None = None
    redacted: Redacted = NOTHING
    doc: str = ""
    file: str | None = None
    line: int | None = None

    @property
    def fingerprint(self) -> str:
        """Changes when its declaration does."""
        said = _NUMBERED.sub("", f"{self.name}{self.signature}").encode()
        return hashlib.sha256(said).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A handler, remote or cron that was found.

    Attributes:
        base: `IHandler`, `IRemote` or `ICron`.
        interfaces: those it implements that derive from it.
        methods: what may be called, by name.
    """

    base: Any
    server_type: str
    service: str
    cls: type
    interfaces: tuple[Any, ...]
    methods: Mapping[str, Method]
    file: str | None
    line: int | None


@dataclass(slots=True)
class Catalogue:
    """All components of an application, of every server type.

    Attributes:
        folder: the application's.
        package: the name that it was imported under.
        folders: those of its plugins.
        configure: the function of ``app.py``.
        server_types: those that the application has folders for.
        hooks: those of every ``lifecycle.py``, a plugin's before the application's.
    """

    folder: Path
    package: str = ""
    folders: list[Path] = field(default_factory=list)
    configure: Callable[[Any], None] | None = None
    server_types: list[str] = field(default_factory=list)
    hooks: list[Hooks] = field(default_factory=list)
    _components: dict[tuple[Any, str, str], Component] = field(default_factory=dict)

    def add(self, component: Component) -> None:
        """Note a component.

        Raises:
            ConfigError: another one of that server type has the same service name.
        """
        key = (component.base, component.server_type, component.service)
        other = self._components.setdefault(key, component)
        if other is not component:
            raise mistake_in(
                component.cls,
                f"{component.server_type}.{component.service} is"
                f" {other.cls.__name__} in {other.file}:{other.line} already",
                "Give one of the classes another name",
            )

    def complete(self, server_types: Iterable[str]) -> Catalogue:
        """A copy in which what is for every server type is there for each of these.

        Raises:
            ConfigError: two components have one service name then.
        """
        found = replace(
            self,
            folders=list(self.folders),
            server_types=list(self.server_types),
            hooks=list(self.hooks),
            _components={},
        )
        for component in self._components.values():
            types = server_types if component.server_type == EVERY_TYPE else [component.server_type]
            for server_type in types:
                found.add(replace(component, server_type=server_type))
        return found

    def handlers(self, server_type: str | None = None) -> Iterator[Component]:
        """The handlers of one server type, or of all."""
        return self._of(IHandler, server_type)

    def remotes(self, server_type: str | None = None) -> Iterator[Component]:
        """The remotes of one server type, or of all."""
        return self._of(IRemote, server_type)

    def crons(self, server_type: str | None = None) -> Iterator[Component]:
        """The crons of one server type, or of all."""
        return self._of(ICron, server_type)

    def hooks_of(self, server_type: str) -> list[Hooks]:
        """The hooks of a server type, in the order in which they are called at start."""
        return [
            *(hooks for hooks in self.hooks if hooks.server_type == EVERY_TYPE),
            *(hooks for hooks in self.hooks if hooks.server_type == server_type),
        ]

    def _of(self, base: Any, server_type: str | None) -> Iterator[Component]:
        for component in self._components.values():
            if component.base is base and server_type in (None, component.server_type):
                yield component
