"""Two machines that meet in Valkey, are cut off from each other, and joined again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from alone import Servers, talk, until
from certificates import make_certificate
from identities import make_identities
from machines import Machine, TwoMachines, two_machines
from people import Person
from running import short_folder
from twisted.internet import reactor
from valkey_server import PASSWORD, Valkey

from chatcore.client import Client
from chatcore.cluster.placement import ranking

SERVERS = {
    "connector-server-1": "one",
    "connector-server-2": "other",
    "chat-server-1": "one",
    "chat-server-2": "other",
}


class Pair(Servers):
    """The chat on two machines, all of it encrypted; Valkey is on the first of them."""

    def __init__(self, folder: Path, machines: TwoMachines, valkey: Valkey) -> None:
        self.machines = machines
        self.people: list[Person] = []
        super().__init__(folder, valkey, change=self._place)
        self.secret = folder / "secret"
        self.secret.write_text("of both machines, and of nobody else\n")
        self.secret.chmod(0o600)
        self.identities = make_identities(folder / "identities", *SERVERS)

    def machine(self, id: str) -> Machine:
        machine: Machine = getattr(self.machines, SERVERS[id])
        return machine

    def _place(self, servers: Any) -> None:
        del servers["gate"]
        for server_type, entries in servers.items():
            servers[server_type] = entries = [one for one in entries if one["id"] in SERVERS]
            for entry in entries:
                entry["host"] = self.machine(entry["id"]).address
                if server_type == "connector":
                    entry["clientHost"] = self.machine(entry["id"]).desk

    def command(self, id: str) -> tuple[list[str], Mapping[str, str]]:
        command, more = super().command(id)
        run_folder = self.app.parent / SERVERS[id]
        return [
            *self.machine(id).inside,
            *command,
            *("--run-dir", str(run_folder)),
            *("--set", f"links.tls={self.identities}"),
        ], {**more, "CHATCORE_SECRET_FILE": str(self.secret)}

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
        self.there = await self.pair.person("connector-server-2", f"{self.name}_b", self.name)

    async def all_hear(self) -> None:
        """Both hear both, and each word once."""
        for one, other in ((self.here, self.there), (self.there, self.here)):
            self.words += 1
            await talk(one, other, f"word {self.words}")

    async def refused(self, person: Person) -> bool:
        """Whether what somebody says is refused; otherwise they hear themselves."""
        self.words += 1
        word = f"word {self.words}"
        if (await person.say(word)).get("code") == 500:
            return True
        await person.until("onChat", msg=word)
        return False

    async def come_back(self) -> None:
        """Who was kicked enters again, as the chat's page does."""
        for person, connector, name in (
            (self.here, "connector-server-1", "a"),
            (self.there, "connector-server-2", "b"),
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
    chats = [id for id in SERVERS if id.startswith("chat")]
    owners = {room.name: ranking(chats, room.name)[0] for room in rooms}
    assert set(owners.values()) == set(chats)
    for room in rooms:
        await room.all_hear()

    pair.machines.cut()
    here = [id for id, machine in SERVERS.items() if machine == "one"]
    await until(lambda: sorted(pair.states()) == sorted(here), "the other side to be missed")
    for room in rooms:
        assert not await room.refused(room.here), "its side has an owner for every room"
    lonely = [id for id in SERVERS if id not in here]
    await until(lambda: all("does not answer" in pair.log(id) for id in lonely), "it to be missed")
    for room in rooms:
        assert await room.refused(room.there) == (owners[room.name] in here)

    pair.machines.join()
    await until(
        lambda: set(pair.states().values()) == {"up"} and len(pair.states()) == 4, "one view"
    )
    for room in rooms:
        await room.come_back()
        await room.all_hear()
