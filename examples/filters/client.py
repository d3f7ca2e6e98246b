from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from chatcore.client import Client


async def main(reactor: Any, desk: int = 3020) -> None:
    client = Client(reactor=reactor)
    await client.init(port=desk)

    def ask(method: str, **msg: Any) -> Deferred[Any]:
        return client.request(f"kitchen.stoveHandler.{method}", msg)

    print("not a member:", await ask("cook"))
    await client.request("desk.entryHandler.login", {"name": "Ann"})
    print("a member:", await ask("cook"))

    order: list[str] = []
    roast, salad = ask("cook", dish="roast", seconds=0.2), ask("cook", dish="salad")
    for answered in (roast, salad):
        answered.addCallback(lambda reply: order.append(reply["dish"]))
    await roast
    await salad
    print("served in the order of asking:", order)

    print("too long:", await ask("cook", dish="ham", seconds=2))
    print("a failure:", await ask("burn"))
    print(await client.request("desk.entryHandler.asked"))
    await client.disconnect()


if __name__ == "__main__":
    react(main)
