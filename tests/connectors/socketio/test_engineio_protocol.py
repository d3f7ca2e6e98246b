"""Engine.IO, revisions 3 and 4, clause by clause: the protocol's documents and their test suites.

What a client says and hears, byte by byte, over both transports.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatcore.connectors.socketio.polling import MOST_PACKETS
from chatcore.connectors.socketio.shared import FAREWELL_SECONDS
from chatcore.wire.body import Body

from ..clients import Connector, frame
from .clients import Http, Poller, Socket, Web

BOTH = pytest.mark.parametrize("revision", [3, 4])
KEYS = {"sid", "upgrades", "pingInterval", "pingTimeout"}


def payload(revision: int, *packets: str) -> bytes:
    """Packets as they stand in a request or an answer of polling."""
    if revision == 4:
        return "\x1e".join(packets).encode()
    return "".join(f"{len(packet)}:{packet}" for packet in packets).encode()


def echo(connector: Connector) -> None:
    """Have every event pushed back to who sent it, as the suites' server does."""

    def serve(session: Any, message: Any, reply: Any) -> None:
        encoding, outbox = session.connection.encoding, session.connection.outbox
        outbox.push(encoding.push(message.route, encoding_body(message)), message.route)

    connector.serve = serve


def encoding_body(message: Any) -> Any:
    return Body(message.value) if message.value is not None else Body(None, message.body)


def connected(connector: Connector, revision: int) -> Poller:
    poller = Poller(connector, revision)
    if revision == 4:
        poller.connect()
    else:
        poller.say("6")  # as real clients do, it comes back at once
    return poller


