"""The judge counts as it says, and its comparators do what their names promise."""

import csv
import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from apps.ruptures.detection import FORM5, SLIDER, Step
from apps.ruptures.evaluation import comparators, judge, particles, populations, report, study
from apps.ruptures.evaluation.populations import NO_RUPTURE, USUAL, VARIANTS, Courses, simulate

TINY = study.Size(
    clients=40,
    clients_of_variants=20,
    variants=("null",),
    change_point_clients=5,
    resamples=20,
    particles=20,
    processes=1,
)


@pytest.fixture(scope="module")
def courses() -> Courses:
    return simulate(USUAL, form=FORM5, clients=120, seed=1)


def openings_at(shape: tuple[int, ...], *places: tuple[int, int]) -> np.ndarray:
    openings = np.zeros(shape, dtype=bool)
    for session, client in places:
        openings[session, client] = True
    return openings


def invented(rupture: list[list[int]], pomp: list[list[float]]) -> Courses:
    """Courses of these ruptures and ratings, one inner list for each client."""
    flat = [Step(pomp=None if each is None else each) for client in pomp for each in client]
    clients, sessions = len(pomp), len(pomp[0])
    numbers = np.array(rupture).T
    count = numbers.max() + 1
    return Courses(
        steps=study.Steps._make(
            column.reshape(clients, sessions).T for column in study.Steps.of(flat)
        ),
        real=np.ones((sessions, clients), dtype=bool),
        rupture=numbers,
        depths=np.full(count, 2.0),
        client=np.array([np.argwhere(numbers == each)[0][1] for each in range(count)], dtype=int),
    )


class TestPopulations:
    def test_the_same_seed_gives_the_same_courses_and_another_does_not(self, courses):
        again = simulate(USUAL, form=FORM5, clients=120, seed=1)
        other = simulate(USUAL, form=FORM5, clients=120, seed=2)
        assert np.array_equal(courses.steps.pomp, again.steps.pomp, equal_nan=True)
        assert not np.array_equal(courses.depths, other.depths)

    def test_every_rupture_has_a_client_a_depth_and_sessions(self, courses):
        for number, client in enumerate(courses.client):
            sessions, clients = np.nonzero(courses.rupture == number)
            assert set(clients) == {client}
            assert np.array_equal(sessions, np.arange(sessions[0], sessions[0] + sessions.size))
        assert (courses.depths > 0).all()
        assert (courses.rupture[~courses.real] == NO_RUPTURE).all()

    def test_where_nothing_ruptures_nothing_is_a_rupture(self):
        calm = simulate(VARIANTS["null"], form=SLIDER, clients=30, seed=3)
        assert calm.depths.size == 0
        assert (calm.rupture == NO_RUPTURE).all()

    def test_half_of_the_silent_population_leaves_half_of_its_forms(self):
        calm = replace(VARIANTS["half silent"], hazard=0.0, no_show=0.0)
        silent = simulate(calm, form=SLIDER, clients=300, seed=4)
        left = np.isnan(silent.steps.pomp)[silent.real].mean()
        assert left == pytest.approx(0.28, abs=0.03)


class TestCounting:
    # One client ruptures in the third and fourth session, the other never.
    RUPTURE = [[-1, -1, 0, 0, -1, -1, -1, -1], [-1] * 8]
    RATED = [[70.0] * 8, [70.0] * 7 + [None]]

    def count(self, *places: tuple[int, int]) -> judge.Counts:
        told = invented(self.RUPTURE, self.RATED)
        return judge.count(openings_at(told.real.shape, *places), told)

    def test_an_opening_in_a_rupture_finds_it_and_its_delay_counts_from_the_first_session(self):
        counts = self.count((3, 0))
        assert (counts.found.sum(), counts.delay.sum(), counts.false.sum()) == (1, 1, 0)
        assert counts.found_by_depth == {"shallow": (0, 0), "middling": (1, 1), "deep": (0, 0)}

    def test_an_opening_elsewhere_is_false_unless_it_comes_just_after_a_rupture(self):
        assert self.count((1, 0), (4, 1)).false.tolist() == [1, 1]
        assert self.count((4, 0), (5, 0)).false.sum() == 0
        assert self.count((6, 0)).false.tolist() == [1, 0]
        assert self.count((4, 0)).found.sum() == 0

    def test_only_rated_sessions_outside_of_ruptures_are_calm(self):
        assert self.count().calm.tolist() == [6, 7]

    def test_two_openings_in_one_rupture_find_it_once(self):
        counts = self.count((2, 0), (3, 0))
        assert (counts.true.sum(), counts.found.sum()) == (2, 1)
        told = judge.figures(counts)
        assert (told.recall, told.ppv, told.false_per_100, told.delay) == (1.0, 1.0, 0.0, 0.0)

    def test_recall_is_read_off_between_two_thresholds(self):
        many, few = self.count((2, 0), (1, 1), (5, 1)), self.count((5, 1))
        (at,) = judge.at_rates([many, few], rates=[100 * 1.5 / 13], resamples=10, seed=1)
        assert at.recall == pytest.approx(0.5)
        assert 0 <= at.low <= at.high <= 1

    def test_a_method_may_keep_the_threshold_at_which_it_opened_less_and_found_more(self):
        more, less = self.count((1, 0), (5, 1)), self.count((2, 0), (5, 1))
        (at,) = judge.at_rates([more, less], rates=[100 * 2 / 13], resamples=10, seed=1)
        assert at.recall == 1.0


