"""When crons are due."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, tzinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore.config.times import Times, zone_of

NEW_YORK = zone_of("America/New_York")


def due(text: str, start: str, count: int, zone: tzinfo = NEW_YORK) -> list[str]:
    """The next times after a start, as a clock on the wall and the zone's offset show them."""
    times, now = Times(text), datetime.fromisoformat(start).replace(tzinfo=zone).timestamp()
    found = []
    for _ in range(count):
        following = times.after(now, zone)
        assert following is not None and following > now
        now = following
        found.append(datetime.fromtimestamp(now, zone).strftime("%m-%d %H:%M:%S%z"))
    return found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("*/20 * * * * *", ["01-01 00:00:20-0500", "01-01 00:00:40-0500", "01-01 00:01:00-0500"]),
        ("0 30 4 * * *", ["01-01 04:30:00-0500", "01-02 04:30:00-0500"]),
        ("0 0 10-18/4 * * *", ["01-01 10:00:00-0500", "01-01 14:00:00-0500"]),
        ("5,10 0 0 * * *", ["01-01 00:00:05-0500", "01-01 00:00:10-0500", "01-02 00:00:05-0500"]),
        ("0 10/25 * * * *", ["01-01 00:10:00-0500", "01-01 00:35:00-0500", "01-01 01:10:00-0500"]),
        ("0 0 0 1 0 *", ["01-01 00:00:00-0500"]),  # months count from 0
        ("0 0 0 1 1,3-4 *", ["02-01 00:00:00-0500", "04-01 00:00:00-0400", "05-01 00:00:00-0400"]),
        ("0 0 0 1 2/6 *", ["03-01 00:00:00-0500", "09-01 00:00:00-0400"]),
        ("0 0 0 * * 0", ["01-04 00:00:00-0500"]),  # a Sunday
        ("0 0 0 13 * 5", ["02-13 00:00:00-0500", "03-13 00:00:00-0400"]),  # a Friday and the 13th
        ("0 0 0 29 1 *", ["02-29 00:00:00-0500"]),
    ],
)
def test_six_fields(text: str, found: list[str]) -> None:
    start = "2026-01-01T00:00:00" if text != "0 0 0 1 0 *" else "2025-12-31T23:59:59"
    assert due(text, start, len(found)) == found


@pytest.mark.parametrize(
    ("text", "start", "found"),
    [
        # An hour that is not there: right after the gap, once.
        ("0 30 2 * * *", "2026-03-08T00:00:00", ["03-08 03:00:00-0400", "03-09 02:30:00-0400"]),
        ("0 0,30 2,3 * * *", "2026-03-08T00:00:00",
         ["03-08 03:00:00-0400", "03-08 03:30:00-0400", "03-09 02:00:00-0400"]),
        # An hour that is there twice: the first time.
        ("0 30 1 * * *", "2026-11-01T00:00:00", ["11-01 01:30:00-0400", "11-02 01:30:00-0500"]),
        # What runs all the time goes on.
        ("0 0 * * * *", "2026-03-08T00:30:00", ["03-08 01:00:00-0500", "03-08 03:00:00-0400"]),
        ("0 */30 * * * *", "2026-11-01T01:00:00",
         ["11-01 01:30:00-0400", "11-01 01:00:00-0500", "11-01 01:30:00-0500"]),
    ],
)  # fmt: skip
def test_when_the_clocks_change(text: str, start: str, found: list[str]) -> None:
    assert due(text, start, len(found)) == found


@pytest.fixture
def machine_in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("machine_in_new_york")
def test_the_zone_of_the_machine_is_a_zone_like_any_other() -> None:
    for text in ("0 30 2 * * *", "0 30 1 * * *", "0 */20 * * * *", "0 0 */3 * * *"):
        for start in ("2026-03-07T23:00:00", "2026-10-31T23:00:00"):
            assert due(text, start, 20, zone_of("local")) == due(text, start, 20)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 0 4 * *", "six fields are needed (second, minute, hour, day of the month,"),
        ("60 * * * * *", "the second is 60; it goes from 0 to 59"),
        ("0 0 24 * * *", "the hour is 24; it goes from 0 to 23"),
        ("0 0 0 * 12 *", "the month is 12; it goes from 0 to 11"),
        ("0 0 0 * * 7", "the day of the week is 7; it goes from 0 to 6"),
        ("0 0 0 0 * *", "the day of the month is 0; it goes from 1 to 31"),
        ("0 0 5-3 * * *", "the hour goes from 5 back to 3"),
        ("0 */0 * * * *", "the minute goes in steps of 0"),
        ("0 1, * * * *", "the minute can't be ''"),
        ("0 0 0 L * *", "the day of the month can't be 'L'; write numbers with"),
        ("0 0 0 * JAN *", "the month can't be 'JAN'"),
        ("0 0 0 30 1 *", "that day never comes"),
    ],
)
def test_what_describes_no_time(text: str, said: str) -> None:
    with pytest.raises(ValueError) as raised:
        Times(text)
    assert said in str(raised.value)


@pytest.mark.parametrize("name", ["Europe/Berln", "", "../etc/passwd", "Europe"])
def test_zones_that_there_are_not(name: str) -> None:
    with pytest.raises(ValueError, match="there is no time zone"):
        zone_of(name)


@given(st.text(alphabet="0123456789*,-/ LWa#", max_size=40))
def test_any_text_is_a_time_or_a_mistake(text: str) -> None:
    try:
        times = Times(text)
    except ValueError:
        return
    assert times.after(1.7e9, NEW_YORK) is not None
