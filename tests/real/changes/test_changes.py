"""Servers come, go and die while hundreds of clients talk: what each of them sees is checked.

A history that breaks a rule stays in the test's ``tmp_path``, for `checking.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted
from checking import Findings
from history import What
from running import short_folder
from stage import LoadedChat, Stage
from twisted.internet.defer import Deferred

AGAIN = 8.0
"""Seconds after which every room is served again when a server was killed."""

FORGOTTEN = 15.0
"""Seconds after which a name is free again whose connector was killed."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    from twisted.internet import reactor

    with short_folder() as folder:
        chat = LoadedChat(Path(folder))
        stage = Stage(reactor=reactor, chat=chat, saved=tmp_path / "history")
        yield stage
        try:
            pytest_twisted.blockon(Deferred.fromCoroutine(stage.crowd.disperse()))
        finally:
            chat.close()


async def test_nothing_is_done(stage: Stage) -> None:
    await stage.begin()
    await stage.crowd.pause(3)
    found = await stage.end()
    assert not (found.violations or found.refused or found.losses or found.kicks), str(found)
    assert found.deliveries > 5000, str(found)


async def test_a_connector_is_killed(stage: Stage) -> None:
    """Its clients come back elsewhere, and what the others say is answered all the while."""
    await stage.begin()
    killed = await stage.kill("connector-server-2")
    await stage.crowd.pause(3)
    found = await stage.end()
    assert not (found.violations or found.kicks), str(found)
    assert 50 < len(found.losses) < 150, str(found)
    assert not found.refused_outside([(killed, killed + FORGOTTEN)]), str(found)
    assert not [event for event in found.refused if event.what is What.FAILED], str(found)


async def test_connectors_are_restarted(stage: Stage) -> None:
    """Whoever was moved heard everything before; nobody is refused or cut off.

    But the gate, which knows from servers.json alone who is there, may name one that is not open
    yet.
    """
    await stage.begin()
    for server_id in stage.chat.ids("connector"):
        await stage.restart(server_id)
    found = await stage.end()
    assert not (found.violations or found.losses), str(found)
    assert not [e for e in found.refused if e.what is not What.TURNED_AWAY], str(found)
    assert len(found.kicks) > 300, str(found)


async def test_chat_servers_are_killed(stage: Stage) -> None:
    """Nothing that was acknowledged is lost, and soon every room is served again."""
    await stage.begin()
    killed = []
    for server_id in ("chat-server-1", "chat-server-3"):
        killed.append(await stage.kill(server_id))
        await stage.crowd.pause(AGAIN - 3)
    found = await stage.end()
    assert not (found.violations or found.losses or found.kicks), str(found)
    _served_again(found, killed)


def _served_again(found: Findings, killed: list[float]) -> None:
    assert not found.refused_outside([(at, at + AGAIN) for at in killed]), str(found)
    for at, after in zip(killed, [*killed[1:], found.record.end], strict=True):
        late = {room: s for room, s in found.served_again(at, after).items() if s > AGAIN}
        assert not late, f"{late}\n{found}"
