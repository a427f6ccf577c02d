"""`manage.py import_ratings`: each rule, the errors, the figures of `screen`."""

import json
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import Membership, Notice, Practice, Role
from apps.alliance.models import AllianceRating, Questionnaire
from apps.clients.handing_over import pass_on
from apps.clients.models import Client, Treatment
from apps.core.models import AuditEntry, OutboxMessage
from apps.endings.services import close_treatment, reopen_treatment
from apps.exchange.models import ImportedSession
from apps.exchange.rights import lift_restriction, restrict
from apps.feedback.asking import why_not_ask
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import practice_questionnaire
from apps.ruptures.models import RuptureEpisode, Screening
from apps.ruptures.services import share_episode
from apps.ruptures.transitions import move_episodes_on
from apps.therapy_sessions.models import TherapySession
from tests.conftest import work_in
from tests.factories import (
    ClientFactory,
    MembershipFactory,
    SupervisionFactory,
    TherapySessionFactory,
)
from tests.ruptures.test_screening import screen_from

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("as_owner")]

STORED = (Client, Treatment, TherapySession, AllianceRating, Screening, ImportedSession)
V_SHAPE = (75, 75, 80, 80, 55, 75, 80, 80)
QUESTIONNAIRE = {
    "key": "four-items",
    "version": 1,
    "title": "Four items",
    "validated": False,
    "licence": {"name": "not attested", "source": "", "attested_on": None},
    "detection_form": "form5",
    "scale": {"minimum": 1, "maximum": 5},
    "items": [
        {"id": "b1", "subscale": "bond", "text": ""},
        {"id": "b2", "subscale": "bond", "text": ""},
        {"id": "g1", "subscale": "goals", "text": ""},
        {"id": "t1", "subscale": "tasks", "text": ""},
    ],
}
BY_NAME = "client,session,pomp,therapist"
RICH = """\
client,therapist,session,b1,b2,g1,t1,attended,asked,tension,resolved,therapist_tension,\
therapist_resolved,no_shows,gap_days
A,T1,2,4,4,4,4,,,0,2,,,1,
A,T1,3,4,4,4,5,,,,,0,,,
A,T1,5,5,4,4,5,,,0,,,,,
A,T1,6,,,,,0,,,,,,,
A,T1,7,4,4,5,5,,,1,4,1,4,,
A,T1,8,2,2,1,3,,,3,0,2,1,2,
A,T1,9,,,,,,0,,,,,,
A,T1,10,4,4,4,,,,0,,,,,50
A,T2,11,3,3,3,3,,,,,,,1,
A,T2,12,1,1,2,,,,4,,,,3,
A,T2,13,,,,,,,2,,,,,
B,T2,1,5,5,5,5,,,,,,,,
B,,4,5,5,5,5,,,,,,,,42
B,,5,1,1,1,1,0,,,,,,,
C,,1,3,3.5,3,3,,,,,,,,
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "four.json").write_text(json.dumps(QUESTIONNAIRE), encoding="utf-8")
    return tmp_path


@pytest.fixture
def load(practice: Practice, folder: Path):
    """Import a text into alice's practice; return what is printed."""

    def run(text: str | bytes, **options: Any) -> str:
        (folder / "ratings.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        printed = StringIO()
        arguments = {
            "practice": practice.name,
            "questionnaire": str(folder / "four.json"),
            "therapist": "T0",
            **options,
        }
        call_command(
            "import_ratings",
            str(folder / "ratings.csv"),
            *(f"--{name.replace('_', '-')}={value}" for name, value in arguments.items()),
            stdout=printed,
            stderr=StringIO(),
        )
        return printed.getvalue()

    return run


@pytest.fixture
def refusal(load):
    """Import a text that is refused; return the message after the file name."""

    def run(text: str | bytes, **options: Any) -> str:
        before = stored_rows()
        with pytest.raises(CommandError) as refused:
            load(text, **options)
        assert refused.value.returncode == 2
        assert stored_rows() == before
        assert str(refused.value).endswith("Nothing was stored.")
        return str(refused.value).partition("ratings.csv, ")[2]

    return run


def csv(header: str, *rows: str) -> str:
    return "\n".join([header, *rows, ""])


def pomps(*values: float | None, client: str = "A") -> str:
    rows = (f"{client},{n},{'' if v is None else v}" for n, v in enumerate(values, start=1))
    return csv("client,session,pomp", *rows)


def stored_rows() -> list[list[Any]]:
    return [
        *(sorted(map(str, model.objects.values_list())) for model in (*STORED, RuptureEpisode)),
        sorted(map(str, Membership.objects.values_list("id", "name"))),
        sorted(map(str, Questionnaire.objects.values_list("id", "key"))),
        [AuditEntry.objects.count()],
    ]


def sessions_of(code: str) -> list[TherapySession]:
    return list(TherapySession.objects.filter(treatment__client__code=code).order_by("starts_at"))


def screenings() -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (row.therapy_session.treatment.client.code, row.therapy_session.imported.place): row.outputs
        for row in Screening.objects.current()
        .select_related("therapy_session__treatment__client", "therapy_session__imported")
        .order_by("therapy_session__starts_at")
    }


