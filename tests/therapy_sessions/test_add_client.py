"""Adding a client: no name, nothing agreed that was not discussed, no staff mailbox."""

import re
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.test import Client as Browser
from django.urls import reverse

from apps.accounts.models import Membership
from apps.clients.models import Client, ContactChannel, Treatment
from apps.core.models import AuditEntry
from apps.exchange.rights import erase_client
from apps.therapy_sessions import forms
from apps.therapy_sessions.models import TherapySession
from tests.factories import ClientFactory, TreatmentFactory

URL = "/clients/add/"


@pytest.fixture(autouse=True)
def _on_a_thursday_in_november() -> Any:
    with time_machine.travel("2026-11-19T12:30:00+00:00", tick=False):
        yield


def shown(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def form_data(**changes: object) -> dict[str, object]:
    return {
        "initials": "R. B.",
        "code": "FE-0191",
        "language": "en-gb",
        "country": "GB",
        "time_zone": "Europe/London",
        "discussed_on": "2026-11-19",
        "consent": "agreed",
        "email": "rb@mail.example",
        "email_safe": "yes",
        "first_on": "2026-11-26",
        "start": "16:30",
        "minutes": "50",
        "every_weeks": "1",
        "count": "3",
    } | changes


def test_a_client_is_added_with_consent_a_channel_and_weekly_sessions(
    as_alice: Browser, alice: Membership
) -> None:
    response = as_alice.post(URL, form_data(approach="CBT"))
    client = Client.objects.get()
    assert response["Location"] == reverse("client", args=[client.id])
    assert (client.code, client.initials, client.consent) == ("FE-0191", "R. B.", "agreed")
    assert client.practice == alice.practice
    channel = ContactChannel.objects.get()
    assert (channel.kind, channel.address, channel.safe_to_contact) == (
        "email", "rb@mail.example", True,
    )  # fmt: skip
    treatment = Treatment.objects.get()
    assert (treatment.therapist, treatment.approach) == (alice, "CBT")
    assert treatment.starts_on.isoformat() == "2026-11-26"
    starts = TherapySession.objects.order_by("starts_at").values_list("starts_at", flat=True)
    assert [start.isoformat()[:16] for start in starts] == [
        "2026-11-26T16:30", "2026-12-03T16:30", "2026-12-10T16:30",
    ]  # fmt: skip
    actions = AuditEntry.objects.of_client(client.id).values_list("action", flat=True)
    assert sorted(actions) == ["add client", "plan therapy sessions"]
    assert "FE-0191 is on your caseload." in shown(as_alice.get(response["Location"]))


def test_code_country_and_time_zone_are_proposed_and_nothing_else_is_chosen(
    as_alice: Browser, alice: Membership
) -> None:
    page = as_alice.get(URL)
    form = page.context["form"]
    assert [form[name].value() for name in ("country", "time_zone")] == ["GB", "Europe/London"]
    assert re.fullmatch(r"FE-[0-9]{4}", form["code"].value())
    assert " checked" not in page.content.decode()
    assert "Message from Fernbank “Your short form is ready”" in shown(page)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("rb", "R. B."),
        ("R.B.", "R. B."),
        ("r b k", "R. B. K."),
        ("Å", "Å."),
        ("K. M.-L.", "K. M. L."),
    ],
)
def test_initials_are_kept_in_one_spelling(as_alice: Browser, typed: str, kept: str) -> None:
    as_alice.post(URL, form_data(initials=typed))
    assert Client.objects.get().initials == kept


@pytest.mark.parametrize("typed", ["Anna", "A. Smith", "ABCD", "R2", "R. B. K. L.", "...", "<b>"])
def test_what_may_be_a_name_is_refused_and_everything_typed_kept(
    as_alice: Browser, typed: str
) -> None:
    page = as_alice.post(URL, form_data(initials=typed, approach="Kept"))
    assert "Initials only, three at most, such as R. B." in shown(page)
    assert 'value="Kept"' in page.content.decode()
    assert not Client.objects.exists()


@pytest.mark.parametrize(
    "address",
    ["alice@fernbank.example", "ALICE@Fernbank.example", "alice+client@fernbank.example"],
)
def test_a_staff_address_is_refused(as_alice: Browser, alice: Membership, address: str) -> None:
    alice.user.email = "alice@fernbank.example"  # type: ignore[union-attr]
    alice.user.save()  # type: ignore[union-attr]
    page = as_alice.post(URL, form_data(email=address))
    sentence = "This is a staff address. Enter the client’s own, or leave it empty."
    assert sentence in shown(page)
    assert not Client.objects.exists()


