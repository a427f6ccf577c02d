"""Calling off an arranged move before its day: the treatment goes on."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from apps.accounts import notices
from apps.accounts.models import Membership, Practice
from apps.clients.models import Client, Treatment
from apps.core.models import AuditEntry
from apps.endings.models import Move
from apps.endings.services import ChangedMeanwhile, call_off_move, hand_over
from apps.therapy_sessions.services import save_process_note
from tests.accounts.conftest import proven, shown
from tests.at_once import opened_at_each_query
from tests.endings.test_move import FITS, address, consent, handover, walk
from tests.factories import MembershipFactory, TherapySessionFactory, TreatmentFactory

__all__ = ["proven"]

pytestmark = pytest.mark.django_db
WHY = "The evening group has a place for her now."


@pytest.fixture
def treatment(alice: Membership) -> Treatment:
    return TreatmentFactory.create(therapist=alice, client__code="FE-0007", falling=True)


@pytest.fixture
def move(treatment: Treatment, charlie: Membership, as_alice: Browser) -> Move:
    """Arranged: the client comes to charlie in a week."""
    walk(as_alice, treatment, FITS, consent("needs", "tried"), handover(charlie, days=7))
    return Move.objects.get()


def call_off(browser: Browser, move: Move, **changes: Any) -> Any:
    sent = {"step": "arranged", "reason": WHY, "version": move.version}
    return browser.post(address(move.treatment), sent | changes)


def called_off(move: Move) -> str:
    """What a therapist is told, from 'The move' on, of a move from alice."""
    assert move.moves_on
    return f"to {{}} on {date_format(move.moves_on, 'j M')} was called off."


def test_the_treatment_goes_on_and_the_other_one_never_begins(
    move: Move,
    charlie: Membership,
    as_alice: Browser,
    sign_in: Callable[[Membership], Browser],
) -> None:
    treatment = move.treatment
    client_page = reverse("client", args=[treatment.client_id])
    assert call_off(as_alice, move)["Location"] == client_page
    assert not Treatment.objects.filter(therapist=charlie).exists()
    episode = treatment.episodes.get()
    assert (episode.outcome, episode.outcome_reason) == ("", ""), "the work on it goes on"
    page = shown(as_alice.get(address(treatment)))
    for words in (WHY, FITS["tried"], "to Charlie Nowak on", "What was tried, "):
        assert words in page, "it stays as history"
    entry = AuditEntry.objects.get(action="call off move")
    assert (entry.actor_id, entry.client_ids) == (treatment.therapist_id, [treatment.client_id])
    with time_machine.travel(timezone.now() + timedelta(days=8)):
        assert treatment in Treatment.objects.conducted_by(treatment.therapist)
        for page_of in ("client", "passed_on"):
            page = sign_in(charlie).get(reverse(page_of, args=[treatment.client_id]))
            assert page.status_code == 404


def test_the_other_therapist_is_told_without_the_reason(
    move: Move, charlie: Membership, as_alice: Browser, as_charlie: Browser
) -> None:
    call_off(as_alice, move)
    [told] = notices.unread(charlie)
    assert told.said.text == "The move of a client from Alice Moreau " + called_off(move).format(
        "you"
    )
    page = shown(as_charlie.get(reverse("caseload")))
    assert told.said.text in page
    assert WHY not in page


def test_a_session_with_a_note_stays_and_new_ones_can_be_planned(
    treatment: Treatment, alice: Membership, charlie: Membership, as_alice: Browser
) -> None:
    noted, plain = (
        TherapySessionFactory.create(
            treatment=treatment, attendance="", starts_at=timezone.now() + timedelta(days=days)
        )
        for days in (9, 16)
    )
    save_process_note(therapy_session=noted, text="Ask about the exam", by=alice)
    walk(as_alice, treatment, FITS, consent(), handover(charlie, days=7))
    call_off(as_alice, Move.objects.get())
    assert list(treatment.therapy_sessions.planned()) == [noted]
    first_on = timezone.localdate(plain.starts_at)
    sent = {"first_on": first_on.isoformat(), "start": "10:00", "minutes": "50"}
    plan = reverse("plan_sessions", args=[treatment.client_id])
    assert as_alice.post(plan, sent | {"every_weeks": "1", "count": "1"}).status_code == 302
    assert treatment.therapy_sessions.planned().count() == 2


def test_another_move_may_follow_with_the_same_words_and_new_consent(
    move: Move, charlie: Membership, as_alice: Browser
) -> None:
    call_off(as_alice, move)
    page = shown(as_alice.get(address(move.treatment)))
    assert FITS["needs"] in page
    fits = as_alice.post(address(move.treatment), FITS)
    assert fits.status_code == 302
    again = Move.objects.standing().get()
    assert again.agreed_on is None
    for form in (consent("ratings"), handover(charlie, days=3)):
        again.refresh_from_db()
        sent = form | {"version": again.version}
        assert as_alice.post(address(move.treatment), sent).status_code == 302
    assert charlie.treatments.get().follows == move.treatment
    move.refresh_from_db()
    assert move.passes_on == ["needs", "tried"]
    assert move.called_off_reason == WHY


def test_a_reason_is_asked_for_and_what_is_typed_too_late_is_given_back(
    move: Move, alice: Membership, as_alice: Browser
) -> None:
    assert "Say in a few words why." in shown(call_off(as_alice, move, reason=" "))
    stale = call_off(as_alice, move, version="2026-01-01T00:00:00+00:00")
    assert (stale.status_code, WHY in shown(stale)) == (409, True)
    move.refresh_from_db()
    assert move.called_off_at is None
    call_off(as_alice, move)
    twice = call_off(as_alice, move, reason="Another reason altogether.")
    assert twice.status_code == 409
    assert "Another reason altogether." in shown(twice)
    with pytest.raises(ChangedMeanwhile):
        call_off_move(move=move, reason=WHY, version=move.version, by=alice)
    assert AuditEntry.objects.filter(action="call off move").count() == 1


def test_where_the_client_was_handed_on_meanwhile_the_treatment_goes_on_until_the_day_of_that(
    move: Move, mona: Membership, charlie: Membership, as_alice: Browser
) -> None:
    """Nothing is passed on to who would have had the client between the two."""
    Practice.objects.update(created_at=timezone.now() - timedelta(days=900))
    mona.practice.refresh_from_db()
    joins = timezone.now() + timedelta(days=1)  # access begins a day after that of the move
    newt = MembershipFactory.create(practice=mona.practice, name="Newt", joined_at=joins)
    on = hand_over(list(charlie.treatments.all()), to=newt, by=mona)
    assert call_off(as_alice, move).status_code == 302
    move.treatment.refresh_from_db()
    assert (move.treatment.ends_on, move.treatment.followed_by.get()) == (on, newt.treatments.get())
    with time_machine.travel(timezone.localtime().replace(hour=12) + timedelta(days=7)):
        assert not Move.objects.passed_on_to(charlie).exists()
        assert Client.objects.visible_to(move.treatment.therapist).exists()


def test_nobody_else_calls_it_off_and_nobody_does_from_the_day_on(
    move: Move,
    as_charlie: Browser,
    as_sam: Browser,
    as_dora: Browser,
    sign_in: Callable[[Membership], Browser],
) -> None:
    for browser, status in ((as_charlie, 404), (as_dora, 404), (as_sam, 403)):
        assert call_off(browser, move).status_code == status
    with time_machine.travel(timezone.now() + timedelta(days=7)):
        late = call_off(sign_in(move.treatment.therapist), move)
    assert (late.status_code, WHY in shown(late)) == (404, True)
    move.refresh_from_db()
    assert move.called_off_at is None


def test_who_hands_a_caseload_over_meanwhile_sees_where_it_led_or_that_it_stays(
    move: Move, alice: Membership, mona: Membership, proven: Callable[[Membership], Browser]
) -> None:
    def stay() -> None:
        call_off_move(move=Move.objects.get(), reason=WHY, version=move.version, by=alice)

    page = reverse("hand_over", args=[alice.id])
    assert opened_at_each_query(proven(mona), page, stay) == {200}