def screened(path: Path, form: str = "form5") -> dict[tuple[str, str], dict[str, Any]]:
    """What `manage.py screen` prints about the same file."""
    printed = StringIO()
    call_command("screen", str(path), f"--form={form}", "--format=jsonl", stdout=printed)
    steps = {}
    for line in map(json.loads, printed.getvalue().splitlines()):
        place = line.pop("session") if "session" in line else line.pop("held_at")
        steps[line.pop("client"), str(place)] = line
    return steps


class TestFigures:
    def test_every_step_has_the_figures_that_screen_prints(self, load, folder):
        load(RICH)
        expected = screened(folder / "ratings.csv")
        assert len(expected) == 16
        assert screenings() == expected

    def test_the_columns_pages_read_are_the_same_figures(self, load):
        load(pomps(*V_SHAPE))
        rows = Screening.objects.order_by("therapy_session__starts_at")
        assert [row.event for row in rows][4:7] == ["opened", "improving", "repaired"]
        for row in rows:
            assert (row.pomp, row.low, row.high) == tuple(
                row.outputs[name] for name in ("pomp", "low", "high")
            )
        episode = RuptureEpisode.objects.get()
        assert episode.recovering_since
        assert not episode.outcome
        assert episode.opened_at == sessions_of("A")[4].ends_at

    @pytest.mark.parametrize("last", ["2026-03-01", "2026-04-15T10:00", "2026-04-16", "2026-05-30"])
    def test_dates_tell_of_a_break_as_screen_reads_them_across_summer_time(
        self, load, folder, last
    ):
        rows = ["A,2026-02-26T10:00,80", f"A,{last},60", "A,2026-06-04,80"]
        if "T" not in last:
            rows[0] = "A,2026-02-26,80"
        load(csv("client,held_at,pomp", *rows))
        expected = screened(folder / "ratings.csv")
        assert list(screenings().values()) == list(expected.values())

    def test_a_break_with_missing_numbers_inside_is_told_once(self, load, folder):
        rows = ["A,1,2026-01-01,80", "A,4,2026-03-20,70", "A,5,2026-03-27,80"]
        load(csv("client,session,held_at,pomp", *rows))
        assert screenings() == screened(folder / "ratings.csv")

    def test_many_sessions_not_attended_are_no_break(self, load, folder):
        rows = [f"A,{n},{'' if 2 < n < 12 else 80},{int(not 2 < n < 12)}" for n in range(1, 14)]
        load(csv("client,session,pomp,attended", *rows))
        assert screenings() == screened(folder / "ratings.csv")

    def test_gap_days_become_dates(self, load, folder):
        load(csv("client,session,pomp,gap_days", "A,1,80,", "A,2,70,60", "A,3,80,3"))
        first, second, third = sessions_of("A")
        assert (second.starts_at - first.starts_at).days in (59, 60)
        assert (third.starts_at - second.starts_at).days == 3
        assert screenings() == screened(folder / "ratings.csv")


