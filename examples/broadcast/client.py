from typing import Any

from twisted.internet.task import react

from chatcore.client import Client


async def main(reactor: Any, lobby_1: int = 3030, lobby_2: int = 3031) -> None:
    heard: list[str] = []

    def listen(client: Client, name: str) -> None:
        client.on("onNews", lambda news: heard.append(name))

    ann, ben, cleo, guest = clients = [Client(reactor=reactor) for _ in range(4)]
    for name, client in zip(("Ann", "Ben", "Cleo", "a guest"), clients, strict=True):
        listen(client, name)
        await client.init(port=lobby_1 if client in (ann, guest) else lobby_2)
    await ann.request("lobby.entryHandler.login", {"name": "Ann", "likes": "tea"})
    await ben.request("lobby.entryHandler.login", {"name": "Ben", "likes": "chess"})
    await cleo.request("lobby.entryHandler.login", {"name": "Cleo", "likes": "tea"})

    for to, msg in (
        ("everybody", {}),
        ("members", {}),
        ("fans", {"of": "tea"}),
        ("people", {"names": ["Ben", "Dora"]}),
    ):
        answer = await guest.request(f"news.newsHandler.{to}", msg)
        for client in clients:
            await client.request("lobby.entryHandler.look")
        print(f"{to}: {', '.join(sorted(heard))}; not reached: {answer['unreached']}")
        heard.clear()

    for client in clients:
        await client.disconnect()


if __name__ == "__main__":
    react(main)
