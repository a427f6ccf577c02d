"""Every page and message of a client, to look at: invented content, no database."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from django.template.loader import render_to_string
from django.utils import translation

from apps.alliance.models import Questionnaire
from apps.alliance.services import SHIPPED
from apps.clients.models import ContactChannel
from apps.feedback import languages
from apps.feedback.client_frame import ClientFrame
from apps.feedback.forms import FeedbackForm, StopForm

FRAME = ClientFrame(
    sender_name="Fernbank",
    client_country="GB",
    contact_name="Hana Lindqvist",
    contact_phone="+44 20 7946 0018",
    contact_email="hana@fernbank.example",
)
HELD_AT = datetime(2026, 11, 23, 14, tzinfo=UTC)
STOP_URL = "#stop"
LINK = "https://fb.example.org/f/…/"


@dataclass(frozen=True)
class Specimen:
    """One page or message: its name in English, and its HTML or text in one language."""

    name: str
    content: str
    is_page: bool = True


def specimens(language: str) -> list[Specimen]:
    """All of them in `language`, one of `settings.LANGUAGES`.

    >>> [each.name for each in specimens("de")][:2]
    ['form', 'form with errors']
    """
    with translation.override(language):
        return [
            *(Specimen(name, _page(language, *made())) for name, made in PAGES.items()),
            *(Specimen(name, text, is_page=False) for name, text in _messages().items()),
        ]


def _page(language: str, template: str, context: dict[str, Any]) -> str:
    around = FRAME.context() | languages.menu(language) | {"stop_url": STOP_URL}
    return render_to_string(f"feedback/{template}.html", around | context)


def _form(*, therapist: str = "", **sent: Any) -> tuple[str, dict[str, Any]]:
    data = json.loads((SHIPPED / "rapport-alliance-form.v1.json").read_text("utf-8"))
    scale = data["scale"]
    questionnaire = Questionnaire(
        key=data["key"], version=data["version"], items=data["items"], **scale
    )
    form = FeedbackForm(sent or None, questionnaire=questionnaire, contact=FRAME.contact)
    asked = SimpleNamespace(therapy_session=SimpleNamespace(starts_at=HELD_AT))
    return "form", {"form": form, "asked": asked, "signed_frame": "", "therapist": therapist}


def _stop(*kinds: str, way: str = "email", sent: Any = None) -> tuple[str, dict[str, Any]]:
    form = StopForm(sent, channels=[ContactChannel(kind=kind) for kind in kinds], way=way)
    practice = SimpleNamespace(most_requests_in_30_days=6)
    return "stop", {"form": form, "kind": way, "practice": practice, "stop_url": ""}


def _was_sent(*, comment: str | None) -> dict[str, Any]:
    return {"was_sent": True, "is_given_back": True, "comment": comment}


PAGES: dict[str, Callable[[], tuple[str, dict[str, Any]]]] = {
    "form": _form,
    "form with errors": lambda: _form(item_heard="11", causes=["x"], comment="x" * 5001),
    "form with nothing answered": lambda: _form(comment=" "),
    "form, where two therapists’ clients have one mailbox": lambda: _form(therapist="Robin"),
    "form, sent again": lambda: ("form", _form()[1] | {"is_withheld": True}),
    "thanks": lambda: ("thanks", {}),
    "already received": lambda: ("already_received", {}),
    "already received, sent again": lambda: (
        "already_received",
        {"sent_again": True, "comment": "…"},
    ),
    "link ended, email": lambda: ("link_ended", {"fresh_kind": "email"}),
    "link ended, text message": lambda: ("link_ended", {"fresh_kind": "text"}),
    "link ended, withdrawn": lambda: ("link_ended", {"withdrawn": True}),
    "code of the room ended": lambda: ("link_ended", {"in_room": True, "sent_again": True}),
    "fresh link sent, email": lambda: ("fresh_sent", {"kind": "email"}),
    "fresh link sent, text message": lambda: ("fresh_sent", {"kind": "text"}),
    "stop, from an email": lambda: _stop("email", "text"),
    "stop, from a text message": lambda: _stop("email", "text", way="text"),
    "stop, nothing chosen": lambda: _stop("email", "text", sent={"how": ""}),
    "stopped": lambda: _stop(),
    "not for me, email": lambda: ("not_for_me", {"kind": "email", "stop_url": ""}),
    "not for me, text message": lambda: ("not_for_me", {"kind": "text", "stop_url": ""}),
    "unknown link": lambda: ("unknown_link", {}),
    "not open": lambda: ("not_open", {}),
    "not saved": lambda: ("not_saved", {"is_given_back": True, "comment": "…"}),
    "not saved, a choice": lambda: ("not_saved", {"is_given_back": True, "comment": None}),
    "not saved, sent again": lambda: ("not_saved", {}),
    "too large": lambda: ("unreadable", {}),
    "wait": lambda: ("wait", {}),
    "wait, with answers": lambda: ("wait", _was_sent(comment="…")),
    "wait, with a choice": lambda: ("wait", _was_sent(comment=None)),
    "wait, sent again": lambda: ("wait", {"was_sent": True}),
}


def _messages() -> dict[str, str]:
    context = {"practice": SimpleNamespace(sender=FRAME.sender_name), "link": LINK}
    return {
        name: render_to_string(f"messages/{template}.txt", context).strip()
        for name, template in (
            ("subject of an email", "feedback_request_subject"),
            ("email and text message", "feedback_request"),
        )
    }
