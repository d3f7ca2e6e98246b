"""Finding the running cluster: by the application's folder, or by an address."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure

from chatcore.admin.outcomes import STRANGER
from chatcore.admin.visit import Visit, visit
from chatcore.cli.exits import UNREACHABLE, CommandError
from chatcore.config.addresses import is_loopback
from chatcore.config.application_folder import find_application
from chatcore.config.names import ADMIN, MASTER, START
from chatcore.config.run_folder import SECRET_VARIABLE, RunFolder, read_secret, secret_elsewhere
from chatcore.errors import AdminError
from chatcore.links.tls import LinkTls

HEAD_START = 0.5
"""Seconds that one who was asked has, before the next one is asked, too."""

MOST_DOORS = 32
"""Of those who might answer, so many are asked at most."""

_STRANGER_ADVICE = (
    "Give the secret of that cluster with --secret-file, and --tls DIR if its links are encrypted"
)

_ADDRESS = re.compile(r"(\[[^\[\]]+\]|[^\[\]:]+):([0-9]{1,5})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A way into the cluster.

    Args:
        name: how people know it.
        endpoint: how it is dialled.
    """

    name: str
    endpoint: IStreamClientEndpoint


class Reach:
    """Knows the ways into one cluster.

    Args:
        secret: the cluster's.
        run: the run folder, where the cluster is looked for there.
        addresses: where it is looked for instead.
        where: the same in words.
        reactor: the reactor.
        tls: the administrator's certificate, for addresses where links are encrypted.
    """

    def __init__(
        self,
        *,
        secret: bytes,
        run: RunFolder | None = None,
        addresses: Sequence[tuple[str, int]] = (),
        where: str,
        reactor: Any,
        tls: LinkTls | None = None,
    ) -> None:
        self.run, self.where, self.reactor = run, where, reactor
        self._tls = tls
        self._secret, self._addresses = secret, addresses

    def doors(self) -> list[Door]:
        """All ways that there are now, the best ones first."""
        if self.run is None:
            return [
                Door(name=f"{host}:{port}", endpoint=HostnameEndpoint(self.reactor, host, port))
                for host, port in self._addresses
            ]
        names = sorted(self.run.holders(), key=lambda name: (name != START, name != MASTER))
        return [
            Door(
                name=name,
                endpoint=UNIXClientEndpoint(self.reactor, str(self.run.admin_socket(name))),
            )
            for name in names[:MOST_DOORS]
        ]

    async def enter(self, seconds: float) -> Visit:
        """Reach anybody of the cluster: the first who is asked, if it answers soon.

        Args:
            seconds: that it may take.

        Raises:
            CommandError: nobody answers.
        """
        doors = self.doors()
        if not doors:
            raise nothing_runs(self.where)

        def knock(door: Door) -> Deferred[Visit]:
            return Deferred.fromCoroutine(
                visit(
                    door.endpoint,
                    id=ADMIN,
                    secret=self._secret,
                    clock=self.reactor,
                    seconds=seconds,
                    tls=self._tls,
                )
            )

        return await _Race(doors, knock, self.reactor, self.where).begin()


def reach(options: argparse.Namespace, *, reactor: Any) -> Reach:
    """Read where the options say that the cluster is.

    Raises:
        CommandError: there is none, or the options don't fit.
        ConfigError: the application's folder or the secret can't be used.
    """
    addresses = [_address(text) for text in options.at]
    where = ", ".join(options.at)
    file = secret_elsewhere(options.secret_file)
    tls = _certificate(options, addresses, reactor) if addresses else None
    if addresses and file is not None:
        secret = read_secret(file)
        return Reach(secret=secret, addresses=addresses, where=where, reactor=reactor, tls=tls)
    app = find_application(options.app)
    run = RunFolder.find(app, options.run_dir, options.secret_file)
    if run is None or not run.has_secret:
        if addresses:
            raise CommandError(
                f"there is no secret to show to {where}",
                advice=f"Name its file with --secret-file, or with {SECRET_VARIABLE}",
            )
        raise nothing_runs(str(app))
    if addresses:
        secret = run.secret()
        return Reach(secret=secret, addresses=addresses, where=where, reactor=reactor, tls=tls)
    return Reach(secret=run.secret(), run=run, where=str(app), reactor=reactor)


def _certificate(
    options: argparse.Namespace, addresses: Sequence[tuple[str, int]], reactor: Any
) -> LinkTls | None:
    """What is shown at the addresses; None where the links are not encrypted.

    Raises:
        CommandError: such a link would leave the machine, and nobody said that it may.
        ConfigError: the certificate can't be used.
    """
    if options.tls is not None:
        return LinkTls(Path(options.tls), ADMIN, clock=reactor)
    far = [host for host, _ in addresses if not is_loopback(host)]
    if far and not options.insecure_links:
        raise CommandError(
            f"{far[0]} is another machine, and the link to it would not be encrypted",
            advice="Give the certificate for administrators with --tls DIR, or accept it on a"
            " network of your own with --insecure-links",
        )
    return None


def nothing_runs(where: str) -> CommandError:
    """Nobody is there who could be asked."""
    return CommandError(
        f"nothing of {where} runs",
        exit=UNREACHABLE,
        advice=f"'chatcore start --app {where}' starts all of it",
    )


class _Race:
    """Asks one after the other, without waiting long for any; who answers first wins."""

    def __init__(self, doors: Sequence[Door], knock: Any, clock: Any, where: str) -> None:
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
            self._result.errback(_unreachable(self._where, self._problems))

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for knocking in self._asked:
            knocking.cancel()


def _unreachable(where: str, problems: Mapping[str, AdminError]) -> CommandError:
    said = "; ".join(f"{name}: {problem.problem}" for name, problem in problems.items())
    strange = any(problem.code == STRANGER for problem in problems.values())
    return CommandError(
        f"nobody of {where} could be asked: {said}",
        exit=UNREACHABLE,
        advice=_STRANGER_ADVICE if strange else None,
    )


def _address(text: str) -> tuple[str, int]:
    found = _ADDRESS.fullmatch(text.strip())
    if found is None or not 1 <= int(found[2]) <= 65535:
        raise CommandError(
            f"--at {text!r} is no address", advice="Write HOST:PORT, as in --at 127.0.0.1:3005"
        )
    return found[1].strip("[]"), int(found[2])
