"""Who is who in a cluster's certificates: names, and the files in the folder of ``--tls``.

=================  ==============================================================================
``ca.pem``         the certificate of the cluster's authority; more may follow while it is replaced
``ca.key``         its key; only where certificates are made
``ID.pem``         the certificate of a server, or of ``master``, ``admin`` or ``viewer``
``ID.key``         its key
=================  ==============================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from chatcore.config.names import ADMIN, VIEWER, is_server_id
from chatcore.config.tls_files import TlsFiles
from chatcore.config.tokens import TokenId, is_like_id
from chatcore.errors import ConfigError, TokenError

AUTHORITY = "ca"
"""What the files of the authority are called."""


def holder_of(id: str) -> str:
    """Whose certificate somebody of that id shows: administrators share one."""
    return ADMIN if id.startswith(ADMIN) else id


def holders_of(id: str) -> tuple[str, ...]:
    """Whose certificate somebody of that id may show.

    A process that acts as an administrator, as ``admin-ID``, has its own. Who may do everything
    may look, so that who holds a viewer's token may show the certificate of administrators, too.
    """
    if is_like_id(id):
        try:
            return (VIEWER, ADMIN) if TokenId.read(id).role == VIEWER else (ADMIN,)
        except TokenError:
            return ()
    itself = id.removeprefix(f"{ADMIN}-")
    if itself == id or not is_server_id(itself):
        return (holder_of(id),)
    return ADMIN, itself


def dns_name(id: str) -> str:
    """The DNS name that stands for an id in a certificate, as a subject alternative name.

    DNS names know no upper case, and what looks like an address is none. So, to keep any two ids
    apart: an underscore is doubled, an upper-case letter becomes an underscore and its lower-case
    letter, and an underscore stands before an id that begins with a digit. All other ids, such as
    ``chat-server-1``, are their own names.

    Raises:
        ValueError: nobody can have that id.
    """
    if not is_server_id(id):
        raise ValueError(f"{id!r:.80} can't be an id")
    name = "".join(
        "__" if each == "_" else f"_{each.lower()}" if each.isupper() else each
        for each in holder_of(id)
    )
    return f"_{name}" if name[0].isdigit() else name


class IdentityFiles:
    """The files that one node, master or administrator has in the folder of ``--tls``.

    Args:
        folder: that folder.
        id: whose.

    Raises:
        ConfigError: the id's files would be those of the authority.
    """

    def __init__(self, folder: Path, id: str) -> None:
        self.holder = holder_of(id)
        if self.holder.lower() == AUTHORITY:
            raise ConfigError(
                f"the id '{id}' can't have a certificate: {AUTHORITY}.pem is the authority's",
                advice="Call the server something else",
            )
        self.authority = folder / f"{AUTHORITY}.pem"
        self.own = TlsFiles(folder / f"{self.holder}.pem", folder / f"{self.holder}.key")

    def __iter__(self) -> Iterator[Path]:
        yield self.authority
        yield from self.own
