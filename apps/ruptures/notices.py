"""What people are told of an episode in the app: its opening, that it is marked, that it waited,
and, where supervisors could see it, that it ended or was taken from their sight.

Each once per person and episode, however often it is screened anew; that one fell again, has gone,
or is back again, each time.
One that a correction took back is not deleted: it then says so.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts import notices
from apps.accounts.models import Membership, Notice, Supervision
from apps.accounts.notices import Said
from apps.clients.models import Client
from apps.ruptures.falls import Fall, falls_of
from apps.ruptures.models import RuptureEpisode

OPENED, MARKED, WAITED = "episode_opened", "episode_marked", "episode_waited"
GONE = "episode_withdrawn"


def tell_about(episode: RuptureEpisode) -> None:
    """Tell therapist and supervisors what is new for them; what they were told stays told, until
    supervisors were told that it went, or it fell again."""
    therapist = episode.treatment.therapist
    falls = falls_of(episode)
    # Of several at once, as after an import, the newest: the page says the others.
    if unseen := [each for each in falls if not each.is_seen]:
        newest = max(reversed(unseen), key=lambda each: each.fell_at)
        notices.tell(member=therapist, kind=OPENED, subject=episode, mark=newest.mark)
    marked = [each for each in reversed(falls) if each.marked_at]
    last = max(marked, key=lambda each: each.marked_at or each.fell_at, default=None)
    if last:
        _tell_marked(therapist, episode, last)
    since = episode.fell_again_at
    # By a mark they are told more; of one that was acknowledged before it had waited, nothing.
    is_told = any(each.fell_at >= episode.fell_at for each in marked)
    was_seen_first = episode.seen_at and episode.waited_at and episode.seen_at < episode.waited_at
    has_waited = episode.waiting_is_noted and not (is_told or was_seen_first)
    for member in seers(episode):
        went = Notice.objects.filter(member=member, kind=GONE, subject_id=episode.id)
        gone = went.order_by("mark").values_list("mark", flat=True).last() or ""
        if last:
            _tell_marked(member, episode, last, gone=gone)
        if has_waited:
            waited = since.isoformat() if since else ""
            notices.tell(member=member, kind=WAITED, subject=episode, mark=max(gone, waited))
        elif gone and not last:
            notices.tell(member=member, kind=OPENED, subject=episode, mark=gone)


def _tell_marked(
    member: Membership, episode: RuptureEpisode, fall: Fall, *, gone: str = ""
) -> None:
    """Once, also of what has no mark since it was acknowledged: it was told by its moment."""
    moment = fall.fell_at.isoformat()
    told = Notice.objects.filter(member=member, kind=MARKED, subject_id=episode.id, mark=moment)
    if fall.mark or gone or not told.exists():
        notices.tell(member=member, kind=MARKED, subject=episode, mark=max(gone, fall.mark))


def seers(episode: RuptureEpisode) -> list[Membership]:
    """Supervisors who may see it now, as `for_supervisor` has it, A to Z."""
    if episode.outcome or not (episode.shared_at or episode.is_every_supervisors):
        return []
    since = None if episode.is_every_supervisors else episode.shared_at
    therapist, today = episode.treatment.therapist, timezone.localdate()
    return list(Membership.objects.supervising(therapist, on=today, since=since))


def shared_with(
    episode: RuptureEpisode, supervisors: Iterable[Membership], *, since: datetime | None = None
) -> list[Membership]:
    """Those of its therapist's supervisors with whom it is shared: whose supervision has held since
    it was, or since then. Not who began since, nor who begins again."""
    since = since or episode.shared_at
    if since is None:
        return []
    therapist, today = episode.treatment.therapist, timezone.localdate()
    by_then = set(Membership.objects.supervising(therapist, on=today, since=since))
    return [each for each in supervisors if each in by_then]


def tell_gone(episode: RuptureEpisode, *, seen_by: Collection[Membership]) -> None:
    """Tell supervisors that what they could see ended, was taken away by a correction, or is shared
    no more: no flag goes unnoticed, however often it comes back."""
    still = seers(episode)
    for member in (each for each in seen_by if each not in still):
        notices.tell(member=member, kind=GONE, subject=episode, mark=timezone.now().isoformat())


def gone_from(supervisor: Membership, *, since: datetime) -> "QuerySet[Any]":
    """Episodes that the supervisor could see until they went since then, the first ones first."""
    told = Notice.objects.told_to(supervisor).filter(kind=GONE, created_at__gte=since)
    return _unseen_by(supervisor).filter(id__in=told.values("subject_id")).order_by("opened_at")


def why_gone(episode: Any) -> str:
    """'withdrawn after a correction', or 'recorded as “Not a rupture”', of one of `gone_from`. What
    became of it after it had gone from the supervisor's sight is not theirs to know."""
    if episode.outcome_at is None or episode.outcome_at > episode.went_at:
        return _("taken back: it is no longer marked, or no longer shared")
    if episode.outcome == RuptureEpisode.Outcome.SUPERSEDED:
        return _("withdrawn after a correction")
    return _("recorded as “%(outcome)s”") % {"outcome": episode.get_outcome_display()}


def _unseen_by(supervisor: Membership) -> "QuerySet[Any]":
    """Episodes of current supervisees' clients that the supervisor does not see now, whatever
    became of episode and treatment, if the supervision held by the treatment's end; none of who was
    erased. `went_at` is when they were last told that it went."""
    today = timezone.localdate()
    held = Supervision.objects.current(on=today).filter(
        supervisor=supervisor, supervisee=OuterRef("treatment__therapist")
    )
    by_its_end = held.begun_by(Coalesce(OuterRef("treatment__ends_on"), today))
    seen = RuptureEpisode.objects.for_supervisor(supervisor)
    went = Notice.objects.told_to(supervisor).filter(kind=GONE, subject_id=OuterRef("id"))
    return (
        RuptureEpisode.objects.filter(Exists(by_its_end), treatment__client__erased_at=None)
        .exclude(id__in=seen.values("id"))
        .annotate(went_at=Subquery(went.order_by("-created_at").values("created_at")[:1]))
        .select_related("treatment__client", "treatment__therapist")
    )


def say_opened(ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """That a possible rupture opened."""
    return _say(ids, member, _("%(code)s: possible rupture, worth asking about."))


def say_marked(ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """That one is marked."""
    return _say(ids, member, _("%(code)s: possible rupture, marked."))


def say_waited(ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """That one waited unacknowledged, so that the supervisor sees it."""
    return _say(ids, member, _("%(code)s: possible rupture, waiting for its therapist."))


def say_gone(ids: Collection[UUID], member: Membership) -> dict[UUID, Said]:
    """That one went that the supervisor could see, and why; by code while they may know of the
    client, else as one of whom the agenda tells. It leads nowhere any more."""
    by_code = _("%(code)s: a possible rupture that you could see was %(why)s.")
    without = _(
        "A possible rupture that you could see, with a client of %(name)s, was %(why)s. The agenda"
        " of a meeting within 90 days of that names the client."
    )
    gone = _unseen_by(member).filter(id__in=ids)
    named = Client.objects.nameable_to(member, {each.treatment.client_id for each in gone})
    return {
        episode.id: Said(
            (by_code if episode.treatment.client_id in named else without)
            % {
                "code": episode.treatment.client.code,
                "name": episode.treatment.therapist.name,
                "why": why_gone(episode),
            },
            client_id=episode.treatment.client_id if episode.treatment.client_id in named else None,
        )
        for episode in gone
    }


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
