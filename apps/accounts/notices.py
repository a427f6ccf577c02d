"""What members are told in the app: each thing once, until they have read it."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import wraps
from itertools import islice
from typing import Any
from uuid import UUID

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from apps.accounts.models import Membership, Notice, Role

MOST_SHOWN = 20


@dataclass(frozen=True)
class Said:
    """A notice in words: one sentence, where it leads ('' nowhere), and under which client the look
    at it stands in the audit trail."""

    text: str
    url: str = ""
    client_id: UUID | None = None


@dataclass(frozen=True)
class ShownNotice:
    """See components/notices.html."""

    id: UUID
    said: Said


Renderer = Callable[[Collection[UUID], Membership], dict[UUID, Said]]


def told_as(*roles: Role) -> Callable[[Renderer], Renderer]:
    """A renderer whose notices fall silent for whoever has none of these roles any more."""

    def decorate(renderer: Renderer) -> Renderer:
        @wraps(renderer)
        def while_in_role(ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
            return renderer(ids, member) if any(map(member.has_role, roles)) else {}

        return while_in_role

    return decorate


def tell(*, member: Membership, kind: str, subject: Any, mark: str = "") -> Notice:
    """Tell a member something about a row, once.

    Args:
        kind: key of `settings.NOTICE_RENDERERS`. Its renderer takes the ids of the rows and the
            member, and leaves out what the member may not see any more.
        subject: a saved row of the member's practice.
        mark: tells repetitions about the same row apart, e.g. a moment.
    """
    notice, _created = Notice.objects.get_or_create(
        practice_id=member.practice_id,
        member=member,
        kind=kind,
        subject_id=subject.id,
        mark=mark,
    )
    return notice


def tell_anew(*, member: Membership, kind: str, subject: Any) -> None:
    """Tell what was told of the row before; where that is unread, it says what holds by now, and
    stands on top again."""
    told = Notice.objects.unread_by(member).filter(kind=kind, subject_id=subject.id)
    if not told.update(created_at=timezone.now()):
        tell(member=member, kind=kind, subject=subject, mark=timezone.now().isoformat())


def unread(member: Membership) -> tuple[ShownNotice, ...]:
    """What the member has not marked as read, the newest first; one look-up per kind.

    A kind that a later version of Rapport no longer knows is passed over.
    """
    unread = Notice.objects.unread_by(member).order_by("-created_at", "id")
    notices = [notice for notice in unread if notice.kind in settings.NOTICE_RENDERERS]
    subjects: dict[str, set[UUID]] = {}
    for notice in notices:
        subjects.setdefault(notice.kind, set()).add(notice.subject_id)
    said = {kind: _renderer(kind)(ids, member) for kind, ids in subjects.items()}
    shown = (
        ShownNotice(notice.id, said[notice.kind][notice.subject_id])
        for notice in notices
        if notice.subject_id in said[notice.kind]
    )
    # Counted afterwards: those that have fallen silent must hide no other.
    return tuple(islice(shown, MOST_SHOWN))


def clients_of(shown: Collection[ShownNotice]) -> set[UUID]:
    """Clients of whom these notices say anything, for the audit trail."""
    return {each.said.client_id for each in shown if each.said.client_id}


def mark_read(*, notice: Notice) -> None:
    """Twice equals once."""
    if notice.read_at is None:
        notice.read_at = timezone.now()
        notice.save(update_fields=["read_at"])


def say_record_holder(ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """Whom a manager named as record holder, and what that opens."""
    return {
        holder.id: Said(
            _(
                "%(who)s was named record holder of the practice: they see the records of clients "
                "with a treatment that has ended, and process notes of people who have left."
            )
            % {"who": holder.name}
        )
        for holder in Membership.objects.colleagues_of(member).filter(id__in=ids)
    }


def say_record_holder_ends(ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """Who was the record holder, where nobody was named in their place."""
    return {
        holder.id: Said(
            _("%(who)s ceased to be record holder of the practice; nobody took their place.")
            % {"who": holder.name}
        )
        for holder in Membership.objects.colleagues_of(member).filter(id__in=ids)
    }


@told_as(Role.MANAGER)
def say_contact_treats(ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """Therapists who are the independent contact, or may be, as long as they are."""
    practice, url = member.practice, reverse("practice")
    therapists = Membership.objects.colleagues_of(member).with_role(Role.THERAPIST)
    said = {}
    for each in therapists.filter(id__in=ids).select_related("user"):
        if practice.contact_is(each):
            text = _(
                "%(who)s, who treats clients here now, is the independent contact: no message goes "
                "out to any client until another is named."
            )
        elif practice.contact_is_like(each):
            text = _(
                "%(who)s, a therapist here now, has a name like that of %(contact)s, the "
                "independent contact. If that is one person, name another contact."
            )
        else:
            continue
        said[each.id] = Said(text % {"who": each.name, "contact": practice.contact_name}, url)
    return said


def _renderer(kind: str) -> Renderer:
    renderer: Renderer = import_string(settings.NOTICE_RENDERERS[kind])
    return renderer
