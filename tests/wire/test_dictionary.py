"""The route dictionary, and its versions as Pomelo computes them."""

from __future__ import annotations

import pytest

from chatcore.wire.dictionary import MOST_ROUTES, Dictionary

HANDLERS = [
    "gate.gateHandler.queryEntry",
    "chat.chatHandler.send",
    "connector.entryHandler.enter",
]


def test_chat_of_pomelo() -> None:
    """Captured from Pomelo 2.2.7."""
    dictionary = Dictionary(HANDLERS)
    assert dictionary.codes == {
        "chat.chatHandler.send": 1,
        "connector.entryHandler.enter": 2,
        "gate.gateHandler.queryEntry": 3,
    }
    assert dictionary.routes[2] == "connector.entryHandler.enter"
    assert dictionary.version == "s2r1qfKDrbhWCkA6uf+PTA=="


def test_handlers_are_sorted_as_javascript_sorts_and_others_are_not() -> None:
    """By UTF-16 code units, in which a character beyond U+FFFF comes before U+FFFD."""
    dictionary = Dictionary(["b", "�", "a", "😀", "B"], ["z", "c"])
    assert list(dictionary.codes) == ["B", "a", "b", "😀", "�", "z", "c"]
    assert list(dictionary.codes.values()) == [1, 2, 3, 4, 5, 6, 7]


def test_a_route_that_comes_twice_has_two_codes() -> None:
    """The later is the one that is written; both are read."""
    dictionary = Dictionary(["a", "b"], ["onChat", "a", "onChat"])
    assert dictionary.codes == {"a": 4, "b": 2, "onChat": 5}
    assert list(dictionary.codes) == ["a", "b", "onChat"]
    assert dictionary.routes == {1: "a", 2: "b", 3: "onChat", 4: "a", 5: "onChat"}


def test_no_more_than_two_bytes_can_tell() -> None:
    most = Dictionary(map(str, range(1000)), map(str, range(1000, MOST_ROUTES)))
    assert max(most.routes) == 0xFFFF
    with pytest.raises(ValueError, match="65536 routes"):
        Dictionary(["a"], map(str, range(MOST_ROUTES)))


def test_no_routes() -> None:
    assert Dictionary([]).codes == {}
    assert Dictionary([]).version == "mZFLkyvTelC5g8XnyQrpOw=="  # of {}
