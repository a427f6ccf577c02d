"""Tables that grow: two sessions of one hour in the week, counts on a phone."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from django.template.loader import render_to_string
from playwright.sync_api import Browser, Page

from apps.dashboard.message_bars import bars
from apps.dashboard.selectors.delivery import ChannelRow, Delivery, DeliveryPage
from apps.dashboard.selectors.diary import Cell, Day, DiaryPage, Hour
from apps.dashboard.styleguide_work import MONDAY, work_parts
from tests.journeys.test_client_pages import ORIGIN, show, static

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("journeys")]

STICKING_OUT = """
() => [...document.querySelectorAll('td .rp-slot')].filter(slot => slot.checkVisibility())
    .flatMap(slot => {
        const cell = slot.closest('td').getBoundingClientRect();
        const box = slot.getBoundingClientRect();
        const below = slot.nextElementSibling?.getBoundingClientRect();
        return [
            box.bottom > cell.bottom + 1 && 'below its row',
            box.right > cell.right + 1 && 'beside its day',
            slot.scrollWidth > slot.clientWidth && 'words beside their session',
            below && box.bottom > below.top && 'over the next one',
        ].filter(Boolean);
    })
"""
SCROLLING = """
() => [...document.querySelectorAll('table')].filter(table => table.checkVisibility())
    .filter(table => table.getBoundingClientRect().right > innerWidth).length
"""


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    page = chromium.new_page()
    page.route(f"{ORIGIN}/static/**", static)
    yield page
    page.close()


def a_week() -> DiaryPage:
    """Two and five sessions begin in one hour, with long codes; one stands alone below."""
    slots = work_parts()["slots"]
    long = tuple(
        replace(slot, initials="ש. ל. מ. " * 3, code="W" * 20, detail="Undelivered, told to you")
        for slot in slots
    )
    days = [MONDAY + timedelta(days=n) for n in range(5)]
    begins = [(10, {0: long[1:3], 2: long}), (11, {0: long[:1], 1: long[3:]})]
    return DiaryPage(
        title="16–20 November",
        days=tuple(Day(day, f"{day:%a %d}", False, ()) for day in days),
        hours=tuple(
            Hour(f"{hour}:00", tuple(Cell(False, begun.get(n, ())) for n in range(5)))
            for hour, begun in begins
        ),
        earlier_url="#",
        this_week_url="#",
        later_url="#",
        is_this_week=False,
        client_ids=(),
    )


@pytest.mark.parametrize("width", [768, 1440])
def test_sessions_of_one_hour_stand_below_each_other_in_their_row(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    show(page, render_to_string("dashboard/diary.html", {"diary": a_week()}))
    assert page.locator("td .rp-slot").count() == 10
    assert page.evaluate(STICKING_OUT) == []


def test_the_counts_of_delivery_fit_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 375, "height": 900})
    rows = [ChannelRow(name, 1204, 1198, 12, 1011) for name in ("Text message", "Email")]
    now, none = Delivery(0, 0, 0, 0, ""), bars([], is_paused=False)
    counts = DeliveryPage(None, now, "", 0, 0, tuple(rows), none)
    show(page, render_to_string("dashboard/delivery.html", {"page": counts}))
    assert page.evaluate(SCROLLING) == 0
    for label in ("Due", "Sent", "Undelivered", "Answered"):
        assert page.locator(".rp-figures__label", has_text=label).first.is_visible()
