"""The stubs that make a remote look local."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from chatcore.dispatch.components import lasting_name
from chatcore.errors import NoSuchServer
from chatcore.interfaces import IRpc, IServers, ISession
from chatcore.links.calls import Calls, Choice, Options, options

T = TypeVar("T")

Send = Callable[[str, str, str, Sequence[Any]], Deferred[Any]]
"""Calls ``(server_type, service, method, args)``."""

Signatures = Mapping[str, inspect.Signature]
"""The declared methods of a remote, by name."""


class Remotes:
    """What is known of the remotes of all server types.

    Args:
        by_interface: where each interface is implemented: (server type, service) pairs.
        signatures: the methods of each (server type, service).
        idempotent: those that may be called again, as (server type, service, method).
    """

    def __init__(
        self,
        by_interface: Mapping[Any, Sequence[tuple[str, str]]],
        signatures: Mapping[tuple[str, str], Signatures],
        idempotent: Collection[tuple[str, str, str]] = (),
    ) -> None:
        self._by_interface = by_interface
        self._signatures = signatures
        self._idempotent = frozenset(idempotent)
        self._by_name: dict[str, Sequence[tuple[str, str]]] = {}

    def know_by_name(self, others: Mapping[Any, Sequence[tuple[str, str]]]) -> None:
        """Have interfaces that were imported again stand for those of the same name.

        Args:
            others: where they are implemented that were not there before.
        """
        for interface, places in [*self._by_interface.items(), *others.items()]:
            self._by_name.setdefault(lasting_name(interface), places)

    def place(self, interface: Any, server_type: str | None = None) -> tuple[str, str]:
        """The server type and service that implement an interface.

        Args:
            server_type: that of the servers that are meant, if that is known; it tells which one
                is meant of those that several types have.

        Raises:
            LookupError: none does, or several do.
        """
        places = self._by_interface.get(interface, ())
        if not places and self._by_name:
            places = self._by_name.get(lasting_name(interface), ())
        if len(places) > 1 and server_type is not None:
            places = [place for place in places if place[0] == server_type] or places
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

    def is_idempotent(self, server_type: str, service: str, method: str) -> bool:
        """Whether a method is marked as one that may be called again."""
        return (server_type, service, method) in self._idempotent


Choose = Callable[[str, ISession, Collection[str]], str]
"""The server of a type for a session, leaving out those that were tried."""

Balance = Callable[[str, IServers], str]
"""Any server of a type."""


@implementer(IRpc)
class Rpc:
    """Calls to remotes, here and elsewhere.

    Args:
        remotes: what is known of them.
        servers: the servers of the view.
        choose: the server of a type for a session.
        balances: the ways to choose any, by name.
        calls: makes the calls.
    """

    def __init__(
        self,
        *,
        remotes: Remotes,
        servers: IServers,
        choose: Choose,
        balances: Mapping[str, Balance],
        calls: Calls,
    ) -> None:
        self._remotes = remotes
        self._servers = servers
        self._choose = choose
        self._balances = balances
        self._calls = calls

    def by(
        self,
        session: ISession,
        *,
        notify: bool = False,
        timeout: float | None = None,
        failure: str = "fast",
    ) -> Target:
        def choose(server_type: str, tried: Collection[str]) -> str:
            server_id = self._choose(server_type, session, tried)
            return self._of_type(server_id, server_type, "the route chose it, but ")

        return self._target(Choice(choose), options(notify, timeout, failure))

    def by_key(
        self,
        key: str,
        *,
        notify: bool = False,
        timeout: float | None = None,
        failure: str = "fast",
    ) -> Target:
        def choose(server_type: str, tried: Collection[str]) -> str:
            servers = self._servers.without(tried) if tried else self._servers
            return servers.owner(server_type, key).id

        return self._target(Choice(choose), options(notify, timeout, failure))

    def any(
        self,
        how: str = "round_robin",
        *,
        notify: bool = False,
        timeout: float | None = None,
        failure: str = "fast",
    ) -> Target:
        balance = self._balances.get(how)
        if balance is None:
            known = ", ".join(map(repr, self._balances))
            raise ValueError(f"how={how!r} is not one of {known}")

        def choose(server_type: str, tried: Collection[str]) -> str:
            servers = self._servers.without(tried) if tried else self._servers
            return balance(server_type, servers)

        return self._target(Choice(choose, keeps=False), options(notify, timeout, failure))

    def to(
        self,
        server_id: str,
        *,
        notify: bool = False,
        timeout: float | None = None,
        failure: str = "fast",
    ) -> Target:
        _refuse_over(failure)

        def choose(server_type: str, tried: Collection[str]) -> str:
            return self._of_type(server_id, server_type)

        server = self._servers.get(server_id)
        server_type = None if server is None else server.type
        return self._target(Choice(choose), options(notify, timeout, failure), server_type)

    def to_all(
        self,
        server_type: str,
        *,
        notify: bool = False,
        timeout: float | None = None,
        failure: str = "fast",
    ) -> Target:
        _refuse_over(failure)
        chosen = options(notify, timeout, failure)

        def send(wanted: str, service: str, method: str, args: Sequence[Any]) -> Deferred[Any]:
            ids = [server.id for server in self._servers.of_type(server_type)]
            if wanted != server_type or not ids:
                what, why = f"{service}.{method}", None
                if wanted != server_type:
                    what = f"{wanted}.{what}"
                    why = f"it is a remote of the servers of type {wanted}"
                none = _none(NoSuchServer(server_type, what, why))
                return self._calls.make(none, chosen, wanted, service, method, args)
            made = [
                self._calls.make(_only(id), chosen, server_type, service, method, args)
                for id in ids
            ]
            return succeed(None) if notify else _gathered(ids, made)

        return Target(self._remotes, chosen, send, server_type)

    def call(
        self,
        server_id: str,
        method: str,
        *args: Any,
        notify: bool = False,
        timeout: float | None = None,
        failure: str = "fast",
    ) -> Deferred[Any]:
        parts = method.split(".")
        if len(parts) != len(("type", "service", "method")) or not all(parts):
            raise ValueError(f"{method!r} is not of the form type.service.method")
        target = self.to(server_id, notify=notify, timeout=timeout, failure=failure)
        called: Deferred[Any] = getattr(RemoteStub(target, parts[0], parts[1]), parts[2])(*args)
        return called

    def _target(self, choice: Choice, chosen: Options, server_type: str | None = None) -> Target:
        make = self._calls.make

        def send(server_type: str, service: str, method: str, args: Sequence[Any]) -> Deferred[Any]:
            return make(choice, chosen, server_type, service, method, args)

        return Target(self._remotes, chosen, send, server_type)

    def _of_type(self, server_id: str, server_type: str, why: str = "") -> str:
        """A server's id, if it is of that type."""
        server = self._servers.get(server_id)
        if server is None:
            raise NoSuchServer(server_id, f"a remote of type {server_type}")
        if server.type != server_type:
            text = f"{why}it is of type {server.type}"
            raise NoSuchServer(server_id, f"a remote of type {server_type}", text)
        return server_id


