"""Clients, how they may be reached, and the treatments they are in."""

from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from typing import Self
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Exists, F, Min, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import (
    Membership,
    PracticeModel,
    Role,
    Supervision,
    validate_time_zone,
)
from apps.accounts.oneself import ALONE_WAITS
from apps.core import crypto
from apps.core.fields import BlindIndexField, EncryptedTextField
from apps.core.spellings import as_before, mailbox

# A consent is asked about again after this time; until it is, nothing is sent.
CONSENT_HOLDS = timedelta(days=180)
NOBODY = UUID(int=0)
# So long after a treatment has ended, who reads the mailbox may take a form for one about it.
REMEMBERED_FOR = timedelta(days=30)


class ClientQuerySet(models.QuerySet["Client"]):
    def treated_by(self, membership: Membership, *, on: date | None = None) -> Self:
        """Clients whom the member, as a therapist, treats on the day `on` (today)."""
        if not membership.has_role(Role.THERAPIST):
            return self.none()
        on = on or timezone.localdate()
        mine = Treatment.objects.current(on=on).filter(therapist=membership, client=OuterRef("pk"))
        return self.filter(Exists(mine), practice=membership.practice_id)

    def kept_by(self, membership: Membership, *, on: date | None = None) -> Self:
        """Clients with a treatment that has ended: the practice's record holder answers for that.

        None to whoever holds no records; none whom the holder treats, or who was erased. A holder
        who treated a client after somebody else waits for seven days: nobody closes a treatment
        to read what others wrote, and begins it again. What a hand-over ended is theirs later, too
        (`left_to_holder`).
        """
        on = on or timezone.localdate()
        ended = Treatment.objects.left_to_holder(on=on).filter(client=OuterRef("pk"))
        mine = Treatment.objects.current(on=on).filter(therapist=membership, client=OuterRef("pk"))
        all_ended = Treatment.objects.ended(on=on).filter(client=OuterRef("pk"))
        lately = all_ended.filter(therapist=membership, ends_on__gt=on - ALONE_WAITS)
        return self.filter(
            ~Exists(lately) | ~Exists(all_ended.exclude(therapist=membership)),
            Exists(ended),
            ~Exists(mine),
            practice=membership.practice_id,
            practice__record_holder=membership,
            erased_at=None,
        )

    def visible_to(self, membership: Membership, *, on: date | None = None) -> Self:
        """Clients the member may know of: treated, or treated by a current supervisee.

        The one door: every other `visible_to` goes through it. It goes by relationship, which
        nobody has who lost its role; what may be seen *of* the client is decided behind it.
        """
        on = on or timezone.localdate()
        supervisees = (
            Supervision.objects.current(on=on).filter(supervisor=membership).values("supervisee")
        )
        # Of two kinds whatever the role: by supervisees alone PostgreSQL plans badly while its
        # statistics are young, by minutes for 60 of them.
        mine = membership.pk if membership.has_role(Role.THERAPIST) else NOBODY
        seen = Treatment.objects.current(on=on).filter(
            Q(therapist=mine) | Q(therapist__in=supervisees), client=OuterRef("pk")
        )
        return self.filter(Exists(seen), practice=membership.practice_id)

    def nameable_to(self, membership: Membership, ids: Collection[UUID]) -> set[UUID]:
        """Which of these clients a notice may name to the member today, in one look-up.

        Each opening of a page with it is a row under the client, which whoever treats them by then
        reads in *Who looked*.
        """
        return set(self.visible_to(membership).filter(id__in=ids).values_list("id", flat=True))


