"""When a cron is due: Pomelo's six fields, read by cronsim.

The fields are ``second minute hour day-of-the-month month day-of-the-week``. Months count from 0,
days of the week from 0 for Sunday. A field is ``*``, ``5``, ``1-5``, ``10/15`` (from 10 on, every
15th), ``*/15``, ``1-9/2``, or several of them with commas. All fields have to fit, also the day of
the month and the day of the week together, where Unix' cron is content with either.

Where the clocks change, a cron that names its hours and minutes runs once that day: in an hour that
there is twice, the first time; in an hour that there is not, right after the gap. One that runs all
the time goes on as if nothing had happened.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

LOCAL: Final = "local"

_FIELDS: Final = (
    ("second", 0, 59),
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 0, 11),
    ("day of the week", 0, 6),
)
_MONTH: Final = 4
_ITEM: Final = re.compile(r"(?:\*|([0-9]{1,2})(?:-([0-9]{1,2}))?)(?:/([0-9]{1,2}))?")


class Times:
    """The times that six fields describe.

    Args:
        text: the fields.

    Raises:
        ValueError: they describe nothing; says which field is wrong.
    """

    def __init__(self, text: str) -> None:
        fields = text.split()
        if len(fields) != len(_FIELDS):
            names = ", ".join(name for name, _, _ in _FIELDS)
            raise ValueError(f"six fields are needed ({names}), and these are {len(fields)}")
        for number, field in enumerate(fields):
            _check(field, *_FIELDS[number])
        fields[_MONTH] = re.sub(
            r"(?<![/\d])\d+", lambda month: str(int(month[0]) + 1), fields[_MONTH]
        )
        self.text = text
        self._expression = " ".join(fields)
        self._named_hours = not (fields[1].startswith("*") or fields[2].startswith("*"))
        try:
            comes = self.after(0.0, UTC) is not None
        except CronSimError:  # no month of those is that long
            comes = False
        if not comes:
            raise ValueError("that day never comes")

    def after(self, now: float, zone: tzinfo) -> float | None:
        """The first of these times that is later than ``now``.

        Args:
            now: seconds since the epoch.
            zone: the time zone that the fields are meant in.

        Returns:
            seconds since the epoch; None if there is none within 50 years.
        """
        start = datetime.fromtimestamp(now, zone)
        if not self._named_hours:
            return next((each.timestamp() for each in self._from(start)), None)
        for local in self._from(start.replace(tzinfo=None, fold=0)):
            due = _first(local, zone)
            if due > now:
                return due
        return None

    def _from(self, start: datetime) -> CronSim:
        times = CronSim(self._expression, start)
        times.day_and = True
        return times


def zone_of(name: str) -> tzinfo:
    """The time zone of that name; this machine's if it is ``local``.

    Raises:
        ValueError: there is none of that name.
    """
    if name == LOCAL:
        return _MachinesZone()
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise ValueError(f"there is no time zone {name!r}") from None


class _MachinesZone(tzinfo):
    """This machine's time zone, with its changes of the clocks."""

    def utcoffset(self, when: datetime | None) -> timedelta | None:
        return None if when is None else when.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, when: datetime | None) -> timedelta | None:
        return None

    def tzname(self, when: datetime | None) -> str | None:
        return None if when is None else when.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, when: datetime) -> datetime:
        return datetime.fromtimestamp(when.replace(tzinfo=UTC).timestamp()).replace(tzinfo=self)


def _first(local: datetime, zone: tzinfo) -> float:
    """When a clock on the wall shows that time first; right after the gap if it never does."""
    while True:
        due = local.replace(tzinfo=zone).timestamp()
        if datetime.fromtimestamp(due, zone).replace(tzinfo=None) == local:
            return due
        local += timedelta(minutes=1)


def _check(field: str, name: str, least: int, most: int) -> None:
    for item in field.split(","):
        found = _ITEM.fullmatch(item)
        if found is None:
            raise ValueError(f"the {name} can't be '{item}'; write numbers with * , - and /")
        first, last, step = (None if part is None else int(part) for part in found.groups())
        for number in (first, last):
            if number is not None and not least <= number <= most:
                raise ValueError(f"the {name} is {number}; it goes from {least} to {most}")
        if first is not None and last is not None and last < first:
            raise ValueError(f"the {name} goes from {first} back to {last}")
        if step == 0:
            raise ValueError(f"the {name} goes in steps of 0")
