"""``chatcore token``: making tokens for those who look at a cluster, or administer it."""

from __future__ import annotations

import argparse
import getpass
import os
import time
from pathlib import Path

from chatcore.cli.exits import DONE
from chatcore.cli.options import add_json
from chatcore.cli.output import Output
from chatcore.cli.parsing import Commands
from chatcore.config.tokens import ROLES, Token
from chatcore.errors import ConfigError, TokenError

DAYS = 30.0
MOST_DAYS = 3650.0
"""Days for which a token may be good: there is no way to take one back but a new secret."""

USUAL_NAME = "somebody"
"""The name in a token where neither an option nor the system says one that can be used."""


def add_parser(commands: Commands) -> None:
    """Add what reads the options of this command."""
    parser = commands.add_parser(
        "token",
        help="make a token for somebody who may look, or administer, for a while",
        description="Makes a token from the cluster's secret, and prints it. Whoever has it can "
        "give its file to 'chatcore' with --secret-file, in place of the secret: with a viewer's "
        "token to look, with an administrator's to do everything. Neither the secret nor another "
        "token follows from it. It can't be taken back before it expires, but by giving the "
        "cluster a new secret.",
    )
    parser.add_argument("role", metavar="viewer|admin", choices=ROLES, help="what it is good for")
    parser.add_argument(
        "--name",
        metavar="NAME",
        help="who is to have it, for the servers' logs; your own name unless given",
    )
    parser.add_argument(
        "--days",
        metavar="D",
        type=float,
        default=DAYS,
        help=f"how long it is good, from now on; {DAYS:g} unless given",
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="write it into a new file that only you can read, instead of printing it",
    )
    where = parser.add_argument_group("the cluster's secret")
    where.add_argument(
        "--app",
        metavar="DIR",
        default=".",
        help="the application folder, in whose run folder the secret is; the current directory "
        "unless given",
    )
    where.add_argument(
        "--run-dir",
        metavar="DIR",
        help="the run folder, if it is not .chatcore in the application folder",
    )
    where.add_argument(
        "--secret-file",
        metavar="FILE",
        help="the file with the secret; $CHATCORE_SECRET_FILE, or the one in the run folder, "
        "unless given",
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, output: Output) -> int:
    """Make a token, and print or write it.

    Raises:
        ConfigError: an option, the secret or the file can't be used.
    """
    if not 0 < options.days <= MOST_DAYS:
        raise ConfigError(f"--days {options.days:g} is not more than 0 and up to {MOST_DAYS:g}")
    end = int(time.time() + options.days * 24 * 3600)
    try:
        token = Token.make(_secret(options), options.role, options.name or _own_name(), end)
    except TokenError as problem:
        raise ConfigError(str(problem)) from None
    if options.out is not None:
        _write(Path(options.out), token.text())
    output.document(
        {
            "role": token.id.role,
            "name": token.id.name,
            "until": token.id.until,
            "file": options.out,
            "token": None if options.out is not None else token.text(),
            "exit": DONE,
        }
    )
    if options.out is None and not output.as_json:
        output.text(f"{token.text()}\n")
    where = "" if options.out is None else f", in {options.out}"
    output.note(f"chatcore: {token.id.who}, good until {token.id.until}{where}")
    return DONE


def _secret(options: argparse.Namespace) -> bytes:
    # Late, so that help comes at once.
    from chatcore.config.application_folder import find_application
    from chatcore.config.run_folder import RunFolder, read_secret, secret_elsewhere

    file = secret_elsewhere(options.secret_file)
    if file is not None:
        return read_secret(file)
    app = find_application(options.app)
    run = RunFolder.find(app, options.run_dir)
    if run is None or not run.has_secret:
        raise ConfigError(
            f"{app} has no secret yet that a token could be made with",
            advice="It is made when the cluster starts for the first time. Where it is somewhere"
            " else, name its file with --secret-file",
        )
    return run.secret()


def _own_name() -> str:
    """The name of who runs this, as far as it can stand in a token."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        return USUAL_NAME
    kept = "".join(
        each for each in name[:40] if each.isascii() and (each.isalnum() or each in "._-")
    )
    return kept if kept[:1].isalnum() else USUAL_NAME


def _write(file: Path, text: str) -> None:
    try:
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(fd, "w") as opened:
            opened.write(f"{text}\n")
    except FileExistsError:
        raise ConfigError(
            "there is such a file already, and it stays as it is",
            file=file,
            advice="Choose another one with --out, or remove it first",
        ) from None
    except OSError as problem:
        raise ConfigError(f"can't be written: {problem.strerror}", file=file) from None
