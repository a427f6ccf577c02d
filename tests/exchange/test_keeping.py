"""How long records are kept, who holds them, and all records handed over by two people's word."""

import csv
import io
import re
import zipfile
from datetime import date, datetime, timedelta
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.apps import apps
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts import notices
from apps.accounts.models import Membership, Practice, Role
from apps.accounts.permissions import Permission, permissions_of
from apps.accounts.services import deactivate_member, reactivate_member
from apps.clients.models import Client, Treatment, TwoPersonRequest
from apps.core.models import AuditEntry
from apps.exchange import holder, rights, two_people
from apps.exchange.models import NoteReview
from apps.exchange.retention import years_before
from apps.exchange.tasks import propose_erasures
from apps.exchange.texts import texts_of
from apps.therapy_sessions.models import ProcessNote
from apps.therapy_sessions.services import save_process_note
from tests.factories import PASSWORD, MembershipFactory, TreatmentFactory, comment_on, rate

NOON = datetime(2026, 6, 10, 12, tzinfo=ZoneInfo("Europe/London"))
NOTE = "canary of a process note"


@pytest.fixture
def ended(alice: Membership) -> Treatment:
    """A treatment whose only session and whose end were on 10 June 2026."""
    with time_machine.travel(NOON, tick=False):
        treatment = TreatmentFactory.create(therapist=alice, client__code="=OLD-1")
        [session] = rate(treatment, [80])
        comment_on(session, "the client's comment")
        save_process_note(therapy_session=session, text=NOTE, by=alice)
        treatment.ends_on = NOON.date()
        treatment.save()
    return treatment


def propose(day: date) -> list[TwoPersonRequest]:
    with time_machine.travel(datetime(day.year, day.month, day.day, 12, tzinfo=NOON.tzinfo)):
        propose_erasures()
        return list(TwoPersonRequest.objects.filter(closed_at=None))


def fresh(browser: Browser) -> Browser:
    browser.post("/sign-in/again/", {"password": PASSWORD})
    return browser


def hold(practice: Practice, holder: Membership) -> None:
    practice.record_holder = holder
    practice.save()


def manages(member: Membership) -> None:
    member.roles = [*member.roles, Role.MANAGER]
    member.save()


def test_erasure_is_proposed_eight_years_after_the_end_and_only_once(ended: Treatment) -> None:
    assert propose(date(2034, 6, 10)) == []
    [asked] = propose(date(2034, 6, 11))
    assert asked.client == ended.client
    assert asked.requested_by is None
    assert propose(date(2034, 6, 12)) == [asked]
    assert Client.objects.get().erased_at is None


def test_a_practice_may_keep_longer_or_without_a_limit(ended: Treatment) -> None:
    Practice.objects.update(retention_years=20)
    assert propose(date(2046, 6, 10)) == []
    Practice.objects.update(retention_years=None)
    assert propose(date(2099, 6, 10)) == []
    Practice.objects.update(retention_years=20)
    assert len(propose(date(2046, 6, 11))) == 1


@pytest.mark.parametrize("why", ["held", "in treatment", "treated again"])
def test_who_is_held_or_still_treated_is_not_proposed(
    ended: Treatment, alice: Membership, why: str
) -> None:
    if why == "held":
        rights.set_hold(client=ended.client, held=True, by=alice)
    elif why == "in treatment":
        Treatment.objects.update(ends_on=None)
    else:
        TreatmentFactory.create(client=ended.client, therapist=alice, starts_on=date(2033, 1, 1))
    assert propose(date(2036, 1, 1)) == []


def test_a_proposal_is_asked_for_by_one_person_and_confirmed_by_another(
    ended: Treatment, alice: Membership, mona: Membership
) -> None:
    [asked] = propose(date(2035, 1, 1))
    with time_machine.travel(date(2035, 1, 2)):
        assert two_people.confirm(request=asked, by=mona) is False
        with pytest.raises(two_people.NotYet):
            two_people.confirm(request=asked, by=mona)
        assert two_people.confirm(request=asked, by=alice) is True
        with pytest.raises(two_people.Closed):
            two_people.confirm(request=asked, by=alice)
    assert Client.objects.get().erased_at


