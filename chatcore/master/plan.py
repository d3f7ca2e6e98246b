"""What ``chatcore start`` has to run for one application."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from twisted.internet.endpoints import quoteStringArgument

from chatcore.cluster.choosing import STATIC, chosen_url, of_a_new_secret, refuse_passwords
from chatcore.cluster.master_registry import url_of
from chatcore.cluster.registry import shown
from chatcore.cluster.settings import RegistrySettings
from chatcore.config.addresses import is_wildcard
from chatcore.config.application_folder import find_application
from chatcore.config.applied import NAME as APPLIED
from chatcore.config.applied import SERVERS_VARIABLE
from chatcore.config.entries import entry_of
from chatcore.config.names import MASTER, PAGE, listing
from chatcore.config.placing import ENTRY_VARIABLE
from chatcore.config.run_folder import RunFolder
from chatcore.config.servers import Server, Servers, load_servers
from chatcore.config.settings import Assignment, Settings, parse_assignment
from chatcore.errors import ConfigError
from chatcore.links.settings import LinkSettings
from chatcore.master.keeper import Program
from chatcore.master.ports import Need, needs_of, refuse_clashes
from chatcore.master.settings import (
    MasterSettings,
    PageSettings,
    address_of,
    for_nodes,
    settings_of_start,
)

GATES, FRONTENDS, REST = range(3)
"""The stages of a stop: what clients come in by goes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMaster:
    """A master that is to run.

    Args:
        address: where it listens.
        registry: the settings of the registry.
    """

    address: Server
    registry: RegistrySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the servers of an application are started, also those that come later.

    Args:
        servers: those that servers.json lists.
        common: the options that all have.
        registry: the URL of their registry, if it is not for them to find out.
        assignments: the settings that they are given.
        fixed: whether no server that runs hears of one that comes later.
        applied: the file in which the servers find those of servers.json, as they were verified.
        read: reads servers.json again, and verifies all that is verified before a start; it raises
            a `ConfigError` at the first mistake.
    """

    servers: Servers
    common: tuple[str, ...]
    registry: str | None
    assignments: tuple[Assignment, ...]
    fixed: bool
    applied: Path
    read: Callable[[], Servers]

    def program(self, server: Server) -> Program:
        """What runs a server."""
        stage = REST
        if server.frontend:
            stage = GATES if server.type == "gate" else FRONTENDS
        which = ("--type", server.type, "--id", server.id)
        where = () if self.registry is None else ("--registry", self.registry)
        settings = [
            part for one in self.assignments for part in ("--set", f"{one.key}={one.value}")
        ]
        listed = self.servers.get(server.id) is not None
        entry = () if listed else ((ENTRY_VARIABLE, json.dumps(entry_of(server))),)
        return Program(
            name=server.id,
            command=(*twistd(), "--nodaemon", "chatnode", *which, *self.common, *where, *settings),
            stage=stage,
            server=server,
            environment=((SERVERS_VARIABLE, str(self.applied)), *entry),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that has been checked and is to be started.

    Args:
        app: the application folder.
        env: the environment.
        run: the run folder.
        programs: what to run, in the order in which it is started.
        needs: the addresses that must be free.
        ready: what to say when everything is up.
        stop_seconds: how long a node may take to stop.
        master: the master that runs in ``chatcore start`` itself; None where the nodes have
            another registry.
        links: the settings of links.
        registry: the URL of the registry, as people may see it.
        recipe: how servers are started that come later; None where none can.
        note: what else to tell the person who starts it.
    """

    app: Path
    env: str
    run: RunFolder
    programs: tuple[Program, ...]
    needs: tuple[Need, ...]
    ready: str
    stop_seconds: float = 0.0
    master: PlannedMaster | None = None
    links: LinkSettings = field(default_factory=LinkSettings)
    registry: str = STATIC
    recipe: Recipe | None = None
    note: str | None = None

    @property
    def identity(self) -> str:
        """As whom ``chatcore start`` answers, and whose certificate it shows.

        Where it keeps no master, it needs none of a master's: the first of its servers will do.
        """
        if self.master is not None or not self.links.tls:
            return MASTER
        return next((each.name for each in self.programs if each.server is not None), MASTER)


