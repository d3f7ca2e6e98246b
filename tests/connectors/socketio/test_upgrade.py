"""From polling to a WebSocket: what waits moves along, in order, and nobody can move another."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from chatcore.channels.groups import GroupTable
from chatcore.wire.body import Body

from ..clients import PING, Connector, close_frame, frame
from .clients import Http, Poller, Web, push, reply

BOTH = pytest.mark.parametrize("revision", [3, 4])
POLICIES = pytest.mark.parametrize("policy", ["disconnect", "drop-oldest", "newest-per-route"])


def connected(connector: Connector, revision: int = 4) -> Poller:
    poller = Poller(connector, revision)
    if revision == 4:
        poller.connect()
    return poller


def target(poller: Poller) -> str:
    return f"/socket.io/?EIO={poller.revision}&transport=websocket&sid={poller.sid}"


def beside(poller: Poller) -> Web:
    """A WebSocket with which a client that polls tries to go on."""
    web = Web(poller.connector, target(poller))
    assert web.status == 101, web.head
    return web


def upgraded(poller: Poller) -> Web:
    web = beside(poller)
    web.say("2probe")
    assert web.packets() == ["3probe"]
    web.say("5")
    return web


@BOTH
def test_as_clients_do_it(connector: Connector, revision: int) -> None:
    poller = connected(connector, revision)
    session = poller.session
    poller.poll()
    web = beside(poller)
    assert poller.polls.waits == 1
    web.say("2probe")
    assert web.packets() == ["3probe"]
    assert poller.polled() == ["6"]
    web.say("5")
    web.say('420["a.b.c",{"n":1}]')
    assert connector.asked[0].session is session
    reply(connector, {"code": 200})
    assert web.packets() == ['430[{"code":200}]']
    push(session, "onChat", "hello")
    connector.reactor.settle()
    assert web.packets() == ['42["onChat","hello"]']
    assert connector.counters.sessions_now == 1
    poller.hang_up()
    assert connector.counters.clients_now == 1
    assert (connector.counters.polling_now, connector.counters.upgrades) == (0, 1)


@BOTH
def test_at_once(connector: Connector, revision: int) -> None:
    """The protocol's test suites don't wait for answers."""
    poller = connected(connector, revision)
    web = beside(poller)
    web.say("2probe", "5", '42["a.b.c",1]')
    assert [asked.message.body for asked in connector.asked] == [b"1"]
    assert web.packets() == ["3probe"]


@BOTH
def test_a_poll_after_the_probe_is_answered_at_once(connector: Connector, revision: int) -> None:
    poller = connected(connector, revision)
    web = beside(poller)
    web.say("2probe")
    assert poller.packets() == ["6"]
    assert poller.packets() == ["6"]
    web.say("5")
    answer = poller.polls.get(poller.target)
    assert (answer.status, answer.json["code"]) == (400, 3)
    answer = poller.post("2" if revision == 3 else "3")
    assert (answer.status, answer.json["code"]) == (400, 3)
    web.say('42["a.b.c"]')
    assert len(connector.asked) == 1


@BOTH
@POLICIES
def test_what_waits_moves_along_in_order(make_socketio: Any, revision: int, policy: str) -> None:
    connector = make_socketio(outbox={"policy": policy})
    poller = connected(connector, revision)
    session = poller.session
    push(session, "on1", "é")
    web = beside(poller)
    push(session, "on2", b"\1\2")
    web.say("2probe")
    push(session, "on3", 3)
    web.say("5")
    push(session, "on4", 4)
    connector.reactor.settle()
    attached = "b0102" if revision == 4 else "b040102"
    assert web.packets() == [
        "3probe",
        '42["on1","é"]',
        '451-["on2",{"_placeholder":true,"num":0}]',
        attached,
        '42["on3",3]',
        '42["on4",4]',
    ]
    assert session.connection.outbox.waiting == 0


@BOTH
def test_what_is_pushed_between_probe_and_upgrade_goes_with_the_next_poll(
    connector: Connector, revision: int
) -> None:
    poller = connected(connector, revision)
    web = beside(poller)
    web.say("2probe")
    push(poller.session, "on1", 1)
    connector.reactor.settle()
    assert poller.packets() == ['42["on1",1]']
    push(poller.session, "on2", 2)
    web.say("5")
    assert web.packets() == ["3probe", '42["on2",2]']


def test_what_may_be_given_up_still_may(make_socketio: Any) -> None:
    connector = make_socketio(outbox={"policy": "newest-per-route"})
    poller = connected(connector)
    push(poller.session, "on1", 1)
    push(poller.session, "on2", 1)
    web = upgraded(poller)
    web.client.socket.room = 0
    assert web.packets() == ['42["on1",1]', '42["on2",1]']
    push(poller.session, "on1", 2)
    connector.reactor.settle()
    push(poller.session, "on1", 3)
    push(poller.session, "on1", 4)
    web.client.socket.room = 1 << 60
    connector.reactor.settle()
    assert web.packets() == ['42["on1",2]', '42["on1",4]']


def test_the_time_for_what_waits_begins_anew(make_socketio: Any) -> None:
    connector = make_socketio(outbox={"seconds": 5})
    poller = connected(connector)
    push(poller.session, "on1", 1)
    connector.reactor.advance(4)
    web = upgraded(poller)
    connector.reactor.advance(4)
    connector.reactor.settle()
    assert web.packets() == ['42["on1",1]']
    assert len(connector.parts.outboxes.stuck) == 0
    assert not web.closed


def test_answers_under_way_come_by_the_websocket(connector: Connector) -> None:
    poller = connected(connector)
    poller.say('427["a.b.c"]')
    web = upgraded(poller)
    reply(connector, 1)
    assert web.packets() == ["437[1]"]


@BOTH
def test_pushes_to_groups_and_uids_follow(connector: Connector, revision: int) -> None:
    """Also those that the application's scheduler puts off."""
    later: list[Any] = []
    put_off = GroupTable(
        sessions=connector.sessions, gone=print, counters=connector.counters, schedule=later.append
    )
    groups = GroupTable(sessions=connector.sessions, gone=print, counters=connector.counters)
    poller = connected(connector, revision)
    session = poller.session
    connector.sessions.bind(session.id, "alice")
    for table in (groups, put_off):
        table.join("chat-1", "room", ["alice"])

    def say(table: GroupTable, route: str) -> None:
        table.push("chat-1", "room", route, lambda encoding: encoding.push(route, Body(1)))

    say(groups, "on1")
    say(put_off, "on2")
    put_off.push_to_uids(["alice"], "on3", lambda encoding: encoding.push("on3", Body(1)))
    put_off.push_to_sessions([session], "on4", lambda encoding: encoding.push("on4", Body(1)))
    web = upgraded(poller)
    assert web.packets() == ['42["on1",1]']
    for each in later:
        each.send()
    say(groups, "on5")
    connector.reactor.settle()
    assert web.packets() == [f'42["on{number}",1]' for number in (2, 3, 4, 5)]
    web.hang_up()
    assert groups._backends == put_off._backends == {}


