"""What time alone does to an open episode. The beat calls it; called twice, it does nothing more.

- After the practice's waiting time (72 h) without acknowledgement the supervisor sees it, and goes
  on seeing it: a late acknowledgement hides nothing.
- Where treatment is over, or nobody came for 60 days, it ended unrepaired. Only a person can say
  that something was repaired; where it was recovering, the reason says so.
- While processing of the client's data is restricted, time does neither; once that is lifted, what
  was reached meanwhile is done. A treatment that is over ended by what somebody did: its episode
  ends all the same, or those who could see it would not be told.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.db.models import F, Max, Q, QuerySet
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import Notice, Practice
from apps.alliance.models import Questionnaire
from apps.clients.models import Treatment
from apps.core import audit, tenancy
from apps.ruptures.models import (
    RuptureEpisode,
    RuptureEpisodeQuerySet,
    Screening,
    has_waited,
)
from apps.ruptures.notices import tell_about
from apps.ruptures.services import record_outcome, screen_treatment
from apps.therapy_sessions.models import TherapySession

Outcome = RuptureEpisode.Outcome
ENDS_AFTER = timedelta(days=60)


def move_episodes_on() -> None:
    """Note waiting times and ends that were reached by now, in every practice."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT practice_id FROM practices_with_open_episodes()")
        practice_ids = [row[0] for row in cursor.fetchall()]
    for practice_id in practice_ids:
        for step in (note_waiting, end_unrepaired):
            with tenancy.one_of_many(practice_id):
                step(Practice.objects.get(id=practice_id), at=timezone.now())


@transaction.atomic
def note_waiting(practice: Practice, *, at: datetime) -> int:
    """Let supervisors see what waited unacknowledged long enough; returns how many episodes."""
    return show_what_waited(RuptureEpisode.objects.filter(practice=practice), at=at)


def show_what_waited(episodes: RuptureEpisodeQuerySet, *, at: datetime) -> int:
    """`note_waiting` of these episodes alone."""
    waiting = (
        episodes.open()
        .filter(has_waited(at=at))
        .filter(Q(waited_at=None) | Q(waited_at__lt=F("fell_again_at")))
        .select_for_update(of=("self",), no_key=True, skip_locked=True)
        .select_related("treatment")
    )
    for episode in waiting:
        episode.waited_at = at
        episode.save(update_fields=["waited_at"])
        audit.record(
            "let supervisor see episode", episode, client_id=episode.treatment.client_id, by=None
        )
        tell_about(episode)
    return len(waiting)


@transaction.atomic
def end_unrepaired(practice: Practice, *, at: datetime) -> int:
    """End what nobody can repair any more, as moved where the client did; returns how many."""
    return _end(RuptureEpisode.objects.open().filter(practice=practice), practice, at=at)


@transaction.atomic
def screen_by_now(
    *, treatment: Treatment, questionnaire: Questionnaire, since: TherapySession
) -> None:
    """Screen what is known by now of a treatment, from `since` on: people are told of it.

    One that has ended is history: nobody could act on what opens in it any more, or could see it.
    What is still open in it ends first, as the people who saw it know it.
    """
    now = timezone.now()
    if not treatment.has_ended:
        screen_treatment(treatment=treatment, questionnaire=questionnaire, since=since, at=now)
        return
    still_open = RuptureEpisode.objects.open().filter(treatment=treatment)
    _end(still_open, treatment.practice, at=now)
    screen_treatment(treatment=treatment, questionnaire=questionnaire, since=since, at=None)
    end_history(treatment, at=now)


@transaction.atomic
def screen_what_waited(
    *, treatment: Treatment, questionnaire: Questionnaire, since: TherapySession
) -> None:
    """Screen what came while processing was restricted, from `since` on: by now, but as an import
    would where files alone tell of the course. What people see of before is not ended unseen."""
    if treatment.has_ended or goes_on_here(treatment):
        screen_by_now(treatment=treatment, questionnaire=questionnaire, since=since)
        return
    now = timezone.now()
    show_what_waited(RuptureEpisode.objects.filter(treatment=treatment), at=now)
    screen_treatment(treatment=treatment, questionnaire=questionnaire, since=since, at=None)
    end_history(treatment, at=now)


def goes_on_here(treatment: Treatment) -> bool:
    """Whether somebody logs, corrects or asks here, besides what imports bring, and the treatment
    has not ended: then what comes to light is no history, and whom a flag concerns is told. What
    comes from a file counts as logged when it ended."""
    if treatment.has_ended:
        return False
    logged = treatment.therapy_sessions.exclude(attendance="")
    asked = logged.filter(feedback_requests__isnull=False)
    return asked.exists() or any(
        each.corrected_at or each.logged_at != each.ends_at for each in logged
    )


@transaction.atomic
def end_history(treatment: Treatment, *, at: datetime) -> int:
    """End what was over before it was screened, as after an import, as of then: nobody is told.
    What somebody here was told of, or acted on, is left to `end_unrepaired`."""
    told = Notice.objects.filter(practice=treatment.practice_id).values("subject_id")
    of_treatment = RuptureEpisode.objects.open().filter(
        treatment=treatment, waited_at=None, shared_at=None, acknowledged_at=None
    )
    return _end(of_treatment.exclude(id__in=told), treatment.practice, at=at, is_history=True)


def _end(
    episodes: QuerySet[RuptureEpisode],
    practice: Practice,
    *,
    at: datetime,
    is_history: bool = False,
) -> int:
    today = at.astimezone(ZoneInfo(practice.time_zone)).date()
    attended = Q(treatment__therapy_sessions__attendance=TherapySession.Attendance.ATTENDED)
    over = dict(
        episodes.annotate(
            last_seen=Greatest(
                "opened_at", Max("treatment__therapy_sessions__starts_at", filter=attended)
            )
        )
        .filter(
            Q(treatment__ends_on__lte=today)
            | Q(last_seen__lte=at - ENDS_AFTER, treatment__client__restricted_at=None)
        )
        .values_list("id", "last_seen")
    )
    ending = (
        RuptureEpisode.objects.open()
        .filter(id__in=over)
        .select_for_update(of=("self",), no_key=True, skip_locked=True)
        .select_related("treatment__practice")
    )
    for episode in ending:
        ends_at, ends_on = episode.treatment.ends_at, episode.treatment.ends_on
        is_closed = bool(ends_on and ends_on <= today)
        new = episode.treatment.followed_by_move() if is_closed else None
        ended_at = ends_at if ends_at and is_closed else over[episode.id] + ENDS_AFTER
        record_outcome(
            episode=episode,
            outcome=Outcome.MOVED if new else Outcome.ENDED_UNREPAIRED,
            reason=_("Moved to %s.") % new.therapist.name
            if new
            else _why_ended(episode, is_closed=is_closed),
            at=max(ended_at, _last_known_at(episode)) if is_history else None,
            by=None,
        )
    return len(ending)


def _last_known_at(episode: RuptureEpisode) -> datetime:
    """When the last was known of its treatment, also on its last day: the outcome is about that."""
    said = Screening.objects.current().filter(treatment=episode.treatment_id)
    known = said.aggregate(known=Max("known_at"), screened=Max("screened_at"))
    last: datetime = max(episode.opened_at, *filter(None, known.values()))
    return last


def _why_ended(episode: RuptureEpisode, *, is_closed: bool) -> str:
    why = (
        _("The treatment ended.")
        if is_closed
        else _("No attended session for %(days)d days.") % {"days": ENDS_AFTER.days}
    )
    if episode.recovering_since:
        why += " " + _("It was recovering; no outcome was recorded.")
    return why
