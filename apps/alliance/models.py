"""Questionnaires as data, and what clients answered."""

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from apps.accounts.models import PracticeModel
from apps.alliance.scoring import Scale
from apps.core.fields import EncryptedTextField
from apps.therapy_sessions.models import Resolved, Tension, TherapySession, within


class Cause(models.TextChoices):
    """What may be behind a rupture: the seven causes, in the therapist's words."""

    MISUNDERSTANDING = "misunderstanding", _("Miscommunication or misunderstanding")
    VALUES = "values", _("Value or belief conflict")
    BOUNDARY = "boundary", _("Boundary issue")
    TRANSFERENCE = "transference", _("Transference or countertransference")
    EXPECTATIONS = "expectations", _("Unmet expectations")
    NO_PROGRESS = "no_progress", _("Lack of progress")
    LIFE_CHANGE = "life_change", _("Life changes")


# The same causes as the client's form asks for them.
CAUSE_IN_PLAIN_WORDS = {
    Cause.MISUNDERSTANDING: pgettext_lazy("client", "We misunderstood each other"),
    Cause.VALUES: pgettext_lazy("client", "We see something important differently"),
    Cause.BOUNDARY: pgettext_lazy("client", "Something felt too personal or crossed a line"),
    Cause.TRANSFERENCE: pgettext_lazy(
        "client", "Strong feelings came up about my therapist or between us"
    ),
    Cause.EXPECTATIONS: pgettext_lazy("client", "It was not what I hoped for"),
    Cause.NO_PROGRESS: pgettext_lazy("client", "I am not getting anywhere"),
    Cause.LIFE_CHANGE: pgettext_lazy("client", "Something changed in my life"),
}


class Questionnaire(PracticeModel):
    """A questionnaire as this practice uses it, installed from a data file.

    `items` is a list of {"id", "subscale", "text"}; a text is empty where the wording may not be
    shipped, and such a questionnaire can hold imported ratings but is never sent.
    """

    class DetectionForm(models.TextChoices):
        FORM5 = "form5", _("5-point form")
        SLIDER = "slider", _("0–10 scales")

    key = models.SlugField(max_length=60)
    version = models.PositiveSmallIntegerField()
    title = models.CharField(max_length=120)
    validated = models.BooleanField(default=False)
    licence = models.JSONField(
        help_text='{"name", "source", "attested_on"}; attested_on may be null'
    )
    detection_form = models.CharField(max_length=10, choices=DetectionForm)
    minimum = models.SmallIntegerField()
    maximum = models.SmallIntegerField()
    low_label = models.CharField(max_length=60, blank=True)
    high_label = models.CharField(max_length=60, blank=True)
    items = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["practice", "key", "version"], name="questionnaire_version_unique"
            ),
            models.CheckConstraint(
                condition=Q(minimum__lt=models.F("maximum")), name="questionnaire_scale_rises"
            ),
            models.CheckConstraint(
                condition=Q(detection_form__in=["form5", "slider"]),
                name="questionnaire_detection_form_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} v{self.version}"

    @property
    def scale(self) -> Scale:
        return Scale(self.minimum, self.maximum)

    @property
    def subscales(self) -> dict[str, list[str]]:
        """Item ids by subscale, e.g. {"bond": ["heard", "accepted"], …}."""
        groups: dict[str, list[str]] = {}
        for item in self.items:
            groups.setdefault(item["subscale"], []).append(item["id"])
        return groups

    @property
    def may_be_sent(self) -> bool:
        """Its licence is attested and every item has its wording."""
        return bool(self.licence.get("attested_on")) and all(item["text"] for item in self.items)


class AllianceRatingQuerySet(models.QuerySet["AllianceRating"]):
    def used(self) -> Self:
        """Ratings that count as the step's rating: from the client, and in time."""
        return self.filter(rater=AllianceRating.Rater.CLIENT, is_late=False)


class AllianceRating(PracticeModel):
    """One person's answers about one therapy session."""

    class Rater(models.TextChoices):
        CLIENT = "client", _("Client")
        THERAPIST = "therapist", _("Therapist")

    class Mode(models.TextChoices):
        LINK = "link", _("Answered by link")
        ROOM = "room", _("Answered in the room")
        PAPER = "paper", _("Entered from paper")
        IMPORTED = "imported", _("Imported")

    # Answers that the therapist is beside, or types.
    BY_HAND = (Mode.ROOM, Mode.PAPER)

    therapy_session = models.ForeignKey(
        TherapySession, on_delete=models.PROTECT, related_name="ratings"
    )
    questionnaire = models.ForeignKey(Questionnaire, on_delete=models.PROTECT, related_name="+")
    rater = models.CharField(max_length=10, choices=Rater, default=Rater.CLIENT)
    mode = models.CharField(max_length=10, choices=Mode)
    answers = models.JSONField(help_text="raw answer by item id; unanswered items are absent")
    # 0–100; None where fewer than 80 % of the items were answered.
    pomp = models.FloatField(null=True)
    bond = models.FloatField(null=True)
    goals = models.FloatField(null=True)
    tasks = models.FloatField(null=True)
    tension = models.PositiveSmallIntegerField(choices=Tension, null=True)
    tension_resolved = models.PositiveSmallIntegerField(choices=Resolved, null=True)
    causes = ArrayField(models.CharField(max_length=20, choices=Cause), default=list)
    comment = EncryptedTextField(client="therapy_session__treatment__client_id", blank=True)
    answered_at = models.DateTimeField()
    entered_at = models.DateTimeField(null=True, help_text="when it was entered from paper")
    # Came after the next session started or after 7 days: stored and shown, not used.
    is_late = models.BooleanField(default=False)
    counted_at = models.DateTimeField(
        null=True, help_text="since when it is used, where it was late as it was given"
    )

    objects = AllianceRatingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["therapy_session", "rater"], name="rating_one_per_session_and_rater"
            ),
            models.CheckConstraint(
                condition=within("pomp", 0, 100)
                & within("bond", 0, 100)
                & within("goals", 0, 100)
                & within("tasks", 0, 100),
                name="rating_pomp_0_to_100",
            ),
            models.CheckConstraint(
                condition=within("tension", 0, 4) & within("tension_resolved", 0, 4),
                name="rating_tension_0_to_4",
            ),
            models.CheckConstraint(
                condition=Q(tension_resolved__isnull=True)
                | Q(tension__isnull=False, tension__gte=1),
                name="rating_resolved_needs_tension",
            ),
            models.CheckConstraint(
                condition=Q(causes__contained_by=Cause.values), name="rating_causes_known"
            ),
        ]
        indexes = [models.Index(fields=["practice", "therapy_session"], name="rating_by_session")]

    def __str__(self) -> str:
        return f"rating of {self.therapy_session_id}"
