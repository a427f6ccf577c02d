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
    other = page.context.new_page()
    other.goto(f"{rapport.address}/caseload/")
    expect(other.get_by_role("heading", name="Caseload")).to_be_visible()
    page.bring_to_front()
    page.get_by_role("button", name="Lock and hand over").click()
    expect(other.get_by_role("heading", name="Caseload")).to_have_count(0)
    expect(other.locator("input[type=password]")).to_be_visible()
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
