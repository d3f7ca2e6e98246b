"""``chatcore start``: everything of an application, in the foreground."""

from __future__ import annotations

import argparse

from chatcore.cli.output import Output
from chatcore.cli.parsing import Commands


def add_parser(commands: Commands) -> None:
    """Add what reads the options of this command."""
    parser = commands.add_parser(
        "start",
        help="start every server of an application, and its page",
        description="Starts every server that the application's servers.json lists, and its page "
        "where it has a folder web. They run until Ctrl-C, are started again when they die, and "
        "leave when this command ends, however it ends.",
    )
    parser.add_argument(
        "--app",
        metavar="DIR",
        default=".",
        help="the application folder; the current directory unless given",
    )
    parser.add_argument(
        "--env",
        metavar="ENV",
        default="development",
        help="the environment of servers.json to start; 'development' unless given",
    )
    parser.add_argument(
        "--run-dir",
        metavar="DIR",
        help="the folder for the secret, logs and sockets; $CHATCORE_RUN_DIR or .chatcore in the "
        "application folder unless given",
    )
    parser.add_argument(
        "--registry",
        metavar="URL",
        help="what knows which servers there are: static:, or a master that runs already, as "
        "master://127.0.0.1:3005; this command keeps one itself unless given",
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        dest="assignments",
        action="append",
        default=[],
        help="change a setting, as in page.port=8080 or limits.messages_per_second=0; may be "
        "given many times",
    )
    parser.add_argument(
        "--tls",
        metavar="DIR",
        help="encrypt the links between the servers; the folder that 'chatcore certs' has made",
    )
    parser.add_argument(
        "--insecure-links",
        action="store_true",
        help="let links leave this machine though they are not encrypted",
    )
    parser.add_argument(
        "--secret-file",
        metavar="FILE",
        help="the cluster's secret; $CHATCORE_SECRET_FILE or the run folder's unless given",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON document when everything has stopped, or why it can't start; what the "
        "servers write goes to the standard error then",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, output: Output) -> int:
    """Start everything, and stay until it has stopped."""
    # Late, so that help and version come at once.
    from chatcore.links.settings import said_by_options
    from chatcore.master.plan import make_plan

    plan = make_plan(
        options.app,
        options.env,
        options.run_dir,
        options.assignments,
        options.registry,
        secret_file=options.secret_file,
        more=said_by_options(options.tls, options.insecure_links),
    )

    from twisted.internet import reactor

    from chatcore.master.start import start

    if plan.note:
        output.note(plan.note)
    code = start(plan, reactor=reactor, aside=options.json)
    output.document({"exit": code})
    return code
