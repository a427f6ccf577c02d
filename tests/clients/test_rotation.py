"""New keys while people read and write: nothing fails, nothing is left behind.

`ROTATED_VALUES=100000` runs the first test at full size and prints its figures (with `-s`).
"""

import os
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from time import monotonic
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connections
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import Membership
from apps.alliance.models import AllianceRating
from apps.clients import rotation
from apps.clients.models import Client, ContactChannel
from apps.clients.services import wait_for_turn
from apps.core import crypto, tenancy
from apps.core.models import ClientKey, PracticeKey
from apps.exchange.rights import erase_client
from apps.feedback.services import practice_questionnaire
from apps.therapy_sessions.models import TherapySession
from tests.at_once import elsewhere, wait_for
from tests.factories import TreatmentFactory

VALUES = int(os.environ.get("ROTATED_VALUES", "120"))
PER_CLIENT = 40


def comments(therapist: Membership, count: int) -> list[UUID]:
    """So many comments, each the id of its rating, over clients with 40 sessions each."""
    questionnaire = practice_questionnaire(therapist.practice)
    made = []
    for start in range(0, count, PER_CLIENT):
        treatment = TreatmentFactory.create(therapist=therapist, client__email="")
        began = timezone.now() - timedelta(weeks=60)
        sessions = TherapySession.objects.bulk_create(
            TherapySession(
                practice=therapist.practice,
                treatment=treatment,
                starts_at=began + timedelta(weeks=n),
                attendance="attended",
                logged_at=began + timedelta(weeks=n, hours=1),
            )
            for n in range(min(PER_CLIENT, count - start))
        )
        ratings = [
            AllianceRating(
                practice=therapist.practice,
                therapy_session=session,
                questionnaire=questionnaire,
                mode="link",
                answers={},
                answered_at=session.starts_at,
            )
            for session in sessions
        ]
        with tenancy.practice(therapist.practice_id):
            for rating in ratings:
                rating.comment = str(rating.id)
            AllianceRating.objects.bulk_create(ratings)
        made += [rating.id for rating in ratings]
    return made


@pytest.mark.django_db(transaction=True)
def test_every_value_gets_a_new_key_and_no_read_fails_meanwhile(alice: Membership) -> None:
    ids = comments(alice, VALUES)
    old = set(ClientKey.objects.values_list("id", flat=True))
    over, ready = Event(), Event()

    def read() -> int:
        reads = 0
        try:
            while not over.wait(timeout=0.02):  # people read; they do not spin
                with tenancy.practice(alice.practice_id):
                    for rating in AllianceRating.objects.filter(id__in=random.sample(ids, 20)):
                        assert rating.comment == str(rating.id)
                        reads += 1
                ready.set()
        finally:
            connections.close_all()
        return reads

    with ThreadPoolExecutor(2) as people:
        reading = [people.submit(read) for _ in range(2)]
        assert ready.wait(timeout=30)
        began = monotonic()
        moved = sum(rotation.rotate(alice.practice_id))
        took_s = monotonic() - began
        over.set()
        reads = sum(each.result() for each in reading)
    print(f"{moved} values rotated in {took_s:.0f} s; {reads} reads meanwhile, 0 failed")  # noqa: T201
    assert moved == VALUES
    with tenancy.practice(alice.practice_id):
        for rating in AllianceRating.objects.all():
            assert rating.comment == str(rating.id)
    assert not old & set(
        ClientKey.objects.filter(retired_at__isnull=True).values_list("id", flat=True)
    )
    assert PracticeKey.objects.count() == 1


@pytest.mark.django_db
def test_a_rotation_that_was_stopped_goes_on_where_it_was(alice: Membership) -> None:
    comments(alice, 3 * PER_CLIENT)
    begun = rotation.rotate(alice.practice_id)
    next(begun)
    begun.close()
    assert len(rotation.clients_due(alice.practice_id)) == 2
    assert len(list(rotation.rotate(alice.practice_id))) == 2
    assert rotation.clients_due(alice.practice_id) == []


@pytest.mark.django_db(transaction=True)
def test_a_rotation_waits_for_whoever_erases_and_brings_nothing_back(alice: Membership) -> None:
    comments(alice, 1)
    client = Client.objects.get()
    with ThreadPoolExecutor(1) as operator:
        with tenancy.practice(alice.practice_id):
            wait_for_turn(id=client.id)
            rotating = operator.submit(
                elsewhere,
                lambda: list(rotation.rotate(alice.practice_id)),
                practice_id=alice.practice_id,
            )
            wait_for(rotating)
            erase_client(client=client, by=alice)
        rotating.result()
    assert {bytes(key.wrapped) for key in ClientKey.objects.all()} == {crypto.DESTROYED}


@pytest.mark.django_db
def test_an_address_is_found_after_its_practice_has_a_new_key(alice: Membership) -> None:
    TreatmentFactory.create(therapist=alice, client__email="kim@mail.example")
    list(rotation.rotate(alice.practice_id))
    [channel] = ContactChannel.objects.with_address(
        "kim@mail.example", practice_id=alice.practice_id
    )
    assert channel.address == "kim@mail.example"


@pytest.mark.django_db
def test_a_retired_key_is_deleted_once_no_dump_needs_it(alice: Membership) -> None:
    comments(alice, 1)
    list(rotation.rotate(alice.practice_id))
    assert ClientKey.objects.count() == 2
    long_ago = timezone.now() - rotation.RETIRED_KEPT_FOR - timedelta(days=1)
    ClientKey.objects.filter(retired_at__isnull=False).update(retired_at=long_ago)
    list(rotation.rotate(alice.practice_id))
    assert ClientKey.objects.filter(retired_at__lt=timezone.now() - timedelta(days=1)).count() == 0
    rating = AllianceRating.objects.get()
    assert rating.comment == str(rating.id)


@pytest.mark.django_db
def test_after_a_new_root_key_the_old_one_can_be_taken_away(
    alice: Membership, settings: Settings
) -> None:
    comments(alice, 1)
    fresh = os.urandom(32)
    settings.ENCRYPTION_KEYS = [fresh, *settings.ENCRYPTION_KEYS]
    call_command("rotate_keys", "--root")
    settings.ENCRYPTION_KEYS = [fresh]
    rating = AllianceRating.objects.get()
    assert rating.comment == str(rating.id)
    settings.ENCRYPTION_KEYS = [os.urandom(32)]
    with pytest.raises(crypto.Unreadable):
        AllianceRating.objects.get().comment  # noqa: B018
