"""One session of a uid in the whole cluster: what one node has to do with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from chatcore.cluster.asking import Asking, IPeers, Question
from chatcore.cluster.claims import Claims
from chatcore.cluster.directory import Directory
from chatcore.cluster.homes import Homes
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.view import View
from chatcore.deadlines import IClock
from chatcore.errors import SessionError
from chatcore.sessions.service import TAKEN_OVER, SessionService
from chatcore.sessions.settings import SessionSettings
from chatcore.telemetry import Counters

CLAIM_SECONDS = 5.0
"""How long it may take to find out whether a uid has a session."""


class Logins:
    """Has uids claimed in the whole cluster before they are bound, if the settings say so.

    Every frontend can be a home, whatever its own settings say: servers of other types may share
    theirs. But it has nothing to do before somebody asks.

    Args:
        id: of this node.
        incarnation: which life of it this is, as of now.
        frontend: whether it is a frontend.
        servers: those of the view.
        sessions: those of this node.
        settings: what the settings say about sessions.
        peers: reaches the frontends.
        later: calls something when this turn is over.
        patience: seconds that a frontend may be away in a view that never changes.
        seconds: how long it may take to find out who has a uid.
        clock: the reactor, or a test's clock.
        counters: where failures are counted.
    """

    def __init__(
        self,
        *,
        id: str,
        incarnation: Callable[[], str],
        frontend: bool,
        servers: ClusterServers,
        sessions: SessionService,
        settings: SessionSettings,
        peers: IPeers,
        later: Callable[[Callable[[], None]], None],
        patience: float,
        clock: IClock,
        counters: Counters,
        seconds: float = CLAIM_SECONDS,
    ) -> None:
        self._id, self._incarnation, self._frontend = id, incarnation, frontend
        self._servers, self._sessions, self._settings = servers, sessions, settings
        self._peers, self._later, self._patience = peers, later, patience
        self._seconds, self._clock, self._counters = seconds, clock, counters
        self._asking: Asking | None = None
        self._directory: Directory | None = None
        self._claims: Claims | None = None
        self._started = self._suspended = False
        self.shared = settings.scope == "cluster" and settings.per_uid != "many"
        if self.shared:
            self._ask_homes()
            if frontend:
                sessions.share(self._take_part()[1])
        servers.on_changed(self._follow)

    @property
    def at_home(self) -> int:
        """How many uids this node keeps the claims of."""
        return 0 if self._directory is None else len(self._directory)

    async def where(self, uid: str) -> str | None:
        """The frontend where the session of a uid is; None if it has none.

        Raises:
            SessionError: it can't be known now.
        """
        found: Deferred[Sequence[Any]] = Deferred()

        def failed(why: str) -> None:
            found.errback(SessionError(f"where {uid!r} is can't be said now, try again: {why}"))

        self._ask_homes().ask(
            Question(uid, "where_is", args=lambda: [uid], answered=found.callback, failed=failed)
        )
        answer = await found
        return str(answer[1]) if answer[0] == "at" else None

    def linked(self, peer: str, incarnation: str) -> None:
        """There is a link to another node."""
        if self._directory is not None and self._claims is not None:
            self._directory.linked(peer, incarnation)
            self._claims.linked(peer)
        if self._asking is not None:
            self._asking.wake()

    def unlinked(self, peer: str) -> None:
        """A link is lost."""
        if self._directory is not None:
            self._directory.unlinked(peer)

    def suspend(self, suspended: bool) -> None:
        """Claim and keep nothing: whether this node is still in the view can't be known.

        Args:
            suspended: whether that is so, from now on.
        """
        self._suspended = suspended
        if self._directory is not None:
            self._directory.check()
        if self._asking is not None:
            self._asking.wake()

    def start(self) -> None:
        """Begin, once this node can be asked."""
        self._started = True
        if self._directory is not None:
            self._directory.start()

    def stop(self) -> None:
        """Forget the timers."""
        if self._asking is not None:
            self._asking.stop()
        if self._directory is not None:
            self._directory.stop()

    # What frontends ask each other, and what backends ask them.

    def remotes(self) -> Sequence[Callable[..., Any]]:
        """What other nodes may call, each under its own name: of a frontend."""
        if not self._frontend:
            return []
        return [self.claim, self.where_is, self.release, self.attend, self.offer, self.lost]

    def claim(self, *args: Any) -> Sequence[Any] | Awaitable[Sequence[Any]]:
        """`Directory.claim`."""
        return self._take_part()[0].claim(*args)

    def where_is(self, *args: Any) -> Sequence[Any] | Awaitable[Sequence[Any]]:
        """`Directory.where`."""
        return self._take_part()[0].where(*args)

    def release(self, *args: Any) -> None:
        """`Directory.release`."""
        self._take_part()[0].release(*args)

    def attend(self, *args: Any) -> None:
        """`Directory.attend`."""
        self._take_part()[0].attend(*args)

    def offer(self, *args: Any) -> Sequence[Any]:
        """`Claims.offer`."""
        return self._take_part()[1].offer(*args)

    def lost(self, *args: Any) -> None:
        """`Claims.lost`."""
        self._take_part()[1].lost(*args)

    # What it needs for that.

    def _ask_homes(self) -> Asking:
        if self._asking is None:
            self._asking = Asking(
                homes=Homes(self._servers.view),
                peers=self._peers,
                seconds=self._seconds,
                clock=self._clock,
            )
        return self._asking

    def _take_part(self) -> tuple[Directory, Claims]:
        """Both halves of what a frontend does."""
        if self._directory is None or self._claims is None:
            self._claims = Claims(
                id=self._id,
                incarnation=self._incarnation,
                suspended=lambda: self._suspended,
                per_uid=self._settings.per_uid,
                asking=self._ask_homes(),
                peers=self._peers,
                bind=self._sessions.bound_to,
                kick=lambda session: self._sessions.kick(session, TAKEN_OVER),
                counters=self._counters,
            )
            self._directory = Directory(
                id=self._id,
                incarnation=self._incarnation,
                suspended=lambda: self._suspended,
                homes=self._ask_homes().homes,
                peers=self._peers,
                later=self._later,
                patience=self._patience,
                clock=self._clock,
                counters=self._counters,
            )
            if self._started:
                self._directory.start()
        return self._directory, self._claims

    def _follow(self, old: View, new: View) -> None:
        asking = self._asking
        if asking is None:
            return
        before, run = asking.homes, asking.run
        asking.follow(Homes(new))
        moved = asking.run != run
        if self._directory is not None and self._claims is not None:
            if moved:
                self._claims.place_again(before)
            self._directory.follow(asking.homes)
            self._claims.tell_homes(moved)
        asking.wake()
