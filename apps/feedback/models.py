"""How a rating arrives: the request to a client, from due to answered or run out."""

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import PracticeModel, Role
from apps.alliance.models import AllianceRating, Questionnaire
from apps.clients.models import Client, ContactChannel
from apps.core import crypto
from apps.core.spellings import as_before
from apps.feedback.tokens import ROOM
from apps.therapy_sessions.models import TherapySession

KIND = "feedback_request"
"""The kind of the message that asks for feedback; its subject is the request."""
REMINDER = "feedback_reminder"
FRESH_LINK = "feedback_fresh_link"
MESSAGES = (KIND, REMINDER, FRESH_LINK)
# How long after its time a code of the room still says that it has ended, or thanks for the answer.
READ_AFTERWARDS = timedelta(hours=1)


class FeedbackRequestQuerySet(models.QuerySet["FeedbackRequest"]):
    def run_out(self, *, at: datetime) -> Self:
        """Open requests whose time is over at `at`."""
        return self.filter(state=FeedbackRequest.State.OPEN, expires_at__lte=at)

    def of(self, client: Client) -> Self:
        return self.filter(therapy_session__treatment__client=client)

    def awaited(self, *, at: datetime) -> Self:
        """Requests by message whose answer may still come at `at`."""
        return self.open(at=at).exclude(channel_kind="")

    def open(self, *, at: datetime) -> Self:
        """Requests that can be answered at `at`, or later once they are out."""
        return self.filter(state=FeedbackRequest.State.OPEN, expires_at__gt=at)


class FeedbackRequest(PracticeModel):
    """One request for one therapy session's rating. Its link is made when sent, never stored."""

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        ANSWERED = "answered", _("Answered")
        EXPIRED = "expired", _("No answer")
        CANCELLED = "cancelled", _("Withdrawn")

    therapy_session = models.ForeignKey(
        TherapySession, on_delete=models.PROTECT, related_name="feedback_requests"
    )
    questionnaire = models.ForeignKey(Questionnaire, on_delete=models.PROTECT, related_name="+")
    # Empty: asked in the room only. No message goes out; one of before was withdrawn.
    channel_kind = models.CharField(max_length=5, choices=ContactChannel.Kind, blank=True)
    room_until = models.DateTimeField(null=True, help_text="end of the code shown in the room")
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    due_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    generation = models.PositiveIntegerField(
        default=0, help_text="two more revoke the links made before"
    )
    ended_too_soon = models.BooleanField(
        default=False,
        db_default=False,
        help_text="it ran out once, and no answer said nothing: so it stays",
    )
    rating = models.OneToOneField(
        AllianceRating, on_delete=models.PROTECT, null=True, related_name="feedback_request"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = FeedbackRequestQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["therapy_session"], name="feedback_request_one_per_session"
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("due_at")), name="feedback_request_expires_after_due"
            ),
            models.CheckConstraint(
                condition=Q(state="answered", rating__isnull=False)
                | (~Q(state="answered") & Q(rating__isnull=True)),
                name="feedback_request_answered_has_a_rating",
            ),
        ]
        indexes = [
            models.Index(
                fields=["practice", "therapy_session"], name="feedback_request_by_session"
            ),
            models.Index(
                fields=["expires_at"], condition=Q(state="open"), name="feedback_request_open"
            ),
        ]

    def __str__(self) -> str:
        return f"feedback request {self.id}"

    def is_open(self, *, at: datetime, in_room: bool = False) -> bool:
        """Whether an answer is taken at `at`; by a code of the room while that holds as well."""
        in_time = at < self.expires_at
        if in_room:
            in_time &= self.room_until is not None and at < self.room_until
        return self.state == self.State.OPEN and in_time and self.is_read

    def was_in_room_lately(self, *, at: datetime) -> bool:
        """Whether a code of the room says anything yet: who answered reads thanks, who was late
        that it has ended."""
        return self.room_until is not None and at < self.room_until + READ_AFTERWARDS

    def mailboxes(self) -> dict[str, bytes]:
        """Ways on which a link of it can be, `tokens.ROOM` among them, with a keyed hash of the
        mailbox that each leads to now."""
        channels = self.therapy_session.treatment.client.channels.exclude(address="")
        return {kind: bytes(of) for kind, of in channels.values_list("kind", "address_index")} | {
            ROOM: b""
        }

    def mailboxes_as_before(self) -> dict[str, bytes]:
        """The same by each address as it was read when links of before went out, which go on."""
        channels = self.therapy_session.treatment.client.channels.exclude(address="")
        return {
            each.kind: crypto.blind_index(as_before(each.address), practice_id=self.practice_id)
            for each in channels
        }

    @property
    def is_read(self) -> bool:
        """Whether somebody would read an answer: not where the treatment is over, where the
        therapist's place is closed, or where they work here as none."""
        treatment = self.therapy_session.treatment
        works_here = treatment.therapist.is_active and treatment.therapist.has_role(Role.THERAPIST)
        return works_here and not treatment.has_ended

    @property
    def ends_with_its_code(self) -> bool:
        """Whether it is open for the room alone: no longer than the code shown there."""
        return self.room_until is not None and self.expires_at <= self.room_until
