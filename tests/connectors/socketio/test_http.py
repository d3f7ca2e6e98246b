"""Requests on a client port: in order, of any size and shape, and never more than is told."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore.connectors import http as http_module

from ..clients import UPGRADE, Connector, frame, is_served
from .clients import Http, Poller, Socket, Web, push, request, upgrade

Make = Callable[..., Connector]

OPEN = "/socket.io/?EIO=4&transport=polling"


def connected(connector: Connector, **how: Any) -> Poller:
    poller = Poller(connector, **how)
    poller.connect()
    return poller


def posting(poller: Poller, body: bytes, **fields: str) -> bytes:
    return request("POST", poller.target, body, **fields)


class TestConnections:
    def test_it_is_kept(self, connector: Connector) -> None:
        http = Http(connector)
        first = http.get(OPEN)
        assert first.fields["connection"] == "keep-alive"
        assert first.fields["keep-alive"] == "timeout=75"
        assert first.fields["date"].endswith(" GMT")
        assert http.get(OPEN).status == 200
        assert not http.closed

    @pytest.mark.parametrize(
        ("version", "option", "kept"),
        [
            ("1.1", "", True),
            ("1.1", "Connection: close\r\n", False),
            ("1.1", "Connection: x, Close\r\n", False),
            ("1.0", "", False),
            ("1.0", "Connection: keep-alive\r\n", True),
        ],
    )
    def test_as_the_client_wants_it(
        self, connector: Connector, version: str, option: str, kept: bool
    ) -> None:
        client = connector.connect()
        client.send(f"GET {OPEN} HTTP/{version}\r\nHost: x\r\n{option}\r\n".encode())
        head = client.take().partition(b"\r\n\r\n")[0]
        assert (b"Connection: keep-alive" in head) is kept
        assert (b"Connection: close" in head) is not kept
        assert client.transport._writeDisconnected is not kept

    def test_one_that_asks_for_nothing_is_closed(self, connector: Connector) -> None:
        http = Http(connector)
        http.get(OPEN)
        connector.reactor.advance(74)
        connector.reactor.settle()
        assert not http.closed
        connector.reactor.advance(1)
        connector.reactor.settle()
        assert http.closed
        connector.reactor.advance(2)
        assert http.client.closed
        assert connector.counters.clients_silent == 1  # the client that was opened, not this

    def test_a_poll_may_take_as_long_as_it_likes(self, connector: Connector) -> None:
        poller = connected(connector)
        poller.poll()
        for _ in range(10):
            connector.reactor.advance(24)
            connector.reactor.settle()
            if not poller.polls.waits:
                assert poller.polled() == ["2"]
                poller.poll()
            poller.say("3")
        assert poller.session is not None

    def test_requests_in_a_row(self, connector: Connector) -> None:
        """Pipelined: each is answered in its turn."""
        poller = connected(connector)
        http = Http(connector)
        http._methods += ["GET", "GET", "POST", "GET"]
        http.client.send(
            request("GET", "/socket.io/?EIO=4")
            + request("GET", poller.target)
            + posting(poller, b'42["a.b.c",1]')
            + request("GET", OPEN)
        )
        (first,) = http.answers()
        assert first.json["code"] == 0
        assert connector.asked == []
        push(poller.session, "on1", 1)
        connector.reactor.settle()
        second, third, fourth = http.answers()
        assert second.text == '42["on1",1]'
        assert third.text == "ok"
        assert fourth.text.startswith("0{")
        assert len(connector.asked) == 1

    def test_more_in_a_row_than_is_read(self, connector: Connector) -> None:
        """What waits behind a poll is bounded."""
        poller = connected(connector)
        neighbour = connected(connector)
        http = Http(connector)
        http.ask("GET", poller.target)
        for _ in range(100):
            http.client.send(b"x" * 1000)
        transport = http.client.transport
        assert transport not in connector.reactor.readers
        assert len(transport.protocol._buffer) < 20_000
        push(poller.session, "on1", 1)
        connector.reactor.settle()
        answers = http.client.take()
        assert answers.count(b"HTTP/1.1 ") == 2
        assert b"HTTP/1.1 431" in answers
        neighbour.say('42["a.b.c"]')
        assert len(connector.asked) == 1

    def test_two_polls_in_a_row(self, connector: Connector) -> None:
        """The second begins when the first is answered."""
        poller = connected(connector)
        poller.polls.ask("GET", poller.target)
        poller.polls.ask("GET", poller.target)
        for number in range(2):
            push(poller.session, "on1", number)
            connector.reactor.settle()
            assert poller.polled() == [f'42["on1",{number}]']

    def test_other_requests_on_the_same_connection(self, connector: Connector) -> None:
        """A proxy uses one for whatever it is asked."""
        http = Http(connector)
        assert http.get(OPEN).status == 200
        answer = http.get("/")
        assert answer.status == 200
        assert "WebSocket" in answer.text
        assert http.closed or answer.fields["connection"] == "close"
        for path in ("/socket.iox", "/socket", "/socket.io.js", "//socket.io/"):
            http = Http(connector)
            assert http.get(OPEN).status == 200
            http.ask("POST", path)
            assert http.answer().status == 426

    def test_a_websocket_on_the_same_connection(self, connector: Connector) -> None:
        http = Http(connector)
        assert http.get(OPEN).status == 200
        http.client.send(upgrade("/socket.io/?EIO=4&transport=websocket"))
        head, _, rest = http.client.take().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert rest[2:4] == b"0{"
        http.client.send(frame(b"40", 1) + frame(b'42["a.b.c"]', 1))
        assert len(connector.asked) == 1

    def test_a_websocket_of_pomelos_clients_on_the_same_connection(
        self, connector: Connector
    ) -> None:
        http = Http(connector)
        assert http.get(OPEN).status == 200
        http.client.send(UPGRADE)
        assert http.client.take().startswith(b"HTTP/1.1 101 ")
        assert connector.counters.clients_now == 2

    def test_the_time_for_handshakes_goes_on_when_it_changes_hands(
        self, connector: Connector
    ) -> None:
        http = Http(connector)
        assert http.get(OPEN).status == 200
        connector.reactor.advance(30)
        http.client.send(UPGRADE)
        connector.reactor.advance(10)
        connector.reactor.settle()
        assert http.client.take().endswith(b"no handshake in time")
        assert http.client.closed

    def test_a_connection_that_is_gone_while_it_waits(self, connector: Connector) -> None:
        poller = connected(connector)
        http = Http(connector)
        http.client.send(request("GET", "/socket.io/") * 3 + b"GET")
        http.hang_up()
        poller.say('42["a.b.c"]')
        assert len(connector.asked) == 1


class TestBodies:
    def test_in_pieces(self, connector: Connector) -> None:
        poller = connected(connector)
        said = posting(poller, '42["a.b.c","你好"]'.encode())
        for byte in said:
            poller.posts.client.send(bytes((byte,)), settle=False)
        poller.posts._methods.append("POST")
        connector.reactor.settle()
        assert poller.posts.answer().text == "ok"
        assert len(connector.asked) == 1

    def test_in_chunks(self, connector: Connector) -> None:
        """Some proxies send them so."""
        poller = connected(connector)
        poller.posts.ask("POST", poller.target, Transfer_Encoding="chunked", Content_Length="")
        for piece in (b"5\r\n42[", b'"a\r', b'\n6\r\n.b.c"]\r\n', b"0\r\n\r\n"):
            assert poller.posts.waits == 1
            poller.posts.client.send(piece)
        assert poller.posts.answer().text == "ok"
        assert connector.asked[0].message.route == "a.b.c"
        poller.say('42["a.b.c"]')

    def test_after_a_word(self, connector: Connector) -> None:
        """Some clients wait for it before they send a body."""
        poller = connected(connector)
        poller.posts.ask("POST", poller.target, Expect="100-Continue", Content_Length="2")
        assert poller.posts.client.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
        poller.posts.client.send(b"43")
        assert poller.posts.client.take().startswith(b"HTTP/1.1 200 OK\r\n")

    def test_no_word_to_who_is_refused(self, connector: Connector) -> None:
        http = Http(connector)
        http.ask("POST", OPEN + "&sid=x", Expect="100-continue", Content_Length="2")
        answer = http.answer()
        assert (answer.status, answer.fields["connection"]) == (400, "close")

    def test_of_who_is_unknown(self, connector: Connector) -> None:
        """It is told so at once, however long its body is."""
        http = Http(connector)
        http.ask("POST", OPEN + "&sid=x", Content_Length="100000")
        answer = http.answer()
        assert answer.json == {"code": 1, "message": "Session ID unknown"}
        assert answer.fields["connection"] == "close"
        http.client.send(b"x" * 100_000)
        http.hang_up()

    def test_of_who_is_unknown_that_is_there(self, connector: Connector) -> None:
        http = Http(connector)
        assert http.post(OPEN + "&sid=x", b"4hello").status == 400
        assert http.post(OPEN + "&sid=x", b"4hello").fields["connection"] == "keep-alive"

    @pytest.mark.parametrize("coding", [{}, {"Transfer_Encoding": "chunked"}])
    def test_too_long(self, make_socketio: Make, coding: dict[str, str]) -> None:
        connector = make_socketio(socketio={"payload_bytes": 2000})
        poller, neighbour = connected(connector), connected(connector)
        assert poller.said["maxPayload"] == 2000
        packet = b'42["a.b.c","' + b"x" * 1986 + b'"]'
        assert len(packet) == 2000
        assert poller.posts.post(poller.target, packet).text == "ok"
        poller.poll()
        said = b"7d1\r\n" + packet + b" " if coding else packet + b" "
        fields = coding | {"Content_Length": ""} if coding else {}
        poller.posts.ask("POST", poller.target, said, **fields)
        answer = poller.posts.answer()
        assert (answer.status, answer.fields["connection"]) == (413, "close")
        assert poller.polled() == ["1"]  # what it said is lost, and so is it
        assert connector.counters.sessions_now == 1
        assert connector.counters.clients_broken == 1
        assert len(connector.asked) == 1
        neighbour.say("3")

    @pytest.mark.parametrize(
        ("fields", "status"),
        [
            ("Content-Length: x", 400),
            ("Content-Length: -1", 400),
            ("Content-Length: 3\r\nContent-Length: 4", 400),
            ("Content-Length: 3\r\nTransfer-Encoding: chunked", 400),
            ("Transfer-Encoding: gzip", 501),
            ("Transfer-Encoding: chunked", 400),
        ],
    )
    def test_whose_end_nobody_knows(self, connector: Connector, fields: str, status: int) -> None:
        poller = connected(connector)
        http = Http(connector)
        http._methods.append("POST")
        http.client.send(f"POST {poller.target} HTTP/1.1\r\n{fields}\r\n\r\nxyz\r\n\r\n".encode())
        answer = http.answer()
        assert (answer.status, answer.fields["connection"]) == (status, "close")
        assert http.closed
        assert connector.counters.clients_broken == 1

    def test_slow(self, connector: Connector) -> None:
        poller, neighbour = connected(connector), connected(connector)
        poller.poll()
        poller.posts.ask("POST", poller.target, Content_Length="100")
        for _ in range(9):
            connector.reactor.advance(1)
            poller.posts.client.send(b"x")
        assert poller.posts.waits == 1
        connector.reactor.advance(1)
        connector.reactor.settle()
        answer = poller.posts.answer()
        assert (answer.status, answer.fields["connection"]) == (408, "close")
        assert poller.polled() == ["1"]
        assert connector.counters.sessions_now == 1
        assert connector.counters.clients_silent == 1
        neighbour.say("3")

    def test_cut_off(self, connector: Connector) -> None:
        """Nobody knows what was in it: the client begins anew."""
        poller = connected(connector)
        poller.poll()
        poller.posts.ask("POST", poller.target, Content_Length="100")
        poller.posts.hang_up()
        assert poller.polled() == ["1"]
        assert connector.counters.sessions_now == 0

    def test_of_a_poll(self, connector: Connector) -> None:
        """One that is there does no harm; nobody waits for another."""
        poller = connected(connector)
        poller.polls.ask("GET", poller.target, b"hello")
        assert poller.polls.waits == 1
        push(poller.session, "on1", 1)
        connector.reactor.settle()
        assert poller.polled() == ['42["on1",1]']
        poller.polls.ask("GET", poller.target, Content_Length="5")
        answer = poller.polls.answer()
        assert (answer.status, answer.fields["connection"]) == (400, "close")

    def test_memory_is_for_clients(self, connector: Connector) -> None:
        """Long bodies are kept for those who are known, and for nobody else."""
        poller = connected(connector)
        for target in (OPEN, OPEN + "&sid=x", "/socket.io/1/", "/socket.io/1/xhr-polling/x"):
            http = Http(connector)
            http.ask("POST", target, b"x" * 20_000, Content_Length="900000")
            assert http.answer().status in (200, 400)
            assert http.closed
        poller.posts.ask("POST", poller.target, b"x" * 900_000, Content_Length="900001")
        assert poller.posts.waits == 1

    def test_memory_is_bounded_for_all_together(
        self, connector: Connector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However many say that there is more to come."""
        monkeypatch.setattr(http_module, "MOST_HELD", 100_000)
        first, second, third = (connected(connector) for _ in range(3))
        first.posts.ask("POST", first.target, b" " * 60_000, Content_Length="60012")
        second.posts.ask("POST", second.target, b" " * 60_000, Content_Length="60012")
        answer = second.posts.answer()
        assert (answer.status, answer.fields["connection"]) == (503, "close")
        assert connector.counters.clients_refused == 1
        first.posts.client.send(b" " * 12)
        assert first.posts.answer().status == 400
        third.posts.ask("POST", third.target, b"4" + b" " * 90_000, Content_Length="91000")
        assert third.posts.waits == 1
        third.posts.hang_up()
        fourth = connected(connector)
        fourth.posts.ask("POST", fourth.target, b" " * 90_000, Content_Length="91000")
        assert fourth.posts.waits == 1

    @pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
    def test_compressed(self, connector: Connector, coding: str) -> None:
        """Nothing is ever unpacked, so nothing can grow."""
        poller = connected(connector)
        answer = poller.posts.post(
            poller.target, gzip.compress(b"4" + b" " * 1_000_000), Content_Encoding=coding
        )
        assert answer.status == 400
        assert connector.counters.clients_broken == 1


