"""A treatment is closed with a review, and can begin again."""

import re
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.accounts import notices
from apps.accounts.models import Membership, Notice, Practice, Role, Supervision
from apps.accounts.services import (
    change_roles,
    deactivate_member,
    end_supervision,
    start_supervision,
)
from apps.alliance.models import AllianceRating
from apps.clients.handing_over import pass_on
from apps.clients.models import Client, Treatment, TwoPersonRequest
from apps.core import outbox
from apps.core.models import OutboxMessage
from apps.endings.models import Ending
from apps.endings.services import (
    arrange_move,
    call_off_move,
    close_treatment,
    hand_over,
    record_consent,
    reopen_treatment,
    save_what_fits,
)
from apps.exchange.rights import erase_client
from apps.exchange.two_people import ask_to_erase
from apps.feedback.lifecycle import end_requests, expire_request, fresh_link_channel
from apps.feedback.messages import render_feedback_request
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import practice_questionnaire, request_feedback
from apps.ruptures.models import RuptureEpisode
from tests.accounts.conftest import shown
from tests.at_once import at_once
from tests.factories import TherapySessionFactory, TreatmentFactory
from tests.feedback.conftest import Phone, answers, link_of

pytestmark = pytest.mark.django_db
TODAY = timezone.localdate
REVIEW = {"how": "agreed", "review": "We found our way back twice."}


@pytest.fixture(autouse=True)
def midday() -> Iterator[None]:
    """A form that is due today is due before tomorrow, at whatever hour the tests run."""
    noon = timezone.localtime().replace(hour=12, minute=0)
    with time_machine.travel(noon):
        yield


@pytest.fixture
def treatment(alice: Membership) -> Treatment:
    treatment = TreatmentFactory.create(therapist=alice, falling=True)
    TherapySessionFactory.create(
        treatment=treatment, attendance="", starts_at=timezone.now() + timedelta(days=6)
    )
    return treatment


@pytest.fixture
def request_to_client(treatment: Treatment) -> FeedbackRequest:
    return request_feedback(
        therapy_session=TherapySessionFactory.create(treatment=treatment),
        questionnaire=practice_questionnaire(treatment.practice),
        channel_kind="email",
        by=None,
    )


def address(treatment: Treatment) -> str:
    return reverse("close_treatment", args=[treatment.client_id])


def test_the_page_looks_back_before_anything_ends(treatment: Treatment, as_alice: Browser) -> None:
    begun = timezone.now() - timedelta(minutes=1)
    TherapySessionFactory.create(treatment=treatment, attendance="", starts_at=begun)
    page = shown(as_alice.get(address(treatment)))
    said = re.sub(r"<[^>]+>|\s+", " ", page)
    assert re.search(r"Sessions held\s+9", said)
    assert re.search(r"Possible ruptures\s+1, 0 repaired", said)
    assert "An episode is open." in page
    assert "1 planned session is called off" in page
    treatment.refresh_from_db()
    assert treatment.ends_on is None


def test_closing_ends_access_episode_plans_and_unsent_messages(
    treatment: Treatment, request_to_client: FeedbackRequest, as_alice: Browser
) -> None:
    assert as_alice.post(address(treatment), REVIEW)["Location"] == reverse("caseload")
    treatment.refresh_from_db()
    assert treatment.ends_on == timezone.localdate()
    assert as_alice.get(reverse("client", args=[treatment.client_id])).status_code == 404
    episode = RuptureEpisode.objects.get()
    assert (episode.outcome, episode.outcome_reason) == (
        "ended_unrepaired",
        "The treatment ended.",
    )
    assert not treatment.therapy_sessions.planned().exists()
    request_to_client.refresh_from_db()
    assert request_to_client.state == FeedbackRequest.State.CANCELLED
    assert {each.state for each in OutboxMessage.objects.all()} == {OutboxMessage.State.CANCELLED}
    assert mail.outbox == []


