"""What a fall means: each screening as it was made, and the episodes that came of them."""

from datetime import datetime, timedelta
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Case, Exists, ExpressionWrapper, F, OuterRef, Q, Value, When
from django.db.models.functions import Coalesce, TruncDate
from django.db.models.lookups import LessThanOrEqual
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Membership, PracticeModel, Supervision
from apps.alliance.models import Cause, Questionnaire
from apps.clients.models import Treatment
from apps.core.fields import EncryptedTextField
from apps.ruptures.detection import Event, Level
from apps.therapy_sessions.models import TherapySession

# The events with which a step can mark its episode.
MARKS = (Event.OPENED, Event.ESCALATED)


class ScreeningQuerySet(models.QuerySet["Screening"]):
    def current(self) -> Self:
        """The latest word on each step; earlier words about it are kept for the record."""
        return self.filter(superseded_at__isnull=True)

    def said_at(self, at: datetime) -> Self:
        """What was the latest word then."""
        return self.filter(screened_at__lte=at).exclude(superseded_at__lte=at)


class Screening(PracticeModel):
    """One step of the detector, with all it was given and all it said.

    A step is screened anew when its rating arrives or its form runs out; the earlier screening is
    marked superseded, never changed, so that what was shown on a day can always be answered. The
    next step starts from `state_after`, so one more rating costs one step.
    """

    treatment = models.ForeignKey(Treatment, on_delete=models.PROTECT, related_name="screenings")
    questionnaire = models.ForeignKey(Questionnaire, on_delete=models.PROTECT, related_name="+")
    therapy_session = models.ForeignKey(
        TherapySession, on_delete=models.PROTECT, related_name="screenings"
    )
    rule_version = models.CharField(max_length=40)
    inputs = models.JSONField(help_text="detection.Step as given")
    state_before = models.JSONField()
    state_after = models.JSONField()
    outputs = models.JSONField(help_text="detection.Screening as returned, unrounded")
    # Columns that pages select and draw by; the same figures as in `outputs`.
    pomp = models.FloatField(null=True)
    low = models.FloatField()
    high = models.FloatField()
    level = models.PositiveSmallIntegerField()
    event = models.CharField(max_length=20, blank=True)
    in_episode = models.BooleanField(
        help_text="an episode is open after this step, or was closed by it"
    )
    ratings_before = models.PositiveIntegerField(help_text="rated steps before this one")
    at_maximum_run = models.PositiveIntegerField(
        help_text="all-maximum ratings in a row, up to here"
    )
    known_at = models.DateTimeField(help_text="when its last input came: the rating, else the log")
    screened_at = models.DateTimeField()
    superseded_at = models.DateTimeField(null=True)

    objects = ScreeningQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["therapy_session", "questionnaire"],
                condition=Q(superseded_at__isnull=True),
                name="screening_one_current_per_step",
            ),
            models.CheckConstraint(
                condition=Q(level__in=[level.value for level in Level]),
                name="screening_level_known",
            ),
        ]
        indexes = [
            models.Index(
                fields=["practice", "treatment", "therapy_session"],
                condition=Q(superseded_at__isnull=True),
                name="screening_current",
            ),
        ]

    def __str__(self) -> str:
        return f"screening of {self.therapy_session_id}"

    def was_said_at(self, at: datetime) -> bool:
        """Whether it was the latest word then."""
        return self.screened_at <= at and not (self.superseded_at and self.superseded_at <= at)


def has_waited(*, at: datetime) -> Q:
    """Episodes that nobody acknowledged for their waiting time: the practice's of their opening,
    or a shorter one since (`apps.ruptures.services.shorten_waits`).

    While processing of the client's data is restricted, time shows nothing to anybody; once that
    is lifted, those days count. Nor does it where the treatment had ended by then.
    """
    hours = ExpressionWrapper(F("wait_hours") * Value(timedelta(hours=1)), models.DurationField())
    fell_at = Coalesce("fell_again_at", "opened_at")
    waits_until = ExpressionWrapper(fell_at + hours, models.DateTimeField())
    has_waited = Q(LessThanOrEqual(waits_until, Value(at))) & ~Q(acknowledged_at__gte=fell_at)
    went_on = Q(treatment__ends_on=None) | Q(treatment__ends_on__gt=TruncDate(waits_until))
    return has_waited & went_on & Q(treatment__client__restricted_at=None)