class TestSmuggling:
    """What follows a body is the next request, and nobody takes it for anything else."""

    @pytest.mark.parametrize(
        "fields",
        [
            "Content-Length: 3\r\nContent-Length: 3",
            "Content-Length: 3, 3",
            "Content-Length: 0\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked, identity",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding : chunked",
            "Transfer-Encoding:\n chunked",
            "X: y\r\n Transfer-Encoding: chunked",
            "X: y\nContent-Length: 3",
            "Content-Length: 0x3",
        ],
    )
    def test_ends_that_could_be_read_in_two_ways(self, connector: Connector, fields: str) -> None:
        poller = connected(connector)
        inner = request("POST", poller.target, b'42["a.b.c"]')
        http = Http(connector)
        http._methods.append("POST")
        http.client.send(
            f"POST {poller.target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n".encode() + inner
        )
        answer = http.answer()
        assert answer.status in (400, 501)
        assert answer.fields["connection"] == "close"
        assert http.closed
        assert connector.asked == []

    def test_a_request_behind_one_that_is_refused(self, connector: Connector) -> None:
        """Who has said that something is wrong listens to nothing more."""
        poller = connected(connector)
        http = Http(connector)
        http.client.send(
            request("POST", OPEN + "&sid=x", Content_Length="1000")
            + request("POST", poller.target, b'42["a.b.c"]')
        )
        http.client.send(request("POST", poller.target, b'42["a.b.c"]'))
        assert connector.asked == []
        assert http.closed

    def test_an_empty_line_before_a_request(self, connector: Connector) -> None:
        """Some old browsers end a body with one (RFC 9112, section 2.2)."""
        poller = connected(connector)
        for piece in (b"\r\n", b"\r", b"\n"):
            poller.posts.client.send(piece)
        poller.say('42["a.b.c"]')
        assert len(connector.asked) == 1
        poller.posts.client.send(b"\r\n")
        connector.reactor.advance(10)
        connector.reactor.settle()
        assert not poller.posts.closed
        assert poller.post('42["a.b.c"]').status == 200


