"""Finding the running cluster: by the application's folder, or by an address."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure

from chatcore.admin.outcomes import AWAY, STRANGER
from chatcore.admin.visit import Visit, visit
from chatcore.cli.exits import UNREACHABLE, CommandError
from chatcore.cli.servers import shortened
from chatcore.cluster.view import Member
from chatcore.config.addresses import is_loopback
from chatcore.config.application_folder import find_application
from chatcore.config.identities import IdentityFiles
from chatcore.config.names import ADMIN, MASTER, PAGE, START, VIEWER
from chatcore.config.run_folder import SECRET_VARIABLE, RunFolder, read_key, secret_elsewhere
from chatcore.config.tokens import Token
from chatcore.errors import AdminError, CallTimedOut, ConfigError
from chatcore.links.greeting import CLOSED, EXPIRED, NO_SECRET
from chatcore.links.tls import LinkTls

HEAD_START = 0.5
"""Seconds that one who was asked has, before the next one is asked, too."""

MOST_DOORS = 32
"""Of those who might answer, so many are asked at most."""

_STRANGER_ADVICE = (
    "Give the secret of that cluster with --secret-file, and --tls DIR if its links are encrypted"
)

_EXPIRED_ADVICE = (
    "Have a new one made with 'chatcore token', by somebody who has the cluster's secret"
)

_TOKEN_ADVICE = (
    "The token is that of another cluster, or was made with a secret that this one has no more."
    f" {_EXPIRED_ADVICE}"
)

_OTHER_ADVICE = (
    "If that port speaks something else, as a port for clients does, name the master's, or a"
    " server's port for links. Where links are encrypted, give --tls DIR"
)

_SILENT_ADVICE = (
    "See whether it runs there, and what keeps it from answering. On its own machine, 'chatcore"
    " kill ID' ends a server that hangs"
)

_ADDRESS = re.compile(r"(\[[^\[\]]+\]|[^\[\]:]+):([0-9]{1,5})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A way into the cluster.

    Args:
        name: how people know it.
        endpoint: how it is dialled.
        to: the id of who has to answer there; anybody unless given.
        me: who knocks.
        tls: the certificate to show, where links are encrypted.
    """

    name: str
    endpoint: IStreamClientEndpoint
    to: str = ""
    me: str = ADMIN
    tls: LinkTls | None = None


