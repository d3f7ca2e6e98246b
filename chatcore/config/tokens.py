"""Tokens: what people are given who may look at a cluster, or administer it, for a while.

A token names its role, its holder and its end, in the *id* under which its holder comes, and has a
key that follows from that id and the cluster's secret. So every process of the cluster knows the
key of every token, none has to be kept anywhere, and nothing follows from one token: neither the
secret nor another token.

On paper it is a line, ``chatcore-token:ROLE:NAME:END:KEY:SUM``. ``END`` is in seconds since 1970,
the key in hexadecimal. The sum only tells a token that was mangled on its way from one of another
cluster.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final, Literal

from chatcore.errors import TokenError

Role = Literal["viewer", "admin"]
"""What somebody may do: look, or everything."""

ROLES: Final[tuple[Role, ...]] = ("viewer", "admin")

NAME_RULE: Final = (
    "the name in a token is made of letters, digits, '.', '-', '_', '+' and '@', begins with a"
    " letter or a digit and has at most 40 characters"
)

LATEST: Final = 253_402_300_799
"""The last second that has a date."""

_LEAD: Final = "chatcore-token"
_BOUND_TO: Final = b"chatcore token\0"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@-]{0,39}")
_ID: Final = re.compile(r"(viewer|admin):([A-Za-z0-9][A-Za-z0-9._+@-]{0,39}):([1-9][0-9]{0,11})")
_TEXT: Final = re.compile(rf"{_LEAD}:({_ID.pattern}):([0-9a-f]{{64}}):([0-9a-f]{{8}})")
_LIKE_ONE: Final = re.compile(rf"\s*(?:{_LEAD}|(?:viewer|admin):)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TokenId:
    """Who holds a token, and until when.

    Args:
        role: what they may do.
        name: how they are called.
        end: the second from which it is good no more, since 1970.
    """

    role: Role
    name: str
    end: int

    @classmethod
    def read(cls, text: str) -> TokenId:
        """Read it as the holder of a token says it.

        Raises:
            TokenError: it is none.
        """
        found = _ID.fullmatch(text)
        if found is None or int(found[3]) > LATEST:
            raise TokenError(f"{text!r:.80} is the id of no token")
        return cls("viewer" if found[1] == "viewer" else "admin", found[2], int(found[3]))

    def __str__(self) -> str:
        return f"{self.role}:{self.name}:{self.end}"

    @property
    def who(self) -> str:
        """The holder, for people."""
        return f"the {self.role} token of '{self.name}'"

    @property
    def until(self) -> str:
        """The end, for people."""
        return f"{datetime.datetime.fromtimestamp(self.end, datetime.UTC):%Y-%m-%d %H:%M} UTC"

    def key(self, secret: bytes) -> bytes:
        """What the holder proves: HMAC-SHA256 (RFC 2104) of all this with the cluster's secret."""
        return hmac.new(secret, _BOUND_TO + str(self).encode(), hashlib.sha256).digest()


@dataclass(frozen=True, slots=True)
class Token:
    """A token.

    Args:
        id: who holds it, and until when.
        key: what they prove.
    """

    id: TokenId
    key: bytes

    @classmethod
    def make(cls, secret: bytes, role: Role, name: str, end: int) -> Token:
        """Make one.

        Args:
            secret: the cluster's.

        Raises:
            TokenError: the name or the end can't be used.
        """
        if _NAME.fullmatch(name) is None:
            raise TokenError(f"'{name:.80}' can't be the name in a token: {NAME_RULE}")
        if not 0 < end <= LATEST:
            raise TokenError("that end is in no calendar")
        id = TokenId(role, name, end)
        return cls(id, id.key(secret))

    @classmethod
    def read(cls, text: str) -> Token:
        """Read one.

        Raises:
            TokenError: it is mangled. What it says is not told.
        """
        found = _TEXT.fullmatch(text.strip())
        if found is None or found[6] != _sum_of(f"{found[1]}:{found[5]}"):
            raise TokenError("this token is mangled: something is missing, or was changed")
        return cls(TokenId.read(found[1]), bytes.fromhex(found[5]))

    def text(self) -> str:
        """The token as it is written down."""
        said = f"{self.id}:{self.key.hex()}"
        return f"{_LEAD}:{said}:{_sum_of(said)}"


def is_like_token(text: str) -> bool:
    """Whether a text is meant to be a token, mangled or not."""
    return _LIKE_ONE.match(text) is not None


def is_like_id(id: str) -> bool:
    """Whether somebody who comes under that name claims a token."""
    return ":" in id


def _sum_of(said: str) -> str:
    return hashlib.sha256(said.encode()).hexdigest()[:8]
