"""A course of one treatment as a state machine: its people, its clock, and what holds at each step.

Hypothesis makes the courses; of one that fails it prints the shortest that fails alike. Each has a
practice of its own, in a transaction that is taken back. What a service refuses by one of REFUSALS
is no fault and changes nothing; whatever else it raises is one.
"""

import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import time_machine
from django.db import transaction
from django.db.models import Model, QuerySet
from django.urls import reverse
from django.utils import timezone
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.strategies import SearchStrategy, integers, sampled_from

from apps.accounts.models import Membership, Notice, Role
from apps.alliance.models import Questionnaire
from apps.clients.models import Treatment
from apps.core import outbox
from apps.core.models import OutboxMessage
from apps.dashboard.selectors.agenda import NOT_LOGGED_FOR, _skips
from apps.endings import services as endings
from apps.endings.models import Move
from apps.feedback import corrections
from apps.feedback import services as feedback
from apps.feedback.lifecycle import MESSAGES, RequestClosed, expire_requests
from apps.feedback.models import FeedbackRequest
from apps.ruptures.models import RuptureEpisode
from apps.ruptures.notices import GONE
from apps.ruptures.transitions import move_episodes_on
from apps.supervision.models import Meeting
from apps.supervision.services import plan_meeting
from apps.therapy_sessions.models import TherapySession
from apps.therapy_sessions.services import AlreadyLogged, OfAnother, StartTaken
from tests.architecture.matrix.building import taken_back
from tests.architecture.matrix.invariants import broken
from tests.architecture.matrix.words import Words, may_read
from tests.conftest import signed_in, work_in
from tests.factories import (
    PASSWORD,
    MembershipFactory,
    PracticeFactory,
    SupervisionFactory,
    TreatmentFactory,
)

REFUSALS = (
    AlreadyLogged, OfAnother, StartTaken, RequestClosed, feedback.CannotAsk,
    feedback.AlreadyAnswered, corrections.AfterTheEnd, corrections.CannotUndo,
    corrections.EndsForm, corrections.HasAnswers, corrections.HasBegun, endings.AlreadyArranged,
    endings.CannotCallOff, endings.CannotHandOver, endings.CannotReopen, endings.ChangesHands,
)  # fmt: skip
# How rows hang on their treatment, and which of them are the newest.
ROWS: dict[type[Model], tuple[str, ...]] = {
    Treatment: ("pk__in", "-starts_on"),
    TherapySession: ("treatment__in", "-logged_at", "-starts_at"),
    FeedbackRequest: ("therapy_session__treatment__in", "-created_at"),
    RuptureEpisode: ("treatment__in", "-opened_at"),
    Move: ("treatment__in", "-saved_at"),
}
NEWEST = 3
# An ordinary week, and two in which the clocks change.
BEGINNINGS = ("2026-02-02", "2026-03-26", "2026-10-22")
A_FORM_IS_OVER = timedelta(days=8)


def act(
    model: type[Model], where: dict[str, Any] | None = None, **drawn: SearchStrategy[Any]
) -> Callable[[Callable[..., None]], Any]:
    """A rule about one of the newest rows of the current treatment, where there are any."""

    def decorate(do: Callable[..., None]) -> Any:
        @wraps(do)
        def run(course: "Course", which: int, **values: Any) -> None:
            rows = list(course.rows(model, where)[:NEWEST])
            with suppress(*REFUSALS), transaction.atomic():
                do(course, rows[which % len(rows)], **values)
            course.pass_by(timedelta(minutes=1))

        there_is_one = precondition(lambda course: course.rows(model, where).exists())
        return rule(which=integers(0, NEWEST - 1), **drawn)(there_is_one(run))

    return decorate