def test_a_form_that_is_out_ends_with_the_treatment_and_supervisors_are_told(
    treatment: Treatment, request_to_client: FeedbackRequest, sam: Membership, as_alice: Browser
) -> None:
    OutboxMessage.objects.update(state=OutboxMessage.State.SENT, sent_at=timezone.now())
    as_alice.post(address(treatment), REVIEW)
    page = Phone().post(link_of(request_to_client), answers(comment="I felt hurt."))
    assert "The form was withdrawn." in shown(page)
    assert "I felt hurt." in shown(page), "theirs to keep"
    request_to_client.refresh_from_db()
    assert request_to_client.state == FeedbackRequest.State.CANCELLED
    assert fresh_link_channel(request_to_client) is None
    said = [each.said.text for each in notices.unread(sam)]
    assert [
        text for text in said if text.startswith("A form of a client was waiting for an answer")
    ]
    assert not [text for text in said if treatment.client.code in text], "not theirs any more"


def test_supervisors_are_told_of_each_form_that_ends_with_a_treatment(
    treatment: Treatment,
    request_to_client: FeedbackRequest,
    sam: Membership,
    charlie: Membership,
    alice: Membership,
) -> None:
    """One that a move for tomorrow would have cut short, and, the move called off, by closing."""
    OutboxMessage.objects.update(state=OutboxMessage.State.SENT, sent_at=timezone.now())
    move = save_what_fits(
        treatment=treatment, needs="x", wishes=[], language="", tried="x", talked_over_on=None,
        version="", by=alice,
    )  # fmt: skip
    for act, values in (
        (record_consent, {"passes_on": [], "agreed_on": TODAY(), "agreed_how": "in_room"}),
        (
            arrange_move,
            {"to": charlie, "moves_on": TODAY() + timedelta(days=1), "meeting_on": None},
        ),
        (call_off_move, {"reason": "She stays."}),
    ):
        act(move=move, version=move.version, by=alice, **values)
        move.refresh_from_db()
        for told in told_of_forms(sam):
            assert told.said.text.startswith(f"{treatment.client.code}: a form was waiting")
            assert told.said.client_id == treatment.client_id
            notices.mark_read(notice=Notice.objects.get(id=told.id))
    assert Notice.objects.filter(kind="form_ended").exclude(read_at=None).count() == 1
    close_treatment(treatment=treatment, how="agreed", review="", by=alice)
    assert len(told_of_forms(sam)) == 1
    erase_client(client=treatment.client, by=alice)
    assert not told_of_forms(sam), "no agenda speaks of who was erased"


def test_who_supervises_again_is_told_of_no_form_that_ended_before(
    treatment: Treatment, request_to_client: FeedbackRequest,
    sam: Membership, alice: Membership, mona: Membership,
) -> None:  # fmt: skip
    """As of a flag that went: no agenda of the new supervision names the client."""
    OutboxMessage.objects.update(state=OutboxMessage.State.SENT, sent_at=timezone.now())
    close_treatment(treatment=treatment, how="agreed", review="", by=alice)
    assert told_of_forms(sam)
    end_supervision(supervision=Supervision.objects.get(), ends_on=TODAY(), by=mona)
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        start_supervision(supervisor=sam, supervisee=alice, starts_on=TODAY(), by=mona)
        assert not told_of_forms(sam)


def told_of_forms(member: Membership) -> list[notices.ShownNotice]:
    return [each for each in notices.unread(member) if "no longer be answered" in each.said.text]


@pytest.mark.django_db(transaction=True)
def test_of_closing_and_an_answer_at_once_neither_fails(
    request_to_client: FeedbackRequest, alice: Membership, as_alice: Browser
) -> None:
    treatment = request_to_client.therapy_session.treatment
    OutboxMessage.objects.update(state=OutboxMessage.State.SENT, sent_at=timezone.now())
    form = link_of(request_to_client)
    closed, answered = at_once(
        partial(as_alice.post, address(treatment), REVIEW),
        partial(Phone().post, form, answers(comment="Mine."), follow=True),
    )
    assert closed.status_code == 302
    request_to_client.refresh_from_db()
    if request_to_client.state == FeedbackRequest.State.ANSWERED:
        assert answered.redirect_chain
    else:
        assert "The form was withdrawn." in shown(answered)
        assert "Mine." in shown(answered)


