"""Two practices with the same people and clients, and a canary in every text of every row."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from allauth.mfa.totp.internal import auth as totp
from django.apps import apps
from django.conf import settings
from django.db import models, transaction
from django.test import Client as Browser
from django.test.utils import override_settings
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import AccountLink, Digest, Membership, Notice, Practice, Role, User
from apps.accounts.notices import tell
from apps.accounts.permissions import Permission, permissions_of
from apps.accounts.sign_in import BEGAN, PRACTICE, SEEN
from apps.alliance.models import Questionnaire
from apps.clients.models import Treatment, TwoPersonRequest
from apps.core import tenancy
from apps.core.fields import EncryptedTextField
from apps.core.models import Sending
from apps.core.sealer import seal
from apps.endings.models import Ending, Move, Offer
from apps.exchange.calendars import open_calendar
from apps.exchange.models import ImportedSession, NoteReview
from apps.feedback.models import FeedbackRequest
from apps.feedback.services import practice_questionnaire, request_feedback, submit_response
from apps.feedback.tokens import make_token
from apps.ruptures.models import RuleChange, RuptureEpisode
from apps.ruptures.repair import Sheet, StepEntry, save_worksheet
from apps.supervision.models import Decision, SupportMessage
from apps.supervision.services import plan_meeting
from apps.therapy_sessions.services import save_process_note
from tests.factories import (
    PASSWORD,
    MembershipFactory,
    PracticeFactory,
    SupervisionFactory,
    TherapySessionFactory,
    TreatmentFactory,
    hashed,
)

ITEMS = ("heard", "accepted", "matters", "direction", "suited", "helpful")
# So that a body can name the version that a writer has before them.
NOTED_AT = datetime(2026, 1, 5, 9, tzinfo=UTC)
TENANT = [
    model
    for model in apps.get_models()
    if model.__module__.startswith("apps.") and model not in (User, Sending)
]
# Words of the machine, not of people: what they say is fixed by code or checked by it.
MACHINE_WORDS = {
    "Practice": {"country", "time_zone"},
    "Client": {"country", "time_zone", "language"},
    "Questionnaire": {"key"},
    "Notice": {"kind"},
    "OutboxMessage": {"kind"},
    "PracticeKey": {"root_id"},
    "Screening": {"rule_version", "event"},
    "AuditEntry": {"action", "object_type", "route"},
    "RuleChange": {"version"},
}
# What a client's page may show of its practice; codes are all that a supervisor may know.
FOR_CLIENTS = {
    "Practice": {"sender_name", "contact_name", "contact_phone", "contact_email"},
    "Questionnaire": {"low_label", "high_label"},
}


class Canary(NamedTuple):
    """Whose text it is: practice 'a' or 'b'; client number, '0' for the practice's own; kind.

    Kinds: 'c' a client's code, 's' what clients may see of the practice, 'z' anything else.
    """

    practice: str
    number: str
    kind: str

    def __str__(self) -> str:
        return f"qxq{self.practice}{self.number}{self.kind}q"


def canaries(text: str) -> set[Canary]:
    """Every canary that sings in a text."""
    return {Canary(*found) for found in re.findall(r"qxq([ab])(\d)([csz])q", text.lower())}


class Relation(StrEnum):
    """What an object is to the person who asks for it."""

    OWN = "own"
    FORMER = "former"
    SUPERVISED = "supervisee's"
    QUIET = "supervisee's, not shared"
    COLLEAGUES = "colleague's"
    HELD = "held"
    LEFT = "held, of who has left"
    FOREIGN = "other practice's"
    MISSING = "missing"
    LINK = "open link"
    ANSWERED = "answered link"
    FORGED = "forged link"


@dataclass
class Case:
    """One client with all that hangs on them, under the names that addresses use."""

    practice: str = ""
    number: str = ""
    therapist: str = ""
    ids: dict[str, str] = field(default_factory=dict)
    is_over: bool = False
    is_quiet: bool = False


@dataclass
class Person:
    """Somebody who asks. Without `key` they have no session cookie.

    `pending`: "code" where they gave a password and owe the second step, "set-up" where they have
    none. `elsewhere`: the name of their other practice, which the switcher shows on every page.
    """

    name: str
    practice: str
    member: Membership | None = None
    key: str = ""
    supervises: tuple[str, ...] = ()
    link: str = ""
    is_user: bool = True
    pending: str = ""
    elsewhere: str = ""

    @property
    def permissions(self) -> frozenset[Permission]:
        return permissions_of(self.member)

    @property
    def is_signed_in(self) -> bool:
        return self.stage in {"set-up", "in"}

    @property
    def stage(self) -> str:
        """How far the person is with signing in: "out", "code", "set-up" or "in"."""
        return (self.pending or "in") if self.key and self.is_user else "out"

    @property
    def works_in(self) -> str:
        """Letters of the practices where the person has an open place."""
        is_in = self.member is not None and self.member.is_active
        return ("ab" if self.elsewhere else self.practice) if is_in else ""

    def __str__(self) -> str:
        return f"{self.name} of practice {self.practice}"


NAMES = (
    "anonymous", "link holder", "therapist", "colleague", "supervisor", "supervising therapist",
    "ex-supervisor", "manager", "disabled member", "disabled user", "code pending",
    "set-up pending", "record holder", "in two practices",
)  # fmt: skip
ROLES = {
    "supervisor": [Role.SUPERVISOR],
    "supervising therapist": [Role.THERAPIST, Role.SUPERVISOR],
    "ex-supervisor": [Role.SUPERVISOR],
    "manager": [Role.MANAGER],
    "record holder": [Role.SUPERVISOR],
}
# Who of the second practice asks: the first shows what becomes of the others.
FROM_THE_OTHER = {"anonymous", "therapist", "supervisor", "manager", "in two practices"}
# Works in both practices: a therapist in the one, the manager of the other.
IN_BOTH = "in two practices"
# Whose clients there are: number, therapist.
CLIENTS = {
    "1": "therapist",
    "2": "colleague",
    "3": "supervising therapist",
    "4": "disabled member",
    "5": "disabled user",
    "6": "therapist",
    "7": "therapist",
    "8": IN_BOTH,
}


@dataclass
class World:
    people: list[Person]
    cases: dict[tuple[str, str], Case]
    missing: Case

    def relation(self, person: Person, case: Case) -> Relation:
        """What the case is to the person, by the rules of product.md."""
        if case is self.missing:
            return Relation.MISSING
        if case.practice != person.practice:
            return Relation.FOREIGN
        if person.name == "record holder":
            return Relation.LEFT if case.therapist == "disabled member" else Relation.HELD
        if person.member and person.name == case.therapist:
            return Relation.FORMER if case.is_over else Relation.OWN
        if person.member and case.therapist in person.supervises and not case.is_over:
            return Relation.QUIET if case.is_quiet else Relation.SUPERVISED
        return Relation.COLLEAGUES

    def objects(self, person: Person) -> list[tuple[Relation, Case]]:
        """One object for each relation the person has, the missing one first."""
        found: dict[Relation, Case] = {Relation.MISSING: self.missing}
        for case in self.cases.values():
            found.setdefault(self.relation(person, case), case)
        return list(found.items())

    def links(self, person: Person) -> list[tuple[Relation, Case]]:
        """Links of either practice; whoever holds one may use it."""
        other = "b" if person.practice == "a" else "a"
        own = self.cases[person.practice, "1"]
        token = own.ids["token"]
        forged = Case(ids={"token": token[:-2] + ("Aw" if token.endswith("AA") else "AA")})
        return [
            (Relation.MISSING, self.missing),
            (Relation.FORGED, forged),
            (Relation.LINK, own),
            (Relation.LINK, self.cases[other, "1"]),
            (Relation.ANSWERED, self.cases[person.practice, "6"]),
        ]

    def may_see(self, person: Person, canary: Canary) -> bool:
        """Whether a page may show this text to this person, whatever the page."""
        if not person.is_signed_in or not person.permissions:
            return False
        if canary.practice != person.practice:
            return False
        if canary.number == "0":
            return True
        relation = self.relation(person, self.cases[canary.practice, canary.number])
        if relation in {Relation.SUPERVISED, Relation.QUIET}:
            return canary.kind == "c"
        return relation in {Relation.OWN, Relation.HELD, Relation.LEFT}


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
            arrival = Treatment.objects.get(id=cases[letter, "2"].ids["treatment"])
            Treatment.objects.create(
                practice=practice,
                client=arrival.client,
                therapist=members["therapist"],
                starts_on=timezone.localdate() + timedelta(days=7),
                follows=arrival,
            )
            _let_every_text_sing(practice, letter, cases)
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
        key = _gave_password(member) if pending == "code" else _signed_in(member)
        people.append(Person(name, letter, member, key, supervises, "", is_user, pending))
    return people


def _gave_password(member: Membership) -> str:
    """The session cookie of somebody who has yet to show their second step."""
    browser = Browser()
    browser.post(reverse("login"), {"username": _user_of(member).email, "password": PASSWORD})
    return browser.cookies[settings.SESSION_COOKIE_NAME].value


def _signed_in(member: Membership) -> str:
    """The session cookie of somebody at work, who need not prove again who they are."""
    browser = Browser()
    browser.force_login(_user_of(member))
    session = browser.session
    session[BEGAN] = session[SEEN] = later = int(time.time()) + 60 * 60
    session[PRACTICE] = str(member.practice_id)
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
        before = TreatmentFactory.create(
            therapist=MembershipFactory.create(practice=treatment.practice, name="Before"),
            client=treatment.client,
            ends_on=timezone.localdate(),
        )
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
            new_treatment=treatment,
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
        "token": make_token(asked.id, generation=asked.generation),
    }


def _let_every_text_sing(
    practice: Practice, letter: str, cases: dict[tuple[str, str], Case]
) -> None:
    """Put a canary into every text of every row of the practice."""
    numbers = {case.ids["client_id"]: case.number for case in cases.values()}
    subjects = {
        request.id: _client_of(request)
        for request in FeedbackRequest.objects.select_related("therapy_session__treatment")
    }
    for model in TENANT:
        column = "id" if model is Practice else "practice_id"
        for row in model._default_manager.filter(**{column: practice.id}):
            client_id = subjects.get(getattr(row, "subject_id", None)) or _client_of(row)
            number = numbers.get(str(client_id), "0")
            sung = {
                field.name: _sing(field, getattr(row, field.name), Canary(letter, number, kind))
                for field, kind in texts(model)
            }
            if isinstance(row, Questionnaire):
                tune = Canary(letter, "0", "s")
                sung["items"] = [
                    item | {"text": f"{item['text']} {tune}" if item["text"] else ""}
                    for item in row.items
                ]
            for sealed in model._meta.local_fields:
                if isinstance(sealed, EncryptedTextField):
                    sealed.put({row.pk: sealed.seal(row, sung.pop(sealed.name))})
            if sung:
                for name, text in sung.items():
                    setattr(row, name, text)
                row.save(update_fields=list(sung))


def texts(model: type[models.Model]) -> Iterator[tuple[Any, str]]:
    """Columns of a model that hold people's words, with the kind of their canary."""
    name = model.__name__
    for column in model._meta.get_fields():
        is_text = isinstance(column, models.CharField | models.TextField) and not column.choices
        if is_text and column.name not in MACHINE_WORDS.get(name, set()):
            for_clients = column.name in FOR_CLIENTS.get(name, set())
            is_code = (name, column.name) == ("Client", "code")
            talked = (name, column.name) in {("SupportMessage", "text"), ("Decision", "text")}
            yield column, "s" if for_clients else "c" if is_code or talked else "z"


def _sing(column: Any, text: str, canary: Canary) -> str:
    if "@" in text or isinstance(column, models.EmailField):
        return f"{canary}.{text or 'x@fernbank.example'}"
    room = (column.max_length or 1000) - len(str(canary)) - 1
    return f"{text[:room]} {canary}".strip()


def _client_of(row: Any) -> Any:
    """The client that a row is about, along its foreign keys; None for the practice's own rows."""
    if row._meta.label == "clients.Client":
        return row.id
    if hasattr(row, "client_id"):
        return row.client_id
    for step in ("treatment", "therapy_session", "episode", "worksheet"):
        if hasattr(row, step):
            return _client_of(getattr(row, step))
    return None
