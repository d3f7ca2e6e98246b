"""Putting what an application consists of into a node."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from chatcore.application import Application, Configurator
from chatcore.application.crons import Crons, CronSettings
from chatcore.application.events import Events
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.view import View
from chatcore.config.times import zone_of
from chatcore.deadlines import IClock
from chatcore.dispatch.components import Catalogue
from chatcore.dispatch.dispatcher import Dispatcher
from chatcore.dispatch.loading import instantiate
from chatcore.links.rpc import Remotes
from chatcore.links.table import LinkTable
from chatcore.node.configuring import Configured
from chatcore.node.lifecycle import Life, NodeSettings
from chatcore.sessions.copy import copy_of
from chatcore.sessions.service import SessionService
from chatcore.sessions.session import Session
from chatcore.telemetry import Counters


@dataclass(frozen=True, slots=True)
class Made:
    """The handlers and remotes of a node, made.

    Attributes:
        handlers: what answers a route.
        remotes: service, method, what answers, and as what it is declared.
    """

    instances: list[Any]
    handlers: dict[str, Callable[..., Any]]
    remotes: list[tuple[str, str, Callable[..., Any], inspect.Signature]]

    def put_into(self, dispatcher: Dispatcher) -> None:
        """Have these called, also instead of others that were called before."""
        for route, method in self.handlers.items():
            dispatcher.add_handler(route, method)
        for remote in self.remotes:
            dispatcher.add_remote(*remote)


def make(catalogue: Catalogue, app: Application) -> Made:
    """Make a node's handlers and remotes.

    Raises:
        ConfigError: one could not be made.
    """
    made = Made([], {}, [])
    for handler in catalogue.handlers(app.server_type):
        instance: Any = instantiate(handler, app, catalogue.folder)
        made.instances.append(instance)
        for name in handler.methods:
            route = f"{handler.server_type}.{handler.service}.{name}"
            made.handlers[route] = getattr(instance, name)
    for remote in catalogue.remotes(app.server_type):
        instance = instantiate(remote, app, catalogue.folder)
        made.instances.append(instance)
        for method in remote.methods.values():
            answers = getattr(instance, method.name)
            made.remotes.append((remote.service, method.name, answers, method.signature))
    return made


def _crons(catalogue: Catalogue, app: Application) -> dict[str, Callable[[], Any]]:
    """Make a node's crons; what they do comes back."""
    actions: dict[str, Callable[[], Any]] = {}
    for cron in catalogue.crons(app.server_type):
        instance: Any = instantiate(cron, app, catalogue.folder)
        actions |= {f"{cron.service}.{name}": getattr(instance, name) for name in cron.methods}
    return actions


def bring_in(
    configured: Configured, app: Application, dispatcher: Dispatcher, clock: IClock
) -> Life:
    """Make whatever the application consists of on this node; what runs it comes back.

    Raises:
        ConfigError: something could not be made.
    """
    said, settings, catalogue = configured.said, configured.settings, configured.catalogue
    for name, changed in said.watched:
        app.files.watch(name, changed)
    app.components.make(said.loadings, app, settings, catalogue.folder)
    make(catalogue, app).put_into(dispatcher)
    app.crons.know(_crons(catalogue, app), configured.crons)
    return Life(
        app=app,
        hooks=catalogue.hooks_of(app.server_type),
        folders=[catalogue.folder, *(plugin.code for plugin in said.plugins)],
        settings=settings[NodeSettings],
        clock=clock,
    )


def crons_of(settings: CronSettings, events: Events, counters: Counters, clock: IClock) -> Crons:
    """What runs the crons of a node."""
    return Crons(
        zone=zone_of(settings.timezone),
        seconds=settings.run_seconds,
        clock=clock,
        time_of_day=time.time,
        counters=counters,
        changed=events.emit,
    )


def remotes_of(catalogue: Catalogue) -> Remotes:
    """What this node knows of the remotes of all server types."""
    signatures = {}
    idempotent = []
    for remote in catalogue.remotes():
        place = (remote.server_type, remote.service)
        signatures[place] = {m.name: m.signature for m in remote.methods.values()}
        idempotent += [(*place, m.name) for m in remote.methods.values() if m.idempotent]
    return Remotes(places_of(catalogue), signatures, idempotent)


def places_of(catalogue: Catalogue) -> dict[Any, list[tuple[str, str]]]:
    """Where the interfaces of remotes are implemented: the server types and services."""
    found: dict[Any, list[tuple[str, str]]] = {}
    for remote in catalogue.remotes():
        for interface in remote.interfaces:
            found.setdefault(interface, []).append((remote.server_type, remote.service))
    return found


def connect_events(
    events: Events,
    said: Configurator,
    sessions: SessionService,
    links: LinkTable,
    servers: ClusterServers,
) -> None:
    """Have events told of what happens in a node, and hooks of what the application asked for."""
    for event, hook, place in said.hooks:
        events.on(event, hook, place)

    def emit(event: str, session: Session, *args: Any) -> None:
        if events.wanted(event):  # who copies a session for nobody slows every end of one
            events.emit(event, copy_of(session, sessions), *args)

    sessions.on_bound(partial(emit, "bind_session"))
    sessions.on_unbound(partial(emit, "unbind_session"))
    sessions.on_session_closed(partial(emit, "close_session"))
    links.on_up(lambda link: events.emit("link_up", link.peer))
    links.on_down(lambda link: events.emit("link_down", link.peer))
    servers.on_changed(partial(_tell_of_servers, events))


def _tell_of_servers(events: Events, old: View, new: View) -> None:
    """Tell which servers came into the view, left it, or are others than before."""
    here = [each for each in new.members if not old.has(each)]
    came = [each.server for each in here if old.get(each.id) is None]
    others = [each.server for each in here if old.get(each.id) is not None]
    left = [each.id for each in old.members if new.get(each.id) is None]
    for event, what in (("add_servers", came), ("replace_servers", others)):
        if what:
            events.emit(event, what)
    if left:
        events.emit("remove_servers", left)
