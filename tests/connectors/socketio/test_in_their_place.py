"""Clients of socket.io are clients: on the same sessions, limits, outboxes, drain and counters."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from certificates import make_certificate

from chatcore.connectors.draining import Draining
from chatcore.connectors.exchange import Exchange
from chatcore.connectors.http import HttpConnection
from chatcore.connectors.outbox import Outbox
from chatcore.connectors.settings import DrainSettings
from chatcore.connectors.socketio.client import SocketioClient
from chatcore.connectors.socketio.polling import Polling
from chatcore.connectors.socketio.shared import FAREWELL_SECONDS
from chatcore.sessions.session import Session
from chatcore.wire.body import Body

from ..clients import Connector, frame, is_served
from ..tls_clients import TlsClient
from .clients import (
    Http,
    OldPoller,
    OldSocket,
    Poller,
    Socket,
    Web,
    later,
    push,
    reply,
    request,
    upgrade,
)

Make = Callable[..., Connector]

KINDS = ["poller 3", "poller 4", "socket 3", "socket 4", "old poller", "old socket"]
OPEN = "/socket.io/?EIO=4&transport=polling"


class Client:
    """A client of any kind that has shaken hands, and one way to look at all of them."""

    def __init__(self, connector: Connector, kind: str, **how: Any) -> None:
        self.connector, self.kind = connector, kind
        self.polls, self.old = "poller" in kind, kind.startswith("old")
        raw: Any
        if self.old:
            raw = (OldPoller if self.polls else OldSocket)(connector, **how)
            if self.polls:
                raw.packets()
        else:
            revision = int(kind[-1])
            raw = (Poller if self.polls else Socket)(connector, revision, **how)
            if revision == 4:
                raw.connect()
            elif self.polls:
                raw.say("6")  # as real clients do, it comes back at once
        self.raw = raw
        self.session: Session = raw.session

    def event(self, route: str = "a.b.c", id: int | None = None, body: Any = 1) -> None:
        """Send an event, which is a request if it has an id."""
        if self.old:
            mark = "" if id is None else f"{id}+"
            said = json.dumps({"name": route, "args": [body]})
            self.raw.say(f"5:{mark}::{said}")
        else:
            self.raw.say(f"42{'' if id is None else id}{json.dumps([route, body])}")

    def got(self) -> list[str]:
        """What came, or comes when it polls."""
        packets: list[str] = self.raw.packets()
        return packets

    @property
    def gone(self) -> bool:
        """Whether it is told that it is closed or not known, or its WebSocket is closed."""
        if not self.polls:
            self.raw.frames()
            return self.raw.closed or self.raw.code is not None
        answer = Http(self.connector).get(self.raw.target)
        return answer.status == 400 or answer.text in ("1", "1:1", "7:::1+0")

    def hang_up(self) -> None:
        if self.polls:
            self.raw.polls.hang_up()
            if "posts" in vars(self.raw):
                self.raw.posts.hang_up()
        else:
            self.raw.hang_up()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    each: str = request.param
    return each


@pytest.fixture(params=[each for each in KINDS if "poller" in each])
def polling(request: pytest.FixtureRequest) -> str:
    each: str = request.param
    return each


class TestConnections:
    def test_one_who_polls_counts_and_so_do_its_connections(self, make_socketio: Make) -> None:
        connector = make_socketio(limits={"connections": 6})
        first = Client(connector, "poller 4")  # and two connections
        assert (connector.counters.clients_now, connector.counters.polling_now) == (3, 1)
        http, other = Http(connector), Http(connector)
        assert http.get(OPEN).status == 200
        assert connector.counters.clients_now == 6
        assert Http(connector).refused
        answer = other.get(OPEN)
        assert (answer.status, answer.body) == (503, b"")
        assert connector.counters.clients_refused == 2
        first.event()
        assert len(connector.asked) == 1

    def test_websockets_count_once(self, make_socketio: Make) -> None:
        connector = make_socketio(limits={"connections": 3})
        clients = [Client(connector, "socket 4") for _ in range(3)]
        assert Http(connector).refused
        clients[0].hang_up()
        assert not Http(connector).refused

    def test_from_one_address(self, make_socketio: Make) -> None:
        connector = make_socketio(limits={"connections_per_address": 4})
        Client(connector, "poller 4")
        Http(connector)
        assert Http(connector).refused
        Client(connector, "poller 4", host="198.51.100.1")
        connector = make_socketio(limits={"connections_per_address": 1})
        assert Http(connector).get(OPEN).status == 503
        assert connector.counters.clients_crowded == 1

    def test_places_are_free_again(self, make_socketio: Make, kind: str) -> None:
        connector = make_socketio(limits={"connections_per_address": 3})
        for _ in range(5):
            client = Client(connector, kind)
            client.session.connection.kick("enough")
            connector.reactor.settle()
            client.hang_up()
            later(connector, FAREWELL_SECONDS)
            assert connector.counters.clients_now == 0
        assert connector.parts.admission._here == {}

    def test_the_blacklist(self, connector: Connector, kind: str) -> None:
        bad, good = Client(connector, kind, host="203.0.113.1"), Client(connector, kind)
        if bad.polls:
            bad.raw.poll()
        closed = connector.parts.admission.blacklist.add("203.0.113.0/24")
        assert closed >= 1
        connector.reactor.settle()
        packets = bad.raw.polled() if bad.polls else bad.got()
        assert any("blacklisted" in packet for packet in packets)
        assert connector.counters.sessions_now == 1
        assert Http(connector, "203.0.113.1").refused
        good.event()
        assert len(connector.asked) == 1


class TestNewcomers:
    """To begin to poll costs nothing, not even a connection."""

    @pytest.mark.parametrize("revision", [3, 4])
    def test_at_one_address(self, make_socketio: Make, revision: int) -> None:
        connector = make_socketio(limits={"polling_handshakes_per_address": 3})
        first, *_ = [Poller(connector, revision) for _ in range(3)]
        answer = Http(connector).get(first.target.partition("&sid")[0])
        assert (answer.status, answer.body) == (503, b"")
        assert connector.counters.clients_crowded == 1
        Poller(connector, revision, host="198.51.100.1")
        first.poll()
        Poller(connector, revision)
        assert first.polls.waits == 1

    @pytest.mark.parametrize("how", ["poll", "post", "websocket", "close"])
    def test_who_comes_back_is_none(self, make_socketio: Make, how: str) -> None:
        connector = make_socketio(limits={"polling_handshakes_per_address": 1})
        for _ in range(3):
            poller = Poller(connector, 3)
            if how == "poll":
                poller.poll()
            elif how == "websocket":
                Web(connector, poller.target.replace("polling", "websocket"))
            else:
                poller.say("1" if how == "close" else "2")
        assert connector.lobby is not None
        assert len(connector.lobby._shared.newcomers) == 0

    @pytest.mark.parametrize("revision", [3, 4])
    @pytest.mark.parametrize("limits", [{"polling_handshakes": 2}, {"connections": 11}])
    def test_in_all(self, make_socketio: Make, revision: int, limits: dict[str, int]) -> None:
        """The oldest makes room: who comes back does so at once."""
        connector = make_socketio(limits=limits)
        pollers = [Poller(connector, revision, host=f"198.51.100.{n}") for n in range(3)]
        assert pollers[0].polls.get(pollers[0].target).json["code"] == 1
        for each in pollers[1:]:
            each.poll()
            assert each.polls.waits == (revision == 3 or each.greeted == [])
        assert connector.counters.clients_silent == 1

    @pytest.mark.parametrize("revision", [3, 4])
    def test_they_are_not_waited_for(self, connector: Connector, revision: int) -> None:
        pollers = [Poller(connector, revision) for _ in range(2)]
        later(connector, 9.5)
        if revision == 4:
            pollers[0].connect()
        else:
            pollers[0].poll()
        later(connector, 0.5)
        assert connector.lobby is not None
        assert len(connector.lobby.clients) == 1
        assert connector.counters.sessions_now == 1
        assert connector.counters.clients_silent == 1

    def test_a_flood(self, make_socketio: Make) -> None:
        connector = make_socketio(limits={"messages_per_second": 0})
        http, client = Http(connector), Client(connector, "poller 4")
        statuses = [http.get(OPEN).status for _ in range(1500)]
        assert statuses == [200] * 1000 + [503] * 500
        client.event()
        assert len(connector.asked) == 1
        later(connector, 10)
        assert connector.lobby is not None
        assert len(connector.lobby.clients) == 1

    def test_no_limit(self, make_socketio: Make) -> None:
        limits = {
            "polling_handshakes_per_address": 0,
            "polling_handshakes": 0,
            "messages_per_second": 0,
        }
        http = Http(make_socketio(limits=limits))
        assert {http.get(OPEN).status for _ in range(1500)} == {200}


class TestProxies:
    PROXY = {"forwarded_hops": 1}

    def test_each_request_names_its_client(self, make_socketio: Make) -> None:
        """A proxy uses its connections for whoever comes."""
        connector = make_socketio(proxy=self.PROXY)
        polls, posts = (Http(connector, "10.0.0.1") for _ in range(2))
        targets = []
        for number in range(3):
            answer = polls.get(OPEN, X_Forwarded_For=f"203.0.113.9, 198.51.100.{number}")
            sid = json.loads(answer.text[1:])["sid"]
            targets.append(f"{OPEN}&sid={sid}")
            assert posts.post(targets[-1], b"40").text == "ok"
            assert polls.get(targets[-1]).text.startswith("40")
        sessions = list(connector.sessions)
        assert [session.address[0] for session in sessions] == [
            f"198.51.100.{number}" for number in range(3)
        ]
        push(sessions[1], "on1", 1)
        connector.reactor.settle()
        assert polls.get(targets[1]).text == '42["on1",1]'

    def test_limits_for_one_address_are_the_clients(self, make_socketio: Make) -> None:
        """The proxy's connections are nobody's."""
        connector = make_socketio(proxy=self.PROXY, limits={"connections_per_address": 1})
        https = [Http(connector, "10.0.0.1") for _ in range(5)]
        for number, http in enumerate(https):
            answer = http.get(OPEN, X_Forwarded_For=f"198.51.100.{number}")
            assert answer.status == 200
            again = http.get(OPEN, X_Forwarded_For=f"198.51.100.{number}")
            assert again.status == 503
        assert connector.counters.clients_crowded == 5

    def test_the_blacklist_is_for_clients(self, make_socketio: Make) -> None:
        connector = make_socketio(proxy=self.PROXY)
        http, other = Http(connector, "10.0.0.1"), Http(connector, "10.0.0.1")
        answer = http.get(OPEN, X_Forwarded_For="198.51.100.1")
        target = f"{OPEN}&sid={json.loads(answer.text[1:])['sid']}"
        http.ask("GET", target, X_Forwarded_For="198.51.100.1")
        connector.parts.admission.blacklist.add("203.0.113.1")
        refused = other.get(OPEN, X_Forwarded_For="203.0.113.1")
        assert (refused.status, refused.json["message"]) == (403, "Forbidden")
        assert refused.fields["connection"] == "keep-alive"
        assert other.get(target + "x", X_Forwarded_For="203.0.113.1").status == 403
        assert connector.counters.clients_blacklisted == 2
        assert http.waits == 1
        connector.parts.admission.blacklist.add("198.51.100.1")
        assert http.answer().text == "1"
        assert not http.closed

    def test_an_address_that_is_none(self, make_socketio: Make) -> None:
        connector = make_socketio(proxy=self.PROXY)
        http = Http(connector, "10.0.0.1")
        assert http.get(OPEN, X_Forwarded_For="198.51.100.1").status == 200
        assert http.get(OPEN, X_Forwarded_For="me").status == 400
        assert http.closed

    def test_who_is_no_proxy_is_not_believed(self, make_socketio: Make) -> None:
        connector = make_socketio(proxy=self.PROXY)
        http = Http(connector, "198.51.100.7")
        target = (
            f"{OPEN}&sid=" + json.loads(http.get(OPEN, X_Forwarded_For="8.8.8.8").text[1:])["sid"]
        )
        http.post(target, b"40")
        (session,) = connector.sessions
        assert session.address[0] == "198.51.100.7"

    def test_a_websocket_by_the_same_connection(self, make_socketio: Make) -> None:
        """It belongs to one client from then on, and counts as that one's."""
        connector = make_socketio(proxy=self.PROXY, limits={"connections_per_address": 2})
        http = Http(connector, "10.0.0.1")
        http.get(OPEN, X_Forwarded_For="198.51.100.1")
        target = "/socket.io/?EIO=4&transport=websocket"
        http.client.send(upgrade(target, X_Forwarded_For="198.51.100.2"))
        assert http.client.take().startswith(b"HTTP/1.1 101 ")
        assert list(connector.parts.clients)[-1].address[0] == "198.51.100.2"
        assert connector.parts.admission._here == {"198.51.100.1": 1, "198.51.100.2": 1}

    def test_the_proxy_protocol(self, make_socketio: Make) -> None:
        """Then a connection is one client's."""
        connector = make_socketio(proxy={"protocol": True})
        client = connector.connect("10.0.0.1")
        client.send(b"PROXY TCP4 198.51.100.7 192.0.2.1 56324 443\r\n")
        client.send(b"GET /socket.io/1/ HTTP/1.1\r\n\r\n")
        sid = client.take().partition(b"\r\n\r\n")[2].partition(b":")[0].decode()
        client.send(f"GET /socket.io/1/xhr-polling/{sid} HTTP/1.1\r\n\r\n".encode())
        (session,) = connector.sessions
        assert session.address == ("198.51.100.7", 56324)


