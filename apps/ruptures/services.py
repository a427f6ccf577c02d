"""What a fall means: screening treatments, and what people do with an episode."""

from dataclasses import asdict
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from apps.accounts.models import Membership
from apps.alliance.models import Questionnaire
from apps.clients.models import Treatment
from apps.core import audit
from apps.ruptures import detection, falls, steps
from apps.ruptures.detection import Event, State, Verdict
from apps.ruptures.models import RuptureEpisode, Screening
from apps.ruptures.notices import seers, shared_with, tell_about, tell_gone
from apps.ruptures.rules import Rule, rule_in_force, rule_of_version
from apps.therapy_sessions.models import TherapySession

Outcome = RuptureEpisode.Outcome
SUPERSEDED = Outcome.SUPERSEDED
VERDICTS = {
    str(Outcome.NOT_A_RUPTURE): Verdict.NOT_A_RUPTURE,
    str(Outcome.REPAIRED): Verdict.REPAIRED,
    str(Outcome.SETTLED_LOWER): Verdict.SETTLED_LOWER,
    str(Outcome.ENDED_UNREPAIRED): Verdict.REPAIRED,
}


@transaction.atomic
def screen_treatment(
    *,
    treatment: Treatment,
    questionnaire: Questionnaire,
    since: TherapySession,
    at: datetime | None,
) -> list[Screening]:
    """Screen the steps of a treatment from `since` on, and open or move its episode.

    Call it when a session is logged, when its rating arrives and when its form has run out. The
    step before `since` gives the state to go on from, so one more rating costs one step; after a
    correction, pass the earliest session that changed, also one that is no step any more. A step
    that would come out as it did is left alone: calling it twice changes nothing. While processing
    of the client's data is restricted, nothing is screened.

    Args:
        questionnaire: what the client is asked by, or was; where steps from `since` on lie in the
            series of others, those are screened as well.
        at: moment of the screening, for live data; None for history (an import), where each step
            is dated by its own rating or session.

    Returns:
        The new screenings, series by series, in order.
    """
    # One at a time per treatment: two answers at once must not both go on from the same state.
    treatment = (
        Treatment.objects.select_for_update(of=("self",), no_key=True)
        .select_related("practice", "client")
        .get(pk=treatment.pk)
    )
    if treatment.client.restricted_at:
        return []
    rulers = steps.rulers_from(treatment, questionnaire, since)
    screened = [_screen_series(treatment, each, since, at) for each in rulers]
    made = [row for each in screened for row in each.made]
    superseded = [row for each in screened for row in each.superseded]
    if made or superseded:
        told = sorted(
            (row for each in screened for row in each.told),
            key=lambda row: (row.therapy_session.starts_at, row.therapy_session_id),
        )
        _move_episodes(treatment, told, superseded, is_live=at is not None)
    return made


class _Screened(NamedTuple):
    """Of one series: what is said anew, all that is said, and what is said no more."""

    made: list[Screening]
    told: list[Screening]
    superseded: list[Screening]


def _screen_series(
    treatment: Treatment, questionnaire: Questionnaire, since: TherapySession, at: datetime | None
) -> _Screened:
    """Screen the series of one questionnaire from `since` on."""
    series = steps.series_since(treatment, questionnaire, since)
    existing = _current_screenings(treatment, questionnaire, since)
    if not series and not existing:
        return _Screened([], [], [])
    before = _screening_before(treatment, questionnaire, since)
    at_maximum_run = before.at_maximum_run if before else 0
    verdicts = _Verdicts(treatment, questionnaire, before=before)
    made, told = [], []
    for (session, step, known_at), rule in zip(
        series, _rules_of(series, questionnaire), strict=True
    ):
        state = _state_after(before, rule)
        state = verdicts.put_into(state, session, known_at, rule.parameters)
        after, screening = detection.screen(state, step, rule.parameters)
        verdicts.note(screening.event, session, known_at)
        if step.pomp is not None:
            at_maximum_run = at_maximum_run + 1 if step.pomp == 100 else 0
        row = Screening(
            practice_id=treatment.practice_id,
            treatment=treatment,
            questionnaire=questionnaire,
            therapy_session=session,
            rule_version=rule.version,
            inputs=asdict(step),
            state_before=state.to_json(),
            state_after=after.to_json(),
            outputs=screening.to_json(),
            pomp=step.pomp,
            low=screening.low,
            high=screening.high,
            level=screening.level,
            event=screening.event or "",
            in_episode=after.open or screening.event is not None,
            ratings_before=state.rated,
            at_maximum_run=at_maximum_run,
            known_at=known_at,
            screened_at=at or known_at,
        )
        earlier = existing.get(session.id)
        if earlier and _same(earlier, row):
            row = earlier
            row.therapy_session = session
        else:
            made.append(row)
        told.append(row)
        before = row
    kept = {row.id for row in told}
    superseded = [row for row in existing.values() if row.id not in kept]
    Screening.objects.filter(id__in=[row.id for row in superseded]).update(
        superseded_at=at or timezone.now()
    )
    Screening.objects.bulk_create(made)
    return _Screened(made, told, superseded)


