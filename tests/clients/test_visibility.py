"""Which clients a member may know of: by relationship, and by no role that they have lost."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership, Role
from apps.clients.models import Client, Treatment
from apps.supervision.models import Meeting
from tests.factories import PASSWORD, SupervisionFactory, TreatmentFactory

PAGES = ("client", "change_client", "records", "export_records", "portable_copy", "erase_texts")


def known(member: Membership) -> list[bool]:
    """Whether each way of asking finds anything."""
    return [
        found.exists()
        for found in (
            Client.objects.visible_to(member),
            Client.objects.treated_by(member),
            Treatment.objects.visible_to(member),
            Treatment.objects.conducted_by(member),
            Meeting.objects.visible_to(member),
        )
    ]


@pytest.fixture
def treatment(alice: Membership, sam: Membership) -> Treatment:
    """Of alice, who supervises as well; sam meets her."""
    alice.roles = [Role.THERAPIST, Role.SUPERVISOR]
    alice.save()
    Meeting.objects.create(
        practice=alice.practice,
        supervisor=sam,
        supervisee=alice,
        starts_at=timezone.now() + timedelta(days=1),
    )
    return TreatmentFactory.create(therapist=alice)


def test_a_caseload_its_records_and_its_meetings_end_with_the_role(
    treatment: Treatment, alice: Membership, sign_in: Callable[[Membership], Browser]
) -> None:
    """Also before the clients are handed over."""
    assert all(known(alice))
    alice.roles = [Role.SUPERVISOR]
    alice.save()
    assert not any(known(alice))
    browser = sign_in(alice)
    browser.post("/sign-in/again/", {"password": PASSWORD})
    for page in PAGES:
        answer = browser.get(reverse(page, args=[treatment.client_id]))
        assert answer.status_code in {403, 404}, page
    act = reverse("act_on_records", args=[treatment.client_id])
    assert browser.post(act, {"action": "restrict"}).status_code == 404
    treatment.client.refresh_from_db()
    assert not treatment.client.restricted_at


def test_who_only_supervises_knows_of_their_supervisees_clients(
    treatment: Treatment, alice: Membership, charlie: Membership
) -> None:
    SupervisionFactory.create(supervisor=alice, supervisee=charlie)
    theirs = TreatmentFactory.create(therapist=charlie)
    alice.roles = [Role.SUPERVISOR]
    alice.save()
    assert list(Client.objects.visible_to(alice)) == [theirs.client]
