"""Which clients may call which routes, as the handlers' interfaces say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial

from chatcore.config.names import listing, suggestion
from chatcore.config.servers import Servers
from chatcore.dispatch.components import Catalogue, Component
from chatcore.errors import ConfigError
from chatcore.interfaces.access import Access

Rule = Callable[[str | None], str | None]
"""Given the uid of a client's session, why that client may not call a route; None if it may."""


def verify_access(catalogue: Catalogue, servers: Servers) -> None:
    """Check the server types that handlers' interfaces name.

    Raises:
        ConfigError: there is no such server type, or clients can't connect to its servers.
    """
    types = list(dict.fromkeys([*servers.types, *catalogue.server_types]))
    for component in catalogue.handlers():
        for method in component.methods.values():
            if method.access is not None:
                _verify(method.access, f"{component.cls.__name__}.{method.name}", types, servers)


def rules(
    handlers: Iterable[Component], frontend_type: str, frontends: Collection[str]
) -> dict[str, Rule]:
    """The rules of all routes that not everyone may call through a frontend of a type.

    What another type of frontend answers is for the clients of that one, unless it says otherwise:
    who is connected to a gate has no business with a connector, and Pomelo refuses it too.

    Args:
        frontends: the server types that clients connect to.
    """
    found = {}
    for component in handlers:
        foreign = component.server_type != frontend_type and component.server_type in frontends
        for method in component.methods.values():
            said = method.access or Access()
            if foreign and not said.through:
                rule: Rule | None = partial(
                    _never, f"only {component.server_type}'s own clients may"
                )
            else:
                rule = _rule(said, frontend_type)
            if rule is not None:
                found[f"{component.server_type}.{component.service}.{method.name}"] = rule
    return found


def _verify(said: Access, method: str, types: list[str], servers: Servers) -> None:
    for each in said.through or ():
        problem = advice = None
        listed = servers.of_type(each) if each in servers.types else []
        if each not in types:
            problem = f"there is no server type {each!r}"
            advice = suggestion(each, types, "server types")
        elif listed and not any(server.frontend for server in listed):
            problem = f"{each} is no frontend: clients don't connect to it"
            frontends = list(dict.fromkeys(s.type for s in servers if s.frontend))
            advice = f"The frontends are {listing(frontends)}" if frontends else None
        if problem is not None:
            raise ConfigError(
                f"{method} is to be called through {each}, but {problem}",
                file=said.file,
                line=said.line,
                advice=advice,
            )


def _rule(said: Access, frontend_type: str) -> Rule | None:
    if said.who == "nobody":
        return partial(_never, "nobody may call it")
    if said.through and frontend_type not in said.through:
        return partial(_never, f"it may be called through {listing(said.through)} only")
    return {"bound": _bound, "unbound": _unbound}.get(said.who or "anyone")


def _never(why: str, uid: str | None) -> str | None:
    return why


def _bound(uid: str | None) -> str | None:
    return "only who is bound may call it" if uid is None else None


def _unbound(uid: str | None) -> str | None:
    return None if uid is None else "who is bound already may not call it"
