"""Encrypted columns: ciphertext in the database, refused wherever it does not belong."""

import base64
import os
from uuid import UUID

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import Membership, Practice
from apps.alliance.models import AllianceRating
from apps.clients.models import Client, ContactChannel
from apps.core import crypto, tenancy
from apps.core.crypto import KeyDestroyed, Unreadable
from apps.core.fields import EncryptedTextField, encrypted_fields
from apps.core.models import ClientKey, PracticeKey
from tests.factories import ClientFactory, PracticeFactory, TreatmentFactory, comment_on, rate

SECRET = "sung by a canary"  # pragma: allowlist secret


@pytest.fixture
def rating(alice: Membership) -> AllianceRating:
    return commented(alice, SECRET)


def commented(therapist: Membership, comment: str) -> AllianceRating:
    """A rating with a comment, of a new client."""
    [session] = rate(TreatmentFactory.create(therapist=therapist), [80])
    return comment_on(session, comment)


def raw(rating: AllianceRating) -> bytes:
    with connection.cursor() as cursor:
        cursor.execute("SELECT comment FROM alliance_alliancerating WHERE id = %s", [rating.id])
        return bytes(cursor.fetchone()[0])


def put(rating: AllianceRating, value: bytes) -> AllianceRating:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE alliance_alliancerating SET comment = %s WHERE id = %s", [value, rating.id]
        )
    return AllianceRating.objects.get(id=rating.id)


def test_the_database_holds_ciphertext_and_the_row_reads_text(rating: AllianceRating) -> None:
    assert SECRET.encode() not in raw(rating)
    assert AllianceRating.objects.get(id=rating.id).comment == SECRET


def test_an_empty_text_stays_empty_and_makes_no_key(alice: Membership) -> None:
    rating = commented(alice, "")
    client = rating.therapy_session.treatment.client
    client.channels.all().delete()
    assert raw(rating) == b""
    assert list(AllianceRating.objects.filter(comment="")) == [rating]
    assert AllianceRating.objects.get(id=rating.id).comment == ""


def test_any_changed_byte_is_refused(rating: AllianceRating) -> None:
    sealed = raw(rating)
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(Unreadable):
            put(rating, bytes(changed)).comment  # noqa: B018


def test_a_value_moved_from_another_row_of_the_same_client_is_refused(
    rating: AllianceRating, alice: Membership
) -> None:
    [session] = rate(rating.therapy_session.treatment, [None])
    other = AllianceRating.objects.get(id=rating.id)
    other.pk = UUID(int=1)
    other.therapy_session, other.comment = session, ""
    other.save(force_insert=True)
    with pytest.raises(Unreadable, match="moved from another place"):
        put(other, raw(rating)).comment  # noqa: B018


def test_a_value_of_another_column_or_practice_is_refused(rating: AllianceRating) -> None:
    field = AllianceRating._meta.get_field("comment")
    assert isinstance(field, EncryptedTextField)
    secret = crypto.secret_of(crypto.key_id_of(raw(rating)))
    for place in (
        field.place_of(rating).replace("comment", "answers"),
        field.place_of(rating).replace(str(rating.practice_id), str(UUID(int=1))),
    ):
        with pytest.raises(Unreadable):
            crypto.unseal(raw(rating), secret=secret, place=place)


def test_another_clients_key_does_not_open_it(rating: AllianceRating, alice: Membership) -> None:
    other = commented(alice, "another")
    swapped = raw(rating)[:1] + raw(other)[1:17] + raw(rating)[17:]
    with pytest.raises(Unreadable):
        put(rating, swapped).comment  # noqa: B018


def test_without_the_root_key_nothing_is_read_and_the_line_says_which_is_missing(
    rating: AllianceRating, settings: Settings
) -> None:
    settings.ENCRYPTION_KEYS = [os.urandom(32)]
    with pytest.raises(Unreadable, match="ENCRYPTION_KEYS does not hold"):
        AllianceRating.objects.get(id=rating.id).comment  # noqa: B018
    settings.ENCRYPTION_KEYS = []
    with pytest.raises(ImproperlyConfigured, match="ENCRYPTION_KEYS is not set"):
        AllianceRating.objects.get(id=rating.id).comment  # noqa: B018


