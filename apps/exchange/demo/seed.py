"""Fill the demo practice: the same people and courses each time, dated relative to today."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from django.apps import apps
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import Membership, Notice, Practice, PracticeModel, Supervision, User
from apps.accounts.services import add_member, create_practice, start_supervision
from apps.alliance.models import AllianceRating, Questionnaire
from apps.alliance.services import install_shipped_questionnaires
from apps.clients.models import Client, ContactChannel, Treatment
from apps.core import tenancy
from apps.core.models import OutboxMessage
from apps.endings.services import set_offer
from apps.exchange.demo.cast import (
    COLLEAGUES,
    MANAGER,
    PRACTICE,
    SUPERVISOR,
    THERAPISTS,
    Colleague,
    Person,
)
from apps.exchange.demo.courses import PARTS, tell
from apps.exchange.demo.days import is_over, todays_starts, weekly_starts
from apps.exchange.demo.history import Entry, plan_ahead, tell_history
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import practice_questionnaire
from apps.ruptures.detection import SLIDER, Event, replay
from apps.ruptures.detection.simulator import Attendance, SimulatedStep, steps
from apps.ruptures.models import RepairStep, RuptureEpisode
from apps.ruptures.notices import tell_about
from apps.ruptures.repair import Sheet, StepEntry, save_worksheet
from apps.ruptures.services import record_outcome, screen_treatment
from apps.ruptures.transitions import note_waiting
from apps.supervision.services import plan_meeting
from apps.therapy_sessions.models import TherapySession

PASSPHRASE = "quiet harbour lantern"  # noqa: S105 - printed at every start; opens invented data
FIRST_CODE = 102
ACKNOWLEDGED_AFTER = timedelta(hours=18)
SUPERVISED_FOR = timedelta(days=200)
MEETS_AT = time(10)
DECIDES_AFTER = {
    RuptureEpisode.Outcome.REPAIRED: Event.REPAIRED,
    RuptureEpisode.Outcome.NOT_A_RUPTURE: Event.OPENED,
}


@dataclass(frozen=True)
class Casting:
    """A client before anything is stored: who, with whom, which course, when last."""

    person: Person
    therapist: Colleague
    course: list[SimulatedStep]
    last_starts_at: datetime
    next_starts_at: datetime

    @property
    def starts_on(self) -> date:
        weeks = len(self.course) - 1 + (self.therapist.away < len(self.course))
        return (self.last_starts_at - timedelta(weeks=weeks)).date()


@transaction.atomic
def seed_demo(*, now: datetime | None = None) -> bool:
    """Make the demo practice, unless today's is there already; return whether it was made.

    One from an earlier day is taken down with all that was tried in it, for its diary is past.
    Nothing is left to be sent.
    """
    now = (now or timezone.now()).astimezone(ZoneInfo(PRACTICE["time_zone"]))
    practice = Practice.objects.filter(
        name=PRACTICE["name"],
        id__in=Membership.objects.filter(user__email=MANAGER.email).values("practice"),
    ).first()
    if practice and practice.created_at.astimezone(now.tzinfo).date() == now.date():
        return False
    if practice:
        take_down(practice)
    practice = create_practice(**PRACTICE)
    with tenancy.practice(practice.id):
        _fill(practice, now=now)
    return True


def _fill(practice: Practice, *, now: datetime) -> None:
    """By the practice's clock, as pages and tasks do."""
    install_shipped_questionnaires(practice=practice, by=None)
    members = _add_members(practice, today=now.date())
    questionnaire = practice_questionnaire(practice)
    castings = [casting for therapist in THERAPISTS for casting in _cast(therapist, now=now)]
    # Clients have had their numbers since they came.
    castings.sort(key=lambda casting: casting.starts_on)
    for number, casting in enumerate(castings):
        _seed_client(
            casting,
            code=f"FE-{FIRST_CODE + 2 * number + number % 2:04}",
            therapist=members[casting.therapist.email],
            questionnaire=questionnaire,
            now=now,
        )
    _plan_meeting(members, now=now)
    _say_it_was_told(practice, now=now)