class TestMessages:
    def test_requests_under_way(self, make_socketio: Make, kind: str) -> None:
        connector = make_socketio(limits={"requests_under_way": 2})
        client = Client(connector, kind)
        for number in (1, 2, 3):
            client.event(id=number)
        assert len(connector.asked) == 2
        (refusal,) = client.got()
        assert '{"code":500}' in refusal
        reply(connector, 1)
        client.event(id=4)
        assert len(connector.asked) == 2
        assert connector.counters.requests_refused == 1

    def test_the_allowance(self, make_socketio: Make, kind: str) -> None:
        """A few that are too many are refused, and many end it."""
        connector = make_socketio(limits={"messages_per_second": 5, "message_burst": 10})
        client, neighbour = Client(connector, kind), Client(connector, kind)
        for number in range(12):
            client.event(id=number)
        assert 10 <= len(connector.asked) <= 12
        while connector.asked:
            reply(connector, 1)
        assert sum('{"code":500}' in packet for packet in client.got()) >= 1
        for _ in range(40):
            if connector.counters.clients_flooding:
                break
            client.event()
        assert connector.counters.clients_flooding == 1
        assert client.gone
        connector.asked.clear()
        neighbour.event()
        assert len(connector.asked) == 1

    @pytest.mark.parametrize(
        ("kind", "said"),
        [
            ("poller 3", "2"),
            ("poller 3", "6"),
            ("poller 4", "3"),
            ("socket 4", "3"),
            ("socket 4", "430[]"),
            ("socket 3", "40/nowhere"),
            ("socket 4", "41/nowhere"),
            ("old socket", "2::"),
            ("old socket", "8::"),
            ("old poller", "2::"),
            ("old socket", "1::/nowhere"),
            ("old socket", "6:::1"),
        ],
    )
    def test_floods_of_what_is_no_message(self, connector: Connector, kind: str, said: str) -> None:
        client = Client(connector, kind)
        for _ in range(1000):
            if connector.counters.clients_flooding:
                break
            if client.polls:
                client.raw.post(*[said] * 50)
            else:
                client.raw.say(said)
        assert connector.counters.clients_flooding == 1
        assert connector.counters.sessions_now == 0

    def test_signs_of_life_are_always_answered(self, make_socketio: Make) -> None:
        connector = make_socketio(limits={"messages_per_second": 0.001, "message_burst": 1})
        client, other = Client(connector, "socket 3"), Client(connector, "socket 4")
        for _ in range(100):
            later(connector, 12.5)
            client.raw.say("2")
            other.raw.say("3")
            other.got()
        assert client.got() == ["3"] * 100
        assert connector.counters.clients_flooding == 0

    @pytest.mark.parametrize("kind", ["poller 3", "poller 4", "socket 3", "socket 4", "old socket"])
    def test_sizes(self, make_socketio: Make, kind: str) -> None:
        """One message has one limit, however it is carried."""
        connector = make_socketio(limits={"package_bytes": 1000, "messages_per_second": 0})
        client, broken = Client(connector, kind), Client(connector, kind)
        around = len('5:::{"name": "a.b.c", "args": [""]}') if client.old else len('2["a.b.c", ""]')
        client.event(body="x" * (1000 - around))
        assert len(connector.asked) == 1
        if kind.startswith("poller"):
            broken.raw.post('42["a.b.c", "' + "x" * 1000 + '"]')
        else:
            broken.event(body="x" * 1000)
        assert connector.counters.clients_broken == 1
        assert len(connector.asked) == 1

    def test_attachments(self, make_socketio: Make) -> None:
        connector = make_socketio(limits={"package_bytes": 1000}, socketio={"attachments": 2})
        text = '45{0}-["a.b.c",{{"_placeholder":true,"num":0}}]'
        client = Client(connector, "socket 4")
        client.raw.say(text.format(3))
        assert client.gone
        client = Client(connector, "socket 4")
        client.raw.say(text.format(2))
        client.raw.say_bytes(b"x" * 600)
        client.raw.say_bytes(b"x" * 600)
        assert client.gone


