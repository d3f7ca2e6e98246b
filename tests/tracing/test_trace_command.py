"""``chatcore inspect trace`` against nodes in this process."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from small_cluster import until
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.threads import deferToThread

from chatcore.cli.inspect import tracing
from chatcore.links.link import Link

from .rooms import FILES, Rooms

TRACE = b"\0\x05trace"
"""The key of boxes."""

SCHEDULER = """
        from twisted.internet import reactor

        def configure(app, before=configure):
            before(app)
            app.push_scheduler(lambda push: reactor.callLater(0.01, push.send))
"""

SEND, SLOWLY = "chat.chatHandler.send", "chat.chatHandler.slowly"


async def three(rooms: Rooms) -> Any:
    """Three people in the room, at two frontends; the first of them comes back."""
    ann = await rooms.enter("ann")
    await rooms.enter("bob")
    await rooms.enter("cleo", "front-2")
    return ann


def outcomes(story: dict[str, Any]) -> dict[str, str]:
    return {member["uid"]: member["outcome"] for member in story["members"]}


def why(story: dict[str, Any], uid: str) -> str:
    (found,) = [member["why"] or "" for member in story["members"] if member["uid"] == uid]
    return str(found)


def outbox_of(rooms: Rooms, uid: str, at: str = "front-1") -> Any:
    (session,) = rooms.nodes[at].sessions.by_uid(uid)
    return session.connection.outbox


async def got(url: str) -> str:
    """What is answered to a request."""

    def read() -> str:
        with urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())

    return await deferToThread(read)


class TestHops:
    async def test_a_message_to_all_members(self, rooms: Rooms) -> None:
        ann = await three(rooms)

        story = await rooms.story_of(SEND, lambda: ann.request(SEND, {"text": "hi"}))

        assert (story["outcome"], story["complete"]) == ("answered", True)
        assert (story["route"], story["uid"], story["node"]) == (SEND, "ann", "front-1")
        assert (story["delivered"], story["of"]) == (3, 3)
        assert outcomes(story) == dict.fromkeys(("ann", "bob", "cleo"), "written")
        by_id = {span["span"]: span for span in story["spans"]}
        found = {
            (span["kind"], span["node"], by_id.get(span["parent"], {"kind": ""})["kind"])
            for span in story["spans"]
        }
        assert found == {
            ("message", "front-1", ""),
            ("received", "front-1", "message"),
            ("forward", "front-1", "message"),
            ("handler", "chat-1", "forward"),
            ("push", "chat-1", "handler"),
            ("deliver", "front-1", "push"),
            ("deliver", "front-2", "push"),
            ("answer", "front-1", "message"),
        }
        assert len({span["trace"] for span in story["spans"]}) == 1
        for span in story["spans"]:
            above = by_id.get(span["parent"])
            assert span["start"] <= span["end"]
            if above is not None:  # one machine, one clock
                assert span["start"] >= above["start"]
        starts = {span["kind"]: span["start"] for span in story["spans"]}
        order = ["message", "forward", "handler", "push", "deliver"]
        assert sorted(order, key=starts.__getitem__) == order

    async def test_for_people(self, rooms: Rooms) -> None:
        ann = await three(rooms)
        looking = rooms.look_for("ann", terminal=True)
        await rooms.looked_for()

        await ann.request(SEND, {"text": "hi"})
        ran = await looking

        assert ran.code == 0
        assert re.match(rf"request {SEND} of ann at front-1: answered after \d+\.\d ms", ran.out)
        assert ran.lines[-1] == "delivered to 3 of 3 members"
        assert "looking for messages of ann on 4 servers" in ran.err

    async def test_off_a_terminal(self, rooms: Rooms) -> None:
        ann = await three(rooms)
        looking = rooms.look_for("chat.*")
        await rooms.looked_for()

        await ann.request(SEND, {"text": "hi"})
        ran = await looking

        lines = [line.split("\t") for line in ran.out.splitlines()]
        assert {len(line) for line in lines} == {9}
        assert lines[0][1:] == ["trace", "-", "-", "front-1", SEND, "ann", "answered", "-"]
        members = [line[4:] for line in lines if line[1] == "member"]
        assert ["front-2", "onChat", "cleo", "written", "-"] in members

    async def test_a_call_that_is_passed_over_a_third_server(self, rooms: Rooms) -> None:
        ann = await three(rooms)
        ask = "chat.chatHandler.ask"

        story = await rooms.story_of(ask, lambda: ann.request(ask, {"at": "chat-2"}))

        spans = {span["kind"]: span for span in story["spans"]}
        assert spans["call"]["parent"] == spans["handler"]["span"]
        assert spans["remote"]["parent"] == spans["call"]["span"]
        assert (spans["remote"]["node"], spans["remote"]["name"]) == ("chat-2", "roomRemote.add")

    async def test_a_handler_of_the_frontend(self, rooms: Rooms) -> None:
        ann = await rooms.client("front-1")
        enter = "front.doorHandler.enter"

        story = await rooms.story_of(enter, lambda: ann.request(enter, {"name": "ann"}))

        kinds = [(span["kind"], span["node"]) for span in story["spans"]]
        assert ("handler", "front-1") in kinds and ("remote", "chat-1") in kinds
        assert ("forward", "front-1") not in kinds
        assert story["outcome"] == "answered"

    async def test_a_notify(self, rooms: Rooms) -> None:
        ann = await three(rooms)

        async def notify() -> None:
            ann.notify(SEND, {"text": "hi"})

        story = await rooms.story_of(SEND, notify)

        assert (story["outcome"], story["delivered"]) == ("sent on", 3)

    async def test_a_broadcast_and_pushes_to_uids(self, rooms: Rooms) -> None:
        ann = await three(rooms)
        news, some = "chat.chatHandler.everybody", "chat.chatHandler.some"

        story = await rooms.story_of(news, lambda: ann.request(news, {}))
        assert outcomes(story) == dict.fromkeys(("ann", "bob", "cleo"), "written")

        assert [span["kind"] for span in story["spans"]].count("push") == 1

        uids = {"uids": [["bob", "front-1"], "cleo", ["nobody", "front-2"]]}
        story = await rooms.story_of(some, lambda: ann.request(some, uids))
        assert outcomes(story) == {"bob": "written", "cleo": "written", "nobody": "gone"}

    async def test_who_pushes_are_meant_for(self, rooms: Rooms) -> None:
        ann = await three(rooms)
        looking = rooms.look_for("--to", "cleo", "--json")
        await rooms.looked_for()

        await ann.request(SEND, {"text": "hi"})
        (story,) = (await looking).json["traces"]

        assert (story["outcome"], story["node"], story["route"]) == ("pushed", "chat-1", "onChat")
        assert outcomes(story)["cleo"] == "written"

    async def test_a_broadcast_is_meant_for_everybody(self, rooms: Rooms) -> None:
        ann = await three(rooms)
        looking = rooms.look_for("--to", "cleo", "--json")
        await rooms.looked_for()

        await ann.request("chat.chatHandler.everybody", {})
        (story,) = (await looking).json["traces"]

        assert story["route"] == "onNews"
        assert outcomes(story) == dict.fromkeys(("ann", "bob", "cleo"), "written")

    async def test_those_that_were_followed_lately(self, rooms: Rooms) -> None:
        ann = await three(rooms)
        story = await rooms.story_of(SEND, lambda: ann.request(SEND, {"text": "hi"}))

        ran = await rooms.look_for("--recent", "--json")
        assert [each["trace"] for each in ran.json["traces"]] == [story["trace"]]
        assert (await rooms.look_for("nobody", "--recent")).code == 1


class TestWhoDidNotGetIt:
    async def test_who_has_left_and_who_is_gone(self, rooms: Rooms) -> None:
        ann = await three(rooms)
        await rooms.enter("dan", "front-2")
        front = rooms.nodes["front-1"]
        gate: Deferred[None] = Deferred()
        rooms.nodes["chat-1"].application.data["gate"] = gate

        async def act() -> None:
            asked = ann.request(SLOWLY, {"gate": "gate"})
            await until(lambda: rooms.nodes["chat-1"].counters.requests_now, "the handler")
            front.clients.groups.leave("chat-1", "attic", ["bob"])
            (session,) = rooms.nodes["front-2"].sessions.by_uid("cleo")
            session.connection.close("gone")
            (session,) = rooms.nodes["front-2"].sessions.by_uid("dan")
            session.connection.kick("he was rude")
            gate.callback(None)
            await asked

        story = await rooms.story_of(SLOWLY, act)

        expected = {"ann": "written", "bob": "left", "cleo": "gone", "dan": "kicked"}
        assert outcomes(story) == expected
        assert why(story, "dan") == "he was rude"

    @pytest.mark.parametrize("policy", ["disconnect", "drop-oldest", "newest-per-route"])
    async def test_who_does_not_read(self, folder: Path, policy: str) -> None:
        rooms = Rooms(folder, {"outbox.policy": policy, "outbox.bytes": 65_536})
        await rooms.start()
        try:
            ann = await three(rooms)
            outbox_of(rooms, "bob").pauseProducing()
            waits = await rooms.story_of(SEND, lambda: ann.request(SEND, {"text": "hi"}))
            assert outcomes(waits) == {"ann": "written", "bob": "waiting", "cleo": "written"}

            async def much() -> None:
                for _ in range(3):
                    await ann.request(SEND, {"text": "x" * 50_000})

            story = await rooms.story_of(SEND, much)
            expected = {"disconnect": "slow"}.get(policy, "dropped")
            assert outcomes(story) == {"ann": "written", "bob": expected, "cleo": "written"}
            if policy != "disconnect":
                assert "reads nothing since" in why(story, "bob")
        finally:
            await rooms.close()

    @pytest.mark.parametrize("policy", ["disconnect", "drop-oldest", "newest-per-route"])
    async def test_who_reads_late(self, folder: Path, policy: str) -> None:
        rooms = Rooms(folder, {"outbox.policy": policy})
        await rooms.start()
        try:
            ann = await three(rooms)
            outbox = outbox_of(rooms, "bob")
            outbox.pauseProducing()

            async def act() -> None:
                await ann.request(SEND, {"text": "hi"})
                outbox.resumeProducing()

            story = await rooms.story_of(SEND, act)

            assert outcomes(story)["bob"] == "written"
        finally:
            await rooms.close()

    async def test_a_push_that_may_be_dropped(self, rooms: Rooms) -> None:
        ann = await three(rooms)
        outbox_of(rooms, "bob").pauseProducing()
        rooms.nodes["front-1"].sessions.by_uid("bob")[0].connection.outbox.send(b"")

        story = await rooms.story_of(SEND, lambda: ann.request(SEND, {"droppable": True}))

        assert outcomes(story) == {"ann": "written", "bob": "dropped", "cleo": "written"}
        assert "droppable" in why(story, "bob")

    @pytest.mark.parametrize("polls", [True, False])
    async def test_who_polls(self, folder: Path, polls: bool) -> None:
        rooms = Rooms(folder, {"connector.socketio": True})
        await rooms.start()
        port = rooms.servers.by_id("front-1").client_port
        path = f"http://127.0.0.1:{port}/socket.io/?EIO=3&transport=polling"
        news = "chat.chatHandler.everybody"
        try:
            ann = await rooms.enter("ann")
            sid = re.search(r'"sid":"([\w-]+)"', await got(path))
            assert sid is not None

            async def act() -> None:
                await ann.request(news, {"hear": "this"})
                while polls and "this" not in await got(f"{path}&sid={sid[1]}"):
                    pass

            story = await rooms.story_of(news, act)

            expected = {"ann": "written", None: "written" if polls else "waiting"}
            assert outcomes(story) == expected
        finally:
            clients = rooms.nodes["front-1"].clients
            assert clients is not None
            for client in list(clients._connector.clients):  # nobody polls for a farewell
                client.cut_off()
            await rooms.close()

    async def test_pushes_that_the_application_sends_on(self, folder: Path) -> None:
        app = FILES["app.py"] + SCHEDULER
        rooms = Rooms(folder, files={"app.py": app})
        await rooms.start()
        try:
            ann = await three(rooms)
            story = await rooms.story_of(SEND, lambda: ann.request(SEND, {"text": "hi"}))
            assert set(outcomes(story).values()) == {"written"}
        finally:
            await rooms.close()

    async def test_frontends_that_can_not_be_reached(self, rooms: Rooms) -> None:
        ann = await three(rooms)
        chat = rooms.nodes["chat-1"]
        gate: Deferred[None] = Deferred()
        chat.application.data["gate"] = gate

        async def act() -> None:
            asked = ann.request(SLOWLY, {"gate": "gate"})
            await until(lambda: chat.counters.requests_now, "the handler")
            rooms.cut("front-2", "chat-1")
            await until(lambda: chat.links.get("front-2") is None, "the loss of the link")
            gate.callback(None)
            await asked

        story = await rooms.story_of(SLOWLY, act)

        assert outcomes(story) == {"ann": "written", "bob": "written", "cleo": "link lost"}

    async def test_a_link_that_is_blocked(self, rooms: Rooms) -> None:
        ann = await three(rooms)
        link = rooms.nodes["chat-1"].links.get("front-2")
        assert link is not None

        async def act() -> None:
            link.pauseProducing()
            link._queued += 1_000_000_000
            await ann.request(SEND, {"text": "hi"})
            link._queued -= 1_000_000_000
            link.resumeProducing()

        story = await rooms.story_of(SEND, act)

        assert outcomes(story) == {"ann": "written", "bob": "written", "cleo": "link blocked"}

    @pytest.mark.logs_failures
    async def test_what_a_client_has_no_form_for(self, folder: Path) -> None:
        rooms = Rooms(folder, {"connector.protobuf": True})
        (folder / "config").mkdir()
        schema = '{"onChat": {"required uInt32 number": 1}}'
        (folder / "config" / "serverProtos.json").write_text(schema)
        (folder / "config" / "clientProtos.json").write_text("{}")
        await rooms.start()
        try:
            ann = await three(rooms)
            story = await rooms.story_of(SEND, lambda: ann.request(SEND, {"text": "hi"}))
            assert set(outcomes(story).values()) == {"unencodable"}
        finally:
            await rooms.close()


class TestMessagesThatComeToNothing:
    async def fails(
        self, rooms: Rooms, client: Any, route: str, msg: Any = None, code: int = 0
    ) -> dict[str, Any]:
        async def act() -> None:
            await DeferredList([client.request(route, msg or {})], consumeErrors=True)

        return await rooms.story_of(route, act, code=code)

    async def test_a_route_that_there_is_not(self, rooms: Rooms) -> None:
        story = await self.fails(rooms, await rooms.enter("ann"), "chat.chatHandler.nothing")

        assert (story["outcome"], story["at"]) == ("refused", "front-1")
        assert story["why"] == "there is no such route"

    async def test_too_many_messages(self, folder: Path) -> None:
        rooms = Rooms(folder, {"limits.messages_per_second": 1, "limits.message_burst": 2})
        await rooms.start()
        try:
            ann = await rooms.enter("ann")
            await ann.request(SEND, {})
            story = await self.fails(rooms, ann, SEND)
            assert (story["outcome"], story["at"]) == ("refused", "front-1")
        finally:
            await rooms.close()

    async def test_a_handler_that_fails(self, rooms: Rooms) -> None:
        story = await self.fails(rooms, await rooms.enter("ann"), "chat.chatHandler.fail")

        assert (story["outcome"], story["at"]) == ("failed", "chat-1")
        assert re.fullmatch(r"it raised ValueError; the log has it as error \w+", story["why"])
        assert "hunter2" not in str(story)

    async def test_a_handler_that_takes_too_long(self, folder: Path) -> None:
        rooms = Rooms(folder, {"limits.handler_seconds": 0.2})
        await rooms.start()
        try:
            ann = await rooms.enter("ann")
            rooms.nodes["chat-1"].application.data["gate"] = Deferred()
            story = await self.fails(rooms, ann, SLOWLY, {"gate": "gate"})
            assert (story["outcome"], story["at"]) == ("late", "chat-1")
        finally:
            await rooms.close()

    async def test_a_server_that_is_down(self, rooms: Rooms) -> None:
        ann = await rooms.enter("ann")
        await rooms.stop("chat-1")
        story = await self.fails(rooms, ann, SEND, code=1)

        assert (story["outcome"], story["at"]) == ("no server", "front-1")

    async def test_a_server_that_nobody_knows(self, rooms: Rooms) -> None:
        ann = await rooms.enter("ann")
        rooms.nodes["front-1"].sessions.by_uid("ann")[0].update({"room_at": "chat-9"})
        story = await self.fails(rooms, ann, SEND)

        assert (story["outcome"], story["at"]) == ("no server", "front-1")


class TestWhatIsAsked:
    async def test_nothing_comes(self, rooms: Rooms) -> None:
        ran = await rooms.look_for("ann", "--timeout", "0.2")

        assert (ran.code, ran.out) == (1, "")
        assert "no messages of ann came within 0.2 s" in ran.err
        assert not any(node.tracer._armed for node in rooms.nodes.values())

    async def test_each_is_told_when_it_has_come(
        self, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[str] = []
        monkeypatch.setattr(tracing, "tell", lambda output, story: told.append(story.trace))
        ann = await rooms.enter("ann")
        looking = rooms.look_for(SEND, "--count", "3")
        await rooms.looked_for()

        await ann.request(SEND, {"text": "hi"})
        await until(lambda: len(told) == 1, "the first")
        await ann.request(SEND, {"text": "hi"})
        await until(lambda: len(told) == 2, "the second")
        assert not looking.called
        await ann.request(SEND, {"text": "hi"})
        ran = await looking

        assert (ran.code, len(set(told))) == (0, 3)

    async def test_a_route_that_nobody_has_is_told_at_once(self, rooms: Rooms) -> None:
        ran = await rooms.look_for("chat.chatHandler.sned", "--timeout", "0.2")
        assert f"no server has a handler 'chat.chatHandler.sned'. Did you mean {SEND!r}?" in ran.err
        for word in (SEND, "chat.*", "ann"):
            ran = await rooms.look_for(word, "--timeout", "0.2")
            assert "no server has" not in ran.err

    async def test_nothing_to_look_for(self, rooms: Rooms) -> None:
        ran = await rooms.look_for()
        assert ran.code == 2 and "--recent" in ran.err

    async def test_nothing_is_kept_sent_or_looked_up_where_nobody_looks(
        self, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ann = await three(rooms)
        written: list[bytes] = []
        write = Link.write

        def listen(link: Link, data: bytes) -> None:
            written.append(data)
            write(link, data)

        monkeypatch.setattr(Link, "write", listen)
        with monkeypatch.context() as patch:
            patch.setattr("chatcore.tracing.tracer._current", None)
            everything = [
                (SEND, {"text": "hi"}),
                ("chat.chatHandler.ask", {"at": "chat-2"}),
                ("chat.chatHandler.ask", {"at": "chat-1"}),
                ("chat.chatHandler.everybody", {}),
                ("chat.chatHandler.some", {"uids": [["bob", "front-1"], "cleo"]}),
            ]
            answers = [await ann.request(route, msg) for route, msg in everything]

        assert {"code": 500} not in answers
        assert any(b"onChat" in data for data in written)
        assert not any(TRACE in data for data in written)
        for node in rooms.nodes.values():
            assert not node.tracer.active
            assert len(node.tracer.store) == 0

        await rooms.story_of(SEND, lambda: ann.request(SEND, {"text": "hi"}))
        assert any(TRACE in data for data in written)
