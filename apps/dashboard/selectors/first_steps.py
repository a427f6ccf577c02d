"""What somebody new to Rapport does first, as far as it is done, by what is there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from django.urls import reverse
from django.utils.translation import gettext as _

from apps.accounts.models import Membership, Practice, Role, Supervision
from apps.dashboard.selectors.standing import Standing

GUIDED_FOR = timedelta(weeks=4)
"""A practice is guided for so long: what it has not done by then, it has left on purpose."""


@dataclass(frozen=True)
class FirstStep:
    """One step: `action` leads to `url`; without one, `waits` says what opens it. The first step
    that is not done is the one to take now."""

    title: str
    text: str
    is_done: bool
    action: str
    icon: str
    url: str
    waits: str = ""
    is_now: bool = False


def of_a_therapist(standings: Sequence[Standing]) -> tuple[FirstStep, ...]:
    """Of the therapist with these treatments; nothing once one of their sessions is logged.

    A client who would rather not be asked has been talked to as well.
    """
    if any(each.treatment.logged for each in standings):
        return ()
    clients = [each.treatment.client for each in standings]
    return _in_turn(
        FirstStep(
            title=_("Add your first client"),
            text=_("Initials are enough. Rapport makes a code for everything you share."),
            is_done=bool(clients),
            action=_("Add client"),
            icon="person-plus",
            url=reverse("add_client"),
        ),
        FirstStep(
            title=_("Talk about feedback"),
            text=_(
                "You introduce it first. Record their consent, and which ways of reaching them "
                "are safe."
            ),
            is_done=any(each.discussed_on and each.consent for each in clients),
            action=_("Record it"),
            icon="pencil",
            url=reverse("change_client", args=[clients[0].id]) if clients else "",
            waits=_("Opens when you have a client"),
        ),
        FirstStep(
            title=_("Log a session"),
            text=_(
                "It takes a few taps. The form goes out 2 h after the end, outside quiet hours."
            ),
            is_done=False,
            action=_("Log session"),
            icon="plus-lg",
            url=reverse("log_session") if clients else "",
            waits=_("Opens when you have a client"),
        ),
    )


def of_a_practice(practice: Practice, *, today: date, at: datetime) -> tuple[FirstStep, ...]:
    """Of whoever manages it; nothing once all is done, or after four weeks.

    A practice of one has nobody to supervise.
    """
    if at - practice.created_at > GUIDED_FOR:
        return ()
    places = Membership.objects.filter(practice=practice, left_at=None).values_list(
        "roles", flat=True
    )
    steps = [
        FirstStep(
            title=_("Name an independent contact"),
            text=_(
                "Somebody clients can turn to beside their therapist. Until then nothing is sent."
            ),
            is_done=practice.has_independent_contact,
            action=_("Fill it in below"),
            icon="arrow-down-circle",
            url="#contact",
        ),
        FirstStep(
            title=_("Invite the people"),
            text=_("Therapists add their clients themselves. Each person gets a link by mail."),
            is_done=any(Role.THERAPIST in roles for roles in places),
            action=_("Invite someone"),
            icon="envelope-plus",
            url=reverse("invite_member"),
        ),
    ]
    if len(places) > 1:
        links = Supervision.objects.not_over(on=today).filter(practice=practice)
        steps.append(
            FirstStep(
                title=_("Record who supervises whom"),
                text=_("A supervisor sees what is shared, is marked or has waited too long."),
                is_done=links.exists(),
                action=_("Add a link"),
                icon="diagram-3",
                url=reverse("add_supervision"),
            )
        )
    steps.append(
        FirstStep(
            title=_("Name a record holder"),
            text=_(
                "Answers for records where a treatment has ended: somebody who has been here for "
                "seven days, or yourself where you work alone."
            ),
            is_done=practice.record_holder_id is not None,
            action=_("Name somebody"),
            icon="archive",
            url=reverse("keeping"),
        )
    )
    return _in_turn(*steps)


def _in_turn(*steps: FirstStep) -> tuple[FirstStep, ...]:
    """The steps with the one to take now; nothing where all are done."""
    now = next((step for step in steps if not step.is_done), None)
    return tuple(replace(step, is_now=step is now) for step in steps) if now else ()
