"""What the page does when something goes wrong: it says so, and it recovers by itself."""

from __future__ import annotations

from collections.abc import Callable

from visitor import RunningChat, Visitor
from webdriver import wait_until

MakeVisitor = Callable[..., Visitor]


def talk(person: Visitor, text: str, *others: Visitor) -> None:
    """Say something, again whenever the page gives it back, until everybody has heard it."""
    person.wait_inside()
    person.say(text)

    def heard() -> bool:
        if all(text in other.texts() for other in (person, *others)):
            return True
        if person.phase == "in" and person.browser.value("#entry") == text:
            person.browser.click(".send")
        return False

    wait_until(heard, f"everybody to hear {text!r}", 60)


def test_a_gate_that_does_not_answer(visitor: MakeVisitor, chat: RunningChat) -> None:
    """The form says so and keeps what was written; when the gate is back, it works."""
    alice = visitor()
    chat.stop(chat.ids("gate")[0])
    alice.fill("alice", "attic")
    assert "The chat doesn" in alice.refused()
    assert (alice.browser.value("#name"), alice.browser.value("#room")) == ("alice", "attic")
    assert alice.browser.text("#join-button") == "Join the room"
    chat.resume()

    def inside() -> bool:
        if alice.browser.shown("#join-button") and alice.phase != "entering":
            alice.browser.click("#join-button")
        return alice.phase == "in"

    wait_until(inside, "being in the room", 60)


def test_the_connector_is_killed(visitor: MakeVisitor, chat: RunningChat) -> None:
    """Whoever was on it comes back by way of the gate; what was said stays on the screen."""
    alice, bob = visitor(), visitor()
    alice.join("alice", "balcony")
    bob.join("bob", "balcony")
    alice.say("before")
    bob.wait_text("before")
    bob.browser.write("#entry", "half a thought")
    chat.kill(bob.connector(chat))
    bob.wait_notice("The connection was lost.")
    wait_until(lambda: "You are back." in bob.notices(), "bob to be back", 60)
    assert not bob.browser.shown("#banner")
    assert bob.browser.value("#entry") == "half a thought"
    bob.browser.clear("#entry")
    alice.wait_inside()
    bob.wait_names("alice", "bob")
    alice.wait_names("alice", "bob")
    talk(bob, "after", alice)
    talk(alice, "indeed", bob)
    assert bob.texts() == ["before", "after", "indeed"]


def test_every_chat_server_is_killed(visitor: MakeVisitor, chat: RunningChat) -> None:
    """The room comes back with everybody in it, and they talk again."""
    alice, bob = visitor(), visitor()
    alice.join("alice", "cellar")
    bob.join("bob", "cellar")
    alice.say("before")
    bob.wait_text("before")
    for server_id in chat.ids("chat"):
        chat.kill(server_id)
    talk(alice, "after", bob)
    talk(bob, "indeed", alice)
    alice.wait_names("alice", "bob")
    bob.wait_names("alice", "bob")


def test_the_whole_chat_goes_away(visitor: MakeVisitor, chat: RunningChat) -> None:
    """The page says that it tries again, keeps text that can't be sent, and comes back."""
    alice, bob = visitor(), visitor()
    alice.join("alice", "dining_room")
    bob.join("bob", "dining_room")
    bob.say("before")
    alice.wait_text("before")
    chat.halt()
    wait_until(lambda: "Trying again" in alice.browser.text("#banner-text"), "the banner")
    assert alice.browser.texts("#room-line") == ["not connected"]
    alice.browser.write("#entry", "to be kept")
    alice.browser.press("Enter")
    reason = wait_until(lambda: alice.browser.text("#send-error"), "a reason")
    assert "not connected" in reason
    assert alice.browser.value("#entry") == "to be kept"
    wait_until(lambda: "The chat doesn" in alice.browser.text("#banner-text"), "the gate's absence")
    chat.resume()
    for person in (alice, bob):
        person.wait_inside()
        person.wait_names("alice", "bob")
    wait_until(lambda: not alice.browser.text("#send-error"), "the complaint to go")
    alice.browser.press("Enter")
    for person in (alice, bob):
        person.wait_text("to be kept")
    assert alice.texts() == bob.texts() == ["before", "to be kept"]