class RuptureEpisodeQuerySet(models.QuerySet["RuptureEpisode"]):
    def open(self) -> Self:
        """On a therapist's list: no outcome recorded yet."""
        return self.filter(outcome="")

    def conducted_by(self, membership: Membership) -> Self:
        """Episodes of the member's own caseload."""
        return self.filter(treatment__in=Treatment.objects.conducted_by(membership))

    def for_supervisor(self, membership: Membership, *, at: datetime | None = None) -> Self:
        """Open episodes that current supervisees' supervisor may see at `at` (now).

        Shared with them (`shared_with_reader_at`), marked, or once unacknowledged for the waiting
        time (72 h). That the time is over is also noted on the episode (`waited_at`), but nobody
        waits for the note. What was shared before their supervision began was not with them.
        """
        at = at or timezone.now()
        held = Supervision.objects.current(on=timezone.localdate(at)).filter(supervisor=membership)
        supervisees = held.values("supervisee")
        by_then = held.filter(supervisee=OuterRef("treatment__therapist"))
        shared = Case(When(Exists(by_then.begun_at(OuterRef("shared_at"))), then=F("shared_at")))
        episodes = self.open().annotate(shared_with_reader_at=shared)
        return episodes.filter(
            Q(shared_with_reader_at__isnull=False)
            | Q(marked_at__isnull=False)
            | Q(waited_at__isnull=False)
            | has_waited(at=at),
            treatment__in=Treatment.objects.visible_to(membership),
            treatment__therapist__in=supervisees,
        )

    def discussable_by(self, membership: Membership, *, at: datetime | None = None) -> Self:
        """Episodes that the member may talk about: their own, and those a supervisor may see."""
        return self.filter(
            Q(id__in=self.conducted_by(membership).values("id"))
            | Q(id__in=self.for_supervisor(membership, at=at).values("id"))
        )


