"""Filters: what is done before and after the handlers of an application."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from zope.interface import Attribute, Interface

from chatcore.interfaces.sessions import ISession

if TYPE_CHECKING:
    from chatcore.interfaces.application import IApplication


class IRequest(Interface):
    """A client's request or notify, as filters and error handlers see it."""

    route: str = Attribute("As in ``chat.chatHandler.send``.")
    server_type: str = Attribute("The first part of the route.")
    service: str = Attribute("The second.")
    method: str = Attribute("The third.")
    notify: bool = Attribute("Whether it is a notify: then nobody is answered.")
    session: ISession = Attribute("The copy of the session that the handler is given.")
    app: IApplication = Attribute("The application on this server.")
    context: dict[Any, Any] = Attribute("For what a filter wants to know again afterwards.")
    error_id: str | None = Attribute("Under which the log says what it failed of, once it has.")
    msg: Any = Attribute(
        """What the client sent. A filter may set it to something else before the handler.

        On a frontend it is decoded when it is asked for. What can't be decoded raises a
        `BodyError` then, and the request is refused.
        """
    )

    def call_off(problem: Exception) -> None:
        """End the request now, as if it had raised ``problem``.

        The filter or handler that is under way is cancelled. When the handler has ended, this
        does nothing.
        """


class IFilter(Interface):
    """What an application may put around its handlers. Either method may be missing, or async."""

    def before(request: IRequest) -> Any:
        """Called before the handler. To raise is to answer: the handler is not called then.

        Raises:
            ClientError: the client is to be answered that.
            Exception: anything else is logged, and the client is answered ``{"code": 500}``.
        """

    def after(request: IRequest, reply: Any, problem: BaseException | None) -> Any:
        """Called after the handler, whatever happened.

        Args:
            reply: what the client is answered. It may be changed where it stands, on the server
                that runs the handler.
            problem: what was raised, if anything was.
        """


Before = Callable[[IRequest], Any]
After = Callable[[IRequest, Any, BaseException | None], Any]
ErrorHandler = Callable[[BaseException, IRequest], Any]
"""Given what went wrong, the reply to send instead of ``{"code": 500}``; None for that."""
