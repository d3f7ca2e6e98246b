"""Whether a client is let in, and what it is told (Pomelo's handshake)."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from chatcore.connectors.encoding import Dialects, Encoding
from chatcore.connectors.signing import Verifier, verifier
from chatcore.dispatch.calling import Caller, Waiting
from chatcore.errors import BodyError, ClientError, HandshakeError
from chatcore.interfaces import Address, CheckClient, HandshakeHook, IHandshake
from chatcore.sessions.session import travelling
from chatcore.tracing.traceparent import TraceParent
from chatcore.tracing.traceparent import read as read_traceparent
from chatcore.wire import handshake
from chatcore.wire.body import encode
from chatcore.wire.handshake import TOO_OLD


@implementer(IHandshake)
@dataclass(frozen=True, slots=True)
class Handshake:
    """What a client says of itself; see `IHandshake`."""

    sys: Mapping[str, Any]
    user: Any
    address: Address
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def type(self) -> str:
        return _text(self.sys.get("type"))

    @property
    def version(self) -> str:
        return _text(self.sys.get("version"))


@dataclass(frozen=True, slots=True)
class Accepted:
    """The client may come in.

    Attributes:
        reply: the body of the answer.
        encoding: how what it is sent is written from then on.
        verifier: what checks its signatures, where they are asked for.
        settings: what its session begins with.
        trace: what its own trace is called, if it says so.
    """

    reply: bytes
    encoding: Encoding
    verifier: Verifier | None
    settings: Mapping[str, Any]
    trace: TraceParent | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The client may not come in.

    Attributes:
        reply: the body of the answer.
        why: for the log and for the close frame.
        broken: whether it broke the protocol, rather than the application's rules.
        told: what the application says to it, in JSON; Pomelo's clients are told a code alone.
    """

    reply: bytes
    why: str
    broken: bool
    told: bytes | None = None


Decided = Callable[[Accepted | Refused], None]


class Welcome:
    """Decides about handshakes.

    Args:
        heartbeat: whole seconds between heartbeats; 0 for none.
        dialects: what clients are spoken to in; plain JSON with routes in full where it is None.
        signed: whether every message has to be signed.
        check_client: the application's word on types and versions of clients.
        hook: the application's word on who comes in.
        caller: calls the two.
    """

    log = Logger()

    def __init__(
        self,
        *,
        heartbeat: int,
        dialects: Dialects | None = None,
        signed: bool = False,
        check_client: CheckClient | None = None,
        hook: HandshakeHook | None = None,
        caller: Caller,
    ) -> None:
        self._heartbeat = heartbeat
        self._dialects = dialects or Dialects()
        self._signed = signed
        self._check_client = check_client
        self._hook = hook
        self._caller = caller

    def decide(
        self, data: bytes, encoding: Encoding, address: Address, decided: Decided
    ) -> Waiting | None:
        """Read a handshake and answer it, at once or later.

        Args:
            data: the body of its package.
            encoding: how the client's transport writes packages.
            address: where it comes from.
            decided: told the outcome, once.

        Returns:
            What the application's part in it can be called off with; None if it is decided.
        """
        try:
            request = handshake.decode_request(data)
            verify = verifier(request.sys) if self._signed else None
        except HandshakeError as problem:
            decided(Refused(handshake.encode_refusal(), str(problem), broken=True))
            return None

        shaken = Handshake(request.sys, request.user, address)

        def consulted(user: Any, refused: Refused | None) -> None:
            dialects = self._dialects
            if refused is not None:
                decided(refused)
                return
            try:
                reply = handshake.encode_reply(
                    heartbeat=self._heartbeat,
                    dictionary=dialects.dictionary,
                    protos=dialects.protos,
                    sys=request.sys,
                    user=user,
                )
            except BodyError as problem:
                decided(self._failed(problem))
                return
            spoken = dialects.of(encoding, shaken.type)
            trace = trace_named_in(request.user)
            decided(Accepted(reply, spoken, verify, shaken.settings, trace))

        return self.consult(shaken, consulted)

    def consult(
        self, shaken: Handshake, told: Callable[[Any, Refused | None], None]
    ) -> Waiting | None:
        """Ask the application whether a client may come in.

        Args:
            shaken: what the client says of itself.
            told: told what the application answers it, or why it may not come.

        Returns:
            What that can be called off with; None if it is decided.
        """
        if self._check_client is None and self._hook is None:
            told(None, None)
            return None

        def asked(user: Any, problem: BaseException | None) -> None:
            if problem is None:
                told(user, None)
            elif isinstance(problem, _TooOld):
                reply = handshake.encode_refusal(TOO_OLD)
                told(None, Refused(reply, "its client is too old", False))
            elif isinstance(problem, ClientError):
                reply = handshake.encode_refusal()
                why = "refused by the application"
                told(None, Refused(reply, why, broken=False, told=_json(problem.reply)))
            else:
                told(None, self._failed(problem))

        return self._caller.call(asked, self._ask, shaken)

    async def _ask(self, shaken: Handshake) -> Any:
        if self._check_client is not None and not await _value(
            self._check_client(shaken.type, shaken.version)
        ):
            raise _TooOld
        if self._hook is None:
            return None
        answer = await _value(self._hook(shaken))
        travelling(shaken.settings)  # what can't is told as the hook's mistake
        return answer

    def _failed(self, problem: BaseException) -> Refused:
        self.log.error(
            "The application failed at a handshake: {problem!r}\n{trace}",
            problem=problem,
            trace="".join(traceback.format_exception(problem)).rstrip(),
        )
        return Refused(handshake.encode_refusal(), "the server failed", broken=False)


def trace_named_in(said: Any) -> TraceParent | None:
    """What a client's own trace is called, if what it says of itself names one."""
    return read_traceparent(said.get("traceparent")) if isinstance(said, Mapping) else None


class _TooOld(Exception):
    """The application does not take clients of that type and version."""


def _json(value: Any) -> bytes | None:
    try:
        return encode(value)
    except BodyError:
        return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


async def _value(result: Any) -> Any:
    return await result if isinstance(result, Awaitable) else result
