"""What members are told in the app about a client who moves, or whose treatment ends."""

from collections.abc import Collection
from datetime import date
from uuid import UUID

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import get_text_list
from django.utils.translation import gettext as _

from apps.accounts.models import Membership, Notice, Role, Supervision
from apps.accounts.notices import Said, told_as
from apps.clients.models import Treatment
from apps.endings.models import Move

KIND = "client_moves_here"
HANDED_OVER = "caseload_handed_over"
"""Its mark begins with the day on which access changes hands."""
DAY = len("2026-01-31")
CALLED_OFF = "move_called_off"
FORM_ENDED = "form_ended"


@told_as(Role.THERAPIST)
def render_arrival(subject_ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """That a client comes to `member`, by code, with the day; the client's page opens on it."""
    today = timezone.localdate()
    theirs = Treatment.objects.not_ended(on=today).filter(therapist=member)
    moves = Move.objects.filter(id__in=subject_ids, new_treatment__in=theirs)
    return {
        move.id: Said(
            text=_("%(code)s moves to you from %(name)s on %(day)s.")
            % {
                "code": move.treatment.client.code,
                "name": move.treatment.therapist.name,
                "day": date_format(move.moves_on, "j M"),
            },
            url=reverse("client", args=[move.treatment.client_id])
            if move.moves_on <= today
            else "",
            client_id=move.treatment.client_id,
        )
        for move in moves.select_related("treatment__client", "treatment__therapist")
        if move.moves_on
    }


@told_as(Role.THERAPIST)
def render_called_off(subject_ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """That a move to `member`, or one of a client of theirs that somebody else called off, comes to
    nothing; by code."""
    theirs = Treatment.objects.conducted_by(member)
    moves = Move.objects.filter(
        Q(called_off_to=member) | Q(treatment__in=theirs), id__in=subject_ids
    )
    return {
        move.id: Said(
            text=_("The move of %(code)s from %(giver)s to %(taker)s on %(day)s was called off.")
            % {
                "code": move.treatment.client.code,
                "giver": _whom(move.treatment.therapist, member),
                "taker": _whom(move.called_off_to, member),
                "day": date_format(move.moves_on, "j M"),
            },
            client_id=move.treatment.client_id,
        )
        for move in moves.select_related(
            "treatment__client", "treatment__therapist", "called_off_to"
        )
        if move.moves_on and move.called_off_to
    }


def _whom(somebody: Membership, reader: Membership) -> str:
    return _("you") if somebody == reader else somebody.name


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
    """That a supervisee's client had a form that ends unanswered with the treatment, by code."""
    links = Supervision.objects.current(on=timezone.localdate()).filter(supervisor=member)
    ended = Treatment.objects.filter(
        id__in=subject_ids, therapist__in=links.values("supervisee")
    ).select_related("client", "therapist")
    return {
        treatment.id: Said(
            _(
                "%(code)s: a form was waiting for an answer when it was decided that the treatment"
                " with %(name)s ends on %(day)s; from then on it can no longer be answered."
            )
            % {
                "code": treatment.client.code,
                "name": treatment.therapist.name,
                "day": date_format(treatment.ends_on, "j M"),
            },
            client_id=treatment.client_id,
        )
        for treatment in ended
        if treatment.ends_on
    }
