"""Which registry is meant, and making it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from twisted.internet.interfaces import IStreamClientEndpoint

from chatcore.cluster.master_registry import MasterRegistry, master_of
from chatcore.cluster.redis_registry import RedisRegistry, patience
from chatcore.cluster.registry import IRegistry, StaticRegistry, shown
from chatcore.cluster.seals import Seal
from chatcore.cluster.settings import RegistrySettings
from chatcore.cluster.view import View
from chatcore.config.addresses import is_loopback
from chatcore.config.certificates import verify_private
from chatcore.config.names import MASTER, START, listing
from chatcore.config.run_folder import RunFolder
from chatcore.config.servers import Server
from chatcore.errors import ConfigError
from chatcore.links.link import Responder
from chatcore.links.settings import ENCRYPT, LinkSettings
from chatcore.links.tls import LinkTls
from chatcore.store.place import RedisPlace
from chatcore.telemetry import Counters

VARIABLE: Final = "CHATCORE_REGISTRY"
STATIC: Final = "static:"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryParts:
    """What registries are made of.

    Args:
        folder: the application's.
        env: which environment of servers.json.
        view: the servers that servers.json lists.
        settings: those of the registry.
        links: those of links.
        secret: the cluster's.
        secret_file: where that was read.
        link_endpoint: how another process of the cluster is dialled.
        counters: what counts.
        reactor: the reactor.
        tls: the certificates of links, where those are encrypted.
        asked: what acts on what the process that keeps the registry asks a node; it may be filled
            later.
        again: gives the URL as it is written down now: a password in it may have been changed.
    """

    folder: Path
    env: str
    view: View
    settings: RegistrySettings
    links: LinkSettings
    secret: bytes
    secret_file: Path
    link_endpoint: Callable[[Server], IStreamClientEndpoint]
    counters: Counters
    reactor: Any
    tls: LinkTls | None = None
    asked: dict[bytes, Responder] = field(default_factory=dict)
    again: Callable[[], str] | None = None


def chosen_url(
    option: str | None,
    settings: RegistrySettings,
    folder: Path,
    *,
    environment: Mapping[str, str] = os.environ,
    otherwise: str = STATIC,
) -> str:
    """The URL of the registry that was asked for.

    Args:
        option: what ``--registry`` said; it wins over the environment's `VARIABLE`, and that one
            over the settings.
        settings: ``registry.url``, or the file that ``registry.url_file`` names.
        folder: the application's.
        environment: the environment variables.
        otherwise: what it is when nobody says anything.

    Raises:
        ConfigError: the file can't be read, or is not all that was said in the settings.
    """
    if given := option or environment.get(VARIABLE):
        return given
    if settings.url and settings.url_file:
        raise ConfigError("registry.url and registry.url_file are both set", advice="Keep one")
    if "://" in (settings.url_file or ""):  # which is not repeated: it may hold a password
        raise ConfigError(
            "registry.url_file holds a URL, where the name of a file was expected",
            advice="Write the URL into a file, and name that; or set registry.url",
        )
    if settings.url_file:
        return _url_in(folder / settings.url_file)
    return settings.url or otherwise


def registry_here(run_folder: RunFolder, folder: Path, env: str) -> tuple[str, str]:
    """The registry of the cluster that runs in a run folder, for who is told of none.

    Args:
        folder: the application's.
        env: which environment of servers.json.

    Returns:
        Its URL, and who uses it, in words; `STATIC` and nothing where nobody does.

    Raises:
        ConfigError: there is one, and it can't be reached by what is known of it.
    """
    for name, what in ((START, "'chatcore start'"), (MASTER, "the master")):
        pid, facts = run_folder.holder(name), run_folder.noted(name)
        url = facts.get("registry", STATIC)
        if pid is None or (facts.get("app"), facts.get("env")) != (str(folder), env):
            continue
        who = f"{what} (process {pid})"
        if url.startswith("master:"):
            return url, who
        if url != STATIC:
            raise ConfigError(
                f"{who} of this application has the registry {url}, and this server is told of"
                " none, so neither would hear of the other",
                advice=f"Give it the same, by --registry or {VARIABLE}; or --registry {STATIC}, if"
                " it is to be by itself",
            )
    return STATIC, ""


def make_registry(url: str, parts: RegistryParts) -> IRegistry:
    """Make the registry that a URL means.

    Raises:
        ConfigError: there is no such registry, or something in the URL is wrong.
    """
    scheme = url.partition(":")[0]
    make = _MAKERS.get(scheme)
    if make is None or scheme == url:
        kinds = listing(f"{known}:" for known in _MAKERS)
        # Somebody may have given the password alone.
        what = f"'{scheme}://…'" if "://" in url else "what was given"
        raise ConfigError(
            f"{what} is no registry",
            advice=f"The registries are {kinds}, as in master://127.0.0.1:3005",
        )
    return make(url, parts)


def of_a_new_secret(run_folder: RunFolder, url: str) -> str | None:
    """What to say where this process has made a secret, and its registry is on another machine."""
    if not run_folder.made_secret or not _is_elsewhere(url):
        return None
    return (
        f"There was no secret of the cluster here, and a new one was made in"
        f" {run_folder.secret_path}. All hosts need the same one: unless this is the first, copy"
        " that of another host there, or name it with --secret-file, and start anew"
    )


def _is_elsewhere(url: str) -> bool:
    host = urlsplit(url).hostname if url.partition(":")[0] in _MAKERS else None
    return bool(host) and not is_loopback(str(host))


def refuse_passwords(option: str | None, assignments: Iterable[str]) -> None:
    """See that no argument of a process holds a URL with a password.

    Args:
        option: what ``--registry`` said.
        assignments: what each ``--set`` said.

    Raises:
        ConfigError: one does; without the password.
    """
    arguments = [("--registry", option or "")]
    for text in assignments:
        key, _, value = text.partition("=")
        if "://" in value or key.strip() == "registry.url":
            arguments.append((f"--set {key}", value))
    for name, text in arguments:
        login = text.rpartition("@")[0]
        if ":" in login.partition("://")[2] or (":" in login and "://" not in login):
            raise ConfigError(
                f"{name} holds a password, and everybody on this machine can read the arguments of"
                " a process",
                advice=f"Put the URL into the environment variable {VARIABLE}, or into a file that"
                " --set registry.url_file=FILE names",
            )


def _url_in(file: Path) -> str:
    try:
        url = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as problem:
        why = getattr(problem, "strerror", None) or "it is no text"
        raise ConfigError(
            f"the file of registry.url_file can't be read: {why}", file=file
        ) from None
    if not url or len(url.split()) > 1:
        raise ConfigError("the file of registry.url_file holds no URL", file=file)
    if "@" in url:
        verify_private(file, "this URL with a password")
    return url


def _static(url: str, parts: RegistryParts) -> IRegistry:
    if url != STATIC:
        raise ConfigError(f"'{shown(url)}' is no registry", advice=f"Write {STATIC} alone")
    return StaticRegistry(parts.view)


def _master(url: str, parts: RegistryParts) -> IRegistry:
    master = master_of(url)
    if not (parts.tls or parts.links.insecure or is_loopback(master.host)):
        raise ConfigError(
            f"'{url}' is on another machine, and the link to it is not encrypted",
            advice=ENCRYPT,
        )
    return MasterRegistry(
        endpoint=parts.link_endpoint(master),
        secret=parts.secret,
        settings=parts.settings,
        links=parts.links,
        counters=parts.counters,
        clock=parts.reactor,
        where=url,
        secret_file=str(parts.secret_file),
        tls=parts.tls,
        asked=parts.asked,
    )


def _redis(url: str, parts: RegistryParts) -> IRegistry:
    # Late: this needs the reactor.
    from chatcore.store.endpoint import Approach
    from chatcore.store.redis import Redis

    def read() -> RedisPlace:
        return RedisPlace.parse(parts.again() if parts.again else url, parts.folder)

    lease = parts.settings.lease_seconds
    seconds = patience(lease)
    store = Redis(
        Approach(read, seconds / 2, parts.reactor),
        seconds=seconds,
        longest_retry=lease / 5,
        counters=parts.counters,
        clock=parts.reactor,
    )
    cluster = parts.settings.cluster or f"{parts.folder.resolve().name}:{parts.env}"
    return RedisRegistry(
        store=store,
        cluster=cluster,
        seal=Seal(parts.secret, cluster),
        where=str(store.place),
        secret_file=str(parts.secret_file),
        lease=lease,
        counters=parts.counters,
        clock=parts.reactor,
    )


_MAKERS: Final[dict[str, Callable[[str, RegistryParts], IRegistry]]] = {
    "static": _static,
    "master": _master,
    "redis": _redis,
    "rediss": _redis,
}
"""What makes the registry of a URL, by what stands before its colon."""
