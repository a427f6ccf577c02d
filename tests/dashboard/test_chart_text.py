"""Every chart says the same in words and in a table."""

from datetime import date, timedelta

from apps.dashboard.chart_parts import ChartEpisode, ChartSession
from apps.dashboard.chart_text import alliance_chart, axis_note, rows, sparkline_label, summary

FIRST_DAY = date(2026, 7, 23)


def course(*pomps: float | None) -> list[ChartSession]:
    return [
        ChartSession(n, FIRST_DAY + timedelta(weeks=n - 1), pomp=pomp, low=82.4, high=104)
        for n, pomp in enumerate(pomps, start=1)
    ]


def test_the_summary_starts_with_the_latest_rating_beside_the_usual_range() -> None:
    words = summary(course(90, 92, 91, 62, None), [ChartEpisode(4, None, "open", "")])
    assert words == (
        "Rated 62 on 13 Aug; usually 82–100. 4 of 5 sessions rated, between 62 and 92. "
        "Possible rupture since session 4. No answer for session 5."
    )


def test_before_the_third_rating_the_summary_names_no_usual_range() -> None:
    words = summary(course(90, 92), [])
    assert "the baseline is still forming" in words
    assert "usually" not in words


def test_without_a_usual_range_no_baseline_forms() -> None:
    alone = [ChartSession(n, FIRST_DAY, pomp=90) for n in (1, 2, 3)]
    chart = alliance_chart("RA-0142", alone, [])
    assert chart.summary.startswith("Rated 90 on 23 Jul. 3 of 3")
    assert chart.wide
    assert not chart.wide.brackets


def test_an_empty_treatment_has_words_and_no_drawing() -> None:
    chart = alliance_chart("RA-0142", [], [])
    assert (chart.wide, chart.narrow, chart.rows) == (None, None, ())
    assert chart.summary == "No sessions yet."
    assert sparkline_label([]) == "No sessions yet"


def test_a_repair_and_a_recovery_are_told_apart() -> None:
    sessions = course(90, 92, 91, 62, 90)
    assert "repair recorded at session 5" in summary(sessions, [ChartEpisode(4, 5, "repaired", "")])
    assert "recovering" in summary(sessions, [ChartEpisode(4, None, "recovering", "")])


def test_the_table_holds_every_session_newest_first() -> None:
    table = rows(course(*[90] * 50), [])
    assert [row.number for row in table] == list(range(50, 0, -1))
    assert [row.usual for row in table[-3:]] == ["82–100", "forming", "forming"]


def test_the_table_tells_silence_from_not_asking_and_from_no_session() -> None:
    sessions = [
        ChartSession(1, FIRST_DAY, held=False),
        ChartSession(2, FIRST_DAY),
        ChartSession(3, FIRST_DAY, asked=False),
        ChartSession(4, FIRST_DAY, held=False, note="Cancelled late by the client"),
    ]
    assert [row.note for row in rows(sessions, [])] == [
        "Cancelled late by the client",
        "Not asked",
        "No answer",
        "Did not take place",
    ]


def test_a_session_that_was_not_held_has_no_usual_range() -> None:
    sessions = [*course(90, 90, 90), ChartSession(4, FIRST_DAY, held=False)]
    assert [row.usual for row in rows(sessions, [])] == ["–", "82–100", "forming", "forming"]


def test_a_recorded_repair_stands_beside_its_session() -> None:
    table = rows(course(90, 92, 91, 62, 90), [ChartEpisode(4, 5, "repaired", "")])
    assert table[0].note == "Repair recorded"


def test_a_sparkline_reads_its_ten_sessions_out() -> None:
    words = sparkline_label(course(70, *[90] * 8, None, 62))
    assert words == (
        "Last 10 sessions: 90, 90, 90, 90, 90, 90, 90, 90, no rating, 62; usual range 82 to 100"
    )


def test_an_axis_that_does_not_start_at_zero_says_so() -> None:
    assert axis_note(25).endswith("Axis starts at 25.")
    assert "Axis" not in axis_note(0)
