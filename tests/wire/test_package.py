"""Pomelo's package layer, against what its reference server was seen to send and take."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore.errors import PackageError
from chatcore.wire import handshake, package
from chatcore.wire.package import PackageParser, decode_frame

from .splits import CUTS, cut

VECTORS = [
    (package.ACK, b"", "02000000"),
    (package.HEARTBEAT, b"", "03000000"),
    (package.HANDSHAKE, b'{"code":500}', "0100000c7b22636f6465223a3530307d"),
    (package.KICK, b'{"reason":"attack"}', "050000137b22726561736f6e223a2261747461636b227d"),
    (
        package.DATA,
        b'\x04\x01{"code":200,"host":"127.0.0.1","port":3051}',
        "0400002d04017b22636f6465223a3230302c22686f7374223a223132372e302e302e31222c22706f7274223a"
        "333035317d",
    ),
    (package.DATA, bytes.fromhex("04027b7d"), "0400000404027b7d"),
    (package.DATA, bytes.fromhex("06066f6e43686174"), "0400000806066f6e43686174"),
    (
        package.DATA,
        bytes.fromhex("06066f6e436861740a06686920616c6c1205616c6963651a012a"),
        "0400001a06066f6e436861740a06686920616c6c1205616c6963651a012a",
    ),
]

PACKAGES = st.lists(st.tuples(st.integers(1, 5), st.binary(max_size=60)), min_size=1, max_size=8)


def encoded(packages: list[tuple[int, bytes]]) -> bytes:
    return b"".join(package.encode(kind, body) for kind, body in packages)


@pytest.mark.parametrize(("kind", "body", "wire"), VECTORS)
def test_golden_vectors(kind: int, body: bytes, wire: str) -> None:
    data = bytes.fromhex(wire)
    assert package.encode(kind, body) == data
    assert PackageParser(100).feed(data) == [(kind, body)]
    assert decode_frame(data, 100) == [(kind, body)]


def test_refused_handshake_and_kick_are_the_vectors() -> None:
    refusal = package.encode(package.HANDSHAKE, handshake.encode_refusal())
    assert refusal.hex() == VECTORS[2][2]
    kick = package.encode(package.KICK, handshake.encode_kick("attack"))
    assert kick.hex() == VECTORS[3][2]


@given(packages=PACKAGES, cuts=CUTS)
def test_any_split_gives_the_same_packages(packages: list[Any], cuts: list[int]) -> None:
    parser = PackageParser(60)
    found = [each for piece in cut(encoded(packages), cuts) for each in parser.feed(piece)]
    assert found == packages
    assert parser.waiting == 0


@given(packages=PACKAGES, cuts=CUTS, missing=st.integers(1, 3))
def test_an_unfinished_package_waits(packages: list[Any], cuts: list[int], missing: int) -> None:
    stream = encoded(packages)
    parser = PackageParser(60)
    pieces = cut(stream[:-missing], cuts)
    found = [each for piece in pieces for each in parser.feed(piece)]
    assert found == packages[:-1]
    assert parser.waiting == len(package.encode(*packages[-1])) - missing
    assert parser.feed(stream[-missing:]) == packages[-1:]


@given(packages=PACKAGES, cuts=CUTS, bad=st.sampled_from([b"\0", b"\6", b"\4\0\0\x3d"]))
def test_what_comes_before_a_mistake_comes_back_first(
    packages: list[Any], cuts: list[int], bad: bytes
) -> None:
    parser = PackageParser(60)
    found = []
    with pytest.raises(PackageError):
        for piece in [*cut(encoded(packages) + bad, cuts), b"", b""]:
            found += parser.feed(piece)
    assert found == packages


@given(packages=PACKAGES)
def test_a_frame_may_hold_several_packages(packages: list[Any]) -> None:
    assert decode_frame(encoded(packages), 60) == packages


@given(garbage=st.binary(max_size=200), cuts=CUTS)
def test_garbage_gives_packages_or_the_typed_error(garbage: bytes, cuts: list[int]) -> None:
    parser = PackageParser(50)
    try:
        for piece in cut(garbage, cuts):
            for kind, body in parser.feed(piece):
                assert kind in package.NAMES
                assert len(body) <= 50
        assert parser.waiting < package.HEAD + 50
    except PackageError:
        pass


@given(garbage=st.binary(max_size=100))
def test_a_frame_is_made_of_whole_packages_or_refused(garbage: bytes) -> None:
    try:
        packages = decode_frame(garbage, 50)
    except PackageError:
        return
    assert packages
    assert encoded(packages) == garbage


@pytest.mark.parametrize("kind", [0, 6, 7, 127, 128, 255])
def test_an_unknown_type_is_refused_with_its_first_byte(kind: int) -> None:
    with pytest.raises(PackageError, match=f"type {kind}"):
        PackageParser(100).feed(bytes((kind,)))


@pytest.mark.parametrize("kind", list(package.NAMES))
def test_a_long_package_is_refused_before_any_of_it_came(kind: int) -> None:
    parser = PackageParser(100)
    with pytest.raises(PackageError, match="101 bytes; 100 at most"):
        parser.feed(bytes((kind, 0, 0, 101)))
    assert parser.waiting == 0


def test_a_package_as_long_as_the_limit_passes() -> None:
    body = bytes(100)
    assert PackageParser(100).feed(package.encode(package.DATA, body)) == [(4, body)]


def test_sixteen_megabytes_are_not_waited_for() -> None:
    with pytest.raises(PackageError, match="16777215"):
        PackageParser(0x10000).feed(bytes.fromhex("04ffffff"))


@pytest.mark.parametrize(
    "frame",
    ["", "03", "030000", "0300000000", "030000000300", "0400000401", "0000000003000000"],
    ids=["empty", "1 byte", "3 bytes", "1 over", "half a second", "cut short", "bad type first"],
)
def test_broken_frames_are_refused(frame: str) -> None:
    with pytest.raises(PackageError):
        decode_frame(bytes.fromhex(frame), 100)


def test_the_longest_body_that_fits_its_length() -> None:
    body = bytes(package.LARGEST)
    assert package.encode(package.DATA, body)[:4] == bytes.fromhex("04ffffff")
    with pytest.raises(PackageError, match="does not fit"):
        package.encode(package.DATA, body + b"\0")
