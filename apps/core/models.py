"""Rows that every app leans on: the outbox, the audit trail, and keys.

All carry `practice_id` without a foreign key: `core` is the lowest layer and points at nothing.
"""

import uuid
from datetime import datetime, timedelta

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Func, Q, Value
from django.utils import timezone


class OutboxQuerySet(models.QuerySet["OutboxMessage"]):
    def due(self, *, at: datetime) -> "OutboxQuerySet":
        """Messages that may be sent at `at`: pending and due, claimed by a sender that died, or
        uncertain for the first time and held long enough.
        """
        return self.filter(
            Q(state=OutboxMessage.State.PENDING, not_before__lte=at)
            | Q(state=OutboxMessage.State.CLAIMED, lease_until__lte=at)
            | Q(state=OutboxMessage.State.UNCERTAIN, doubts=1, not_before__lte=at)
        )

    def may_be_out(self) -> "OutboxQuerySet":
        """Messages of which somebody may have a copy, whatever became of them after a doubt; not
        those that came back.
        """
        states = OutboxMessage.State
        taken = Q(state__in=[states.CLAIMED, states.SENT]) | Q(doubted_at__isnull=False)
        return self.filter(taken).exclude(state=states.BOUNCED)

    def waiting(self, *, at: datetime) -> "OutboxQuerySet":
        """Messages that should be out by `at` and are not, also between two tries."""
        return self.filter(state__in=OutboxMessage.NOT_OUT, due_at__lte=at)


class OutboxMessage(models.Model):
    """One message to one person: the truth about whether it must still be sent.

    Written in the transaction of what causes it. It holds neither address, text nor link: they
    are made when it is sent, by the renderer of its kind (`settings.OUTBOX_RENDERERS`).

    pending → claimed → sent | failed | cancelled | pending (try again) | uncertain (the connection
    was lost after the whole message was handed over); uncertain → pending, once; sent → bounced.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        CLAIMED = "claimed"
        SENT = "sent"
        FAILED = "failed"
        CANCELLED = "cancelled"
        UNCERTAIN = "uncertain"
        BOUNCED = "bounced"

    class Channel(models.TextChoices):
        EMAIL = "email"
        TEXT = "text"

    NOT_OUT = (State.PENDING, State.CLAIMED)
    MAX_ATTEMPTS = 8
    LEASE = timedelta(seconds=60)
    HOLD = timedelta(minutes=10)
    LATE_AFTER = timedelta(minutes=2)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    practice_id = models.UUIDField()
    kind = models.CharField(max_length=40, help_text="key of settings.OUTBOX_RENDERERS")
    subject_id = models.UUIDField(help_text="row that the message is about")
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    channel = models.CharField(max_length=5, choices=Channel, default=Channel.EMAIL)
    due_at = models.DateTimeField(help_text="when it should be out; retries do not move it")
    not_before = models.DateTimeField(help_text="no sender may take it earlier")
    lease_until = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    doubts = models.PositiveSmallIntegerField(
        default=0, help_text="how often the connection was lost after the message was handed over"
    )
    doubted_at = models.DateTimeField(null=True)  # of the first copy that may be out, as below
    sent_at = models.DateTimeField(null=True)  # when a sender took the copy that is out
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
                condition=Q(state__in=["sent", "bounced"], sent_at__isnull=False)
                | (~Q(state__in=["sent", "bounced"]) & Q(sent_at__isnull=True)),
                name="outbox_sent_has_a_time",
            ),
            models.CheckConstraint(
                condition=~Q(state="uncertain") | Q(doubts__gt=0),
                name="outbox_uncertain_has_doubts",
            ),
        ]
        indexes = [
            # The sweep looks across practices for what is due; the partial index stays small.
            models.Index(
                fields=["not_before"],
                condition=Q(state__in=["pending", "claimed", "uncertain"]),
                name="outbox_due",
            ),
            models.Index(
                fields=["practice_id", "due_at"],
                condition=Q(state__in=["pending", "claimed"]),
                name="outbox_waiting",
            ),
            models.Index(fields=["practice_id", "sent_at"], name="outbox_by_time_sent"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id} ({self.state})"

    @property
    def claimed_at(self) -> datetime:
        """When its sender took it, or now."""
        return self.lease_until - self.LEASE if self.lease_until else timezone.now()

    @property
    def taken_at(self) -> datetime:
        """When a sender took it for what went out, or may have gone; of two copies, for the first.

        Its address was looked up then or later: one that has led elsewhere since is not known to
        be the one it went to.
        """
        return self.doubted_at or self.sent_at or self.claimed_at


class Sending(models.Model):
    """Whether this installation sends: one row, without a practice, made by the first sender."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    database = models.CharField(max_length=80, help_text="database that sending is released for")
    paused_at = models.DateTimeField(null=True)
    why = models.CharField(max_length=80, blank=True)

    class Meta:
        verbose_name_plural = "sending"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="sending_one_row")]

    def __str__(self) -> str:
        return "paused" if self.paused_at else "released"


