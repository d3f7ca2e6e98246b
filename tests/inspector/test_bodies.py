"""What boxes carry is decoded as declared, and shown without secrets."""

from __future__ import annotations

import datetime
import decimal
import json
from pathlib import Path
from typing import Any

import pytest
from twisted.protocols import amp
from twisted.python.filepath import FilePath

from chatcore.errors import ConfigError
from chatcore.inspector.commands import Dictionary, load
from chatcore.inspector.redaction import HIDDEN, Redaction
from chatcore.inspector.values import shown, shown_bytes
from chatcore.links.commands import Call
from chatcore.wire.box import Box, split

from . import arithmetic

RULE = Redaction()
KNOWN = Dictionary([arithmetic])


def body(command: bytes, box: Box, kind: str = "ask", known: Dictionary = KNOWN) -> Any:
    found = known.body(command, kind, box, RULE)
    json.dumps(found, allow_nan=False)
    return found


class Connection(amp.AMP):
    """What arguments need to be encoded."""

    def _sendFileDescriptor(self, descriptor: int) -> int:
        return 0


def everything() -> amp.AmpBox:
    when = datetime.datetime(2024, 2, 3, 4, 5, 6, 7, amp.utc)
    row = {"name": "bob", "password": "hunter2"}
    objects = {
        "integer": -(10**30),
        "string": b"\x00\xff",
        "float": 0.5,
        "boolean": True,
        "unicode": "é",
        "path": FilePath("/tmp/x"),
        "list_of": [1, 2],
        "rows": [row, {**row, "name": "eve"}],
        "descriptor": 1,
        "decimal": decimal.Decimal("1.50"),
        "when": when,
    }
    return arithmetic.Everything.makeArguments(objects, Connection())


EVERYTHING = {
    "integer": -(10**30),
    "string": {"hex": "00ff"},
    "float": 0.5,
    "boolean": True,
    "unicode": "é",
    "path": "/tmp/x",
    "list_of": [1, 2],
    "rows": [{"name": "bob", "password": HIDDEN}, {"name": "eve", "password": HIDDEN}],
    "descriptor": "descriptor 0",
    "decimal": "1.50",
    "when": "2024-02-03T04:05:06.000007+00:00",
}


def test_all_arguments_of_amp() -> None:
    assert body(b"Everything", everything()) == EVERYTHING


@pytest.mark.parametrize("text", [b"x", b"exit"])
def test_an_argument_that_raises_costs_only_itself(text: bytes) -> None:
    found = body(b"Everything", everything() | {b"picky": text})
    picky = found.pop("picky")
    assert found == EVERYTHING
    assert picky["raw"] == text.decode()
    assert picky["unreadable"].startswith(("RuntimeError: not b'x'", "SystemExit: 3"))


@pytest.mark.parametrize("name", [key for key, argument in arithmetic.Everything.arguments])
def test_damaged_arguments(name: bytes) -> None:
    found = body(b"Everything", everything() | {name: b"\xff"})
    others = body(b"Everything", everything())
    key = name.decode().replace("-", "_")
    assert {k: v for k, v in found.items() if k not in (key, name.decode())} == {
        k: v for k, v in others.items() if k != key
    }
    if name not in (b"string", b"list-of", b"rows"):  # of lists, AMP takes what is whole
        assert found[name.decode()]["raw"] == {"hex": "ff"}


def test_missing_and_undeclared_arguments() -> None:
    assert body(b"Sum", {b"_ask": b"1", b"_command": b"Sum", b"a": b"1", b"c": b"\x01"}) == {
        "a": 1,
        "b": {"unreadable": "it is not there"},
        "c": {"hex": "01"},
    }


def test_answers_are_decoded_as_responses() -> None:
    assert body(b"Divide", {b"_answer": b"1", b"result": b"inf"}, "answer") == {"result": "inf"}


def test_what_nobody_declares_is_shown_as_it_is() -> None:
    box = {b"_command": b"Other", b"text": b"a\nb", b"none": b"", b"raw": b"\x80", b"\xff": b"1"}
    assert body(b"Other", box) == {
        "text": "a\nb",
        "none": "",
        "raw": {"hex": "80"},
        "\\xff": "1",
    }


def test_values_of_chatcore_over_several_keys() -> None:
    objects = {"service": "chatRemote", "method": "add", "args": ["x" * 70_000]}
    box = Call.makeArguments(objects, amp.AMP())
    found = body(b"Call", box, known=load(["chatcore.links.commands"]))
    assert found == objects


