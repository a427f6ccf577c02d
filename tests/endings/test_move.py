"""A client moves to a therapist who fits better: what fits, consent by part, a warm handover."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from apps.accounts import notices
from apps.accounts.models import Membership, Practice
from apps.alliance.models import AllianceRating
from apps.clients.models import Client, Treatment
from apps.core.models import AuditEntry
from apps.endings.models import Move, Offer
from apps.endings.selectors import colleagues_for
from apps.endings.services import (
    AlreadyArranged,
    CannotHandOver,
    arrange_move,
    call_off_move,
    record_consent,
    save_what_fits,
)
from apps.ruptures.models import RuptureEpisode
from apps.ruptures.transitions import end_unrepaired
from tests.accounts.conftest import shown
from tests.conftest import signed_in
from tests.factories import (
    PASSWORD,
    MembershipFactory,
    TherapySessionFactory,
    TreatmentFactory,
    comment_on,
)

pytestmark = pytest.mark.django_db
FITS = {
    "step": "fits",
    "needs": "Somebody who has time in the evening.",
    "wishes": ["woman", "evenings"],
    "language": "pl",
    "tried": "Two repair conversations, a slower pace since October.",
}


@pytest.fixture
def treatment(alice: Membership) -> Treatment:
    return TreatmentFactory.create(therapist=alice, falling=True)


def address(treatment: Treatment) -> str:
    return reverse("move_client", args=[treatment.client_id])


def today(days: int = 0) -> str:
    return (timezone.localdate() + timedelta(days=days)).isoformat()


def consent(*parts: str) -> dict[str, Any]:
    return {
        "step": "consent",
        "passes_on": list(parts),
        "agreed_on": today(),
        "agreed_how": "in_room",
    }


def handover(to: Membership, days: int = 0) -> dict[str, Any]:
    return {"step": "handover", "to": str(to.id), "moves_on": today(days)}


def walk(browser: Browser, treatment: Treatment, *forms: dict[str, Any]) -> Any:
    for form in forms:
        move = Move.objects.standing().filter(treatment=treatment).first()
        opened = {"version": move.version} if move else {}
        response = browser.post(address(treatment), form | opened)
        assert response.status_code == 302, shown(response)
    return response


def test_three_steps_move_a_client_with_their_consent(
    treatment: Treatment,
    charlie: Membership,
    as_alice: Browser,
    as_charlie: Browser,
) -> None:
    code = treatment.client.code
    walk(
        as_alice,
        treatment,
        FITS,
        consent("needs", "tried", "ratings"),
        handover(charlie),
    )
    assert as_alice.get(reverse("client", args=[treatment.client_id])).status_code == 404
    assert as_alice.get(address(treatment)).status_code == 404
    page = shown(as_charlie.get(reverse("client", args=[treatment.client_id])))
    assert code in page
    assert "Passed on from the treatment before" in page
    assert "Rated 70" not in page, "a new treatment has a new baseline"
    treatment.refresh_from_db()
    assert treatment.ends_on == timezone.localdate()
    assert treatment.therapy_sessions.count() == 9, "history stays where it was"
    episode = treatment.episodes.get()
    assert (episode.outcome, episode.outcome_reason) == ("moved", "Moved to Charlie Nowak.")
    assert AuditEntry.objects.filter(action="arrange move").count() == 1


def test_the_new_therapist_reads_the_agreed_parts_and_nothing_else(
    treatment: Treatment, charlie: Membership, as_alice: Browser, as_charlie: Browser
) -> None:
    comment_on(treatment.therapy_sessions.latest("starts_at"), "I felt rushed.")
    treatment.therapy_sessions.update(own_bond=3)
    walk(as_alice, treatment, FITS, consent("needs", "ratings"), handover(charlie))
    page = shown(as_charlie.get(reverse("passed_on", args=[treatment.client_id])))
    assert "Somebody who has time in the evening." in page
    assert "A woman, Evening sessions, Polish" in page
    assert "Ratings of the treatment before" in page
    assert ">30<" not in page, "how the therapist before saw it is not the client's to pass on"
    assert "Two repair conversations" not in page
    assert "I felt rushed." not in page
    assert "Possible rupture" not in page


def test_what_nobody_agreed_to_pass_on_is_told_by_no_other_page(
    treatment: Treatment, charlie: Membership, as_alice: Browser, as_charlie: Browser
) -> None:
    """Neither the approach, nor what there is to erase in the treatment before, by kind and day."""
    treatment.approach = "EMDR after the accident"
    treatment.save()
    comment_on(treatment.therapy_sessions.latest("starts_at"), "I felt rushed.")
    walk(as_alice, treatment, FITS, consent(), handover(charlie))
    as_charlie.post("/sign-in/again/", {"password": PASSWORD})
    erase = as_charlie.get(reverse("erase_texts", args=[treatment.client_id]))
    assert erase.status_code == 200
    assert {each.key.split(".")[0] for each in erase.context["texts"]} <= {"clients"}
    for page in (erase, as_charlie.get(reverse("client", args=[treatment.client_id]))):
        assert "after the accident" not in page.text
    assert "after the accident" not in as_charlie.get("/caseload/").text


def test_comments_are_passed_on_word_for_word_where_agreed(
    treatment: Treatment, charlie: Membership, as_alice: Browser, as_charlie: Browser
) -> None:
    comment_on(treatment.therapy_sessions.latest("starts_at"), "I felt rushed.")
    walk(as_alice, treatment, FITS, consent("comments"), handover(charlie))
    page = shown(as_charlie.get(reverse("passed_on", args=[treatment.client_id])))
    assert "“I felt rushed.”" in page
    assert "Somebody who has time" not in page
    assert "Ratings of the treatment before" not in page


def test_until_the_day_of_the_move_a_flag_stays_and_then_it_has_moved(
    treatment: Treatment, charlie: Membership, as_alice: Browser
) -> None:
    walk(as_alice, treatment, FITS, consent(), handover(charlie, days=7))
    assert RuptureEpisode.objects.open().filter(treatment=treatment).exists()
    with time_machine.travel(timezone.now() + timedelta(days=7, minutes=1)):
        end_unrepaired(treatment.practice, at=timezone.now())
    episode = treatment.episodes.get()
    assert (episode.outcome, episode.outcome_reason) == ("moved", "Moved to Charlie Nowak.")


def test_a_comment_written_after_the_consent_is_not_passed_on(
    treatment: Treatment, charlie: Membership, as_alice: Browser, as_charlie: Browser
) -> None:
    rating = comment_on(treatment.therapy_sessions.latest("starts_at"), "For alice alone.")
    walk(as_alice, treatment, FITS, consent("comments"), handover(charlie))
    page = reverse("passed_on", args=[treatment.client_id])
    assert "For alice alone." in shown(as_charlie.get(page))
    day_before = timezone.localdate(rating.answered_at) - timedelta(days=1)
    Move.objects.update(agreed_on=day_before)
    assert "For alice alone." not in shown(as_charlie.get(page)), "arranged the day after"
    Move.objects.update(agreed_on=timezone.localdate())
    AllianceRating.objects.filter(id=rating.id).update(answered_at=timezone.now())
    assert "For alice alone." not in shown(as_charlie.get(page)), "written the same day, later"


@pytest.mark.parametrize(
    ("days_before", "hours_after", "is_read"), [(0, 1, False), (0, -1, True), (1, 1, True)]
)
def test_paper_of_the_day_of_the_consent_is_passed_on_if_it_was_entered_by_then(
    treatment: Treatment, charlie: Membership, as_alice: Browser, as_charlie: Browser,
    days_before: int, hours_after: int, is_read: bool,
) -> None:  # fmt: skip
    """Its day alone is known: what the client wrote in the evening was not there to agree to."""
    rating = comment_on(treatment.therapy_sessions.latest("starts_at"), "For alice alone.")
    walk(as_alice, treatment, FITS, consent("comments"), handover(charlie))
    now = timezone.now()
    AllianceRating.objects.filter(id=rating.id).update(
        answered_at=timezone.localtime().replace(hour=0, minute=0) - timedelta(days=days_before),
        entered_at=now + timedelta(hours=hours_after),
    )
    page = shown(as_charlie.get(reverse("passed_on", args=[treatment.client_id])))
    assert ("For alice alone." in page) is is_read


@pytest.mark.parametrize(
    "again",
    [
        {},
        {"talked_over_on": "2026-01-12"},
        {"passes_on": ["comments", "ratings"]},
        {"passes_on": ["comments"]},
        {"passes_on": ["comments", "ratings"], "agreed_how": "telephone"},
    ],
)
def test_a_step_that_is_saved_again_does_not_move_the_consent_past_what_came_later(
    treatment: Treatment, alice: Membership, charlie: Membership, again: dict[str, Any]
) -> None:
    rating = comment_on(treatment.therapy_sessions.latest("starts_at"), "For alice alone.")
    with time_machine.travel(timezone.localtime().replace(hour=12), tick=False) as clock:
        walk(signed_in(alice), treatment, FITS, consent("comments", "ratings"))
        clock.shift(timedelta(hours=1))
        AllianceRating.objects.filter(id=rating.id).update(answered_at=timezone.now())
        clock.shift(timedelta(hours=1))
        step = consent() if "passes_on" in again else FITS
        walk(signed_in(alice), treatment, step | again, handover(charlie))
        page = signed_in(charlie).get(reverse("passed_on", args=[treatment.client_id]))
    assert "comments" in Move.objects.get().passes_on
    assert "For alice alone." not in shown(page)


@pytest.mark.parametrize("by_paper", [False, True])
def test_what_was_written_on_the_day_of_a_consent_that_is_noted_the_day_after_stays_behind(
    treatment: Treatment, alice: Membership, charlie: Membership, by_paper: bool
) -> None:
    """Nobody knows at what time of the day they agreed; the form went out after that session."""
    rating = comment_on(treatment.therapy_sessions.latest("starts_at"), "For alice alone.")
    noon = timezone.localtime().replace(hour=12)
    yesterday = noon - timedelta(days=1)
    entered_at = noon - timedelta(hours=2) if by_paper else None
    AllianceRating.objects.filter(id=rating.id).update(answered_at=yesterday, entered_at=entered_at)
    with time_machine.travel(noon, tick=False):
        agreed = consent("comments") | {"agreed_on": yesterday.date().isoformat()}
        walk(signed_in(alice), treatment, FITS, agreed, handover(charlie))
        page = signed_in(charlie).get(reverse("passed_on", args=[treatment.client_id]))
    assert "comments" in Move.objects.get().passes_on
    assert "For alice alone." not in shown(page)


@pytest.mark.parametrize(("hour", "before"), [(12, ["ratings"]), (22, ["comments", "ratings"])])
def test_what_is_agreed_to_anew_passes_on_what_was_written_until_then(
    treatment: Treatment, alice: Membership, charlie: Membership, hour: int, before: list[str]
) -> None:
    """Another part, or another day."""
    rating = comment_on(treatment.therapy_sessions.latest("starts_at"), "For whoever comes.")
    then = timezone.localtime().replace(hour=hour, minute=30)
    with time_machine.travel(then, tick=False) as clock:
        walk(signed_in(alice), treatment, FITS, consent(*before))
        clock.shift(timedelta(hours=1))
        AllianceRating.objects.filter(id=rating.id).update(answered_at=timezone.now())
        clock.shift(timedelta(hours=1))
        walk(signed_in(alice), treatment, consent("comments", "ratings"), handover(charlie))
        page = signed_in(charlie).get(reverse("passed_on", args=[treatment.client_id]))
    assert "For whoever comes." in shown(page)


@pytest.mark.parametrize("saves", ["a day", "fewer parts", "another way"])
def test_whatever_is_saved_of_a_move_is_noticed_by_whoever_opened_it_before(
    treatment: Treatment, charlie: Membership, as_alice: Browser, saves: str
) -> None:
    walk(as_alice, treatment, FITS, consent("needs", "tried"))
    opened = Move.objects.get().version
    later = {
        "a day": FITS | {"talked_over_on": today()},
        "fewer parts": consent("needs"),
        "another way": consent("needs", "tried") | {"agreed_how": "telephone"},
    }
    walk(as_alice, treatment, later[saves])
    assert Move.objects.get().version != opened
    as_alice.post(address(treatment), handover(charlie) | {"version": opened})
    assert Move.objects.get().arranged_at is None


def test_ratings_that_were_agreed_to_are_passed_on_and_nothing_else_of_the_sessions(
    treatment: Treatment, charlie: Membership, as_alice: Browser, as_charlie: Browser
) -> None:
    sessions = list(treatment.therapy_sessions.order_by("starts_at"))
    missed, later = sessions[2], sessions[-1]
    missed.ratings.all().delete()
    type(missed).objects.filter(id=missed.id).update(attendance="late_cancellation")
    walk(as_alice, treatment, FITS, consent("ratings"), handover(charlie))
    page = reverse("passed_on", args=[treatment.client_id])
    assert 'fw-semibold">70<' in as_charlie.get(page).text
    AllianceRating.objects.filter(therapy_session=later).update(answered_at=timezone.now())
    read = as_charlie.get(page).text
    assert 'fw-semibold">90<' in read
    assert 'fw-semibold">70<' not in read, "answered after the consent"
    assert "cancelled late" not in read
    assert "No rating" not in read
    alliance = as_charlie.get(page).context["page"].chart
    assert [row.number for row in alliance.rows] == [7, 6, 5, 4, 3, 2, 1], "no number is left out"
    assert {(row.usual, row.note) for row in alliance.rows} == {("–", "")}
    assert alliance.wide.bands == ()
    assert "usually" not in alliance.summary
    assert "forming" not in read
    AllianceRating.objects.update(answered_at=timezone.now())
    assert 'fw-semibold">90<' not in as_charlie.get(page).text, (
        "none is left, and the page still opens"
    )


def test_access_changes_hands_on_the_day_of_the_move_and_not_before(
    treatment: Treatment, charlie: Membership, as_alice: Browser, as_charlie: Browser
) -> None:
    before = TherapySessionFactory.create(
        treatment=treatment, attendance="", starts_at=timezone.now() + timedelta(days=2)
    )
    after = TherapySessionFactory.create(
        treatment=treatment, attendance="", starts_at=timezone.now() + timedelta(days=9)
    )
    walk(as_alice, treatment, FITS, consent("needs"), handover(charlie, days=7))
    page = shown(as_alice.get(address(treatment)))
    assert "The client moves to Charlie Nowak on" in page
    assert FITS["tried"] in page, "what was typed can be copied"
    planned = treatment.therapy_sessions.planned()
    assert before in planned
    assert after not in planned
    assert not charlie.treatments.get().therapy_sessions.exists(), "they find a time of their own"
    own = Client.objects.treated_by
    assert own(treatment.therapist).exists()
    assert not own(charlie).exists()
    for page_of in ("client", "change_client", "who_looked", "records", "passed_on", "brief"):
        response = as_charlie.get(reverse(page_of, args=[treatment.client_id]))
        assert response.status_code == 404, page_of
    [arrival] = notices.unread(charlie)
    assert not arrival.said.url
    caseload = shown(as_charlie.get(reverse("caseload")))
    assert "A client moves to you from Alice Moreau on" in caseload
    assert treatment.client.code not in caseload
    assert "K. M." not in caseload
    with time_machine.travel(timezone.now() + timedelta(days=7, minutes=1)):
        assert notices.unread(charlie)[0].said.url == reverse("client", args=[treatment.client_id])
        assert not own(treatment.therapist).exists()
        assert own(charlie).get() == treatment.client
        assert Move.objects.passed_on_to(charlie).exists()


def test_the_new_therapist_is_told_in_the_app_and_by_code_from_the_day_on(
    treatment: Treatment, charlie: Membership, as_alice: Browser, as_charlie: Browser
) -> None:
    """Before it the mover would read in *Who looked* when the colleague works."""
    walk(as_alice, treatment, FITS, consent(), handover(charlie, days=9))
    [told] = notices.unread(charlie)
    assert told.said.text.startswith("A client moves to you from Alice Moreau on")
    as_charlie.get(reverse("caseload"))
    assert not AuditEntry.objects.filter(actor_id=charlie.id, client_ids__len__gt=0).exists()
    move = Move.objects.get()
    call_off_move(move=move, reason="No.", version=move.version, by=treatment.therapist)
    as_charlie.get(reverse("caseload"))
    assert not AuditEntry.objects.filter(actor_id=charlie.id, client_ids__len__gt=0).exists()
    walk(as_alice, treatment, FITS, consent(), handover(charlie))
    told, _off = sorted(notices.unread(charlie), key=lambda each: not each.said.url)
    assert told.said.url == reverse("client", args=[treatment.client_id])
    assert told.said.text.startswith(f"{treatment.client.code} moves to you from Alice Moreau on")


def test_changed_words_need_consent_again(
    treatment: Treatment, alice: Membership, as_alice: Browser
) -> None:
    walk(as_alice, treatment, FITS, consent("needs"))
    walk(as_alice, treatment, FITS)
    move = Move.objects.get()
    assert move.agreed_on, "the same words are still agreed to"
    walk(as_alice, treatment, FITS | {"needs": "Somebody else."})
    move.refresh_from_db()
    assert (move.agreed_on, move.passes_on) == (None, [])


def test_who_saves_second_sees_both_texts_and_consent_to_other_words_is_not_kept(
    treatment: Treatment, as_alice: Browser
) -> None:
    walk(as_alice, treatment, FITS)
    opened = Move.objects.get().version
    walk(as_alice, treatment, FITS | {"needs": "Somebody near the station.", "wishes": ["man"]})
    late = FITS | {"needs": "Somebody by telephone.", "version": opened}
    answer = as_alice.post(address(treatment), late)
    page = shown(answer)
    assert "Not saved yet: this was changed after you opened it." in page
    assert "Somebody by telephone." in page
    assert "Somebody near the station." in page
    assert Move.objects.get().needs == "Somebody near the station."
    consented = as_alice.post(
        address(treatment), consent("needs") | {"version": opened}, follow=True
    )
    assert "The move was changed meanwhile, so nothing was saved." in shown(consented)
    assert Move.objects.get().agreed_on is None
    again = late | {"version": answer.context["form"]["version"].value()}
    assert as_alice.post(address(treatment), again).status_code == 302
    assert Move.objects.get().needs == "Somebody by telephone."


def test_no_step_can_be_skipped(
    treatment: Treatment, charlie: Membership, as_alice: Browser
) -> None:
    page = shown(as_alice.post(address(treatment), handover(charlie)))
    assert "Write what the client needs now." in page
    walk(as_alice, treatment, FITS)
    page = shown(as_alice.post(address(treatment), handover(charlie)))
    assert "Give the day on which the client agreed." in page
    treatment.refresh_from_db()
    assert treatment.ends_on is None


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"to": ""}, "Choose who takes the client on."),
        ({"to": "alice"}, "is not one of the available choices"),
        ({"to": "dora"}, "is not one of the available choices"),
        ({"moves_on": ""}, "Give the day of the move."),
        ({"moves_on": "-1"}, "Choose today or a day within a year."),
        ({"moves_on": "400"}, "Choose today or a day within a year."),
    ],
)
def test_a_handover_with_something_wrong_changes_nothing(
    treatment: Treatment,
    alice: Membership,
    charlie: Membership,
    dora: Membership,
    as_alice: Browser,
    typed: dict[str, str],
    said: str,
) -> None:
    walk(as_alice, treatment, FITS, consent())
    people = {"alice": str(alice.id), "dora": str(dora.id)}
    changed = {name: people.get(value, value) for name, value in typed.items()}
    if (days := changed.get("moves_on", "")) != "":
        changed["moves_on"] = today(int(days))
    page = as_alice.post(address(treatment), handover(charlie) | changed)
    assert said in shown(page)
    treatment.refresh_from_db()
    assert treatment.ends_on is None
    assert Move.objects.get().arranged_at is None


def test_who_has_just_joined_takes_a_client_on_once_seven_days_are_over(
    as_alice: Browser, treatment: Treatment, charlie: Membership
) -> None:
    charlie.joined_at = timezone.now()
    charlie.save()
    Practice.objects.update(created_at=timezone.now() - timedelta(days=30))
    walk(as_alice, treatment, FITS, consent())
    early = handover(charlie, days=6) | {"version": Move.objects.get().version}
    refused = shown(as_alice.post(address(treatment), early))
    assert "Charlie Nowak joined less than seven days ago" in refused
    assert Move.objects.get().arranged_at is None
    walk(as_alice, treatment, handover(charlie, days=7))
    assert Move.objects.get().arranged_at


def arrange_today(move: Move, *, to: Membership) -> Treatment:
    return arrange_move(
        move=move,
        to=to,
        moves_on=timezone.localdate(),
        meeting_on=None,
        version=move.version,
        by=move.treatment.therapist,
    )


def test_a_client_is_given_to_nobody_whose_place_was_closed_as_the_form_waited(
    as_alice: Browser, treatment: Treatment, charlie: Membership
) -> None:
    walk(as_alice, treatment, FITS, consent())
    move = Move.objects.get()
    Membership.objects.filter(id=charlie.id).update(is_active=False)
    with pytest.raises(CannotHandOver, match="treats nobody here any more"):
        arrange_today(move, to=charlie)
    assert Treatment.objects.get().ends_on is None


def test_an_arranged_move_stays_as_it_is(
    treatment: Treatment, alice: Membership, charlie: Membership, as_alice: Browser
) -> None:
    walk(as_alice, treatment, FITS, consent("needs"), handover(charlie, days=7))
    page = shown(as_alice.post(address(treatment), FITS | {"needs": "Too late"}))
    assert "The client moves to Charlie Nowak on" in page
    assert FITS["tried"] in page, "what was typed can be copied"
    move = Move.objects.get()
    for act in (
        lambda: arrange_today(move, to=charlie),
        lambda: record_consent(
            move=move,
            passes_on=[],
            agreed_on=timezone.localdate(),
            agreed_how="in_room",
            version=move.version,
            by=alice,
        ),
        lambda: save_what_fits(
            treatment=treatment,
            needs="",
            wishes=[],
            language="",
            tried="",
            talked_over_on=None,
            version=move.version,
            by=alice,
        ),
    ):
        with pytest.raises(AlreadyArranged):
            act()
    assert Treatment.objects.count() == 2


def test_colleagues_are_suggested_by_room_and_fit_and_never_by_ratings(
    treatment: Treatment, alice: Membership, charlie: Membership, practice: Any
) -> None:
    names = ("Anna", "Bea", "Cleo")
    anna, bea, cleo = (MembershipFactory.create(practice=practice, name=name) for name in names)
    Offer.objects.create(practice=practice, member=bea, has_room=True, offers=["evenings"])
    Offer.objects.create(
        practice=practice,
        member=cleo,
        has_room=True,
        offers=["evenings", "woman"],
        languages=["pl"],
    )
    Offer.objects.create(practice=practice, member=anna, offers=["evenings", "woman"])
    move = Move(practice=practice, treatment=treatment, wishes=["woman", "evenings"], language="pl")

    def order() -> list[str]:
        return [each.member.name for each in colleagues_for(move, therapist=alice)]

    assert order() == ["Cleo", "Bea", "Anna", "Charlie Nowak"]
    assert colleagues_for(move, therapist=alice)[1].said == (
        "Has room. Fits: Evening sessions. Not said: A woman, Polish."
    )
    TreatmentFactory.create(therapist=bea, pomps=[100, 100, 100, 100])
    TreatmentFactory.create(therapist=cleo, falling=True)
    assert AllianceRating.objects.exists()
    assert order() == ["Cleo", "Bea", "Anna", "Charlie Nowak"]


def test_the_outcome_moved_leads_to_the_three_steps(
    treatment: Treatment, as_alice: Browser
) -> None:
    episode = treatment.episodes.get()
    response = as_alice.post(reverse("record_outcome", args=[episode.id]), {"outcome": "moved"})
    assert response.headers["Location"] == address(treatment)
    assert RuptureEpisode.objects.get().outcome == ""


def test_strangers_and_supervisors_do_not_move_clients(
    treatment: Treatment, as_charlie: Browser, as_dora: Browser, as_sam: Browser, as_mona: Browser
) -> None:
    assert as_charlie.post(address(treatment), FITS).status_code == 404
    assert as_dora.get(address(treatment)).status_code == 404
    assert as_sam.get(address(treatment)).status_code == 403
    assert as_mona.get(address(treatment)).status_code == 403
    for browser in (as_charlie, as_dora, as_sam):
        passed_on = reverse("passed_on", args=[treatment.client_id])
        assert browser.get(passed_on).status_code in (403, 404)
    assert not Move.objects.exists()


def test_a_therapist_says_what_they_can_offer(
    charlie: Membership, as_charlie: Browser, as_sam: Browser
) -> None:
    typed = {
        "has_room": "on",
        "offers": ["evenings"],
        "languages": ["pl", "en-gb"],
        "words": "Also walks.",
    }
    assert as_charlie.post(reverse("offer"), typed).status_code == 302
    offer = Offer.objects.get()
    assert (offer.member, offer.has_room, offer.offers) == (charlie, True, ["evenings"])
    page = shown(as_charlie.get(reverse("offer")))
    assert "Also walks." in page
    assert page.index("Polish") < page.index("Afrikaans"), "chosen ones come first"
    assert as_charlie.post(reverse("offer"), {"offers": ["gossip"]}).status_code == 200
    assert as_sam.get(reverse("offer")).status_code == 403
