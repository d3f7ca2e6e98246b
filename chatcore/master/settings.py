"""The settings of ``chatcore start`` itself; those of a node are passed on to every node."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import Meta

from chatcore.config.settings import Assignment, resolve, setting

PAGE: Final = "page"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSettings:
    """The section ``page``: where the application's page is served."""

    host: Annotated[str, Meta(min_length=1)] = setting(
        "127.0.0.1", "the address that the page is served on"
    )
    port: Annotated[int, Meta(ge=1, le=65535)] = setting(
        3001, "the port that the page is served on"
    )


def check_settings(
    assignments: Iterable[Assignment],
) -> tuple[PageSettings, tuple[Assignment, ...]]:
    """Check what was said about settings.

    Those of the application's own sections are left to whoever has read the application.

    Returns:
        The page's settings, and the assignments that every node is to be given.

    Raises:
        ConfigError: a key that does not exist, or a value that it can't have.
    """
    # Late, because it brings everything that a node is made of.
    from chatcore.node import SECTIONS

    every = tuple(assignments)
    sections = {**SECTIONS, PAGE: PageSettings}
    settings = resolve(sections, [one for one in every if one.key.partition(".")[0] in sections])
    for_nodes = tuple(one for one in every if one.key.partition(".")[0] != PAGE)
    return settings[PageSettings], for_nodes