def test_a_destroyed_key_takes_its_values_with_it(rating: AllianceRating) -> None:
    client_id = rating.therapy_session.treatment.client_id
    crypto.destroy_client_keys(practice_id=rating.practice_id, client_id=client_id)
    with pytest.raises(KeyDestroyed):
        AllianceRating.objects.get(id=rating.id).comment  # noqa: B018
    with crypto.keyring(), pytest.raises(KeyDestroyed):
        crypto.key_for(practice_id=rating.practice_id, client_id=client_id)
    crypto.destroy_client_keys(practice_id=rating.practice_id, client_id=client_id)
    assert not any(bytes(key.wrapped) for key in ClientKey.objects.filter(client_id=client_id))


def test_ciphertext_is_never_handed_out_and_never_searched(rating: AllianceRating) -> None:
    [value] = AllianceRating.objects.filter(id=rating.id).values_list("comment", flat=True)
    with pytest.raises(TypeError):
        str(value)
    assert repr(value) == "‹sealed›"
    with pytest.raises(TypeError, match="encrypted"):
        AllianceRating.objects.filter(comment=SECRET)
    with pytest.raises(TypeError, match="encrypted"), transaction.atomic():
        AllianceRating.objects.update(comment=SECRET)


def test_a_row_saved_without_reading_keeps_its_value(rating: AllianceRating) -> None:
    before = raw(rating)
    AllianceRating.objects.get(id=rating.id).save()
    assert raw(rating) == before


def test_a_row_saved_as_a_whole_goes_on_saying_that_a_text_was_erased(alice: Membership) -> None:
    """Its pause stands, and needs a reason: what is saved of its client is no server error."""
    client = TreatmentFactory.create(therapist=alice).client
    client.pause_reason, client.pause_review_on = "In hospital.", timezone.localdate()
    client.save()
    [field] = [each for each in encrypted_fields() if each.name == "pause_reason"]
    field.erase(Client.objects.filter(id=client.id))
    client = Client.objects.get(id=client.id)
    assert client.pause_reason == ""
    client.initials = "K. M."
    client.save()
    assert Client.objects.exclude(pause_reason="").exists(), "it says that there was one"
    client.pause_reason = "At home again."
    client.save()
    assert Client.objects.get(id=client.id).pause_reason == "At home again."


def test_keys_come_in_one_query_however_many_clients(alice: Membership) -> None:
    for n in range(5):
        commented(alice, f"comment {n}")
    with tenancy.practice(alice.practice_id), CaptureQueriesContext(connection) as queries:
        texts = {rating.comment for rating in AllianceRating.objects.exclude(comment="")}
    assert texts == {f"comment {n}" for n in range(5)}
    asked = [query["sql"] for query in queries if "core_clientkey" in query["sql"]]
    assert len(asked) == 1


def test_an_address_is_found_by_its_index_in_its_own_practice_only(practice: Practice) -> None:
    kim = ClientFactory.create(practice=practice, email="Kim@Mail.example")
    other = PracticeFactory.create()
    found = ContactChannel.objects.with_address(" kim@mail.EXAMPLE ", practice_id=practice.id)
    assert [channel.client for channel in found] == [kim]
    index = found.get().address_index
    with tenancy.practice(other.id):
        assert crypto.blind_index("kim@mail.example", practice_id=other.id) != bytes(index)


def test_no_two_values_are_alike(rating: AllianceRating) -> None:
    before = raw(rating)
    rating.comment = SECRET
    rating.save()
    assert raw(rating) != before


def test_each_encrypted_column_names_the_way_to_its_client(practice: Practice) -> None:
    fields = encrypted_fields()
    assert {str(field) for field in fields} >= {
        "clients.ContactChannel.address",
        "alliance.AllianceRating.comment",
        "ruptures.RuptureEpisode.outcome_reason",
        "therapy_sessions.TherapySession.not_asked_note",
    }
    client = Client(practice=practice)
    for field in fields:
        assert not field.model._base_manager.filter(**{field.client: client.id}).exists()


def test_keys_are_made_once(practice: Practice) -> None:
    kim = ClientFactory.create(practice=practice)
    first = crypto.key_for(practice_id=practice.id, client_id=kim.id)
    assert crypto.key_for(practice_id=practice.id, client_id=kim.id) == first
    assert PracticeKey.objects.filter(practice_id=practice.id).count() == 1


def test_a_root_key_is_32_bytes_in_base64() -> None:
    from config.settings import key_of_32_bytes

    key = os.urandom(32)
    assert key_of_32_bytes(base64.urlsafe_b64encode(key).decode()) == key
    for text in ("short", "!", ""):
        with pytest.raises(ImproperlyConfigured, match="not 32 bytes"):
            key_of_32_bytes(text)