def test_staff_of_another_practice_may_be_clients_here(as_alice: Browser, dora: Membership) -> None:
    as_alice.post(URL, form_data(email=dora.user.email))  # type: ignore[union-attr]
    assert ContactChannel.objects.get().address == dora.user.email  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"discussed_on": ""}, "Say on which day you discussed it"),
        ({"discussed_on": "2026-11-20"}, "This day is still to come."),
        ({"discussed_on": "0001-01-01"}, "This is too long ago. Check the year."),
        ({"consent": ""}, "Choose what the client said when you discussed it."),
        ({"email_safe": ""}, "Choose Safe or Not safe"),
        ({"email": "no address"}, "This is no email address, such as kim@mail.example."),
        ({"code": "Anna"}, "with at least one digit"),
        ({"code": "Anna Smith 1"}, "with at least one digit"),
        ({"start": ""}, "Say when the first session starts."),
        ({"first_on": ""}, "Say on which day the first session is."),
        ({"first_on": "2036-11-26"}, "Plan within a year of today. Check the year."),
        ({"count": "61"}, "Plan 1 to 60 sessions at once."),
        ({"minutes": "3"}, "A session lasts 5 to 480 minutes."),
        ({"time_zone": "Mars/Olympus"}, "Select a valid choice."),
        ({"country": "XX"}, "Select a valid choice."),
        ({"initials": ""}, "Enter the client’s initials"),
    ],
)
def test_what_does_not_fit_together_is_said_and_nothing_is_stored(
    as_alice: Browser, changes: dict[str, object], sentence: str
) -> None:
    page = as_alice.post(URL, form_data(**changes))
    assert sentence in shown(page)
    assert "What you entered is kept." in shown(page)
    assert not Client.objects.exists()


def test_a_client_can_be_added_before_anything_is_discussed_or_planned(
    as_alice: Browser, alice: Membership
) -> None:
    blank = dict.fromkeys(
        ("discussed_on", "consent", "email", "email_safe", "first_on", "start"), ""
    )
    as_alice.post(URL, form_data(**blank))
    client = Client.objects.get()
    assert (client.discussed_on, client.consent) == (None, "")
    assert not client.channels.exists()
    assert not TherapySession.objects.exists()
    assert Treatment.objects.get().starts_on.isoformat() == "2026-11-19"


def test_an_address_that_is_not_safe_is_kept_as_not_safe(as_alice: Browser) -> None:
    as_alice.post(URL, form_data(email_safe="no"))
    assert ContactChannel.objects.get().safe_to_contact is False


def offered_beside(taken: str, page: Any) -> str:
    said = rf"{taken} is, or was, another client’s\. (FE-[0-9]{{4}}) is free\."
    [offered] = re.findall(said, shown(page))
    return offered


def test_a_taken_code_is_refused_and_a_free_one_named(as_alice: Browser, alice: Membership) -> None:
    ClientFactory.create(practice=alice.practice, code="FE-0191")
    page = as_alice.post(URL, form_data(code="fe-0191"))
    assert offered_beside("FE-0191", page) != "FE-0191"


def test_a_code_is_what_it_looks_like(as_alice: Browser, alice: Membership) -> None:
    as_alice.post(URL, form_data(code=" FE-0191\n"))
    assert Client.objects.get().code == "FE-0191"
    assert "FE-0191 is, or was," in shown(as_alice.post(URL, form_data(code="FE-0191\n")))
    for code in ("FE-1\n", " FE-1", "FE\r\n1"):
        with pytest.raises(IntegrityError, match="looks_like"), transaction.atomic():
            ClientFactory.create(practice=alice.practice, code=code)


def test_a_code_taken_while_the_form_was_open_is_refused_the_same_way(
    as_alice: Browser, alice: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    ClientFactory.create(practice=alice.practice, code="FE-0191")
    monkeypatch.setattr(forms.AddClientForm, "clean_code", lambda form: form.cleaned_data["code"])
    page = as_alice.post(URL, form_data())
    assert offered_beside("FE-0191", page) != "FE-0191"
    assert Client.objects.count() == 1


def test_another_practice_may_use_the_same_code(as_alice: Browser, dora: Membership) -> None:
    ClientFactory.create(practice=dora.practice, code="FE-0191")
    assert as_alice.post(URL, form_data()).status_code == 302


@pytest.mark.parametrize("prefix", ["erased-", "ERASED-", "eRased-"])
@pytest.mark.parametrize("is_erased", [False, True])
def test_no_code_tells_whether_a_client_was_erased(
    as_alice: Browser, charlie: Membership, prefix: str, is_erased: bool
) -> None:
    """Whoever treated the client knows the id, of which the code of an erased client is made."""
    client = TreatmentFactory.create(therapist=charlie).client
    if is_erased:
        erase_client(client=client, by=charlie)
    page = shown(as_alice.post(URL, form_data(code=f"{prefix}{client.id.hex[:12]}")))
    assert "Letters, digits and hyphens, with at least one digit" in page
    assert "is, or was, another client" not in page
    assert not Client.objects.exclude(id=client.id).exists()


@pytest.mark.parametrize("who", ["as_sam", "as_mona"])
def test_who_treats_nobody_adds_nobody(request: pytest.FixtureRequest, who: str) -> None:
    browser = request.getfixturevalue(who)
    assert browser.get(URL).status_code == browser.post(URL, form_data()).status_code == 403
    assert not Client.objects.exists()


def test_other_methods_are_refused_and_strangers_led_to_sign_in(
    as_alice: Browser, client: Browser
) -> None:
    assert as_alice.delete(URL).status_code == 405
    assert client.get(URL)["Location"].startswith("/sign-in/")


def test_the_code_of_an_erased_client_is_nobodys_again(
    as_alice: Browser, alice: Membership
) -> None:
    erased = TreatmentFactory.create(therapist=alice, client__code="FE-0101").client
    erase_client(client=erased, by=alice)
    page = as_alice.post(URL, form_data(code="fe-0101"))
    assert offered_beside("FE-0101", page) != "FE-0101"