class TestRows:
    def test_sessions_missing_between_rows_are_attended_asked_and_unrated(self, load):
        load(pomps(80).rstrip("\n") + "\nA,4,80\n")
        sessions = sessions_of("A")
        assert [session.attendance for session in sessions] == ["attended"] * 4
        assert [session.asked for session in sessions] == [True] * 4
        assert [session.ratings.count() for session in sessions] == [1, 0, 0, 1]

    def test_answers_keep_their_items_subscales_and_tension(self, load):
        load(RICH)
        rating = AllianceRating.objects.get(
            therapy_session__imported__place="8", therapy_session__treatment__client__code="A"
        )
        assert rating.answers == {"b1": 2, "b2": 2, "g1": 1, "t1": 3}
        assert (rating.pomp, rating.bond, rating.goals, rating.tasks) == (25, 25, 0, 50)
        assert (rating.tension, rating.tension_resolved) == (3, 0)
        assert rating.mode == AllianceRating.Mode.IMPORTED
        session = rating.therapy_session
        assert (session.tension, session.tension_resolved) == (2, 1)
        half = AllianceRating.objects.get(therapy_session__treatment__client__code="C")
        assert half.answers == {"b1": 3, "b2": 3.5, "g1": 3, "t1": 3}

    def test_no_shows_are_sessions_between_and_a_row_not_attended_counts_for_nothing(self, load):
        load(RICH)
        attendance = [session.attendance for session in sessions_of("A")]
        assert attendance == [
            "no_show",
            *["attended"] * 4,
            "therapist_cancelled",
            "attended",
            *["no_show"] * 2,
            *["attended"] * 3,
            "no_show",
            "attended",
            *["no_show"] * 3,
            *["attended"] * 2,
        ]

    def test_a_score_is_stored_without_answers(self, load, practice):
        load(pomps(72.5), questionnaire="rapport-alliance-form")
        rating = AllianceRating.objects.get()
        assert (rating.pomp, rating.answers, rating.bond) == (72.5, {}, None)
        assert rating.questionnaire == practice_questionnaire(practice)

    def test_a_new_therapist_ends_the_treatment_and_starts_another(self, load):
        load(RICH)
        first, second = Treatment.objects.filter(client__code="A").order_by("starts_on")
        assert (first.therapist.name, second.therapist.name) == ("T1", "T2")
        assert first.ends_on == first.therapy_sessions.latest("starts_at").starts_at.date()
        assert first.starts_on < first.ends_on < second.starts_on
        assert second.ends_on is None

    @pytest.mark.parametrize("ended", [False, True])
    def test_no_file_takes_a_client_from_somebody_who_works_here(self, load, alice, charlie, ended):
        """Whoever treats the client would not know, nor who the new one is."""
        load(csv(BY_NAME, "A,1,80,Alice Moreau", "B,1,80,Charlie Nowak"))
        if ended:
            Treatment.objects.update(ends_on=timezone.localdate())
        with pytest.raises(
            CommandError, match=r"line 3, column therapist: .* hand the client over"
        ):
            load(csv(BY_NAME, "A,1,80,Alice Moreau", "A,2,80,Charlie Nowak"))
        assert Treatment.objects.get(client__code="A").therapist == alice

    def test_what_follows_a_hand_over_is_stored_with_whom_the_client_was_given_to(
        self, load, practice, charlie, mona
    ):
        load(csv(BY_NAME, "A,1,80,Alice Moreau"))
        today = timezone.localdate()
        pass_on(Treatment.objects.get(), to=charlie, on=today, by=mona)
        for _again in range(2):
            load(csv(BY_NAME, "A,1,80,Alice Moreau", "A,2,80,Charlie Nowak"))
        given = Treatment.objects.get(therapist=charlie)
        assert given.ends_on is None
        assert given.therapy_sessions.get().ratings.get().pomp == 80

    @pytest.mark.parametrize("missed", [0, 1])
    def test_what_a_file_tells_of_long_ago_is_history_whoever_was_missed_in_it(
        self, load, alice, sam, missed
    ):
        """A no-show is a session of its own, and has no row."""
        first_week, header = "2024-01-01", f"{BY_NAME},no_shows"
        rows = [f"A,{n},{90 - n % 2 * 10},Alice Moreau,{missed * (n == 3)}" for n in range(1, 10)]
        for more in ([], [f"A,{n},20,Alice Moreau,0" for n in range(10, 14)]):
            rows += more
            load(
                csv(header, *rows),
                questionnaire="rapport-alliance-form",
                first_week=first_week,
            )
        episode = RuptureEpisode.objects.get()
        assert (episode.opened_at.year, episode.marked_at.year) == (2024, 2024)
        assert not Notice.objects.exists()

    @pytest.mark.parametrize(
        ("first_week", "more", "ended_on"),
        [("2026-01-05", [], date(2026, 5, 15)), ("2026-08-31", ["A,12,80,T2"], date(2026, 11, 9))],
    )
    def test_what_was_over_before_it_came_here_ended_then_and_nobody_is_told(
        self, load, alice, sam, first_week, more, ended_on
    ):
        """Sixty days after the client had come last, or as another went on."""
        rows = [f"A,{n},{90 - n % 2 * 10},Alice Moreau" for n in range(1, 10)]
        rows += ["A,10,20,Alice Moreau", "A,11,20,Alice Moreau", *more]
        with time_machine.travel(datetime(2026, 11, 27, 12, tzinfo=UTC), tick=False):
            how = {"questionnaire": "rapport-alliance-form", "first_week": first_week}
            load(csv(BY_NAME, *rows), **how)
            move_episodes_on()
            work_in(alice.practice_id)
            episode = RuptureEpisode.objects.get()
            assert episode.outcome == episode.Outcome.ENDED_UNREPAIRED
            assert timezone.localdate(episode.outcome_at) == ended_on
            assert not Notice.objects.exists()
            restrict(client=episode.treatment.client, by=alice)
            lift_restriction(client=episode.treatment.client, by=alice)
            assert RuptureEpisode.objects.get() == episode, "nothing of it opens anew"
            assert not Notice.objects.exists()

    @pytest.mark.parametrize("logs_here", [False, True])
    def test_what_a_file_adds_while_processing_is_restricted_is_told_as_if_it_were_not(
        self, load, alice, sam, logs_here
    ):
        """As history where files alone tell of the course, of whichever day the lifting is."""
        how = {"questionnaire": "rapport-alliance-form", "first_week": "2026-09-07"}
        good = [f"A,{n},{90 - n % 2 * 10},Alice Moreau" for n in range(1, 10)]
        with time_machine.travel(datetime(2026, 11, 27, 12, tzinfo=UTC), tick=False):
            load(csv(BY_NAME, *good), **how)
            if logs_here:
                TherapySession.objects.update(corrected_at=timezone.now())
            client = Client.objects.get()
            restrict(client=client, by=alice)
            load(csv(BY_NAME, *good, "A,10,20,Alice Moreau", "A,11,20,Alice Moreau"), **how)
            assert not RuptureEpisode.objects.exists()
            lift_restriction(client=client, by=alice)
            episode = RuptureEpisode.objects.get()
            opened_at = timezone.now() if logs_here else episode.opened_by.ends_at
            assert episode.opened_at == opened_at
            assert Notice.objects.exists() is logs_here

    def test_what_a_supervisor_was_told_of_does_not_end_by_a_file_without_a_word(self, load, sam):
        rows = [f"A,{n},{90 - n % 2 * 10},T1" for n in range(1, 10)]
        rows += ["A,10,20,T1", "A,11,20,T1"]
        how = {"questionnaire": "rapport-alliance-form", "first_week": "2026-09-07"}
        with time_machine.travel(datetime(2026, 11, 27, 12, tzinfo=UTC), tick=False):
            load(csv(BY_NAME, *rows), **how)
            treatment = Treatment.objects.get()
            SupervisionFactory.create(supervisor=sam, supervisee=treatment.therapist)
            move_episodes_on()
            work_in(sam.practice_id)
            assert [each.kind for each in Notice.objects.filter(member=sam)] == ["episode_marked"]
            load(csv(BY_NAME, *rows, "A,12,80,T2"), **how)
            move_episodes_on()
            work_in(sam.practice_id)
            assert RuptureEpisode.objects.get().outcome
            told = Notice.objects.filter(member=sam).order_by("created_at", "id")
            assert "episode_withdrawn" in told.values_list("kind", flat=True)

    def test_what_is_added_to_a_course_that_goes_on_here_is_told_as_what_comes_now(
        self, load, alice, sam
    ):
        good = [f"A,{n},{80 + n % 2 * 10},Alice Moreau" for n in range(1, 10)]
        load(csv(BY_NAME, *good), questionnaire="rapport-alliance-form")
        treatment = Treatment.objects.get()
        now = timezone.now()
        own = {"tension": 4, "tension_resolved": 0, "starts_at": now - timedelta(hours=1)}
        own["logged_at"] = now
        screen_from(TherapySessionFactory.create(treatment=treatment, **own))
        episode = RuptureEpisode.objects.get()
        share_episode(episode=episode, by=alice)
        more = [f"A,{n},20,Alice Moreau" for n in range(10, 14)]
        load(csv(BY_NAME, *good, *more), questionnaire="rapport-alliance-form")
        episode.refresh_from_db()
        assert episode.opened_by != treatment.therapy_sessions.latest("starts_at")
        assert Notice.objects.filter(member=sam, subject_id=episode.id).exists()

    def test_what_is_added_to_a_course_that_has_ended_here_is_history(self, load, alice, sam):
        good = [f"A,{n},{80 + n % 2 * 10},Alice Moreau" for n in range(1, 10)]
        load(csv(BY_NAME, *good), questionnaire="rapport-alliance-form")
        TherapySession.objects.update(corrected_at=timezone.now())
        Treatment.objects.update(ends_on=timezone.localdate())
        more = [f"A,{n},20,Alice Moreau" for n in range(10, 14)]
        load(csv(BY_NAME, *good, *more), questionnaire="rapport-alliance-form")
        move_episodes_on()
        work_in(alice.practice_id)
        assert RuptureEpisode.objects.get().outcome
        assert not Notice.objects.exists()

    @pytest.mark.parametrize("by_hand_over", [False, True])
    def test_a_longer_file_goes_on_in_the_treatment_that_was_begun_again(
        self, load, alice, charlie, mona, by_hand_over
    ):
        """Or a fall would be told to nobody. What was held before the end stays in the first."""

        def rows(weeks, pomp):
            days = (timezone.localdate() - timedelta(weeks=13 - week) for week in weeks)
            return [f"A,{day},{pomp},Alice Moreau" for day in days]

        header, form = BY_NAME.replace("session", "held_at"), "rapport-alliance-form"
        good = rows(range(1, 9), 90)
        load(csv(header, *good), questionnaire=form)
        before = Treatment.objects.get()
        with time_machine.travel(timezone.now() - timedelta(days=25)):
            if by_hand_over:
                theirs = pass_on(before, to=charlie, on=timezone.localdate(), by=mona)
                goes_on = pass_on(theirs, to=alice, on=timezone.localdate(), by=mona)
            else:
                ending = close_treatment(treatment=before, how="agreed", review="", by=alice)
                goes_on = reopen_treatment(ending=ending, by=alice)
            begun = timezone.now()
        TherapySessionFactory.create(
            treatment=goes_on, starts_at=begun + timedelta(hours=1), logged_at=timezone.now()
        )
        for _again in range(2):
            more = [*rows([9], 90), *rows(range(10, 13), 20)]
            load(csv(header, *good, *more), questionnaire=form)
        assert before.therapy_sessions.count() == 9
        assert goes_on.therapy_sessions.count() == 1 + 3

    @pytest.mark.parametrize("how", ["corrected", "asked about"])
    def test_a_course_goes_on_here_also_where_a_session_of_a_file_was_corrected_or_asked_about(
        self, load, alice, practice, how
    ):
        good = [f"A,{n},{80 + n % 2 * 10},Alice Moreau" for n in range(1, 10)]
        load(csv(BY_NAME, *good), questionnaire="rapport-alliance-form")
        session = TherapySession.objects.latest("starts_at")
        if how == "corrected":
            TherapySession.objects.filter(id=session.id).update(corrected_at=timezone.now())
        else:
            FeedbackRequest.objects.create(
                practice=practice, therapy_session=session, due_at=timezone.now(),
                expires_at=timezone.now(), questionnaire=practice_questionnaire(practice),
            )  # fmt: skip
        load(
            csv(BY_NAME, *good, *(f"A,{n},20,Alice Moreau" for n in range(10, 12))),
            questionnaire="rapport-alliance-form",
        )
        assert Notice.objects.filter(member=alice).exists()

    def test_nothing_is_stored_in_a_treatment_that_begins_on_a_day_to_come(
        self, load, practice, charlie, mona
    ):
        load(csv(BY_NAME, "A,1,80,Alice Moreau"))
        day = timezone.localdate() + timedelta(days=14)
        pass_on(Treatment.objects.get(), to=charlie, on=day, by=mona)
        with pytest.raises(CommandError, match="hand the client over first"):
            load(csv(BY_NAME, "A,1,80,Alice Moreau", "A,2,80,Charlie Nowak"))

    def test_therapists_become_members_who_cannot_sign_in(self, load, practice):
        printed = load(RICH)
        members = Membership.objects.filter(practice=practice, user=None).order_by("name")
        assert [(member.name, member.roles) for member in members] == [
            (name, [Role.THERAPIST]) for name in ("T0", "T1", "T2")
        ]
        assert "New members without sign-in: T1, T2, T0." in printed

    def test_a_member_of_this_name_gets_the_clients(self, load, alice):
        load(csv("client,session,pomp,therapist", "A,1,80,Alice Moreau"))
        assert Treatment.objects.get().therapist == alice
        assert Client.objects.visible_to(alice).get().code == "A"

    def test_nothing_is_ever_sent_to_the_clients(self, load, practice):
        load(RICH)
        for client in Client.objects.all():
            assert (client.consent, client.discussed_on) == ("", None)
            assert not client.channels.exists()
            assert why_not_ask(client)
        assert not OutboxMessage.objects.exists()
        assert not Questionnaire.objects.get(key="four-items").may_be_sent
        assert practice_questionnaire(practice).key == "rapport-alliance-form"

    def test_each_client_is_in_the_audit_trail(self, load):
        load(RICH)
        entries = AuditEntry.objects.filter(action="import ratings")
        assert {client for entry in entries for client in entry.client_ids} == set(
            Client.objects.values_list("id", flat=True)
        )


