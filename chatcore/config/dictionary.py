"""``dictionary.json``: routes beside those of handlers that get a code of two bytes.

It is a list of routes, of pushes for the most part: ``["onChat", "onAdd"]``. The first of these
two places of the application folder that exists is read, unless a setting names another file:

1. ``config/<environment>/dictionary.json``
2. ``config/dictionary.json``
"""

from __future__ import annotations

from pathlib import Path

from chatcore.config.positions import find_json
from chatcore.errors import ConfigError

MOST_ROUTES = 0xFFFF
LONGEST_ROUTE = 255
FILE = "dictionary.json"


def load_routes(app: Path, env: str, handlers: int = 0, *, file: str = "") -> list[str]:
    """Read the routes of ``dictionary.json``; none, where there is no such file.

    Args:
        app: the application folder.
        env: the environment, as in ``development``.
        handlers: how many routes the handlers have; they come first.
        file: the file that is to be read instead, if any.

    Raises:
        ConfigError: for the first mistake found, with file, line and column.
    """
    if handlers > MOST_ROUTES:
        raise ConfigError(
            f"the handlers have {handlers} methods",
            advice=f"A dictionary holds {MOST_ROUTES} routes: turn it off",
        )
    document = find_json(app, env, FILE, file)
    if document is None:
        return []
    if not isinstance(document.value, list):
        raise document.error(
            "expected a list of routes", advice='Write ["onChat", …], without environments'
        )
    for index, route in enumerate(document.value):
        if not isinstance(route, str):
            raise document.error("expected a route, which is a text", (index,))
        if not route or route == "__proto__":
            raise document.error(f"'{route}' can't be a route", (index,))
        if len(route.encode()) > LONGEST_ROUTE:
            raise document.error(f"a route of more than {LONGEST_ROUTE} bytes", (index,))
        if handlers + index == MOST_ROUTES:
            raise document.error(
                f"the route {index + 1} of this file, after {handlers} of handlers, has no code",
                (index,),
                advice=f"A dictionary holds {MOST_ROUTES} routes",
            )
    return list(document.value)
