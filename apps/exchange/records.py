"""Everything that is kept about a client, complete by construction: a walk over the tables.

A table that leads to a client is in `TABLES`, or in `TABLES_LEFT_OUT` with the reason; each of its
columns is exported, or in `COLUMNS_LEFT_OUT` with the reason. A test walks the models and fails on
anything that is in neither.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from django.apps import apps
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import Membership
from apps.alliance.models import Questionnaire
from apps.clients.models import Client, Treatment
from apps.core.fields import EncryptedTextField
from apps.core.models import AuditEntry, OutboxMessage
from apps.therapy_sessions.models import ProcessNote

Treatments: TypeAlias = models.QuerySet[Treatment]

TABLES = {
    "clients.Client": gettext_lazy("The client"),
    "clients.ContactChannel": gettext_lazy("Ways of contact"),
    "clients.ReachedMailbox": gettext_lazy("Since when messages went to a mailbox"),
    "clients.Treatment": gettext_lazy("Treatments"),
    "clients.TwoPersonRequest": gettext_lazy("Requests that take two people"),
    "therapy_sessions.TherapySession": gettext_lazy("Therapy sessions"),
    "therapy_sessions.ProcessNote": gettext_lazy("Process notes of the therapist"),
    "feedback.FeedbackRequest": gettext_lazy("Requests for feedback"),
    "alliance.AllianceRating": gettext_lazy("Alliance ratings"),
    "ruptures.Screening": gettext_lazy("Screenings: what was computed from the ratings"),
    "ruptures.RuptureEpisode": gettext_lazy("Possible ruptures"),
    "ruptures.Worksheet": gettext_lazy("Worksheets about possible ruptures"),
    "ruptures.StepNote": gettext_lazy("Steps of repair on the worksheets"),
    "supervision.SupportMessage": gettext_lazy("Messages between therapist and supervisor"),
    "supervision.Decision": gettext_lazy("What was decided in supervision"),
    "endings.Move": gettext_lazy("Moves to another therapist"),
    "endings.Ending": gettext_lazy("How treatments ended"),
    "exchange.NoteReview": gettext_lazy("Reviews of notes whose author has left"),
    "exchange.ImportedSession": gettext_lazy("Rows of imported files"),
}
TABLES_LEFT_OUT = {
    # pragma: allowlist nextline secret
    "core.ClientKey": "the wrapped key that seals the texts above; says nothing about the client",
}
COLUMNS_LEFT_OUT = {
    "practice": "the same for every row; named once at the top",
    "clients.Client.erased_code": "empty until the client is erased",
    "clients.Client.paused_in": "tells where the reason goes as the pause ends",
    "clients.ContactChannel.address_index": "a keyed hash of the address, which is exported",
    "clients.ReachedMailbox.address_index": "a keyed hash of an address, that can be another's now",
    "clients.TwoPersonRequest.texts": "ids of rows; what was erased is gone",
    "feedback.FeedbackRequest.generation": "tells links of before from those of now",
    "ruptures.Screening.state_before": "inner state of the filter; what it said is in `outputs`",
    "ruptures.Screening.state_after": "inner state of the filter; what it said is in `outputs`",
}
WRITTEN_BY_STAFF = {
    "clients.Client.pause_reason",
    "clients.Treatment.ended_pause_reasons",
    "therapy_sessions.ProcessNote.text",
    "therapy_sessions.TherapySession.not_asked_note",
    "ruptures.RuptureEpisode.outcome_reason",
    "ruptures.Worksheet.next_action",
    "ruptures.StepNote.note",
    "supervision.SupportMessage.text",
    "supervision.Decision.text",
    "endings.Move.needs",
    "endings.Move.tried",
    "endings.Move.called_off_reason",
    "endings.Ending.review",
    "exchange.NoteReview.reason",
}
"""Texts that the clinician reviews, one by one, before they are given out."""
AUTHORS_ALONE = {
    "therapy_sessions.ProcessNote": "author_id",
    "exchange.NoteReview": "reviewed_by_id",
}
"""Texts of staff that nobody reads but who wrote them, whoever treats the client now."""


@dataclass(frozen=True)
class StaffText:
    """A text for review. `is_note`: a process note, which stays unless its author says so."""

    key: str
    where: str
    text: str
    is_note: bool


def way_to_client(model: type[models.Model]) -> str | None:
    """The look-up from a table to the id of a client, over foreign keys; None for none.

    The shortest way, so `feedback_request.therapy_session`, not over its rating.
    """
    ways: list[tuple[type[models.Model], tuple[str, ...]]] = [(model, ())]
    seen = set()
    while ways:
        here, way = ways.pop(0)
        seen.add(here)
        if here is Client:
            return "__".join((*way, "id"))
        for field in here._meta.local_fields:
            target = field.related_model
            if isinstance(target, type) and target not in seen:
                ways.append((target, (*way, field.name)))
    return None


def columns(model: type[models.Model]) -> "list[models.Field[Any, Any]]":
    """The columns that are given out, in the order of the model."""
    label = model._meta.label
    return [
        field
        for field in model._meta.local_fields
        if field.name not in COLUMNS_LEFT_OUT and f"{label}.{field.name}" not in COLUMNS_LEFT_OUT
    ]


def rows(
    label: str, client: Client, *, treatments: Treatments | None = None
) -> models.QuerySet[Any]:
    """A client's rows of a table; of what hangs on a treatment those of `treatments`, if given."""
    model = apps.get_model(label)
    way = way_to_client(model)
    joined = [
        field.name
        for field in model._meta.local_fields
        if field.is_relation and field.related_model is Membership
    ]
    found: models.QuerySet[Any] = model._default_manager.filter(**{str(way): client.id})
    treatment = str(way).rpartition("client__id")[0]
    if treatments is not None and (treatment or model is Treatment):
        found = found.filter(**{f"{treatment}id__in": treatments.values("id")})
    if joined:  # without names it would join every table that can be reached
        found = found.select_related(*joined)
    return found.order_by(_date_of(model), "id")