class TestHandshake:
    @BOTH
    def test_polling(self, connector: Connector, revision: int) -> None:
        http = Http(connector)
        answer = http.get(f"/socket.io/?EIO={revision}&transport=polling")
        assert answer.status == 200
        assert answer.fields["content-type"] == "text/plain; charset=UTF-8"
        if revision == 3:  # the packet that connects to the first namespace comes with it
            size, _, text = answer.text.partition(":")
            text, more = text[: int(size)], text[int(size) :]
            assert more == "2:40"
        else:
            text = answer.text
        assert text[0] == "0"
        said = json.loads(text[1:])
        assert set(said) == (KEYS if revision == 3 else KEYS | {"maxPayload"})
        assert isinstance(said["sid"], str)
        assert len(said["sid"]) == 20
        assert said["upgrades"] == ["websocket"]
        assert (said["pingInterval"], said["pingTimeout"]) == (25000, 20000)
        if revision == 4:
            assert said["maxPayload"] == 1_000_000

    @BOTH
    def test_websocket(self, connector: Connector, revision: int) -> None:
        socket = Web(connector, f"/socket.io/?EIO={revision}&transport=websocket")
        assert socket.status == 101
        first, *more = socket.packets()
        assert first[0] == "0"
        said = json.loads(first[1:])
        assert set(said) >= KEYS
        assert said["upgrades"] == []
        assert more == (["40"] if revision == 3 else [])

    def test_ids_are_unlike(self, connector: Connector) -> None:
        sids = {Socket(connector).sid for _ in range(10)} | {Poller(connector).sid}
        assert len(sids) == 11

    @pytest.mark.parametrize("query", ["EIO=abc&", "EIO=&", "EIO=5&", "EIO=44&", "EIO=4.0&"])
    def test_a_revision_that_there_is_not(self, connector: Connector, query: str) -> None:
        answer = Http(connector).get(f"/socket.io/?{query}transport=polling")
        assert answer.status == 400
        assert answer.fields["content-type"] == "application/json"
        assert answer.json == {"code": 5, "message": "Unsupported protocol version"}
        web = Web(connector, f"/socket.io/?{query}transport=websocket")
        assert web.refusal == (400, "Unsupported protocol version\n")
        assert web.closed

    def test_who_names_no_revision_speaks_the_third(self, connector: Connector) -> None:
        """As engine.io has it: clients of 1.0 named none that is worth anything."""
        answer = Http(connector).get("/socket.io/?transport=polling&b64=1")
        assert (answer.status, answer.text[-4:]) == (200, "2:40")

    @BOTH
    @pytest.mark.parametrize("query", ["", "&transport=", "&transport=abc", "&transport=Polling"])
    def test_a_transport_that_there_is_not(
        self, connector: Connector, revision: int, query: str
    ) -> None:
        answer = Http(connector).get(f"/socket.io/?EIO={revision}{query}")
        assert answer.status == 400
        assert answer.json == {"code": 0, "message": "Transport unknown"}
        web = Web(connector, f"/socket.io/?EIO={revision}{query}")
        assert web.refusal == (400, "Transport unknown\n")

    @BOTH
    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD"])
    def test_a_method_that_shakes_no_hands(
        self, connector: Connector, revision: int, method: str
    ) -> None:
        http = Http(connector)
        http.ask(method, f"/socket.io/?EIO={revision}&transport=polling")
        answer = http.answer()
        assert answer.status == 400
        if method != "HEAD":
            assert answer.json == {"code": 2, "message": "Bad handshake method"}
        assert http.get(f"/socket.io/?EIO={revision}&transport=polling").status == 200

    @BOTH
    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "CONNECT"])
    def test_a_method_that_neither_polls_nor_posts(
        self, connector: Connector, revision: int, method: str
    ) -> None:
        """It is nobody's: who polls does not notice."""
        poller = connected(connector, revision)
        poller.poll()
        http = Http(connector)
        http.ask(method, poller.target)
        answer = http.answer()
        assert answer.status == 400
        if method != "HEAD":
            assert answer.json == {"code": 2, "message": "Bad handshake method"}
        assert poller.polls.waits == 1

    @BOTH
    def test_a_websocket_that_is_asked_for_without_one(
        self, connector: Connector, revision: int
    ) -> None:
        answer = Http(connector).get(f"/socket.io/?EIO={revision}&transport=websocket")
        assert answer.status == 400
        assert answer.json["code"] in (0, 3)

    @BOTH
    def test_polling_that_asks_for_a_websocket(self, connector: Connector, revision: int) -> None:
        web = Web(connector, f"/socket.io/?EIO={revision}&transport=polling")
        assert web.status == 400

    @BOTH
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_an_id_of_another_node(self, make_socketio: Any, revision: int, method: str) -> None:
        """No load balancer has to know who belongs where: such a client is told to begin anew."""
        here, there = make_socketio(), make_socketio()
        poller = connected(there, revision)
        http = Http(here)
        http.ask(method, poller.target, b"2" if method == "POST" else b"")
        answer = http.answer()
        assert (answer.status, answer.json) == (400, {"code": 1, "message": "Session ID unknown"})
        web = Web(here, poller.target.replace("polling", "websocket"))
        assert web.refusal == (400, "Session ID unknown\n")
        poller.poll()
        assert poller.polls.waits == 1

    def test_compression_is_not_agreed_on(self, connector: Connector) -> None:
        """So nothing that is small when it comes can be large here."""
        target = "/socket.io/?EIO=4&transport=websocket"
        web = Web(
            connector, target, Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits"
        )
        assert web.status == 101
        assert "extensions" not in web.head.lower()
        web.packets()
        web.client.send(frame(b"\x02\x00", 1, rsv=4))
        assert web.packets() == []
        assert (web.code, web.closed) == (1002, True)


