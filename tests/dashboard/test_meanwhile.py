"""A page is opened while something else is committed between two of its queries."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts.models import Membership
from apps.clients.models import Treatment
from apps.endings.services import hand_over
from apps.feedback.corrections import cancel_session, undo_log
from apps.feedback.services import questionnaire_for, record_from_paper
from apps.supervision.services import plan_meeting
from apps.therapy_sessions.models import TherapySession
from tests.at_once import opened_at_each_query
from tests.factories import TherapySessionFactory, TreatmentFactory

pytestmark = pytest.mark.django_db
STEADY = [90, 90, 80, 90, 90, 90, 80, 90]
BRIEF = "/clients/{client}/brief/"
OF_ALL = ["/caseload/", "/diary/", "/day-sheet/"]
BY_SUPERVISOR = ["/supervision/", "/supervision/{episode}/", "/meetings/{meeting}/"]
LOG = ["/sessions/log/?client={client}", "/sessions/log/?session={session}"]


def planned(treatment: Treatment, *, hours: float = 0.5) -> TherapySession:
    """The session of today: no page about it is without something to show."""
    starts_at = timezone.now() + timedelta(hours=hours)
    return TherapySessionFactory.create(treatment=treatment, starts_at=starts_at, attendance="")


@pytest.mark.parametrize("page", [BRIEF, *LOG, *OF_ALL])
def test_a_client_who_is_handed_over_meanwhile_is_left_out(
    page: str, alice: Membership, charlie: Membership, mona: Membership, as_alice: Browser
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, falling=True)
    url = page.format(client=treatment.client_id, session=planned(treatment, hours=-0.5).id)

    def go() -> None:
        hand_over([Treatment.objects.get(id=treatment.id)], to=charlie, by=mona)

    answers = opened_at_each_query(as_alice, url, go)
    assert answers == {200} if page in OF_ALL else answers <= {200, 403, 404}


@pytest.mark.parametrize("page", OF_ALL)
def test_a_session_that_is_cancelled_meanwhile_is_left_out(
    page: str, alice: Membership, as_alice: Browser
) -> None:
    session = planned(TreatmentFactory.create(therapist=alice, falling=True))

    def cancel() -> None:
        cancel_session(session=TherapySession.objects.get(id=session.id), by=alice)

    assert opened_at_each_query(as_alice, page, cancel) == {200}


@pytest.mark.parametrize("page", ["/clients/{client}/", BRIEF, "/clients/{client}/close/"])
def test_a_fall_that_is_entered_meanwhile_is_shown_as_far_as_it_was_read(
    page: str, alice: Membership, as_alice: Browser
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, pomps=STEADY)

    def fall() -> None:
        session = TherapySessionFactory.create(treatment=treatment)
        form = questionnaire_for(session)
        record_from_paper(
            therapy_session=session, questionnaire=form, answered_at=timezone.now(), by=alice,
            answers={item["id"]: form.minimum + 1 for item in form.items},
        )  # fmt: skip
        assert treatment.episodes.exists()

    url = page.format(client=treatment.client_id)
    assert opened_at_each_query(as_alice, url, fall) == {200}


@pytest.mark.parametrize(
    "page", [BRIEF, "/caseload/", "/episodes/{episode}/repair/", *BY_SUPERVISOR]
)
def test_a_possible_rupture_whose_session_is_undone_meanwhile_is_shown_as_far_as_it_was_read(
    page: str, alice: Membership, sam: Membership, sign_in: Callable[[Membership], Browser]
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, falling=True)
    episode = treatment.episodes.get()
    meeting = plan_meeting(
        supervisee=alice, starts_at=timezone.now() + timedelta(days=1), duration_min=50, by=sam
    )

    def undo() -> None:
        session = treatment.episodes.get().opened_by
        session.ratings.all().delete()
        TherapySession.objects.filter(id=session.id).update(logged_at=timezone.now())
        undo_log(session=session, by=alice)

    browser = sign_in(sam if page in BY_SUPERVISOR else alice)
    url = page.format(client=treatment.client_id, episode=episode.id, meeting=meeting.id)
    assert opened_at_each_query(browser, url, undo) <= {200, 404}