def _rules_of(series: list[steps.StoredStep], questionnaire: Questionnaire) -> list[Rule]:
    """What each step is screened by: the rule that it was screened by before, whatever touches the
    course since; a new one before others, that of the next; else the rule in force."""
    screened = Screening.objects.filter(
        questionnaire=questionnaire, therapy_session__in=[each.session.id for each in series]
    )
    # The current one comes last, as it is superseded by none.
    versions = dict(
        screened.order_by("superseded_at").values_list("therapy_session_id", "rule_version")
    )
    practice_id, form = questionnaire.practice_id, questionnaire.detection_form
    rule, rules = rule_in_force(practice_id, form), []
    for session, _, _ in reversed(series):
        version = versions.get(session.id, rule.version)
        if version != rule.version:
            rule = rule_of_version(practice_id, form, version)
        rules.append(rule)
    return rules[::-1]


def _same(one: Screening, other: Screening) -> bool:
    return (one.rule_version, one.inputs, one.state_before) == (
        other.rule_version,
        other.inputs,
        other.state_before,
    )


def _current_screenings(
    treatment: Treatment, questionnaire: Questionnaire, since: TherapySession
) -> dict[UUID, Screening]:
    """What is said by now of the sessions from `since` on, by session."""
    sessions = TherapySession.objects.filter(treatment=treatment).exclude(steps.before(since))
    screenings = Screening.objects.current().filter(
        questionnaire=questionnaire, therapy_session__in=sessions
    )
    return {screening.therapy_session_id: screening for screening in screenings}


def _screening_before(
    treatment: Treatment, questionnaire: Questionnaire, session: TherapySession
) -> Screening | None:
    """The current screening of the step before `session` in the same series."""
    earlier = TherapySession.objects.attended().filter(steps.before(session), treatment=treatment)
    return (
        Screening.objects.current()
        .filter(questionnaire=questionnaire, therapy_session__in=earlier)
        .select_related("therapy_session")
        .defer("inputs", "outputs", "state_before")
        .order_by("therapy_session__starts_at", "therapy_session_id")
        .last()
    )


def _state_after(before: Screening | None, rule: Rule) -> State:
    """The state to go on from: as stored, or worked out anew where another rule stored it.

    Then the series is replayed silently: what was flagged under the other rule stays as it was.
    What only this rule would have opened back then is forgotten, or the next fall would go on in
    an episode that nobody sees.
    """
    if before is None:
        return detection.start(rule.parameters)
    if before.rule_version == rule.version:
        return State.from_json(before.state_after)
    treatment, questionnaire = before.treatment, before.questionnaire
    last = before.therapy_session
    verdicts = _Verdicts(treatment, questionnaire, before=None)
    state = detection.start(rule.parameters)
    series = steps.series_since(treatment, questionnaire, last, whole=True)
    for session, step, known_at in series:
        if (session.starts_at, session.id) > (last.starts_at, last.id):
            break
        state = verdicts.put_into(state, session, known_at, rule.parameters)
        state, screening = detection.screen(state, step, rule.parameters)
        verdicts.note(screening.event, session, known_at)
    if state.open and not before.state_after["open"]:
        return detection.after_verdict(state, Verdict.NOT_A_RUPTURE, rule.parameters)
    return state


class Recorded(NamedTuple):
    """What a person recorded `at` a moment, of what the session that began at `opened` opened;
    in the series itself, or in one of another questionnaire."""

    at: datetime
    verdict: Verdict
    opened: datetime
    is_of_series: bool
    is_taken_in: bool


