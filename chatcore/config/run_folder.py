"""The run folder: what the nodes of one application share on one machine.

It holds the cluster's secret, and for each server its pid file, log, claim and sockets, and what
others have to know to reach it. It is private to one user.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from chatcore.config import claims
from chatcore.config.claims import Claim
from chatcore.config.names import SERVER_ID_RULE, is_server_id
from chatcore.config.tokens import Token, is_like_token
from chatcore.errors import ConfigError, TokenError

VARIABLE = "CHATCORE_RUN_DIR"
SECRET_VARIABLE = "CHATCORE_SECRET_FILE"
MIN_SECRET = 32
MAX_SECRET = 4096
MAX_SOCKET_PATH = 100
"""Bytes of a unix socket's path; systems allow from 104 to 108 with the final zero byte."""

_LIKE_A_SECRET = re.compile(r"[A-Za-z0-9+/=_-]{32,}")

_NEW_SECRET = "Stop all nodes and remove the file: a new one is made at the next start"

_LONGER = "Make a longer one for all"

_ELSEWHERE = f"Choose a folder of your own on a local disk with --run-dir or {VARIABLE}"


class RunFolder:
    """The run folder; made by :meth:`open`.

    Attributes:
        made_secret: whether this object has made the cluster's secret.
    """

    def __init__(self, path: Path, secret_file: Path | None = None) -> None:
        self.path, self.secret_file = path, secret_file
        self.made_secret = False

    @classmethod
    def open(cls, app: Path, given: str | None = None, secret_file: str | None = None) -> RunFolder:
        """Find the run folder and create it where it does not exist.

        Args:
            app: the application folder.
            given: what ``--run-dir`` said, if anything. Without it the environment variable
                CHATCORE_RUN_DIR counts, and without that ``.chatcore`` in the application folder.
            secret_file: what ``--secret-file`` said, if anything; without it the environment
                variable CHATCORE_SECRET_FILE counts. Without both, the secret is in the folder.

        Raises:
            ConfigError: it can't be created or written, or belongs to somebody else.
        """
        path = _chosen(app, given)
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _make_private(path)
            _ignore_in_git(path)
        return cls(path, secret_elsewhere(secret_file))

    @classmethod
    def find(
        cls, app: Path, given: str | None = None, secret_file: str | None = None
    ) -> RunFolder | None:
        """Find the run folder as `open` does, and create nothing; None where there is none.

        Raises:
            ConfigError: it can't be read, or belongs to somebody else.
        """
        path = _chosen(app, given)
        with _explained(path):
            if not path.exists():
                return None
            _check_private(path)
        return cls(path, secret_elsewhere(secret_file))

    def secret(self) -> bytes:
        """Return the cluster's secret, creating it when there is none yet.

        However many processes ask at once, all get the same. In a file of its own, outside the run
        folder, it is never created: it is there because other machines have the same.

        Raises:
            ConfigError: the file is too short, or others may read it.
        """
        if self.secret_file is not None:
            return read_secret(self.secret_file)
        file = self.secret_path
        with _explained(file):
            if not file.exists():
                self._create_secret(file)
            return _judged(file, _read_private(file, _ELSEWHERE), _NEW_SECRET)

    def key(self) -> bytes | Token:
        """Return what administrators may show: the cluster's secret, or a token in its place.

        Raises:
            ConfigError: as `secret` does; or there is a token that is mangled.
        """
        return self.secret() if self.secret_file is None else read_key(self.secret_file)

    @property
    def secret_path(self) -> Path:
        """Where the cluster's secret is, or will be."""
        return self.secret_file or self.path / "secret"

    @property
    def has_secret(self) -> bool:
        """Whether there is one, so that something has run here."""
        return self.secret_file is not None or self.secret_path.exists()

    def pid_file(self, id: str) -> Path:
        """Return where the pid of a server is written."""
        return self._file(id, "pid")

    def log_file(self, id: str) -> Path:
        """Return where the log of a server is written."""
        return self._file(id, "log")

    def socket(self, id: str) -> Path:
        """Return the unix socket on which a server without a ``port`` listens for other nodes.

        Where the run folder's path is too long for a socket, it lies in a private folder for
        temporary files that is named after the run folder, so that all nodes find it.

        Raises:
            ConfigError: that private folder can't be created, or belongs to somebody else.
        """
        return self._socket(id, "sock")

    def admin_socket(self, id: str) -> Path:
        """Return the unix socket on which a process takes in administrators of this machine.

        Raises:
            ConfigError: as `socket` does.
        """
        return self._socket(id, "admin")

    def claim(self, id: str) -> Claim | None:
        """Claim a server for this process, or return None when another process runs it.

        The claim holds until it is released or the process ends, also across a daemonising fork,
        after which :meth:`Claim.note_pid` is to be called.
        """
        file = self._file(id, "lock")
        with _explained(file), claims.one_at_a_time(self.path):
            return claims.take(file)

    def holder(self, id: str) -> int | None:
        """Return the pid of the process that runs a server, or None when none does."""
        file = self._file(id, "lock")
        with _explained(file), claims.one_at_a_time(self.path):
            return claims.holder(file)

    def holders(self) -> dict[str, int]:
        """Return the names of all that run, with their pids."""
        found = {}
        for file in sorted(self.path.glob("*.lock")):
            if is_server_id(file.stem) and (pid := self.holder(file.stem)) is not None:
                found[file.stem] = pid
        return found

    def noted(self, id: str) -> dict[str, str]:
        """Return what the process that runs a server has told of itself; see :meth:`Claim.note`."""
        return claims.noted(self._file(id, "lock"))

    def tidy(self, id: str) -> None:
        """Remove what a server that was killed left behind; nothing happens while it runs."""
        with _explained(self.path), claims.one_at_a_time(self.path):
            lock = self._file(id, "lock")
            if claims.holder(lock) is not None:
                return
            sockets = self.socket(id), self.admin_socket(id)
            for file in (self.pid_file(id), *sockets, claims.about(lock), lock):
                file.unlink(missing_ok=True)

    def _file(self, id: str, ending: str) -> Path:
        if not is_server_id(id):
            raise ConfigError(f"'{id}' can't be a server id", advice=SERVER_ID_RULE)
        return self.path / f"{id}.{ending}"

    def _socket(self, id: str, ending: str) -> Path:
        usual = self._file(id, ending)
        if _fits(usual):
            return usual
        for place in (tempfile.gettempdir(), "/tmp"):
            folder = Path(place) / f"chatcore-{os.geteuid()}-{_digest(str(self.path))}"
            for name in (id, _digest(id)):
                if _fits(folder / f"{name}.{ending}"):
                    with _explained(folder):
                        _refuse_link(folder)
                        _make_private(folder)
                    return folder / f"{name}.{ending}"
        raise ConfigError(f"the path {usual} is too long for a socket", advice=_ELSEWHERE)

    def _create_secret(self, file: Path) -> None:
        descriptor, name = tempfile.mkstemp(dir=self.path, prefix=".secret-")
        try:
            with os.fdopen(descriptor, "w") as temporary:
                temporary.write(f"{secrets.token_hex(32)}\n")
                temporary.flush()
                os.fsync(temporary.fileno())
            # A link appears at once and complete, and only the first one can be made.
            with suppress(FileExistsError):
                os.link(name, file)
                self.made_secret = True
        finally:
            os.unlink(name)