@pytest.mark.parametrize("moment", ["sent_at", "doubted_at"])
def test_where_the_treatment_ends_later_its_forms_end_with_it(
    treatment: Treatment, request_to_client: FeedbackRequest, charlie: Membership,
    alice: Membership, moment: str,
) -> None:  # fmt: skip
    """Those whose message may be out as well."""
    state = "sent" if moment == "sent_at" else "failed"
    OutboxMessage.objects.update(**{"state": state, moment: timezone.now()})
    tomorrow = timezone.localdate() + timedelta(days=1)
    pass_on(treatment, to=charlie, on=tomorrow, by=alice)
    treatment.refresh_from_db()
    assert end_requests(treatment), "the client has less time"
    request_to_client.refresh_from_db()
    assert request_to_client.state == FeedbackRequest.State.OPEN
    assert request_to_client.expires_at == treatment.ends_at
    with time_machine.travel(request_to_client.expires_at + timedelta(minutes=1)):
        expire_request(request_id=request_to_client.id)
    request_to_client.refresh_from_db()
    assert request_to_client.state == FeedbackRequest.State.CANCELLED
    request_to_client.therapy_session.refresh_from_db()
    assert not request_to_client.therapy_session.asked, "no silence of the client's"


@pytest.mark.parametrize("changed", [{"is_active": False}, {"roles": ["supervisor"]}])
def test_no_form_is_taken_or_sent_while_nobody_works_here_as_its_therapist(
    treatment: Treatment,
    request_to_client: FeedbackRequest,
    alice: Membership,
    changed: dict[str, Any],
) -> None:
    FeedbackRequest.objects.update(due_at=timezone.now())
    Membership.objects.filter(id=alice.id).update(**changed)
    with pytest.raises(outbox.NothingToSend):
        render_feedback_request(request_to_client.id)
    page = Phone().post(link_of(request_to_client), answers(comment="Mine."))
    assert "This link has ended" in shown(page)
    assert not AllianceRating.objects.filter(
        therapy_session=request_to_client.therapy_session
    ).exists()


def test_no_form_is_taken_whose_treatment_is_over_whatever_left_it_open(
    treatment: Treatment, request_to_client: FeedbackRequest
) -> None:
    FeedbackRequest.objects.update(due_at=timezone.now())
    Treatment.objects.filter(id=treatment.id).update(ends_on=TODAY())
    page = Phone().post(link_of(request_to_client), answers(comment="Mine."))
    assert "This link has ended" in shown(page)
    assert not AllianceRating.objects.filter(
        therapy_session=request_to_client.therapy_session
    ).exists()


def test_no_message_about_an_ended_treatment_is_written(
    treatment: Treatment, request_to_client: FeedbackRequest
) -> None:
    FeedbackRequest.objects.update(due_at=timezone.now())
    assert render_feedback_request(request_to_client.id)
    Treatment.objects.update(ends_on=timezone.localdate())
    with pytest.raises(outbox.NothingToSend):
        render_feedback_request(request_to_client.id)


def test_a_handed_over_caseload_takes_sessions_along_and_withdraws_what_was_not_sent(
    treatment: Treatment, request_to_client: FeedbackRequest, charlie: Membership, mona: Membership
) -> None:
    hand_over([treatment], to=charlie, by=mona)
    assert not treatment.therapy_sessions.planned().exists()
    assert charlie.treatments.get().therapy_sessions.planned().count() == 1
    request_to_client.refresh_from_db()
    assert request_to_client.state == FeedbackRequest.State.CANCELLED


def test_a_review_needs_a_word_about_how_it_ended_and_loses_nothing(
    treatment: Treatment, as_alice: Browser
) -> None:
    page = shown(as_alice.post(address(treatment), {"review": REVIEW["review"]}))
    assert "Choose how it ended." in page
    assert REVIEW["review"] in page
    assert not Ending.objects.exists()


def test_closing_twice_is_closing_once(treatment: Treatment, alice: Membership) -> None:
    first, again = (
        close_treatment(treatment=treatment, how="agreed", review="First", by=alice)
        for _ in range(2)
    )
    assert again == first


