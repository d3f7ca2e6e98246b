"""The chat as people see it: real browsers, real servers."""

from __future__ import annotations

from collections.abc import Callable

from visitor import RunningChat, Visitor
from webdriver import wait_until

MakeVisitor = Callable[..., Visitor]


def test_two_in_a_room_and_a_third_elsewhere(visitor: MakeVisitor) -> None:
    """Joining, who is there, a message to all and to one; rooms don't hear each other."""
    alice, bob, carol = visitor(), visitor(), visitor()
    alice.join("alice", "lobby")
    alice.wait_names("alice")
    alice.wait_notice("You are in lobby.")
    bob.join("bob", "lobby")
    bob.wait_names("alice", "bob")
    alice.wait_notice("bob is online now.")
    alice.wait_names("alice", "bob")
    carol.join("carol", "garden")
    carol.wait_names("carol")

    alice.say("hello all")
    bob.wait_text("hello all")
    alice.wait_text("hello all")
    carol.say("only flowers")
    carol.wait_text("only flowers")
    bob.say("for alice", to="alice")
    alice.wait_text("for alice")
    bob.wait_text("for alice")
    alice.say("for everyone again")
    for person in (alice, bob):
        person.wait_text("for everyone again")

    assert alice.messages() == [
        ("You", "", "hello all"),
        ("bob", "to you only", "for alice"),
        ("You", "", "for everyone again"),
    ]
    assert bob.messages() == [
        ("alice", "", "hello all"),
        ("You", "to alice only", "for alice"),
        ("alice", "", "for everyone again"),
    ]
    assert carol.messages() == [("You", "", "only flowers")]
    assert "bob is online now." not in bob.notices()
    assert alice.browser.texts("#log time") and alice.browser.title == "lobby · chatcore"


def test_a_private_message_reaches_one_of_three(visitor: MakeVisitor) -> None:
    """It goes to the one and comes back to the sender, not to the others in the room."""
    alice, bob, carol = visitor(), visitor(), visitor()
    for person, name in ((alice, "alice"), (bob, "bob"), (carol, "carol")):
        person.join(name, "library")
    bob.say("psst", to="alice")
    alice.wait_text("psst")
    bob.say("good morning", to="*")
    for person in (carol, bob):
        person.wait_text("good morning")
    assert carol.texts() == ["good morning"]
    assert bob.texts() == ["psst", "good morning"]


def test_a_message_to_oneself_comes_once(visitor: MakeVisitor) -> None:
    """The server's push is the only line, as nobody else is concerned."""
    alice, bob = visitor(), visitor()
    alice.join("alice", "kitchen")
    bob.join("bob", "kitchen")
    alice.wait_names("alice", "bob")
    alice.browser.run(
        "const { target } = document.querySelector('#composer');"
        "target.append(new Option('alice', 'alice'))"
    )
    alice.say("note to self", to="alice")
    alice.say("to all", to="*")
    alice.wait_text("to all")
    bob.wait_text("to all")
    assert alice.texts() == ["note to self", "to all"]
    assert bob.texts() == ["to all"]


def test_leaving_by_button_and_by_closing(visitor: MakeVisitor) -> None:
    """The others see that one went offline, and the name is free again."""
    alice, bob, carol = visitor(), visitor(), visitor()
    for person, name in ((alice, "alice"), (bob, "bob"), (carol, "carol")):
        person.join(name, "studio")
    alice.wait_names("alice", "bob", "carol")
    bob.browser.click("#leave")
    alice.wait_notice("bob is offline now.")
    assert bob.browser.shown("#join-button")
    assert bob.browser.value("#name") == "bob"
    carol.close()
    alice.wait_notice("carol is offline now.")
    alice.wait_names("alice")
    bob.join("carol", "studio")
    alice.wait_names("alice", "carol")
    assert alice.notices().count("carol is online now.") == 2


def test_names_that_are_not_allowed(visitor: MakeVisitor) -> None:
    """The form says what is wrong, where, and stays."""
    alice = visitor()
    for name, room, bad, word in [
        ("", "terrace", "name", "enter a name"),
        ("alice", "", "room", "enter a room"),
        ("a" * 21, "terrace", "name", "too long"),
        ("alice", "中" * 21, "room", "too long"),
        ("alice smith", "terrace", "name", "letters, numbers"),
        ("alice", "lob*by", "room", "letters, numbers"),
        ("<b>", "terrace", "name", "letters, numbers"),
        ("élan", "terrace", "name", "letters, numbers"),
    ]:
        alice.fill(name, room)
        assert word in alice.refused(), (name, room)
        assert alice.browser.focused() == bad, (name, room)
        invalid = "return document.querySelector('[aria-invalid=true]').id"
        assert alice.browser.run(invalid) == bad, (name, room)
        assert alice.phase == ""


