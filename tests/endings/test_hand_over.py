"""A caseload changes hands: by codes, at once, with its history where it was."""

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
from apps.accounts.models import Membership, Notice, Practice
from apps.clients.handing_over import pass_on
from apps.clients.models import Client, Treatment
from apps.clients.services import end_pause, pause_asking
from apps.core.models import AuditEntry
from apps.endings import services
from apps.endings.models import Move
from apps.feedback.services import practice_questionnaire, request_feedback
from apps.ruptures.transitions import end_unrepaired
from apps.therapy_sessions.services import save_process_note
from tests.accounts.conftest import proven, shown
from tests.clients.test_turns import happens_first
from tests.conftest import signed_in
from tests.factories import (
    ClientFactory,
    MembershipFactory,
    TherapySessionFactory,
    TreatmentFactory,
)

__all__ = ["proven"]


@pytest.fixture
def manager(mona: Membership, proven: Callable[[Membership], Browser]) -> Browser:
    return proven(mona)


@pytest.fixture
def treatments(alice: Membership, practice: Practice) -> list[Treatment]:
    return [
        TreatmentFactory.create(
            therapist=alice,
            client=ClientFactory.create(practice=practice, initials="Q. Z."),
            falling=True,
        )
        for _ in range(3)
    ]


def hand_over(browser: Browser, therapist: Membership, treatments: list[Treatment], to: Any) -> Any:
    address = reverse("hand_over", args=[therapist.id])
    return browser.post(address, {"treatments": [each.id for each in treatments], "to": to})


def test_the_page_shows_codes_and_nothing_else_of_a_client(
    manager: Browser, alice: Membership, charlie: Membership, treatments: list[Treatment]
) -> None:
    page = shown(manager.get(reverse("hand_over", args=[alice.id])))
    for treatment in treatments:
        assert treatment.client.code in page
        assert str(treatment.client_id) not in page
    assert "Q. Z." not in page
    assert "CBT" not in page
    assert "Charlie Nowak" in page


def test_chosen_clients_change_hands_with_the_press_of_the_button(
    manager: Browser,
    mona: Membership,
    alice: Membership,
    charlie: Membership,
    treatments: list[Treatment],
) -> None:
    kept, *given = treatments
    response = hand_over(manager, alice, given, charlie.id)
    assert response["Location"] == reverse("people")
    codes = {each.client.code for each in given}
    assert set(Client.objects.visible_to(alice).values_list("code", flat=True)) == {
        kept.client.code
    }
    assert set(Client.objects.visible_to(charlie).values_list("code", flat=True)) == codes
    for treatment in given:
        treatment.refresh_from_db()
        assert treatment.ends_on == timezone.localdate()
        assert treatment.therapy_sessions.count() == 9, "history stays where it was"
        fresh = Treatment.objects.get(client=treatment.client, therapist=charlie)
        assert fresh.starts_on == timezone.localdate()
        assert fresh.approach == "", "the one before was the other therapist's word"
        assert fresh.therapy_sessions.count() == 0
    noted = AuditEntry.objects.filter(action="hand over client", actor_id=mona.id)
    assert {client for entry in noted for client in entry.client_ids} == {
        each.client_id for each in given
    }


def test_a_client_who_goes_at_once_to_whom_a_move_is_arranged_for_later_is_treated_all_along(
    mona: Membership, alice: Membership, charlie: Membership, treatments: list[Treatment]
) -> None:
    today = timezone.localdate()
    treatment = treatments[0]
    coming = pass_on(treatment, to=charlie, on=today + timedelta(days=200), by=alice)
    assert coming.starts_on > today
    assert pass_on(treatment, to=charlie, on=today, by=mona).starts_on == today
    [current] = charlie.treatments.all()
    assert (current.starts_on, current.ends_on) == (today, None)
    client = treatment.client_id
    assert Client.objects.treated_by(charlie).filter(id=client).exists()
    assert not Client.objects.treated_by(alice).filter(id=client).exists()


@pytest.mark.parametrize("days", [0, 5])
def test_a_notice_of_a_hand_over_tells_nothing_of_who_goes_to_the_same_colleague_later(
    alice: Membership, charlie: Membership, mona: Membership, treatments: list[Treatment], days: int
) -> None:
    """Where to a former client goes from somebody else is nothing that one may know."""
    dana = MembershipFactory.create(practice=alice.practice, name="Dana Roe")
    with time_machine.travel(timezone.now() - timedelta(days=9)):
        services.hand_over(treatments[:1], to=charlie, by=mona)
    services.hand_over(treatments[1:2], to=dana, by=mona)
    before = {each.said.text for each in notices.unread(alice)}
    assert len(before) == 2
    on = timezone.localdate() + timedelta(days=days)
    pass_on(dana.treatments.get(), to=charlie, on=on, by=dana)
    assert {each.said.text for each in notices.unread(alice)} == before