@pytest.mark.parametrize("by_word_of", ["therapist", "practice"])
def test_who_goes_to_somebody_else_later_is_not_closed_before(
    treatment: Treatment, as_alice: Browser, alice: Membership, charlie: Membership, by_word_of: str
) -> None:
    day = TODAY() + timedelta(days=10)
    if by_word_of == "therapist":
        why = "call the move off first."
        move = save_what_fits(
            treatment=treatment, needs="x", wishes=[], language="", tried="x", talked_over_on=None,
            version="", by=alice,
        )  # fmt: skip
        agreed = {"passes_on": [], "agreed_on": TODAY(), "agreed_how": "in_room"}
        record_consent(move=move, version=move.version, by=alice, **agreed)
        move.refresh_from_db()
        arrange_move(
            move=move, to=charlie, moves_on=day, meeting_on=None, version=move.version, by=alice
        )
    else:
        why = "as the practice decided."
        pass_on(treatment, to=charlie, on=day, by=alice)
    page = shown(as_alice.post(address(treatment), REVIEW))
    assert why in page
    assert REVIEW["review"] in page
    assert not Ending.objects.exists()
    treatment.refresh_from_db()
    assert treatment.ends_on == day


@pytest.mark.django_db(transaction=True)
def test_of_two_reviews_at_once_one_is_kept_and_the_other_given_back(
    treatment: Treatment, as_alice: Browser
) -> None:
    reviews = "First", "Second"
    answers = at_once(
        *(
            partial(as_alice.post, address(treatment), {"how": "agreed", "review": review})
            for review in reviews
        )
    )
    kept = Ending.objects.get().review
    for review, answer in zip(reviews, answers, strict=True):
        if review == kept:
            assert answer.status_code == 302
        else:
            assert answer.status_code in {404, 409}
            assert review in shown(answer)


def test_a_closed_treatment_is_a_code_that_can_begin_again(
    treatment: Treatment, as_alice: Browser
) -> None:
    as_alice.post(address(treatment), REVIEW)
    page = shown(as_alice.get(reverse("ended_treatments")))
    assert treatment.client.code in page
    assert treatment.client.initials not in page
    assert REVIEW["review"] not in page
    response = reopen(as_alice)
    assert response["Location"] == reverse("client", args=[treatment.client_id])
    new = Treatment.objects.current(on=timezone.localdate()).get()
    assert (new.starts_on, new.therapist) == (timezone.localdate(), treatment.therapist)
    assert not new.screenings.exists(), "a new baseline"
    page = shown(as_alice.get(response["Location"]))
    assert "We found our way back twice." in page
    assert "Rated 70" not in page


def reopen(browser: Browser) -> Any:
    ending = Ending.objects.get()
    return browser.post(reverse("reopen_treatment", args=[ending.id]))


@pytest.mark.parametrize("first", ["charlie", "alice"])
def test_what_was_closed_on_the_day_on_which_the_client_came_begins_again(
    alice: Membership, charlie: Membership, mona: Membership, as_alice: Browser, first: str
) -> None:
    """Recorded by a colleague and handed over, or handed on by mistake and taken back."""
    treatment = TreatmentFactory.create(therapist=alice if first == "alice" else charlie)
    if first == "alice":
        hand_over([treatment], to=charlie, by=mona)
    else:
        Treatment.objects.update(starts_on=TODAY())
    hand_over(list(charlie.treatments.all()), to=alice, by=mona)
    as_alice.post(address(treatment), REVIEW)
    assert reopen(as_alice)["Location"] == reverse("client", args=[treatment.client_id])
    assert Treatment.objects.conducted_by(alice).exists()


def test_what_a_colleague_closed_earlier_that_day_did_not_come_since(
    alice: Membership, charlie: Membership, mona: Membership, as_alice: Browser
) -> None:
    theirs = TreatmentFactory.create(therapist=charlie, starts_on=TODAY())
    ending = close_treatment(treatment=theirs, how="agreed", review="", by=charlie)
    hand_over([reopen_treatment(ending=ending, by=charlie)], to=alice, by=mona)
    as_alice.post(address(theirs), REVIEW)
    assert len(as_alice.get(reverse("ended_treatments")).context["endings"]) == 1


