"""A client's details as their therapist changes them: contacts, consent, a pause of asking."""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts.models import Membership
from apps.accounts.sessions import SessionStore
from apps.clients.models import CONSENT_HOLDS, Client, ContactChannel
from apps.clients.services import stop_channel
from apps.core.models import AuditEntry, OutboxMessage
from apps.feedback.asking import why_not_ask
from apps.feedback.lifecycle import stop_messages
from apps.feedback.models import FeedbackRequest
from tests.feedback.test_client_form import shown

State = FeedbackRequest.State
PAGES = ("details", "pause", "resume", "consent")


@pytest.fixture
def client_of(asked: FeedbackRequest) -> Client:
    """The client who was asked; the form is not out yet."""
    return asked.therapy_session.treatment.client


def details(client: Client, **changes: object) -> dict[str, object]:
    """The form as the page shows it, and whatever the test is about."""
    email = client.channels.filter(kind="email").first()
    return {
        "initials": client.initials, "language": client.language, "country": client.country,
        "time_zone": client.time_zone, "discussed_on": f"{client.discussed_on:%Y-%m-%d}",
        "consent": client.consent, "email": email.address if email else "", "email_safe": "yes",
    } | changes  # fmt: skip


def anew(**changes: object) -> dict[str, object]:
    """Talked about what was stopped again, today."""
    return {"discussed_on": timezone.localdate(), "talked_again": "on"} | changes


def a_pause(**changes: object) -> dict[str, object]:
    review_on = timezone.localdate() + timedelta(days=14)
    return {"reason": "Taking part in a study.", "review_on": review_on.isoformat()} | changes


def page_of(client: Client, page: str = "details") -> str:
    return f"/clients/{client.id}/{page}/"


def acts(client: Client) -> list[str]:
    """What was changed about the client, in the trail."""
    changes = AuditEntry.objects.of_client(client.id).exclude(actor_id=None)
    return list(changes.exclude(action__startswith="view").values_list("action", flat=True))


def test_details_are_changed_and_the_trail_says_by_whom(
    as_alice: Browser, alice: Membership, client_of: Client
) -> None:
    sent = details(
        client_of, initials="jw", country="DE", time_zone="Europe/Berlin", language="en-gb",
        text="01512 3456789", text_safe="no",
    )  # fmt: skip
    response = as_alice.post(page_of(client_of), sent)
    assert response["Location"] == f"/clients/{client_of.id}/"
    client_of.refresh_from_db()
    assert (client_of.initials, client_of.country, client_of.time_zone, client_of.language) == (
        "J. W.", "DE", "Europe/Berlin", "en-gb",
    )  # fmt: skip
    number = client_of.channels.get(kind="text")
    assert (number.address, number.safe_to_contact) == ("+4915123456789", False)
    assert acts(client_of) == ["change client"]
    assert AuditEntry.objects.get(action="change client").actor_id == alice.id
    assert "Details saved." in shown(as_alice.get(response["Location"]))


def test_the_page_shows_what_is_recorded_and_the_look_is_noted(
    as_alice: Browser, client_of: Client
) -> None:
    page = as_alice.get(page_of(client_of))
    assert page.status_code == 200
    assert f'value="{client_of.channels.get().address}"' in page.content.decode()
    entry = AuditEntry.objects.get(action="view details")
    assert entry.client_ids == [client_of.id]


def test_an_address_that_is_emptied_is_gone(as_alice: Browser, client_of: Client) -> None:
    as_alice.post(page_of(client_of), details(client_of, email="", email_safe=""))
    assert not client_of.channels.exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"initials": "Anna"}, "Initials only, three at most"),
        ({"initials": "ß ß ß"}, "Initials only, three at most"),
        ({"text": "07400", "text_safe": "yes"}, "No such number is in use in its country."),
        ({"text": "020 7946 0018", "text_safe": "yes"}, "This is no mobile number"),
        ({"text": "07400 123456"}, "Choose Safe or Not safe"),
        ({"email": "p\u0430yal@mail.example"}, "mixes letters of several alphabets"),
        ({"discussed_on": ""}, "Say on which day you discussed it"),
        ({"consent": ""}, "Choose what the client said"),
        ({"consent": "perhaps"}, "Select a valid choice."),
    ],
)
def test_what_cannot_be_is_refused_and_everything_typed_kept(
    as_alice: Browser, client_of: Client, changes: dict[str, object], sentence: str
) -> None:
    sent = details(client_of, time_zone="Asia/Tokyo", **changes)
    page = as_alice.post(page_of(client_of), sent)
    assert page.status_code == 200
    assert sentence in shown(page)
    assert '<option value="Asia/Tokyo" selected>' in page.content.decode()
    for name, typed in changes.items():
        assert page.context["form"][name].value() == typed
    client_of.refresh_from_db()
    assert client_of.time_zone == "Europe/London"
    assert acts(client_of) == []


