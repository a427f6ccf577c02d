"""What members are told in the app about a client who moves, or whose treatment ends."""

from collections.abc import Collection
from datetime import date
from uuid import UUID

from django.db.models import Exists, OuterRef
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import get_text_list
from django.utils.translation import gettext as _

from apps.accounts.models import Membership, Notice, Role, Supervision
from apps.accounts.notices import Said, told_as
from apps.clients.models import Client, Treatment
from apps.endings.models import Move

KIND = "client_moves_here"
HANDED_OVER = "caseload_handed_over"
"""Its mark begins with the day on which access changes hands."""
DAY = len("2026-01-31")
CALLED_OFF = "move_called_off"
FORM_ENDED = "form_ended"


@told_as(Role.THERAPIST)
def render_arrival(subject_ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """That a client comes to `member`, and when; from that day on by code, with the client's page.

    Before it no client is named: the mover would read in *Who looked* when the colleague works.
    """
    today = timezone.localdate()
    theirs = Treatment.objects.not_ended(on=today).filter(therapist=member)
    moves = Move.objects.standing().filter(id__in=subject_ids, treatment__followed_by__in=theirs)
    said = {}
    for move in moves.select_related("treatment__client", "treatment__therapist"):
        words = {"name": move.treatment.therapist.name, "day": _day_of(move)}
        if not move.moves_on or move.moves_on > today:
            said[move.id] = Said(_("A client moves to you from %(name)s on %(day)s.") % words)
            continue
        words["code"] = move.treatment.client.code
        said[move.id] = Said(
            text=_("%(code)s moves to you from %(name)s on %(day)s.") % words,
            url=reverse("client", args=[move.treatment.client_id]),
            client_id=move.treatment.client_id,
        )
    return said


@told_as(Role.THERAPIST)
def render_called_off(subject_ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """That a move to `member`, or one of a client of theirs that somebody else called off, comes to
    nothing; by code where it is a client of theirs."""
    theirs = Treatment.objects.conducted_by(member)
    moves = Move.objects.filter(id__in=subject_ids)
    said = {}
    for move in moves.filter(called_off_to=member).select_related("treatment__therapist"):
        said[move.id] = Said(
            _("The move of a client from %(name)s to you on %(day)s was called off.")
            % {"name": move.treatment.therapist.name, "day": _day_of(move)}
        )
    own = moves.filter(treatment__in=theirs).exclude(called_off_to=None)
    for move in own.select_related("treatment__client", "called_off_to"):
        said[move.id] = Said(
            text=_("The move of %(code)s from you to %(name)s on %(day)s was called off.")
            % {
                "code": move.treatment.client.code,
                "name": move.called_off_to,
                "day": _day_of(move),
            },
            client_id=move.treatment.client_id,
        )
    return said


def _day_of(move: Move) -> str:
    return date_format(move.moves_on, "j M") if move.moves_on else ""


def render_handover(subject_ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """That a manager handed clients of `member` over, to whom and from which days on, as it was
    told then: to whom they go on since is nothing that the member may know."""
    told = Notice.objects.unread_by(member).filter(kind=HANDED_OVER, subject_id__in=subject_ids)
    days: dict[UUID, list[str]] = {}
    for taker_id, mark in told.order_by("mark").values_list("subject_id", "mark"):
        day = date_format(date.fromisoformat(mark[:DAY]), "j M")
        if day not in days.setdefault(taker_id, []):
            days[taker_id].append(day)
    return {
        taker.id: Said(
            _("Clients of yours go to %(name)s on %(days)s, as your practice decided.")
            % {"name": taker.name, "days": get_text_list(days[taker.id], _("and"))}
        )
        for taker in Membership.objects.colleagues_of(member).filter(id__in=days)
    }


def render_form_ended(subject_ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """That a supervisee's client had a form that ends unanswered with the treatment, if the
    supervision held by its end; by code while the member may know of the client, else as one of
    whom the agenda tells."""
    held = Supervision.objects.current(on=timezone.localdate()).filter(
        supervisor=member, supervisee=OuterRef("therapist")
    )
    ended = Treatment.objects.filter(
        Exists(held.begun_by(OuterRef("ends_on"))), id__in=subject_ids, client__erased_at=None
    ).select_related("client", "therapist")
    named = Client.objects.nameable_to(member, {each.client_id for each in ended})
    by_code = _(
        "%(code)s: a form was waiting for an answer when it was decided that the treatment"
        " with %(name)s ends on %(day)s; from then on it can no longer be answered."
    )
    without = _(
        "A form of a client was waiting for an answer when it was decided that the treatment with"
        " %(name)s ends on %(day)s; from then on it can no longer be answered. The agenda of a"
        " meeting within 90 days of that names the client."
    )
    return {
        treatment.id: Said(
            (by_code if treatment.client_id in named else without)
            % {
                "code": treatment.client.code,
                "name": treatment.therapist.name,
                "day": date_format(treatment.ends_on, "j M"),
            },
            client_id=treatment.client_id if treatment.client_id in named else None,
        )
        for treatment in ended
        if treatment.ends_on
    }
