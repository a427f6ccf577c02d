"""The record holder: what they hold and hand out, and whose notes they open, how late."""

from datetime import timedelta
from importlib import import_module

import time_machine
from django.apps import apps
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts import notices
from apps.accounts.models import Membership, Practice
from apps.accounts.permissions import Permission, permissions_of
from apps.accounts.services import deactivate_member, reactivate_member
from apps.clients.models import Client, Treatment, TwoPersonRequest
from apps.core.models import AuditEntry
from apps.endings.services import close_treatment, hand_over
from apps.exchange import holder, two_people
from apps.exchange.models import NoteReview
from apps.exchange.records import staff_texts
from apps.exchange.texts import texts_of
from apps.therapy_sessions.models import ProcessNote
from apps.therapy_sessions.services import save_process_note
from tests.accounts.conftest import shown
from tests.exchange.conftest import NOON, NOTE, files, fresh, hold
from tests.exchange.singing import url
from tests.factories import MembershipFactory, TreatmentFactory, comment_on, rate


def test_everybody_is_told_of_a_new_record_holder_once(
    practice: Practice,
    alice: Membership,
    sam: Membership,
    dora: Membership,
    mona: Membership,
    as_mona: Browser,
) -> None:
    fresh(as_mona)
    for years in ("8", "9"):
        body = {"retention_years": years, "record_holder": str(sam.id)}
        assert as_mona.post("/practice/records/", body).status_code == 302
    for member in (alice, sam, mona):
        [told] = notices.unread(member)
        assert told.said.text.startswith("Sam Okafor was named record holder of the practice")
    assert notices.unread(dora) == ()
    as_mona.post("/practice/records/", {"retention_years": "9", "record_holder": ""})
    for member in (alice, sam, mona):
        told = notices.unread(member)[0]
        assert told.said.text.startswith("Sam Okafor ceased to be record holder of the practice")
    as_mona.post("/practice/records/", body)
    assert len(notices.unread(alice)) == 3, "named again, told again"


def test_nobody_becomes_record_holder_by_an_invitation(
    practice: Practice, sam: Membership, as_mona: Browser
) -> None:
    sam.joined_at = timezone.now() - timedelta(days=6)
    sam.save()
    body = {"retention_years": "20", "record_holder": str(sam.id)}
    assert fresh(as_mona).post("/practice/records/", body).status_code == 200
    practice.refresh_from_db()
    assert practice.record_holder is None
    sam.joined_at = timezone.now() - timedelta(days=7)
    sam.save()
    assert as_mona.post("/practice/records/", body).status_code == 302


def test_the_record_holder_reviews_notes_of_who_has_left_with_a_reason(
    ended: Treatment, alice: Membership, sam: Membership, as_sam: Browser
) -> None:
    address = f"/clients/{ended.client_id}/left-notes/"
    fresh(as_sam)
    assert as_sam.get(address).status_code == 404
    hold(alice.practice, sam)
    assert as_sam.get(address).status_code == 404
    alice.is_active = False
    alice.save()
    assert address in as_sam.get("/erasures/").content.decode()
    assert NOTE not in as_sam.get(address).content.decode()
    assert "Say why" in as_sam.post(address, {"reason": ""}).content.decode()
    opened = as_sam.post(address, {"reason": "She asked for a copy"}, follow=True)
    assert NOTE in opened.content.decode()
    review = NoteReview.objects.get()
    assert review.reason == "She asked for a copy"
    texts = texts_of(ended.client, treatments=Treatment.objects.all(), reader=sam)
    [reason] = [each for each in texts if each.key.startswith("exchange.NoteReview")]
    assert (reason.said, reason.takes_two) == (review.reason, True), "it is kept with the records"
    assert AuditEntry.objects.filter(action="read notes of who has left").count() == 1
    note = ProcessNote.objects.get()
    there = f"{address}?review={review.id}"
    without = as_sam.post(there, {"reviewed": "on"})
    taken = as_sam.post(there, {"reviewed": "on", "keep": [f"{note.id}.text"]})
    assert NOTE not in files(without)["records.json"]
    assert NOTE in files(taken)["records.json"]
    assert taken["Cache-Control"] == "no-store"
    NoteReview.objects.update(reviewed_at=timezone.now() - timedelta(days=1))
    assert as_sam.get(there).status_code == 404, "on another day one says anew why"


