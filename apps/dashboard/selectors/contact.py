"""What is due about asking a therapist's clients: consent that ran out, pauses to review."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from django.utils.translation import gettext as _

from apps.clients.models import Client
from apps.dashboard.selectors import words


@dataclass(frozen=True)
class ContactNews:
    """One sentence about one client; `action` is what a button beside it does.

    Actions: 'confirm' (the client agreed again today), 'resume' (the pause ends).
    """

    client_id: UUID
    code: str
    initials: str
    words: str
    action: str


def contact_news(clients: Iterable[Client], *, today: date) -> tuple[ContactNews, ...]:
    """All that is due about asking these clients, by code."""
    return tuple(
        news
        for client in sorted(set(clients), key=lambda each: each.code)
        if client.consent_has_lapsed(on=today) or client.pause_is_due(on=today)
        for news in client_news(client, today=today)
    )


def client_news(client: Client, *, today: date) -> list[ContactNews]:
    """What is due about one client: consent that has run out, a pause."""
    news = []
    if client.consent_has_lapsed(on=today) and client.discussed_on:
        said = _("Agreed on %(day)s, more than 180 days ago: nothing is sent until you ask again.")
        day = words.short_day(client.discussed_on, today)
        news.append(_news(client, said % {"day": day}, "confirm"))
    if client.pause_review_on:
        said = (
            _("Asking is paused. Review was due on %(day)s. %(reason)s")
            if client.pause_is_due(on=today)
            else _("Asking is paused, to be reviewed on %(day)s. %(reason)s")
        )
        day = words.short_day(client.pause_review_on, today)
        news.append(_news(client, said % {"day": day, "reason": client.pause_reason}, "resume"))
    return news


def _news(client: Client, said: str, action: str) -> ContactNews:
    return ContactNews(client.id, client.code, client.initials, said, action)