class TestOutboxes:
    def test_too_much_waits(self, make_socketio: Make, polling: str) -> None:
        """Who does not poll does not read."""
        connector = make_socketio(outbox={"bytes": 65536})
        client, neighbour = Client(connector, polling), Client(connector, polling)
        reasons: list[str] = []
        connector.sessions.on_session_closed(lambda session, why: reasons.append(why))
        for number in range(100):
            push(client.session, "on1", f"{number}" + "x" * 1000)
            connector.reactor.settle()
            if reasons:
                break
            assert client.session.connection.outbox.waiting <= 65536
        assert 55 < number < 66
        assert reasons == ["slow client"]
        assert connector.counters.clients_slow == 1
        assert client.gone
        push(neighbour.session, "on1", 1)
        connector.reactor.settle()
        assert len(neighbour.got()) == 1

    def test_much_in_one_turn_is_fine_for_who_polls(
        self, make_socketio: Make, polling: str
    ) -> None:
        connector = make_socketio(outbox={"bytes": 65536})
        client = Client(connector, polling)
        client.raw.poll()
        for number in range(200):
            push(client.session, "on1", f"{number}" + "x" * 300)
        connector.reactor.settle()
        got = client.raw.polled()
        while len(got) < 200:
            got += client.got()
        assert len(got) == 200
        assert connector.counters.clients_slow == 0

    def test_for_too_long(self, make_socketio: Make, polling: str) -> None:
        """The time begins when something waits, not with the last poll."""
        connector = make_socketio(outbox={"seconds": 5})
        client = Client(connector, polling)
        later(connector, 20)
        assert connector.counters.clients_slow == 0
        push(client.session, "on1", 1)
        later(connector, 4.5)
        assert connector.counters.sessions_now == 1
        push(client.session, "on1", 2)
        later(connector, 0.5)
        assert connector.counters.clients_slow == 1
        assert connector.counters.sessions_now == 0
        assert client.gone

    def test_time_begins_again_with_a_poll(self, make_socketio: Make, polling: str) -> None:
        connector = make_socketio(outbox={"seconds": 5})
        client = Client(connector, polling)
        for number in range(5):
            push(client.session, "on1", number)
            later(connector, 4)
            assert len(client.got()) >= 1
        assert connector.counters.clients_slow == 0

    @pytest.mark.parametrize("policy", ["drop-oldest", "newest-per-route"])
    def test_policies(self, make_socketio: Make, polling: str, policy: str) -> None:
        connector = make_socketio(outbox={"bytes": 65536, "policy": policy})
        client = Client(connector, polling)
        for number in range(100):
            push(client.session, "on1", f"{number:03}" + "x" * 1000)
            connector.reactor.settle()
        got = client.got()
        assert len(got) == 1 if policy == "newest-per-route" else len(got) > 60
        assert "099" in got[-1]
        assert connector.counters.pushes_dropped + connector.counters.pushes_replaced == (
            100 - len(got)
        )
        assert client.session.connection.outbox.waiting == 0
        client.event(id=1)
        reply(connector, "here")
        assert "here" in client.got()[-1]

    @pytest.mark.parametrize("policy", ["drop-oldest", "newest-per-route"])
    def test_policies_give_up_in_time(self, make_socketio: Make, polling: str, policy: str) -> None:
        connector = make_socketio(outbox={"seconds": 5, "policy": policy})
        client = Client(connector, polling)
        push(client.session, "on1", 1)
        later(connector, 5)
        assert connector.counters.clients_slow == 1

    def test_droppable_pushes(self, connector: Connector, polling: str) -> None:
        """One who is between two polls keeps up; one with something waiting does not."""
        client = Client(connector, polling)
        connection = client.session.connection
        for route in ("on1", "on2"):
            connection.outbox.push_droppable(connection.encoding.push(route, Body(1)), route)
        assert ["on1" in packet for packet in client.got()] == [True]
        assert connector.counters.pushes_dropped == 1

    def test_pushes_of_one_turn_come_in_one_answer(
        self, connector: Connector, polling: str
    ) -> None:
        client = Client(connector, polling)
        client.raw.poll()
        for number in range(10):
            push(client.session, f"on{number}", number)
        assert client.raw.polls.waits == 1
        connector.reactor.settle()
        assert len(client.raw.polled()) == 10

    def test_pings_of_who_does_not_read(self, make_socketio: Make) -> None:
        connector = make_socketio(outbox={"bytes": 65536}, limits={"messages_per_second": 0})
        client = Client(connector, "socket 4")
        client.raw.client.socket.room = 0
        for _ in range(5000):
            client.raw.ping(b"p" * 125)
            if client.raw.closed:
                break
        assert client.raw.closed
        assert connector.counters.clients_slow == 1


