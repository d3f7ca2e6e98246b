"""Registering filters and error handlers in ``configure(app)``."""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from chatcore.dispatch.filters import FilterHooks, ReadyMade
from chatcore.errors import ConfigError
from chatcore.hooks import takes
from chatcore.interfaces import After, Before, ErrorHandler

F = TypeVar("F", bound=Callable[..., Any])

_BEFORE = ("request",)
_AFTER = ("request", "reply", "problem")
_ERROR_HANDLER = ("problem", "request")
_METHODS = {"before": _BEFORE, "after": _AFTER}
_NEAR = 0.8
"""How much a method's name has to look like one that a filter has to pass for a misspelt one."""


class Filtering:
    """The part of `Configurator` that registers filters and error handlers.

    Attributes:
        inner_filters: those of the server that runs the handler.
        outer_filters: those around everything on a frontend.
        ready_made: the filters among them that need something of the node.
    """

    def __init__(self) -> None:
        self.inner_filters, self.outer_filters = FilterHooks(), FilterHooks()
        self.ready_made: list[ReadyMade] = []

    def before(self, function: Before) -> Before:
        self.inner_filters.before.append(_verified(function, "before", _BEFORE))
        return function

    def after(self, function: After) -> After:
        self.inner_filters.after.insert(0, _verified(function, "after", _AFTER))
        return function

    def filter(self, filter: Any) -> None:
        self._add(filter, self.inner_filters, "filter")

    def error_handler(self, function: ErrorHandler) -> ErrorHandler:
        former = self.inner_filters.error_handler
        self.inner_filters.error_handler = _only(function, "error_handler", former)
        return function

    def global_before(self, function: Before) -> Before:
        self.outer_filters.before.append(_verified(function, "global_before", _BEFORE))
        return function

    def global_after(self, function: After) -> After:
        self.outer_filters.after.insert(0, _verified(function, "global_after", _AFTER))
        return function

    def global_filter(self, filter: Any) -> None:
        self._add(filter, self.outer_filters, "global_filter")

    def global_error_handler(self, function: ErrorHandler) -> ErrorHandler:
        former = self.outer_filters.error_handler
        self.outer_filters.error_handler = _only(function, "global_error_handler", former)
        return function

    def _add(self, filter: Any, hooks: FilterHooks, called: str) -> None:
        _verify_filter(filter, called)
        if isinstance(filter, ReadyMade):
            if filter in self.ready_made and not filter.for_calls:
                _wrong(f"{called} got {_shown(filter)} a second time", "Make another one")
            if filter not in self.ready_made:
                self.ready_made.append(filter)
        if hasattr(filter, "before"):
            hooks.before.append(filter.before)
        if hasattr(filter, "after"):
            hooks.after.insert(0, filter.after)


def _wrong(problem: str, advice: str | None = None) -> NoReturn:
    """Raise what is wrong, at the line of the application that called."""
    frame = sys._getframe(1)
    while frame.f_globals["__name__"] == __name__ and frame.f_back is not None:
        frame = frame.f_back
    file, line = frame.f_code.co_filename, frame.f_lineno
    raise ConfigError(problem, file=file, line=line, advice=advice)


def _verified(function: F, called: str, arguments: tuple[str, ...]) -> F:
    if not callable(function):
        has = any(hasattr(function, each) for each in ("before", "after"))
        instead = called.replace("before", "filter").replace("after", "filter")
        advice = f"Write app.{instead}(…)" if has else None
        _wrong(f"{called} got {function!r}, not a function", advice)
    _verify_arguments(function, f"what {called} got", arguments)
    return function


def _only(function: F, called: str, former: object) -> F:
    if former is not None:
        _wrong(f"{called} was called before", "Keep one of the two")
    return _verified(function, called, _ERROR_HANDLER)


def _shown(filter: Any) -> str:
    """A filter, for a message: by its class, where it does not say what it is."""
    plain = "__repr__" not in {name for cls in type(filter).__mro__[:-1] for name in vars(cls)}
    return type(filter).__name__ if plain else repr(filter)


def _verify_filter(filter: Any, called: str) -> None:
    if inspect.isclass(filter):
        _wrong(f"{called} got the class {filter.__name__}", f"Write {filter.__name__}()")
    names = [name for name in dir(filter) if not name.startswith("_") and name not in _METHODS]
    for name in names:
        meant = difflib.get_close_matches(name, _METHODS, 1, _NEAR)
        if meant and callable(getattr(filter, name)):
            problem = f"{called} got {_shown(filter)}, which has a method {name}"
            _wrong(problem, f"Did you mean {meant[0]}?")
    found = [name for name in _METHODS if hasattr(filter, name)]
    if not found:
        advice = f"Write app.{called.replace('filter', 'before')}(…)" if callable(filter) else None
        _wrong(f"{called} got {_shown(filter)}, which has neither before nor after", advice)
    for name in found:
        method = getattr(filter, name)
        if not callable(method):
            _wrong(f"{name} of {_shown(filter)} is {method!r}, not a method")
        _verify_arguments(method, f"{name} of {_shown(filter)}", _METHODS[name])


def _verify_arguments(function: Callable[..., Any], what: str, arguments: tuple[str, ...]) -> None:
    if takes(function, *arguments) is not None:
        _wrong(f"{what} can't be called with ({', '.join(arguments)})")
