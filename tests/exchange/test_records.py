"""What a client may ask for: a full copy, a stop to processing."""

import csv
import io
import json
import re
from datetime import timedelta
from html import unescape

import pytest
import time_machine
from django.apps import apps
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts import notices
from apps.accounts.models import Membership, Notice
from apps.alliance.models import AllianceRating
from apps.clients.handing_over import pass_on
from apps.clients.models import Client, Treatment
from apps.core.downloads import csv_text, guarded
from apps.core.models import AuditEntry
from apps.endings.services import close_treatment, hand_over
from apps.exchange import records, rights
from apps.feedback.asking import why_not_agreed
from apps.feedback.corrections import correct_session
from apps.ruptures.models import RuptureEpisode, Screening
from apps.ruptures.notices import seers
from apps.ruptures.services import screen_treatment
from apps.ruptures.transitions import end_unrepaired
from apps.therapy_sessions.models import TherapySession
from tests.exchange.conftest import files
from tests.exchange.singing import CANARY, url
from tests.factories import PASSWORD, TherapySessionFactory, TreatmentFactory, rate
from tests.ruptures.test_screening import add_rating, rated_now, screen_from


def shown(html: str) -> list[tuple[str, str]]:
    """Names and values, as a reader of the document sees them."""
    pairs = re.findall(r"<dt>\s*(.*?)\s*</dt>\s*<dd>\s*(.*?)\s*</dd>", html, re.S)
    return [(unescape(name), unescape(value)) for name, value in pairs]


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
    pass_on(treatment, to=charlie, on=timezone.localdate(), by=alice)
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
    assert json.loads(made["records.json"])["questions"] == {}, "nor what others asked"
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


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1＋1", " ＠SUM(A1)"]
)
def test_no_cell_is_a_formula(cell: str) -> None:
    assert csv_text([[cell]]).lstrip('"').startswith("'")
    assert csv_text([[-1.5]]) == "-1.5\r\n"


def test_no_cell_is_a_formula_where_semicolons_part_a_list() -> None:
    """As in German, French, Dutch, Polish and Spanish; quotes inside a row part nothing there."""
    written = csv_text([["x", "a;=1+1; b -1;\t@X\n\n =2+2\r\n+3;＝4＋4"]])
    cells = re.split("[;\t\r\n]", written)
    assert not [cell for cell in cells if cell.strip().startswith(("=", "+", "-", "@", "＝"))]
    assert "b -1" in written
    quoted = csv_text([["Form", 'x;"=1+1;', 'x\n"" -1', 5]])
    read = [cell for row in csv.reader(io.StringIO(quoted), delimiter=";") for cell in row]
    assert not [cell for cell in read if cell.strip().startswith(("=", "+", "-", "@"))]


@pytest.mark.parametrize("run", ["\n", "\n;", '; "', " \t"])
def test_however_long_a_run_before_a_cell_is_it_is_looked_through_once(run: str) -> None:
    """Sign by sign anew, this would take minutes."""
    run *= 200_000
    assert guarded(f"x{run}x{run}=1") == f"x{run}x{run}'=1"


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
    TherapySession.objects.update(logged_at=timezone.now())
    assert not RuptureEpisode.objects.exists()
    rights.lift_restriction(client=treatment.client, by=alice)
    assert RuptureEpisode.objects.get().marked_at
    assert [each.said.client_id for each in notices.unread(sam)] == [treatment.client_id]
    rights.restrict(client=treatment.client, by=alice)
    AllianceRating.objects.filter(pomp=0).update(pomp=90)
    rights.lift_restriction(client=treatment.client, by=alice)
    assert ["withdrawn" in each.said.text for each in notices.unread(sam)] == [True]


