"""What the pages about accounts and people show."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from allauth.mfa.models import Authenticator
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import AccountLink, Membership, Role, Supervision, User
from apps.core import tenancy

KINDS: dict[str, str | Promise] = {
    Authenticator.Type.WEBAUTHN: gettext_lazy("Security key"),
    Authenticator.Type.TOTP: gettext_lazy("App code"),
}


@dataclass(frozen=True)
class SecurityKey:
    mark: str
    name: str
    added_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True)
class AccountPage:
    """How a person signs in."""

    email: str
    has_app: bool
    keys: tuple[SecurityKey, ...]
    unused_codes: int

    @property
    def has_second_step(self) -> bool:
        return self.has_app or bool(self.keys)


def account_page(user: User) -> AccountPage:
    steps = list(Authenticator.objects.filter(user=user).order_by("created_at"))
    return AccountPage(
        email=user.email,
        has_app=any(step.type == Authenticator.Type.TOTP for step in steps),
        keys=tuple(
            SecurityKey(_mark_of(step), step.wrap().name, step.created_at, step.last_used_at)
            for step in steps
            if step.type == Authenticator.Type.WEBAUTHN
        ),
        unused_codes=sum(
            len(step.wrap().get_unused_codes())
            for step in steps
            if step.type == Authenticator.Type.RECOVERY_CODES
        ),
    )


def _mark_of(step: Authenticator) -> str:
    """What an address calls a second step by: its number would count those of all practices, and
    its place among a person's own is another's once one of them is removed."""
    return salted_hmac("apps.accounts.selectors", str(step.pk), algorithm="sha256").hexdigest()


def number_of_key(mark: str, user: User) -> int:
    """The number of the person's security key that an address calls so; 0, which none has, where
    no key of theirs is."""
    keys = Authenticator.objects.filter(user=user, type=Authenticator.Type.WEBAUTHN)
    return next((key.pk for key in keys if _mark_of(key) == mark), 0)


def unused_recovery_codes(user: User) -> tuple[str, ...]:
    """The codes that are left, in two groups of four digits; empty where there are none."""
    codes = Authenticator.objects.filter(user=user, type=Authenticator.Type.RECOVERY_CODES).first()
    if codes is None:
        return ()
    return tuple(f"{code[:4]} {code[4:]}" for code in codes.wrap().get_unused_codes())


def ways_in(user_id: UUID) -> list[tuple[object, ...]]:
    """How somebody signs in at present, to compare: the password's hash, and each second step."""
    steps = User.objects.filter(id=user_id).values_list("password", "authenticator__id")
    return list(steps.order_by("authenticator__id"))


def open_link(*, practice_id: UUID, link_id: UUID) -> AccountLink | None:
    """An account link that can still be used, with its practice, member and user."""
    with tenancy.practice(practice_id):
        return (
            AccountLink.objects.open(at=timezone.now())
            .select_related("practice", "membership__user")
            .filter(id=link_id, membership__user__isnull=False)
            .first()
        )


@dataclass(frozen=True)
class Person:
    """A row among the people of a practice; `second_step` is told of those who work here.

    `leaves_clients`: clients of somebody who treats nobody here any more wait to be handed over.
    """

    id: UUID
    name: str
    email: str
    roles: tuple[str | Promise, ...]
    second_step: str | Promise
    last_sign_in: str
    is_active: bool
    state: str
    leaves_clients: bool


@dataclass(frozen=True)
class Link:
    """A row among the supervision links of a practice."""

    id: UUID
    supervisee: str
    supervisor: str
    starts_on: date
    ends_on: date | None
    state: str
    is_over: bool


@dataclass(frozen=True)
class PeoplePage:
    people: tuple[Person, ...]
    links: tuple[Link, ...]


