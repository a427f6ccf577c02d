"""Writes about practices and the people in them."""

from contextlib import AbstractContextManager, nullcontext
from datetime import date, timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.db.models import Max, Min, Q, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from apps.accounts import links, notices, oneself
from apps.accounts.models import AccountLink, Membership, Practice, Role, Supervision, User
from apps.accounts.selectors import memberships_of
from apps.accounts.sign_in_services import end_sessions
from apps.accounts.turns import hold, hold_practice
from apps.core import audit


class PlaceTaken(Exception):
    """Somebody has joined by the invitation to this place."""


class AlreadyMember(Exception):
    """The address belongs to somebody who has a place in the practice."""


class LastManager(Exception):
    """Without this member nobody could manage the practice."""


class NeverJoined(Exception):
    """The member has not taken the place they were offered: invite them again."""


class SupervisesStill(Exception):
    """A supervision of theirs would open again at once: it has to end first."""


@transaction.atomic
def create_practice(
    *,
    name: str,
    sender_name: str,
    country: str,
    time_zone: str,
    contact_name: str = "",
    contact_phone: str = "",
    contact_email: str = "",
) -> Practice:
    """Open an empty practice. Raises ValidationError for a field out of range."""
    practice = Practice(
        name=name,
        sender_name=sender_name,
        country=country.upper(),
        time_zone=time_zone,
        contact_name=contact_name,
        contact_phone=contact_phone,
        contact_email=contact_email,
    )
    practice.full_clean()
    practice.save()
    audit.record("create practice", practice, by=None)
    return practice


@transaction.atomic
def add_member(
    *,
    practice: Practice,
    name: str,
    roles: list[Role],
    email: str = "",
    password: str | None = None,
    by: Membership | None,
) -> Membership:
    """Give a person a place in the practice; without an e-mail address they cannot sign in.

    A person who works in another practice already keeps their account and password.
    """
    user = _account(email, password) if email else None
    joined_at = timezone.now() if user else None
    member = Membership.objects.create(
        practice=practice, user=user, name=name, roles=roles, joined_at=joined_at
    )
    audit.record("add member", member, by=by)
    _tell_of_contact(member)
    return member


@transaction.atomic
def invite_member(
    *, practice: Practice, name: str, email: str, roles: list[Role], by: Membership | None
) -> Membership:
    """Offer a person a place in the practice: they join once they open the link in the mail.

    A person who has an account elsewhere keeps it; nobody learns that they have one.

    Raises:
        AlreadyMember: the address has a place here, open, closed or offered.
        TooNew: managers are invited by who has been here longer.
    """
    if Role.MANAGER in roles:
        oneself.refuse_newcomer(by)
    user = _account(email, None)
    try:
        with transaction.atomic():
            member = Membership.objects.create(
                practice=practice, user=user, name=name, roles=roles, is_active=False
            )
    except IntegrityError:
        raise AlreadyMember from None
    links.mail(member, AccountLink.Purpose.INVITATION, settings.INVITATION_VALID_FOR)
    audit.record("invite member", member, by=by)
    return member


@transaction.atomic
def invite_to_place(*, member: Membership, email: str, by: Membership) -> None:
    """Offer a place that nobody has taken yet; an invitation sent before stops working.

    The place is that of somebody invited before, or one that an import made: then it is closed
    until the person joins, and who joins finds the clients imported for it.

    Raises:
        AlreadyMember: the address has another place here, open, closed or offered.
        PlaceTaken: somebody has taken it, perhaps at this moment.
        TooNew
    """
    oneself.refuse_newcomer(by)
    links.hold(member)
    member.refresh_from_db()
    if not may_be_invited(member):
        raise PlaceTaken
    member.user, member.is_active = _account(email, None), False
    member.joined_at = member.left_at = None  # nobody has taken the place, so nobody left it
    try:
        with transaction.atomic():
            member.save(update_fields=["user", "is_active", "joined_at", "left_at"])
    except IntegrityError:
        raise AlreadyMember from None
    links.mail(member, AccountLink.Purpose.INVITATION, settings.INVITATION_VALID_FOR)
    audit.record("invite member", member, by=by)


@transaction.atomic
def accept_invitation(*, link_id: UUID, password: str) -> Membership:
    """Join the practice, or come back to it. `password` is set only where the person has none yet.

    Raises:
        LinkClosed: nothing was changed.
    """
    for link in AccountLink.objects.filter(id=link_id).select_related("practice"):
        hold(link.practice)
    member, user = links.use(link_id, AccountLink.Purpose.INVITATION)
    if not user.has_usable_password():
        user.set_password(password)
        user.save(update_fields=["password"])
    # Also where they work elsewhere first: a place that was taken is never offered to another.
    member.last_sign_in_on = timezone.localdate()
    member.save(update_fields=["last_sign_in_on"])
    _open_place(member)
    audit.record("join practice", member, by=member)
    return member


