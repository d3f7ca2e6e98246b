"""What ``configure(app)`` may say about filters, and what it is told of mistakes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
from zope.interface.verify import verifyObject

from chatcore.application import Configurator, serial, time_log, too_busy
from chatcore.errors import ConfigError
from chatcore.interfaces import IConfigurator


@pytest.fixture
def app() -> Configurator:
    return Configurator(env="test", server_type="chat", server_types=["chat"])


class Good:
    def before(self, request: Any) -> None: ...

    def after(self, request: Any, reply: Any, problem: Any) -> None: ...

    def helper(self) -> None: ...


class Misspelt:
    def befor(self, request: Any) -> None: ...

    def after(self, request: Any, reply: Any, problem: Any) -> None: ...


class Neither:
    def filter(self, request: Any) -> None: ...


class TooFew:
    def after(self, request: Any, reply: Any) -> None: ...


class NotAMethod:
    before = 5


def one(request: Any) -> None: ...


def two(problem: Any, request: Any) -> None: ...


def three(request: Any, reply: Any, problem: Any) -> None: ...


def test_what_is_good(app: Configurator) -> None:
    assert verifyObject(IConfigurator, app)
    assert app.before(one) is one  # so that they can be decorators
    assert app.global_after(three) is three
    app.before(functools.partial(two, 1))
    app.before(Good().before)
    app.before(lambda *args: None)
    app.filter(Good())
    app.global_filter(Good())
    app.filter(serial())
    app.global_filter(serial())
    app.filter(time_log())
    app.error_handler(two)
    app.global_error_handler(two)


@pytest.mark.parametrize(
    ("register", "said"),
    [
        (lambda app: app.before(5), "before got 5, not a function"),
        (lambda app: app.before(Good()), r"not a function. Write app.filter\(…\)"),
        (lambda app: app.global_after(Good()), r"Write app.global_filter\(…\)"),
        (
            lambda app: app.before(three),
            r"what before got can't be called with \(request\)",
        ),
        (
            lambda app: app.global_after(one),
            r"what global_after got can't be called with \(request, reply, problem\)",
        ),
        (lambda app: app.filter(Misspelt()), "a method befor. Did you mean before?"),
        (lambda app: app.filter(Neither()), "has neither before nor after"),
        (lambda app: app.filter(one), r"neither before nor after. Write app.before\(…\)"),
        (lambda app: app.filter(Good), r"got the class Good. Write Good\(\)"),
        (
            lambda app: app.filter(TooFew()),
            r"after of .* can't be called with \(request, reply, problem\)",
        ),
        (lambda app: app.global_filter(NotAMethod()), "before of .* is 5, not a method"),
        (lambda app: app.error_handler(None), "error_handler got None, not a function"),
        (lambda app: app.error_handler(one), r"called with \(problem, request\)"),
        (
            lambda app: (app.error_handler(two), app.error_handler(two)),
            "error_handler was called before. Keep one of the two",
        ),
    ],
)
def test_mistakes(app: Configurator, register: Callable[[Any], Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as raised:
        register(app)
    assert raised.value.file == __file__
    assert raised.value.line


def test_one_that_keeps_a_line_is_not_used_twice(app: Configurator) -> None:
    """A request would wait for itself."""
    one = serial()
    app.global_filter(one)
    with pytest.raises(ConfigError, match=r"a second time\. Make another one"):
        app.filter(one)


@pytest.mark.parametrize("calls_first", [False, True])
def test_one_that_keeps_nothing_may_be_used_for_everything(
    app: Configurator, calls_first: bool
) -> None:
    busy = too_busy()
    if calls_first:
        app.remote_filter(busy)
    app.filter(busy)
    app.global_filter(busy)
    app.rpc_filter(busy)
    assert app.ready_made == [busy]
