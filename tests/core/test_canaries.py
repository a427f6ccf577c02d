"""The canary sweep: the whole story with marked words, and then a search of every sink.

What a person types may be on pages for those who may read them, and in the database where
`PLAIN` says so or encrypted. It is in no log, mail, queue, task argument, temporary file or error
page, and in no statement that PostgreSQL keeps.
"""

import io
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from celery.signals import before_task_publish
from django.conf import settings
from django.core import mail
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts.models import Membership, Role
from apps.clients.models import Client
from apps.core import tenancy
from apps.core.logs import JsonLines
from apps.core.models import OutboxMessage
from apps.core.tasks import deliver_due_messages, seal_audit_trail
from apps.feedback.models import FeedbackRequest
from apps.feedback.tokens import make_token
from apps.ruptures.models import RuptureEpisode
from tests.conftest import the_owner
from tests.factories import MembershipFactory, PracticeFactory, SupervisionFactory, rate
from tests.feedback.conftest import ITEMS, answers

MARK = f"qz{uuid4().hex[:4]}"
# The one place: columns that hold what was typed as it is, for lists and searches. All else that
# people type about a client is encrypted.
PLAIN = {
    ("clients_client", "code"),
    ("clients_treatment", "approach"),
}


@pytest.fixture
def log_lines() -> Iterator[io.StringIO]:
    """Every line of every logger, as web and worker write it."""
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(JsonLines())
    logging.getLogger().addHandler(handler)
    yield lines
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def sent_tasks() -> Iterator[list[str]]:
    sent: list[str] = []

    def note(body: object, headers: object, **kwargs: object) -> None:
        sent.append(f"{body} {headers}")

    before_task_publish.connect(note, weak=False)
    yield sent
    before_task_publish.disconnect(note)


