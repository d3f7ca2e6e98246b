"""A ``chatcore start`` that is given more servers, or fewer, or others, while it runs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from chatcore.admin.outcomes import MISTAKE, REFUSED
from chatcore.config.applied import write_applied
from chatcore.config.entries import Server, entry_of
from chatcore.config.names import suggestion
from chatcore.config.servers import Servers
from chatcore.errors import AdminError, ConfigError
from chatcore.master.additions import cannot_listen, made
from chatcore.master.keeper import Keeper
from chatcore.master.plan import Plan, Recipe
from chatcore.master.ports import trouble_with
from chatcore.master.supervisor import Supervisor

MOST_SERVERS = 1000
"""Servers that one ``chatcore start`` may have."""


@dataclass(slots=True)
class Changes:
    """What a changed servers.json comes to.

    Args:
        new: servers to be started.
        gone: servers to be drained and forgotten.
        changed: servers to be restarted, with what has changed in words.
        blocked: those of ``new`` and ``changed`` that need an address which another server has yet
            to leave.
    """

    new: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    changed: dict[str, str] = field(default_factory=dict)
    blocked: list[str] = field(default_factory=list)


class Growing:
    """Takes servers in that are to run, and knows those that are to go.

    Args:
        plan: what was started.
        supervisor: has the processes.
    """

    def __init__(self, plan: Plan, supervisor: Supervisor) -> None:
        self._plan, self._supervisor = plan, supervisor
        self._recipe = plan.recipe
        self._added: set[str] = set()
        self._gone: set[str] = set()

    def add(
        self, server_type: str, given: Mapping[str, str], count: int, far: Collection[str]
    ) -> list[str]:
        """Take in servers that servers.json does not list; their ids come back.

        They are still to be started.

        Args:
            server_type: their type.
            given: keys of an entry of servers.json, with their values as texts.
            count: how many.
            far: the ids that are taken elsewhere in the cluster.

        Raises:
            AdminError: they can't be had.
        """
        recipe = self._growing()
        taken = {*self._supervisor.keepers, *far}
        others = [
            keeper.program.server
            for id, keeper in self._servers().items()
            if recipe.servers.get(id) is None and keeper.program.server is not None
        ]
        try:
            self._refuse_unknown_type(server_type, recipe)
            servers = made(
                server_type,
                given,
                count=count,
                listed=list(recipe.servers),
                others=others,
                ids=taken,
                trouble=trouble_with,
            )
            _refuse_taken(servers, taken)
            if len(self._supervisor.keepers) + len(servers) > MOST_SERVERS:
                raise ConfigError(f"a 'chatcore start' has {MOST_SERVERS} servers at most")
        except ConfigError as problem:
            raise _mistake(problem) from None
        for server in servers:
            self._supervisor.add(recipe.program(server))
            self._added.add(server.id)
        return [server.id for server in servers]

    def compare(self, *, apply: bool) -> Changes:
        """Read servers.json again, verify what a start verifies, and say what is to be done.

        Args:
            apply: whether the programs follow it from now on; what runs is not touched.

        Raises:
            AdminError: something in it is wrong.
        """
        recipe = self._following()
        try:
            listed = recipe.read()
        except ConfigError as problem:
            raise _mistake(problem) from None
        recipe = dataclasses.replace(recipe, servers=listed)
        changes = self._changes(listed, recipe)
        if recipe.fixed and (changes.new or changes.gone or changes.changed):
            self._growing()
        if apply:
            self._apply(changes, recipe)
        return changes

    def is_to_go(self, keeper: Keeper) -> bool:
        """Whether a server is forgotten once it has no process."""
        if keeper.running or keeper.kept:
            return False
        never_ran = keeper.refused and keeper.name in self._added and not keeper.has_been_up
        return keeper.name in self._gone or never_ran

    def forget(self, keeper: Keeper) -> None:
        """Forget a server that is to go."""
        self._supervisor.forget(keeper.name)
        self._gone.discard(keeper.name)
        self._added.discard(keeper.name)

    # Its own.

    def _servers(self) -> dict[str, Keeper]:
        keepers = self._supervisor.keepers
        return {name: each for name, each in keepers.items() if each.program.server is not None}

    def _following(self) -> Recipe:
        if self._recipe is None:
            raise AdminError("nothing more can be started here", code=REFUSED)
        return self._recipe

    def _growing(self) -> Recipe:
        recipe = self._following()
        if recipe.fixed:
            raise AdminError(
                "the registry is static:, so the servers that run would not hear of any change",
                code=REFUSED,
                advice="Stop all of it, change servers.json and start it again; or start it with"
                " another registry than static:",
            )
        return recipe

    def _refuse_unknown_type(self, server_type: str, recipe: Recipe) -> None:
        folder = self._plan.app / "servers"
        known = {*recipe.servers.types, *(each.name for each in folder.glob("[!_.]*/"))}
        if server_type not in known:
            raise ConfigError(
                f"the application has no server type '{server_type}'",
                advice=suggestion(server_type, sorted(known), "types"),
            )

    def _changes(self, listed: Servers, recipe: Recipe) -> Changes:
        changes = Changes()
        running = self._servers()
        for server in listed:
            keeper = running.get(server.id)
            if keeper is None or keeper.refused or not (keeper.kept or keeper.has_run):
                changes.new.append(server.id)
            elif keeper.running or keeper.kept:
                what = _difference(keeper.runs or keeper.program.server, server)
                if what:
                    changes.changed[server.id] = what
        for id in running:
            if listed.get(id) is None and id not in self._added:
                changes.gone.append(id)
        wanted = [*changes.new, *changes.changed]
        changes.blocked = [id for id in wanted if self._is_blocked(listed.by_id(id))]
        return changes

    def _is_blocked(self, server: Server) -> bool:
        taken: set[int] = set()
        for id, keeper in self._servers().items():
            if id != server.id and keeper.runs is not None and (keeper.running or keeper.kept):
                taken.update(port for _, port in _places(keeper.runs))
        return any(port in taken for _, port in _places(server))

    def _apply(self, changes: Changes, recipe: Recipe) -> None:
        try:
            write_applied(recipe.applied, recipe.servers)
        except ConfigError as problem:
            raise _mistake(problem) from None
        self._recipe = recipe
        listed = recipe.servers
        keepers = self._servers()
        self._gone = set(changes.gone)
        for server in listed:
            self._added.discard(server.id)
            keeper = keepers.get(server.id)
            if keeper is None:
                self._supervisor.add(recipe.program(server))
            else:
                keeper.program = recipe.program(server)


def _places(server: Server) -> list[tuple[str, int]]:
    """Where it listens."""
    places = ((server.host, server.port), (server.listen_host, server.client_port))
    return [(host, port) for host, port in places if port is not None]


def _refuse_taken(servers: list[Server], taken: Collection[str]) -> None:
    ports: set[int] = set()
    for server in servers:
        if server.id in taken:
            raise ConfigError(
                f"there is a server '{server.id}' already", advice="Leave the id away"
            )
        for host, port in _places(server):
            if port in ports:
                raise ConfigError(f"two servers can't share port {port}", advice="Give none")
            ports.add(port)
            trouble = trouble_with(host, port)
            if trouble is not None:
                raise cannot_listen(host, port, trouble)


def _difference(old: Server | None, new: Server) -> str:
    """What has changed, in words; empty where nothing has."""
    if old is None:
        return ""
    before, after = ({"type": each.type, **entry_of(each)} for each in (old, new))
    changes = []
    for key in dict.fromkeys((*before, *after)):
        if before.get(key) == after.get(key):
            continue
        if key == "data":  # the application's own, which may hold secrets
            changes.append(f"data ({', '.join(_differing(old.data, new.data))})")
        else:
            changes.append(f"{key}: {_shown(before.get(key))} -> {_shown(after.get(key))}")
    return ", ".join(changes)


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The keys whose values are not the same."""
    return [key for key in dict.fromkeys((*old, *new)) if old.get(key) != new.get(key)]


def _shown(value: object) -> str:
    """A value as servers.json has it."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _mistake(problem: ConfigError) -> AdminError:
    where = str(problem).removesuffix(f". {problem.advice}") if problem.advice else str(problem)
    return AdminError(where, code=MISTAKE, advice=problem.advice)


def to_value(changes: Changes) -> dict[str, Any]:
    """The changes in JSON's types."""
    return dataclasses.asdict(changes)