class TestDates:
    @time_machine.travel(datetime(2026, 11, 18, 12, tzinfo=UTC), tick=False)
    def test_the_longest_course_ended_last_week_and_others_began_with_it(self, load):
        load(csv("client,session,pomp", *(f"A,{n},80" for n in range(1, 6)), "B,1,80", "B,2,80"))
        weeks = [session.starts_at.date().isocalendar().week for session in sessions_of("A")]
        assert weeks == [42, 43, 44, 45, 46]
        assert [s.starts_at.date().isocalendar().week for s in sessions_of("B")] == [42, 43]

    @time_machine.travel(datetime(2026, 11, 18, 12, tzinfo=UTC), tick=False)
    def test_the_first_week_may_be_given(self, load):
        load(pomps(80, 80), first_week="2026-03-05")
        first, second = sessions_of("A")
        assert date(2026, 3, 2) <= first.starts_at.date() <= date(2026, 3, 6)
        assert second.starts_at == first.starts_at + timedelta(weeks=1)

    def test_held_at_is_used_by_the_practices_clock(self, load):
        rows = ["A,2026-06-01T10:00,80", "A,2026-06-08,80", "A,2026-06-15T10:00Z,80"]
        with pytest.raises(CommandError, match="line 4, column held_at: expected a time zone"):
            load(csv("client,held_at,pomp", *rows))
        load(csv("client,held_at,pomp", *rows[:2]))
        assert [f"{session.starts_at:%d %H:%M}" for session in sessions_of("A")] == [
            "01 09:00",
            "08 11:00",
        ]

    def test_sessions_to_come_are_refused(self, refusal):
        later = (timezone.now() + timedelta(days=9)).date()
        message = refusal(csv("client,held_at,pomp", f"A,{later},80"))
        assert message.startswith("line 2, column held_at: expected a session held by now")
        message = refusal(pomps(80, 80), first_week=str(later))
        assert message.startswith("line 2, column session: expected a session held by now")

    def test_a_row_without_a_date_among_dated_ones_is_refused(self, refusal):
        text = csv("client,session,held_at,pomp", "A,1,2026-01-01,80", "A,2,,80")
        assert refusal(text).startswith("line 3, column held_at: expected a date, as in other rows")