@pytest.mark.parametrize("days", [0, 30])
def test_who_is_to_come_back_is_named_on_no_page_before_that_day(
    treatment: Treatment, alice: Membership, charlie: Membership, as_alice: Browser, days: int
) -> None:
    """Or *Who looked* would tell who treats them until then when the colleague works."""
    as_alice.post(address(treatment), REVIEW)
    reopen(as_alice)
    again = Treatment.objects.current(on=TODAY()).get()
    with_charlie = pass_on(again, to=charlie, on=TODAY(), by=alice)
    pass_on(with_charlie, to=alice, on=TODAY() + timedelta(days=days), by=charlie)
    endings = as_alice.get(reverse("ended_treatments")).context["endings"]
    assert bool(endings) is (days == 0)


def test_a_client_who_is_in_treatment_does_not_begin_again(
    treatment: Treatment, alice: Membership, as_alice: Browser
) -> None:
    as_alice.post(address(treatment), REVIEW)
    TreatmentFactory.create(therapist=alice, client=treatment.client)
    assert reopen(as_alice)["Location"] == reverse("ended_treatments")
    page = shown(as_alice.get(reverse("ended_treatments")))
    assert "This client is in treatment already" in page, "from a page that was opened before"
    assert ("Begin again" in page, "In treatment again" in page) == (False, True)
    assert Treatment.objects.count() == 2


def test_who_has_gone_to_somebody_else_since_is_not_taken_back(
    treatment: Treatment, alice: Membership, charlie: Membership, as_alice: Browser
) -> None:
    as_alice.post(address(treatment), REVIEW)
    reopen(as_alice)
    again = Treatment.objects.current(on=timezone.localdate()).get()
    with_charlie = pass_on(again, to=charlie, on=timezone.localdate(), by=alice)
    close_treatment(treatment=with_charlie, how="agreed", review="", by=charlie)
    begin_again = reverse("reopen_treatment", args=[Ending.objects.get(closed_by=alice).id])
    assert begin_again not in shown(as_alice.get(reverse("ended_treatments")))
    assert as_alice.post(begin_again).status_code == 404
    assert not Treatment.objects.not_ended(on=timezone.localdate()).exists()


def test_a_client_whose_data_may_not_be_processed_does_not_begin_again(
    as_alice: Browser, treatment: Treatment, mona: Membership
) -> None:
    """Else who closed the treatment lifts what the record holder has set at the client's wish."""
    as_alice.post(address(treatment), REVIEW)
    Client.objects.update(restricted_at=timezone.now())
    Practice.objects.update(record_holder=mona)
    reopen(as_alice)
    page = shown(as_alice.get(reverse("ended_treatments")))
    assert "record holder can lift that; nothing was changed" in page
    assert not Treatment.objects.filter(ends_on=None).exists()
    Practice.objects.update(record_holder=None)
    reopen(as_alice)
    assert Treatment.objects.filter(ends_on=None).exists(), "nobody else could lift it"
    assert Client.objects.get().restricted_at


def test_a_client_whom_it_is_asked_to_erase_does_not_begin_again(
    as_alice: Browser, treatment: Treatment, mona: Membership
) -> None:
    """Else who closed the treatment undoes by one click what two people were asked for."""
    as_alice.post(address(treatment), REVIEW)
    Practice.objects.update(record_holder=mona)
    asked = ask_to_erase(client=treatment.client, by=mona)
    reopen(as_alice)
    page = shown(as_alice.get(reverse("ended_treatments")))
    assert "that request has to be withdrawn first; nothing was changed" in page
    assert not Treatment.objects.filter(ends_on=None).exists()
    TwoPersonRequest.objects.filter(id=asked.id).update(closed_at=timezone.now(), closed_by=mona)
    reopen(as_alice)
    assert Treatment.objects.filter(ends_on=None).exists()


def test_a_client_whom_an_earlier_therapist_wished_to_erase_begins_again(
    as_charlie: Browser,
    treatment: Treatment,
    alice: Membership,
    charlie: Membership,
    mona: Membership,
) -> None:
    """That wish has lapsed with their treatment: nobody could confirm it."""
    ask_to_erase(client=treatment.client, by=alice)
    hand_over([treatment], to=charlie, by=mona)
    as_charlie.post(address(charlie.treatments.get()), REVIEW)
    reopen(as_charlie)
    assert charlie.treatments.filter(ends_on=None).exists()


