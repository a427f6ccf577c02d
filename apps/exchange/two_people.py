"""What cannot be undone takes a second person or, in a practice of one, seven days."""

from collections.abc import Collection
from datetime import datetime, time, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import Membership, Practice, Role
from apps.accounts.notices import Said, tell, tell_anew
from apps.accounts.oneself import ALONE_WAITS, here_lately, seven_days_here, works_alone
from apps.accounts.services import set_keeping
from apps.accounts.turns import ask_again
from apps.clients.models import Client, Treatment, TwoPersonRequest
from apps.core import audit, tenancy
from apps.exchange import retention, rights

EXPORT_LASTS = timedelta(days=1)
"""How long the record holder may take away what two people agreed to give out."""

Kind = TwoPersonRequest.Kind


class NotYet(Exception):
    """Somebody else must confirm or, in a practice of one, seven days must pass: `until`."""

    def __init__(self, until: datetime | None = None) -> None:
        super().__init__()
        self.until = until


class NotTheHolder(Exception):
    """Nobody is the record holder, or not the one any more whom an export was asked for."""


class Lapsed(Exception):
    """Who asked could not ask today, or the client is to be kept for longer (`lapsed`)."""


class AskedMeanwhile(Exception):
    """Somebody took a proposal up meanwhile: the next word would be the second one."""


class InTreatment(Exception):
    """Somebody treats the client now, and is neither of the two people."""


class Closed(Exception):
    """Somebody carried it out or withdrew it meanwhile."""


MOST_IN_A_ROUND = 25
"""Clients of a practice that are proposed for erasure in one run of the task, of a minute."""


