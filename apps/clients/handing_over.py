"""Who treats a client from which day on, as treatments lead from one to the next (ADR 22)."""

from datetime import date
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.accounts.models import Membership
from apps.clients.models import Treatment
from apps.clients.services import take_back_wishes, wait_for_turn
from apps.core import audit


@transaction.atomic
def hand_over_caseload(
    *,
    treatments: list[Treatment],
    to: Membership,
    on: date,
    by: Membership,
) -> list[Treatment]:
    """End treatments on the day `on` and start new ones of the same clients with `to`.

    Access changes hands on that day; the history stays with the treatment that ended. A client
    whom `to` treats already gets no second treatment. Where the client goes to somebody else on a
    day to come, `to` treats them until then, if they did not before. One that is still to begin is
    handed on from its first day: it ends as it begins, nothing leads to it, and it may be deleted.

    Returns:
        The treatment that each client has with `to` now, in the order of the ended ones.
    """
    wait_for_turn(treatments__in=treatments)
    ids = [each.id for each in treatments]
    found = Treatment.objects.not_ended(on=on).filter(id__in=ids).order_by("starts_on", "id")
    # Read one by one: handing one over can change, or withdraw, another of the same client.
    each_now = (Treatment.objects.filter(id=each.id).first() for each in found)
    return [_pass_on(each, to=to, on=on, by=by) for each in each_now if each]


def _pass_on(treatment: Treatment, *, to: Membership, on: date, by: Membership) -> Treatment:
    """Let a treatment lead to one with `to` from the day `on`, or from its own first day, and what
    led to it lead there as well; but for one to which the client would come back: it goes on."""
    day = on if treatment.follows_id is None else max(on, treatment.starts_on)
    until, after = treatment.ends_on, treatment.leads_to
    back = treatment.led_here_by.filter(therapist=to, ends_on__gt=on).first()
    if back:
        go_on(back)
    new, is_new = (back, False) if back else _treatment_with(to, of=treatment, day=day, by=by)
    if after and (back or is_new):
        new.ends_on, new.leads_to = until, after
        new.save(update_fields=["ends_on", "leads_to"])
    comes_to_nothing = not treatment.has_begun and treatment.starts_on == day
    treatment.starts_on = min(day, treatment.starts_on)
    treatment.ends_on, treatment.leads_to = day, None if comes_to_nothing else new
    treatment.save(update_fields=["starts_on", "ends_on", "leads_to"])
    coming = treatment.led_here_by.not_ended(on=timezone.localdate())
    for each in coming.filter(ends_on__gte=day):
        _lead_on(each, to=to, by=by)
    begin_as_led_to(new, else_to=new)
    if after and new.leads_to != after and not after.has_begun:
        _plan_in(new, after.therapy_sessions.all())  # they had gone along
        begin_as_led_to(after, else_to=new)
    audit.record("hand over client", treatment, client_id=treatment.client_id, by=by)
    return new


def _lead_on(treatment: Treatment, *, to: Membership, by: Membership) -> None:
    """Let a treatment whose client was to come to somebody lead to `to` on that day instead, or go
    on where that would lead back to it."""
    if treatment.therapist_id == to.id or treatment.ends_on is None:
        go_on(treatment)
        return
    new, _is_new = _treatment_with(to, of=treatment, day=treatment.ends_on, by=by)
    if new.goes_to(treatment):
        go_on(treatment)
        return
    treatment.leads_to = new
    treatment.save(update_fields=["leads_to"])
    begin_as_led_to(new, else_to=new)


def _treatment_with(
    therapist: Membership, *, of: Treatment, day: date, by: Membership
) -> tuple[Treatment, bool]:
    """The treatment in which a therapist treats the client `of` another on the day, or later; a new
    one, and True, where there is none."""
    theirs = Treatment.objects.filter(client=of.client_id, therapist=therapist)
    if lasting := theirs.not_ended(on=day).order_by("starts_on").first():
        return lasting, False
    take_back_wishes(client=of.client_id, of=therapist, by=by)
    new = Treatment.objects.create(
        practice_id=of.practice_id,
        client_id=of.client_id,
        therapist=therapist,
        starts_on=day,
        follows=of,
    )
    return new, True


def go_on(treatment: Treatment) -> None:
    """Let a treatment that was to end go on. Where the client was to come to its therapist anew
    later, by a colleague's move or a hand-over, that leads here, and it ends as that would have.
    What it led to is for `begin_as_led_to`."""
    again = Treatment.objects.not_ended(on=timezone.localdate()).filter(
        client=treatment.client_id,
        therapist=treatment.therapist_id,
        starts_on__gt=treatment.starts_on,
    )
    treatment.ends_on, treatment.leads_to = None, None
    if anew := again.exclude(id=treatment.id).first():
        treatment.ends_on, treatment.leads_to = anew.ends_on, anew.leads_to
        anew.led_here_by.update(leads_to=treatment)
        _withdraw(anew, else_to=treatment)
    treatment.save(update_fields=["ends_on", "leads_to"])


def begin_as_led_to(treatment: Treatment, *, else_to: Treatment) -> bool:
    """Let one that is to begin do so on the first day on which another leads to it. Where none does
    any more it is withdrawn, and so is what it alone led to; what was planned in them goes to the
    treatment `else_to`.

    Returns:
        Whether it is still there.
    """
    if treatment.has_begun:
        return True
    first = treatment.led_here_by.order_by("ends_on", "id").first()
    if first and first.ends_on:
        treatment.starts_on, treatment.follows = first.ends_on, first
        treatment.save(update_fields=["starts_on", "follows"])
        return True
    after = treatment.leads_to
    _withdraw(treatment, else_to=else_to)
    if after:
        begin_as_led_to(after, else_to=else_to)
    return False


def _withdraw(treatment: Treatment, *, else_to: Treatment) -> None:
    """Delete a treatment that never began and that none leads to; what the client agreed to pass
    on there is for the same therapist's alone."""
    if else_to.therapist_id == treatment.therapist_id:
        treatment.moves_here.update(new_treatment=else_to)
    Treatment.objects.filter(follows=treatment).update(follows=else_to)
    _plan_in(else_to, treatment.therapy_sessions.all())
    treatment.delete()


def _plan_in(treatment: Treatment, planned: QuerySet[Any]) -> None:
    """Let planned sessions be those of a treatment; of two at one time its own stays."""
    planned.filter(starts_at__in=treatment.therapy_sessions.values("starts_at")).delete()
    planned.update(treatment=treatment)