def test_an_address_or_number_of_the_practice_is_refused(
    as_alice: Browser, alice: Membership, client_of: Client
) -> None:
    practice = alice.practice
    practice.contact_phone = "07400 123456"
    practice.save()
    page = as_alice.post(
        page_of(client_of),
        details(client_of, email="Ruth+1@fernbank.example", text="+447400123456", text_safe="yes"),
    )
    assert "This is a staff address." in shown(page)
    assert "This is a number of the practice." in shown(page)
    assert acts(client_of) == []


@pytest.mark.parametrize("consent", ["in_room", "declined"])
def test_who_agrees_to_messages_no_more_gets_none(
    as_alice: Browser, asked: FeedbackRequest, client_of: Client, consent: str
) -> None:
    as_alice.post(page_of(client_of), details(client_of, consent=consent))
    asked.refresh_from_db()
    assert asked.state == State.CANCELLED


@pytest.mark.parametrize(
    ("consent", "state"), [("in_room", State.OPEN), ("declined", State.CANCELLED)]
)
def test_what_the_client_answers_in_the_room_stays_open_as_long_as_they_agree_to_that(
    as_alice: Browser, asked: FeedbackRequest, client_of: Client, consent: str, state: str
) -> None:
    as_alice.post(f"/sessions/{asked.therapy_session_id}/room/")
    as_alice.post(page_of(client_of), details(client_of, consent=consent))
    asked.refresh_from_db()
    assert asked.state == state
    assert not OutboxMessage.objects.exclude(state=OutboxMessage.State.CANCELLED).exists()
    if state == State.OPEN:
        assert (asked.channel_kind, asked.expires_at) == ("", asked.room_until)


def test_a_channel_that_was_stopped_is_used_again_once_it_was_discussed_anew(
    as_alice: Browser, client_of: Client
) -> None:
    channel = client_of.channels.get()
    stop_channel(channel=channel, why=ContactChannel.StopReason.STOPPED, by=None)
    assert "The client stopped messages." in shown(as_alice.get(page_of(client_of)))
    as_alice.post(page_of(client_of), details(client_of))
    channel.refresh_from_db()
    assert channel.stopped_at
    earlier = timezone.localdate() - timedelta(days=1)
    page = as_alice.post(page_of(client_of), details(client_of, **anew(discussed_on=earlier)))
    assert "Messages were stopped on" in shown(page)
    as_alice.post(page_of(client_of), details(client_of, discussed_on=timezone.localdate()))
    channel.refresh_from_db()
    assert channel.stopped_at, "talked today, of something else"
    as_alice.post(page_of(client_of), details(client_of, **anew()))
    channel.refresh_from_db()
    assert (channel.stopped_at, channel.stop_reason) == (None, "")


@pytest.mark.parametrize(("why", "takes_a_talk"), [("not_mine", True), ("bounced", False)])
def test_a_wrong_address_comes_back_in_no_other_spelling_and_by_no_detour(
    as_alice: Browser, client_of: Client, why: str, takes_a_talk: bool
) -> None:
    channel = client_of.channels.get()
    wrong = channel.address
    stop_channel(channel=channel, why=ContactChannel.StopReason(why), by=None)
    talked = anew() if takes_a_talk else {}
    for typed in (wrong.upper(), wrong.replace("@", "+1@"), "", wrong):
        as_alice.post(page_of(client_of), details(client_of, email=typed, **talked))
        assert not client_of.channels.usable().exists(), typed
    assert "another address or number" in shown(as_alice.get(page_of(client_of)))
    as_alice.post(page_of(client_of), details(client_of, email=""))
    as_alice.post(page_of(client_of), details(client_of, email="new@mail.example"))
    assert client_of.channels.usable().exists() is not takes_a_talk
    as_alice.post(page_of(client_of), details(client_of, **anew()))
    assert client_of.channels.usable().get().address == "new@mail.example"
    as_alice.post(page_of(client_of), details(client_of, email=wrong.upper(), **talked))
    is_usable = client_of.channels.usable().exists()
    assert is_usable is not takes_a_talk, "what somebody else reads stays known"
    as_alice.post(page_of(client_of), details(client_of, email="new@mail.example", **anew()))
    assert client_of.channels.usable().get().address == "new@mail.example"