class RuptureEpisode(PracticeModel):
    """A possible rupture, from the step that opened it to the outcome a person records.

    The detector opens it, marks it and says that ratings are back (`recovering_since`) or have
    settled lower (`settled_lower_at`). The therapist ends it; where treatment stops before that,
    `apps.ruptures.transitions` does. A fall after ratings had come back opens it again; of each the
    opening, the mark and the waiting time are told once.
    """

    class Outcome(models.TextChoices):
        REPAIRED = "repaired", _("Repaired and continuing")
        SETTLED_LOWER = "settled_lower", _("Settled at a lower level")
        NOT_A_RUPTURE = "not_a_rupture", _("Not a rupture")
        ENDED_UNREPAIRED = "ended_unrepaired", _("Ended unrepaired")
        MOVED = "moved", _("Moved to a better-fitting therapist")
        # Written by a correction that takes away what the episode was opened on.
        SUPERSEDED = "superseded", _("Withdrawn after a correction")

    treatment = models.ForeignKey(Treatment, on_delete=models.PROTECT, related_name="episodes")
    questionnaire = models.ForeignKey(Questionnaire, on_delete=models.PROTECT, related_name="+")
    opened_by = models.ForeignKey(
        TherapySession, on_delete=models.PROTECT, related_name="episodes_opened"
    )
    opened_at = models.DateTimeField()
    wait_hours = models.PositiveSmallIntegerField(
        default=72, help_text="the practice's waiting time when it opened"
    )
    marked_at = models.DateTimeField(null=True)
    recovering_since = models.DateTimeField(null=True)
    settled_lower_at = models.DateTimeField(null=True)
    acknowledged_at = models.DateTimeField(
        null=True, help_text="once for each fall that opens it, or opens it again"
    )
    fell_again_at = models.DateTimeField(
        null=True, help_text="when a fall opened it again that nobody has acknowledged before"
    )
    last_fell_at = models.DateTimeField(
        null=True, help_text="when a fall last opened it again, acknowledged or not"
    )
    shared_at = models.DateTimeField(null=True)
    waited_at = models.DateTimeField(
        null=True, help_text="when the supervisor's waiting time ended unacknowledged"
    )
    notes_shared_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=20, choices=Outcome, blank=True)
    outcome_reason = EncryptedTextField(client="treatment__client_id", blank=True)
    outcome_at = models.DateTimeField(null=True)

    shared_with_reader_at: datetime | None
    """`shared_at`, where `for_supervisor` found that it was shared with that supervisor."""

    objects = RuptureEpisodeQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["treatment"], condition=Q(outcome=""), name="episode_one_open_per_treatment"
            ),
            models.CheckConstraint(
                condition=Q(outcome="", outcome_at__isnull=True)
                | (~Q(outcome="") & Q(outcome_at__isnull=False)),
                name="episode_outcome_has_a_time",
            ),
            models.CheckConstraint(
                condition=~Q(outcome="not_a_rupture") | ~Q(outcome_reason=""),
                name="episode_not_a_rupture_has_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(outcome_at__isnull=True) | Q(outcome_at__gte=F("opened_at")),
                name="episode_ends_after_it_opens",
            ),
            models.CheckConstraint(
                condition=Q(notes_shared_at__isnull=True) | Q(shared_at__isnull=False),
                name="episode_notes_shared_with_the_episode",
            ),
        ]
        indexes = [
            models.Index(
                fields=["practice", "treatment"], condition=Q(outcome=""), name="episode_open"
            ),
        ]

    def __str__(self) -> str:
        return f"episode {self.id}"

    @property
    def fell_at(self) -> datetime:
        """When it opened, or opened again, since when nobody has acknowledged it."""
        return self.fell_again_at or self.opened_at

    @property
    def fall(self) -> str:
        """Tells its falls apart: '' for the first, else the moment of the last one."""
        return self.last_fell_at.isoformat() if self.last_fell_at else ""

    @property
    def seen_at(self) -> datetime | None:
        """When the therapist acknowledged the last fall; None as long as they have not."""
        seen_at = self.acknowledged_at
        return seen_at if seen_at and seen_at >= self.fell_at else None

    @property
    def has_waited_by_now(self) -> bool:
        """Whether nobody acknowledged it for its waiting time, noted or not; see `has_waited`."""
        waits_until = self.fell_at + timedelta(hours=self.wait_hours)
        ends_at = self.treatment.ends_at
        is_over = not self.seen_at and timezone.now() >= waits_until
        went_on = ends_at is None or waits_until < ends_at
        return is_over and went_on and not self.treatment.client.restricted_at

    @property
    def waiting_is_noted(self) -> bool:
        """Whether `waited_at` speaks of the last fall."""
        return self.waited_at is not None and self.waited_at >= self.fell_at

    @property
    def is_every_supervisors(self) -> bool:
        """Whether each supervisor may see it now, with whomever it is shared."""
        is_seen = self.marked_at or self.waited_at or self.has_waited_by_now
        return not self.outcome and bool(is_seen)


class RepairStep(models.TextChoices):
    """The steps of a repair, in their order."""

    NOTICE = "notice", _("Notice")
    OPEN = "open", _("Open the conversation")
    DISCUSS = "discuss", _("Discuss what led to it")
    EXPLORE = "explore", _("Explore feelings on both sides")
    AGREE = "agree", _("Agree a way forward that rebuilds trust")
    FOLLOW_UP = "follow_up", _("Follow up")


