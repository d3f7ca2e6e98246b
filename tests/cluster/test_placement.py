"""Which server owns a key."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore.cluster.placement import pomelo_index, ranking, weight

IDS = st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=8, unique=True)
KEYS = [f"room {number}" for number in range(4000)]


def owners(servers: list[str], keys: list[str] = KEYS) -> dict[str, str]:
    return {key: ranking(servers, key)[0] for key in keys}


@given(servers=IDS, key=st.text(), seed=st.randoms(use_true_random=False))
def test_every_node_agrees_whatever_its_order(servers: list[str], key: str, seed: object) -> None:
    shuffled = list(servers)
    seed.shuffle(shuffled)
    assert ranking(shuffled, key) == ranking(servers, key)
    assert sorted(ranking(servers, key)) == sorted(servers)


@given(servers=IDS, key=st.text(), gone=st.integers(0, 7))
def test_when_one_goes_the_rest_keep_their_order(servers: list[str], key: str, gone: int) -> None:
    leaver = servers[gone % len(servers)]
    rest = [each for each in servers if each != leaver]
    assert ranking(rest, key) == [each for each in ranking(servers, key) if each != leaver]


def test_known_weights() -> None:
    # Nodes of different versions have to agree: these may never change.
    assert weight("chat-server-1", "lobby") == 9670786604121075198
    assert weight("chat-server-1", "大厅 😀") == 5386240379781839083
    servers = ["chat-server-1", "chat-server-2", "chat-server-3"]
    assert ranking(servers, "lobby") == ["chat-server-3", "chat-server-1", "chat-server-2"]


@pytest.mark.parametrize("count", [2, 3, 10])
def test_all_get_about_as_much(count: int) -> None:
    shares = Counter(owners([f"chat-server-{number}" for number in range(count)]).values())
    fair = len(KEYS) / count
    assert len(shares) == count
    assert all(0.8 * fair < share < 1.2 * fair for share in shares.values())


@pytest.mark.parametrize("count", [2, 5])
def test_only_the_keys_of_a_server_that_goes_move(count: int) -> None:
    servers = [f"chat-server-{number}" for number in range(count)]
    before, after = owners(servers), owners(servers[1:])
    moved = [key for key in KEYS if before[key] != after[key]]
    assert moved == [key for key in KEYS if before[key] == servers[0]]
    assert set(after.values()) == set(servers[1:])
    taken = Counter(after[key] for key in moved)
    assert len(taken) == count - 1  # by all the others alike
    assert all(share > 0.7 * len(moved) / (count - 1) for share in taken.values())


def test_a_server_that_comes_takes_its_share_from_all() -> None:
    servers = [f"chat-server-{number}" for number in range(4)]
    before, after = owners(servers), owners([*servers, "chat-server-new"])
    moved = [key for key in KEYS if before[key] != after[key]]
    assert {after[key] for key in moved} == {"chat-server-new"}
    assert 0.8 * len(KEYS) / 5 < len(moved) < 1.2 * len(KEYS) / 5
    assert len(Counter(before[key] for key in moved)) == 4


@pytest.mark.parametrize("key", ["", "房间", "😀", "a\0b", "\ud800", "x" * 100_000])
def test_any_text_is_a_key(key: str) -> None:
    assert sorted(ranking(["a", "中", "c"], key)) == ["a", "c", "中"]


def test_neighbouring_texts_are_different_keys() -> None:
    assert len({weight("a", key) for key in ("", "\0", "b", "bc", "B", " b")}) == 6
    assert weight("ab", "c") != weight("a", "bc")


@pytest.mark.parametrize(
    ("text", "crc"),
    [
        ("alice", 663665735),
        ("bob", -171200192),
        ("中", -1747078152),
        ("中文", 305094291),
        ("é", 198489425),
        ("", 0),
    ],
)
def test_pomelos_choice(text: str, crc: int) -> None:
    """The numbers are what Pomelo's own CRC-32 gives."""
    for count in (1, 2, 3, 7, 1000, 1 << 32):
        assert pomelo_index(text, count) == abs(crc) % count


@pytest.mark.parametrize("text", ["😀", "\ud800", "x" * 100_000])
def test_pomelos_choice_for_any_text(text: str) -> None:
    assert 0 <= pomelo_index(text, 3) < 3
