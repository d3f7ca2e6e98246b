"""What the servers of the types probe, bare, sealed and lab answer: the same as probe.js."""

import json
from typing import Any

from chatcore.errors import ClientError
from chatcore.interfaces import IApplication, IHandler, ISession


class IProbing(IHandler):
    async def echo(msg: Any, session: ISession) -> Any: ...

    async def whole(msg: Any, session: ISession) -> Any: ...

    async def value(msg: Any, session: ISession) -> Any: ...

    async def nothing(msg: Any, session: ISession) -> Any: ...

    async def fail(msg: Any, session: ISession) -> Any: ...

    async def refuse(msg: Any, session: ISession) -> Any: ...

    async def explode(msg: Any, session: ISession) -> Any: ...

    async def typed(msg: Any, session: ISession) -> Any: ...

    async def note(msg: Any, session: ISession) -> Any: ...

    async def notes(msg: Any, session: ISession) -> Any: ...

    async def bind(msg: Any, session: ISession) -> Any: ...

    async def unbind(msg: Any, session: ISession) -> Any: ...

    async def who(msg: Any, session: ISession) -> Any: ...

    async def set(msg: Any, session: ISession) -> Any: ...

    async def push(msg: Any, session: ISession) -> Any: ...

    async def kick(msg: Any, session: ISession) -> Any: ...


class Probing:
    def __init__(self, app: IApplication) -> None:
        self.app = app
        self.noted: dict[tuple[str, int], list[Any]] = {}

    async def echo(self, msg: Any, session: ISession) -> Any:
        return {"got": msg}

    async def whole(self, msg: Any, session: ISession) -> Any:
        return {"got": msg}

    async def value(self, msg: Any, session: ISession) -> Any:
        return msg["value"]

    async def nothing(self, msg: Any, session: ISession) -> Any:
        return None

    async def fail(self, msg: Any, session: ISession) -> Any:
        raise ClientError(500)

    async def refuse(self, msg: Any, session: ISession) -> Any:
        raise ClientError(413, why="too long")

    async def explode(self, msg: Any, session: ISession) -> Any:
        raise RuntimeError("raised")

    async def typed(self, msg: Any, session: ISession) -> Any:
        return {"text": json.dumps(msg, separators=(",", ":"), ensure_ascii=False)}

    async def note(self, msg: Any, session: ISession) -> Any:
        self.noted.setdefault((session.frontend_id, session.id), []).append(msg)

    async def notes(self, msg: Any, session: ISession) -> Any:
        return {"notes": self.noted.get((session.frontend_id, session.id), [])}

    async def bind(self, msg: Any, session: ISession) -> Any:
        await session.bind(msg["uid"])

    async def unbind(self, msg: Any, session: ISession) -> Any:
        await session.unbind()

    async def who(self, msg: Any, session: ISession) -> Any:
        return {"uid": session.uid, "color": session.get("color")}

    async def set(self, msg: Any, session: ISession) -> Any:
        session.set("color", msg["color"])
        if msg.get("push"):
            await session.push("color")

    async def push(self, msg: Any, session: ISession) -> Any:
        to = [(session.uid, session.frontend_id)]
        await self.app.channels.push_to_uids(msg["route"], msg["msg"], to)

    async def kick(self, msg: Any, session: ISession) -> Any:
        await (session.kick(msg["reason"]) if "reason" in msg else session.kick())