def _open_place(member: Membership) -> None:
    """Who joins is new, and who was away for seven days is as new: they wait as `oneself` says.

    Who is here stays who they are, and needs no invitation.
    """
    links.withdraw(member, AccountLink.Purpose.INVITATION)
    if member.is_active:
        return
    now = timezone.now()
    if member.left_at is None or member.left_at <= now - oneself.ALONE_WAITS:
        member.joined_at = now
    member.is_active, member.left_at = True, None
    member.save(update_fields=["is_active", "joined_at", "left_at"])
    _tell_of_contact(member)


def _tell_of_contact(member: Membership) -> None:
    """Tell the managers where somebody who treats clients from now on is, or may be, whom clients
    can turn to beside their therapist."""
    practice, moment = member.practice, timezone.now().isoformat()
    if not (member.is_active and member.has_role(Role.THERAPIST)):
        return
    if practice.contact_is(member) or practice.contact_is_like(member):
        for manager in Membership.objects.with_role(Role.MANAGER).filter(practice=practice):
            notices.tell(member=manager, kind="contact_treats", subject=member, mark=moment)


@transaction.atomic
def change_roles(*, member: Membership, roles: list[Role], by: Membership) -> None:
    """Give the member these roles and no others; their sessions end at the next request, and the
    supervisions they give with the role.

    Raises, with nothing changed:
        LastManager
        NotOneself: nobody changes their own roles where another manager could.
        SupervisesStill: the only manager makes themselves a supervisor, who has a supervision.
        TooNew: a role is given, or taken from another manager. Else it is taken away at once.
    """
    hold_practice(by)
    given, taken = set(roles) - set(member.roles), set(member.roles) - set(roles)
    oneself.refuse_newcomer(by, takes_from=None if given else member)
    if Role.MANAGER not in roles:
        _refuse_last_manager(member)
    if by.id == member.id:
        if oneself.must_ask_another(by):
            raise oneself.NotOneself
        supervisions = Supervision.objects.not_over(on=timezone.localdate()).filter(
            supervisor=member
        )
        becomes_supervisor = Role.SUPERVISOR in roles and not member.has_role(Role.SUPERVISOR)
        if becomes_supervisor and supervisions.exists():
            raise SupervisesStill
    with _letting_go(member, by=by) if Role.THERAPIST in taken else nullcontext():
        if member.is_active:
            _end_sessions_of(member)  # the person before their place, as who signs in
        member.roles = roles
        if Role.MANAGER in taken:
            member.managed_until = timezone.now()
        member.save(update_fields=["roles", "managed_until"])
    if Role.SUPERVISOR in taken:
        _end_supervisions(member, by=by)
    if Role.THERAPIST in given:
        _tell_of_contact(member)
    audit.record("change roles", member, by=by)


@transaction.atomic
def deactivate_member(*, member: Membership, by: Membership) -> None:
    """Close the member's place here: every access ends at the next request, offers are withdrawn.

    The supervisions they give end for good, and they hold the practice's records no more. The
    supervisions they get stay: their supervisors go on seeing their clients' flags until the
    clients are handed over.

    Raises, with nothing changed:
        LastManager
        TooNew: the member is another manager.
    """
    hold_practice(by)
    _refuse_last_manager(member)
    oneself.refuse_newcomer(by, takes_from=member)
    with _letting_go(member, by=by):
        links.withdraw(member, *AccountLink.Purpose)  # before sessions end, as who uses one does
        if member.is_active:
            # Whoever never joined has no sessions here: those elsewhere are another's.
            _end_sessions_of(member)
            # Twice equals once: the day on which a closed place was closed stays.
            member.is_active, member.left_at = False, timezone.now()
            if member.has_role(Role.MANAGER):
                member.managed_until = member.left_at
            member.save(update_fields=["is_active", "left_at", "managed_until"])
    _end_supervisions(member, by=by)
    if by.practice.record_holder_id == member.id:
        _change_holder(by.practice, None, by=by)
    audit.record("deactivate member", member, by=by)


def _letting_go(member: Membership, *, by: Membership) -> AbstractContextManager[None]:
    """Around what takes a therapist's place or role: what becomes of clients by it."""
    letting_go: AbstractContextManager[None] = import_string(settings.TREATS_NO_MORE)(member, by=by)
    return letting_go


