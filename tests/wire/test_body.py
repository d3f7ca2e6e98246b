"""Message bodies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore.errors import BodyError
from chatcore.wire import body

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(value=st.dictionaries(TEXT, VALUES, max_size=5))
def test_round_trips_and_any_json_reader_agrees(value: Any) -> None:
    data = body.encode(value)
    assert json.loads(data) == value
    assert body.decode(data) == value
    assert body.decode(json.dumps(value).encode()) == value
    assert body.decode(json.dumps(value, ensure_ascii=False).encode()) == value


@given(text=TEXT)
def test_nothing_leaves_with_four_bytes(text: str) -> None:
    data = body.encode(text)
    assert all(byte < 0xF0 for byte in data)
    assert json.loads(data) == text


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        ({"msg": "你好"}, '{"msg":"你好"}'.encode()),
        ("é\uffff", b'"\xc3\xa9\xef\xbf\xbf"'),
        ("😀", b'"\\ud83d\\ude00"'),
        ("\U00010000", b'"\\ud800\\udc00"'),
        ("\U0010ffff", b'"\\udbff\\udfff"'),
        ({"😀": "中😀文"}, '{"\\ud83d\\ude00":"中\\ud83d\\ude00文"}'.encode()),
        ({"code": 200, "users": ["a", None, True]}, b'{"code":200,"users":["a",null,true]}'),
        ([], b"[]"),
        (None, b"null"),
        ('\\"\n', b'"\\\\\\"\\n"'),
    ],
)
def test_how_values_are_written(value: Any, wire: bytes) -> None:
    assert body.encode(value) == wire


@pytest.mark.parametrize("data", [b"", b"null", b" null ", b"{}", b" {\n} "])
def test_nothing_is_an_empty_object(data: bytes) -> None:
    assert body.decode(data) == {}


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"1", 1),
        (b"-1.5", -1.5),
        (b'"text"', "text"),
        (b"true", True),
        (b"false", False),
        (b"0", 0),
        (b'""', ""),
        (b'{"a":[1,2]}', {"a": [1, 2]}),
        (b'{"a":null}', {"a": None}),
        (b'"\\ud83d\\ude00"', "😀"),
        ('"😀"'.encode(), "😀"),
        (b"18446744073709551616", 18446744073709551616),
    ],
)
def test_what_is_read(data: bytes, value: Any) -> None:
    found = body.decode(data)
    assert found == value
    assert type(found) is type(value)


def test_emoji_of_javascript_clients_are_read() -> None:
    # Pomelo's JavaScript clients write each half of a surrogate pair as three bytes of its own.
    wire = b'{"msg":"\xed\xa0\xbd\xed\xb8\x80 \xe4\xb8\xad"}'
    assert body.decode(wire) == {"msg": "😀 中"}


@pytest.mark.parametrize("data", [b"[]", b"[1]", b' [{"uid":"admin"}]'])
def test_arrays_are_refused(data: bytes) -> None:
    with pytest.raises(BodyError, match="array"):
        body.decode(data)


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b'{"a":1}x',
        b"{} {}",
        b"undefined",
        b"NaN",
        b"Infinity",
        b"'a'",
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\\ud800\\u0041"',
        b'"\xff"',
        b'"\xed\xa0\xbd"',
        b'"\xed\xb8\x80\xed\xa0\xbd"',
        b'"\xc0\x80"',
        b"\xef\xbb\xbf{}",
        b"1e999",
        b"9" * 5000,
        b'"\n"',
        b"\x00",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
    ],
    ids=lambda data: repr(data[:24]),
)
def test_what_is_refused(data: bytes) -> None:
    with pytest.raises(BodyError):
        body.decode(data)


@given(
    garbage=st.binary(max_size=100)
    | st.text(max_size=50).map(lambda t: t.encode("utf-8", "ignore"))
)
def test_garbage_gives_a_value_or_the_typed_error(garbage: bytes) -> None:
    try:
        value = body.decode(garbage)
    except BodyError:
        return
    assert not isinstance(value, list)
    assert value is not None
    json.dumps(value).encode("ascii")


class Circle:
    pass


def circular() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [object(), {"a": Circle()}, "\ud800", {"\ud800": 1}, {(1, 2): 3}, circular(), print],
    ids=["object", "deep inside", "surrogate", "surrogate key", "tuple key", "circle", "function"],
)
def test_values_that_have_no_form(value: Any) -> None:
    with pytest.raises(BodyError, match="can't be sent"):
        body.encode(value)
