"""Everything chatcore raises on purpose.

::

    ChatcoreError
    ├── ConfigError             a mistake in a file, an option or a component; exit code 2
    ├── ClientError             an application's own answer to a client
    ├── WireError               bytes that break a protocol; closes exactly one connection
    │   ├── PackageError
    │   ├── MessageError
    │   ├── BodyError
    │   ├── HandshakeError
    │   │   ├── EarlyError      from somebody whom only a later view may have
    │   │   ├── TokenError      a token, or the id of one, that can't be used
    │   │   └── IdentityError   a certificate that is not that of who shows it
    │   ├── HttpError
    │   ├── ProxyError
    │   ├── BoxError
    │   ├── EngineError
    │   └── SocketioError
    ├── AdminError              what an administrator asked for and did not get
    ├── SessionError            a session that can't do what was asked of it
    ├── StoreError              a command to the store that gave no result
    │   ├── StoreAway           it can't be reached; nothing was done
    │   ├── StoreLost           it was asked, and did not answer; who knows what was done
    │   └── StoreRefused        it answered with an error
    └── RpcError                a call to another node that did not give a result
        ├── NoSuchServer        the view knows no such server, or none of that type
        ├── NotConnected        there is no link to it now; nothing was sent
        ├── LinkLost            the link ended while the call was under way
        ├── CallTimedOut        no answer within the deadline
        ├── RemoteRaised        the remote raised; carries the id under which it logged why
        ├── RemoteRefused       no such method there, wrong arguments, or it changed
        └── CallRefused         a filter refused it here; nothing was sent
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class ChatcoreError(Exception):
    """The root of all errors that chatcore raises on purpose."""


class ConfigError(ChatcoreError):
    """A mistake that a person made in a file, an option or a component.

    Args:
        problem: what was wrong, without a full stop.
        file: the file it stands in.
        line: its line, counted from 1.
        column: its column, counted from 1.
        advice: what to do next, without a full stop.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        column: int | None = None,
        advice: str | None = None,
    ) -> None:
        self.problem, self.file, self.line, self.column = problem, file, line, column
        self.advice = advice
        where = ":".join(str(part) for part in (file, line, column) if part is not None)
        text = f"{where}: {problem}" if where else problem
        super().__init__(f"{text}. {advice}" if advice else text)


class ClientError(ChatcoreError):
    """Raised by a handler to answer its client with a code of the application's own.

    Args:
        code: the ``code`` of the reply.
        reply: further keys of the reply.
    """

    def __init__(self, code: int, **reply: Any) -> None:
        self.reply: Mapping[str, Any] = {"code": code, **reply}
        super().__init__(str(self.reply))


class WireError(ChatcoreError):
    """Bytes from a peer that break the protocol spoken on that connection."""


class PackageError(WireError):
    """A Pomelo package that is malformed or larger than allowed."""


class MessageError(WireError):
    """A Pomelo message that is malformed."""


class BodyError(WireError):
    """A message body that can't be decoded, or a value that can't be encoded as one."""


class HandshakeError(WireError):
    """A handshake that is malformed or proves the wrong thing."""


class TokenError(HandshakeError):
    """A token, or the id of one, that can't be used."""


class EarlyError(HandshakeError):
    """A hello of somebody who is not expected; by the next view it may be."""


class IdentityError(HandshakeError):
    """A certificate that the other side of a link does not show, or that is not its own."""


class HttpError(WireError):
    """An HTTP request that is malformed, or not one that is answered here.

    Args:
        problem: what was wrong.
        status: the status that tells the client so.
    """

    def __init__(self, problem: str, status: int = 400) -> None:
        self.status = status
        super().__init__(problem)


class ProxyError(WireError):
    """What a proxy says about the client it stands for, malformed or missing."""


class BoxError(WireError):
    """An AMP box that is malformed or larger than allowed."""


class EngineError(WireError):
    """An Engine.IO packet or payload that is malformed or larger than allowed.

    Args:
        problem: what was wrong.
        at: where, counted as the payload's own lengths count: in bytes, or in JavaScript's
            characters, which are UTF-16 code units.
    """

    def __init__(self, problem: str, at: int | None = None) -> None:
        self.at = at
        super().__init__(problem if at is None else f"{problem}, at {at}")


class SocketioError(WireError):
    """A Socket.IO packet that is malformed, larger than allowed or out of order."""


class ViewError(ChatcoreError):
    """What should be a view, or a member of one, and is not."""


class ChannelMoved(ChatcoreError):
    """A channel that another node owns now; what was wanted of it here was not done."""


class AdminError(ChatcoreError):
    """What an administrator asked for and did not get.

    Args:
        problem: why, without a full stop.
        code: which kind of problem it is; one of those in `chatcore.admin.outcomes`.
        advice: what to do next, without a full stop.
    """

    def __init__(self, problem: str, *, code: str, advice: str | None = None) -> None:
        self.problem, self.code, self.advice = problem, code, advice
        super().__init__(f"{problem}. {advice}" if advice else problem)


class SessionError(ChatcoreError):
    """A session that is closed, or can't do what was asked of it in its state."""


class StoreError(ChatcoreError):
    """A command to the store that gave no result.

    Attributes:
        nothing_ran: whether it is certain that the command was not done.
    """

    nothing_ran = False


class StoreAway(StoreError):
    """There was no connection within the command's deadline."""

    nothing_ran = True


class StoreLost(StoreError):
    """The connection ended, or the deadline passed, before an answer came."""


class StoreRefused(StoreError):
    """The store answered with an error."""


class RpcError(ChatcoreError):
    """A call to another node that gave no result.

    Args:
        server: the id of the server called, or its type where none was chosen yet.
        call: what was called, as in ``chatRemote.add``.
        why: what happened.

    Attributes:
        nothing_ran: whether it is certain that the method was not called.
        tried: how often it was tried, on this server or on several.
    """

    why: str = "failed"
    nothing_ran = False
    tried = 1

    def __init__(self, server: str, call: str, why: str | None = None) -> None:
        self.server, self.call = server, call
        self.why = why or self.why
        super().__init__(f"{call} on {server}: {self.why}")

    def __str__(self) -> str:
        text = super().__str__()
        return text if self.tried == 1 else f"{text} (the last of {self.tried} tries)"


class NoSuchServer(RpcError):
    why = "no such server in the view"
    nothing_ran = True


class NotConnected(RpcError):
    why = "not connected; nothing was sent"
    nothing_ran = True


class LinkLost(RpcError):
    why = "the link was lost before an answer came"


class CallTimedOut(RpcError):
    why = "no answer within the deadline"


class RemoteRaised(RpcError):
    """The remote raised; ``error_id`` is what its log shows beside the traceback."""

    def __init__(self, server: str, call: str, why: str, error_id: str = "") -> None:
        self.error_id = error_id
        super().__init__(server, call, why)


class RemoteRefused(RpcError):
    why = "refused"

    def __init__(
        self, server: str, call: str, why: str | None = None, *, nothing_ran: bool = False
    ) -> None:
        self.nothing_ran = nothing_ran
        super().__init__(server, call, why)


class CallRefused(RpcError):
    why = "refused by a filter; nothing was sent"
    nothing_ran = True
