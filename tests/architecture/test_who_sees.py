"""Every page of staff says who sees it."""

import re
from pathlib import Path

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
FRAME = '{% extends "layouts/app.html" %}'
# What could not be shown says nothing about anybody.
WITHOUT = {"layouts/error.html"}
SENTENCE = re.compile(r"{% block who_sees %}(.*?){% endblock who_sees %}", re.DOTALL)
TITLE = re.compile(r"{% block title %}(.*?){% endblock title %}", re.DOTALL)
# They name a colleague, in the hands of managers and of the two who meet.
NAMES_STAFF = {"accounts/member.html", "supervision/meeting.html"}


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


def test_no_title_names_a_client() -> None:
    """It stays in the browser's history, on a device that a client holds, or a stranger next."""
    titles = {
        str(path.relative_to(TEMPLATES)): found[1]
        for path in TEMPLATES.rglob("*.html")
        if (found := TITLE.search(path.read_text(encoding="utf-8")))
    }
    assert len(titles) > 40
    naming = {name for name, said in titles.items() if "{{" in said or " with " in said}
    assert naming == NAMES_STAFF


# Sign-in is for the browser to remember.
REMEMBERED = ("account/", "mfa/", "accounts/stop_weekly_mail")


def test_no_browser_remembers_what_is_typed() -> None:
    """It would offer a clinical reason to whoever types in a field of that name next, and fill a
    client's form in again for whoever goes back to it, also once it was closed and opened."""
    forms = {
        str(path.relative_to(TEMPLATES)): found
        for path in TEMPLATES.rglob("*.html")
        if (found := re.findall(r"<form[^>]*>", path.read_text(encoding="utf-8")))
    }
    ours = {name: found for name, found in forms.items() if not name.startswith(REMEMBERED)}
    assert len(ours) > 40
    off = 'autocomplete="off"'
    asking = [name for name, found in ours.items() if any(off not in each for each in found)]
    assert not asking


def test_no_spelling_help_reads_along() -> None:
    """Some browsers send what is typed to their makers. The frame of every page says so for all."""
    texts = {path: path.read_text(encoding="utf-8") for path in TEMPLATES.rglob("*.html")}
    saying = {path.name: text.count("spellcheck=") for path, text in texts.items()}
    assert {name for name, count in saying.items() if count} == {"base.html"}
    assert 'spellcheck="false"' in texts[TEMPLATES / "base.html"]
    others = [text for path, text in texts.items() if "<html" in text and path.name != "base.html"]
    assert not any(re.search("<textarea|<input|<form", text) for text in others)


def test_each_frame_of_who_is_signed_in_has_a_cover() -> None:
    """Also those of recovery codes and passwords; a client's page has none, nor any script."""
    layouts = {path.name: path.read_text(encoding="utf-8") for path in TEMPLATES.glob("layouts/*")}
    covered = {name for name, text in layouts.items() if "components/cover.html" in text}
    assert covered == {"app.html", "plain.html"}
    frames = {name for name, text in layouts.items() if 'extends "base.html"' in text}
    assert frames - covered == {"client.html"}
