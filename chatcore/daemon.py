"""What a process that twistd runs does with its pid file, its log file and its claim."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import IO, Any, NoReturn, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher, textFileLogObserver
from twisted.python import usage
from twisted.python.logfile import LogFile

from chatcore.config.claims import Claim
from chatcore.config.run_folder import RunFolder, refuse_secret
from chatcore.config.settings import Assignment, parse_assignment
from chatcore.errors import ConfigError
from chatcore.links.settings import said_by_options

EXIT_CONFIG = 2
"""The exit code of a process whose configuration is wrong."""

EXIT_STUCK = 1
"""The exit code of a process that could not be stopped in order."""

GRACE = 5.0
"""Seconds for the rest of a stop, beside those that the service itself says it may take."""

LOG_BYTES = 10 * 1024 * 1024
LOG_FILES = 5


class DaemonOptions(usage.Options):
    """The options of a sub-command of twistd whose process has a name in the run folder."""

    optParameters = [
        ["tls", None, None, "Encrypt links; the folder that 'chatcore certs' has made."],
        ["secret-file", None, None, "The cluster's secret, where it is not in the run folder."],
    ]
    optFlags = [
        ["insecure-links", None, "Let links leave this machine though they are not encrypted."],
    ]

    run_folder: RunFolder
    claim: Claim
    log_file: Path | None

    def __init__(self) -> None:
        super().__init__()
        self["set"] = []

    def opt_set(self, text: str) -> None:
        """Override a setting: KEY=VALUE, as in limits.messages_per_second=0. Repeatable."""
        self["set"].append(text)

    def opt_secret(self, text: str) -> NoReturn:
        """Refused: see --secret-file."""
        try:
            refuse_secret()
        except ConfigError as problem:
            end_with(problem)

    def settings_said(self) -> list[Assignment]:
        """What these options say of settings.

        Raises:
            ConfigError: what ``--set`` said is no assignment.
        """
        given = [parse_assignment(text) for text in self["set"]]
        return given + said_by_options(self["tls"], bool(self["insecure-links"]))

    def open_run_folder(self, app: Path) -> RunFolder:
        """The run folder of the application in a folder.

        Raises:
            ConfigError: as from `RunFolder.open`.
        """
        return RunFolder.open(app, self["run-dir"], self["secret-file"])

    def place_files(self, id: str) -> None:
        """Put twistd's pid file and log into the run folder, unless it was told others.

        Args:
            id: the name that this process has claimed.
        """
        self.log_file = None
        parent = self.parent
        assert parent is not None  # this is a sub-command
        if "pidfile" not in parent:  # twist, which has neither
            self.log_file = self.run_folder.log_file(id)
            return
        pid_file = self.run_folder.pid_file(id)
        if parent["pidfile"] == "twistd.pid":
            pid_file.unlink(missing_ok=True)  # whoever wrote it runs no more: the claim is ours
            parent["pidfile"] = str(pid_file)
        if parent["logfile"] is None and not parent["logger"]:
            log_file = self.run_folder.log_file(id)
            if parent["nodaemon"]:
                self.log_file = log_file  # in addition to the terminal
            else:
                parent["logfile"] = str(log_file)

    def leave(self, code: int) -> None:
        """End this process at once, without its pid file."""
        parent = self.parent
        if parent is not None and parent.get("pidfile"):
            Path(parent["pidfile"]).unlink(missing_ok=True)
        for stream in (sys.__stdout__, sys.__stderr__):
            if stream is not None:
                with suppress(OSError, ValueError):
                    stream.flush()
        os._exit(code)


class Daemon(Service):
    """Runs a service; holds its claim and writes its log file until it has stopped.

    Args:
        service: the service.
        options: where its files are.
        stop_seconds: how long it may take to stop.
    """

    def __init__(
        self, service: Service, options: DaemonOptions, *, stop_seconds: float = 0.0
    ) -> None:
        self._service, self._options, self._stop_seconds = service, options, stop_seconds
        self._log: LogFile | None = None
        self._observer: Any = None

    def startService(self) -> None:
        super().startService()
        self._options.claim.note_pid()  # daemonizing has changed it
        path = self._options.log_file
        if path is not None:
            self._log = LogFile(
                path.name, str(path.parent), rotateLength=LOG_BYTES, maxRotatedFiles=LOG_FILES
            )
            self._observer = textFileLogObserver(cast(IO[Any], self._log))
            globalLogPublisher.addObserver(self._observer)
        self._service.startService()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        leave_within(self._stop_seconds + GRACE, self._options.leave)
        stopped: Deferred[None] = self._service.stopService()
        return stopped.addBoth(self._stopped)

    def _stopped(self, result: None) -> None:
        if self._observer is not None:
            globalLogPublisher.removeObserver(self._observer)
        if self._log is not None:
            self._log.close()
        self._options.claim.release()
        return result


def stop_once(reactor: Any) -> None:
    """Have the signals that stop a process do so once, and mean nothing from then on.

    It may be told by several: systemd sends SIGTERM to all processes of a service, and 'chatcore
    start' to its own. Twisted's reactor fails when it is told twice.

    Args:
        reactor: what the signals stop.
    """

    over = False

    def install() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            usual = signal.getsignal(number)
            if callable(usual) and getattr(usual, "__self__", None) is reactor:
                signal.signal(number, partial(once, usual))
        reactor.addSystemEventTrigger("before", "shutdown", forget)

    def once(usual: Callable[..., object], number: int, frame: FrameType | None) -> None:
        if not over:
            forget()
            usual(number, frame)

    def forget() -> None:
        nonlocal over
        over = True

    reactor.callWhenRunning(install)


def leave_within(seconds: float, end: Callable[[int], object]) -> None:
    """Have ``end(code)`` called when that time is over, whatever this process is busy with then.

    A thread watches: a function that blocks would keep the reactor from noticing, and threads of
    the application's that never end keep a process from ending.
    """

    def leave() -> None:
        say(f"not stopped after {seconds:g} s; leaving at once")
        end(EXIT_STUCK)

    watch = threading.Timer(seconds, leave)
    watch.daemon = True
    watch.start()


def say(message: str) -> None:
    """Tell whoever started this process, though ``sys.stderr`` is the log's while it runs."""
    print(message, file=sys.__stderr__, flush=True)


def end_with(problem: ConfigError) -> NoReturn:
    """Say what is wrong and leave."""
    print(problem, file=sys.stderr)
    raise SystemExit(EXIT_CONFIG)