def test_of_two_hand_overs_to_one_colleague_that_nobody_has_read_each_day_is_said(
    alice: Membership, charlie: Membership, mona: Membership, treatments: list[Treatment]
) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        days = []
        for treatment in treatments:
            days.append(date_format(timezone.localdate(), "j M"))
            services.hand_over([treatment], to=charlie, by=mona)
            clock.shift(timedelta(days=9))
        first, second, third = days
        texts = {each.said.text for each in notices.unread(alice)}
    said = f"on {first}, {second} and {third}, as"
    assert texts == {f"Clients of yours go to Charlie Nowak {said} your practice decided."}


def test_who_gets_a_client_until_a_move_and_then_for_good_treats_them_all_along(
    manager: Browser, alice: Membership, charlie: Membership, practice: Practice
) -> None:
    zoe = MembershipFactory.create(practice=practice, name="Zoe Brandt")
    later = timezone.localdate() + timedelta(days=10)
    treatment = TreatmentFactory.create(therapist=alice)
    moved = pass_on(treatment, to=zoe, on=later, by=alice)
    day = date_format(later, "j M Y")
    page = shown(manager.get(reverse("hand_over", args=[alice.id])))
    assert f"{treatment.client.code}, changes hands on {day}" in page
    hand_over(manager, alice, [treatment], charlie.id)
    hand_over(manager, zoe, [moved], charlie.id)
    for day in (timezone.localdate(), later, later + timedelta(days=1)):
        [current] = Treatment.objects.current(on=day).filter(client=treatment.client)
        assert current.therapist == charlie, day


@pytest.mark.parametrize("waits", [False, True])
def test_who_was_handed_back_before_their_day_and_handed_on_is_somebodys_on_each_day(
    alice: Membership, charlie: Membership, mona: Membership, treatments: list[Treatment],
    waits: bool,
) -> None:  # fmt: skip
    """What never began leads nowhere."""
    dana = MembershipFactory.create(practice=alice.practice, name="Dana Roe")
    today, week = timezone.localdate(), timezone.localdate() + timedelta(days=7)
    treatment = treatments[0]
    coming = pass_on(treatment, to=dana, on=week, by=mona)
    services.hand_over([coming], to=alice, by=mona)
    [own] = alice.treatments.not_ended(on=today).filter(client=treatment.client)
    if waits:
        last = pass_on(own, to=charlie, on=today, by=mona)
    else:
        services.hand_over([own], to=charlie, by=mona)
        [last] = charlie.treatments.all()
    assert last.ends_on is None
    for days in (0, 7, 8, 60):
        on = today + timedelta(days=days)
        assert [last] == list(Treatment.objects.current(on=on).filter(client=treatment.client))


def test_sessions_to_come_go_to_the_new_therapist(
    mona: Membership, alice: Membership, charlie: Membership, treatments: list[Treatment]
) -> None:
    now, [treatment, *_] = timezone.now(), treatments
    plan = {"attendance": "", "treatment": treatment}
    to_come, past = (
        TherapySessionFactory.create(starts_at=now + timedelta(hours=hours), **plan)
        for hours in (30, -5)
    )
    services.hand_over(treatments, to=charlie, by=mona)
    theirs = Treatment.objects.get(therapist=charlie, client=treatment.client)
    assert list(theirs.therapy_sessions.all()) == [to_come]
    assert list(treatment.therapy_sessions.planned()) == [past]


def test_a_client_who_is_handed_back_on_the_same_day_goes_on_as_if_never_handed_over(
    mona: Membership, alice: Membership, charlie: Membership, sam: Membership, practice: Practice,
    treatments: list[Treatment],
) -> None:  # fmt: skip
    """A wrong tick loses nobody their course; the form that was open has ended, and stays so."""
    treatment, *_ = treatments
    plan = {"attendance": "", "treatment": treatment}
    now = timezone.now()
    plain, written, past = (
        TherapySessionFactory.create(starts_at=now + timedelta(hours=hours), **plan)
        for hours in (30, 60, -5)
    )
    save_process_note(therapy_session=written, text="Ask about the exam", by=alice)
    episode, sessions = treatment.episodes.get(), set(treatment.therapy_sessions.all())
    assert episode.outcome == ""
    services.hand_over([treatment], to=charlie, by=mona)
    services.hand_over(list(charlie.treatments.all()), to=alice, by=mona)
    end_unrepaired(practice, at=now)
    assert list(Treatment.objects.filter(client=treatment.client)) == [treatment]
    treatment.refresh_from_db()
    episode.refresh_from_db()
    assert (treatment.therapist, treatment.ends_on) == (alice, None)
    assert set(treatment.therapy_sessions.all()) == sessions >= {plain, written, past}
    assert episode.outcome == ""
    as_alice = signed_in(alice)
    for page, about in (("repair", episode), ("process_note", written), ("client", treatment)):
        of = about.client_id if page == "client" else about.id
        assert as_alice.get(reverse(page, args=[of])).status_code == 200, page
    assert signed_in(sam).get(reverse("supervised_episode", args=[episode.id])).status_code == 200
    assert signed_in(charlie).get(reverse("client", args=[treatment.client_id])).status_code == 404
    [noted] = AuditEntry.objects.filter(action="take hand-over back")
    assert (noted.client_ids, noted.object_id) == ([treatment.client_id], charlie.id)
    assert (noted.actor_id, noted.object_type) == (mona.id, "accounts.Membership")
    said = "Clients of yours go to %s on %s, as your practice decided."
    day = date_format(timezone.localdate(), "j M")
    for told, whose in ((alice, charlie), (charlie, alice)):
        assert said % (whose.name, day) in [each.said.text for each in notices.unread(told)]


