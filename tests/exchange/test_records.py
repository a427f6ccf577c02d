"""What a client may ask for: a full copy, erasure that holds, a stop to processing."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts import notices
from apps.accounts.models import Membership, Practice
from apps.accounts.oneself import NotOneself
from apps.accounts.permissions import Permission
from apps.accounts.services import accept_invitation, invite_member
from apps.alliance.models import AllianceRating, Cause
from apps.clients.models import Client, ContactChannel, Treatment, TwoPersonRequest
from apps.clients.services import hand_over_caseload
from apps.core import crypto, tenancy
from apps.core.downloads import csv_text
from apps.core.models import AuditEntry
from apps.exchange import records, rights, two_people
from apps.exchange.texts import texts_of
from apps.feedback.asking import why_not_agreed
from apps.feedback.choices import stop_messages
from apps.ruptures.models import RuptureEpisode, Screening
from apps.ruptures.repair import Sheet, StepEntry, latest_worksheet, save_worksheet, sheet_of
from apps.ruptures.services import record_outcome, screen_treatment
from apps.ruptures.transitions import move_episodes_on
from apps.supervision import services as supervision
from apps.supervision.models import SupportMessage
from apps.supervision.services import decide, plan_meeting
from apps.therapy_sessions.services import save_process_note
from tests.factories import (
    PASSWORD,
    ClientFactory,
    TreatmentFactory,
    comment_on,
    rate,
)

CANARY = "canary-kx7"


@pytest.fixture
def treatment(alice: Membership) -> Treatment:
    """A treatment in which every text sings."""
    treatment = TreatmentFactory.create(
        therapist=alice,
        falling=True,
        client__code=f"C-{CANARY}",
        client__initials="canary-k",
        client__email=f"{CANARY}@mail.example",
    )
    session = treatment.therapy_sessions.latest("starts_at")
    rating = comment_on(session, f"{CANARY} comment")
    rating.causes = [Cause.MISUNDERSTANDING]
    rating.save()
    session.not_asked_note = f"{CANARY} not asked"
    session.save()
    save_process_note(therapy_session=session, text=f"{CANARY} note", by=alice)
    episode = treatment.episodes.get()
    sheet = Sheet(next_action=f"{CANARY} next", steps={"open": StepEntry(f"{CANARY} step")})
    save_worksheet(episode=episode, sheet=sheet, opened_version=0, by=alice)
    record_outcome(episode=episode, outcome="not_a_rupture", reason=f"{CANARY} reason", by=alice)
    return treatment


@pytest.fixture
def alices(treatment: Treatment, as_alice: Browser) -> Browser:
    """alice, who has just proved again who she is."""
    as_alice.post("/sign-in/again/", {"password": PASSWORD})
    return as_alice


def files(response: Any) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def shown(html: str) -> list[tuple[str, str]]:
    """Names and values, as a reader of the document sees them."""
    pairs = re.findall(r"<dt>\s*(.*?)\s*</dt>\s*<dd>\s*(.*?)\s*</dd>", html, re.S)
    return [(unescape(name), unescape(value)) for name, value in pairs]


def url(treatment: Treatment, page: str = "") -> str:
    return f"/clients/{treatment.client_id}/records/{page}"


def dump() -> Iterator[str]:
    """Every row of every table, as text; what is bytes also as the text it may be."""
    with connection.cursor() as cursor:
        for model in apps.get_models():
            cursor.execute(f'SELECT t::text FROM "{model._meta.db_table}" t')
            for (row,) in cursor.fetchall():
                yield row


def sings(rows: Iterator[str]) -> int:
    return sum("canary-k" in row or CANARY.encode().hex() in row for row in rows)


def test_every_table_and_column_about_a_client_is_exported_or_left_out_with_a_reason() -> None:
    about = {
        model._meta.label
        for model in apps.get_models()
        if model._meta.app_label not in {"accounts"}
        and (records.way_to_client(model) or records.has_client_column(model))
    }
    shown_apart = {"core.AuditEntry"}
    assert about == set(records.TABLES) | set(records.TABLES_LEFT_OUT) | shown_apart
    known = {
        f"{label}.{field.name}"
        for label in records.TABLES
        for field in apps.get_model(label)._meta.local_fields
    }
    assert set(records.COLUMNS_LEFT_OUT) - {"practice"} <= known
    assert known >= records.WRITTEN_BY_STAFF


def test_the_export_holds_every_column_of_every_row(
    treatment: Treatment, alices: Browser, alice: Membership
) -> None:
    keep = [
        each.key
        for each in records.staff_texts(
            treatment.client, treatments=alice.treatments.all(), by=alice
        )
    ]
    made = files(alices.post(url(treatment, "export/"), {"keep": keep, "reviewed": "on"}))
    found = json.loads(made["records.json"])
    for label in records.TABLES:
        columns = {field.name for field in records.columns(apps.get_model(label))}
        for row in found["tables"][label]:
            assert set(row) == columns
    for text in ("comment", "not asked", "note", "next", "step", "reason"):
        assert f"{CANARY} {text}" in made["records.json"]
        assert f"{CANARY} {text}" in made["records.html"]
    assert f"{CANARY}@mail.example" in made["records.html"]
    assert {entry["who"] for entry in found["who_looked"]} >= {"Alice Moreau"}
    assert len(found["tables"]["alliance.AllianceRating"]) == 9
    assert "posterior" not in made["records.html"]
    said = shown(made["records.html"])
    items = [name for name, _ in said if name.startswith(("I ", "We ", "The way"))]
    assert items[:2] == ["I felt heard and understood.", "I felt accepted as I am."]
    assert max(float(value) for name, value in said if name == "usual range to") == 100
    sessions = [value for name, value in said if name == "starts at"]
    note, *rated = [value for name, value in said if name == "session of"]
    assert (note, rated[: len(sessions)]) == (sessions[-1], sessions)
    assert ("causes", "Miscommunication or misunderstanding") in said


def test_what_the_clinician_does_not_tick_stays_behind(
    treatment: Treatment, alices: Browser
) -> None:
    page = alices.get(url(treatment, "export/")).content.decode()
    assert f"{CANARY} note" in page
    made = files(alices.post(url(treatment, "export/"), {"reviewed": "on"}))
    assert f"{CANARY} note" not in made["records.json"]
    assert f"{CANARY} reason" not in made["records.json"]
    assert "[withheld]" in made["records.html"]
    assert f"{CANARY} comment" in made["records.html"]


def test_nothing_is_exported_without_a_review_or_a_recent_sign_in(
    treatment: Treatment, as_alice: Browser
) -> None:
    assert as_alice.get(url(treatment, "export/")).status_code == 302
    assert as_alice.get(url(treatment, "portable/")).status_code == 302
    as_alice.post("/sign-in/again/", {"password": PASSWORD})
    response = as_alice.post(url(treatment, "export/"), {})
    assert response["Content-Type"].startswith("text/html")
    assert "Read the texts, then tick this." in response.content.decode()


def test_a_later_therapist_neither_reads_nor_exports_what_was_before(
    treatment: Treatment, alice: Membership, charlie: Membership, as_charlie: Browser
) -> None:
    hand_over_caseload(treatments=[treatment], to=charlie, on=timezone.localdate(), by=alice)
    client = Client.objects.get()
    client.pause_reason = "Away"
    client.save()
    # No worksheet, message, reason or review either: only what stands about the client as such.
    found = records.staff_texts(client, treatments=charlie.treatments.all(), by=charlie)
    assert [text.text for text in found] == ["Away"]
    assert len(records.staff_texts(client, treatments=alice.treatments.all(), by=alice)) > 2
    as_charlie.post("/sign-in/again/", {"password": PASSWORD})
    made = files(as_charlie.post(url(treatment, "export/"), {"reviewed": "on"}))
    tables = json.loads(made["records.json"])["tables"]
    assert f"{CANARY} comment" not in "".join(made.values())
    assert tables["alliance.AllianceRating"] == tables["therapy_sessions.TherapySession"] == []
    assert [each["therapist"] for each in tables["clients.Treatment"]] == ["Charlie Nowak"]
    assert "it holds those with Charlie Nowak" in made["records.html"]
    taken = files(as_charlie.get(url(treatment, "portable/")))
    assert json.loads(taken["supplied.json"])["ratings"] == []


def test_downloads_are_saved_and_never_kept(treatment: Treatment, alices: Browser) -> None:
    response = alices.get(url(treatment, "portable/"))
    assert response["Content-Disposition"] == 'attachment; filename="portable.zip"'
    assert response["Cache-Control"] == "no-store"
    made = files(response)
    assert f"{CANARY} comment" in made["ratings.csv"]
    assert f"{CANARY} note" not in made["supplied.json"]
    assert AuditEntry.objects.filter(action="export portable copy").exists()


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "  =1"])
def test_no_cell_is_a_formula(cell: str) -> None:
    assert csv_text([[cell]]).lstrip('"').startswith("'")
    assert csv_text([[-1.5]]) == "-1.5\r\n"


def test_no_cell_is_a_formula_where_semicolons_part_a_list() -> None:
    """As in German, French, Dutch, Polish and Spanish; quotes inside a row part nothing there."""
    written = csv_text([["x", "a;=1+1; b -1;\t@X\n\n =2+2\r\n+3"]])
    cells = re.split("[;\t\r\n]", written)
    assert not [cell for cell in cells if cell.strip().startswith(("=", "+", "-", "@"))]
    assert "b -1" in written
    quoted = csv_text([["Form", 'x;"=1+1;', 'x\n"" -1', 5]])
    read = [cell for row in csv.reader(io.StringIO(quoted), delimiter=";") for cell in row]
    assert not [cell for cell in read if cell.strip().startswith(("=", "+", "-", "@"))]


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
    treatment: Treatment, alices: Browser, as_mona: Browser, mona: Membership
) -> None:
    rating = AllianceRating.objects.exclude(comment="").get()
    other = treatment.therapy_sessions.order_by("starts_at")[0]
    comment_on(other, f"{CANARY} stays")
    alices.post(
        url(treatment, "erase/"), {"what": [f"alliance.AllianceRating.comment:{rating.id}"]}
    )
    [asked] = TwoPersonRequest.objects.all()
    alices.post(f"/erasures/{asked.id}/", {"confirm": ""})
    assert AllianceRating.objects.get(id=rating.id).comment == f"{CANARY} comment"
    as_mona.post("/sign-in/again/", {"password": PASSWORD})
    page = as_mona.get("/erasures/").content.decode()
    assert "1 text" in page
    assert f"{CANARY} comment" not in page
    as_mona.post(f"/erasures/{asked.id}/", {"confirm": ""})
    assert AllianceRating.objects.get(id=rating.id).comment == ""
    assert {each.comment for each in AllianceRating.objects.all()} == {"", f"{CANARY} stays"}
    assert AllianceRating.objects.count() == 9


def test_words_of_a_colleague_are_neither_shown_nor_erased_alone(
    treatment: Treatment, alice: Membership, charlie: Membership
) -> None:
    hand_over_caseload(treatments=[treatment], to=charlie, on=timezone.localdate(), by=alice)
    found = texts_of(treatment.client, treatments=None, reader=charlie)
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
    found = texts_of(treatment.client, treatments=None, reader=alice)
    notes = [each for each in found if each.said == "I was late."]
    assert len(notes) == 2, "her own words, in her version and in the supervisor's"
    assert not [each for each in notes if each.takes_two]


def test_two_people_erase_a_client_and_no_canary_is_left(
    treatment: Treatment, alice: Membership, mona: Membership, alices: Browser, as_mona: Browser
) -> None:
    assert sings(dump()) > 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT comment FROM alliance_alliancerating WHERE comment <> ''")
        in_an_old_dump = bytes(cursor.fetchone()[0])
    assert crypto.secret_of(crypto.key_id_of(in_an_old_dump))
    alices.post(url(treatment, "act/"), {"action": "request_erasure"})
    request = TwoPersonRequest.objects.get()
    alices.post(f"/erasures/{request.id}/", {"confirm": ""})
    assert TwoPersonRequest.objects.filter(closed_at=None).exists()
    as_mona.post("/sign-in/again/", {"password": PASSWORD})
    assert treatment.client.code in as_mona.get("/erasures/").content.decode()
    as_mona.post(f"/erasures/{request.id}/", {"confirm": ""})
    assert sings(dump()) == 0
    with pytest.raises(crypto.KeyDestroyed):
        crypto.secret_of(crypto.key_id_of(in_an_old_dump))
    erased = Client.objects.get()
    assert erased.erased_at
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
    assert waits.value.until == nina.joined_at + timedelta(days=7)
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
    assert waits.value.until == alice.joined_at + timedelta(days=7)
    with time_machine.travel(waits.value.until):
        two_people.confirm(request=request, by=sam)
    assert Client.objects.get().erased_at


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
    rights.set_hold(client=treatment.client, held=True, by=mona)
    with pytest.raises(rights.OnHold):
        rights.erase_texts(client=treatment.client, keys=[], by=alice)
    with pytest.raises(rights.OnHold):
        two_people.confirm(request=request, by=mona)
    with pytest.raises(rights.OnHold):
        two_people.ask_to_erase(client=treatment.client, by=alice)
    assert sings(dump()) > 0


def test_while_restricted_nothing_is_sent_or_screened(
    treatment: Treatment, alice: Membership, alices: Browser
) -> None:
    alices.post(url(treatment, "act/"), {"action": "restrict"})
    client = Client.objects.get()
    assert why_not_agreed(client, on=timezone.localdate()) == [
        "Processing of this client’s data is restricted."
    ]
    [first, *_] = treatment.therapy_sessions.order_by("starts_at")
    questionnaire = Screening.objects.first().questionnaire  # type: ignore[union-attr]
    Screening.objects.all().delete()
    again = {"treatment": treatment, "questionnaire": questionnaire, "since": first, "at": None}
    assert screen_treatment(**again) == []
    assert "Processing is restricted since" in alices.get(url(treatment)).content.decode()
    alices.post(url(treatment, "act/"), {"action": "lift_restriction"})
    assert Screening.objects.count() == 9


def test_of_what_came_while_restricted_people_are_told_once_it_is_lifted(
    alice: Membership, sam: Membership
) -> None:
    treatment = TreatmentFactory.create(therapist=alice)
    rights.restrict(client=treatment.client, by=alice)
    rate(treatment, [90, 90, 80, 90, 90, 90, 80, 90, 0])
    assert not RuptureEpisode.objects.exists()
    rights.lift_restriction(client=treatment.client, by=alice)
    assert RuptureEpisode.objects.get().marked_at
    assert [each.said.client_id for each in notices.unread(sam)] == [treatment.client_id]
    rights.restrict(client=treatment.client, by=alice)
    AllianceRating.objects.filter(pomp=0).update(pomp=90)
    rights.lift_restriction(client=treatment.client, by=alice)
    assert ["withdrawn" in each.said.text for each in notices.unread(sam)] == [True]


@pytest.mark.parametrize("page", ["", "export/", "portable/", "erase/"])
def test_strangers_find_nothing(
    page: str, treatment: Treatment, as_charlie: Browser, as_dora: Browser, as_mona: Browser
) -> None:
    for browser, status in ((as_charlie, 404), (as_dora, 404), (as_mona, 404)):
        browser.post("/sign-in/again/", {"password": PASSWORD})
        assert browser.get(url(treatment, page)).status_code == status


def test_everybody_may_be_the_second_person_and_nobody_elsewhere(
    treatment: Treatment, alice: Membership, as_dora: Browser, as_sam: Browser
) -> None:
    request = two_people.ask_to_erase(client=treatment.client, by=alice)
    for browser in (as_dora, as_sam):
        browser.post("/sign-in/again/", {"password": PASSWORD})
    assert as_dora.post(f"/erasures/{request.id}/", {"confirm": ""}).status_code == 404
    assert CANARY not in as_dora.get("/erasures/").content.decode()
    assert as_sam.post(f"/erasures/{request.id}/", {"withdraw": ""}).status_code == 302
    assert TwoPersonRequest.objects.get().closed_at
    assert Permission.CONFIRM_ERASURE == "be the second person who erases a client"