@pytest.mark.parametrize("why", ["stopped", "bounced"])
def test_what_the_client_stopped_stays_so_at_whatever_address_until_it_was_discussed_anew(
    as_alice: Browser, client_of: Client, why: str
) -> None:
    email = client_of.channels.get()
    number = {"text": "07400 123456", "text_safe": "yes"}
    as_alice.post(page_of(client_of), details(client_of, **number))
    text = client_of.channels.get(kind="text")
    stop_channel(channel=text, why=ContactChannel.StopReason.NOT_MINE, by=None)
    stop_channel(channel=email, why=ContactChannel.StopReason(why), by=None)
    stop_messages(client=client_of)
    for changes in (
        {"email": email.address.upper()},
        {"email": email.address.replace("@", "+1@")},
        {"email": "new@mail.example"},
        {"email": "", "email_safe": "yes"},
        {"email": "", "text": "07400 654321", "text_safe": "yes"},
        {"email": email.address},
    ):
        as_alice.post(page_of(client_of), details(client_of, **changes))
        assert not client_of.channels.usable().exists(), changes
    assert "not even to another address or number" in shown(as_alice.get(page_of(client_of)))
    number["text"] = "07400 654321"
    as_alice.post(page_of(client_of), details(client_of, email="new@mail.example", **number))
    assert not client_of.channels.usable().exists()
    as_alice.post(page_of(client_of), details(client_of, **number, **anew()))
    assert {each.address for each in client_of.channels.usable()} == {
        "new@mail.example", "+447400654321",
    }  # fmt: skip


@pytest.mark.parametrize("also_not_mine", [False, True])
def test_a_way_added_after_the_client_stopped_messages_waits_as_well(
    as_alice: Browser, client_of: Client, also_not_mine: bool
) -> None:
    stop_messages(client=client_of)
    if also_not_mine:  # the stop stands behind what weighs more
        why = ContactChannel.StopReason.NOT_MINE
        stop_channel(channel=client_of.channels.get(), why=why, by=None)
    changes: dict[str, object] = {"email": "", "text": "07400 123456", "text_safe": "yes"}
    as_alice.post(page_of(client_of), details(client_of, **changes))
    assert not client_of.channels.usable().exists()
    as_alice.post(page_of(client_of), details(client_of, **changes, **anew()))
    assert [each.address for each in client_of.channels.exclude(address="")] == ["+447400123456"]
    assert client_of.channels.usable().exists()


def test_a_pause_pulls_back_what_is_not_out_and_lasts_until_it_is_ended(
    as_alice: Browser, asked: FeedbackRequest, client_of: Client
) -> None:
    page = as_alice.post(page_of(client_of, "pause"), a_pause(), follow=True)
    assert "Asking is paused. What had not been sent is withdrawn." in shown(page)
    client_of.refresh_from_db()
    assert client_of.pause_reason == "Taking part in a study."
    for room in ("room", "send"):
        as_alice.post(f"/sessions/{asked.therapy_session_id}/{room}/")
        kept = str(SessionStore().decode(Session.objects.get().session_data))
        assert "Asking is paused" in kept, "the refusal waits there for the next page"
        assert "Taking part in a study." not in kept, "a session outlives its reader"
    asked.refresh_from_db()
    assert asked.state == State.CANCELLED
    assert why_not_ask(client_of)
    assert "Taking part in a study." in shown(as_alice.get(page_of(client_of)))
    page = as_alice.post(page_of(client_of, "resume"), follow=True)
    assert "The pause has ended." in shown(page)
    client_of.refresh_from_db()
    assert (client_of.pause_reason, client_of.pause_review_on) == ("", None)
    assert not why_not_ask(client_of)
    assert acts(client_of) == ["pause asking", "end pause"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"reason": ""}, "Say in a few words why asking rests."),
        ({"reason": " "}, "Say in a few words why asking rests."),
        ({"reason": "x" * 201}, "at most 200 characters"),
        ({"review_on": ""}, "Enter a day of the calendar."),
        ({"review_on": "2020-01-01"}, "Choose a day after today, within the next 180 days."),
        ({"review_on": "2999-01-01"}, "Choose a day after today, within the next 180 days."),
    ],
)
def test_a_pause_needs_a_reason_and_a_day_and_keeps_what_was_typed(
    as_alice: Browser, client_of: Client, changes: dict[str, object], sentence: str
) -> None:
    page = as_alice.post(page_of(client_of, "pause"), a_pause(**changes))
    assert page.status_code == 200
    assert sentence in shown(page)
    for name, typed in a_pause(**changes).items():
        assert page.context["pause_form"][name].value() == typed
    client_of.refresh_from_db()
    assert client_of.pause_review_on is None
    assert acts(client_of) == []