def test_what_ended_as_a_client_was_handed_over_by_mistake_stays_ended(
    mona: Membership, alice: Membership, charlie: Membership
) -> None:
    treatment = TreatmentFactory.create(therapist=alice)
    asked = request_feedback(
        therapy_session=TherapySessionFactory.create(treatment=treatment),
        questionnaire=practice_questionnaire(alice.practice),
        channel_kind="email",
        by=alice,
    )
    services.hand_over([treatment], to=charlie, by=mona)
    services.hand_over([charlie.treatments.get()], to=alice, by=mona)
    asked.refresh_from_db()
    assert asked.state == asked.State.CANCELLED
    assert asked.therapy_session.corrected_at, "it stands on the next agenda"


@pytest.mark.parametrize(
    "why", ["logged", "noted", "moves", "pause", "kept pause", "closed before", "came by a move",
            "a day later", "to another"],
)  # fmt: skip
def test_what_somebody_wrote_in_a_treatment_that_a_hand_over_began_is_kept_as_it_goes_back(
    why: str, mona: Membership, alice: Membership, charlie: Membership
) -> None:
    treatment = TreatmentFactory.create(therapist=alice)
    back_to = alice
    with time_machine.travel(timezone.now(), tick=False) as clock:
        planned = TherapySessionFactory.create(
            treatment=treatment, attendance="", starts_at=timezone.now() + timedelta(days=2)
        )
        if why == "came by a move":
            words = {"needs": "", "saved_at": timezone.now(), "agreed_on": timezone.localdate()}
            words |= {"agreed_how": "in_room", "moves_on": timezone.localdate()}
            Move.objects.create(
                practice=alice.practice, treatment=treatment, arranged_at=timezone.now(), **words
            )
        services.hand_over([treatment], to=charlie, by=mona)
        theirs = charlie.treatments.get()
        planned.refresh_from_db()
        assert planned.treatment == theirs
        match why:
            case "logged":
                TherapySessionFactory.create(treatment=theirs, starts_at=timezone.now())
            case "noted":
                save_process_note(therapy_session=planned, text="Mine", by=charlie)
            case "moves":
                Move.objects.create(
                    practice=alice.practice, treatment=theirs, needs="", saved_at=timezone.now()
                )
            case "pause" | "kept pause":
                if why == "kept pause":
                    Client.objects.update(held_at=timezone.now())
                on = timezone.localdate() + timedelta(days=9)
                pause_asking(client=theirs.client, reason="Mine", review_on=on, by=charlie)
                if why == "kept pause":
                    end_pause(client=theirs.client, by=charlie)
            case "closed before":
                services.close_treatment(treatment=theirs, how="agreed", review="", by=charlie)
                theirs = services.reopen_treatment(ending=theirs.ending, by=charlie)
            case "a day later":
                clock.shift(timedelta(days=1))
            case "to another":
                back_to = MembershipFactory.create(practice=alice.practice, name="Dana Roe")
        services.hand_over([theirs], to=back_to, by=mona)
        assert Treatment.objects.filter(id=theirs.id, ends_on=timezone.localdate()).exists()
        assert back_to.treatments.latest("starts_on").follows == theirs
        treatment.refresh_from_db()
        assert treatment.ends_on
        assert not AuditEntry.objects.filter(action="take hand-over back").exists()


