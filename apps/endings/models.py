"""How a treatment ends: closed with a review, or moved to a therapist who fits better."""

from datetime import date
from typing import Self

from django.conf import global_settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Membership, PracticeModel
from apps.clients.models import Treatment
from apps.core.fields import EncryptedTextField

LANGUAGES = [(code, _(name)) for code, name in global_settings.LANGUAGES]


class Wish(models.TextChoices):
    """What a client may prefer and a therapist may offer: one list for both."""

    WOMAN = "woman", _("A woman")
    MAN = "man", _("A man")
    EVENINGS = "evenings", _("Evening sessions")
    WEEKENDS = "weekends", _("Weekend sessions")
    ONLINE = "online", _("Sessions online")
    IN_PERSON = "in_person", _("Sessions in person")
    STEP_FREE = "step_free", _("Step-free access")
    STRUCTURED = "structured", _("Structured work with tasks")
    EXPLORING = "exploring", _("Open, exploring work")
    TRAUMA = "trauma", _("Trauma-focused work")


class Offer(PracticeModel):
    """What a therapist can offer a client who moves, in their own hand. Never a rating."""

    member = models.OneToOneField(Membership, on_delete=models.CASCADE, related_name="offer")
    has_room = models.BooleanField(default=False)
    offers = ArrayField(models.CharField(max_length=10, choices=Wish), default=list)
    languages = ArrayField(models.CharField(max_length=10), default=list)
    words = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(offers__contained_by=Wish.values), name="offer_wishes_known"
            ),
        ]
        indexes = [models.Index(fields=["practice", "member"], name="offer_by_member")]

    def __str__(self) -> str:
        return f"offer of {self.member_id}"


class MoveQuerySet(models.QuerySet["Move"]):
    def standing(self) -> Self:
        """Those not called off."""
        return self.filter(called_off_at__isnull=True)

    def called_off(self) -> Self:
        """History, the newest first."""
        return self.filter(called_off_at__isnull=False).order_by("-called_off_at")

    def conducted_by(self, membership: Membership) -> Self:
        """Moves out of the member's own caseload, being prepared or arranged."""
        return self.filter(treatment__in=Treatment.objects.conducted_by(membership))

    def passed_on_to(self, membership: Membership) -> Self:
        """Moves that brought the member a client, from the day of the move on."""
        return self.came_true(on=timezone.localdate()).filter(
            treatment__followed_by__in=Treatment.objects.conducted_by(membership)
        )

    def came_true(self, *, on: date) -> Self:
        """Moves by which access changed hands by the day `on`."""
        return self.standing().filter(moves_on__lte=on)

    def to_come(self) -> Self:
        """Arranged moves whose day is still to come. One that something overtakes is called off,
        but for those of clients who were erased since."""
        to_come = self.standing().filter(moves_on__gt=timezone.localdate())
        to_come = to_come.filter(treatment__client__erased_at=None)
        return to_come.select_related("treatment__therapist").order_by("arranged_at", "id")