class Reach:
    """Knows the ways into one cluster.

    Args:
        key: what is shown: the cluster's secret, or a token.
        run: the run folder, where the cluster is looked for there.
        addresses: where it is looked for instead.
        where: the same in words.
        reactor: the reactor.
        tls: the administrator's certificate, where somebody has named it.
        insecure: whether other machines may be asked without encryption.
    """

    def __init__(
        self,
        *,
        key: bytes | Token,
        run: RunFolder | None = None,
        addresses: Sequence[tuple[str, int]] = (),
        where: str,
        reactor: Any,
        tls: LinkTls | None = None,
        insecure: bool = False,
    ) -> None:
        self._insecure = insecure
        self.run, self.where, self.reactor = run, where, reactor
        self._tls = tls
        self._addresses = addresses
        self._token = key if isinstance(key, Token) else None
        self._key = key.key if isinstance(key, Token) else key
        self._found: dict[tuple[Path, str], LinkTls] = {}

    @property
    def has_token(self) -> bool:
        """Whether a token is shown, and not the cluster's secret."""
        return self._token is not None

    def doors(self) -> list[Door]:
        """All ways that there are now, the best ones first.

        Raises:
            ConfigError: a certificate that has to be shown can't be used.
        """
        if self.run is None:
            return [
                Door(
                    name=f"{host}:{port}",
                    endpoint=HostnameEndpoint(self.reactor, host, port),
                    me=self._me,
                    tls=self._tls,
                )
                for host, port in self._addresses
            ]
        names = sorted(self.run.holders(), key=lambda name: (name != START, name != MASTER))
        return [self._door(self.run, name) for name in names if name != PAGE][:MOST_DOORS]

    async def visit(self, id: str, member: Member | None, seconds: float) -> Visit:
        """Reach one server itself, by its socket on this machine or by its port for links.

        Args:
            member: the same, as the view has it.
            seconds: that it may take.

        Raises:
            AdminError: it can't be reached.
            ConfigError: as from `doors`.
        """
        if self.run is not None and self.run.holder(id) is not None:
            return await self._knock(self._door(self.run, id), seconds)
        server = None if member is None else member.server
        if server is None or server.port is None:
            raise AdminError(
                "it does not run on this machine, and has no port for links", code=AWAY
            )
        me, tls = self._shown_elsewhere()
        if tls is None and not self._insecure and not is_loopback(server.host):
            raise AdminError(
                "it runs on another machine, and the link to it would not be encrypted",
                code=AWAY,
                advice="Give --tls DIR, or --insecure-links",
            )
        endpoint = HostnameEndpoint(self.reactor, server.host, server.port)
        door = Door(name=id, endpoint=endpoint, to=id, me=me, tls=tls)
        return await self._knock(door, seconds)

    def _shown_elsewhere(self) -> tuple[str, LinkTls | None]:
        """What is shown to a server of another machine: what is shown to those of this one."""
        if self._tls is not None or self.run is None:
            return self._me, self._tls
        doors = [self._door(self.run, name) for name in self.run.holders() if name != PAGE]
        return next(
            ((each.me, each.tls) for each in doors if each.tls is not None), (self._me, None)
        )

    async def _knock(self, door: Door, seconds: float) -> Visit:
        return await visit(
            door.endpoint,
            id=door.me,
            secret=self._key,
            clock=self.reactor,
            seconds=seconds,
            to=door.to,
            tls=door.tls,
        )

    def _door(self, run: RunFolder, name: str) -> Door:
        """The way to a process of this machine, by its socket."""
        facts = run.noted(name)
        to = facts.get("id", MASTER if name == START else name)
        me, tls = self._me, self._tls
        if tls is None and "tls" in facts:
            me, tls = self._certificate(Path(facts["tls"]), to)
        endpoint = UNIXClientEndpoint(self.reactor, str(run.admin_socket(name)))
        return Door(name=name, endpoint=endpoint, to=to, me=me, tls=tls)

    def _certificate(self, folder: Path, id: str) -> tuple[str, LinkTls]:
        """What is shown to a process, and who shows it.

        Where there is no certificate for people, its own does: who can read that is itself.
        """
        own = _holder(folder, self._token)
        holder = own or id
        if (folder, holder) not in self._found:
            self._found[folder, holder] = LinkTls(folder, holder, clock=self.reactor)
        me = self._me if own or self._token is not None else f"{ADMIN}-{id}"
        return me, self._found[folder, holder]

    @property
    def _me(self) -> str:
        return ADMIN if self._token is None else str(self._token.id)

    async def enter(self, seconds: float) -> Visit:
        """Reach anybody of the cluster: the first who is asked, if it answers soon.

        Args:
            seconds: that it may take.

        Raises:
            CommandError: nobody answers.
            ConfigError: as from `doors`.
        """
        doors = self.doors()
        if not doors:
            raise nothing_runs(self.where)

        def knock(door: Door) -> Deferred[Visit]:
            return Deferred.fromCoroutine(self._knock(door, seconds))

        race = _Race(doors, knock, self.reactor, self.where, has_token=self.has_token)
        return await race.begin()


def reach(options: argparse.Namespace, *, reactor: Any) -> Reach:
    """Read where the options say that the cluster is.

    Raises:
        CommandError: there is none, or the options don't fit.
        ConfigError: the application's folder, the secret or the certificate can't be used.
    """
    addresses = [_address(text) for text in options.at]
    where = ", ".join(options.at)
    if options.tls is None and not options.insecure_links:
        _refuse_far(addresses)
    file = secret_elsewhere(options.secret_file)
    if addresses and file is not None:
        key, run = read_key(file), None
    else:
        app = _application(options.app, where if addresses else "")
        run = RunFolder.find(app, options.run_dir, options.secret_file)
        if run is None or not run.has_secret:
            if addresses:
                raise _nothing_to_show(where)
            if run is not None and run.holders():
                raise _no_secret(app, run)
            raise nothing_runs(str(app))
        key = run.key()
        if not addresses:
            where = str(app)
    tls = None
    if options.tls is not None:
        folder, token = Path(options.tls), key if isinstance(key, Token) else None
        holder = _holder(folder, token) or (ADMIN if token is None else token.id.role)
        tls = LinkTls(folder, holder, clock=reactor)
    return Reach(
        key=key,
        run=None if addresses else run,
        addresses=addresses,
        where=where,
        reactor=reactor,
        tls=tls,
        insecure=options.insecure_links,
    )


def _holder(folder: Path, token: Token | None) -> str | None:
    """Whose certificate of a folder is shown; None where there is none for people."""
    viewer = token is not None and token.id.role == VIEWER
    for holder in (VIEWER, ADMIN) if viewer else (ADMIN,):
        if all(file.exists() for file in IdentityFiles(folder, holder).own):
            return holder
    return None


def _application(folder: str, at: str) -> Path:
    """The application, whose run folder has the secret.

    Args:
        folder: where it is looked for.
        at: the addresses that were given, in words; empty where there are none.

    Raises:
        CommandError: it is not there, and addresses were given.
        ConfigError: it is not there otherwise.
    """
    try:
        return find_application(folder)
    except ConfigError:
        if at and folder == ".":
            raise _nothing_to_show(at) from None
        raise


