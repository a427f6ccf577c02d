"""Every page of staff says who sees it."""

import re
from pathlib import Path

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
FRAME = '{% extends "layouts/app.html" %}'
# What could not be shown says nothing about anybody.
WITHOUT = {"layouts/error.html"}
SENTENCE = re.compile(r"{% block who_sees %}(.*?){% endblock who_sees %}", re.DOTALL)


def said(template: Path) -> str:
    found = SENTENCE.search(template.read_text(encoding="utf-8"))
    return found[1] if found else ""


def test_every_page_of_staff_says_who_sees_it() -> None:
    pages = [
        path
        for path in TEMPLATES.rglob("*.html")
        if FRAME in path.read_text(encoding="utf-8")
        and str(path.relative_to(TEMPLATES)) not in WITHOUT
    ]
    assert len(pages) > 40
    silent = [str(page.relative_to(TEMPLATES)) for page in pages if len(said(page).strip()) < 20]
    assert not silent, f"Add the block who_sees to {', '.join(sorted(silent))}."
