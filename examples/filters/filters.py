from typing import Any

from chatcore.errors import ClientError
from chatcore.interfaces import IRequest


def members_only(request: IRequest) -> None:
    """Global, so it stands in front of every server: who is not logged in may only log in."""
    if request.session.uid is None and request.route != "desk.entryHandler.login":
        raise ClientError(401)


def count(request: IRequest, reply: Any, problem: BaseException | None) -> None:
    """Global, after the answer, whatever that was."""
    request.app.data["asked"][request.method] += 1


class Signed:
    """Of the server that runs the handler: it may change what goes in and what comes out."""

    def before(self, request: IRequest) -> None:
        request.msg["dish"] = request.msg.get("dish", "soup")

    def after(self, request: IRequest, reply: Any, problem: BaseException | None) -> None:
        if problem is None:
            reply["cook"] = request.app.server_id


def explain(problem: BaseException, request: IRequest) -> Any:
    """What is answered instead of a mere code 500."""
    return {"code": 500, "sorry": f"no {request.msg['dish']} today"}
