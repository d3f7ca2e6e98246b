from typing import Any

from zope.interface import implementer

from chatcore.interfaces import IApplication, IHandler, ISession


class ILabHandler(IHandler):
    async def echo(msg: Any, session: ISession) -> Any: ...

    async def note(msg: Any, session: ISession) -> Any: ...

    async def notes(msg: Any, session: ISession) -> Any: ...

    async def spread(msg: Any, session: ISession) -> Any: ...

    async def kick(msg: Any, session: ISession) -> Any: ...


@implementer(ILabHandler)
class LabHandler:
    def __init__(self, app: IApplication) -> None:
        self.app = app
        self.noted: dict[tuple[str, int], list[Any]] = {}

    async def echo(self, msg: Any, session: ISession) -> Any:
        return msg

    async def note(self, msg: Any, session: ISession) -> Any:
        self.noted.setdefault((session.frontend_id, session.id), []).append(msg["text"])

    async def notes(self, msg: Any, session: ISession) -> Any:
        return {"notes": self.noted.pop((session.frontend_id, session.id), [])}

    async def spread(self, msg: Any, session: ISession) -> Any:
        room = self.app.channels.get(session.get("rid"))
        assert room is not None
        room.push("onBytes", msg)
        return {}

    async def kick(self, msg: Any, session: ISession) -> Any:
        await session.kick(msg["reason"])
