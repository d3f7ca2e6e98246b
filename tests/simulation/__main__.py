"""Plays seeds from a shell.

``python -m simulation play FIRST LAST [KIND]`` says which of these seeds fail.
``python -m simulation tell SEED`` tells the story of one; ``loud SEED`` also what its nodes log.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from pathlib import Path

from .play import kind_of, play
from .stage import write


def main(what: str, first: str, last: str = "0", kind: str = "") -> None:
    with tempfile.TemporaryDirectory() as folder:
        script = write(Path(folder))
        gc.collect()
        gc.freeze()
        if what == "tell":
            print("\n".join(play(script, int(first)).story))
        elif what == "loud":
            print(play(script, int(first), loud=True))
        else:
            seeds = [each for each in range(int(first), int(last)) if kind in ("", kind_of(each))]
            began, failed = time.process_time(), 0
            for seed in seeds:
                outcome = play(script, seed)
                if outcome.faults:
                    failed += 1
                    print(seed, outcome.kind, len(outcome.faults), outcome.faults[0][:200])
            rate = len(seeds) / (time.process_time() - began)
            print(f"{failed} of {len(seeds)} failed; {rate:.1f} a second")


main(*sys.argv[1:])
