"""What a practice manager sees: people, links, the independent contact and counts."""

from dataclasses import dataclass
from datetime import date, datetime

from apps.accounts.models import Membership, Practice, Role, Supervision
from apps.dashboard.selectors import words
from apps.dashboard.selectors.alert_load import alert_load
from apps.dashboard.selectors.delivery import (
    Banner,
    Delivery,
    banner,
    delivery,
    of_the_practice,
)


@dataclass(frozen=True)
class Person:
    name: str
    email: str
    roles: tuple[str, ...]


@dataclass(frozen=True)
class SupervisionLink:
    """Who supervises whom and from when; `until` is '' where no end is set."""

    supervisor: str
    supervisee: str
    since: str
    until: str


@dataclass(frozen=True)
class PracticePage:
    """No clinical data: names, dates and counts."""

    name: str
    has_contact: bool
    is_load_in_doubt: bool
    banner: Banner | None
    delivery: Delivery
    people: tuple[Person, ...]
    supervisions: tuple[SupervisionLink, ...]


def practice_page(practice: Practice, *, today: date, at: datetime) -> PracticePage:
    """Compose the page in a constant number of queries."""
    members = (
        Membership.objects.filter(practice=practice, is_active=True)
        .select_related("user")
        .order_by("name")
    )
    supervisions = (
        Supervision.objects.current(on=today)
        .filter(practice=practice)
        .select_related("supervisor", "supervisee")
        .order_by("supervisee__name", "supervisor__name")
    )
    return PracticePage(
        name=practice.name,
        has_contact=practice.has_independent_contact,
        is_load_in_doubt=alert_load(practice, at=at).needs_a_look,
        banner=banner(practice.id, at=at, today=today),
        delivery=delivery(of_the_practice(practice.id), at=at, today=today),
        people=tuple(
            Person(
                name=member.name,
                email=member.user.email if member.user else "",
                roles=tuple(str(role.label) for role in Role if member.has_role(role)),
            )
            for member in members
        ),
        supervisions=tuple(
            SupervisionLink(
                supervisor=each.supervisor.name,
                supervisee=each.supervisee.name,
                since=words.short_day(each.starts_on, today),
                until=words.short_day(each.ends_on, today) if each.ends_on else "",
            )
            for each in supervisions
        ),
    )
