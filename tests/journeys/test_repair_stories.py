"""What a flag is for, three times from beginning to end: repaired, settled lower, moved.

Clicks are counted by the browser: every press of the mouse, the one on *Sign in* too.
"""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.journeys.conftest import (
    Rapport,
    find_client,
    open_client,
    open_somebody_to_ask,
    presses,
    sign_in,
)

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("journeys")]

LONDON = ZoneInfo("Europe/London")


def usual_range(page: Page) -> tuple[int, int]:
    """What the client's page says of its newest rating: 'Rated 80; usually 82–95'."""
    said = re.search(r"usual(?:ly)?(?: range)? (\d+)–(\d+)", page.locator("main").inner_text())
    assert said, page.locator("main").inner_text()
    return int(said[1]), int(said[2])


# Who of them may be asked once more depends on the day of the week.
WROTE = {"D. K.": "two rooms stayed with me", "N. W.": "could hardly think about anything else"}


def hold_session(page: Page, *, rated: int) -> None:
    """From a client's page: log a session of today, and enter what the client wrote on paper."""
    client = page.url
    page.get_by_role("link", name="Log a session").click()
    ago = (datetime.now(UTC) - timedelta(minutes=55)).astimezone(LONDON)
    now = datetime.now(LONDON)
    started = max(ago, now.replace(hour=0, minute=0))
    minutes = min(50, max(5, (now - started) // timedelta(minutes=1)))
    page.get_by_label("Date").fill(f"{started:%Y-%m-%d}")
    page.get_by_label("Start").fill(f"{started:%H:%M}")
    page.get_by_label("Minutes", exact=True).fill(str(minutes))
    page.locator("[name=ask_by][value=room]").check(force=True)
    page.get_by_role("button", name="Save session").click()
    page.get_by_role("link", name="Enter from paper").click()
    questions = page.get_by_role("group").filter(has=page.get_by_role("radio", name="10"))
    expect(questions).to_have_count(6)
    for question in questions.all():
        question.get_by_role("radio", name=str(rated), exact=True).check(force=True)
    page.get_by_role("radio", name="none", exact=True).check(force=True)
    page.get_by_role("button", name="Save answers").click()
    expect(page.get_by_label("Filled in on")).to_have_count(0)
    page.goto(client)


def test_a_rupture_is_noticed_talked_about_and_repaired(
    chromium: Browser, rapport: Rapport
) -> None:
    hana = sign_in(chromium, rapport, "hana")
    card = hana.get_by_role("article").filter(has_text="J. D.")
    code = re.search(r"[A-Z]{2}-\d{4}", card.inner_text())
    assert code

    # Understood in one click: why, in sentences. Acted on in two.
    presses(hana)
    card.get_by_role("link", name="Review").click()
    expect(hana.get_by_role("heading", name="Why this was opened")).to_be_visible()
    assert presses(hana) == 1
    client = hana.url

    hana.get_by_role("button", name="Acknowledge").click()
    expect(hana.get_by_text("Acknowledged. It stays on your list")).to_be_visible()
    assert presses(hana) == 1
    hana.get_by_role("button", name="Share with Miriam").click()

    # The steps, as far as the conversation.
    hana.get_by_role("link", name="Plan the conversation").click()
    record = hana.url.split("#")[0]
    for step, note in (
        ("Notice", "Went quiet when I summed up."),
        ("Open the conversation", "“I have a sense that I lost you last week.”"),
        ("Explore feelings on both sides", "Not heard; I felt hurried."),
    ):
        hana.get_by_label(f"{step}: note").fill(note)
        hana.get_by_label(f"{step}: day").fill(f"{datetime.now(LONDON):%Y-%m-%d}")
    hana.get_by_label("Next action").fill("Ask how the pace was.")
    hana.get_by_role("button", name="Save steps").click()
    expect(hana.get_by_text("Saved.", exact=True)).to_be_visible()

    # The next rating is back in the usual range, and it stays until somebody says how it ended.
    hana.goto(client)
    low, high = usual_range(hana)
    usual = round((low + high) / 20)
    assert low <= 10 * usual <= high
    hold_session(hana, rated=usual)
    expect(hana.get_by_text("Recovering").first).to_be_visible()
    hana.goto(f"{rapport.address}/caseload/")
    expect(card).to_contain_text("Recovering")
    miriam = sign_in(chromium, rapport, "miriam")
    expect(miriam.get_by_role("row").filter(has_text=code[0])).to_be_visible()

    hana.goto(record)
    hana.get_by_role("radio", name=re.compile("Repaired and continuing")).check(force=True)
    hana.get_by_role("button", name="Record outcome").click()
    expect(hana.get_by_text("Outcome recorded.")).to_be_visible()
    expect(hana.get_by_text("Repaired").first).to_be_visible()
    hana.goto(f"{rapport.address}/caseload/")
    expect(hana.get_by_role("heading", name="Caseload")).to_be_visible()
    expect(card).to_have_count(0)
    miriam.reload()
    expect(miriam.get_by_role("link", name=code[0])).to_have_count(0)


def test_a_lower_level_is_talked_over_in_supervision_and_becomes_the_usual_one(
    chromium: Browser, rapport: Rapport
) -> None:
    tomasz = sign_in(chromium, rapport, "tomasz")
    code = open_client(tomasz, rapport, "U. N.")
    before = usual_range(tomasz)
    tomasz.get_by_role("button", name="Share with Miriam").click()
    tomasz.get_by_role("link", name="Open the repair record").click()
    tomasz.get_by_label("Ask your supervisor for support").fill("It stays lower. Stuck, or new?")
    tomasz.get_by_role("button", name="Send", exact=True).click()

    # From signing in, the supervisor is in two clicks at what has waited longest.
    miriam = sign_in(chromium, rapport, "miriam")
    longest = miriam.locator(".rp-queue tbody tr").first.get_by_role("link").first
    waited = longest.inner_text()
    longest.click()
    expect(miriam.get_by_role("heading", level=1)).to_contain_text(waited)
    assert presses(miriam) == 2

    # The agenda of their meeting holds it; what is decided becomes the next action.
    miriam.goto(f"{rapport.address}/supervision/")
    row = miriam.get_by_role("row").filter(has_text=code)
    expect(row).to_contain_text("Asked for you")
    panel = miriam.get_by_role("article").filter(has_text="Tomasz Zielinski")
    panel.get_by_role("link", name="Plan a meeting").click()
    tomorrow = datetime.now(LONDON) + timedelta(days=1)
    miriam.get_by_label("Day").fill(f"{tomorrow:%Y-%m-%d}")
    miriam.get_by_label("Start").fill("16:00")
    miriam.get_by_label("Minutes").fill("50")
    miriam.get_by_role("button", name="Plan the meeting").click()
    expect(miriam.get_by_role("heading", name=code)).to_be_visible()
    miriam.get_by_role("textbox", name="Decision").fill("Ask what has changed since the summer.")
    miriam.get_by_label("About").select_option(label=code)
    miriam.get_by_role("button", name="Record decision").click()
    expect(miriam.get_by_text(f"{code}: Ask what has changed")).to_be_visible()
    meeting = miriam.url

    tomasz.reload()
    expect(tomasz.get_by_label("Next action")).to_have_value(
        re.compile("Ask what has changed since the summer")
    )
    tomasz.get_by_role("radio", name=re.compile("Settled at a lower level")).check(force=True)
    tomasz.get_by_role("button", name="Record outcome").click()
    expect(tomasz.get_by_text("Outcome recorded.")).to_be_visible()

    # The range moves: what lay below the usual one lies in it from the next session on.
    below = (before[0] - 1) // 10
    hold_session(tomasz, rated=below)
    low, high = usual_range(tomasz)
    assert low <= 10 * below <= high < before[1]
    expect(tomasz.get_by_role("heading", name="No open episode")).to_be_visible()

    # The supervisor sees that it is over.
    miriam.goto(f"{rapport.address}/supervision/")
    expect(miriam.get_by_role("link", name=code)).to_have_count(0)
    miriam.goto(meeting)
    expect(miriam.get_by_text(f"{code}: Ask what has changed")).to_be_visible()


def test_a_client_moves_to_a_colleague_who_fits_better(chromium: Browser, rapport: Rapport) -> None:
    today = datetime.now(LONDON)
    hana = sign_in(chromium, rapport, "hana")
    initials, code = open_somebody_to_ask(hana, rapport, WROTE)
    client = hana.url
    hana.goto(f"{client}move/")
    hana.get_by_label("What the client needs now").fill("Evenings, and more structure.")
    for wish in ("Evening", "structured"):
        hana.get_by_label(re.compile(wish, re.IGNORECASE)).check(force=True)
    hana.get_by_label("What was tried").fill("Two talks about how we work.")
    hana.get_by_role("button", name="Save and go on").click()

    # The client decides part by part: not the comments.
    for part in ("needs", "tried", "ratings"):
        hana.locator(f"[name=passes_on][value={part}]").check(force=True)
    hana.get_by_label("Client agreed on").fill(f"{today:%Y-%m-%d}")
    hana.get_by_label("How").select_option("in_room")
    hana.get_by_role("button", name="Save and go on").click()

    # Who has room and fits more comes first, in words; ratings play no part.
    choices = hana.get_by_role("group", name="New therapist")
    expect(choices.get_by_role("radio").first).to_have_accessible_name(re.compile("Tomasz"))
    expect(choices).to_contain_text("Has room. Fits: Evening sessions")
    choices.get_by_role("radio").first.check(force=True)
    hana.get_by_label("Moves on").fill(f"{today:%Y-%m-%d}")
    hana.get_by_role("button", name="Arrange the move").click()

    # From today on it is no longer hers.
    for page in ("", "move/", "brief/"):
        assert hana.request.get(f"{client}{page}").status == 404
    find_client(hana, rapport, initials)
    expect(hana.get_by_role("link", name=code)).to_have_count(0)

    # The colleague is told, reads what was passed on and nothing else, and begins anew.
    tomasz = sign_in(chromium, rapport, "tomasz")
    tomasz.get_by_role("link", name=re.compile(f"{code} moves to you from Hana")).click()
    expect(tomasz.get_by_role("heading", level=1)).to_contain_text(code)
    expect(tomasz.get_by_text("No ratings yet")).to_be_visible()
    tomasz.get_by_role("link", name="Passed on from the treatment before").click()
    expect(tomasz.get_by_text("Evenings, and more structure.")).to_be_visible()
    expect(tomasz.get_by_text("Two talks about how we work.")).to_be_visible()
    expect(tomasz.get_by_role("img", name=re.compile("Alliance ratings"))).to_be_visible()
    assert WROTE[initials] not in tomasz.content()
    tomasz.go_back()
    hold_session(tomasz, rated=7)
    expect(tomasz.get_by_text("Baseline forming").first).to_be_visible()
    expect(tomasz.get_by_text("Session 1", exact=True).first).to_be_visible()

    # The client takes it back: nothing of it is left there.
    passed_on = tomasz.get_by_role("link", name="Passed on from the treatment before")
    passed_on.click()
    tomasz.get_by_text("The client takes this back").click()
    tomasz.get_by_role("button", name="Take all of it back").click()
    expect(tomasz.get_by_text("Taken back: what was passed on stays")).to_be_visible()
    expect(passed_on).to_have_count(0)
