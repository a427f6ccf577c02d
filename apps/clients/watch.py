"""Whoever reads far outside their own caseload is told of to those who manage the practice."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts import notices
from apps.accounts.models import Membership, Role
from apps.accounts.oneself import manages_lately
from apps.clients.models import Treatment

MOST_CLIENTS = 50
WITHIN = timedelta(hours=1)
# Each once, told apart by PostgreSQL: a long list that is opened again and again is one list.
# Whoever asks for many erasures would have it said of each colleague who opens theirs.
WHO_READ_OF_WHOM = """
    SELECT DISTINCT actor_id, unnest(client_ids) FROM (
        SELECT DISTINCT actor_id, client_ids FROM core_auditentry
        WHERE practice_id = %s AND at > %s AND at <= %s
        AND is_read AND actor_id IS NOT NULL AND action <> 'view erasures'
    ) AS looks
"""


def watch_reads(practice_id: UUID, *, at: datetime) -> int:
    """Tell the managers who read of more than 50 clients not their own within the last hour.

    Once for each person and hour of the clock; lists of codes count, so that a supervisor of many
    or a hand-over is told of too. Their own are those whom they treat, or treated on the day before
    that hour: who gave a caseload away since then looked at no stranger, and nobody takes clients
    over for a minute to look. Returns how many people that was. Works inside the practice.
    """
    read: dict[UUID, set[UUID]] = {}
    with connection.cursor() as cursor:
        cursor.execute(WHO_READ_OF_WHOM, [practice_id, at - WITHIN, at])
        for reader_id, client_id in cursor.fetchall():
            read.setdefault(reader_id, set()).add(client_id)
    day_before = timezone.localdate(at - WITHIN) - timedelta(days=1)
    current = Treatment.objects.current
    treated = current(on=timezone.localdate(at)) | current(on=day_before)
    far = 0
    many = [reader_id for reader_id, clients in read.items() if len(clients) > MOST_CLIENTS]
    for reader in Membership.objects.filter(id__in=many):
        own = treated.filter(therapist=reader).values_list("client_id", flat=True)
        if len(read[reader.id].difference(own)) > MOST_CLIENTS:
            far += 1
            _tell_managers(reader, at)
    return far


def _tell_managers(reader: Membership, at: datetime) -> None:
    for manager in Membership.objects.colleagues_of(reader).filter(manages_lately()):
        notices.tell(
            member=manager, kind="many_clients_read", subject=reader, mark=f"{at:%Y-%m-%dT%H}"
        )


@notices.told_as(Role.MANAGER)
def say_many_clients_read(ids: Collection[UUID], member: Membership) -> dict[UUID, notices.Said]:
    """The notice, by the reader's name and without any client's."""
    readers = Membership.objects.colleagues_of(member).filter(id__in=ids)
    return {
        reader.id: notices.Said(
            _(
                "%(name)s looked at more than %(number)d clients outside their own caseload within "
                "an hour. That can be quite in order: ask what it was for."
            )
            % {"name": reader.name, "number": MOST_CLIENTS}
        )
        for reader in readers
    }