def test_why_notes_were_opened_is_read_by_no_therapist_who_comes_later(
    ended: Treatment, alice: Membership, charlie: Membership, sam: Membership, as_charlie: Browser
) -> None:
    hold(alice.practice, sam)
    holder.open_left_notes(client=ended.client, reason="Her lawyer asks about Charlie", by=sam)
    TreatmentFactory.create(client=ended.client, therapist=charlie)
    for page in ("export", "erase"):
        address = f"/clients/{ended.client_id}/records/{page}/"
        assert "Her lawyer" not in fresh(as_charlie).get(address).text
    copy = files(as_charlie.post(f"/clients/{ended.client_id}/records/export/", {"reviewed": "on"}))
    assert "Her lawyer" not in "".join(copy.values())
    its = ended.client.treatments.all()
    shown = staff_texts(ended.client, treatments=its, by=sam)
    assert "Her lawyer asks about Charlie" in {each.text for each in shown}, "whoever wrote it does"


def test_a_place_closed_for_a_moment_opens_no_notes(
    ended: Treatment, alice: Membership, mona: Membership, as_mona: Browser
) -> None:
    hold(alice.practice, mona)
    address = f"/clients/{ended.client_id}/left-notes/"
    fresh(as_mona)
    deactivate_member(member=alice, by=mona)
    assert alice.left_at
    opens = alice.left_at + timedelta(days=7)
    page = as_mona.get("/erasures/").content.decode()
    assert address not in page
    assert f"Alice Moreau open on {opens.astimezone(NOON.tzinfo):%-d %b %Y, %H:%M}" in page
    assert as_mona.post(address, {"reason": "x"}).status_code == 404
    review = holder.open_left_notes(client=ended.client, reason="x", by=mona)
    its = ended.client.treatments.all()
    assert holder.left_notes(review, treatments=its) == [], "nor by a review from before"
    deactivate_member(member=alice, by=mona)
    assert alice.left_at == opens - timedelta(days=7), "closing twice equals once"
    with time_machine.travel(opens):
        assert holder.left_notes(review, treatments=its) == [], "it was made before"
        review = holder.open_left_notes(client=ended.client, reason="x", by=mona)
        assert [each.text for each in holder.left_notes(review, treatments=its)] == [NOTE]
        assert list(holder.clients_with_left_notes(mona)) == [ended.client]
        assert holder.opening_later(mona) == []
    reactivate_member(member=alice, by=mona)
    alice.refresh_from_db()
    assert alice.left_at is None


def test_everybody_is_told_once_that_notes_of_somebody_who_left_were_opened(
    ended: Treatment, alice: Membership, mona: Membership, charlie: Membership, dora: Membership
) -> None:
    hold(alice.practice, mona)
    other = TreatmentFactory.create(therapist=alice)
    [session] = rate(other, [80])
    save_process_note(therapy_session=session, text=NOTE, by=alice)
    deactivate_member(member=alice, by=mona)
    with time_machine.travel(timezone.now() + timedelta(days=8)):
        deactivate_member(member=charlie, by=mona)
        for client in (ended.client, other.client):
            holder.open_left_notes(client=client, reason="x", by=mona)
        for member in (alice, charlie):
            reactivate_member(member=member, by=mona)
    for member in (alice, charlie, mona):
        [told] = notices.unread(member)
        assert told.said.text.startswith("Process notes of Alice Moreau, whose place was closed")
    assert notices.unread(dora) == ()
    deactivate_member(member=alice, by=mona)
    with time_machine.travel(timezone.now() + timedelta(days=8)):
        holder.open_left_notes(client=ended.client, reason="x", by=mona)
    assert len(notices.unread(charlie)) == 2, "closed again, told again"


def test_who_holds_the_records_and_leaves_holds_none_when_they_are_back(
    ended: Treatment, practice: Practice, sam: Membership, mona: Membership, alice: Membership
) -> None:
    """Neither what two people agreed to give them: they are named anew, and everybody is told."""
    hold(practice, sam)
    mona.practice.refresh_from_db()
    asked = two_people.ask_for_export(by=mona)
    two_people.confirm(request=asked, by=alice)
    deactivate_member(member=sam, by=mona)
    practice.refresh_from_db()
    assert (practice.record_holder, practice.retention_years) == (None, 8)
    assert AuditEntry.objects.filter(action="change record holder", actor_id=mona.id).count() == 1
    reactivate_member(member=sam, by=mona)
    back = Membership.objects.get(id=sam.id)
    assert not Client.objects.kept_by(back).exists()
    assert two_people.exports_of(back, at=timezone.now()) == []
    assert Permission.HOLD not in permissions_of(back)


