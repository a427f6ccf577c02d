"""The styleguide shows every component, and every chart in every course."""

import re

import pytest
from django.conf import settings
from django.template import Template
from django.test import RequestFactory
from django.test.signals import template_rendered
from django.utils import translation

from apps.dashboard.styleguide import courses, styleguide

# Of somebody signed in, and of signing in with scripts: the styleguide has neither.
IN_THE_FRAME = {"cover.html", "user_menu.html", "security_key.html"}


def page(course: str) -> str:
    return styleguide(RequestFactory().get("/styleguide/", {"course": course})).content.decode()


@pytest.mark.parametrize("course", [*courses(), "empty"])
def test_every_course_is_drawn_with_its_table_and_unique_ids(course: str) -> None:
    html = page(course)
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    drawn_anyway = 1  # the bars of messages
    assert (html.count("View as table") > drawn_anyway) == (course != "empty")
    for reference in re.findall(r"url\(#([^)]+)\)", html):
        assert reference in ids


def test_every_component_is_shown() -> None:
    shown = set()

    def note(template: Template, **kwargs: object) -> None:
        shown.add(f"{template.name}".rpartition("/")[2])

    template_rendered.connect(note)
    try:
        page("marked")
    finally:
        template_rendered.disconnect(note)
    folder = settings.BASE_DIR / "templates" / "components"
    assert {path.name for path in folder.iterdir()} - shown == IN_THE_FRAME


def test_drawings_keep_their_decimal_point_in_a_language_with_a_comma() -> None:
    with translation.override("de"):
        html = page("marked")
    assert not re.search(r'\s(?:x|y|cx|cy|x1|y1|width|r)="-?\d+,\d', html)


def test_no_word_blames_or_calms() -> None:
    text = re.sub(r"<[^>]+>", " ", page("marked"))
    for word in ("detected", "risk", "probability", "failing", "patient", "compliant"):
        assert not re.search(rf"\b{word}\b", text, re.IGNORECASE), word