def tell_the_story(
    sign_in: Callable[[Membership], Browser], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Add a client, log, send, answer, flag, review, end; and break things on the way.

    Returns the pages that people get when something is wrong.
    """
    practice = PracticeFactory.create()
    alice = MembershipFactory.create(practice=practice, name="Alice Moreau")
    sam = MembershipFactory.create(practice=practice, name="Sam Okafor", roles=[Role.SUPERVISOR])
    SupervisionFactory.create(supervisor=sam, supervisee=alice)
    as_alice, as_sam, phone = sign_in(alice), sign_in(sam), Browser(raise_request_exception=False)
    as_alice.raise_request_exception = False
    today = timezone.localdate().isoformat()
    typed = {
        "initials": "Q. Z.", "code": f"{MARK}-code", "language": "en-gb", "country": "GB",
        "time_zone": "Europe/London", "discussed_on": today, "consent": "agreed",
        "approach": f"{MARK}approach", "email": f"{MARK}@mail.example", "email_safe": "yes",
        "first_on": today, "start": "23:50", "minutes": "5", "every_weeks": "1", "count": "1",
    }  # fmt: skip
    added = as_alice.post("/clients/add/", typed)
    assert added.status_code == 302, added.context["form"].errors
    with tenancy.practice(practice.id):
        client = Client.objects.get()
        treatment = client.treatments.get()
        rate(treatment, [90, 80, 90, 90, 80, 90, 90, 90])
    session = {
        "treatment": treatment.id, "held_on": today, "start": "00:05", "minutes": "5",
        "attendance": "attended", "tension": "3",
    }  # fmt: skip
    note = {"ask_by": "none", "not_asked_reason": "other", "not_asked_note": f"{MARK}note"}
    assert as_alice.post("/sessions/log/", session | note).status_code == 302
    ask = {"start": "00:15", "ask_by": "email"}
    assert as_alice.post("/sessions/log/", session | ask).status_code == 302
    with tenancy.practice(practice.id):
        OutboxMessage.objects.update(not_before=timezone.now())
        asked = FeedbackRequest.objects.get()
    deliver_due_messages()
    link = f"/f/{make_token(asked.id, generation=asked.generation)}/"
    phone.get(link)
    with monkeypatch.context() as broken:
        broken.setattr("apps.feedback.client_views.submit_response", fall)
        pages = [phone.post(link, answers(comment=f"{MARK}comment")).content.decode()]
    said = answers(comment=f"{MARK}comment", tension="4")
    assert phone.post(link, said | {f"item_{item}": "2" for item in ITEMS}).status_code == 302
    with tenancy.practice(practice.id):
        episode = RuptureEpisode.objects.get()
    for url in ("/caseload/", f"/clients/{client.id}/", f"/episodes/{episode.id}/repair/"):
        assert as_alice.get(url).status_code == 200
    as_alice.get(f"/caseload/?q={MARK}query")
    as_sam.get("/supervision/")
    as_sam.get(f"/supervision/{episode.id}/")
    work = {f"note-{n}": f"{MARK}step" for n in range(6)} | {"next_action": f"{MARK}next"}
    as_alice.post(f"/episodes/{episode.id}/repair/", work)
    # Errors: a view that falls, a code that is taken, an unknown address, a form of another site.
    with monkeypatch.context() as broken:
        broken.setattr("apps.dashboard.views.caseload_page", fall)
        pages.append(as_alice.get(f"/caseload/?q={MARK}query").content.decode())
    as_alice.post("/clients/add/", typed)
    pages.append(phone.get(f"/{MARK}nowhere/").content.decode())
    strict = Browser(enforce_csrf_checks=True)
    strict.cookies = as_alice.cookies
    strict.post("/clients/add/", typed)
    end = {"outcome": "not_a_rupture", "reason": f"{MARK}reason"}
    assert as_alice.post(f"/episodes/{episode.id}/outcome/", end).status_code == 302
    seal_audit_trail()
    return pages


def fall(*args: object, **kwargs: object) -> None:
    raise RuntimeError(f"{MARK}error {args} {kwargs}")


def in_valkey() -> str:
    """Everything that the broker and the cache hold."""
    store = redis.Redis.from_url(settings.REDIS_URL)
    return " ".join(f"{key} {store.dump(key)}" for key in store.scan_iter())


def in_files(since: float) -> list[str]:
    """Files written since then: temporary ones, the engines' logs, this clone's `.rapport`."""
    engines = Path(connection.settings_dict["HOST"]).parent
    folders = [Path(tempfile.gettempdir()), engines, settings.BASE_DIR / ".rapport"]
    found = []
    for path in (each for folder in folders for each in folder.glob("**/*")):
        try:
            is_new = path.is_file() and path.stat().st_mtime >= since
            if is_new and "/postgres/" not in str(path) and MARK.encode() in path.read_bytes():
                found.append(str(path))
        except OSError:
            continue  # gone meanwhile, or another user's
    return found


def in_columns() -> set[tuple[str, str]]:
    """Columns of the database in which a mark can be read."""
    found = set()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public'"
        )
        for table, column in cursor.fetchall():
            cursor.execute(
                f'SELECT count(*) FROM "{table}" WHERE lower("{column}"::text) LIKE %s',
                [f"%{MARK}%"],
            )
            if cursor.fetchone()[0]:
                found.add((table, column))
    return found


@pytest.mark.django_db(transaction=True)
def test_nothing_a_person_typed_is_found_outside_its_place(
    sign_in: Callable[[Membership], Browser],
    monkeypatch: pytest.MonkeyPatch,
    log_lines: io.StringIO,
    sent_tasks: list[str],
    valkey: None,
) -> None:
    began = time.time()
    pages = tell_the_story(sign_in, monkeypatch)
    with the_owner():
        assert in_columns() == PLAIN
    lines = log_lines.getvalue()
    assert "RuntimeError" in lines, "the story broke something on purpose"
    assert MARK not in lines.lower()
    assert MARK not in " ".join(sent_tasks)
    assert MARK not in in_valkey()
    (message,) = mail.outbox
    assert message.to == [f"{MARK}@mail.example"], "the one place where an address belongs"
    assert MARK not in f"{message.subject} {message.from_email} {message.body}".lower()
    assert not in_files(began)
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(query, ' ') FROM pg_stat_activity")
        assert MARK not in (cursor.fetchone()[0] or "")
    # A client's own words come back to them on 'not saved'; no other error page knows them.
    assert "comment" in pages[0]
    assert not [page for page in pages[1:] if MARK in page.replace(f"{MARK}nowhere", "")]
