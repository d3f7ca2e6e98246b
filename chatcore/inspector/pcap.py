"""Captures as pcap, with the boxes as what TCP carries, so that Wireshark opens them.

The format is that of libpcap, version 2.4, in microseconds, with the link type RAW: each packet is
IPv4, TCP and bytes. Addresses and ports are made up where names are none.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final

from chatcore.inspector.capture import Event, Head

RAW: Final = 101
"""pcap's number for packets that begin with an IP header."""

LONGEST_PAYLOAD = 32 * 1024
"""Bytes of one packet; longer boxes go in several."""

MOST_CONNECTIONS = 100_000
"""Connections whose sequence numbers are known; the oldest makes room and begins anew."""

NODE_PORT = 5000
"""The port of a node whose own is not known."""

_FIRST_PORT, _PORTS = 10_000, 50_000
_ADDRESS = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3}){3}):([0-9]{1,5})")

_file = Struct("<IHHiIII")
_packet = Struct("<IIII")
_ip = Struct(">BBHHHBBH4s4s")
_tcp = Struct(">HHIIBBHHH")
_pseudo = Struct(">4s4sBBH")

_SEQUENCE = 1 << 32
_PUSH_ACK = 0x18

Place = tuple[bytes, int]


def head() -> bytes:
    """What a file begins with."""
    return _file.pack(0xA1B2C3D4, 2, 4, 0, 0, 262_144, RAW)


class Packets:
    """Makes packets of what was captured."""

    def __init__(self) -> None:
        self._origin = 0
        self._places: dict[tuple[int, int], tuple[Place, Place]] = {}
        self._next: dict[tuple[int, int], dict[str, int]] = {}
        self._hosts: dict[str, bytes] = {}
        self._number = 0

    def of(self, record: Head | Event) -> Iterator[bytes]:
        """The packets for a record; none where it has no bytes."""
        if isinstance(record, Head):
            self._origin += 1
            return
        key = (self._origin, record.connection)
        if key not in self._next:
            self._begin(key, record)
        if record.kind == "loss":
            # Whoever reads sees that something is missing there.
            self._advance(key, record.direction, record.bytes)
        elif record.kind in ("box", "bytes", "tls") and record.direction:
            for start in range(0, len(record.data), LONGEST_PAYLOAD):
                yield self._one(key, record, record.data[start : start + LONGEST_PAYLOAD])

    def _one(self, key: tuple[int, int], event: Event, data: bytes) -> bytes:
        node, peer = self._places[key]
        outward = event.direction == "out"
        source, target = (node, peer) if outward else (peer, node)
        here, there = ("out", "in") if outward else ("in", "out")
        numbers = self._next[key]
        packet = packed(source, target, numbers[here], numbers[there], data)
        self._advance(key, here, len(data))
        seconds, micro = divmod(event.time, 1_000_000)
        return _packet.pack(seconds % _SEQUENCE, micro, len(packet), len(packet)) + packet

    def _advance(self, key: tuple[int, int], direction: str, size: int) -> None:
        if direction:
            self._next[key][direction] = (self._next[key][direction] + size) % _SEQUENCE

    def _begin(self, key: tuple[int, int], event: Event) -> None:
        if len(self._next) >= MOST_CONNECTIONS:
            oldest = next(iter(self._next))
            del self._next[oldest], self._places[oldest]
        self._number += 1
        port = _FIRST_PORT + self._number % _PORTS
        self._next[key] = {"in": 1, "out": 1}
        self._places[key] = (
            self._place(event.node, NODE_PORT),
            self._place(event.peer, port, always=True),
        )

    def _place(self, name: str, port: int, *, always: bool = False) -> Place:
        """An address and a port for a name.

        Args:
            always: whether the port is that one also where the name has its own. For connections
                one after the other may come from the same one.
        """
        found = _ADDRESS.fullmatch(name)
        if found is not None:
            try:
                address = ipaddress.IPv4Address(found[1]).packed
            except ValueError:
                pass
            else:
                own = int(found[2])
                return address, own if own < 65536 and not always else port
        if name not in self._hosts:
            if len(self._hosts) >= MOST_CONNECTIONS:
                self._hosts.clear()
            self._hosts[name] = (0x0A000001 + len(self._hosts)).to_bytes(4, "big")
        return self._hosts[name], port


def packed(source: Place, target: Place, sequence: int, acknowledged: int, data: bytes) -> bytes:
    """One packet of IPv4 (RFC 791) and TCP (RFC 9293), with their checksums."""
    size = _tcp.size + len(data)
    addresses = source[0], target[0]
    segment = _tcp.pack(
        source[1], target[1], sequence, acknowledged, 5 << 4, _PUSH_ACK, 65_535, 0, 0
    )
    check = checksum(_pseudo.pack(*addresses, 0, 6, size) + segment + data)
    segment = segment[:16] + check.to_bytes(2, "big") + segment[18:]
    header = _ip.pack(0x45, 0, _ip.size + size, 0, 0x4000, 64, 6, 0, *addresses)
    header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
    return header + segment + data


def checksum(data: bytes) -> int:
    """The checksum of the Internet (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    # A number in base 65536 is congruent to the sum of its digits modulo 65535.
    total = int.from_bytes(data, "big") % 0xFFFF
    return ~(total or 0xFFFF) & 0xFFFF


def convert(records: Iterable[Head | Event]) -> Iterator[bytes]:
    """A whole file of pcap, in parts."""
    packets = Packets()
    yield head()
    for record in records:
        yield from packets.of(record)
