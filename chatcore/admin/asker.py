"""Who asks, and what they may have done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from chatcore.admin.outcomes import FORBIDDEN
from chatcore.config.tokens import Role, TokenId, is_like_id
from chatcore.errors import AdminError, TokenError

Right = Literal["see", "act"]
"""What it takes to ask for something.

``see``
    nothing changes by it, and no secret is in the answer
``act``
    everything else
"""

_RIGHTS: Final[dict[Role, tuple[Right, ...]]] = {"viewer": ("see",), "admin": ("see", "act")}

LONGEST_NAME: Final = 80
"""Characters of a name that stand in a log."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody who asks a process.

    Args:
        role: what they may do.
        name: how they are called, for logs.
    """

    role: Role
    name: str

    @classmethod
    def of(cls, peer: str, said: str = "") -> Asker:
        """Who asks over a link.

        Args:
            peer: whose link it is: somebody with a token, or somebody who knows the secret.
            said: for whom they say that they ask, as from `passed_on`. Who knows the secret may
                say anything. Nobody may do more by it than without it.
        """
        if is_like_id(peer):
            try:
                token = TokenId.read(peer)
            except TokenError:
                return cls("viewer", peer)  # nobody comes so far
            return cls(token.role, token.name)
        role, colon, name = said.partition(":")
        if not colon:
            return cls("admin", peer)
        who = ascii(name[:LONGEST_NAME])[1:-1]
        return cls("admin" if role == "admin" else "viewer", f"{who} (by {peer})")

    def passed_on(self) -> str:
        """The same for the next process, where this one passes on what was asked."""
        return f"{self.role}:{self.name}"

    def may(self, right: Right) -> bool:
        """Whether they have that right."""
        return right in _RIGHTS[self.role]

    def need(self, right: Right, what: str) -> None:
        """See that they may have something done.

        Args:
            what: that, as in ``stop chat-1``.

        Raises:
            AdminError: they may not.
        """
        if not self.may(right):
            raise AdminError(
                f"{self.name} may not {what}: who has a {self.role} token may look, and do nothing"
                " else",
                code=FORBIDDEN,
                advice="It takes the token of an administrator, or the cluster's secret",
            )