class TestEnds:
    def test_idle(self, make_socketio: Make, kind: str) -> None:
        connector = make_socketio(
            limits={"idle_seconds": 60}, socketio={"ping_seconds": 100, "patience_seconds": 100}
        )
        client = Client(connector, kind)
        later(connector, 50)
        if client.polls:
            client.raw.posts = Http(connector)
        client.event()
        later(connector, 59)
        assert connector.counters.sessions_now == 1
        later(connector, 1)
        assert connector.counters.clients_idle == 1
        assert connector.counters.sessions_now == 0

    def test_the_node_stops(self, connector: Connector, kind: str) -> None:
        client, other = Client(connector, kind), Client(connector, kind)
        new = [Http(connector), connector.connect()]
        if client.polls:
            client.raw.poll()
        stopped = connector.parts.close_all("server stops", 1001)
        connector.reactor.settle()
        assert connector.counters.sessions_now == 0
        if client.polls:
            assert client.raw.polled() in (["7:::1+0"], ["1"])
            assert client.raw.polls.closed
        else:
            client.raw.packets()
            assert client.raw.code == 1001
        later(connector, 2)
        assert stopped.called
        assert connector.parts.clients == {}
        assert other.raw is not None
        assert len(new) == 2

    def test_the_handshake_takes_too_long(self, connector: Connector) -> None:
        socket = Socket(connector)
        poller, old = Poller(connector), OldPoller(connector)
        poller.say("6")
        http = Http(connector)
        half = connector.connect()
        half.send(b"GET /socket.io/?EIO=4&transport=webs")
        later(connector, 10)
        socket.packets()
        assert socket.code == 1008
        assert poller.packets() == ["1"]
        assert http.client.closed
        assert half.closed
        assert old.packets() == ["1::"]
        assert connector.counters.clients_silent == 4

    def test_who_is_long_between_two_polls_hears_of_a_kick(
        self, connector: Connector, polling: str
    ) -> None:
        """Or it would come back by itself."""
        client = Client(connector, polling)
        client.session.connection.kick("rude")
        later(connector, 8)
        assert "rude" in client.got()[0]

    def test_who_never_polls_again_is_forgotten(self, connector: Connector, polling: str) -> None:
        client = Client(connector, polling)
        client.session.connection.kick("rude")
        assert connector.counters.sessions_now == 0
        later(connector, 12)
        assert connector.lobby is not None
        assert connector.lobby.clients == {}

    def test_a_session_that_is_closed_by_its_hook(self, connector: Connector, kind: str) -> None:
        """Whatever the application does meanwhile, nothing is sent twice or half."""
        client = Client(connector, kind)
        connector.sessions.on_session_closed(
            lambda session, why: session.connection.kick("once more")
        )
        if client.polls:
            client.raw.poll()
        client.session.connection.kick("rude")
        connector.reactor.settle()
        got = client.raw.polled() if client.polls else client.got()
        assert sum("rude" in packet for packet in got) == 1
        assert not any("once more" in packet for packet in got)
        assert connector.counters.clients_kicked == 1

    @pytest.mark.logs_failures
    def test_a_mistake_costs_one_client(self, connector: Connector, kind: str) -> None:
        client, neighbour = Client(connector, kind), connector.enter()

        def serve(session: Any, message: Any, reply: Any) -> None:
            raise ValueError("here")

        before, connector.serve = connector.serve, serve
        client.event()
        connector.serve = before
        later(connector, 2)
        assert client.gone
        assert is_served(connector, neighbour)


