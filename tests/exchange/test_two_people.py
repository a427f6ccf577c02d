"""What takes two people's word: an erasure, and giving out all records."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.core.exceptions import PermissionDenied
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts import notices
from apps.accounts.models import Membership, Notice, Practice, Role
from apps.accounts.services import change_roles, deactivate_member, reactivate_member
from apps.clients.models import Client, Treatment, TwoPersonRequest
from apps.core import tenancy
from apps.core.models import AuditEntry
from apps.endings.services import close_treatment, hand_over
from apps.exchange import two_people
from tests.at_once import sent_during
from tests.conftest import signed_in
from tests.exchange.conftest import NOTE, files, fresh, hold, manages, propose
from tests.factories import MembershipFactory, TreatmentFactory


@pytest.mark.django_db(transaction=True)
def test_whose_place_is_closed_as_their_word_waits_for_anothers_gives_nothing_out(
    practice: Practice, mona: Membership, charlie: Membership
) -> None:
    second = MembershipFactory.create(practice=practice, roles=[Role.MANAGER])
    Practice.objects.filter(id=practice.id).update(record_holder=charlie)
    asked = TwoPersonRequest.objects.create(
        practice=practice,
        kind=TwoPersonRequest.Kind.EXPORT_ALL,
        holder=charlie,
        requested_by=mona,
        requested_at=timezone.now(),
    )

    def close() -> None:
        TwoPersonRequest.objects.select_for_update().get(id=asked.id)
        deactivate_member(member=Membership.objects.get(id=second.id), by=mona)

    def confirm() -> None:
        with tenancy.practice(practice.id):
            two_people.confirm(request=asked, by=second)

    with pytest.raises(PermissionDenied):
        sent_during(close, practice, confirm)
    with tenancy.practice(practice.id):
        assert TwoPersonRequest.objects.get().closed_at is None


def test_asking_on_a_page_of_before_somebody_else_asked_erases_nobody(
    ended: Treatment, mona: Membership, charlie: Membership
) -> None:
    [asked] = propose(date(2035, 1, 1))
    asks, confirms = {"do": "ask_for_this"}, {"do": "erase_for_good"}
    with time_machine.travel(datetime(2035, 1, 2, 12, tzinfo=UTC)):
        monas, charlies = (fresh(signed_in(each)) for each in (mona, charlie))
        for browser in (monas, charlies):
            assert 'value="ask_for_this"' in browser.get("/erasures/").content.decode()
        monas.post(f"/erasures/{asked.id}/", asks)
        page = charlies.post(f"/erasures/{asked.id}/", asks, follow=True).content.decode()
        assert "Somebody asked for this meanwhile" in page
        assert not Client.objects.get().erased_at
        charlies.post(f"/erasures/{asked.id}/", {})
        assert not Client.objects.get().erased_at, "nothing was pressed"
        assert 'value="erase_for_good"' in page
        charlies.post(f"/erasures/{asked.id}/", confirms)
    assert Client.objects.get().erased_at


@pytest.mark.parametrize(
    ("address", "sent", "said"),
    [
        ("/erasures/{}/", {"do": "erase_for_good", "code": "=OLD-1"}, ["erase for good", "=OLD-1"]),
        ("/erasures/{}/", {"do": "withdraw_the_request"}, ["withdraw the request"]),
        (
            "/practice/holds/",
            {"code": "=OLD-1", "lift": "lift_the_hold"},
            ["=OLD-1", "lift the hold"],
        ),
    ],
)
def test_a_form_that_waits_for_a_proof_says_what_it_does_and_to_whom(
    ended: Treatment, as_mona: Browser, address: str, sent: dict[str, str], said: list[str]
) -> None:
    [asked] = propose(date(2035, 1, 1))
    if "erasures" in address:
        assert 'name="code" value="=OLD-1"' in as_mona.get("/erasures/").content.decode()
    asks_who = as_mona.post(address.format(asked.id), sent)
    kept = parse_qs(urlsplit(asks_who["Location"]).query)["next"][0]
    fresh(as_mona)
    page = " ".join(unescape(as_mona.get(kept).content.decode()).split())
    for words in said:
        assert words in page


def test_what_a_therapist_asks_about_a_client_says_whom_while_it_waits_for_a_proof(
    alice: Membership, as_alice: Browser
) -> None:
    client = TreatmentFactory.create(therapist=alice, client__code="FE-0107").client
    address = f"/clients/{client.id}/records/"
    fresh(as_alice)
    hidden = '<input type="hidden" name="code" value="FE-0107">'
    assert hidden in as_alice.get(address).content.decode()
    stale = signed_in(alice)
    asks_who = stale.post(f"{address}act/", {"action": "request_erasure", "code": "FE-0107"})
    kept = parse_qs(urlsplit(asks_who["Location"]).query)["next"][0]
    page = fresh(stale).get(kept).content.decode()
    assert "FE-0107" in page
    assert "request erasure" in page


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


@pytest.mark.parametrize("what", ["erasure", "texts", "all records"])
def test_the_word_of_who_has_left_is_none_of_two(
    ended: Treatment, practice: Practice, sam: Membership, mona: Membership, what: str
) -> None:
    hold(practice, sam)
    nora = MembershipFactory.create(practice=practice, roles=[Role.MANAGER, Role.THERAPIST])
    TreatmentFactory.create(client=ended.client, therapist=nora)
    if what == "all records":
        asked = two_people.ask_for_export(by=nora)
    elif what == "texts":
        asked = two_people.ask_to_erase_texts(client=ended.client, keys=["any"], by=nora)
    else:
        asked = two_people.ask_to_erase(client=ended.client, by=nora)
    deactivate_member(member=nora, by=mona)
    with pytest.raises(two_people.Lapsed if what == "all records" else two_people.Closed):
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


@pytest.mark.parametrize("what", ["erasure", "texts"])
def test_the_word_of_who_opens_the_records_no_more_is_none_of_two(
    practice: Practice, alice: Membership, charlie: Membership, mona: Membership, sam: Membership,
    as_mona: Browser, what: str
) -> None:  # fmt: skip
    """Neither once the role has ended, nor the treatment, whoever treats the client then."""
    treatment = TreatmentFactory.create(therapist=alice)
    client = treatment.client

    def asks() -> TwoPersonRequest:
        if what == "erasure":
            return two_people.ask_to_erase(client=client, by=alice)
        return two_people.ask_to_erase_texts(client=client, keys=["any"], by=alice)

    asked = asks()
    change_roles(member=alice, roles=[Role.SUPERVISOR], by=mona)
    with pytest.raises(two_people.Closed):
        two_people.confirm(request=asked, by=mona)
    change_roles(member=alice, roles=[Role.THERAPIST], by=mona)
    asked = asks()
    hand_over([treatment], to=charlie, by=mona)
    said = fresh(as_mona).post(f"/erasures/{asked.id}/", {"do": "erase_for_good"}, follow=True).text
    assert "This does not hold any more" in said
    its = client.treatments.get(therapist=charlie)
    close_treatment(treatment=its, how="agreed", review="", by=charlie)
    with pytest.raises(two_people.Lapsed):
        two_people.confirm(request=asked, by=mona)
    hold(practice, sam)
    mona.practice.refresh_from_db()
    anew = two_people.ask_to_erase(client=client, by=sam)
    TreatmentFactory.create(client=client, therapist=charlie)
    change_roles(member=charlie, roles=[Role.SUPERVISOR], by=mona)
    with pytest.raises(two_people.InTreatment):
        two_people.confirm(request=anew, by=charlie)
    change_roles(member=charlie, roles=[Role.THERAPIST], by=mona)
    assert two_people.confirm(request=anew, by=charlie)


@pytest.mark.parametrize("what", ["erasure", "texts"])
@pytest.mark.parametrize("ends", ["closed", "handed over", "on a day to come"])
def test_a_wish_that_has_lapsed_tells_no_colleague_that_the_treatment_has_ended(
    practice: Practice, alice: Membership, charlie: Membership, mona: Membership,
    ends: str, what: str
) -> None:  # fmt: skip
    """Neither as it ends, nor by the refusal to somebody who could not carry it out yet."""
    treatment = TreatmentFactory.create(therapist=alice)
    client = treatment.client
    if what == "erasure":
        asked = two_people.ask_to_erase(client=client, by=alice)
    else:
        asked = two_people.ask_to_erase_texts(client=client, keys=["any"], by=alice)
    nora = MembershipFactory.create(practice=practice, roles=[Role.THERAPIST])
    Membership.objects.filter(id=nora.id).update(joined_at=timezone.now() - timedelta(days=2))

    def told(member: Membership) -> tuple[bool, bool]:
        browser = fresh(signed_in(member))
        page = browser.get("/erasures/").text
        said = browser.post(f"/erasures/{asked.id}/", {"do": "erase_for_good"}, follow=True).context
        return "could not ask today" in page, any("hold any" in str(m) for m in said["messages"])

    at = timezone.now()
    if ends == "closed":
        close_treatment(treatment=treatment, how="agreed", review="", by=alice)
    elif ends == "handed over":
        hand_over([treatment], to=charlie, by=mona)
    else:
        at += timedelta(days=1)
        Treatment.objects.update(ends_on=timezone.localdate(at))
    with time_machine.travel(at):
        assert told(nora) == (False, False)
        assert told(mona) == (False, True), "who would have carried it out reads why not"
        assert told(alice)[0], "who asked reads it"
    asked.refresh_from_db()
    assert asked.closed_at is None


@pytest.mark.parametrize("held_before", [False, True])
def test_who_is_named_record_holder_has_asked_for_no_erasure_that_had_lapsed(
    ended: Treatment, practice: Practice, alice: Membership, as_mona: Browser, held_before: bool
) -> None:
    running = TreatmentFactory.create(client=ended.client, therapist=alice)
    if held_before:
        running.delete()
        hold(practice, alice)
    asked = two_people.ask_to_erase(client=ended.client, by=alice)
    if held_before:
        Practice.objects.update(record_holder=None)
    else:
        Treatment.objects.filter(id=running.id).update(ends_on=timezone.localdate())
    body = {"retention_years": "", "record_holder": str(alice.id)}
    assert fresh(as_mona).post("/practice/records/", body).status_code == 302
    asked.refresh_from_db()
    assert asked.closed_at
    assert not asked.is_carried_out


@pytest.mark.parametrize("saves", ["years alone", "a newcomer's choice"])
def test_where_nobody_comes_to_hold_the_records_no_wish_is_withdrawn(
    ended: Treatment, practice: Practice, charlie: Membership, saves: str
) -> None:
    running = TreatmentFactory.create(client=ended.client, therapist=charlie)
    asked = two_people.ask_to_erase(client=ended.client, by=charlie)
    Treatment.objects.filter(id=running.id).update(ends_on=timezone.localdate())
    nora = MembershipFactory.create(practice=practice, roles=[Role.MANAGER])
    if saves == "years alone":
        hold(practice, charlie)
    else:
        Practice.objects.update(created_at=timezone.now() - timedelta(days=900))
        Membership.objects.filter(id=nora.id).update(joined_at=timezone.now() - timedelta(days=2))
    body = {"retention_years": "9", "record_holder": str(charlie.id)}
    page = fresh(signed_in(nora)).post("/practice/records/", body)
    assert page.status_code == (302 if saves == "years alone" else 200)
    practice.refresh_from_db()
    assert practice.retention_years == (9 if saves == "years alone" else 8)
    asked.refresh_from_db()
    assert asked.closed_at is None
    assert "withdrew" not in "".join(each.said.text for each in notices.unread(charlie))


def test_all_records_are_asked_for_by_somebody_who_manages(
    practice: Practice, sam: Membership, mona: Membership
) -> None:
    hold(practice, sam)
    nora = MembershipFactory.create(practice=practice, roles=[Role.MANAGER])
    asked = two_people.ask_for_export(by=nora)
    for roles in ([Role.THERAPIST], [Role.MANAGER]):
        change_roles(member=nora, roles=roles, by=mona)
        with pytest.raises(two_people.Lapsed):  # also as a manager again
            two_people.confirm(request=asked, by=sam)
    anew = two_people.ask_for_export(by=nora)
    deactivate_member(member=nora, by=mona)
    reactivate_member(member=nora, by=mona)
    with pytest.raises(two_people.Lapsed):
        two_people.confirm(request=anew, by=sam)


def test_what_rapport_proposed_and_a_leaver_took_up_waits_for_two_people_again(
    ended: Treatment, charlie: Membership, mona: Membership
) -> None:
    [asked] = propose(date(2035, 1, 1))
    with time_machine.travel(date(2035, 1, 20)):
        two_people.take_up(request=asked, by=charlie)
        deactivate_member(member=charlie, by=mona)
    asked.refresh_from_db()
    assert (asked.requested_by, asked.closed_at) == (None, None)


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
    as_mona.post(f"/erasures/{asked.id}/", {"do": "give_out_all_records"})
    assert as_sam.get(address).status_code == 404
    fresh(as_charlie).post(f"/erasures/{asked.id}/", {"do": "give_out_all_records"})
    for other in (as_mona, as_charlie):
        assert other.get(address).status_code == 404
    taken = as_sam.get(address)
    made = files(taken)
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
    sent = as_charlie.post(f"/erasures/{waiting.id}/", {"do": "erase_for_good"}, follow=True)
    assert "The record holder is somebody else now" in sent.content.decode()
    alice.practice.refresh_from_db()
    anew = two_people.ask_for_export(by=alice)
    assert not TwoPersonRequest.objects.filter(closed_at=None).exclude(id=anew.id).exists()
    assert "For Charlie Nowak" in as_charlie.get("/erasures/").content.decode()
    as_charlie.post(f"/erasures/{anew.id}/", {"do": "erase_for_good"})
    assert "index.csv" in files(as_charlie.get(f"/erasures/{anew.id}/export/"))
    withdrawn = two_people.ask_for_export(by=alice)
    two_people.withdraw(request=withdrawn, by=alice)
    assert as_charlie.get(f"/erasures/{withdrawn.id}/export/").status_code == 404


def test_nothing_is_asked_for_while_nobody_is_the_record_holder(as_mona: Browser) -> None:
    page = fresh(as_mona).post("/practice/records/export/", follow=True)
    assert "name somebody first" in page.content.decode()
    assert not TwoPersonRequest.objects.exists()


def test_whoever_asked_is_told_that_a_colleague_withdrew_it(
    alice: Membership, charlie: Membership, mona: Membership
) -> None:
    """By code for as long as they treat the client: whoever does afterwards would read in *Who
    looked* when they open their first page."""
    treatment = TreatmentFactory.create(therapist=alice, client__code="FE-1")
    asked = two_people.ask_to_erase(client=treatment.client, by=alice)
    two_people.withdraw(request=asked, by=mona)
    [told] = notices.unread(alice)
    assert told.said.text == "FE-1: Mona Haddad withdrew the request to erase."
    assert told.said.client_id == treatment.client_id
    hand_over([treatment], to=charlie, by=mona)
    [told] = [each for each in notices.unread(alice) if "withdrew" in each.said.text]
    assert told.said == notices.Said("Mona Haddad withdrew a request to erase.")
    two_people.withdraw(request=two_people.ask_to_erase(client=treatment.client, by=mona), by=mona)
    assert "withdrew" not in "".join(each.said.text for each in notices.unread(mona))


def test_what_a_colleague_asks_for_names_no_client_on_anybodys_first_page(
    alice: Membership, charlie: Membership, mona: Membership, as_charlie: Browser, as_mona: Browser
) -> None:
    """Whoever asked would read in *Who looked* when each of them works."""
    client = TreatmentFactory.create(therapist=alice).client
    asked = two_people.ask_to_erase(client=client, by=alice)
    for closes in (False, True):
        if closes:
            two_people.withdraw(request=asked, by=alice)
        as_charlie.get("/caseload/")
        as_mona.get("/practice/")
        for member in (charlie, mona):
            assert all(client.code not in each.said.text for each in notices.unread(member))
    looked = AuditEntry.objects.filter(client_ids__contains=[client.id], is_read=True)
    assert not looked.exists()


def test_of_all_that_rapport_proposes_everybody_has_one_notice_at_a_time(
    ended: Treatment, alice: Membership, charlie: Membership, mona: Membership, practice: Practice
) -> None:
    """No other notice is pushed off a page that shows twenty."""
    for _more in range(3):
        TreatmentFactory.create(therapist=alice, starts_on=ended.starts_on, ends_on=ended.ends_on)
    notices.tell(member=alice, kind="record_holder", subject=mona)
    proposed = "Erasures are proposed: two people have to agree."
    asked = propose(date(2035, 1, 1))
    assert len(asked) == 4
    with time_machine.travel(date(2035, 1, 2)):
        [told, other] = notices.unread(alice)
        assert "record holder" in other.said.text
        assert told.said == notices.Said(proposed, url="/erasures/")
        assert [each.said.text for each in notices.unread(charlie)] == [proposed]
        assert not two_people.confirm(request=asked[0], by=charlie)
        assert two_people.confirm(request=asked[0], by=alice)
        assert [each.said.text for each in notices.unread(charlie)] == [proposed]
        notices.mark_read(notice=Notice.objects.get(id=told.id))
        more = TreatmentFactory.create(
            therapist=alice, starts_on=ended.starts_on, ends_on=ended.ends_on
        )
        propose(date(2035, 1, 2))
        assert notices.unread(alice)[0].said.text == proposed
        assert [each.said.text for each in notices.unread(charlie)] == [proposed]
        for each in TwoPersonRequest.objects.filter(closed_at=None):
            two_people.withdraw(request=each, by=mona)
        two_people.ask_to_erase(client=more.client, by=mona)
        assert proposed not in [each.said.text for each in notices.unread(alice)]
    assert more.client.two_person_requests.exists()


@pytest.mark.parametrize("taken_up", [False, True])
def test_everybody_is_told_who_withdrew_what_rapport_proposed(
    ended: Treatment, alice: Membership, charlie: Membership, mona: Membership, taken_up: bool
) -> None:
    [asked] = propose(date(2035, 1, 1))
    with time_machine.travel(date(2035, 1, 2)):
        if taken_up:
            assert not two_people.confirm(request=asked, by=charlie)
        two_people.withdraw(request=asked, by=charlie)
    for member in (alice, mona):
        [told] = notices.unread(member)
        assert told.said == notices.Said("Charlie Nowak withdrew a request to erase.")
    assert notices.unread(charlie) == ()


def test_a_client_in_treatment_is_erased_only_where_their_therapist_is_one_of_the_two(
    ended: Treatment, alice: Membership, charlie: Membership, mona: Membership, as_mona: Browser
) -> None:
    hold(ended.practice, alice)
    asked = two_people.ask_to_erase(client=ended.client, by=alice)
    TreatmentFactory.create(client=ended.client, therapist=charlie)
    TreatmentFactory.create(therapist=alice)
    page = fresh(as_mona).post(f"/erasures/{asked.id}/", {"do": "erase_for_good"}, follow=True)
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
    Membership.objects.filter(id=mona.id).update(roles=[Role.MANAGER, Role.THERAPIST])
    mona.refresh_from_db()
    TreatmentFactory.create(client=ended.client, therapist=mona)
    asked = two_people.ask_to_erase(client=ended.client, by=mona)
    with time_machine.travel(timezone.now() + timedelta(days=8)):
        reactivate_member(member=alice, by=mona)
        deactivate_member(member=alice, by=mona)
        with pytest.raises(two_people.NotYet):
            two_people.confirm(request=asked, by=mona)
    assert [each.said.url for each in notices.unread(alice)] == ["/erasures/"]
