"""No page a client sees, in any state, says whose it is: marked values are looked for in all."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core import signing
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts.models import Membership
from apps.clients.models import Client, Treatment
from apps.feedback import client_pages
from apps.feedback.client_frame import SALT
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import practice_questionnaire, request_feedback, submit_response
from tests.factories import ClientFactory, TherapySessionFactory, TreatmentFactory
from tests.feedback.conftest import answers, link_of
from tests.feedback.test_client_form import away, hidden, states

CANARIES = {
    "initials": "Q. Z.",
    "code": "FE-CANARY",
    "email": "canary-client@mail.example",
    "approach": "CanaryApproach",
    "therapist": "CanaryTherapist",
    "therapist's email": "canary-therapist@fernbank.example",
    "practice": "CanaryPractice",
    "comment": "CanaryComment",
}


@pytest.fixture
def treatment(alice: Membership) -> Treatment:
    """A treatment whose every private value is marked."""
    assert alice.user
    alice.name, alice.user.email = CANARIES["therapist"], CANARIES["therapist's email"]
    alice.practice.name = CANARIES["practice"]
    for row in (alice, alice.user, alice.practice):
        row.save()
    client: Client = ClientFactory.create(
        practice=alice.practice,
        code=CANARIES["code"],
        initials=CANARIES["initials"],
        email=CANARIES["email"],
    )
    treatment: Treatment = TreatmentFactory.create(
        therapist=alice, client=client, approach=CANARIES["approach"]
    )
    earlier = request_feedback(
        therapy_session=TherapySessionFactory.create(
            treatment=treatment, starts_at=timezone.now() - timedelta(days=2)
        ),
        questionnaire=practice_questionnaire(alice.practice),
        channel_kind="email",
        by=None,
    )
    submit_response(request_id=earlier.id, answers={"heard": 3}, comment=CANARIES["comment"])
    return treatment


def all_states(
    phone: Browser, asked: FeedbackRequest, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """A response for each thing a client can be shown, by template and occasion."""
    link = link_of(asked)
    phone.raise_request_exception = False
    pages = {"too large": phone.post(link, {"comment": "x" * 5_000_000})}
    with monkeypatch.context() as patch:
        patch.setattr(client_pages, "find_link", lambda *_, **how: away())
        pages["not open"] = phone.get(link)
    with monkeypatch.context() as patch:
        patch.setattr(client_pages, "find_link", lambda *_, **how: 1 // 0)
        pages["broken"] = phone.get(link)
        pages["broken, sent"] = phone.post(link, answers())
    pages["stop"] = phone.get(link + "stop/")
    pages["stop, wrong"] = phone.post(link + "stop/", {"how": "?"})
    pages |= states(phone, asked, monkeypatch)
    pages["fresh"] = phone.post(link + "fresh/")
    asked.refresh_from_db()
    link = link_of(asked)
    pages["stopped"] = phone.post(link + "stop/", {"how": "stop"}, follow=True)
    pages["not for me"] = phone.post(link + "stop/", {"not_me": "1"})
    pages["unknown"] = phone.get(link[:-4] + "AAA/")
    for _ in range(30):
        phone.get(link)
    pages["wait"] = phone.get(link)
    pages["wait, sent"] = phone.post(link, answers(frame=hidden(pages["form"], "frame")))
    return pages


def test_no_state_of_a_clients_page_says_whose_it_is(
    phone: Browser, asked: FeedbackRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = all_states(phone, asked, monkeypatch)
    shown = {page.templates[0].name for page in pages.values()}
    assert len(pages) == 21
    assert shown >= {
        f"feedback/{name}.html"
        for name in (
            "already_received", "form", "fresh_sent", "link_ended", "not_for_me", "not_open",
            "not_saved", "stop", "thanks",
            "unknown_link", "unreadable", "wait",
        )
    }  # fmt: skip
    for state, page in pages.items():
        assert not page.cookies, state
        text = f"{page.headers}\n{page.content.decode()}"
        for signed in re.findall(r'name="frame" value="([^"]*)"', text):
            text += str(signing.loads(signed, salt=SALT + pages["form"].request["PATH_INFO"]))
        for what, canary in CANARIES.items():
            assert canary not in text, (state, what)
        for row in (asked, asked.therapy_session, asked.therapy_session.treatment):
            assert str(row.id) not in text, (state, row)


def test_the_marks_would_be_found_where_they_belong(
    as_alice: Browser, treatment: Treatment
) -> None:
    page = as_alice.get(f"/clients/{treatment.client_id}/").content.decode()
    for what in ("initials", "code", "approach", "therapist", "practice", "comment"):
        assert CANARIES[what] in page, what
