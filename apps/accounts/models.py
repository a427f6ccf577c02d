"""Practices, the people who work in them, and who supervises whom."""

import uuid
import zoneinfo
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Lower, TruncDate
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from apps.core.names import is_like_name, is_same_name
from apps.core.neutral import telling_word
from apps.core.spellings import mailbox

NEUTRAL_SENDER = "Rapport"


def validate_time_zone(value: str) -> None:
    """Refuse a name that is no IANA time zone, such as 'CET+1' or 'London'."""
    # "localtime" is the machine's own, which PostgreSQL does not know.
    if value not in zoneinfo.available_timezones() - {"localtime"}:
        raise ValidationError(
            _("“%(value)s” is no time zone; Europe/London is one."), params={"value": value}
        )


def validate_neutral(value: str) -> None:
    """Refuse a name that tells what messages are about, such as 'Fernbank Therapy'."""
    if word := telling_word(value):
        raise ValidationError(
            _("“%(word)s” tells what messages are about; Fernbank is a name that does not."),
            params={"word": word},
        )


class Practice(models.Model):
    """The tenant: nothing crosses it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120)
    sender_name = models.CharField(
        max_length=40,
        validators=[validate_neutral],
        help_text="neutral name on messages and client pages, e.g. 'Fernbank'",
    )
    country = models.CharField(max_length=2, help_text="ISO 3166-1, e.g. GB")
    time_zone = models.CharField(max_length=64, validators=[validate_time_zone])
    # Somebody clients can turn to who treats none of them. Nothing is sent before it is recorded.
    contact_name = models.CharField(max_length=120, blank=True)
    contact_phone = models.CharField(max_length=40, blank=True)
    contact_email = models.EmailField(blank=True)
    supervisor_wait_hours = models.PositiveSmallIntegerField(default=72)
    # Weekly sessions have at most five in any 30 days.
    most_requests_in_30_days = models.PositiveSmallIntegerField(
        default=5, validators=[MinValueValidator(1), MaxValueValidator(31)]
    )
    # From the end of a client's last treatment on; afterwards erasure is proposed. Empty: never.
    retention_years = models.PositiveSmallIntegerField(
        default=8, null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(100)]
    )
    # Who reviews the process notes of authors who have left, and hands records over.
    record_holder = models.ForeignKey(
        "Membership", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name

    @property
    def sender(self) -> str:
        """The name on messages and client pages: never one that tells, also where it is on record
        since before that was asked."""
        return NEUTRAL_SENDER if telling_word(self.sender_name) else self.sender_name

    @property
    def has_independent_contact(self) -> bool:
        """Whether clients can turn to somebody who treats none of them, also by now."""
        is_named = bool(self.contact_name and (self.contact_phone or self.contact_email))
        therapists = Membership.objects.with_role(Role.THERAPIST).filter(practice=self)
        return is_named and not any(map(self.contact_is, therapists.select_related("user")))

    def contact_is(self, member: "Membership") -> bool:
        """Whether the independent contact is this member, by the whole name or the address in any
        spelling. Whoever is only called alike (`contact_is_like`) stops no messages."""
        email = member.user.email if member.user else ""
        is_theirs = bool(self.contact_email) and mailbox(self.contact_email) == mailbox(email)
        return is_theirs or is_same_name(self.contact_name, member.name)

    def contact_is_like(self, member: "Membership") -> bool:
        """Whether the contact's name may be this member's, which managers know."""
        return is_like_name(self.contact_name, member.name)


class PracticeModel(models.Model):
    """Base of every row that belongs to one practice."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    practice = models.ForeignKey(Practice, on_delete=models.PROTECT, related_name="+")

    class Meta:
        abstract = True


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Store a user; without a password the account cannot sign in."""
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save()
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser):
    """A person who signs in. What they may do hangs on their memberships."""

    class Theme(models.TextChoices):
        AUTO = "auto", _("Follow my device")
        LIGHT = "light", _("Light")
        DARK = "dark", _("Dark")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    is_active = models.BooleanField(default=True)
    theme = models.CharField(max_length=5, choices=Theme, default=Theme.AUTO)
    sessions_ended = models.PositiveIntegerField(
        default=0, help_text="one more ends every session at its next request"
    )

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("email"), name="user_email_unique_in_any_case")
        ]

    def __str__(self) -> str:
        return str(self.id)

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """What each session is bound to: the password, and how often sessions were ended."""
        return salted_hmac(
            "apps.accounts.models.User.session",
            f"{self.sessions_ended}:{self.password}",
            secret=secret,
            algorithm="sha256",
        ).hexdigest()


class Role(models.TextChoices):
    THERAPIST = "therapist", _("Therapist")
    SUPERVISOR = "supervisor", _("Supervisor")
    MANAGER = "manager", _("Practice manager")


class MembershipQuerySet(models.QuerySet["Membership"]):
    def colleagues_of(self, member: "Membership") -> "MembershipQuerySet":
        """Everybody with a place in the member's practice, the member too."""
        return self.filter(practice=member.practice_id)

    def supervising(
        self, therapist: "Membership", *, on: date, since: datetime | None = None
    ) -> "MembershipQuerySet":
        """Who supervises the therapist on the day `on`, A to Z, and did already at `since`."""
        links = Supervision.objects.current(on=on).filter(supervisee=therapist)
        if since:
            links = links.begun_at(since)
        return self.filter(supervisions_given__in=links).distinct().order_by("name")

    def with_role(self, role: Role) -> "MembershipQuerySet":
        return self.filter(is_active=True, roles__contains=[role])

    def still_treating(self, *, on: date) -> "MembershipQuerySet":
        """Who has a treatment that has not ended by the day `on`, also without a place or role."""
        return self.filter(id__in=import_string(settings.WHO_TREATS)(on=on))

    def with_account(self) -> "MembershipQuerySet":
        """Whose place is taken: not one that an import made, which nobody has joined yet."""
        return self.filter(user__isnull=False)


