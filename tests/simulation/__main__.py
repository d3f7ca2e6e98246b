"""Plays many seeds: ``python -m simulation FIRST LAST [KIND]``, or one and tells its story."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from .play import play
from .stage import write


def main() -> None:
    first, last = int(sys.argv[1]), int(sys.argv[2] if len(sys.argv) > 2 else sys.argv[1])
    kind = sys.argv[3] if len(sys.argv) > 3 else None
    began = time.process_time()
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        script = write(Path(folder))
        if first == last:
            print(play(script, first, kind, loud=True))
            return
        for seed in range(first, last):
            outcome = play(script, seed, kind)
            if outcome.faults:
                failed.append(seed)
                print(seed, outcome.kind, len(outcome.faults), outcome.faults[0][:200], flush=True)
    took = time.process_time() - began
    print(f"{len(failed)} of {last - first} failed; {(last - first) / took:.1f} a second")


main()
