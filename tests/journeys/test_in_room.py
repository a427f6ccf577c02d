"""The therapist's device in the client's hands: nothing of the therapist's can be reached."""

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.journeys.conftest import PASSPHRASE, Rapport, sign_in
from tests.journeys.looks import look_at

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("journeys")]


def password(page: Page) -> Locator:
    return page.locator("input[type=password]")


def test_going_back_from_the_form_leads_to_the_sign_in_page_and_shows_nothing(
    chromium: Browser, rapport: Rapport
) -> None:
    page = sign_in(chromium, rapport, "hana")
    expect(page.get_by_role("heading", name="Caseload")).to_be_visible()
    page.goto(f"{rapport.address}/sessions/log/")
    page.locator("[name=ask_by][value=room]").check(force=True)
    page.get_by_role("button", name="Save session").click()
    others = [page.context.new_page() for _ in range(3)]
    for other, path in zip(others, ("caseload", "sign-out", "sessions/log"), strict=True):
        other.goto(f"{rapport.address}/{path}/")
        expect(other.get_by_role("heading").first).to_be_visible()
    others[-1].locator("textarea").first.fill("It stays readable, so it goes as well.")
    page.bring_to_front()
    page.get_by_role("button", name="Lock and hand over").click()
    for other in others:
        other.wait_for_url("about:blank")
    expect(page.get_by_role("heading", name="How was this session for you?")).to_be_visible()
    form = page.url
    page.go_back()
    expect(password(page)).to_be_visible()
    assert "Hana" not in page.content()
    page.goto(form)
    page.locator("[name=item_heard][value='7']").check(force=True)
    page.get_by_role("button", name="Send my answers").click()
    expect(page.get_by_role("heading", name="Thank you. Your answers are saved.")).to_be_visible()
    page.goto(f"{rapport.address}/caseload/")
    expect(password(page)).to_be_visible()


def test_going_back_to_a_form_that_was_left_or_sent_shows_nothing_of_what_was_typed(
    keeping_chromium: Browser, rapport: Rapport
) -> None:
    """Chromium keeps pages as they stood, also those that say no-store, and writes what is typed in
    them to its disk."""

    def fill() -> None:
        page.locator("textarea").fill("I am afraid at home.")
        page.locator("[name=item_heard][value='7']").check(force=True)

    def is_empty() -> bool:
        expect(page.get_by_role("heading", name="How was this session for you?")).to_be_visible()
        chosen = page.locator("main input[type=radio]:checked").count()
        return page.locator("textarea").input_value() == "" and not chosen

    page = sign_in(keeping_chromium, rapport, "priya")
    page.goto(f"{rapport.address}/sessions/log/")
    page.locator("[name=ask_by][value=room]").check(force=True)
    page.get_by_role("button", name="Save session").click()
    page.get_by_role("button", name="Lock and hand over").click()
    assert is_empty()
    fill()
    page.goto(rapport.address.replace("127.0.0.1", "localhost"))
    page.evaluate("history.back()")
    assert is_empty()
    fill()
    page.get_by_role("button", name="Send my answers").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    page.evaluate("history.back()")
    expect(page.get_by_role("heading", name="We already have your answers")).to_be_visible()


def test_signing_out_empties_other_tabs_but_for_those_in_which_something_is_typed(
    chromium: Browser, rapport: Rapport
) -> None:
    """What is typed can still be sent, and waits for its writer."""
    page = sign_in(chromium, rapport, "hana")
    empty, typed = (page.context.new_page() for _ in range(2))
    for other in (empty, typed):
        other.goto(f"{rapport.address}/sessions/log/")
    typed.locator("textarea").first.fill("Half a sentence")
    page.bring_to_front()
    page.goto(f"{rapport.address}/sign-out/")
    page.get_by_role("button", name="Sign out").click()
    empty.wait_for_url("about:blank")
    expect(typed.locator("textarea").first).to_have_value("Half a sentence")
    expect(typed.locator("#main")).to_be_hidden()
    typed.keyboard.press("Tab")
    with typed.expect_popup() as found:
        typed.get_by_role("link", name="Go on").click()
    password(found.value).fill(PASSPHRASE)
    found.value.locator("input[name=username]").fill("hana@fernbank.example")
    found.value.locator("button[type=submit]").click()
    expect(typed.locator("textarea").first).to_be_visible()
    expect(typed.locator("textarea").first).to_have_value("Half a sentence")


def test_a_page_that_nobody_touched_for_half_an_hour_is_covered_until_its_person_is_back(
    chromium: Browser, rapport: Rapport
) -> None:
    page = sign_in(chromium, rapport, "hana")
    expect(page.get_by_role("heading", name="Caseload")).to_be_visible()
    read, typed = (page.context.new_page() for _ in range(2))
    for other, path, words in ((read, "caseload", ""), (typed, "sessions/log", "Half a sentence")):
        other.clock.install(time=0)
        other.goto(f"{rapport.address}/{path}/")
        if words:
            other.locator("textarea").first.fill(words)
        other.keyboard.press("Shift")
        other.clock.run_for("28:00")
        expect(other.locator("#main")).to_be_visible()
        other.keyboard.press("Shift")
        other.clock.run_for("28:00")
        expect(other.locator("#main")).to_be_visible()
        other.clock.run_for("03:00")
        expect(other.get_by_role("heading")).to_have_text("This page is covered")
        other.keyboard.press("Shift")
        expect(other.locator("#main")).to_be_hidden()
        assert not look_at(other, "covered")
    page.context.clear_cookies()
    read.get_by_role("link", name="Go on").click()
    expect(password(read)).to_be_visible()
    assert "/caseload/" in read.url
    with typed.expect_popup() as found:
        typed.get_by_role("link", name="Go on").click()
    expect(password(found.value)).to_be_visible()
    expect(typed.locator("textarea").first).to_have_value("Half a sentence")
