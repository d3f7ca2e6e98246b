"""Those who open a link and are no nodes of the view."""

from __future__ import annotations

from typing import Protocol

from chatcore.links.link import Link


class IGuests(Protocol):
    """Those of one kind who come to the port for links, and what is done for them.

    Who has come is told by its id, which the hello has proven to be used by somebody who knows the
    cluster's secret.
    """

    def expects(self, id: str) -> bool:
        """Whether somebody of that id is one of them."""

    def arrived(self, link: Link) -> None:
        """One of them has proven itself. What it may ask is to be said by `Link.serve`."""

    def left(self, link: Link) -> None:
        """The link to one of them has ended."""
