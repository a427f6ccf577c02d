"""Where rows that came from outside came from."""

from django.db import models

from apps.accounts.models import PracticeModel
from apps.alliance.models import Questionnaire
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
