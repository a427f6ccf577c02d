"""Everything a client sees, in every language they can choose: complete, alike, and neutral."""

import json
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from django.conf import settings
from django.utils import translation
from pytest_django import Settings

from apps.alliance.models import Cause
from apps.alliance.services import SHIPPED
from apps.core.neutral import NEVER_SENT
from apps.feedback.specimens import specimens
from apps.ruptures.models import RepairStep, Worksheet
from apps.ruptures.repair_prompts import step_prompts
from tools import catalogues
from tools.catalogues import (
    TEMPLATE,
    catalogue,
    compiled,
    forms,
    prompts,
    read,
    said,
    template,
    translations,
    updated,
    written,
)
from tools.client_files import messages

LANGUAGES = ["de", "es", "fr", "nl", "pl", "ar"]
ADDRESS = re.compile(r"@|https?://")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|{}")
# Names stay what they are, and one word is French too.
SAME_EVERYWHERE = {"Fernbank", "Hana Lindqvist", "Hana Lindqvist,", "Messages"}


def texts(language: str) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """English and translation of each text, in all their forms, with the context."""
    for each in read(language):
        if each.id:
            yield each.context or "", forms(each.id), forms(each.string)


def test_the_languages_are_the_seven_that_were_promised() -> None:
    assert translations() == LANGUAGES
    assert settings.LANGUAGE_CODE == "en-gb"
    assert set(NEVER_SENT) == {"en-gb", *LANGUAGES}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_that_a_client_sees_is_missing(language: str) -> None:
    wanted = {(each.context, forms(each.text)[0]) for each in said()}
    there = {(each.context, forms(each.id)[0]) for each in read(language) if each.id}
    there -= {(None, text) for text in prompts()}
    assert wanted == there, "run: make catalogues"
    assert len(wanted) > 100
    assert [english for _context, english, ours in texts(language) if not all(ours)] == []
    assert not [each.id for each in read(language) if each.id and each.fuzzy]


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_and_plural_forms_are_those_of_the_text(language: str) -> None:
    plurals = read(language).num_plurals
    for _context, english, ours in texts(language):
        assert len(ours) == (1 if len(english) == 1 else plurals), english
        wanted = sorted(PLACEHOLDER.findall(english[-1]))
        for form in ours if len(english) == 1 else ours[-1:]:
            assert sorted(PLACEHOLDER.findall(form)) == wanted, form
        for form in ours:
            assert set(PLACEHOLDER.findall(form)) <= set(wanted), form


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_committed_is_what_the_catalogue_compiles_to(language: str) -> None:
    path = catalogue(language)
    there, made = (
        {(each.context, *forms(each.id)): forms(each.string) for each in read_mo(BytesIO(raw))}
        for raw in (path.with_suffix(".mo").read_bytes(), compiled(language))
    )
    there.pop((None, ""))
    made.pop((None, ""))
    assert there == made, "run: make catalogues"


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.json")), ids=lambda path: path.stem)
def test_a_questionnaire_that_is_sent_is_translated_whole(path: Path) -> None:
    data = json.loads(path.read_text("utf-8"))
    assert set(data["translations"]) == set(LANGUAGES)
    for translated in data["translations"].values():
        assert translated["low_label"]
        assert translated["high_label"]
        assert list(translated["items"]) == [item["id"] for item in data["items"]]
        assert all(translated["items"].values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_says_in_its_language_what_it_says_in_english(language: str) -> None:
    for english, ours in zip(specimens("en-gb"), specimens(language), strict=True):
        left = sentences(english.content) & sentences(ours.content)
        assert left <= SAME_EVERYWHERE, (english.name, left)
        if ours.is_page:
            head = ours.content[: ours.content.index("<head>")]
            assert f'lang="{language}"' in head
            assert ('dir="rtl"' in head) == (language == "ar")


def sentences(html: str) -> set[str]:
    """What stands between tags and has a word in it: no number, address or lone sign."""
    html = re.sub(r'<(textarea)\b.*?</\1>|<ul class="rp-menu.*?</ul>', "", html, flags=re.S)
    pieces = (" ".join(piece.split()) for piece in re.split(r"<[^>]*>|\n", html))
    return {each for each in pieces if re.search(r"[^\W\d_]{3}", each) and not ADDRESS.search(each)}


@pytest.mark.parametrize("language", ["en-gb", *LANGUAGES])
def test_no_message_in_any_language_tells_what_it_is_about(language: str) -> None:
    never = re.compile("|".join(NEVER_SENT[language] + NEVER_SENT["en-gb"]), re.IGNORECASE)
    sent = [each.content for each in specimens(language) if not each.is_page]
    assert len(sent) == len(messages())
    for text in sent:
        assert text
        assert not never.findall(text), text


@pytest.mark.parametrize("language", ["en-gb", *LANGUAGES])
def test_the_forbidden_words_of_a_language_would_be_found(language: str) -> None:
    never = re.compile("|".join(NEVER_SENT[language]), re.IGNORECASE)
    # The form may name what a message may not.
    assert never.search(" ".join(each.content for each in specimens(language) if each.is_page))


def test_every_prompt_for_a_repair_can_be_translated() -> None:
    assert TEMPLATE.read_bytes() == template(), "run: make catalogues"
    there = [each.id for each in read_po(BytesIO(template())) if each.id]
    shown = {text for step in RepairStep for text in texts_of(step)}
    assert shown == set(there)


def texts_of(step: str) -> Iterator[str]:
    """Every text that can be shown at a step."""
    for causes in ([], *([cause] for cause in Cause.values)):
        for kind in ("", *Worksheet.Kind.values):
            found = step_prompts(step, causes=causes, kind=kind)
            yield from (found.general, *found.fitting, *filter(None, [found.say]))


def test_a_prompt_that_somebody_translated_shows_in_their_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    english = step_prompts("follow_up")
    ours = "Wie ist es seither zwischen uns gewesen?"
    path = tmp_path / "de" / "LC_MESSAGES" / "django.po"
    path.parent.mkdir(parents=True)
    before = catalogue("de").read_text("utf-8")
    path.write_text(f'{before}\nmsgid "{english.say}"\nmsgstr "{ours}"\n', "utf-8")
    monkeypatch.setattr(catalogues, "catalogue", lambda _language: path)
    path.write_bytes(written(updated("de")))
    path.with_suffix(".mo").write_bytes(compiled("de"))
    settings.LOCALE_PATHS = [tmp_path]
    with translation.override("de"):
        assert step_prompts("follow_up").say == ours
        assert step_prompts("follow_up").general == english.general
    with translation.override("en-gb"):
        assert step_prompts("follow_up") == english
