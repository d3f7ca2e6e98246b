from typing import Any

from twisted.internet.task import react

from chatcore.client import Client


async def main(reactor: Any, desk: int = 3090) -> None:
    client = Client(reactor=reactor)
    await client.init(port=desk)

    async def show(method: str, **msg: Any) -> None:
        print(f"{method}:", await client.request(f"desk.deskHandler.{method}", msg))

    await client.request("desk.deskHandler.begin", {"topic": "music"})
    await show("own")
    await show("own")
    await show("all")
    await show("some")
    await show("again")
    await show("to", id="worker-2")
    await show("to", id="worker-3")
    await show("to", id="worker-4")
    await client.disconnect()


if __name__ == "__main__":
    react(main)
