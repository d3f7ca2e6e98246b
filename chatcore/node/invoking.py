"""Calling a remote of this node, because an administrator wants to."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatcore.admin.asker import Asker
from chatcore.admin.invocation import Invocation
from chatcore.admin.outcomes import FAILED, LATE, MISTAKE
from chatcore.config.names import listing, suggestion
from chatcore.deadlines import IClock
from chatcore.dispatch.components import Catalogue, Method
from chatcore.errors import AdminError, CallTimedOut, RemoteRaised, RpcError
from chatcore.inspector.redaction import HIDDEN, Redaction
from chatcore.inspector.values import shown
from chatcore.node.fitting import kind, misfit
from chatcore.node.looking.declared import declared
from chatcore.telemetry import Counters

LONGEST_WHY: Final = 1000
"""Characters of what a remote raised that are told."""


class ICalls(Protocol):
    """What calls remotes, here as elsewhere."""

    def pack(self, what: str, args: Sequence[Any]) -> bytes: ...

    def send_packed(
        self, server_id: str, service: str, method: str, packed: bytes, *, timeout: float
    ) -> Deferred[Any]: ...


class Invoking:
    """Calls the remotes that the application of a node declares, and no others.

    A call goes the way of those that the node makes to itself: through filters, in time, counted.
    Before that it is compared with what the interface declares.

    Args:
        id: of the node.
        server_type: its type.
        catalogue: the components of the application.
        calls: what makes the call.
        counters: where refusals are counted.
        clock: what knows the time.
    """

    log = Logger()

    def __init__(
        self,
        *,
        id: str,
        server_type: str,
        catalogue: Catalogue,
        calls: ICalls,
        counters: Counters,
        clock: IClock,
    ) -> None:
        self._id, self._type, self._catalogue = id, server_type, catalogue
        self._calls, self._counters, self._clock = calls, counters, clock

    async def __call__(self, asked: Invocation, seconds: float, asker: Asker) -> dict[str, Any]:
        """Call a remote; its result comes back, in JSON's types.

        Args:
            seconds: that it may take.
            asker: who wants it, for the log.

        Raises:
            AdminError: the call does not fit; nothing was called. Or it gave no result.
        """
        try:
            service, method = self._find(asked.route)
            args = self._fitted(asked.route, method, asked.args)
            packed = self._calls.pack(asked.route, args)
        except (AdminError, TypeError) as problem:
            self._counters.calls_refused += 1
            if isinstance(problem, AdminError):
                raise
            raise AdminError(str(problem), code=MISTAKE) from None
        self.log.info("{name} calls {route}", name=asker.name, route=asked.route)
        rule = Redaction(method.redacted.names, off=asked.whole)
        begun = self._clock.seconds()
        try:
            result = await self._calls.send_packed(
                self._id, service, method.name, packed, timeout=seconds
            )
        except RpcError as problem:
            raise self._explained(problem, asked.route, seconds, rule) from None
        taken = (self._clock.seconds() - begun) * 1000
        hidden = method.redacted.answer and not asked.whole
        return {"result": HIDDEN if hidden else shown("", result, rule), "ms": round(taken, 3)}

    def _find(self, route: str) -> tuple[str, Method]:
        """The service and the method that a route names.

        Raises:
            AdminError: there is none here.
        """
        found = {
            f"{component.server_type}.{component.service}.{method.name}": (
                component.service,
                method,
            )
            for component in self._catalogue.remotes(self._type)
            for method in component.methods.values()
        }
        if route in found:
            return found[route]
        server_type = route.partition(".")[0]
        if server_type != self._type and route.count(".") > 1 and self._is_elsewhere(route):
            raise AdminError(
                f"{self._id} is a {self._type} server, and {route} is for {server_type} servers",
                code=MISTAKE,
                advice=f"Name a server of the type {server_type}",
            )
        raise AdminError(
            f"{self._id} has no remote '{route:.200}'",
            code=MISTAKE,
            advice=suggestion(route, found, f"remotes of {self._id}"),
        )

    def _is_elsewhere(self, route: str) -> bool:
        server_type, _, rest = route.partition(".")
        service, _, name = rest.rpartition(".")
        return any(
            component.service == service and name in component.methods
            for component in self._catalogue.remotes(server_type)
        )

    def _fitted(self, route: str, method: Method, given: Any) -> list[Any]:
        """The arguments in their order, if they fit what is declared.

        Raises:
            AdminError: they don't.
        """
        signature = f"It is declared as {declared(method)}"
        if not isinstance(given, list | dict):
            raise AdminError(
                f"the arguments of {route} are {kind(given)}",
                code=MISTAKE,
                advice=f"Write them as a JSON list, or as an object with their names. {signature}",
            )
        try:
            bound = (
                method.signature.bind(**given)
                if isinstance(given, dict)
                else method.signature.bind(*given)
            )
        except TypeError as problem:
            why = _misplaced(method.signature, given) or str(problem)
            raise AdminError(f"{route}: {why}", code=MISTAKE, advice=signature) from None
        for name, value in bound.arguments.items():
            wrong = misfit(method.signature.parameters[name], value)
            if wrong is not None:
                raise AdminError(f"{route}: {wrong}", code=MISTAKE, advice=signature)
        if bound.kwargs:  # what crosses links has places and no names
            bound.apply_defaults()
        return list(bound.args)

    def _explained(
        self, problem: RpcError, route: str, seconds: float, rule: Redaction
    ) -> AdminError:
        if isinstance(problem, CallTimedOut):
            return AdminError(
                f"{route} gave no result within {seconds:g} s", code=LATE, advice=_MAY_GO_ON
            )
        why = rule.text(problem.why)[:LONGEST_WHY]
        if isinstance(problem, RemoteRaised) and problem.error_id not in ("", "-"):
            advice = f"The log of {self._id} has it as error {problem.error_id}"
            return AdminError(f"{route}: {why}", code=FAILED, advice=advice)
        return AdminError(f"{route}: {why}", code=FAILED)


_MAY_GO_ON: Final = "It may go on there. --timeout gives it more time"


def _misplaced(signature: inspect.Signature, given: Any) -> str | None:
    """Why arguments can't be told from each other, in the words of who gave them."""
    known = list(signature.parameters)
    needed = [
        name
        for name, each in signature.parameters.items()
        if each.default is inspect.Parameter.empty
    ]
    if isinstance(given, list):
        if len(given) > len(known):
            return f"{len(given)} arguments were given, and it takes {_at_most(known, needed)}"
        missing = [name for name in known[len(given) :] if name in needed]
    else:
        strange = [name for name in given if name not in known]
        if strange:
            there_are = suggestion(strange[0], known, "names")
            return f"it has no parameter '{strange[0]:.80}'. {there_are}"
        missing = [name for name in needed if name not in given]
    if not missing:
        return None
    quoted = listing(f"'{name}'" for name in missing)
    return f"{quoted} {'is' if len(missing) == 1 else 'are'} missing"


def _at_most(known: Sequence[str], needed: Sequence[str]) -> str:
    return f"{len(known)}" if len(known) == len(needed) else f"{len(needed)} to {len(known)}"
