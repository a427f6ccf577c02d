"""A canary in every text of every row of a practice: whose page it sings on tells what leaked."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.apps import apps
from django.db import models

from apps.accounts.models import Practice, User
from apps.alliance.models import Questionnaire
from apps.core.fields import EncryptedTextField
from apps.core.models import Sending
from apps.feedback.models import FeedbackRequest

TENANT = [
    model
    for model in apps.get_models()
    if model.__module__.startswith("apps.") and model not in (User, Sending)
]
# Words of the machine, not of people: what they say is fixed by code or checked by it.
MACHINE_WORDS = {
    "Practice": {"country", "time_zone"},
    "Client": {"country", "time_zone", "language"},
    "Questionnaire": {"key"},
    "Notice": {"kind"},
    "OutboxMessage": {"kind"},
    "PracticeKey": {"root_id"},
    "Screening": {"rule_version", "event"},
    "AuditEntry": {"action", "object_type", "route"},
    "RuleChange": {"version"},
}
# What a client's page may show of its practice; codes are all that a supervisor may know.
FOR_CLIENTS = {
    "Practice": {"sender_name", "contact_name", "contact_phone", "contact_email"},
    "Questionnaire": {"low_label", "high_label"},
}


class Canary(NamedTuple):
    """Whose text it is: practice 'a' or 'b'; client number, '0' for the practice's own; kind.

    Kinds: 'c' a client's code, 's' what clients may see of the practice, 'z' anything else.
    """

    practice: str
    number: str
    kind: str

    def __str__(self) -> str:
        return f"qxq{self.practice}{self.number}{self.kind}q"


def canaries(text: str) -> set[Canary]:
    """Every canary that sings in a text."""
    return {Canary(*found) for found in re.findall(r"qxq([ab])(\d)([csz])q", text.lower())}


def let_every_text_sing(practice: Practice, letter: str, numbers: dict[str, str]) -> None:
    """Put a canary into every text of every row of the practice. `numbers`: by client's id."""
    subjects = {
        request.id: _client_of(request)
        for request in FeedbackRequest.objects.select_related("therapy_session__treatment")
    }
    for model in TENANT:
        column = "id" if model is Practice else "practice_id"
        for row in model._default_manager.filter(**{column: practice.id}):
            client_id = subjects.get(getattr(row, "subject_id", None)) or _client_of(row)
            number = numbers.get(str(client_id), "0")
            sung = {
                field.name: _sing(field, getattr(row, field.name), Canary(letter, number, kind))
                for field, kind in texts(model)
            }
            if isinstance(row, Questionnaire):
                tune = Canary(letter, "0", "s")
                sung["items"] = [
                    item | {"text": f"{item['text']} {tune}" if item["text"] else ""}
                    for item in row.items
                ]
            for sealed in model._meta.local_fields:
                if isinstance(sealed, EncryptedTextField):
                    sealed.put({row.pk: sealed.seal(row, sung.pop(sealed.name))})
            if sung:
                for name, text in sung.items():
                    setattr(row, name, text)
                row.save(update_fields=list(sung))


def texts(model: type[models.Model]) -> Iterator[tuple[Any, str]]:
    """Columns of a model that hold people's words, with the kind of their canary."""
    name = model.__name__
    for column in model._meta.get_fields():
        is_text = isinstance(column, models.CharField | models.TextField) and not column.choices
        if is_text and column.name not in MACHINE_WORDS.get(name, set()):
            for_clients = column.name in FOR_CLIENTS.get(name, set())
            is_code = (name, column.name) == ("Client", "code")
            talked = (name, column.name) in {("SupportMessage", "text"), ("Decision", "text")}
            yield column, "s" if for_clients else "c" if is_code or talked else "z"


def _sing(column: Any, text: str, canary: Canary) -> str:
    if "@" in text or isinstance(column, models.EmailField):
        return f"{canary}.{text or 'x@fernbank.example'}"
    room = (column.max_length or 1000) - len(str(canary)) - 1
    return f"{text[:room]} {canary}".strip()


def _client_of(row: Any) -> Any:
    """The client that a row is about, along its foreign keys; None for the practice's own rows."""
    if row._meta.label == "clients.Client":
        return row.id
    if hasattr(row, "client_id"):
        return row.client_id
    for step in ("treatment", "therapy_session", "episode", "worksheet"):
        if hasattr(row, step):
            return _client_of(getattr(row, step))
    return None
