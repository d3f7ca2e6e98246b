from typing import Any

from twisted.internet.defer import DeferredQueue
from twisted.internet.task import react

from chatcore.client import Client


async def main(reactor: Any, clock: int = 3040) -> None:
    ticks, alarms = DeferredQueue[Any](), DeferredQueue[Any]()
    client = Client(reactor=reactor)
    client.on("onTick", ticks.put)
    client.on("onAlarm", alarms.put)
    await client.init(port=clock)

    await ticks.get()
    print("a tick")
    await client.request("clock.alarmHandler.set", {"seconds": 0.5})
    print(await client.request("clock.alarmHandler.crons"))
    await alarms.get()
    print("the alarm")
    await client.request("clock.alarmHandler.set", {"seconds": 3600})
    print(await client.request("clock.alarmHandler.stop"))
    print(await client.request("clock.alarmHandler.crons"))
    await client.disconnect()


if __name__ == "__main__":
    react(main)
