"""Importing an application and finding its components.

The folder becomes a package of its own, under a name that nothing else has: nothing is put on
``sys.path``, and several applications live in one process without noticing each other.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import itertools
import re
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from zope.interface import implementedBy

from chatcore.dispatch.blame import guarded, mistake_in
from chatcore.dispatch.components import EVERY_TYPE, Catalogue, Component
from chatcore.dispatch.hooks import hooks_in
from chatcore.dispatch.verify import component_of
from chatcore.errors import ConfigError
from chatcore.hooks import takes
from chatcore.interfaces import ICron, IHandler, IRemote

_numbers = itertools.count(1)

KINDS: dict[str, Any] = {"handlers": IHandler, "remotes": IRemote, "crons": ICron}

SERVERS = "servers"
LIFECYCLE = "lifecycle"
MISSPELT = 0.85
"""How much alike the name of a file and that of another are, if one was meant to be the other."""


def load_application(folder: Path) -> Catalogue:
    """Import an application and verify all of its components, of every server type.

    Raises:
        ConfigError: something in it can't be imported, or does not do what it declares.
    """
    package = _package(folder)
    catalogue = Catalogue(folder, package)
    if (folder / "app.py").is_file():
        app = _import(f"{package}.app", folder)
        configure = getattr(app, "configure", None)
        if configure is None:
            _refuse_near_configure(app)
        elif not callable(configure):
            raise ConfigError("configure is not a function", file=folder / "app.py")
        elif inspect.iscoroutinefunction(configure):
            raise mistake_in(configure, "configure must not be async", "Write it as a plain def")
        elif takes(configure, None) is not None:
            raise mistake_in(
                configure, "configure can't be called with (app)", "Write def configure(app):"
            )
        catalogue.configure = configure
    _load_servers(catalogue, package, folder, catalogue.server_types)
    return catalogue


def load_anew(first: Catalogue, places: Collection[str]) -> Catalogue:
    """Import some folders of an application's ``servers`` again, and verify its components.

    Of all else there is what was imported before, so that no class of it exists twice.

    Args:
        first: the application, as it was imported when it started.
        places: the names of the folders.

    Raises:
        ConfigError: something in it can't be imported, or does not do what it declares; nothing of
            the attempt is left.
    """
    package = _package_anew(first, places)
    catalogue = Catalogue(first.folder, package)
    try:
        _load_servers(catalogue, package, first.folder, catalogue.server_types)
    except BaseException:
        forget(package)
        raise
    return catalogue


def forget(package: str) -> None:
    """Drop a package that nobody uses, and all that is in it."""
    for name in list(sys.modules):
        if name == package or name.startswith(f"{package}."):
            del sys.modules[name]


def load_plugin(catalogue: Catalogue, folder: Path, package: str | None) -> None:
    """Import and verify the components of a plugin, which go into the application's catalogue.

    Args:
        folder: the plugin's, laid out like an application.
        package: the name that it is imported under; None where it has none.

    Raises:
        ConfigError: something in it is wrong, or a service name is taken.
    """
    catalogue.folders.append(folder)
    _load_servers(catalogue, package or _package(folder), folder, [])


def _load_servers(
    catalogue: Catalogue, package: str, folder: Path, server_types: list[str]
) -> None:
    servers = folder / SERVERS
    if not servers.is_dir():
        return
    for place in sorted(servers.iterdir()):
        if not place.is_dir() or place.name.startswith((".", "_")):
            continue
        if place.name != EVERY_TYPE:
            server_types.append(place.name)
        _refuse_unread(place)
        for kind, base in KINDS.items():
            if _has(place, kind):
                module = _import(f"{package}.{SERVERS}.{place.name}.{kind}", folder)
                for cls in _classes(module, folder):
                    if _is_component(cls, base, kind):
                        catalogue.add(component_of(cls, base, place.name))
        if _has(place, LIFECYCLE):
            module = _import(f"{package}.{SERVERS}.{place.name}.{LIFECYCLE}", folder)
            catalogue.hooks.append(hooks_in(module, place.name))


def instantiate(component: Component, app: object, folder: Path) -> object:
    """Make the component: its class is called with the application as its one argument.

    Raises:
        ConfigError: it raised.
    """
    place = (component.file or folder, component.line)
    doing = f"{component.cls.__name__}(app)"
    advice = None if takes(component.cls, None) is None else "Give it def __init__(self, app)"
    return guarded(component.cls, app, folder=folder, doing=doing, place=place, advice=advice)


def _refuse_near_configure(app: ModuleType) -> None:
    """Refuse a function that seems to be ``configure``, under a name that nobody calls."""
    functions = {
        name: value
        for name, value in vars(app).items()
        if inspect.isfunction(value) and value.__module__ == app.__name__ and name[0] != "_"
    }
    for near in difflib.get_close_matches("configure", functions, 1, 0.8):
        raise mistake_in(
            functions[near], "app.py defines no configure(app)", f"Did you mean {near}?"
        )


def _has(place: Path, kind: str) -> bool:
    return (place / f"{kind}.py").is_file() or (place / kind).is_dir()


def _refuse_unread(place: Path) -> None:
    """Refuse what seems to be meant to be imported from a server type's folder, and is not."""
    known = [*KINDS, LIFECYCLE]
    entries = sorted(each for each in place.glob("[!_.]*") if _holds_code(each))
    for entry in entries:
        if entry.stem in known:
            continue
        for near in difflib.get_close_matches(entry.stem.lower(), known, 1, MISSPELT):
            raise ConfigError(
                f"nobody reads {entry.name}",
                file=entry,
                advice=f"Is it {near}{entry.suffix}? If it helps others, call it _{entry.name}",
            )
    if entries and not any(_has(place, each) for each in known):
        raise ConfigError(
            f"servers/{place.name} has no handlers.py, remotes.py, crons.py or lifecycle.py",
            file=place,
            advice=f"Is it {entries[0].name}?",
        )


