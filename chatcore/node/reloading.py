"""Handlers and remotes that are loaded anew when their files change, while one develops."""

from __future__ import annotations

import importlib
import os
import sys
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

from chatcore.application import Application
from chatcore.config.servers import Servers
from chatcore.dispatch.blame import blamed, guarded
from chatcore.dispatch.components import EVERY_TYPE, Catalogue, Component
from chatcore.dispatch.dispatcher import Dispatcher
from chatcore.dispatch.loading import SERVERS, forget, load_anew
from chatcore.errors import ConfigError
from chatcore.links.rpc import Remotes
from chatcore.node.installing import Made, make, places_of

LOADING = "loading anew"

Declared = dict[tuple[str, str], tuple[Component, object]]
"""What may be called: by kind and name, the component and what is said of the method."""


class Reloading:
    """Puts new handlers and remotes in the place of those of a node.

    Components, hooks, crons and filters stay, and so do all modules that are not in the folders of
    the node's type and of every type. Requests that are under way end with the old instances.

    Args:
        catalogue: the components of the node, with those of plugins.
        servers: all there are.
        app: what handlers and remotes are made with.
        dispatcher: calls them.
        remotes: what the node knows of remotes.
    """

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        servers: Servers,
        app: Application,
        dispatcher: Dispatcher,
        remotes: Remotes,
    ) -> None:
        self._first = catalogue
        self._types = list(dict.fromkeys([*servers.types, *catalogue.server_types]))
        self._places = [app.server_type, EVERY_TYPE]
        self._app, self._dispatcher, self._remotes = app, dispatcher, remotes
        inside = f"{catalogue.package}.{SERVERS}."
        self._declared = {
            key: said
            for key, said in _declared(catalogue).items()
            if said[0].cls.__module__.startswith(inside)
        }
        self._loaded: list[tuple[str, list[weakref.ref[Any]]]] = []

    def files(self) -> list[Path]:
        """The files that are looked at."""
        return [
            Path(folder, name)
            for place in self._places
            for folder, _, names in os.walk(self._first.folder / SERVERS / place)
            for name in names
            if name.endswith(".py") and not name.startswith(".")
        ]

    def load(self) -> None:
        """Load the handlers and remotes anew.

        Raises:
            ConfigError: they have a mistake, or declare something else than at start; those that
                were there before stay.
        """
        folder = self._first.folder
        try:
            guarded(self._load, folder=folder, doing=LOADING)
        except SystemExit as problem:
            raise blamed(problem, [folder], LOADING, (folder, None)) from problem

    def _load(self) -> None:
        with _sources_only(self.files()):
            loaded = load_anew(self._first, self._places)
        try:
            complete = loaded.complete(self._types)
            self._refuse_differences(_declared(complete))
            made = make(complete, self._app)
        except BaseException:
            forget(loaded.package)
            raise
        made.put_into(self._dispatcher)
        self._remotes.know_by_name(places_of(complete))
        self._loaded.append((loaded.package, _weak(made)))
        del made
        self._forget_unused()

    def _refuse_differences(self, found: Declared) -> None:
        """Hold what was loaded to what clients and other nodes were told at start."""
        for key in [*self._declared, *found]:
            before, now = self._declared.get(key), found.get(key)
            if before is None or now is None:
                how = "is new" if before is None else "is gone"
            elif before[1] != now[1]:
                how = "is declared differently"
            else:
                continue
            component, _ = found.get(key) or self._declared[key]
            raise ConfigError(
                f"the {key[0]} {key[1]} {how}, and what there is was told to others at start",
                file=component.file,
                line=component.line,
                advice="Start the servers anew",
            )

    def _forget_unused(self) -> None:
        """Drop what was loaded and has been replaced, if no request needs it any more."""
        *replaced, newest = self._loaded
        self._loaded = []
        for package, instances in replaced:
            if any(instance() is not None for instance in instances):
                self._loaded.append((package, instances))
            else:
                forget(package)
        self._loaded.append(newest)


def _declared(catalogue: Catalogue) -> Declared:
    found: Declared = {}
    kinds = {"handler": catalogue.handlers(), "remote": catalogue.remotes()}
    for kind, components in kinds.items():
        for component in components:
            for method in component.methods.values():
                access = method.access and (method.access.who, method.access.through)
                said = (method.fingerprint, method.idempotent, access)
                name = f"{component.server_type}.{component.service}.{method.name}"
                found[kind, name] = (component, said)
    return found


def _weak(made: Made) -> list[weakref.ref[Any]]:
    found = []
    for instance in made.instances:
        with suppress(TypeError):  # its class has slots, and no place for that
            found.append(weakref.ref(instance))
    return found


@contextmanager
def _sources_only(files: Sequence[Path]) -> Iterator[None]:
    """Have files imported as they are now.

    What Python keeps of a compiled file counts as good while its size and the second of its last
    change are the same, which they may be after a change.
    """
    importlib.invalidate_caches()
    for file in files:
        with suppress(OSError):
            os.unlink(cache_from_source(file))
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
