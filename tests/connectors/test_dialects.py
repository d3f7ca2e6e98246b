"""Route codes and protobuf between a frontend and its clients."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from chatcore.channels.groups import GroupTable
from chatcore.connectors.encoding import Dialects
from chatcore.connectors.settings import ConnectorSettings
from chatcore.wire import message, package
from chatcore.wire.body import Body
from chatcore.wire.dictionary import Dictionary
from chatcore.wire.protobuf import Protos

from .clients import Client, Connector

Make = Callable[..., Connector]

ROUTES = Dictionary(["chat.chatHandler.send", "connector.entryHandler.enter"], ["onChat"])
SERVER = {
    "onChat": {"required string msg": 1, "required string from": 2},
    "chat.chatHandler.send": {"required uInt32 count": 1},
}
CLIENT = {"chat.chatHandler.send": {"required string content": 1}}


def protos(**more: Any) -> Protos:
    return Protos(server=SERVER | more, client=CLIENT)


def greet(connector: Connector, type: str = "js-websocket", **sys: Any) -> tuple[Client, Any]:
    """A client that comes in, and what it is told in the handshake's `sys`."""
    client = connector.open()
    client.say((package.HANDSHAKE, json.dumps({"sys": {"type": type, **sys}}).encode()))
    ((_, reply),) = client.packages()
    client.say((package.ACK, b""))
    client.session = list(connector.sessions)[-1]
    return client, json.loads(reply)["sys"]


def enter(connector: Connector, type: str = "js-websocket") -> Client:
    return greet(connector, type)[0]


def push(connector: Connector, route: str, value: Any) -> None:
    groups = GroupTable(
        sessions=connector.sessions, gone=lambda *gone: None, counters=connector.counters
    )
    body = Body(value)
    groups.push_to_sessions(connector.sessions, route, lambda encoding: encoding.push(route, body))
    connector.reactor.settle()


class TestDictionary:
    @pytest.fixture
    def connector(self, make: Make) -> Connector:
        return make(welcome={"dialects": Dialects(dictionary=ROUTES)})

    def test_is_told_once(self, connector: Connector) -> None:
        _, sys = greet(connector)
        assert sys["dict"] == sys["routeToCode"] == dict(ROUTES.codes)
        assert sys["useDict"] is True
        _, known = greet(connector, dictVersion=sys["dictVersion"])
        assert known == {"useDict": True}

    def test_a_route_that_comes_as_a_code(self, connector: Connector) -> None:
        client = enter(connector)
        client.say((package.DATA, message.encode_request(1, 1, b"{}")))
        client.say((package.DATA, message.encode_notify("connector.entryHandler.enter", b"{}")))
        assert [asked.message.route for asked in connector.asked] == [
            "chat.chatHandler.send",
            "connector.entryHandler.enter",
        ]

    def test_an_unknown_code_stays_one(self, connector: Connector) -> None:
        client = enter(connector)
        client.say((package.DATA, message.encode_request(1, 999, b"{}")))
        assert connector.asked[0].message.route == 999

    def test_pushes_go_out_by_code(self, connector: Connector) -> None:
        client = enter(connector)
        push(connector, "onChat", {"msg": "hi"})
        push(connector, "onOther", {})
        assert client.packages() == [
            (package.DATA, b"\x07\x00\x03" + b'{"msg":"hi"}'),
            (package.DATA, message.encode_push("onOther", b"{}")),
        ]


