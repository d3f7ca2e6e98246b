"""Captures: what is written is read, and what is damaged is located."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire.splits import CUTS, cut

from chatcore.errors import ConfigError
from chatcore.inspector.capture import (
    LONGEST_NAME,
    CaptureError,
    Event,
    Head,
    Record,
    VersionError,
    decode,
    encode,
)
from chatcore.inspector.reading import CaptureReader, Damage, read
from chatcore.inspector.recording import Recorder

NAMES = st.text(max_size=20)
NUMBERS = st.integers(0, 2**32 - 1)
EVENTS = st.one_of(
    st.builds(
        Event,
        kind=st.sampled_from(["box", "bytes", "tls", "open", "end"]),
        time=st.integers(0, 2**63),
        connection=NUMBERS,
        node=NAMES,
        peer=NAMES,
        direction=st.sampled_from(["in", "out", ""]),
        data=st.binary(max_size=50),
    ),
    st.builds(Event, kind=st.just("loss"), time=NUMBERS, connection=NUMBERS, boxes=NUMBERS),
)
RECORDS = st.lists(st.one_of(EVENTS, st.builds(Head, st.just({"program": "a"}))), max_size=8)


def contents(parts: list[bytes]) -> list[Record | Damage]:
    reader = CaptureReader()
    return [each for part in parts for each in reader.feed(part)] + list(reader.end())


@given(RECORDS, CUTS)
def test_what_is_written_is_read(records: list[Record], cuts: list[int]) -> None:
    assert contents(cut(b"".join(map(encode, records)), cuts)) == records


@given(RECORDS.filter(bool), st.data())
def test_damage_costs_only_what_it_hits(records: list[Record], data: st.DataObject) -> None:
    encoded = list(map(encode, records))
    whole = b"".join(encoded)
    start = data.draw(st.integers(0, len(whole) - 1))
    junk = data.draw(st.binary(min_size=1, max_size=30))
    damaged = whole[:start] + junk + whole[start + len(junk) :]
    read_again = contents(cut(damaged, data.draw(CUTS)))
    assert read_again == contents([damaged])
    at, untouched = 0, []
    for record, raw in zip(records, encoded, strict=True):
        if damaged[at : at + len(raw)] == raw:
            untouched.append(record)
        at += len(raw)
    found = [each for each in read_again if not isinstance(each, Damage)]
    assert found == untouched
    damages = [each for each in read_again if isinstance(each, Damage)]
    hit = len(damaged) - sum(len(encode(each)) for each in untouched)
    assert sum(damage.size for damage in damages) == hit
    if damages:
        assert damages[0].offset <= start < damages[-1].offset + damages[-1].size


@given(RECORDS.filter(bool), st.data())
def test_what_is_cut_keeps_all_that_was_written(records: list[Record], data: st.DataObject) -> None:
    last = len(encode(records[-1]))
    missing = data.draw(st.integers(1, last - 1))
    *found, damage = contents([b"".join(map(encode, records))[:-missing]])
    assert found == records[:-1]
    assert isinstance(damage, Damage)
    assert "cut" in damage.why
    assert damage.size == last - missing


def test_long_names_are_cut() -> None:
    found = decode(encode(Event("open", 0, 1, "é" * 200, "p")))
    assert isinstance(found, Event)
    assert found.node == "é" * (LONGEST_NAME // 2)


def test_another_version_is_said() -> None:
    old = encode(Event("open", 0, 1))
    found = read(io.BytesIO(old + encode(Head({}, version=2))))
    assert next(found) == Event("open", 0, 1)
    with pytest.raises(VersionError, match=f"at offset {len(old)}: version 2"):
        next(found)


def test_a_check_that_holds_makes_no_nonsense_of_a_record() -> None:
    for content in (b"", b"Z>", b"B?" + bytes(14), b"H\0\1[]"):
        head = len(content).to_bytes(4, "big") + content
        from zlib import crc32

        with pytest.raises(CaptureError, match="means nothing"):
            decode(b"\xa9BOX" + head + crc32(head).to_bytes(4, "big"))


class TestRecorder:
    def test_appends(self, tmp_path: Path) -> None:
        file = tmp_path / "a.cap"
        events = [Event("open", number, number) for number in range(3)]
        for event in events:
            recorder = Recorder.open(file, {"program": "test"})
            recorder.write([event])
            recorder.close()
            with file.open("ab") as torn:
                torn.write(encode(event)[:-3])
        found = list(read(io.BytesIO(file.read_bytes())))
        assert [each for each in found if isinstance(each, Event)] == events
        assert sum(isinstance(each, Damage) for each in found) == 3
        assert file.stat().st_mode & 0o777 == 0o600

    def test_appends_to_nothing_else(self, tmp_path: Path) -> None:
        file = tmp_path / "letter.txt"
        file.write_text("Dear reader")
        with pytest.raises(ConfigError, match="is no capture, and nothing is appended to it"):
            Recorder.open(file, {})
        assert file.read_text() == "Dear reader"

    def test_says_what_can_not_be_written(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="can't be written: No such file"):
            Recorder.open(tmp_path / "nowhere" / "a.cap", {})

    def test_each_record_is_there_at_once(self) -> None:
        reading, writing = os.pipe()
        recorder = Recorder(writing, {})
        recorder.write([Event("open", 1, 1)])
        there = os.read(reading, 10_000)
        assert contents([there]) == [Head({}), Event("open", 1, 1)]
        recorder.close()
        os.close(reading)