def test_a_proposal_holds_as_long_as_the_time_of_keeping_is_over(
    ended: Treatment, practice: Practice, alice: Membership, mona: Membership, as_mona: Browser
) -> None:
    """Years shortened for an hour, or a treatment begun again, erase nobody later."""
    Practice.objects.update(retention_years=1)
    [asked] = propose(date(2028, 1, 1))
    Practice.objects.update(retention_years=8)
    for member in (alice, mona):
        member.practice.refresh_from_db()
    with time_machine.travel(date(2028, 1, 2)), pytest.raises(two_people.Lapsed):
        two_people.confirm(request=asked, by=mona)
    assert "the client is to be kept for longer now" in as_mona.get("/erasures/").text
    said = fresh(as_mona).post(f"/erasures/{asked.id}/", follow=True).text
    assert "This does not hold any more" in said
    with time_machine.travel(date(2034, 6, 11)):
        assert two_people.confirm(request=asked, by=mona) is False, "over by now, in eight years"
        TreatmentFactory.create(client=ended.client, therapist=alice, starts_on=date(2034, 6, 1))
        with pytest.raises(two_people.Lapsed):
            two_people.confirm(request=asked, by=alice)
    assert Client.objects.get().erased_at is None


@pytest.mark.parametrize("what", ["erasure", "texts", "all records"])
def test_the_word_of_who_has_left_is_none_of_two(
    ended: Treatment, practice: Practice, sam: Membership, mona: Membership, what: str
) -> None:
    hold(practice, sam)
    nora = MembershipFactory.create(practice=practice, roles=[Role.MANAGER])
    if what == "all records":
        asked = two_people.ask_for_export(by=nora)
    elif what == "texts":
        asked = two_people.ask_to_erase_texts(client=ended.client, keys=["any"], by=nora)
    else:
        asked = two_people.ask_to_erase(client=ended.client, by=nora)
    deactivate_member(member=nora, by=mona)
    with pytest.raises(two_people.Lapsed):
        two_people.confirm(request=asked, by=sam)
    if what == "all records":
        anew = two_people.ask_for_export(by=mona)
    elif what == "erasure":
        anew = two_people.ask_to_erase(client=ended.client, by=mona)
    else:
        return
    assert anew.requested_by == mona, "what had lapsed does not stand in the way"
    asked.refresh_from_db()
    assert (asked.is_carried_out, asked.closed_by) == (False, mona)


def test_all_records_are_asked_for_by_somebody_who_manages(
    practice: Practice, sam: Membership, mona: Membership
) -> None:
    hold(practice, sam)
    nora = MembershipFactory.create(practice=practice, roles=[Role.MANAGER])
    asked = two_people.ask_for_export(by=nora)
    Membership.objects.filter(id=nora.id).update(roles=[Role.THERAPIST])
    with pytest.raises(two_people.Lapsed):
        two_people.confirm(request=asked, by=sam)


def test_who_withdraws_a_proposal_keeps_the_client_for_a_year(
    ended: Treatment, mona: Membership
) -> None:
    [asked] = propose(date(2035, 1, 1))
    with time_machine.travel(date(2035, 1, 2)):
        two_people.withdraw(request=asked, by=mona)
    assert propose(date(2035, 12, 1)) == []
    assert len(propose(date(2036, 2, 1))) == 1


def test_a_leap_day_is_never_too_early() -> None:
    assert years_before(date(2028, 2, 29), 8) == date(2020, 2, 28)


def test_a_manager_names_how_long_and_who_but_not_themselves(
    practice: Practice, sam: Membership, mona: Membership, as_mona: Browser
) -> None:
    body = {"retention_years": "20", "record_holder": str(sam.id)}
    assert fresh(as_mona).post("/practice/records/", body).status_code == 302
    practice.refresh_from_db()
    assert (practice.retention_years, practice.record_holder) == (20, sam)
    refused = as_mona.post("/practice/records/", body | {"record_holder": str(mona.id)})
    assert refused.status_code == 200
    assert AuditEntry.objects.filter(action="set keeping of records").count() == 1


def test_a_manager_who_is_new_keeps_what_they_filled_in_when_it_is_refused(
    practice: Practice, sam: Membership, mona: Membership, as_mona: Browser
) -> None:
    practice.created_at = timezone.now() - timedelta(days=30)
    practice.save()
    mona.joined_at = timezone.now() - timedelta(days=1)
    mona.save()
    body = {"retention_years": "27", "record_holder": str(sam.id)}
    refused = fresh(as_mona).post("/practice/records/", body)
    assert refused.status_code == 200
    assert refused.context["form"].errors.keys() == {"record_holder"}
    assert 'value="27"' in refused.content.decode()
    practice.refresh_from_db()
    assert practice.record_holder is None


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
    as_mona.post("/practice/records/", body)
    assert len(notices.unread(alice)) == 2, "named again, told again"


