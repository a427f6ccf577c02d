"""Erasure: texts and clients, by whom, after how long, never under a legal hold."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts.models import Membership, Practice
from apps.accounts.oneself import NotOneself
from apps.accounts.permissions import Permission
from apps.accounts.services import accept_invitation, invite_member
from apps.alliance.models import AllianceRating
from apps.clients.handing_over import pass_on
from apps.clients.models import Client, ContactChannel, ReachedMailbox, Treatment, TwoPersonRequest
from apps.clients.services import note_reached
from apps.core import crypto, tenancy
from apps.endings.models import Move
from apps.endings.services import save_what_fits
from apps.exchange import rights, two_people
from apps.exchange.texts import texts_of
from apps.feedback.lifecycle import stop_messages
from apps.ruptures.models import RuptureEpisode
from apps.ruptures.repair import StepEntry, latest_worksheet, save_worksheet, sheet_of
from apps.ruptures.transitions import move_episodes_on
from apps.supervision import services as supervision
from apps.supervision.models import SupportMessage
from apps.supervision.services import decide, plan_meeting
from tests.exchange.singing import CANARY, dump, sings, url
from tests.factories import (
    PASSWORD,
    ClientFactory,
    TherapySessionFactory,
    TreatmentFactory,
    comment_on,
)


def midnight(moment: datetime) -> datetime:
    return timezone.localtime(moment).replace(hour=0, minute=0, second=0, microsecond=0)


def test_an_erased_address_leaves_its_stop_behind(treatment: Treatment, alices: Browser) -> None:
    stop_messages(client=treatment.client)
    address = ContactChannel.objects.get()
    alices.post(
        url(treatment, "erase/"), {"what": [f"clients.ContactChannel.address:{address.id}"]}
    )
    address.refresh_from_db()
    assert (address.address, address.stop_reason) == ("", "stopped")
    assert "clients.ContactChannel" not in alices.get(url(treatment, "erase/")).content.decode()


def test_some_texts_are_erased_and_the_rest_stays(treatment: Treatment, alices: Browser) -> None:
    address, worksheet = ContactChannel.objects.get(), treatment.episodes.get().worksheets.get()
    page = alices.get(url(treatment, "erase/")).content.decode()
    assert f"{CANARY} comment" in page
    what = [f"clients.ContactChannel.address:{address.id}"]
    what += [f"ruptures.Worksheet.next_action:{worksheet.id}"]
    alices.post(url(treatment, "erase/"), {"what": what})
    assert not ContactChannel.objects.exists()
    worksheet.refresh_from_db()
    assert worksheet.next_action == ""
    assert treatment.episodes.get().outcome_reason == f"{CANARY} reason"
    assert not TwoPersonRequest.objects.exists()


def test_the_clients_own_words_are_erased_by_two_people_only(
    treatment: Treatment, alices: Browser, as_mona: Browser, alice: Membership
) -> None:
    rating = AllianceRating.objects.exclude(comment="").get()
    other = treatment.therapy_sessions.order_by("starts_at")[0]
    comment_on(other, f"{CANARY} stays")
    alices.post(
        url(treatment, "erase/"), {"what": [f"alliance.AllianceRating.comment:{rating.id}"]}
    )
    [asked] = TwoPersonRequest.objects.all()
    alices.post(f"/erasures/{asked.id}/", {"do": "erase_for_good"})
    assert AllianceRating.objects.get(id=rating.id).comment == f"{CANARY} comment"
    as_mona.post("/sign-in/again/", {"password": PASSWORD})
    page = as_mona.get("/erasures/").content.decode()
    assert "1 text" in page
    assert f"{CANARY} comment" not in page
    as_mona.post(f"/erasures/{asked.id}/", {"do": "erase_for_good"})
    assert AllianceRating.objects.get(id=rating.id).comment == ""
    assert {each.comment for each in AllianceRating.objects.all()} == {"", f"{CANARY} stays"}
    listed = {
        each.key
        for each in texts_of(treatment.client, treatments=Treatment.objects.all(), reader=alice)
    }
    assert f"alliance.AllianceRating.comment:{rating.id}" not in listed
    assert AllianceRating.objects.count() == 9


def test_words_of_a_colleague_are_neither_shown_nor_erased_alone(
    treatment: Treatment, alice: Membership, charlie: Membership
) -> None:
    pass_on(treatment, to=charlie, on=timezone.localdate(), by=alice)
    found = texts_of(treatment.client, treatments=Treatment.objects.all(), reader=charlie)
    assert {each.said for each in found if each.takes_two} == {""}
    assert [each.key.split(":")[0] for each in found if not each.takes_two] == [
        "clients.ContactChannel.address"
    ]


def test_notes_of_repair_stay_the_therapists_after_a_supervisors_decision(
    alice: Membership, sam: Membership
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, falling=True)
    episode = treatment.episodes.get()
    latest = latest_worksheet(episode)
    noted = replace(sheet_of(latest), steps={"notice": StepEntry(note="I was late.")})
    version = latest.version if latest else 0
    save_worksheet(episode=episode, sheet=noted, opened_version=version, by=alice)
    meeting = plan_meeting(supervisee=alice, starts_at=timezone.now(), duration_min=50, by=sam)
    decide(meeting=meeting, episode=episode, text="Ask about the pause.", by=sam)
    found = texts_of(treatment.client, treatments=Treatment.objects.all(), reader=alice)
    notes = [each for each in found if each.said == "I was late."]
    assert len(notes) == 2, "her own words, in her version and in the supervisor's"
    assert not [each for each in notes if each.takes_two]


def test_two_people_erase_a_client_and_no_canary_is_left(
    treatment: Treatment, alice: Membership, mona: Membership, alices: Browser, as_mona: Browser
) -> None:
    assert sings(dump()) > 0
    note_reached(ContactChannel.objects.get())
    Client.objects.update(country="PL", time_zone="Europe/Warsaw", language="pl")
    save_what_fits(
        treatment=treatment, needs="Somebody older", wishes=["trauma"], language="pl", tried="",
        talked_over_on=None, version="", by=alice,
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("SELECT comment FROM alliance_alliancerating WHERE comment <> ''")
        in_an_old_dump = bytes(cursor.fetchone()[0])
    assert crypto.secret_of(crypto.key_id_of(in_an_old_dump))
    alices.post(url(treatment, "act/"), {"action": "request_erasure"})
    request = TwoPersonRequest.objects.get()
    alices.post(f"/erasures/{request.id}/", {"do": "erase_for_good"})
    assert TwoPersonRequest.objects.filter(closed_at=None).exists()
    as_mona.post("/sign-in/again/", {"password": PASSWORD})
    assert treatment.client.code in as_mona.get("/erasures/").content.decode()
    as_mona.post(f"/erasures/{request.id}/", {"do": "erase_for_good"})
    assert sings(dump()) == 0
    with pytest.raises(crypto.KeyDestroyed):
        crypto.secret_of(crypto.key_id_of(in_an_old_dump))
    erased = Client.objects.get()
    assert erased.erased_at
    assert not ReachedMailbox.objects.exists()
    where = (erased.country, erased.time_zone, erased.language)
    assert where == (erased.practice.country, erased.practice.time_zone, "en-gb")
    assert list(Move.objects.values_list("wishes", "language")) == [([], "")]
    assert AllianceRating.objects.count() == 9
    assert alices.get(f"/clients/{erased.id}/").status_code == 404
    assert "view caseload" not in erased.code


def test_an_open_flag_ends_with_the_erased_client_and_waits_for_no_words(
    alice: Membership, sam: Membership
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, falling=True)
    rights.erase_client(client=treatment.client, by=alice)
    episode = RuptureEpisode.objects.get(treatment=treatment)
    assert (episode.outcome, episode.outcome_reason) == ("ended_unrepaired", "")
    move_episodes_on()
    with time_machine.travel(timezone.now() + timedelta(days=200)):
        move_episodes_on()


def test_what_else_was_asked_about_a_client_ends_with_their_erasure(
    treatment: Treatment, alice: Membership, mona: Membership, as_sam: Browser
) -> None:
    other = TreatmentFactory.create(therapist=alice).client
    asked = [
        two_people.ask_to_erase_texts(client=each, keys=["a.b:c"], by=alice)
        for each in (treatment.client, treatment.client, other)
    ]
    carried_out = two_people.ask_to_erase(client=treatment.client, by=alice)
    assert two_people.confirm(request=carried_out, by=mona)
    assert [each.id for each in TwoPersonRequest.objects.filter(closed_at=None)] == [asked[2].id]
    assert TwoPersonRequest.objects.get(is_carried_out=True) == carried_out
    assert [TwoPersonRequest.objects.get(id=each.id).texts for each in asked[:2]] == [[], []]
    as_sam.post("/sign-in/again/", {"password": PASSWORD})
    page = as_sam.get("/erasures/").content.decode()
    assert other.code in page
    assert "erased-" not in page


def test_what_stayed_open_about_clients_of_before_is_closed_by_migration(
    alice: Membership,
) -> None:
    clients = [TreatmentFactory.create(therapist=alice).client for _ in range(2)]
    rights.erase_client(client=clients[0], by=alice)
    for each in clients:
        two_people.ask_to_erase_texts(client=each, keys=["a.b:c"], by=alice)
    migration = import_module("apps.clients.migrations.0022_nothing_asked_of_the_erased")
    migration.close_what_is_open(apps, None)
    assert TwoPersonRequest.objects.get(closed_at=None).client == clients[1]


def test_where_a_therapists_words_were_erased_supervisors_read_that_they_were(
    alice: Membership, as_sam: Browser
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, falling=True)
    episode = RuptureEpisode.objects.get(treatment=treatment)
    supervision.write_support(episode=episode, text="I shouted at him.", by=alice)
    held = TherapySessionFactory.create(
        treatment=treatment, not_asked_reason="other", not_asked_note="He would complain.",
    )  # fmt: skip
    message = SupportMessage.objects.get()
    keys = [
        f"supervision.SupportMessage.text:{message.id}",
        f"therapy_sessions.TherapySession.not_asked_note:{held.id}",
    ]
    assert rights.erase_texts(client=treatment.client, keys=keys, by=alice) == 2
    page = as_sam.get(f"/supervision/{episode.id}/").content.decode()
    assert "I shouted at him." not in page
    assert "Their words were erased." in page
    held.refresh_from_db()
    assert held.why_not_asked == "in words that were erased"


def test_what_is_written_while_the_client_is_erased_is_given_back_and_not_kept(
    alice: Membership, sam: Membership, as_alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, falling=True)
    write = supervision.write_support

    def erased_first(**message: Any) -> None:
        rights.erase_client(client=treatment.client, by=alice)
        write(**message)

    monkeypatch.setattr(supervision, "write_support", erased_first)
    episode = RuptureEpisode.objects.get(treatment=treatment)
    page = as_alice.post(f"/episodes/{episode.id}/support/", {"text": "Came late, and said why."})
    assert page.status_code == 409
    assert "This client was erased meanwhile; nothing was saved." in page.content.decode()
    assert "Came late, and said why." in page.content.decode()
    assert not SupportMessage.objects.filter(episode=episode).exists()


def test_who_works_alone_waits_seven_days(treatment: Treatment, alice: Membership) -> None:
    request = two_people.ask_to_erase(client=treatment.client, by=alice)
    with pytest.raises(two_people.NotYet):
        two_people.confirm(request=request, by=alice)
    with time_machine.travel(timezone.now() + timedelta(days=7, minutes=1)):
        two_people.confirm(request=request, by=alice)
    assert Client.objects.get().erased_at


def test_nobody_becomes_a_second_person_by_an_invitation(
    treatment: Treatment, alice: Membership, mona: Membership
) -> None:
    request = two_people.ask_to_erase(client=treatment.client, by=alice)
    nina = invite_member(
        practice=alice.practice, name="Nina", email="nina@x.example", roles=["therapist"], by=mona
    )
    nina = accept_invitation(link_id=nina.links.get().id, password=PASSWORD)
    with pytest.raises(two_people.NotYet) as waits:
        two_people.confirm(request=request, by=nina)
    assert nina.joined_at
    assert waits.value.until == midnight(nina.joined_at + timedelta(days=7))
    with time_machine.travel(nina.joined_at + timedelta(days=7, minutes=1)):
        two_people.confirm(request=request, by=nina)
    assert Client.objects.get().erased_at


def test_nobody_becomes_the_first_of_two_people_by_an_invitation(
    treatment: Treatment, sam: Membership, alice: Membership
) -> None:
    alice.joined_at = timezone.now()
    alice.save()
    request = two_people.ask_to_erase(client=treatment.client, by=alice)
    with pytest.raises(two_people.NotYet) as waits:
        two_people.confirm(request=request, by=sam)
    assert waits.value.until == midnight(alice.joined_at + timedelta(days=7))
    before = time_machine.travel(waits.value.until - timedelta(seconds=1))
    with before, pytest.raises(two_people.NotYet):
        two_people.confirm(request=request, by=sam)
    with time_machine.travel(waits.value.until):
        two_people.confirm(request=request, by=sam)
    assert Client.objects.get().erased_at


def test_no_page_says_in_which_minute_a_colleague_joined(
    treatment: Treatment, alice: Membership, as_sam: Browser
) -> None:
    request = two_people.ask_to_erase(client=treatment.client, by=alice)
    as_sam.post("/sign-in/again/", {"password": PASSWORD})

    def shown() -> list[str]:
        done = as_sam.post(f"/erasures/{request.id}/", {"do": "erase_for_good"}, follow=True)
        return re.findall(r"confirm\w* (?:this )?from ([^<]*)\.", done.content.decode())

    day = timezone.localtime() - timedelta(days=2)
    texts = []
    for hour, minute in ((3, 17), (19, 49)):
        alice.joined_at = day.replace(hour=hour, minute=minute)
        alice.save()
        texts.append(shown())
    assert len(texts[0]) == 2, "the message and the list"
    assert texts[0] == texts[1]


def test_a_manager_or_the_record_holder_sets_and_lifts_a_hold_by_code(
    treatment: Treatment, practice: Practice, alices: Browser, as_mona: Browser, as_sam: Browser,
    sam: Membership, as_dora: Browser, dora: Membership
) -> None:  # fmt: skip
    client, page = treatment.client, "/practice/holds/"
    alices.post(url(treatment, "act/"), {"action": "hold"})
    assert not Client.objects.get().held_at
    for browser in (as_mona, as_sam, as_dora):
        browser.post("/sign-in/again/", {"password": PASSWORD})
    for browser in (alices, as_sam):
        assert browser.post(page, {"code": client.code}).status_code == 403
    assert "No client has this code." in as_mona.post(page, {"code": "FE-0"}).content.decode()
    as_mona.post(page, {"code": client.code.lower()})
    assert Client.objects.get().held_at
    assert client.code in as_mona.get(page).content.decode()
    practice.record_holder = sam
    practice.save()
    as_sam.post(page, {"code": client.code, "lift": ""})
    assert not Client.objects.get().held_at
    twin = ClientFactory.create(practice=practice, code=client.code.lower())
    as_mona.post(page, {"code": client.code})
    assert Client.objects.get(held_at__isnull=False) == client
    alike = as_mona.post(page, {"code": twin.code.upper()}).content.decode()
    assert "type it exactly" in alike
    Membership.objects.filter(id=treatment.therapist_id).update(roles=["therapist", "manager"])
    own = alices.post(page, {"code": client.code, "lift": ""}).content.decode()
    assert "another manager decides it" in own
    assert f'value="{client.code}"' in own, "what was typed stays"
    with tenancy.practice(dora.practice_id):
        Membership.objects.filter(id=dora.id).update(roles=["manager"])
    assert "No client has this code." in as_dora.post(page, {"code": client.code}).content.decode()


def test_nothing_is_erased_under_a_legal_hold(
    treatment: Treatment, alice: Membership, mona: Membership
) -> None:
    request = two_people.ask_to_erase(client=treatment.client, by=alice)
    with pytest.raises(NotOneself):
        rights.set_hold(client=treatment.client, held=True, by=alice)
    Treatment.objects.update(ends_on=timezone.localdate() - timedelta(days=1))
    with pytest.raises(NotOneself):
        rights.set_hold(client=treatment.client, held=True, by=alice)
    Treatment.objects.update(ends_on=None)
    rights.set_hold(client=treatment.client, held=True, by=mona)
    with pytest.raises(rights.OnHold):
        rights.erase_texts(client=treatment.client, keys=[], by=alice)
    with pytest.raises(rights.OnHold):
        two_people.confirm(request=request, by=mona)
    with pytest.raises(rights.OnHold):
        two_people.ask_to_erase(client=treatment.client, by=alice)
    with pytest.raises(rights.OnHold):
        two_people.ask_to_erase_texts(client=treatment.client, keys=["a.b:c"], by=alice)
    assert sings(dump()) > 0


def test_of_two_requests_the_one_that_is_confirmed_is_carried_out(
    alice: Membership, mona: Membership
) -> None:
    clients = [TreatmentFactory.create(therapist=alice).client for _ in range(2)]
    asked = [two_people.ask_to_erase(client=each, by=alice) for each in clients]
    first, last = sorted(asked, key=lambda request: request.id)
    assert two_people.confirm(request=last, by=mona)
    assert [each.id for each in Client.objects.filter(erased_at=None)] == [first.client_id]
    two_people.withdraw(request=first, by=mona)
    assert Client.objects.filter(erased_at=None).count() == 1


def test_everybody_may_be_the_second_person_and_nobody_elsewhere(
    treatment: Treatment, alice: Membership, as_dora: Browser, as_sam: Browser
) -> None:
    request = two_people.ask_to_erase(client=treatment.client, by=alice)
    for browser in (as_dora, as_sam):
        browser.post("/sign-in/again/", {"password": PASSWORD})
    assert as_dora.post(f"/erasures/{request.id}/", {"do": "erase_for_good"}).status_code == 404
    assert CANARY not in as_dora.get("/erasures/").content.decode()
    assert (
        as_sam.post(f"/erasures/{request.id}/", {"do": "withdraw_the_request"}).status_code == 302
    )
    assert TwoPersonRequest.objects.get().closed_at
    assert Permission.CONFIRM_ERASURE == "be the second person who erases a client"
