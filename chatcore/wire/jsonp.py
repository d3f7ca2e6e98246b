"""JSONP: payloads in a script that calls a function, and in the field of a form.

After revision 3 of Engine.IO's document, section "JSONP", and the transports of that name in
engine.io and in socket.io 0.9.
"""

from __future__ import annotations

import binascii
import re

import msgspec

from chatcore.errors import EngineError
from chatcore.wire.text import escape_lines

_FIELD = b"d="
_INDEX = re.compile(r"[0-9]{1,9}")
_BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NOT_UTF8 = b"\xff"
_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder(str).decode


def function(prefix: str, index: str) -> bytes:
    """The function that a client's script calls, as in ``___eio[3]``.

    Args:
        prefix: ``___eio``, or ``io.j`` for socket.io 0.9.
        index: what the client put into its query, ``j`` or ``i``.

    Raises:
        EngineError: the index is not a number of 1 to 9 digits.
    """
    if _INDEX.fullmatch(index) is None:
        raise EngineError("a JSONP request whose index is not a number")
    return f"{prefix}[{index}]".encode()


def encode(called: bytes, text: bytes) -> bytes:
    """A script that calls a function with a text in UTF-8."""
    return b"%b(%b);" % (called, escape_lines(_to_json(text.decode())))


def longest_form(limit: int) -> int:
    """Bytes of a form, as it is sent, whose field has so many; an escape has three for one."""
    return len(_FIELD) + 3 * limit


def decode_form(body: bytes, *, limit: int) -> bytes:
    """The field ``d`` of a form, whatever bytes it holds.

    Args:
        limit: the most bytes of it.

    Raises:
        EngineError: there is no such field, or more than one, it has a broken escape, or it is too
            long.
    """
    fields = [field for field in body.split(b"&") if field.startswith(_FIELD)]
    if len(fields) != 1:
        raise EngineError(f"a form with {len(fields)} fields d, where one should be")
    field = fields[0][len(_FIELD) :]
    if len(field) > 3 * limit:
        raise EngineError(f"a form whose field is longer than {limit} bytes")
    if broken := _BROKEN.search(field):
        raise EngineError("a form whose field has a broken escape", broken.start())
    # Quoted-printable is the same but for its mark, and read thirty times as fast.
    text = binascii.a2b_qp(field.replace(b"=", b"=3D").replace(b"%", b"=").replace(b"+", b" "))
    if len(text) > limit:
        raise EngineError(f"a form whose field is longer than {limit} bytes")
    return text


def newlines(text: bytes) -> bytes:
    r"""What a client of Engine.IO put into its form, from the text that came.

    Browsers change newlines in forms: it writes them as ``\n``, and ``\n`` as ``\\n``.

    Raises:
        EngineError: the text is not UTF-8.
    """
    if _NOT_UTF8 in text:
        raise EngineError("a form whose field is not UTF-8")
    return text.replace(rb"\\n", _NOT_UTF8).replace(rb"\n", b"\n").replace(_NOT_UTF8, rb"\n")


def string(text: bytes) -> bytes:
    """What a client of socket.io 0.9 put into its form, where it is a string in JSON.

    Raises:
        EngineError: it is none.
    """
    try:
        return _from_json(text).encode()
    except (ValueError, msgspec.MsgspecError) as problem:
        raise EngineError(f"a form whose field is no string in JSON: {problem}") from None