def test_a_manager_who_is_the_record_holder_stays_it_when_the_years_change(
    practice: Practice, alice: Membership, mona: Membership, as_mona: Browser
) -> None:
    practice.record_holder = mona
    practice.save()
    fresh(as_mona)
    page = as_mona.get("/practice/records/").content.decode()
    assert re.search(rf'value="{mona.id}"\s+selected', page)
    body = {"retention_years": "9", "record_holder": str(mona.id)}
    assert as_mona.post("/practice/records/", body).status_code == 302
    practice.refresh_from_db()
    assert (practice.retention_years, practice.record_holder) == (9, mona)


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
    assert reason.takes_two, "it is kept with the records"
    assert AuditEntry.objects.filter(action="read notes of who has left").count() == 1
    note = ProcessNote.objects.get()
    there = f"{address}?review={review.id}"
    without = as_sam.post(there, {"reviewed": "on"})
    taken = as_sam.post(there, {"reviewed": "on", "keep": [f"{note.id}.text"]})
    assert NOTE not in _files(without)["records.json"]
    assert NOTE in _files(taken)["records.json"]
    assert taken["Cache-Control"] == "no-store"


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
        for client in (ended.client, other.client):
            holder.open_left_notes(client=client, reason="x", by=mona)
        reactivate_member(member=alice, by=mona)
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
    assert AuditEntry.objects.filter(action="set keeping of records", actor_id=mona.id).count() == 1
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
    made = _files(as_sam.post(f"{address}export/", {"reviewed": "on"}))
    assert "the client&#x27;s comment" in made["records.html"]
    assert "what alice noted" not in made["records.json"]
    taken = _files(as_sam.get(f"{address}portable/"))
    assert "the client's comment" in taken["supplied.json"]
    looks = AuditEntry.objects.filter(actor_id=sam.id).values_list("action", flat=True)
    assert {"view records", "export records", "export portable copy"} <= set(looks)


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
    copy = _files(as_sam.post(f"{address}export/", {"reviewed": "on"}))
    made = "".join((copy | _files(as_sam.get(f"{address}portable/"))).values())
    assert "the client's comment" in made
    assert "said to charlie" not in made
    assert str(now.id) not in made
    texts = as_sam.get(f"{address}erase/").context["texts"]
    days = {each.on for each in texts}
    assert NOON.date() in days
    assert all(day and day <= NOON.date() for day in days)
    now.ends_on = timezone.localdate()
    now.save()
    as_sam.post(f"{address}act/", {"action": "restrict"})
    assert Client.objects.get().restricted_at
    assert "said to charlie" in _files(as_sam.get(f"{address}portable/"))["supplied.json"]


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


def test_two_people_let_the_record_holder_take_all_records(
    ended: Treatment, sam: Membership, as_mona: Browser, as_sam: Browser, as_charlie: Browser
) -> None:
    TreatmentFactory.create(therapist=ended.therapist, client__code="B-2")
    session = ended.therapy_sessions.get()
    session.not_asked_note = "nobody reviewed this"
    session.save()
    hold(ended.practice, sam)
    assert list(Client.objects.kept_by(sam)) == [ended.client], "not who is treated still"
    fresh(as_mona).post("/practice/records/export/")
    asked = TwoPersonRequest.objects.get()
    address = f"/erasures/{asked.id}/export/"
    assert fresh(as_sam).get(address).status_code == 404
    as_mona.post(f"/erasures/{asked.id}/", {"confirm": ""})
    assert as_sam.get(address).status_code == 404
    fresh(as_charlie).post(f"/erasures/{asked.id}/", {"confirm": ""})
    for other in (as_mona, as_charlie):
        assert other.get(address).status_code == 404
    taken = as_sam.get(address)
    made = _files(taken)
    assert list(csv.reader(io.StringIO(made["index.csv"])))[1:] == [
        ["0001", "'=OLD-1"],
        ["0002", "B-2"],
    ]
    assert "the client&#x27;s comment" in made["0001/records.html"]
    assert NOTE not in made["0001/records.json"]
    assert "nobody reviewed this" not in made["0001/records.json"]
    assert taken["Cache-Control"] == "no-store"
    looked = AuditEntry.objects.get(action="export all records")
    assert set(looked.client_ids) == set(Client.objects.values_list("id", flat=True))
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        assert not two_people.exports_of(sam, at=timezone.now())


