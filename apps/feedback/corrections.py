"""Planning, moving, cancelling and correcting sessions; what was asked about them follows."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import Membership
from apps.alliance.models import AllianceRating
from apps.clients.models import Treatment
from apps.feedback.lifecycle import refit_requests, settle
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import practice_questionnaire
from apps.ruptures.services import screen_treatment
from apps.therapy_sessions.models import TherapySession
from apps.therapy_sessions.services import (
    cancel_planned_session,
    change_therapy_session,
    plan_therapy_sessions,
)


class HasAnswers(Exception):
    """The client has rated this session: it took place."""


@transaction.atomic
def plan_sessions(*, treatment: Treatment, by: Membership, **plan: Any) -> list[TherapySession]:
    """Plan sessions; a form that waits for its answer ends with the first start after it.

    Args:
        plan: the arguments of `plan_therapy_sessions`.
    """
    planned = plan_therapy_sessions(treatment=treatment, by=by, **plan)
    refit_requests(treatment)
    return planned


@transaction.atomic
def move_session(*, session: TherapySession, by: Membership, **values: Any) -> None:
    """Move a planned session; the form before it ends with its new start.

    Raises:
        StartTaken: nothing is stored.
    """
    session = change_therapy_session(session=session, by=by, **values)
    refit_requests(session.treatment)


@transaction.atomic
def cancel_session(*, session: TherapySession, by: Membership) -> None:
    """Take a planned session out of the diary; the form before it stays open as without it."""
    treatment = session.treatment
    cancel_planned_session(session=session, by=by)
    refit_requests(treatment)


@transaction.atomic
def correct_session(*, session: TherapySession, by: Membership, **values: Any) -> None:
    """Correct a logged session: requests follow, and the treatment is screened anew.

    A session that did not take place after all pulls back what is not out yet; silence to what
    was out counts as nothing.

    Raises:
        HasAnswers: it is said not to have taken place, and the client has rated it.
        StartTaken: nothing is stored.
    """
    attended = values["attendance"] == TherapySession.Attendance.ATTENDED
    if not attended and AllianceRating.objects.filter(therapy_session=session).exists():
        raise HasAnswers
    before = session.starts_at
    session = change_therapy_session(session=session, by=by, **values)
    if not attended:
        _withdraw(session)
    refit_requests(session.treatment)
    screen_treatment(
        treatment=session.treatment,
        questionnaire=practice_questionnaire(by.practice),
        since=_earliest(session, before),
        at=timezone.now(),
    )


def _withdraw(session: TherapySession) -> None:
    opened = FeedbackRequest.objects.select_for_update(of=("self",)).filter(
        therapy_session=session, state=FeedbackRequest.State.OPEN
    )
    for request in opened.select_related("therapy_session__treatment", "questionnaire"):
        settle(request, FeedbackRequest.State.CANCELLED, rating=None, was_asked=False)


def _earliest(session: TherapySession, before: Any) -> TherapySession:
    """The first session that may come out differently: this one, or the first after it was."""
    between = session.treatment.therapy_sessions.filter(
        starts_at__gte=min(before, session.starts_at)
    ).exclude(attendance="")
    return between.order_by("starts_at").first() or session
