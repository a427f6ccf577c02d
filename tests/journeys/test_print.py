"""What is printed, and so saved as PDF: everything of the page, and nothing of the frame."""

import io
import json
import re
import subprocess
import sys

import pytest
from playwright.sync_api import Browser, Page, expect
from pypdf import PdfReader

from tests.journeys.conftest import Rapport, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("journeys")]

FRAME = ("Caseload", "Diary", "Repairs", "Log session", "Print", "Sign out", "Skip to", "Who sees")
LONG = "It was hurried, and we lost the thread. " * 60 + "That was the end."
# Two decisions, a wish and notes, and a worksheet with a note longer than half a page.
MADE = """
import json
from datetime import timedelta
from zoneinfo import ZoneInfo
from django.utils import timezone
from apps.accounts.models import Membership
from apps.core import tenancy
from apps.ruptures.models import RepairStep, RuptureEpisode
from apps.ruptures.repair import Sheet, StepEntry, save_worksheet, set_sharing
from apps.supervision.services import decide, plan_meeting, write_meeting
from tests.factories import ClientFactory, TherapySessionFactory, TreatmentFactory, comment_on

now = timezone.now()
hana, miriam = (
    Membership.objects.select_related("practice").get(user__email=f"{name}@fernbank.example")
    for name in ("hana", "miriam")
)
with tenancy.practice(hana.practice_id):
    client = ClientFactory.create(practice=hana.practice, code="PD-0001", initials="P. D.")
    treatment = TreatmentFactory.create(therapist=hana, client=client, falling=True)
    episode = RuptureEpisode.objects.open().get(treatment=treatment)
    steps = {
        step: StepEntry(LONG if step == "discuss" else f"My note on {step}.", now.date())
        for step in RepairStep
    }
    sheet = Sheet(
        kind="withdrawal", causes=("no_progress",), next_action="Ask at once.", steps=steps
    )
    save_worksheet(episode=episode, sheet=sheet, opened_version=0, by=hana)
    set_sharing(episode=episode, share=True, share_notes=False, by=hana)
    comment_on(treatment.therapy_sessions.latest("starts_at"), "I felt you were in a hurry.")
    TherapySessionFactory.create(treatment=treatment, starts_at=now, attendance="")
    meeting = plan_meeting(
        supervisee=hana, starts_at=now + timedelta(days=3), duration_min=50, by=miriam
    )
    for text in ("Slow down first.", "Name what I felt."):
        decide(meeting=meeting, episode=episode, text=text, by=miriam)
    write_meeting(
        meeting=meeting, opened_version=meeting.version, notes="Bring the recording.", wish=None,
        by=miriam,
    )
    codes = [each.treatment.client.code for each in meeting.episodes()]
    day = f"{timezone.localdate(now, ZoneInfo(hana.practice.time_zone))}"
print(json.dumps([str(meeting.id), str(episode.id), str(client.id), day, codes]))
"""


def printed(page: Page) -> list[str]:
    """The text of each page of what the browser's print would save, blanks as one."""
    # The button of the page and the browser's own menu lead to the same sheets.
    expect(page.get_by_role("button", name="Print or save as PDF")).to_be_visible()
    file = io.BytesIO(page.pdf(prefer_css_page_size=True))
    return [re.sub(r"\s+", " ", sheet.extract_text()) for sheet in PdfReader(file).pages]


def test_agenda_worksheet_brief_and_day_sheet_are_whole_as_pdf(
    chromium: Browser, rapport: Rapport
) -> None:
    said = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", f"LONG = {LONG!r}\n{MADE}"],
        cwd=rapport.folder,
        env=rapport.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr[-2000:]
    meeting, episode, client, day, codes = json.loads(said.stdout.splitlines()[-1])
    brief = ["PD-0001", "I felt you were in a hurry.", "Name what I felt."]
    worksheet = [f"My note on {step}." for step in ("notice", "open", "explore", "agree")]
    behind = ["Withdrawal", "Lack of progress", "Ask at once.", "That was the end."]
    agenda = [*codes, "Slow down first.", "Name what I felt.", "Bring the recording."]
    assert len(codes) > 1
    hana, miriam = (sign_in(chromium, rapport, name) for name in ("hana", "miriam"))
    for page, address, on_each, holds, most in (
        (hana, f"/clients/{client}/brief/", "Brief PD-0001", brief, 1),
        (hana, f"/day-sheet/?day={day}", "Day sheet", brief[:2], 3),
        (hana, f"/episodes/{episode}/repair/", "Repair record PD-0001", worksheet + behind, 5),
        (hana, f"/meetings/{meeting}/", "Agenda", agenda, 4),
        (miriam, f"/meetings/{meeting}/", "Agenda", agenda, 4),
    ):
        page.goto(f"{rapport.address}{address}")
        sheets = printed(page)
        text = " ".join(sheets)
        assert 1 <= len(sheets) <= most, address
        for number, sheet in enumerate(sheets, start=1):
            assert on_each in sheet, (address, number)
            assert re.search(r"as of \d+ \w+ \d{4}", sheet), (address, number)
            # No page that holds the frame alone.
            assert len(sheet) > 250, (address, number)
        for words in holds:
            assert words in text, (address, words)
        for words in FRAME:
            assert words not in text.replace("Printed", ""), (address, words)
        assert "No flag does not mean no rupture" in text
    for person in (hana, miriam):
        person.context.close()
