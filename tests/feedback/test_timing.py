"""When a request goes out: never at night by the client's clock, whatever the clocks do."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.feedback.timing import due_at, expires_at

QUIET = (time(21), time(8))
DELAY = timedelta(hours=2)
ZONES = (
    "Europe/London", "Europe/Berlin", "America/New_York", "America/St_Johns", "Asia/Kolkata",
    "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Chatham", "Africa/Cairo",
)  # fmt: skip
moments = st.datetimes(datetime(2025, 1, 1), datetime(2036, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


def due(ends_at: datetime, zone: str = "Europe/London") -> datetime:
    return due_at(ends_at, time_zone=zone, delay=DELAY, quiet_hours=QUIET)


@settings(derandomize=True, deadline=None, max_examples=400)
@given(ends_at=moments, zone=st.sampled_from(ZONES))
def test_a_request_is_never_early_never_in_quiet_hours_and_at_most_a_night_late(
    ends_at: datetime, zone: str
) -> None:
    moment = due(ends_at, zone)
    clock = moment.astimezone(ZoneInfo(zone)).time()
    assert time(8) <= clock < time(21)
    assert moment >= ends_at + DELAY
    assert moment - (ends_at + DELAY) <= timedelta(hours=12)
    assert moment == ends_at + DELAY or clock == time(8)


@pytest.mark.parametrize(
    ("ends_at", "expected"),
    [
        ("2026-11-19T12:20", "2026-11-19T14:20"),
        ("2026-11-19T18:59", "2026-11-19T20:59"),
        ("2026-11-19T19:00", "2026-11-20T08:00"),
        ("2026-11-19T23:30", "2026-11-20T08:00"),
        ("2026-11-20T05:59", "2026-11-20T08:00"),
        ("2026-11-20T06:00", "2026-11-20T08:00"),
    ],
)
def test_the_edges_of_the_night_by_the_clients_clock(ends_at: str, expected: str) -> None:
    london = ZoneInfo("Europe/London")
    moment = due(datetime.fromisoformat(ends_at).replace(tzinfo=london))
    assert moment == datetime.fromisoformat(expected).replace(tzinfo=london)


@pytest.mark.parametrize(
    ("evening", "morning_utc"),
    [("2026-03-28T20:00+00:00", "2026-03-29T07:00+00:00"),
     ("2026-10-24T20:00+00:00", "2026-10-25T08:00+00:00")],
)  # fmt: skip
def test_eight_in_the_morning_is_eight_on_the_day_the_clocks_change(
    evening: str, morning_utc: str
) -> None:
    assert due(datetime.fromisoformat(evening)) == datetime.fromisoformat(morning_utc)


def test_without_quiet_hours_it_is_due_after_the_delay() -> None:
    night = datetime(2026, 11, 19, 23, tzinfo=UTC)
    assert due_at(night, time_zone="UTC", delay=DELAY, quiet_hours=None) == night + DELAY


def test_quiet_hours_within_one_day_end_on_that_day() -> None:
    noon = datetime(2026, 11, 19, 10, 30, tzinfo=UTC)
    moment = due_at(noon, time_zone="UTC", delay=DELAY, quiet_hours=(time(12), time(14)))
    assert moment == datetime(2026, 11, 19, 14, tzinfo=UTC)


def test_a_form_stays_open_for_its_time_or_until_the_next_session() -> None:
    at = datetime(2026, 11, 19, 14, tzinfo=UTC)
    open_for = timedelta(hours=96)
    soon, later = at + timedelta(days=2), at + timedelta(days=7)
    assert expires_at(at, open_for=open_for, next_starts_at=soon) == soon
    assert expires_at(at, open_for=open_for, next_starts_at=later) == at + open_for
    assert expires_at(at, open_for=open_for, next_starts_at=None) == at + open_for