class TestMessages:
    """The suites' server sends back what it hears; here events come back as pushes."""

    @BOTH
    def test_one_text_by_polling(self, connector: Connector, revision: int) -> None:
        echo(connector)
        poller = connected(connector, revision)
        answer = poller.posts.post(poller.target, payload(revision, '42["a.b.c","hello"]'))
        assert (answer.status, answer.text) == (200, "ok")
        poller.poll()
        answer = poller.polls.answer()
        assert (answer.status, answer.body) == (200, payload(revision, '42["a.b.c","hello"]'))
        assert answer.fields["content-type"] == "text/plain; charset=UTF-8"

    @BOTH
    def test_several_texts_by_polling(self, connector: Connector, revision: int) -> None:
        echo(connector)
        poller = connected(connector, revision)
        said = payload(revision, *[f'42["a.b.c","{each}"]' for each in range(3)])
        assert poller.posts.post(poller.target, said).text == "ok"
        poller.poll()
        assert poller.polls.answer().body == said

    @BOTH
    def test_text_and_bytes_as_text_by_polling(self, connector: Connector, revision: int) -> None:
        echo(connector)
        poller = Poller(connector, revision, query="&b64=1")
        if revision == 4:
            poller.connect()
        mark = "bAQIDBA==" if revision == 4 else "b4AQIDBA=="
        said = payload(revision, '451-["a.b.c",{"_placeholder":true,"num":0}]', mark)
        assert poller.posts.post(poller.target, said).text == "ok"
        poller.poll()
        answer = poller.polls.answer()
        assert answer.body == said
        assert answer.fields["content-type"] == "text/plain; charset=UTF-8"

    def test_bytes_as_bytes_by_polling(self, connector: Connector) -> None:
        """Revision 3, to a client that takes them."""
        echo(connector)
        poller = Poller(connector, 3)
        text = b'451-["a.b.c",{"_placeholder":true,"num":0}]'
        said = b"\0\4\3\xff" + text + b"\1\5\xff\4\1\2\3\4"
        answer = poller.posts.post(poller.target, said, Content_Type="application/octet-stream")
        assert answer.text == "ok"
        poller.poll()
        answer = poller.polls.answer()
        assert answer.body == said
        assert answer.fields["content-type"] == "application/octet-stream"

    def test_beyond_ascii_as_bytes_by_polling(self, connector: Connector) -> None:
        """Revision 3 counts characters, and 1.x and 2.x disagree on what those are."""
        echo(connector)
        poller = Poller(connector, 3)
        poller.say('42["a.b.c","你好 é"]')
        poller.poll()
        answer = poller.polls.answer()
        assert answer.fields["content-type"] == "application/octet-stream"
        assert poller.decode(answer) == ['42["a.b.c","你好 é"]']

    @BOTH
    def test_a_text_by_websocket(self, connector: Connector, revision: int) -> None:
        echo(connector)
        socket = Socket(connector, revision)
        if revision == 4:
            socket.connect()
        socket.say('42["a.b.c","héllo 你好 😀"]')
        (back,) = socket.packets()
        assert json.loads(back[2:]) == ["a.b.c", "héllo 你好 😀"]

    @BOTH
    def test_bytes_by_websocket(self, connector: Connector, revision: int) -> None:
        echo(connector)
        socket = Socket(connector, revision)
        if revision == 4:
            socket.connect()
        data = b"\1\2\3\4" if revision == 4 else b"\4\1\2\3\4"
        socket.say('451-["a.b.c",{"_placeholder":true,"num":0}]')
        socket.say_bytes(data)
        assert socket.packets() == [
            '451-["a.b.c",{"_placeholder":true,"num":0}]',
            f"b{data.hex()}",
        ]

    @pytest.mark.parametrize(
        ("revision", "body"),
        [
            *[(revision, body) for revision in (3, 4) for body in ("abc", "", "9", "b4!", "\xff")],
            *[(3, body) for body in ("4:1", "12:4", "x:4", "-1:4", "1:9", "1:43:40")],
        ],
    )
    def test_what_is_no_packet_by_polling(
        self, connector: Connector, revision: int, body: str
    ) -> None:
        poller = connected(connector, revision)
        poller.poll()
        answer = poller.posts.post(poller.target, body.encode("latin-1"))
        assert answer.status == 400
        assert poller.polled() == ["1"]
        assert poller.polls.get(poller.target).json == {"code": 1, "message": "Session ID unknown"}
        assert connector.counters.clients_broken == 1

    @BOTH
    def test_more_packets_than_anybody_needs(self, make_socketio: Any, revision: int) -> None:
        connector = make_socketio(limits={"messages_per_second": 0})
        poller = connected(connector, revision)
        assert poller.post(*["6"] * MOST_PACKETS).status == 200
        assert poller.post(*["6"] * (MOST_PACKETS + 1)).status == 400
        assert connector.counters.clients_broken == 1

    def test_bytes_where_the_fourth_revision_has_text(self, connector: Connector) -> None:
        poller = connected(connector, 4)
        answer = poller.posts.post(
            poller.target, b"\0\2\xff42", Content_Type="application/octet-stream"
        )
        assert answer.status == 400
        assert poller.polls.get(poller.target).json["code"] == 1

    @BOTH
    @pytest.mark.parametrize("packet", ["abc", "9", "", "0{}", "5"])
    def test_what_is_no_packet_by_websocket(
        self, connector: Connector, revision: int, packet: str
    ) -> None:
        socket = Socket(connector, revision)
        socket.say(packet)
        assert socket.packets() == []
        assert socket.code == 1002
        assert socket.closed


