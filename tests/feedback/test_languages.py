"""A client's pages in their language, or in the one they choose; staff's pages in English."""

from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client as Browser
from django.urls import reverse

from apps.accounts.models import Membership
from apps.clients.models import Client
from apps.feedback.models import FeedbackRequest
from tests.feedback.conftest import answers

GERMAN = "Wie war diese Sitzung für Sie?"
MARK = "Diese Übersetzung der Fragen ist nicht klinisch validiert."


@pytest.fixture
def german(asked: FeedbackRequest) -> Client:
    client = asked.therapy_session.treatment.client
    client.language = "de"
    client.save()
    return client


def test_a_form_speaks_the_clients_language_and_says_that_its_questions_are_translated(
    phone: Browser, link: str, german: Client
) -> None:
    html = phone.get(link, headers={"accept-language": "fr"}).content.decode()
    assert '<html lang="de"' in html
    for said in (GERMAN, MARK, "Ich habe mich gehört und verstanden gefühlt.", "Notruf", "Völlig"):
        assert said in html


def test_the_original_questions_carry_no_mark(phone: Browser, link: str) -> None:
    html = phone.get(link).content.decode()
    assert "I felt heard and understood." in html
    assert "not been clinically validated" not in html


def test_a_language_chosen_on_the_page_holds_until_the_thanks(
    phone: Browser, link: str, german: Client
) -> None:
    form = phone.get(link + "?lang=ar")
    html = form.content.decode()
    assert '<html lang="ar"' in html
    assert 'dir="rtl"' in html.split("<head>")[0]
    assert '<bdi dir="ltr">' in html
    assert f'href="{link}stop/?lang=ar"' in html
    sent = phone.post(link + "?lang=ar", answers())
    assert sent.headers["Location"] == f"{link}thanks/?lang=ar"
    assert "شكرًا لكم" in phone.get(sent.headers["Location"]).content.decode()


def test_the_menu_offers_the_other_six_each_by_its_own_name(phone: Browser, link: str) -> None:
    html = phone.get(link).content.decode()
    for code, name in (
        ("de", "Deutsch"), ("es", "Español"), ("fr", "Français"), ("nl", "Nederlands"),
        ("pl", "Polski"), ("ar", "العربيّة"),
    ):  # fmt: skip
        assert f'href="?lang={code}"' in html
        assert name in html
    assert "?lang=en-gb" not in html


def test_what_was_typed_is_not_put_behind_a_menu(phone: Browser, link: str, german: Client) -> None:
    html = phone.post(link, answers(item_heard="11")).content.decode()
    assert "Diese Antwort kam nicht als eine der Möglichkeiten an." in html
    assert "?lang=" not in html


@pytest.mark.parametrize("chosen", ["", "xx", "en", "../de"])
def test_a_language_that_is_none_of_ours_changes_nothing(
    phone: Browser, link: str, german: Client, chosen: str
) -> None:
    assert GERMAN in phone.get(link, {"lang": chosen}).content.decode()


def test_an_unknown_link_speaks_the_browsers_language(phone: Browser, db: None) -> None:
    html = phone.get("/f/none/", headers={"accept-language": "pl,en;q=0.5"}).content.decode()
    assert "Ten link nie działa" in html


def test_staff_pages_stay_english_whatever_a_browser_asks_for(
    alice: Membership, client: Browser
) -> None:
    client.force_login(alice.user)
    html = client.get(reverse("add_client"), headers={"accept-language": "de"}).content.decode()
    assert '<html lang="en-gb"' in html
    for _code, name in settings.LANGUAGES:
        assert f">{name}</option>" in html


def test_a_reviewer_gets_each_page_beside_the_english_one(tmp_path: Path) -> None:
    call_command("show_locale", "de", out=tmp_path / "de.html", verbosity=0)
    html = (tmp_path / "de.html").read_text(encoding="utf-8")
    assert GERMAN in html
    assert "How was this session for you?" in html
    assert "Ihr kurzer Fragebogen ist bereit" in html
    assert "/static/" not in html