def test_who_left_while_they_held_the_records_holds_none_by_migration(
    practice: Practice, sam: Membership, mona: Membership
) -> None:
    take_away = import_module("apps.accounts.migrations.0014_holding_ends").take_away
    hold(practice, sam)
    for is_active, holds in ((True, sam), (False, None)):
        Membership.objects.filter(id=sam.id).update(is_active=is_active)
        take_away(apps, None)
        practice.refresh_from_db()
        assert practice.record_holder == holds


def test_nobody_holds_records_by_a_place_that_nobody_has_taken(
    practice: Practice, alice: Membership, as_mona: Browser
) -> None:
    place = MembershipFactory.create(practice=practice, name="From a file", user=None)
    body = {"retention_years": "20", "record_holder": str(place.id)}
    refused = fresh(as_mona).post("/practice/records/", body)
    assert refused.context["form"].errors.keys() == {"record_holder"}


def test_the_record_holder_gives_a_full_copy_once_a_treatment_has_ended(
    ended: Treatment, sam: Membership, charlie: Membership, as_sam: Browser, as_alice: Browser
) -> None:
    session = ended.therapy_sessions.get()
    session.not_asked_note = "what alice noted"
    session.save()
    other = TreatmentFactory.create(therapist=ended.therapist)
    address = f"/clients/{ended.client_id}/records/"
    fresh(as_sam)
    assert as_sam.get(address).status_code == 404
    hold(ended.practice, sam)
    assert fresh(as_alice).get(address).status_code == 404
    assert 'href="/erasures/"' in as_sam.get("/supervision/").content.decode()
    listed = as_sam.get("/erasures/").content.decode()
    assert address in listed
    assert str(other.client_id) not in listed
    assert as_sam.get(f"/clients/{other.client_id}/records/").status_code == 403
    # With another therapist now, who makes no copy of what was before.
    TreatmentFactory.create(client=ended.client, therapist=charlie)
    with CaptureQueriesContext(connection) as asked:
        page = as_sam.get(address)
    assert "You hold these records" in page.content.decode()
    assert sum('"record_holder_id" =' in each["sql"] for each in asked) == 1, "looked up once"
    review = as_sam.get(f"{address}export/").content.decode()
    assert "what alice noted" in review
    assert NOTE not in review
    made = files(as_sam.post(f"{address}export/", {"reviewed": "on"}))
    assert "the client&#x27;s comment" in made["records.html"]
    assert "what alice noted" not in made["records.json"]
    taken = files(as_sam.get(f"{address}portable/"))
    assert "the client's comment" in taken["supplied.json"]
    looks = AuditEntry.objects.filter(actor_id=sam.id).values_list("action", flat=True)
    assert {"view records", "export records", "export portable copy"} <= set(looks)


def test_the_page_says_that_notes_of_an_author_who_is_still_here_go_into_no_copy(
    ended: Treatment, as_alice: Browser, sam: Membership, as_sam: Browser
) -> None:
    hold(ended.practice, sam)
    page = shown(fresh(as_sam).get(url(ended)))
    assert "those of a colleague who is still here do not" in page
    assert NOTE not in shown(as_sam.get(url(ended, "export/")))
    assert fresh(as_alice).get(url(ended, "export/")).status_code == 404


