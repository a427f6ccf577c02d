"""Reasons of pauses: who reads them while a pause lasts, and what a legal hold keeps of them."""

import json
from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership
from apps.clients.handing_over import pass_on
from apps.clients.models import Client, Treatment
from apps.clients.services import end_pause, pause_asking
from apps.core import crypto
from apps.core.fields import encrypted_fields
from apps.endings.services import close_treatment
from apps.exchange.records import staff_texts
from apps.exchange.rights import erase_client, set_hold
from tests.accounts.conftest import shown
from tests.exchange.conftest import files, fresh, hold
from tests.exchange.singing import url
from tests.factories import TreatmentFactory

HERS = "Suicidal after the assault."
LATER = "In hospital."


@pytest.fixture
def treatment(alice: Membership) -> Treatment:
    return TreatmentFactory.create(therapist=alice)


def held(client: Client) -> None:
    Client.objects.filter(id=client.id).update(held_at=timezone.now())


def pause(client: Client, reason: str, *, by: Membership) -> None:
    review_on = timezone.localdate() + timedelta(days=10)
    pause_asking(client=client, reason=reason, review_on=review_on, by=by)


def to(member: Membership, treatment: Treatment) -> Treatment:
    on = timezone.localdate()
    return pass_on(treatment, to=member, on=on, by=treatment.therapist)


def was_a_week_ago(treatment: Treatment) -> None:
    """What a hand-over ended is the record holder's from then on."""
    ended_on = timezone.localdate() - timedelta(days=7)
    Treatment.objects.filter(id=treatment.id).update(ends_on=ended_on)


def reads_in_review(browser: Browser, client: Client) -> str:
    page = fresh(browser).get(reverse("export_records", args=[client.id]))
    assert page.status_code == 200
    return shown(page)


def export(browser: Browser, treatment: Treatment) -> str:
    """A copy with every text that may go into it."""
    member = Membership.objects.get(user=browser.session["_auth_user_id"])
    client = Client.objects.get(id=treatment.client_id)
    its = client.treatments.filter(therapist=member)
    keep = [each.key for each in staff_texts(client, treatments=its, by=member)]
    sent = {"keep": keep, "reviewed": "on"}
    return files(fresh(browser).post(url(treatment, "export/"), sent))["records.json"]


def test_the_reason_of_a_pause_that_has_ended_under_a_hold_is_read_by_no_later_therapist(
    treatment: Treatment, alice: Membership, charlie: Membership, as_charlie: Browser
) -> None:
    client = treatment.client
    pause(client, HERS, by=alice)
    held(client)
    end_pause(client=client, by=alice)
    to(charlie, treatment)
    assert HERS not in reads_in_review(as_charlie, client)
    pause(client, LATER, by=charlie)
    pages = [reverse(name, args=[client.id]) for name in ("client", "change_client", "erase_texts")]
    for page in ("/", *pages):
        assert HERS not in shown(as_charlie.get(page))
    assert LATER in shown(as_charlie.get(pages[0]))
    assert HERS not in export(as_charlie, treatment)
    portable = files(as_charlie.get(url(treatment, "portable/")))
    assert HERS not in "".join(portable.values())
    end_pause(client=client, by=charlie)
    assert HERS not in export(as_charlie, treatment)
    assert LATER in export(as_charlie, treatment)
    treatment.refresh_from_db()
    assert treatment.ended_pause_reasons == HERS


def test_who_treats_the_client_while_a_pause_lasts_reads_its_reason_and_then_no_more(
    treatment: Treatment,
    alice: Membership,
    charlie: Membership,
    as_charlie: Browser,
    sam: Membership,
    as_sam: Browser,
) -> None:
    client = treatment.client
    held(client)
    pause(client, HERS, by=alice)
    new = to(charlie, treatment)
    assert HERS in shown(as_charlie.get(reverse("client", args=[client.id])))
    assert HERS in reads_in_review(as_charlie, client)
    end_pause(client=client, by=charlie)
    assert HERS not in reads_in_review(as_charlie, client)
    client.refresh_from_db()
    assert (client.pause_reason, client.pause_review_on, client.paused_in) == ("", None, None)
    for each, kept in ((treatment, HERS), (new, "")):
        each.refresh_from_db()
        assert each.ended_pause_reasons == kept
    hold(client.practice, sam)
    was_a_week_ago(treatment)
    listed = shown(fresh(as_sam).get(reverse("erase_texts", args=[client.id])))
    assert "Treatments: ended pause reasons" in listed, "also while another treats the client"
    assert HERS not in listed


def test_another_pause_before_the_first_has_ended_ends_it(
    treatment: Treatment, alice: Membership, charlie: Membership
) -> None:
    client = treatment.client
    held(client)
    pause(client, HERS, by=alice)
    to(charlie, treatment)
    pause(client, LATER, by=charlie)
    client.refresh_from_db()
    treatment.refresh_from_db()
    assert (client.pause_reason, treatment.ended_pause_reasons) == (LATER, HERS)


def test_who_wrote_it_and_later_the_record_holder_have_it_in_their_copies(
    treatment: Treatment, alice: Membership, as_alice: Browser, sam: Membership, as_sam: Browser
) -> None:
    client = treatment.client
    hold(client.practice, sam)
    held(client)
    pause(client, HERS, by=alice)
    end_pause(client=client, by=alice)
    assert HERS in reads_in_review(as_alice, client)
    made = json.loads(export(as_alice, treatment))
    assert [each["ended_pause_reasons"] for each in made["tables"]["clients.Treatment"]] == [HERS]
    assert HERS in shown(as_alice.get(reverse("erase_texts", args=[client.id]))), "hers to erase"
    fresh(as_sam)
    assert as_sam.get(reverse("export_records", args=[client.id])).status_code == 403
    close_treatment(treatment=treatment, how="agreed", review="", by=alice)
    assert HERS in reads_in_review(as_sam, client)