class TestProtobuf:
    @pytest.fixture
    def dialects(self) -> Dialects:
        return Dialects(protos=protos(), json_responses=ConnectorSettings().json_responses)

    @pytest.fixture
    def connector(self, make: Make, dialects: Dialects) -> Connector:
        return make(welcome={"dialects": dialects})

    def test_is_told_once(self, connector: Connector, dialects: Dialects) -> None:
        _, sys = greet(connector)
        assert dialects.protos is not None
        assert sys["protos"]["version"] == dialects.protos.version
        _, known = greet(connector, protoVersion=dialects.protos.version)
        assert known == {"useProto": True}

    def test_pushes_with_a_schema_are_protobuf(self, connector: Connector) -> None:
        client = enter(connector)
        push(connector, "onChat", {"msg": "hi", "from": "bob", "more": 1})
        push(connector, "onOther", {"msg": "hi"})
        assert client.packages() == [
            (package.DATA, message.encode_push("onChat", b"\x0a\x02hi\x12\x03bob")),
            (package.DATA, message.encode_push("onOther", b'{"msg":"hi"}')),
        ]

    def test_astral_characters_reach_every_kind_of_client(self, connector: Connector) -> None:
        script, other = enter(connector, "js-websocket"), enter(connector, "unity-socket")
        push(connector, "onChat", {"msg": "😀", "from": ""})
        cesu = b"\x0a\x06\xed\xa0\xbd\xed\xb8\x80\x12\x00"
        assert script.packages() == [(package.DATA, message.encode_push("onChat", cesu))]
        utf8 = b"\x0a\x04\xf0\x9f\x98\x80\x12\x00"
        assert other.packages() == [(package.DATA, message.encode_push("onChat", utf8))]

    @pytest.mark.logs_failures
    def test_a_push_that_fits_no_schema_reaches_nobody(self, connector: Connector) -> None:
        client = enter(connector)
        push(connector, "onChat", {"msg": "hi"})
        push(connector, "onOther", {})
        assert client.packages() == [(package.DATA, message.encode_push("onOther", b"{}"))]
        assert connector.counters.pushes_failed == 1

    def ask(self, client: Client, connector: Connector, answer: Any) -> bytes:
        body = b"\x0a\x02hi"
        client.say((package.DATA, message.encode_request(5, "chat.chatHandler.send", body)))
        asked = connector.asked[-1]
        encoding = asked.session.connection.encoding
        assert encoding.decode(asked.message) == {"content": "hi"}
        assert asked.reply is not None
        asked.reply(Body(answer))
        connector.reactor.settle()
        (reply,) = client.messages()
        assert reply.id == 5
        return reply.body

    def test_an_answer_with_a_schema(self, connector: Connector) -> None:
        assert self.ask(enter(connector), connector, {"count": 300}) == b"\x08\xac\x02"

    @pytest.mark.parametrize("type", ["desktop", "CSharp Client", "Java Client", "Python Client"])
    def test_an_answer_to_a_client_that_reads_json(self, connector: Connector, type: str) -> None:
        client = enter(connector, type)
        assert self.ask(client, connector, {"count": 300}) == b'{"count":300}'

    def test_a_refusal_that_fits_no_schema_is_empty(self, connector: Connector) -> None:
        assert self.ask(enter(connector), connector, {"code": 500}) == b""
        connector.count(clients_now=1, clients_accepted=1, sessions_now=1, requests=1)

    @pytest.mark.logs_failures
    def test_an_answer_that_does_not_fit(self, connector: Connector) -> None:
        assert self.ask(enter(connector), connector, {"count": -1}) == b""
        assert connector.counters.requests_failed == 1

    def test_new_schemas_are_for_those_who_come_then(
        self, connector: Connector, dialects: Dialects
    ) -> None:
        before = enter(connector)
        dialects.use(protos(onOther={"optional string msg": 1}))
        after = enter(connector)
        push(connector, "onOther", {"msg": "hi"})
        assert before.packages() == [
            (package.DATA, message.encode_push("onOther", b'{"msg":"hi"}'))
        ]
        assert after.packages() == [(package.DATA, message.encode_push("onOther", b"\x0a\x02hi"))]


def test_clients_of_one_transport_share_what_is_the_same_for_all(make: Make) -> None:
    connector = make(welcome={"dialects": Dialects(dictionary=ROUTES)})
    clients = [enter(connector, type) for type in ("js-websocket", "desktop", "unity-socket")]
    assert len({client.session.connection.encoding for client in clients}) == 1
