"""Planning, moving, cancelling and correcting sessions; what was asked about them follows."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import Membership, Notice
from apps.alliance.models import AllianceRating
from apps.clients.models import Treatment
from apps.clients.services import take_turn, take_turn_in
from apps.core.models import OutboxMessage
from apps.feedback.lifecycle import refit_requests, screen_changed, settle
from apps.feedback.models import MESSAGES, FeedbackRequest
from apps.feedback.services import practice_questionnaire
from apps.ruptures.models import RuptureEpisode, Screening
from apps.therapy_sessions.models import TherapySession
from apps.therapy_sessions.services import (
    cancel_planned_session,
    change_therapy_session,
    plan_therapy_sessions,
)

UNDO_WITHIN = timedelta(minutes=10)


class HasAnswers(Exception):
    """The client has rated this session: it took place."""


class EndsForm(Exception):
    """By the new date a form that waits for its answer would end, or end sooner."""


class HasBegun(Exception):
    """The session has begun: it is logged, also as cancelled or missed, and never to come again."""


class AfterTheEnd(Exception):
    """By then the treatment has ended: moved, or handed over. Nothing was planned."""


class CannotUndo(Exception):
    """What was logged stays; the message says why and what would help."""


@transaction.atomic
def plan_sessions(*, treatment: Treatment, by: Membership, **plan: Any) -> list[TherapySession]:
    """Plan sessions; a form that waits for its answer ends with the first start after it.

    Args:
        plan: the arguments of `plan_therapy_sessions`.

    Raises:
        AfterTheEnd: nothing is stored.
    """
    treatment = take_turn_in(treatment, by=by)
    planned = plan_therapy_sessions(treatment=treatment, by=by, **plan)
    _refuse_after_the_end(planned)
    refit_requests(treatment)
    return planned


@transaction.atomic
def move_session(*, session: TherapySession, by: Membership, **values: Any) -> None:
    """Move a planned session; the form before it ends with its new start.

    Raises:
        HasBegun: it is logged.
        AfterTheEnd, StartTaken: nothing is stored.
    """
    take_turn(by=by, treatments__therapy_sessions=session)
    _refuse_begun(session)
    session = change_therapy_session(session=session, by=by, **values)
    _refuse_after_the_end([session])
    refit_requests(session.treatment)


@transaction.atomic
def cancel_session(*, session: TherapySession, by: Membership) -> None:
    """Take a planned session out of the diary; the form before it stays open as without it.

    Raises:
        HasBegun: it is logged, also as cancelled or missed.
    """
    take_turn(by=by, treatments__therapy_sessions=session)
    _refuse_begun(session)
    treatment = session.treatment
    cancel_planned_session(session=session, by=by)
    refit_requests(treatment)


def _refuse_after_the_end(planned: list[TherapySession]) -> None:
    """Or they would stand in nobody's diary."""
    treatment = Treatment.objects.select_related("practice").get(pk=planned[0].treatment_id)
    ends_at = treatment.ends_at
    if ends_at and any(each.starts_at >= ends_at for each in planned):
        raise AfterTheEnd


def _refuse_begun(session: TherapySession) -> None:
    """What took place does not vanish: whoever does not ask about it says so, with a reason."""
    if session.starts_at <= timezone.now():
        raise HasBegun


@transaction.atomic
def correct_session(*, session: TherapySession, by: Membership, **values: Any) -> None:
    """Correct a logged session: requests follow, and the treatment is screened anew.

    A session that did not take place after all pulls back what is not out yet; silence to what
    was out counts as nothing.

    Raises:
        HasAnswers: it is said not to have taken place, and the client has rated it.
        EndsForm: it took place, but on a day that leaves the client no time, or less than before
            for a form that they have.
        HasBegun: it would be still to come.
        StartTaken: nothing is stored.
        DoesNotExist: the session was undone meanwhile; nothing is stored.
    """
    take_turn(by=by, treatments__therapy_sessions=session)
    session.refresh_from_db(fields=["starts_at"])
    attended = values["attendance"] == TherapySession.Attendance.ATTENDED
    if not attended and AllianceRating.objects.filter(therapy_session=session).exists():
        raise HasAnswers
    before = session.starts_at
    # Or it could be undone then, and cancelled.
    if before <= timezone.now() < values.get("starts_at", before):
        raise HasBegun
    session = change_therapy_session(session=session, corrected_at=timezone.now(), by=by, **values)
    if not attended:
        _withdraw(session)
    of_treatment = FeedbackRequest.objects.filter(therapy_session__treatment=session.treatment)
    opened = list(of_treatment.open(at=timezone.now()))
    refit_requests(session.treatment)
    now_open = {each.id: each for each in of_treatment.open(at=timezone.now())}
    if attended and any(_is_cut_short(each, now_open.get(each.id)) for each in opened):
        raise EndsForm
    screen_changed(
        since=_earliest(session, before), questionnaire=practice_questionnaire(by.practice)
    )


