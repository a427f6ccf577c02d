"""Walks through one treatment: what people do, in any order. What holds then: `course.py`."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.utils import timezone
from hypothesis.stateful import precondition, rule
from hypothesis.strategies import SearchStrategy, booleans, sampled_from, sets

from apps.alliance.models import AllianceRating
from apps.clients import services as clients
from apps.clients.models import Treatment
from apps.core.models import OutboxMessage
from apps.endings import services as endings
from apps.endings.models import Ending, Move
from apps.exchange import rights
from apps.feedback import choices, corrections, lifecycle
from apps.feedback import services as feedback
from apps.feedback.models import FeedbackRequest
from apps.ruptures import repair
from apps.ruptures import services as ruptures
from apps.ruptures.models import RepairStep, RuptureEpisode
from apps.supervision.services import decide, write_support
from apps.therapy_sessions.models import TherapySession
from apps.therapy_sessions.services import save_process_note
from tests.architecture.matrix.building import ITEMS
from tests.architecture.matrix.course import Course, act

Mode, Outcome = AllianceRating.Mode, RuptureEpisode.Outcome
PLANNED, LOGGED, ATTENDED = {"attendance": ""}, {"attendance__gt": ""}, {"attendance": "attended"}
OPEN, ARRANGED = {"outcome": ""}, {"arranged_at__isnull": False, "called_off_at": None}
SENT = OutboxMessage.objects.filter(kind__in=lifecycle.MESSAGES, state=OutboxMessage.State.SENT)
# A message of the form was delivered: whoever has it has a link.
OUT = {"id__in": SENT.values("subject_id")}
HOURS = sampled_from((1, 3, 26, 70))
VERSIONS = 3
# Who came, how the client was asked, and how much tension there was.
Log = tuple[str, str, int | None]
LOGS: SearchStrategy[Log] = sampled_from((
    ("attended", "email", None), ("attended", "email", 4), ("attended", "room", None),
    ("attended", "", 4), ("no_show", "", None), ("therapist_cancelled", "", None),
))  # fmt: skip
OUTCOMES = sampled_from((Outcome.REPAIRED, Outcome.NOT_A_RUPTURE, Outcome.ENDED_UNREPAIRED))


class Walk(Course):
    """Each rule is one act of one person; a walk tries them in any order."""

    @rule(hours=HOURS)
    def time_passes(self, hours: int) -> None:
        self.pass_by(timedelta(hours=hours))

    @act(Treatment, hours=HOURS)
    def a_session_is_planned(self, treatment: Treatment, hours: int) -> None:
        plan = {"first_starts_at": timezone.localtime() + timedelta(hours=hours)}
        corrections.plan_sessions(
            treatment=treatment, duration_min=50, by=treatment.therapist, **plan
        )

    @act(TherapySession, PLANNED, hours=HOURS)
    def a_planned_session_is_moved(self, session: TherapySession, hours: int) -> None:
        starts_at = timezone.now() + timedelta(hours=hours)
        by = session.treatment.therapist
        corrections.move_session(session=session, starts_at=starts_at, duration_min=50, by=by)

    @act(TherapySession, PLANNED)
    def a_planned_session_is_cancelled(self, session: TherapySession) -> None:
        corrections.cancel_session(session=session, by=session.treatment.therapist)

    @act(TherapySession, PLANNED, log=LOGS)
    def a_planned_session_is_logged(self, session: TherapySession, log: Log) -> None:
        starts_at = min(session.starts_at, timezone.now())
        self.log(session.treatment, log, starts_at=starts_at, planned=session)

    @act(Treatment, log=LOGS, hours=HOURS)
    def an_unplanned_session_is_logged(self, treatment: Treatment, log: Log, hours: int) -> None:
        self.log(treatment, log, starts_at=timezone.now() - timedelta(hours=hours))

    @act(TherapySession, LOGGED, log=LOGS)
    def it_is_corrected_who_came(self, session: TherapySession, log: Log) -> None:
        attendance, _ask_by, tension = log
        comes_now = attendance == "attended" != session.attendance
        reason = {"not_asked_reason": "crisis"} if comes_now else {}
        said = {"tension": tension, "tension_resolved": tension and 0}
        self.correct(session, attendance=attendance, **said, **reason)

    @act(TherapySession, LOGGED, hours=sampled_from((-700, -30, -1, 20, 700)))
    def it_is_corrected_when_it_was(self, session: TherapySession, hours: int) -> None:
        starts_at = min(session.starts_at + timedelta(hours=hours), timezone.now())
        self.correct(session, attendance=session.attendance, starts_at=starts_at)

    @act(TherapySession, LOGGED)
    def logging_is_undone(self, session: TherapySession) -> None:
        corrections.undo_log(session=session, by=session.treatment.therapist)

    @act(FeedbackRequest, OUT, answer=sampled_from((0, 3, 9)), tension=sampled_from((None, 4)))
    def the_client_answers(self, form: FeedbackRequest, answer: int, tension: int | None) -> None:
        answers = dict.fromkeys(ITEMS, answer)
        comment = self.words.say("comment", form.therapy_session.treatment)
        feedback.submit_response(
            request_id=form.id, answers=answers, tension=tension, comment=comment
        )

    @act(FeedbackRequest, OUT)
    def the_client_asks_for_a_fresh_link(self, form: FeedbackRequest) -> None:
        lifecycle.send_fresh_link(request_id=form.id)

    @act(FeedbackRequest, OUT)
    def the_client_stops_messages(self, form: FeedbackRequest) -> None:
        lifecycle.stop_messages(client=self.client)

    @act(FeedbackRequest, OUT)
    def somebody_says_that_a_message_is_not_for_them(self, form: FeedbackRequest) -> None:
        choices.not_for_me(asked=form, way="email")

    @act(TherapySession, ATTENDED)
    def the_form_is_offered_in_the_room(self, session: TherapySession) -> None:
        questionnaire, by = feedback.questionnaire_for(session), session.treatment.therapist
        feedback.ask_in_room(therapy_session=session, questionnaire=questionnaire, by=by)

    @act(FeedbackRequest)
    def somebody_answers_in_the_room(self, form: FeedbackRequest) -> None:
        answers = dict.fromkeys(ITEMS, 10)
        feedback.submit_response(request_id=form.id, answers=answers, mode=Mode.ROOM)

    @act(TherapySession, ATTENDED)
    def somebody_answers_on_paper(self, session: TherapySession) -> None:
        about = {"therapy_session": session, "questionnaire": feedback.questionnaire_for(session)}
        answers, by = dict.fromkeys(ITEMS, 10), session.treatment.therapist
        at = min(session.ends_at, timezone.now())
        feedback.record_from_paper(answers=answers, answered_at=at, by=by, **about)

    @precondition(lambda walk: walk.practice_questionnaire().version < VERSIONS)
    @rule()
    def the_practice_goes_over_to_a_newer_questionnaire(self) -> None:
        newer = self.practice_questionnaire()
        newer.id, newer.version, newer._state.adding = uuid4(), newer.version + 1, True
        newer.save()

    @act(RuptureEpisode, OPEN)
    def a_flag_is_acknowledged(self, flag: RuptureEpisode) -> None:
        ruptures.acknowledge_episode(episode=flag, by=flag.treatment.therapist)

    @act(RuptureEpisode, OPEN, share=booleans(), notes=booleans())
    def a_flag_is_shared_or_no_more(self, flag: RuptureEpisode, share: bool, notes: bool) -> None:
        by = flag.treatment.therapist
        repair.set_sharing(episode=flag, share=share, share_notes=share and notes, by=by)

    @act(RuptureEpisode, OPEN)
    def the_worksheet_is_written(self, flag: RuptureEpisode) -> None:
        latest = repair.latest_worksheet(flag)
        note = repair.StepEntry(self.words.say("worksheet", flag.treatment))
        sheet = replace(repair.sheet_of(latest), steps={RepairStep.NOTICE: note})
        repair.save_worksheet(
            episode=flag,
            sheet=sheet,
            opened_version=latest.version if latest else 0,
            by=flag.treatment.therapist,
        )

    @act(RuptureEpisode, OPEN)
    def support_is_asked_for(self, flag: RuptureEpisode) -> None:
        text = self.words.say("support", flag.treatment)
        write_support(episode=flag, text=text, by=flag.treatment.therapist)

    @act(RuptureEpisode, OPEN)
    def support_is_offered(self, flag: RuptureEpisode) -> None:
        if RuptureEpisode.objects.for_supervisor(self.sam).filter(id=flag.id).exists():
            text = self.words.say("support", flag.treatment)
            write_support(episode=flag, text=text, by=self.sam)

    @act(TherapySession, LOGGED)
    def a_note_is_written(self, session: TherapySession) -> None:
        text, by = self.words.say("note", session.treatment), session.treatment.therapist
        save_process_note(therapy_session=session, text=text, by=by)

    @act(RuptureEpisode, OPEN, outcome=OUTCOMES)
    def an_outcome_is_recorded(self, flag: RuptureEpisode, outcome: Outcome) -> None:
        by = flag.treatment.therapist
        reason = self.words.say("outcome", flag.treatment)
        ruptures.record_outcome(episode=flag, outcome=outcome, reason=reason, by=by)

    @act(Treatment, restrict=booleans())
    def processing_is_restricted_or_no_more(self, treatment: Treatment, restrict: bool) -> None:
        change = rights.restrict if restrict else rights.lift_restriction
        change(client=treatment.client, by=treatment.therapist)

    @act(Treatment, pause=booleans())
    def asking_rests_or_no_more(self, treatment: Treatment, pause: bool) -> None:
        who = {"client": treatment.client, "by": treatment.therapist}
        if not pause:
            clients.end_pause(**who)
            return
        reason = self.words.say("pause", treatment)
        clients.pause_asking(reason=reason, review_on=timezone.localdate(), **who)
        lifecycle.withdraw_unsent(treatment.client)

    @act(
        Treatment,
        address=sampled_from(("one@mail.example", "two@mail.example")),
        talked_again=booleans(),
    )
    def the_address_is_changed(
        self, treatment: Treatment, address: str, talked_again: bool
    ) -> None:
        client, by = treatment.client, treatment.therapist
        agreed = {"discussed_on": client.discussed_on, "consent": client.consent}
        to = {"email": clients.Address(address, safe=True)}
        clients.change_client(
            client=client, addresses=to, talked_again=talked_again, by=by, **agreed
        )

    @act(Treatment)
    def the_treatment_is_closed(self, treatment: Treatment) -> None:
        by = treatment.therapist
        review = self.words.say("review", treatment)
        endings.close_treatment(treatment=treatment, how="agreed", review=review, by=by)

    @precondition(lambda walk: not walk.rows(Treatment).exists())
    @rule()
    def the_treatment_is_begun_again(self) -> None:
        for ending in Ending.objects.order_by("-closed_at")[:1]:
            with suppress(endings.CannotReopen):
                endings.reopen_treatment(ending=ending, by=ending.treatment.therapist)

    @act(Treatment, days=sampled_from((0, 1, 3)), parts=sets(sampled_from(Move.Part.values)))
    def a_move_is_arranged(self, treatment: Treatment, days: int, parts: set[str]) -> None:
        by, today = treatment.therapist, timezone.localdate()
        before = treatment.moves.standing().first()
        needs, tried = (self.words.say(each, treatment) for each in ("needs", "tried"))
        words = {"needs": needs, "tried": tried, "wishes": [], "language": ""}
        move = endings.save_what_fits(
            treatment=treatment, version=before.version if before else "", talked_over_on=None,
            by=by, **words,
        )  # fmt: skip
        agreed = {"passes_on": sorted(parts), "agreed_on": today, "agreed_how": "in_room"}
        endings.record_consent(move=move, version=move.version, by=by, **agreed)
        move.refresh_from_db()
        day, to = today + timedelta(days=days), self.other(by)
        endings.arrange_move(
            move=move, to=to, moves_on=day, meeting_on=None, version=move.version, by=by
        )

    @act(Move, ARRANGED)
    def a_move_is_called_off(self, move: Move) -> None:
        by = move.treatment.therapist
        endings.call_off_move(move=move, reason="", version=move.version, by=by)

    @act(Treatment)
    def the_client_is_handed_over(self, treatment: Treatment) -> None:
        endings.hand_over([treatment], to=self.other(treatment.therapist), by=self.mona)

    @rule()
    def sam_meets_them_and_decides(self) -> None:
        for meeting in self.meet():
            for flag in meeting.episodes():
                text = self.words.say("decision", flag.treatment)
                decide(meeting=meeting, episode=flag, text=text, by=self.sam)
        self.pass_by(timedelta(minutes=1))

    def log(self, treatment: Treatment, log: Log, *, starts_at: datetime, **also: Any) -> None:
        attendance, ask_by, tension = log
        is_skipped = attendance == "attended" and not ask_by
        feedback.log_session_and_ask(
            treatment=treatment, starts_at=starts_at, duration_min=50, attendance=attendance,
            ask_by=ask_by, own_view={}, tension=tension, tension_resolved=tension and 0,
            not_asked_reason="other" if is_skipped else "",
            not_asked_note=self.words.say("why not asked", treatment) if is_skipped else "",
            by=treatment.therapist, **also,
        )  # fmt: skip

    def correct(self, session: TherapySession, **changes: Any) -> None:
        corrections.correct_session(session=session, by=session.treatment.therapist, **changes)
