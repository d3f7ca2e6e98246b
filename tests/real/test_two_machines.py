"""Two machines that meet in Valkey, are cut off from each other, and joined again."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from alone import Servers, talk
from certificates import make_certificate
from identities import make_identities
from machines import Machine, TwoMachines, two_machines
from people import Person, pause, until
from running import PATIENCE, free_ports, short_folder
from twisted.internet import reactor
from valkey_server import PASSWORD, Valkey

from chatcore.client import Client
from chatcore.cluster.placement import ranking
from chatcore.config.run_folder import read_secret

SERVERS = {
    "connector-server-1": "one",
    "chat-server-1": "one",
    "connector-of-the-other": "other",
    "chat-of-the-other": "other",
}
LATER = "chat-that-comes-later"


class Pair(Servers):
    """The chat on two machines, all of it encrypted; Valkey is on the first of them.

    Of the servers on the other machine, servers.json knows nothing.
    """

    def __init__(self, folder: Path, machines: TwoMachines, valkey: Valkey) -> None:
        self.machines = machines
        self.people: list[Person] = []
        super().__init__(folder, valkey, change=self._place)
        self.secret = folder / "secret"
        self.secret.write_text("of both machines, and of nobody else\n")
        self.secret.chmod(0o600)
        self.identities = make_identities(folder / "identities", *SERVERS, LATER)
        with free_ports(4) as ports:
            self.others = {
                "connector-of-the-other": ("connector", ports[:2]),
                "chat-of-the-other": ("chat", ports[2:3]),
                LATER: ("chat", ports[3:]),
            }

    def machine(self, id: str) -> Machine:
        machine: Machine = getattr(self.machines, SERVERS.get(id, "other"))
        return machine

    def _place(self, servers: Any) -> None:
        del servers["gate"]
        for entries in servers.values():
            entries[:] = entries[:1]
            entries[0]["host"] = self.machines.one.address
        servers["connector"][0]["clientHost"] = self.machines.one.desk

    def port(self, server_id: str) -> int:
        return self.others[server_id][1][1] if server_id in self.others else super().port(server_id)

    def command(self, id: str) -> tuple[list[str], Mapping[str, str]]:
        command, environment = super().command(id)
        machine = self.machine(id)
        run_folder = str(self.app.parent / machine.namespace)
        options = ["--run-dir", run_folder, "--tls", str(self.identities)]
        if id in self.others:
            server_type, ports = self.others[id]
            options += ["--type", server_type, "--host", machine.address, "--port", str(ports[0])]
            if server_type == "connector":
                options += ["--client-host", machine.desk, "--client-port", str(ports[1])]
        secret = {"CHATCORE_SECRET_FILE": str(self.secret)}
        return [*machine.inside, *command, *options], {**environment, **secret}

    def cluster_secret(self) -> bytes:
        return read_secret(self.secret)

    async def person(self, connector: str, name: str, room: str) -> Person:
        client = Client(reactor=reactor)
        await client.init(host=self.machine(connector).desk, port=self.port(connector))
        person = Person(client)
        self.people.append(person)
        assert "users" in await person.enter(name, room), self.log(connector)[-3000:]
        return person


@pytest.fixture
def pair() -> Iterator[Pair]:
    with two_machines() as machines, short_folder() as folder:
        data = folder / "valkey"
        data.mkdir()
        here = machines.one
        valkey = Valkey(
            data,
            password=PASSWORD,
            tls=make_certificate(data, "valkey", address=here.address),
            host=here.address,
            desk=here.desk,
            before=here.inside,
        )
        servers = Pair(folder, machines, valkey)
        yield servers
        servers.close()
        valkey.stop()


ROOMS = [f"room_{n}" for n in range(8)]


class Room:
    """A room with somebody from each machine in it."""

    def __init__(self, pair: Pair, name: str) -> None:
        self.pair, self.name = pair, name
        self.words = 0
        self.here: Person
        self.there: Person

    async def fill(self) -> None:
        self.here = await self.pair.person("connector-server-1", f"{self.name}_a", self.name)
        self.there = await self.pair.person("connector-of-the-other", f"{self.name}_b", self.name)

    async def all_hear(self) -> None:
        """Both hear both, and each word once."""
        for one, other in ((self.here, self.there), (self.there, self.here)):
            self.words += 1
            await talk(one, other, f"word {self.words}")

    def nobody_heard_twice(self) -> None:
        for person in (self.here, self.there):
            words = [msg["msg"] for route, msg in person.heard if route == "onChat"]
            assert len(words) == len(set(words)), words

    async def refused(self, person: Person) -> bool:
        """Whether what somebody says is refused; otherwise they hear themselves."""
        self.words += 1
        word = f"word {self.words}"
        if (await person.say(word)).get("code") == 500:
            return True
        await person.until("onChat", msg=word)
        return False

    async def served(self, person: Person) -> None:
        """Wait until what somebody says is not refused any more."""
        end = time.monotonic() + PATIENCE
        while await self.refused(person):
            assert time.monotonic() < end, f"{self.name} is still not served"
            await pause()

    async def come_back(self) -> None:
        """Who was kicked enters again, as the chat's page does."""
        for person, connector, name in (
            (self.here, "connector-server-1", "a"),
            (self.there, "connector-of-the-other", "b"),
        ):
            if person.kicked:
                again = await self.pair.person(connector, f"{self.name}_{name}", self.name)
                if person is self.here:
                    self.here = again
                else:
                    self.there = again


@pytest_twisted.async_yield_fixture
async def people(pair: Pair) -> AsyncIterator[list[Person]]:
    yield pair.people
    for person in pair.people:
        await person.leave()


@pytest_twisted.ensureDeferred
async def test_two_machines_that_are_cut_off_and_joined(pair: Pair, people: list[Person]) -> None:
    await pair.start(*SERVERS)
    rooms = [Room(pair, name) for name in ROOMS]
    for room in rooms:
        await room.fill()
    chats = ["chat-server-1", "chat-of-the-other"]
    owners = {room.name: ranking(chats, room.name)[0] for room in rooms}
    assert set(owners.values()) == set(chats)
    for room in rooms:
        await room.all_hear()

    pair.machines.cut()
    here = [id for id, machine in SERVERS.items() if machine == "one"]
    await until(lambda: sorted(pair.states()) == sorted(here), "the other side to be missed")
    for room in rooms:
        await room.served(room.here)  # its side has an owner for every room
    lonely = [id for id in SERVERS if id not in here]
    await until(lambda: all("does not answer" in pair.log(id) for id in lonely), "it to be missed")
    for room in rooms:
        assert await room.refused(room.there) == (owners[room.name] in here)

    pair.machines.join()
    await until(
        lambda: set(pair.states().values()) == {"up"} and len(pair.states()) == 4, "one view"
    )
    lost = [room.there for room in rooms if owners[room.name] in here]
    await until(lambda: all(person.kicked for person in lost), "them to be kicked")
    for room in rooms:
        await room.come_back()
        await room.all_hear()

    await pair.start(LATER)
    await pair.end(*chats)
    for room in rooms:
        await room.all_hear()
        room.nobody_heard_twice()