def take_down(practice: Practice) -> None:
    """Delete the practice with all its rows; accounts and the audit trail stay."""
    OutboxMessage.objects.filter(practice_id=practice.id).delete()
    practice.record_holder = None
    practice.save(update_fields=["record_holder"])
    # Else what lies above in the layers points at what lies below, never the other way.
    for model in reversed(apps.get_models()):
        if issubclass(model, PracticeModel):
            model._default_manager.filter(practice=practice).delete()
    practice.delete()


def _add_members(practice: Practice, *, today: date) -> dict[str, Membership]:
    for user in User.objects.filter(email__in=[colleague.email for colleague in COLLEAGUES]):
        if not user.check_password(PASSPHRASE):  # changed while an earlier demo was tried
            user.set_password(PASSPHRASE)
            user.save(update_fields=["password"])
    members = {
        colleague.email: add_member(
            practice=practice,
            name=colleague.name,
            roles=[colleague.role],
            email=colleague.email,
            password=PASSPHRASE,
            by=None,
        )
        for colleague in COLLEAGUES
    }
    # They have worked here long enough to be each other's second person.
    Membership.objects.filter(practice=practice).update(
        joined_at=practice.created_at - SUPERVISED_FOR
    )
    for therapist in THERAPISTS:
        if therapist.offers:
            member = members[therapist.email]
            set_offer(
                member=member,
                has_room=True,
                offers=list(therapist.offers),
                languages=list(therapist.languages),
                by=member,
            )
        start_supervision(
            supervisor=members[SUPERVISOR.email],
            supervisee=members[therapist.email],
            starts_on=today - SUPERVISED_FOR,
            by=None,
        )
    Supervision.objects.filter(practice=practice).update(
        created_at=practice.created_at - SUPERVISED_FOR
    )
    return members


def _cast(therapist: Colleague, *, now: datetime) -> list[Casting]:
    today = [person for person in therapist.clients if person.today is not None]
    starts = todays_starts(now, count=len(today), pace_min=therapist.pace_min)
    ended = [start for start in starts if is_over(start, now)]
    elsewhen = weekly_starts(now)
    castings = []
    for person in therapist.clients:
        course = tell(PARTS[person.part], sessions=person.sessions, seed=person.initials)
        if person.today is None:
            last = next(elsewhen)
            following = last + timedelta(weeks=1)
        else:
            # The session that has just ended waits to be logged; those before it are logged.
            following = starts[person.today]
            logged = following in ended[:-1]
            last = following if logged else following - timedelta(weeks=1)
            following = last + timedelta(weeks=1)
        castings.append(Casting(person, therapist, course, last, following))
    return castings


def _seed_client(
    casting: Casting,
    *,
    code: str,
    therapist: Membership,
    questionnaire: Questionnaire,
    now: datetime,
) -> None:
    treatment = _add_client(casting, code=code, therapist=therapist)
    entries = tell_history(
        casting.person,
        casting.course,
        treatment=treatment,
        questionnaire=questionnaire,
        last_starts_at=casting.last_starts_at,
        away=casting.therapist.away,
        now=now,
        rng=Random(code),  # noqa: S311 - invented data
    )
    decided = _entries_up_to_decision(casting, entries)
    _store(entries[:decided], questionnaire)
    _decide(casting.person, treatment, entries[decided:], by=therapist)
    _store(entries[decided:], questionnaire)
    _attend_to(casting.person, treatment)
    TherapySession.objects.bulk_create(plan_ahead(treatment, casting.next_starts_at))


def _add_client(casting: Casting, *, code: str, therapist: Membership) -> Treatment:
    person = casting.person
    client = Client.objects.create(
        practice_id=therapist.practice_id,
        code=code,
        initials=person.initials,
        country=PRACTICE["country"],
        time_zone=PRACTICE["time_zone"],
        discussed_on=casting.starts_on,
        consent=Client.Consent.DECLINED if person.declines else Client.Consent.AGREED,
    )
    ContactChannel.objects.create(
        practice_id=client.practice_id,
        client=client,
        kind=ContactChannel.Kind.EMAIL,
        address=f"{code.lower()}@mail.example",
        safe_to_contact=not person.declines,
    )
    return Treatment.objects.create(
        practice_id=client.practice_id,
        client=client,
        therapist=therapist,
        approach=person.approach,
        starts_on=casting.starts_on,
    )