class Move(PracticeModel):
    """A client's way to a better-fitting therapist: what fits, what may be passed on, the handover.

    Until `arranged_at` it is a plan and only its therapist sees it. From the day of the move on the
    therapist of the treatment that follows reads what the client agreed to pass on, and nothing
    else of the treatment before.
    One that was called off before its day stays as it was, as history; another may follow it.

    `saved_at` is when its words were saved or, where consent stands, when that was noted: what the
    client wrote later is not passed on.
    """

    class Part(models.TextChoices):
        NEEDS = "needs", _("Needs and preferences")
        TRIED = "tried", _("What was tried")
        RATINGS = "ratings", _("Ratings of this treatment")
        COMMENTS = "comments", _("Comments the client wrote")

    class How(models.TextChoices):
        IN_ROOM = "in_room", _("In the room, read together")
        TELEPHONE = "telephone", _("By telephone")
        WRITING = "writing", _("In writing")

    treatment = models.ForeignKey(Treatment, on_delete=models.PROTECT, related_name="moves")
    needs = EncryptedTextField(client="treatment__client_id")
    wishes = ArrayField(models.CharField(max_length=10, choices=Wish), default=list)
    language = models.CharField(max_length=10, blank=True)
    tried = EncryptedTextField(client="treatment__client_id")
    talked_over_on = models.DateField(null=True)
    saved_at = models.DateTimeField()
    passes_on = ArrayField(models.CharField(max_length=10, choices=Part), default=list)
    agreed_on = models.DateField(null=True)
    agreed_how = models.CharField(max_length=10, choices=How, blank=True)
    moves_on = models.DateField(null=True)
    meeting_on = models.DateField(null=True)
    arranged_at = models.DateTimeField(null=True)
    called_off_at = models.DateTimeField(null=True)
    called_off_reason = EncryptedTextField(client="treatment__client_id", blank=True)
    called_off_to = models.ForeignKey(
        Membership,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="to whom the client would have moved",
    )

    objects = MoveQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(wishes__contained_by=Wish.values)
                & Q(passes_on__contained_by=["needs", "tried", "ratings", "comments"]),
                name="move_wishes_and_parts_known",
            ),
            models.CheckConstraint(
                condition=Q(agreed_on__isnull=True, agreed_how="", passes_on=[])
                | (Q(agreed_on__isnull=False) & ~Q(agreed_how="")),
                name="move_parts_need_consent",
            ),
            models.CheckConstraint(
                condition=Q(arranged_at__isnull=True)
                | Q(agreed_on__isnull=False, moves_on__isnull=False),
                name="move_arranged_after_consent",
            ),
            models.CheckConstraint(
                condition=Q(called_off_at__isnull=True, called_off_to__isnull=True)
                | Q(
                    called_off_at__isnull=False,
                    called_off_to__isnull=False,
                    arranged_at__isnull=False,
                ),
                name="move_called_off_once_arranged",
            ),
            models.UniqueConstraint(
                fields=["treatment"],
                condition=Q(called_off_at__isnull=True),
                name="move_one_standing_per_treatment",
            ),
        ]
        indexes = [models.Index(fields=["practice", "treatment"], name="move_by_treatment")]

    def __str__(self) -> str:
        return f"move of {self.treatment_id}"

    @property
    def parts(self) -> list[str]:
        """What the client agreed to pass on, in words."""
        return [str(self.Part(part).label) for part in self.passes_on]

    @property
    def version(self) -> str:
        """What a form that shows the move sends back, so that a later save is noticed."""
        consent = (self.passes_on, self.agreed_on, self.agreed_how)
        return "|".join(map(str, (self.saved_at, self.talked_over_on, *consent)))


class EndingQuerySet(models.QuerySet["Ending"]):
    def conducted_by(self, membership: Membership) -> Self:
        """Endings that the member wrote about treatments of their own.

        Not of clients who are with somebody else since, or who were erased.
        """
        last = Treatment.objects.not_followed(on=timezone.localdate())
        elsewhere = last.filter(client=OuterRef("treatment__client")).exclude(therapist=membership)
        return self.filter(
            ~Exists(elsewhere),
            practice=membership.practice_id,
            treatment__therapist=membership,
            treatment__client__erased_at=None,
            closed_by=membership,
        )

    def with_what_goes_on(self, *, on: date) -> Self:
        """Each with `goes_on`: whether its client is in treatment again, or is to be."""
        again = Treatment.objects.not_ended(on=on).filter(client=OuterRef("treatment__client"))
        return self.annotate(goes_on=Exists(again))


class Ending(PracticeModel):
    """The review with which a therapist closed a treatment. Only they can read it."""

    class How(models.TextChoices):
        AGREED = "agreed", _("As agreed")
        CLIENT = "client", _("The client stopped")
        THERAPIST = "therapist", _("You ended it")
        OTHER = "other", _("Another way")

    treatment = models.OneToOneField(Treatment, on_delete=models.PROTECT, related_name="ending")
    how = models.CharField(max_length=10, choices=How)
    review = EncryptedTextField(client="treatment__client_id", blank=True)
    closed_at = models.DateTimeField()
    closed_by = models.ForeignKey(Membership, on_delete=models.PROTECT, related_name="+")

    objects = EndingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(how__in=["agreed", "client", "therapist", "other"]),
                name="ending_how_known",
            ),
        ]
        indexes = [models.Index(fields=["practice", "treatment"], name="ending_by_treatment")]

    def __str__(self) -> str:
        return f"ending of {self.treatment_id}"