class TestHeads:
    @pytest.mark.parametrize(
        ("said", "status"),
        [
            (b"GET /socket.io/ HTTP/2.0\r\n\r\n", 505),
            (b"GET\r\n\r\n", 400),
            (b"GET /socket.io/ HTTP/1.1\r\nx\r\n\r\n", 400),
            (b"GET /socket.io/ HTTP/1.1\r\nx: " + b"y" * 20_000, 431),
            (b"GET /socket.io/?" + b"a=1&" * 200 + b" HTTP/1.1\r\n\r\n", 400),
        ],
    )
    @pytest.mark.parametrize("first", [b"", request("GET", OPEN)])
    def test_what_is_none(
        self, connector: Connector, first: bytes, said: bytes, status: int
    ) -> None:
        neighbour = connector.enter()
        client = connector.connect()
        if first:
            client.send(first)
            assert client.take().startswith(b"HTTP/1.1 200 ")
        client.send(said)
        assert client.take().startswith(b"HTTP/1.1 %d " % status)
        assert client.closed or client.transport._writeDisconnected
        assert is_served(connector, neighbour)

    def test_slow(self, connector: Connector) -> None:
        http = Http(connector)
        http.get(OPEN)
        connector.reactor.advance(60)
        http.client.send(b"GET /socket.io/ HT")
        connector.reactor.advance(9)
        http.client.send(b"TP/1.1\r\n")
        connector.reactor.advance(1)
        connector.reactor.settle()
        assert http.client.take().startswith(b"HTTP/1.1 408 ")
        connector.reactor.advance(2)
        connector.reactor.settle()
        assert http.client.closed