def test_a_secret_that_is_too_long_for_one_key_is_hidden_in_all() -> None:
    packed = b"\x81\xa8password\xda" + b"\xffsecret" * 20_000
    assert body(b"Other", dict(split(b"args", packed))) == {"args": HIDDEN}
    assert body(b"Other", dict(split(b"my.token", b"t" * 140_000))) == {"my.token": HIDDEN}
    text = "x" * 140_000
    assert body(b"Other", {**dict(split(b"text", text.encode())), b"text.x": b"1"}) == {
        "text": text,
        "text.x": "1",
    }
    assert body(b"Other", {b"a": b"1", b"a.1": b"2"}) == {"a": "1", "a.1": "2"}


class TestLoading:
    def test_no_such_module(self) -> None:
        with pytest.raises(ConfigError, match=r"there is no module 'nowhere\.at\.all'"):
            load(["nowhere.at.all"])

    @pytest.mark.parametrize("name", ["", ".relative", "a..b"])
    def test_no_name(self, name: str) -> None:
        with pytest.raises(ConfigError):
            load([name])

    def test_no_commands_in_it(self) -> None:
        with pytest.raises(ConfigError, match=r"no subclass of .*Command stands in json"):
            load(["json"])

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("import nowhere_at_all", "ModuleNotFoundError"),
            ("1/0", "ZeroDivisionError"),
            ("raise SystemExit(3)", "SystemExit"),
            ("def", "SyntaxError"),
        ],
    )
    def test_a_module_that_can_not_be_imported(self, text: str, why: str, tmp_path: Path) -> None:
        name = f"broken_{why.lower()}"
        (tmp_path / f"{name}.py").write_text(text)
        with pytest.raises(ConfigError, match=f"the module '{name}' can't be imported: {why}"):
            load([name], folder=str(tmp_path))


class TestRedaction:
    @pytest.mark.parametrize(
        "name", ["password", "db_password", "X-Api-Key", "accessToken", "Set-Cookie", "SECRET"]
    )
    def test_names(self, name: str) -> None:
        assert shown(name, "value", RULE) == HIDDEN
        assert shown("outer", [{name: "value", "b": 1}], RULE) == [{name: HIDDEN, "b": 1}]
        assert shown("json", json.dumps({name: "value"}).encode(), RULE) == json.dumps(
            {name: HIDDEN}
        )
        assert shown("packed", b"\x81\xa8" + name.encode() + b"\x00hunter2", RULE) == HIDDEN
        assert shown("text", f"user=a {name}=hunter2", RULE) == HIDDEN

    @pytest.mark.parametrize("text", ["the password was wrong", "1:2", '{"a": "b"}', "[", "{x"])
    def test_harmless_texts(self, text: str) -> None:
        assert shown("text", text, RULE) == text

    def test_urls_with_passwords(self) -> None:
        assert shown("url", "redis://:hunter2@example.org/0", RULE) == HIDDEN

    @pytest.mark.parametrize(
        "text",
        [
            "password" * 50_000,
            "://" + "a:" * 200_000,
            "token " * 50_000,
            "password" + " " * 400_000,
        ],
        ids=["names", "url", "words", "spaces"],
    )
    def test_texts_that_are_made_to_take_long(self, text: str) -> None:
        assert shown("text", text, RULE) == text

    def test_json_that_is_too_deep(self) -> None:
        deep = "[" * 900 + "]" * 900
        deeper = "[" * 100_000 + "]" * 100_000
        for text in (deep, deeper):
            assert shown_bytes("text", text.encode(), RULE) in (text, HIDDEN)

    def test_more_names(self) -> None:
        assert shown("pin_code", 1234, Redaction(["PIN"])) == HIDDEN
        assert shown("pin_code", 1234, RULE) == 1234

    def test_off(self) -> None:
        everything = Redaction(["pin"], off=True)
        assert shown("password", "token=1", everything) == "token=1"
        assert shown("raw", b"\x00password", everything) == {"hex": b"\x00password".hex()}

    def test_an_argument_that_is_unreadable_says_no_secret(self) -> None:
        class Typed(amp.Command):
            commandName = b"Typed"
            arguments = [(b"token", amp.Integer())]

        known = Dictionary()
        known.commands[b"Typed"] = Typed
        assert body(b"Typed", {b"token": b"s3cr3t"}, known=known) == {
            "token": {"unreadable": "ValueError", "raw": HIDDEN}
        }


class Rude:
    def __init__(self, problem: type[BaseException]) -> None:
        self.problem = problem

    def __repr__(self) -> str:
        raise self.problem


def test_values_that_can_not_be_shown() -> None:
    deep: Any = []
    for _ in range(100):
        deep = [deep]
    for problem in (RuntimeError, SystemExit):
        told = f"[Rude that can't be shown: {problem.__name__}]"
        assert shown("rude", Rude(problem), RULE) == told
    assert "too deep" in json.dumps(shown("deep", deep, RULE))
    assert shown("huge", 1 << 50_000, RULE).startswith("0x1")
