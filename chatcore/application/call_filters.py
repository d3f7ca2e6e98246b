"""Checking filters of calls: ``app.rpc_filter`` and ``app.remote_filter``."""

from __future__ import annotations

import difflib
from typing import Any, Final

from chatcore.application.checks import wrong
from chatcore.dispatch.blame import Place
from chatcore.dispatch.filters import ReadyMade
from chatcore.hooks import takes

HOOKS: Final = {"before": ("call",), "after": ("call", "result", "problem")}
"""What a filter of calls may have, and what it is called with."""


def verify_filter(filter: Any, called: str, place: Place) -> None:
    """Check what the application gave as a filter of calls.

    Args:
        called: what it gave it to, as in ``rpc_filter``.
        place: where.

    Raises:
        ConfigError: it is none.
    """
    if isinstance(filter, type):
        name = filter.__name__
        raise wrong(f"{called} got the class {name}", place, f"Make one: {name}()")
    if isinstance(filter, ReadyMade) and not filter.for_calls:
        raise wrong(f"{called} got {filter!r}, which is for clients' requests", place)
    hooks = {name: getattr(filter, name, None) for name in HOOKS}
    if all(hook is None for hook in hooks.values()):
        near = [m for name in hooks for m in difflib.get_close_matches(name, dir(filter), 1)]
        raise wrong(
            f"{called} got {filter!r}, which has neither before nor after",
            place,
            f"Is {near[0]} one of them?" if near else "Give it before(call) or after(…)",
        )
    for name, hook in hooks.items():
        if hook is not None and not (callable(hook) and takes(hook, *HOOKS[name]) is None):
            expected = ", ".join(HOOKS[name])
            raise wrong(
                f"{called} got {filter!r}, whose {name} can't be called with ({expected})", place
            )
