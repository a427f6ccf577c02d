"""The main job, once, with the real processes: engines, worker, mail server, Chromium."""

import re
import socket
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, expect

from tests.journeys.conftest import Rapport, find_client, open_somebody_to_ask, presses, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("journeys")]

# Not one of today's sessions is theirs: another story logs one of those. Who of them may be asked
# once more depends on the day of the week.
CLIENTS = ("R. H.", "P. E.")
NEVER_IN_MESSAGES = re.compile(
    r"therap|counsel|session|mental|psycho|fernbank p|hana|lindqvist|R\. ?H\.|P\. ?E\.",
    re.IGNORECASE,
)
EARLY_SIGNS_WITHIN_S = 100


def test_a_fall_travels_from_the_clients_phone_to_the_supervisor(
    chromium: Browser, rapport: Rapport
) -> None:
    hana = sign_in(chromium, rapport, "hana")
    expect(hana.get_by_role("heading", name="Caseload")).to_be_visible()
    initials, code = open_somebody_to_ask(hana, rapport, CLIENTS)

    # The therapist logs the session that has just ended.
    hana.get_by_role("link", name="Log a session").click()
    started = datetime.now(ZoneInfo("Europe/London")) - timedelta(minutes=55)
    hana.get_by_label("Date").fill(started.strftime("%Y-%m-%d"))
    hana.get_by_label("Start").fill(started.strftime("%H:%M"))
    hana.get_by_label("Minutes", exact=True).fill("50")
    hana.get_by_role("button", name="Save session").click()
    expect(hana.get_by_text(re.compile("logged", re.IGNORECASE)).first).to_be_visible()

    # The worker sends a neutral mail.
    mail = rapport.mail_to("@", seconds=EARLY_SIGNS_WITHIN_S)
    text, page = (
        mail.get_body((kind,)).get_content()  # type: ignore[union-attr]
        for kind in ("plain", "html")
    )
    link = re.search(r"http://\S+/f/\S+", text)
    assert link
    assert link[0] in page
    said = " ".join([mail["From"], mail["Subject"], text, page])
    assert not NEVER_IN_MESSAGES.search(said), said

    # The client answers on a phone, without scripts.
    phone = chromium.new_context(
        viewport={"width": 375, "height": 800}, java_script_enabled=False, reduced_motion="reduce"
    ).new_page()
    phone.goto(link[0])
    assert initials not in phone.content()
    assert "Hana" not in phone.content()
    expect(phone.get_by_text("not monitored in real time")).to_be_visible()
    for question in (
        phone.get_by_role("group").filter(has=phone.get_by_role("radio", name="10")).all()
    ):
        question.get_by_role("radio", name="6", exact=True).check(force=True)
    phone.get_by_role("radio", name="strong", exact=True).check(force=True)
    phone.get_by_role("radio", name="not at all", exact=True).check(force=True)
    phone.get_by_label("We misunderstood each other").check(force=True)
    phone.get_by_label("Anything you want to add?").fill("It felt rushed.")
    phone.get_by_role("button", name="Send my answers").click()
    expect(phone.get_by_role("heading", name=re.compile("Thank you"))).to_be_visible()
    phone.goto(link[0])
    expect(phone.get_by_role("heading", name="We already have your answers")).to_be_visible()

    # It shows on the caseload in one plain sentence, and the client page says why.
    hana.goto(f"{rapport.address}/caseload/")
    card = hana.get_by_role("article").filter(has_text=code)
    expect(card).to_contain_text("Possible rupture")
    expect(card).to_contain_text(re.compile(r"Client reported strong tension|Rated 60; usually"))
    card.get_by_role("link", name=re.compile("Review")).click()
    expect(
        hana.get_by_text("Client reported strong tension, not sorted out.").first
    ).to_be_visible()
    expect(hana.get_by_text("It felt rushed.").first).to_be_visible()
    expect(hana.get_by_role("img", name=re.compile("Rated 60")).first).to_be_attached()
    hana.get_by_role("button", name="Acknowledge").click()
    expect(hana.get_by_role("button", name="Acknowledge")).to_have_count(0)

    # The supervisor finds it in the queue, by code, without the client's words.
    miriam = sign_in(chromium, rapport, "miriam")
    row = miriam.get_by_role("row").filter(has_text=code)
    expect(row).to_contain_text("Possible rupture")
    assert initials not in miriam.content()
    row.get_by_role("link", name=re.compile("Prepare")).click()
    expect(miriam.get_by_role("heading", level=1)).to_contain_text(code)
    assert "It felt rushed." not in miriam.content()
    assert initials not in miriam.content()

    # The therapist records how it ended; it leaves both lists.
    hana.get_by_role("link", name="Open the repair record").click()
    hana.get_by_role("radio", name=re.compile("Repaired and continuing")).check(force=True)
    hana.get_by_role("button", name="Record outcome").click()
    find_client(hana, rapport, initials)
    expect(hana.get_by_role("row").filter(has_text=code)).to_contain_text("Repaired")
    miriam.goto(f"{rapport.address}/supervision/")
    expect(miriam.get_by_role("row").filter(has_text=code)).to_have_count(0)


def test_logging_a_session_takes_two_clicks_from_the_caseload(
    chromium: Browser, rapport: Rapport
) -> None:
    # Hana's session that is over was logged above; Tomasz's waits to be logged.
    tomasz = sign_in(chromium, rapport, "tomasz")
    expect(tomasz.get_by_role("heading", name="Caseload")).to_be_visible()
    presses(tomasz)
    tomasz.get_by_role("link", name="Log session").first.click()
    tomasz.get_by_role("button", name="Save session").click()
    expect(tomasz.get_by_text(re.compile("logged", re.IGNORECASE)).first).to_be_visible()
    assert presses(tomasz) == 2


def test_ctrl_c_leaves_nothing_listening(rapport: Rapport) -> None:
    assert rapport.stop() in (0, 130)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", urlsplit(rapport.address).port or 80)) != 0
