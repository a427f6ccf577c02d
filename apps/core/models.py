"""Rows that every app leans on: the outbox and the audit trail.

Both carry `practice_id` without a foreign key: `core` is the lowest layer and points at nothing.
"""

import uuid
from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q


class OutboxQuerySet(models.QuerySet["OutboxMessage"]):
    def due(self, *, at: datetime) -> "OutboxQuerySet":
        """Messages that may be sent at `at`: pending and due, or claimed by a sender that died."""
        return self.filter(
            Q(state=OutboxMessage.State.PENDING, not_before__lte=at)
            | Q(state=OutboxMessage.State.CLAIMED, lease_until__lte=at)
        )


class OutboxMessage(models.Model):
    """One message to one person: the truth about whether it must still be sent.

    Written in the transaction of what causes it. It holds neither address, text nor link: they
    are made when it is sent, by the renderer of its kind (`settings.OUTBOX_RENDERERS`).
    """

    class State(models.TextChoices):
        PENDING = "pending"
        CLAIMED = "claimed"
        SENT = "sent"
        FAILED = "failed"
        CANCELLED = "cancelled"

    MAX_ATTEMPTS = 8
    LEASE = timedelta(seconds=60)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    practice_id = models.UUIDField()
    kind = models.CharField(max_length=40, help_text="key of settings.OUTBOX_RENDERERS")
    subject_id = models.UUIDField(help_text="row that the message is about")
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    not_before = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=80, blank=True, help_text="kind of error, never its text")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = OutboxQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["practice_id", "kind", "subject_id"], name="outbox_one_message_per_subject"
            ),
            models.CheckConstraint(
                condition=Q(state="claimed", lease_until__isnull=False)
                | (~Q(state="claimed") & Q(lease_until__isnull=True)),
                name="outbox_lease_while_claimed",
            ),
            models.CheckConstraint(
                condition=Q(state="sent", sent_at__isnull=False)
                | (~Q(state="sent") & Q(sent_at__isnull=True)),
                name="outbox_sent_has_a_time",
            ),
        ]
        indexes = [
            # The sweep looks across practices for what is due; the partial index stays small.
            models.Index(
                fields=["not_before"],
                condition=Q(state__in=["pending", "claimed"]),
                name="outbox_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id} ({self.state})"


class AuditEntry(models.Model):
    """Who did what to which client's data, and when. Written once, never changed."""

    practice_id = models.UUIDField()
    at = models.DateTimeField(auto_now_add=True)
    actor_id = models.UUIDField(null=True, help_text="member; empty where a client or task acted")
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=60)
    object_id = models.UUIDField()
    client_id = models.UUIDField(null=True)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["practice_id", "client_id", "at"], name="audit_by_client"),
            models.Index(fields=["practice_id", "actor_id", "at"], name="audit_by_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}"
