"""Claims: which process runs which server, known to all who share a run folder.

A claim is an exclusive ``flock`` on ``<id>.lock``. The kernel gives it back when the last process
that holds it ends, however it ends, and a daemonising fork passes it on. Beside it,
``<id>.about`` says what others have to know to reach that process (`Claim.note`).

Looking at a lock, and creating or removing its file, are done one process at a time under a second
lock, on the file ``.claims``. So whoever looks never takes a lock that another was about to claim,
and a lock file can be removed without a race: between opening a file and locking it nobody can
remove it. ``.claims`` itself stays.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from chatcore.errors import ConfigError

_OPEN = os.O_RDWR | os.O_NOFOLLOW


class Claim:
    """The right to run a server, held until the process ends or :meth:`release`.

    Made by :meth:`chatcore.config.run_folder.RunFolder.claim`.
    """

    def __init__(self, file: Path, descriptor: int) -> None:
        self._file: Path = file
        self._descriptor: int | None = descriptor

    def note_pid(self) -> None:
        """Write down the pid of this process; call it again after a daemonising fork."""
        if self._descriptor is not None:
            with one_at_a_time(self._file.parent):
                _write_pid(self._descriptor)

    def note(self, facts: Mapping[str, str]) -> None:
        """Tell others who share the run folder what they have to know of this process."""
        file = about(self._file)
        new = file.with_name(f".{file.name}")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as written:
            json.dump(dict(facts), written)
        new.replace(file)

    def release(self) -> None:
        """Give the claim back and remove its files; calling it again does nothing.

        Of two processes that share it after a fork, only the one that goes on running the server
        may call this.
        """
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        try:
            with one_at_a_time(self._file.parent):
                if _is_at(descriptor, self._file):
                    about(self._file).unlink(missing_ok=True)
                    self._file.unlink()
        except FileNotFoundError:
            pass  # The whole run folder was removed.
        finally:
            os.close(descriptor)


def about(file: Path) -> Path:
    """Where the process that holds ``file`` notes what others have to know of it."""
    return file.with_suffix(".about")


def noted(file: Path) -> dict[str, str]:
    """What the process that holds ``file`` has noted; empty where it has noted nothing."""
    try:
        facts = json.loads(about(file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in facts.items()} if type(facts) is dict else {}


def take(file: Path) -> Claim | None:
    """Claim ``file``, or return None when somebody holds it; under :func:`one_at_a_time`."""
    descriptor = os.open(file, _OPEN | os.O_CREAT, 0o600)
    try:
        if _is_locked(descriptor):
            os.close(descriptor)
            return None
        _write_pid(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return Claim(file, descriptor)


def holder(file: Path) -> int | None:
    """Return the pid of whoever holds ``file``, or None; under :func:`one_at_a_time`."""
    try:
        descriptor = os.open(file, _OPEN)
    except FileNotFoundError:
        return None
    try:
        if not _is_locked(descriptor):
            return None
        written = os.pread(descriptor, 32, 0).strip()
    finally:
        os.close(descriptor)
    # A pid is handed to os.kill, where 0 and negative numbers mean many processes.
    if not written.isdigit() or int(written) < 1:
        raise ConfigError(
            "does not hold a pid, though somebody holds the lock on it",
            file=file,
            advice="Stop that process (fuser shows it) and remove the file",
        )
    return int(written)


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Keep all other processes from looking at or changing claims in ``folder`` meanwhile."""
    descriptor = os.open(folder / ".claims", _OPEN | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    """Lock ``descriptor`` unless another holds it, and say whether another does."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _write_pid(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)


def _is_at(descriptor: int, file: Path) -> bool:
    try:
        there = file.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)