@pytest.mark.parametrize("consent", ["agreed", "in_room"])
def test_consent_is_confirmed_with_one_click_once_it_ran_out(
    as_alice: Browser, client_of: Client, consent: str
) -> None:
    client_of.consent = consent
    client_of.discussed_on = timezone.localdate() - CONSENT_HOLDS - timedelta(days=1)
    client_of.save()
    caseload = as_alice.get("/caseload/")
    assert "nothing is sent until you ask again" in shown(caseload)
    assert f'action="{page_of(client_of, "consent")}"' in caseload.content.decode()
    page = as_alice.post(page_of(client_of, "consent"), follow=True)
    assert "Consent is confirmed as of today." in shown(page)
    client_of.refresh_from_db()
    assert (client_of.consent, client_of.discussed_on) == (consent, timezone.localdate())
    assert acts(client_of) == ["confirm consent"]


@pytest.mark.parametrize("consent", ["declined", ""])
def test_where_nobody_agreed_there_is_nothing_to_confirm(
    as_alice: Browser, client_of: Client, consent: str
) -> None:
    client_of.consent = consent
    client_of.save()
    before = client_of.discussed_on
    page = as_alice.post(page_of(client_of, "consent"), follow=True)
    assert "No agreement is recorded that could be confirmed." in shown(page)
    client_of.refresh_from_db()
    assert (client_of.consent, client_of.discussed_on) == (consent, before)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("who", ["as_charlie", "as_dora"])
def test_strangers_find_nothing(
    request: pytest.FixtureRequest, client_of: Client, who: str, page: str
) -> None:
    browser = request.getfixturevalue(who)
    assert browser.post(page_of(client_of, page), a_pause()).status_code == 404
    assert acts(client_of) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_supervisor_changes_nothing_of_a_supervisees_client(
    sam: Membership, as_sam: Browser, client_of: Client, page: str
) -> None:
    for roles in (["supervisor"], ["supervisor", "therapist"]):
        sam.roles = roles
        sam.save()
        assert as_sam.post(page_of(client_of, page), a_pause()).status_code == 403
    assert acts(client_of) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_manager_may_not(as_mona: Browser, client_of: Client, page: str) -> None:
    assert as_mona.post(page_of(client_of, page), a_pause()).status_code == 403


@pytest.mark.parametrize("page", PAGES)
def test_other_methods_are_refused(as_alice: Browser, client_of: Client, page: str) -> None:
    assert as_alice.put(page_of(client_of, page)).status_code == 405
    if page != "details":
        assert as_alice.get(page_of(client_of, page)).status_code == 405


def test_a_stop_is_not_undone_by_a_window_that_was_opened_before_it(
    as_alice: Browser, client_of: Client
) -> None:
    opened = as_alice.get(page_of(client_of)).context["form"]["version"].value()
    stop_channel(channel=client_of.channels.get(), why=ContactChannel.StopReason.STOPPED, by=None)
    sent = details(client_of, version=opened, consent="agreed", **anew())
    page = as_alice.post(page_of(client_of), sent)
    assert "Email: The client stopped messages." in shown(page)
    assert client_of.channels.get().stopped_at


def test_an_older_window_takes_nothing_back_without_a_word(
    as_alice: Browser, client_of: Client
) -> None:
    def opened() -> dict[str, object]:
        form = as_alice.get(page_of(client_of)).context["form"]
        return details(client_of, version=form["version"].value())

    older, today = opened(), timezone.localdate().isoformat()
    as_alice.post(page_of(client_of), opened() | {"consent": "declined", "discussed_on": today})
    page = as_alice.post(page_of(client_of), older | {"text": "+447400123456", "text_safe": "yes"})
    client_of.refresh_from_db()
    assert client_of.consent == Client.Consent.DECLINED
    said = shown(page)
    assert "Not saved yet: the details were changed meanwhile." in said
    assert f"Discussed with client on: {today}. The client: Would rather not." in said
    assert "+447400123456" in page.content.decode(), "what was typed stays"
    again = older | {"version": page.context["form"]["version"].value()}
    assert as_alice.post(page_of(client_of), again).status_code == 302
    client_of.refresh_from_db()
    assert client_of.consent == Client.Consent.AGREED, "decided with both before them"


