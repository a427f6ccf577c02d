"""When a request goes out: never at night by the client's clock, whatever the clocks do."""

import zoneinfo
from datetime import UTC, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.feedback.timing import Rules, Window, due_at, is_quiet

QUIET = (time(21), time(8))
DELAY = timedelta(hours=2)
RULES = Rules(
    delay=DELAY, remind_after=timedelta(hours=24), open_for=timedelta(hours=96), quiet_hours=QUIET
)
ZONES = sorted(zoneinfo.available_timezones() - {"localtime"})
FROM, TO = datetime(2025, 1, 1, tzinfo=UTC), datetime(2036, 12, 31, tzinfo=UTC)
anytime = st.datetimes(FROM.replace(tzinfo=None), TO.replace(tzinfo=None), timezones=st.just(UTC))


@cache
def changes_of(zone: str) -> list[datetime]:
    """The UTC hours from 2025 to 2036 in which the clocks of a zone change."""
    zone_info, found = ZoneInfo(zone), []
    day = FROM
    while day < TO:
        following = day + timedelta(days=1)
        offset = day.astimezone(zone_info).utcoffset()
        if following.astimezone(zone_info).utcoffset() != offset:
            hour = day
            while (hour + timedelta(hours=1)).astimezone(zone_info).utcoffset() == offset:
                hour += timedelta(hours=1)
            found.append(hour)
        day = following
    return found


@st.composite
def moments_and_zones(draw: st.DrawFn) -> tuple[datetime, str]:
    """Any zone of the world; mostly within two days of one of its changes, where it has any."""
    zone = draw(st.sampled_from(ZONES))
    near = changes_of(zone)
    if not near or draw(st.integers(0, 4)) == 0:
        return draw(anytime), zone
    minutes = draw(st.integers(-48 * 60, 48 * 60))
    return draw(st.sampled_from(near)) + timedelta(minutes=minutes), zone


def due(ends_at: datetime, zone: str = "Europe/London") -> datetime:
    return due_at(ends_at, time_zone=zone, delay=DELAY, quiet_hours=QUIET)


def assert_right(ends_at: datetime, zone: str) -> None:
    """Never early, never in the night, put off to 08:00 sharp, and never more than one night."""
    moment = due(ends_at, zone)
    clock = moment.astimezone(ZoneInfo(zone)).time()
    assert not is_quiet(moment, time_zone=zone, quiet_hours=QUIET), (ends_at, zone)
    assert moment >= ends_at + DELAY
    # A night of eleven hours, and the hour or two by which a clock may go back in it.
    assert moment - (ends_at + DELAY) <= timedelta(hours=13)
    assert moment == ends_at + DELAY or clock == time(8)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(where=moments_and_zones())
def test_a_request_is_never_early_never_in_quiet_hours_and_at_most_a_night_late(
    where: tuple[datetime, str],
) -> None:
    assert_right(*where)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    where=moments_and_zones(),
    logged_after=st.timedeltas(timedelta(0), timedelta(days=8)),
    closes_after=st.timedeltas(timedelta(minutes=1), timedelta(days=8)),
)
def test_a_window_is_in_order_and_neither_of_its_messages_comes_at_night(
    where: tuple[datetime, str], logged_after: timedelta, closes_after: timedelta
) -> None:
    ends_at, zone = where
    asked_at, closes_at = ends_at + logged_after, ends_at + closes_after
    window = Window.of(ends_at, asked_at=asked_at, closes_at=closes_at, time_zone=zone, rules=RULES)
    first = due(max(ends_at, asked_at - DELAY), zone)
    if window is None:
        assert first >= closes_at
        return
    assert window.due_at == first >= asked_at
    assert window.expires_at == min(first + RULES.open_for, closes_at)
    if window.remind_at:
        assert window.due_at + RULES.remind_after <= window.remind_at < window.expires_at
        assert not is_quiet(window.remind_at, time_zone=zone, quiet_hours=QUIET)


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
    soon, later = at + timedelta(days=2), at + timedelta(days=7)

    def ends(closes_at: datetime) -> datetime:
        window = Window.from_due(at, closes_at=closes_at, time_zone="UTC", rules=RULES)
        assert window
        return window.expires_at

    assert ends(soon) == soon
    assert ends(later) == at + RULES.open_for
    assert Window.from_due(at, closes_at=at, time_zone="UTC", rules=RULES) is None


def test_a_reminder_comes_a_day_later_outside_the_night_and_not_after_the_end() -> None:
    # On 29 March 2026 London's clocks go forward: a day after 20:30 is 21:30.
    evening = datetime(2026, 3, 28, 20, 30, tzinfo=ZoneInfo("Europe/London"))

    def remind(**open_for: int) -> datetime | None:
        closes_at = evening + timedelta(**open_for)
        window = Window.from_due(
            evening, closes_at=closes_at, time_zone="Europe/London", rules=RULES
        )
        assert window
        return window.remind_at

    assert remind(days=3) == datetime(2026, 3, 30, 8, tzinfo=ZoneInfo("Europe/London"))
    assert remind(hours=30) is None
