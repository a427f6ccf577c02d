"""`manage.py import_ratings`: each rule, the figures of `screen`, dates."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.core.management import CommandError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import Membership, Role
from apps.alliance.models import AllianceRating, Questionnaire
from apps.clients.handing_over import pass_on
from apps.clients.models import Client, Treatment
from apps.core.models import AuditEntry, OutboxMessage
from apps.feedback.asking import why_not_ask
from apps.feedback.services import practice_questionnaire
from apps.ruptures.models import RuptureEpisode, Screening
from tests.exchange.importing import (
    BY_NAME,
    RICH,
    V_SHAPE,
    csv,
    pomps,
    screened,
    screenings,
    sessions_of,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("as_owner")]


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