def make_plan(
    app: str | Path,
    env: str,
    run_dir: str | None = None,
    assignments: Sequence[str] = (),
    registry: str | None = None,
    *,
    secret_file: str | None = None,
    more: Sequence[Assignment] = (),
) -> Plan:
    """Check everything that can be checked without starting anything.

    Args:
        app: the application folder.
        env: the environment.
        run_dir: the run folder, unless it is the usual one.
        assignments: what each ``--set`` said.
        registry: what ``--registry`` said.
        secret_file: what ``--secret-file`` said.
        more: what other options say of settings.

    Raises:
        ConfigError: the first mistake found.
    """
    refuse_passwords(registry, assignments)
    folder = find_application(app)
    given = [*(parse_assignment(text) for text in assignments), *more]
    found = _verified(folder, env, given, registry)
    servers, to_nodes, master, page = found.servers, found.to_nodes, found.master, found.page
    run = RunFolder.open(folder, run_dir, secret_file)
    run.secret()
    common = ("--app", str(folder), "--env", env, "--run-dir", str(run.path), "--supervised")
    where = registry if master is None else url_of(master.address)
    at = found.registry if master is None else url_of(master.address)
    applied = run.path / APPLIED
    for_nodes_alone = () if run.secret_file is None else ("--secret-file", str(run.secret_file))
    recipe = Recipe(
        servers=servers,
        common=(*common, *for_nodes_alone),
        registry=where,
        assignments=tuple(to_nodes),
        fixed=at == STATIC,
        applied=applied,
        read=lambda: _verified(folder, env, given, registry).servers,
    )
    nodes = [recipe.program(server) for server in servers]
    pages = [_page(page, common, applied)] if page is not None else []
    return Plan(
        app=folder,
        env=env,
        run=run,
        programs=tuple(sorted([*nodes, *pages], key=lambda program: -program.stage)),
        needs=found.needs,
        ready=_ready_line(len(nodes), page),
        stop_seconds=max(map(_stop_seconds, found.settings.values()), default=0.0),
        master=master,
        links=next(iter(found.settings.values()))[LinkSettings],
        registry=shown(at),
        recipe=recipe,
        note=of_a_new_secret(run, found.registry),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verified:
    """An application in which no mistake was found.

    Args:
        servers: those that servers.json lists.
        to_nodes: the settings that nodes are given.
        settings: those of each server type.
        registry: the URL of the registry; empty where nobody gave one.
        master: the master that is to run then.
        page: the settings of the page, if there is one.
        needs: the addresses that must be free.
    """

    servers: Servers
    to_nodes: Sequence[Assignment]
    settings: Mapping[str, Settings]
    registry: str
    master: PlannedMaster | None
    page: PageSettings | None
    needs: tuple[Need, ...]


def _verified(
    folder: Path, env: str, given: Sequence[Assignment], registry: str | None
) -> _Verified:
    """Read an application, and verify it.

    Raises:
        ConfigError: the first mistake found.
    """
    to_nodes = for_nodes(given)
    servers = load_servers(folder, env)
    own = settings_of_start(folder, env, given)
    from chatcore.node import verify  # late, because it brings everything that a node is made of

    settings = verify(folder, servers, to_nodes)
    chosen = _chosen(settings, folder, registry)
    master = None if chosen else _master(own, settings)
    page = own[PageSettings] if (folder / "web").is_dir() else None
    needs = tuple(needs_of(servers, page, None if master is None else master.address))
    refuse_clashes(needs)
    return _Verified(
        servers=servers,
        to_nodes=to_nodes,
        settings=settings,
        registry=chosen,
        master=master,
        page=page,
        needs=needs,
    )


def _chosen(settings: Mapping[str, Settings], folder: Path, option: str | None) -> str:
    """The URL of the registry that somebody gave the nodes; empty where nobody did.

    Raises:
        ConfigError: servers of one cluster would have different registries.
    """
    urls = {
        server_type: chosen_url(option, each[RegistrySettings], folder, otherwise="")
        for server_type, each in settings.items()
    }
    if len(set(urls.values())) > 1:
        said = listing(f"{(url and shown(url)) or 'none'} for {type}" for type, url in urls.items())
        raise ConfigError(
            f"the servers have different registries: {said}",
            advice="Set registry.url for servers of all types alike",
        )
    return next(iter(urls.values()), "")


def _master(own: Settings, settings: Mapping[str, Settings]) -> PlannedMaster:
    """The master that nodes announce themselves to, where nobody gave them another registry."""
    first = next(iter(settings.values()))
    return PlannedMaster(address=address_of(own[MasterSettings]), registry=first[RegistrySettings])


def twistd() -> tuple[str, ...]:
    """Return the command that runs this Python's twistd."""
    script = Path(sys.executable).with_name("twistd")
    if script.is_file():
        return sys.executable, str(script)
    return sys.executable, "-c", "from twisted.scripts.twistd import run; run()"


def count_of(plan: Plan) -> str:
    """Say in words what a plan starts, as in ``7 servers and the page``."""
    nodes = [program for program in plan.programs if program.name != PAGE]
    return _count(len(nodes), with_page=len(nodes) < len(plan.programs))


def _page(page: PageSettings, common: Sequence[str], applied: Path) -> Program:
    host = quoteStringArgument(page.host)
    family = "tcp6" if ":" in page.host else "tcp"
    listen = f"{family}:{page.port}:interface={host}"
    command = (*twistd(), "--nodaemon", "--pidfile=", "chatpage", "--listen", listen, *common)
    environment = ((SERVERS_VARIABLE, str(applied)),)
    return Program(name=PAGE, command=command, stage=REST, environment=environment)


def _stop_seconds(settings: Settings) -> float:
    drains = settings["drain.seconds"] if settings["drain.on_term"] else 0.0
    return float(settings["node.stop_seconds"] + drains)


def _ready_line(nodes: int, page: PageSettings | None) -> str:
    line = f"ready: {_count(nodes, with_page=page is not None)}"
    if page is None:
        return line
    host = "127.0.0.1" if is_wildcard(page.host) else page.host
    return f"{line}; open http://{f'[{host}]' if ':' in host else host}:{page.port}/"


def _count(nodes: int, *, with_page: bool) -> str:
    return f"{nodes} server{'' if nodes == 1 else 's'}{' and the page' if with_page else ''}"