class TestWhoDoesNotRead:
    def test_answers_are_bounded(self, connector: Connector) -> None:
        """No further request is served until the answers before it have left."""
        neighbour = connector.enter()
        http = Http(connector)
        http.get(OPEN)
        http.client.socket.room = 0
        for _ in range(3000):
            http.client.send(request("GET", "/socket.io/?EIO=9"), settle=False)
        connector.reactor.settle()
        transport = http.client.transport
        assert len(transport.dataBuffer) + transport._tempDataLen < 100_000
        assert len(transport.protocol._buffer) < 100_000
        assert transport not in connector.reactor.readers
        assert is_served(connector, neighbour)

    def test_for_too_long(self, make_socketio: Make) -> None:
        connector = make_socketio(outbox={"seconds": 5}, limits={"messages_per_second": 0})
        http = Http(connector)
        http.get(OPEN)
        http.client.socket.room = 0
        for _ in range(400):
            http.client.send(request("GET", "/socket.io/?EIO=9"), settle=False)
        connector.reactor.settle()
        connector.reactor.advance(4.9)
        assert not http.client.closed
        connector.reactor.advance(0.1)
        connector.reactor.settle()
        assert http.client.closed
        assert connector.counters.clients_slow == 1

    def test_who_reads_late_is_answered(self, make_socketio: Make) -> None:
        connector = make_socketio(limits={"messages_per_second": 0})
        http = Http(connector)
        http.client.socket.room = 100
        for _ in range(500):
            http.ask("GET", "/socket.io/?EIO=9")
        http.client.socket.room = 1 << 60
        connector.reactor.settle()
        answers = http.answers()
        assert {answer.status for answer in answers} == {400}
        for _ in range(500 - len(answers)):
            http._methods.pop()  # what was not read was not sent
        assert http.get(OPEN).status == 200

    def test_a_long_poll_that_is_not_read(self, make_socketio: Make) -> None:
        """Its answer waits on its connection, and that is cut off."""
        connector = make_socketio(outbox={"seconds": 5})
        poller = connected(connector)
        push(poller.session, "on1", "x" * 500_000)
        connector.reactor.settle()
        poller.polls.client.socket.room = 10
        poller.poll()
        connector.reactor.advance(5)
        connector.reactor.settle()
        assert poller.polls.client.closed
        assert connector.counters.clients_slow == 1


