"""What sings: a mark in every text of a client, and where it is still heard."""

from collections.abc import Iterator

from django.apps import apps
from django.db import connection

from apps.clients.models import Treatment

CANARY = "canary-kx7"


def url(treatment: Treatment, page: str = "") -> str:
    return f"/clients/{treatment.client_id}/records/{page}"


def dump() -> Iterator[str]:
    """Every row of every table, as text; what is bytes also as the text it may be."""
    with connection.cursor() as cursor:
        for model in apps.get_models():
            cursor.execute(f'SELECT t::text FROM "{model._meta.db_table}" t')
            for (row,) in cursor.fetchall():
                yield row


def sings(rows: Iterator[str]) -> int:
    return sum("canary-k" in row or CANARY.encode().hex() in row for row in rows)