def _chosen(app: Path, given: str | None) -> Path:
    chosen = given or os.environ.get(VARIABLE)
    return Path(os.path.abspath(chosen)) if chosen else app / ".chatcore"


def refuse_secret() -> NoReturn:
    """Refuse a secret in an argument.

    Raises:
        ConfigError: always, without the secret.
    """
    raise ConfigError(
        "a secret in an argument can be read by everybody on this machine",
        advice="Write a new one into a file with mode 600, and name that with --secret-file or"
        f" {SECRET_VARIABLE}",
    )


def secret_elsewhere(given: str | None) -> Path | None:
    """Where the secret is outside a run folder, as ``--secret-file`` or the variable say."""
    elsewhere = given or os.environ.get(SECRET_VARIABLE)
    return Path(os.path.abspath(elsewhere)) if elsewhere else None


def read_secret(file: Path) -> bytes:
    """Read the cluster's secret in a file of its own.

    Raises:
        ConfigError: it can't be read, has the wrong length, or others may read it; or it is a
            token.
    """
    return _judged(file, _read_elsewhere(file), _LONGER)


def read_key(file: Path) -> bytes | Token:
    """Read what administrators may show: the cluster's secret, or a token in its place.

    Raises:
        ConfigError: as from `read_secret`; or the token is mangled.
    """
    content = _read_elsewhere(file)
    text = content.decode("utf-8", "replace")
    if not is_like_token(text):
        return _judged(file, content, _LONGER)
    try:
        return Token.read(text)
    except TokenError as problem:
        raise ConfigError(
            str(problem),
            file=file,
            advice="Copy all of its line again, or have a new one made with 'chatcore token'",
        ) from None