class TestFloods:
    def test_of_requests_for_nothing(self, connector: Connector) -> None:
        """As many as of messages, and then the connection is closed."""
        http, poller = Http(connector), connected(connector)
        for _ in range(400):
            assert http.get("/socket.io/?EIO=9").status == 400
        answer = http.get("/socket.io/?EIO=9")
        assert (answer.status, answer.fields["connection"]) == (429, "close")
        assert http.closed
        assert connector.counters.clients_flooding == 1
        poller.say("3")

    @pytest.mark.parametrize(
        ("method", "target"),
        [
            ("GET", OPEN),
            ("OPTIONS", OPEN),
            ("GET", "/socket.io/1/"),
            ("GET", "/socket.io/1/xhr-polling/x"),
            ("GET", "/socket.io/1//x/?disconnect=1"),
            ("POST", OPEN + "&sid=x"),
        ],
    )
    def test_of_all_kinds(self, make_socketio: Make, method: str, target: str) -> None:
        connector = make_socketio(limits={"messages_per_second": 1, "message_burst": 20})
        http = Http(connector)
        for _ in range(20):
            http.ask(method, target)
            assert http.answer().status in (200, 400)
        http.ask(method, target)
        assert http.answer().status == 429

    def test_polls_are_no_flood(self, make_socketio: Make) -> None:
        """As many come as there is something to say."""
        connector = make_socketio(limits={"messages_per_second": 1, "message_burst": 1})
        poller = connected(connector)
        for number in range(100):
            push(poller.session, "on1", number)
            assert poller.packets() == [f'42["on1",{number}]']

    def test_no_limit(self, make_socketio: Make) -> None:
        connector = make_socketio(limits={"messages_per_second": 0})
        http = Http(connector)
        assert {http.get("/socket.io/?EIO=9").status for _ in range(1000)} == {400}