@pytest.mark.parametrize("given_on", ["before", "meanwhile"])
def test_who_is_handed_back_goes_on_until_the_day_that_a_manager_named(
    mona: Membership, alice: Membership, charlie: Membership, treatments: list[Treatment],
    given_on: str,
) -> None:  # fmt: skip
    treatment, day = treatments[0], timezone.localdate() + timedelta(days=7)
    dana = MembershipFactory.create(practice=alice.practice, name="Dana Roe")
    if given_on == "before":
        pass_on(treatment, to=dana, on=day, by=mona)
    services.hand_over([treatment], to=charlie, by=mona)
    if given_on == "meanwhile":
        pass_on(charlie.treatments.get(), to=dana, on=day, by=mona)
    services.hand_over([charlie.treatments.get()], to=alice, by=mona)
    treatment.refresh_from_db()
    assert treatment.ends_on == day
    assert dana.treatments.get().follows == treatment
    assert not charlie.treatments.exists()


def test_a_treatment_that_was_to_begin_later_changes_hands_as_well(
    mona: Membership, alice: Membership, charlie: Membership
) -> None:
    planned = TreatmentFactory.create(
        therapist=alice, starts_on=timezone.localdate() + timedelta(days=7)
    )
    pass_on(planned, to=charlie, on=timezone.localdate(), by=mona)
    assert not Client.objects.visible_to(alice).exists()
    assert Client.objects.visible_to(charlie).exists()


def test_neither_clients_nor_therapists_of_others_can_be_named(
    manager: Browser,
    alice: Membership,
    charlie: Membership,
    dora: Membership,
    treatments: list[Treatment],
) -> None:
    theirs = TreatmentFactory.create(therapist=dora)
    charlies = TreatmentFactory.create(therapist=charlie)
    for chosen, to in (
        ([theirs], charlie.id),
        ([charlies], charlie.id),
        (treatments, dora.id),
        (treatments, alice.id),
        ([], charlie.id),
        (treatments, ""),
    ):
        page = hand_over(manager, alice, chosen, to)
        assert page.status_code == 200
    assert Client.objects.visible_to(alice).count() == 3
    assert not AuditEntry.objects.filter(action="hand over client").exists()


def test_who_moves_on_before_the_taker_may_have_access_is_named_and_nobody_changes_hands(
    manager: Browser, alice: Membership, charlie: Membership, treatments: list[Treatment]
) -> None:
    now = timezone.now()
    Practice.objects.update(created_at=now - timedelta(days=400))
    dana = MembershipFactory.create(practice=alice.practice, name="Dana Roe", joined_at=now)
    moving, *staying = treatments
    moves_on = timezone.localdate() + timedelta(days=5)
    pass_on(moving, to=charlie, on=moves_on, by=alice)
    page = shown(hand_over(manager, alice, treatments, dana.id))
    day = date_format(moves_on, "j M Y")
    assert f"{moving.client.code} changes hands on {day} already" in page
    assert not any(each.client.code + " changes" in page for each in staying)
    assert not dana.treatments.exists()
    assert not Notice.objects.filter(member=alice, kind="caseload_handed_over").exists()
    assert hand_over(manager, alice, staying, dana.id).status_code == 302
    assert dana.treatments.count() == 2


@pytest.mark.parametrize(
    ("who", "status", "said"), [("mona", 403, ""), ("charlie", 200, "treats nobody here any more")]
)
def test_whoever_has_left_as_the_clients_turn_comes_neither_gives_nor_takes(
    manager: Browser,
    mona: Membership,
    charlie: Membership,
    treatments: list[Treatment],
    monkeypatch: pytest.MonkeyPatch,
    who: str,
    status: int,
    said: str,
) -> None:
    place = Membership.objects.filter(id={"mona": mona, "charlie": charlie}[who].id)
    happened = happens_first(
        lambda: place.update(is_active=False), in_=services, monkeypatch=monkeypatch
    )
    answer = hand_over(manager, treatments[0].therapist, treatments[:1], charlie.id)
    assert (answer.status_code, said in shown(answer), happened) == (status, True, [True])
    assert not charlie.treatments.exists()


def test_somebody_who_left_can_be_relieved_and_takes_nobody_on(
    manager: Browser, alice: Membership, charlie: Membership, treatments: list[Treatment]
) -> None:
    alice.is_active = False
    alice.save()
    assert "Alice Moreau" not in shown(manager.get(reverse("hand_over", args=[charlie.id])))
    assert hand_over(manager, alice, treatments, charlie.id).status_code == 302
    assert Client.objects.visible_to(charlie).count() == 3


def test_an_empty_caseload_says_so(manager: Browser, charlie: Membership) -> None:
    page = shown(manager.get(reverse("hand_over", args=[charlie.id])))
    assert "Nobody is on this caseload." in page


def test_a_stranger_is_a_stranger(manager: Browser, dora: Membership) -> None:
    assert manager.get(reverse("hand_over", args=[dora.id])).status_code == 404
