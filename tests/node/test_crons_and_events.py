"""Crons that run, and events that an application is told of."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest
from applications import Applications, refusal, write
from small_cluster import until

from chatcore.config.settings import Assignment
from chatcore.errors import ConfigError

CRON = """
    from zope.interface import implementer
    from chatcore.interfaces import ICron

    class IRoomCron(ICron):
        async def clean(): ""

    @implementer(IRoomCron)
    class RoomCron:
        def __init__(self, app):
            self.app = app

        def clean(self):
            self.app.data["cleaned"] = self.app.data.get("cleaned", 0) + 1
"""


class TestCrons:
    async def test_crons_of_a_server(self, application: Applications, folder: Path) -> None:
        cluster = application(
            servers={"front": ["front-1", "front-2"]},
            servers__front__crons=CRON,
        )
        write(
            folder,
            crons="""{"development": {"front": [
                {"id": 1, "time": "0 0 4 * * *", "action": "roomCron.clean"},
                {"id": "two", "every": 0.01, "action": "roomCron.clean", "serverId": "front-2"}
            ]}}""",
        )
        await cluster.start()
        one, two = (cluster.nodes[id].application for id in ("front-1", "front-2"))
        assert [each.id for each in one.crons.list()] == ["1"]
        assert [each.id for each in two.crons.list()] == ["1", "two"]
        await until(lambda: two.data.get("cleaned", 0) > 2, "its runs")
        assert two.crons.remove("two") and not two.crons.remove("two")
        changes: list[Any] = []
        one.on("add_crons", lambda crons: changes.append([cron.id for cron in crons]))
        one.on("remove_crons", changes.append)
        one.crons.add(id="more", every=0.01, action="roomCron.clean")
        await until(lambda: one.data.get("cleaned"), "its run")
        one.crons.remove("more")
        assert one.crons.remove("1")
        assert changes == [["more"], ["more"], ["1"]]

    @pytest.mark.parametrize(
        ("entry", "said"),
        [
            ('"id": 1, "time": "0 0 4 * * *", "action": "roomCron.claen"', "no action"
             " 'roomCron.claen'. Did you mean 'roomCron.clean'?"),
            ('"id": 1, "time": "0 0 4 * *", "action": "roomCron.clean"', "six fields are needed"),
        ],
    )  # fmt: skip
    def test_mistakes(self, application: Applications, folder: Path, entry: str, said: str) -> None:
        cluster = application(servers__front__crons=CRON)
        write(folder, crons=f'{{"development": {{"front": [\n{{{entry}}}]}}}}')
        message = refusal(cluster)
        assert said in message and message.startswith(f"{folder}/config/crons.json:2")

    def test_ids_and_time_zones(self, application: Applications, folder: Path) -> None:
        cluster = application(servers__front__crons=CRON)
        entry = '{"id": 1, "every": 1, "action": "roomCron.clean"}'
        write(folder, crons=f'{{"front": [{entry}, {entry}]}}')
        assert "the id 1 is the cron's in" in refusal(cluster)
        write(folder, crons="{}")
        cluster._assignments.append(
            Assignment(key="crons.timezone", value="Europe/Berln", source="test")
        )
        assert "no time zone 'Europe/Berln'" in refusal(cluster)

    def test_a_cron_takes_no_arguments(self, application: Applications, folder: Path) -> None:
        text = textwrap.dedent(CRON).replace("clean()", "clean(msg)")
        cluster = application(servers__front__crons=text)
        assert "IRoomCron.clean takes 1 argument" in refusal(cluster)


async def test_events_of_sessions_and_links(application: Applications, folder: Path) -> None:
    app = """
        def configure(app):
            heard = app.data["heard"] = []

            async def closed(session, reason):
                heard.append(("closed", session.uid, reason))

            app.on("bind_session", lambda session: heard.append(("bind", session.uid)))
            app.on("close_session", closed)
            app.on("link_up", lambda id: heard.append(("up", id)))
            app.on("link_down", lambda id: heard.append(("down", id)))
    """
    cluster = application(app=app, servers={"front": ["front-1"], "back": ["back-1"]})
    await cluster.start()
    node = cluster.nodes["front-1"]
    heard = node.application.data["heard"]
    gone: list[Any] = []
    node.application.on("close_session", lambda session, reason: gone.append(session.id))
    with pytest.raises(ConfigError, match="Did you mean 'close_session'"):
        node.application.on("closed_session", print)
    client = await cluster.client("front-1")
    await client.request("front.frontHandler.login", {"uid": "a"})
    await client.disconnect()
    await until(lambda: gone, "its end")
    await cluster.stop("back-1")
    await until(lambda: ("down", "back-1") in heard, "the loss of the link")
    assert heard == [
        ("up", "back-1"),
        ("bind", "a"),
        ("closed", "a", "disconnect"),
        ("down", "back-1"),
    ]
