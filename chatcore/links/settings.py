"""What can be set about links."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from chatcore.config.settings import Assignment, setting

Seconds = Annotated[float, Meta(gt=0)]
Bytes = Annotated[int, Meta(ge=65536)]
Retries = Annotated[int, Meta(ge=0, le=100)]
Delay = Annotated[float, Meta(ge=0)]
BoxBytes = Annotated[int, Meta(ge=8 * 1024 * 1024)]

ENCRYPT = (
    "Encrypt the links: make certificates with 'chatcore certs DIR', and start everything with"
    " --tls DIR; or accept it on a network of your own with --insecure-links"
)
"""What to do about links that would leave the machine as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """The links to other nodes."""

    call_timeout: Seconds = setting(
        8.0,
        "seconds a call to another node may take; less than limits.handler_seconds, so that who"
        " calls can still say something about it",
    )
    retries: Retries = setting(2, "how often a call that asks for it is tried again")
    retry_seconds: Delay = setting(0.2, "seconds before a call is tried again")
    ping_interval: Seconds = setting(5.0, "seconds between pings on a link")
    ping_timeout: Seconds = setting(15.0, "seconds of silence after which a link is given up")
    patience: Seconds = setting(
        10.0, "seconds a lost frontend may take to come back before its members leave"
    )
    tls: str = setting(
        "",
        "folder of the certificates that links are encrypted with, as 'chatcore certs' makes it;"
        " seen from the application folder; none: no TLS",
    )
    insecure: bool = setting(
        False, "whether links may leave this machine, though they are not encrypted"
    )
    box_bytes: BoxBytes = setting(16 * 1024 * 1024, "bytes that one box may have")
    queue_bytes: Bytes = setting(
        8 * 1024 * 1024,
        "bytes that may wait on a blocked link; over half of it pushes are shed, over all of it"
        " calls fail, over twice as much the link is given up",
    )


def said_by_options(tls: str | None, insecure: bool) -> list[Assignment]:
    """What the options ``--tls DIR`` and ``--insecure-links`` say, as settings."""
    said = []
    if tls is not None:
        folder = os.path.abspath(tls)  # seen from where the option is given
        source = f"--tls {tls}"
        said.append(Assignment(key="links.tls", value=folder, source=source, text=True))
    if insecure:
        source = "--insecure-links"
        said.append(Assignment(key="links.insecure", value="true", source=source, text=True))
    return said
