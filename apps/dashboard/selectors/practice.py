"""What a practice manager sees first: the first steps, the independent contact and counts."""

from dataclasses import dataclass
from datetime import date, datetime

from apps.accounts.models import Membership
from apps.dashboard.selectors.alert_load import alert_load
from apps.dashboard.selectors.delivery import (
    Banner,
    Delivery,
    banner,
    delivery,
    of_the_practice,
)
from apps.dashboard.selectors.first_steps import FirstStep, of_a_practice


@dataclass(frozen=True)
class PracticePage:
    """No clinical data: counts."""

    name: str
    has_contact: bool
    is_load_in_doubt: bool
    first_steps: tuple[FirstStep, ...]
    banner: Banner | None
    delivery: Delivery


def practice_page(viewer: Membership, *, today: date, at: datetime) -> PracticePage:
    """Compose the page in a constant number of queries."""
    practice = viewer.practice
    return PracticePage(
        name=practice.name,
        has_contact=practice.has_independent_contact,
        is_load_in_doubt=alert_load(practice, viewer=viewer, at=at).needs_a_look,
        first_steps=of_a_practice(practice, today=today, at=at),
        banner=banner(of_the_practice(practice.id), at=at, today=today),
        delivery=delivery(of_the_practice(practice.id), at=at, today=today),
    )