def _nothing_to_show(where: str) -> CommandError:
    return CommandError(
        f"there is no secret to show to {where}",
        advice=f"Name its file with --secret-file, or with {SECRET_VARIABLE}; or the application's"
        " folder with --app, if servers run on this machine",
    )


def _refuse_far(addresses: Iterable[tuple[str, int]]) -> None:
    """Refuse addresses to which links would leave the machine as they are.

    Raises:
        CommandError: there is one.
    """
    far = [host for host, _ in addresses if not is_loopback(host)]
    if far:
        raise CommandError(
            f"{far[0]} is another machine, and the link to it would not be encrypted",
            advice="Give the certificate for administrators with --tls DIR, or accept it on a"
            " network of your own with --insecure-links",
        )


def nothing_runs(where: str) -> CommandError:
    """Nobody is there who could be asked."""
    return CommandError(
        f"nothing of {where} runs",
        exit=UNREACHABLE,
        advice=f"'chatcore start --app {where}' starts all of it, with --env where that is not"
        " 'development'. Where it runs on other machines, --at HOST:PORT asks a server there",
    )


def _no_secret(app: Path, run: RunFolder) -> CommandError:
    """It runs here, and its secret is somewhere else."""
    names = sorted(run.holders())
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return CommandError(
        f"{names[0]}{more} of {app} run{'' if more else 's'}, with a secret that is not in the run"
        " folder",
        exit=UNREACHABLE,
        advice="Name the file that they were started with: --secret-file FILE, or"
        f" {SECRET_VARIABLE}",
    )


class _Race:
    """Asks one after the other, without waiting long for any; who answers first wins."""

    def __init__(
        self, doors: Sequence[Door], knock: Any, clock: Any, where: str, *, has_token: bool
    ) -> None:
        self._has_token = has_token
        self._doors, self._knock, self._clock = list(doors), knock, clock
        self._where = where
        self._asked: list[Deferred[Visit]] = []
        self._problems: dict[str, AdminError] = {}
        self._timer: Any = None
        self._result: Deferred[Visit] = Deferred(lambda _: self._stop())

    def begin(self) -> Deferred[Visit]:
        """Begin; what comes back gives who answered, or fails with a `CommandError`."""
        self._next()
        return self._result

    def _next(self) -> None:
        self._timer = None
        door = self._doors.pop(0)
        knocking = self._knock(door)
        self._asked.append(knocking)
        if self._doors:
            self._timer = self._clock.callLater(HEAD_START, self._next)
        knocking.addCallbacks(self._answered, self._refused, errbackArgs=(door,))

    def _answered(self, visiting: Visit) -> None:
        if self._result.called:
            visiting.close()
            return
        self._stop()
        self._result.callback(visiting)

    def _refused(self, reason: Failure, door: Door) -> None:
        if self._result.called or reason.check(CancelledError):
            return
        if not isinstance(reason.value, AdminError):
            self._stop()
            self._result.errback(reason)
            return
        self._problems[door.name] = reason.value
        if self._doors:
            if self._timer is not None:
                self._timer.cancel()
            self._next()
        elif len(self._problems) == len(self._asked):
            self._result.errback(_unreachable(self._where, self._problems, self._has_token))

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for knocking in self._asked:
            knocking.cancel()


def _unreachable(where: str, problems: Mapping[str, AdminError], has_token: bool) -> CommandError:
    alike: dict[str, list[str]] = {}
    for name, problem in problems.items():
        alike.setdefault(problem.problem.rstrip("."), []).append(name)
    said = "; ".join(f"{shortened(names)}: {why}" for why, names in alike.items())
    strange = [problem for problem in problems.values() if problem.code == STRANGER]
    advice = _SILENT_ADVICE
    if strange:
        advice = _advice_to_strangers([problem.problem for problem in strange], has_token)
    return CommandError(
        f"nobody of {where} could be asked: {said}", exit=UNREACHABLE, advice=advice
    )


def _advice_to_strangers(problems: Sequence[str], has_token: bool) -> str:
    if all(problem in (CLOSED, CallTimedOut.why) for problem in problems):
        return _OTHER_ADVICE
    if has_token and any(EXPIRED in problem for problem in problems):
        return _EXPIRED_ADVICE
    if has_token and NO_SECRET in problems:
        return _TOKEN_ADVICE
    return _STRANGER_ADVICE


def is_address(text: str) -> bool:
    """Whether that is written as an address, HOST:PORT."""
    return _ADDRESS.fullmatch(text.strip()) is not None


def _address(text: str) -> tuple[str, int]:
    found = _ADDRESS.fullmatch(text.strip())
    if found is None or not 1 <= int(found[2]) <= 65535:
        raise CommandError(
            f"--at {text!r} is no address", advice="Write HOST:PORT, as in --at 127.0.0.1:3005"
        )
    return found[1].strip("[]"), int(found[2])
