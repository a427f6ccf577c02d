"""Pages about records ask the database as often for many texts, people and requests as for one."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import Membership, Practice
from apps.clients.models import Client, Treatment
from apps.core import audit
from apps.endings.models import Ending, Move
from apps.exchange import holder, two_people
from apps.ruptures.repair import Sheet, StepEntry, save_worksheet
from apps.ruptures.services import record_outcome
from apps.supervision.models import SupportMessage
from apps.therapy_sessions.services import save_process_note
from tests.factories import (
    PASSWORD,
    MembershipFactory,
    TreatmentFactory,
    comment_on,
)

SIGN_IN = Callable[[Membership], Browser]


@pytest.fixture
def holders(practice: Practice, sam: Membership) -> Membership:
    """sam, who is the record holder."""
    practice.record_holder = sam
    practice.save()
    return sam


def write(client: Client, therapist: Membership) -> None:
    """A treatment with a text in every place."""
    today = timezone.localdate()
    treatment = TreatmentFactory.create(
        client=client, therapist=therapist, falling=True, ends_on=today + timedelta(days=1)
    )
    episode = treatment.episodes.get()
    for number, session in enumerate(treatment.therapy_sessions.order_by("starts_at")[:2]):
        comment_on(session, "a comment")
        session.not_asked_note = "away"
        session.save()
        save_process_note(therapy_session=session, text="a note", by=therapist)
        sheet = Sheet(next_action=f"next {number}", steps={"open": StepEntry(f"said {number}")})
        save_worksheet(episode=episode, sheet=sheet, opened_version=number, by=therapist)
        said = {"episode": episode, "author": therapist, "text": "please help"}
        SupportMessage.objects.create(practice=client.practice, **said, sent_at=timezone.now())
    record_outcome(episode=episode, outcome="not_a_rupture", reason="why", by=therapist)
    now = timezone.now()
    Move.objects.create(
        practice=client.practice, treatment=treatment, needs="n", tried="t", saved_at=now
    )
    how = {"how": "agreed", "review": "r", "closed_at": now, "closed_by": therapist}
    Ending.objects.create(practice=client.practice, treatment=treatment, **how)
    Treatment.objects.filter(id=treatment.id).update(ends_on=today)


PAGES = [
    ("alice", "/clients/{client}/records/", None),
    ("alice", "/clients/{client}/records/export/", None),
    ("alice", "/clients/{client}/records/export/", {"reviewed": "on"}),
    ("alice", "/clients/{client}/records/portable/", None),
    ("alice", "/clients/{client}/records/erase/", None),
    ("alice", "/clients/{client}/who-looked/", None),
    ("alice", "/erasures/", None),
    ("sam", "/erasures/", None),
    ("mona", "/practice/records/", None),
    ("sam", "/clients/{client}/left-notes/", None),
    ("sam", "/clients/{client}/left-notes/?review={review}", None),
    ("sam", "/clients/{client}/left-notes/?review={review}", {"reviewed": "on"}),
]


def grow(practice: Practice, alice: Membership, client: Client) -> None:
    """More of everything: treatments by others, who left, texts, looks, requests, people."""
    for n in range(2):
        other = MembershipFactory.create(practice=practice, name=f"Other {n}")
        write(client, other)
        for reader in (alice, other):
            audit.read("view client", client_ids=[client.id], target=client, by=reader)
        two_people.ask_to_erase_texts(client=client, keys=["a.b:c"], by=alice)
        stranger = TreatmentFactory.create(therapist=other).client
        two_people.ask_to_erase(client=stranger, by=alice)
        Membership.objects.filter(id=other.id).update(is_active=False)


def test_a_page_asks_as_often_for_many_as_for_one(
    practice: Practice,
    alice: Membership,
    mona: Membership,
    holders: Membership,
    sign_in: SIGN_IN,
) -> None:
    client = TreatmentFactory.create(therapist=alice).client
    left = MembershipFactory.create(practice=practice)
    write(client, left)
    Membership.objects.filter(id=left.id).update(is_active=False)
    two_people.ask_to_erase(client=client, by=alice)
    audit.read("view client", client_ids=[client.id], target=client, by=alice)
    review = holder.open_left_notes(client=client, reason="asked", by=holders)
    browsers = {"alice": sign_in(alice), "mona": sign_in(mona), "sam": sign_in(holders)}
    for browser in browsers.values():
        browser.post("/sign-in/again/", {"password": PASSWORD})

    def counts() -> dict[str, int]:
        found = {}
        for who, path, body in PAGES:
            url, browser = path.format(client=client.id, review=review.id), browsers[who]
            with CaptureQueriesContext(connection) as queries:
                answer = browser.get(url) if body is None else browser.post(url, body)
            assert answer.status_code == 200, url
            found[f"{who} {path} {body}"] = len(queries)
        return found

    counts()
    few = counts()
    grow(practice, alice, client)
    assert counts() == few


def test_the_list_of_texts_asks_as_often_whether_or_not_a_colleague_wrote_one(
    alice: Membership, charlie: Membership, sign_in: SIGN_IN
) -> None:
    """Or the time that it takes would tell of a treatment of theirs."""
    client = TreatmentFactory.create(therapist=alice).client
    as_alice = sign_in(alice)
    as_alice.post("/sign-in/again/", {"password": PASSWORD})

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert as_alice.get(f"/clients/{client.id}/records/erase/").status_code == 200
        return len(queries)

    count()
    without = count()
    write(client, charlie)
    assert count() == without
