"""What goes in and out: rows of files, calendar addresses, reviews before a copy is given."""

from django.db import models

from apps.accounts.models import Membership, PracticeModel
from apps.alliance.models import Questionnaire
from apps.clients.models import Client
from apps.core.fields import EncryptedTextField
from apps.therapy_sessions.models import TherapySession


class ImportedSession(PracticeModel):
    """The row of a ratings file that a therapy session was made from.

    A file names its sessions by number or by moment, and numbers become dates only once: this is
    how the same row is found again, on whatever day the file is read a second time.
    """

    therapy_session = models.OneToOneField(
        TherapySession, on_delete=models.PROTECT, related_name="imported"
    )
    questionnaire = models.ForeignKey(Questionnaire, on_delete=models.PROTECT, related_name="+")
    place = models.CharField(
        max_length=32, help_text="session number, or held_at by the practice's clock"
    )

    class Meta:
        indexes = [
            models.Index(fields=["practice", "therapy_session"], name="imported_session_by_session")
        ]

    def __str__(self) -> str:
        return f"row {self.place} of {self.therapy_session_id}"


class CalendarFeed(PracticeModel):
    """A secret address at which a member's calendar program reads their sessions.

    Only the digest of its secret is kept: the address is shown once, when it is made. Deleting the
    row ends it.
    """

    membership = models.OneToOneField(
        Membership, on_delete=models.CASCADE, related_name="calendar_feed"
    )
    digest = models.CharField(max_length=64, help_text="SHA-256 of the secret, in hex")
    sessions_ended = models.PositiveIntegerField(
        default=0, help_text="of the person when it was made: it ends with their sessions"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["practice", "digest"], name="calendar_feed_digest_unique"
            )
        ]

    def __str__(self) -> str:
        return f"calendar of {self.membership_id}"


class NoteReview(PracticeModel):
    """The record holder opened process notes whose authors have left, and said why."""

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="note_reviews")
    reviewed_by = models.ForeignKey(Membership, on_delete=models.PROTECT, related_name="+")
    reason = EncryptedTextField(client="client_id")
    reviewed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~models.Q(reason=""), name="note_review_says_why")
        ]
        indexes = [models.Index(fields=["practice", "client"], name="note_review_by_client")]

    def __str__(self) -> str:
        return f"review for {self.client_id}"
