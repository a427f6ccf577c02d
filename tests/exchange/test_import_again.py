"""`manage.py import_ratings` once more: the same file, a longer one, and who is gone meanwhile."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.utils import timezone

from apps.clients.handing_over import pass_on
from apps.clients.models import Client, Treatment
from apps.core.models import AuditEntry
from apps.exchange import services
from apps.exchange.rights import erase_client
from apps.therapy_sessions.models import TherapySession
from tests.clients.test_turns import happens_first
from tests.exchange.importing import (
    BY_NAME,
    RICH,
    V_SHAPE,
    csv,
    pomps,
    screened,
    screenings,
    sessions_of,
    stored_rows,
)
from tests.factories import TherapySessionFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("as_owner")]


class TestAgain:
    def test_the_same_file_changes_nothing_on_a_later_day_either(self, load):
        load(RICH)
        before = stored_rows()
        assert load(RICH) == "Nothing new: all 18 sessions were imported before.\n"
        assert stored_rows() == before
        with time_machine.travel(timezone.now() + timedelta(days=100)):
            load(RICH)
        assert stored_rows() == before

    def test_a_client_who_was_erased_does_not_come_back(self, load, mona):
        load(pomps(80, 75, client="Kim-7"))
        erase_client(client=Client.objects.get(), by=mona)
        before = stored_rows()
        printed = load(csv("client,session,pomp", *(f"Kim-7,{n},80" for n in (1, 2, 3))))
        assert "Left out, as they were erased: the clients who begin in line 2. Take" in printed
        assert "Kim" not in printed
        assert stored_rows() == before
        longer = pomps(80, client="kim-7") + "B,1,80\nB,2,80\n"
        assert "1 clients are new" in load(longer)
        assert set(Client.objects.filter(erased_at=None).values_list("code", flat=True)) == {"B"}
        assert b"Kim" not in bytes(Client.objects.get(code__startswith="erased").erased_code)

    def test_who_is_erased_as_the_file_waits_for_its_turn_does_not_come_back(
        self, load, mona, monkeypatch
    ):
        weeks = [f"A,{n},80,T1" for n in range(1, 10)]
        load(csv(BY_NAME, *weeks[:5]))
        client = Client.objects.get()
        erased = happens_first(
            lambda: erase_client(client=client, by=mona), in_=services, monkeypatch=monkeypatch
        )
        load(csv(BY_NAME, *weeks))
        assert erased
        assert TherapySession.objects.count() == 5
        assert AuditEntry.objects.filter(action="import ratings").count() == 1

    def test_a_client_whose_code_differs_in_capitals_from_an_erased_one_stays(self, load, mona):
        both = "client,session,pomp\nk1,1,80\nk1,2,75\nK1,1,80\n"
        load(both)
        erase_client(client=Client.objects.get(code="k1"), by=mona)
        assert "begin in line 2. Take" in load(both + "K1,2,70\n")
        here = TherapySession.objects.filter(treatment__client__code="K1")
        assert (here.count(), Client.objects.filter(code="k1").count()) == (2, 0)
        Client.objects.filter(code="K1").update(code="k1")  # somebody new by the erased one's code
        before = stored_rows()
        load(both)
        assert stored_rows() == before

    def test_a_longer_file_adds_and_ends_as_if_it_had_come_at_once(self, load, folder):
        lines = RICH.splitlines(keepends=True)
        for end in (5, 8, 13, len(lines)):
            load("".join(lines[:end]), first_week="2025-11-03")
        assert screenings() == screened(folder / "ratings.csv")

    def test_a_longer_file_on_the_same_day_leads_to_no_day_to_come(self, load, folder):
        for end in (2, 3, 5, 8):
            load(pomps(*V_SHAPE[:end]))
        assert screenings() == screened(folder / "ratings.csv")
        assert sessions_of("A")[-1].starts_at < timezone.now()

    def test_a_break_that_leads_past_today_is_refused(self, load, refusal):
        header = "client,session,pomp,gap_days"
        load(csv(header, "A,1,80,"))
        message = refusal(csv(header, "A,1,80,", "A,2,80,", "A,3,80,50"))
        assert "column session: expected a session held by now" in message

    def test_a_shorter_file_takes_nothing_away(self, load):
        load(pomps(*V_SHAPE))
        before = stored_rows()
        load(pomps(*V_SHAPE[:3]))
        assert stored_rows() == before

    def test_the_next_weeks_follow_the_dates_made_up_before(self, load):
        load(pomps(80, 80))
        last = sessions_of("A")[-1].starts_at
        with time_machine.travel(timezone.now() + timedelta(weeks=10)):
            load(pomps(80, 80, 80))
        assert sessions_of("A")[-1].starts_at == last + timedelta(weeks=1)

    @pytest.mark.parametrize(
        ("place", "value", "message"),
        [
            (
                "3:b2",
                "3",
                "line 3, column b2: expected b2 of 3 to be 4 as imported before, found '",
            ),
            ("3:b2", "", "line 3, column b2"),
            ("2:therapist", "T9", "line 2, column therapist: expected therapist of 2 to be T1"),
            ("4:asked", "0", "line 4, column asked"),
            ("5:attended", "1", "line 5, column attended"),
            ("6:attended", "0", "line 6, column attended"),
            ("6:tension", "2", "line 6, column tension"),
            ("6:resolved", "3", "line 6, column resolved"),
            ("7:therapist_tension", "", "line 7, column therapist_tension"),
            ("7:therapist_resolved", "4", "line 7, column therapist_resolved"),
            ("7:no_shows", "1", "line 7, column no_shows"),
            ("9:gap_days", "", "line 9, column gap_days: expected days that agree with the dates"),
        ],
    )
    def test_a_row_that_contradicts_what_is_stored_is_refused(
        self, load, refusal, place, value, message
    ):
        load(RICH)
        rows = [line.split(",") for line in RICH.splitlines()]
        line, _, column = place.partition(":")
        rows[int(line) - 1][rows[0].index(column)] = value
        if column == "therapist":  # the others named T1 would be a change of therapist
            rows[2:9] = [[*row[:1], value, *row[2:]] for row in rows[2:9]]
        assert refusal("\n".join(map(",".join, rows)) + "\n").startswith(message)

    def test_a_row_that_went_missing_is_refused_where_it_should_be(self, load, refusal):
        load(pomps(80, 70, 80))
        message = refusal("client,session,pomp\nA,1,80\nA,3,80\n")
        expected = "line 3, column session: expected pomp of 2 to be 70.0 as imported before"
        assert message.startswith(expected)

    @pytest.mark.parametrize("rows", [["A,4,80", "A,5,80"], ["A,1,80", "A,2,80"]])
    def test_new_rows_follow_the_ones_imported_before(self, load, refusal, rows):
        load(csv("client,session,pomp", "A,2,80", "A,3,80"))
        assert refusal(csv("client,session,pomp", *rows)).startswith("line 2, column session")

    def test_another_questionnaire_is_refused(self, load, refusal):
        load(pomps(80))
        message = refusal(pomps(80), questionnaire="rapport-alliance-form")
        assert message.startswith("line 2, column client: expected ratings by four-items version 1")


class TestWhoseDay:
    """Of a client whom somebody else treated since, as `Treatment.day_is_anothers` says."""

    HEADER = "client,held_at,pomp,therapist"

    @pytest.fixture
    def days(self, load, alice, charlie, mona):
        """Alice's until 40 days ago, charlie's until 10 days ago, and alice's again."""
        today = timezone.localdate()

        def row(ago, name=alice.name):
            return f"A,{today - timedelta(days=ago)}T10:00,80,{name}"

        load(csv(self.HEADER, row(60)))
        for member, ago in ((charlie, 40), (alice, 10)):
            current = Treatment.objects.get(client__code="A", ends_on=None)
            pass_on(current, to=member, on=today - timedelta(days=ago), by=mona)
        return row

    @pytest.mark.parametrize("comes_back", [True, False])
    @pytest.mark.parametrize("ago", [40, 25, 11])
    def test_a_day_of_a_colleagues_is_refused_whether_or_not_the_client_came_back(
        self, refusal, charlie, days, ago, comes_back
    ):
        if not comes_back:
            Treatment.objects.filter(ends_on=None).delete()
            Treatment.objects.filter(therapist=charlie).update(ends_on=None)
        message = refusal(csv(self.HEADER, days(60), days(50), days(ago)))
        expected = "line 4, column held_at: expected a day on which Alice Moreau treated the client"
        assert message.startswith(expected)
        assert "name them in the column therapist, or take the row out" in message

    def test_each_session_goes_to_who_treated_the_client_on_its_day(
        self, load, alice, charlie, days
    ):
        theirs = [days(ago, charlie.name) for ago in (40, 11)]
        load(csv(self.HEADER, days(60), days(41), *theirs, days(10), days(3)))
        by_treatment = Treatment.objects.order_by("starts_on")
        assert [(each.therapist, each.therapy_sessions.count()) for each in by_treatment] == [
            (alice, 2), (charlie, 2), (alice, 2),
        ]  # fmt: skip

    def test_a_colleagues_row_of_a_day_that_is_alices_again_is_refused(
        self, refusal, charlie, days
    ):
        message = refusal(csv(self.HEADER, days(60), days(5, charlie.name)))
        expected = "line 3, column held_at: expected a day on which Charlie Nowak treated"
        assert message.startswith(expected)