@given(cuts=st.lists(st.integers(0, 900), max_size=20))
def test_however_it_is_cut(cuts: list[int]) -> None:
    """The same conversation, whatever a proxy splits and joins."""
    connector = Connector(socketio={})
    poller = connected(connector)
    body = '42["a.b.c","你好"]\x1e420["d.e.f"]'.encode()
    chunked = b"".join(b"%x\r\n%c\r\n" % (1, byte) for byte in body) + b"0\r\n\r\n"
    said = (
        request("GET", "/socket.io/?EIO=9", Origin="http://x.example")
        + posting(poller, body)
        + request("POST", poller.target, Transfer_Encoding="chunked", Content_Length="")
        + chunked
        + request("OPTIONS", poller.target)
        + request("GET", poller.target)
    )
    http = Http(connector)
    http._methods += ["GET", "POST", "POST", "OPTIONS", "GET"]
    places = sorted({min(each, len(said)) for each in cuts} | {0, len(said)})
    for start, stop in pairwise(places):
        http.client.send(said[start:stop])
    assert [(each.status, each.text) for each in http.answers()] == [
        (400, '{"code":5,"message":"Unsupported protocol version"}'),
        (200, "ok"),
        (200, "ok"),
        (200, ""),
    ]
    assert [asked.message.route for asked in connector.asked] == ["a.b.c", "d.e.f"] * 2
    push(poller.session, "on1", 1)
    connector.reactor.settle()
    assert http.answer().text == '42["on1",1]'
    connector.finish()


@given(said=st.lists(st.binary(max_size=60), max_size=6))
def test_anything_at_all(said: list[bytes]) -> None:
    connector = Connector(socketio={})
    neighbour = connected(connector)
    starts = [
        request("GET", OPEN),
        request("POST", neighbour.target + "x", Content_Length="50"),
        request("POST", neighbour.target + "x", Transfer_Encoding="chunked", Content_Length=""),
        b"GET /socket.io/ HTTP/1.1\r\n",
    ]
    for start in starts:
        client = connector.connect()
        for piece in (start, *said):
            if piece:
                client.send(piece)
        client.hang_up()
    neighbour.say('42["a.b.c"]')
    assert len(connector.asked) == 1
    neighbour.hang_up()
    connector.finish()


def test_websockets_beside_it(connector: Connector) -> None:
    """Nothing of this is in the way of others."""
    socket, web = Socket(connector), Web(connector, "/")
    assert socket.connect().startswith("40")
    assert web.status == 101
    assert is_served(connector, connector.enter())
