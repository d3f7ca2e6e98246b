"""Lines, and the console that shows them."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from chatcore.master.console import Console, Lines, Writer


def split(pieces: list[bytes], limit: int = 16 * 1024) -> list[bytes]:
    found: list[bytes] = []
    lines = Lines(found.append, limit=limit)
    for piece in pieces:
        lines.feed(piece)
    lines.end()
    return found


@given(st.lists(st.binary(max_size=20).map(lambda text: text.replace(b"\r", b"\n"))))
def test_any_split_of_a_stream_gives_the_same_lines(pieces):
    assert split(pieces) == split([b"".join(pieces)])


@given(st.lists(st.binary(min_size=1, max_size=9).map(lambda text: text.replace(b"\r", b"\n"))))
def test_no_byte_of_a_long_line_is_lost(pieces):
    assert b"".join(split(pieces, limit=4)) == b"".join(pieces).replace(b"\n", b"")


def test_a_line_that_does_not_end_is_handed_on_in_parts():
    found: list[bytes] = []
    lines = Lines(found.append, limit=10)

    for _ in range(25):
        lines.feed(b"x")

    assert found == [b"x" * 10, b"x" * 10]


def test_a_long_line_in_one_piece_is_cut():
    assert split([b"x" * 25 + b"\n"], limit=10) == [b"x" * 10, b"x" * 10, b"x" * 5]


def test_what_is_not_utf_8_is_shown_as_escapes(screen):
    Console(["chat"], screen.write).relay("chat", 1, b"caf\xe9 caf\xc3\xa9")

    assert screen.lines == ["chat | caf\\xe9 café"]


def test_what_would_steer_the_terminal_is_shown_as_escapes(screen):
    line = "\x1b[2J\x07 name\tof\rsomebody \x9b0m".encode()

    Console(["chat"], screen.write).relay("chat", 1, line)

    assert screen.of(1) == "chat     | \\x1b[2J\\x07 name\tof\\x0dsomebody \\x9b0m\n"


def test_our_own_lines_have_a_time_and_those_of_others_have_their_own(screen):
    console = Console([], screen.write, stamp=lambda: "12:00 ")
    console.say("ready")
    console.warn("late")
    console.relay("chat", 1, b"12:01 here")

    assert screen.lines == ["chatcore | 12:00 ready", "chatcore | 12:00 late", "chat | 12:01 here"]


def test_names_are_coloured_only_when_asked(screen):
    Console(["chat"], screen.write, colour=True).relay("chat", 1, b"hello")

    assert screen.of(1) == "\x1b[36mchat     | \x1b[0mhello\n"


def test_a_writer_writes_everything_in_order_before_it_closes():
    read_end, write_end = os.pipe()
    writer = Writer()

    for number in range(1000):
        writer.write(write_end, b"%d\n" % number)
    writer.close(30)
    os.close(write_end)

    with os.fdopen(read_end, "rb") as reader:
        assert reader.read() == b"".join(b"%d\n" % number for number in range(1000))


def test_a_writer_whose_reader_stands_still_holds_up_nobody_and_says_what_is_missing():
    read_end, write_end = os.pipe()
    writer = Writer(most=3)
    block = b"x" * 1_000_000  # more than a pipe takes

    for _ in range(10):
        writer.write(write_end, block)

    with os.fdopen(read_end, "rb") as reader:
        assert reader.read(3 * len(block)) == 3 * block
        writer.write(write_end, b"the end\n")
        rest = b""
        while not rest.endswith(b"the end\n"):
            rest += reader.read1(65536)
        writer.close(30)
        os.close(write_end)

    note = rest.removeprefix(block).decode()
    assert note in {
        f"… {count} lines left out, because nobody read them …\nthe end\n" for count in (6, 7)
    }


def test_a_writer_survives_a_reader_that_went_away():
    read_end, write_end = os.pipe()
    other_read, other_write = os.pipe()
    os.close(read_end)
    writer = Writer()

    writer.write(write_end, b"nobody reads this\n")
    writer.write(other_write, b"somebody reads this\n")
    writer.close(30)
    os.close(write_end)
    os.close(other_write)

    with os.fdopen(other_read, "rb") as reader:
        assert reader.read() == b"somebody reads this\n"
