"""Whether the others can reach the place where a node takes links in."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import ip_address

from chatcore.cluster.view import View
from chatcore.config.addresses import is_loopback, is_wildcard
from chatcore.config.servers import Server


def out_of_reach(server: Server, view: View) -> str | None:
    """What is wrong where others of the view, on other machines, can't dial a node; or None.

    Which machine a name means is not looked up: only addresses tell.

    Args:
        server: the node, as it is announced; it runs on this machine.
        view: those who have to reach it.
    """
    if not is_of_this_machine_alone(server):
        return None
    far = next((each.server for each in view.members if _is_elsewhere(each.server)), None)
    if far is None:
        return None
    where = "by a socket in its run folder" if server.port is None else f"on {server.host}"
    missing = "--port and --host" if server.port is None else "--host"
    return (
        f"{server.id} is to be reached {where}, which servers on other machines, as {far.id} on"
        f" {far.host}, can't: start it with {missing}, or say the same in servers.json"
    )


def hint(view: View, ids: Iterable[str]) -> str:
    """What to add where links are missing, if some of those servers may be the reason."""
    members = [view.get(id) for id in ids]
    local = [each.id for each in members if each and is_of_this_machine_alone(each.server)]
    if not local:
        return ""
    return (
        f". Where these are not all on one machine: {', '.join(local)} can be reached on"
        " the machine of each only, without --port and --host"
    )


def is_of_this_machine_alone(server: Server) -> bool:
    """Whether only its own machine can reach a server, as it is announced."""
    return server.port is None or is_loopback(server.host) or is_wildcard(server.host)


def _is_elsewhere(server: Server) -> bool:
    return not is_of_this_machine_alone(server) and not _is_here(server.host)


def _is_here(host: str) -> bool:
    """Whether that is an address of this machine, or none that tells."""
    try:
        family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
    except ValueError:
        return True
    with socket.socket(family, socket.SOCK_DGRAM) as tried:
        try:
            tried.bind((host, 0))
        except OSError:
            return False
    return True
