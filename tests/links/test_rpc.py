"""The stubs that make a remote look local."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface.verify import verifyObject

from chatcore.cluster.view import View
from chatcore.config.servers import Server
from chatcore.errors import NoSuchServer, NotConnected
from chatcore.interfaces import IRemote, IRpc
from chatcore.links.rpc import Remotes, Rpc

from .wiring import done


class IChatRemote(IRemote):
    async def add(uid: str, sid: str, rid: str = "lobby", quiet: bool = False) -> list[str]:
        """Put a user into a room."""

    async def kick(uid: str) -> None:
        """Put one out."""


class IStatusRemote(IRemote):
    async def uptime() -> float:
        """How long it has been up."""


class INobodys(IRemote):
    async def do() -> None:
        """Nothing implements this."""


def signatures(interface: Any) -> dict[str, inspect.Signature]:
    return {name: inspect.signature(f) for name, f in interface.functions.items()}


def server(id: str, type: str) -> Server:
    return Server(id=id, type=type, host="127.0.0.1", port=None, line=1)


Sent = tuple[str, str, str, list[Any]]


class Setting:
    """Calls that go nowhere: they are written down, and answered as the test says."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.outcome: Callable[[str], Deferred[Any]] = lambda server_id: succeed(f"by {server_id}")
        self.rpc = Rpc(
            remotes=Remotes(
                {
                    IChatRemote: [("chat", "chatRemote")],
                    IStatusRemote: [("chat", "statusRemote"), ("gate", "statusRemote")],
                },
                {
                    ("chat", "chatRemote"): signatures(IChatRemote),
                    ("chat", "statusRemote"): signatures(IStatusRemote),
                    ("gate", "statusRemote"): signatures(IStatusRemote),
                },
            ),
            servers=View(
                [server("chat-2", "chat"), server("chat-1", "chat"), server("gate-1", "gate")]
            ),
            choose=lambda server_type, session: f"{server_type} of {session}",
            send=self.send,
        )

    def send(self, server_id: str, service: str, method: str, args: Sequence[Any]) -> Deferred[Any]:
        self.sent.append((server_id, service, method, list(args)))
        return self.outcome(server_id)


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_it_is_what_applications_are_promised(setting: Setting) -> None:
    assert verifyObject(IRpc, setting.rpc)


def test_by_interface_and_by_name_are_the_same(setting: Setting) -> None:
    session: Any = "alice"
    target = setting.rpc.by(session)
    assert done(target[IChatRemote].kick("u")) == "by chat of alice"
    assert done(target.chat.chatRemote.kick("u")) == "by chat of alice"
    assert setting.sent == [("chat of alice", "chatRemote", "kick", ["u"])] * 2


def test_an_async_method_awaits_it(setting: Setting) -> None:
    async def use() -> Any:
        session: Any = "alice"
        return await setting.rpc.by(session)[IChatRemote].add("u", "s")

    assert done(Deferred.fromCoroutine(use())) == "by chat of alice"


def test_to_one_server(setting: Setting) -> None:
    assert done(setting.rpc.to("chat-2")[IChatRemote].kick("u")) == "by chat-2"
    assert done(setting.rpc.to("gate-1").gate.statusRemote.uptime()) == "by gate-1"
    assert [sent[0] for sent in setting.sent] == ["chat-2", "gate-1"]


@pytest.mark.parametrize("server_id", ["chat-9", "gate-1", ""])
def test_to_a_server_that_has_no_such_remote(setting: Setting, server_id: str) -> None:
    with pytest.raises(NoSuchServer, match=r"chat\.chatRemote\.kick"):
        done(setting.rpc.to(server_id)[IChatRemote].kick("u"))
    assert setting.sent == []


def test_to_all_gives_a_result_or_a_failure_for_each(setting: Setting) -> None:
    problem = NotConnected("chat-1", "chatRemote.kick")
    setting.outcome = lambda id: fail(problem) if id == "chat-1" else succeed([id])
    found = done(setting.rpc.to_all("chat")[IChatRemote].kick("u"))
    assert found == {"chat-1": problem, "chat-2": ["chat-2"]}
    assert setting.sent == [
        ("chat-1", "chatRemote", "kick", ["u"]),
        ("chat-2", "chatRemote", "kick", ["u"]),
    ]