@transaction.atomic
def reactivate_member(*, member: Membership, by: Membership) -> bool:
    """Open the place of somebody who has worked here before; their roles are as they were. Twice
    equals once.

    Who works elsewhere by now is invited instead, and says yes or no: nobody is signed out of
    another practice, or seen by one they have left, without a word of theirs.

    Returns:
        Whether the place is open; else the invitation is on its way.

    Raises, with nothing changed:
        NeverJoined
        NotOneself: nobody opens their own place.
        TooNew
    """
    oneself.refuse_newcomer(by)
    if by.id == member.id:
        raise oneself.NotOneself
    if member.is_active:
        return True
    if is_waiting(member):
        raise NeverJoined
    if member.user_id and memberships_of(member.user_id):
        links.mail(member, AccountLink.Purpose.INVITATION, settings.INVITATION_VALID_FOR)
        audit.record("invite member", member, by=by)
        return False
    _open_place(member)
    _end_sessions_of(member)
    audit.record("reactivate member", member, by=by)
    return True


@transaction.atomic
def end_supervision(*, supervision: Supervision, ends_on: date, by: Membership) -> None:
    """Set the last day of a supervision; the supervisor's access ends with it, and they are told.

    So are the other managers, where it is the supervisee's doing. A day before its first ends it at
    once: what is still to begin never does, and the supervisee is told too.

    Raises:
        NotOneself: nobody ends the supervision that they get where another manager could.
        TooNew
    """
    oneself.refuse_newcomer(by)
    if by.id == supervision.supervisee_id and oneself.must_ask_another(by):
        raise oneself.NotOneself
    if ends_on < supervision.starts_on:
        _end_at_once(supervision, by=by)
    else:
        _end_supervision(supervision, ends_on=ends_on, by=by)


def _end_supervision(supervision: Supervision, *, ends_on: date, by: Membership) -> None:
    supervision.ends_on = ends_on
    supervision.save(update_fields=["ends_on", "ended_at"])
    for member in _told_of_the_end(supervision, by):
        notices.tell_anew(member=member, kind="supervision_ends", subject=supervision)
    audit.record("end supervision", supervision, by=by)


def _told_of_the_end(supervision: Supervision, by: Membership) -> QuerySet[Membership]:
    told = Membership.objects.filter(id=supervision.supervisor_id)
    # Who could not end it by itself did so with the supervisor's place or role.
    if by.id == supervision.supervisee_id or oneself.is_new(by):
        told |= Membership.objects.colleagues_of(by).filter(oneself.manages_lately())
    return told.exclude(id=by.id)


def _end_supervisions(supervisor: Membership, *, by: Membership) -> None:
    """Those they give end now; what was to begin later never does."""
    for supervision in supervisor.supervisions_given.not_over(on=timezone.localdate()):
        _end_at_once(supervision, by=by)


def _end_at_once(supervision: Supervision, *, by: Membership) -> None:
    """With today as its last day; what is still to begin is withdrawn."""
    today = timezone.localdate()
    if supervision.starts_on <= today:
        supervision.ended_at = supervision.ended_at or timezone.now()
        _end_supervision(supervision, ends_on=today, by=by)
        return
    supervisor, supervisee = supervision.supervisor, supervision.supervisee
    told = dict.fromkeys(_told_of_the_end(supervision, by), supervisee)
    if supervisee != by:
        told[supervisee] = supervisor
    for member, subject in told.items():
        notices.tell(
            member=member, kind="supervision_withdrawn", subject=subject, mark=str(supervision.id)
        )
    audit.record("withdraw supervision", supervision, by=by)
    supervision.delete()


@transaction.atomic
def give_sign_in(
    *, member: Membership, email: str, password: str | None = None, by: Membership | None
) -> None:
    """Let a member who was made by an import sign in, and so see the clients imported for them.

    A person who works in another practice already keeps their account and password.
    """
    member.user, member.joined_at = _account(email, password), timezone.now()
    member.save(update_fields=["user", "joined_at"])
    audit.record("give sign-in", member, by=by)
    _tell_of_contact(member)


def _account(email: str, password: str | None) -> User:
    """The person's account, made where there is none; of two at once the second finds it."""
    user, _created = User.objects.get_or_create(
        email=email.strip().lower(), defaults={"password": make_password(password)}
    )
    return user