@pytest.mark.parametrize("began_before", [True, False])
def test_the_record_holder_reads_why_asking_rests_where_the_pause_began_in_what_has_ended(
    treatment: Treatment,
    alice: Membership,
    charlie: Membership,
    sam: Membership,
    as_sam: Browser,
    began_before: bool,
) -> None:
    client = treatment.client
    hold(client.practice, sam)
    if began_before:
        pause(client, HERS, by=alice)
        to(charlie, treatment)
    else:
        to(charlie, treatment)
        pause(client, HERS, by=charlie)
    was_a_week_ago(treatment)
    assert (HERS in reads_in_review(as_sam, client)) is began_before


def test_forms_say_what_a_manager_who_is_record_holder_reads_once_a_treatment_has_ended(
    treatment: Treatment, alice: Membership, as_alice: Browser, mona: Membership, as_mona: Browser
) -> None:
    client = treatment.client
    details = reverse("change_client", args=[client.id])
    for page in (reverse("add_client"), details):
        said = "once a treatment has ended, the practice’s record holder does."
        assert said in shown(as_alice.get(page))
    said = "once your treatment has ended, so does the practice’s record holder."
    assert said in shown(as_alice.get(details))
    hold(client.practice, mona)
    pause(client, HERS, by=alice)
    fresh(as_mona)
    assert as_mona.get(reverse("export_records", args=[client.id])).status_code == 404
    close_treatment(treatment=treatment, how="agreed", review="", by=alice)
    assert HERS in reads_in_review(as_mona, client)
    portable = files(as_mona.get(url(treatment, "portable/")))
    assert client.channels.get(kind="email").address in "".join(portable.values())


def test_what_was_kept_for_a_hold_alone_goes_with_it(
    treatment: Treatment, alice: Membership, mona: Membership
) -> None:
    client = treatment.client
    set_hold(client=client, held=True, by=mona)
    pause(client, HERS, by=alice)
    end_pause(client=client, by=alice)
    pause(client, LATER, by=alice)
    set_hold(client=client, held=False, by=mona)
    treatment.refresh_from_db()
    client.refresh_from_db()
    assert (treatment.ended_pause_reasons, client.pause_reason) == ("", LATER)
    end_pause(client=client, by=alice)
    treatment.refresh_from_db()
    assert treatment.ended_pause_reasons == "", "without a hold a reason goes with its pause"


def test_an_erased_client_leaves_no_reason_of_a_pause(
    treatment: Treatment, alice: Membership
) -> None:
    client = treatment.client
    treatment.ended_pause_reasons = HERS
    treatment.save()
    pause(client, LATER, by=alice)
    erase_client(client=client, by=alice)
    client.refresh_from_db()
    treatment.refresh_from_db()
    assert (client.pause_reason, client.paused_in, treatment.ended_pause_reasons) == ("", None, "")
    erased = Client.objects.filter(id=client.id).exclude(pause_reason="")
    assert erased.exists(), "the mark of an erased text"
    part_what_has_ended()
    assert erased.exists(), "which the migration leaves"


def part_what_has_ended() -> None:
    migration = import_module("apps.clients.migrations.0020_ended_pause_reasons")
    with connection.schema_editor() as editor:
        migration.part_what_has_ended(apps, editor)


@pytest.mark.parametrize("is_held", [True, False])
@pytest.mark.parametrize("lasts", [True, False])
def test_reasons_of_before_go_to_the_treatments_in_which_they_were_written_by_migration(
    treatment: Treatment, alice: Membership, charlie: Membership, is_held: bool, lasts: bool
) -> None:
    client = treatment.client
    pause(client, "Replaced before the hold stood.", by=alice)
    pause(client, HERS, by=alice)
    new = to(charlie, treatment)
    pause(client, LATER, by=charlie)
    client.refresh_from_db()
    client.pause_reason, client.paused_in = f"{HERS}\n\n{LATER}", None
    client.pause_review_on = client.pause_review_on if lasts else None
    client.held_at = timezone.now() if is_held else None
    client.save()
    part_what_has_ended()
    for each in (client, treatment, new):
        each.refresh_from_db()
    assert client.pause_reason == (LATER if lasts else "")
    assert client.paused_in == (new if lasts else None)
    assert treatment.ended_pause_reasons == (HERS if is_held else "")
    assert new.ended_pause_reasons == (LATER if is_held and not lasts else "")


def test_a_pause_whose_reason_was_erased_lasts_on_after_the_migration(
    treatment: Treatment, alice: Membership
) -> None:
    client = treatment.client
    pause(client, HERS, by=alice)
    [field] = [each for each in encrypted_fields() if each.name == "pause_reason"]
    field.erase(Client.objects.filter(id=client.id))
    part_what_has_ended()
    client.refresh_from_db()
    assert (client.pause_reason, client.paused_in) == ("", treatment)
    assert client.pause_review_on


def test_the_migration_leaves_who_has_no_key_any_more_as_they_are(
    treatment: Treatment, alice: Membership
) -> None:
    """Erased after the dump that was read back, with the keys of today."""
    client = treatment.client
    pause(client, HERS, by=alice)
    Client.objects.filter(id=client.id).update(paused_in=None)
    crypto.destroy_client_keys(practice_id=client.practice_id, client_id=client.id)
    part_what_has_ended()
    client.refresh_from_db(fields=["paused_in", "pause_review_on"])
    assert (client.paused_in, bool(client.pause_review_on)) == (None, True)
