"""Which answer belongs to which ask, how long it took, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterator

from chatcore.inspector.capture import Direction
from chatcore.inspector.choosing import Choice
from chatcore.inspector.commands import CHATCORE, Dictionary, load
from chatcore.inspector.exchange import Exchange, Way
from chatcore.inspector.own import Declared
from chatcore.inspector.redaction import Redaction
from chatcore.inspector.seen import Seen
from chatcore.inspector.stream import BoxStream
from chatcore.wire.values import pack

from . import arithmetic
from .boxes import box


def way(direction: Direction, connection: int = 1) -> Way:
    return Way(connection, direction, "server", "client")


def exchange(dictionary: Dictionary | None = None, most: int = 100) -> Exchange:
    return Exchange(dictionary or Dictionary(), Redaction(), most=most)


def seen(to: Exchange, along: Way, raw: bytes, time: int | None = None) -> list[Seen]:
    return list(to.pieces(along, BoxStream().feed(raw), time))


ASK = box(_ask="1", _command="Sum", a="1", b="2")
ANSWER = box(_answer="1", total="3")
ERROR = box(_error="1", _error_code="NO", _error_description="because")


def test_an_answer_has_the_route_of_its_ask_and_its_time() -> None:
    one = exchange()
    (ask,) = seen(one, way("in"), ASK, 1_000_000)
    (answer,) = seen(one, way("out"), ANSWER, 1_002_500)
    assert (ask.kind, ask.route, ask.ms, ask.ask) == ("ask", "Sum", None, "1")
    assert (answer.kind, answer.route, answer.ms, answer.ask) == ("answer", "Sum", 2.5, "1")


def test_both_sides_may_ask_by_the_same_number() -> None:
    one = exchange()
    other = box(_ask="1", _command="Divide")
    found = [
        *seen(one, way("in"), ASK),
        *seen(one, way("out"), other),
        *seen(one, way("in"), ERROR),
        *seen(one, way("out"), ANSWER),
    ]
    assert [(each.kind, each.route) for each in found] == [
        ("ask", "Sum"),
        ("ask", "Divide"),
        ("error", "Divide"),
        ("answer", "Sum"),
    ]


def test_connections_are_kept_apart() -> None:
    one = exchange()
    seen(one, way("in", 1), ASK)
    (answer,) = seen(one, way("out", 2), ANSWER)
    assert (answer.kind, answer.route) == ("answer", "")


def test_a_mixed_stream_is_matched_in_its_order() -> None:
    one, mixed = exchange(), Way()
    found = seen(one, mixed, ASK + box(_ask="1", _command="Divide") + ANSWER + ERROR)
    assert [each.route for each in found] == ["Sum", "Divide", "Sum", "Divide"]
    assert found[-1].error == "NO"
    assert found[-1].why == "because"


def test_who_has_no_answer_is_told_at_the_end_of_the_connection() -> None:
    one = exchange()
    seen(one, way("in"), ASK, 1_000_000)
    seen(one, way("in", 2), ASK, 1_000_000)
    (unanswered,) = one.ended(way(""), 3_000_000)
    assert (unanswered.kind, unanswered.route, unanswered.ms) == ("unanswered", "Sum", 2000)
    (other,) = one.finish()
    assert other.connection == 2
    assert one.totals.unanswered == 2
    assert list(one.finish()) == []


def test_one_direction_alone_has_no_answers() -> None:
    one = exchange()
    seen(one, Way(), ASK * 3)
    assert list(one.finish()) == []
    assert one.totals.unanswered == 3


def test_asks_that_nobody_answers_are_bounded() -> None:
    one = exchange(most=10)
    for number in range(25):
        seen(one, way("in"), box(_ask=f"{number}", _command="Sum"))
    assert one.totals.forgotten == 15
    assert [each.ask for each in one.finish()] == [f"{number}" for number in range(15, 25)]
    seen(one, way("in"), ASK * 12)  # all by one number
    assert one.totals.forgotten == 17
    assert len(list(one.finish())) == 10


def test_long_names_are_cut_and_still_known() -> None:
    one = exchange()
    tag = b"t" * 60_000
    (ask,) = seen(one, way("in"), box(_ask=tag, _command=b"C" * 60_000))
    (answer,) = seen(one, way("out"), box(_answer=tag))
    assert answer.route == ask.route
    assert len(ask.route) + len(ask.ask) == 600


def test_what_is_lost_is_told() -> None:
    one = exchange()
    lost = one.lost(way("in"), 1, 500, 3)
    assert (lost.kind, lost.size, lost.error) == ("lost", 500, "3 boxes were not seen")
    assert one.totals.missed == 500


def test_another_protocol_behind_an_answer() -> None:
    one = exchange(Dictionary([arithmetic]))
    seen(one, way("in"), box(_ask="1", _command="Switch"))
    (answer,) = seen(one, way("out"), box(_answer="1"))
    assert answer.why == "from here on, something else is spoken than AMP"


def test_the_routes_of_chatcore() -> None:
    one = exchange(load([CHATCORE]))
    routes = [
        each.route
        for raw in (
            box(_command="Forward", _ask="1", route="chat.chatHandler.send"),
            box(_command="CallNotify", service="chatRemote", method="add"),
            box(_command="Ping", _ask="2"),
        )
        for each in seen(one, way("in"), raw)
    ]
    assert routes == ["chat.chatHandler.send", "chatRemote.add", "Ping"]


def test_secrets_in_errors_are_hidden() -> None:
    error = box(_error="1", _error_code="NO", _error_description="bad password=hunter2 given")
    (found,) = seen(exchange(), way("in"), error)
    assert found.why == "[hidden]"


def test_an_error_of_a_method_tells_nothing_that_the_method_hides() -> None:
    dictionary = load([CHATCORE])
    dictionary.declared = {"chat.bank.pay": Declared(("card",), ("card",))}
    dictionary.types = {"client": "chat"}
    one = exchange(dictionary)
    call = box(_ask="1", _command="Call", service="bank", method="pay", args="")
    error = box(_error="1", _error_code="RAISED", _error_description="no card=4111")
    (ask,) = seen(one, way("out"), call)
    (found,) = seen(one, way("in"), error)
    assert (ask.route, found.why) == ("chat.bank.pay", "[hidden]")


def test_of_what_messages_concern_only_what_is_asked_for_is_kept() -> None:
    one = Exchange(load([CHATCORE]), Redaction(), concerns=True, asked_for=frozenset({"bob"}))
    args = pack(["bob", "x" * 1000])
    call = box(_ask="1", _command="Call", service="bank", method="pay", args=args)
    (ask,) = seen(one, way("out"), call)
    (answer,) = seen(one, way("in"), box(_answer="1"))
    assert (ask.uids, answer.uids) == ({"bob"}, {"bob"})


class TestChoice:
    def some(self) -> Iterator[Seen]:
        one = exchange()
        yield from seen(one, way("in"), ASK, 0)
        yield from seen(one, way("out"), ANSWER, 4_000)
        yield from seen(one, way("in"), box(_ask="1", _command="chat.say"), 5_000)
        yield from seen(one, way("out"), ERROR, 105_000)

    def chosen(self, choice: Choice) -> list[str]:
        return [f"{each.kind} {each.route}" for each in self.some() if each in choice]

    def test_all(self) -> None:
        assert len(self.chosen(Choice())) == 4

    def test_routes(self) -> None:
        assert self.chosen(Choice(["chat.*"])) == ["ask chat.say", "error chat.say"]

    def test_errors(self) -> None:
        assert self.chosen(Choice(errors=True)) == ["error chat.say"]

    def test_slow(self) -> None:
        assert self.chosen(Choice(slow=4)) == ["answer Sum", "error chat.say"]
        assert self.chosen(Choice(["Sum"], slow=4)) == ["answer Sum"]