def staff_texts(client: Client, *, treatments: Treatments, by: Membership) -> list[StaffText]:
    """Every text of staff in a copy of `treatments`, for review by `by` before it is given out.

    What its author alone reads is not among them where somebody else wrote it; nor is why asking
    rests where the pause began in none of these treatments, and none of them is current.
    """
    texts = []
    for label, title in TABLES.items():
        model = apps.get_model(label)
        names = [
            field.name for field in columns(model) if f"{label}.{field.name}" in WRITTEN_BY_STAFF
        ]
        if not names:
            continue
        found = rows(label, client, treatments=treatments)
        if model is Client and not _may_read_pause(client, treatments=treatments):
            continue
        if label in AUTHORS_ALONE:
            found = found.filter(**{AUTHORS_ALONE[label]: by.id})
        for row in found:
            is_note = isinstance(row, ProcessNote)
            texts += [
                StaffText(f"{row.id}.{name}", str(title), getattr(row, name), is_note)
                for name in names
                if getattr(row, name)
            ]
    return texts


def _may_read_pause(client: Client, *, treatments: Treatments) -> bool:
    current = Treatment.objects.current(on=timezone.localdate()).filter(client=client)
    began_in = Client.objects.filter(id=client.id).values("paused_in")
    return treatments.filter(Q(id__in=current.values("id")) | Q(id__in=began_in)).exists()


def everything(
    client: Client, *, kept: Iterable[str], treatments: Treatments | None
) -> dict[str, Any]:
    """All that is kept about the client, table by table; of staff's texts those in `kept`.

    Args:
        kept: keys of `StaffText` that go with it; the others are marked as withheld.
        treatments: nothing of others is in the copy, or it would be the way to read what a client
            did not pass on, or what they say to somebody else now. None: all of it.
    """
    keep = set(kept)
    tables = {
        label: [
            dict(_values(row, label, keep)) for row in rows(label, client, treatments=treatments)
        ]
        for label in TABLES
    }
    return {
        "practice": client.practice.name,
        "client": client.code,
        "treatments_with": _therapists(treatments),
        "questions": _questions(client, treatments),
        "tables": tables,
        "messages": _messages(client, treatments),
        "who_looked": who_looked(client),
    }


