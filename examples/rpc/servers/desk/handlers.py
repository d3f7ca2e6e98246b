from typing import Any

from zope.interface import implementer

from chatcore.errors import ClientError, RpcError
from chatcore.interfaces import IApplication, IHandler, ISession

from ..worker.remotes import IWorkerRemote


class IDeskHandler(IHandler):
    async def begin(msg: Any, session: ISession) -> Any:
        """Tell all workers to rest, without waiting for them; say what this is about."""

    async def own(msg: Any, session: ISession) -> Any:
        """Have it done by the worker that the route chooses: always the same for a topic."""

    async def some(msg: Any, session: ISession) -> Any:
        """Have it done three times, by one worker after the other; by another if one can't."""

    async def all(msg: Any, session: ISession) -> Any:
        """Have it done by each of them."""

    async def again(msg: Any, session: ISession) -> Any:
        """Try again when there is no answer: the timeout is for all tries."""

    async def to(msg: Any, session: ISession) -> Any:
        """Have it looked up by ``msg["id"]``, and say what went wrong."""


@implementer(IDeskHandler)
class DeskHandler:
    def __init__(self, app: IApplication) -> None:
        self.rpc = app.rpc

    async def begin(self, msg: Any, session: ISession) -> Any:
        self.rpc.to_all("worker", notify=True)[IWorkerRemote].rest()
        await session.update(topic=msg["topic"])
        return {}

    async def own(self, msg: Any, session: ISession) -> Any:
        return {"by": await self.rpc.by(session)[IWorkerRemote].work()}

    async def some(self, msg: Any, session: ISession) -> Any:
        workers = self.rpc.any(failure="over")[IWorkerRemote]
        return {"by": sorted({await workers.work() for _ in range(3)})}

    async def all(self, msg: Any, session: ISession) -> Any:
        results = await self.rpc.to_all("worker")[IWorkerRemote].work()
        return {
            id: type(result).__name__ if isinstance(result, RpcError) else "done"
            for id, result in results.items()
        }

    async def again(self, msg: Any, session: ISession) -> Any:
        worker = self.rpc.to("worker-1", failure="retry", timeout=1)[IWorkerRemote]
        return {"answer": await worker.look_up()}

    async def to(self, msg: Any, session: ISession) -> Any:
        try:
            return {"answer": await self.rpc.to(msg["id"], timeout=0.2)[IWorkerRemote].look_up()}
        except RpcError as error:
            raise ClientError(
                503, error=type(error).__name__, nothing_ran=error.nothing_ran
            ) from error
