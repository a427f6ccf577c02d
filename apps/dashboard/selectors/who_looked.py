"""Who looked at a client: every read and change on record, newest first."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.db.models import Max
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import Membership, Role, Supervision
from apps.clients.handing_over import TAKEN_BACK
from apps.clients.models import Client, Treatment
from apps.core.models import AuditEntry, AuditSeal
from apps.dashboard.selectors import words
from apps.supervision.models import LOOKS_BACK

ROWS_PER_PAGE = 25
WHAT: dict[str, str | Promise] = {
    "": gettext_lazy("Read and changed"),
    "read": gettext_lazy("Read only"),
    "changed": gettext_lazy("Changed only"),
}
WHEN: dict[str, tuple[str | Promise, timedelta | None]] = {
    "": (gettext_lazy("Last 30 days"), timedelta(days=30)),
    "year": (gettext_lazy("Last 12 months"), timedelta(days=365)),
    "all": (gettext_lazy("Since the start"), None),
}


# Pages of a client's records, which nobody opens but who treats the client and the record holder.
OF_RECORDS = {
    *("records", "export_records", "portable_copy", "erase_texts", "act_on_records"),
    *("left_notes", "take_export"),
}


@dataclass(frozen=True)
class LookFilter:
    """Which entries the address asks for; unknown words mean no filter."""

    who: str = ""
    what: str = ""
    when: str = ""
    page: str = "1"


@dataclass(frozen=True)
class Look:
    """One entry. `because` says why the person could, by the relationship of that day.

    It tells no supervision of a colleague's: neither since when, nor that it was one.
    """

    day: str
    time: str
    who: str
    role: str
    is_read: bool
    action: str
    because: str


@dataclass(frozen=True)
class WhoLookedPage:
    client_id: UUID
    code: str
    initials: str
    who: tuple[tuple[str, str], ...]
    what: tuple[tuple[str, str | Promise], ...]
    when: tuple[tuple[str, str | Promise], ...]
    chosen: LookFilter
    page: Page[AuditEntry]
    looks: tuple[Look, ...]
    sealed: str


def who_looked_page(
    client: Client, *, chosen: LookFilter, today: date, at: datetime, reader: Membership
) -> WhoLookedPage:
    """Compose the page for `reader`, who treats the client.

    Its number of queries does not grow with the entries.
    """
    entries = AuditEntry.objects.of_client(client.id).order_by("-at", "-id")
    # The practice's newest seal would tell when colleagues work.
    recent = AuditSeal.objects.filter(entry__in=entries.values("id")[:ROWS_PER_PAGE])
    sealed = recent.aggregate(newest=Max("sealed_at"))["newest"]
    # Not as one query: PostgreSQL would look the client's entries up for each of the practice.
    actors = set(entries.order_by().values_list("actor_id", flat=True).distinct()) - {None}
    theirs = Membership.objects.filter(practice=client.practice_id, id__in=map(str, actors))
    members = {str(member.id): member for member in theirs.order_by("name")}
    _label, since = WHEN.get(chosen.when, WHEN[""])
    if since:
        entries = entries.filter(at__gte=at - since)
    if chosen.who in members:
        entries = entries.filter(actor_id=chosen.who)
    if chosen.what in ("read", "changed"):
        entries = entries.filter(is_read=chosen.what == "read")
    page = Paginator(entries, ROWS_PER_PAGE).get_page(chosen.page)
    treatments = list(Treatment.objects.filter(client=client))
    treatments += [
        Treatment(therapist_id=entry.object_id, starts_on=on, ends_on=on, follows=treatments[0])
        for entry in AuditEntry.objects.of_client(client.id).filter(action=TAKEN_BACK)
        for on in [words.local(entry.at).date()]
    ]
    supervisions = list(
        Supervision.objects.filter(supervisee__in=[each.therapist_id for each in treatments])
    )
    return WhoLookedPage(
        client_id=client.id,
        code=client.code,
        initials=client.initials,
        who=(("", _("Anyone")), *((id_, member.name) for id_, member in members.items())),
        what=tuple(WHAT.items()),
        when=tuple((name, label) for name, (label, _since) in WHEN.items()),
        chosen=chosen,
        page=page,
        looks=tuple(
            _look(entry, members.get(str(entry.actor_id)), treatments, supervisions, reader, today)
            for entry in page.object_list
        ),
        sealed=words.moment(sealed, today) if sealed else "",
    )


def _look(
    entry: AuditEntry,
    member: Membership | None,
    treatments: list[Treatment],
    supervisions: list[Supervision],
    reader: Membership,
    today: date,
) -> Look:
    local = words.local(entry.at)
    who, role = _who(entry, member)
    return Look(
        day=words.short_day(local.date(), today),
        time=words.clock(entry.at),
        who=who,
        role=role,
        is_read=entry.is_read,
        action=entry.action[:1].upper() + entry.action[1:],
        because=_because(member, entry.route, treatments, supervisions, reader, local.date()),
    )


def _who(entry: AuditEntry, member: Membership | None) -> tuple[str, str]:
    if member:
        return member.name, ", ".join(str(role.label) for role in Role if member.has_role(role))
    if entry.route.startswith("feedback_"):
        return _("Client"), _("By link")
    return "Rapport", _("By itself")


def _because(
    member: Membership | None,
    route: str,
    treatments: list[Treatment],
    supervisions: list[Supervision],
    reader: Membership,
    on: date,
) -> str:
    """Why a member could on the day `on`; '' for the client and for Rapport itself.

    Who treated the client before opens what is about that time later too; who supervised them, as
    long as an agenda goes back.
    Before the client's first treatment begins, whoever wrote it down ahead treats them already.
    """
    if member is None:
        return ""
    begins = min((each.starts_on for each in treatments), default=on)
    current = [
        each.therapist_id
        for each in treatments
        if (each.starts_on <= on or (on < begins and not each.follows_id))
        and (each.ends_on is None or on <= each.ends_on)
    ]
    if member.id in current:
        return _("Treating therapist")
    supervised = {
        each.supervisee_id
        for each in supervisions
        if each.supervisor_id == member.id
        and each.began_on <= on
        and (each.ends_on is None or on <= each.ends_on)
    }
    if reader.id in supervised and reader.id in current:
        return _("Supervision")
    if route in OF_RECORDS:
        return _("Record holder")
    earlier = [each for each in treatments if each.starts_on <= on]
    lately = {
        each.therapist_id
        for each in earlier
        if each.ends_on is None or on - each.ends_on <= LOOKS_BACK
    }
    treated = {each.therapist_id for each in earlier}
    if member.id in treated or {*current, *lately} & supervised:
        return _("An earlier treatment")
    if member.has_role(Role.MANAGER):
        return _("Practice manager: by code only")
    return _("No relationship on record that day")