def propose_in_every_practice(*, at: datetime) -> int:
    """Propose in every practice that has a time of keeping; returns how many clients that were.

    A few of a practice in a round: an archive whose time is over at once takes days, so that no
    practice keeps the others from their turn, and nobody is told of a thousand at a time.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT practices_with_retention()")
        practice_ids = [row[0] for row in cursor.fetchall()]
    proposed = 0
    for practice_id in practice_ids:
        with tenancy.one_of_many(practice_id):
            due = retention.due(Practice.objects.get(id=practice_id), at=at).order_by("id")
            for client in due[:MOST_IN_A_ROUND]:
                ask_to_erase(client=client, by=None)
                proposed += 1
    return proposed


@transaction.atomic
def ask_to_erase(*, client: Client, by: Membership | None) -> TwoPersonRequest:
    """Ask that the whole client is erased. Twice equals once, and what has lapsed is withdrawn.

    Args:
        by: None where Rapport proposes it because the time of keeping is over: then the first
            person who agrees is the one who asks, and somebody else confirms.

    Raises:
        OnHold: nothing may be erased.
    """
    rights.refuse_on_hold(client)
    return _ask(Kind.ERASE_CLIENT, client.practice, client=client, by=by)


@transaction.atomic
def ask_to_erase_texts(
    *, client: Client, keys: Collection[str], by: Membership
) -> TwoPersonRequest:
    """Ask that texts of others are erased: the client's words, or those of a colleague.

    Raises:
        OnHold: nothing may be erased.
    """
    rights.refuse_on_hold(client)
    request = TwoPersonRequest.objects.create(
        practice_id=client.practice_id,
        kind=Kind.ERASE_TEXTS,
        client=client,
        texts=sorted(keys),
        requested_by=by,
        requested_at=timezone.now(),
    )
    _tell_others(request, by)
    return request


@transaction.atomic
def ask_for_export(*, by: Membership) -> TwoPersonRequest:
    """Ask that the record holder may take all clients' records away. Twice equals once.

    What was asked for an earlier record holder, or has lapsed, is withdrawn.

    Raises:
        NotTheHolder: there is none.
    """
    holder = by.practice.record_holder
    if holder is None:
        raise NotTheHolder
    asked = TwoPersonRequest.objects.filter(
        practice=by.practice, kind=Kind.EXPORT_ALL, closed_at=None
    )
    for stale in asked.exclude(holder=holder):
        withdraw(request=stale, by=by)
    return _ask(Kind.EXPORT_ALL, by.practice, client=None, by=by, holder=holder)


def _ask(
    kind: str,
    practice: Practice,
    *,
    client: Client | None,
    by: Membership | None,
    holder: Membership | None = None,
) -> TwoPersonRequest:
    if by:
        open_ones = TwoPersonRequest.objects.in_practice_of(by).filter(
            kind=kind, client=client, closed_at=None
        )
        for request in lapsed(open_ones, practice=practice):
            withdraw(request=request, by=by)
    request, is_new = TwoPersonRequest.objects.get_or_create(
        practice=practice,
        kind=kind,
        client=client,
        closed_at=None,
        defaults={
            "requested_by": by,
            "is_proposal": by is None,
            "requested_at": timezone.now(),
            "holder": holder,
        },
    )
    if is_new:
        _tell_others(request, by)
    return request


def _tell_others(request: TwoPersonRequest, by: Membership | None) -> None:
    verb = "request" if by else "propose"
    audit.record(f"{verb} {_noun(request)}", request, client_id=request.client_id, by=by)
    kind = "two_people_needed"
    for colleague in _others(request, by):
        if by:
            tell(member=colleague, kind=kind, subject=request)
        else:  # one notice of all proposals
            tell_anew(member=colleague, kind=kind, subject=request.practice)


def _others(request: TwoPersonRequest, by: Membership | None) -> QuerySet[Membership]:
    here = Membership.objects.filter(here_lately(), practice=request.practice_id)
    return here.exclude(id=by.id) if by else here


@transaction.atomic
def withdraw(*, request: TwoPersonRequest, by: Membership) -> None:
    """Take the request back; nothing happens. Who asked for it is told, where somebody else does;
    of what Rapport proposed by itself, everybody who is here, whoever took it up.

    Raises:
        Closed: it is too late.
    """
    request = _locked(request, by=by)
    _close(request, by)
    audit.record(f"withdraw {_noun(request)}", request, client_id=request.client_id, by=by)
    asker = request.requested_by
    asked = [asker] if asker and asker != by else []
    for colleague in _others(request, by) if request.is_proposal else asked:
        tell(member=colleague, kind="request_withdrawn", subject=request)


def lapsed(requests: Collection[TwoPersonRequest], *, practice: Practice) -> list[TwoPersonRequest]:
    """Those that nobody can confirm any more, as one of the two words does not hold.

    Who asked could not ask for it today; or Rapport proposed it, and the client is to be kept for
    longer than was known then.
    """
    proposed = [each.client_id for each in requests if each.client_id and each.is_proposal]
    clients = retention.over(practice, at=timezone.now()) if proposed else Client.objects.none()
    over = set(clients.filter(id__in=proposed).values_list("id", flat=True))
    opened = _opened({each.client_id for each in requests if each.client_id}, practice)
    return [
        each
        for each in requests
        if (each.is_proposal and each.client_id not in over) or not _may_ask(each, opened)
    ]


def told_as_lapsed(
    requests: Collection[TwoPersonRequest], *, to: Membership
) -> list[TwoPersonRequest]:
    """Those of `lapsed` of which `to` is told before they would confirm one.

    Not what a colleague asked for about a client: that it lapsed tells when a treatment ended.
    """
    told = [
        each
        for each in requests
        if each.client_id is None or each.is_proposal or each.requested_by_id == to.id
    ]
    return lapsed(told, practice=to.practice)


@transaction.atomic
def change_keeping(
    *,
    practice: Practice,
    retention_years: int | None,
    record_holder: Membership | None,
    by: Membership,
) -> None:
    """Set how long records are kept, and who holds them (`set_keeping`).

    What somebody asked for and has lapsed is withdrawn before they come to hold the records: no old
    word counts as said today.

    Raises, with nothing changed:
        TooNew
    """
    if record_holder and record_holder != practice.record_holder:
        asked = TwoPersonRequest.objects.filter(requested_by=record_holder, closed_at=None)
        for request in lapsed(asked, practice=practice):
            withdraw(request=request, by=by)
    set_keeping(
        practice=practice, retention_years=retention_years, record_holder=record_holder, by=by
    )


def _opened(client_ids: Collection[UUID], practice: Practice) -> set[tuple[UUID, UUID]]:
    """Who opens the records of which of these clients today: pairs of the ids of both."""
    treated = Treatment.objects.current(on=timezone.localdate()).filter(
        client__in=client_ids, therapist__roles__contains=[Role.THERAPIST]
    )
    opened = set(treated.values_list("therapist_id", "client_id"))
    if holder := practice.record_holder:
        kept = Client.objects.kept_by(holder).filter(id__in=client_ids)
        opened |= {(holder.id, each.id) for each in kept}
    return opened


def _may_ask(request: TwoPersonRequest, opened: Collection[tuple[UUID, UUID]]) -> bool:
    """Whether who asked is here and could ask today; whoever is here takes up a proposal."""
    asker = request.requested_by
    if asker is None or not asker.is_active:
        return asker is None
    if request.kind == Kind.EXPORT_ALL:
        was_taken = asker.managed_until and request.requested_at <= asker.managed_until
        return asker.has_role(Role.MANAGER) and not was_taken
    return request.is_proposal or (asker.id, request.client_id) in opened


def may_be_confirmed_from(
    request: TwoPersonRequest, *, is_alone: bool, by: Membership
) -> datetime | None:
    """From when `by` may agree; None: never, somebody else must.

    Both have been here for seven days, from the day on which those are over: nobody becomes one of
    two people by an invitation.
    """
    if request.requested_by_id != by.id:
        both = filter(None, (by, request.requested_by))
        days = filter(None, map(seven_days_here, both))
        midnights = [timezone.make_aware(datetime.combine(day, time.min)) for day in days]
        return max([request.requested_at, *midnights])
    return request.requested_at + ALONE_WAITS if is_alone else None


@transaction.atomic
def take_up(*, request: TwoPersonRequest, by: Membership) -> None:
    """Ask for what Rapport proposed; somebody else confirms it.

    Raises:
        AskedMeanwhile: somebody has asked already; nothing is carried out by this word.
        Lapsed, Closed: as for `confirm`.
    """
    request = _locked(request, by=by)
    if request.requested_by:
        raise AskedMeanwhile
    confirm(request=request, by=by)


@transaction.atomic
def confirm(*, request: TwoPersonRequest, by: Membership) -> bool:
    """Carry it out: the second person's word, or the only person's after seven days.

    Returns whether it was carried out; a proposal of Rapport's own is only asked for by this.

    Raises:
        NotYet: somebody else must confirm, or the seven days are not over.
        Lapsed: who asked could not ask today, or the time of keeping is not over any more.
        OnHold: a legal hold was set meanwhile.
        InTreatment: the treatment went to somebody else, or began again, since it was asked for.
        NotTheHolder: an export was asked for somebody who is not the record holder any more.
        Closed: it was carried out or withdrawn meanwhile.
    """
    request = _locked(request, by=by)
    moment = may_be_confirmed_from(request, is_alone=works_alone(by), by=by)
    # Before anything that tells about a colleague's client: who cannot confirm reads no more of it.
    if request.requested_by and (moment is None or timezone.now() < moment):
        raise NotYet(moment)
    if lapsed([request], practice=by.practice):
        raise Lapsed
    if request.requested_by is None:
        request.requested_by, request.requested_at = by, timezone.now()
        request.save(update_fields=["requested_by", "requested_at"])
        audit.record(f"request {_noun(request)}", request, client_id=request.client_id, by=by)
        return False
    if request.kind == Kind.EXPORT_ALL and (
        not request.holder_id or request.holder_id != request.practice.record_holder_id
    ):
        raise NotTheHolder
    if client := request.client:
        _refuse_where_others_treat(client, (by, request.requested_by))
        if request.kind == Kind.ERASE_CLIENT:
            rights.erase_client(client=client, by=by)
        else:
            rights.erase_texts(client=client, keys=request.texts, by=by)
    request.is_carried_out = True
    _close(request, by)
    audit.record(f"confirm {_noun(request)}", request, client_id=request.client_id, by=by)
    return True


def _refuse_where_others_treat(client: Client, people: Collection[Membership]) -> None:
    """Raises InTreatment where the client is in treatment, and with none of these people."""
    treated = Client.objects.filter(id=client.id)
    current = Treatment.objects.current(on=timezone.localdate()).filter(client=client)
    if current.exists() and not any(treated.treated_by(each).exists() for each in people):
        raise InTreatment


def exports_of(holder: Membership, *, at: datetime) -> list[TwoPersonRequest]:
    """Exports that two people agreed to for this record holder and that may still be taken."""
    if holder.practice.record_holder_id != holder.id:
        return []
    agreed = TwoPersonRequest.objects.in_practice_of(holder).filter(
        kind=Kind.EXPORT_ALL, holder=holder, is_carried_out=True, closed_at__gt=at - EXPORT_LASTS
    )
    return list(agreed.order_by("closed_at"))


def _locked(request: TwoPersonRequest, *, by: Membership) -> TwoPersonRequest:
    """Raises Closed, or PermissionDenied where `by` lost roles or place while they waited."""
    open_ones = TwoPersonRequest.objects.select_for_update().filter(closed_at=None)
    found = open_ones.filter(id=request.id).first()
    ask_again(by)
    if found is None:
        raise Closed
    return found


def _close(request: TwoPersonRequest, by: Membership) -> None:
    request.closed_by, request.closed_at = by, timezone.now()
    request.save(update_fields=["closed_by", "closed_at", "is_carried_out"])


def _noun(request: TwoPersonRequest) -> str:
    return {
        Kind.ERASE_CLIENT: "erasure",
        Kind.ERASE_TEXTS: "erasure of texts",
        Kind.EXPORT_ALL: "export of all records",
    }[Kind(request.kind)]


def say_requested(subject_ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """Notices to colleagues that a request waits for a second person, or that Rapport proposed
    some, which are their practice's.

    Without the client, whom the page names: whoever asked would read in *Who looked* when each
    colleague opens theirs.
    """
    waiting = TwoPersonRequest.objects.in_practice_of(member).filter(closed_at=None)
    said = {each.id: _in_words(each) for each in waiting.filter(id__in=subject_ids)}
    if member.practice_id in subject_ids and waiting.filter(is_proposal=True).exists():
        said[member.practice_id] = _("Erasures are proposed: two people have to agree.")
    return {id_: Said(text, url=reverse("erasures")) for id_, text in said.items()}


def _in_words(request: TwoPersonRequest) -> str:
    if not request.client_id:
        holder = request.holder.name if request.holder else _("nobody")
        said = _("All records are to be given to %(holder)s: a second person has to confirm it.")
        return said % {"holder": holder}
    if request.requested_by:
        said = _("%(name)s asks for an erasure: a second person has to confirm it.")
        return said % {"name": request.requested_by.name}
    return _("An erasure is proposed: two people have to agree.")


def say_withdrawn(subject_ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """Notices that a colleague withdrew what one asked for, or what Rapport proposed; by code while
    the member may know of the client."""
    withdrawn = TwoPersonRequest.objects.in_practice_of(member).filter(
        id__in=subject_ids, is_carried_out=False, closed_by__isnull=False
    )
    withdrawn = withdrawn.select_related("closed_by", "client")
    clients = {each.client_id for each in withdrawn if each.client_id}
    named = Client.objects.nameable_to(member, clients)
    said = {}
    for each in withdrawn:
        who, is_named = {"who": each.closed_by}, each.client_id in named
        if not each.client:
            text = _("%(who)s withdrew the request to give out all records.") % who
        elif is_named:
            code = {"code": each.client.code}
            text = _("%(code)s: %(who)s withdrew the request to erase.") % (who | code)
        else:
            text = _("%(who)s withdrew a request to erase.") % who
        said[each.id] = Said(text, client_id=each.client_id if is_named else None)
    return said