def _refuse_over(failure: str) -> None:
    if failure == "over":
        raise ValueError("failure='over' needs another server to call, and here none is meant")


def _only(server_id: str) -> Choice:
    return Choice(lambda server_type, tried: server_id)


def _none(problem: NoSuchServer) -> Choice:
    def choose(server_type: str, tried: Collection[str]) -> str:
        raise problem

    return Choice(choose)


def _gathered(ids: Sequence[str], made: Sequence[Deferred[Any]]) -> Deferred[dict[str, Any]]:
    """What came of each call: its result or its failure, by server id."""
    return DeferredList(made, consumeErrors=True).addCallback(
        lambda ended: {
            server_id: result.value if isinstance(result, Failure) else result
            for server_id, (_, result) in zip(ids, ended, strict=True)
        }
    )


class Target:
    """The remotes of the servers that were chosen.

    Args:
        server_type: of these servers, where that is known already.
    """

    __slots__ = ("_options", "_remotes", "_send", "_type")

    def __init__(
        self, remotes: Remotes, options: Options, send: Send, server_type: str | None
    ) -> None:
        self._remotes = remotes
        self._type = server_type
        self._options = options
        self._send = send

    def __getitem__(self, interface: type[T]) -> T:
        # A stub has whatever methods the interface declares, which no type can say.
        place = self._remotes.place(interface, self._type)
        return RemoteStub(self, *place)  # type: ignore[return-value]

    def __getattr__(self, server_type: str) -> TypeStub:
        if server_type.startswith("_"):
            raise AttributeError(server_type)
        return TypeStub(self, server_type)

    def _method(self, server_type: str, service: str, method: str) -> Callable[..., Deferred[Any]]:
        """What calls a method of theirs."""
        signatures = self._remotes.signatures(server_type, service)
        signature = None if signatures is None else signatures.get(method)
        if signature is None and (signatures is not None or method.startswith("_")):
            near = difflib.get_close_matches(method, signatures or (), 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise AttributeError(f"{server_type}.{service} declares no method {method}{hint}")
        if self._options.failure == "retry" and not self._remotes.is_idempotent(
            server_type, service, method
        ):
            raise TypeError(
                f"{server_type}.{service}.{method} is not marked @idempotent in its interface,"
                " so it can't be called with failure='retry'"
            )
        send = self._send
        if signature is None:  # not known here: let the other side judge
            return lambda *args: send(server_type, service, method, args)

        def call(*args: Any, **kwargs: Any) -> Deferred[Any]:
            bound = signature.bind(*args, **kwargs)
            if kwargs:  # only positions cross, so what lies before a keyword has to be filled in
                bound.apply_defaults()
            return send(server_type, service, method, bound.args)

        return call


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
        return self._target._method(self._type, self._service, method)
