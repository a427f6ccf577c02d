"""Process notes: their author reads them, and nobody else on any path."""

from datetime import timedelta
from functools import partial

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts.models import Membership
from apps.clients.handing_over import pass_on
from apps.exchange.rights import set_hold
from apps.ruptures.services import share_episode
from apps.therapy_sessions.models import ProcessNote, TherapySession
from apps.therapy_sessions.services import log_therapy_session, save_process_note
from tests.at_once import at_once
from tests.factories import TherapySessionFactory, TreatmentFactory

NOTE = "I felt a pull to rescue."


@pytest.fixture
def session(alice: Membership) -> TherapySession:
    treatment = TreatmentFactory.create(therapist=alice, falling=True)
    session: TherapySession = treatment.therapy_sessions.latest("starts_at")
    save_process_note(therapy_session=session, text=NOTE, by=alice)
    return session


def url(session: TherapySession) -> str:
    return f"/sessions/{session.id}/note/"


def test_the_author_reads_it_on_its_page_and_on_the_clients(
    session: TherapySession, as_alice: Browser
) -> None:
    for address in (url(session), f"/clients/{session.treatment.client_id}/"):
        page = as_alice.get(address).content.decode()
        assert NOTE in page
        assert "Only you can read" in page


def test_the_author_changes_it_and_takes_it_away(
    session: TherapySession, as_alice: Browser
) -> None:
    for text in ("Another thought.", " "):
        version = ProcessNote.objects.get().version
        as_alice.post(url(session), {"text": text, "version": version})
        assert [each.text for each in ProcessNote.objects.all()] == [text] * bool(text.strip())