class TestComparators:
    def test_opens_at_the_threshold_and_again_only_after_it_was_released(self):
        score = np.array([[1.0], [2.0], [2.0], [1.1], [2.5], [np.nan], [1.0], [2.0]])
        opened = comparators.openings(score, 2.0)
        assert np.flatnonzero(opened).tolist() == [1, 7]

    @pytest.mark.parametrize("comparator", comparators.COMPARATORS, ids=lambda each: each.name)
    def test_scores_a_fall_higher_than_what_came_before(self, comparator):
        pomp = np.array([[70.0, 72, 71, 69, 70, 71, np.nan, 50]]).T
        score = comparator.score(pomp, FORM5)[:, 0]
        assert score[-1] == np.nanmax(score)
        assert np.isnan(score[6])

    def test_a_chart_measures_from_the_earlier_ratings_alone(self):
        pomp = np.array([[70.0, 80, np.nan, 60, 90, 40]]).T
        by_name = {each.name: each.score(pomp, FORM5)[:, 0] for each in comparators.COMPARATORS}
        earlier = np.array([70.0, 80, 60, 90])
        assert by_name["running mean − k·SD"][-1] == pytest.approx(
            (earlier.mean() - 40) / earlier.std(ddof=1)
        )
        moving = np.abs(np.diff(earlier)).mean()
        assert by_name["X-mR chart"][-1] == pytest.approx((earlier.mean() - 40) / (moving / 1.128))
        assert by_name["drop ≥ reliable change"][-1] == pytest.approx(50 / (1.96 * 2**0.5 * 7.5))
        assert np.isnan(by_name["running mean − k·SD"][:4]).all()

    def test_the_change_point_search_opens_where_a_lower_part_begins(self):
        told = invented([[-1] * 12], [[80.0] * 6 + [50.0] * 6])
        opened = comparators.change_point_openings(told, penalty=100.0)
        assert np.flatnonzero(opened).tolist() == [6]


def test_the_information_limit_is_calibrated_and_finds_more_than_the_filter(courses):
    probability = particles.rupture_probability(courses, USUAL, FORM5, seed=1, particles=150)
    inside = courses.rupture != NO_RUPTURE
    assert probability[courses.real].mean() == pytest.approx(inside[courses.real].mean(), abs=0.03)
    assert probability[inside].mean() > 0.6
    assert probability[courses.real & ~inside].mean() < 0.1
    limit = [judge.count(comparators.openings(probability, c), courses) for c in (0.3, 0.5, 0.9)]
    ours = [
        judge.count(study.opened(courses.steps, study.opening_at(FORM5, c)), courses)
        for c in (0.2, 0.3, 0.5, 0.9)
    ]
    best, found = (judge.at_rates(each, resamples=2, seed=1)[1].recall for each in (limit, ours))
    assert best >= found


def test_ratings_alone_find_less(courses):
    everything = judge.count(study.opened(courses.steps, FORM5), courses)
    alone = judge.count(study.opened(study.ratings_only(courses.steps), FORM5), courses)
    assert judge.figures(alone).recall < judge.figures(everything).recall