def test_what_runs_with_somebody_else_now_is_not_the_record_holders(
    ended: Treatment, sam: Membership, charlie: Membership, as_sam: Browser
) -> None:
    hold(ended.practice, sam)
    now = TreatmentFactory.create(client=ended.client, therapist=charlie)
    [session] = rate(now, [20])
    comment_on(session, "said to charlie")
    session.not_asked_note = "what charlie noted"
    session.save()
    address = f"/clients/{ended.client_id}/records/"
    page = fresh(as_sam).get(address).content.decode()
    assert "Somebody treats this client now." in page
    assert 'value="restrict"' not in page
    assert 'value="request_erasure"' not in page
    for action in ("restrict", "request_erasure"):
        assert as_sam.post(f"{address}act/", {"action": action}).status_code == 403
    assert not TwoPersonRequest.objects.exists()
    assert not Client.objects.get().restricted_at
    assert "what charlie noted" not in as_sam.get(f"{address}export/").content.decode()
    copy = files(as_sam.post(f"{address}export/", {"reviewed": "on"}))
    made = "".join((copy | files(as_sam.get(f"{address}portable/"))).values())
    assert "the client's comment" in made
    assert "said to charlie" not in made
    assert str(now.id) not in made
    texts = as_sam.get(f"{address}erase/").context["texts"]
    days = {each.on for each in texts}
    assert NOON.date() in days
    assert all(day and day <= NOON.date() for day in days)
    close_treatment(treatment=now, how="agreed", review="", by=charlie)
    as_sam.post(f"{address}act/", {"action": "restrict"})
    assert Client.objects.get().restricted_at
    assert "said to charlie" in files(as_sam.get(f"{address}portable/"))["supplied.json"]


def test_a_holder_who_treats_the_client_now_opens_nothing_of_the_therapist_before(
    ended: Treatment, alice: Membership, charlie: Membership, as_charlie: Browser
) -> None:
    hold(alice.practice, charlie)
    Membership.objects.filter(id=alice.id).update(is_active=False)
    assert list(holder.clients_with_left_notes(charlie)) == [ended.client]
    now = TreatmentFactory.create(client=ended.client, therapist=charlie, follows=ended)
    address = f"/clients/{ended.client_id}/left-notes/"
    assert fresh(as_charlie).post(address, {"reason": "I treat him"}).status_code == 404
    assert address not in as_charlie.get("/erasures/").content.decode()
    assert not NoteReview.objects.exists()
    for days_ago, opens in ((0, []), (6, []), (7, [ended.client])):
        now.starts_on = now.ends_on = timezone.localdate() - timedelta(days=days_ago)
        now.save()
        assert list(holder.clients_with_left_notes(charlie)) == opens, "closed to be read"


def test_a_holder_who_hands_a_client_over_reads_nothing_of_the_therapist_before_for_seven_days(
    alice: Membership, charlie: Membership, mona: Membership, as_mona: Browser, practice: Practice
) -> None:
    """Nor of a treatment that had ended before what was handed over."""
    hold(practice, mona)
    treatment = TreatmentFactory.create(therapist=alice, client__code="FE-0007", falling=True)
    client = treatment.client
    fresh(as_mona)
    page = url(treatment, "export/")
    assert as_mona.get(page).status_code == 404
    hand_over([treatment], to=charlie, by=mona)
    assert as_mona.get(page).status_code == 404
    hand_over(list(charlie.treatments.all()), to=alice, by=mona)
    assert not client.treatments.ended(on=timezone.localdate()).exists(), "handed back"
    hand_over([treatment], to=charlie, by=mona)
    passed = client.treatments.get(therapist=charlie)
    close_treatment(treatment=passed, how="agreed", review="", by=charlie)
    today = timezone.localdate()
    assert Client.objects.kept_by(mona).get() == client
    left = client.treatments.left_to_holder(on=today)
    assert list(left) == [passed], "closed by its therapist"
    later = today + timedelta(days=7)
    assert set(client.treatments.left_to_holder(on=later)) == {treatment, passed}


def test_a_holder_who_closes_a_treatment_of_their_own_answers_for_it_at_once(
    alice: Membership,
) -> None:
    hold(alice.practice, alice)
    own = TreatmentFactory.create(therapist=alice, ends_on=timezone.localdate())
    assert list(Client.objects.kept_by(alice)) == [own.client]


def test_nobody_but_the_record_holder_opens_these_notes(
    ended: Treatment, alice: Membership, charlie: Membership, sam: Membership, as_charlie: Browser
) -> None:
    hold(alice.practice, sam)
    Membership.objects.filter(id=alice.id).update(is_active=False)
    address = f"/clients/{ended.client_id}/left-notes/"
    assert fresh(as_charlie).get(address).status_code == 404
    assert as_charlie.post(address, {"reason": "curious"}).status_code == 404
    assert not NoteReview.objects.exists()