class Worksheet(PracticeModel):
    """The work on an episode as it was saved once. Saving again makes the next version.

    The highest version holds now; the earlier ones are its history and are never changed. Two
    people who save at the same time cannot both make the same version.
    """

    class Kind(models.TextChoices):
        WITHDRAWAL = "withdrawal", _("Withdrawal")
        CONFRONTATION = "confrontation", _("Confrontation")
        BOTH = "both", _("Both")
        UNSURE = "unsure", _("Not sure")

    episode = models.ForeignKey(RuptureEpisode, on_delete=models.PROTECT, related_name="worksheets")
    version = models.PositiveIntegerField()
    saved_at = models.DateTimeField()
    saved_by = models.ForeignKey(Membership, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=13, choices=Kind, blank=True)
    causes = ArrayField(models.CharField(max_length=20, choices=Cause), default=list)
    next_action = EncryptedTextField(client="episode__treatment__client_id", blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["episode", "version"], name="worksheet_one_per_version"
            ),
            models.CheckConstraint(condition=Q(version__gte=1), name="worksheet_version_from_1"),
            models.CheckConstraint(
                condition=Q(causes__contained_by=Cause.values), name="worksheet_causes_known"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["", "withdrawal", "confrontation", "both", "unsure"]),
                name="worksheet_kind_known",
            ),
        ]
        indexes = [models.Index(fields=["practice", "episode"], name="worksheet_by_episode")]

    def __str__(self) -> str:
        return f"worksheet {self.version} of {self.episode_id}"


class StepNote(PracticeModel):
    """What one version of a worksheet says about one step; steps without words have no row."""

    worksheet = models.ForeignKey(Worksheet, on_delete=models.CASCADE, related_name="step_notes")
    step = models.CharField(max_length=10, choices=RepairStep)
    note = EncryptedTextField(client="worksheet__episode__treatment__client_id", blank=True)
    done_on = models.DateField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["worksheet", "step"], name="step_note_one_per_step"),
            models.CheckConstraint(
                condition=Q(step__in=RepairStep.values), name="step_note_step_known"
            ),
        ]
        indexes = [models.Index(fields=["practice", "worksheet"], name="step_note_by_worksheet")]

    def __str__(self) -> str:
        return f"{self.step} of {self.worksheet_id}"


class RuleChange(PracticeModel):
    """Other figures for the filter: proposed, replayed over the past, then decided by a person.

    The newest confirmed one of a form is in force from `decided_at` on; without one, the rule that
    comes with Rapport is. `parameters` is empty while local norms are still being estimated,
    `report` (see `apps.ruptures.replay`) while the replay runs.
    """

    class Decision(models.TextChoices):
        CONFIRMED = "confirmed", _("In use since then")
        KEPT = "kept", _("Not used")

    detection_form = models.CharField(max_length=10, choices=Questionnaire.DetectionForm)
    version = models.CharField(max_length=40)
    parameters = models.JSONField(null=True, help_text="detection.Parameters, every figure")
    learned_from = models.JSONField(
        null=True, help_text='{"clients", "ratings"} where these are local norms'
    )
    proposed_at = models.DateTimeField(default=timezone.now)
    proposed_by = models.ForeignKey(
        Membership, on_delete=models.PROTECT, null=True, related_name="+"
    )
    progress = models.PositiveSmallIntegerField(default=0, help_text="of 100")
    report = models.JSONField(null=True)
    replayed_at = models.DateTimeField(null=True)
    decision = models.CharField(max_length=10, choices=Decision, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(
        Membership, on_delete=models.PROTECT, null=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["practice"], condition=Q(decision=""), name="rule_change_one_undecided"
            ),
            models.UniqueConstraint(
                fields=["practice", "version"], name="rule_change_version_unique"
            ),
            models.CheckConstraint(
                condition=Q(decision="", decided_at__isnull=True)
                | Q(decision__in=["confirmed", "kept"], decided_at__isnull=False),
                name="rule_change_decision_has_a_time",
            ),
            models.CheckConstraint(
                condition=~Q(decision="confirmed")
                | (
                    Q(parameters__isnull=False, report__isnull=False, decided_by__isnull=False)
                    & ~Q(reason="")
                ),
                name="rule_change_confirmed_by_a_person_after_replay",
            ),
        ]
        indexes = [
            models.Index(
                fields=["practice", "detection_form", "-decided_at"], name="rule_change_in_force"
            ),
        ]

    def __str__(self) -> str:
        return self.version