class _Verdicts:
    """What people recorded of a treatment, oldest first: dated inputs of the filter, each taken in
    before the first step that was known only afterwards.

    One that ended unrepaired in a treatment that goes on is over for the filter as well: what falls
    afterwards is a new one. A session of between opening and outcome that is logged, or answered,
    after the outcome is such a step. What a later one then opens anew, though all of it was known,
    and part of the episode, by the outcome, is what that was about: it is closed once more.
    """

    def __init__(
        self, treatment: Treatment, questionnaire: Questionnaire, *, before: Screening | None
    ) -> None:
        """Before the first step, or where a series goes on after `before`."""
        steps_before = Screening.objects.none()
        if before:
            steps_before = Screening.objects.current().filter(
                treatment=treatment,
                questionnaire=questionnaire,
                therapy_session__starts_at__lte=before.therapy_session.starts_at,
            )
        took_it_in = steps_before.filter(
            known_at__gt=OuterRef("outcome_at"),
            therapy_session__starts_at__gte=OuterRef("opened_by__starts_at"),
        )
        recorded = RuptureEpisode.objects.filter(treatment=treatment, outcome__in=VERDICTS)
        self._recorded = [
            Recorded(at, VERDICTS[outcome], opened, ruler == questionnaire.id, is_taken_in)
            for at, outcome, opened, ruler, is_taken_in in recorded.order_by("outcome_at")
            .annotate(is_taken_in=Exists(took_it_in))
            .values_list(
                "outcome_at", "outcome", "opened_by__starts_at", "questionnaire_id", "is_taken_in"
            )
            if at
        ]
        self._due = [each for each in self._recorded if not each.is_taken_in]
        self._opening: tuple[UUID, datetime] | None = None
        if self._recorded and before and before.state_after["open"]:
            openings = steps_before.filter(event=Event.OPENED)
            self._opening = (
                openings.order_by("therapy_session__starts_at", "therapy_session_id")
                .values_list("therapy_session", "known_at")
                .last()
            )

    def put_into(
        self,
        state: State,
        session: TherapySession,
        known_at: datetime,
        parameters: detection.Parameters,
    ) -> State:
        """The state after all that people recorded before this step was known, of what opened by
        then.

        A session of before the opening, logged after the outcome, is before both. Of another series
        it is about what was open in this one, too; where nothing was, it says nothing.
        """
        for each in self._recorded:
            if each.at >= known_at or each.opened > session.starts_at:
                continue
            if each in self._due:
                self._due.remove(each)
                is_about_it = each.is_of_series or state.open
            else:
                is_about_it = (
                    state.open
                    and self._opening is not None
                    and falls.was_known_within(*self._opening, at=each.at)
                )
            if is_about_it:
                state = detection.after_verdict(state, each.verdict, parameters)
        return state

    def note(self, event: Event | None, session: TherapySession, known_at: datetime) -> None:
        """What the step, known by then, did to the filter."""
        if event == Event.OPENED:
            self._opening = (session.id, known_at)


def _move_episodes(
    treatment: Treatment,
    screenings: list[Screening],
    superseded: list[Screening],
    *,
    is_live: bool,
) -> None:
    """Let the episodes follow what the steps say now, in whichever series, and tell whom it
    concerns; of history, none.

    An opening makes an episode, unless one is open: then the same one goes on, and begins with the
    earlier of the two, or what falls before it would be nobody's. Where a correction
    took an opening away, its episode moves to the opening that stands in for it, or is withdrawn.
    It is back as it was, waiting times and sharing included, where something opens again of which
    all was known as it was withdrawn. What was known only after an episode had its outcome, such
    as an answer, opens a new one; what was known by then, since its opening, the outcome is about.
    """
    screened = {screening.therapy_session_id for screening in (*screenings, *superseded)}
    openings = {row.therapy_session_id: row for row in screenings if row.event == Event.OPENED}
    # Locked, as the whole row is saved below: what a person does meanwhile must not be undone.
    episodes = (
        RuptureEpisode.objects.select_for_update(of=("self",), no_key=True)
        .filter(treatment=treatment)
        .select_related("opened_by")
        .order_by("outcome_at")
    )
    episode = next((each for each in episodes if not each.outcome), None)
    withdrawn = [each for each in episodes if each.outcome == SUPERSEDED]
    founding = {each.opened_by_id: each for each in episodes if each.outcome != SUPERSEDED}
    unfounded = founding.keys() & screened - openings.keys()
    seen_by = seers(episode) if episode and is_live else []
    opened_since = falls.opened_since(openings.values())
    for opening in openings.values():
        if any(falls.is_about(each, opening) for each in founding.values()):
            continue
        if (
            episode
            and episode.opened_by_id not in unfounded
            and not _is_before(opening.therapy_session, episode.opened_by)
        ):
            continue
        fell_at = opened_since[opening.therapy_session_id]
        earlier = next((each for each in reversed(withdrawn) if _is_of(fell_at, each)), None)
        if episode is None:
            episode = earlier or RuptureEpisode(
                practice_id=treatment.practice_id,
                treatment=treatment,
                opened_at=opening.screened_at,
                wait_hours=treatment.practice.supervisor_wait_hours,
            )
            episode.outcome, episode.outcome_at = "", None
        elif earlier:
            _show_as(episode, earlier)
        unfounded.discard(episode.opened_by_id)
        episode.opened_by = opening.therapy_session
        episode.questionnaire_id = opening.questionnaire_id
    if episode and episode.opened_by_id in unfounded:
        episode.outcome = SUPERSEDED
        episode.outcome_at = timezone.now()
    if episode:
        falls.date_by_its_steps(episode)
        episode.save()
        tell_gone(episode, seen_by=seen_by)
        if is_live and not episode.outcome:
            tell_about(episode)


