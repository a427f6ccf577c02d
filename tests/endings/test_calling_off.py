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
from apps.clients.handing_over import hand_over_caseload
from apps.clients.models import Client, Treatment
from apps.core.models import AuditEntry
from apps.endings.models import Move
from apps.endings.services import ChangedMeanwhile, call_off_move, hand_over
from apps.therapy_sessions.services import save_process_note
from tests.accounts.conftest import shown
from tests.conftest import signed_in
from tests.endings.test_move import FITS, address, consent, handover, walk
from tests.factories import MembershipFactory, TherapySessionFactory, TreatmentFactory

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


@pytest.mark.parametrize("first", ["the later day", "the earlier day"])
@pytest.mark.parametrize("stays", ["the later day", "the earlier day"])
def test_where_two_move_a_client_to_one_colleague_either_is_called_off_and_the_other_stands(
    alice: Membership, charlie: Membership, first: str, stays: str
) -> None:
    """Whichever was arranged first."""
    bob = MembershipFactory.create(practice=alice.practice, name="Bob Ito")
    client = TreatmentFactory.create(therapist=alice).client
    TreatmentFactory.create(therapist=charlie, client=client)
    moves = {"the later day": (charlie, 10), "the earlier day": (alice, 3)}
    for giver, days in sorted(moves.values(), key=lambda each: each != moves[first]):
        treatment = Treatment.objects.get(client=client, therapist=giver)
        walk(signed_in(giver), treatment, FITS, consent(), handover(bob, days=days))
    for which, (giver, _days) in moves.items():
        if which != stays:
            move = Move.objects.get(treatment__therapist=giver)
            form = {"step": "arranged", "reason": "Stays.", "version": move.version}
            done = signed_in(giver).post(address(move.treatment), form)
            assert done.status_code == 302, shown(done)
    goes, days = moves[stays]
    came = Treatment.objects.get(therapist=bob)
    assert came.starts_on == timezone.localdate() + timedelta(days=days)
    assert came.follows == Treatment.objects.get(client=client, therapist=goes)
    assert call_off(signed_in(goes), Move.objects.get(new_treatment=came)).status_code == 302
    assert not Treatment.objects.filter(therapist=bob).exists()


def test_of_two_who_move_a_client_to_each_other_the_second_calls_nothing_into_the_void(
    alice: Membership, charlie: Membership
) -> None:
    """Neither would treat the client then."""
    client = TreatmentFactory.create(therapist=alice).client
    TreatmentFactory.create(therapist=charlie, client=client)
    pages = {}
    for giver in (charlie, alice):
        treatment = Treatment.objects.get(client=client, therapist=giver)
        pages[giver] = signed_in(giver), treatment
    walk(*pages[charlie], FITS, consent(), handover(alice, days=10))
    browser, treatment = pages[alice]
    walk(browser, treatment, FITS, consent())
    move = Move.objects.get(treatment=treatment)
    form = handover(charlie, days=2) | {"version": move.version}
    assert "A colleague treats this client too, and hands them to you on" in shown(
        browser.post(address(treatment), form)
    )
    assert Treatment.objects.get(client=client, therapist=alice).ends_on is None


def test_where_the_client_comes_back_by_another_move_the_treatment_that_goes_on_is_what_it_leads_to(
    alice: Membership, charlie: Membership
) -> None:
    """Nothing ends where that one is called off as well."""
    bob = MembershipFactory.create(practice=alice.practice, name="Bob Ito")
    treatment = TreatmentFactory.create(therapist=alice)
    besides = TreatmentFactory.create(therapist=bob, client=treatment.client)
    walk(signed_in(alice), treatment, FITS, consent(), handover(charlie, days=7))
    walk(signed_in(bob), besides, FITS, consent(), handover(alice, days=12))
    for giver, given in ((alice, treatment), (bob, besides)):
        move = Move.objects.get(treatment=given)
        assert call_off(signed_in(giver), move).status_code == 302
        treatment.refresh_from_db()
        assert (treatment.ends_on, list(alice.treatments.all())) == (None, [treatment])
    assert not charlie.treatments.exists()
    for days in (0, 8, 13):
        with time_machine.travel(timezone.now() + timedelta(days=days)):
            assert Client.objects.visible_to(alice).exists()


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
    assert told.said.text == "The move of FE-0007 from Alice Moreau " + called_off(move).format(
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


def test_a_client_whom_the_colleague_treats_as_well_stays_with_both(
    treatment: Treatment, charlie: Membership, as_alice: Browser
) -> None:
    theirs = TreatmentFactory.create(therapist=charlie, client=treatment.client)
    walk(as_alice, treatment, FITS, consent(), handover(charlie, days=7))
    call_off(as_alice, Move.objects.get())
    today = timezone.localdate()
    current = Treatment.objects.current(on=today + timedelta(days=8))
    assert set(current.filter(client=treatment.client)) == {treatment, theirs}


def test_who_is_to_get_a_client_from_a_colleague_as_well_moves_them_to_nobody_before(
    treatment: Treatment, charlie: Membership, alice: Membership, as_alice: Browser
) -> None:
    """By a hand-over, as by a move: the colleague's would lead to who has left off."""
    besides = TreatmentFactory.create(therapist=charlie, client=treatment.client)
    day = timezone.localdate() + timedelta(days=7)
    hand_over_caseload(treatments=[besides], to=alice, on=day, by=charlie)
    walk(as_alice, treatment, FITS, consent())
    move = Move.objects.get(treatment=treatment)
    for days in (3, 20):
        form = handover(charlie, days=days) | {"version": move.version}
        assert "hands them to you on" in shown(as_alice.post(address(treatment), form))
    treatment.refresh_from_db()
    assert treatment.ends_on is None


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


@pytest.mark.parametrize("another_moves", [False, True])
def test_where_the_client_was_handed_on_meanwhile_the_treatment_goes_on_until_the_day_of_that(
    move: Move, mona: Membership, charlie: Membership, as_alice: Browser, another_moves: bool
) -> None:  # fmt: skip
    """Nothing is passed on to who would have had the client between the two."""
    if another_moves:
        third = MembershipFactory.create(practice=mona.practice, name="Eve Roe")
        besides = TreatmentFactory.create(therapist=third, client=move.treatment.client)
        walk(signed_in(third), besides, FITS, consent(), handover(charlie, days=20))
    Practice.objects.update(created_at=timezone.now() - timedelta(days=900))
    mona.practice.refresh_from_db()
    joins = timezone.now() + timedelta(days=1)  # access begins a day after that of the move
    newt = MembershipFactory.create(practice=mona.practice, name="Newt", joined_at=joins)
    on = hand_over(list(charlie.treatments.all()), to=newt, by=mona)
    assert call_off(as_alice, move).status_code == 302
    move.treatment.refresh_from_db()
    assert (move.treatment.ends_on, move.treatment.leads_to) == (on, newt.treatments.get())
    with time_machine.travel(timezone.now() + timedelta(days=7, hours=1)):
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
