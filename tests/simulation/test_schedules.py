"""Whole clusters through seeded schedules of trouble; `docs/guarantees.md` is what has to hold.

``CHATCORE_SEEDS=10000`` plays that many. ``CHATCORE_SEED=123`` plays that one and tells its story.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .play import KINDS, kind_of, play
from .stage import Script

SEEDS = int(os.environ.get("CHATCORE_SEEDS", "600"))
ONE = os.environ.get("CHATCORE_SEED")
AT_A_TIME = 100

if ONE is not None:

    def test_one_seed(script: Script) -> None:
        outcome = play(script, int(ONE or 0), loud=True)
        print(outcome)
        assert not outcome.faults

elif SEEDS:

    @pytest.mark.parametrize("first", range(0, SEEDS, AT_A_TIME))
    @pytest.mark.parametrize("kind", KINDS)
    def test_whatever_happens(script: Script, kind: str, first: int) -> None:
        seeds = range(first, min(first + AT_A_TIME, SEEDS))
        outcomes = [play(script, seed) for seed in seeds if kind_of(seed) == kind]
        failed = [outcome for outcome in outcomes if outcome.faults]
        if failed:
            every = ", ".join(str(outcome.seed) for outcome in failed)
            pytest.fail(
                f"{len(failed)} of {len(outcomes)} schedules failed: {every}. The first is"
                f" {failed[0]}\n\nCHATCORE_SEED={failed[0].seed} plays it again.",
                pytrace=False,
            )


@pytest.mark.parametrize("seed", range(3))
def test_where_nothing_happens_nothing_goes_wrong(script: Script, seed: int) -> None:
    assert play(script, seed, "quiet").faults == []


def test_a_seed_tells_the_same_story_in_another_process(script: Script) -> None:
    seed = 3
    assert kind_of(seed) == "everything"
    story = "\n".join(play(script, seed).story)
    told = subprocess.run(
        [sys.executable, "-m", "simulation", "tell", str(seed)],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.stdout == f"{story}\n", told.stderr
