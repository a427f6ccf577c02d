"""Asking in the room: a code for the client's phone, the therapist's device, or paper."""

import re
from datetime import timedelta
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import pytest
import time_machine
from django.db import OperationalError
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone
from redis import RedisError

from apps.accounts.models import Membership
from apps.alliance.models import AllianceRating
from apps.clients.models import Client, Treatment
from apps.core.models import OutboxMessage
from apps.feedback import client_pages
from apps.feedback.client_pages import NOT_KEPT, TWICE_S
from apps.feedback.lifecycle import expire_requests
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import ask_in_room, practice_questionnaire
from apps.feedback.tokens import ROOM, make_token
from apps.ruptures.models import Screening
from apps.therapy_sessions.models import TherapySession
from tests.factories import TherapySessionFactory, TreatmentFactory
from tests.feedback.conftest import answers
from tests.feedback.test_client_form import shown

Mode = AllianceRating.Mode


@pytest.fixture
def held(treatment: Treatment) -> TherapySession:
    return TherapySessionFactory.create(treatment=treatment)


def url(held: TherapySession, page: str = "room") -> str:
    return f"/sessions/{held.id}/{page}/"


def code_of(held: TherapySession) -> str:
    asked = held.feedback_requests.get()
    return f"/f/{make_token(asked.id, generation=asked.generation, way=ROOM)}/"


def test_in_the_room_leads_from_logging_to_a_code_and_sends_nothing(
    as_alice: Browser, treatment: Treatment
) -> None:
    start = timezone.localtime() - timedelta(hours=1)
    response = as_alice.post(
        "/sessions/log/",
        {
            "treatment": treatment.id, "held_on": start.date(), "start": f"{start:%H:%M}",
            "minutes": "50", "attendance": "attended", "ask_by": "room",
        },
    )  # fmt: skip
    held = TherapySession.objects.get()
    assert response["Location"] == url(held)
    page = as_alice.get(url(held))
    assert "Lock and hand over" in shown(page)
    assert 'class="rp-qr"' in page.content.decode()
    assert 'fill="#fff"' in page.content.decode()
    assert "style=" not in page.content.decode()
    assert not OutboxMessage.objects.exists()


def test_an_answer_by_the_code_is_marked_and_the_code_lives_15_minutes(
    as_alice: Browser, phone: Browser, held: TherapySession
) -> None:
    as_alice.post(url(held))
    with time_machine.travel(timezone.now() + timedelta(minutes=14), tick=False):
        assert phone.post(code_of(held), answers()).status_code == 302
    assert AllianceRating.objects.get().mode == Mode.ROOM
    assert "Answered in the room" in shown(as_alice.get(f"/clients/{held.treatment.client_id}/"))


def framed(page: Any, comment: str) -> dict[str, Any]:
    """The form on that page, with a comment."""
    found = re.search(r'name="frame"\s+value="([^"]+)"', page.content.decode())
    assert found
    return answers(comment=comment) | {"frame": found[1]}


@pytest.mark.parametrize(("is_sent", "minutes", "status"), [
    (True, 0, 429), (True, 1, 200), (True, 80, 404), (True, 24 * 60, 404), (False, 1, NOT_KEPT),
    (False, 20, 200),
])  # fmt: skip
def test_what_the_client_took_back_is_not_shown_to_who_loads_their_page_anew(
    as_alice: Browser,
    phone: Browser,
    held: TherapySession,
    is_sent: bool,
    minutes: int,
    status: int,
) -> None:
    """A browser sends it once more: on the therapist's device, after the client has gone."""
    as_alice.post(url(held))
    code = code_of(held)
    earlier = framed(phone.get(code), "I do not trust him. " * 300)
    refused = phone.post(code, earlier)
    assert "I do not trust him" in shown(refused)
    if is_sent:
        assert phone.post(code, framed(refused, "Fine.")).status_code == 302
    later = timezone.now() + timedelta(seconds=TWICE_S + 1)
    with time_machine.travel(later + timedelta(minutes=minutes), tick=False):
        pages = [phone.post(code, earlier) for _ in range(40 if minutes == 0 else 1)]
    assert pages[-1].status_code == status
    assert not any("I do not trust him" in page.content.decode() for page in pages)


