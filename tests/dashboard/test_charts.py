"""The alliance chart draws what was recorded, and nothing across what was not."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import date, timedelta
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.dashboard.chart_parts import ChartEpisode, ChartSession, Drawing, Sparkline, phases
from apps.dashboard.chart_text import MISSING, rows, sparkline_label, summary
from apps.dashboard.charts import alliance_drawing, axis_floor
from apps.dashboard.sparklines import sparkline, sparkline_floor

FIRST_DAY = date(2026, 7, 23)


def course(*pomps: float | None, low: float = 78, high: float = 93) -> list[ChartSession]:
    return [
        ChartSession(n, FIRST_DAY + timedelta(weeks=n - 1), pomp=pomp, low=low, high=high)
        for n, pomp in enumerate(pomps, start=1)
    ]


def episode(opened: int, closed: int | None = None, state: str = "open") -> ChartEpisode:
    return ChartEpisode(opened, closed, state, "Possible rupture", "Repaired 8 Oct")  # type: ignore[arg-type]


def xs(line_points: str) -> list[float]:
    return [float(point.split(",")[0]) for point in line_points.split()]


def middle(drawing: Drawing, number: int) -> float:
    return next(tick.x for tick in drawing.ticks if tick.number == number)


STORY = course(80, 82, 83, 85, 85, None, 87, 85, 72, 75, 85, 87, 88, None, 90, 90, 90, 62)
REPAIRED_THEN_OPEN = [episode(9, 12, "repaired"), episode(18)]


def test_one_equal_slot_per_session() -> None:
    drawing = alliance_drawing(STORY, [])
    gaps = {round(b.x - a.x) for a, b in zip(drawing.ticks, drawing.ticks[1:], strict=False)}
    assert len(drawing.ticks) == 18
    assert gaps == {42}


def test_no_line_crosses_a_session_without_a_rating() -> None:
    drawing = alliance_drawing(STORY, REPAIRED_THEN_OPEN)
    for number in (6, 14):
        x = middle(drawing, number)
        for line in drawing.lines:
            assert not min(xs(line.points)) < x < max(xs(line.points))


def test_a_rating_between_two_gaps_stands_alone() -> None:
    drawing = alliance_drawing(course(80, None, 82, None, 84), [])
    assert drawing.lines == ()
    assert [mark.kind for mark in drawing.marks] == ["rated"] * 3


@pytest.mark.parametrize(
    ("lowest", "floor"), [(55, 50), (54.9, 25), (30, 25), (29.9, 0), (0, 0), (100, 50)]
)
def test_the_axis_drops_once_a_value_comes_within_five_points(lowest: float, floor: int) -> None:
    assert axis_floor([ChartSession(1, FIRST_DAY, pomp=lowest)]) == floor
    assert axis_floor([ChartSession(1, FIRST_DAY, therapist_pomp=lowest)]) == floor


def test_the_phone_drawing_keeps_the_axis_of_the_wide_one() -> None:
    sessions = course(30, *[80] * 12)
    assert alliance_drawing(sessions, [], narrow=True).floor == alliance_drawing(sessions, []).floor


def test_the_phone_drawing_shows_the_latest_nine_sessions() -> None:
    drawing = alliance_drawing(STORY, REPAIRED_THEN_OPEN, narrow=True)
    assert (drawing.first_number, drawing.last_number, drawing.width) == (10, 18, 340)


def test_the_usual_range_starts_at_the_third_rating() -> None:
    drawing = alliance_drawing(course(80, None, 82, 84, 85), [])
    [band] = drawing.bands
    slot = middle(drawing, 2) - middle(drawing, 1)
    assert min(xs(band.area)) == pytest.approx(middle(drawing, 4) - slot / 2, abs=0.1)
    assert [bracket.kind for bracket in drawing.brackets] == ["learn"]


def test_the_usual_range_goes_on_where_a_drawing_begins_with_a_session_without_a_screening() -> (
    None
):
    counted = [replace(each, ratings_before=n) for n, each in enumerate(course(80, 82, 83, 85, 85))]
    cancelled = replace(counted[0], held=False, pomp=None, low=None, high=None, ratings_before=None)
    later = alliance_drawing([cancelled, *counted[3:]], [])
    first = alliance_drawing([cancelled, *counted[2:]], [])
    for drawing in (later, first):
        [band] = drawing.bands
        slot = middle(drawing, 5) - middle(drawing, 4)
        assert min(xs(band.area)) == pytest.approx(drawing.left + slot, abs=0.1)
    assert [bracket.kind for bracket in later.brackets] == []
    assert [bracket.kind for bracket in first.brackets] == ["learn"]
    [band] = sparkline([cancelled, *counted[3:]], [], label="").bands
    assert len(xs(band.upper)) == 4


def test_the_usual_range_of_a_newer_questionnaire_starts_at_its_third_rating() -> None:
    counted = [
        replace(each, ratings_before=before)
        for each, before in zip(course(80, 82, 83, 70, 71, 72), [0, 1, 2, 0, 1, 2], strict=True)
    ]
    cancelled = replace(counted[0], held=False, pomp=None, low=None, high=None, ratings_before=None)
    sessions = [*counted[:4], cancelled, *counted[4:]]
    forming, ranged = "forming", "78–93"
    assert [row.usual for row in reversed(rows(sessions, []))] == [
        *(forming, forming, ranged, forming, MISSING, forming, ranged)
    ]
    drawing = alliance_drawing(sessions, [])
    slot = middle(drawing, 2) - middle(drawing, 1)
    assert [min(xs(band.area)) for band in drawing.bands] == pytest.approx(
        [drawing.left + 2 * slot, drawing.left + 6 * slot], abs=0.5
    )
    assert "usual range" not in sparkline_label(sessions[:6])
    assert "still forming" in summary(sessions[:6], [])


def test_no_baseline_forms_for_a_client_who_is_not_asked() -> None:
    unasked = [replace(each, asked=False) for each in course(None, None, None, None)]
    assert alliance_drawing(unasked, []).brackets == ()


def test_two_ratings_have_no_usual_range_yet() -> None:
    drawing = alliance_drawing(course(80, 82), [])
    assert drawing.bands == ()
    assert [side.kind for side in drawing.sides] == ["latest"]


def test_the_crack_runs_down_the_left_edge_of_the_opening_slot() -> None:
    drawing = alliance_drawing(STORY, [episode(18)])
    (zone,) = drawing.zones
    slot = middle(drawing, 18) - middle(drawing, 17)
    assert zone.x == pytest.approx(middle(drawing, 18) - slot / 2, abs=0.1)
    crack = [float(x) for x in re.findall(r"[ML](-?[\d.]+) ", zone.crack)]
    assert len(crack) > 10
    assert all(abs(x - zone.x) <= 3.3 for x in crack)


def test_the_line_stops_before_the_crack_and_goes_on_behind_it() -> None:
    drawing = alliance_drawing(STORY, [episode(18)])
    edge = drawing.zones[0].x
    into = [line for line in drawing.lines if max(xs(line.points)) > middle(drawing, 17)]
    assert [line.kind for line in into] == ["line", "broken"]
    assert max(xs(into[0].points)) < edge < min(xs(into[1].points))


def test_an_episode_that_opened_before_the_drawing_has_no_crack() -> None:
    drawing = alliance_drawing(STORY, [episode(9, 12, "repaired")], narrow=True)
    assert [zone.crack for zone in drawing.zones] == [""]


def test_a_repair_is_a_ribbon_from_the_last_low_rating_to_the_recording() -> None:
    assert phases(STORY, REPAIRED_THEN_OPEN)[7:13] == [
        "steady",
        "break",
        "break",
        "seam",
        "seam",
        "steady",
    ]
    drawing = alliance_drawing(STORY, REPAIRED_THEN_OPEN)
    assert len(drawing.ribbons) == 1
    assert {line.kind for line in drawing.lines} == {"line", "broken"}
    assert [mark.kind for mark in drawing.marks].count("seam") == 2


def test_a_recovery_is_a_thin_line_with_rings_until_an_outcome_is_recorded() -> None:
    drawing = alliance_drawing(course(85, 86, 87, 88, 63, 72, 85), [episode(5, state="recovering")])
    assert drawing.ribbons == ()
    assert [line.kind for line in drawing.lines].count("recovering") == 1
    assert drawing.marks[-1].kind == "recovering"


def test_a_low_rating_with_tension_alone_counts_as_low() -> None:
    sessions = course(85, 86, 87, 88, 87, 86)
    sessions[4] = replace(sessions[4], event="opened", level=2)
    found = phases(sessions, [episode(5, 6, "repaired")])
    assert found == ["steady"] * 4 + ["break", "seam"]


def test_an_episode_closed_without_repair_shows_no_gold() -> None:
    drawing = alliance_drawing(STORY, [episode(9, 12, "closed")])
    assert drawing.ribbons == ()
    assert {label.kind for label in drawing.labels} == {"break"}


def test_a_cross_where_nothing_took_place_and_a_dash_where_nobody_answered() -> None:
    sessions = course(80, None, None, None)
    sessions[1] = replace(sessions[1], held=False)
    sessions[3] = replace(sessions[3], asked=False)
    assert [mark.kind for mark in alliance_drawing(sessions, []).axis_marks] == [
        "not_held",
        "no_answer",
    ]


def test_the_therapists_own_view_is_never_joined() -> None:
    sessions = [replace(s, pomp=None, therapist_pomp=80) for s in STORY]
    drawing = alliance_drawing(sessions, [])
    assert len(drawing.therapist) == 18
    assert drawing.lines == ()


def test_values_at_the_right_end_do_not_overlap() -> None:
    sessions = course(85, 86, 87, 88, 84, low=82, high=86)
    ys = sorted(side.y for side in alliance_drawing(sessions, []).sides)
    assert all(b - a >= 12 for a, b in itertools.pairwise(ys))


def test_two_labels_side_by_side_do_not_overlap() -> None:
    drawing = alliance_drawing(course(*[85] * 30), [episode(n, n) for n in (25, 26, 27, 28)])
    starts = sorted((label.icon_x, bool(label.text)) for label in drawing.labels)
    assert starts
    for (a, worded), (b, _) in itertools.pairwise(starts):
        assert b - a >= (17 + 6 * len("Possible rupture") if worded else 14)


def test_where_there_is_no_room_the_newest_label_keeps_its_words() -> None:
    drawing = alliance_drawing(STORY, REPAIRED_THEN_OPEN, narrow=True)
    assert [(label.kind, label.text) for label in drawing.labels] == [
        ("break", "Possible rupture"),
        ("seam", "Repaired 8 Oct"),
        ("break", ""),
    ]


def test_a_long_treatment_shows_the_latest_forty_sessions_with_readable_ticks() -> None:
    drawing = alliance_drawing(course(*[85] * 120), [])
    assert (drawing.first_number, drawing.last_number) == (81, 120)
    assert all(b.x - a.x >= 22 for a, b in zip(drawing.ticks, drawing.ticks[1:], strict=False))


def test_no_session_is_no_chart() -> None:
    with pytest.raises(ValueError, match="empty state"):
        alliance_drawing([], [])


def test_one_scale_for_a_whole_list_of_sparklines() -> None:
    assert sparkline_floor([course(80, None), course(55)]) == 50
    assert sparkline_floor([course(80), course(49)]) == 0
    assert sparkline_floor([]) == 50


def test_a_sparkline_has_ten_slots_with_the_newest_at_the_right() -> None:
    full = sparkline(STORY, REPAIRED_THEN_OPEN, label="")
    short = sparkline(course(80, 82), [], label="")
    assert full.marks[-1].x == short.marks[-1].x == 126
    assert xs(short.lines[0].points) == [112.6, 126]


def test_a_sparkline_says_the_same_as_the_chart() -> None:
    spark = sparkline(STORY, REPAIRED_THEN_OPEN, label="")
    assert [(line.kind, len(xs(line.points))) for line in spark.lines] == [
        ("broken", 2),
        ("seam", 3),
        ("line", 2),
        ("line", 3),
        ("broken", 2),
    ]
    assert [mark.kind for mark in spark.marks] == ["break", "break", "seam", "missing", "break"]


def numbers(shape: object) -> Iterator[tuple[str, float]]:
    """Every coordinate of a drawing: x, y and those in paths and point lists."""
    if isinstance(shape, tuple):
        for part in shape:
            yield from numbers(part)
    elif is_dataclass(shape):
        for field in fields(shape):
            value = getattr(shape, field.name)
            if isinstance(value, str):
                for x, y in re.findall(r"(?:^|[MLQ ])(-?[\d.]+)[ ,](-?[\d.]+)", value):
                    yield from (("x", float(x)), ("y", float(y)))
            elif field.name in ("x", "icon_x"):
                yield "x", value
            elif field.name == "y":
                yield "y", value
            elif isinstance(value, tuple) or is_dataclass(value):
                yield from numbers(value)


scores = st.none() | st.floats(0, 100)


@st.composite
def treatments(draw: st.DrawFn) -> tuple[list[ChartSession], list[ChartEpisode]]:
    count = draw(st.integers(1, 60))
    sessions = []
    for n in range(1, count + 1):
        held = draw(st.booleans())
        expected = draw(st.floats(0, 100))
        sessions.append(
            ChartSession(
                n,
                FIRST_DAY + timedelta(weeks=n),
                pomp=draw(scores) if held else None,
                therapist_pomp=draw(scores) if held else None,
                low=expected - 30,
                high=expected + 30,
                held=held,
                asked=draw(st.booleans()),
                bond=draw(scores) if held else None,
                event=draw(st.none() | st.sampled_from(["opened", "continues", "repaired"])),  # type: ignore[arg-type]
            )
        )
    opened = draw(st.integers(1, count))
    closed = draw(st.none() | st.integers(opened, count))
    state = draw(st.sampled_from(["open", "recovering", "repaired", "closed"]))
    return sessions, draw(st.sampled_from([[], [episode(opened, closed, state)]]))


def assert_in_box(drawing: Drawing | Sparkline) -> None:
    found = list(numbers(drawing))
    assert all(isfinite(value) for _, value in found)
    assert all(0 <= value <= drawing.width for axis, value in found if axis == "x")
    assert all(0 <= value <= drawing.height for axis, value in found if axis == "y")


@given(treatments(), st.booleans())
def test_every_coordinate_is_finite_and_in_the_box(
    treatment: tuple[list[ChartSession], list[ChartEpisode]], narrow: bool
) -> None:
    drawing = alliance_drawing(*treatment, narrow=narrow)
    assert_in_box(drawing)
    for mark in drawing.marks:
        assert drawing.left <= mark.x <= drawing.right
        assert drawing.top <= mark.y <= drawing.bottom


@given(treatments(), st.sampled_from([(132, 40), (250, 84)]))
def test_every_coordinate_of_a_sparkline_is_finite_and_in_the_box(
    treatment: tuple[list[ChartSession], list[ChartEpisode]], size: tuple[int, int]
) -> None:
    sessions, episodes = treatment
    floor = sparkline_floor([sessions])
    assert_in_box(
        sparkline(sessions, episodes, label="", floor=floor, width=size[0], height=size[1])
    )
