"""Where a Redis server is: the URL, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote

from chatcore.config.names import suggestion
from chatcore.config.tls_files import TlsFiles
from chatcore.errors import ConfigError

PORT: Final = 6379

_FORM: Final = "redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]"
_OPTIONS: Final = ("ca", "certificate", "key")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+\]")


@dataclass(frozen=True, slots=True)
class Trust:
    """How a Redis server behind TLS is known, and how it knows us.

    Args:
        ca: the file of the certificates that are trusted; the system's are, unless given.
        own: the certificate to be shown to it, if it asks for one.
    """

    ca: Path | None = None
    own: TlsFiles | None = None


@dataclass(frozen=True, slots=True)
class RedisPlace:
    """Where a Redis server is, and as whom to use it.

    Args:
        host: its name or address, without brackets.
        port: its port.
        database: the number of the database.
        user: the user's name; empty for the server's default user.
        password: theirs; empty where none is asked for. Bytes that are no UTF-8 are escaped in both
            (`surrogateescape`, PEP 383).
        trust: how it is known; None without TLS.
    """

    host: str
    port: int = PORT
    database: int = 0
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    trust: Trust | None = None

    def __str__(self) -> str:
        """For people: without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "redis" if self.trust is None else "rediss"
        database = f"/{self.database}" if self.database else ""
        return f"{scheme}://{host}:{self.port}{database}"

    @classmethod
    def parse(cls, url: str, folder: Path) -> RedisPlace:
        """Take a URL apart: ``redis://[user:password@]host[:port][/database]``.

        With ``rediss:`` it is reached by TLS, and ``?ca=FILE`` names the certificates to trust,
        ``&certificate=FILE&key=FILE`` what to show.

        Args:
            url: the URL. What stands for itself in user and password is percent-encoded.
            folder: what the paths of files are seen from.

        Raises:
            ConfigError: it is none. What it says never holds a part that may be a password.
        """
        scheme, colon, rest = url.partition("://")
        if not colon or scheme not in ("redis", "rediss"):
            raise _wrong("it begins with neither redis:// nor rediss://")
        if rest.rfind("@") > _first(rest, "/?#"):
            raise _wrong(
                "there is a '/', '?' or '#' in front of its '@'",
                "In a user or password, write %2F for '/', %3F for '?' and %23 for '#'",
            )
        login, at, rest = rest.rpartition("@")
        if "@" in login:
            raise _wrong("there is more than one '@'", "In a user or password, write %40 for '@'")
        rest, mark, options = rest.partition("?")
        where, _, database = rest.partition("/")
        host, port = _host_and_port(where)
        user, _, password = login.partition(":")
        if at and not password:
            raise _wrong("there is an '@', and no password in front of it")
        return cls(
            host=host,
            port=port,
            database=_number(database, "database", 0, 2**31 - 1) if database else 0,
            user=unquote(user, errors="surrogateescape"),
            password=unquote(password, errors="surrogateescape"),
            trust=_trust(scheme, options if mark else "", folder),
        )


def _host_and_port(where: str) -> tuple[str, int]:
    host, colon, port = where.rpartition(":")
    if not colon or where.endswith("]"):
        host, port = where, ""
    if not _HOST.fullmatch(host):
        raise _wrong("its host is missing, or can't be one")
    return host.strip("[]"), _number(port, "port", 1, 65535) if port else PORT


def _number(text: str, what: str, lowest: int, highest: int) -> int:
    # The text is not shown: where an @ is missing, it may be a password.
    if not (text.isascii() and text.isdigit() and lowest <= int(text[:12]) <= highest):
        raise _wrong(f"its {what} is no number from {lowest} to {highest}")
    return int(text)


def _trust(scheme: str, text: str, folder: Path) -> Trust | None:
    options = dict(parse_qsl(text, keep_blank_values=True))
    if scheme == "redis":
        if text:
            raise _wrong("it has options, and only rediss:// takes some")
        return None
    for name in options:
        if name not in _OPTIONS:
            advice = suggestion(name, _OPTIONS, "options")
            raise _wrong(f"it has no option '{name:.40}'", advice)
    if ("certificate" in options) != ("key" in options):
        raise _wrong("of certificate and key, one is missing")
    files = {name: folder / path for name, path in options.items()}
    own = TlsFiles(files["certificate"], files["key"]) if "key" in files else None
    return Trust(files.get("ca"), own)


def _first(text: str, characters: str) -> int:
    found = [index for each in characters if (index := text.find(each)) >= 0]
    return min(found, default=len(text))


def _wrong(why: str, advice: str = f"Write {_FORM}") -> ConfigError:
    return ConfigError(f"the URL of the Redis server can't be used: {why}", advice=advice)