@pytest.mark.parametrize("away", [OperationalError, RuntimeError])
def test_a_form_of_the_room_that_could_not_be_saved_is_given_back_once_to_be_sent_again(
    as_alice: Browser,
    phone: Browser,
    held: TherapySession,
    monkeypatch: pytest.MonkeyPatch,
    away: type[Exception],
) -> None:
    as_alice.post(url(held))
    code = code_of(held)
    sent = framed(phone.get(code), "It was hard.")
    phone.raise_request_exception = False
    with monkeypatch.context() as patched, time_machine.travel(timezone.now(), tick=False) as clock:
        patched.setattr("apps.feedback.client_views.submit_response", Mock(side_effect=away))
        first, double = phone.post(code, sent), phone.post(code, sent)
        clock.shift(TWICE_S + 1)
        again = phone.post(code, sent)
        assert "It was hard." in shown(first)
        assert "It was hard." in shown(double)
        assert "It was hard." not in again.content.decode()
        assert 'name="item_' not in again.content.decode()
        once_more = framed(first, "It was hard.")
        assert "It was hard." in shown(phone.post(code, once_more))
    assert phone.post(code, framed(first, "It was hard.")).status_code == 302


def test_while_redis_is_away_what_is_sent_is_given_back(
    as_alice: Browser, phone: Browser, held: TherapySession, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_alice.post(url(held))
    code = code_of(held)
    sent = framed(phone.get(code), "I do not trust him. " * 300)
    away = Mock(get_or_set=Mock(side_effect=RedisError))
    monkeypatch.setattr(client_pages, "cache", away)
    page = phone.post(code, sent)
    assert (page.status_code, "I do not trust him" in shown(page)) == (NOT_KEPT, True)


def test_after_15_minutes_the_code_takes_nothing_and_silence_to_it_is_no_silence(
    as_alice: Browser, phone: Browser, held: TherapySession
) -> None:
    as_alice.post(url(held))
    with time_machine.travel(timezone.now() + timedelta(minutes=15, seconds=1), tick=False):
        page = phone.post(code_of(held), answers(comment="Too late."))
        assert "The code works for 15 minutes." in shown(page)
        assert "Too late." in shown(page)
        expire_requests()
    assert not AllianceRating.objects.exists()
    held.refresh_from_db()
    assert not held.asked


def test_a_code_takes_no_answer_that_would_not_count(
    as_alice: Browser, phone: Browser, alice: Membership
) -> None:
    """While the client answers, the next session is planned in a second window, to begin soon."""
    treatment = TreatmentFactory.create(therapist=alice, pomps=[90, 90, 80, 90, 90, 90, 80, 90])
    held = TherapySessionFactory.create(treatment=treatment)
    as_alice.post(url(held))
    start = timezone.localtime() + timedelta(minutes=3)
    plan = {"first_on": start.date(), "start": f"{start:%H:%M}", "minutes": "50"}
    as_alice.post(f"/clients/{treatment.client_id}/plan/", plan | {"every_weeks": 0, "count": 1})
    assert f"Open until <b>{start:%H:%M}</b>" in as_alice.get(url(held)).content.decode()
    with time_machine.travel(start.replace(second=5), tick=False):
        page = phone.post(code_of(held), dict.fromkeys(answers(), "1"))
        assert "This link has ended" in shown(page)
    assert not AllianceRating.objects.filter(therapy_session=held).exists()
    held.refresh_from_db()
    assert not held.asked


def test_a_form_that_waits_by_message_may_be_answered_in_the_room_and_then_sends_nothing(
    as_alice: Browser, phone: Browser, asked: FeedbackRequest
) -> None:
    held = asked.therapy_session
    as_alice.post(url(held))
    assert phone.post(code_of(held), answers()).status_code == 302
    assert {each.state for each in OutboxMessage.objects.all()} == {"cancelled"}


def test_a_code_does_not_open_the_form_once_it_ended_though_the_message_still_does(
    as_alice: Browser, phone: Browser, asked: FeedbackRequest, link: str
) -> None:
    as_alice.post(url(asked.therapy_session))
    with time_machine.travel(timezone.now() + timedelta(minutes=16), tick=False):
        assert "This link has ended" in shown(phone.get(code_of(asked.therapy_session)))
        assert "How was this session" in shown(phone.get(link))


def test_a_code_that_somebody_kept_says_no_more_than_a_made_up_one(
    as_alice: Browser, phone: Browser, held: TherapySession
) -> None:
    """Else whoever treated a client before reads by it what becomes of them."""
    as_alice.post(url(held))
    code = code_of(held)
    assert phone.post(code, answers()).status_code == 302
    with time_machine.travel(timezone.now() + timedelta(minutes=74), tick=False) as clock:
        assert phone.get(code).status_code == 200
        clock.shift(timedelta(minutes=1))
        kept, made_up = phone.get(code), phone.get(reverse("feedback_form", args=["A" * 44]))
        assert (kept.status_code, kept.content) == (404, made_up.content)


def test_handing_the_device_over_signs_the_therapist_out_first(
    as_alice: Browser, held: TherapySession
) -> None:
    as_alice.post(url(held))
    response = as_alice.post(url(held, "hand-over"))
    assert response["Location"] == code_of(held)
    assert response["Clear-Site-Data"] == '"cache", "storage"'
    for page in ("/caseload/", url(held), f"/clients/{held.treatment.client_id}/"):
        assert "/sign-in/?next=" in as_alice.get(page)["Location"]
    assert as_alice.post(code_of(held), answers()).status_code == 302
    assert AllianceRating.objects.get().mode == Mode.ROOM


def test_a_message_may_go_out_instead_and_the_code_ends_with_it(
    as_alice: Browser, phone: Browser, held: TherapySession
) -> None:
    as_alice.post(url(held))
    before = code_of(held)
    as_alice.post(url(held, "send"))
    assert held.feedback_requests.get().channel_kind == "email"
    assert OutboxMessage.objects.filter(kind="feedback_request", state="pending").exists()
    assert phone.get(before).status_code == 404


@pytest.mark.parametrize("way", ["room", "paper"])
def test_who_has_answered_is_asked_no_second_time(
    as_alice: Browser, phone: Browser, held: TherapySession, way: str
) -> None:
    if way == "paper":
        as_alice.post(url(held, "paper"), paper(held))
    else:
        as_alice.post(url(held))
        phone.post(code_of(held), answers())
    for page in ("send", "room"):
        said = shown(as_alice.post(url(held, page), follow=True))
        assert "The client has answered about this session already." in said, page
    assert not held.feedback_requests.exclude(state="answered").exists()
    assert not OutboxMessage.objects.exists()


def test_only_in_the_room_is_an_agreement_to_no_message(
    as_alice: Browser, held: TherapySession
) -> None:
    Client.objects.update(consent=Client.Consent.IN_ROOM)
    as_alice.post(url(held))
    page = as_alice.post(url(held, "send"), follow=True)
    assert "agreed to be asked in the room only" in shown(page)
    assert not OutboxMessage.objects.exists()


def test_who_declined_after_the_form_went_out_is_not_asked_in_the_room_either(
    as_alice: Browser, asked: FeedbackRequest
) -> None:
    Client.objects.update(consent=Client.Consent.DECLINED)
    page = as_alice.post(url(asked.therapy_session), follow=True)
    assert "has not agreed to be asked" in shown(page)
    asked.refresh_from_db()
    assert asked.room_until is None


@pytest.mark.parametrize("page", ["room", "paper"])
def test_another_therapists_session_is_a_404_as_if_it_were_not_there(
    as_charlie: Browser, held: TherapySession, page: str
) -> None:
    assert as_charlie.get(url(held, page)).status_code == 404


def paper(held: TherapySession, **changes: object) -> dict[str, object]:
    day = timezone.localdate(held.starts_at).isoformat()
    return answers(filled_in_on=day) | changes


def test_answers_from_paper_are_marked_screened_and_settle_what_was_out(
    as_alice: Browser, alice: Membership, asked: FeedbackRequest
) -> None:
    held = asked.therapy_session
    response = as_alice.post(url(held, "paper"), paper(held, comment="On paper."))
    assert response.status_code == 302
    rating = AllianceRating.objects.get()
    assert (rating.mode, rating.pomp, rating.comment) == (Mode.PAPER, 70, "On paper.")
    asked.refresh_from_db()
    assert asked.state == FeedbackRequest.State.ANSWERED
    assert Screening.objects.current().get().pomp == 70
    assert "Entered from paper" in shown(as_alice.get(response["Location"]))


def test_paper_without_a_request_counts_as_asked(as_alice: Browser, held: TherapySession) -> None:
    as_alice.post(url(held, "paper"), paper(held))
    held.refresh_from_db()
    assert held.asked
    assert not AllianceRating.objects.get().is_late


def test_paper_does_not_overwrite_answers(
    as_alice: Browser, phone: Browser, asked: FeedbackRequest, link: str
) -> None:
    phone.post(link, answers())
    held = asked.therapy_session
    typed = paper(held, item_heard="0", comment="As she said it on paper.")
    page = as_alice.post(url(held, "paper"), typed)
    assert "has its answers already" in shown(page)
    assert "As she said it on paper." in shown(page), "given back"
    assert AllianceRating.objects.get().mode == Mode.LINK


def test_a_newer_questionnaire_rates_no_session_again(
    as_alice: Browser, asked: FeedbackRequest, link: str
) -> None:
    session, questionnaire = asked.therapy_session, asked.questionnaire
    newer = practice_questionnaire(session.practice)
    newer.pk, newer.version = uuid4(), newer.version + 1
    newer._state.adding = True
    newer.save()
    assert practice_questionnaire(session.practice) == newer
    page = url(session, "paper")
    assert as_alice.get(page).context["asked"] == questionnaire
    assert Browser().post(link, answers()).status_code == 302
    assert "This session has its answers already" in shown(as_alice.post(page, paper(session)))
    assert session.ratings.get().questionnaire == questionnaire


def test_the_day_alone_is_no_answer_from_paper(as_alice: Browser, held: TherapySession) -> None:
    page = as_alice.post(url(held, "paper"), {"filled_in_on": paper(held)["filled_in_on"]})
    assert "Nothing is entered yet. Enter what the client wrote" in shown(page)
    assert not AllianceRating.objects.exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"filled_in_on": "2020-01-01"}, "Enter a day between the session and today."),
        ({"item_heard": "11"}, "This answer did not arrive as one of the choices."),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_stored(
    as_alice: Browser, held: TherapySession, changes: dict[str, object], sentence: str
) -> None:
    page = as_alice.post(url(held, "paper"), paper(held, comment="Keep me.", **changes))
    assert sentence in shown(page)
    assert "Keep me." in shown(page)
    assert not AllianceRating.objects.exists()


def test_a_code_of_the_room_ends_with_the_treatment(
    treatment: Treatment, alice: Membership
) -> None:
    """Ten minutes before midnight, on the eve of a hand-over: nobody would read it afterwards."""
    evening = timezone.localtime().replace(hour=23, minute=50, second=0, microsecond=0)
    with time_machine.travel(evening, tick=False) as clock:
        Client.objects.update(discussed_on=evening.date())
        held = TherapySessionFactory.create(
            treatment=treatment, starts_at=evening - timedelta(hours=2)
        )
        treatment.ends_on = evening.date() + timedelta(days=1)
        treatment.save()
        ask_in_room(
            therapy_session=held, questionnaire=practice_questionnaire(alice.practice), by=alice
        )
        assert held.feedback_requests.get().room_until == evening + timedelta(minutes=10)
        code, phone = code_of(held), Browser()
        assert "Send" in shown(phone.get(code))
        clock.shift(timedelta(minutes=13))
        phone.post(code, answers())
        asked = held.feedback_requests.get()
        FeedbackRequest.objects.update(room_until=evening + timedelta(hours=1))
        assert not asked.is_open(at=timezone.now(), in_room=True), "also one of before"
        assert not AllianceRating.objects.filter(therapy_session=held).exists()
