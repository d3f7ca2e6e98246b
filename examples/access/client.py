from typing import Any

from twisted.internet.defer import DeferredQueue
from twisted.internet.task import react

from chatcore.client import Client


async def main(reactor: Any, door_1: int = 3070, door_2: int = 3071, window: int = 3072) -> None:
    kicks = DeferredQueue[Any]()

    async def visit(port: int) -> Client:
        client = Client(reactor=reactor)
        client.on("onKick", kicks.put)
        await client.init(port=port)
        return client

    peeper, ann = await visit(window), await visit(door_1)
    print("look, through the window:", await peeper.request("vault.vaultHandler.look"))
    print("look, through the door:", await ann.request("vault.vaultHandler.look"))
    print("take, not logged in:", await ann.request("vault.vaultHandler.take"))
    await ann.request("door.entryHandler.login", {"name": "Ann"})
    print("take:", await ann.request("vault.vaultHandler.take"))
    print("login again:", await ann.request("door.entryHandler.login", {"name": "Bob"}))

    other, bob = await visit(door_2), await visit(door_2)
    print("elsewhere:", await other.request("door.entryHandler.login", {"name": "Ann"}))
    print("here:", await kicks.get())
    await bob.request("door.entryHandler.login", {"name": "Bob"})
    msg = {"who": "Ann", "why": "took too much"}
    print("thrown out:", await bob.request("vault.vaultHandler.throw_out", msg), await kicks.get())

    for client in (peeper, ann, other, bob):
        await client.disconnect()


if __name__ == "__main__":
    react(main)