class Membership(PracticeModel):
    """A person's place in one practice. Without a user it cannot sign in (made by an import)."""

    user = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="memberships"
    )
    name = models.CharField(max_length=120, help_text="as colleagues know the person")
    roles = ArrayField(models.CharField(max_length=10, choices=Role))
    is_active = models.BooleanField(default=True)
    last_sign_in_on = models.DateField(null=True, blank=True)
    joined_at = models.DateTimeField(
        null=True, blank=True, help_text="empty where it was before this was noted"
    )
    left_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="when the place was closed; empty while open, or closed before this was noted",
    )
    managed_until = models.DateTimeField(
        null=True,
        blank=True,
        help_text="when the role of a manager was taken away; empty where it never was",
    )
    wants_digest = models.BooleanField(default=False)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["practice", "user"], name="membership_once_per_practice"
            ),
            models.CheckConstraint(
                condition=Q(roles__contained_by=Role.values) & Q(roles__len__gte=1),
                name="membership_roles_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def was_taken(self) -> bool:
        """Whether somebody has ever worked in the place: before joining was noted, by a sign-in."""
        return bool(self.joined_at or self.last_sign_in_on)

    def has_role(self, role: Role) -> bool:
        return role in self.roles


class SupervisionQuerySet(models.QuerySet["Supervision"]):
    def in_practice_of(self, member: Membership) -> "SupervisionQuerySet":
        return self.filter(practice=member.practice_id)

    def not_over(self, *, on: date) -> "SupervisionQuerySet":
        """Those that hold on the day `on` or are to begin later."""
        return self.filter(Q(ends_on__isnull=True) | Q(ends_on__gte=on), ended_at__isnull=True)

    def begun_by(self, day: Combinable | date) -> "SupervisionQuerySet":
        """Those of which `day` is no day before `began_on`."""
        is_made = Q(created_at=None) | Q(created_at__date__lte=day)
        return self.filter(is_made, starts_on__lte=day)

    def begun_at(self, moment: Combinable | datetime) -> "SupervisionQuerySet":
        """Those that had begun, and were on record, at that moment (`Supervision.held_at`)."""
        is_made = Q(created_at=None) | Q(created_at__lte=moment)
        value = Value(moment) if isinstance(moment, datetime) else moment
        # `OuterRef` does not say that it is a moment.
        day = TruncDate(models.ExpressionWrapper(value, models.DateTimeField()))
        return self.filter(is_made, starts_on__lte=day)

    def current(self, *, on: date) -> "SupervisionQuerySet":
        """Supervisions that hold on the day `on`, first and last day included.

        As long as the supervisor works here as one: who loses the role loses the access.
        """
        return self.not_over(on=on).filter(
            starts_on__lte=on,
            supervisor__is_active=True,
            supervisor__roles__contains=[Role.SUPERVISOR],
        )


class Supervision(PracticeModel):
    """A dated relationship. It ends, and the supervisor's access ends with it."""

    supervisor = models.ForeignKey(
        Membership, on_delete=models.PROTECT, related_name="supervisions_given"
    )
    supervisee = models.ForeignKey(
        Membership, on_delete=models.PROTECT, related_name="supervisions_received"
    )
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True)
    ended_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="when it ended with the supervisor's place or role; else the last day ends it",
    )
    created_at = models.DateTimeField(
        default=timezone.now,
        null=True,
        editable=False,
        help_text="empty where it was before this was noted",
    )

    objects = SupervisionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(supervisor=F("supervisee")), name="supervision_of_somebody_else"
            ),
            models.CheckConstraint(
                condition=Q(ends_on__isnull=True) | Q(ends_on__gte=F("starts_on")),
                name="supervision_ends_after_it_starts",
            ),
            models.UniqueConstraint(
                fields=["supervisor", "supervisee"],
                condition=Q(ends_on__isnull=True),
                name="supervision_one_open_per_pair",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.supervisor} → {self.supervisee}"

    @property
    def began_on(self) -> date:
        """Its first day, or the one on which it was entered where that was later."""
        made_on = timezone.localdate(self.created_at) if self.created_at else self.starts_on
        return max(self.starts_on, made_on)

    def held_at(self, at: datetime) -> bool:
        """Whether it held at that moment, first and last day included, and was on record by then:
        a first day in the past opens no words of the time before it was entered."""
        day = timezone.localdate(at)
        is_over = self.ends_on is not None and self.ends_on < day
        has_ended = self.ended_at is not None and self.ended_at <= at
        is_made = self.created_at is None or self.created_at <= at
        return is_made and self.starts_on <= day and not is_over and not has_ended


