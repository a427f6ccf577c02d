"""Two practices with the same people and clients, built in a transaction and taken back."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from allauth.mfa.totp.internal import auth as totp
from django.conf import settings
from django.db import transaction
from django.middleware.csrf import CSRF_SESSION_KEY
from django.test import Client as Browser
from django.test.utils import override_settings
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import AccountLink, Digest, Membership, Notice, Practice, Role, User
from apps.accounts.notices import tell
from apps.accounts.sign_in import BEGAN, PRACTICE, SEEN
from apps.clients.handing_over import pass_on
from apps.clients.models import Treatment, TwoPersonRequest
from apps.clients.services import note_reached
from apps.core import tenancy
from apps.core.form_tokens import secret_for
from apps.core.sealer import seal
from apps.endings.models import Ending, Move, Offer
from apps.exchange.calendars import open_calendar
from apps.exchange.models import ImportedSession, NoteReview
from apps.feedback.messages import token_of
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import practice_questionnaire, request_feedback, submit_response
from apps.feedback.tokens import make_token
from apps.ruptures.models import RuleChange, RuptureEpisode
from apps.ruptures.repair import Sheet, StepEntry, save_worksheet
from apps.supervision.models import Decision, SupportMessage
from apps.supervision.services import plan_meeting
from apps.therapy_sessions.services import save_process_note
from tests.architecture.matrix.canaries import Canary, let_every_text_sing
from tests.architecture.matrix.world import (
    CLIENTS,
    FROM_THE_OTHER,
    IN_BOTH,
    NAMES,
    ROLES,
    Case,
    Person,
    World,
)
from tests.factories import (
    PASSWORD,
    MembershipFactory,
    PracticeFactory,
    SupervisionFactory,
    TherapySessionFactory,
    TreatmentFactory,
    came_from,
    hashed,
)

ITEMS = ("heard", "accepted", "matters", "direction", "suited", "helpful")
# So that a body can name the version that a writer has before them.
NOTED_AT = datetime(2026, 1, 5, 9, tzinfo=UTC)


@contextmanager
def taken_back() -> Iterator[None]:
    """A transaction, or a savepoint in one, of which nothing stays."""
    atomic = transaction.atomic()
    # Lets `durable=True` blocks run inside, as Django's own test cases do.
    atomic._from_testcase = True  # type: ignore[attr-defined]
    with atomic:
        try:
            yield
        finally:
            transaction.set_rollback(True)


@contextmanager
def world() -> Iterator[World]:
    """Build it in a transaction of its own, and take all of it back afterwards."""
    with taken_back(), override_settings(MFA_REQUIRED=True, FEEDBACK_QUIET_HOURS=None):
        yield build()


def build() -> World:
    people: list[Person] = []
    cases: dict[tuple[str, str], Case] = {}
    for letter in "ab":
        practice = PracticeFactory.create()
        members = {name: _member(practice, letter, name) for name in NAMES[2:]}
        for name, member in members.items():
            has_none = name == "set-up pending" or (name, letter) == (IN_BOTH, "b")
            if not has_none:
                totp.TOTP.activate(_user_of(member), totp.generate_totp_secret())
        yesterday = timezone.localdate() - timedelta(days=1)
        for name, ends_on in (
            ("supervisor", None), ("supervising therapist", None), ("ex-supervisor", yesterday)
        ):  # fmt: skip
            supervision = SupervisionFactory.create(
                supervisor=members[name], supervisee=members["therapist"], ends_on=ends_on
            )
        # Nobody who asks, but somebody whom the other therapists can ask.
        elder = MembershipFactory.create(practice=practice, roles=[Role.SUPERVISOR])
        for name in {"colleague", "supervising therapist", IN_BOTH} & members.keys():
            SupervisionFactory.create(supervisor=elder, supervisee=members[name])
        with tenancy.practice(practice.id):
            AccountLink.objects.create(
                practice=practice,
                membership=members["colleague"],
                purpose=AccountLink.Purpose.PASSWORD_RESET,
                expires_at=timezone.now() + timedelta(hours=1),
            )
            open_calendar(by=elder)
            Digest.objects.create(practice=practice, member=elder, week_of=yesterday)
            RuleChange.objects.create(
                practice=practice,
                detection_form="slider",
                version="not used",
                decision=RuleChange.Decision.KEPT,
                decided_at=timezone.now(),
                reason="Too many",
            )
        for number, therapist in CLIENTS.items():
            if Role.THERAPIST not in members[therapist].roles:
                continue
            cases[letter, number] = _case(letter, number, members[therapist], therapist)
            cases[letter, number].ids["supervision_id"] = str(supervision.id)
            _meeting(
                cases[letter, number],
                members[therapist],
                members["supervisor"] if therapist == "therapist" else elder,
            )
            if cases[letter, number].is_quiet:
                # What is not shown cannot be decided about.
                shown = cases[letter, "1"].ids["shown_episode"]
                cases[letter, number].ids["shown_episode"] = shown
        with tenancy.practice(practice.id):
            _let_hold(practice, members["record holder"], cases)
        made = _people(letter, members, cases[letter, "1"].ids["token"])
        people += [person for person in made if letter == "a" or person.name in FROM_THE_OTHER]
        with tenancy.practice(practice.id):
            Membership.objects.filter(id=members["disabled member"].id).update(is_active=False)
            members["disabled member"].is_active = False
            User.objects.filter(id=members["disabled user"].user_id).update(is_active=False)
            NoteReview.objects.create(
                practice=practice,
                client_id=cases[letter, "1"].ids["client_id"],
                reviewed_by=members["manager"],
                reviewed_at=timezone.now(),
                reason="Asked for",
            )
            # Comes to the therapist later, who sees nothing of the client before.
            arrival = Treatment.objects.get(id=cases[letter, "5"].ids["treatment"])
            pass_on(
                arrival,
                to=members["therapist"],
                on=timezone.localdate() + timedelta(days=7),
                by=members["manager"],
            )
            let_every_text_sing(
                practice, letter, {case.ids["client_id"]: case.number for case in cases.values()}
            )
        seal(practice.id)
    names = {each.practice: each for each in people if each.name == IN_BOTH}
    for letter, other in ("ab", "ba"):
        member = names[other].member
        assert member
        with tenancy.practice(member.practice_id):
            names[letter].elsewhere = Practice.objects.get(id=member.practice_id).name
    nothing = {name: str(uuid4()) for name in cases["a", "1"].ids}
    nothing["token"] = make_token(uuid4(), generation=0)
    nothing["next"] = f"/clients/{nothing['client_id']}/"
    return World(people, cases, Case(ids=nothing))


def _let_hold(practice: Practice, member: Membership, cases: dict[tuple[str, str], Case]) -> None:
    """Make the member the record holder, with an export that two people agreed to."""
    practice.record_holder = member
    practice.save()
    agreed = TwoPersonRequest.objects.create(
        practice=practice,
        kind=TwoPersonRequest.Kind.EXPORT_ALL,
        holder=member,
        requested_at=timezone.now(),
        closed_at=timezone.now(),
        is_carried_out=True,
    )
    for case in cases.values():
        if case.ids["practice"] == str(practice.id):
            case.ids["export_id"] = str(agreed.id)


def _member(practice: Practice, letter: str, name: str) -> Membership:
    # An address in two practices sings for neither.
    tune = "" if name == IN_BOTH else f"{Canary(letter, '0', 'z')}."
    email = f"{tune}{name.replace(' ', '-')}@fernbank.example"
    user, _ = User.objects.get_or_create(email=email, defaults={"password": hashed()})
    roles = ROLES.get(name, [Role.THERAPIST])
    if (name, letter) == (IN_BOTH, "b"):
        roles = [Role.MANAGER]
    return MembershipFactory.create(practice=practice, user=user, name=name.title(), roles=roles)


def _people(letter: str, members: dict[str, Membership], token: str) -> list[Person]:
    people = [
        Person("anonymous", letter, is_user=False),
        Person("link holder", letter, is_user=False, link=f"/f/{token}/"),
    ]
    for name, member in members.items():
        supervises = ("therapist",) if name in {"supervisor", "supervising therapist"} else ()
        is_user = name != "disabled user"
        pending = name.removesuffix(" pending") if name.endswith(" pending") else ""
        key = _gave_password(member) if pending == "code" else signed_in(member)
        people.append(Person(name, letter, member, key, supervises, "", is_user, pending))
    return people


def _gave_password(member: Membership) -> str:
    """The session cookie of somebody who has yet to show their second step."""
    browser = Browser()
    browser.post(reverse("login"), {"username": _user_of(member).email, "password": PASSWORD})
    return browser.cookies[settings.SESSION_COOKIE_NAME].value


def signed_in(member: Membership) -> str:
    """The session cookie of somebody at work, who need not prove again who they are."""
    browser = Browser()
    browser.force_login(_user_of(member))
    session = browser.session
    session[BEGAN] = session[SEEN] = later = int(time.time()) + 60 * 60
    session[PRACTICE] = str(member.practice_id)
    # As after a first page, so that no cell writes its session for it.
    session[CSRF_SESSION_KEY] = secret_for(member.user_id)
    session["account_authentication_methods"] = [
        {"method": "mfa", "at": later, "reauthenticated": True}
    ]
    session["account_authentication_methods_user"] = str(member.user_id)
    session.save()
    return browser.cookies[settings.SESSION_COOKIE_NAME].value


def _user_of(member: Membership) -> User:
    assert member.user
    return member.user


def _case(letter: str, number: str, therapist: Membership, name: str) -> Case:
    """A treatment with a clear fall, an open request and a session planned for tomorrow."""
    treatment = TreatmentFactory.create(therapist=therapist, falling=True)
    case = Case(letter, number, name, is_over=number == "6", is_quiet=number == "7")
    with tenancy.practice(treatment.practice_id):
        now = timezone.now()
        planned = TherapySessionFactory.create(
            treatment=treatment, starts_at=now + timedelta(hours=30), attendance=""
        )
        asked = request_feedback(
            therapy_session=TherapySessionFactory.create(treatment=treatment),
            questionnaire=practice_questionnaire(treatment.practice),
            channel_kind="email",
            by=None,
        )
        FeedbackRequest.objects.filter(id=asked.id).update(room_until=now + timedelta(minutes=15))
        ImportedSession.objects.create(
            practice=treatment.practice,
            therapy_session=asked.therapy_session,
            questionnaire=asked.questionnaire,
            place="1",
        )
        save_process_note(therapy_session=planned, text="For me", by=therapist)
        planned.process_notes.update(saved_at=NOTED_AT)
        # Who treated the client before, and left.
        left = MembershipFactory.create(practice=treatment.practice, name="Before")
        before = came_from(treatment, therapist=left)
        Move.objects.create(
            practice=treatment.practice,
            treatment=before,
            needs="Evenings",
            tried="Two talks",
            saved_at=now,
            passes_on=Move.Part.values,
            agreed_on=timezone.localdate(),
            agreed_how=Move.How.IN_ROOM,
            moves_on=timezone.localdate(),
            arranged_at=now,
        )
        Offer.objects.create(practice=treatment.practice, member=before.therapist)
        ending = Ending(
            practice=treatment.practice,
            treatment=treatment,
            how=Ending.How.AGREED,
            review="Steady",
            closed_at=now,
            closed_by=therapist,
        )
        if case.is_over:
            ending.save()
            submit_response(request_id=asked.id, answers=dict.fromkeys(ITEMS, 7))
            Treatment.objects.filter(id=treatment.id).update(
                ends_on=timezone.localdate() - timedelta(days=1)
            )
        episode = treatment.episodes.get()
        save_worksheet(
            episode=episode,
            sheet=Sheet(next_action="Ask again", steps={"notice": StepEntry("Quiet")}),
            opened_version=0,
            by=therapist,
        )
        RuptureEpisode.objects.filter(id=episode.id).update(
            acknowledged_at=None,
            shared_at=None,
            marked_at=None if case.is_quiet else now,
            opened_at=now - timedelta(hours=1) if case.is_quiet else episode.opened_at,
        )
        tell(member=therapist, kind="a kind of old", subject=episode)
        notice = Notice.objects.get(subject_id=episode.id, kind="a kind of old")
        note_reached(treatment.client.channels.get())
        erasure = TwoPersonRequest.objects.create(
            practice=treatment.practice,
            client=treatment.client,
            requested_by=therapist,
            requested_at=now,
        )
        case.ids = _ids(treatment, planned.id, episode.id, asked) | {
            "notice_id": str(notice.id),
            "erasure_id": str(erasure.id),
            "ending_id": str(ending.id),
        }
    return case


def _meeting(case: Case, therapist: Membership, supervisor: Membership) -> None:
    """A meeting about the case, with a message and a decision; none where the case is over."""
    case.ids |= dict.fromkeys(("meeting_id", "decision_id", "shown_episode"), str(uuid4()))
    case.ids["with"] = case.ids["member_id"]
    if case.is_over:
        return
    with tenancy.practice(therapist.practice_id):
        episode = RuptureEpisode.objects.get(id=case.ids["episode_id"])
        SupportMessage.objects.create(
            practice=therapist.practice, episode=episode, author=therapist, text="How?"
        )
        meeting = plan_meeting(
            supervisee=therapist,
            starts_at=timezone.now() + timedelta(days=int(case.number)),
            duration_min=50,
            by=supervisor,
        )
        decision = Decision.objects.create(
            practice=therapist.practice, meeting=meeting, episode=episode, text="Slower"
        )
    case.ids |= {
        "meeting_id": str(meeting.id),
        "decision_id": str(decision.id),
        "shown_episode": str(episode.id),
    }


def another_case(world: World) -> None:
    """A new client of the therapist of practice a takes the place of the first."""
    members = {each.name: each.member for each in world.people if each.practice == "a"}
    therapist, supervisor = members["therapist"], members["supervisor"]
    assert therapist
    assert supervisor
    case = _case("a", "1", therapist, "therapist")
    _meeting(case, therapist, supervisor)
    world.cases["a", "1"] = case


def _ids(
    treatment: Treatment, session_id: UUID, episode_id: UUID, asked: FeedbackRequest
) -> dict[str, str]:
    return {
        "practice": str(treatment.practice_id),
        "client_id": str(treatment.client_id),
        "client": str(treatment.client_id),
        "treatment": str(treatment.id),
        "session": str(session_id),
        "session_id": str(session_id),
        "logged_id": str(asked.therapy_session_id),
        "episode_id": str(episode_id),
        "member_id": str(treatment.therapist_id),
        "supervisee": str(treatment.therapist_id),
        "next": f"/clients/{treatment.client_id}/",
        "token": token_of(asked),
    }