def test_the_whole_chat_is_killed(visitor: MakeVisitor, chat: RunningChat) -> None:
    """It is started again at once, and the page needs nobody's help to come back."""
    alice, bob = visitor(), visitor()
    alice.join("alice", "larder")
    bob.join("bob", "larder")
    alice.say("before")
    bob.wait_text("before")
    chat.crash()
    for person in (alice, bob):
        wait_until(lambda who=person: "You are back." in who.notices(), "being back", 60)
        person.wait_inside()
        person.wait_names("alice", "bob")
    bob.say("after")
    for person in (alice, bob):
        person.wait_text("after")
    assert alice.texts() == bob.texts() == ["before", "after"]


def test_a_message_to_one_who_left(visitor: MakeVisitor) -> None:
    """It doesn't go to all instead: it stays in the field, and the page says why."""
    alice, bob = visitor(), visitor()
    alice.join("alice", "entrance")
    bob.join("bob", "entrance")
    alice.choose("bob")
    alice.browser.write("#entry", "just for you")
    bob.close()
    alice.wait_notice("bob is offline now.")
    assert alice.browser.value("#target") == "bob"
    alice.browser.press("Enter")
    reason = wait_until(lambda: alice.browser.text("#send-error"), "a reason")
    assert "bob" in reason and "left" in reason
    assert alice.browser.value("#entry") == "just for you"
    assert alice.texts() == []
    alice.browser.press("Escape")
    assert alice.targets() == ["*"]


def test_a_reload_while_the_chat_is_away(visitor: MakeVisitor, chat: RunningChat) -> None:
    """One whose page is loaded anew waits in the room, and is in once there is one."""
    alice = visitor()
    alice.join("alice", "foyer")
    for server_id in [*chat.ids("gate"), *chat.ids("connector")]:
        chat.stop(server_id)
    alice.browser.reload()
    wait_until(lambda: "Trying again" in alice.browser.text("#banner-text"), "the banner")
    chat.resume()
    alice.wait_inside()
    alice.wait_names("alice")


def test_somebody_takes_the_name_meanwhile(visitor: MakeVisitor) -> None:
    """Two pages of one name: the second gives up after a while, and offers another name."""
    alice, other = visitor(), visitor()
    alice.join("alice", "gallery")
    memory = '{"name": "alice", "room": "gallery", "inside": true}'
    other.browser.run("sessionStorage.setItem('chatcore.visit', arguments[0])", memory)
    other.browser.reload()
    wait_until(lambda: "already" in other.browser.text("#banner-text"), "the reason")
    wait_until(lambda: other.phase == "ended", "an end of trying", 30)
    assert other.browser.text("#banner-button") == "Choose another name"
    other.browser.click("#banner-button")
    assert "alice is in gallery already" in other.refused()
    assert other.browser.focused() == "name"
    other.join("alicia", "gallery")
    alice.wait_names("alice", "alicia")


def test_being_sent_away(visitor: MakeVisitor) -> None:
    """Whoever is kicked is told why, and asked before the page joins again."""
    alice = visitor()
    alice.join("alice", "hall")
    alice.browser.run(
        "return import('./banner.js').then(({ Banner }) => new Banner({"
        "  joinAgain: () => { document.body.dataset.asked = 'again'; },"
        "}).show({ phase: 'ended',"
        "  problem: { kind: 'kicked', detail: { reason: 'closing time' } } }))"
    )
    assert alice.browser.text("#banner-text") == "The server ended your visit: closing time."
    assert alice.browser.text("#banner-button") == "Join again"
    alice.browser.click("#banner-button")
    assert alice.browser.run("return document.body.dataset.asked") == "again"