class TestHeartbeats:
    def test_of_the_server_by_polling(self, connector: Connector) -> None:
        poller = connected(connector, 4)
        for _ in range(3):
            poller.poll()
            connector.reactor.advance(25)
            connector.reactor.settle()
            assert poller.polled() == ["2"]
            poller.say("3")
        assert poller.session is not None

    def test_of_the_server_by_websocket(self, connector: Connector) -> None:
        socket = Socket(connector)
        socket.connect()
        for _ in range(3):
            connector.reactor.advance(25)
            connector.reactor.settle()
            assert socket.packets() == ["2"]
            socket.say("3")
        assert not socket.closed

    def test_of_the_client_by_polling(self, connector: Connector) -> None:
        poller = connected(connector, 3)
        for _ in range(3):
            poller.poll()
            connector.reactor.advance(25)
            connector.reactor.settle()
            assert poller.polls.waits == 1
            poller.say("2")
            assert poller.polled() == ["3"]

    def test_of_the_client_by_websocket(self, connector: Connector) -> None:
        socket = Socket(connector, 3)
        for _ in range(3):
            connector.reactor.advance(44)
            connector.reactor.settle()
            socket.say("2")
            assert socket.packets() == ["3"]

    def test_they_carry_what_is_asked_of_them(self, connector: Connector) -> None:
        socket = Socket(connector, 3)
        socket.say("2probe")
        assert socket.packets() == ["3probe"]

    @BOTH
    def test_who_gives_none_by_polling_is_gone(self, connector: Connector, revision: int) -> None:
        poller = connected(connector, revision)
        connector.reactor.advance(25)
        if revision == 4:
            assert poller.packets() == ["2"]
        poller.poll()
        connector.reactor.advance(20)
        connector.reactor.settle()
        assert poller.polled() == ["1"]
        assert poller.polls.get(poller.target).status == 400
        assert connector.counters.clients_silent == 1
        assert connector.counters.sessions_now == 0

    @BOTH
    def test_who_gives_none_by_websocket_is_gone(self, connector: Connector, revision: int) -> None:
        socket = Socket(connector, revision)
        if revision == 4:
            socket.connect()
        connector.reactor.advance(44.9)
        connector.reactor.settle()
        assert not socket.closed
        connector.reactor.advance(0.1)
        connector.reactor.settle()
        assert socket.packets() == (["2"] if revision == 4 else [])
        assert socket.code == 1008
        assert socket.closed

    @BOTH
    def test_whatever_comes_is_a_sign_of_life(self, connector: Connector, revision: int) -> None:
        socket = Socket(connector, revision)
        if revision == 4:
            socket.connect()
        for _ in range(5):
            connector.reactor.advance(40)
            connector.reactor.settle()
            socket.say('42["a.b.c"]')
        assert not socket.closed

    def test_in_the_wrong_direction(self, connector: Connector) -> None:
        socket = Socket(connector)
        socket.say("2")
        assert socket.packets() == []
        assert socket.code == 1002


