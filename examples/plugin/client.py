from typing import Any

from twisted.internet.task import react

from chatcore.client import Client


async def main(reactor: Any, hall_1: int = 3060, hall_2: int = 3061) -> None:
    for name, port in (("Ann", hall_1), ("Ben", hall_2), ("Cleo", hall_1), ("Dora", hall_1)):
        client = Client(reactor=reactor)
        await client.init(port=port)
        await client.request("hall.entryHandler.login", {"name": name})
        seen = await client.request("hall.seenHandler.last")
        print(f"{name} came:", {id: seen[id] for id in sorted(seen)})
        await client.disconnect()


if __name__ == "__main__":
    react(main)
