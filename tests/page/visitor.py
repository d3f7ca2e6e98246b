"""A person at the page: what they do and what they see."""

from __future__ import annotations

from typing import Any, Protocol

from webdriver import Browser, wait_until


class RunningChat(Protocol):
    """The chat that the tests visit: a copy of the example on free ports, in real processes."""

    page: str

    def ids(self, server_type: str) -> list[str]:
        """The ids of all servers of a type."""

    def port(self, server_id: str) -> int:
        """The port for clients."""

    def kill(self, server_id: str) -> None:
        """End a node with SIGKILL; it is started again by itself."""

    def stop(self, server_id: str) -> None:
        """End a node, and leave it away until `resume`."""

    def halt(self) -> None:
        """Take the whole chat away."""

    def crash(self) -> None:
        """End all with SIGKILL, and start it again at once."""

    def resume(self) -> None:
        """Start whatever is away."""


class Visitor:
    """Somebody with a browser of their own."""

    def __init__(self, browser: Browser, page: str) -> None:
        self.browser = browser
        self._page = page
        self._away = False

    def open(self, query: str = "") -> None:
        """Load the page."""
        self.browser.open(self._page + query)

    def fill(self, name: str, room: str) -> None:
        """Fill the form for joining in, and press the button."""
        for field, text in (("#name", name), ("#room", room)):
            self.browser.clear(field)
            self.browser.write(field, text)
        self.browser.click("#join-button")

    def join(self, name: str, room: str) -> None:
        """Join a room, and wait until one is in."""
        self.fill(name, room)
        self.wait_inside()

    def wait_inside(self) -> None:
        """Wait until one is in the room."""
        wait_until(lambda: self.phase == "in", "being in the room")
        wait_until(lambda: self.browser.shown("#entry"), "a field to write in")

    @property
    def phase(self) -> str:
        """What the page says of its connection."""
        return str(self.browser.run("return document.body.dataset.phase || ''"))

    def refused(self) -> str:
        """What the form says, once it says something."""
        return wait_until(lambda: self.browser.text("#join-error"), "a reason for not joining")

    def say(self, text: str, to: str = "*") -> None:
        """Write to everyone or to one, and send it."""
        self.choose(to)
        self.browser.write("#entry", text)
        self.browser.press("Enter")

    def choose(self, to: str) -> None:
        """Choose to whom one writes."""
        wait_until(lambda: to in self.targets(), f"{to} to choose")
        if self.browser.value("#target") != to:
            self.browser.click(f'#target option[value="{to}"]')

    def targets(self) -> list[str]:
        """Everyone and everybody one can write to, by value."""
        return list(
            self.browser.run(
                "return [...document.querySelectorAll('#target option')]"
                ".map((option) => option.value)"
            )
        )

    def names(self) -> list[str]:
        """Who is there, says the list."""
        return sorted(
            text.removesuffix(" you")
            for text in self.browser.texts("#people-list .person > span:last-child")
        )

    def texts(self) -> list[str]:
        """The messages on the screen."""
        return self.browser.texts("#log .text")

    def notices(self) -> list[str]:
        """The quiet lines between the messages."""
        return self.browser.texts("#log .notice")

    def messages(self) -> list[tuple[str, str, str]]:
        """The messages: from whom, `to ... only` or nothing, what."""
        rows = self.browser.run(
            "return [...document.querySelectorAll('#log .message')].map((line) => ["
            "line.querySelector('b').textContent,"
            "line.querySelector('.private-mark')?.textContent ?? '',"
            "line.querySelector('.text').textContent])"
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def wait_text(self, text: str) -> None:
        """Wait for a message."""
        wait_until(lambda: text in self.texts(), f"the message {text!r}")

    def wait_notice(self, text: str) -> None:
        """Wait for a notice."""
        wait_until(lambda: text in self.notices(), f"the notice {text!r}")

    def wait_names(self, *names: str) -> None:
        """Wait until exactly these are there."""
        wait_until(lambda: self.names() == sorted(names), f"{names} in the list")

    def connector(self, chat: RunningChat) -> str:
        """The id of the connector that one is connected to."""
        port = int(self.browser.texts("#via")[0].rpartition(":")[2])
        return next(name for name in chat.ids("connector") if chat.port(name) == port)

    def phone(self) -> None:
        """From now on the window is a phone's."""
        size: dict[str, Any] = {"width": 390, "height": 844, "deviceScaleFactor": 2}
        self.browser.devtools("Emulation.setDeviceMetricsOverride", mobile=True, **size)

    def complaints(self) -> list[str]:
        """What the browser's console holds against the page, other than servers being away."""
        if self._away:
            return []
        away = ("net::ERR_CONNECTION", "Error in connection establishment", "WebSocket")
        return [text for text in self.browser.complaints() if not any(w in text for w in away)]

    def close(self) -> None:
        """Close the browser; once more does nothing."""
        if not self._away:
            self._away = True
            self.browser.close()