@pytest.mark.parametrize("how", ["moved", "closed"])
def test_what_came_while_restricted_of_a_treatment_that_ended_is_history_once_it_is_lifted(
    how: str, alice: Membership, charlie: Membership, mona: Membership, sam: Membership
) -> None:
    """Nobody could act on it any more, nor could anybody see it before."""
    treatment = TreatmentFactory.create(therapist=alice)
    client, practice = treatment.client, treatment.practice
    rights.restrict(client=client, by=alice)
    rate(treatment, [90, 90, 80, 90, 90, 90, 80, 90, 0])
    if how == "moved":
        hand_over([treatment], to=charlie, by=mona)
    else:
        close_treatment(treatment=treatment, how="agreed", review="", by=alice)
    Notice.objects.all().delete()
    with time_machine.travel(timezone.now() + timedelta(days=200)):
        client.refresh_from_db()
        rights.lift_restriction(client=client, by=charlie if how == "moved" else mona)
        end_unrepaired(practice, at=timezone.now())
        assert not Notice.objects.exists()
    episode = RuptureEpisode.objects.get()
    assert episode.outcome == RuptureEpisode.Outcome.ENDED_UNREPAIRED
    assert episode.opened_at <= episode.outcome_at < timezone.now()  # type: ignore[operator]


def test_of_what_came_to_the_next_therapist_while_restricted_they_hear_once_it_is_lifted(
    alice: Membership, charlie: Membership, mona: Membership, sam: Membership
) -> None:
    treatment = TreatmentFactory.create(therapist=alice)
    rights.restrict(client=treatment.client, by=alice)
    rate(treatment, [90, 90, 80, 90, 90, 90, 80, 90, 0])
    hand_over([treatment], to=charlie, by=mona)
    goes_on = Treatment.objects.get(therapist=charlie)
    rate(goes_on, [90, 90, 80, 90, 90, 90, 80, 90, 0])
    TherapySession.objects.update(logged_at=timezone.now())
    Notice.objects.all().delete()
    goes_on.client.refresh_from_db()
    rights.lift_restriction(client=goes_on.client, by=charlie)
    assert RuptureEpisode.objects.open().get().treatment == goes_on
    assert {notice.member for notice in Notice.objects.all()} == {charlie}


def test_what_made_a_flag_the_supervisors_while_restricted_makes_it_so_no_more_after_the_end(
    alice: Membership, charlie: Membership, mona: Membership, sam: Membership
) -> None:
    """Also where the next beat has not ended yet what was open by then."""
    treatment = TreatmentFactory.create(therapist=alice, pomps=[90, 90, 80, 90, 90, 90, 80, 90])
    tense = TherapySessionFactory.create(treatment=treatment, tension=2, tension_resolved=0)
    add_rating(tense, 80)
    screen_from(tense)
    assert not seers(RuptureEpisode.objects.open().get())
    rights.restrict(client=treatment.client, by=alice)
    rated_now(treatment, 0)
    hand_over([treatment], to=charlie, by=mona)
    treatment.client.refresh_from_db()
    rights.lift_restriction(client=treatment.client, by=charlie)
    end_unrepaired(treatment.practice, at=timezone.now())
    assert RuptureEpisode.objects.get().outcome
    assert not Notice.objects.filter(member=sam).exists()


def test_that_nobody_came_to_the_only_session_after_all_is_screened_once_it_is_lifted(
    alice: Membership,
) -> None:
    [session] = rate(TreatmentFactory.create(therapist=alice), [None])
    client = session.treatment.client
    rights.restrict(client=client, by=alice)
    correct_session(session=session, attendance="no_show", by=alice)
    rights.lift_restriction(client=client, by=alice)
    assert not Screening.objects.current().exists()


@pytest.mark.parametrize("page", ["", "export/", "portable/", "erase/"])
def test_strangers_find_nothing(
    page: str, treatment: Treatment, as_charlie: Browser, as_dora: Browser, as_mona: Browser
) -> None:
    for browser, status in ((as_charlie, 404), (as_dora, 404), (as_mona, 404)):
        browser.post("/sign-in/again/", {"password": PASSWORD})
        assert browser.get(url(treatment, page)).status_code == status
