"""Plays seeds from a shell.

``python -m simulation play FIRST LAST [KIND]`` says which of these seeds fail, and why, on all
cores; ``python -m simulation tell SEED`` tells the story of one; ``loud SEED`` also says what its
nodes log.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from .play import Outcome, kind_of, play
from .stage import Script, write

AT_A_TIME = 25
LONGEST_FAULT = 150


@contextmanager
def _script() -> Iterator[Script]:
    with tempfile.TemporaryDirectory() as folder:
        script = write(Path(folder))
        gc.collect()
        gc.freeze()
        yield script


def _play_all(seeds: Sequence[int]) -> list[Outcome]:
    with _script() as script:
        outcomes = (play(script, seed) for seed in seeds)
        return [outcome for outcome in outcomes if outcome.faults]


def _play(seeds: Sequence[int]) -> int:
    began, failed = time.monotonic(), 0
    parts = [seeds[n : n + AT_A_TIME] for n in range(0, len(seeds), AT_A_TIME)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for outcomes in pool.map(_play_all, parts):
            for outcome in outcomes:
                failed += 1
                fault = outcome.faults[0].replace("\n", " ")[:LONGEST_FAULT]
                print(f"{outcome.seed} ({outcome.kind}): {fault}", flush=True)
    rate = len(seeds) / (time.monotonic() - began)
    print(f"{failed} of {len(seeds)} schedules failed; {rate:.0f} were played a second")
    return 1 if failed else 0


def main(what: str, first: str, last: str = "0", kind: str = "") -> int:
    if what == "play":
        every = range(int(first), int(last))
        return _play([each for each in every if kind in ("", kind_of(each))])
    with _script() as script:
        outcome = play(script, int(first), loud=what == "loud")
    print("\n".join(outcome.story) if what == "tell" else outcome)
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
