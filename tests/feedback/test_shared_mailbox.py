"""One mailbox, recorded for several clients of a practice."""

import re
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.accounts import notices
from apps.accounts.models import Membership, Notice
from apps.alliance.models import AllianceRating
from apps.clients.handing_over import pass_on
from apps.clients.models import Client, ContactChannel, Treatment
from apps.clients.services import stop_channel
from apps.core import carriers, outbox, tenancy
from apps.core.carriers import RenderedMessage
from apps.core.models import OutboxMessage
from apps.exchange.rights import erase_client
from apps.feedback import client_views
from apps.feedback.messages import render_feedback_request
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import practice_questionnaire, request_feedback
from apps.feedback.tokens import ROOM, make_token
from tests.conftest import signed_in
from tests.factories import (
    ClientFactory,
    MembershipFactory,
    TherapySessionFactory,
    TreatmentFactory,
)
from tests.feedback.conftest import answers, link_of
from tests.feedback.test_client_form import away, hidden, shown
from tests.feedback.test_details import details, page_of

Reason = ContactChannel.StopReason
READER_STOPS = [Reason.STOPPED, Reason.COMPLAINED, Reason.NOT_MINE]
MAILBOX = "one@mail.example"
SAID_STOPPED = "The client stopped messages"


@pytest.fixture
def first(charlie: Membership) -> Client:
    """Charlie's client, who is reached at the mailbox."""
    client = ClientFactory.create(practice=charlie.practice, email=MAILBOX, code="FE-0102")
    TreatmentFactory.create(therapist=charlie, client=client)
    return client


@pytest.fixture
def dual(charlie: Membership) -> Membership:
    """Who manages the practice, and treats clients."""
    roles = ["therapist", "manager"]
    return MembershipFactory.create(practice=charlie.practice, name="Dana Kaya", roles=roles)


@pytest.fixture
def second(alice: Membership) -> Client:
    """Alice's client, who is reached elsewhere."""
    client = ClientFactory.create(practice=alice.practice, email="two@mail.example", code="FE-0150")
    TreatmentFactory.create(therapist=alice, client=client)
    return client


def stop(client: Client, why: Reason = Reason.STOPPED) -> None:
    stop_channel(channel=client.channels.get(), why=why, by=None)


def ask(client: Client, way: str = "email") -> FeedbackRequest:
    return request_feedback(
        therapy_session=TherapySessionFactory.create(treatment=client.treatments.get()),
        questionnaire=practice_questionnaire(client.practice),
        channel_kind=way,
        by=None,
    )


def added(**changes: object) -> dict[str, object]:
    """A new client, reached at the mailbox."""
    return {
        "initials": "R. B.", "code": "FE-0191", "language": "en-gb", "country": "GB",
        "time_zone": "Europe/London", "discussed_on": timezone.localdate().isoformat(),
        "consent": "agreed", "email": MAILBOX, "email_safe": "yes", "minutes": "50",
        "every_weeks": "1", "count": "3",
    } | changes  # fmt: skip


def shared(client: Client, typed: str = MAILBOX) -> None:
    """It is reached at the mailbox as well, however that came."""
    channel = client.channels.get()
    channel.address = typed
    channel.save()


def send_to(client: Client) -> FeedbackRequest:
    """The message that asks, once more where the form is open already, is out."""
    opened = FeedbackRequest.objects.of(client).filter(state=FeedbackRequest.State.OPEN)
    asked = opened.first() or ask(client)
    rendered = render_feedback_request(asked.id)
    assert rendered.note_out
    rendered.note_out()
    return asked


def form_of(client: Client) -> Any:
    return Browser().get(link_of(ask(client)))


def codes_told(member: Membership) -> list[str]:
    return [each.said.text for each in notices.unread(member)]


SAID = " has or had one mailbox with {}: ask their therapists whether that is right."
# The smaller of two random ids comes first.
ONE_OF_BOTH = [[one + SAID.format(other)] for one, other in permutations(["FE-0102", "FE-0150"])]


