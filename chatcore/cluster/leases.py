"""Whose heartbeat stands still, as somebody sees who looks at all of them now and then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(slots=True)
class _Pulse:
    beat: str | None
    since: float
    moved: bool = False


class Leases:
    """Judges heartbeats that lie where everybody can read them.

    Nobody's clock is compared with another's, and silence counts only while this observer could
    hear: it begins when an unchanged beat was first read, and lasts until the last reading was
    asked for. After a gap between two readings nothing of it counts. So where beats are kept may
    be away, stand still or start anew, and this process, too, without anybody's lease being over.

    Args:
        seconds: of silence, after which a lease is over.
        gap: seconds without a reading after which everything begins anew.

    Attributes:
        began: when it began anew for the last time: nothing of before counts.
    """

    def __init__(self, *, seconds: float, gap: float) -> None:
        self._seconds, self._gap = seconds, gap
        self._pulses: dict[str, _Pulse] = {}
        self._asked = self._answered = self.began = 0.0
        self._missed = True

    def miss(self) -> None:
        """There was no reading, or one that can't be trusted: begin anew with the next one."""
        self._missed = True

    def read(
        self, beats: Mapping[str, str], expected: Iterable[str], asked: float, answered: float
    ) -> bool:
        """Take what was read; whether it began anew with that.

        Args:
            beats: the beats, by life.
            expected: the lives that should have one.
            asked: when it was asked for.
            answered: when it came.
        """
        anew = self._missed or asked - self._answered > self._gap
        self._missed, self._asked, self._answered = False, asked, answered
        if anew:
            self.began = answered
        before, self._pulses = self._pulses, {}
        for life in {*beats, *expected}:
            beat, pulse = beats.get(life), before.get(life)
            if pulse is None or anew:
                pulse = _Pulse(beat, answered)
            elif pulse.beat != beat:
                pulse = _Pulse(beat, answered, moved=beat is not None)
            self._pulses[life] = pulse
        return anew

    def over(self, life: str) -> bool:
        """Whether a life has been silent for too long."""
        pulse = self._pulses.get(life)
        return pulse is not None and self._asked - pulse.since >= self._seconds

    def alive(self, life: str) -> bool:
        """Whether a life was seen to beat since it began anew, and has not been silent since."""
        pulse = self._pulses.get(life)
        return pulse is not None and pulse.moved and not self.over(life)
