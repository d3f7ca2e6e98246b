"""Captures become pcap that others read as we do."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from chatcore.inspector.capture import Event, Head, encode
from chatcore.inspector.pcap import checksum

from .boxes import box
from .commanding import inspect

LARGE = box(_answer="1", data=b"x" * 65_535, more=b"y" * 65_535)
ASK = box(_ask="1", _command="Sum")
TIME = 1_700_000_000_123_456


def event(number: int, direction: str, data: bytes, kind: str = "box", **more: int) -> Event:
    return Event(
        kind,  # type: ignore[arg-type]
        TIME + number,
        1 + number % 2,
        "10.1.2.3:1234",
        "somebody",
        direction,  # type: ignore[arg-type]
        data,
        **more,  # type: ignore[arg-type]
    )


EVENTS = [
    event(0, "in", ASK),
    event(1, "in", ASK),
    event(2, "out", LARGE),
    event(4, "in", b"", "loss", bytes=1000),
    event(6, "in", ASK),
    event(8, "", b"", "end"),
]


@pytest.fixture
def converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    source, target = tmp_path / "a.cap", tmp_path / "a.pcap"
    source.write_bytes(b"".join(map(encode, [Head(), *EVENTS])))
    ran = inspect(monkeypatch, "show", str(source), "--pcap", str(target), "--json")
    assert (ran.code, ran.json) == (0, [{"pcap": str(target), "packets": 8}])
    assert target.stat().st_mode & 0o777 == 0o600
    return target


def packets(data: bytes) -> list[tuple[int, bytes]]:
    """Times and packets."""
    assert struct.unpack_from("<IHHiIII", data) == (0xA1B2C3D4, 2, 4, 0, 0, 262144, 101)
    at, found = 24, []
    while at < len(data):
        seconds, micro, size, full = struct.unpack_from("<IIII", data, at)
        assert size == full
        found.append((seconds * 1_000_000 + micro, data[at + 16 : at + 16 + size]))
        at += 16 + size
    return found


def test_packets(converted: Path) -> None:
    streams: dict[tuple[bytes, int, bytes, int], bytes] = {}
    nexts: dict[tuple[bytes, int, bytes, int], int] = {}
    gaps = []
    for time, packet in packets(converted.read_bytes()):
        size = struct.unpack_from(">H", packet, 2)[0]
        assert (packet[0], packet[9], size) == (0x45, 6, len(packet))
        assert checksum(packet[:20]) == 0
        pseudo = packet[12:20] + struct.pack(">BBH", 0, 6, size - 20)
        assert checksum(pseudo + packet[20:]) == 0
        source, target, sequence, acknowledged = struct.unpack_from(">HHII", packet, 20)
        way = (packet[12:16], source, packet[16:20], target)
        back = (packet[16:20], target, packet[12:16], source)
        if sequence != nexts.get(way, 1):
            gaps.append(sequence - nexts[way])
        assert acknowledged == nexts.get(back, 1)
        nexts[way] = sequence + size - 40
        streams[way] = streams.get(way, b"") + packet[40:]
        assert TIME <= time <= TIME + 6
    assert sorted(streams.values()) == sorted([ASK + ASK, ASK, LARGE])
    assert gaps == [1000]
    assert {way[1] for way in streams if streams[way] == LARGE} == {1234}


def test_wireshark_reads_and_reassembles_it(converted: Path) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("needs tshark: install the Debian package tshark")

    def tshark(*words: str) -> str:
        done = subprocess.run(
            ["tshark", "-n", "-r", str(converted), *words],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    checked = tshark(
        *("-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-T", "json"),
        *("-e", "tcp.checksum.status", "-e", "ip.checksum.status", "-e", "tcp.stream"),
        *("-e", "tcp.analysis.lost_segment", "-e", "_ws.malformed"),
    )
    layers = [each["_source"]["layers"] for each in json.loads(checked)]
    assert len(layers) == 8
    for each in layers:
        assert each["tcp.checksum.status"] == each["ip.checksum.status"] == ["1"]
        assert "_ws.malformed" not in each
    assert {each["tcp.stream"][0] for each in layers} == {"0", "1"}
    assert sum("tcp.analysis.lost_segment" in each for each in layers) == 1
    followed = tshark("-q", "-z", "follow,tcp,raw,0")
    lines = [line.strip() for line in followed.splitlines()]
    parts = [line for line in lines if line and set(line) <= set("0123456789abcdef")]
    assert bytes.fromhex("".join(part for part in parts if part != ASK.hex())) == LARGE


def test_where_it_can_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "a.cap"
    source.write_bytes(b"".join(map(encode, [Head(), *EVENTS])))
    ran = inspect(monkeypatch, "show", str(source), "--pcap", str(tmp_path / "no" / "a.pcap"))
    assert ran.code == 2
    assert "can't be written: No such file or directory" in ran.err


@pytest.mark.parametrize(
    ("data", "check"), [(b"\0\1", 0xFFFE), (b"\xff\xff", 0), (b"\x12", 0xEDFF)]
)
def test_the_checksum_of_the_internet(data: bytes, check: int) -> None:
    assert checksum(data) == check
