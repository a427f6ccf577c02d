"""The therapist's device in the client's hands: nothing of the therapist's can be reached."""

import pytest
from playwright.sync_api import Browser, expect

from tests.journeys.conftest import Rapport, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("journeys")]


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
    expect(page.locator("input[type=password]")).to_be_visible()
    assert "Hana" not in page.content()
    page.goto(form)
    page.locator("[name=item_heard][value='7']").check(force=True)
    page.get_by_role("button", name="Send my answers").click()
    expect(page.get_by_role("heading", name="Thank you. Your answers are saved.")).to_be_visible()
    page.goto(f"{rapport.address}/caseload/")
    expect(page.locator("input[type=password]")).to_be_visible()


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
