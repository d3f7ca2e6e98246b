"""Running hooks one after another, some of which wait.

A hook may return at once, or be a coroutine, or return a Deferred. As long as none waits there is
no Deferred and no timer. Whoever wants a deadline over a chain calls it with `Caller`, which
cancels what is under way when the time is up::

    caller.call(ended, in_turn, hooks, msg, session)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from chatcore.dispatch.calling import Caller, outcome

Hook = Callable[..., Any]

Failed = Callable[[Hook, BaseException], object]
"""Told a hook that raised, and what."""


def in_turn(hooks: Sequence[Hook], *args: Any) -> Deferred[None] | None:
    """Call hooks with ``args``, in their order, each when the one before it has ended.

    Returns:
        None; a Deferred of it where a hook waits. Cancelling that cancels the hook under way, and
        the others are not called.

    Raises:
        Exception: what the first hook raised that did; the others are not called.
    """
    for number, hook in enumerate(hooks, 1):
        result = outcome(hook, *args)
        if isinstance(result, Deferred):
            return Deferred.fromCoroutine(_go_on(result, hooks[number:], args))
    return None


def then(first: Any | Deferred[Any], function: Callable[..., Any], *args: Any) -> Any:
    """Call a function as `outcome` does, once what came first has ended well.

    Args:
        first: a value, or a Deferred: what `in_turn` gave.
    """
    if isinstance(first, Deferred):
        return first.addCallback(lambda _: outcome(function, *args))
    return outcome(function, *args)


def every(
    hooks: Sequence[Hook],
    *args: Any,
    caller: Caller,
    failed: Failed,
    ended: Callable[[], None] = lambda: None,
) -> None:
    """Call all hooks in their order, each when the one before it has ended, also by raising.

    Args:
        hooks: what to call with ``args``; what they give is passed over.
        caller: calls each, with a deadline of its own.
        failed: told of each that raised, or took too long.
        ended: called once, after the last.
    """
    if not hooks:
        ended()
        return
    hook, *others = hooks

    def one_ended(result: Any, problem: BaseException | None) -> None:
        if problem is not None:
            failed(hook, problem)
        every(others, *args, caller=caller, failed=failed, ended=ended)

    caller.call(one_ended, hook, *args)


async def _go_on(waited_for: Awaitable[Any], hooks: Sequence[Hook], args: tuple[Any, ...]) -> None:
    await waited_for
    rest = in_turn(hooks, *args)
    if rest is not None:
        await rest