def test_a_client_whose_erasure_rapport_proposed_does_not_begin_again(
    as_alice: Browser, treatment: Treatment
) -> None:
    as_alice.post(address(treatment), REVIEW)
    TwoPersonRequest.objects.create(
        practice=treatment.practice,
        kind=TwoPersonRequest.Kind.ERASE_CLIENT,
        client=treatment.client,
        is_proposal=True,
        requested_at=timezone.now(),
    )
    reopen(as_alice)
    assert not Treatment.objects.filter(ends_on=None).exists()


@pytest.mark.parametrize("holds_records", [False, True])
def test_who_begins_again_has_not_asked_for_the_clients_erasure_any_more(
    as_alice: Browser, treatment: Treatment, alice: Membership, holds_records: bool
) -> None:
    """The wish had lapsed with the treatment; any colleague's click would carry it out."""
    if holds_records:
        Practice.objects.update(record_holder=alice)
    asked = ask_to_erase(client=treatment.client, by=alice)
    as_alice.post(address(treatment), REVIEW)
    reopen(as_alice)
    assert Treatment.objects.filter(ends_on=None).exists()
    asked.refresh_from_db()
    assert (asked.closed_by, asked.is_carried_out) == (alice, False)


@pytest.mark.parametrize("holds_records", [False, True])
@pytest.mark.parametrize("way", ["place", "role"])
def test_who_is_let_in_again_has_not_asked_for_a_clients_erasure_any_more(
    treatment: Treatment, alice: Membership, mona: Membership, way: str, holds_records: bool
) -> None:
    if holds_records:
        Practice.objects.update(record_holder=alice)
        mona.practice.refresh_from_db()
    asked = ask_to_erase(client=treatment.client, by=alice)
    if way == "place":
        deactivate_member(member=alice, by=mona)
    else:
        change_roles(member=alice, roles=[Role.SUPERVISOR], by=mona)
    asked.refresh_from_db()
    assert (asked.closed_by, asked.is_carried_out) == (mona, False)


def test_who_gets_a_client_back_has_not_asked_for_their_erasure_any_more(
    treatment: Treatment, alice: Membership, charlie: Membership, mona: Membership
) -> None:
    asked = ask_to_erase(client=treatment.client, by=alice)
    hand_over([treatment], to=charlie, by=mona)
    asked.refresh_from_db()
    assert asked.closed_at is None, "it has lapsed, and holds for nobody"
    hand_over(list(charlie.treatments.all()), to=alice, by=mona)
    asked.refresh_from_db()
    assert asked.closed_at


def test_an_erased_client_does_not_begin_again(
    treatment: Treatment, mona: Membership, as_alice: Browser
) -> None:
    as_alice.post(address(treatment), REVIEW)
    erase_client(client=treatment.client, by=mona)
    assert reopen(as_alice).status_code == 404
    assert as_alice.get(reverse("ended_treatments")).context["endings"] == []


def test_nobody_else_closes_reads_or_reopens(
    treatment: Treatment,
    alice: Membership,
    as_charlie: Browser,
    as_dora: Browser,
    as_sam: Browser,
    as_mona: Browser,
) -> None:
    assert as_charlie.post(address(treatment), REVIEW).status_code == 404
    assert as_dora.post(address(treatment), REVIEW).status_code == 404
    assert as_sam.post(address(treatment), REVIEW).status_code == 403
    assert as_mona.post(address(treatment), REVIEW).status_code == 403
    close_treatment(treatment=treatment, how="agreed", review="Mine", by=alice)
    assert reopen(as_charlie).status_code == 404
    assert reopen(as_mona).status_code == 403
    assert treatment.client.code not in shown(as_charlie.get(reverse("ended_treatments")))


def test_a_page_asks_as_often_for_twenty_ended_treatments_as_for_two(
    alice: Membership, as_alice: Browser
) -> None:
    def queries(count: int) -> int:
        for _ in range(count):
            close_treatment(
                treatment=TreatmentFactory.create(therapist=alice),
                how="agreed",
                review="",
                by=alice,
            )
        with CaptureQueriesContext(connection) as seen:
            as_alice.get(reverse("ended_treatments"))
        return len(seen)

    assert queries(2) == queries(18)