def test_where_two_therapists_clients_have_one_mailbox_each_form_says_whose_session_it_is_about(
    first: Client, second: Client
) -> None:
    page = link_of(ask(first))
    assert "about your session with" not in shown(Browser().get(page))
    shared(second)
    assert "This is about your session with Charlie." in shown(Browser().get(page))
    link = link_of(ask(second))
    assert "This is about your session with Alice." in shown(Browser().get(link))
    refused = Browser().post(link, answers(item_heard="11"))
    assert "This is about your session with Alice." in shown(refused)
    for told_apart_from in ("FE-0", "Moreau", "Charlie", MAILBOX):
        assert told_apart_from not in refused.content.decode()


@pytest.mark.parametrize("way", ["email", "text"])
def test_a_form_names_nobody_for_a_mailbox_that_it_did_not_go_to(
    first: Client, second: Client, way: str
) -> None:
    """Else who reads the one learns whether a colleague has the other."""
    for client in (first, second):
        ContactChannel.objects.create(
            practice=client.practice, client=client, kind="text", address="+447400123456",
            safe_to_contact=True,
        )  # fmt: skip
    page = shown(Browser().get(link_of(ask(second, way), way=way)))
    assert ("This is about your session with Alice." in page) is (way == "text")


@pytest.mark.parametrize(("name", "said"), [
    ("Alice Nowak", "Alice Nowak"), ("Dr Alice Nowak", "Dr Alice Nowak"), ("C. Nowak", "C. Nowak"),
    ("Chr. Bach", "Chr. Bach"), ("Nowak, Charlie", "Nowak, Charlie"),
    ("Frau Charlie Nowak", "Charlie"), ("Dr Charlie Nowak", "Charlie"),
    ("Dr. med. Charlie Nowak", "Charlie"),
])  # fmt: skip
def test_a_therapist_is_named_in_full_where_the_first_name_does_not_tell_them_apart(
    charlie: Membership, first: Client, second: Client, name: str, said: str
) -> None:
    shared(second)
    charlie.name = name
    charlie.save()
    assert f"your session with {said}." in shown(form_of(first))


def test_a_couple_of_one_therapist_is_named_nobody(first: Client, second: Client) -> None:
    shared(second)
    Treatment.objects.filter(client=first).update(therapist=second.treatments.get().therapist)
    assert "about your session with" not in shown(form_of(second))


def test_in_the_room_no_page_tells_the_therapist_that_a_colleague_has_the_mailbox(
    as_alice: Browser, second: Client, first: Client
) -> None:
    shared(second)
    asked = ask(second)
    as_alice.post(f"/sessions/{asked.therapy_session_id}/room/")
    asked.refresh_from_db()
    token = make_token(asked.id, generation=asked.generation, way=ROOM)
    page = Browser().get(reverse("feedback_form", args=[token]))
    assert "How was this session for you?" in shown(page)
    assert "about your session with" not in shown(page)


@pytest.mark.parametrize("by", [0, 1])
def test_managers_are_told_once_that_two_therapists_clients_have_one_mailbox(
    as_alice: Browser, as_mona: Browser, alice: Membership, charlie: Membership,
    mona: Membership, first: Client, second: Client, by: int,
) -> None:  # fmt: skip
    """By whichever of their forms is sent there first."""
    for changes in ({"email": MAILBOX}, {"email": "two@mail.example"}, {"email": MAILBOX}):
        as_alice.post(page_of(second), details(second, **changes))
    for each in ((first, second), (second, first))[by]:
        send_to(each)
    page = shown(as_mona.get("/practice/"))
    assert any(said in page for [said] in ONE_OF_BOTH)
    assert codes_told(mona) in ONE_OF_BOTH
    assert not codes_told(alice)
    assert not codes_told(charlie)
    as_alice.post(page_of(second), details(second, email="two@mail.example"))
    assert codes_told(mona) in ONE_OF_BOTH, "what went there may have been read"


@pytest.mark.parametrize(("days", "are_told"), [(30, False), (90, True)])
def test_managers_are_told_anew_in_another_year(
    alice: Membership, mona: Membership, first: Client, second: Client, days: int, are_told: bool
) -> None:
    """By no date that a therapist sets."""
    october = timezone.now().replace(month=10, day=20) + timedelta(days=365)
    with time_machine.travel(october, tick=False) as clock:
        signed_in(alice).post(page_of(second), details(second, email=MAILBOX))
        Client.objects.update(discussed_on=october.date())
        send_to(second)
        [told] = notices.unread(mona)
        notices.mark_read(notice=Notice.objects.get(id=told.id))
        FeedbackRequest.objects.update(state="cancelled")
        clock.shift(timedelta(days=days))
        send_to(second)
        assert bool(codes_told(mona)) is are_told


