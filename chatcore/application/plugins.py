"""The plugins that an application uses: ``app.use``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from chatcore.application.checks import name_of, wrong
from chatcore.dispatch.blame import Place
from chatcore.hooks import takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """A plugin of an application.

    Attributes:
        folder: laid out like an application's; None where it brings none.
        code: where its code is.
        package: the name that the folder is imported under; None where it has none yet.
        settings: the dataclass that declares its settings, if it has any.
        configure: called with the configurator.
        options: further arguments of ``configure``, where it has no settings.
        place: where ``app.use`` was called.
    """

    name: str
    folder: Path | None
    code: Path
    package: str | None
    settings: type | None
    configure: Callable[..., Any] | None
    options: Mapping[str, Any]
    place: Place


def used(plugin: Any, options: Mapping[str, Any], place: Place) -> Used:
    """Check what ``app.use`` was given.

    Raises:
        ConfigError: it is no plugin.
    """
    if isinstance(plugin, type):
        raise wrong(
            f"{plugin.__name__} is a class, where a plugin was expected",
            place,
            f"Write app.use({plugin.__name__}())",
        )
    name = name_of(plugin, None, "plugin", place)
    configure = getattr(plugin, "configure", None)
    folder = _folder_of(plugin, name, place)
    if configure is None and isinstance(plugin, ModuleType):
        _refuse_holder(plugin, place)
    if configure is None and folder is None:
        raise wrong(
            f"the plugin '{name}' has neither configure nor folder",
            place,
            "Give it a method configure(app), or make it a package with a folder servers",
        )
    settings = getattr(plugin, "settings", None)
    if not isinstance(settings, type):
        settings = None
    given = {} if settings is not None else dict(options)
    if configure is None and given:
        raise wrong(f"the plugin '{name}' takes no options", place)
    if configure is not None:
        if not callable(configure):
            raise wrong(f"configure of the plugin '{name}' is {configure!r}", place)
        problem = takes(configure, None, **given)
        if problem is not None:
            shown = ", ".join(["app", *(f"{key}=…" for key in given)])
            raise wrong(f"the plugin '{name}' can't be configured with ({shown}): {problem}", place)
    return Used(
        name=name,
        folder=folder,
        code=folder or Path(getattr(_module_of(plugin), "__file__", None) or place[0]),
        package=None if folder is None else _package_of(plugin, folder),
        settings=settings,
        configure=configure,
        options=given,
        place=place,
    )


def _refuse_holder(module: ModuleType, place: Place) -> None:
    """Refuse a module that was given instead of the plugin that it defines."""
    for name, value in vars(module).items():
        if isinstance(value, type) and callable(getattr(value, "configure", None)):
            last = module.__name__.rpartition(".")[2]
            raise wrong(
                f"the module {last} has no configure", place, f"Is it app.use({last}.{name}())?"
            )


def _module_of(plugin: Any) -> ModuleType | None:
    if isinstance(plugin, ModuleType):
        return plugin
    return sys.modules.get(type(plugin).__module__)


def _folder_of(plugin: Any, name: str, place: Place) -> Path | None:
    folder = getattr(plugin, "folder", None)
    if folder is None:
        if not isinstance(plugin, ModuleType) or not hasattr(plugin, "__path__"):
            return None
        folder = next((each for each in plugin.__path__ if (Path(each) / "servers").is_dir()), None)
        return None if folder is None else Path(folder)
    try:
        found = Path(folder)
    except TypeError:
        raise wrong(f"the folder of the plugin '{name}' is {folder!r}", place) from None
    if not found.is_dir():
        raise wrong(f"the folder {found} of the plugin '{name}' does not exist", place)
    return found


def _package_of(plugin: Any, folder: Path) -> str | None:
    """The package that the folder is already; its interfaces must not exist twice."""
    module = _module_of(plugin)
    name = getattr(module, "__package__", None) or ""
    package = sys.modules.get(name)
    for path in getattr(package, "__path__", ()):
        if Path(path).resolve() == folder.resolve():
            return name
    return None
