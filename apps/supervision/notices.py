"""What supervisors and supervisees are told in the app."""

from collections.abc import Collection
from uuid import UUID

from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from apps.accounts.models import Membership, Role, Supervision
from apps.accounts.notices import Said, told_as
from apps.ruptures.models import RuptureEpisode
from apps.supervision.models import Meeting, SupportMessage


def say_support_message(ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """'Sam Okafor wrote about FE-0142', as long as the member may see the episode."""
    episodes = RuptureEpisode.objects.discussable_by(member)
    messages = SupportMessage.objects.filter(id__in=ids, episode__in=episodes).select_related(
        "author", "episode__treatment__client"
    )
    return {
        message.id: Said(
            text=_("%(who)s wrote about %(code)s.")
            % {"who": message.author.name, "code": message.episode.treatment.client.code},
            url=_page_of(message.episode, member) + "#support",
            client_id=message.episode.treatment.client_id,
        )
        for message in messages
    }


@told_as(Role.THERAPIST, Role.SUPERVISOR)
def say_meeting(ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    return _about_meetings(ids, member, _("%(who)s planned a meeting with you: %(when)s."))


@told_as(Role.THERAPIST, Role.SUPERVISOR)
def say_agenda(ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    return _about_meetings(ids, member, _("%(who)s sent the agenda for %(when)s."))


def _about_meetings(ids: Collection[UUID], member: Membership, text: str) -> dict[UUID, Said]:
    meetings = Meeting.objects.visible_to(member).filter(id__in=ids).select_related("supervisor")
    return {
        meeting.id: Said(
            text=text
            % {
                "who": meeting.supervisor.name,
                "when": date_format(timezone.localtime(meeting.starts_at), "D j M, H:i"),
            },
            url=reverse("meeting", args=[meeting.id]),
        )
        for meeting in meetings
    }


def _page_of(episode: RuptureEpisode, member: Membership) -> str:
    own = episode.treatment.therapist_id == member.id
    return reverse("repair" if own else "supervised_episode", args=[episode.id])


def say_supervision_begins(ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    links = Supervision.objects.filter(id__in=ids, supervisee=member).select_related("supervisor")
    return {
        link.id: Said(
            _("%(who)s supervises you from %(day)s on.")
            % {"who": link.supervisor.name, "day": date_format(link.starts_on, "j M Y")}
        )
        for link in links
    }


def say_supervision_goes_on(ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """To the supervisee, who was not told of its last day, as long as it is not over."""
    links = Supervision.objects.not_over(on=timezone.localdate()).filter(supervisee=member)
    return {
        link.id: Said(_("%(who)s goes on supervising you.") % {"who": link.supervisor.name})
        for link in links.filter(id__in=ids).select_related("supervisor")
    }


def say_supervision_ends(ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """To the supervisor, also where it ended with their role, and to who manages the practice."""
    yours = _("Your supervision of %(who)s ends on %(day)s.")
    theirs = _("The supervision of %(who)s by %(by)s ends on %(day)s: so another manager decided.")
    links = Supervision.objects.in_practice_of(member).filter(id__in=ids)
    return {
        link.id: Said(
            (yours if link.supervisor_id == member.id else theirs)
            % {
                "who": link.supervisee.name,
                "by": link.supervisor.name,
                "day": date_format(link.ends_on, "j M Y"),
            }
        )
        for link in links.select_related("supervisee", "supervisor")
        if link.ends_on and (link.supervisor_id == member.id or member.has_role(Role.MANAGER))
    }


def say_supervision_withdrawn(ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """To who was to give or get it, by the other one's name, and to who manages the practice."""
    text = _("A supervision with %(who)s was withdrawn before it began.")
    others = Membership.objects.colleagues_of(member).filter(id__in=ids)
    return {other.id: Said(text % {"who": other.name}) for other in others}
