"""Long lists in pieces that fit a box."""

from __future__ import annotations

import pytest

from chatcore.channels.checks import LONGEST_NAME, LONGEST_PUSH, encode_push
from chatcore.channels.moving import LONGEST_STATE, Hand, movable
from chatcore.channels.pieces import LONGEST_PIECE, MOST_IN_A_PIECE, of_hand, pieces
from chatcore.config.settings import Assignment, resolve
from chatcore.errors import BodyError, ConfigError
from chatcore.links.settings import LinkSettings
from chatcore.wire.box import item
from chatcore.wire.values import pack


def test_nothing_is_in_no_piece() -> None:
    assert list(pieces([])) == []


@pytest.mark.parametrize("count", [1, MOST_IN_A_PIECE, MOST_IN_A_PIECE + 1])
def test_many_are_divided(count: int) -> None:
    uids = [f"u{number}" for number in range(count)]
    found = list(pieces(uids))
    assert [uid for some in found for uid in some] == uids
    assert len(found) == 1 + (count > MOST_IN_A_PIECE)


@pytest.mark.parametrize("length", [1000, LONGEST_PIECE - 1, LONGEST_PIECE + 1])
def test_long_ones_are_divided_sooner(length: int) -> None:
    uids = ["x" * length] * 600
    found = list(pieces(uids))
    assert [uid for some in found for uid in some] == uids
    assert all(len(some) == 1 or len(some) * length <= LONGEST_PIECE for some in found)


def test_what_is_handed_over_of_a_channel_has_its_state_once() -> None:
    members = [(f"{'u' * 1000}{number}", "front-1") for number in range(1000)]
    first, *others = of_hand(Hand(members, {"turn": 1}))
    assert first.state == {"turn": 1}
    assert len(others) > 2
    assert {tuple(hand.state) for hand in others} == {()}
    assert [each for hand in (first, *others) for each in hand.members] == members
    assert of_hand(Hand()) == [Hand()]


def box_bytes(value: int) -> int:
    said = [Assignment(key="links.box_bytes", value=value, source="test")]
    return resolve({"links": LinkSettings}, said)[LinkSettings].box_bytes


LEAST = 8 * 1024 * 1024


def test_the_smallest_box_that_may_be_set_holds_the_largest_piece() -> None:
    with pytest.raises(ConfigError, match="box_bytes"):
        box_bytes(LEAST - 1)
    state = movable("den", {"large": b"x" * (LONGEST_STATE - 100)})
    assert state
    members = [("😀" * 100, "front-1")] * MOST_IN_A_PIECE
    pieces = of_hand(Hand(members, state))
    boxes = [
        item(b"channel", b"x" * LONGEST_NAME)
        + item(b"members", pack(hand.members))
        + item(b"state", pack(hand.state))
        for hand in pieces
    ]
    assert len(boxes) > 2
    assert max(map(len, boxes)) < box_bytes(LEAST) - 1000


def test_the_smallest_box_holds_what_may_be_pushed() -> None:
    """Also where it is longer in a box than as the JSON that clients read."""
    fits = [0.5] * (LONGEST_PUSH // 10)
    assert len(encode_push("onChat", fits)) < box_bytes(LEAST) / 2
    with pytest.raises(BodyError, match="more than"):
        encode_push("onChat", [0.5] * (LONGEST_PUSH // 5))
