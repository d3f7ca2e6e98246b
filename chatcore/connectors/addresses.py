"""Networks of clients' addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAPPED_BITS = 96


def canonical(text: str) -> str:
    """An IP address as it is written here, whoever wrote it.

    Raises:
        ValueError: that is none.
    """
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def parse_network(text: str) -> Network:
    """An address or a network, as in ``192.0.2.7``, ``192.0.2.0/24`` or ``2001:db8::/32``.

    Raises:
        ValueError: that is none; its text says why.
    """
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is not a text")
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network


class Networks:
    """A set of addresses and networks: ``host in networks``, quick however many there are.

    Args:
        texts: those that it holds, as `parse_network` takes them.

    Raises:
        ValueError: one of them is no network.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._networks: dict[Network, None] = {}
        # By IP version and length of the prefix; few are in use, whatever the number of networks.
        self._prefixes: dict[tuple[int, int], set[int]] = {}
        for text in texts:
            self.add(parse_network(text))

    def __iter__(self) -> Iterator[Network]:
        return iter(self._networks)

    def __len__(self) -> int:
        return len(self._networks)

    def __contains__(self, host: object) -> bool:
        if not self._networks or not isinstance(host, str):
            return False
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        number, bits = int(address), address.max_prefixlen
        return any(
            version == address.version and number >> (bits - length) in prefixes
            for (version, length), prefixes in self._prefixes.items()
        )

    def add(self, network: Network) -> None:
        """Hold a network, too."""
        self._networks[network] = None
        self._prefixes.setdefault(_key(network), set()).add(_prefix(network))

    def remove(self, network: Network) -> bool:
        """Hold a network no longer; whether it was held."""
        if network not in self._networks:
            return False
        del self._networks[network]
        key = _key(network)
        self._prefixes[key].discard(_prefix(network))
        if not self._prefixes[key]:
            del self._prefixes[key]
        return True


def _key(network: Network) -> tuple[int, int]:
    return network.version, network.prefixlen


def _prefix(network: Network) -> int:
    return int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