class TestWhoMayNot:
    def test_with_an_unknown_id(self, connector: Connector) -> None:
        poller = connected(connector)
        for sid in ("x", "", poller.sid[:-1], poller.sid + "x", poller.sid.swapcase()):
            web = Web(connector, f"/socket.io/?EIO=4&transport=websocket&sid={sid}")
            assert web.refusal == (400, "Session ID unknown\n")
            assert web.closed
        poller.poll()
        assert poller.polls.waits == 1

    @BOTH
    def test_with_an_id_of_the_other_revision(self, connector: Connector, revision: int) -> None:
        poller = connected(connector, revision)
        other = 7 - revision
        web = Web(connector, f"/socket.io/?EIO={other}&transport=websocket&sid={poller.sid}")
        assert web.refusal == (400, "Bad request\n")
        poller.poll()
        assert poller.polls.waits == 1

    @BOTH
    def test_twice(self, connector: Connector, revision: int) -> None:
        poller = connected(connector, revision)
        web = upgraded(poller)
        again = Web(connector, target(poller))
        assert again.refusal == (400, "Bad request\n")
        web.say('42["a.b.c"]')
        assert len(connector.asked) == 1

    @BOTH
    @pytest.mark.parametrize("probed", [False, True])
    def test_while_another_tries(self, connector: Connector, revision: int, probed: bool) -> None:
        poller = connected(connector, revision)
        web = beside(poller)
        if probed:
            web.say("2probe")
        again = Web(connector, target(poller))
        assert again.refusal == (400, "Bad request\n")
        web.say("2probe", "5", '42["a.b.c"]')
        assert len(connector.asked) == 1

    def test_with_the_id_of_a_websocket(self, connector: Connector) -> None:
        web = Web(connector, "/socket.io/?EIO=4&transport=websocket")
        sid = json.loads(web.packets()[0][1:])["sid"]
        again = Web(connector, f"/socket.io/?EIO=4&transport=websocket&sid={sid}")
        assert again.refusal == (400, "Bad request\n")
        assert Http(connector).get(f"/socket.io/?EIO=4&transport=polling&sid={sid}").json == {
            "code": 3,
            "message": "Bad request",
        }
        assert not web.closed

    def test_with_an_id_of_09(self, connector: Connector) -> None:
        sid = Http(connector).get("/socket.io/1/").text.partition(":")[0]
        http = Http(connector)
        http.ask("GET", f"/socket.io/1/xhr-polling/{sid}")
        assert http.answer().text == "1::"
        for number in (3, 4):
            web = Web(connector, f"/socket.io/?EIO={number}&transport=websocket&sid={sid}")
            assert web.refusal == (400, "Bad request\n")

    def test_who_is_closed_already(self, connector: Connector) -> None:
        poller = connected(connector)
        poller.client.close("enough")
        assert Web(connector, target(poller)).refusal == (400, "Session ID unknown\n")


