"""The stubs that make a remote look local."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure
from zope.interface import implementer

from chatcore.errors import NoSuchServer
from chatcore.interfaces import IRpc, IServers, ISession

T = TypeVar("T")

Send = Callable[[str, str, str, Sequence[Any]], Deferred[Any]]
"""Calls ``(server_id, service, method, args)``."""

Signatures = Mapping[str, inspect.Signature]
"""The declared methods of a remote, by name."""


class Remotes:
    """What is known of the remotes of all server types.

    Args:
        by_interface: where each interface is implemented: (server type, service) pairs.
        signatures: the methods of each (server type, service).
    """

    def __init__(
        self,
        by_interface: Mapping[Any, Sequence[tuple[str, str]]],
        signatures: Mapping[tuple[str, str], Signatures],
    ) -> None:
        self._by_interface = by_interface
        self._signatures = signatures

    def place(self, interface: Any) -> tuple[str, str]:
        """The server type and service that implement an interface.

        Raises:
            LookupError: none does, or several do.
        """
        places = self._by_interface.get(interface, ())
        if len(places) == 1:
            return places[0]
        name = getattr(interface, "__name__", interface)
        if not places:
            raise LookupError(f"no remote of this application implements {name}")
        found = ", ".join(".".join(place) for place in places)
        raise LookupError(f"{name} is implemented by {found}; call it by name")

    def signatures(self, server_type: str, service: str) -> Signatures | None:
        """The methods of a remote; None where this application does not know it."""
        return self._signatures.get((server_type, service))


@implementer(IRpc)
class Rpc:
    """Calls to remotes, here and elsewhere.

    Args:
        remotes: what is known of them.
        servers: the servers of the view.
        choose: the server of a type for a session.
        send: makes a call.
    """

    def __init__(
        self,
        *,
        remotes: Remotes,
        servers: IServers,
        choose: Callable[[str, ISession], str],
        send: Send,
    ) -> None:
        self._remotes = remotes
        self._servers = servers
        self._choose = choose
        self._send = send

    def by(self, session: ISession) -> Target:
        return Target(
            self._remotes,
            lambda server_type, service, method, args: self._send(
                self._choose(server_type, session), service, method, args
            ),
        )

    def to(self, server_id: str) -> Target:
        def send(server_type: str, service: str, method: str, args: Sequence[Any]) -> Deferred[Any]:
            server = self._servers.get(server_id)
            if server is None or server.type != server_type:
                raise NoSuchServer(server_id, f"{server_type}.{service}.{method}")
            return self._send(server_id, service, method, args)

        return Target(self._remotes, send)

    def to_all(self, server_type: str) -> Target:
        def send(wanted: str, service: str, method: str, args: Sequence[Any]) -> Deferred[Any]:
            servers = self._servers.of_type(server_type)
            if not servers or wanted != server_type:
                raise NoSuchServer(server_type, f"{wanted}.{service}.{method}")
            ids = [server.id for server in servers]
            calls = DeferredList(
                [self._send(server_id, service, method, args) for server_id in ids],
                consumeErrors=True,
            )
            return calls.addCallback(
                lambda ended: {
                    server_id: result.value if isinstance(result, Failure) else result
                    for server_id, (_, result) in zip(ids, ended, strict=True)
                }
            )

        return Target(self._remotes, send)


class Target:
    """The remotes of the servers that were chosen."""

    __slots__ = ("_remotes", "_send")

    def __init__(self, remotes: Remotes, send: Send) -> None:
        self._remotes = remotes
        self._send = send

    def __getitem__(self, interface: type[T]) -> T:
        # A stub has whatever methods the interface declares, which no type can say.
        return RemoteStub(self, *self._remotes.place(interface))  # type: ignore[return-value]

    def __getattr__(self, server_type: str) -> TypeStub:
        if server_type.startswith("_"):
            raise AttributeError(server_type)
        return TypeStub(self, server_type)


class TypeStub:
    """The remotes of one server type, by name."""

    __slots__ = ("_target", "_type")

    def __init__(self, target: Target, server_type: str) -> None:
        self._target, self._type = target, server_type

    def __getattr__(self, service: str) -> RemoteStub:
        if service.startswith("_"):
            raise AttributeError(service)
        return RemoteStub(self._target, self._type, service)


class RemoteStub:
    """One remote: its methods are called as if it were here, and return a Deferred."""

    __slots__ = ("_service", "_target", "_type")

    def __init__(self, target: Target, server_type: str, service: str) -> None:
        self._target, self._type, self._service = target, server_type, service

    def __getattr__(self, method: str) -> Callable[..., Deferred[Any]]:
        target, server_type, service = self._target, self._type, self._service
        signatures = target._remotes.signatures(server_type, service)
        if signatures is None:  # not known here: let the other side judge
            return lambda *args: target._send(server_type, service, method, args)
        signature = signatures.get(method)
        if signature is None:
            near = difflib.get_close_matches(method, signatures, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise AttributeError(f"{server_type}.{service} declares no method {method}{hint}")

        def call(*args: Any, **kwargs: Any) -> Deferred[Any]:
            bound = signature.bind(*args, **kwargs)
            if kwargs:  # only positions cross, so what lies before a keyword has to be filled in
                bound.apply_defaults()
            return target._send(server_type, service, method, bound.args)

        return call