class TestDrain:
    """Everybody is told where to go on, by what carries it."""

    def begin(self, connector: Connector, **settings: Any) -> tuple[Draining, list[Any]]:
        draining = Draining(
            parts=connector.parts,
            settings=DrainSettings(**settings),
            elsewhere=lambda key: ("door-2", 3011),
        )
        ended: list[Any] = []
        draining.begin().addCallback(ended.append)
        connector.reactor.settle()
        return draining, ended

    def test_who_is_here(self, connector: Connector, kind: str) -> None:
        client = Client(connector, kind)
        if client.polls:
            client.raw.poll()
        draining, ended = self.begin(connector)
        got = client.raw.polled() if client.polls else client.got()
        told = [packet for packet in got if "onKick" in packet]
        assert len(told) == 1
        assert '{"reason":"moved","host":"door-2","port":3011}' in told[0]
        if client.polls:
            assert client.raw.polls.closed
        else:
            assert client.raw.code == 1001
            client.hang_up()
        assert connector.counters.clients_moved == 1
        assert connector.counters.sessions_now == 0
        later(connector, 10)
        assert ended == [None]
        draining.stop()

    def test_who_is_between_two_polls(self, connector: Connector, polling: str) -> None:
        """What was pushed before is said before; the next poll hears all of it."""
        client = Client(connector, polling)
        push(client.session, "on1", 1)
        connector.reactor.settle()
        draining, ended = self.begin(connector)
        assert connector.counters.clients_moved == 0  # it has not read yet
        client.raw.polls = Http(connector)
        got = client.got()
        assert "on1" in got[0]
        assert client.raw.polls.closed
        later(connector, 0.5)
        client.raw.polls = Http(connector)
        assert "moved" in client.got()[0]
        later(connector, 10)
        assert ended == [None]
        draining.stop()

    def test_who_does_not_come_back(self, connector: Connector, polling: str) -> None:
        client = Client(connector, polling)
        push(client.session, "on1", 1)
        draining, ended = self.begin(connector)
        later(connector, 12)
        assert ended == [None]
        assert connector.counters.sessions_now == 0
        draining.stop()

    def test_polls_are_not_cut_off_before_their_turn(self, make_socketio: Make) -> None:
        """Connections that are busy go when what they wait for is answered."""
        connector = make_socketio()
        clients = [Client(connector, "poller 4") for _ in range(30)]
        for client in clients:
            client.event(id=7)  # so that it may stay for a while
            client.raw.poll()
        draining, ended = self.begin(connector, client_seconds=9, seconds=20, batch=1)
        later(connector, 8.5)
        assert [client.raw.polls.waits for client in clients] == [1] * 30
        while connector.asked:
            reply(connector, "done")
        later(connector, 5)
        heard: list[str] = []
        for client in clients:
            for answer in client.raw.polls.answers():
                heard += client.raw.decode(answer)
        assert sum("done" in packet for packet in heard) == 30
        later(connector, 10)
        assert ended == [None]
        assert connector.counters.clients_moved == 30
        draining.stop()

    def test_connections_that_ask_nothing(self, connector: Connector) -> None:
        """Browsers keep them; a drain is not longer for them than for newcomers."""
        kept, asking = Http(connector), Http(connector)
        assert kept.get("/socket.io/?EIO=4&transport=nothing").status == 400
        asking.client.send(b"GET /socket.io/?EIO=4")
        draining, ended = self.begin(connector, grace_seconds=1)
        later(connector, 0.5)
        assert not kept.closed
        later(connector, 0.6)
        assert (kept.closed, asking.closed) == (True, False)
        asking.client.send(b"&transport=nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        assert asking.client.take().startswith(b"HTTP/1.1 400 ")
        kept.hang_up()
        asking.hang_up()
        later(connector, 0.2)
        assert ended == [None]
        draining.stop()

    def test_connections_of_those_who_are_about_to_poll(self, connector: Connector) -> None:
        client = Client(connector, "poller 4")
        draining, ended = self.begin(connector, grace_seconds=0)
        later(connector, 0.5)
        assert not client.raw.polls.closed
        assert "moved" in client.got()[0]
        client.raw.polls.hang_up()
        client.raw.posts.hang_up()
        later(connector, 3)
        assert ended == [None]
        draining.stop()

    def test_newcomers(self, connector: Connector) -> None:
        draining, ended = self.begin(connector)
        for kind in KINDS:
            with_one = TestDrain.come(connector, kind)
            assert any("moved" in packet for packet in with_one), kind
        assert connector.counters.sessions_now == 0
        later(connector, 12)
        assert ended == [None]
        draining.stop()

    @staticmethod
    def come(connector: Connector, kind: str) -> list[str]:
        """What somebody is told who comes now."""
        raw: Any
        if kind == "old poller":
            raw = OldPoller(connector)
            raw.polls = Http(connector)
            return raw.packets() + (Http(connector).get(raw.target).text.splitlines())
        if kind == "old socket":
            raw = OldSocket(connector)
            return [*raw.greeted, *raw.packets()]
        revision = int(kind[-1])
        if "socket" in kind:
            raw = Socket(connector, revision)
            if revision == 4:
                raw.say("40")
            return [*raw.greeted, *raw.packets()]
        raw = Poller(connector, revision)
        raw.polls, raw.posts = Http(connector), Http(connector)
        if revision == 4:
            raw.say("40")
        return [*raw.greeted, *raw.packets()]

    def test_who_shakes_hands_while_it_begins(self, connector: Connector) -> None:
        """What it becomes is waited for in its place."""
        half = connector.connect()
        half.send(b"GET /")  # the rest comes later
        silent = connector.connect()
        draining, ended = self.begin(connector, grace_seconds=0)
        half.send(b"socket.io/?EIO=3&transport=websocket HTTP/1.1\r\nHost: x\r\n")
        half.send(b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n")
        half.send(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        assert b"moved" in half.take()
        half.hang_up()
        later(connector, 6)
        assert silent.closed
        assert ended == [None]
        draining.stop()


@pytest.mark.parametrize("piece", [1, 1 << 20])
def test_over_tls(make_socketio: Make, tmp_path: Path, piece: int) -> None:
    connector = make_socketio(tls=make_certificate(tmp_path))
    polls, posts = TlsClient(connector, piece=piece), TlsClient(connector, piece=piece)

    def asked(client: TlsClient, method: str, target: str, body: bytes = b"") -> bytes:
        client.send(request(method, target, body))
        return client.take().partition(b"\r\n\r\n")[2]

    sid = json.loads(asked(polls, "GET", OPEN)[1:])["sid"]
    target = f"{OPEN}&sid={sid}"
    assert asked(posts, "POST", target, b"40") == b"ok"
    assert asked(polls, "GET", target).startswith(b"40")
    (session,) = connector.sessions
    assert asked(polls, "GET", target) == b""
    push(session, "on1", "x" * 100_000)
    connector.reactor.settle()
    assert polls.take().endswith(b'x"]')
    posts.send(upgrade(target.replace("polling", "websocket")))
    assert posts.take().startswith(b"HTTP/1.1 101 ")
    posts.send(frame(b"2probe", 1) + frame(b"5", 1) + frame(b'42["a.b.c"]', 1))
    assert posts.take() == b"\x81\x063probe"
    assert len(connector.asked) == 1
    session.connection.kick("enough")
    connector.reactor.settle()
    later(connector, 3)
    assert posts.closed


def alive() -> list[Any]:
    """What there is of clients in memory, tables or not."""
    gc.collect()
    kinds = (SocketioClient, Session, Outbox, Polling, HttpConnection, Exchange)
    return [each for each in gc.get_objects() if isinstance(each, kinds)]


def test_those_who_leave_leave_no_trace(make_socketio: Make) -> None:
    connector = make_socketio()
    before = len(alive())
    for _ in range(5):
        for kind in KINDS:
            client = Client(connector, kind)
            client.event(id=1)
            push(client.session, "on1", 1)
            if client.polls:
                client.raw.poll()
            connector.asked.clear()
            client.hang_up()
    later(connector, 60)
    connector.clients.clear()
    del client
    assert connector.parts.clients == {}
    assert [len(each) for each in connector.parts.all_deadlines if len(each)] == []
    assert len(alive()) == before
