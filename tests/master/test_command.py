"""The command line."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import chatcore
from chatcore.cli.main import main, make_commands


def test_the_version(capsys):
    assert main(["--version"]) == 0

    assert capsys.readouterr().out == f"chatcore {chatcore.__version__}\n"


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_the_commands_and_the_exit_codes(capsys, words):
    assert main(words) == 0

    out, err = capsys.readouterr()
    assert "  start      start every server of an application, and its page\n" in out
    assert "  3    no cluster was reached\n" in out
    assert max(len(line) for line in out.splitlines()) <= 100
    assert err == ""


@pytest.mark.parametrize("words", [["list", "--help"], ["--help", "list"], ["help", "list"]])
def test_help_of_a_command(capsys, words):
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("usage: chatcore list ")


def test_every_command_says_what_it_does_and_where_the_cluster_is(capsys):
    commands = make_commands()
    for name, parser in commands.parsers.items():
        assert main([name, "--help"]) == 0
        out = capsys.readouterr().out
        assert parser.summary and parser.description
        assert name in commands.groups or "--json" in out
        assert name in (*commands.groups, "completion") or "--app DIR" in out
    for group, members in commands.groups.items():
        for name, parser in members.parsers.items():
            assert main([group, name, "--help"]) == 0
            assert parser.summary and parser.description
            assert "--json" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--json", "start", "--app", "/nowhere"], ["dance", "--json"]])
def test_a_mistake_as_json(capsys, words):
    assert main(words) == 2

    out, err = capsys.readouterr()
    told = json.loads(out)
    assert (told["exit"], err) == (2, "")
    assert "does not exist" in told["error"] or "no command 'dance'" in told["error"]


def test_help_of_start_explains_every_option(capsys):
    assert main(["start", "--help"]) == 0
    text = capsys.readouterr().out
    for option in ("--app DIR", "--env ENV", "--run-dir DIR", "--set KEY=VALUE"):
        assert option in text


def test_an_unknown_option_is_a_mistake(capsys):
    assert main(["start", "--evn=x", "--nonsense"]) == 2

    assert capsys.readouterr().err == ("chatcore: there is no option --evn. Did you mean --env?\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "is not an application folder"),
        ("{", "servers.json:1:2: not JSON"),
        (json.dumps({"production": {}}), "no environment 'development'"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_two(tmp_path, capsys, monkeypatch, text, says):
    stand_in = type(sys)("chatcore.node")
    stand_in.SECTIONS = {}
    monkeypatch.setitem(sys.modules, "chatcore.node", stand_in)
    if text is not None:
        (tmp_path / "servers.json").write_text(text)

    assert main(["start", "--app", str(tmp_path)]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("chatcore: ")
    assert err.count("\n") == 1
    assert says in err


def test_help_does_not_load_twisted():
    script = """
import sys
from chatcore.cli.main import main
main([])
assert "twisted" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=60)
