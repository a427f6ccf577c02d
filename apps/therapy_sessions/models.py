"""Therapy sessions: planned, then logged by the therapist."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Self

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from apps.accounts.models import Membership, PracticeModel
from apps.clients.models import Treatment
from apps.core.fields import EncryptedTextField


class Tension(models.IntegerChoices):
    """How much tension somebody noticed. Unanswered is None, never NONE."""

    NONE = 0, pgettext_lazy("client", "none")
    SLIGHT = 1, pgettext_lazy("client", "slight")
    SOME = 2, pgettext_lazy("client", "some")
    STRONG = 3, pgettext_lazy("client", "strong")
    VERY_STRONG = 4, pgettext_lazy("client", "very strong")


class Resolved(models.IntegerChoices):
    """How far the tension was sorted out by the end of the session."""

    NOT_AT_ALL = 0, pgettext_lazy("client", "not at all")
    A_LITTLE = 1, pgettext_lazy("client", "a little")
    PARTLY = 2, pgettext_lazy("client", "partly")
    MOSTLY = 3, pgettext_lazy("client", "mostly")
    FULLY = 4, pgettext_lazy("client", "fully")


def within(field: str, low: int, high: int) -> Q:
    """Condition that a nullable column lies in low…high."""
    return Q(**{f"{field}__isnull": True}) | Q(**{f"{field}__gte": low, f"{field}__lte": high})


class TherapySessionQuerySet(models.QuerySet["TherapySession"]):
    def conducted_by(self, membership: Membership) -> Self:
        """Therapy sessions of the member's own caseload."""
        return self.filter(treatment__in=Treatment.objects.conducted_by(membership))

    def attended(self) -> Self:
        """The detector's steps, in its order."""
        return self.filter(attendance=TherapySession.Attendance.ATTENDED).order_by(
            "starts_at", "id"
        )

    def planned(self) -> Self:
        return self.filter(attendance="")

    def unwritten(self) -> Self:
        """Planned, and no row of any table is about them: deleting them loses nothing."""
        about = {relation.name: None for relation in self.model._meta.related_objects}
        return self.planned().filter(**about)