def _read_elsewhere(file: Path) -> bytes:
    if not file.exists():
        # Who gives the secret itself by mistake must not find it in a log.
        if _LIKE_A_SECRET.fullmatch(file.name):
            refuse_secret()
        raise ConfigError(
            "there is no such file, where the cluster's secret should be",
            file=file if file.parent.is_dir() else "--secret-file",
            advice="Copy the file 'secret' from the run folder of another machine, with mode 600;"
            " or make one with: (umask 077; head -c 32 /dev/urandom | base64 > FILE)",
        )
    try:
        return _read_private(file, "Make it a file of your own")
    except OSError as error:
        raise ConfigError(f"can't be read: {error.strerror}", file=file) from None


def _read_private(file: Path, elsewhere: str) -> bytes:
    with file.open("rb") as opened:
        found = os.fstat(opened.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError("the cluster's secret is not a regular file", file=file)
        if found.st_uid != os.geteuid():
            raise ConfigError(
                "the cluster's secret belongs to somebody else", file=file, advice=elsewhere
            )
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise ConfigError(
                "the cluster's secret can be read or written by others",
                file=file,
                advice=f"Make a new one, or run chmod 600 {file} if nobody has seen it",
            )
        return opened.read(MAX_SECRET + 1).strip()


def _judged(file: Path, secret: bytes, anew: str) -> bytes:
    if is_like_token(secret.decode("utf-8", "replace")):
        raise ConfigError(
            "this is a token, and here the cluster's secret is needed",
            file=file,
            advice="Tokens are for people and programs that look or administer from outside",
        )
    if not MIN_SECRET <= len(secret) <= MAX_SECRET:
        raise ConfigError(
            f"the cluster's secret has {len(secret)} bytes, "
            f"where {MIN_SECRET} to {MAX_SECRET} were expected",
            file=file,
            advice=anew,
        )
    return secret


def _make_private(folder: Path) -> None:
    """Create ``folder`` for this user alone, or make it so; another's is refused."""
    try:
        folder.mkdir(0o700)
    except FileExistsError:
        _check_private(folder)
    else:
        # The umask may have taken away even what the owner needs.
        folder.chmod(0o700)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigError(f"the folder {folder} can't be written", advice=_ELSEWHERE)


def _check_private(folder: Path) -> None:
    found = folder.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigError(f"{folder} is not a folder", advice=_ELSEWHERE)
    if found.st_uid != os.geteuid():
        raise ConfigError(f"the folder {folder} belongs to somebody else", advice=_ELSEWHERE)
    if not stat.S_IMODE(found.st_mode) & 0o077:
        return
    # Closing somebody's home folder or /tmp to all others would do harm.
    if any(folder.iterdir()) and not (folder / "secret").exists():
        raise ConfigError(
            f"the folder {folder} is open to others and holds other things",
            advice="Choose an empty folder with --run-dir or "
            f"{VARIABLE}, or close this one with chmod 700",
        )
    folder.chmod(0o700)


def _refuse_link(folder: Path) -> None:
    """Refuse a symbolic link, which in a folder for everybody anyone could have put there."""
    if folder.is_symlink():
        raise ConfigError(f"{folder} is a symbolic link", advice="Find out who made it")


def _ignore_in_git(folder: Path) -> None:
    with suppress(FileExistsError), (folder / ".gitignore").open("x") as file:
        file.write("*\n")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses at ``path`` into a ConfigError."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{error.filename or path} can't be used: {error.strerror or error}",
            advice=_ELSEWHERE,
        ) from error


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= MAX_SOCKET_PATH


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:16]