class TestWhatStandsHere:
    """A session of the diary at the time of a row: which of the two it is, nobody guesses."""

    @pytest.mark.parametrize("logged", [False, True])
    @pytest.mark.parametrize(
        ("row", "place"),
        [("A,2026-09-28T12:00,70,", "line 3, column held_at"),
         ("A,2026-09-28,70,", "line 3, column held_at"),
         ("A,2026-10-05T12:00,70,1", "line 3, column held_at")],
    )  # fmt: skip
    def test_is_refused_with_its_place_and_what_to_do(self, load, refusal, row, place, logged):
        header, known = "client,held_at,pomp,no_shows", "A,2026-09-21T12:00,80,"
        load(csv(header, known))
        at = datetime(2026, 9, 28, 12, tzinfo=ZoneInfo("Europe/London"))
        about = {} if logged else {"attendance": ""}
        stands = TherapySessionFactory.create(
            treatment=Treatment.objects.get(), starts_at=at, **about
        )
        message = refusal(csv(header, known, row))
        assert message.startswith(place)
        assert "no session here with this client at that time, 2026-09-28 12:00" in message
        assert "cancel or move the one that stands there, or take the row out" in message
        stands.delete()
        load(csv(header, known, row))

    def test_what_a_missing_number_tells_of_has_the_line_of_the_row_after_it(self, load, refusal):
        load(pomps(80), first_week="2026-09-07")
        known = TherapySession.objects.get()
        at = known.starts_at + timedelta(weeks=1)
        TherapySessionFactory.create(treatment=known.treatment, starts_at=at, attendance="")
        message = refusal(csv("client,session,pomp", "A,1,80", "A,3,80"))
        assert message.startswith("line 3, column session: expected no session here")
        assert message.partition("found ")[2].startswith("'2'")
        assert "take the row out" not in message

    def test_minutes_apart_there_are_two_sessions_as_by_hand(self, load):
        header, known = "client,held_at,pomp", "A,2026-09-21T12:00,80"
        load(csv(header, known))
        at = datetime(2026, 9, 28, 12, 5, tzinfo=ZoneInfo("Europe/London"))
        TherapySessionFactory.create(treatment=Treatment.objects.get(), starts_at=at)
        load(csv(header, known, "A,2026-09-28T12:00,70"))
        assert TherapySession.objects.count() == 3