class TestClose:
    @BOTH
    def test_by_a_client_that_polls(self, connector: Connector, revision: int) -> None:
        """Its poll is answered with a packet that means nothing, and its id is forgotten."""
        poller = connected(connector, revision)
        poller.poll()
        poller.say("1")
        answer = poller.polls.answer()
        assert (answer.status, answer.body) == (200, payload(revision, "6"))
        assert poller.polls.get(poller.target).json == {"code": 1, "message": "Session ID unknown"}
        assert connector.counters.sessions_now == 0

    @BOTH
    def test_by_a_client_that_polls_no_more(self, connector: Connector, revision: int) -> None:
        poller = connected(connector, revision)
        poller.say("1")
        assert poller.polls.get(poller.target).json == {"code": 1, "message": "Session ID unknown"}

    @BOTH
    def test_what_follows_it_is_not_heard(self, connector: Connector, revision: int) -> None:
        poller = connected(connector, revision)
        poller.say('42["a.b.c"]', "1", '42["d.e.f"]')
        assert [asked.message.route for asked in connector.asked] == ["a.b.c"]
        poller.posts.post(poller.target, payload(revision, '42["d.e.f"]'))
        assert len(connector.asked) == 1

    @BOTH
    def test_by_websocket(self, connector: Connector, revision: int) -> None:
        socket = Socket(connector, revision)
        socket.say("1")
        assert socket.packets() == []
        assert socket.code == 1000
        socket.answer_close()
        assert socket.closed

    @BOTH
    def test_by_the_server_to_who_polls(self, connector: Connector, revision: int) -> None:
        poller = connected(connector, revision)
        poller.poll()
        poller.client.close("enough")
        answer = poller.polls.answer()
        assert (answer.status, answer.body) == (200, payload(revision, "1"))
        assert poller.polls.get(poller.target).status == 400

    @BOTH
    def test_by_the_server_between_two_polls(self, connector: Connector, revision: int) -> None:
        """It waits for the next poll, longer than others may take to answer a close."""
        poller, other = connected(connector, revision), connected(connector, revision)
        poller.client.close("enough")
        other.client.close("enough")
        answer = poller.post('42["a.b.c"]')
        assert (answer.status, answer.json["code"]) == (400, 1)
        assert poller.packets() == ["1"]
        assert poller.polls.get(poller.target).status == 400
        connector.reactor.advance(FAREWELL_SECONDS)
        assert other.polls.get(other.target).status == 400

    @BOTH
    @pytest.mark.parametrize("polled", [False, True])
    def test_by_the_server_after_messages(
        self, connector: Connector, revision: int, polled: bool
    ) -> None:
        """The libraries close at once, and those of 4.x forget what came in the same answer."""
        poller = connected(connector, revision)
        if polled:
            poller.poll()
        poller.client.outbox.send(poller.session.connection.encoding.push("on1", Body(1)))
        poller.client.close("enough")
        if not polled:
            poller.poll()
        assert poller.polled() == ['42["on1",1]']
        assert poller.packets() == ["1"]
        assert poller.polls.get(poller.target).json["code"] == 1

    @BOTH
    def test_a_poll_that_is_broken_off(self, connector: Connector, revision: int) -> None:
        """So it looks when a page is closed."""
        poller = connected(connector, revision)
        poller.poll()
        assert connector.counters.sessions_now == 1
        poller.polls.hang_up()
        assert connector.counters.sessions_now == 0
        assert poller.post('42["a.b.c"]').json["code"] == 1

    @BOTH
    def test_a_connection_that_ends_between_two_polls_means_nothing(
        self, connector: Connector, revision: int
    ) -> None:
        """Clients and proxies open others as they like."""
        poller = connected(connector, revision)
        poller.polls.hang_up()
        poller.posts.hang_up()
        poller.polls, poller.posts = Http(connector), Http(connector)
        poller.say('42["a.b.c"]')
        assert len(connector.asked) == 1
        poller.poll()
        assert poller.polls.waits == 1


class TestOneAtATime:
    @BOTH
    def test_two_polls(self, connector: Connector, revision: int) -> None:
        poller, neighbour = connected(connector, revision), connected(connector, revision)
        neighbour.poll()
        poller.poll()
        second = Http(connector).get(poller.target)
        assert second.status == 400
        answer = poller.polls.answer()
        assert (answer.status, answer.body) == (200, payload(revision, "1"))
        assert poller.polls.get(poller.target).status == 400
        assert neighbour.polls.waits == 1
        assert connector.counters.clients_broken == 1

    @BOTH
    def test_two_posts(self, connector: Connector, revision: int) -> None:
        poller, neighbour = connected(connector, revision), connected(connector, revision)
        poller.poll()
        first, second = Http(connector), Http(connector)
        first.ask("POST", poller.target, Content_Length="10")
        assert first.waits == 1
        assert second.post(poller.target, payload(revision, '42["a.b.c"]')).status == 400
        assert poller.polled() == ["1"]
        assert connector.asked == []
        assert poller.polls.get(poller.target).status == 400
        neighbour.say('42["a.b.c"]')
        assert len(connector.asked) == 1

    @BOTH
    def test_one_after_the_other(self, connector: Connector, revision: int) -> None:
        poller = connected(connector, revision)
        for number in range(5):
            poller.posts = Http(connector)
            poller.say(f'42["a.b.c",{number}]')
        assert [asked.message.body for asked in connector.asked] == [b"0", b"1", b"2", b"3", b"4"]