@pytest.mark.parametrize("their_own", [True, False])
def test_a_new_client_with_a_colleagues_clients_mailbox_is_told_of_and_with_ones_own_is_not(
    as_alice: Browser, mona: Membership, first: Client, second: Client, their_own: bool
) -> None:
    typed = "two@mail.example" if their_own else MAILBOX
    assert as_alice.post("/clients/add/", added(email=typed)).status_code == 302
    send_to(Client.objects.get(code="FE-0191"))
    assert bool(codes_told(mona)) is not their_own


@pytest.mark.parametrize("manager_is", ["first", "second"])
def test_no_therapist_is_told_whom_colleagues_treat_also_where_one_of_them_manages_alone(
    as_alice: Browser, alice: Membership, charlie: Membership, first: Client, second: Client,
    manager_is: str,
) -> None:  # fmt: skip
    """Whoever recorded the address, and when: whoever manages alone is told."""
    manager, other = (charlie, alice) if manager_is == "first" else (alice, charlie)
    manager.roles = ["therapist", "manager"]
    manager.save()
    signed_in(alice).post(page_of(second), details(second, email=MAILBOX))
    send_to(first)
    send_to(second)
    assert codes_told(manager) in ONE_OF_BOTH
    assert not Notice.objects.filter(member=other).exists()


def test_of_several_managers_who_treats_one_of_the_two_is_not_told(
    mona: Membership, dual: Membership, first: Client
) -> None:
    third = ClientFactory.create(practice=first.practice, email=MAILBOX, code="FE-0150")
    TreatmentFactory.create(therapist=dual, client=third)
    third.channels.update(address_since=timezone.now())
    send_to(first)
    assert codes_told(mona) in ONE_OF_BOTH
    assert not codes_told(dual)


def test_where_all_managers_treat_one_of_the_two_all_are_told_whoever_led_one_there_when(
    charlie: Membership, dual: Membership, first: Client
) -> None:
    charlie.roles = ["therapist", "manager"]
    charlie.save()
    third = ClientFactory.create(practice=first.practice, email=MAILBOX, code="FE-0150")
    TreatmentFactory.create(therapist=dual, client=third)
    first.channels.update(address_since=timezone.now())
    send_to(first)
    assert codes_told(charlie) in ONE_OF_BOTH
    assert codes_told(dual) in ONE_OF_BOTH


def test_nothing_says_of_an_address_that_is_recorded_whether_a_colleagues_client_has_it(
    as_alice: Browser, as_mona: Browser, mona: Membership, first: Client, second: Client
) -> None:
    """Neither what is done as it is saved, nor who looked at the client since."""
    done = []
    for address in ("nobody@mail.example", MAILBOX):
        with CaptureQueriesContext(connection) as queries:
            as_alice.post(page_of(second), details(second, email=address))
        done.append([" ".join(each["sql"].split()[:3]) for each in queries])
    assert [each for each in done[0] if "SAVEPOINT" not in each] == [
        each for each in done[1] if "SAVEPOINT" not in each
    ]
    assert not Notice.objects.exists()
    send_to(second)
    as_mona.get("/practice/")
    assert codes_told(mona)
    looks = shown(as_alice.get(f"/clients/{second.id}/who-looked/"))
    assert "Change client" in looks
    assert "View practice" not in looks


@pytest.mark.parametrize("how", ["not safe", "in the room", "declined", "restricted", "stopped"])
def test_of_a_client_whom_nothing_is_sent_to_nobody_learns_by_a_form_that_they_are_treated_here(
    mona: Membership, first: Client, second: Client, how: str
) -> None:
    """As a partner, who reads the mailbox as well."""
    shared(second)
    if how == "not safe":
        second.channels.update(safe_to_contact=False)
    elif how == "stopped":
        stop(second)
    else:
        consents = {"in the room": "in_room", "declined": "declined"}
        second.consent = consents.get(how, "agreed")
        second.restricted_at = timezone.now() if how == "restricted" else None
        second.save()
    asked = send_to(first)
    assert "about your session with" not in shown(Browser().get(link_of(asked)))
    assert codes_told(mona) in ONE_OF_BOTH, "who reads the mailbox learns nothing by that"
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=False):
        OutboxMessage.objects.update(state="sent", sent_at=timezone.now())
        sent = shown(Browser().get(link_of(asked)))
    assert "about your session with" not in sent, "to the other one"