def _holds_code(entry: Path) -> bool:
    """Whether there is something that could be meant to be imported, as by Pomelo."""
    if entry.is_dir():
        return any(file.suffix in (".py", ".js") for file in entry.iterdir())
    return entry.suffix == ".py"


def _new_name(folder: Path) -> str:
    return f"chatcore_application_{next(_numbers)}_{re.sub(r'[^0-9A-Za-z_]', '_', folder.name)}"


def _package_anew(first: Catalogue, places: Collection[str]) -> str:
    name = _new_name(first.folder)
    module = ModuleType(name)
    for key, value in vars(sys.modules[first.package]).items():
        if not key.startswith("__") and key != SERVERS:
            setattr(module, key, value)
    module.__path__ = [str(first.folder)]
    sys.modules[name] = module
    for old, same in list(sys.modules.items()):
        package, _, rest = old.partition(".")
        inside = rest.split(".")
        anew = inside[0] == SERVERS and (len(inside) == 1 or inside[1] in places)
        if package == first.package and rest and not anew:
            sys.modules[f"{name}.{rest}"] = same
    return name


def _package(folder: Path) -> str:
    name = _new_name(folder)
    init = folder / "__init__.py"
    if init.is_file():
        spec = importlib.util.spec_from_file_location(
            name, init, submodule_search_locations=[str(folder)]
        )
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        guarded(spec.loader.exec_module, module, folder=folder, doing="importing __init__.py")
    else:
        module = ModuleType(name)
        module.__path__ = [str(folder)]
        sys.modules[name] = module
    return name


def _import(name: str, folder: Path) -> ModuleType:
    doing = f"importing {name.partition('.')[2]}"
    module = guarded(importlib.import_module, name, folder=folder, doing=doing)
    assert isinstance(module, ModuleType)
    return module


def _classes(module: ModuleType, folder: Path) -> Iterator[type]:
    """The classes that are defined in a module, or in a package's modules, in their order."""
    modules = [module]
    for path in getattr(module, "__path__", ()):
        for file in sorted(Path(path).glob("[!_]*.py")):
            modules.append(_import(f"{module.__name__}.{file.stem}", folder))
    for each in modules:
        found = [value for value in vars(each).values() if inspect.isclass(value)]
        for cls in dict.fromkeys(found):  # a class may have a second name
            if cls.__module__ == each.__name__:
                yield cls


def _is_component(cls: type, base: Any, kind: str) -> bool:
    if isinstance(cls, type(base)):
        return False  # an interface
    if any(interface.extends(base) for interface in implementedBy(cls)):
        return True
    for other, other_base in KINDS.items():
        if any(interface.extends(other_base) for interface in implementedBy(cls)):
            raise mistake_in(
                cls,
                f"class {cls.__name__} is among the {kind}, and nobody could call it there",
                f"Move it to {other}.py",
            )
    suffix = kind.removesuffix("s").capitalize()
    if cls.__name__.endswith(suffix) and not cls.__name__.startswith("_"):
        raise mistake_in(
            cls,
            f"class {cls.__name__} implements no interface derived from I{suffix}",
            "Declare one and put @implementer on the class,"
            " or begin its name with an underscore if nobody is to call it",
        )
    return False