def test_to_all_waits_for_the_last(setting: Setting) -> None:
    waiting: dict[str, Deferred[Any]] = {}
    setting.outcome = lambda id: waiting.setdefault(id, Deferred())
    found: list[Any] = []
    setting.rpc.to_all("chat").chat.chatRemote.kick("u").addCallback(found.append)
    waiting["chat-2"].callback("second")
    assert found == []
    waiting["chat-1"].errback(problem := ValueError())
    assert found == [{"chat-1": problem, "chat-2": "second"}]


@pytest.mark.parametrize("server_type", ["connector", "gate", ""])
def test_to_all_of_a_type_without_that_remote(setting: Setting, server_type: str) -> None:
    with pytest.raises(NoSuchServer):
        done(setting.rpc.to_all(server_type)[IChatRemote].kick("u"))
    assert setting.sent == []


@pytest.mark.parametrize(
    ("call", "args"),
    [
        (lambda stub: stub.add("u", "s"), ["u", "s"]),
        (lambda stub: stub.add("u", "s", "r"), ["u", "s", "r"]),
        (lambda stub: stub.add("u", "s", "r", True), ["u", "s", "r", True]),
        (lambda stub: stub.add("u", sid="s"), ["u", "s"]),
        (lambda stub: stub.add(sid="s", uid="u"), ["u", "s"]),
        (lambda stub: stub.add("u", "s", rid="r"), ["u", "s", "r"]),
        (lambda stub: stub.add(quiet=True, rid="r", sid="s", uid="u"), ["u", "s", "r", True]),
        # A default in the middle: what was given behind it must not get lost.
        (lambda stub: stub.add("u", "s", quiet=True), ["u", "s", "lobby", True]),
    ],
)
def test_arguments_are_bound_as_declared(
    setting: Setting, call: Callable[[Any], Any], args: list[Any]
) -> None:
    call(setting.rpc.to("chat-1")[IChatRemote])
    declared = inspect.signature(IChatRemote.functions["add"])  # type: ignore[attr-defined]
    ((_, _, _, sent),) = setting.sent
    assert sent[: len(args)] == args
    # Further ones are defaults, and the other side would fill them in the same way.
    bound = declared.bind(*args)
    bound.apply_defaults()
    assert sent[len(args) :] in ([], list(bound.args)[len(args) :])


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda stub: stub.add(), "uid"),
        (lambda stub: stub.add("u"), "sid"),
        (lambda stub: stub.add("u", "s", "r", True, 5), "too many"),
        (lambda stub: stub.add("u", "s", room="r"), "room"),
        (lambda stub: stub.add("u", "s", uid="u"), "uid"),
    ],
)
def test_wrong_arguments_are_the_callers_mistake(
    setting: Setting, call: Callable[[Any], Any], why: str
) -> None:
    with pytest.raises(TypeError, match=why):
        call(setting.rpc.to("chat-1")[IChatRemote])
    assert setting.sent == []


@pytest.mark.parametrize(
    ("method", "text"),
    [
        ("kik", "chat.chatRemote declares no method kik; did you mean kick?"),
        ("remove", "chat.chatRemote declares no method remove"),
        ("_send", "chat.chatRemote declares no method _send"),
    ],
)
def test_an_unknown_method(setting: Setting, method: str, text: str) -> None:
    with pytest.raises(AttributeError) as raised:
        getattr(setting.rpc.to("chat-1")[IChatRemote], method)
    assert str(raised.value) == text


def test_an_interface_with_two_places(setting: Setting) -> None:
    with pytest.raises(LookupError) as raised:
        setting.rpc.to("chat-1")[IStatusRemote]
    assert str(raised.value) == (
        "IStatusRemote is implemented by chat.statusRemote, gate.statusRemote; call it by name"
    )


def test_an_interface_without_any(setting: Setting) -> None:
    with pytest.raises(LookupError, match="no remote of this application implements INobodys"):
        setting.rpc.to("chat-1")[INobodys]


def test_a_remote_that_is_not_known_here_is_left_to_the_other_side(setting: Setting) -> None:
    assert done(setting.rpc.to("chat-1").chat.otherRemote.anything(1, "two")) == "by chat-1"
    assert setting.sent == [("chat-1", "otherRemote", "anything", [1, "two"])]


def test_private_names_are_no_remotes(setting: Setting) -> None:
    session: Any = "alice"
    for name in ("_chat", "__wrapped__"):
        assert not hasattr(setting.rpc.by(session), name)
        assert not hasattr(setting.rpc.by(session).chat, name)