class IsOneOf(Func):
    """`value = ANY(array)`, which Django has no lookup for where the array is an expression."""

    template = "%(expressions)s)"
    arg_joiner = " = ANY("
    output_field = models.BooleanField()


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    def of_client(self, client_id: uuid.UUID) -> "AuditQuerySet":
        """Entries of the practice at work that concern this client.

        Found above row-level security by a function that tells ids only: behind it PostgreSQL may
        not use an index on an array, and would read the whole practice's trail.
        """
        ids = Func(Value(client_id, output_field=models.UUIDField()), function="audit_entries_of")
        return self.filter(IsOneOf("id", ids))


class AuditEntry(models.Model):
    """Who read or changed which clients' data, by which route, and when.

    Written once: role `app` may only insert (a new column needs its own grant) and select, and a
    trigger refuses changes to everybody. PostgreSQL alone gives the number.
    """

    practice_id = models.UUIDField()
    at = models.DateTimeField(auto_now_add=True)
    actor_id = models.UUIDField(null=True, help_text="member; empty where a client or task acted")
    route = models.CharField(
        max_length=80, blank=True, help_text="view, task or command; empty in a shell"
    )
    is_read = models.BooleanField(default=False)
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=60)
    object_id = models.UUIDField()
    client_ids = ArrayField(models.UUIDField(), default=list)

    objects = AuditQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [
            GinIndex(fields=["client_ids"], name="audit_by_client"),
            models.Index(fields=["practice_id", "actor_id", "at"], name="audit_by_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}"


class AuditSeal(models.Model):
    """One link of a practice's chain: the SHA-256 of an entry and of the link before it.

    Written by the sealer alone (`apps.core.sealer`), never changed.
    """

    entry = models.OneToOneField(AuditEntry, primary_key=True, on_delete=models.PROTECT)
    practice_id = models.UUIDField()
    number = models.BigIntegerField(help_text="1, 2, 3 … within the practice")
    sealed_at = models.DateTimeField()
    digest = models.BinaryField(max_length=32)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["practice_id", "number"], name="audit_seal_no_fork"),
            models.CheckConstraint(condition=Q(number__gte=1), name="audit_seal_counts_from_one"),
        ]

    def __str__(self) -> str:
        return f"seal {self.number} of {self.practice_id}"


class AuditHead(models.Model):
    """The end of a practice's chain: how many seals there are, and the last one's digest.

    The sealer locks it, so that two sealers never fork the chain; kept apart from the seals, it
    tells when the newest of them were cut off.
    """

    practice_id = models.UUIDField(primary_key=True)
    count = models.BigIntegerField(default=0)
    digest = models.BinaryField(max_length=32, default=bytes)
    sealed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"head {self.count} of {self.practice_id}"


class PracticeKey(models.Model):
    """A practice's key, wrapped by a root key that is outside the database (`apps.core.crypto`)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    practice_id = models.UUIDField()
    wrapped = models.BinaryField()
    root_id = models.CharField(max_length=16, help_text="which root key wraps it")
    created_at = models.DateTimeField(default=timezone.now)
    retired_at = models.DateTimeField(null=True, help_text="since when a newer one wraps")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["practice_id"],
                condition=Q(retired_at__isnull=True),
                name="practice_key_one_current",
            ),
        ]

    def __str__(self) -> str:
        return f"practice key {self.id}"


class ClientKey(models.Model):
    """A client's data key, wrapped by a key of the practice. Emptying it erases what it sealed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    practice_id = models.UUIDField()
    client_id = models.UUIDField()
    practice_key = models.ForeignKey(PracticeKey, on_delete=models.PROTECT, related_name="+")
    wrapped = models.BinaryField()
    created_at = models.DateTimeField(default=timezone.now)
    retired_at = models.DateTimeField(null=True, help_text="since when a newer one seals")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["practice_id", "client_id"],
                condition=Q(retired_at__isnull=True),
                name="client_key_one_current",
            ),
        ]
        indexes = [models.Index(fields=["practice_id", "client_id"], name="client_key_by_client")]

    def __str__(self) -> str:
        return f"client key {self.id}"
