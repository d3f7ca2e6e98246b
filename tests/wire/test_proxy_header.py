"""The header of HAProxy's PROXY protocol."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.protocols.haproxy._v1parser import V1Parser
from twisted.protocols.haproxy._v2parser import V2Parser

from chatcore.errors import ProxyError
from chatcore.wire.proxy import SIGNATURE, read_header


def version_2(rest: bytes, *, first: int = 0x21, family: int = 0x11) -> bytes:
    return SIGNATURE + struct.pack("!BBH", first, family, len(rest)) + rest


V4 = b"\xc6\x33\x64\x07\xc0\0\2\1" + struct.pack("!HH", 56324, 443)
V6 = ipaddress.IPv6Address("2001:db8::7").packed * 2 + struct.pack("!HH", 1, 2)


@pytest.mark.parametrize(
    ("header", "source"),
    [
        (b"PROXY TCP4 198.51.100.7 192.0.2.1 56324 443\r\n", ("198.51.100.7", 56324)),
        (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", ("255.255.255.255", 65535)),
        (b"PROXY TCP6 2001:db8::7 ::1 1 0\r\n", ("2001:db8::7", 1)),
        (b"PROXY TCP6 2001:0DB8:0:0:0:0:0:7 ::1 1 0\r\n", ("2001:db8::7", 1)),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff::1 whatever 1 2\r\n", None),
        (version_2(V4), ("198.51.100.7", 56324)),
        (version_2(V4 + b"\x03\0\4abcd"), ("198.51.100.7", 56324)),
        (version_2(V6, family=0x21), ("2001:db8::7", 1)),
        (version_2(b"", first=0x20, family=0), None),
        (version_2(V4, first=0x20), None),
        (version_2(b"", family=0), None),
        (version_2(b"x" * 216, family=0x31), None),
        (version_2(V4, family=0x12), None),
    ],
)
def test_headers(header: bytes, source: tuple[str, int] | None) -> None:
    assert read_header(header + b"rest") == (source, len(header))
    assert read_header(header) == (source, len(header))
    for length in range(1, len(header)):
        assert read_header(header[:length]) is None, length


@pytest.mark.parametrize(
    "header",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x01\0\0\0",
        b"PROXY\r\n",
        b"proxy TCP4 198.51.100.7 192.0.2.1 56324 443\r\n",
        b"PROXY \r\n",
        b"PROXY TCP5 198.51.100.7 192.0.2.1 56324 443\r\n",
        b"PROXY TCP4\r\n",
        b"PROXY TCP4 198.51.100.7 192.0.2.1 56324\r\n",
        b"PROXY TCP4 198.51.100.7 192.0.2.1 56324 443 \r\n",
        b"PROXY TCP4  198.51.100.7 192.0.2.1 56324 443\r\n",
        b"PROXY TCP4 198.51.100 192.0.2.1 56324 443\r\n",
        b"PROXY TCP4 198.51.100.007 192.0.2.1 56324 443\r\n",
        b"PROXY TCP4 198.51.100.7 nobody 56324 443\r\n",
        b"PROXY TCP4 ::1 192.0.2.1 56324 443\r\n",
        b"PROXY TCP6 198.51.100.7 ::1 56324 443\r\n",
        b"PROXY TCP6 fe80::1%1 ::1 56324 443\r\n",
        b"PROXY TCP4 198.51.100.7 192.0.2.1 65536 443\r\n",
        b"PROXY TCP4 198.51.100.7 192.0.2.1 -1 443\r\n",
        b"PROXY TCP4 198.51.100.7 192.0.2.1 01 443\r\n",
        b"PROXY TCP4 198.51.100.7 192.0.2.1 \xb2 443\r\n",
        b"PROXY UNKNOWN" + b"x" * 95,
        b"PROXY TCP4 " + b"1" * 200,
        SIGNATURE[:-1] + b"\r\x21\x11\0\x0c" + V4,
        version_2(V4, first=0x11),
        version_2(V4, first=0x31),
        version_2(V4, first=0x22),
        version_2(V4[:-1]),
        version_2(V4, family=0x21),
        version_2(b"x" * 4097),
        SIGNATURE + b"\x21\x11\xff\xff",
    ],
)
def test_what_is_none(header: bytes) -> None:
    with pytest.raises(ProxyError):
        read_header(header)


PORTS = st.integers(0, 65535)
ADDRESSES = st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)) | st.tuples(
    st.ip_addresses(v=6), st.ip_addresses(v=6)
)


@given(addresses=ADDRESSES, ports=st.tuples(PORTS, PORTS))
def test_both_versions_say_what_twisted_reads_in_them(
    addresses: tuple[ipaddress.IPv4Address, ipaddress.IPv4Address], ports: tuple[int, int]
) -> None:
    source, to = addresses
    version = source.version
    line = f"PROXY TCP{version} {source} {to} {ports[0]} {ports[1]}\r\n".encode()
    binary = version_2(
        source.packed + to.packed + struct.pack("!HH", *ports),
        family=0x11 if version == 4 else 0x21,
    )
    for header, parser in ((line, V1Parser()), (binary, V2Parser())):
        theirs, _ = parser.feed(header)
        assert theirs is not None
        assert theirs.source is not None
        ours = read_header(header)
        assert ours == ((str(source), ports[0]), len(header))
        assert ipaddress.ip_address(theirs.source.host) == source
        assert theirs.source.port == ports[0]


@given(
    st.binary(min_size=1, max_size=300)
    | st.binary(max_size=300).map(lambda rest: SIGNATURE + rest)
    | st.binary(max_size=120).map(lambda rest: b"PROXY TCP4 " + rest)
)
def test_garbage_is_refused_or_waited_for(garbage: bytes) -> None:
    try:
        found = read_header(garbage)
    except ProxyError:
        return
    if found is not None:
        assert 0 < found[1] <= len(garbage)
    elif garbage.startswith(b"P"):
        assert len(garbage) < 107
