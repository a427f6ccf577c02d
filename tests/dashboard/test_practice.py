"""What a practice manager sees first: the contact and counts."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts import notices
from apps.accounts.models import Membership, Notice, Practice, Role
from apps.accounts.services import (
    accept_invitation,
    add_member,
    change_roles,
    deactivate_member,
    invite_member,
    reactivate_member,
)
from apps.core import tenancy
from apps.core.models import AuditEntry, OutboxMessage
from apps.ruptures.models import RuptureEpisode
from tests.factories import (
    PASSWORD,
    MembershipFactory,
    PracticeFactory,
    SupervisionFactory,
    TreatmentFactory,
)

pytestmark = pytest.mark.django_db
URL = "/practice/"

Words = Callable[[HttpResponse], str]


@pytest.fixture
def as_mona(mona: Membership, sign_in: Callable[[Membership], Browser]) -> Browser:
    """mona, who has just shown that it is her."""
    browser = sign_in(mona)
    browser.post("/sign-in/again/", {"password": PASSWORD})
    return browser


def test_what_holds_for_everybody_is_changed_by_who_has_just_shown_who_they_are(
    mona: Membership, sign_in: Callable[[Membership], Browser], practice: Practice
) -> None:
    contact = {"name": "Ruth", "phone": "", "email": "ruth@x.example"}
    response = sign_in(mona).post(URL, contact)
    assert response["Location"].startswith("/sign-in/again/")
    before = practice.contact_name
    practice.refresh_from_db()
    assert practice.contact_name == before


def test_only_the_manager_may_look(as_alice: Browser, as_sam: Browser, as_mona: Browser) -> None:
    assert as_alice.get(URL).status_code == 403
    assert as_alice.post(URL, {"name": "X", "phone": "1"}).status_code == 403
    assert as_sam.get(URL).status_code == 403
    assert as_mona.get(URL).status_code == 200
    assert as_mona.delete(URL).status_code == 405


def test_people_and_links_stand_on_their_own_page(
    alice: Membership, sam: Membership, as_mona: Browser, words: Words
) -> None:
    response = as_mona.get(URL)
    assert 'href="/practice/people/"' in response.content.decode()
    assert "Alice Moreau" not in words(response)
    assert "Alice Moreau Sam Okafor" in words(as_mona.get("/practice/people/"))


def test_a_new_practice_is_guided_until_all_is_done(
    mona: Membership, as_mona: Browser, practice: Practice, words: Words
) -> None:
    Practice.objects.update(contact_name="", contact_phone="", contact_email="")
    page = words(as_mona.get(URL))
    assert "Name an independent contact Somebody" in page
    assert "Invite the people Therapists" in page
    assert "Record who supervises whom" not in page, "mona works alone"

    sam, alice = (
        MembershipFactory.create(practice=practice, roles=[role])
        for role in (Role.SUPERVISOR, Role.THERAPIST)
    )
    contact = {"name": "Ruth", "phone": "1", "email": "", "most_requests_in_30_days": 5}
    as_mona.post(URL, contact | {"supervisor_wait_hours": 72})
    page = words(as_mona.get(URL))
    assert "Name an independent contact : done" in page
    assert "Invite the people : done" in page
    assert "Record who supervises whom A supervisor" in page

    SupervisionFactory.create(practice=practice, supervisor=sam, supervisee=alice)
    assert "Record who supervises whom : done" in words(as_mona.get(URL))
    Practice.objects.update(record_holder=sam)
    assert "Get going" not in words(as_mona.get(URL))


def test_after_four_weeks_nobody_is_guided(
    as_mona: Browser, practice: Practice, words: Words
) -> None:
    assert "Get going" in words(as_mona.get(URL))
    Practice.objects.update(created_at=timezone.now() - timedelta(weeks=4, minutes=1))
    assert "Get going" not in words(as_mona.get(URL))


def test_no_clinical_data_is_there(
    alice: Membership, sam: Membership, as_mona: Browser, words: Words
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, falling=True)
    page = words(as_mona.get(URL))
    assert treatment.client.code not in page
    assert treatment.client.initials not in page
    for word in ("rupture ·", "Rated", "Watch", "Recovering", "episode"):
        assert word not in page


def test_delivery_is_counted(practice: Practice, as_mona: Browser, words: Words) -> None:
    now = timezone.now()
    for owner, state, not_before in (
        (practice, "pending", now - timedelta(minutes=3)),
        (practice, "pending", now - timedelta(minutes=1)),
        (practice, "pending", now + timedelta(hours=1)),
        (practice, "sent", now - timedelta(days=2)),
        (practice, "sent", now - timedelta(days=8)),
        (practice, "failed", now - timedelta(days=1)),
        (practice, "cancelled", now),
        (PracticeFactory.create(), "pending", now - timedelta(days=3)),
    ):
        with tenancy.practice(owner.id):
            OutboxMessage.objects.create(
                practice_id=owner.id,
                kind="feedback_request",
                subject_id=uuid4(),
                state=state,
                not_before=not_before,
                due_at=not_before,
                sent_at=not_before if state == "sent" else None,
            )
    page = words(as_mona.get(URL))
    assert "2 Due oldest since 12:21" in page
    assert "1 Planned" in page
    assert "1 Sent last 7 days" in page
    assert "1 Undelivered" in page
    assert "Messages are delayed since 12:21; nothing is lost." in page


def test_the_contact_is_recorded_once_and_audited(
    practice: Practice, mona: Membership, as_mona: Browser, words: Words
) -> None:
    Practice.objects.update(contact_name="", contact_phone="", contact_email="")
    assert "no message goes out to any client" in words(as_mona.get(URL))
    answer = as_mona.post(URL, {"name": " Ruth Adeyemi ", "phone": "", "email": "Ruth@x.example"})
    assert answer.headers["Location"] == URL
    practice.refresh_from_db()
    assert practice.has_independent_contact
    assert (practice.contact_name, practice.contact_email) == ("Ruth Adeyemi", "ruth@x.example")
    entry = AuditEntry.objects.get(action="change practice")
    assert entry.actor_id == mona.id
    assert "no message goes out to any client" not in words(as_mona.get(URL))


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"name": "", "phone": "020 7946 0018"}, "Name the person clients can turn to."),
        ({"name": "Ruth Adeyemi"}, "Give a phone number or an email address, or both."),
        ({"name": "Ruth Adeyemi", "email": "ruth"}, "This is no email address"),
    ],
)
def test_a_contact_that_cannot_be_reached_comes_back(
    practice: Practice, as_mona: Browser, words: Words, typed: dict[str, str], said: str
) -> None:
    response = as_mona.post(URL, typed)
    assert said in words(response)
    for text in filter(None, typed.values()):
        assert f'value="{text}"' in response.content.decode()
    practice.refresh_from_db()
    assert practice.contact_phone == "020 7946 0018"


def test_mona_decides_how_long_a_possible_rupture_waits_for_alice(
    practice: Practice, as_mona: Browser, words: Words
) -> None:
    contact = {"name": "Ruth Adeyemi", "phone": "020 7946 0018"}
    page = as_mona.get(URL)
    assert 'value="72"' in page.content.decode()
    assert "A longer time holds for what opens from then on; a shorter one at once" in words(page)
    for hours in ("0", "337", "soon"):
        refused = as_mona.post(URL, {**contact, "supervisor_wait_hours": hours})
        assert "Choose 1 to 336 hours." in words(refused)
    for hours, kept in (("24", 24), ("", 24)):
        assert as_mona.post(URL, {**contact, "supervisor_wait_hours": hours}).status_code == 302
        practice.refresh_from_db()
        assert practice.supervisor_wait_hours == kept


def test_a_shorter_wait_holds_at_once_but_for_whom_mona_supervises(
    alice: Membership, charlie: Membership, mona: Membership, as_mona: Browser
) -> None:
    mona.roles = [Role.MANAGER, Role.THERAPIST, Role.SUPERVISOR]
    mona.save()
    SupervisionFactory.create(supervisor=mona, supervisee=charlie)
    for therapist in (alice, charlie, mona):
        TreatmentFactory.create(therapist=therapist, falling=True)
    two_hours_ago = timezone.now() - timedelta(hours=2)
    RuptureEpisode.objects.update(opened_at=two_hours_ago, marked_at=None, wait_hours=336)
    withdrawn = RuptureEpisode.objects.filter(treatment__therapist=alice)
    withdrawn.update(outcome="superseded", outcome_at=timezone.now())
    contact = {"name": "Ruth Adeyemi", "phone": "020 7946 0018"}
    for hours, theirs in ((72, 72), (100, 72), (1, 1)):
        as_mona.post(URL, {**contact, "supervisor_wait_hours": hours})
        waits = dict(RuptureEpisode.objects.values_list("treatment__therapist", "wait_hours"))
        assert waits == {alice.id: theirs, mona.id: theirs, charlie.id: 336}
    assert not RuptureEpisode.objects.for_supervisor(mona).exists()


def test_a_therapist_is_no_independent_contact(
    alice: Membership, as_mona: Browser, words: Words
) -> None:
    assert alice.user is not None
    for email in (alice.user.email.upper(), alice.user.email.replace("@", "+talk@")):
        response = as_mona.post(URL, {"name": "Alice", "email": email})
        assert "This is a therapist’s address." in words(response)
    for name in (alice.name.lower(), "Alice  Moreau", "Dr. Moreau, Alice"):
        response = as_mona.post(URL, {"name": name, "phone": "020 7946 0018"})
        assert "is a therapist here. Name somebody who treats none" in words(response)


def test_a_contact_who_became_a_therapist_is_none_any_more(
    mona: Membership, practice: Practice, as_mona: Browser, words: Words
) -> None:
    practice.contact_name = mona.name
    practice.save()
    assert practice.has_independent_contact
    Membership.objects.filter(id=mona.id).update(roles=[Role.MANAGER, Role.THERAPIST])
    assert not practice.has_independent_contact
    assert "or a therapist here by now. Until somebody else is, no message goes out" in words(
        as_mona.get(URL)
    )


def test_a_therapist_whose_longer_name_holds_that_of_the_contact_stops_no_messages(
    alice: Membership, mona: Membership, practice: Practice, as_mona: Browser, words: Words
) -> None:
    anna = {"name": "Ann Ruth Adeyemi-Cole", "roles": [Role.THERAPIST]}
    joined = invite_member(practice=practice, email="ann@fernbank.example", by=mona, **anna)
    assert "Ann Ruth" not in words(as_mona.get(URL)), "not before they join"
    accept_invitation(link_id=joined.links.get().id, password=PASSWORD)
    practice.refresh_from_db()
    assert practice.has_independent_contact
    said = "Ann Ruth Adeyemi-Cole, a therapist here now, has a name like that of Ruth Adeyemi"
    assert words(as_mona.get(URL)).count(f"{said}, the independent contact.") == 2
    assert not notices.unread(alice)
    Practice.objects.update(contact_name="Olu Bello")
    assert said not in words(as_mona.get(URL)), "silent once another is named"


def test_managers_are_told_once_of_a_therapist_by_whom_the_contact_is_none_any_more(
    alice: Membership, mona: Membership, practice: Practice, as_mona: Browser, words: Words
) -> None:
    said = "Dr Ruth Adeyemi, who treats clients here now, is the independent contact: no message"
    ruth = MembershipFactory.create(
        practice=practice, name="Dr Ruth Adeyemi", roles=[Role.SUPERVISOR]
    )
    for roles in ([Role.SUPERVISOR, Role.THERAPIST], [Role.THERAPIST]):
        change_roles(member=ruth, roles=roles, by=mona)
        assert [each.said.text[: len(said)] for each in notices.unread(mona)] == [said]
    assert f'href="{URL}"' in as_mona.get(URL).content.decode()
    Notice.objects.told_to(mona).delete()
    deactivate_member(member=ruth, by=mona)
    practice.refresh_from_db()
    assert practice.has_independent_contact
    reactivate_member(member=ruth, by=mona)
    assert [each.said.text[: len(said)] for each in notices.unread(mona)] == [said]
    assert not notices.unread(alice)
    by_address = add_member(
        practice=practice, name="R. A.", roles=[Role.THERAPIST], email="ruth@fernbank.example",
        by=None,
    )  # fmt: skip
    assert by_address.name in [each.said.text.split(",")[0] for each in notices.unread(mona)]


def test_a_name_like_a_therapists_is_taken_once_the_manager_says_that_it_is_somebody_else(
    practice: Practice, as_mona: Browser, words: Words
) -> None:
    MembershipFactory.create(practice=practice, name="Ana María García Pérez")
    MembershipFactory.create(practice=practice, name="Dr Anna Smith")
    asked, tick = "has a name like this", "This is somebody else"
    assert tick not in words(as_mona.get(URL))
    for name in ("María García", "Mrs María García", "García, Ana", "Dr Smith"):
        maria = {"name": name, "phone": "020 7946 0018"}
        page = words(as_mona.post(URL, maria))
        assert asked in page, name
        assert tick in page
        assert as_mona.post(URL, {**maria, "is_somebody_else": "on"}).status_code == 302, name
        practice.refresh_from_db()
        assert practice.contact_name == name
        assert practice.has_independent_contact
        assert tick not in words(as_mona.get(URL)), "not stored"
        assert as_mona.post(URL, {**maria, "supervisor_wait_hours": "24"}).status_code == 302
        assert asked in words(as_mona.post(URL, {**maria, "phone": "020 7946 0019"}))
    for name in ("Sra Pérez García, Ana María", "Anna Smith, PhD", "Anna Smith M.Sc."):
        sure = {"name": name, "phone": "020 7946 0018", "is_somebody_else": "on"}
        assert "is a therapist here. Name somebody who treats none" in words(
            as_mona.post(URL, sure)
        )


CONTACT = {
    "name": "Ruth", "phone": "", "email": "ruth@x.example", "most_requests_in_30_days": "5",
    "supervisor_wait_hours": "72",
}  # fmt: skip


@pytest.mark.parametrize(
    ("address", "older", "newer", "said"),
    [
        (URL, CONTACT, {**CONTACT, "name": "Olu", "supervisor_wait_hours": "24"},
         "Name: Olu. Show a possible rupture to the supervisor after, in hours: 24."),
        ("/practice/records/", {"retention_years": "8"}, {"record_holder": "sam"},
         "Propose erasure after, in years: (blank). Record holder: Sam Okafor."),
        ("member", {"roles": ["therapist"]}, {"roles": ["therapist", "supervisor"]},
         "Roles here: Therapist, Supervisor."),
    ],
)  # fmt: skip
def test_an_older_window_of_what_holds_for_everybody_takes_nothing_back_without_a_word(
    as_mona: Browser, sam: Membership, words: Words, address: str, older: dict[str, object],
    newer: dict[str, object], said: str,
) -> None:  # fmt: skip
    url = f"/practice/people/{sam.id}/" if address == "member" else address
    if newer.get("record_holder"):
        newer = {"record_holder": sam.id}

    def opened() -> dict[str, object]:
        return {"version": as_mona.get(url).context["form"]["version"].value()}

    def standing() -> list[object]:
        fields = ("contact_name", "supervisor_wait_hours", "retention_years", "record_holder")
        return [*Practice.objects.values_list(*fields), Membership.objects.get(id=sam.id).roles]

    before = older | opened()
    assert as_mona.post(url, newer | opened()).status_code == 302
    kept = standing()
    refused = as_mona.post(url, before)
    assert standing() == kept
    assert f"Not saved yet: this was changed meanwhile. It now says: {said}" in words(refused)
    again = older | {"version": refused.context["form"]["version"].value()}
    assert as_mona.post(url, again).status_code == 302
    assert standing() != kept, "decided with both before them"
