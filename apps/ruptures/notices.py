"""What people are told of an episode in the app: its opening, that it is marked, that it waited.

Each once per person and episode, however often it is screened anew. One that a correction took
back is not deleted: it then says so.
"""

from collections.abc import Collection
from uuid import UUID

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts import notices
from apps.accounts.models import Membership
from apps.accounts.notices import Said
from apps.ruptures.models import RuptureEpisode

OPENED, MARKED, WAITED = "episode_opened", "episode_marked", "episode_waited"


def tell_about(episode: RuptureEpisode) -> None:
    """Tell therapist and supervisors what is new for them; what they were told stays told."""
    therapist = episode.treatment.therapist
    notices.tell(member=therapist, kind=OPENED, subject=episode)
    supervisors = _supervisors_of(therapist)
    if episode.marked_at:
        for member in (therapist, *supervisors):
            notices.tell(member=member, kind=MARKED, subject=episode)
    elif episode.waited_at:
        for member in supervisors:
            notices.tell(member=member, kind=WAITED, subject=episode)


def _supervisors_of(therapist: Membership) -> list[Membership]:
    current = therapist.supervisions_received.current(on=timezone.localdate())
    return [each.supervisor for each in current.select_related("supervisor")]


def say_opened(ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """That a possible rupture opened."""
    return _say(ids, member, _("%(code)s: possible rupture, worth asking about."))


def say_marked(ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """That one is marked."""
    return _say(ids, member, _("%(code)s: possible rupture, marked."))


def say_waited(ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """That one waited unacknowledged, so that the supervisor sees it."""
    return _say(ids, member, _("%(code)s: possible rupture, waiting for its therapist."))


def _say(ids: Collection[UUID], member: Membership, text: str) -> dict[UUID, Said]:
    """The sentence about each episode that the member may see now, with the page it leads to.

    One that a correction took back is said to be withdrawn; one that ended is not spoken of.
    """
    superseded = RuptureEpisode.Outcome.SUPERSEDED
    withdrawn = _("%(code)s: a possible rupture was withdrawn after a correction.")
    said = {}
    supervised = RuptureEpisode.objects.for_supervisor(member).filter(id__in=ids)
    own = RuptureEpisode.objects.conducted_by(member).filter(
        id__in=ids, outcome__in=["", superseded]
    )
    for episodes, page in ((supervised, "supervised_episode"), (own, "client")):
        for episode in episodes.select_related("treatment__client"):
            client = episode.treatment.client
            target = client.id if page == "client" else episode.id
            sentence = withdrawn if episode.outcome == superseded else text
            said[episode.id] = Said(
                sentence % {"code": client.code}, reverse(page, args=[target]), client.id
            )
    return said
