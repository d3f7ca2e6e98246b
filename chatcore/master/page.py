"""``twistd chatpage``: the application's page, the JavaScript client, and where the gate is.

======================  =======================================================================
``/``                   the files in the folder ``web`` of the application
``/chatcore.js``        the JavaScript client that comes with chatcore
``/gate.json``          ``{"host": …, "port": …}``: where clients ask first; a host of null means
                        the page's own
======================  =======================================================================
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any, Final, cast

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.python import usage
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.pages import notFound
from twisted.web.resource import IResource
from twisted.web.server import Site
from twisted.web.static import Data, File

from chatcore import supervised
from chatcore.config.addresses import is_loopback, is_wildcard
from chatcore.config.application_folder import find_application
from chatcore.config.applied import servers_of_process
from chatcore.config.claims import Claim
from chatcore.config.names import PAGE
from chatcore.config.run_folder import RunFolder
from chatcore.config.servers import Servers
from chatcore.daemon import stop_once
from chatcore.deadlines import keep_steady
from chatcore.errors import ConfigError

CONFIG_EXIT: Final = 2
SCRIPT: Final = "chatcore.js"

# Servers for clients are on other ports; those of socket.io ask them by plain requests first.
_POLICY: Final = b"default-src 'self'; connect-src 'self' ws: wss: http: https:"

HEADERS: Final = (
    (b"Cache-Control", b"no-cache"),
    (b"Content-Security-Policy", _POLICY),
    (b"Referrer-Policy", b"no-referrer"),
    (b"Server", b"chatcore"),
    (b"X-Content-Type-Options", b"nosniff"),
)


class Options(usage.Options):
    """The options of ``twistd chatpage``."""

    synopsis = "[options]"
    longdesc = "Serves the page of a chatcore application, which is its folder web."
    optParameters = [
        ["app", None, ".", "The application folder."],
        ["env", None, "development", "The environment, which chooses the gate."],
        ["listen", None, "tcp:3001:interface=127.0.0.1", "The endpoint to serve the page on."],
        ["run-dir", None, None, "The run folder; .chatcore in the application unless given."],
    ]
    optFlags = [
        ["supervised", None, "Leave when the standard input ends; 'chatcore start' sets this."],
    ]

    def postOptions(self) -> None:
        """Begin to behave as a supervised process as early as that can be known."""
        if self["supervised"]:
            supervised.ignore_interrupt()


def makeService(options: Options) -> IService:
    """Listen, and return the service that serves the page.

    A mistake in the configuration, or a port in use, ends the process with one message and exit
    code 2. To be able to do so it listens here, before twistd turns into a daemon.
    """
    from twisted.internet import reactor as _reactor

    reactor = cast(Any, _reactor)
    keep_steady(reactor)
    stop_once(reactor)
    try:
        claim = None
        if options["supervised"]:
            supervised.watch(reactor)
            claim = _claim(options)
        app = find_application(options["app"])
        servers = servers_of_process(
            app, options["env"], os.environ, supervised=bool(options["supervised"])
        )
        site = make_site(app, servers)
        port = listen(reactor, options["listen"], site)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(CONFIG_EXIT) from None
    return cast(IService, PageService(reactor=reactor, port=port, claim=claim))


class PageService(Service):
    """Holds the port on which the page is served.

    Args:
        reactor: what tells when it runs.
        port: where the page is served already.
        claim: given back at the end; given when somebody waits to hear that the page is ready.
    """

    def __init__(self, *, reactor: Any, port: IListeningPort, claim: Claim | None) -> None:
        self._reactor, self._port, self._claim = reactor, port, claim

    def startService(self) -> None:
        """Tell that the page is ready as soon as the reactor runs."""
        super().startService()
        if self._claim is not None:
            self._reactor.callWhenRunning(supervised.tell_ready)

    async def _stop(self) -> None:
        await maybeDeferred(self._port.stopListening)
        if self._claim is not None:
            self._claim.release()

    def stopService(self) -> Deferred[None]:
        """Stop listening."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())


