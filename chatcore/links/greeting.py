"""Both sides of the hello with which a link begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from twisted.logger import Logger

from chatcore.errors import HandshakeError, RpcError
from chatcore.links import hello
from chatcore.links.commands import VERSION
from chatcore.links.hello import Party
from chatcore.links.link import Link
from chatcore.wire.box import END, Box, item, join
from chatcore.wire.values import pack

_unpack_remotes = msgspec.msgpack.Decoder(dict[str, str]).decode

Up = Callable[[Link], None]
Expected = Callable[[str, str], bool]


class Greeter:
    """Leads links through the hello.

    Args:
        id: this node's id.
        incarnation: which life of it this is.
        secret: the cluster's.
        remotes: the fingerprints of its remotes' methods.
        up: told of each link that is proven.
    """

    log = Logger()

    def __init__(
        self, *, id: str, incarnation: str, secret: bytes, remotes: Mapping[str, str], up: Up
    ) -> None:
        self.id, self.incarnation = id, incarnation
        self._secret = secret
        self._remotes = item(b"remotes", pack(dict(remotes)))
        self._up = up

    def dial(self, link: Link, peer: str, incarnation: str, failed: Callable[[str], None]) -> None:
        """Say hello on a link that this side opened.

        Args:
            peer: who has to be at the other end.
            incarnation: which life of it; empty for any.
            failed: told why the hello did not hold; the link is closed then.
        """
        me = Party(self.id, self.incarnation, hello.new_nonce())

        def fail(why: str) -> None:
            failed(why)
            link.abort()

        def greeted(box: Box | None, problem: RpcError | None) -> None:
            if box is None:
                fail(str(problem))
                return
            try:
                it = Party(_text(box, b"id"), _text(box, b"incarnation"), box[b"nonce"])
                shown = box[b"proof"]
            except (KeyError, UnicodeDecodeError) as missing:
                fail(f"its hello is incomplete: {missing!r}")
                return
            if it.id != peer:
                fail(f"it is {it.id!r} that answers there")
                return
            if incarnation not in ("", it.incarnation):
                fail("it has started anew")
                return
            if not hello.proves(shown, self._proof(hello.LISTENER, me, it)):
                fail("it does not know this cluster's secret")
                return
            link.trust()
            link.ask(
                item(b"_command", b"Prove") + item(b"proof", self._proof(hello.DIALLER, me, it)),
                lambda box, problem: proven(it, box, problem),
                "Prove",
                hello.UNPROVEN_SECONDS,
            )

        def proven(it: Party, box: Box | None, problem: RpcError | None) -> None:
            if box is None:
                fail(str(problem))
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

    def listen(self, expected: Expected) -> Callable[[Link, Box, bytes | None], None]:
        """What acts on the boxes of one link that the other side opened, until it is proven.

        Args:
            expected: whether that life of a node of that id may dial this one.
        """
        me = Party(self.id, self.incarnation, hello.new_nonce())
        it: Party | None = None
        trusted = False

        def greet(link: Link, box: Box, ask: bytes | None) -> None:
            nonlocal it, trusted
            command = box[b"_command"]
            try:
                if command == b"Hello" and ask is not None and it is None:
                    it = self._hello(box, expected)
                    link.answer(ask, self._introduction(me, it))
                    return
                if command == b"Prove" and ask is not None and it is not None and not trusted:
                    if not hello.proves(box[b"proof"], self._proof(hello.DIALLER, it, me)):
                        raise HandshakeError(f"{it.id} does not know this cluster's secret")
                    trusted = True
                    link.trust()
                    link.answer(ask, self._remotes)
                    return
                if command != b"Remotes" or it is None or not trusted:
                    raise HandshakeError(f"{command!r} before the hello is through")
                remotes = _unpack_remotes(join(box, b"remotes"))
            except (HandshakeError, KeyError, ValueError, msgspec.MsgspecError) as problem:
                self.log.warn("A link was rejected: {problem}", problem=problem)
                if ask is not None:
                    link.refuse(ask, b"REJECTED", str(problem))
                link.close()
                return
            link.proven(it.id, it.incarnation, remotes)
            self._up(link)

        return greet

    def _hello(self, box: Box, expected: Expected) -> Party:
        version = int(box[b"version"])
        if version != VERSION:
            raise HandshakeError(f"it speaks version {version} of the link, not {VERSION}")
        it = Party(_text(box, b"id"), _text(box, b"incarnation"), box[b"nonce"])
        to = _text(box, b"to")
        if to != self.id:
            raise HandshakeError(f"{it.id!r} looks for {to!r}; this is {self.id!r}")
        if not expected(it.id, it.incarnation):
            raise HandshakeError(f"nobody of the id {it.id!r} is expected to dial {self.id!r}")
        if len(it.nonce) < 16:
            raise HandshakeError("a nonce that is too short")
        return it

    def _introduction(self, me: Party, it: Party) -> bytes:
        return (
            item(b"id", me.id.encode())
            + item(b"incarnation", me.incarnation.encode())
            + item(b"nonce", me.nonce)
            + item(b"proof", self._proof(hello.LISTENER, it, me))
        )

    def _proof(self, role: str, dialler: Party, listener: Party) -> bytes:
        return hello.proof(self._secret, role, VERSION, dialler, listener)


def _text(box: Box, key: bytes) -> str:
    return box[key].decode()
