"""``twistd chatnode``: one server of an application."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ReactorNotRunning

from chatcore import supervised
from chatcore.cluster.choosing import refuse_passwords
from chatcore.config.application_folder import find_application
from chatcore.config.applied import servers_of_process
from chatcore.config.claims import Claim
from chatcore.config.names import START
from chatcore.config.placing import Placing, described_by_environment
from chatcore.config.servers import Server, Servers
from chatcore.config.settings import Assignment
from chatcore.daemon import EXIT_CONFIG, Daemon, DaemonOptions, end_with, say, stop_once
from chatcore.deadlines import keep_steady
from chatcore.errors import ConfigError

if TYPE_CHECKING:
    from chatcore.node.administered import Process

EXIT_KILLED = 137
"""The exit code of a process that an administrator killed: what a shell says of SIGKILL."""


class Options(DaemonOptions):
    """The options of ``twistd chatnode``."""

    synopsis = "[options]"
    longdesc = (
        "Start one server of a chatcore application. Without --id it is the first of its type in"
        " servers.json that is not running yet, so that the same command brings up the next."
    )

    optParameters = [
        ["app", None, ".", "The application's folder."],
        ["type", None, None, "The server type, as in servers.json."],
        ["id", None, None, "The server's id, as in servers.json, or a new one."],
        ["env", None, "development", "Which environment of servers.json."],
        ["run-dir", None, None, "Where pid files, logs, sockets and the secret are."],
        ["registry", None, None, "What knows which nodes there are, as master://127.0.0.1:3005."],
        [
            "host",
            None,
            None,
            "Where other nodes reach this one, instead of what servers.json says.",
        ],
        ["port", None, None, "The port for other nodes."],
        ["client-host", None, None, "The host that clients are told."],
        [
            "client-bind",
            None,
            None,
            "The address that the port for clients is bound to, if it is another.",
        ],
        ["client-port", None, None, "The port for clients."],
    ]
    optFlags = [
        ["supervised", None, "Leave when standard input ends; for chatcore start."],
    ]

    folder: Path
    server: Server
    servers: Servers
    placing: Placing
    assignments: list[Assignment]
    words: supervised.Words

    def postOptions(self) -> None:
        if self["supervised"]:
            from twisted.internet import reactor

            supervised.ignore_interrupt()
            self.words = supervised.Words(reactor)
            # Before the claim: who starts anew must find it free.
            supervised.watch(reactor, words=self.words)
        try:
            self._resolve()
        except ConfigError as problem:
            end_with(problem)

    def _resolve(self) -> None:
        refuse_passwords(self["registry"], self["set"])
        self.assignments = self.settings_said()
        self.folder = find_application(self["app"])
        self.servers = servers_of_process(
            self.folder, self["env"], os.environ, supervised=bool(self["supervised"])
        )
        self.run_folder = self.open_run_folder(self.folder)
        self.placing = Placing.of(self)
        listed, self.claim = self._claim()
        try:
            self.server = self.placing.place(listed)
        except ConfigError:
            self.claim.release()
            raise
        self.servers = self.servers.having(self.server)
        self.place_files(self.server.id)

    def _claim(self) -> tuple[Server, Claim]:
        """Choose the server, and make sure that nobody else runs it."""
        if self["id"] is not None:
            server = self._named(self["id"])
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

    def _named(self, id: str) -> Server:
        """The server of that id; a new one, if enough is said of it."""
        server = self.servers.get(id)
        if server is None and self["type"] is not None and self["supervised"]:
            server = described_by_environment(id, self["type"], os.environ)
            if server is not None:
                return server
        if server is None and self["type"] is not None and self.placing.said:
            return self.placing.new(id, self["type"], self.servers)
        try:
            server = self.servers.by_id(id)
        except ConfigError as problem:
            raise ConfigError(
                problem.problem,
                file=problem.file,
                advice=f"{problem.advice}. For a new one, say --type, and where it is: --port, and"
                " --host",
            ) from None
        if self["type"] not in (None, server.type):
            raise ConfigError(
                f"{server.id} is of the type {server.type}, not {self['type']}",
                file=self.servers.file,
                line=server.line,
            )
        return server


def makeService(options: Options) -> Service:
    """The service that twistd runs."""
    from twisted.internet import reactor

    from chatcore.node import Node

    keep_steady(reactor)
    stop_once(reactor)

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
            placed=bool(options.placing.said),
            run_folder=options.run_folder,
            assignments=options.assignments,
            reactor=reactor,
            registry_url=options["registry"],
            ready=supervised.tell_ready if options["supervised"] else lambda: None,
            failed=failed,
            stop=stop,
            process=_process(options, reactor),
        )
    except ConfigError as problem:
        options.claim.release()
        end_with(problem)

    def drained(result: object) -> None:
        if node.is_empty:
            supervised.tell(supervised.DRAINED)
        stop()

    if options["supervised"]:
        options.words.heed(supervised.DRAIN, lambda: node.drain().addBoth(drained))
    return Daemon(node, options, stop_seconds=node.stop_seconds)


def _process(options: Options, reactor: Any) -> Process:
    """This process, as it is administered."""
    from chatcore.node.administered import Process
    from chatcore.node.ports import admin_place

    run_folder = options.run_folder
    supervisor = UNIXClientEndpoint(reactor, str(run_folder.admin_socket(START)))
    return Process(
        place=partial(admin_place, run_folder, options.server.id),
        note=options.claim.note,
        supervisor=supervisor if options["supervised"] else None,
        kill=partial(options.leave, EXIT_KILLED),
    )
