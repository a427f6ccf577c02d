"""Logging a session and asking for feedback, from the page's point of view."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership
from apps.clients.models import Client, Treatment
from apps.core.models import AuditEntry, OutboxMessage
from apps.feedback import views
from apps.feedback.asking import why_not_ask
from apps.feedback.models import KIND, FeedbackRequest
from apps.ruptures.models import Screening
from apps.therapy_sessions.models import TherapySession
from apps.therapy_sessions.services import AlreadyLogged
from tests.factories import TherapySessionFactory, TreatmentFactory
from tests.feedback.test_client_form import shown

# Thursday, half past noon in London: sessions of the morning are over, the day is not.
NOON = "2026-11-19T12:30:00+00:00"
URL = "/sessions/log/"


@pytest.fixture(autouse=True)
def _at_noon() -> Any:
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.fixture
def planned(treatment: Treatment) -> TherapySession:
    """Today at half past eleven."""
    return TherapySessionFactory.create(
        treatment=treatment, starts_at=timezone.now() - timedelta(hours=1), attendance=""
    )


def form_data(treatment: Treatment, /, **changes: object) -> dict[str, object]:
    return {
        "treatment": str(treatment.id),
        "held_on": "2026-11-19",
        "start": "11:30",
        "minutes": "50",
        "attendance": "attended",
        "ask_by": "email",
    } | changes


def as_it_stands(page: Any) -> dict[str, object]:
    """What a browser would send if nothing but Save were pressed."""
    form = page.context["form"]
    values = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in values.items() if value not in (None, "")}


def test_a_session_is_logged_and_asked_about_with_two_clicks_from_the_caseload(
    as_alice: Browser, alice: Membership, treatment: Treatment, planned: TherapySession
) -> None:
    page = as_alice.get(URL)
    assert "Sent 2 h after the end, at 14:20." in shown(page)
    response = as_alice.post(URL, as_it_stands(page))
    assert response["Location"] == reverse("client", args=[treatment.client_id])
    session = TherapySession.objects.get()
    assert session == planned
    assert (session.attendance, session.duration_min) == ("attended", 50)
    assert (session.own_bond, session.tension, session.tension_resolved) == (None, None, None)
    request = FeedbackRequest.objects.get()
    assert request.due_at.isoformat() == "2026-11-19T14:20:00+00:00"
    assert OutboxMessage.objects.get(kind=KIND).not_before == request.due_at
    assert Screening.objects.current().count() == 1
    actions = AuditEntry.objects.filter(actor_id=alice.id).values_list("action", flat=True)
    assert sorted(actions) == [
        "log therapy session",
        "request feedback",
        "view page to log a session",
    ]
    assert "The form goes out on Thu 19 Nov, 14:20." in shown(as_alice.get(response["Location"]))


def test_own_view_and_tension_are_kept(as_alice: Browser, treatment: Treatment) -> None:
    as_alice.post(
        URL,
        form_data(treatment, own_bond="8", own_tasks="0", tension="3", tension_resolved="2"),
    )
    session = TherapySession.objects.get()
    assert (session.own_bond, session.own_goals, session.own_tasks) == (8, None, 0)
    assert (session.tension, session.tension_resolved) == (3, 2)


def test_sorted_out_without_tension_is_dropped(as_alice: Browser, treatment: Treatment) -> None:
    as_alice.post(URL, form_data(treatment, tension="0", tension_resolved="2"))
    assert TherapySession.objects.get().tension_resolved is None


@pytest.mark.parametrize("attendance", ["late_cancellation", "no_show", "therapist_cancelled"])
def test_where_nobody_came_nothing_is_asked_and_no_view_is_kept(
    as_alice: Browser, treatment: Treatment, attendance: str
) -> None:
    as_alice.post(URL, form_data(treatment, attendance=attendance, own_bond="8", tension="4"))
    session = TherapySession.objects.get()
    assert (session.attendance, session.own_bond, session.tension) == (attendance, None, None)
    assert session.not_asked_reason == ""
    assert not FeedbackRequest.objects.exists()


def test_not_this_time_needs_a_reason_and_other_needs_words(
    as_alice: Browser, treatment: Treatment
) -> None:
    page = as_alice.post(URL, form_data(treatment, ask_by="none", own_bond="4"))
    assert "Choose why you do not ask this time." in shown(page)
    assert re.search(r'name="own_bond" value="4"[^>]* checked', page.content.decode())
    page = as_alice.post(URL, form_data(treatment, ask_by="none", not_asked_reason="other"))
    assert "Say the reason in a few words." in shown(page)
    assert not TherapySession.objects.exists()
    as_alice.post(
        URL,
        form_data(treatment, ask_by="none", not_asked_reason="other", not_asked_note="Ill."),
    )
    session = TherapySession.objects.get()
    assert (session.not_asked_reason, session.not_asked_note) == ("other", "Ill.")
    assert not FeedbackRequest.objects.exists()


def test_a_reason_is_not_kept_where_the_client_is_asked(
    as_alice: Browser, treatment: Treatment
) -> None:
    as_alice.post(URL, form_data(treatment, not_asked_reason="crisis", not_asked_note="x"))
    session = TherapySession.objects.get()
    assert (session.not_asked_reason, session.not_asked_note) == ("", "")


def take_consent_back(client: Client) -> None:
    client.consent = Client.Consent.DECLINED


def never_discussed(client: Client) -> None:
    client.consent, client.discussed_on = "", None


def make_unsafe(client: Client) -> None:
    client.channels.update(safe_to_contact=False)


def forget_contact(client: Client) -> None:
    client.practice.contact_name = ""
    client.practice.save()


@pytest.mark.parametrize(
    ("obstacle", "sentence", "reason"),
    [
        (take_consent_back, "The client has not agreed to be asked.", "no_consent"),
        (never_discussed, "Feedback has not been discussed with the client yet.", "no_consent"),
        (make_unsafe, "No email address is recorded as safe to contact.", "not_safe"),
        (forget_contact, "The practice has not recorded whom clients can turn to", "other"),
    ],
)
def test_what_stands_in_the_way_of_asking_is_named_and_saving_still_takes_one_click(
    as_alice: Browser, planned: TherapySession, treatment: Treatment,
    obstacle: Any, sentence: str, reason: str,
) -> None:  # fmt: skip
    obstacle(treatment.client)
    treatment.client.save()
    assert why_not_ask(treatment.client)
    page = as_alice.get(URL)
    assert sentence in shown(page)
    assert "Before you can ask" in shown(page)
    refused = as_alice.post(URL, form_data(treatment))
    assert sentence in shown(refused)
    planned.refresh_from_db()
    assert planned.attendance == ""
    assert as_alice.post(URL, as_it_stands(page)).status_code == 302
    planned.refresh_from_db()
    assert (planned.attendance, planned.not_asked_reason) == ("attended", reason)
    assert not OutboxMessage.objects.exists()


def test_a_session_whose_answers_would_no_longer_count_is_not_asked_about(
    as_alice: Browser, treatment: Treatment
) -> None:
    old = form_data(treatment, held_on="2020-02-29")
    page = as_alice.post(URL, old)
    assert "It is too late to ask about this session by message" in shown(page)
    assert not TherapySession.objects.exists()
    logged = as_alice.post(URL, old | {"ask_by": "none", "not_asked_reason": "client_asked"})
    assert logged.status_code == 302


@pytest.mark.usefixtures("quiet_hours")
def test_a_session_logged_at_night_is_asked_about_in_the_morning(
    alice: Membership,
    sign_in: Callable[[Membership], Browser],
    treatment: Treatment,
    planned: TherapySession,
) -> None:
    with time_machine.travel("2026-11-19T23:10:00+00:00", tick=False):
        as_alice = sign_in(alice)
        assert "Sent on Fri 20 Nov at 08:00, after the client’s quiet hours." in shown(
            as_alice.get(f"{URL}?session={planned.id}")
        )
        as_alice.post(URL, form_data(treatment))
    assert (
        OutboxMessage.objects.get(kind=KIND).not_before.isoformat() == "2026-11-20T08:00:00+00:00"
    )


def test_a_session_logged_the_next_day_is_asked_about_at_once(
    alice: Membership, sign_in: Any, treatment: Treatment, planned: TherapySession
) -> None:
    with time_machine.travel("2026-11-20T10:00:00+00:00", tick=False):
        as_alice = sign_in(alice)
        assert "Sent as soon as you save." in shown(as_alice.get(f"{URL}?session={planned.id}"))
        as_alice.post(URL, form_data(treatment))
        assert OutboxMessage.objects.get(kind=KIND).not_before == timezone.now()
        request = FeedbackRequest.objects.get()
        assert request.expires_at == request.due_at + timedelta(hours=96)


@pytest.mark.parametrize("attendance", ["attended", "no_show"])
def test_what_is_still_to_come_cannot_have_taken_place(
    as_alice: Browser, treatment: Treatment, attendance: str
) -> None:
    page = as_alice.post(URL, form_data(treatment, held_on="2026-11-20", attendance=attendance))
    assert "This day is still to come." in shown(page)
    assert not TherapySession.objects.exists()


@pytest.mark.parametrize("attendance", ["attended", "no_show"])
def test_a_session_of_this_afternoon_waits_until_it_has_begun(
    as_alice: Browser, treatment: Treatment, attendance: str
) -> None:
    later = form_data(treatment, start="14:00", attendance=attendance)
    page = shown(as_alice.post(URL, later))
    assert "This session has not begun yet. Correct the time, or log it afterwards." in page
    assert not TherapySession.objects.exists()
    now = form_data(treatment, start="12:30", attendance=attendance)
    assert as_alice.post(URL, now | {"not_asked_reason": ""}).status_code == 302


def test_an_absence_logged_late_counts_for_the_session_after_it(
    as_alice: Browser, treatment: Treatment
) -> None:
    as_alice.post(URL, form_data(treatment))
    missed = form_data(treatment, held_on="2026-11-17", attendance="no_show")
    as_alice.post(URL, missed | {"ask_by": ""})
    assert Screening.objects.current().get().inputs["no_shows"] == 1


def test_a_session_to_come_can_be_cancelled(as_alice: Browser, treatment: Treatment) -> None:
    sent = form_data(treatment, held_on="2026-11-20", attendance="therapist_cancelled")
    assert as_alice.post(URL, sent).status_code == 302


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("held_on", "0001-01-01", "This date is far off."),
        ("held_on", "31/31/2026", "Enter a day of the calendar."),
        ("start", "25:00", "Enter a time of day, such as 14:30."),
        ("start", "", "Enter a time of day, such as 14:30."),
        ("held_on", "", "Enter a day of the calendar."),
        ("minutes", "", "A session lasts 5 to 480 minutes."),
        ("minutes", "4", "A session lasts 5 to 480 minutes."),
        ("minutes", "9" * 30, "A session lasts 5 to 480 minutes."),
        ("attendance", "asleep", "Choose how the session went."),
        ("ask_by", "", "Choose how to ask for feedback, or not this time."),
        ("own_bond", "11", "This answer did not arrive as one of the choices."),
        ("treatment", "00000000-0000-4000-8000-000000000000", "Choose a client of your caseload."),
        ("treatment", "x", "“x” is not a valid UUID."),
        ("treatment", "", "Choose a client of your caseload."),
    ],
)
def test_what_cannot_be_right_is_asked_for_again(
    as_alice: Browser, treatment: Treatment, field: str, value: str, sentence: str
) -> None:
    page = as_alice.post(URL, form_data(treatment, **{field: value}))
    assert sentence in shown(page)
    assert not TherapySession.objects.exists()


def test_a_second_session_at_the_same_start_is_refused_and_the_first_named(
    as_alice: Browser, treatment: Treatment
) -> None:
    as_alice.post(URL, form_data(treatment))
    page = as_alice.post(URL, form_data(treatment, own_bond="2"))
    assert "The session on Thu 19 Nov 2026, 11:30 is logged already: Attended." in shown(page)
    assert re.search(r'name="own_bond" value="2"[^>]* checked', page.content.decode())
    assert TherapySession.objects.count() == FeedbackRequest.objects.count() == 1
    assert OutboxMessage.objects.filter(kind=KIND).count() == 1


def test_a_form_that_lost_the_race_says_that_the_session_is_logged(
    as_alice: Browser, treatment: Treatment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(**_: object) -> None:
        raise AlreadyLogged

    monkeypatch.setattr(views, "log_session_and_ask", lost)
    page = as_alice.post(URL, form_data(treatment))
    assert "This session was logged a moment ago" in shown(page)


@pytest.mark.parametrize("address", [URL, f"{URL}?session={{}}"])
def test_a_planned_session_is_logged_on_its_own_day_and_waits_where_another_is_typed(
    as_alice: Browser, treatment: Treatment, planned: TherapySession, address: str
) -> None:
    not_asked = {"ask_by": "none", "not_asked_reason": "client_asked"}
    sent = form_data(treatment, held_on="2026-11-18", process_note="On Wednesday.", **not_asked)
    page = as_alice.post(address.format(planned.id), sent, follow=True)
    assert "The session planned for Thu 19 Nov, 11:30 stays in the diary" in shown(page)
    before = planned.starts_at
    planned.refresh_from_db()
    assert (planned.attendance, planned.starts_at) == ("", before)
    held = TherapySession.objects.exclude(id=planned.id).get()
    assert held.starts_at.isoformat() == "2026-11-18T11:30:00+00:00"
    assert held.process_notes.get().text == "On Wednesday."
    own_day = form_data(treatment, start="11:45", **not_asked)
    page = as_alice.post(address.format(planned.id), own_day, follow=True)
    assert "stays in the diary" not in shown(page)
    planned.refresh_from_db()
    assert planned.attendance == "attended"


def test_a_session_that_has_begun_is_not_logged_with_a_start_of_later_that_day(
    as_alice: Browser, treatment: Treatment, planned: TherapySession
) -> None:
    late = form_data(treatment, start="17:00", attendance="late_cancellation")
    page = as_alice.post(f"{URL}?session={planned.id}", late)
    assert "This session began at 11:30: log it with that start." in shown(page)
    assert TherapySession.objects.get() == planned
    as_alice.post(URL, late)
    assert TherapySession.objects.planned().get() == planned, "another one of that day"
    assert TherapySession.objects.count() == 2


def test_what_is_planned_for_tonight_stays_where_another_days_session_is_logged_under_today(
    as_alice: Browser, treatment: Treatment, planned: TherapySession
) -> None:
    planned.starts_at -= timedelta(days=1)
    planned.save()
    tonight = TherapySessionFactory.create(
        treatment=treatment, starts_at=timezone.now() + timedelta(hours=5), attendance=""
    )
    as_alice.post(f"{URL}?session={planned.id}", form_data(treatment))
    assert set(TherapySession.objects.planned()) == {planned, tonight}
    assert TherapySession.objects.count() == 3


def test_nothing_is_said_to_stay_planned_that_is_logged(
    as_alice: Browser, treatment: Treatment, planned: TherapySession
) -> None:
    other = TherapySessionFactory.create(
        treatment=treatment, starts_at=planned.starts_at - timedelta(days=1), attendance="no_show"
    )
    sent = form_data(treatment, ask_by="none", not_asked_reason="client_asked")
    page = as_alice.post(f"{URL}?session={other.id}", sent, follow=True)
    planned.refresh_from_db()
    assert planned.attendance == "attended"
    assert "stays in the diary" not in shown(page)


def test_no_log_lets_a_session_that_has_begun_be_undone_and_cancelled(
    as_alice: Browser, treatment: Treatment, planned: TherapySession
) -> None:
    sent = form_data(
        treatment, held_on="2026-12-01", start="17:00", attendance="therapist_cancelled"
    )
    as_alice.post(f"{URL}?session={planned.id}", sent)
    logged = TherapySession.objects.exclude(attendance="").get()
    as_alice.post(reverse("undo_log", args=[logged.id]))
    as_alice.post(reverse("cancel_session", args=[logged.id]))
    assert TherapySession.objects.get() == planned
    before = planned.starts_at
    planned.refresh_from_db()
    assert (planned.attendance, planned.starts_at) == ("", before)


def test_what_is_planned_for_a_day_to_come_stays_where_another_day_is_logged_and_undone(
    as_alice: Browser, treatment: Treatment
) -> None:
    planned = TherapySessionFactory.create(
        treatment=treatment, starts_at=timezone.now() + timedelta(days=1), attendance=""
    )
    as_alice.post(f"{URL}?session={planned.id}", form_data(treatment))
    logged = TherapySession.objects.exclude(attendance="").get()
    as_alice.post(reverse("undo_log", args=[logged.id]))
    assert TherapySession.objects.planned().filter(starts_at=planned.starts_at).exists()


def test_a_session_logged_already_stays_as_it_is_and_loses_nothing_that_is_typed(
    as_alice: Browser, treatment: Treatment, planned: TherapySession
) -> None:
    address = f"{URL}?session={planned.id}"
    as_alice.post(address, form_data(treatment, attendance="no_show"))
    opened = as_alice.get(address)
    assert opened["Location"] == reverse("client", args=[treatment.client_id])
    said = "is logged already: No-show. It stays as it is."
    assert said in shown(as_alice.get(opened["Location"]))
    sent = as_alice.post(address, form_data(treatment, process_note="Half an hour's work."))
    assert said in shown(sent)
    assert "Half an hour’s work." in shown(sent).replace("&#x27;", "’")
    planned.refresh_from_db()
    assert planned.attendance == "no_show"


def test_the_page_starts_with_the_latest_session_that_has_ended_and_is_not_logged(
    as_alice: Browser, alice: Membership, planned: TherapySession
) -> None:
    yesterdays, under_way, _later = (
        TherapySessionFactory.create(
            treatment=TreatmentFactory.create(therapist=alice),
            starts_at=timezone.now() + timedelta(hours=hours),
            attendance="",
        )
        for hours in (-24, -1 / 60, 3)
    )
    page = as_alice.get(URL)
    strip = as_alice.get(reverse("caseload")).context["caseload"].today
    assert [each.code for each in strip if each.now] == [planned.treatment.client.code]
    assert page.context["form"]["treatment"].value() == planned.treatment_id
    assert str(page.context["form"]["start"].value()) == "11:30:00"
    assert "Next in your diary: K. M. at 12:29" in shown(page)
    as_alice.post(URL, as_it_stands(page))
    page = as_alice.get(URL)
    assert page.context["form"]["treatment"].value() == yesterdays.treatment_id
    as_alice.post(URL, as_it_stands(page))
    page = as_alice.get(URL)
    assert page.context["form"]["treatment"].value() == under_way.treatment_id
    as_alice.post(URL, as_it_stands(page))
    # What is still to come cannot be saved as attended: nobody is filled in, and the time is now.
    form = as_alice.get(URL).context["form"]
    assert form["treatment"].value() is None
    assert (str(form["held_on"].value()), str(form["start"].value())) == ("2026-11-19", "12:30:00")


def test_a_client_can_be_named_in_the_address_or_chosen_on_the_page(
    as_alice: Browser, alice: Membership, treatment: Treatment, planned: TherapySession
) -> None:
    other = TreatmentFactory.create(therapist=alice)
    page = as_alice.get(f"{URL}?client={other.client_id}")
    assert page.context["card"].client == other.client
    assert str(page.context["form"]["start"].value()) == "12:30:00"
    response = as_alice.post(URL, {"show": "1", "treatment": str(other.id), "own_bond": "3"})
    assert response["Location"] == f"{URL}?client={other.client_id}"
    assert as_alice.post(URL, {"show": "1", "treatment": "x"})["Location"] == URL


def test_only_the_own_caseload_can_be_chosen(
    as_alice: Browser, alice: Membership, charlie: Membership, treatment: Treatment
) -> None:
    foreign = TreatmentFactory.create(therapist=charlie)
    page = as_alice.get(URL)
    assert treatment.client.code in shown(page)
    assert foreign.client.code not in shown(page)
    refused = as_alice.post(URL, form_data(foreign))
    assert "Choose a client of your caseload." in shown(refused)


def test_an_empty_caseload_leads_to_adding_a_client(as_alice: Browser) -> None:
    assert "Add a client first; then their sessions can be logged." in shown(as_alice.get(URL))


def test_facts_of_the_client_stand_beside_the_form(as_alice: Browser, alice: Membership) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=[80, 80, None, 90])
    page = as_alice.get(f"{URL}?client={treatment.client_id}")
    facts = dict(page.context["card"].facts)
    assert facts["This session"] == "number 5"
    assert re.fullmatch(r"90, usually \d+–\d+", facts["Latest rating"])
    assert facts["Forms answered"] == "3 of 3 asked"
    assert facts["Next session"] == "none planned"


def test_a_session_has_the_number_that_chart_and_diary_give_it(
    as_alice: Browser, alice: Membership
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=[80])
    TherapySessionFactory.create(
        treatment=treatment,
        attendance="no_show",
        starts_at=timezone.now() - timedelta(days=3),
    )
    page = as_alice.get(f"{URL}?client={treatment.client_id}")
    assert dict(page.context["card"].facts)["This session"] == "number 3"


def test_nobody_is_counted_as_silent_before_being_asked(
    as_alice: Browser, treatment: Treatment
) -> None:
    page = as_alice.get(f"{URL}?client={treatment.client_id}")
    assert dict(page.context["card"].facts)["Forms answered"] == "none asked yet"


def test_the_number_of_queries_does_not_grow_with_the_caseload(
    as_alice: Browser, alice: Membership, planned: TherapySession,
    django_assert_max_num_queries: Any,
) -> None:  # fmt: skip
    for _ in range(6):
        TreatmentFactory.create(therapist=alice, pomps=[80, 70])
    with django_assert_max_num_queries(32):
        as_alice.get(URL)


@pytest.mark.parametrize("who", ["as_charlie", "as_dora"])
def test_strangers_cannot_tell_a_foreign_session_or_client_from_a_missing_one(
    request: pytest.FixtureRequest, who: str, treatment: Treatment, planned: TherapySession
) -> None:
    browser = request.getfixturevalue(who)
    for query in (
        f"session={planned.id}", f"client={treatment.client_id}", f"client={uuid4()}", "client=x",
    ):  # fmt: skip
        assert browser.get(f"{URL}?{query}").status_code == 404


@pytest.mark.parametrize("who", ["as_sam", "as_mona"])
def test_who_logs_no_sessions_is_told_so(request: pytest.FixtureRequest, who: str) -> None:
    browser = request.getfixturevalue(who)
    assert browser.get(URL).status_code == browser.post(URL, {}).status_code == 403


def test_a_therapist_who_supervises_sees_the_client_but_logs_nothing(
    sam: Membership, as_sam: Browser, treatment: Treatment
) -> None:
    sam.roles = ["supervisor", "therapist"]
    sam.save()
    assert as_sam.get(f"{URL}?client={treatment.client_id}").status_code == 403


def test_nobody_signed_in_is_led_to_sign_in(client: Browser) -> None:
    assert client.get(URL)["Location"].startswith("/sign-in/")


def test_other_methods_are_refused(as_alice: Browser) -> None:
    assert as_alice.put(URL).status_code == 405


def test_looking_at_a_clients_facts_is_noted_once(
    as_alice: Browser, alice: Membership, treatment: Treatment, planned: TherapySession
) -> None:
    as_alice.get(URL)
    entry = AuditEntry.objects.get(actor_id=alice.id)
    assert (entry.action, entry.client_ids) == (
        "view page to log a session",
        [treatment.client_id],
    )