def test_what_two_people_agreed_for_one_record_holder_is_no_others(
    ended: Treatment,
    alice: Membership,
    sam: Membership,
    charlie: Membership,
    as_charlie: Browser,
    as_sam: Browser,
) -> None:
    manages(alice)
    hold(ended.practice, sam)
    agreed = two_people.ask_for_export(by=alice)
    assert two_people.confirm(request=agreed, by=charlie)
    waiting = two_people.ask_for_export(by=alice)
    assert "to Sam Okafor" in two_people.say_requested([waiting.id], charlie)[waiting.id].text
    hold(ended.practice, charlie)
    for browser, whose in ((as_charlie, "the next"), (as_sam, "the one before")):
        taken = fresh(browser).get(f"/erasures/{agreed.id}/export/")
        assert taken.status_code == 404, whose
    sent = as_charlie.post(f"/erasures/{waiting.id}/", {"confirm": ""}, follow=True)
    assert "The record holder is somebody else now" in sent.content.decode()
    alice.practice.refresh_from_db()
    anew = two_people.ask_for_export(by=alice)
    assert not TwoPersonRequest.objects.filter(closed_at=None).exclude(id=anew.id).exists()
    assert "For Charlie Nowak" in as_charlie.get("/erasures/").content.decode()
    as_charlie.post(f"/erasures/{anew.id}/", {"confirm": ""})
    assert "index.csv" in _files(as_charlie.get(f"/erasures/{anew.id}/export/"))
    withdrawn = two_people.ask_for_export(by=alice)
    two_people.withdraw(request=withdrawn, by=alice)
    assert as_charlie.get(f"/erasures/{withdrawn.id}/export/").status_code == 404


def test_nothing_is_asked_for_while_nobody_is_the_record_holder(as_mona: Browser) -> None:
    page = fresh(as_mona).post("/practice/records/export/", follow=True)
    assert "name somebody first" in page.content.decode()
    assert not TwoPersonRequest.objects.exists()


def test_whoever_asked_is_told_that_a_colleague_withdrew_it(
    ended: Treatment, alice: Membership, mona: Membership
) -> None:
    asked = two_people.ask_to_erase(client=ended.client, by=alice)
    two_people.withdraw(request=asked, by=mona)
    [told] = notices.unread(alice)
    assert told.said.text == "=OLD-1: Mona Haddad withdrew the request to erase."
    assert told.said.client_id == ended.client_id
    two_people.withdraw(request=two_people.ask_to_erase(client=ended.client, by=mona), by=mona)
    assert "withdrew" not in "".join(each.said.text for each in notices.unread(mona))


def test_a_client_in_treatment_is_erased_only_where_their_therapist_is_one_of_the_two(
    ended: Treatment, alice: Membership, charlie: Membership, mona: Membership, as_mona: Browser
) -> None:
    asked = two_people.ask_to_erase(client=ended.client, by=alice)
    TreatmentFactory.create(client=ended.client, therapist=charlie)
    TreatmentFactory.create(therapist=alice)
    page = fresh(as_mona).post(f"/erasures/{asked.id}/", {"confirm": ""}, follow=True)
    assert "their therapist has to be one of the two" in page.content.decode()
    assert not Client.objects.get(id=ended.client_id).erased_at
    assert two_people.confirm(request=asked, by=charlie)
    assert Client.objects.get(id=ended.client_id).erased_at


def test_who_works_alone_waits_seven_days_for_all_records(
    ended: Treatment, alice: Membership
) -> None:
    MembershipFactory.create(practice=alice.practice, user=None, name="From a file")
    manages(alice)
    hold(ended.practice, alice)
    alice.practice.refresh_from_db()
    asked = two_people.ask_for_export(by=alice)
    assert two_people.ask_for_export(by=alice) == asked
    with pytest.raises(two_people.NotYet):
        two_people.confirm(request=asked, by=alice)
    with time_machine.travel(timezone.now() + timedelta(days=7, minutes=1)):
        assert two_people.confirm(request=asked, by=alice)


def _files(response: Any) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(response.getvalue())) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_nobody_works_alone_because_they_closed_the_others_places_for_a_minute(
    ended: Treatment, practice: Practice, alice: Membership, mona: Membership, as_mona: Browser
) -> None:
    page = fresh(as_mona)
    deactivate_member(member=alice, by=mona)
    for sam in Membership.objects.colleagues_of(mona).exclude(id__in=[mona.id, alice.id]):
        deactivate_member(member=sam, by=mona)
    refused = page.post("/practice/records/", {"record_holder": str(mona.id)})
    assert refused.status_code == 200
    practice.refresh_from_db()
    assert practice.record_holder is None
    asked = two_people.ask_to_erase(client=ended.client, by=mona)
    with time_machine.travel(timezone.now() + timedelta(days=8)):
        reactivate_member(member=alice, by=mona)
        deactivate_member(member=alice, by=mona)
        with pytest.raises(two_people.NotYet):
            two_people.confirm(request=asked, by=mona)
    assert [each.said.url for each in notices.unread(alice)] == ["/erasures/"]
