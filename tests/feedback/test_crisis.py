"""Crisis lines: a country in need is never left without a number that can be called."""

import json
from datetime import date

import pytest

from apps.clients.countries import COUNTRIES, ELSEWHERE
from apps.feedback.crisis import FILE, NOTES, crisis_lines, telephone

LISTED = json.loads(FILE.read_text(encoding="utf-8"))
WANTED = {"GB", "IE", "DE", "AT", "CH", "FR", "ES", "NL", "BE", "PL", "US", "CA", "AU", "NZ"}


def test_each_line_has_a_name_a_number_a_source_and_the_day_it_was_checked() -> None:
    assert set(LISTED) >= WANTED
    for lines in LISTED.values():
        assert len(lines) >= 2
        for line in lines:
            assert line["note"] in NOTES
            assert line["number"]
            assert line["source"].startswith("https://")
            assert date(2026, 1, 1) <= date.fromisoformat(line["checked_on"])


@pytest.mark.parametrize("country", [*sorted(LISTED), ELSEWHERE, "XX"])
def test_every_line_is_a_link_that_a_phone_can_use(country: str) -> None:
    lines = crisis_lines(country)
    assert lines[0].href.startswith("tel:")
    assert all(line.href.startswith(("tel:", "https://")) for line in lines)


def test_every_listed_country_can_be_chosen_for_a_client() -> None:
    assert set(LISTED) - {""} <= set(COUNTRIES)


def test_an_unset_country_is_passed_over() -> None:
    assert crisis_lines("", "NZ") == crisis_lines("NZ")


def test_a_number_is_dialled_without_its_ornaments() -> None:
    assert telephone("020 7946 0018 ext. 12") == "tel:02079460018"
    assert telephone("") == ""
