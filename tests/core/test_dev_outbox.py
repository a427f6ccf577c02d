"""Development's mail folder, and the logs: what is shown, and what must not be."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.core.mail import EmailMessage, get_connection
from django.test import Client as Browser
from pytest_django import Settings

from tests.feedback.test_client_form import shown

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(settings: Settings, tmp_path: Path) -> Path:
    settings.MAIL_FOLDER = tmp_path
    return tmp_path


def write(folder: Path, subject: str, body: str) -> None:
    connection: Any = get_connection(
        "django.core.mail.backends.filebased.EmailBackend", file_path=str(folder)
    )
    connection.send_messages(
        [EmailMessage(subject, body, "Fernbank <forms@x.example>", ["k@mail.example"])]
    )


def test_each_mail_is_shown_with_a_link_that_can_be_followed(client: Browser, folder: Path) -> None:
    write(folder, "Your form – ready", "Hello,\n\nhttp://127.0.0.1:8000/f/abc_-=/\n\nFernbank ü")
    page = client.get("/dev/outbox/")
    assert 'href="http://127.0.0.1:8000/f/abc_-=/"' in page.content.decode()
    text = shown(page)
    for words in ("Your form – ready", "k@mail.example", "Fernbank &lt;forms@", "Fernbank ü"):
        assert words in text
    assert "-----" not in text


def test_of_several_mails_in_one_file_each_is_shown_the_newest_first(
    client: Browser, folder: Path
) -> None:
    write(folder, "First", "Hello")
    [file] = folder.iterdir()
    file.write_bytes(file.read_bytes() + file.read_bytes().replace(b"First", b"Second"))
    page = shown(client.get("/dev/outbox/"))
    assert 0 < page.find("Second") < page.find("First")


def test_an_empty_or_missing_folder_is_no_fault(client: Browser, settings: Settings) -> None:
    settings.MAIL_FOLDER = Path("/nowhere/at/all")
    assert "No mail yet." in shown(client.get("/dev/outbox/"))


def test_a_mail_cannot_write_its_own_page(client: Browser, folder: Path) -> None:
    write(folder, "<script>x</script>", "<script>y</script> javascript:alert(1)")
    text = client.get("/dev/outbox/").content.decode()
    assert "<script>" not in text
    assert 'href="javascript' not in text


@contextmanager
def logged() -> Iterator[io.StringIO]:
    handler = next(each for each in logging.getLogger().handlers if each.name == "stderr")
    assert isinstance(handler, logging.StreamHandler)
    log = io.StringIO()
    before = handler.setStream(log)
    try:
        yield log
    finally:
        handler.setStream(before)


def test_no_link_gets_into_the_log(client: Browser) -> None:
    with logged() as log:
        client.get("/f/THE-SECRET-TOKEN/")
        client.get("/f/a/THE-SECRET-TOKEN/")
    assert log.getvalue().count("Not Found: /…") == 2
    assert "THE-SECRET-TOKEN" not in log.getvalue()


@pytest.mark.parametrize("name", ["Zoe Marlow", "Zoë Marlow", "Zoe\\Marlow", "Zoe\nMarlow"])
def test_nothing_that_is_typed_into_an_address_gets_into_the_log(
    client: Browser, name: str
) -> None:
    with logged() as log:
        assert client.get(f"/caseload/{quote(name)}/").status_code == 404
    assert log.getvalue().count("Not Found: /…") == 1
    assert "Marlow" not in log.getvalue()