def _is_cut_short(before: FeedbackRequest, after: FeedbackRequest | None) -> bool:
    """Whether a client has less time for a form than before; one that is not out yet may move."""
    if after is None:
        return True
    ends_sooner = after.expires_at < before.expires_at
    is_shorter = after.expires_at - after.due_at < before.expires_at - before.due_at
    return ends_sooner and is_shorter


@transaction.atomic
def undo_log(*, session: TherapySession, by: Membership) -> None:
    """Plan a session again that was logged a moment ago, as if nobody had clicked.

    A form that is not out yet goes with it, and the treatment is screened anew. A process note
    about the session stays.

    Raises:
        CannotUndo: nothing changed; it was logged longer than `UNDO_WITHIN` ago, its form is with
            the client, or the episode that it opened stands all the same: with an outcome, or as
            nothing is screened now.
    """
    take_turn(by=by, treatments__therapy_sessions=session)
    session = TherapySession.objects.get(pk=session.pk)
    if not session.logged_at or timezone.now() - session.logged_at > UNDO_WITHIN:
        raise CannotUndo(_("This was logged a while ago. Correct the session instead."))
    if _is_with_the_client(session):
        raise CannotUndo(
            _("The form has gone out, so the session stays logged. Correct it instead.")
        )
    _withdraw(session)
    # The same session may be logged and asked about anew: nothing of this request went out.
    FeedbackRequest.objects.filter(therapy_session=session).delete()
    nothing_yet = dict.fromkeys((*TherapySession.OWN_VIEW, "tension", "tension_resolved"))
    session = change_therapy_session(
        session=session,
        attendance="",
        logged_at=None,
        corrected_at=None,
        asked=False,
        not_asked_reason="",
        not_asked_note="",
        by=by,
        **nothing_yet,
    )
    refit_requests(session.treatment)
    screen_changed(since=session, questionnaire=practice_questionnaire(by.practice))
    if session.episodes_opened.exclude(outcome=RuptureEpisode.Outcome.SUPERSEDED).exists():
        raise CannotUndo(
            _(
                "The possible rupture that this session opened has its outcome, or processing is"
                " restricted, so the session stays logged. Correct it instead."
            )
        )
    _forget_what_nobody_heard(session)


def _forget_what_nobody_heard(session: TherapySession) -> None:
    """Take away how the undone session was screened, and a possible rupture that it had opened, if
    nobody but its therapist was told of it and nothing is written about it."""
    Screening.objects.filter(therapy_session=session).delete()
    nothing = {relation.name: None for relation in RuptureEpisode._meta.related_objects}
    told = Notice.objects.filter(subject_id__in=session.episodes_opened.values("id")).exclude(
        member=session.treatment.therapist_id
    )
    untold = session.episodes_opened.filter(shared_at=None, waited_at=None, **nothing)
    untold.exclude(id__in=told.values("subject_id")).delete()


def _is_with_the_client(session: TherapySession) -> bool:
    """Whether a form about the session was answered, offered in the room, or may be out by now.

    Where it is not, it stays so until the end of the transaction: its messages are held.
    """
    requests = FeedbackRequest.objects.filter(therapy_session=session)
    messages = OutboxMessage.objects.filter(
        kind__in=MESSAGES, subject_id__in=requests.values("id")
    ).select_for_update()
    unsent = {OutboxMessage.State.PENDING, OutboxMessage.State.CANCELLED}
    return (
        any(message.doubted_at or message.state not in unsent for message in messages)
        or requests.filter(room_until__isnull=False).exists()
        or AllianceRating.objects.filter(therapy_session=session).exists()
    )


def _withdraw(session: TherapySession) -> None:
    opened = FeedbackRequest.objects.filter(
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
