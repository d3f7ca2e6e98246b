"""``twistd chatmaster``: a master on its own, which supervises nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.application.service import Service

from chatcore.admin.desk import Desk
from chatcore.cluster.choosing import refuse_passwords
from chatcore.cluster.master_registry import url_of
from chatcore.cluster.settings import RegistrySettings
from chatcore.config.application_folder import find_application
from chatcore.config.names import MASTER, START
from chatcore.config.settings import Assignment, Settings
from chatcore.daemon import Daemon, DaemonOptions, end_with, stop_once
from chatcore.deadlines import keep_steady
from chatcore.errors import ConfigError
from chatcore.links.settings import LinkSettings
from chatcore.links.tls import link_tls
from chatcore.master.alone import Alone
from chatcore.master.service import Master, make_master
from chatcore.master.settings import MasterSettings, address_of, settings_of_start
from chatcore.telemetry import Counters


class Options(DaemonOptions):
    """The options of ``twistd chatmaster``."""

    synopsis = "[options]"
    longdesc = (
        "Start the master of a chatcore application: the nodes of its cluster announce themselves"
        " to it, and it tells them of each other. It starts and stops no node, and what runs goes"
        " on running without it."
    )
    optParameters = [
        ["app", None, ".", "The application's folder."],
        ["env", None, "development", "Which environment of settings.json and master.json."],
        ["run-dir", None, None, "Where the pid file, the log and the secret are."],
        ["host", None, None, "The address to listen on; 127.0.0.1, or what master.json says."],
        ["port", None, None, "The port to listen on; 3005, or what master.json says."],
    ]

    folder: Path
    settings: Settings

    def postOptions(self) -> None:
        try:
            self._resolve()
        except ConfigError as problem:
            end_with(problem)

    def _resolve(self) -> None:
        refuse_passwords(None, self["set"])
        self.folder = find_application(self["app"])
        given = self.settings_said()
        given += [
            Assignment(key=f"{MASTER}.{key}", value=self[key], source=f"--{key}", text=True)
            for key in ("host", "port")
            if self[key] is not None
        ]
        self.settings = settings_of_start(self.folder, self["env"], given)
        self.run_folder = self.open_run_folder(self.folder)
        self._refuse_another_master()
        claim = self.run_folder.claim(MASTER)
        if claim is None:
            pid = self.run_folder.holder(MASTER)
            raise ConfigError(f"a master of {self.folder} is running already, as process {pid}")
        self.claim = claim
        self.place_files(MASTER)

    def _refuse_another_master(self) -> None:
        """See that no ``chatcore start`` keeps the views of this application."""
        pid, facts = self.run_folder.holder(START), self.run_folder.noted(START)
        if pid is not None and "keeps" in facts:
            raise ConfigError(
                f"'chatcore start' (process {pid}) keeps a master of {self.folder} already",
                advice=f"It is at {facts['registry']}: a server needs no other",
            )


def makeService(options: Options) -> Service:
    """The service that twistd runs; its port is bound here, before twistd turns into a daemon."""
    from twisted.internet import reactor

    keep_steady(reactor)
    stop_once(reactor)
    try:
        return Daemon(_master(options, reactor), options)
    except ConfigError as problem:
        options.claim.release()
        end_with(problem)


def _master(options: Options, reactor: Any) -> Master:
    """The master, and those who administer through it; its places are taken.

    Raises:
        ConfigError: it can't be had.
    """
    settings, run_folder = options.settings, options.run_folder
    links, address = settings[LinkSettings], address_of(settings[MasterSettings])
    tls = link_tls(links, options.folder, MASTER, reactor)
    host = Alone({"app": str(options.folder), "env": options["env"]})
    master = make_master(
        address,
        registry=settings[RegistrySettings],
        links=links,
        learning=True,
        guests=[Desk(host=host, counters=Counters(), clock=reactor)],
        tls=tls,
        name=MASTER,
        run_folder=run_folder,
        reactor=reactor,
    )
    host.serve(master.nodes)
    facts = host.about | {"registry": url_of(address)}
    options.claim.note(facts if tls is None else facts | {"tls": str(tls.folder)})
    return master