ELSEWHERE = {
    "elsewhere": ["three@mail.example"],
    "off the record": [""],
    "to and fro": ["three@mail.example", MAILBOX],
}


@pytest.mark.parametrize("how", ["switched", "in the room", "restricted", *ELSEWHERE])
def test_who_got_messages_at_the_mailbox_is_told_by_a_form_that_it_is_about_another_therapist(
    as_alice: Browser, charlie: Membership, mona: Membership, first: Client, second: Client,
    how: str,
) -> None:  # fmt: skip
    """Though none goes to them there now: it is what they know such forms from."""
    send_to(first)
    Notice.objects.all().delete()
    FeedbackRequest.objects.update(state="cancelled")
    for address in ELSEWHERE.get(how, ()):
        signed_in(charlie).post(page_of(first), details(first, email=address))
    if how == "switched":
        stop(first, Reason.SWITCHED)
    else:
        is_moved = how in {"in the room", *ELSEWHERE}
        first.refresh_from_db()
        first.consent = "in_room" if is_moved else "agreed"
        first.restricted_at = timezone.now() if how == "restricted" else None
        first.save()
    as_alice.post(page_of(second), details(second, email=MAILBOX))
    page = shown(Browser().get(link_of(send_to(second))))
    assert "This is about your session with Alice." in page
    assert codes_told(mona) in ONE_OF_BOTH


def hand_over(treatment: Treatment, to: Membership, by: Membership) -> None:
    pass_on(treatment, to=to, on=timezone.localdate(), by=by)


def moves_of_itself(treatment: Treatment, to: Membership, by: Membership) -> None:
    """As a move comes true on its day: nothing runs then."""
    treatment.ends_on = timezone.localdate()
    treatment.save()
    TreatmentFactory.create(therapist=to, client=treatment.client, follows=treatment)


def is_named_in_full(treatment: Treatment, to: Membership, by: Membership) -> None:
    hand_over(treatment, to, by)
    Membership.objects.filter(id=to.id).update(name="Charlie Moreau")


@pytest.mark.parametrize("part", [hand_over, moves_of_itself, is_named_in_full])
def test_a_form_that_was_opened_before_two_clients_were_parted_is_shown_again_and_says_the_name(
    alice: Membership, charlie: Membership, mona: Membership, first: Client, part: Any
) -> None:
    """Charlie has both, and loses the one whose mailbox it is: what was typed is kept."""
    fresh = ClientFactory.create(practice=first.practice, email=MAILBOX, code="FE-0150")
    TreatmentFactory.create(therapist=charlie, client=fresh)
    send_to(first)
    link = link_of(send_to(fresh))
    opened = Browser().get(link)
    assert "about your session with" not in shown(opened)
    part(first.treatments.get(), alice, mona)
    typed = answers(comment="She was late.", causes=["values"], tension="3")
    again = Browser().post(link, typed | {"frame": hidden(opened, "frame")})
    name = "Charlie Nowak" if part is is_named_in_full else "Charlie"
    assert shown(again).count(f"This is about your session with {name}.") == 2
    assert "They have not reached us." in shown(again)
    assert "She was late." in shown(again)
    assert len(re.findall(r"<input[^>]* checked", again.content.decode())) == 6 + 2
    assert not AllianceRating.objects.exists()
    assert not codes_told(mona)
    taken = Browser().post(link, typed | {"frame": hidden(again, "frame")})
    assert taken.status_code == 302
    assert AllianceRating.objects.get().comment == "She was late."
    assert codes_told(mona) in ONE_OF_BOTH, "no message goes out that could tell them"


@pytest.mark.parametrize("frame", ["", "forged", "of another name"])
def test_nor_is_a_form_taken_that_says_no_name_of_ours_or_another(
    first: Client, second: Client, frame: str
) -> None:
    shared(second)
    other = Browser().get(link_of(send_to(second)))
    sent = hidden(other, "frame") if frame == "of another name" else frame
    link = link_of(send_to(first))
    again = Browser().post(link, answers(frame=sent))
    assert "This is about your session with Charlie." in shown(again)
    assert not AllianceRating.objects.exists()


