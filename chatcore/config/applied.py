"""The servers as a ``chatcore start`` has verified them, for the processes that it starts.

servers.json may be half written, or wrong, just when one of them ends and is started again. What
such a process goes by changes only when ``chatcore start`` has verified what is new.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from chatcore.config.entries import entry_of, read_entry
from chatcore.config.positions import Document
from chatcore.config.servers import Servers, load_servers
from chatcore.errors import ConfigError

SERVERS_VARIABLE: Final = "CHATCORE_SERVERS"
"""The environment variable with the file that holds them."""

NAME: Final = ".servers.json"
"""What that file is called, in the run folder."""


def write_applied(file: Path, servers: Servers) -> None:
    """Write servers down, in the place of those before.

    Args:
        file: where; its folder is private.

    Raises:
        ConfigError: it can't be written.
    """
    types = {
        type: [[server.line, entry_of(server)] for server in servers.of_type(type)]
        for type in servers.types
    }
    text = json.dumps({"file": str(servers.file), "env": servers.env, "types": types})
    try:
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}-")
        try:
            with os.fdopen(descriptor, "w") as temporary:
                temporary.write(text)
            os.replace(name, file)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise
    except OSError as problem:
        raise ConfigError(f"can't be written: {problem.strerror}", file=file) from None


def servers_of_process(
    app: Path, env: str, environment: Mapping[str, str], *, supervised: bool
) -> Servers:
    """The servers that a process goes by: those of servers.json, or those that were verified.

    Args:
        app: the application's folder.
        env: the environment of servers.json.
        environment: the process's variables.
        supervised: whether a ``chatcore start`` has started it.

    Raises:
        ConfigError: they can't be read.
    """
    applied = environment.get(SERVERS_VARIABLE)
    if not supervised or applied is None:
        return load_servers(app, env)
    return _read(Path(applied))


def _read(file: Path) -> Servers:
    try:
        text = file.read_text()
        found = json.loads(text)
        document = Document(file, found, text, {})
        servers = [
            replace(server, line=line)
            for type, entries in found["types"].items()
            for line, entry in entries
            for server in read_entry(document, (), type, entry, 0)
        ]
        return Servers(
            servers, file=Path(found["file"]), env=found["env"], types=list(found["types"])
        )
    except OSError as problem:
        raise ConfigError(f"can't be read: {problem.strerror}", file=file) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(
            "holds something else than chatcore start has written",
            file=file,
            advice="Stop all of it, and start it again",
        ) from None