def _is_before(one: TherapySession, other: TherapySession) -> bool:
    return (one.starts_at, one.id) < (other.starts_at, other.id)


def _is_of(fell_at: datetime, withdrawn: RuptureEpisode) -> bool:
    """Whether a fall had opened before the episode was withdrawn, and is back as it was."""
    return withdrawn.outcome_at is not None and fell_at < withdrawn.outcome_at


def _show_as(episode: RuptureEpisode, earlier: RuptureEpisode) -> None:
    """Let it be seen by whom, and from when on, an earlier one was."""
    episode.opened_at = min(episode.opened_at, earlier.opened_at)
    episode.wait_hours = min(episode.wait_hours, earlier.wait_hours)
    episode.waited_at = episode.waited_at or earlier.waited_at
    episode.shared_at = episode.shared_at or earlier.shared_at


@transaction.atomic
def acknowledge_episode(*, episode: RuptureEpisode, by: Membership) -> None:
    """The therapist has seen it; its waiting time for the supervisor ends. Twice equals once.

    Where the waiting time was over by then, the supervisor goes on seeing it, and is told.
    """
    if not episode.seen_at:
        now = timezone.now()
        has_waited = episode.has_waited_by_now and not episode.waiting_is_noted
        episode.acknowledged_at = now
        if has_waited:
            episode.waited_at = now
        episode.save(update_fields=["acknowledged_at", "waited_at"])
        if has_waited:
            tell_about(episode)
        audit.record("acknowledge episode", episode, client_id=episode.treatment.client_id, by=by)


@transaction.atomic
def share_episode(*, episode: RuptureEpisode, by: Membership) -> None:
    """Show an open episode to the therapist's current supervisors. Twice equals once; with one who
    came since it is shared anew."""
    supervisors = Membership.objects.supervising(
        episode.treatment.therapist, on=timezone.localdate()
    )
    if not episode.shared_at or shared_with(episode, supervisors) != list(supervisors):
        episode.shared_at = timezone.now()
        episode.save(update_fields=["shared_at"])
        audit.record("share episode", episode, client_id=episode.treatment.client_id, by=by)


@transaction.atomic
def shorten_waits(*, by: Membership) -> None:
    """Let the waiting time of the practice, where it is shorter by now, hold for what is open too,
    or withdrawn for now.

    Not for those whom `by` supervises, or did: nobody shows themselves a flag before its time.
    """
    hours = by.practice.supervisor_wait_hours
    may_wait = RuptureEpisode.objects.filter(outcome__in=["", SUPERSEDED])
    waiting = may_wait.filter(practice=by.practice_id, wait_hours__gt=hours)
    supervisees = by.supervisions_given.values("supervisee")
    waiting.exclude(treatment__therapist__in=supervisees).update(wait_hours=hours)


@transaction.atomic
def record_outcome(
    *,
    episode: RuptureEpisode,
    outcome: RuptureEpisode.Outcome,
    reason: str = "",
    at: datetime | None = None,
    by: Membership | None,
) -> None:
    """End an episode in the therapist's words; the filter takes it as a dated input.

    Twice equals once: an outcome that is recorded stays. Supervisors who could see it are told.

    Args:
        at: when it ended, where that is history; then nobody is told.

    Raises:
        IntegrityError: *not a rupture* without a reason.
    """
    if episode.outcome:
        return
    seen_by = seers(episode)
    episode.outcome = outcome
    episode.outcome_reason = reason
    episode.outcome_at = at or timezone.now()
    if not episode.seen_at:
        episode.acknowledged_at = episode.outcome_at
    episode.save(update_fields=["outcome", "outcome_reason", "outcome_at", "acknowledged_at"])
    if at is None:
        tell_gone(episode, seen_by=seen_by)
    audit.record("record outcome", episode, client_id=episode.treatment.client_id, by=by)