class PageSite(Site):
    """A site that sets :data:`HEADERS` on every answer and logs none."""

    def getResourceFor(self, request: Request) -> IResource:
        for name, value in HEADERS:
            request.setHeader(name, value)
        return cast(IResource, super().getResourceFor(request))

    def log(self, request: Request) -> None:
        pass


class Folder(File):
    """The files of a folder, without lists of what is in it and without hidden files."""

    childNotFound: Any = notFound()
    indexNames = ["index.html"]
    contentTypes = {
        **File.contentTypes,
        ".css": "text/css; charset=utf-8",
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".json": "application/json",
        ".mjs": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
        ".webmanifest": "application/manifest+json",
    }

    def getChild(self, path: bytes, request: Request) -> IResource:
        if path.startswith(b"."):
            return cast(IResource, self.childNotFound)
        return cast(IResource, super().getChild(path, request))

    def directoryListing(self) -> IResource:
        return cast(IResource, self.childNotFound)


class Answer(Data):
    """An answer that is always the same, and has nothing below it."""

    def __init__(self, value: object) -> None:
        super().__init__(json.dumps(value).encode(), "application/json")

    def getChild(self, path: bytes, request: Request) -> IResource:
        return notFound()


def make_site(app: Path, servers: Servers) -> PageSite:
    """Make what answers the browsers.

    Args:
        app: the application folder.
        servers: the application's servers, of which the first gate is named to the page.

    Raises:
        ConfigError: the application has no folder ``web``.
    """
    web = app / "web"
    if not web.is_dir():
        raise ConfigError(
            f"{app} has no page", advice="Put the page's files into a folder web in it"
        )
    root = Folder(str(web))
    root.putChild(SCRIPT.encode(), Folder(str(resources.files("chatcore") / "static" / SCRIPT)))
    gate = gate_of(servers)
    root.putChild(b"gate.json", notFound() if gate is None else Answer(gate))
    site = PageSite(root)
    site.noisy = False
    return site


def gate_of(servers: Servers) -> dict[str, object] | None:
    """Say where clients ask first: the first server of type ``gate``, or None without one.

    Its host is None where that would tell a browser nothing: no ``clientHost``, or an address that
    means every address of a machine, or only the machine itself.
    """
    gate = next((one for one in servers if one.type == "gate"), None)
    if gate is None:
        return None
    host = gate.client_host
    if host is not None and (is_wildcard(host) or is_loopback(host)):
        host = None
    return {"host": host, "port": gate.client_port if gate.client_port is not None else gate.port}


def listen(reactor: Any, description: str, site: Site) -> IListeningPort:
    """Listen at an endpoint.

    Args:
        reactor: what listens.
        description: the endpoint, as in ``tcp:3001:interface=127.0.0.1``.
        site: what is served there.

    Raises:
        ConfigError: there is no such endpoint, or it can't be listened on.
    """
    try:
        listening = serverFromString(reactor, description).listen(site)
    except (ValueError, LookupError, TypeError) as error:
        raise ConfigError(
            f"'{description}' is not an endpoint: {error}",
            advice="As in --listen tcp:3001:interface=127.0.0.1",
        ) from error
    outcome: list[Any] = []
    listening.addBoth(outcome.append)
    return _port_of(description, outcome)


def _port_of(description: str, outcome: Iterable[Any]) -> IListeningPort:
    for found in outcome:
        if not isinstance(found, Failure):
            return cast(IListeningPort, found)
        if isinstance(found.value, CannotListenError):
            problem = found.value.socketError
            raise ConfigError(
                f"the page can't be served on port {found.value.port} "
                f"of {found.value.interface or 'all addresses'}: "
                f"{getattr(problem, 'strerror', None) or problem}",
                advice="Stop what listens there, or take another port with --listen",
            )
        raise ConfigError(f"the page can't be served at '{description}': {found.value}")
    raise ConfigError(
        f"'{description}' does not listen at once", advice="Take a tcp, tcp6, ssl or unix endpoint"
    )


def _claim(options: Options) -> Claim:
    run = RunFolder.open(find_application(options["app"]), options["run-dir"])
    claim = run.claim(PAGE)
    if claim is None:
        raise ConfigError(f"the page already runs, as process {run.holder(PAGE)}")
    return claim