def test_the_longest_names_there_are(visitor: MakeVisitor) -> None:
    """Twenty characters of every allowed kind."""
    alice = visitor()
    name, room = "小明_abcXYZ_0123456789", "龥一" * 10
    assert len(name) == len(room) == 20
    alice.join(name, room)
    alice.wait_names(name)


def test_a_name_that_is_taken(visitor: MakeVisitor) -> None:
    """The second alice is told; in another room, or under another name, she gets in."""
    alice, other = visitor(), visitor()
    alice.join("alice", "veranda")
    other.fill("alice", "veranda")
    assert "alice is in veranda already" in other.refused()
    assert other.browser.focused() == "name"
    other.join("alice", "garden_2")
    other.wait_names("alice")
    other.browser.click("#leave")
    other.join("alice2", "veranda")
    alice.wait_names("alice", "alice2")


def test_text_stays_text(visitor: MakeVisitor) -> None:
    """HTML, emoji, Chinese and new lines arrive as they were written, and nothing runs."""
    alice, bob = visitor(), visitor()
    alice.join("小明", "聊天")
    bob.join("bob", "聊天")
    alice.wait_names("小明", "bob")
    texts = [
        "<img src=x onerror=\"document.body.dataset.hacked='1'\"><script>alert(1)</script>",
        "& &amp; &lt;b&gt; ' \"",
        "中文 é ß 日本",
        "see https://example.org/?a=<b>&c=1.",
    ]
    for text in texts:
        bob.say(text)
        alice.wait_text(text)
    # chromedriver can't type what lies beyond the Basic Multilingual Plane.
    rocket = "👩‍🚀 🎉 two\nlines"
    bob.browser.run("document.getElementById('entry').value = arguments[0]", rocket)
    bob.browser.click(".send")
    alice.wait_text(rocket)
    for person in (alice, bob):
        assert person.texts() == [*texts, rocket]
        found = "return document.querySelectorAll('#log img, #log script, #log .text b').length"
        assert person.browser.run(found) == 0
        assert person.browser.run("return document.body.dataset.hacked ?? null") is None
        links = "return [...document.querySelectorAll('#log a')].map((link) => link.href)"
        assert person.browser.run(links) == ["https://example.org/?a="]


def test_blank_and_endless_messages_are_not_sent(visitor: MakeVisitor) -> None:
    """Blank text is nothing; what is too long stays in the field and is named."""
    alice = visitor()
    alice.join("alice", "workshop")
    alice.browser.write("#entry", "   ")
    alice.browser.press("Enter")
    alice.browser.run("document.getElementById('entry').value = 'x'.repeat(2001)")
    alice.browser.press("Enter")
    error = wait_until(lambda: alice.browser.text("#send-error"), "a reason")
    assert "too long" in error
    assert len(alice.browser.value("#entry")) == 2001
    alice.browser.run("document.getElementById('entry').value = 'short'")
    alice.browser.press("Enter")
    alice.wait_text("short")
    assert alice.texts() == ["short"]


def test_a_reload_keeps_one_in_the_room(visitor: MakeVisitor) -> None:
    """Name and room are remembered, and the room's other people see one come back."""
    alice, bob = visitor(), visitor()
    alice.join("alice", "pantry")
    bob.join("bob", "pantry")
    alice.browser.reload()
    alice.wait_inside()
    alice.wait_names("alice", "bob")
    bob.wait_names("alice", "bob")
    bob.say("still there?")
    alice.wait_text("still there?")
    alice.browser.click("#leave")
    alice.browser.reload()
    assert alice.browser.shown("#join-button")
    assert alice.browser.value("#name") == "alice"


