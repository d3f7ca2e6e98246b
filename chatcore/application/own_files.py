"""The application's own files: ``app.load_config``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatcore.application.checks import wrong
from chatcore.config.files import config_places, load_config
from chatcore.connectors.watching import Watch
from chatcore.deadlines import IClock
from chatcore.dispatch.blame import Place
from chatcore.hooks import takes

Changed = Callable[[Any], Any]
"""Told what a file says, since it was changed."""


class OwnFiles:
    """Reads files for the application, and again when they have changed.

    Args:
        folder: the application's.
        env: the environment.
        seconds: between looks; 0 for never.
        clock: the reactor.
    """

    log = Logger()

    def __init__(self, *, folder: Path, env: str, seconds: float, clock: IClock) -> None:
        self._folder, self._env = folder, env
        self._seconds, self._clock = seconds, clock
        self._watches: list[Watch] = []
        self._looks = False

    def load(self, name: str, changed: Changed | None = None, place: Place | None = None) -> Any:
        """What a file says for the environment.

        Args:
            changed: told what it says whenever it was changed from now on.
            place: who asks for that.

        Raises:
            ConfigError: there is no such file, or it is not JSON, or ``changed`` can't be called.
        """
        if changed is not None and place is not None:
            verify_changed(changed, place)
        value = load_config(self._folder, self._env, name)
        if changed is not None:
            self.watch(name, changed)
        return value

    def watch(self, name: str, changed: Changed) -> None:
        """Have ``changed`` told of each change of a file."""
        files = config_places(self._folder, self._env, name)
        self.follow(files, partial(self._load_anew, name, changed))

    def follow(
        self, files: Iterable[Path] | Callable[[], Iterable[Path]], load: Callable[[], None]
    ) -> None:
        """Have files loaded anew after each change of them; they are `Watch`'s."""
        watch = Watch(files, seconds=self._seconds, clock=self._clock, load=load)
        self._watches.append(watch)
        if self._looks:
            watch.start()

    def start(self) -> None:
        """Begin to look for changes."""
        self._looks = True
        for watch in self._watches:
            watch.start()

    def stop(self) -> None:
        """Look no longer."""
        self._looks = False
        for watch in self._watches:
            watch.stop()

    def _load_anew(self, name: str, changed: Changed) -> None:
        value = load_config(self._folder, self._env, name)
        maybeDeferred(changed, value).addErrback(self._failed, name)

    def _failed(self, failure: Failure, name: str) -> None:
        self.log.failure("What was told of the change of {name}.json raised", failure, name=name)


def verify_changed(changed: Any, place: Place) -> None:
    """Check what is to be told of changes.

    Raises:
        ConfigError: it can't be called with a value.
    """
    if not callable(changed):
        raise wrong(f"load_config got changed={changed!r}, not a function", place)
    if takes(changed, None) is not None:
        raise wrong("what load_config got as changed can't be called with (value)", place)
