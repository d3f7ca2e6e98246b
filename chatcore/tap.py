"""``twistd chatnode``: one server of an application."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.logger import globalLogPublisher, textFileLogObserver
from twisted.python import usage
from twisted.python.logfile import LogFile

from chatcore import supervised
from chatcore.config.application_folder import find_application
from chatcore.config.claims import Claim
from chatcore.config.run_folder import RunFolder
from chatcore.config.servers import Server, Servers, load_servers
from chatcore.config.settings import Assignment, parse_assignment
from chatcore.deadlines import keep_steady
from chatcore.errors import ConfigError

if TYPE_CHECKING:
    from chatcore.node import Node

EXIT_CONFIG = 2
"""The exit code of a process whose configuration is wrong."""

EXIT_STUCK = 1
"""The exit code of a process that could not be stopped in order."""

GRACE = 5.0
"""Seconds for the rest of a stop, beside those that the application may take."""

LOG_BYTES = 10 * 1024 * 1024
LOG_FILES = 5


class Options(usage.Options):
    """The options of ``twistd chatnode``."""

    synopsis = "[options]"
    longdesc = (
        "Start one server of a chatcore application. Without --id it is the first of its type in"
        " servers.json that is not running yet, so that the same command brings up the next."
    )

    optParameters = [
        ["app", None, ".", "The application's folder."],
        ["type", None, None, "The server type, as in servers.json."],
        ["id", None, None, "The server's id, as in servers.json."],
        ["env", None, "development", "Which environment of servers.json."],
        ["run-dir", None, None, "Where pid files, logs, sockets and the secret are."],
    ]
    optFlags = [
        ["supervised", None, "Leave when standard input ends; for chatcore start."],
    ]

    folder: Path
    server: Server
    servers: Servers
    run_folder: RunFolder
    claim: Claim
    log_file: Path | None

    def __init__(self) -> None:
        super().__init__()
        self["set"] = []

    def opt_set(self, text: str) -> None:
        """Override a setting: KEY=VALUE, as in limits.messages_per_second=0. Repeatable."""
        self["set"].append(text)

    def postOptions(self) -> None:
        if self["supervised"]:
            from twisted.internet import reactor

            supervised.ignore_interrupt()
            supervised.watch(reactor)  # before the claim: who starts anew must find it free
        try:
            self._resolve()
        except ConfigError as problem:
            end_with(problem)

    def _resolve(self) -> None:
        self.assignments: list[Assignment] = [parse_assignment(text) for text in self["set"]]
        self.folder = find_application(self["app"])
        self.servers = load_servers(self.folder, self["env"])
        self.run_folder = RunFolder.open(self.folder, self["run-dir"])
        self.server, self.claim = self._claim()
        self._place_files()

    def _claim(self) -> tuple[Server, Claim]:
        """Choose the server, and make sure that nobody else runs it."""
        if self["id"] is not None:
            server = self.servers.by_id(self["id"])
            if self["type"] not in (None, server.type):
                raise ConfigError(
                    f"{server.id} is of the type {server.type}, not {self['type']}",
                    file=self.servers.file,
                    line=server.line,
                )
            claim = self.run_folder.claim(server.id)
            if claim is None:
                pid = self.run_folder.holder(server.id)
                raise ConfigError(f"{server.id} is running already, as process {pid}")
            return server, claim
        if self["type"] is None:
            there = ", ".join(self.servers.types)
            raise ConfigError("no --type and no --id given", advice=f"Types: {there}")
        servers = self.servers.of_type(self["type"])
        for server in servers:
            claim = self.run_folder.claim(server.id)
            if claim is not None:
                return server, claim
        raise ConfigError(
            f"all servers of the type {self['type']} are running already:"
            f" {', '.join(server.id for server in servers)}",
            file=self.servers.file,
            advice="Add another one there, or name the one to replace with --id once it is stopped",
        )

    def _place_files(self) -> None:
        """Put twistd's pid file and log into the run folder, unless it was told others."""
        self.log_file = None
        parent = self.parent
        assert parent is not None  # this is a sub-command
        if "pidfile" not in parent:  # twist, which has neither
            self.log_file = self.run_folder.log_file(self.server.id)
            return
        pid_file = self.run_folder.pid_file(self.server.id)
        if parent["pidfile"] == "twistd.pid":
            pid_file.unlink(missing_ok=True)  # whoever wrote it runs no more: the claim is ours
            parent["pidfile"] = str(pid_file)
        if parent["logfile"] is None and not parent["logger"]:
            log_file = self.run_folder.log_file(self.server.id)
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


class NodeService(Service):
    """Runs a node; holds its claim and writes its log file until it has stopped."""

    def __init__(self, node: Node, options: Options) -> None:
        self._node = node
        self._options = options
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
        self._node.startService()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        leave_within(self._node.stop_seconds + GRACE, self._options.leave)
        return self._node.stopService().addBoth(self._stopped)

    def _stopped(self, result: None) -> None:
        if self._observer is not None:
            globalLogPublisher.removeObserver(self._observer)
        if self._log is not None:
            self._log.close()
        self._options.claim.release()
        return result


def makeService(options: Options) -> Service:
    """The service that twistd runs."""
    from twisted.internet import reactor

    from chatcore.node import Node

    keep_steady(reactor)

    def failed(problem: ConfigError) -> None:
        say(str(problem))
        reactor.addSystemEventTrigger("after", "shutdown", options.leave, EXIT_CONFIG)
        stop()

    def stop() -> None:
        reactor.callWhenRunning(stop_running)  # a hook may ask for it before it runs

    def stop_running() -> None:
        with suppress(ReactorNotRunning):  # it is being stopped already
            reactor.stop()

    try:
        node = Node(
            folder=options.folder,
            server=options.server,
            servers=options.servers,
            run_folder=options.run_folder,
            assignments=options.assignments,
            reactor=reactor,
            ready=supervised.tell_ready if options["supervised"] else lambda: None,
            failed=failed,
            stop=stop,
        )
    except ConfigError as problem:
        options.claim.release()
        end_with(problem)
    return NodeService(node, options)


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
