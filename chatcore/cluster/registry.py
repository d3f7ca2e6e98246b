"""What knows which nodes there are."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred, succeed

from chatcore.cluster.view import Member, View


class IHearer(Protocol):
    """A node, as its registry speaks to it. Nothing of this is called from within a registry's
    own methods, but for `StaticRegistry`."""

    def heard(self, view: View) -> None:
        """There is a newer view: its epoch is higher than that of any heard before.

        It may be without this node: while it has not been let in yet, and after it was taken out.
        """

    def lost(self, why: str, silent: float) -> None:
        """The registry does not answer now. The last view holds.

        Args:
            why: in words.
            silent: for how many seconds it has not answered already.
        """

    def found(self) -> None:
        """It answers again; called only after `lost`. Who was taken out meanwhile has been told so
        before."""

    def removed(self) -> None:
        """This life of the node was in the view and was taken out of it, though it lives.

        Others have taken its place. It is to go on under a new incarnation, with `announce`.
        """


class IRegistry(Protocol):
    """Numbers the views, and tells the nodes of them.

    Whatever happens to it: a node that was in the view stays in it as long as its registry can't
    tell, epochs never go back, and of one epoch there is one view.
    """

    def start(self, member: Member, hearer: IHearer) -> None:
        """Announce a node, and keep it announced, whatever comes between.

        Args:
            member: the node.
            hearer: told of views from now on, at the earliest in the next turn.
        """

    def announce(self, member: Member) -> None:
        """Announce a change of the same node: another state, or another incarnation."""

    def leave(self) -> Deferred[None]:
        """Take the node out of the view; fires when that is done, or can't be done now.

        The hearer is told nothing any more. Also ends everything that the registry holds.
        """


def shown(url: str) -> str:
    """A registry's URL as people may see it: without user and password, however it is written."""
    before, at, after = url.rpartition("@")
    if not at:
        return url
    scheme, mark, _ = before.partition("://")
    return f"{scheme}://***@{after}" if mark else f"***@{after}"


class StaticRegistry:
    """One view for ever: the servers as the application's servers.json lists them.

    Args:
        view: that view.
    """

    def __init__(self, view: View) -> None:
        self.view = view

    def start(self, member: Member, hearer: IHearer) -> None:
        hearer.heard(self.view)

    def announce(self, member: Member) -> None:
        """Nobody is told: the view stays as it is."""

    def leave(self) -> Deferred[None]:
        return succeed(None)