class TestTriesThatEnd:
    @BOTH
    @pytest.mark.parametrize("probed", [False, True])
    @pytest.mark.parametrize("how", ["gone", "closed", "too late"])
    def test_polling_goes_on(
        self, connector: Connector, revision: int, probed: bool, how: str
    ) -> None:
        poller = connected(connector, revision)
        web = beside(poller)
        if probed:
            web.say("2probe")
            assert poller.packets() == ["6"]
        if how == "gone":
            web.hang_up()
        elif how == "closed":
            web.client.send(close_frame())
        else:
            connector.reactor.advance(10)
            connector.reactor.settle()
            web.packets()
            assert web.code == 1000
            web.answer_close()
        assert web.closed
        poller.poll()
        assert poller.polls.waits == 1
        push(poller.session, "on1", 1)
        connector.reactor.settle()
        assert poller.polled() == ['42["on1",1]']
        assert upgraded(poller).packets() == []

    @BOTH
    @pytest.mark.parametrize(
        "said",
        ["5", "2", "2probing", "3probe", '42["a.b.c"]', "40", "1", "6", "abc", "", "2probe2"],
    )
    def test_something_else_than_a_probe(
        self, connector: Connector, revision: int, said: str
    ) -> None:
        poller = connected(connector, revision)
        web = beside(poller)
        web.say(said)
        assert web.packets() == []
        assert web.code == 1002
        assert connector.asked == []
        poller.poll()
        assert poller.polls.waits == 1
        assert connector.counters.clients_broken == 1

    def test_something_else_than_an_upgrade(self, connector: Connector) -> None:
        poller = connected(connector)
        web = beside(poller)
        web.say("2probe", '42["a.b.c"]', "5")
        assert web.packets() == ["3probe"]
        assert web.code == 1002
        assert connector.asked == []
        poller.poll()
        assert poller.polls.waits == 1

    def test_bytes(self, connector: Connector) -> None:
        web = beside(connected(connector))
        web.say_bytes(b"2probe")
        assert web.packets() == []
        assert web.code == 1002

    @pytest.mark.parametrize("sign", [frame(b"2probe", 1), frame(b"", PING)])
    def test_signs_of_life_without_end(self, connector: Connector, sign: bytes) -> None:
        poller = connected(connector)
        web = beside(poller)
        web.client.send(sign * 50)
        found = web.frames()
        assert len(found) == 10
        assert web.code == 1002

    @BOTH
    @pytest.mark.parametrize("how", ["kicked", "silent", "left", "broken"])
    @pytest.mark.parametrize("probed", [False, True])
    def test_the_client_is_gone_meanwhile(
        self, connector: Connector, revision: int, how: str, probed: bool
    ) -> None:
        poller = connected(connector, revision)
        web = beside(poller)
        if probed:
            web.say("2probe")
            web.packets()
        if how == "kicked":
            poller.session.connection.kick("enough")
        elif how == "silent":
            poller.client.silent()
        elif how == "left":
            poller.say("1")
        else:
            poller.posts.post(poller.target, b"abc")
        web.client.send(frame(b"5", 1) + frame(b'42["a.b.c"]', 1))
        assert web.packets() == []
        assert web.code is not None
        assert connector.asked == []
        assert connector.counters.sessions_now == 0

    def test_a_websocket_that_is_none(self, connector: Connector) -> None:
        """Autobahn refuses the request."""
        poller = connected(connector)
        http = Http(connector)
        http.ask("GET", target(poller), Upgrade="websocket", Connection="Upgrade")
        assert b"400" in http.client.take()
        assert http.closed
        poller.poll()
        assert poller.polls.waits == 1
        upgraded(poller)

    def test_the_websocket_is_gone_after_the_upgrade(self, connector: Connector) -> None:
        poller = connected(connector)
        web = upgraded(poller)
        assert connector.counters.sessions_now == 1
        web.hang_up()
        assert connector.counters.sessions_now == 0
        assert poller.polls.get(poller.target).json["code"] == 1

    def test_connections_of_polling_end_after_the_upgrade(self, connector: Connector) -> None:
        poller = connected(connector)
        web = upgraded(poller)
        poller.hang_up()
        web.say('42["a.b.c"]')
        assert len(connector.asked) == 1
        assert connector.counters.clients_now == 1


def test_it_counts_once_where_addresses_are_limited(
    make_socketio: Callable[..., Connector],
) -> None:
    """It, the connections on which it polls, and while it tries the WebSocket."""
    connector = make_socketio(limits={"connections_per_address": 4})
    poller = connected(connector)
    web = upgraded(poller)
    assert connector.connect().refused is False
    poller.hang_up()
    assert connector.counters.clients_now == 2
    others = [connector.connect() for _ in range(3)]
    assert [each.refused for each in others] == [False, False, True]
    web.hang_up()
    assert connector.connect().refused is False
