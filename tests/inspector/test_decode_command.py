"""``chatcore inspect decode`` and ``show``."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from running import environment

from chatcore.inspector.capture import Event, Head, encode
from chatcore.links.commands import Call

from .boxes import box
from .commanding import inspect

STREAM = (
    box(_ask="1", _command="Sum", a="13", b="81")
    + box(_answer="1", total="94")
    + box(_ask="2", _command="Divide", numerator="1234", denominator="0")
    + b"HTTP/1.1 400\r\n"
    + box(_error="2", _error_code="ZERO_DIVISION", _error_description="no")
    + box(_ask="3", _command="Login", user="bob", password="hunter2")
)
COMMANDS = ("--commands", "tests.inspector.arithmetic")


def capture() -> bytes:
    """A recording of an ask, its answer, and one that nobody answers."""

    def event(kind: str, time: int, direction: str = "", data: bytes = b"") -> bytes:
        return encode(
            Event(kind, 10**15 + time, 1, "server", "client", direction, data)  # type: ignore[arg-type]
        )

    return (
        encode(Head({"program": "test"}))
        + event("open", 0)
        + event("box", 1, "in", box(_ask="1", _command="Sum", a="13", b="81"))
        + event("box", 1501, "out", box(_answer="1", total="94"))
        + event("box", 1600, "in", box(_ask="2", _command="Divide"))
        + event("tls", 1700, "in", b"\x16\x03")
        + event("end", 2600)
    )


def test_lines_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = inspect(monkeypatch, "decode", given=STREAM)
    assert [[line[place] for place in (4, 5, 8, 9)] for line in ran.lines] == [
        ["ask", "Sum", "-", "0"],
        ["answer", "Sum", "-", "40"],
        ["ask", "Divide", "-", "65"],
        ["garbage", "-", "a key of 18516 bytes at offset 127", "127"],
        ["resumed", "-", "-", "141"],
        ["error", "Divide", "ZERO_DIVISION: no", "141"],
        ["ask", "Login", "-", "206"],
        ["unanswered", "Login", "no answer", "206"],
    ]
    assert all(len(line) == 10 for line in ran.lines)
    assert ran.code == 1


def test_json_before_and_after_the_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "stream"
    file.write_bytes(STREAM)
    ran = inspect(monkeypatch, "--json", "-v", "decode", str(file), *COMMANDS)
    assert ran == inspect(monkeypatch, *COMMANDS, "decode", str(file), "-v", "--json")
    assert {"time", "node", "peer", "kind", "route", "size", "ms", "error"} <= set(ran.json[0])
    assert [each.get("body") for each in ran.json] == [
        {"a": 13, "b": 81},
        {"total": 94},
        {"numerator": 1234, "denominator": 0},
        None,
        None,
        {},
        {"user": "bob", "password": "[hidden]"},
        None,
    ]


def test_secrets_only_where_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = inspect(monkeypatch, "decode", "-v", "--show-secrets", given=STREAM)
    hidden = inspect(monkeypatch, "decode", "-v", "--redact", "user", given=STREAM)
    assert '"password": "hunter2"' in shown.out
    assert '{"password": "[hidden]", "user": "[hidden]"}' in hidden.out


def test_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = inspect(monkeypatch, "decode", "-v", given=STREAM, terminal=True)
    assert ran.out.splitlines()[:4] == [
        "at 0         ask        Sum  40 B",
        '    a="13"  b="81"',
        "at 40        answer     Sum  25 B",
        '    total="94"',
    ]
    assert ran.out.splitlines()[-1] == (
        "boxes: 5, asks: 3, answers: 1, errors: 1, asks without an answer: 1, "
        "bytes that are no boxes: 14"
    )


def test_live_bytes_have_times(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = inspect(monkeypatch, "decode", "--stamp", "--json", given=STREAM)
    assert ran.json[1]["ms"] >= 0
    assert ran.json[1]["time"] >= ran.json[0]["time"] > 1.6e9


def test_lines_come_at_once_and_an_interrupt_says_how_far_it_was() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "chatcore", "inspect", "--route", "S*", "decode"],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(STREAM[:40])
        process.stdin.flush()
        assert process.stdout.readline() == b"-\t-\t-\t-\task\tSum\t40\t-\t-\t0\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == b"chatcore: interrupted. boxes: 1, asks: 1\n"
    assert process.returncode == 130


def test_only_some(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = inspect(monkeypatch, "decode", "--route", "S*", "--route", "Log?n", given=STREAM)
    assert [line[4] for line in ran.lines] == ["ask", "answer", "ask", "unanswered"]
    ran = inspect(monkeypatch, "decode", "--errors", given=STREAM)
    assert [line[4] for line in ran.lines] == ["garbage", "error", "unanswered"]


@pytest.mark.parametrize("words", [("show", "-"), ("decode",)])
def test_captures(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    ran = inspect(monkeypatch, *words, given=capture())
    assert [[line[place] for place in (0, 3, 4, 5, 7)] for line in ran.lines] == [
        ["2001-09-09T01:46:40.000000Z", "-", "open", "-", "-"],
        ["2001-09-09T01:46:40.000001Z", "in", "ask", "Sum", "-"],
        ["2001-09-09T01:46:40.001501Z", "out", "answer", "Sum", "1.5"],
        ["2001-09-09T01:46:40.001600Z", "in", "ask", "Divide", "-"],
        ["2001-09-09T01:46:40.001700Z", "in", "encrypted", "-", "-"],
        ["2001-09-09T01:46:40.002600Z", "in", "unanswered", "Divide", "1.0"],
        ["2001-09-09T01:46:40.002600Z", "-", "end", "-", "-"],
    ]
    assert {line[1] for line in ran.lines} == {"server"}
    assert {line[2] for line in ran.lines} == {"client"}
    assert ran.code == 0


def test_numbers_of_connections_begin_anew_behind_each_head(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ask = Event("box", 1, 1, "n", "p", "in", box(_ask="1", _command="Sum"))
    answer = Event("box", 2, 1, "n", "p", "out", box(_answer="1"))
    two = encode(Head()) + encode(ask) + encode(Head()) + encode(answer)
    ran = inspect(monkeypatch, "show", "-", given=two)
    assert [line[4:6] for line in ran.lines] == [
        ["ask", "Sum"],
        ["unanswered", "Sum"],
        ["answer", "-"],
    ]


def test_captures_of_chatcore_are_decoded_as_its_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    from twisted.protocols import amp

    items = Call.makeArguments({"service": "chatRemote", "method": "add", "args": [1]}, amp.AMP())
    raw = amp.Box({**items, b"_ask": b"1", b"_command": b"Call"}).serialize()
    head = Head({"dialect": "chatcore"})
    given = encode(head) + encode(Event("box", 1, 1, "a", "b", "out", raw))
    ran = inspect(monkeypatch, "show", "-", "--json", "-v", given=given)
    assert ran.json[0]["route"] == "chatRemote.add"
    assert ran.json[0]["body"]["args"] == [1]


def test_damage_is_located_and_the_rest_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = capture()
    second = whole.index(b"_answer")
    damaged = whole[:second] + b"?" + whole[second + 1 : -5]
    ran = inspect(monkeypatch, "show", "-", given=damaged)
    assert [line[4] for line in ran.lines] == [
        "open",
        "ask",
        "damaged",
        "ask",
        "encrypted",
        "damaged",
        "unanswered",
        "unanswered",
    ]
    offset = int(ran.lines[2][9])
    assert whole[offset : offset + 4] == b"\xa9BOX"
    assert offset < second
    first, last = ran.err.splitlines()
    assert first.startswith(
        f"chatcore: the standard input: damaged at offset {offset}: a record whose check does not"
    )
    assert "a record is cut: 35 of 40 bytes are there" in last
    assert ran.code == 1


@pytest.mark.parametrize("given", [b"", STREAM, b"\xa9BO"])
def test_no_capture(given: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "stream"
    file.write_bytes(given)
    ran = inspect(monkeypatch, "show", str(file), "--json")
    assert ran.code == 2
    assert ran.json[0]["error"].startswith(f"{file}: is no capture, or an empty one")


def test_nothing_at_all_to_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    assert inspect(monkeypatch, "decode") == inspect(monkeypatch, "decode", "--json")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("decode", "/nowhere/x"), "/nowhere/x: can't be read: No such file or directory"),
        (("decode", "/"), "/: can't be read: Is a directory"),
        (("show",), "the following arguments are required: FILE"),
        (("why", ""), "argument UID: it is empty"),
        (("session",), "the following arguments are required: ID|UID. "),
        (("show", "-", "--slow", "soon"), "'soon' is no number of milliseconds"),
        (("decode", "--commands", "json"), "no subclass of"),
        (("watch",), "there is no command 'inspect watch'. There are "),
        (("decode", "--rout", "x"), "there is no option --rout. Did you mean --route?"),
    ],
)
def test_mistakes(words: tuple[str, ...], problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = inspect(monkeypatch, *words)
    assert ran.code == 2
    assert problem in ran.err


@pytest.mark.parametrize("words", [(), ("--help",), ("--json",)])
def test_help_of_all(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    ran = inspect(monkeypatch, *words)
    assert ran.code == 0
    assert "\n  decode     decode plain AMP from a file or a pipe\n" in ran.out


def test_help_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = inspect(monkeypatch, "--help", "show")
    assert ran.out.startswith("usage: chatcore inspect show [-h]")