def test_what_servers_said_is_kept_for_the_next_page(visitor: MakeVisitor) -> None:
    """Route codes and schemas; whatever else may be found in their place is no hindrance."""
    alice = visitor()
    alice.join("alice", "archive")
    keys = "return Object.keys(localStorage).filter((key) => key.startsWith('chatcore.')).sort()"
    assert alice.browser.run(keys) == ["chatcore.dictionaries", "chatcore.schemas"]
    dictionary = "return localStorage.getItem('chatcore.dictionaries')"
    kept = alice.browser.run(dictionary)
    assert '"chat.chatHandler.send":1' in kept
    for number, found in enumerate((kept, "junk", "[[],[]]")):
        alice.browser.run("localStorage.setItem('chatcore.dictionaries', arguments[0])", found)
        alice.browser.reload()
        alice.wait_inside()
        alice.say(f"note {number}")
        alice.wait_text(f"note {number}")
        assert '"chat.chatHandler.send":1' in alice.browser.run(dictionary)


def test_a_link_to_a_room(visitor: MakeVisitor) -> None:
    """The address of the page invites others."""
    alice = visitor()
    alice.join("alice", "聊天_2")
    invited = visitor(alice.browser.url.partition("?")[1] + alice.browser.url.partition("?")[2])
    assert invited.browser.value("#room") == "聊天_2"
    assert "聊天_2" in invited.browser.text("#invitation")
    assert invited.browser.focused() == "name"
    invited.browser.write("#name", "bob")
    invited.browser.press("Enter")
    invited.wait_inside()
    alice.wait_names("alice", "bob")


def test_a_page_in_the_background_counts(visitor: MakeVisitor) -> None:
    """Title and icon say how much is unread; looking at the page clears them."""
    alice, bob = visitor(), visitor()
    alice.join("alice", "loft")
    bob.join("bob", "loft")
    alice.browser.new_tab()
    bob.say("one")
    bob.say("two")
    bob.wait_text("two")
    alice.browser.first_tab()
    # The focus of a window without a screen is the browser's guess: look away by hand.
    alice.browser.run("document.hasFocus = () => false")
    bob.say("three")
    alice.wait_text("three")
    title = wait_until(lambda: alice.browser.title, "a title")
    assert title.endswith(" loft · chatcore") and title.startswith("(")
    icon = "return document.getElementById('favicon').getAttribute('href')"
    assert alice.browser.run(icon) == "icon-unread.svg"
    assert "New messages" in alice.notices()
    alice.browser.run("delete document.hasFocus; window.dispatchEvent(new Event('focus'))")
    assert alice.browser.title == "loft · chatcore"
    assert alice.browser.run(icon) == "icon.svg"


def test_messages_below_what_one_reads(visitor: MakeVisitor) -> None:
    """Reading further up is not disturbed: a button counts what is new, and leads there."""
    alice, bob = visitor(), visitor()
    alice.join("alice", "lounge")
    bob.join("bob", "lounge")
    alice.say("\n".join(["tall"] * 3))
    for n in range(12):
        bob.say(f"line {n}")
    alice.wait_text("line 11")
    alice.browser.run("document.getElementById('scroller').scrollTop = 0")
    top = "return document.getElementById('scroller').scrollTop"
    wait_until(lambda: alice.browser.run(top) == 0, "the top")
    bob.say("below")
    alice.wait_text("below")
    wait_until(lambda: alice.browser.text("#newest-text") == "1 new message", "the button")
    assert alice.browser.run(top) == 0
    alice.browser.click("#newest")
    wait_until(lambda: not alice.browser.shown("#newest"), "the button to go")
    assert alice.browser.run(top) > 0


def test_without_a_mouse(visitor: MakeVisitor) -> None:
    """Everything that matters by keyboard: join, write, a new line, choose one, back to all."""
    bob, alice = visitor(), visitor()
    bob.join("bob", "porch")
    keys = alice.browser
    assert keys.focused() == "name"
    keys.type("alice")
    keys.press("Tab")
    assert keys.focused() == "room"
    keys.type("porch")
    keys.press("Enter")
    alice.wait_inside()
    wait_until(lambda: keys.focused() == "entry", "the field to have the focus")
    keys.type("first")
    keys.press("Shift", "Enter")
    keys.type("second")
    keys.press("Enter")
    bob.wait_text("first\nsecond")
    assert keys.value("#entry") == ""

    keys.press("Shift", "Tab")
    assert keys.focused() == "target"
    keys.press("b")
    wait_until(lambda: keys.value("#target") == "bob", "bob to be chosen")
    wait_until(lambda: keys.focused() == "entry", "the field to have the focus")
    keys.type("secret")
    keys.press("Enter")
    bob.wait_text("secret")
    assert bob.messages()[-1] == ("alice", "to you only", "secret")
    keys.press("Escape")
    assert keys.value("#target") == "*"
    keys.type("open")
    keys.press("Enter")
    bob.wait_text("open")
    assert bob.messages()[-1] == ("alice", "", "open")


