"""What a therapist and their supervisors say to each other, and the meetings they hold."""

from datetime import date, datetime, timedelta
from typing import Self

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone
from django.utils.functional import cached_property

from apps.accounts.models import (
    Membership,
    PracticeModel,
    Role,
    Supervision,
    SupervisionQuerySet,
)
from apps.clients.models import Treatment
from apps.core.fields import EncryptedTextField
from apps.ruptures.models import RuptureEpisode

LOOKS_BACK = timedelta(days=90)
"""How far an agenda goes back where two never met before; for what has ended, at most."""
WRITTEN_FOR = timedelta(days=7)
"""How long after a meeting began both can write about it."""


class SupportMessage(PracticeModel):
    """One message of the thread about an episode, by its therapist or one of their supervisors.

    Where the therapist's is the newest, they wait for an answer: they asked for support.
    """

    episode = models.ForeignKey(
        RuptureEpisode, on_delete=models.PROTECT, related_name="support_messages"
    )
    author = models.ForeignKey(Membership, on_delete=models.PROTECT, related_name="+")
    text = EncryptedTextField(client="episode__treatment__client_id")
    sent_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(text=""), name="support_message_says_something")
        ]
        indexes = [
            models.Index(fields=["practice", "episode", "sent_at"], name="support_by_episode")
        ]

    def __str__(self) -> str:
        return f"message about {self.episode_id}"


class MeetingQuerySet(models.QuerySet["Meeting"]):
    def visible_to(self, membership: Membership, *, on: date | None = None) -> Self:
        """Meetings of the supervisee, as a therapist, and of the supervisor for as long as they
        supervise."""
        current = Supervision.objects.current(on=on or timezone.localdate()).filter(
            supervisor=OuterRef("supervisor"), supervisee=OuterRef("supervisee")
        )
        mine = Q(Exists(current), supervisor=membership)
        if membership.has_role(Role.THERAPIST):
            mine |= Q(supervisee=membership)
        return self.filter(mine, practice=membership.practice_id)


class Meeting(PracticeModel):
    """A supervision meeting of two. Its agenda is made from the episodes that are open then.

    What is written about one client stands in that client's own rows, under their key. `wish` and
    `notes` are about the work as such and name nobody; a key of the practice's own seals them.
    """

    supervisor = models.ForeignKey(
        Membership, on_delete=models.PROTECT, related_name="meetings_given"
    )
    supervisee = models.ForeignKey(
        Membership, on_delete=models.PROTECT, related_name="meetings_received"
    )
    starts_at = models.DateTimeField()
    duration_min = models.PositiveSmallIntegerField(
        default=50, validators=[MinValueValidator(5), MaxValueValidator(480)]
    )
    wish = EncryptedTextField(
        client="practice_id", blank=True, help_text="what the supervisee wants to talk about"
    )
    notes = EncryptedTextField(
        client="practice_id", blank=True, help_text="both can read and write them"
    )
    agenda_sent_at = models.DateTimeField(null=True)
    version = models.PositiveIntegerField(default=1, help_text="one more with each change of words")

    objects = MeetingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(supervisor=F("supervisee")), name="meeting_of_two_people"
            ),
            models.CheckConstraint(
                condition=Q(duration_min__gte=5, duration_min__lte=480),
                name="meeting_duration_5_to_480_min",
            ),
            models.UniqueConstraint(
                fields=["supervisor", "starts_at"], name="meeting_one_per_supervisor_and_start"
            ),
        ]
        indexes = [
            models.Index(fields=["practice", "supervisee", "starts_at"], name="meeting_by_person")
        ]

    def __str__(self) -> str:
        return f"meeting {self.id}"

    def supervisions(self) -> SupervisionQuerySet:
        """That of the two which holds today and had begun by the day of the meeting. Where it ended
        there is none, also if they began anew: what was between is on no agenda of before."""
        held = Supervision.objects.current(on=timezone.localdate()).filter(
            supervisor=self.supervisor_id, supervisee=self.supervisee_id
        )
        return held.begun_by(timezone.localdate(self.starts_at))

    @cached_property
    def is_over(self) -> bool:
        """Whether it was `WRITTEN_FOR` ago, or its supervision has ended: what they wrote stays as
        it is."""
        return self.starts_at <= timezone.now() - WRITTEN_FOR or not self.supervisions().exists()

    @cached_property
    def before(self) -> "Meeting | None":
        """The last meeting of the same two."""
        of_the_two = Meeting.objects.filter(supervisor=self.supervisor, supervisee=self.supervisee)
        return of_the_two.filter(starts_at__lt=self.starts_at).order_by("starts_at").last()

    def looks_back_to(self) -> datetime:
        """The moment from which on the agenda speaks of what happened: the last meeting; 90 days at
        most where the supervision has begun, also anew, since then."""
        since = self.starts_at - LOOKS_BACK
        if self.before is None:
            return since
        last = self.before.starts_at
        goes_on = self.supervisions().begun_by(timezone.localdate(last)).exists()
        return last if goes_on else max(last, since)

    def episodes(self) -> models.QuerySet[RuptureEpisode]:
        """What the supervisor may see of the supervisee now, by client code."""
        return (
            RuptureEpisode.objects.for_supervisor(self.supervisor)
            .filter(treatment__therapist=self.supervisee)
            .select_related("treatment__client", "treatment__therapist", "practice")
            .order_by("treatment__client__code")
        )

    def treatments(self, *, since: datetime) -> models.QuerySet[Treatment]:
        """The supervisee's treatments that the agenda speaks of, by client code: those that go on,
        and those that ended since then, for 90 days at most and if the supervision held by then.
        None once the supervision of the meeting has ended."""
        today = timezone.localdate()
        known = Treatment.objects.visible_to(self.supervisor)
        held = self.supervisions().begun_by(OuterRef("ends_on"))
        from_day = timezone.localdate(max(since, timezone.now() - LOOKS_BACK))
        ended = Treatment.objects.ended(on=today).filter(Exists(held), ends_on__gte=from_day)
        return Treatment.objects.filter(
            Q(id__in=known.values("id")) | Q(id__in=ended.values("id")),
            Exists(self.supervisions()),
            therapist=self.supervisee,
            client__erased_at=None,
        )


class DecisionQuerySet(models.QuerySet["Decision"]):
    def visible_to(self, membership: Membership) -> Self:
        """Decisions of the member's meetings, as long as the supervisee treats the client, in that
        treatment or one begun again: access to it ends for both of them."""
        goes_on = Treatment.objects.visible_to(membership).filter(
            client=OuterRef("episode__treatment__client"),
            therapist=OuterRef("episode__treatment__therapist"),
        )
        return self.filter(Exists(goes_on), meeting__in=Meeting.objects.visible_to(membership))


class Decision(PracticeModel):
    """What was decided in a meeting about one episode: it becomes the next action there."""

    meeting = models.ForeignKey(Meeting, on_delete=models.CASCADE, related_name="decisions")
    episode = models.ForeignKey(RuptureEpisode, on_delete=models.PROTECT, related_name="decisions")
    text = EncryptedTextField(client="episode__treatment__client_id")
    decided_at = models.DateTimeField(default=timezone.now)
    written_by = models.ForeignKey(
        Membership,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="which of the two; nobody noted it before",
    )
    done_at = models.DateTimeField(null=True)
    done_by = models.ForeignKey(
        Membership,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="who ticked it; nobody noted it before",
    )

    objects = DecisionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(text=""), name="decision_says_something")
        ]
        indexes = [models.Index(fields=["practice", "meeting"], name="decision_by_meeting")]

    def __str__(self) -> str:
        return f"decision of {self.meeting_id}"
