"""``chatcore completion``: scripts with which shells complete the words of this command."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from functools import partial
from types import FrameType
from typing import Final

from chatcore.cli.exits import DONE
from chatcore.cli.options import add_json
from chatcore.cli.output import Output
from chatcore.cli.parsing import Commands

SECONDS: Final = 1.0
"""Seconds after which nothing is completed: whoever presses Tab does not wait."""

MOST_BYTES: Final = 65536
"""Bytes of a line that is completed."""

BASH: Final = r"""# Completion of chatcore for bash: eval "$(chatcore completion bash)"

_chatcore() {
    local command=${1/#\~\//$HOME/} reply word
    COMPREPLY=()
    reply=$(
        printf '%s\0%s' "${COMP_WORDS[COMP_CWORD]}" "${COMP_LINE:0:COMP_POINT}" |
            "$command" completion words 2>/dev/null
    )
    if [[ $reply == files ]]; then
        compopt -o default 2>/dev/null
    elif [[ -n $reply ]]; then
        # As bash 3 understands it, too, which has no mapfile.
        while IFS= read -r word; do COMPREPLY+=("$word"); done <<<"$reply"
    fi
}

complete -F _chatcore chatcore
"""

ZSH: Final = r"""#compdef chatcore
# Completion of chatcore for zsh: eval "$(chatcore completion zsh)", behind compinit; or write it
# into a file _chatcore in a folder of $fpath.

_chatcore() {
    local reply
    reply=$(
        printf '%s\0%s' "${words[CURRENT]}" "${(j: :)words[1,CURRENT]}" |
            "${(Q)words[1]/#\~\//$HOME/}" completion words 2>/dev/null
    )
    if [[ $reply == files ]]; then
        _files
    elif [[ -n $reply ]]; then
        compadd -- "${(@f)reply}"
    else
        return 1
    fi
}

if [[ ${funcstack[1]} == _chatcore ]]; then
    _chatcore "$@"
else
    compdef _chatcore chatcore
fi
"""

SCRIPTS: Final = {"bash": BASH, "zsh": ZSH}

WORDS: Final = "words"
"""What the scripts ask for, with the line on the standard input."""


def add_parser(commands: Commands) -> None:
    """Add what reads the options of this command."""
    parser = commands.add_parser(
        "completion",
        help="print a script with which a shell completes these commands",
        description="Prints a script with which bash or zsh completes commands, options, and, by "
        "asking the running cluster, the ids of its servers and the routes of their remotes. In "
        '~/.bashrc: eval "$(chatcore completion bash)". In ~/.zshrc, behind compinit: eval '
        '"$(chatcore completion zsh)".',
    )
    parser.add_argument(
        "shell", metavar="bash|zsh", choices=(*SCRIPTS, WORDS), help="which shell it is for"
    )
    add_json(parser)
    parser.set_defaults(run=partial(run, commands=commands))


def run(options: argparse.Namespace, output: Output, *, commands: Commands) -> int:
    """Print a script; or, for a script, what the last word of a line may be."""
    if options.shell in SCRIPTS:
        script = SCRIPTS[options.shell]
        output.document({"shell": options.shell, "script": script, "exit": DONE})
        if not output.as_json:
            output.text(script)
        return DONE
    signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    # Late, so that help comes at once.
    from chatcore.cli.completing import complete

    asked = sys.stdin.buffer.read(MOST_BYTES).decode("utf-8", "replace")
    current, _, line = asked.partition("\0")
    output.text("".join(f"{word}\n" for word in complete(current, line, commands)))
    return DONE


def _give_up(number: int, frame: FrameType | None) -> None:
    os._exit(DONE)