def _entries_up_to_decision(casting: Casting, entries: list[Entry]) -> int:
    """How many sessions there were when the therapist could record the outcome; 0 if none was."""
    if casting.person.outcome is None:
        return 0
    _, screenings = replay(steps(casting.course), SLIDER)
    events = [screening.event for screening in screenings]
    step = events.index(DECIDES_AFTER[casting.person.outcome])
    attended = [n for n, entry in enumerate(entries) if _is_attended(entry)]
    return attended[step] + 1


def _is_attended(entry: Entry) -> bool:
    return entry.step is not None and entry.step.attendance is Attendance.ATTENDED


def _store(entries: list[Entry], questionnaire: Questionnaire) -> None:
    """Save the rows and screen them, each step dated by its own rating or session."""
    TherapySession.objects.bulk_create([entry.session for entry in entries])
    AllianceRating.objects.bulk_create([entry.rating for entry in entries if entry.rating])
    FeedbackRequest.objects.bulk_create([entry.request for entry in entries if entry.request])
    OutboxMessage.objects.bulk_create([entry.message for entry in entries if entry.message])
    if entries:
        first = entries[0].session
        screen_treatment(
            treatment=first.treatment, questionnaire=questionnaire, since=first, at=None
        )


def _decide(person: Person, treatment: Treatment, later: list[Entry], *, by: Membership) -> None:
    """The outcome is recorded after the next session, in which it was talked about."""
    if person.outcome is None:
        return
    _attend_to(person, treatment, acknowledged=True)
    talked = next(entry.session for entry in later if _is_attended(entry))
    record_outcome(
        episode=RuptureEpisode.objects.open().get(treatment=treatment),
        outcome=person.outcome,
        reason=person.reason,
        at=talked.ends_at,
        by=by,
    )


def _attend_to(person: Person, treatment: Treatment, *, acknowledged: bool = False) -> None:
    """What the therapist did about the open episode, if there is one."""
    episode = RuptureEpisode.objects.open().filter(treatment=treatment).first()
    if episode and (acknowledged or person.acknowledged):
        episode.acknowledged_at = episode.opened_at + ACKNOWLEDGED_AFTER
        episode.shared_at = episode.acknowledged_at if person.shared else None
        episode.save(update_fields=["acknowledged_at", "shared_at"])
        save_worksheet(
            episode=episode,
            sheet=_sheet(person, episode.acknowledged_at.date()),
            opened_version=0,
            at=episode.acknowledged_at,
            by=treatment.therapist,
        )


def _plan_meeting(members: dict[str, Membership], *, now: datetime) -> None:
    """The supervisor meets the first therapist tomorrow morning."""
    plan_meeting(
        supervisee=members[THERAPISTS[0].email],
        starts_at=datetime.combine(now.date() + timedelta(days=1), MEETS_AT, tzinfo=now.tzinfo),
        duration_min=50,
        by=members[SUPERVISOR.email],
    )


def _say_it_was_told(practice: Practice, *, now: datetime) -> None:
    """What there is was told as it happened, and read: what is tried here is told anew."""
    note_waiting(practice, at=now)
    for episode in RuptureEpisode.objects.open():
        tell_about(episode)
    Notice.objects.filter(practice=practice).update(read_at=now)


def _sheet(person: Person, noticed_on: date) -> Sheet:
    """The steps were taken one after the other, in the sessions since; the follow-up is ahead."""
    days = [noticed_on + timedelta(weeks=week) for week in (0, 0, 0, 0, 1, 2)]
    return Sheet(
        kind=person.kind,
        causes=(person.cause,) if person.cause else (),
        next_action=person.next_action,
        steps={
            step: StepEntry(note, day)
            for step, note, day in zip(RepairStep, person.notes, days, strict=False)
        },
    )