def test_an_address_whose_messages_came_back_is_used_again_once_the_client_says_that_it_is_right(
    as_alice: Browser, client_of: Client
) -> None:
    """A server may have said so for an hour; its address is the client's all the same."""
    channel = client_of.channels.get()
    stop_channel(channel=channel, why=ContactChannel.StopReason.BOUNCED, by=None)
    yesterday = timezone.localdate() - timedelta(days=1)
    for not_enough in (
        anew(discussed_on=yesterday),
        anew(consent="declined"),
        {"discussed_on": timezone.localdate()},
    ):
        as_alice.post(page_of(client_of), details(client_of, **not_enough))
        assert not client_of.channels.usable().exists(), not_enough
    page = as_alice.post(page_of(client_of), details(client_of, **anew(discussed_on=yesterday)))
    assert "say on which day since then you talked" in shown(page)
    assert "talked about this one" in shown(as_alice.get(page_of(client_of)))
    as_alice.post(page_of(client_of), details(client_of, email=""))
    assert not client_of.channels.usable().exists()
    as_alice.post(page_of(client_of), details(client_of, email=channel.address, **anew()))
    assert client_of.channels.usable().get().address == channel.address


def test_what_came_back_from_an_address_hides_no_word_that_somebody_else_reads_it(
    as_alice: Browser, client_of: Client
) -> None:
    channel = client_of.channels.get()
    reasons = ContactChannel.StopReason
    for why in (reasons.BOUNCED, reasons.NOT_MINE, reasons.BOUNCED):
        stop_channel(channel=channel, why=why, by=None)
    as_alice.post(page_of(client_of), details(client_of, **anew()))
    assert not client_of.channels.usable().exists()


def test_a_talk_counts_whatever_came_back_since(as_alice: Browser, client_of: Client) -> None:
    as_alice.post(page_of(client_of), details(client_of, text="07400 123456", text_safe="yes"))
    text, email = (client_of.channels.get(kind=kind) for kind in ("text", "email"))
    with time_machine.travel(timezone.now() - timedelta(days=3)):
        stop_channel(channel=text, why=ContactChannel.StopReason.STOPPED, by=None)
    stop_channel(channel=email, why=ContactChannel.StopReason.BOUNCED, by=None)
    talked = anew(discussed_on=timezone.localdate() - timedelta(days=1))
    number = {"text": text.address, "text_safe": "yes"}
    as_alice.post(page_of(client_of), details(client_of, **number, **talked))
    assert [each.kind for each in client_of.channels.usable()] == ["text"]
    as_alice.post(page_of(client_of), details(client_of, **number, **anew()))
    assert client_of.channels.usable().count() == 2


def test_an_address_that_was_taken_away_meanwhile_is_said_before_it_comes_back(
    as_alice: Browser, client_of: Client
) -> None:
    opened = as_alice.get(page_of(client_of)).context["form"]["version"].value()
    older = details(client_of, version=opened)
    as_alice.post(page_of(client_of), details(client_of, email="", initials="T. C."))
    page = as_alice.post(page_of(client_of), older)
    assert "Initials: T. C. Email: (blank)." in shown(page)
    assert not client_of.channels.exists()


def test_under_a_legal_hold_the_reason_of_a_pause_outlives_it(
    as_alice: Browser, client_of: Client
) -> None:
    as_alice.post(page_of(client_of, "pause"), a_pause(reason="In hospital."))
    Client.objects.update(held_at=timezone.now())
    as_alice.post(page_of(client_of, "resume"))
    client_of.refresh_from_db()
    assert (client_of.pause_reason, client_of.pause_review_on) == ("", None)
    assert "Pause asking" in shown(as_alice.get(page_of(client_of)))
    as_alice.post(page_of(client_of, "pause"), a_pause(reason="Away."))
    as_alice.post(page_of(client_of, "pause"), a_pause(reason="Still away."))
    client_of.refresh_from_db()
    assert client_of.pause_reason == "Still away."
    assert client_of.treatments.get().ended_pause_reasons == "In hospital.\n\nAway."
