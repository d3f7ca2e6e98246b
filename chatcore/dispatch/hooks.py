"""``lifecycle.py`` of a server type: what the application does when a server starts and stops."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from chatcore.config.names import suggestion
from chatcore.dispatch.blame import mistake_in
from chatcore.errors import ConfigError

HOOKS: Final = ("before_startup", "after_startup", "before_shutdown", "after_start_all")
"""The functions that ``lifecycle.py`` may define, each called with ``app``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """The hooks of one ``lifecycle.py``.

    Attributes:
        server_type: whose they are; ``all`` for those of every type.
        functions: the hooks by name.
    """

    server_type: str
    functions: Mapping[str, Callable[[Any], Any]]


def hooks_in(module: ModuleType, server_type: str) -> Hooks:
    """The hooks that a module defines.

    Raises:
        ConfigError: one can't be called with ``app``, or a function has another name.
    """
    functions = {}
    for name, value in vars(module).items():
        if name in HOOKS:
            _verify(name, value, module)
            functions[name] = value
        elif (
            inspect.isfunction(value)
            and value.__module__ == module.__name__
            and not name.startswith("_")
        ):
            advice = suggestion(name, HOOKS, "hooks")
            raise mistake_in(
                value,
                f"lifecycle.py has a function {name}, which nobody calls",
                f"{advice}; names of helpers begin with an underscore",
            )
    return Hooks(server_type=server_type, functions=functions)


def _verify(name: str, value: Any, module: ModuleType) -> None:
    if not callable(value):
        raise ConfigError(f"{name} is {value!r}, not a function", file=module.__file__)
    try:
        inspect.signature(value).bind(None)
    except TypeError:
        raise mistake_in(
            value, f"{name} can't be called with app", f"Write def {name}(app)"
        ) from None
    except ValueError:
        return  # it has no signature to know it from
