"""Both sides of the hello with which a link begins.

Nodes, the master and administrators prove that they know the cluster's secret; who comes under the
id of a token proves the key of that token, which the other side derives from its id. The same
message is made with the one key as with the other, and the id is a part of it: whoever has a token
can come as its holder, and as nobody else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from chatcore.config.names import is_own_name, is_server_id
from chatcore.config.tokens import TokenId, is_like_id
from chatcore.errors import (
    EarlyError,
    HandshakeError,
    IdentityError,
    LinkLost,
    RpcError,
    TokenError,
)
from chatcore.links import hello
from chatcore.links.commands import VERSION
from chatcore.links.hello import Party
from chatcore.links.link import Link
from chatcore.links.tls import LinkTls, channel_of
from chatcore.wire.box import END, Box, item, join
from chatcore.wire.values import pack

_unpack_remotes = msgspec.msgpack.Decoder(dict[str, str]).decode

NO_SECRET: Final = "it does not know this cluster's secret"
"""Why a link to somebody failed who has another secret."""

EXPIRED: Final = "is good no more since"
"""What stands in why a link failed to somebody whose token has expired."""

STARTED_ANEW: Final = "it has started anew"
"""Why a link failed to a life of a node that is over; the next view may say so."""

LEAVING_SECONDS: Final = 1.0
"""How long somebody may take to hear that; then the link is cut."""

Up = Callable[[Link], None]
Expected = Callable[[str, str], bool]
Rejected = Callable[[Link, Exception], None]

CLOSED: Final = "it closed the link instead of saying hello; its log tells why"
"""What is said of who hangs up at the hello."""


class Greeter:
    """Leads links through the hello.

    Args:
        id: this node's id.
        incarnation: which life of it this is.
        secret: the cluster's; of somebody who only dials, and has a token, the key of that.
        remotes: the fingerprints of its remotes' methods.
        up: told of each link that is proven.
        tls: the certificates of the links, where those are encrypted.
        today: the time of day, in seconds since 1970, for the ends of tokens.
    """

    def __init__(
        self,
        *,
        id: str,
        incarnation: str,
        secret: bytes,
        remotes: Mapping[str, str],
        up: Up,
        tls: LinkTls | None = None,
        today: Callable[[], float] = time.time,
    ) -> None:
        self.id, self.incarnation, self.tls = id, incarnation, tls
        self._today = today
        self._secret = secret
        self._remotes = item(b"remotes", pack(dict(remotes)))
        self._up = up

    def dial(self, link: Link, peer: str, incarnation: str, failed: Callable[[str], None]) -> None:
        """Say hello on a link that this side opened.

        Args:
            peer: who has to be at the other end; empty where that is still to be learnt.
            incarnation: which life of it; empty for any.
            failed: told why the hello did not hold; the link is closed then.
        """
        me = Party(self.id, self.incarnation, hello.new_nonce())

        def fail(why: str) -> None:
            failed(why)
            link.abort()

        def greeted(box: Box | None, problem: RpcError | None) -> None:
            if problem is not None or box is None:
                fail(_why(problem))
                return
            try:
                it = Party(_text(box, b"id"), _text(box, b"incarnation"), box[b"nonce"])
                shown = box[b"proof"]
            except (KeyError, UnicodeDecodeError) as missing:
                fail(f"its hello is incomplete: {missing!r}")
                return
            if peer not in ("", it.id):
                fail(f"it is {it.id!r:.80} that answers there")
                return
            if incarnation not in ("", it.incarnation):
                fail(STARTED_ANEW)
                return
            if not hello.proves(shown, self._proof(link, hello.LISTENER, me, it, self._secret)):
                # So that the other side's log tells of it, too. It proves nothing.
                link.ask(
                    item(b"_command", b"Prove") + item(b"proof", b""),
                    lambda box, problem: link.abort(),
                    "Prove",
                    LEAVING_SECONDS,
                )
                failed(NO_SECRET)
                return
            try:
                self._verify_certificate(link, it.id)
            except IdentityError as problem:
                fail(str(problem))
                return
            link.trust()
            link.ask(
                item(b"_command", b"Prove")
                + item(b"proof", self._proof(link, hello.DIALLER, me, it, self._secret)),
                lambda box, problem: proven(it, box, problem),
                "Prove",
                hello.UNPROVEN_SECONDS,
            )

        def proven(it: Party, box: Box | None, problem: RpcError | None) -> None:
            if problem is not None or box is None:
                fail(_why(problem))
                return
            try:
                remotes = _unpack_remotes(join(box, b"remotes"))
            except (KeyError, ValueError, msgspec.MsgspecError) as wrong:
                fail(f"its list of remotes can't be read: {wrong!r}")
                return
            link.write(item(b"_command", b"Remotes") + self._remotes + END)
            link.proven(it.id, it.incarnation, remotes)
            self._up(link)

        link.ask(
            item(b"_command", b"Hello")
            + item(b"version", b"%d" % VERSION)
            + item(b"id", me.id.encode())
            + item(b"to", peer.encode())
            + item(b"incarnation", me.incarnation.encode())
            + item(b"nonce", me.nonce),
            greeted,
            "Hello",
            hello.UNPROVEN_SECONDS,
        )

    def listen(
        self, expected: Expected, *, rejected: Rejected, proven: Up
    ) -> Callable[[Link, Box, bytes | None], None]:
        """What acts on the boxes of one link that the other side opened, until it is proven.

        Args:
            expected: whether that life of a node of that id may dial this one.
            rejected: told why a link is closed because of what it said.
            proven: told of it when it is proven, before anybody else is.
        """
        me = Party(self.id, self.incarnation, hello.new_nonce())
        it: Party | None = None
        key, trusted = b"", False

        def greet(link: Link, box: Box, ask: bytes | None) -> None:
            nonlocal it, key, trusted
            command = box[b"_command"]
            try:
                if command == b"Hello" and ask is not None and it is None:
                    dialler = self._hello(link, box, expected)
                    it, key = dialler, self._key_of(dialler.id)
                    link.answer(ask, self._introduction(link, me, it, key))
                    return
                if command == b"Prove" and ask is not None and it is not None and not trusted:
                    expects = self._proof(link, hello.DIALLER, it, me, key)
                    if not hello.proves(box[b"proof"], expects):
                        raise HandshakeError(f"{it.id} does not know this cluster's secret")
                    trusted = True
                    link.trust()
                    link.answer(ask, self._remotes)
                    return
                if command != b"Remotes" or it is None or not trusted:
                    raise HandshakeError(f"{command!r:.80} before the hello is through")
                remotes = _unpack_remotes(join(box, b"remotes"))
            except (HandshakeError, KeyError, ValueError, msgspec.MsgspecError) as problem:
                rejected(link, problem)
                if ask is not None:
                    link.refuse(ask, b"REJECTED", str(problem))
                link.close()
                return
            link.proven(it.id, it.incarnation, remotes)
            proven(link)
            self._up(link)

        return greet

    def _hello(self, link: Link, box: Box, expected: Expected) -> Party:
        version = int(box[b"version"])
        if version != VERSION:
            raise HandshakeError(f"it speaks version {version} of the link, not {VERSION}")
        it = Party(_text(box, b"id"), _text(box, b"incarnation"), box[b"nonce"])
        to = _text(box, b"to")
        if to not in ("", self.id):
            raise HandshakeError(f"{it.id!r:.80} looks for {to!r:.80}; this is {self.id!r}")
        self._verify_certificate(link, it.id)
        if not expected(it.id, it.incarnation):
            may_come = it.id < self.id and is_server_id(it.id) and not is_own_name(it.id)
            raise (EarlyError if may_come else HandshakeError)(not_expected(it.id, self.id))
        if len(it.nonce) < 16:
            raise HandshakeError("a nonce that is too short")
        return it

    def _key_of(self, dialler: str) -> bytes:
        """What somebody who dials has to prove.

        Raises:
            TokenError: it says that it has a token, and that one has expired, or is none.
        """
        if not is_like_id(dialler):
            return self._secret
        token = TokenId.read(dialler)
        if self._today() >= token.end:
            raise TokenError(f"{token.who} {EXPIRED} {token.until}")
        return token.key(self._secret)

    def _introduction(self, link: Link, me: Party, it: Party, key: bytes) -> bytes:
        return (
            item(b"id", me.id.encode())
            + item(b"incarnation", me.incarnation.encode())
            + item(b"nonce", me.nonce)
            + item(b"proof", self._proof(link, hello.LISTENER, it, me, key))
        )

    def _verify_certificate(self, link: Link, id: str) -> None:
        if self.tls is not None:
            self.tls.verify(link.transport, id)

    def _proof(self, link: Link, role: str, dialler: Party, listener: Party, key: bytes) -> bytes:
        channel = channel_of(link.transport)
        return hello.proof(key, role, VERSION, dialler, listener, channel)


def not_expected(dialler: str, listener: str) -> str:
    """Why a link failed of somebody whom the other side's view does not have."""
    return f"nobody of the id {dialler!r:.80} is expected to dial {listener!r}"


def _why(problem: RpcError | None) -> str:
    if problem is None or problem.why == LinkLost.why:
        return CLOSED
    # Who has proven nothing writes into no terminal.
    return problem.why if problem.why.isprintable() else ascii(problem.why)


def _text(box: Box, key: bytes) -> str:
    return box[key].decode()
