"""What a component is given as ``app``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from zope.interface import Attribute, Interface

from chatcore.interfaces.blacklist import IBlacklist
from chatcore.interfaces.channels import IChannels
from chatcore.interfaces.lifecycle import ICrons
from chatcore.interfaces.rpc import IRpc
from chatcore.interfaces.servers import IServers
from chatcore.interfaces.sessions import ISessions

T = TypeVar("T")


class IApplication(Interface):
    """What handlers and remotes are given as ``app``."""

    server_id: str = Attribute("The id of this server.")
    server_type: str = Attribute("Its type.")
    env: str = Attribute("The environment: development, production, …")
    servers: IServers = Attribute("The servers of the view.")
    sessions: ISessions = Attribute("The sessions of this frontend.")
    channels: IChannels = Attribute("The channels of this node.")
    rpc: IRpc = Attribute("Calls to other servers.")
    blacklist: IBlacklist = Attribute("Who is not let in on this frontend.")
    lag: float = Attribute(
        """By how many seconds this server is late with everything it has to do.

        Smoothed over a few seconds. Measured from when it is asked for first; until then it is 0.
        """
    )
    folder: Path = Attribute("The application's folder.")
    is_frontend: bool = Attribute("Whether clients connect to this server.")
    state: str = Attribute("How far it is: made, starting, serving or stopping.")
    uptime: float = Attribute("Seconds for which it has served.")
    settings: Any = Attribute(
        'What its settings came to, read only: `settings["limits.connections"]` is one value,'
        " `settings[Limits]` the section that a class declares."
    )
    data: dict[str, Any] = Attribute("What the application keeps here for itself.")
    components: Mapping[str, Any] = Attribute("The components of this server by name.")
    crons: ICrons = Attribute("The crons of this server.")

    def component(kind: type[T]) -> T:
        """The component of a class, or that provides an interface.

        Raises:
            LookupError: this server has none, or several.
        """

    def on(event: str, hook: Callable[..., Any]) -> None:
        """Have ``hook`` called when something happens on this server; it may be async.

        ==================  ======================================================
        ``bind_session``    ``hook(session)``, after it was bound
        ``unbind_session``  ``hook(session, uid)``, after it was unbound
        ``close_session``   ``hook(session, reason)``
        ``start_server``    ``hook(server_id)``: this server serves
        ``start_all``       ``hook()``: so do all servers of the view
        ``link_up``         ``hook(server_id)``: a link to that server is up
        ``link_down``       ``hook(server_id)``: it was lost
        ``add_servers``     ``hook(servers)``: the view has gained servers
        ``remove_servers``  ``hook(server_ids)``: it has lost some
        ``replace_servers`` ``hook(servers)``: some were started anew, or are reached elsewhere
        ``channel_moving``  ``hook(channel, server_id)``: it is about to be that server's
        ``channel_arrived`` ``hook(channel, how)``: it is this server's now; ``how`` is ``moved``,
                            ``rebuilt`` after a crash, or ``merged`` into one that was here
        ``add_crons``       ``hook(crons)``: `crons.add` was called
        ``remove_crons``    ``hook(ids)``: `crons.remove` was called
        ==================  ======================================================

        Sessions are those of this frontend. The view of a static registry never changes.

        Raises:
            ConfigError: there is no such event, or the hook can't be called like that.
        """

    def load_config(name: str, *, changed: Callable[[Any], Any] | None = None) -> Any:
        """Read ``config/<name>.json``: what is in it for this environment.

        That is what stands under the environment's name where there is such a key, or all of
        ``config/<environment>/<name>.json``, or all of the file.

        Args:
            changed: ``changed(value)`` is called, until the server stops, whenever the file was
                changed since (``node.reload_seconds``); it may be async. A file with a mistake in
                it is logged, and waited for until it is put right.

        Raises:
            ConfigError: there is no such file, or it is not JSON.
        """

    def traceparent() -> str | None:
        """What names the message that is acted on, if it is followed: W3C's ``traceparent``.

        To be sent along with requests to others, as the HTTP header of that name. None where
        nothing is followed, as is nearly always the case.
        """

    def stop() -> None:
        """Stop this server in order, as SIGTERM does.

        ``chatcore start`` starts it again, as it does with every server that ends.
        """

    def in_thread(function: Callable[..., T], *args: Any, **kwargs: Any) -> Awaitable[T]:
        """Run blocking code in a thread, so that nobody else waits for it."""

    def sleep(seconds: float) -> Awaitable[None]:
        """Wait; meanwhile others are served."""