def test_a_form_that_said_a_name_is_taken_once_none_needs_to_be_said(
    mona: Membership, first: Client, second: Client
) -> None:
    shared(second)
    link = link_of(ask(first))
    opened = Browser().get(link)
    assert "This is about your session with Charlie." in shown(opened)
    shared(second, "two@mail.example")
    assert Browser().post(link, answers(frame=hidden(opened, "frame"))).status_code == 302
    assert AllianceRating.objects.exists()
    assert not codes_told(mona)


def test_a_named_form_that_waits_for_the_database_is_taken_when_it_is_sent_again(
    first: Client, second: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared(second)
    link = link_of(ask(first))
    sent = answers(frame=hidden(Browser().get(link), "frame"))
    with monkeypatch.context() as patch:
        patch.setattr(client_views, "submit_response", away)
        kept = Browser().post(link, sent)
    assert kept.status_code == 503
    again = Browser().post(link, answers(frame=hidden(kept, "frame")))
    assert again.status_code == 302


@pytest.mark.parametrize("days", [0, 29, 30])
def test_nor_does_a_form_take_the_place_of_one_whose_treatment_has_just_ended(
    mona: Membership, first: Client, second: Client, days: int
) -> None:
    """The client may take it for the last one of theirs."""
    send_to(first)
    ended = first.treatments.get()
    ended.ends_on = timezone.localdate() - timedelta(days=days)
    ended.save()
    shared(second)
    Notice.objects.all().delete()
    page = shown(Browser().get(link_of(send_to(second))))
    assert ("This is about your session with Alice." in page) is (days < 30)
    assert bool(codes_told(mona)) is (days < 30)


def test_who_managed_and_treated_one_of_the_two_until_lately_is_told_of_no_colleagues_client(
    mona: Membership, dual: Membership, first: Client, second: Client
) -> None:
    own = second.treatments.get()
    own.therapist = dual
    own.save()
    shared(second)
    send_to(second)
    own.ends_on = timezone.localdate()
    own.save()
    send_to(first)
    assert codes_told(mona) in ONE_OF_BOTH
    assert not codes_told(dual)


def test_managers_are_told_nothing_once_both_are_one_therapists(
    mona: Membership, charlie: Membership, first: Client, second: Client
) -> None:
    """Whoever treated one of them until yesterday."""
    shared(second)
    send_to(second)
    own = second.treatments.get()
    pass_on(own, to=charlie, on=timezone.localdate(), by=mona)
    Notice.objects.all().delete()
    send_to(first)
    assert not codes_told(mona)


def test_of_who_is_erased_as_a_message_is_on_its_way_no_mailbox_is_kept(
    mona: Membership, first: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A carrier may take seconds, and wants no client's turn meanwhile."""

    def erases(message: OutboxMessage, rendered: RenderedMessage) -> None:
        send(message, rendered)
        with tenancy.practice(mona.practice_id):
            erase_client(client=Client.objects.get(id=first.id), by=mona)

    send = carriers.send
    monkeypatch.setattr(carriers, "send", erases)
    ask(first)
    with time_machine.travel(OutboxMessage.objects.earliest("not_before").not_before):
        assert outbox.deliver_due() == 1
    assert not first.reached_mailboxes.exists()


def test_however_many_clients_somebody_invents_at_a_mailbox_no_message_waits_for_them(
    alice: Membership, mona: Membership, first: Client
) -> None:
    def queries_of_a_message() -> int:
        with CaptureQueriesContext(connection) as queries:
            send_to(first)
        return len(queries)

    counts = []
    for number in (notices.MOST_SHOWN, 10):
        for _invented in range(number):
            code = f"MADE-{Client.objects.count()}"
            client = ClientFactory.create(practice=alice.practice, email=MAILBOX, code=code)
            TreatmentFactory.create(therapist=alice, client=client)
        counts.append([queries_of_a_message(), queries_of_a_message()][1])
    assert counts[0] == counts[1]
    assert len(codes_told(mona)) == notices.MOST_SHOWN