class TherapySession(PracticeModel):
    """One appointment of a treatment. Until it is logged, `attendance` is empty: it is planned."""

    class Attendance(models.TextChoices):
        ATTENDED = "attended", _("Attended")
        LATE_CANCELLATION = "late_cancellation", _("Client cancelled late")
        NO_SHOW = "no_show", _("No-show")
        THERAPIST_CANCELLED = "therapist_cancelled", _("You cancelled")

    class NotAsked(models.TextChoices):
        CLIENT_ASKED = "client_asked", _("Client asked not to this time")
        NOT_SAFE = "not_safe", _("Not safe to contact at the moment")
        CRISIS = "crisis", _("Crisis or emergency in the session")
        LAST_SESSION = "last_session", _("Last session, closing talk instead")
        NO_CONSENT = "no_consent", _("Not agreed with the client")
        OTHER = "other", _("Other, in a few words")

    OWN_VIEW = ("own_bond", "own_goals", "own_tasks")

    treatment = models.ForeignKey(
        Treatment, on_delete=models.PROTECT, related_name="therapy_sessions"
    )
    starts_at = models.DateTimeField()
    duration_min = models.PositiveSmallIntegerField(
        default=50, validators=[MinValueValidator(5), MaxValueValidator(480)]
    )
    attendance = models.CharField(max_length=20, choices=Attendance, blank=True)
    logged_at = models.DateTimeField(null=True, blank=True)
    corrected_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="when what was logged was last corrected, answers were entered from paper, or a "
        "form ended that counts as not asked",
    )
    # The therapist's own view, 0–10, before they see the client's; None is unanswered.
    own_bond = models.PositiveSmallIntegerField(null=True, blank=True)
    own_goals = models.PositiveSmallIntegerField(null=True, blank=True)
    own_tasks = models.PositiveSmallIntegerField(null=True, blank=True)
    tension = models.PositiveSmallIntegerField(choices=Tension, null=True, blank=True)
    tension_resolved = models.PositiveSmallIntegerField(choices=Resolved, null=True, blank=True)
    not_asked_reason = models.CharField(max_length=20, choices=NotAsked, blank=True)
    not_asked_note = EncryptedTextField(client="treatment__client_id", blank=True)
    # True once a form that was really sent or offered has been answered or has run out. While it
    # is pending nothing is known, and nothing is held against silence.
    asked = models.BooleanField(default=False)

    objects = TherapySessionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["treatment", "starts_at"], name="therapy_session_one_per_start"
            ),
            models.CheckConstraint(
                condition=Q(attendance="", logged_at__isnull=True)
                | (~Q(attendance="") & Q(logged_at__isnull=False)),
                name="therapy_session_logged_has_attendance",
            ),
            models.CheckConstraint(
                condition=Q(duration_min__gte=5, duration_min__lte=480),
                name="therapy_session_duration_5_to_480_min",
            ),
            models.CheckConstraint(
                condition=within("own_bond", 0, 10)
                & within("own_goals", 0, 10)
                & within("own_tasks", 0, 10),
                name="therapy_session_own_view_0_to_10",
            ),
            models.CheckConstraint(
                condition=within("tension", 0, 4) & within("tension_resolved", 0, 4),
                name="therapy_session_tension_0_to_4",
            ),
            models.CheckConstraint(
                condition=Q(tension_resolved__isnull=True)
                | Q(tension__isnull=False, tension__gte=1),
                name="therapy_session_resolved_needs_tension",
            ),
        ]
        indexes = [
            models.Index(fields=["practice", "starts_at"], name="therapy_session_by_day"),
            models.Index(
                fields=["practice", "treatment", "starts_at"], name="therapy_session_by_treatment"
            ),
        ]

    def __str__(self) -> str:
        return f"therapy session {self.id}"

    @property
    def why_not_asked(self) -> str:
        """In its therapist's words where they said it so, also once those were erased; '' of one
        that was asked about."""
        is_in_words = self.not_asked_reason == self.NotAsked.OTHER
        erased = str(_("in words that were erased")) if is_in_words else ""
        return self.not_asked_note or erased or str(self.get_not_asked_reason_display())

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + timedelta(minutes=self.duration_min)

    def next_starts_at(self) -> datetime | None:
        """Start of the treatment's next session, planned or attended; None where none is known."""
        return (
            TherapySession.objects.filter(
                treatment=self.treatment_id,
                starts_at__gt=self.starts_at,
                attendance__in=["", self.Attendance.ATTENDED],
            )
            .order_by("starts_at")
            .values_list("starts_at", flat=True)
            .first()
        )

    @property
    def own_pomp(self) -> float | None:
        """The therapist's own view as POMP 0–100: mean of what was answered, times ten."""
        answered = [
            value for value in (self.own_bond, self.own_goals, self.own_tasks) if value is not None
        ]
        return 10 * sum(answered) / len(answered) if answered else None


class ProcessNoteQuerySet(models.QuerySet["ProcessNote"]):
    def written_by(self, membership: Membership) -> Self:
        """The member's own notes about their own caseload. There is no other way to a note."""
        return self.filter(
            author=membership, therapy_session__in=TherapySession.objects.conducted_by(membership)
        )


class ProcessNote(PracticeModel):
    """What a therapist notes for themselves about one session. Nobody else ever reads it.

    Not a supervisor, manager or later therapist. For a client's access export its author reviews
    it first.
    """

    therapy_session = models.ForeignKey(
        TherapySession, on_delete=models.PROTECT, related_name="process_notes"
    )
    author = models.ForeignKey(Membership, on_delete=models.PROTECT, related_name="+")
    text = EncryptedTextField(client="therapy_session__treatment__client_id")
    saved_at = models.DateTimeField()

    objects = ProcessNoteQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["therapy_session", "author"], name="process_note_one_per_author"
            ),
            models.CheckConstraint(condition=~Q(text=""), name="process_note_has_a_text"),
        ]
        indexes = [
            models.Index(
                fields=["practice", "author", "therapy_session"], name="process_note_by_author"
            )
        ]

    @property
    def version(self) -> str:
        """What the form that shows the note sends back, so that a later save is noticed."""
        return self.saved_at.isoformat()

    def __str__(self) -> str:
        return f"process note {self.id}"


def waits_to_be_logged(
    sessions: Iterable[TherapySession], *, at: datetime
) -> TherapySession | None:
    """The one to log next at `at`: the latest that has ended, else the one under way, else None."""
    begun = [each for each in sessions if not each.attendance and each.starts_at <= at]
    return max(begun, key=lambda each: (each.ends_at <= at, each.starts_at), default=None)
