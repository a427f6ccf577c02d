"""Who treats a client from which day on: treatments follow one another, one at a time (ADR 23)."""

from datetime import date
from typing import Any

from django.db.models import QuerySet

from apps.accounts.models import Membership
from apps.clients.models import Client, Treatment
from apps.clients.services import take_back_wishes
from apps.core import audit

TAKEN_BACK = "take hand-over back"
"""What the trail says of a hand-over that was a slip; its object: who had the client meanwhile."""


def who_treats(*, on: date) -> QuerySet[Any, Any]:
    """Members with a treatment that has not ended by the day `on`, whatever became of their place
    or role: their ids."""
    return Treatment.objects.not_ended(on=on).values("therapist")


def pass_on(treatment: Treatment, *, to: Membership, on: date, by: Membership) -> Treatment:
    """Let the rest of a treatment, from the day `on`, be one with `to`: all of it where it is still
    to begin by then, as nobody knew of it, or goes back to `to` on the day on which it was handed
    over (`_is_slip`). What `to` has right before or after that goes on.

    Access changes hands on that day; the history stays with the treatment that ended. Whoever calls
    this has the client's turn. A treatment that was withdrawn has no `pk` any more.

    Returns:
        The treatment that the client has with `to` from then on.
    """
    if not treatment.begins_before(on):
        new = treatment
        new.therapist = to
        new.save(update_fields=["therapist"])
    elif _is_slip(treatment, to=to, on=on):
        new = treatment
        # It lapsed as they treated the client no more.
        take_back_wishes(client=new.client_id, of=to, by=by)
        audit.record(TAKEN_BACK, treatment.therapist, client_id=treatment.client_id, by=by)
    else:
        new = _end(treatment, on=on, with_rest_to=to)
    if new.follows and new.follows.therapist_id == to.id:
        new = _join(new.follows, new)
    else:
        take_back_wishes(client=new.client_id, of=to, by=by)
    after = new.followed_by.first()
    return _join(new, after) if after and after.therapist_id == to.id else new


def _is_slip(treatment: Treatment, *, to: Membership, on: date) -> bool:
    """Whether it goes back to `to` on the day on which a hand-over took it from them, and nothing
    was written in it: no row of any table is about it, but sessions planned of which that is true
    as well, and what follows it."""
    before = treatment.follows
    if before is None or before.therapist_id != to.id or treatment.starts_on != on:
        return False
    relations = {each.name for each in treatment._meta.related_objects}
    about = dict.fromkeys(relations - {"therapy_sessions", "followed_by"})
    planned = treatment.therapy_sessions.unwritten()
    return (
        Treatment.objects.filter(id=treatment.id, ended_pause_reasons="", **about).exists()
        and not treatment.therapy_sessions.exclude(id__in=planned.values("id")).exists()
        and not Client.objects.filter(paused_in=treatment).exists()
        and not Treatment.objects.ended_by_word().filter(id=before.id).exists()
    )


def _end(treatment: Treatment, *, on: date, with_rest_to: Membership) -> Treatment:
    """End a treatment on a day; until it would have ended, the client is treated by another."""
    until, after = treatment.ends_on, treatment.followed_by.first()
    treatment.starts_on, treatment.ends_on = min(on, treatment.starts_on), on
    treatment.save(update_fields=["starts_on", "ends_on"])
    rest = Treatment.objects.create(
        practice_id=treatment.practice_id,
        client_id=treatment.client_id,
        therapist=with_rest_to,
        starts_on=on,
        ends_on=until,
        follows=treatment,
    )
    if after:
        after.follows = rest
        after.save(update_fields=["follows"])
    return rest


def _join(treatment: Treatment, following: Treatment) -> Treatment:
    """Let one go on that the same therapist's was to follow: with its planned sessions, but for
    those at a time of its own, and with what was to follow it."""
    own = treatment.therapy_sessions.values("starts_at")
    following.therapy_sessions.filter(starts_at__in=own).delete()
    following.therapy_sessions.update(treatment=treatment)
    following.followed_by.update(follows=treatment)
    following.delete()
    treatment.ends_on = following.ends_on
    treatment.save(update_fields=["ends_on"])
    return treatment
