"""socket.io's own libraries, of all generations and over all transports, in one room."""

from __future__ import annotations

import pytest
from page.webdriver import missing_tools

from .people import everybody
from .story import CHAPTERS, Story

LABELS = [
    *(f"node-{each.label}" for each in everybody(page=False)),
    *(f"page-{each.label}" for each in everybody(page=True)),
    "pomelo-websocket",
    "pomelo-tcp",
]


@pytest.mark.parametrize("label", LABELS)
def test_whole_chat(label: str, story: Story) -> None:
    """From the gate to the end, with everybody else, by way of kicks, crashes and drains."""
    if label.startswith("page-") and (missing := missing_tools()):
        pytest.skip(missing)
    (member,) = (each for each in story.members.values() if each.label == label)
    assert member.complaints == []
    assert member.chapters == list(CHAPTERS)