class Client(PracticeModel):
    """A person in therapy. No name is stored: a code, and initials for the therapist."""

    class Consent(models.TextChoices):
        AGREED = "agreed", _("Agrees to be asked")
        IN_ROOM = "in_room", _("Only in the room")
        DECLINED = "declined", _("Would rather not")

    code = models.CharField(max_length=20)
    initials = models.CharField(max_length=10)
    country = models.CharField(max_length=2)
    time_zone = models.CharField(max_length=64, validators=[validate_time_zone])
    language = models.CharField(max_length=12, default="en-gb")
    discussed_on = models.DateField(null=True, blank=True)
    consent = models.CharField(max_length=10, choices=Consent, blank=True)
    # Asking rests for a clinical reason until somebody ends the pause; the review day only reminds.
    pause_reason = EncryptedTextField(client="id", blank=True)
    pause_review_on = models.DateField(null=True, blank=True)
    paused_in = models.ForeignKey(
        "Treatment",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="the treatment in which the pause that lasts began",
    )
    # Processing is restricted: nothing is sent and nothing is screened, what is there is kept.
    restricted_at = models.DateTimeField(null=True, blank=True)
    # A legal hold: nothing of this client is erased while it stands.
    held_at = models.DateTimeField(null=True, blank=True)
    erased_at = models.DateTimeField(null=True, blank=True)
    # Keyed hashes of the code they had: a file that still names them brings nobody back.
    erased_code = models.BinaryField(default=bytes)

    objects = ClientQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["practice", "code"], name="client_code_unique"),
            models.CheckConstraint(
                condition=~Q(code__regex=r"^\s|\s$|[[:cntrl:]]"),
                name="client_code_is_what_it_looks_like",
            ),
            models.CheckConstraint(
                condition=Q(consent="") | Q(discussed_on__isnull=False),
                name="client_consent_follows_discussion",
            ),
            models.CheckConstraint(
                condition=Q(consent__in=["", "agreed", "in_room", "declined"]),
                name="client_consent_known",
            ),
            models.CheckConstraint(
                condition=Q(pause_review_on__isnull=True) | ~Q(pause_reason=""),
                name="client_pause_has_a_reason",
            ),
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def consent_holds_until(self) -> date | None:
        """Last day on which the answer given counts; None where nothing was discussed."""
        return self.discussed_on + CONSENT_HOLDS if self.discussed_on else None

    def consent_has_lapsed(self, *, on: date) -> bool:
        """Whether the client agreed, in whatever way, and must be asked about it again."""
        until = self.consent_holds_until
        agreed = self.consent in {self.Consent.AGREED, self.Consent.IN_ROOM}
        return bool(agreed and until and until < on)

    def pause_is_due(self, *, on: date) -> bool:
        """Whether asking rests, and it is time to review that."""
        return bool(self.pause_review_on and self.pause_review_on <= on)


class ContactChannelQuerySet(models.QuerySet["ContactChannel"]):
    def usable(self) -> Self:
        """Channels that something may be sent by: recorded as safe, and not stopped."""
        return self.filter(safe_to_contact=True, stopped_at__isnull=True)

    def with_address(self, address: str, *, practice_id: UUID) -> Self:
        """Channels of the practice with this email address or number, in any spelling."""
        known_by = _indexes(address, practice_id=practice_id)
        return self.filter(practice=practice_id, address_index__in=known_by)

    def beside(self, channel: "ContactChannel") -> Self:
        """Channels of other clients of the practice that lead to the same mailbox."""
        there = self.filter(practice=channel.practice_id, address_index=channel.address_index)
        return there.exclude(address="").exclude(client=channel.client_id)

    def stopped_by_reader(self) -> Self:
        """Channels stopped by who reads them, while they led to the mailbox that they are known by:
        a wrong one is known by its own, wherever else it leads by now."""
        why = ContactChannel.StopReason
        said_there = Q(address_since__isnull=True) | Q(stopped_at__gte=F("address_since"))
        return self.filter(
            Q(stop_reason=why.NOT_MINE)
            | Q(said_there, stop_reason__in=[why.STOPPED, why.COMPLAINED])
        )