class Course(RuleBasedStateMachine):
    """Alice treats a client, Charlie may take them over, Sam supervises both, Mona manages."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = ExitStack()
        self.began: set[UUID] = set()
        self.listed: set[UUID] = set()
        self.seen: dict[UUID, tuple[UUID, datetime]] = {}
        self.words = Words()

    @initialize(day=sampled_from(BEGINNINGS))
    def a_treatment_goes_well(self, day: str) -> None:
        at_nine = datetime.fromisoformat(f"{day}T09:00").replace(tzinfo=UTC)
        self.clock = self.kept.enter_context(time_machine.travel(at_nine, tick=False))
        self.kept.enter_context(taken_back())
        practice = PracticeFactory.create()
        self.kept.enter_context(timezone.override(ZoneInfo(practice.time_zone)))
        work_in(practice.id)
        self.alice, self.charlie = MembershipFactory.create_batch(2, practice=practice)
        self.sam = MembershipFactory.create(practice=practice, roles=[Role.SUPERVISOR])
        self.mona = MembershipFactory.create(practice=practice, roles=[Role.MANAGER])
        for each in (self.alice, self.charlie):
            SupervisionFactory.create(supervisor=self.sam, supervisee=each)
        treatment = TreatmentFactory.create(therapist=self.alice, pomps=[90, 80, 90, 90])
        self.client = treatment.client

    def teardown(self) -> None:
        with self.kept:
            if sys.exc_info()[0] is None:
                self.everybody_looks()
                self.pass_by(A_FORM_IS_OVER)
                self.meet()
                self.all_stood_on_an_agenda_who_did_not_answer_by_link()

    def rows(self, model: type[Model], where: dict[str, Any] | None = None) -> QuerySet[Any]:
        of_treatment, *newest_first = ROWS[model]
        current = Treatment.objects.current(on=timezone.localdate()).filter(client=self.client)
        rows = model._default_manager.filter(**{of_treatment: current}, **(where or {}))
        return rows.order_by(*newest_first)

    def practice_questionnaire(self) -> Questionnaire:
        return feedback.practice_questionnaire(self.alice.practice)

    def other(self, therapist: Membership) -> Membership:
        return self.charlie if therapist == self.alice else self.alice

    def pass_by(self, time: timedelta) -> None:
        """Half a day at once at most: the beat comes more often than that."""
        while time:
            hop = min(time, timedelta(hours=12))
            self.clock.shift(hop)
            expire_requests()
            move_episodes_on()
            outbox.deliver_due()
            time -= hop

    def meet(self) -> list[Meeting]:
        """Sam meets whoever treats the client, or did; what the agendas list is kept."""
        now = timezone.now()
        meetings: list[Meeting] = []
        for who in Membership.objects.filter(treatments__client=self.client).distinct():
            at = now + timedelta(seconds=len(meetings))
            meeting = plan_meeting(supervisee=who, starts_at=at, duration_min=50, by=self.sam)
            self.listed |= {each.id for each in _skips(meeting, since=meeting.looks_back_to())}
            meetings.append(meeting)
        return meetings

    def everybody_looks(self) -> None:
        """A page that fails raises, and a word that is not theirs."""
        pages = [(self.sam, reverse("supervision"))]
        pages += [
            (self.sam, reverse("meeting", args=[each.id]))
            for each in Meeting.objects.order_by("-starts_at")[:1]
        ]
        for treatment in self.rows(Treatment):
            client = reverse("client", args=[self.client.id])
            pages += [(treatment.therapist, url) for url in (reverse("caseload"), client)]
        for member, url in pages:
            assert signed_in(member).get(url).status_code == 200, url
        self.each_reads_what_is_theirs()

    def each_reads_what_is_theirs(self) -> set[tuple[Membership, str]]:
        """A word on a page of somebody else's raises. Returns who reads which kinds of words."""
        seen = set()
        for reader in (self.alice, self.charlie, self.sam, self.mona):
            browser = signed_in(reader)
            browser.post(reverse("account_reauthenticate"), {"password": PASSWORD})
            for word, url in self.words.seen_by(reader, self.client, browser):
                assert may_read(reader, word), f"{word.kind} is read by {reader.roles} on {url}"
                seen.add((reader, word.kind))
        return seen

    # --- What holds ------------------------------------------------------------------------------

    @invariant()
    def all_holds(self) -> None:
        wrong = list(broken())
        assert not wrong, wrong
        self.what_began_does_not_vanish()
        self.sam_sees_what_he_saw_or_was_told_that_it_went()

    def what_began_does_not_vanish(self) -> None:
        starts = dict(TherapySession.objects.values_list("id", "starts_at"))
        assert self.began <= starts.keys(), "a session that had begun is gone"
        self.began |= {each for each, at in starts.items() if at <= timezone.now()}

    def sam_sees_what_he_saw_or_was_told_that_it_went(self) -> None:
        """Also where one that was withdrawn stands again on the same opening."""
        episodes = RuptureEpisode.objects.in_bulk()
        visible = set(RuptureEpisode.objects.for_supervisor(self.sam).values_list("id", flat=True))
        for each in self.seen.keys() - visible:
            told = Notice.objects.told_to(self.sam).filter(kind=GONE, subject_id=each)
            _opened_by, last_seen = self.seen[each]
            assert told.filter(created_at__gte=last_seen).exists(), "a flag went without a word"
        superseded = RuptureEpisode.Outcome.SUPERSEDED
        withdrawn = {
            opened_by
            for each, (opened_by, _last_seen) in self.seen.items()
            if episodes[each].outcome == superseded
        }
        for episode in episodes.values():
            is_unseen = not episode.outcome and episode.id not in visible
            again = is_unseen and episode.opened_by_id in withdrawn
            assert not again, "a flag that was withdrawn stands again, and is not seen"
        self.seen |= {each: (episodes[each].opened_by_id, timezone.now()) for each in visible}

    def all_stood_on_an_agenda_who_did_not_answer_by_link(self) -> None:
        missing = TherapySession.objects.exclude(id__in=self.listed)
        lost = [each for each in missing if _is_for_the_agenda(each)]
        said = [(each.starts_at, each.attendance, each.asked) for each in lost]
        assert not lost, f"on no agenda: {said}"


def _is_for_the_agenda(session: TherapySession) -> object:
    """Whether nobody asked the client, or they did not answer by the link that they had."""
    form, rating = session.feedback_requests.first(), session.ratings.first()
    if not session.attendance:
        return session.starts_at <= timezone.now() - NOT_LOGGED_FOR
    if session.not_asked_reason or (form and session.attendance != "attended"):
        return True
    if rating is None:
        return session.attendance == "attended" and not session.asked
    sent = OutboxMessage.objects.filter(kind__in=MESSAGES, subject_id=form.id if form else None)
    return (rating.mode != "link" and sent.exists()) or (form and rating.mode == "paper")
