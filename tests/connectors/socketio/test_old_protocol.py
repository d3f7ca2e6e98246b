"""Socket.IO 0.9, clause by clause: the document of its protocol, version 1, and what its code adds.

Where the document says nothing, or its own server does something else, the test says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chatcore.connectors.draining import Draining
from chatcore.connectors.settings import DrainSettings
from chatcore.connectors.socketio import tickets
from chatcore.connectors.socketio.old_lobby import MOST_POSTS
from chatcore.connectors.socketio.shared import FAREWELL_SECONDS
from chatcore.errors import ClientError
from chatcore.wire import jsonp

from ..clients import Connector
from .clients import Http, OldPoller, OldSocket, Web, later, push, reply

Make = Callable[..., Connector]

UNKNOWN = "7:::1+0"
"""Not handshaken: reconnect."""


def kind_of(transport: str) -> Any:
    return OldSocket if transport == "websocket" else OldPoller


BOTH = pytest.mark.parametrize("transport", ["websocket", "xhr-polling"])


def connected(connector: Connector, transport: str, **how: Any) -> Any:
    client = kind_of(transport)(connector, **how)
    if transport != "websocket":
        client.greeted = client.packets()
    assert client.greeted == ["1::"]
    return client


class TestHandshake:
    @pytest.mark.parametrize("method", ["GET", "POST"])
    @pytest.mark.parametrize("path", ["/socket.io/1/", "/socket.io/1", "/socket.io/1/?t=123&x=y"])
    def test_what_is_told(self, connector: Connector, method: str, path: str) -> None:
        http = Http(connector)
        http.ask(method, path)
        answer = http.answer()
        assert answer.status == 200
        assert answer.fields["content-type"].startswith("text/plain")
        sid, heartbeat, close, transports = answer.text.split(":")
        assert len(sid) == 44
        assert (heartbeat, close) == ("45", "45")
        assert transports == "websocket,xhr-polling,jsonp-polling"
        assert connector.counters.sessions_now == 0

    def test_ids_are_unlike(self, connector: Connector) -> None:
        http = Http(connector)
        assert len({http.get("/socket.io/1/").text.partition(":")[0] for _ in range(20)}) == 20

    def test_nothing_is_kept_of_it(self, connector: Connector) -> None:
        http = Http(connector)
        for _ in range(100):
            http.get("/socket.io/1/?token=" + "x" * 1000)
        assert connector.counters.clients_now == 1
        assert sum(map(len, connector.parts.all_deadlines)) == 1  # of the connection

    @pytest.mark.parametrize(
        "limits", [{"connections": 1}, {"connections_per_address": 1}], ids=["all", "address"]
    )
    def test_where_there_is_no_room(self, make_socketio: Make, limits: dict[str, int]) -> None:
        connector = make_socketio(limits=limits)
        answer = Http(connector).get("/socket.io/1/")
        assert (answer.status, answer.text) == (503, "")

    def test_turned_off(self, make_socketio: Make) -> None:
        connector = make_socketio(socketio={"old": False})
        assert Http(connector).get("/socket.io/1/").json["message"] == "Transport unknown"
        web = Web(connector, "/socket.io/1/websocket/x")
        assert web.status == 400

    def test_without_polling(self, make_socketio: Make) -> None:
        connector = make_socketio(socketio={"polling": False})
        http = Http(connector)
        told = http.get("/socket.io/1/").text
        assert told.endswith(":websocket")
        assert http.get(f"/socket.io/1/xhr-polling/{told.partition(':')[0]}").status == 500
        assert OldSocket(connector).greeted == ["1::"]

    def test_as_a_script(self, connector: Connector) -> None:
        answer = Http(connector).get("/socket.io/1/?t=1&jsonp=12")
        assert answer.fields["content-type"].startswith("text/javascript")
        assert answer.text.startswith('io.j[12]("')
        assert answer.text.endswith(':45:45:websocket,xhr-polling,jsonp-polling");')

    @pytest.mark.parametrize("index", ["alert(1)", "", "-1", "1;x", "9" * 20])
    def test_as_a_script_of_somebody_elses(self, connector: Connector, index: str) -> None:
        assert Http(connector).get(f"/socket.io/1/?jsonp={index}").status == 400


class TestTransports:
    @BOTH
    def test_it_is_connected_when_its_transport_opens(
        self, connector: Connector, transport: str
    ) -> None:
        connected(connector, transport)
        assert connector.counters.sessions_now == 1

    def test_one_that_there_is_not(self, connector: Connector) -> None:
        sid = OldPoller(connector).sid
        for name in ("flashsocket", "htmlfile", "xhr-multipart", "websocket"):
            assert Http(connector).get(f"/socket.io/1/{name}/{sid}").status == 500
        assert Http(connector).get(f"/socket.io/1/XHR/{sid}").status == 400

    def test_the_next_one_after_one_that_did_not_open(self, connector: Connector) -> None:
        """Clients give each ten seconds, and keep their id."""
        client = OldPoller(connector)
        later(connector, 11)
        client.polls = Http(connector)
        assert client.packets() == ["1::"]

    @pytest.mark.parametrize("sid", ["x", "x" * 44, "x" * 64])
    def test_with_an_unknown_id(self, connector: Connector, sid: str) -> None:
        http = Http(connector)
        assert http.get(f"/socket.io/1/xhr-polling/{sid}").text == UNKNOWN
        assert http.post(f"/socket.io/1/xhr-polling/{sid}", b"3:::x").text == UNKNOWN
        web = Web(connector, f"/socket.io/1/websocket/{sid}")
        assert web.packets() == [UNKNOWN]
        assert web.code == 1000
        assert connector.counters.sessions_now == 0

    def test_with_an_id_that_was_changed(self, connector: Connector) -> None:
        client = OldPoller(connector)
        for at in (0, 15, 30, 43):
            other = "A" if client.sid[at] != "A" else "B"
            sid = client.sid[:at] + other + client.sid[at + 1 :]
            assert Http(connector).get(f"/socket.io/1/xhr-polling/{sid}").text == UNKNOWN
        assert client.packets() == ["1::"]

    def test_with_one_of_another_node(self, connector: Connector, make_socketio: Make) -> None:
        client = OldPoller(make_socketio())
        assert Http(connector).get(client.target).text == UNKNOWN

    def test_too_late(self, connector: Connector) -> None:
        client = OldPoller(connector)
        later(connector, 31)
        assert Http(connector).get(client.target).text == UNKNOWN

    @BOTH
    def test_an_id_is_good_once(self, connector: Connector, transport: str) -> None:
        client = connected(connector, transport)
        connector.sessions.bind(client.session.id, "alice")
        client.session.connection.kick("enough")
        later(connector, FAREWELL_SECONDS + 1)
        assert Http(connector).get(f"/socket.io/1/xhr-polling/{client.sid}").text == UNKNOWN
        assert Web(connector, f"/socket.io/1/websocket/{client.sid}").packets() == [UNKNOWN]
        assert connector.counters.sessions_now == 0

    def test_those_that_were_used_are_not_remembered_without_end(
        self, connector: Connector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tickets, "MOST_USED", 3)
        for _ in range(3):
            assert OldPoller(connector).packets() == ["1::"]
        assert OldPoller(connector).packets() == ["7:::1+0"]
        later(connector, 30)
        assert OldPoller(connector).packets() == ["1::"]

    def test_two_at_once(self, connector: Connector) -> None:
        """The one who is here stays."""
        client = connected(connector, "websocket")
        assert Http(connector).get(f"/socket.io/1/xhr-polling/{client.sid}").text == UNKNOWN
        assert Http(connector).post(f"/socket.io/1/xhr-polling/{client.sid}").text == UNKNOWN
        assert Web(connector, f"/socket.io/1/websocket/{client.sid}").packets() == [UNKNOWN]
        client.say("5:::" + '{"name":"a.b.c"}')
        assert len(connector.asked) == 1


class TestHeartbeats:
    @BOTH
    def test_the_server_sends_them(self, connector: Connector, transport: str) -> None:
        client = connected(connector, transport)
        for _ in range(4):
            if transport != "websocket":
                client.poll()
                later(connector, 20)
                assert client.polled() == ["8::"]  # no proxy gives a poll up so early
                client.poll()
            later(connector, 5 if transport != "websocket" else 25)
            assert (client.polled() if transport != "websocket" else client.packets()) == ["2::"]
            client.say("2::")
        assert connector.counters.sessions_now == 1

    @BOTH
    def test_who_gives_none_is_gone(self, connector: Connector, transport: str) -> None:
        client = connected(connector, transport)
        if transport == "websocket":
            later(connector, 45)
            assert client.packets() == ["2::"]
            assert client.code == 1008
        else:
            heard = []
            for seconds in (20, 5, 20):
                client.poll()
                later(connector, seconds)
                heard += client.polled()
            assert heard == ["8::", "2::", "7:::1+0"]
            assert client.packets() == [UNKNOWN]
            assert client.packets() == [UNKNOWN]
        assert connector.counters.sessions_now == 0
        assert connector.counters.clients_silent == 1

    def test_scripts_are_asked_for_none(self, connector: Connector) -> None:
        """To answer, its library would break off what it is sending. It polls: so it is there."""
        client = OldPoller(connector, transport="jsonp-polling")
        client.packets()
        for _ in range(4):
            client.poll()
            later(connector, 20)
            assert client.polled() == ["8::"]
            client.poll()
            later(connector, 5)
            assert client.polled() == ["8::"]
        assert connector.counters.sessions_now == 1
        later(connector, 45)
        assert connector.counters.clients_silent == 1


class TestMessages:
    @BOTH
    def test_an_event(self, connector: Connector, transport: str) -> None:
        client = connected(connector, transport)
        client.say('5:::{"name":"a.b.c","args":[{"text":"héllo 你好 😀"}]}')
        (asked,) = connector.asked
        assert (asked.message.route, asked.reply) == ("a.b.c", None)
        value = asked.session.connection.encoding.decode(asked.message)
        assert value == {"text": "héllo 你好 😀"}

    @BOTH
    def test_an_event_whose_answer_is_awaited(self, connector: Connector, transport: str) -> None:
        client = connected(connector, transport)
        client.say('5:1+::{"name":"a.b.c","args":[{"n":1}]}')
        reply(connector, {"code": 200, "text": "你好"})
        got = client.packets()
        assert got == ['6:::1+[{"code":200,"text":"你好"}]']

    @BOTH
    def test_an_event_that_is_acknowledged(self, connector: Connector, transport: str) -> None:
        """Without a plus sign it is not the handler that acknowledges it."""
        client = connected(connector, transport)
        client.say('5:7::{"name":"a.b.c","args":[]}')
        assert connector.asked[0].reply is None
        assert client.packets() == ["6:::7"]

    @BOTH
    def test_pushes(self, connector: Connector, transport: str) -> None:
        client = connected(connector, transport)
        push(client.session, "onChat", {"msg": "你好 😀"})
        push(client.session, "onAdd", None)
        push(client.session, "onImage", b"\1\2")
        connector.reactor.settle()
        assert client.packets() == [
            '5:::{"name":"onChat","args":[{"msg":"你好 \\ud83d\\ude00"}]}',
            '5:::{"name":"onAdd","args":[null]}',
            '5:::{"name":"onImage","args":["AQI="]}',
        ]

    def test_several_in_one_payload(self, connector: Connector) -> None:
        client = connected(connector, "xhr-polling")
        client.say(*[f'5:::{{"name":"a.b.c","args":["😀{number}"]}}' for number in range(3)])
        assert len(connector.asked) == 3

    @BOTH
    def test_json_messages_and_acknowledgements_mean_nothing(
        self, connector: Connector, transport: str
    ) -> None:
        client = connected(connector, transport)
        for packet in ('4:::{"a":1}', "6:::4", '6:::4+["A"]', "8::", "7:::1", "1::"):
            client.say(packet)
        assert connector.asked == []
        client.say('5:::{"name":"a.b.c"}')
        assert len(connector.asked) == 1

    @pytest.mark.parametrize(
        "packet",
        [
            "",
            "x",
            "9::",
            "5:::",
            "5:::{}",
            '5:::{"name":1}',
            '5:::{"name":"a","args":1}',
            "6:::",
            "4:::{",
            "5::",
            "3:99999999999999999::x",
            '5:::{"name":"a","args":[}',
        ],
    )
    @BOTH
    def test_what_is_none(self, connector: Connector, transport: str, packet: str) -> None:
        neighbour = connected(connector, "websocket")
        client = connected(connector, transport)
        if transport == "websocket":
            client.say(packet)
            assert client.packets() == []
            assert client.code == 1002
        else:
            client.poll()
            assert client.post(packet).status == 400
            assert client.polled() == ["7:::1+0"]
        assert connector.counters.clients_broken == 1
        assert connector.counters.sessions_now == 1
        neighbour.say('5:::{"name":"a.b.c"}')
        assert len(connector.asked) == 1

    @pytest.mark.parametrize("body", ["\ufffd9\ufffd2::", "\ufffd\ufffd2::", "\ufffd3\ufffd2::x"])
    def test_lengths_that_lie(self, connector: Connector, body: str) -> None:
        client = connected(connector, "xhr-polling")
        assert client.posts.post(client.target, body.encode()).status == 400
        assert client.packets() == ["7:::1+0"]

    def test_bytes(self, connector: Connector) -> None:
        client = connected(connector, "websocket")
        client.say_bytes(b"2::")
        assert client.packets() == []
        assert client.code == 1002


class TestEndpoints:
    @pytest.fixture
    def connector(self, make_socketio: Make) -> Connector:
        return make_socketio(socketio={"namespaces": ("/", "/test")})

    @BOTH
    def test_connect(self, connector: Connector, transport: str) -> None:
        client = connected(connector, transport)
        client.say("1::/test?my=param")
        assert client.packets() == ["1::/test"]
        assert connector.counters.sessions_now == 2
        client.say('5:1+:/test:{"name":"a.b.c"}')
        reply(connector, 1)
        assert client.packets() == ["6::/test:1+[1]"]
        push(connector.sessions.get(2), "on1", 1)
        connector.reactor.settle()
        assert client.packets() == ['5::/test:{"name":"on1","args":[1]}']

    @BOTH
    def test_one_that_there_is_not(self, connector: Connector, transport: str) -> None:
        client = connected(connector, transport)
        client.say("1::/nowhere")
        assert client.packets() == ["7::/nowhere:2"]
        assert connector.counters.sessions_now == 1

    @BOTH
    def test_disconnect(self, connector: Connector, transport: str) -> None:
        client = connected(connector, transport)
        client.say("1::/test")
        assert client.packets() == ["1::/test"]
        client.say("0::/test")
        assert connector.counters.sessions_now == 1
        client.say('5::/test:{"name":"a.b.c"}', '5:::{"name":"a.b.c"}')
        assert len(connector.asked) == 1

    @BOTH
    @pytest.mark.parametrize("place", ["/", "/test"])
    def test_kicked(self, connector: Connector, transport: str, place: str) -> None:
        """Out of the main one is out of all, for its library as well."""
        client = connected(connector, transport)
        client.say("1::/test")
        client.packets()
        sessions = dict(zip(("/", "/test"), connector.sessions, strict=True))
        sessions[place].connection.kick("rude")
        connector.reactor.settle()
        told = ['5::/test:{"name":"onKick","args":[{"reason":"rude"}]}', "0::/test"]
        if place == "/":
            told += ['5:::{"name":"onKick","args":[{"reason":"rude"}]}', "0::"]
        assert client.packets() == told
        assert connector.counters.sessions_now == (0 if place == "/" else 1)

    @BOTH
    def test_moved(self, connector: Connector, transport: str) -> None:
        client = connected(connector, transport)
        client.say("1::/test")
        client.packets()
        draining = Draining(
            parts=connector.parts, settings=DrainSettings(), elsewhere=lambda key: None
        )
        draining.begin()
        connector.reactor.settle()
        told = client.packets()
        assert [each for each in told if each.startswith("0")] == ["0::/test", "0::"]
        assert sum("moved" in each for each in told) == 2
        draining.stop()


class TestDisconnect:
    @BOTH
    @pytest.mark.parametrize("packet", ["0", "0::"])
    def test_by_the_client(self, connector: Connector, transport: str, packet: str) -> None:
        client = connected(connector, transport)
        if transport == "websocket":
            client.say(packet)
            assert client.packets() == []
            assert client.code == 1000
        else:
            client.poll()
            client.say(packet)
            assert client.polled() == ["8::"]
        assert connector.counters.sessions_now == 0

    @pytest.mark.parametrize(
        "path",
        [
            "/socket.io/1//{}/?disconnect=1",
            "/socket.io/1/xhr-polling/{}?disconnect",
            "/socket.io/1/websocket/{}/?t=1&disconnect=1",
        ],
    )
    @BOTH
    def test_from_outside(self, connector: Connector, transport: str, path: str) -> None:
        """Clients do so when a page is left: the first of these is what they ask for."""
        client = connected(connector, transport)
        answer = Http(connector).get(path.format(client.sid))
        assert (answer.status, answer.text) == (200, "")
        assert connector.counters.sessions_now == 0
        if transport == "websocket":
            assert client.packets() == []
            assert client.code == 1000

    def test_of_who_is_not_here(self, connector: Connector) -> None:
        client = OldPoller(connector)
        assert Http(connector).get(f"/socket.io/1//{client.sid}/?disconnect=1").status == 200
        assert Http(connector).get("/socket.io/1//x/?disconnect=1").status == 200

    @BOTH
    def test_by_the_server(self, connector: Connector, transport: str) -> None:
        client = connected(connector, transport)
        if transport != "websocket":
            client.poll()
        client.session.connection.kick("rude")
        connector.reactor.settle()
        kick = ['5:::{"name":"onKick","args":[{"reason":"rude"}]}', "0::"]
        if transport == "websocket":
            assert client.packets() == kick
            assert client.code == 1000
        else:
            assert client.polled() == kick
            assert client.packets() == ["7:::1+0"]

    def test_by_a_server_that_stops(self, connector: Connector) -> None:
        """A disconnect would keep its library from coming back."""
        client = connected(connector, "xhr-polling")
        push(client.session, "on1", 1)
        client.client.close("server stops")
        assert client.packets() == ['5:::{"name":"on1","args":[1]}']
        assert client.packets() == ["7:::1+0"]
        assert connector.counters.clients_now == 1

    def test_a_poll_that_is_broken_off(self, connector: Connector) -> None:
        """The document has the client come back; so it waits, as long as for a heartbeat."""
        client = connected(connector, "xhr-polling")
        client.poll()
        client.polls.hang_up()
        push(client.session, "on1", 1)
        later(connector, 20)
        client.polls = Http(connector)
        assert client.packets() == ['5:::{"name":"on1","args":[1]}']

    def test_a_poll_that_takes_anothers_place(self, connector: Connector) -> None:
        client = connected(connector, "xhr-polling")
        client.poll()
        other = Http(connector)
        other.ask("GET", client.target)
        assert client.polled() == ["8::"]
        assert other.waits == 1
        push(client.session, "on1", 1)
        connector.reactor.settle()
        assert other.answer().text == '5:::{"name":"on1","args":[1]}'

    def test_two_posts(self, connector: Connector) -> None:
        """Its library answers heartbeats while something else is on its way."""
        client = connected(connector, "xhr-polling")
        large = Http(connector)
        text = '5:::{"name":"a.b.c","args":["1"]}'
        large.ask("POST", client.target, text[:-9].encode(), Content_Length=str(len(text)))
        client.say("2::")
        large.client.send(text[-9:].encode())
        assert large.answer().text == "1"
        assert len(connector.asked) == 1

    def test_many_posts(self, connector: Connector) -> None:
        client = connected(connector, "xhr-polling")
        client.poll()
        for _ in range(MOST_POSTS):
            assert connector.counters.clients_broken == 0
            Http(connector).ask("POST", client.target, Content_Length="10")
        assert client.post("2::").status == 400
        assert client.polled() == ["7:::1+0"]
        assert connector.counters.clients_broken == 1

    def test_the_websocket_is_gone(self, connector: Connector) -> None:
        """Its server takes that for a disconnect, and so does this one."""
        client = connected(connector, "websocket")
        client.hang_up()
        assert connector.counters.sessions_now == 0


class TestHook:
    @BOTH
    def test_queries(self, make_socketio: Make, transport: str) -> None:
        asked: list[Any] = []
        connector = make_socketio(
            socketio={"namespaces": ("/", "/test")}, welcome={"hook": asked.append}
        )
        client = connected(connector, transport, query="&token=a%20b")
        client.say("1::/test?my=param")
        assert [each.user for each in asked] == [
            {"token": "a b"},
            {"token": "a b", "my": "param"},
        ]
        assert {(each.type, each.version) for each in asked} == {("socket.io", "0.9")}

    @BOTH
    def test_refused(self, make_socketio: Make, transport: str) -> None:
        """Told so when the transport opens; a disconnect keeps the client from trying again."""

        def hook(handshake: Any) -> None:
            raise ClientError(403)

        connector = make_socketio(welcome={"hook": hook})
        client = kind_of(transport)(connector)
        if transport == "websocket":
            assert client.greeted == ["7:::2", "0::"]
            client.packets()
            assert client.code == 1000
        else:
            assert client.packets() == ["7:::2", "0::"]
        assert connector.counters.sessions_now == 0


class TestScripts:
    """The transport jsonp-polling."""

    def client(self, connector: Connector) -> OldPoller:
        client = OldPoller(connector, query="&i=3", transport="jsonp-polling")
        client.poll()
        assert client.polls.answer().text == 'io.j[3]("1::");'
        return client

    def test_what_comes(self, connector: Connector) -> None:
        client = self.client(connector)
        push(client.session, "onChat", 'a"b\u2028</script>')
        connector.reactor.settle()
        client.poll()
        answer = client.polls.answer()
        assert answer.fields["content-type"] == "text/javascript; charset=UTF-8"
        assert answer.text == (
            'io.j[3]("5:::{\\"name\\":\\"onChat\\",\\"args\\":[\\"a\\\\\\"b\\u2028</script>\\"]}");'
        )

    def test_what_is_sent(self, connector: Connector) -> None:
        client = self.client(connector)
        form = b"d=%225%3A%3A%3A%7B%5C%22name%5C%22%3A%5C%22a.b.c%5C%22%7D%22"
        assert client.posts.post(client.target, form).text == "1"
        assert connector.asked[0].message.route == "a.b.c"

    @pytest.mark.parametrize(
        "form", [b"", b"d=", b"d=x", b"x=%22a%22", b"d=%2", b"d=1&d=2", b"2::"]
    )
    def test_what_is_no_form(self, connector: Connector, form: bytes) -> None:
        client = self.client(connector)
        assert client.posts.post(client.target, form).status == 400
        client.poll()
        assert client.polls.answer().text == 'io.j[3]("7:::1+0");'

    def test_a_form_of_a_million_bytes(self, make_socketio: Make) -> None:
        """Read as far as the limit allows, told by its length otherwise."""
        connector = make_socketio(socketio={"payload_bytes": 100_000})
        client = self.client(connector)
        form = b"d=%22" + b"%78" * 333_000 + b"%22"
        assert len(form) > jsonp.longest_form(100_000)
        answer = client.posts.post(client.target, form)
        assert answer.status == 413
        assert connector.counters.sessions_now == 0
        client = self.client(connector)
        form = b"d=%22" + b"%78" * 99_000 + b"%22"
        assert client.posts.post(client.target, form).status == 400
        assert connector.counters.clients_broken == 2

    @pytest.mark.parametrize("index", ["x", "", "1)", "1" * 10])
    def test_a_function_of_somebody_elses(self, connector: Connector, index: str) -> None:
        client = OldPoller(connector, transport="jsonp-polling", query=f"&i={index}")
        client.poll()
        assert client.polls.answer().status == 400
        assert connector.counters.sessions_now == 0