class ContactChannel(PracticeModel):
    """One way of reaching a client, used only where it is recorded as safe and not stopped.

    Where a stopped one's address was taken away, the row stays: the stop holds for the next one.
    """

    class Kind(models.TextChoices):
        EMAIL = "email", _("Email")
        TEXT = "text", _("Text message")

    class StopReason(models.TextChoices):
        STOPPED = "stopped", _("The client stopped messages")
        SWITCHED = "switched", _("The client switched to another way")
        NOT_MINE = "not_mine", _("Somebody else gets these messages")
        COMPLAINED = "complained", _("Messages were marked as unwanted")
        REFUSED = "refused", _("Their phone takes no texts from us")
        BOUNCED = "bounced", _("Messages come back")

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="channels")
    kind = models.CharField(max_length=5, choices=Kind)
    address = EncryptedTextField(client="client_id")
    address_index = BlindIndexField(of="mailbox")
    address_since = models.DateTimeField(
        null=True, help_text="since when it leads to this mailbox; nobody noted it before"
    )
    safe_to_contact = models.BooleanField()
    stopped_at = models.DateTimeField(null=True)
    stop_reason = models.CharField(max_length=10, choices=StopReason, blank=True)

    objects = ContactChannelQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["client", "kind"], name="channel_one_per_kind"),
            models.CheckConstraint(
                condition=~Q(address="") | Q(stopped_at__isnull=False, safe_to_contact=False),
                name="channel_has_an_address_or_a_stop",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["email", "text"]), name="channel_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(stopped_at__isnull=True, stop_reason="")
                | (Q(stopped_at__isnull=False) & ~Q(stop_reason="")),
                name="channel_stopped_has_a_reason",
            ),
        ]
        indexes = [
            models.Index(fields=["practice", "client"], name="channel_by_client"),
            models.Index(fields=["practice", "address_index"], name="channel_by_address"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.client_id}"

    @property
    def mailbox(self) -> str:
        return mailbox(self.address)

    @property
    def is_wrong_address(self) -> bool:
        """Whether it was stopped because of where it leads to, and not by the client's wish."""
        return self.stop_reason in {self.StopReason.NOT_MINE, self.StopReason.BOUNCED}

    def is_known_as(self, address: str) -> bool:
        """Whether this is its address in any spelling; of a wrong one, the address that was."""
        return bytes(self.address_index) in _indexes(address, practice_id=self.practice_id)

    def lead_to(self, address: str, *, safe: bool) -> None:
        """Save another address ('' for none). A wrong one is known by its index until it ends."""
        if not self.is_known_as(address):
            self.address_since = timezone.now()
        self.address, self.safe_to_contact = address, safe
        changed = ["address", "address_since", "safe_to_contact"]
        self.save(update_fields=changed if self.is_wrong_address else None)


class ReachedMailboxQuerySet(models.QuerySet["ReachedMailbox"]):
    def beside(self, channel: ContactChannel) -> Self:
        """Of other clients of the practice, the mailbox that the channel leads to."""
        there = self.filter(practice=channel.practice_id, address_index=channel.address_index)
        return there.exclude(client=channel.client_id)

    def wrong(self, channel: ContactChannel) -> Self:
        """The mailbox that the channel leads to, where its reader said it is not the client's."""
        found = _indexes(channel.address, practice_id=channel.practice_id)
        return self.filter(
            client=channel.client_id, address_index__in=found, wrong_since__isnull=False
        )


class ReachedMailbox(PracticeModel):
    """A mailbox that a message about a client went to, by a keyed hash.

    It stays where the client's record leads elsewhere by now: who reads there knows such messages.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="reached_mailboxes")
    address_index = models.BinaryField()
    since = models.DateTimeField(default=timezone.now)
    wrong_since = models.DateTimeField(
        null=True, help_text="when its reader said that it is not the client's"
    )

    objects = ReachedMailboxQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["practice", "address_index", "client"], name="mailbox_reached_once"
            )
        ]

    def __str__(self) -> str:
        return f"mailbox of {self.client_id}"


def _indexes(address: str, *, practice_id: UUID) -> set[bytes]:
    """Keyed hashes that a channel with this address can have, that of before among them; but for
    what begins with `+`, which was one mailbox of its host then, whoever had it."""
    spellings = {mailbox(address), as_before(address)}
    return {
        crypto.blind_index(each, practice_id=practice_id)
        for each in spellings
        if not each.startswith("@")
    }


class TreatmentQuerySet(models.QuerySet["Treatment"]):
    def not_ended(self, *, on: date) -> Self:
        """Treatments not ended by the day `on`, those that begin later among them."""
        return self.filter(Q(ends_on__isnull=True) | Q(ends_on__gt=on))

    def current(self, *, on: date) -> Self:
        """Treatments that give access on the day `on`: on the day one ends, its access is over.

        One planned for later counts as well, as its therapist wrote it down; one that follows
        another does from its first day on.
        """
        return self.not_ended(on=on).filter(Q(follows__isnull=True) | Q(starts_on__lte=on))

    def lately(self, *, on: date) -> Self:
        """Those that are current on the day `on`, or ended in the `REMEMBERED_FOR` before it."""
        return self.current(on=on) | self.filter(ends_on__lte=on, ends_on__gt=on - REMEMBERED_FOR)

    def ended(self, *, on: date) -> Self:
        """Treatments that ended on the day `on` or before it."""
        return self.filter(ends_on__lte=on)

    def ended_by_word(self) -> Self:
        """Those that their therapist closed, or moved the client on from: no hand-over ended them.
        To be asked by `id__in`, as of several moves each is a row."""
        moved = Q(moves__moves_on=F("ends_on"), moves__called_off_at=None)
        return self.filter(Q(ending__isnull=False) | moved)

    def left_to_holder(self, *, on: date) -> Self:
        """Those that ended by their therapist's word, closed or moved, or seven days ago, and the
        holder's own: nobody hands a client over, and back, to read what others wrote."""
        by_word = Treatment.objects.ended_by_word()
        own = Q(therapist=F("practice__record_holder"))
        is_left = own | Q(id__in=by_word.values("id")) | Q(ends_on__lte=on - ALONE_WAITS)
        return self.ended(on=on).filter(is_left)

    def not_followed(self, *, on: date | None = None) -> Self:
        """The last treatment of each client; on the day `on`, of those that have begun."""
        if on is None:
            return self.filter(followed_by=None)
        return self.filter(starts_on__lte=on).exclude(followed_by__starts_on__lte=on)

    def visible_to(self, membership: Membership, *, on: date | None = None) -> Self:
        """Current treatments of clients that the member may know of."""
        on = on or timezone.localdate()
        clients = Client.objects.visible_to(membership, on=on)
        return self.current(on=on).filter(client__in=clients)

    def conducted_by(self, membership: Membership, *, on: date | None = None) -> Self:
        """The member's own caseload: current treatments they conduct themselves, as therapist.

        A part of `visible_to`, said directly: going through its clients again makes a query that
        PostgreSQL plans badly while its statistics are young, by minutes for 300 clients.
        """
        if not membership.has_role(Role.THERAPIST):
            return self.none()
        on = on or timezone.localdate()
        return self.current(on=on).filter(therapist=membership, practice=membership.practice_id)

    def restricted(self) -> Self:
        """Of clients whose processing is restricted; of who was erased, figures are nobody's."""
        return self.filter(client__restricted_at__isnull=False, client__erased_at=None)

    def to_hand_over(self, therapist: Membership, *, on: date) -> Self:
        """The therapist's caseload for whoever manages the practice: to be shown by code only.

        With clients who come to them later.
        """
        return self.not_ended(on=on).filter(therapist=therapist, practice=therapist.practice_id)


class Treatment(PracticeModel):
    """One client and one therapist over time. A new therapist starts a new one, as it ends.

    Those of a client are a chain: each but the first follows another. Days alone do not order them,
    as several may begin and end on one.
    """

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="treatments")
    therapist = models.ForeignKey(Membership, on_delete=models.PROTECT, related_name="treatments")
    approach = models.CharField(max_length=40, blank=True, help_text="e.g. CBT, Psychodynamic")
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True)
    follows = models.ForeignKey(
        "self",
        on_delete=models.RESTRICT,
        null=True,
        blank=True,
        related_name="followed_by",
        help_text="the client's treatment before this one",
    )
    # Of pauses that began in this treatment: kept as long as a legal hold stands.
    ended_pause_reasons = EncryptedTextField(
        client="client_id", blank=True, default="", db_default=""
    )

    objects = TreatmentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["client"],
                condition=Q(ends_on__isnull=True),
                name="treatment_one_open_per_client",
            ),
            models.UniqueConstraint(
                fields=["client"],
                condition=Q(follows__isnull=True),
                name="treatment_one_first_per_client",
            ),
            models.UniqueConstraint(
                fields=["follows"],
                deferrable=models.Deferrable.DEFERRED,
                name="treatment_followed_by_one",
            ),
            models.CheckConstraint(
                condition=Q(ends_on__isnull=True) | Q(ends_on__gte=F("starts_on")),
                name="treatment_ends_after_it_starts",
            ),
        ]
        indexes = [models.Index(fields=["practice", "therapist"], name="treatment_by_therapist")]

    def __str__(self) -> str:
        return f"{self.client_id} with {self.therapist_id}"

    @property
    def has_begun(self) -> bool:
        """Whether its therapist may know of it; one that follows another begins on its day."""
        return self.follows_id is None or self.starts_on <= timezone.localdate()

    def was_anothers(self, day: date) -> bool:
        """Whether a day of before was another therapist's."""
        return day < self.starts_on and self.day_is_anothers(day)

    def day_is_anothers(self, day: date) -> bool:
        """Whether a day, of before or past the end, is another therapist's: of who treated the
        client then or, where nobody did, of who did next."""
        if self.starts_on <= day and (self.ends_on is None or day < self.ends_on):
            return False
        lasting = Treatment.objects.not_ended(on=day).filter(client=self.client_id)
        whose = lasting.filter(starts_on__lte=day)
        if not whose.exists():
            first_on = lasting.aggregate(day=Min("starts_on"))["day"]
            whose = lasting.filter(starts_on=first_on).exclude(follows__starts_on=first_on)
        return whose.exclude(therapist=self.therapist_id).exists()

    def begins_before(self, day: date) -> bool:
        """Whether its therapist may know of it by then, or already."""
        return self.has_begun or self.starts_on < day

    def followed_by_move(self) -> "Treatment | None":
        """The treatment to which the client moved as this one ended; None where they did not."""
        moved = Q(follows__moves__arranged_at__isnull=False, follows__moves__called_off_at=None)
        return self.followed_by.filter(moved).select_related("therapist").first()

    @property
    def ends_at(self) -> datetime | None:
        """When access ends: as the day `ends_on` begins in the practice; None while it is open."""
        if self.ends_on is None:
            return None
        return datetime.combine(self.ends_on, time.min, tzinfo=ZoneInfo(self.practice.time_zone))

    @property
    def has_ended(self) -> bool:
        """Whether access is over by now: nobody reads what is answered."""
        return self.ends_at is not None and self.ends_at <= timezone.now()