class TestBadInput:
    @pytest.mark.parametrize(
        ("text", "place"),
        [
            (csv("client,session,pomp", "A,1,80", "A,2,NA"), "line 3, column pomp"),
            (csv("client,session,pomp", "A,1,80", "A,1,80"), "line 3, column session"),
            (csv("client,session,b1,b2,g1,t1", "A,1,1,1,1,6"), "line 2, column t1"),
            (csv("client,session,b1,b2,g1,x1", "A,1,1,1,1,1"), "line 1, column x1"),
            (csv("client,session,b1,b2,g1", "A,1,1,1,1"), "line 1, column t1: expected this item"),
            (b"client,session,pomp\n\xe4,1,80\n", "line 2, column byte 1: expected UTF-8"),
            (csv("client,session,pomp", "A" * 21 + ",1,80"), "line 2, column client: expected a c"),
            (
                csv("client,session,pomp,therapist", f"A,1,80,{'T' * 121}"),
                "line 2, column therapist",
            ),
            (csv("client,session,pomp,no_shows", "A,1,80,31"), "line 2, column no_shows"),
            (csv("client,session,pomp,gap_days", "A,1,80,", "A,2,8,4e9"), "line 3, column gap_d"),
            (
                csv(
                    "client,session,held_at,gap_days,pomp",
                    "A,1,2026-01-01,,8",
                    "A,2,2026-01-08,50,8",
                ),
                "line 3, column gap_days: expected days that agree with the dates",
            ),
            (csv("client,held_at,pomp", "A,0001-01-01,80"), "line 2, column held_at: expected a m"),
            (csv("client,held_at,pomp", "A,2026-01-01,8", "A,2026-01-01T12:00,8"), "line 3, col"),
            (
                csv("client,held_at,pomp", "A,2026-03-29T01:30,80"),
                "line 2, column held_at: expected a moment by the clock of Europe/London, which",
            ),
        ],
    )
    def test_is_refused_with_its_place_and_nothing_is_stored(self, refusal, text, place):
        assert refusal(text).startswith(place)

    def test_at_the_end_of_a_long_file_nothing_before_it_is_stored(self, refusal):
        good = "".join(f"C{n},T{n},{m},80\n" for n in range(20) for m in range(1, 5))
        message = refusal(f"client,therapist,session,pomp\n{good}Z,T1,1,101\n")
        assert message.startswith("line 82, column pomp: expected a number from 0 to 100")

    def test_dates_beyond_the_calendar_are_refused(self, folder, load):
        rows = [f"A,{n},80,3650" for n in range(1, 900)]
        with pytest.raises(CommandError, match="lead out of the calendar"):
            load(csv("client,session,pomp,gap_days", *rows))
        assert not Client.objects.exists()

    def test_rows_without_a_therapist_need_one_named(self, refusal):
        message = refusal(pomps(80), therapist="")
        assert message.startswith("line 2, column therapist: expected a therapist; for rows")

    def test_a_member_who_is_no_therapist_gets_no_clients(self, refusal, mona):
        message = refusal(pomps(80), therapist=mona.name)
        assert message.startswith("line 2, column therapist: expected a member who works as")

    @pytest.mark.parametrize("about", [{}, {"is_active": False}, {"roles": [Role.SUPERVISOR]}])
    def test_of_two_members_of_one_name_nobody_is_guessed(self, load, refusal, alice, about):
        """Not even where one treats nobody by now: whose the clients were the file does not say."""
        text = csv(BY_NAME, "A,1,80,Alice Moreau", "A,2,80,Alice Moreau")
        load(text)
        MembershipFactory.create(practice=alice.practice, name=alice.name, **about)
        message = refusal(csv(BY_NAME, "B,1,80,Charlie Nowak", "C,1,80,Alice Moreau"))
        assert message.startswith("line 3, column therapist: expected a name that no two members")
        assert message.count("hand the clients over afterwards, found 'Alice Moreau'") == 1
        load(text + "A,3,80,Alice Moreau\n")
        assert Treatment.objects.get().therapist == alice, "who it was is known from before"

    def test_members_of_other_practices_may_have_the_same_name(self, load, alice, dora):
        MembershipFactory.create(practice=dora.practice, name=alice.name)
        load(csv(BY_NAME, "A,1,80,Alice Moreau"))
        assert Treatment.objects.get().therapist == alice

    def test_a_code_that_a_client_of_the_practice_has_is_refused(self, refusal, practice):
        ClientFactory.create(practice=practice, code="A")
        assert refusal(pomps(80)).startswith("line 2, column client: expected a code that no clie")

    @pytest.mark.parametrize("code", ["erased-0123456789ab", "Erased-1"])
    def test_a_code_as_those_of_erased_clients_is_refused_before_it_is_looked_up(
        self, refusal, practice, code
    ):
        text = csv("client,session,pomp", "A,1,80", f"{code},1,80")
        expected = "line 3, column client: expected a code that does not begin with erased-"
        assert refusal(text).startswith(expected)
        ClientFactory.create(practice=practice, code=code)
        assert refusal(text).startswith(expected)

    def test_clients_of_another_practice_may_have_the_same_code(self, load, dora):
        ClientFactory.create(practice=dora.practice, code="A")
        load(pomps(80))
        assert Client.objects.filter(code="A").count() == 2

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"practice": "Nowhere"}, "There is no practice 'Nowhere'; there are: Fernbank"),
            ({"questionnaire": "other"}, "has no questionnaire 'other'; it has rapport-alliance"),
            ({"questionnaire": "missing.json"}, "missing.json is no questionnaire file"),
        ],
    )
    def test_what_is_not_there_is_named(self, load, options, message):
        with pytest.raises(CommandError, match=message) as refused:
            load(pomps(80), **options)
        assert refused.value.returncode == 2
        assert not Client.objects.exists()

    def test_a_practice_is_found_by_its_id(self, load, practice):
        load(pomps(80), practice=str(practice.id))
        assert Client.objects.get().practice == practice

    def test_of_two_practices_of_one_name_the_id_is_asked_for(self, load, practice, dora):
        Practice.objects.filter(id=dora.practice_id).update(name=practice.name)
        with pytest.raises(CommandError, match=f"Give an id: .*{practice.id}"):
            load(pomps(80))

    def test_a_file_that_cannot_be_read_is_named(self, practice, folder):
        with pytest.raises(CommandError, match="expected a readable file") as refused:
            call_command(
                "import_ratings",
                str(folder / "nowhere.csv"),
                f"--practice={practice.name}",
                "--questionnaire=rapport-alliance-form",
            )
        assert refused.value.returncode == 2


def courses(*, name: str, sessions: int) -> str:
    rows = (f"{name}{c},{n},80" for c in range(2) for n in range(1, sessions + 1))
    return csv("client,session,pomp", *rows)


def test_a_longer_course_costs_no_more_queries(load):
    load(courses(name="A", sessions=2))  # the questionnaire and the member are there from now on
    with CaptureQueriesContext(connection) as short:
        load(courses(name="B", sessions=4))
    with CaptureQueriesContext(connection) as long:
        load(courses(name="C", sessions=40))
    assert len(short) == len(long)
