"""The bodies of HTTP requests: of a length that is told, and in chunks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore.errors import HttpError
from chatcore.wire.http import read_head
from chatcore.wire.http_body import MOST_CHUNKS, Body, Chunked, Sized, body_of

from .splits import CUTS, cut


def body(*fields: str, version: str = "1.1") -> Body:
    found = read_head("\r\n".join((f"POST / HTTP/{version}", *fields, "", "")).encode())
    assert found is not None
    return body_of(found[0])


def problem(*fields: str, version: str = "1.1") -> tuple[int, str]:
    with pytest.raises(HttpError) as caught:
        body(*fields, version=version)
    return caught.value.status, str(caught.value)


CHUNKS = b"5\r\nhello\r\n1;a=b\r\n \r\n0A \r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"
HELLO = b"hello 0123456789"


class TestFraming:
    def test_nothing_follows(self) -> None:
        assert body().done
        assert body("Content-Length: 0").done
        assert body().feed(b"GET") == b"GET"

    def test_a_length(self) -> None:
        one = body("Content-Length: 5")
        assert isinstance(one, Sized)
        assert not one.done
        assert one.feed(b"hel") == b""
        assert (one.done, one.content) == (False, b"hel")
        assert one.feed(b"lo, you") == b", you"
        assert (one.done, one.content) == (True, b"hello")

    def test_chunks(self) -> None:
        one = body("Transfer-Encoding: Chunked")
        assert isinstance(one, Chunked)
        assert one.feed(CHUNKS + b"GET") == b"GET"
        assert (one.done, one.content) == (True, HELLO)

    @pytest.mark.parametrize("length", ["x", "-1", "+1", "1.0", "", "1, 1", "٣", "9" * 16, "0x1"])
    def test_a_length_that_is_none(self, length: str) -> None:
        if not length.isascii():
            length = length.encode().decode("latin-1")
        assert problem(f"Content-Length: {length}") == (400, "a body whose length is no number")

    def test_a_coding_that_nobody_knows(self) -> None:
        assert problem("Transfer-Encoding: gzip, chunked")[0] == 501

    def test_two_ways_at_once(self) -> None:
        """A proxy in front may have believed the other one (section 6.3)."""
        assert problem("Transfer-Encoding: chunked", "Content-Length: 3")[0] == 400
        assert problem("Transfer-Encoding: chunked", version="1.0")[0] == 400


class TestLimits:
    def test_a_length(self) -> None:
        one = body("Content-Length: 5")
        one.limit(5)
        with pytest.raises(HttpError) as caught:
            one.limit(4)
        assert caught.value.status == 413

    @pytest.mark.parametrize(
        "said", [b"5\r\nhello\r\n1\r\n", b"3\r\nhel\r\n3\r\n", b"ffffffff\r\n"]
    )
    def test_chunks(self, said: bytes) -> None:
        """Told by the length of the chunk that is too much, before it comes."""
        one = Chunked()
        one.limit(5)
        with pytest.raises(HttpError) as caught:
            one.feed(said)
        assert caught.value.status == 413
        assert len(one.content) <= 5

    def test_how_many_chunks(self) -> None:
        """Each costs time, however small it is."""
        one = Chunked()
        one.feed(b"1\r\nx\r\n" * MOST_CHUNKS)
        assert one.held == MOST_CHUNKS
        with pytest.raises(HttpError, match="chunks") as caught:
            one.feed(b"1\r\nx\r\n")
        assert caught.value.status == 413

    def test_chunks_that_came_before_the_limit_was_known(self) -> None:
        one = Chunked()
        one.feed(b"5\r\nhello\r\n")
        with pytest.raises(HttpError):
            one.limit(4)

    @pytest.mark.parametrize(
        "said", [b"5;" + b"x" * 2000, b"0\r\n" + b"a: b\r\n" * 200, b"0\r\n" + b"x" * 2000]
    )
    def test_what_is_passed_over(self, said: bytes) -> None:
        one = Chunked()
        with pytest.raises(HttpError):
            one.feed(said)


@pytest.mark.parametrize(
    "said",
    [b"x\r\n", b"\r\n", b"5\r\nhelloo\r\n", b"-1\r\n", b"123456789\r\n", b"5\rhello", b"5\n"],
)
def test_chunks_that_are_none(said: bytes) -> None:
    one = Chunked()
    with pytest.raises(HttpError) as caught:
        one.feed(said + b"\r\n0\r\n\r\n")
    assert caught.value.status == 400


@given(CUTS)
def test_chunks_however_they_are_cut(cuts: list[int]) -> None:
    one, rest = Chunked(), b""
    for piece in cut(CHUNKS + b"next", cuts):
        rest += piece if one.done else one.feed(piece)
    assert (one.done, one.content, rest) == (True, HELLO, b"next")


@given(st.lists(st.binary(max_size=20)))
def test_anything_at_all(pieces: list[bytes]) -> None:
    one = Chunked()
    one.limit(64)
    try:
        for piece in (b"5\r\n", *pieces):
            one.feed(piece)
    except HttpError:
        pass
    assert len(one.content) <= 64
