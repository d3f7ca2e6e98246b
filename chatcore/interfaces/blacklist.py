"""Who is not let in, as an application sees it."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import Interface


class IBlacklist(Interface):
    """Addresses and networks whose clients this frontend does not let in.

    An entry is an address or a network: ``192.0.2.7``, ``192.0.2.0/24``, ``2001:db8::/32``.
    It begins as the setting ``limits.blacklist`` and is forgotten when the node ends.
    """

    def add(*networks: str) -> int:
        """Let none of these in from now on, and kick those of them who are here.

        Returns:
            How many connections were closed.

        Raises:
            ValueError: one of them is no address and no network; nothing was changed.
            RuntimeError: this server is no frontend.
        """

    def remove(*networks: str) -> int:
        """Let these in again: the same entries that were added. How many of them there were.

        Raises:
            ValueError: one of them is no address and no network; nothing was changed.
        """

    def entries() -> Sequence[str]:
        """All entries, in the order in which they were added."""

    def __contains__(host: str) -> bool:
        """Whether an address, as in ``session.address[0]``, is not let in."""
