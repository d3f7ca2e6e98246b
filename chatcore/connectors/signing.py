"""Requests that their client has signed (Pomelo's ``useCrypto``).

A client sends the public part of an RSA key with its handshake, ``sys.rsa = {rsa_n, rsa_e}``, and
with each body, under the key ``__crypto__``, the signature of that body without it: RSASSA-PKCS1
(RFC 8017, section 8.2) with SHA-256, in hexadecimal. That proves that whoever shook hands also sent
the message; it hides nothing, so TLS is needed all the same.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from chatcore.errors import BodyError, HandshakeError
from chatcore.wire import body

SMALLEST_KEY, LARGEST_KEY = 512, 4096
"""Bits of a client's key. Pomelo's own clients make keys of 1024."""

_LARGEST_EXPONENT = 0xFFFFFFFF

_KEY = "__crypto__"
# The clients append it to the object that they signed, so that what is before it is what they
# signed, to the byte: no other way of writing numbers or escapes can come between.
_APPENDED = re.compile(rb',?"__crypto__":"([0-9A-Fa-f]+)"\}\Z')


class Verifier:
    """Checks what one client signs.

    Args:
        key: its public key.
    """

    __slots__ = ("_key",)

    def __init__(self, key: RSAPublicKey) -> None:
        self._key = key

    def unsigned(self, data: bytes) -> bytes:
        """The body without its signature.

        Raises:
            BodyError: it has none, or not that of this client.
        """
        found = _APPENDED.search(data)
        if found:
            signature, rest = found[1].decode(), data[: found.start()] + b"}"
        else:
            signature, rest = _taken_out(data)
        try:
            digest = self._key.recover_data_from_signature(
                bytes.fromhex(signature), PKCS1v15(), SHA256()
            )
        except (InvalidSignature, ValueError):
            raise BodyError("a signature that is not this client's") from None
        if not any(hashlib.sha256(form).digest() == digest for form in _forms(rest)):
            raise BodyError("a body that is not the one that was signed")
        return rest


def verifier(sys: Mapping[str, Any]) -> Verifier:
    """What checks the messages of a client.

    Args:
        sys: of its handshake.

    Raises:
        HandshakeError: it sent no usable key.
    """
    rsa = sys.get("rsa")
    if not isinstance(rsa, Mapping):
        raise HandshakeError("a handshake without the `sys.rsa` that is asked for")
    modulus, exponent = _number(rsa.get("rsa_n")), _number(rsa.get("rsa_e"))
    if not 1 << SMALLEST_KEY - 1 <= modulus < 1 << LARGEST_KEY or exponent > _LARGEST_EXPONENT:
        raise HandshakeError("a key in `sys.rsa` that is too small or too large")
    try:
        return Verifier(RSAPublicNumbers(exponent, modulus).public_key())
    except ValueError as problem:
        raise HandshakeError(f"a key in `sys.rsa` that is none: {problem}") from None


def _number(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= LARGEST_KEY // 4 + 1:
        try:
            return int(value, 16)
        except ValueError:
            pass
    raise HandshakeError("a key in `sys.rsa` that is not hexadecimal")


def _taken_out(data: bytes) -> tuple[str, bytes]:
    """The signature of a body that has it in another place, and the body without it."""
    value = body.decode(data)
    signature = value.pop(_KEY, None) if isinstance(value, dict) else None
    if not isinstance(signature, str):
        raise BodyError("a body without a signature")
    return signature, msgspec.json.encode(value)


def _forms(data: bytes) -> Iterator[bytes]:
    """A body in the ways in which clients turn its text into the bytes that they sign."""
    yield data
    if data.isascii():
        return
    try:
        units = data.decode("utf-8", "surrogatepass").encode("utf-16-be", "surrogatepass")
    except UnicodeDecodeError:
        return
    yield units.decode("utf-16-be", "surrogatepass").encode("utf-8", "surrogatepass")
    codes = struct.unpack(f">{len(units) // 2}H", units)
    yield "".join(map(chr, codes)).encode("utf-8", "surrogatepass")  # each half on its own
    yield units[1::2]  # the low half of each, as JavaScript's older hash functions take it
