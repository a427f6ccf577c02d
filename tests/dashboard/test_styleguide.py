"""The styleguide shows every component, and every chart in every course."""

import re

import pytest
from django.test import RequestFactory
from django.utils import translation

from apps.dashboard.styleguide import courses, styleguide


def page(course: str) -> str:
    return styleguide(RequestFactory().get("/styleguide/", {"course": course})).content.decode()


@pytest.mark.parametrize("course", [*courses(), "empty"])
def test_every_course_is_drawn_with_its_table_and_unique_ids(course: str) -> None:
    html = page(course)
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert ("View as table" in html) == (course != "empty")
    for reference in re.findall(r"url\(#([^)]+)\)", html):
        assert reference in ids


def test_drawings_keep_their_decimal_point_in_a_language_with_a_comma() -> None:
    with translation.override("de"):
        html = page("marked")
    assert not re.search(r'\s(?:x|y|cx|cy|x1|y1|width|r)="-?\d+,\d', html)


def test_no_word_blames_or_calms() -> None:
    text = re.sub(r"<[^>]+>", " ", page("marked"))
    for word in ("detected", "risk", "probability", "failing", "patient", "compliant"):
        assert not re.search(rf"\b{word}\b", text, re.IGNORECASE), word