def test_what_is_saved_as_the_session_ends_in_another_window_is_not_said_to_be_lost(
    session: TherapySession, as_alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def has_gone(*args: object, **kwargs: object) -> None:
        raise UpdateError

    version = ProcessNote.objects.get().version
    monkeypatch.setattr(SessionStore, "save", has_gone)
    answer = as_alice.post(url(session), {"text": "Another thought.", "version": version})
    assert ProcessNote.objects.get().text == "Another thought."
    assert answer.status_code == 400
    page = answer.content.decode()
    assert "The last step may have been saved" in page
    assert "Nothing was changed" not in page
    assert ">\nAnother thought.</textarea>" in page


def test_an_older_window_overwrites_no_newer_note_unless_it_is_sent_again(
    session: TherapySession, as_alice: Browser, alice: Membership
) -> None:
    opened = as_alice.get(url(session)).context["form"]["version"].value()
    careful = {"text": "Long and careful.", "version": opened}
    save_process_note(therapy_session=session, by=alice, **careful)
    refused = as_alice.post(url(session), {"text": "From before.", "version": opened})
    page = refused.content.decode()
    assert ProcessNote.objects.get().text == "Long and careful."
    assert "It now reads: “Long and careful.”" in page
    assert ">\nFrom before.</textarea>" in page
    again = refused.context["form"]["version"].value()
    as_alice.post(url(session), {"text": "Both of it.", "version": again})
    assert ProcessNote.objects.get().text == "Both of it."
    version = ProcessNote.objects.get().version
    save_process_note(therapy_session=session, text="", version=version, by=alice)
    page = as_alice.post(url(session), {"text": "Both, longer.", "version": again})
    assert page.status_code == 200, "taken away meanwhile: said too"


def test_supervisor_colleague_and_manager_find_nothing(
    session: TherapySession,
    alice: Membership,
    as_sam: Browser,
    as_charlie: Browser,
    as_mona: Browser,
    as_dora: Browser,
) -> None:
    episode = session.treatment.episodes.get()
    share_episode(episode=episode, by=alice)
    for browser, status in ((as_sam, 403), (as_charlie, 404), (as_mona, 403), (as_dora, 404)):
        for method in (browser.get, browser.post):
            assert method(url(session)).status_code == status
    for address in ("/supervision/", f"/supervision/{episode.id}/"):
        assert NOTE not in as_sam.get(address).content.decode()
    assert ProcessNote.objects.get().text == NOTE


def test_a_therapist_after_the_author_never_reads_it_nor_does_the_author_any_more(
    session: TherapySession, alice: Membership, charlie: Membership, as_charlie: Browser,
    as_alice: Browser,
) -> None:  # fmt: skip
    pass_on(session.treatment, to=charlie, on=timezone.localdate(), by=alice)
    page = as_charlie.get(f"/clients/{session.treatment.client_id}/")
    assert page.status_code == 200
    assert NOTE not in page.content.decode()
    for browser in (as_charlie, as_alice):
        assert browser.get(url(session)).status_code == 404
    assert not ProcessNote.objects.written_by(charlie).exists()


def test_it_is_written_with_the_session(alice: Membership, as_alice: Browser) -> None:
    treatment = TreatmentFactory.create(therapist=alice)
    held = timezone.localtime() - timedelta(days=1)
    as_alice.post(
        "/sessions/log/",
        {
            "treatment": treatment.id, "held_on": held.date().isoformat(), "start": "10:00",
            "minutes": "50", "attendance": "attended", "ask_by": "none",
            "not_asked_reason": "client_asked", "process_note": NOTE,
        },
    )  # fmt: skip
    note = ProcessNote.objects.get(therapy_session__treatment=treatment)
    assert note.text == NOTE
    as_alice.post(f"/sessions/{note.therapy_session_id}/undo/")
    session = note.therapy_session
    session.refresh_from_db()
    assert not session.attendance
    log_therapy_session(
        treatment=treatment, planned=session, starts_at=held, duration_min=50,
        attendance="attended", own_view=dict.fromkeys(TherapySession.OWN_VIEW),
        process_note="Logged again.", by=alice,
    )  # fmt: skip
    assert ProcessNote.objects.get().text == f"{NOTE}\n\nLogged again.", "nobody had it before them"


def test_it_stays_out_of_print(session: TherapySession, as_alice: Browser) -> None:
    page = as_alice.get(f"/clients/{session.treatment.client_id}/").content.decode()
    before = page[: page.index("notes-title")]
    assert before.rindex("rp-noprint") > before.rindex("<section") - 1


@pytest.mark.django_db(transaction=True)
def test_of_two_notes_saved_at_once_one_stands(as_alice: Browser, alice: Membership) -> None:
    session = TherapySessionFactory.create(treatment=TreatmentFactory.create(therapist=alice))
    texts = [f"Thought {n}." for n in range(3)]
    saved = at_once(*(partial(as_alice.post, url(session), {"text": text}) for text in texts))
    assert sorted(each.status_code for each in saved) == [200, 200, 302], "two hear of the first"
    assert ProcessNote.objects.get().text in texts


def test_under_a_legal_hold_a_note_keeps_its_words_and_takes_more(
    session: TherapySession, alice: Membership, mona: Membership, as_alice: Browser
) -> None:
    save_process_note(therapy_session=session, text="Twice.", by=alice)
    set_hold(client=session.treatment.client, held=True, by=mona)
    for text in ("", "I said nothing."):
        version = ProcessNote.objects.get().version
        page = as_alice.post(url(session), {"text": text, "version": version})
        assert "under a legal hold" in page.content.decode()
        assert ProcessNote.objects.get().text == f"{NOTE}\n\nTwice."
    longer = f"{NOTE}\r\n\r\nTwice. We spoke of it."
    assert as_alice.post(url(session), {"text": longer, "version": version}).status_code == 302
    assert ProcessNote.objects.get().text == longer
    save_process_note(therapy_session=session, text="Logged again.", by=alice)
    assert ProcessNote.objects.get().text == f"{longer}\n\nLogged again."


@pytest.mark.parametrize("held", [True, False])
def test_a_note_that_grew_with_the_session_takes_more_on_its_page(
    session: TherapySession, as_alice: Browser, alice: Membership, mona: Membership, held: bool
) -> None:
    for _ in range(2):
        save_process_note(therapy_session=session, text="word " * 1_500, by=alice)
    set_hold(client=session.treatment.client, held=held, by=mona)
    note = ProcessNote.objects.get()
    longer = f"{note.text}\n\nOne word more."
    sent = {"text": longer, "version": note.version}
    assert as_alice.post(url(session), sent).status_code == 302
    assert ProcessNote.objects.get().text == longer
    sent = {"text": longer + "x" * 10_001, "version": ProcessNote.objects.get().version}
    assert as_alice.post(url(session), sent).status_code == 200
    assert ProcessNote.objects.get().text == longer