def people_page(member: Membership, *, today: date) -> PeoplePage:
    """Everybody in the member's practice, A to Z, and who supervises whom, ended links last."""
    colleagues = list(
        Membership.objects.colleagues_of(member).select_related("user").order_by("name", "id")
    )
    offers = {
        link.membership_id: link
        for link in AccountLink.objects.filter(
            purpose=AccountLink.Purpose.INVITATION, membership__in=colleagues
        ).order_by("created_at")
    }
    steps: dict[UUID, set[str]] = {}
    users = [each.user_id for each in colleagues if each.user_id]
    for user_id, kind in Authenticator.objects.filter(user__in=users).values_list(
        "user_id", "type"
    ):
        steps.setdefault(user_id, set()).add(kind)
    treat = set(Membership.objects.still_treating(on=today).values_list("id", flat=True))
    links = (
        Supervision.objects.in_practice_of(member)
        .select_related("supervisor", "supervisee")
        .order_by("supervisee__name", "-starts_on")
    )
    return PeoplePage(
        people=tuple(
            _person(
                each,
                offers.get(each.id),
                steps.get(each.user_id or each.id, set()),
                today,
                treats=each.id in treat,
            )
            for each in colleagues
        ),
        links=tuple(sorted((_link(each, today) for each in links), key=lambda link: link.is_over)),
    )


def _person(
    member: Membership, offer: AccountLink | None, steps: set[str], today: date, *, treats: bool
) -> Person:
    works = member.is_active and member.has_role(Role.THERAPIST)
    kinds = [label for kind, label in KINDS.items() if kind in steps]
    return Person(
        id=member.id,
        name=member.name,
        email=member.user.email if member.user else "",
        roles=tuple(Role(role).label for role in member.roles),
        # An invited address may have an account elsewhere: that is not for this practice to know.
        second_step=kinds[0] if kinds and member.is_active else "",
        last_sign_in=_day(member.last_sign_in_on, today),
        is_active=member.is_active,
        state=_state(member, offer),
        # Clients that came with an import wait for whoever accepts the invitation.
        leaves_clients=treats and not works and not _is_waiting(member, offer),
    )


def _is_waiting(member: Membership, offer: AccountLink | None) -> bool:
    """Whether the member was offered a place and has not taken it."""
    return bool(offer and not member.is_active and not member.was_taken)


def _state(member: Membership, offer: AccountLink | None) -> str:
    if member.is_active:
        return _("Active") if member.user else _("Does not sign in")
    if not (offer and _is_waiting(member, offer)):
        return _("Closed")
    if offer.used_at:
        return _("Invitation withdrawn")
    if offer.expires_at <= timezone.now():
        return _("Invitation has run out")
    return _("Invited %s") % _short(timezone.localdate(offer.created_at))


def _link(supervision: Supervision, today: date) -> Link:
    has_passed = supervision.ends_on is not None and supervision.ends_on < today
    over = has_passed or supervision.ended_at is not None
    if over:
        state = _("Ended")
    elif not supervision.supervisor.is_active:
        state = _("Closed: the supervisor’s place is closed")
    elif not supervision.supervisor.has_role(Role.SUPERVISOR):
        state = _("Closed: no longer a supervisor")
    else:
        state = _("Current") if supervision.starts_on <= today else _("Begins later")
    return Link(
        id=supervision.id,
        supervisee=supervision.supervisee.name,
        supervisor=supervision.supervisor.name,
        starts_on=supervision.starts_on,
        ends_on=supervision.ends_on,
        state=state,
        is_over=over,
    )


def _day(day: date | None, today: date) -> str:
    if day is None:
        return _("Never")
    return _("Today") if day == today else _short(day)


def _short(day: date) -> str:
    return date_format(day, "j M Y")


def memberships_of(user_id: UUID) -> list[Membership]:
    """The active memberships of a person, by name of the practice, whatever practice is chosen."""
    with tenancy.user(user_id):
        return list(
            Membership.objects.filter(user=user_id, is_active=True)
            .select_related("practice")
            .order_by("practice__name", "practice_id")
        )
