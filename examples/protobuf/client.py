from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from chatcore.client import Client


async def main(reactor: Any, plain: int = 3080, small: int = 3081) -> None:
    for name, port in (("plain", plain), ("small", small)):
        moved = Deferred[Any]()
        client = Client(reactor=reactor)
        client.on("onMove", moved.callback)
        await client.init(port=port)
        before = client.bytes_received
        client.notify(f"{name}.boardHandler.look")
        print(f"{name}: {await moved}")
        print(f"{name}: in {client.bytes_received - before} bytes")
        await client.disconnect()


if __name__ == "__main__":
    react(main)
