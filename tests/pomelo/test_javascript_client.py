"""Pomelo's JavaScript client, as it was published, finds everything that it relies on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from page.webdriver import Driver, missing_tools, wait_until

from pomelo.javascript_client import page_server, play_in_node, ports
from pomelo.servers import IServers

PLAIN = "hello 你好"
EMOJI = "hello 你好 😀 👩‍💻"


def expected(text: str, signed: bool = True) -> list[str]:
    """What the two people see."""
    said = json.dumps(text, ensure_ascii=False)
    typed = (
        f'{{"text":{said},"number":300,"half":1.5,"whole":0.1,"place":{{"x":-3,"y":150}},'
        '"numbers":[1,2,300],"texts":["a","bc"],"places":[{"x":1},{"x":2,"y":3}]}'
    )
    return [
        'alice enters: {"code":200,"users":["alice"]}',
        'bob enters: {"code":200,"users":["alice","张三"]}',
        'alice hears of it: {"route":"onAdd","user":"张三"}',
        "bob says: {}",
        f'bob hears: {{"msg":{said},"from":"张三","target":"*"}}',
        f'alice hears: {{"msg":{said},"from":"张三","target":"*"}}',
        "alice whispers: {}",
        'bob hears: {"msg":"psst","from":"alice","target":"张三"}',
        'to nobody: {"code":500}',
        f'noted: {{"notes":[{{"text":{said}}},{{"a":[1,2.5,null]}}]}}',
        f'echo: {{"got":{{"text":{said},"list":[1,{{"a":null}}]}}}}',
        'no such route: {"code":500}',
        f'typed: {{"text":{json.dumps(typed, ensure_ascii=False)}}}',
        "asked for: {}",
        f"pushed: {typed}",
        'bob is kicked: {"reason":"too loud"}',
        'alice hears of it: {"route":"onLeave","user":"张三"}',
        'bob comes back: {"code":200,"users":["alice","张三"]}',
        'alice hears of it: {"route":"onAdd","user":"张三"}',
        "protos sent to alice: [true,false]",
        "and to bob: [false,false,false,false]",
        'alice hears of it: {"route":"onLeave","user":"张三"}',
        f'carol is told: {{"greeting":{said}}}',
        f'echo: {{"got":{{"text":{said}}}}}',
        'carol is refused: "handshake fail"',
        'after heartbeats: {"got":{"a":1}}',
        *(
            [
                'signed: {"got":{"text":"abc","list":[1,1.5]}}',
                'signed, elsewhere: {"got":{"a":null}}',
            ]
            if signed
            else []
        ),
        "left over: [[],[],[]]",
    ]


def test_pomelo_in_node(pomelo: IServers, tmp_path: Path) -> None:
    """The story is one that Pomelo itself tells."""
    assert play_in_node(tmp_path, pomelo, "story", PLAIN) == expected(PLAIN)


@pytest.mark.parametrize("text", [PLAIN, EMOJI], ids=["plain", "emoji"])
def test_chatcore_in_node(text: str, chatcore: IServers, tmp_path: Path) -> None:
    """From Node, over WebSocket, with the dictionary, protobuf and cached versions."""
    assert play_in_node(tmp_path, chatcore, f"story{len(text)}", text) == expected(text)


def test_chatcore_in_a_browser(chatcore: IServers, tmp_path: Path) -> None:
    """From a page."""
    if missing := missing_tools():
        pytest.skip(missing)
    driver = Driver(tmp_path / "log")
    try:
        with page_server() as address:
            browser = driver.browser(tmp_path / "profile")
            browser.open(address)
            browser.run(
                "story(open, ...arguments)"
                ".then((lines) => { window.told = lines }, (e) => { window.told = [e.stack] })",
                ports(chatcore),
                "browser",
                EMOJI,
            )
            told = wait_until(lambda: browser.run("return window.told || null"), "the story", 120)
            assert told == expected(EMOJI, signed=False)
    finally:
        driver.close()