class TwoPersonRequestQuerySet(models.QuerySet["TwoPersonRequest"]):
    def in_practice_of(self, member: Membership) -> Self:
        """Requests of the member's practice, to be shown by the client's code only."""
        return self.filter(practice=member.practice_id).select_related(
            "client", "requested_by", "holder"
        )


class TwoPersonRequest(PracticeModel):
    """A wish for what cannot be undone. It takes two people, or one person and seven days."""

    class Kind(models.TextChoices):
        ERASE_CLIENT = "erase_client", _("Erase the client")
        ERASE_TEXTS = "erase_texts", _("Erase texts")
        EXPORT_ALL = "export_all", _("Export all records")

    kind = models.CharField(max_length=12, choices=Kind, default=Kind.ERASE_CLIENT)
    client = models.ForeignKey(
        Client, on_delete=models.PROTECT, null=True, related_name="two_person_requests"
    )
    texts = ArrayField(
        models.CharField(max_length=120),
        default=list,
        help_text="which texts, as 'table.column:id of the row'",
    )
    requested_by = models.ForeignKey(
        Membership,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="nobody where the time of keeping is over: then two people have to agree",
    )
    is_proposal = models.BooleanField(
        default=False, help_text="Rapport asked, because the time of keeping was over"
    )
    requested_at = models.DateTimeField()
    holder = models.ForeignKey(
        Membership,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="of an export: the record holder whom it is for, and nobody else",
    )
    closed_by = models.ForeignKey(Membership, on_delete=models.PROTECT, null=True, related_name="+")
    closed_at = models.DateTimeField(null=True, help_text="when it was carried out or withdrawn")
    is_carried_out = models.BooleanField(default=False)

    objects = TwoPersonRequestQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["practice", "kind", "client"],
                condition=Q(closed_at__isnull=True) & ~Q(kind="erase_texts"),
                nulls_distinct=False,
                name="two_person_request_one_open",
            ),
            models.CheckConstraint(
                condition=Q(kind="export_all", client__isnull=True)
                | Q(kind__in=["erase_client", "erase_texts"], client__isnull=False),
                name="two_person_request_about_whom",
            ),
        ]
        indexes = [models.Index(fields=["practice", "client"], name="two_person_request_by_client")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.client_id}"