@transaction.atomic
def start_supervision(
    *,
    supervisor: Membership,
    supervisee: Membership,
    starts_on: date,
    ends_on: date | None = None,
    by: Membership | None,
) -> Supervision:
    """Let `supervisor` see `supervisee`'s flags from `starts_on` to `ends_on`; the latter is told.

    Twice equals once: where the two have an open link, or one of these days, it stays as it is.
    What adjoins or overlaps is one supervision: one that goes on has begun when its first term did.
    A term that is over adjoins none: who begins anew reads nothing of between.

    Raises:
        NotOneself: another manager must name `by` as supervisor.
        ValueError: `starts_on` comes before the day of `oneself.access_from`, which lies ahead.
    """
    first = oneself.access_from(to=supervisor, by=by)
    if starts_on < first > timezone.localdate():
        raise ValueError("too soon")
    hold(supervisee.practice)
    today, day = timezone.localdate(), timedelta(days=1)
    last = ends_on or date.max
    pair = Supervision.objects.filter(supervisor=supervisor, supervisee=supervisee, ended_at=None)
    holds = Q(starts_on__lte=min(max(starts_on, today), last), ends_on__gte=last)
    if standing := pair.filter(Q(ends_on=None) | holds).first():
        return standing
    joined = pair.not_over(on=today).filter(
        ends_on__gte=max(starts_on, today) - day, starts_on__lte=min(last, date.max - day) + day
    )
    days = joined.aggregate(first=Min("starts_on"), last=Max("ends_on"))
    if begun := joined.filter(starts_on__lte=today).first():
        supervision, verb, kind = begun, "extend", "supervision_goes_on"
    else:
        supervision = Supervision(
            practice_id=supervisor.practice_id,
            supervisor=supervisor,
            supervisee=supervisee,
            starts_on=min(starts_on, days["first"] or starts_on),
        )
        verb, kind = "start", "supervision_begins"
    supervision.ends_on = ends_on and max(ends_on, days["last"] or ends_on)
    joined.exclude(id=supervision.id).delete()
    supervision.save()
    audit.record(f"{verb} supervision", supervision, by=by)
    notices.tell_anew(member=supervisee, kind=kind, subject=supervision)
    return supervision


@transaction.atomic
def change_practice(
    *,
    practice: Practice,
    name: str,
    phone: str,
    email: str,
    most_requests_in_30_days: int,
    supervisor_wait_hours: int,
    by: Membership | None,
) -> None:
    """Record whom clients can turn to beside their therapist, how often they may be asked, and
    after how long supervisors see what nobody has acknowledged.

    Before there is a contact nothing is sent. Another wait holds for what opens from now on;
    `apps.ruptures.services.shorten_waits` lets a shorter one hold for what is open.
    """
    practice.contact_name = name
    practice.contact_phone = phone
    practice.contact_email = email
    practice.most_requests_in_30_days = most_requests_in_30_days
    practice.supervisor_wait_hours = supervisor_wait_hours
    practice.save(
        update_fields=[
            *("contact_name", "contact_phone", "contact_email"),
            *("most_requests_in_30_days", "supervisor_wait_hours"),
        ]
    )
    audit.record("change practice", practice, by=by)


@transaction.atomic
def set_keeping(
    *,
    practice: Practice,
    retention_years: int | None,
    record_holder: Membership | None,
    by: Membership,
) -> None:
    """Set how long records are kept after treatment (None: no limit), and who holds them.

    Raises:
        TooNew: the record holder would be another one, or nobody any more.
    """
    if record_holder != practice.record_holder:
        oneself.refuse_newcomer(by)
        _change_holder(practice, record_holder, by=by)
    practice.retention_years = retention_years
    practice.save(update_fields=["retention_years"])
    audit.record("set keeping of records", practice, by=by)


def _change_holder(practice: Practice, holder: Membership | None, *, by: Membership) -> None:
    """Everybody who has a place in the practice, or had one lately, is told of it."""
    kind, whose = "record_holder", holder
    if holder is None:
        kind, whose = "record_holder_ends", practice.record_holder
    practice.record_holder = holder
    practice.save(update_fields=["record_holder"])
    audit.record("change record holder", practice, by=by)
    moment = timezone.now().isoformat()
    for member in Membership.objects.colleagues_of(by).filter(oneself.here_lately()):
        notices.tell(member=member, kind=kind, subject=whose, mark=moment)


def may_be_invited(member: Membership) -> bool:
    """Whether nobody has taken the place: it was offered, or an import made it."""
    return member.user_id is None or is_waiting(member)


def is_waiting(member: Membership) -> bool:
    """Whether the member was offered a place and has not taken it, whatever became of the offer."""
    return (
        not member.was_taken
        and not member.is_active
        and member.links.filter(purpose=AccountLink.Purpose.INVITATION).exists()
    )


def _end_sessions_of(member: Membership) -> None:
    if member.user:
        end_sessions(user=member.user)


def _refuse_last_manager(member: Membership) -> None:
    """Raises LastManager. Whoever asks holds the practice, so that two cannot leave at once."""
    managers = Membership.objects.with_role(Role.MANAGER)
    ids = set(managers.filter(practice=member.practice_id).values_list("id", flat=True))
    if ids == {member.id}:
        raise LastManager
