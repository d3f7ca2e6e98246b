"""``chatcore certs``: the certificates with which the nodes of a cluster know each other."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatcore.cli.exits import DONE
from chatcore.cli.options import add_json
from chatcore.cli.output import Column, Output
from chatcore.cli.parsing import Commands
from chatcore.config.application_folder import find_application
from chatcore.config.identities import AUTHORITY
from chatcore.config.names import (
    ADMIN,
    MASTER,
    SERVER_ID_RULE,
    VIEWER,
    is_server_id,
    suggestion,
)
from chatcore.config.servers import Server, load_servers
from chatcore.errors import ConfigError

if TYPE_CHECKING:
    from chatcore.config.authority import Issued

DAYS = 365

RENEWED_DAYS = 30
"""Certificates that end sooner are made anew by ``--renew``."""


COLUMNS = (Column("id"), Column("state"), Column("valid until"), Column("host"), Column("files"))


def add_parser(commands: Commands) -> None:
    """Add what reads the options of this command."""
    parser = commands.add_parser(
        "certs",
        help="make the certificates for --tls",
        description="Makes the certificates with which the nodes of a cluster know each other: an "
        "authority, and one certificate for each server of servers.json, for the master, for "
        "those who administer, and for those who only look. What is there already stays. Off a "
        "terminal, each certificate is one line with the fields id, state (made, renewed or "
        "there), the day until which it is valid, the host where it belongs, and its files; tabs "
        "are between them.",
    )
    parser.add_argument("dir", metavar="DIR", help="the folder for them; made if it is not there")
    parser.add_argument(
        "ids",
        metavar="ID",
        nargs="*",
        help="a server that servers.json does not list; with --renew, one whose certificate is to "
        "be made anew",
    )
    parser.add_argument(
        "--app",
        metavar="DIR",
        help="the application folder; the current directory unless given",
    )
    parser.add_argument(
        "--env",
        metavar="ENV",
        default="development",
        help="the environment of servers.json; 'development' unless given",
    )
    parser.add_argument(
        "--days",
        metavar="N",
        type=int,
        default=DAYS,
        help=f"how long new certificates are valid; {DAYS} unless given",
    )
    parser.add_argument(
        "--renew",
        action="store_true",
        help="make certificates anew that have expired or will within "
        f"{RENEWED_DAYS} days, or those of the IDs given",
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, output: Output) -> int:
    """Make the certificates and say what to copy where.

    Raises:
        ConfigError: an option, an id or a file can't be used.
    """
    # Late, so that help comes at once.
    from chatcore.config.authority import MOST_DAYS

    if not 1 <= options.days <= MOST_DAYS:
        raise ConfigError(f"--days {options.days} is not from 1 to {MOST_DAYS}")
    servers = _servers(options)
    for id in options.ids:
        if not is_server_id(id):
            raise ConfigError(f"'{id}' can't be a server id", advice=SERVER_ID_RULE)
    folder = Path(options.dir)
    if options.renew:
        _refuse_unknown(folder, options.ids, [server.id for server in servers])
    issued = _issue(folder, [server.id for server in servers], options)
    hosts = _hosts(issued, servers)
    output.document(_as_json(folder, issued, hosts))
    rows = [
        (one.name, one.state, f"{one.end:%Y-%m-%d}", hosts.get(one.name), one.files)
        for one in issued
    ]
    if output.on_terminal:
        output.table(COLUMNS, rows)
        for line in _to_copy(folder, issued, hosts):
            output.say(line)
    else:
        for row in rows:
            output.record(row, "")
    _remind(folder, issued, output)
    return DONE


def _refuse_unknown(folder: Path, ids: Iterable[str], listed: Sequence[str]) -> None:
    """See that each of these has a certificate, or is somebody who should have one.

    Raises:
        ConfigError: somebody is neither.
    """
    there = {file.stem for file in folder.glob("*.pem")} - {AUTHORITY}
    known = sorted({*there, *listed, MASTER, ADMIN, VIEWER})
    for id in ids:
        if id not in known:
            raise ConfigError(
                f"there is no certificate of '{id}' to be renewed",
                file=folder,
                advice=f"{suggestion(id, known, 'names')}. For a new one, leave --renew away",
            )


def _servers(options: argparse.Namespace) -> Sequence[Server]:
    try:
        return list(load_servers(find_application(options.app or "."), options.env))
    except ConfigError:
        if options.ids and options.app is None:  # made for these alone
            return []
        raise


def _issue(folder: Path, listed: Iterable[str], options: argparse.Namespace) -> list[Issued]:
    from chatcore.config.authority import Authority

    now = datetime.datetime.now(datetime.UTC)
    soon = now + datetime.timedelta(days=RENEWED_DAYS)
    authority = Authority.open(folder, now)
    made = [authority.issued]
    for id in dict.fromkeys([MASTER, ADMIN, VIEWER, *listed, *options.ids]):
        one = authority.issue(id, options.days)
        meant = id in options.ids if options.ids else one.end < soon
        if options.renew and one.state == "there" and meant:
            one = authority.issue(id, options.days, renew=True)
        made.append(one)
    return made


def _hosts(issued: Sequence[Issued], servers: Iterable[Server]) -> dict[str, str]:
    """Where each certificate belongs, in words."""
    known = {server.id: server.host for server in servers}
    known |= {
        MASTER: "where the master runs",
        ADMIN: "where you administer from",
        VIEWER: "where somebody only looks",
    }
    return {one.name: known.get(one.name, f"where {one.name} runs") for one in issued[1:]}


def _as_json(folder: Path, issued: list[Issued], hosts: dict[str, str]) -> dict[str, Any]:
    return {
        "folder": str(folder),
        "certificates": [
            {
                "id": one.name,
                "state": one.state,
                "end": one.end.isoformat(),
                "files": list(one.files),
                "host": hosts.get(one.name),
            }
            for one in issued
        ],
        "exit": DONE,
    }


def _to_copy(folder: Path, issued: Sequence[Issued], hosts: Mapping[str, str]) -> list[str]:
    """What belongs where."""
    authority, *others = issued
    by_host: dict[str, list[str]] = {}
    for one in others:
        by_host.setdefault(hosts[one.name], []).extend(one.files)
    return [
        "",
        f"On this machine, {folder} serves as it is. Elsewhere, a folder with mode 700 needs only:",
        *(f"{host}: {' '.join([authority.files[0], *files])}" for host, files in by_host.items()),
        f"Copy {authority.files[1]} nowhere: whoever has it can be any node.",
    ]


def _remind(folder: Path, issued: Sequence[Issued], output: Output) -> None:
    """Tell of certificates that were there and end soon."""
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=RENEWED_DAYS)
    for one in issued:
        if one.state == "there" and one.end < soon:
            output.note(
                f"the certificate of {one.name} ends on {one.end:%Y-%m-%d}; make it anew with:"
                f" chatcore certs {folder} --renew"
            )
