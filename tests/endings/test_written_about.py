"""Planned sessions that a therapist wrote about, where the client goes to somebody else."""

from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership, Practice
from apps.clients.models import Treatment
from apps.endings.models import Move
from apps.endings.services import call_off_move, hand_over
from apps.feedback.services import practice_questionnaire, request_feedback
from apps.therapy_sessions.models import ProcessNote, TherapySession
from apps.therapy_sessions.services import save_process_note
from tests.accounts.conftest import shown
from tests.conftest import signed_in
from tests.endings.test_move import FITS, consent, handover, walk
from tests.factories import MembershipFactory, TherapySessionFactory, TreatmentFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def treatment(alice: Membership) -> Treatment:
    return TreatmentFactory.create(therapist=alice, client__code="FE-0007")


@pytest.fixture
def written(treatment: Treatment) -> TherapySession:
    """Planned in five days; alice wrote about it."""
    return written_about(treatment, days=5)


def planned(treatment: Treatment, *, days: float) -> TherapySession:
    starts_at = timezone.now() + timedelta(days=days)
    return TherapySessionFactory.create(treatment=treatment, attendance="", starts_at=starts_at)


def written_about(treatment: Treatment, *, days: float) -> TherapySession:
    session = planned(treatment, days=days)
    save_process_note(therapy_session=session, text="Bring the letter", by=treatment.therapist)
    return session


def joined_just_now(practice: Practice) -> Membership:
    """Access that a hand-over gives them begins in seven days."""
    Practice.objects.update(created_at=timezone.now() - timedelta(days=400))
    practice.refresh_from_db()
    return MembershipFactory.create(practice=practice, joined_at=timezone.now())


def starts(treatment: Treatment) -> list[object]:
    return [each.starts_at for each in treatment.therapy_sessions.order_by("starts_at")]


def test_it_stays_with_the_note_and_the_next_therapist_may_cancel_one_that_is_their_own(
    alice: Membership,
    charlie: Membership,
    mona: Membership,
    treatment: Treatment,
    written: TherapySession,
) -> None:
    plain = planned(treatment, days=12)
    hand_over([treatment], to=charlie, by=mona)
    note = ProcessNote.objects.get()
    assert (note.author, note.therapy_session) == (alice, written)
    assert list(treatment.therapy_sessions.all()) == [written]
    theirs = Treatment.objects.get(therapist=charlie)
    assert starts(theirs) == [written.starts_at, plain.starts_at]
    browser = signed_in(charlie)
    for session in theirs.therapy_sessions.all():
        page = browser.post(reverse("cancel_session", args=[session.id]), follow=True)
        assert "The session is cancelled." in shown(page)
    assert not theirs.therapy_sessions.exists()
    assert ProcessNote.objects.get().therapy_session == written


def test_once_the_next_therapist_has_cancelled_it_it_ends_no_form_of_theirs(
    charlie: Membership, mona: Membership, treatment: Treatment
) -> None:
    written = written_about(treatment, days=2)
    hand_over([treatment], to=charlie, by=mona)
    theirs = Treatment.objects.get(therapist=charlie)
    asked = request_feedback(
        therapy_session=TherapySessionFactory.create(
            treatment=theirs, starts_at=timezone.now() - timedelta(days=1)
        ),
        questionnaire=practice_questionnaire(charlie.practice),
        channel_kind="email",
        by=charlie,
    )
    assert asked.expires_at == written.starts_at
    came = theirs.therapy_sessions.planned().get()
    signed_in(charlie).post(reverse("cancel_session", args=[came.id]))
    asked.refresh_from_db()
    assert asked.expires_at > written.starts_at


def test_who_treats_the_client_for_some_days_gets_the_sessions_of_those(
    alice: Membership, charlie: Membership, mona: Membership, treatment: Treatment
) -> None:
    """Until a colleague who has just joined does, to whom the later ones went."""
    soon, later = (written_about(treatment, days=days) for days in (5, 9))
    dana = joined_just_now(alice.practice)
    hand_over([treatment], to=dana, by=mona)
    hand_over([treatment], to=charlie, by=mona)
    came = {each.therapist: starts(each) for each in Treatment.objects.all()}
    assert came == {
        alice: [soon.starts_at, later.starts_at],
        charlie: [soon.starts_at],
        dana: [later.starts_at],
    }


def test_at_a_move_it_goes_to_nobody_and_is_there_where_the_move_is_called_off(
    alice: Membership,
    charlie: Membership,
    treatment: Treatment,
    written: TherapySession,
) -> None:
    walk(signed_in(alice), treatment, FITS, consent(), handover(charlie, days=2))
    theirs = Treatment.objects.get(therapist=charlie)
    assert not theirs.therapy_sessions.exists()
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        assert signed_in(charlie).get(reverse("client", args=[treatment.client_id]))
        assert not TherapySession.objects.conducted_by(alice).exists()
        assert not TherapySession.objects.conducted_by(charlie).exists()
    move = Move.objects.get()
    call_off_move(move=move, reason="", version=move.version, by=alice)
    assert list(treatment.therapy_sessions.all()) == [written]
