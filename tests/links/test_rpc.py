"""The stubs that make a remote look local."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface.verify import verifyObject

from chatcore.cluster.balance import balances
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.view import View
from chatcore.config.servers import Server
from chatcore.errors import NoSuchServer, NotConnected
from chatcore.interfaces import IRemote, IRpc
from chatcore.links.rpc import Remotes, Rpc

from .senders import FakeSender
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


class Setting(FakeSender):
    """Calls that go nowhere: they are written down, and answered as the test says."""

    def __init__(self) -> None:
        super().__init__()
        view = ClusterServers(
            View.of([server("chat-2", "chat"), server("chat-1", "chat"), server("gate-1", "gate")])
        )
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
                [("chat", "chatRemote", "kick")],
            ),
            servers=view,
            choose=lambda server_type, session, tried: session,
            balances=balances(),
            calls=self.calls(),
        )


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_it_is_what_applications_are_promised(setting: Setting) -> None:
    assert verifyObject(IRpc, setting.rpc)


def test_by_interface_and_by_name_are_the_same(setting: Setting) -> None:
    session: Any = "chat-2"
    target = setting.rpc.by(session)
    assert done(target[IChatRemote].kick("u")) == "by chat-2"
    assert done(target.chat.chatRemote.kick("u")) == "by chat-2"
    assert setting.sent == [("chat-2", "chatRemote", "kick", ["u"])] * 2


def test_an_async_method_awaits_it(setting: Setting) -> None:
    async def use() -> Any:
        session: Any = "chat-2"
        return await setting.rpc.by(session)[IChatRemote].add("u", "s")

    assert done(Deferred.fromCoroutine(use())) == "by chat-2"


def test_to_one_server(setting: Setting) -> None:
    assert done(setting.rpc.to("chat-2")[IChatRemote].kick("u")) == "by chat-2"
    assert done(setting.rpc.to("gate-1").gate.statusRemote.uptime()) == "by gate-1"
    assert [sent[0] for sent in setting.sent] == ["chat-2", "gate-1"]


@pytest.mark.parametrize("server_id", ["chat-9", "gate-1", ""])
def test_to_a_server_that_has_no_such_remote(setting: Setting, server_id: str) -> None:
    why = "it is of type gate" if server_id == "gate-1" else "no such server"
    with pytest.raises(NoSuchServer, match=f"on {server_id}: {why}"):
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
    declared = inspect.signature(IChatRemote.functions["add"])
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
    """Which of them is meant follows from the servers, where these are known."""
    assert done(setting.rpc.to("chat-1")[IStatusRemote].uptime()) == "by chat-1"
    assert list(done(setting.rpc.to_all("gate")[IStatusRemote].uptime())) == ["gate-1"]
    with pytest.raises(LookupError) as raised:
        setting.rpc.by_key("lobby")[IStatusRemote]
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
    session: Any = "chat-2"
    for name in ("_chat", "__wrapped__"):
        assert not hasattr(setting.rpc.by(session), name)
        assert not hasattr(setting.rpc.by(session).chat, name)


def test_by_key_is_the_owner(setting: Setting) -> None:
    view = setting.rpc._servers
    for key in ("lobby", "den", "x" * 100):
        answer = done(setting.rpc.by_key(key)[IChatRemote].kick("u"))
        assert answer == f"by {view.owner('chat', key).id}"


@pytest.mark.parametrize("how", ["round_robin", "weighted", "least_active", "random"])
def test_any(setting: Setting, how: str) -> None:
    for _ in range(60):
        done(setting.rpc.any(how).chat.chatRemote.kick("u"))
    assert {sent[0] for sent in setting.sent} == {"chat-1", "chat-2"}
    with pytest.raises(NoSuchServer):
        done(setting.rpc.any(how).game.gameRemote.play())


def test_a_call_by_text(setting: Setting) -> None:
    assert done(setting.rpc.call("chat-1", "chat.chatRemote.add", "u", "s")) == "by chat-1"
    assert setting.sent == [("chat-1", "chatRemote", "add", ["u", "s"])]
    assert done(setting.rpc.call("chat-1", "chat.chatRemote.kick", "u", notify=True)) is None
    with pytest.raises(AttributeError, match="did you mean kick"):
        setting.rpc.call("chat-1", "chat.chatRemote.kik", "u")
    for text in ("chatRemote.add", "chat.chatRemote.add.more", "chat..add", ""):
        with pytest.raises(ValueError, match=r"not of the form type\.service\.method"):
            setting.rpc.call("chat-1", text)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"failure": "ofer"}, "'ofer' is not one of"),
        ({"failure": "retry", "notify": True}, "notify=True has none"),
        ({"timeout": 5, "notify": True}, "notify=True has none"),
        ({"timeout": 0}, "not a number of seconds over 0"),
        ({"timeout": -1}, "not a number of seconds over 0"),
        ({"timeout": float("inf")}, "not a number of seconds over 0"),
        ({"timeout": float("nan")}, "not a number of seconds over 0"),
        ({"timeout": "5"}, "not a number of seconds over 0"),
    ],
    ids=str,
)
def test_options_that_make_no_sense(setting: Setting, options: Any, text: str) -> None:
    session: Any = "chat-2"
    for select in (
        lambda: setting.rpc.by(session, **options),
        lambda: setting.rpc.by_key("k", **options),
        lambda: setting.rpc.any(**options),
        lambda: setting.rpc.to("chat-1", **options),
        lambda: setting.rpc.to_all("chat", **options),
    ):
        with pytest.raises(ValueError, match=text):
            select()


def test_over_to_whom(setting: Setting) -> None:
    for select in (setting.rpc.to, setting.rpc.to_all):
        with pytest.raises(ValueError, match="needs another server"):
            select("chat-1", failure="over")
    with pytest.raises(ValueError, match=r"how='best' is not one of 'round_robin'"):
        setting.rpc.any("best")


def test_only_what_is_idempotent_is_called_again(setting: Setting) -> None:
    target = setting.rpc.to("chat-1", failure="retry")
    assert done(target[IChatRemote].kick("u")) == "by chat-1"
    for stub in (target[IChatRemote], target.chat.chatRemote):
        with pytest.raises(TypeError, match=r"chat\.chatRemote\.add is not marked @idempotent"):
            stub.add("u", "s")
    with pytest.raises(TypeError, match=r"chat\.otherRemote\.do is not marked @idempotent"):
        target.chat.otherRemote.do()
    assert len(setting.sent) == 1


def test_to_all_without_an_answer(setting: Setting) -> None:
    setting.outcome = lambda id: fail(NotConnected(id, "kick"))
    assert done(setting.rpc.to_all("chat", notify=True)[IChatRemote].kick("u")) is None
    assert [sent[0] for sent in setting.sent] == ["chat-1", "chat-2"]
    assert setting.notified == [True, True]


def test_to_all_says_what_does_not_fit(setting: Setting) -> None:
    with pytest.raises(NoSuchServer, match="remote of the servers of type chat"):
        done(setting.rpc.to_all("gate")[IChatRemote].kick("u"))
    notify = setting.rpc.to_all("nobody", notify=True)
    assert done(notify.nobody.chatRemote.kick("u")) is None


def test_a_route_that_chooses_a_server_of_another_type(setting: Setting) -> None:
    session: Any = "gate-1"
    with pytest.raises(NoSuchServer, match="the route chose it, but it is of type gate"):
        done(setting.rpc.by(session)[IChatRemote].kick("u"))
    assert setting.sent == []


@pytest.mark.parametrize("name", ["__wrapped__", "__class_getitem__", "_send", "__await__"])
def test_pythons_own_names_are_never_sent(setting: Setting, name: str) -> None:
    for stub in (setting.rpc.to("chat-1").chat.chatRemote, setting.rpc.to("chat-1").chat.unknown):
        with pytest.raises(AttributeError):
            getattr(stub, name)
    with pytest.raises(AttributeError):
        setting.rpc.call("chat-1", "chat.unknown._private")
    assert setting.sent == []