def test_what_a_screen_reader_is_told(visitor: MakeVisitor) -> None:
    """Landmarks, names for everything one can act on, and a polite log."""
    alice, bob = visitor(), visitor()
    tree = alice.browser.devtools("Accessibility.getFullAXTree")["nodes"]
    assert {"main", "heading"} <= {node["role"]["value"] for node in tree if "role" in node}
    alice.join("alice", "cloister")
    bob.join("bob", "cloister")
    alice.wait_names("alice", "bob")
    tree = alice.browser.devtools("Accessibility.getFullAXTree")["nodes"]
    nodes = [node for node in tree if not node["ignored"]]
    roles = {node["role"]["value"] for node in nodes}
    assert {"main", "complementary", "log", "list", "textbox", "combobox"} <= roles
    acting = ("button", "textbox", "combobox", "link")
    nameless = [
        node for node in nodes if node["role"]["value"] in acting and not node["name"]["value"]
    ]
    assert nameless == []
    assert alice.browser.run("return document.getElementById('log').ariaLive") == "polite"


def test_on_a_phone(visitor: MakeVisitor) -> None:
    """People are a drawer; nothing is wider than the screen; the field stays in sight."""
    alice, bob = visitor(), visitor()
    alice.phone()
    alice.join("alice", "orchard")
    bob.join("bob", "orchard")
    wait_until(lambda: alice.browser.text("#people-badge") == "2", "two people")
    assert not alice.browser.shown("#people-list")
    alice.browser.click("#people-open")
    wait_until(lambda: alice.browser.shown("#people-list"), "the drawer")
    wait_until(lambda: alice.browser.focused() == "people-close", "the focus in the drawer")
    alice.browser.press("Escape")
    wait_until(lambda: not alice.browser.shown("#people-list"), "the drawer to close")
    assert alice.browser.focused() == "people-open"
    alice.browser.click("#people-open")
    wait_until(lambda: alice.browser.shown("[data-name=bob]"), "bob in the drawer")
    alice.browser.click("[data-name=bob]")
    wait_until(lambda: alice.browser.focused() == "entry", "the focus in the field")
    alice.browser.write("#entry", "x" * 300)
    alice.browser.press("Enter")
    bob.wait_text("x" * 300)
    assert bob.messages()[-1][1] == "to you only"
    wide = "return document.documentElement.scrollWidth <= 390"
    assert alice.browser.run(wide)
    bottom = "return document.getElementById('composer').getBoundingClientRect().bottom <= 844"
    assert alice.browser.run(bottom)


def test_light_and_dark(visitor: MakeVisitor) -> None:
    """The system's choice first; the person's own, once made, lasts."""
    alice = visitor()

    def ground() -> str:
        return str(alice.browser.run("return getComputedStyle(document.body).backgroundColor"))

    def prefer(scheme: str) -> None:
        feature = {"name": "prefers-color-scheme", "value": scheme}
        alice.browser.devtools("Emulation.setEmulatedMedia", features=[feature])

    prefer("light")
    light = ground()
    prefer("dark")
    dark = wait_until(lambda: ground() != light and ground(), "another ground")
    alice.browser.click("#join-view [data-theme-toggle]")
    wait_until(lambda: ground() == light, "light by choice")
    alice.browser.reload()
    assert ground() == light
    pressed = "return document.querySelector('[data-theme-toggle]').ariaPressed"
    assert alice.browser.run(pressed) == "false"
    alice.browser.click("#join-view [data-theme-toggle]")
    wait_until(lambda: ground() == dark, "dark by choice")


def test_many_connectors_one_room(visitor: MakeVisitor, chat: RunningChat) -> None:
    """People on different connectors are in one room."""
    names = ["alice", "bob", "carol"]
    people = {name: visitor() for name in names}
    for name, person in people.items():
        person.join(name, "harbour")
    for person in people.values():
        person.wait_names(*names)
        assert person.connector(chat) in chat.ids("connector")
    for name, person in people.items():
        person.say(f"from {name}")
        for other in people.values():
            other.wait_text(f"from {name}")
