"""What a node's handlers and remotes declare, as those who look are told."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from chatcore.dispatch.components import Catalogue, Component, Method, lasting
from chatcore.inspector.redaction import HIDDEN, Redaction
from chatcore.node.looking.looked_at import ILookedAt

LONGEST_DOC = 4000
"""Characters of a docstring that are told."""

Found = Callable[..., Iterator[Component]]


class Remotes:
    """Tells of the remotes that a node serves, and as what it knows those of others.

    Args:
        node: that node.
    """

    def __init__(self, node: ILookedAt) -> None:
        self._node = node
        self._told: dict[str, Any] | None = None

    def __call__(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The same each time: nothing is declared while a node runs."""
        if self._told is None:
            node = self._node
            self._told = {
                **_told(node.catalogue, node.server.type, node.catalogue.remotes, _remote),
                "own": {
                    name: list(signature.parameters)
                    for name, signature in node.dispatcher.own_remotes()
                },
            }
        return self._told


class Handlers:
    """Tells of the handlers that a node has, and as what it knows those of others.

    Args:
        node: that node.
    """

    def __init__(self, node: ILookedAt) -> None:
        self._node = node
        self._told: dict[str, Any] | None = None

    def __call__(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The same each time: nothing is declared while a node runs."""
        if self._told is None:
            node = self._node
            rules = _rules_of(node)
            self._told = _told(node.catalogue, node.server.type, node.catalogue.handlers, rules)
        return self._told


def _told(
    catalogue: Catalogue,
    server_type: str,
    found: Found,
    rules: Callable[[str, Method], dict[str, Any]],
) -> dict[str, Any]:
    """What a node serves and what it knows of others, in JSON's types.

    Args:
        rules: what is said of a method of a server type besides.
    """
    return {
        "type": server_type,
        "services": [
            {
                "service": each.service,
                "class": each.cls.__name__,
                "interfaces": [interface.__name__ for interface in each.interfaces],
                "file": _place(catalogue, each.file),
                "line": each.line,
                "methods": [
                    {
                        **_method(catalogue, each, method),
                        **rules(server_type, method),
                    }
                    for method in each.methods.values()
                ],
            }
            for each in found(server_type)
        ],
        "elsewhere": {
            _route(each, method): {
                "declared": declared(method),
                "fingerprint": method.fingerprint,
                **rules(each.server_type, method),
            }
            for each in found()
            if each.server_type != server_type
            for method in each.methods.values()
        },
    }


def declared(method: Method) -> str:
    """A method as it is declared: ``add(uid: str, sid: str) -> list[str]``."""
    signature = method.signature
    arguments = ", ".join(map(_argument, signature.parameters.values()))
    answer = signature.return_annotation
    returns = "" if answer is inspect.Signature.empty else f" -> {_annotation(answer)}"
    return f"{method.name}({arguments}){returns}"


def _method(catalogue: Catalogue, component: Component, method: Method) -> dict[str, Any]:
    return {
        "route": _route(component, method),
        "name": method.name,
        "declared": declared(method),
        "parameters": list(method.signature.parameters),
        "fingerprint": method.fingerprint,
        "interface": method.interface,
        "doc": method.doc[:LONGEST_DOC],
        "file": _place(catalogue, method.file),
        "line": method.line,
        "hidden": list(method.redacted.names),
        "hides_answer": method.redacted.answer,
    }


def _remote(server_type: str, method: Method) -> dict[str, Any]:
    return {"idempotent": method.idempotent}


def _rules_of(node: ILookedAt) -> Callable[[str, Method], dict[str, Any]]:
    """What is said of handlers: which clients may call them."""
    frontends = {each.type for each in node.listed if each.frontend}

    def rules(server_type: str, method: Method) -> dict[str, Any]:
        said = method.access
        through = list(said.through or ()) if said else []
        if not through and server_type in frontends:
            through = [server_type]
        return {"who": (said and said.who) or "anyone", "through": through}

    return rules


def _route(component: Component, method: Method) -> str:
    return f"{component.server_type}.{component.service}.{method.name}"


def _place(catalogue: Catalogue, file: str | None) -> str | None:
    """A file, seen from the application's folder."""
    if file is None:
        return None
    path = Path(file)
    inside = path.is_relative_to(catalogue.folder)
    return str(path.relative_to(catalogue.folder) if inside else path)


def _argument(parameter: inspect.Parameter) -> str:
    name, said = parameter.name, parameter.annotation
    text = name if said is inspect.Parameter.empty else f"{name}: {_annotation(said)}"
    if parameter.default is inspect.Parameter.empty:
        return text
    default = HIDDEN if Redaction().hides(name) else repr(parameter.default)
    return f"{text}={default}" if text == name else f"{text} = {default}"


def _annotation(said: Any) -> str:
    return lasting(said if isinstance(said, str) else inspect.formatannotation(said))