def test_the_first_clients_are_judged_as_they_are_among_all(courses):
    few = study.first_clients(courses, 30)
    counts, of_all = (judge.count(study.opened(c.steps, FORM5), c) for c in (few, courses))
    assert counts.found.tolist() == of_all.found[:30].tolist()
    assert counts.false.tolist() == of_all.false[:30].tolist()


class TestCommand:
    def test_prints_every_method_and_the_rule_as_shipped(self, monkeypatch):
        monkeypatch.setattr(study, "QUICK", TINY)
        out = StringIO()
        call_command("evaluate_detection", "--quick", "--seed", "5", stdout=out)
        said = out.getvalue()
        names = [each.name for each in comparators.COMPARATORS]
        for name in [study.FILTER, study.RATINGS_ONLY, study.LIMIT, study.PELT, *names]:
            assert said.count(f"\n| {name} |") == 2
        assert said.count("| null |") == 4

    def test_of_real_ratings_it_tells_shares_alone(self, tmp_path: Path):
        calm = simulate(VARIANTS["null"], form=SLIDER, clients=8, seed=6)
        file = tmp_path / "ratings.csv"
        with file.open("w", newline="") as opened:
            rows = csv.writer(opened)
            rows.writerow(["client", "session", "pomp"])
            for client, pomp in enumerate(calm.steps.pomp.T):
                for session, each in enumerate(pomp[calm.real[:, client]], start=1):
                    rows.writerow([f"K{client}", session, "" if np.isnan(each) else each])
        out = StringIO()
        call_command("evaluate_detection", "--ratings", str(file), "--form", "slider", stdout=out)
        said = out.getvalue()
        assert said.startswith("8 series, ")
        assert "Falls of 2.5 σ0 put into them:" in said
        assert "K1" not in said

    def test_says_what_is_wrong_with_a_file(self, tmp_path: Path):
        with pytest.raises(CommandError, match="needs --form"):
            call_command("evaluate_detection", "--ratings", "x.csv")
        with pytest.raises(CommandError, match=r"absent\.csv"):
            call_command(
                "evaluate_detection", "--ratings", str(tmp_path / "absent.csv"), "--form", "form5"
            )


def test_deeper_falls_put_into_real_series_are_found_more_often():
    calm = simulate(VARIANTS["null"], form=FORM5, clients=15, seed=7)
    series = [
        [Step(pomp=None if np.isnan(each) else each) for each in pomp[real]]
        for pomp, real in zip(calm.steps.pomp.T, calm.real.T, strict=True)
    ]
    told = study.screen_real(series, FORM5, seed=1)
    assert told.series == 15
    assert told.found[1.5] < told.found[2.5]
    assert told.opened_per_100 < 10


def test_populations_differ_from_the_usual_one_in_one_assumption():
    for name, population in VARIANTS.items():
        changed = [
            field
            for field in populations.Population.__dataclass_fields__
            if getattr(population, field) != getattr(USUAL, field)
        ]
        assert len(changed) == (0 if name == "usual" else 2 if "tension" in name else 1), name


def test_the_page_shows_the_figures_that_lie_beside_it():
    docs = Path(settings.BASE_DIR) / "docs"
    told = json.loads((docs / report.FIGURES).read_text(encoding="utf-8"))
    page = (docs / "detection.md").read_text(encoding="utf-8")
    shown = page.split(report.BEGIN)[1].split(report.END)[0]
    assert shown.strip() == report.tables(told).strip()
    for plot in report.PLOTS.values():
        assert f"]({plot.as_posix()})" in page
        assert (docs / plot).exists()


def test_writing_a_study_twice_gives_the_same_page_and_plots(tmp_path: Path):
    docs = Path(settings.BASE_DIR) / "docs"
    told = json.loads((docs / report.FIGURES).read_text(encoding="utf-8"))
    (tmp_path / "img").mkdir()
    page = f"Before\n{report.BEGIN}\nof last year\n{report.END}\nAfter\n"
    (tmp_path / "detection.md").write_text(page)
    written = []
    for _ in range(2):
        report.write(told, tmp_path)
        written.append([file.read_bytes() for file in sorted(tmp_path.rglob("*.*"))])
    assert written[0] == written[1]
    page = (tmp_path / "detection.md").read_text(encoding="utf-8")
    assert page.startswith("Before\n")
    assert page.endswith("\nAfter\n")
    assert "of last year" not in page
