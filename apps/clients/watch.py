"""Whoever reads far outside their own caseload is told of to those who manage the practice."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.utils.translation import gettext as _

from apps.accounts import notices
from apps.accounts.models import Membership, Role
from apps.accounts.oneself import manages_lately
from apps.clients.models import Client
from apps.core.models import AuditEntry

MOST_CLIENTS = 50
WITHIN = timedelta(hours=1)


def watch_reads(practice_id: UUID, *, at: datetime) -> int:
    """Tell the managers who read of more than 50 clients not their own within the last hour.

    Once for each person and hour of the clock; lists of codes count, so that a supervisor of many
    or a hand-over is told of too. Returns how many people that was. Works inside the practice.
    """
    read: dict[UUID, set[UUID]] = {}
    entries = AuditEntry.objects.filter(practice_id=practice_id, is_read=True)
    # Whoever asks for many erasures would have it said of each colleague who opens the list.
    entries = entries.exclude(action="view erasures")
    for entry in entries.filter(at__gt=at - WITHIN, at__lte=at):
        if entry.actor_id:
            read.setdefault(entry.actor_id, set()).update(entry.client_ids)
    far = 0
    for reader in Membership.objects.filter(
        id__in=[actor_id for actor_id, clients in read.items() if len(clients) > MOST_CLIENTS]
    ):
        own = Client.objects.treated_by(reader).values_list("id", flat=True)
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
