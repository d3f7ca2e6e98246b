"""What pages need of a server of socket.io: other origins, preflights, cookies, scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from chatcore.connectors.settings import SocketioSettings
from chatcore.connectors.socketio.script import Script

from ..clients import Connector
from .clients import Http, Poller, Web, push

Make = Callable[..., Connector]

OPEN3, OPEN4 = (f"/socket.io/?EIO={number}&transport=polling" for number in (3, 4))
OLD = "/socket.io/1/"
PAGE, OTHER = "https://chat.example.org", "https://evil.example"
ALL = pytest.mark.parametrize("target", [OPEN3, OPEN4, OLD])


class TestOrigins:
    @ALL
    def test_a_page_of_another_origin_may_read_answers(
        self, connector: Connector, target: str
    ) -> None:
        fields = Http(connector).get(target, Origin=PAGE).fields
        assert fields["access-control-allow-origin"] == PAGE
        assert fields["access-control-allow-credentials"] == "true"
        assert fields["vary"] == "Origin"
        assert fields["cache-control"] == "no-store"
        assert fields["x-content-type-options"] == "nosniff"

    @ALL
    def test_who_names_none_may_as_well(self, connector: Connector, target: str) -> None:
        fields = Http(connector).get(target).fields
        assert fields["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in fields

    def test_polls_and_posts_and_errors(self, connector: Connector) -> None:
        poller = Poller(connector)
        poller.posts.ask("POST", poller.target, b"40", Origin=PAGE)
        answers = [poller.posts.answer()]
        answers.append(poller.polls.get(poller.target, Origin=PAGE))
        answers.append(poller.polls.get(poller.target + "x", Origin=PAGE))
        answers.append(poller.polls.get("/socket.io/", Origin=PAGE))
        assert [answer.status for answer in answers] == [200, 200, 400, 400]
        for answer in answers:
            assert answer.fields["access-control-allow-origin"] == PAGE

    @ALL
    def test_those_that_are_allowed(self, make_socketio: Make, target: str) -> None:
        connector = make_socketio(limits={"origins": (PAGE,)})
        for origin in (PAGE, ""):
            assert Http(connector).get(target, Origin=origin).status == 200
        for origin in (OTHER, "null", "http://chat.example.org", PAGE + ":8443"):
            answer = Http(connector).get(target, Origin=origin)
            assert (answer.status, answer.json["message"]) == (403, "Forbidden")
        assert connector.counters.clients_foreign == 4

    def test_those_that_may_open_websockets(self, make_socketio: Make) -> None:
        connector = make_socketio(limits={"origins": (PAGE,)})
        target = OPEN4.replace("polling", "websocket")
        assert Web(connector, target, Origin=PAGE).status == 101
        assert Web(connector, target).status == 101
        assert Web(connector, target, Origin=OTHER).status == 403
        assert Web(connector, "/socket.io/1/websocket/x", Origin=OTHER).status == 403
        assert connector.counters.clients_foreign == 2

    def test_a_page_that_polls_for_another(self, make_socketio: Make) -> None:
        """Its polls are refused; who is polled for does not notice."""
        connector = make_socketio(limits={"origins": (PAGE,)})
        poller = Poller(connector)
        poller.connect()
        assert Http(connector).get(poller.target, Origin=OTHER).status == 403
        assert Http(connector).post(poller.target, b"1", Origin=OTHER).status == 403
        poller.poll()
        assert poller.polls.waits == 1

    @pytest.mark.parametrize("target", [OPEN3 + "&j=0", OLD + "?jsonp=0"])
    def test_scripts(self, make_socketio: Make, target: str) -> None:
        """Browsers name no origin for them: the page has to be named then."""
        connector = make_socketio(limits={"origins": (PAGE,)})
        for referer in (PAGE, PAGE + "/", PAGE.upper() + "/a/b?c#d"):
            assert Http(connector).get(target, Referer=referer).status == 200
        for referer in ("", OTHER + "/", OTHER + "/?" + PAGE, "x", PAGE + ".evil.example/"):
            assert Http(connector).get(target, Referer=referer).status == 403
        assert Http(connector).get(target, Origin=OTHER, Referer=PAGE).status == 403

    def test_scripts_where_all_are_allowed(self, connector: Connector) -> None:
        assert Http(connector).get(OPEN3 + "&j=0").status == 200

    def test_scripts_of_09(self, make_socketio: Make) -> None:
        connector = make_socketio(limits={"origins": (PAGE,)})
        sid = Http(connector).get(OLD).text.partition(":")[0]
        target = f"/socket.io/1/jsonp-polling/{sid}?i=0"
        assert Http(connector).get(target).status == 403
        assert Http(connector).get(target, Referer=PAGE).text == 'io.j[0]("1::");'


class TestPreflights:
    @ALL
    def test_whatever_a_page_asks_for(self, connector: Connector, target: str) -> None:
        http = Http(connector)
        http.ask(
            "OPTIONS",
            target + "&sid=x",
            Origin=PAGE,
            Access_Control_Request_Method="POST",
            Access_Control_Request_Headers="content-type, x-token",
        )
        answer = http.answer()
        assert (answer.status, answer.body) == (200, b"")
        fields = answer.fields
        assert fields["access-control-allow-origin"] == PAGE
        assert fields["access-control-allow-credentials"] == "true"
        assert "POST" in fields["access-control-allow-methods"]
        assert fields["access-control-allow-headers"] == "content-type, x-token"
        assert int(fields["access-control-max-age"]) > 0
        assert connector.counters.clients_now == 1

    @pytest.mark.parametrize("headers", ["", ",", "a b", "a;b", "ä"])
    def test_what_are_no_headers(self, connector: Connector, headers: str) -> None:
        http = Http(connector)
        http.ask("OPTIONS", OPEN4, Origin=PAGE, Access_Control_Request_Headers=headers)
        answer = http.answer()
        assert answer.status == 200
        assert "access-control-allow-headers" not in answer.fields

    def test_of_pages_that_may_not(self, make_socketio: Make) -> None:
        connector = make_socketio(limits={"origins": (PAGE,)})
        http = Http(connector)
        http.ask("OPTIONS", OPEN4, Origin=OTHER)
        assert http.answer().status == 403


class TestCookies:
    def test_clients_of_revision_3_get_one(self, connector: Connector) -> None:
        http = Http(connector)
        answer = http.get(OPEN3)
        sid = answer.text.partition('"sid":"')[2].partition('"')[0]
        assert answer.fields["set-cookie"] == f"io={sid}; Path=/; HttpOnly"
        assert "set-cookie" not in http.get(f"{OPEN3}&sid={sid}x").fields
        assert "set-cookie" not in Http(connector).get(OPEN4).fields

    def test_once(self, connector: Connector) -> None:
        poller = Poller(connector, 3)
        push(poller.session, "on1", 1)
        connector.reactor.settle()
        poller.poll()
        assert "set-cookie" not in poller.polls.answer().fields

    def test_of_another_name(self, make_socketio: Make) -> None:
        connector = make_socketio(socketio={"cookie": "chat"})
        assert Http(connector).get(OPEN3).fields["set-cookie"].startswith("chat=")
        connector = make_socketio(socketio={"cookie": ""})
        assert "set-cookie" not in Http(connector).get(OPEN3).fields

    @pytest.mark.parametrize("name", ["a b", "a;b", "a\r\nb", "ä"])
    def test_of_a_name_that_is_none(self, name: str) -> None:
        with pytest.raises(ValueError, match="no name for a cookie"):
            SocketioSettings(cookie=name)


class TestScripts:
    """JSONP polling, of revision 3."""

    def open(self, connector: Connector, index: str = "7") -> tuple[Http, str]:
        http = Http(connector)
        answer = http.get(f"{OPEN3}&j={index}")
        assert answer.status == 200
        assert answer.fields["content-type"] == "text/javascript; charset=UTF-8"
        assert answer.text.startswith(f'___eio[{index}]("')
        assert answer.text.endswith('2:40");')
        sid = answer.text.partition('\\"sid\\":\\"')[2].partition("\\")[0]
        return http, f"{OPEN3}&j={index}&sid={sid}"

    def post(self, connector: Connector, target: str, packets: str) -> Any:
        # As a form does it, after engine.io-client has doubled the backslashes of newlines.
        text = packets.replace("\\n", "\\\\n")
        return Http(connector).post(target, b"d=" + quote(text, safe="").encode())

    def test_a_conversation(self, connector: Connector) -> None:
        http, target = self.open(connector)
        text = 'a\u2028 \\" </script> é 😀'
        connector.serve = lambda session, message, reply: push(
            session, "onChat", session.connection.encoding.decode(message)
        )
        packet = '42["a.b.c","' + text.replace("\\", "\\\\").replace('"', '\\"') + '"]'
        answer = self.post(connector, target, f"{len(packet)}:{packet}")
        assert answer.status == 400  # the length counts the emoji once, and JavaScript twice
        http, target = self.open(connector, "123456789")
        answer = self.post(connector, target, f"{len(packet) + 1}:{packet}")
        assert (answer.text, answer.fields["content-type"]) == ("ok", "text/html")
        answer = http.get(target)
        assert answer.body.isascii()
        assert answer.text.startswith('___eio[123456789]("')

    def test_newlines(self, connector: Connector) -> None:
        _, target = self.open(connector)
        self.post(connector, target, '20:42["a.b.c","a\\nb\\\\"]')
        (asked,) = connector.asked
        assert asked.session.connection.encoding.decode(asked.message) == "a\nb\\"

    def test_bytes(self, connector: Connector) -> None:
        http, target = self.open(connector)
        (session,) = connector.sessions
        push(session, "on1", b"\1\2")
        connector.reactor.settle()
        answer = http.get(target)
        assert "b4AQI=" in answer.text
        assert answer.fields["content-type"].startswith("text/javascript")

    def test_the_end(self, connector: Connector) -> None:
        http, target = self.open(connector)
        http.ask("GET", target)
        next(iter(connector.parts.clients)).kick("x")
        (session,) = connector.sessions
        session.connection.kick("rude")
        connector.reactor.settle()
        assert http.answer().text.endswith('2:41");')

    @pytest.mark.parametrize("index", ["", "x", "-1", "1.5", "0)", "1" * 10, "٣"])
    @pytest.mark.parametrize("revision", [3, 4])
    def test_a_function_of_somebody_elses(
        self, connector: Connector, index: str, revision: int
    ) -> None:
        target = f"/socket.io/?EIO={revision}&transport=polling&j={quote(index)}"
        answer = Http(connector).get(target)
        assert (answer.status, answer.json["code"]) == (400, 3)
        assert connector.counters.clients_now == 1

    @pytest.mark.parametrize("twice", [False, True])
    def test_what_counts_is_what_is_left(self, make_socketio: Make, twice: bool) -> None:
        """Not the form's escapes, and not the second UTF-8 of clients of 1.x."""
        connector = make_socketio(socketio={"payload_bytes": 2000})
        for size, status in ((1990, 200), (2011, 400)):
            poller, (http, target) = Poller(connector, 3), self.open(connector)
            packet = '42["a.b.c","' + "你" * ((size - 20) // 3) + '"]'
            text = f"{len(packet)}:{packet}".encode()
            if twice:
                packet = packet.encode().decode("latin-1")
                text = f"{len(packet)}:{packet}".encode()
            assert poller.posts.post(poller.target, text).status == status
            form = b"d=" + quote(text, safe="").encode()
            assert http.post(target, form).status == status

    def test_a_form_of_a_million_bytes(self, make_socketio: Make) -> None:
        """What counts is what is left of it; and it may be no message all the same."""
        connector = make_socketio(limits={"messages_per_second": 0})
        neighbour = Poller(connector)
        _, target = self.open(connector)
        packet = '42["a.b.c","' + "x" * 60_000 + '"]'
        several = f"{len(packet)}:{packet}" * 16
        form = b"d=" + b"".join(b"%%%02x" % ord(each) for each in several)
        assert len(form) > 2_800_000
        assert Http(connector).post(target, form).text == "ok"
        assert len(connector.asked) == 16
        assert Http(connector).post(target, form + b"%20" * 39_000).status == 400
        _, target = self.open(connector)
        assert Http(connector).post(target, form + b"%20" * 90_000).status == 400
        _, target = self.open(connector)
        assert Http(connector).post(target, form + b"%20" * 1_100_000).status == 413
        _, target = self.open(connector)
        assert Http(connector).post(target, b"d=" + b"%" * 1_000_000).status == 400
        _, target = self.open(connector)
        assert Http(connector).post(target, b"d=1&" * 300_000).status == 400
        assert connector.counters.clients_broken == 5
        assert neighbour.connect().startswith("40")


class TestScriptFile:
    def serving(self, make_socketio: Make) -> Connector:
        connector = make_socketio()
        assert connector.lobby is not None
        connector.lobby._script = Script(b"var io = {};\n")
        return connector

    def test_it_is_served(self, make_socketio: Make) -> None:
        http = Http(self.serving(make_socketio))
        for target in ("/socket.io/socket.io.js", "/socket.io/socket.io.js?v=1"):
            answer = http.get(target)
            assert (answer.status, answer.body) == (200, b"var io = {};\n")
            assert answer.fields["content-type"] == "application/javascript; charset=utf-8"
            assert answer.fields["cache-control"] == "public, max-age=600"
        http.ask("HEAD", "/socket.io/socket.io.js")
        answer = http.answer()
        assert (answer.status, answer.fields["content-length"]) == (200, "13")
        http.ask("POST", "/socket.io/socket.io.js")
        assert http.answer().status == 405

    def test_nothing_else_is(self, make_socketio: Make) -> None:
        http = Http(self.serving(make_socketio))
        for target in ("/socket.io/../app.py", "/socket.io/x.js", "/socket.io/socket.io.js/x"):
            assert http.get(target).status == 400
        answer = http.get("/socket.io/socket.io.min.js")
        assert (answer.status, answer.fields["connection"]) == (404, "keep-alive")
        assert "/socket.io/socket.io.js" in answer.text

    @pytest.mark.parametrize("name", ["js", "min.js", "js.map", "esm.min.js", "v0.9.17.js"])
    def test_where_there_is_none(self, connector: Connector, name: str) -> None:
        """An old page looks for it there: the answer says what to do."""
        answer = Http(connector).get(f"/socket.io/socket.io.{name}")
        assert (answer.status, answer.fields["content-type"]) == (404, "text/plain; charset=UTF-8")
        assert "set socketio.script" in answer.text
