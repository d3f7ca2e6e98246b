"""What an application may say to a client that wants to come in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from zope.interface import Attribute, Interface

from chatcore.interfaces.sessions import Address


class IHandshake(Interface):
    """What a client says of itself before it has a session.

    Clients of socket.io have the type ``socket.io``, the version of Engine.IO or ``0.9``, and in
    ``sys`` beside them the ``namespace`` that they ask for. Their ``user`` is a dictionary of what
    is in the query, and of ``auth`` over it.
    """

    type: str = Attribute("The kind of its client, as in js-websocket; free text, may be empty.")
    version: str = Attribute("The version of its client; free text, may be empty.")
    sys: Mapping[str, Any] = Attribute("All that its client library says.")
    user: Any = Attribute("What the application's client put beside it; None if nothing.")
    address: Address = Attribute("The host and the port it comes from.")
    settings: dict[str, Any] = Attribute("What its session begins with; the hook may put some in.")


CheckClient = Callable[[str, str], Any]
"""Told a client's type and version; whether that client is recent enough, now or later."""

HandshakeHook = Callable[[IHandshake], Any]
"""Told who wants in; answers what its client is told as ``user``, now or later, or raises."""
