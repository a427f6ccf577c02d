"""What a client decides about messages, without signing in; their therapist is told at once."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership, Notice, Practice
from apps.clients.handing_over import pass_on
from apps.clients.models import Client, ContactChannel
from apps.clients.services import Address, change_client, stop_channel
from apps.core import outbox
from apps.core.models import AuditEntry, OutboxMessage
from apps.core.outbox import NothingToSend
from apps.feedback import choices
from apps.feedback.asking import why_not_ask
from apps.feedback.corrections import correct_session
from apps.feedback.lifecycle import expire_requests, stop_unreachable
from apps.feedback.messages import render_feedback_reminder, render_feedback_request, token_of
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import ask_in_room
from apps.feedback.tokens import make_token
from tests.conftest import signed_in
from tests.feedback.conftest import answers
from tests.feedback.test_client_form import away, hidden, shown


@pytest.fixture
def client_of(asked: FeedbackRequest) -> Client:
    """The client who was asked, with an email address and a number, both safe."""
    client = asked.therapy_session.treatment.client
    ContactChannel.objects.create(
        practice=client.practice, client=client, kind="text", address="+447400123456",
        safe_to_contact=True,
    )  # fmt: skip
    return client


def stop_url(asked: FeedbackRequest, way: str = "email") -> str:
    return f"/f/{token_of(asked, way=way)}/stop/"


def reasons(client: Client) -> dict[str, str]:
    return dict(client.channels.values_list("kind", "stop_reason"))


def test_every_page_by_a_message_leads_to_the_stop_page_and_a_code_of_the_room_does_not(
    phone: Browser, asked: FeedbackRequest, link: str
) -> None:
    url = stop_url(asked)
    assert f'href="{url}"' in phone.get(link).content.decode()
    assert f'href="{url}#not-me"' in phone.get(link).content.decode()
    code = make_token(asked.id, generation=0, way="room")
    assert "/stop/" not in phone.get(f"/f/{code}/").content.decode()


def test_a_code_of_the_room_which_the_therapist_sees_stops_nothing_in_the_clients_name(
    phone: Browser, asked: FeedbackRequest, client_of: Client
) -> None:
    url = stop_url(asked, way="room")
    assert phone.get(url).status_code == 404
    for sent in ({"not_me": "1"}, {"how": "stop"}, {"List-Unsubscribe": "One-Click"}):
        assert phone.post(url, sent).status_code == 404
    asked.refresh_from_db()
    assert (asked.state, asked.generation) == (FeedbackRequest.State.OPEN, 0)
    assert reasons(client_of) == {"email": "", "text": ""}


def test_only_recorded_ways_are_offered_and_none_of_them_is_shown(
    phone: Browser, asked: FeedbackRequest, client_of: Client
) -> None:
    page = phone.get(stop_url(asked))
    for words in ("Stop all messages", "Keep email", "Switch to text messages", "at most 5 times"):
        assert words in shown(page)
    for channel in client_of.channels.all():
        assert channel.address not in page.content.decode()
    client_of.channels.filter(kind="text").update(safe_to_contact=False)
    assert "Switch to text" not in shown(phone.get(stop_url(asked)))


def test_a_link_stays_the_clients_where_its_form_is_withdrawn_and_offered_in_the_room(
    phone: Browser, alice: Membership, asked: FeedbackRequest, client_of: Client, link: str
) -> None:
    """Silence to it is none, also where they have a fresh link sent."""
    session, url = asked.therapy_session, stop_url(asked)
    with time_machine.travel(asked.due_at, tick=False) as clock:
        outbox.deliver_due()
        for who_came in ({"attendance": "no_show"}, {"attendance": "attended"}):
            session.refresh_from_db()
            correct_session(session=session, by=alice, **who_came)
        assert "Stop all messages" in shown(phone.get(url))
        for _ in range(2):
            ask_in_room(therapy_session=session, questionnaire=asked.questionnaire, by=alice)
            clock.shift(timedelta(minutes=20))
            expire_requests()
            assert "Stop all messages" in shown(phone.get(url))
        assert "A fresh link" in shown(phone.post(f"{link}fresh/"))
        outbox.deliver_due()
        clock.shift(timedelta(days=8))
        expire_requests()
        session.refresh_from_db()
        assert not session.asked
        asked.refresh_from_db()
        assert asked.state == FeedbackRequest.State.EXPIRED
        assert phone.post(stop_url(asked), {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert reasons(client_of) == {"email": "stopped", "text": "stopped"}


def test_stopping_pulls_back_what_is_not_out_and_tells_the_therapist_at_once(
    phone: Browser, as_alice: Browser, asked: FeedbackRequest, client_of: Client
) -> None:
    response = phone.post(stop_url(asked), {"how": "stop"})
    assert (response.status_code, response["Location"]) == (302, stop_url(asked))
    assert "Messages are stopped" in shown(phone.get(stop_url(asked)))
    assert reasons(client_of) == {"email": "stopped", "text": "stopped"}
    asked.refresh_from_db()
    assert asked.state == FeedbackRequest.State.CANCELLED
    assert not asked.therapy_session.asked
    assert why_not_ask(client_of)
    caseload = shown(as_alice.get("/caseload/"))
    assert f"{client_of.code}" in caseload
    assert "stopped messages" in caseload
    assert AuditEntry.objects.filter(action="stop channel", actor_id=None).count() == 2


@pytest.mark.django_db(transaction=True)
def test_the_therapists_mail_says_that_something_changed_not_what_or_of_whom(
    phone: Browser, asked: FeedbackRequest, client_of: Client
) -> None:
    phone.post(stop_url(asked), {"how": "text"})
    OutboxMessage.objects.filter(kind="channel_stopped").update(not_before=timezone.now())
    assert outbox.deliver_due() == 1
    [sent] = mail.outbox
    assert sent.to == [asked.therapy_session.treatment.therapist.user.email]
    for secret in (client_of.code, client_of.initials, "stopp", "switch", "email", "client"):
        assert secret not in f"{sent.subject} {sent.body}".replace("/caseload/", "")


@pytest.mark.django_db(transaction=True)
def test_no_mail_goes_to_a_therapist_whose_role_ended_meanwhile(
    phone: Browser, asked: FeedbackRequest
) -> None:
    phone.post(stop_url(asked), {"how": "stop"})
    OutboxMessage.objects.filter(kind="channel_stopped").update(not_before=timezone.now())
    Membership.objects.filter(treatments__isnull=False).update(roles=["supervisor"])
    outbox.deliver_due()
    assert not mail.outbox


def test_who_treats_the_client_on_the_practices_day_is_told(
    phone: Browser, alice: Membership, charlie: Membership, asked: FeedbackRequest
) -> None:
    """At eight in Auckland, on the day of a hand-over; in London it is the day before."""
    treatment = asked.therapy_session.treatment
    Practice.objects.update(time_zone="Pacific/Auckland")
    eight = (timezone.now() + timedelta(days=1)).replace(hour=19, minute=0)
    pass_on(treatment, to=charlie, on=eight.date() + timedelta(days=1), by=alice)
    with time_machine.travel(eight, tick=False):
        phone.post(stop_url(asked), {"how": "stop"})
    told = Notice.objects.filter(kind="channel_stopped")
    assert {each.member for each in told} == {charlie}


def test_switching_sends_what_is_due_the_other_way_and_can_be_taken_back(
    phone: Browser, asked: FeedbackRequest, client_of: Client
) -> None:
    phone.post(stop_url(asked), {"how": "text"})
    assert reasons(client_of) == {"email": "switched", "text": ""}
    address = client_of.channels.get(kind="text").address
    assert render_feedback_request(asked.id).recipient == address
    phone.post(stop_url(asked), {"how": "email"})
    assert reasons(client_of) == {"email": "", "text": "switched"}
    assert render_feedback_request(asked.id).recipient != address


def test_a_switch_is_told_once_a_day_until_that_is_read_and_a_stop_anew(
    phone: Browser, asked: FeedbackRequest, client_of: Client
) -> None:
    """Whoever holds a link can switch to and fro as often as the link may be asked for."""
    told = Notice.objects.filter(kind="channel_stopped")
    mails = OutboxMessage.objects.filter(kind="channel_stopped")
    for how in ("text", "email") * 5:
        phone.post(stop_url(asked), {"how": how})
    assert [told.filter(subject_id=each.id).count() for each in client_of.channels.all()] == [1, 1]
    assert mails.count() == 2
    told.update(read_at=timezone.now())
    phone.post(stop_url(asked), {"how": "text"})
    assert mails.count() == 3
    told.update(created_at=timezone.now() - timedelta(days=1))
    phone.post(stop_url(asked), {"how": "email"})
    assert mails.count() == 4
    phone.post(stop_url(asked), {"how": "stop"})
    assert (told.count(), mails.count()) == (6, 6)


def test_that_somebody_else_gets_the_messages_is_kept_also_after_they_were_stopped(
    phone: Browser, asked: FeedbackRequest, client_of: Client
) -> None:
    """A mail program unsubscribes, then its reader says that it is not for them."""
    address = client_of.channels.get(kind="email").address
    phone.post(stop_url(asked), {"List-Unsubscribe": "One-Click"})
    phone.post(stop_url(asked), {"not_me": "1"})
    assert reasons(client_of) == {"email": "not_mine", "text": "stopped"}
    with time_machine.travel(timezone.now() + timedelta(days=1), tick=False):
        change_client(
            client=client_of,
            addresses={"email": Address(address, safe=True)},
            discussed_on=timezone.localdate(),
            consent="agreed",
            talked_again=True,
            by=asked.therapy_session.treatment.therapist,
        )
    assert reasons(client_of)["email"] == "not_mine", "another mailbox is needed"


def test_a_mail_that_comes_back_later_undoes_no_switch(
    phone: Browser, asked: FeedbackRequest, client_of: Client
) -> None:
    phone.post(stop_url(asked), {"how": "text"})
    stop_unreachable(
        asked.id, channel="email", sent_at=timezone.now(), outcome=outbox.Outcome.BOUNCED
    )
    assert reasons(client_of) == {"email": "switched", "text": ""}


def test_a_way_that_is_not_offered_is_refused_with_a_sentence(
    phone: Browser, asked: FeedbackRequest
) -> None:
    page = phone.post(stop_url(asked), {"how": "text"})
    assert "Choose one of these." in shown(page)
    assert "Choose one of these." in shown(phone.post(stop_url(asked), {"how": "\0"}))
    assert reasons(asked.therapy_session.treatment.client) == {"email": ""}


def test_opening_the_page_changes_nothing(phone: Browser, asked: FeedbackRequest) -> None:
    for method in (phone.get, phone.head):
        assert method(stop_url(asked)).status_code == 200
    assert not ContactChannel.objects.filter(stopped_at__isnull=False).exists()


def test_a_mail_programs_one_click_stops_messages(phone: Browser, asked: FeedbackRequest) -> None:
    response = phone.post(stop_url(asked), {"List-Unsubscribe": "One-Click"})
    assert response.status_code == 200, "mail programs follow no redirect"
    assert "Messages are stopped" in shown(response)
    assert reasons(asked.therapy_session.treatment.client) == {"email": "stopped"}


@pytest.mark.parametrize(("way", "other"), [("email", "text"), ("text", "email")])
def test_this_is_not_for_me_stops_that_channel_and_ends_every_link(
    phone: Browser, asked: FeedbackRequest, client_of: Client, way: str, other: str
) -> None:
    url = stop_url(asked, way)
    page = phone.post(url, {"not_me": "1"})
    assert "Thank you for telling us" in shown(page)
    assert reasons(client_of) == {way: "not_mine", other: ""}
    for render in (render_feedback_request, render_feedback_reminder):
        with pytest.raises(NothingToSend):
            render(asked.id)
    unknown = phone.get("/f/nothing/")
    for path in (url, url.removesuffix("stop/")):
        again = phone.get(path)
        assert (again.status_code, again.content) == (404, unknown.content)
    assert phone.post(url, {"not_me": "1"}).status_code == 404
    assert Notice.objects.get().kind == "channel_stopped"


def test_no_answer_to_a_form_that_was_not_for_its_reader_is_no_silence_also_once_it_ran_out(
    phone: Browser, asked: FeedbackRequest
) -> None:
    sent = {"state": OutboxMessage.State.SENT, "sent_at": asked.due_at}
    OutboxMessage.objects.filter(kind="feedback_request").update(**sent)
    with time_machine.travel(asked.expires_at + timedelta(hours=1), tick=False):
        expire_requests()
        phone.post(stop_url(asked), {"not_me": "1"})
    asked.refresh_from_db()
    assert (asked.state, asked.therapy_session.asked) == (FeedbackRequest.State.EXPIRED, False)


def test_stopping_twice_tells_once(phone: Browser, asked: FeedbackRequest) -> None:
    for _ in range(2):
        phone.post(stop_url(asked), {"how": "stop"})
    assert Notice.objects.count() == 1


def test_who_says_no_once_more_for_less_leaves_the_mailbox_somebody_elses(
    client_of: Client,
) -> None:
    channel = client_of.channels.get(kind="email")
    for why in ("not_mine", "stopped"):
        stop_channel(channel=channel, why=ContactChannel.StopReason(why), by=None)
    assert reasons(client_of)["email"] == "not_mine"


def sent_back(form: Any, **changes: str) -> dict[str, str]:
    """What a browser sends of a form as it was shown, with what was typed."""
    shown_ = {name: form[name].value() for name in form.fields}
    return {name: str(value) for name, value in shown_.items() if value} | changes


@pytest.mark.parametrize("how", [{"how": "stop"}, {"List-Unsubscribe": "One-Click"}])
def test_a_talk_of_before_the_last_stop_does_not_end_it(
    phone: Browser, asked: FeedbackRequest, client_of: Client, how: dict[str, str]
) -> None:
    url, start = stop_url(asked), timezone.now()
    phone.post(url, {"how": "stop"})
    with time_machine.travel(start + timedelta(days=3)):
        phone.post(url, how)
    with time_machine.travel(start + timedelta(days=4)):
        as_alice = signed_in(asked.therapy_session.treatment.therapist)
        address = reverse("change_client", args=[client_of.id])
        between = timezone.localdate(start + timedelta(days=2)).isoformat()
        form = as_alice.get(address).context["form"]
        page = as_alice.post(
            address,
            sent_back(form, discussed_on=between, consent="agreed", talked_again="on"),
        )
        assert "say on which day since then you talked" in shown(page)
    assert not client_of.channels.usable().exists()
    assert Notice.objects.count() == 2, "said again, each way is told once"


def test_the_page_of_an_earlier_stop_does_not_end_a_later_one(
    phone: Browser, asked: FeedbackRequest, client_of: Client
) -> None:
    """Of the same day, in the same words: sent again, it shows that there is another."""
    client_of.discussed_on = timezone.localdate()
    client_of.save()
    url, address = stop_url(asked), reverse("change_client", args=[client_of.id])
    phone.post(url, {"how": "stop"})
    as_alice = signed_in(asked.therapy_session.treatment.therapist)
    sent = sent_back(as_alice.get(address).context["form"], talked_again="on")
    assert as_alice.post(address, sent).status_code == 302
    assert client_of.channels.usable().exists()
    phone.post(url, {"how": "stop"})
    assert "changed meanwhile" in shown(as_alice.post(address, sent))
    assert not client_of.channels.usable().exists()


def test_after_a_stop_nobody_can_start_messages_again_from_the_page(
    phone: Browser, asked: FeedbackRequest, client_of: Client
) -> None:
    phone.post(stop_url(asked), {"how": "stop"})
    for how in ("email", "text"):
        phone.post(stop_url(asked), {"how": how})
    assert reasons(client_of) == {"email": "stopped", "text": "stopped"}


def test_a_stopped_client_may_still_answer_a_form_that_was_out(
    phone: Browser, asked: FeedbackRequest, link: str
) -> None:
    OutboxMessage.objects.filter(kind="feedback_request").update(
        state="sent", sent_at=timezone.now()
    )
    phone.post(stop_url(asked), {"how": "stop"})
    assert phone.post(link, answers()).status_code == 302


def fresh(page: Any) -> str:
    return page.content.decode().partition('/fresh/"')[0].rpartition('action="')[2] + "/fresh/"


def test_a_choice_that_could_not_be_saved_is_kept_and_sent_again_without_a_text_box(
    phone: Browser, asked: FeedbackRequest, client_of: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = stop_url(asked)
    with monkeypatch.context() as patch:
        patch.setattr(choices, "choose", away)
        page = phone.post(url, {"how": "stop"})
    assert page.status_code == 503
    assert "What you chose is kept on this page. It has not reached us." in shown(page)
    assert "<textarea" not in page.content.decode()
    assert "your text" not in shown(page)
    assert reasons(client_of) == {"email": "", "text": ""}
    phone.post(url, {"how": hidden(page, "how")})
    assert reasons(client_of) == {"email": "stopped", "text": "stopped"}
