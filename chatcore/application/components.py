"""The components that an application adds to a server with ``app.load``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from chatcore.application.checks import name_of, wrong
from chatcore.config.names import suggestion
from chatcore.config.settings import Settings
from chatcore.dispatch.blame import Place, guarded
from chatcore.hooks import takes

T = TypeVar("T")

STAGES: Final = ("start", "after_start", "stop")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """A component that is to be made.

    Attributes:
        settings: the dataclass that declares its settings, if it has any.
        options: further arguments of the factory, where it has no settings.
        place: where ``app.load`` was called.
    """

    name: str
    factory: Callable[..., Any]
    settings: type | None
    options: Mapping[str, Any]
    place: Place


def loading_of(factory: Any, name: str | None, options: Mapping[str, Any], place: Place) -> Loading:
    """Check what ``app.load`` was given.

    Raises:
        ConfigError: the component can't be made that way.
    """
    if not callable(factory):
        raise wrong(f"{factory!r} can't be loaded: it is not a class or function", place)
    if inspect.iscoroutinefunction(factory):
        raise wrong(
            f"{factory.__name__} can't be loaded: it is async, and a component is made at once",
            place,
            "What has to wait goes into the component's start",
        )
    found = name_of(factory, name, "component", place)
    settings = getattr(factory, "settings", None)
    if not isinstance(settings, type):
        settings = None
    given = {"settings": None} if settings is not None else dict(options)
    problem = takes(factory, None, **given)
    if problem is not None:
        shown = ", ".join(["app", *(f"{key}=…" for key in given)])
        raise wrong(f"the component '{found}' can't be made with ({shown}): {problem}", place)
    for stage in STAGES:
        _verify_stage(factory, found, stage, place)
    return Loading(name=found, factory=factory, settings=settings, options=options, place=place)


def _verify_stage(factory: Any, name: str, stage: str, place: Place) -> None:
    method = getattr(factory, stage, None) if isinstance(factory, type) else None
    if method is None:
        return
    if not callable(method):
        raise wrong(f"{stage} of the component '{name}' is {method!r}, not a method", place)
    problem = takes(method, None)
    if problem is not None:
        raise wrong(f"{stage} of the component '{name}' takes more than self", place)


class Components(Mapping[str, Any]):
    """The components of a server by name, in the order in which they were loaded."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[Any, Loading]] = {}

    def make(self, loadings: Sequence[Loading], app: Any, settings: Settings, folder: Path) -> None:
        """Make them all, each with what it was declared with.

        Raises:
            ConfigError: a factory raised.
        """
        for loading in loadings:
            given = dict(loading.options)
            if loading.settings is not None:
                given = {"settings": settings[loading.settings]}
            made = guarded(
                partial(loading.factory, **given),
                app,
                folder=folder,
                doing=f"making the component '{loading.name}'",
                place=loading.place,
            )
            if made is None:
                problem = f"what makes the component '{loading.name}' returned nothing"
                raise wrong(problem, loading.place, "Return what it made")
            self._made[loading.name] = made, loading

    def __getitem__(self, name: str) -> Any:
        try:
            return self._made[name][0]
        except KeyError:
            raise KeyError(f"no component {name!r}. {self._advice(name)}") from None

    def _advice(self, name: object) -> str:
        return suggestion(str(name), self._made, "components of this server")

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)

    def place(self, name: str) -> Place:
        """Where a component was loaded."""
        return self._made[name][1].place

    def of(self, kind: type[T]) -> T:
        """The one component of a class, or that provides an interface.

        Raises:
            LookupError: there is none, or there are several.
        """
        provided = getattr(kind, "providedBy", lambda made: isinstance(made, kind))
        found = [name for name, made in self.items() if provided(made)]
        if len(found) == 1:
            one: T = self[found[0]]
            return one
        called = getattr(kind, "__name__", kind)
        if not found:
            raise LookupError(f"this server has no component {called}; load it in app.py")
        raise LookupError(f"{', '.join(found)} are all {called}; take one by name")
