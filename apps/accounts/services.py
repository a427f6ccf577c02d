"""Writes about practices and the people in them."""

from datetime import date

from django.db import transaction

from apps.accounts.models import Membership, Practice, Role, Supervision, User
from apps.core import audit


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
    member = Membership.objects.create(practice=practice, user=user, name=name, roles=roles)
    audit.record("add member", member, by=by)
    return member


@transaction.atomic
def give_sign_in(
    *, member: Membership, email: str, password: str | None = None, by: Membership | None
) -> None:
    """Let a member who was made by an import sign in, and so see the clients imported for them.

    A person who works in another practice already keeps their account and password.
    """
    member.user = _account(email, password)
    member.save(update_fields=["user"])
    audit.record("give sign-in", member, by=by)


def _account(email: str, password: str | None) -> User:
    user = User.objects.filter(email=email.strip().lower()).first()
    return user or User.objects.create_user(email, password)


@transaction.atomic
def start_supervision(
    *,
    supervisor: Membership,
    supervisee: Membership,
    starts_on: date,
    ends_on: date | None = None,
    by: Membership | None,
) -> Supervision:
    """Let `supervisor` see `supervisee`'s flags from `starts_on` to `ends_on`."""
    supervision = Supervision.objects.create(
        practice_id=supervisor.practice_id,
        supervisor=supervisor,
        supervisee=supervisee,
        starts_on=starts_on,
        ends_on=ends_on,
    )
    audit.record("start supervision", supervision, by=by)
    return supervision


@transaction.atomic
def record_independent_contact(
    *, practice: Practice, name: str, phone: str, email: str, by: Membership | None
) -> None:
    """Record whom clients can turn to beside their therapist; before that nothing is sent."""
    practice.contact_name = name
    practice.contact_phone = phone
    practice.contact_email = email
    practice.save(update_fields=["contact_name", "contact_phone", "contact_email"])
    audit.record("record independent contact", practice, by=by)


@transaction.atomic
def set_theme(*, user: User, theme: User.Theme) -> None:
    """Remember how the person wants pages to look."""
    user.theme = theme
    user.save(update_fields=["theme"])
