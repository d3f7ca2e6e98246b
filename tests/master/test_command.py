"""The command line."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import chatcore
from chatcore.cli.main import main


def test_the_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])

    assert caught.value.code == 0
    assert capsys.readouterr().out == f"chatcore {chatcore.__version__}\n"


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_help_names_the_commands(capsys, words):
    try:
        assert main(words) == 0
    except SystemExit as end:
        assert end.code == 0

    assert "start every server of an application" in " ".join(capsys.readouterr().out.split())


def test_help_of_start_explains_every_option(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["start", "--help"])

    assert caught.value.code == 0
    text = capsys.readouterr().out
    for option in ("--app DIR", "--env ENV", "--run-dir DIR", "--set KEY=VALUE"):
        assert option in text


def test_an_unknown_option_is_a_mistake(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["start", "--ap=x", "--nonsense"])

    assert caught.value.code == 2
    assert "--nonsense" in capsys.readouterr().err


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
