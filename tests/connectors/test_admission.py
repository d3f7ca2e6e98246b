"""Who is let in."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zope.interface.verify import verifyObject

from chatcore.config.settings import Assignment, resolve
from chatcore.connectors.addresses import Networks, parse_network
from chatcore.connectors.admission import Blacklist
from chatcore.connectors.settings import Limits, ProxySettings
from chatcore.errors import ConfigError
from chatcore.interfaces import IBlacklist
from chatcore.wire import package

from .clients import UPGRADE, Connector, is_served

Make = Callable[..., Connector]

NETWORKS = st.one_of(
    st.builds(
        lambda address, length: ipaddress.ip_network((address, length), strict=False),
        st.ip_addresses(v=4),
        st.integers(0, 32),
    ),
    st.builds(
        lambda address, length: ipaddress.ip_network((address, length), strict=False),
        st.ip_addresses(v=6),
        st.integers(0, 128),
    ),
)


class TestNetworks:
    @given(held=st.lists(NETWORKS, max_size=8), gone=st.lists(NETWORKS, max_size=3), data=st.data())
    def test_they_hold_what_is_in_one_of_them(
        self, held: list[Any], gone: list[Any], data: st.DataObject
    ) -> None:
        networks = Networks()
        for each in held + gone:
            networks.add(each)
        for each in set(gone):
            assert networks.remove(each)
            assert not networks.remove(each)
        left = set(networks)
        inside = [each.network_address for each in held] + [each[-1] for each in held]
        address = data.draw(st.ip_addresses() | st.sampled_from(inside or [held]))
        if isinstance(address, list):
            return
        assert (str(address) in networks) == any(
            address in each for each in left if each.version == address.version
        )

    @pytest.mark.parametrize(
        "host", ["", "localhost", "1.2.3", "/run/socket", "1.2.3.4.5", None, 5]
    )
    def test_what_is_no_address_is_in_none(self, host: Any) -> None:
        assert host not in Networks(["0.0.0.0/0", "::/0"])

    @pytest.mark.parametrize(
        "text",
        ["", "localhost", "1.2.3", "1.2.3.4/33", "10.0.0.1/8", "1.2.3.4/", "1.2.3.*", 5, None],
    )
    def test_what_is_no_network(self, text: Any) -> None:
        with pytest.raises(ValueError, match=r"\S"):
            parse_network(text)

    def test_ipv4_as_ipv6(self) -> None:
        assert str(parse_network("::ffff:192.0.2.7")) == "192.0.2.7/32"
        assert str(parse_network("::ffff:192.0.2.0/120")) == "192.0.2.0/24"


class TestConnectionsPerAddress:
    def test_one_too_many_is_refused(self, make: Make) -> None:
        connector = make(limits={"connections_per_address": 2})
        first, second = connector.enter(), connector.connect()
        assert connector.connect().refused
        assert connector.connect().refused
        assert not connector.connect("192.0.2.2").refused
        connector.count(clients_now=3, clients_accepted=3, clients_crowded=2, sessions_now=1)
        assert is_served(connector, first)
        assert not second.closed

    def test_one_that_goes_makes_room_and_a_refused_one_does_not(self, make: Make) -> None:
        connector = make(limits={"connections_per_address": 1})
        for said in (b"", b"\0", b"GET / HTTP/1.1\r\n\r\n", UPGRADE, UPGRADE + b"x"):
            client = connector.connect()
            assert connector.connect().refused
            assert connector.connect().refused
            if said:
                client.send(said)
            client.hang_up()
        assert connector.counters.clients_now == 0
        assert not connector.connect().refused

    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [
            ("2001:db8::1", "2001:db8:0:0:ffff::2", True),
            ("2001:db8::1", "2001:db8:0:1::1", False),
            ("192.0.2.1", "192.0.2.2", False),
            ("::ffff:192.0.2.1", "192.0.2.1", True),
            ("fe80::1%eth0", "fe80::2%eth1", True),
        ],
    )
    def test_what_counts_as_one_address(self, make: Make, one: str, other: str, same: bool) -> None:
        connector = make(limits={"connections_per_address": 1})
        assert not connector.connect(one).refused
        assert connector.connect(other).refused is same

    def test_turned_off(self, connector: Connector) -> None:
        assert not any(connector.connect().refused for _ in range(50))


class TestBlacklist:
    def test_it_is_what_it_says(self) -> None:
        verifyObject(IBlacklist, Blacklist((), None))

    def test_those_of_the_setting_are_refused(self, make: Make) -> None:
        connector = make(limits={"blacklist": ("192.0.2.0/24", "2001:db8::7")})
        for host in ("192.0.2.1", "192.0.2.255", "::ffff:192.0.2.9", "2001:db8::7"):
            assert connector.connect(host).refused, host
        for host in ("192.0.3.1", "112.0.2.1", "2001:db8::8"):
            assert not connector.connect(host).refused, host
        connector.count(clients_now=3, clients_accepted=3, clients_blacklisted=4)

    def test_it_changes_at_run_time(self, connector: Connector) -> None:
        blacklist = connector.parts.admission.blacklist
        assert blacklist.entries() == []
        assert blacklist.add("192.0.2.0/24", "198.51.100.7") == 0
        assert blacklist.entries() == ["192.0.2.0/24", "198.51.100.7"]
        assert "192.0.2.200" in blacklist
        assert "192.0.3.200" not in blacklist
        assert connector.connect().refused
        assert blacklist.remove("192.0.2.0/24", "203.0.113.1") == 1
        assert blacklist.entries() == ["198.51.100.7"]
        assert not connector.connect().refused

    def test_those_who_are_here_are_kicked(self, connector: Connector) -> None:
        blacklist = connector.parts.admission.blacklist
        first, second = connector.enter(), connector.connect()
        neighbour = connector.enter(host="198.51.100.1")
        assert blacklist.add("192.0.2.0/24") == 2
        connector.reactor.settle()
        assert first.packages() == [(package.KICK, b'{"reason":"blacklisted"}')]
        assert first.session.closed == "blacklisted"
        assert second.closed
        assert is_served(connector, neighbour)
        assert connector.counters.clients_blacklisted == 2

    def test_nothing_changes_where_one_of_them_is_none(self, connector: Connector) -> None:
        blacklist = connector.parts.admission.blacklist
        for change in (blacklist.add, blacklist.remove):
            with pytest.raises(ValueError, match="everybody"):
                change("192.0.2.0/24", "everybody")
        assert blacklist.entries() == []

    def test_a_backend_has_nobody_to_refuse(self) -> None:
        blacklist = Blacklist((), None)
        with pytest.raises(RuntimeError, match="frontend"):
            blacklist.add("192.0.2.1")
        assert "192.0.2.1" not in blacklist


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("limits.blacklist", ("192.0.2.7", "192.0.2"), "192.0.2"),
        ("limits.blacklist", ("192.0.2.7/24",), "host bits"),
        ("limits.origins", ("chat.example.org",), "https://chat.example.org"),
        ("limits.origins", ("https://chat.example.org/",), "no origin"),
        ("limits.origins", ("*",), "no origin"),
        ("proxy.trusted", ("nobody",), "nobody"),
    ],
)
def test_mistakes_in_settings_are_told(key: str, value: Any, why: str) -> None:
    sections = {"limits": Limits, "proxy": ProxySettings}
    with pytest.raises(ConfigError, match=why) as caught:
        resolve(sections, [Assignment(key=key, value=value, source="app.py:7")])
    assert caught.value.file == "app.py:7"
    resolve(sections, [Assignment(key=key, value="", source="--set", text=True)])
