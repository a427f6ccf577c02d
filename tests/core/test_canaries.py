"""The canary sweep: the whole story with marked words, and then a search of every sink.

What a person types may be on pages for those who may read them, and in the database where
`PLAIN` says so or encrypted. It is in no log, mail, queue, task argument, temporary file or error
page, and in no statement that PostgreSQL keeps.
"""

import io
import logging
import os
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
import redis
import time_machine
from celery.signals import before_task_publish
from django.conf import settings
from django.core import mail
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts.models import Membership, Role
from apps.clients.models import Client, Treatment
from apps.core import tenancy
from apps.core.logs import JsonLines
from apps.core.models import OutboxMessage
from apps.core.tasks import deliver_due_messages, seal_audit_trail
from apps.endings.models import Ending
from apps.feedback.client_pages import NOT_KEPT
from apps.feedback.messages import token_of
from apps.feedback.models import FeedbackRequest
from apps.ruptures.models import RepairStep, RuptureEpisode
from tests.conftest import the_owner
from tests.factories import PASSWORD, MembershipFactory, PracticeFactory, SupervisionFactory, rate
from tests.feedback.conftest import ITEMS, answers
from tests.feedback.test_client_form import hidden

MARK = f"qz{uuid4().hex[:4]}"
# The one place: columns that hold what was typed as it is, for lists and searches. All else that
# people type about a client is encrypted.
PLAIN = {
    ("clients_client", "code"),
    ("clients_treatment", "approach"),
    ("endings_offer", "words"),  # of a therapist about themselves
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
    """Add a client, log, send, answer, flag, repair, supervise, end, move; and break things.

    At noon, when no quiet hours hold a message back.

    Each step says what came of it. Returns the pages that people get when something is wrong.
    """
    noon = datetime.now(ZoneInfo("Europe/London")).replace(hour=12, minute=0)
    with time_machine.travel(noon):
        return _told(sign_in, monkeypatch)


def _told(sign_in: Callable[[Membership], Browser], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    practice = PracticeFactory.create()
    alice = MembershipFactory.create(practice=practice, name="Alice Moreau")
    charlie = MembershipFactory.create(practice=practice, name="Charlie Brandt")
    sam = MembershipFactory.create(practice=practice, name="Sam Okafor", roles=[Role.SUPERVISOR])
    SupervisionFactory.create(supervisor=sam, supervisee=alice)
    as_alice, as_charlie, as_sam = sign_in(alice), sign_in(charlie), sign_in(sam)
    phone = Browser(raise_request_exception=False)
    as_alice.raise_request_exception = False
    typed = {
        "initials": "Q. Z.", "code": f"{MARK}-code-1", "language": "en-gb", "country": "GB",
        "time_zone": "Europe/London", "discussed_on": day(), "consent": "agreed",
        "approach": f"{MARK}approach", "email": f"{MARK}@mail.example", "email_safe": "yes",
        "first_on": day(), "start": "23:50", "minutes": "5", "every_weeks": "1", "count": "1",
    }  # fmt: skip
    assert as_alice.post("/clients/add/", typed).status_code == 302
    with tenancy.practice(practice.id):
        client = Client.objects.get()
        treatment = client.treatments.get()
        rate(treatment, [90, 80, 90, 90, 80, 90, 90, 90])
    asked = log_and_ask(as_alice, treatment)
    pages = answer(phone, asked, monkeypatch)
    with tenancy.practice(practice.id):
        episode = RuptureEpisode.objects.get()
    for url in ("/caseload/", f"/clients/{client.id}/", f"/episodes/{episode.id}/repair/"):
        assert as_alice.get(url).status_code == 200
    assert as_alice.get(f"/caseload/?q={MARK}query").status_code == 200
    repair(as_alice, episode)
    supervise(as_alice, as_sam, alice, episode)
    pause = {"reason": f"{MARK}pause", "review_on": day(30)}
    assert as_alice.post(f"/clients/{client.id}/pause/", pause).status_code == 302
    assert as_alice.post(f"/clients/{client.id}/resume/").status_code == 302
    pages += go_wrong(as_alice, phone, typed, monkeypatch)
    end = {"outcome": "not_a_rupture", "reason": f"{MARK}reason"}
    assert as_alice.post(f"/episodes/{episode.id}/outcome/", end).status_code == 302
    give_out(as_alice, client)
    move(as_alice, as_charlie, client, charlie)
    seal_audit_trail()
    return pages


def day(ahead: int = 0) -> str:
    return (timezone.localdate() + timedelta(days=ahead)).isoformat()


def log_and_ask(as_alice: Browser, treatment: Treatment) -> FeedbackRequest:
    """Log two sessions, with a note for oneself, and send one request."""
    session = {
        "treatment": treatment.id, "held_on": day(), "start": "00:05", "minutes": "5",
        "attendance": "attended", "tension": "3",
    }  # fmt: skip
    note = {"ask_by": "none", "not_asked_reason": "other", "not_asked_note": f"{MARK}note"}
    assert as_alice.post("/sessions/log/", session | note).status_code == 302
    ask = {"start": "00:15", "ask_by": "email"}
    assert as_alice.post("/sessions/log/", session | ask).status_code == 302
    with tenancy.practice(treatment.practice_id):
        OutboxMessage.objects.update(not_before=timezone.now())
        asked = FeedbackRequest.objects.get()
    deliver_due_messages()
    address = f"/sessions/{asked.therapy_session_id}/note/"
    assert as_alice.post(address, {"text": f"{MARK}process"}).status_code == 302
    assert f"{MARK}process" in as_alice.get(address).content.decode()
    return asked


def answer(phone: Browser, asked: FeedbackRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Answer by the link; the first time the server falls, and says so on a page."""
    with tenancy.practice(asked.practice_id):
        link = f"/f/{token_of(asked)}/"
    page = phone.get(link)
    assert page.status_code == NOT_KEPT
    said = answers(comment=f"{MARK}comment", tension="4", frame=hidden(page, "frame"))
    with monkeypatch.context() as broken:
        broken.setattr("apps.feedback.client_views.submit_response", fall)
        failed = phone.post(link, said)
    assert failed.status_code == 500
    assert phone.post(link, said | {f"item_{item}": "2" for item in ITEMS}).status_code == 302
    return [failed.content.decode()]


def repair(as_alice: Browser, episode: RuptureEpisode) -> None:
    """Write on every line of the worksheet."""
    work = {f"note_{step}": f"{MARK}step" for step in RepairStep.values}
    address = f"/episodes/{episode.id}/repair/"
    said = {"version": "0", "next_action": f"{MARK}next"}
    assert as_alice.post(address, work | said).status_code == 302
    page = as_alice.get(address).content.decode()
    assert page.count(f"{MARK}step") >= len(work)


def supervise(
    as_alice: Browser, as_sam: Browser, alice: Membership, episode: RuptureEpisode
) -> None:
    """Ask for support, answer, meet and decide."""
    support = f"/episodes/{episode.id}/support/"
    assert as_alice.post(support, {"text": f"{MARK}asks"}).status_code == 302
    for url in ("/supervision/", f"/supervision/{episode.id}/"):
        assert as_sam.get(url).status_code == 200
    assert as_sam.post(support, {"text": f"{MARK}answers"}).status_code == 302
    plan = {"supervisee": alice.id, "day": day(1), "start": "09:00", "minutes": "50"}
    meeting = as_sam.post("/meetings/plan/", plan)["Location"]
    words = {"version": "1", "wish": f"{MARK}wish", "notes": f"{MARK}notes"}
    assert as_alice.post(meeting, words).status_code == 302
    decision = {"episode": episode.id, "text": f"{MARK}decision"}
    assert as_sam.post(f"{meeting}decide/", decision).status_code == 302
    page = as_sam.get(meeting).content.decode()
    for word in ("wish", "notes", "decision"):
        assert f"{MARK}{word}" in page


def go_wrong(
    as_alice: Browser, phone: Browser, typed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """A view that falls, a code that is taken, an unknown address, a form of another site."""
    with monkeypatch.context() as broken:
        broken.setattr("apps.dashboard.views.caseload_page", fall)
        failed = as_alice.get(f"/caseload/?q={MARK}query")
    assert failed.status_code == 500
    assert as_alice.post("/clients/add/", typed).status_code == 200, "the code is taken"
    missing = phone.get(f"/{MARK}nowhere/")
    assert missing.status_code == 404
    strict = Browser(enforce_csrf_checks=True)
    strict.cookies = as_alice.cookies
    assert strict.post("/clients/add/", typed).status_code == 403
    return [failed.content.decode(), missing.content.decode()]


def give_out(as_alice: Browser, client: Client) -> None:
    """Take away all that is kept about the client, and what they supplied."""
    assert as_alice.post("/sign-in/again/", {"password": PASSWORD}).status_code == 302
    records = f"/clients/{client.id}/records/"
    export = as_alice.post(f"{records}export/", {"reviewed": "on"})
    portable = as_alice.get(f"{records}portable/")
    for answer in (export, portable):
        assert answer["Content-Type"] == "application/zip"
        with zipfile.ZipFile(io.BytesIO(answer.content)) as files:
            assert MARK in " ".join(files.read(name).decode() for name in files.namelist())


def move(as_alice: Browser, as_charlie: Browser, client: Client, charlie: Membership) -> None:
    """Pass the client on to a colleague, who reads what came along and closes the treatment."""
    offer = {"has_room": "on", "words": f"{MARK}offer"}
    assert as_charlie.post("/account/offer/", offer).status_code == 302
    address = f"/clients/{client.id}/move/"
    for step in (
        {"step": "fits", "needs": f"{MARK}needs", "tried": f"{MARK}tried"},
        {
            "step": "consent", "passes_on": ["needs", "tried", "ratings", "comments"],
            "agreed_on": day(), "agreed_how": "in_room",
        },
        {"step": "handover", "to": str(charlie.id), "moves_on": day()},
    ):  # fmt: skip
        opened = as_alice.get(address).context["form"]["version"].value() or ""
        assert as_alice.post(address, step | {"version": opened}).status_code == 302, step
    came = as_charlie.get(f"/clients/{client.id}/passed-on/").content.decode()
    for word in ("needs", "tried", "comment"):
        assert f"{MARK}{word}" in came
    closing = {"how": Ending.How.values[0], "review": f"{MARK}review"}
    assert as_charlie.post(f"/clients/{client.id}/close/", closing).status_code == 302


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
    # `os.walk` passes over folders that other programs take away meanwhile.
    walks = (each for folder in folders for each in os.walk(folder))
    found = []
    for path in (Path(where, name) for where, _, names in walks for name in names):
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