def who_looked(client: Client) -> list[dict[str, Any]]:
    """Who read or changed what of this client, and when, from the audit trail."""
    names = dict(Membership.objects.filter(practice=client.practice_id).values_list("id", "name"))
    return [
        {
            "at": entry.at,
            "who": names[entry.actor_id]
            if entry.actor_id in names
            else _("the client, or Rapport by itself"),
            "what": entry.action,
        }
        for entry in AuditEntry.objects.of_client(client.id).order_by("at")
    ]


def _questions(client: Client, treatments: Treatments | None) -> dict[str, str]:
    """The wording of each item that the ratings of the copy answer, by its id."""
    ratings = rows("alliance.AllianceRating", client, treatments=treatments)
    asked = Questionnaire.objects.filter(id__in=ratings.order_by().values("questionnaire"))
    return {item["id"]: item["text"] or item["id"] for each in asked for item in each.items}


def _therapists(treatments: Treatments | None) -> list[str]:
    """Whom the copy is about; nobody in particular where it holds all treatments."""
    if treatments is None:
        return []
    return sorted(set(treatments.values_list("therapist__name", flat=True)))


def _messages(client: Client, treatments: Treatments | None) -> list[dict[str, Any]]:
    asked = rows("feedback.FeedbackRequest", client, treatments=treatments).order_by().values("id")
    sent = OutboxMessage.objects.filter(subject_id__in=asked).order_by("not_before")
    return [
        {"kind": each.kind, "due": each.not_before, "state": each.state, "sent_at": each.sent_at}
        for each in sent
    ]


def _values(row: models.Model, label: str, keep: set[str]) -> Iterator[tuple[str, Any]]:
    for field in columns(type(row)):
        name = f"{label}.{field.name}"
        if name in WRITTEN_BY_STAFF and f"{row.pk}.{field.name}" not in keep:
            # An unread text of somebody else is withheld without being opened.
            has_text = bool(row.__dict__[field.attname])
            yield field.name, _("[withheld]") if has_text else ""
        elif field.related_model is Membership:
            member = getattr(row, field.name)
            yield field.name, member.name if member else None
        else:
            yield field.name, getattr(row, field.attname)


def _date_of(model: type[models.Model]) -> str:
    names = {field.name for field in model._meta.local_fields}
    dates = (
        "starts_at",
        "starts_on",
        "opened_at",
        "answered_at",
        "screened_at",
        "saved_at",
        "requested_at",
        "reviewed_at",
        "due_at",
    )
    return next((name for name in dates if name in names), "id")


def has_client_column(model: type[models.Model]) -> bool:
    """Whether the table names a client without a foreign key."""
    return any(
        field.name in {"client_id", "client_ids"} and not field.is_relation
        for field in model._meta.local_fields
    )


def supplied(client: Client, *, treatments: Treatments) -> dict[str, Any]:
    """What the client supplied themselves, to take along: answers, comments, ways of contact.

    Args:
        treatments: as for `everything`.
    """
    names = ("answered_at", "answers", "tension", "tension_resolved", "causes", "comment")
    return {
        "contact": [
            {"kind": each.kind, "address": each.address}
            for each in client.channels.exclude(address="").order_by("kind")
        ],
        "ratings": [
            {"questionnaire": each.questionnaire.title}
            | {name: getattr(each, name) for name in names}
            for each in rows(
                "alliance.AllianceRating", client, treatments=treatments
            ).select_related("questionnaire")
        ],
    }


def encrypted_columns_of(
    client_id: UUID,
) -> Iterator[tuple[EncryptedTextField, models.QuerySet[Any]]]:
    """Each encrypted column with the client's rows of its table."""
    for label in TABLES:
        model = apps.get_model(label)
        for field in model._meta.local_fields:
            if isinstance(field, EncryptedTextField):
                yield field, model._default_manager.filter(**{field.client: client_id})
