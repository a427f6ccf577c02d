"""An invented practice that grows by copies of alice's clients, with all their sessions."""

from django.db import connection, models

from apps.accounts.models import Membership
from apps.alliance.models import AllianceRating
from apps.clients.models import Client, Treatment
from apps.core import tenancy
from apps.ruptures.models import Screening
from apps.therapy_sessions.models import TherapySession
from tests.conftest import the_owner
from tests.factories import MembershipFactory, TreatmentFactory

POMPS = [90, 80, 90, 90, None, 80, 90, 90, 80, 90]
FALLING = [90, 90, 80, 90, 90, 90, 80, 90, 90, 70]
TREATMENTS = "(SELECT id FROM clients_treatment WHERE therapist_id = %(alice)s)"
COPIED: dict[type[models.Model], str] = {
    Client: "id IN (SELECT client_id FROM clients_treatment WHERE therapist_id = %(alice)s)",
    Treatment: "therapist_id = %(alice)s",
    TherapySession: f"treatment_id IN {TREATMENTS}",
    AllianceRating: "therapy_session_id IN (SELECT id FROM therapy_sessions_therapysession"
    f" WHERE treatment_id IN {TREATMENTS})",
    Screening: f"treatment_id IN {TREATMENTS}",
}
"""What a copy of a client consists of, and which rows are alice's."""


def caseload(clients: int) -> Membership:
    """A therapist with this many clients of ten sessions each; every tenth has fallen."""
    alice = MembershipFactory.create(name="Alice Moreau")
    for number in range(clients):
        TreatmentFactory.create(therapist=alice, pomps=FALLING if number % 10 == 0 else POMPS)
    analyze()
    return alice


def analyze() -> None:
    """Give the planner its statistics, as autovacuum has done on a database that is in use."""
    with the_owner(), connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def grow(alice: Membership, copies: range) -> None:
    """Give a new colleague of alice a copy of each of her clients, once for each of `copies`."""
    charlie = MembershipFactory.create(practice=alice.practice, name="Charlie Nowak")
    with the_owner(), tenancy.practice(alice.practice_id), connection.cursor() as cursor:
        for model, of_alice in COPIED.items():
            into, values = [], []
            for field in model._meta.local_concrete_fields:
                if field.generated:
                    continue
                into.append(f'"{field.column}"')
                values.append(_copied(field))
            cursor.execute(
                f"INSERT INTO {model._meta.db_table} ({', '.join(into)})"
                f" SELECT {', '.join(values)} FROM {model._meta.db_table} one,"
                f" generate_series(%(first)s, %(last)s) AS copy WHERE {of_alice}",
                {
                    "first": copies.start,
                    "last": copies.stop - 1,
                    "alice": alice.id,
                    "charlie": charlie.id,
                },
            )
    analyze()


def _copied(field: "models.Field[object, object]") -> str:
    column = f'one."{field.column}"'
    if field.primary_key or field.related_model in COPIED:
        return f"md5({column}::text || copy)::uuid"
    if field.name == "therapist":
        return "%(charlie)s"
    if field.name == "code":
        return f"{column} || '-' || copy"
    return column
