"""A client's page loads on an old phone: all of it, compressed, in 25 kB."""

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client as Browser

from apps.clients.models import Client
from apps.feedback.models import FeedbackRequest
from tests.feedback.test_client_form import states

MOST_BYTES = 25_000


def loaded(page: Any) -> list[bytes]:
    """The page and each file it names, and each file that those name."""
    files, waiting = [page.content], [page.content.decode()]
    while waiting:
        text = waiting.pop()
        for address in re.findall(r'(?:src|href)="/static/([^"]+)"|url\("?\.\./([^")]+)', text):
            found = finders.find("".join(address))
            assert found, address
            files.append(Path(found).read_bytes())
            if found.endswith(".css"):
                waiting.append(files[-1].decode())
    return files


@pytest.mark.parametrize("language", ["en-gb", "ar"])
def test_every_state_of_a_clients_page_weighs_25_kb_at_most(
    phone: Browser,
    asked: FeedbackRequest,
    link: str,
    monkeypatch: pytest.MonkeyPatch,
    language: str,
) -> None:
    Client.objects.update(language=language)
    pages = {"stop": phone.get(link + "stop/")} | states(phone, asked, monkeypatch)
    for name, page in pages.items():
        files = loaded(page)
        assert len(files) == 2, name
        weight = sum(len(gzip.compress(file)) for file in files)
        assert weight <= MOST_BYTES, (name, weight)
