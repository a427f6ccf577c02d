"""A client takes back what they agreed to pass on, once they have moved."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.http import Http404
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership
from apps.alliance.models import AllianceRating
from apps.clients.models import Treatment
from apps.core.models import AuditEntry
from apps.endings.models import Move
from apps.endings.services import hand_over, withdraw_consent
from tests.accounts.conftest import shown
from tests.conftest import signed_in
from tests.endings.test_move import FITS, consent, handover, walk
from tests.factories import MembershipFactory, TreatmentFactory, comment_on

pytestmark = pytest.mark.django_db
LINK = "Passed on from the treatment before"


@pytest.fixture
def treatment(alice: Membership) -> Treatment:
    treatment = TreatmentFactory.create(therapist=alice, client__code="FE-0007", falling=True)
    comment_on(treatment.therapy_sessions.latest("starts_at"), "I felt rushed.")
    return treatment


@pytest.fixture
def move(treatment: Treatment, charlie: Membership, as_alice: Browser) -> Move:
    """The client came to charlie today, and every part was passed on."""
    walk(as_alice, treatment, FITS, consent(*Move.Part.values), handover(charlie))
    return Move.objects.get()


def page_of(name: str, move: Move) -> str:
    return reverse(name, args=[move.treatment.client_id])


def take_back(browser: Browser, move: Move) -> Any:
    return browser.post(page_of("passed_on", move))


def taken_back() -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(action="withdraw consent to move"))


def columns(move: Move) -> dict[str, Any]:
    return {field.attname: getattr(move, field.attname) for field in Move._meta.fields}


def rated(move: Move) -> list[AllianceRating]:
    """What the client said in the treatment before."""
    ratings = AllianceRating.objects.filter(therapy_session__treatment=move.treatment)
    return list(ratings.order_by("answered_at"))


def test_the_new_therapist_reads_it_until_the_client_takes_it_back_and_not_after(
    move: Move, charlie: Membership, as_charlie: Browser
) -> None:
    read = shown(as_charlie.get(page_of("passed_on", move)))
    for words in ("“I felt rushed.”", FITS["needs"], FITS["tried"], "The client takes this back"):
        assert words in read
    assert LINK in shown(as_charlie.get(page_of("client", move)))
    answer = take_back(as_charlie, move)
    assert answer.headers["Location"] == page_of("client", move)
    page = shown(as_charlie.get(page_of("client", move)))
    assert "what was passed on stays with the treatment before" in page
    assert LINK not in page
    assert as_charlie.get(page_of("passed_on", move)).status_code == 404
    for name in ("client", "brief", "records", "move_client"):
        page = shown(as_charlie.get(page_of(name, move)))
        assert "I felt rushed." not in page, name
        assert FITS["needs"] not in page, name
    [entry] = taken_back()
    assert (entry.actor_id, entry.object_id) == (charlie.id, move.id)
    assert entry.client_ids == [move.treatment.client_id]


def test_the_treatment_before_stays_as_it_was_and_so_does_that_they_had_agreed(
    move: Move, as_charlie: Browser
) -> None:
    before, sessions = columns(move), [each.id for each in rated(move)]
    take_back(as_charlie, move)
    move = Move.objects.get()
    assert columns(move) == before | {"passes_on": []}
    assert (move.agreed_on, move.agreed_how) == (timezone.localdate(), "in_room")
    assert [each.id for each in rated(move)] == sessions
    assert "I felt rushed." in [each.comment for each in rated(move)]


def test_taken_back_twice_equals_once(move: Move, charlie: Membership, as_charlie: Browser) -> None:
    """The page was open in two windows."""
    first, second = (take_back(as_charlie, move) for _window in range(2))
    assert first.status_code == second.status_code == 302
    assert first.headers["Location"] == second.headers["Location"]
    withdraw_consent(move=move, by=charlie)
    assert len(taken_back()) == 1


def test_nobody_takes_it_back_but_who_treats_the_client_now(
    move: Move,
    charlie: Membership,
    as_alice: Browser,
    as_charlie: Browser,
    as_dora: Browser,
    as_sam: Browser,
    as_mona: Browser,
    mona: Membership,
) -> None:
    for browser, status in ((as_alice, 404), (as_dora, 404), (as_sam, 403), (as_mona, 403)):
        assert take_back(browser, move).status_code == status
    dan = MembershipFactory.create(practice=mona.practice, name="Dan Roe")
    hand_over(list(charlie.treatments.all()), to=dan, by=mona)
    for browser in (as_charlie, signed_in(dan)):
        assert take_back(browser, move).status_code == 404
    with pytest.raises(Http404):
        withdraw_consent(move=move, by=charlie)
    move.refresh_from_db()
    assert move.passes_on == Move.Part.values
    assert not taken_back()


def test_it_is_not_taken_back_here_before_the_day_of_the_move(
    treatment: Treatment, charlie: Membership, as_alice: Browser
) -> None:
    """Until then the move is called off, by who arranged it."""
    walk(as_alice, treatment, FITS, consent("comments"), handover(charlie, days=7))
    move = Move.objects.get()
    assert take_back(signed_in(charlie), move).status_code == 404
    assert take_back(as_alice, move).status_code == 404
    move.refresh_from_db()
    assert move.passes_on == ["comments"]
    with time_machine.travel(timezone.now() + timedelta(days=7, minutes=1)):
        assert take_back(signed_in(charlie), move).status_code == 302


def test_where_nothing_was_passed_on_there_is_no_page_of_it(
    treatment: Treatment, charlie: Membership, as_alice: Browser, as_charlie: Browser
) -> None:
    walk(as_alice, treatment, FITS, consent(), handover(charlie))
    assert as_charlie.get(page_of("passed_on", Move.objects.get())).status_code == 404
