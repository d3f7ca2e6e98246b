"""Putting what an application consists of into a node."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from chatcore.application import Application, Configurator
from chatcore.application.crons import Crons, CronSettings
from chatcore.application.events import Events
from chatcore.config.times import zone_of
from chatcore.deadlines import IClock
from chatcore.dispatch.components import Catalogue, Component
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


def _install(
    catalogue: Catalogue, app: Application, dispatcher: Dispatcher
) -> dict[str, Callable[[], Any]]:
    """Make this node's components, and have their methods called; those of its crons come back."""

    def made(component: Component) -> Any:
        return instantiate(component, app, catalogue.folder)

    for handler in catalogue.handlers(app.server_type):
        instance = made(handler)
        for name in handler.methods:
            route = f"{handler.server_type}.{handler.service}.{name}"
            dispatcher.add_handler(route, getattr(instance, name))
    for remote in catalogue.remotes(app.server_type):
        instance = made(remote)
        for method in remote.methods.values():
            dispatcher.add_remote(
                remote.service, method.name, getattr(instance, method.name), method.signature
            )
    actions: dict[str, Callable[[], Any]] = {}
    for cron in catalogue.crons(app.server_type):
        instance = made(cron)
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
    app.crons.know(_install(catalogue, app, dispatcher), configured.crons)
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
    by_interface: dict[Any, list[tuple[str, str]]] = {}
    signatures = {}
    idempotent = []
    for remote in catalogue.remotes():
        place = (remote.server_type, remote.service)
        signatures[place] = {m.name: m.signature for m in remote.methods.values()}
        idempotent += [(*place, m.name) for m in remote.methods.values() if m.idempotent]
        for interface in remote.interfaces:
            by_interface.setdefault(interface, []).append(place)
    return Remotes(by_interface, signatures, idempotent)


def connect_events(
    events: Events, said: Configurator, sessions: SessionService, links: LinkTable
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
