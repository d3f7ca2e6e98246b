"""Who is let in: the application's word on clients and handshakes, and signed messages."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from chatcore.connectors.parts import MOST_LINES
from chatcore.errors import ClientError
from chatcore.interfaces import IHandshake
from chatcore.wire import message, package
from chatcore.wire.body import Body

from .clients import CLOSE, HANDSHAKE, Client, Connector

Make = Callable[..., Connector]
KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)


def knock(connector: Connector, body: bytes = HANDSHAKE) -> Client:
    client = connector.open()
    client.say((package.HANDSHAKE, body))
    return client


def is_turned_away(client: Client, code: int) -> bool:
    (first, (opcode, _)) = client.frames()
    reply = b'{"code":%d}' % code
    return first == (2, package.encode(package.HANDSHAKE, reply)) and opcode == CLOSE


class TestCheckClient:
    def test_is_told_type_and_version(self, make: Make) -> None:
        seen = []
        connector = make(welcome={"check_client": lambda *said: seen.append(said) or True})
        assert knock(connector).packages()
        knock(connector, b'{"sys":{"version":7}}')
        assert seen == [("js-websocket", "0.0.1"), ("", "")]

    @pytest.mark.parametrize("late", [False, True])
    def test_one_that_is_too_old_is_answered_501(self, make: Make, late: bool) -> None:
        async def check(type: str, version: str) -> bool:
            return False

        connector = make(welcome={"check_client": check if late else lambda *said: False})
        assert is_turned_away(knock(connector), 501)
        connector.count(clients_accepted=1, clients_turned_away=1)


class TestHook:
    def test_adds_what_the_client_is_told(self, make: Make) -> None:
        seen: list[IHandshake] = []

        def hook(handshake: IHandshake) -> dict[str, Any]:
            seen.append(handshake)
            return {"name": "中😀"}

        connector = make(welcome={"hook": hook})
        client = knock(connector, b'{"sys":{"type":"c","version":"2"},"user":{"token":5}}')
        assert client.packages() == [
            (
                package.HANDSHAKE,
                '{"code":200,"sys":{},"user":{"name":"中\\ud83d\\ude00"}}'.encode(),
            )
        ]
        (handshake,) = seen
        assert (handshake.type, handshake.version, handshake.user) == ("c", "2", {"token": 5})
        assert handshake.address == ("192.0.2.1", 54321)

    def test_says_what_the_session_begins_with(self, make: Make) -> None:
        names = ["al", "ice"]

        def hook(handshake: IHandshake) -> None:
            handshake.settings.update(token=handshake.user["token"], names=names)

        connector = make(welcome={"hook": hook})
        client = knock(connector, b'{"sys":{},"user":{"token":5}}')
        client.say((package.ACK, b""))
        (session,) = connector.sessions
        names.clear()
        assert session.settings == {"token": 5, "names": ["al", "ice"]}

    @pytest.mark.logs_failures
    @pytest.mark.parametrize("settings", [{"token": object()}, {5: 1}])
    def test_says_what_no_session_can_begin_with(
        self, make: Make, settings: dict[Any, Any]
    ) -> None:
        connector = make(welcome={"hook": lambda handshake: handshake.settings.update(settings)})
        assert is_turned_away(knock(connector), 500)

    def test_may_take_its_time(self, make: Make) -> None:
        waiting: Deferred[Any] = Deferred()
        connector = make(welcome={"hook": lambda handshake: waiting})
        client = knock(connector)
        client.say((package.ACK, b""), (package.HANDSHAKE, HANDSHAKE))  # to nobody, as in Pomelo
        assert client.frames() == []
        waiting.callback(None)
        connector.reactor.settle()
        assert client.packages() == [(package.HANDSHAKE, b'{"code":200,"sys":{}}')]
        client.say((package.ACK, b""))
        assert len(connector.sessions) == 1

    def test_of_a_client_that_did_not_wait(self, make: Make) -> None:
        """It is called off: clients that come and go may not have any number of them run."""
        waiting: Deferred[Any] = Deferred()
        ended: list[str] = []

        async def hook(handshake: IHandshake) -> None:
            try:
                await waiting
            finally:
                ended.append("called off")

        connector = make(welcome={"hook": hook})
        client = knock(connector)
        client.hang_up()
        connector.reactor.settle()
        assert ended == ["called off"]
        waiting.callback({"late": True})
        assert client.frames() == []
        assert len(connector.sessions) == 0

    def test_that_closes_its_own_client(self, make: Make) -> None:
        waiting: Deferred[Any] = Deferred()

        async def hook(handshake: IHandshake) -> dict[str, str]:
            await waiting
            connector.parts.admission.blacklist.add(handshake.address[0])
            return {"too": "late"}

        connector = make(welcome={"hook": hook})
        client = knock(connector)
        waiting.callback(None)
        connector.reactor.settle()
        assert [opcode for opcode, _ in client.frames()] == [CLOSE]

    def test_refuses(self, make: Make) -> None:
        async def hook(handshake: IHandshake) -> None:
            raise ClientError(403)

        connector = make(welcome={"hook": hook})
        assert is_turned_away(knock(connector), 500)
        connector.count(clients_accepted=1, clients_turned_away=1)

    @pytest.mark.logs_failures
    @pytest.mark.parametrize("result", [ValueError("no"), {1: object()}])
    def test_that_fails_refuses(self, make: Make, result: Any) -> None:
        def hook(handshake: IHandshake) -> Any:
            if isinstance(result, Exception):
                raise result
            return result

        neighbour = make(welcome={"hook": hook})
        assert is_turned_away(knock(neighbour), 500)

    @pytest.mark.logs_failures
    def test_that_hangs_refuses_in_the_end(self, make: Make) -> None:
        connector = make(welcome={"hook": lambda handshake: Deferred()})
        client = knock(connector)
        connector.reactor.advance(5)
        connector.reactor.settle()
        assert is_turned_away(client, 500)


class TestSigned:
    def sign(self, body: bytes, key: rsa.RSAPrivateKey = KEY) -> bytes:
        signature = key.sign(body, PKCS1v15(), SHA256()).hex().encode()
        comma = b"" if body == b"{}" else b","
        return body[:-1] + comma + b'"__crypto__":"' + signature + b'"}'

    def enter(self, make: Make) -> tuple[Connector, Client]:
        connector = make(welcome={"signed": True})
        numbers = KEY.public_key().public_numbers()
        said = {"type": "js", "rsa": {"rsa_n": f"{numbers.n:x}", "rsa_e": numbers.e}}
        client = knock(connector, json.dumps({"sys": said}).encode())
        client.say((package.ACK, b""))
        client.frames()
        return connector, client

    @pytest.mark.parametrize(
        "body",
        [
            b"{}",
            b'{"content":"hi","n":1.50}',
            '{"content":"中文 é"}'.encode(),
            b'{"content":"\xed\xa0\xbd\xed\xb8\x80"}',
        ],
    )
    def test_a_body_arrives_without_its_signature(self, make: Make, body: bytes) -> None:
        connector, client = self.enter(make)
        client.say((package.DATA, message.encode_request(1, "a.b.c", self.sign(body))))
        (asked,) = connector.asked
        assert asked.message.body == body
        asked.reply(Body({}))
        client.say((package.DATA, message.encode_notify("a.b.c", self.sign(body))))
        assert len(connector.asked) == 2

    def test_text_that_was_signed_in_another_form(self, make: Make) -> None:
        connector, client = self.enter(make)
        text = '{"content":"é😀"}'
        halves = text.encode("utf-16-be")
        cesu = "".join(chr(halves[i] << 8 | halves[i + 1]) for i in range(0, len(halves), 2))
        forms = [cesu.encode("utf-8", "surrogatepass"), halves[1::2], text.encode()]
        for number, form in enumerate(forms, 1):
            signature = KEY.sign(form, PKCS1v15(), SHA256()).hex()
            body = f'{{"__crypto__":"{signature}",{text[1:]}'.encode()
            client.say((package.DATA, message.encode_request(number, "a.b.c", body)))
        assert [json.loads(a.message.body) for a in connector.asked] == [{"content": "é😀"}] * 3

    @pytest.mark.parametrize(
        "change",
        [
            lambda body: body.replace(b"hi", b"ho"),
            lambda body: b'{"content":"hi"}',
            lambda body: body[:-4] + b'00"}',
            lambda body: b'{"content":"hi","__crypto__":5}',
            lambda body: b'{"content":"hi","__crypto__":"abc"}',
            lambda body: b'{"content":"hi","__crypto__":""}',
            lambda body: b"5",
            lambda body: b"",
            lambda body: b"\xff",
        ],
    )
    def test_what_is_not_signed_is_refused(
        self, make: Make, change: Callable[[bytes], bytes]
    ) -> None:
        connector, client = self.enter(make)
        body = change(self.sign(b'{"content":"hi"}'))
        client.say((package.DATA, message.encode_request(9, "a.b.c", body)))
        assert client.packages() == [(package.DATA, message.encode_response(9, b'{"code":500}'))]
        client.say((package.DATA, message.encode_notify("a.b.c", body)))
        assert not connector.asked
        assert connector.counters.requests_refused == 2

    def test_by_somebody_else(self, make: Make) -> None:
        connector, client = self.enter(make)
        other = rsa.generate_private_key(public_exponent=65537, key_size=1024)
        body = self.sign(b"{}", other)
        client.say((package.DATA, message.encode_request(9, "a.b.c", body)))
        assert not connector.asked

    @pytest.mark.parametrize(
        "key",
        [
            None,
            {},
            "key",
            {"rsa_n": "xyz", "rsa_e": "10001"},
            {"rsa_n": "ff", "rsa_e": "10001"},
            {"rsa_n": "f" * 2000, "rsa_e": "10001"},
            {"rsa_n": "f" * 256, "rsa_e": 2},
            {"rsa_n": "f" * 256, "rsa_e": True},
            {"rsa_n": "f" * 256, "rsa_e": "1" * 40},
            {"rsa_n": "-" + "f" * 255, "rsa_e": 65537},
        ],
    )
    def test_without_a_usable_key_nobody_comes_in(self, make: Make, key: Any) -> None:
        connector = make(welcome={"signed": True})
        assert is_turned_away(knock(connector, json.dumps({"sys": {"rsa": key}}).encode()), 500)
        assert connector.counters.clients_broken == 1

    def test_a_public_exponent_in_hexadecimal(self, make: Make) -> None:
        connector = make(welcome={"signed": True})
        said = {"rsa": {"rsa_n": f"{KEY.public_key().public_numbers().n:x}", "rsa_e": "10001"}}
        client = knock(connector, json.dumps({"sys": said}).encode())
        assert client.packages() == [(package.HANDSHAKE, b'{"code":200,"sys":{}}')]


def test_a_flood_of_refused_handshakes_does_not_fill_the_log(make: Make) -> None:
    said: list[str] = []

    def note(event: LogEvent) -> None:
        if event["log_namespace"] == "chatcore.connectors.connection.Connection":
            said.append(formatEvent(event))

    connector = make(welcome={"check_client": lambda *of_client: False})
    globalLogPublisher.addObserver(note)
    try:
        for _ in range(20):
            knock(connector)
    finally:
        globalLogPublisher.removeObserver(note)
    assert (
        said[0] == 'The handshake of 192.0.2.1:54321 is refused: {"code":501} its client is too old'
    )
    assert len(said) == MOST_LINES
