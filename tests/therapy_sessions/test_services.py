"""What logging a session stores, and what it never overwrites."""

from functools import partial

import pytest
from django.utils import timezone

from apps.accounts.models import Membership
from apps.core import tenancy
from apps.therapy_sessions.models import TherapySession
from apps.therapy_sessions.services import AlreadyLogged, log_therapy_session
from tests.at_once import at_once
from tests.factories import TherapySessionFactory, TreatmentFactory


def log(session: TherapySession, by: Membership, **changes: object) -> TherapySession:
    arguments = {
        "treatment": session.treatment,
        "starts_at": session.starts_at,
        "duration_min": 50,
        "attendance": "attended",
        "own_view": {"own_bond": 6},
        "planned": session,
    } | changes
    return log_therapy_session(**arguments, by=by)  # type: ignore[arg-type]


def test_a_planned_session_is_filled_in_and_may_have_moved(alice: Membership) -> None:
    planned = TherapySessionFactory.create(
        treatment=TreatmentFactory.create(therapist=alice), attendance=""
    )
    moved = timezone.now()
    logged = log(planned, alice, starts_at=moved)
    assert (logged.id, logged.starts_at, logged.own_bond) == (planned.id, moved, 6)
    assert logged.logged_at is not None
    assert TherapySession.objects.count() == 1


def test_a_session_cancelled_while_it_was_being_logged_took_place(alice: Membership) -> None:
    planned = TherapySessionFactory.create(
        treatment=TreatmentFactory.create(therapist=alice), attendance=""
    )
    TherapySession.objects.filter(id=planned.id).delete()
    logged = log(planned, alice, process_note="A thought.")
    assert (logged.starts_at, logged.attendance) == (planned.starts_at, "attended")
    assert logged.process_notes.get().text == "A thought."


def test_a_session_that_was_handed_over_meanwhile_is_not_logged(
    alice: Membership, charlie: Membership
) -> None:
    planned = TherapySessionFactory.create(
        treatment=TreatmentFactory.create(therapist=alice), attendance=""
    )
    theirs = TreatmentFactory.create(therapist=charlie)
    TherapySession.objects.filter(id=planned.id).update(treatment=theirs)
    with pytest.raises(TherapySession.DoesNotExist):
        log(planned, alice, process_note="A thought.")
    assert TherapySession.objects.get().attendance == ""


def test_a_logged_session_is_never_logged_again(alice: Membership) -> None:
    session = TherapySessionFactory.create(
        treatment=TreatmentFactory.create(therapist=alice), attendance="no_show"
    )
    with pytest.raises(AlreadyLogged):
        log(session, alice)
    with pytest.raises(AlreadyLogged):
        log(session, alice, planned=None)
    session.refresh_from_db()
    assert (session.attendance, session.own_bond) == ("no_show", None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_planned", [True, False])
def test_of_two_forms_sent_at_once_one_is_logged(alice: Membership, is_planned: bool) -> None:
    planned = TherapySessionFactory.create(
        treatment=TreatmentFactory.create(therapist=alice), attendance=""
    )
    if not is_planned:
        TherapySession.objects.all().delete()

    def send(bond: int) -> int | None:
        own = {"own_bond": bond}
        try:
            with tenancy.practice(alice.practice_id):
                return log(
                    planned, alice, own_view=own, planned=planned if is_planned else None
                ).own_bond
        except AlreadyLogged:
            return None

    kept = [bond for bond in at_once(partial(send, 3), partial(send, 9)) if bond]
    assert kept == [TherapySession.objects.get().own_bond]