class AccountLinkQuerySet(models.QuerySet["AccountLink"]):
    def open(self, *, at: datetime) -> "AccountLinkQuerySet":
        """Links that can still be used at `at`.

        One for a new password ends with the sessions of its person. An invitation asks for a yes
        alone where there is a password.
        """
        as_it_was = Q(membership__user__sessions_ended=F("sessions_ended"))
        return self.filter(
            as_it_was | Q(purpose=AccountLink.Purpose.INVITATION),
            used_at__isnull=True,
            expires_at__gt=at,
        )


class AccountLink(PracticeModel):
    """A mailed link that works once: to join a practice, or to choose a new password.

    Its token is made when the mail is sent and stored nowhere (`apps.accounts.links`).
    """

    class Purpose(models.TextChoices):
        INVITATION = "invitation", _("Invitation")
        PASSWORD_RESET = "password_reset", _("New password")  # pragma: allowlist secret

    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="links")
    purpose = models.CharField(max_length=14, choices=Purpose)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, help_text="when it was used or withdrawn")
    sessions_ended = models.PositiveIntegerField(
        default=0, help_text="of the person when it was asked for"
    )

    objects = AccountLinkQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(purpose__in=["invitation", "password_reset"]),
                name="account_link_purpose_known",
            ),
        ]
        indexes = [models.Index(fields=["practice", "membership"], name="account_link_by_member")]

    def __str__(self) -> str:
        return f"{self.purpose} {self.id}"


class NoticeQuerySet(models.QuerySet["Notice"]):
    def told_to(self, member: Membership) -> "NoticeQuerySet":
        return self.filter(member=member)

    def unread_by(self, member: Membership) -> "NoticeQuerySet":
        return self.told_to(member).filter(read_at__isnull=True)


class Notice(PracticeModel):
    """Something a member is told once, in the app. Its words are made when it is shown, from the
    row it is about and by the renderer of its kind (`settings.NOTICE_RENDERERS`)."""

    member = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=40, help_text="key of settings.NOTICE_RENDERERS")
    subject_id = models.UUIDField(help_text="row that it is about")
    mark = models.CharField(
        max_length=50, blank=True, help_text="tells repetitions apart, e.g. a moment"
    )
    created_at = models.DateTimeField(default=timezone.now)
    read_at = models.DateTimeField(null=True)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["practice", "member", "kind", "subject_id", "mark"],
                name="notice_told_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} for {self.member_id}"


class Digest(PracticeModel):
    """That a member's weekly mail was decided about: sent where something waited, else not."""

    member = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="+")
    week_of = models.DateField(help_text="its Monday")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["practice", "member", "week_of"], name="digest_once_a_week"
            )
        ]

    def __str__(self) -> str:
        return f"digest of {self.member_id}, {self.week_of}"
