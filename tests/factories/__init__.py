"""Invented practices, people and treatments, with clinical traits."""

from datetime import timedelta
from functools import cache
from typing import Any
from uuid import uuid4

import factory
from django.contrib.auth.hashers import make_password
from django.utils import timezone

from apps.accounts.models import Membership, Practice, Role, Supervision, User
from apps.alliance.models import AllianceRating
from apps.alliance.services import build_rating, install_shipped_questionnaires
from apps.clients.models import Client, ContactChannel, Treatment
from apps.core import tenancy
from apps.feedback.services import practice_questionnaire
from apps.ruptures.services import screen_treatment
from apps.therapy_sessions.models import TherapySession

PASSWORD = "a long enough passphrase"


@cache
def hashed() -> str:
    """Argon2 is slow by design: one hash serves every invented person."""
    return make_password(PASSWORD)


class TenantFactory(factory.django.DjangoModelFactory[Any]):
    """Writes each row inside its own practice, as row-level security wants it."""

    class Meta:
        abstract = True

    @classmethod
    def _create(cls, model_class: type[Any], *args: Any, **kwargs: Any) -> Any:
        with tenancy.practice(kwargs["practice"].id):
            return super()._create(model_class, *args, **kwargs)


class PracticeFactory(factory.django.DjangoModelFactory[Practice]):
    class Meta:
        model = Practice
        skip_postgeneration_save = True

    name = factory.Sequence("Fernbank Psychotherapy {}".format)
    sender_name = "Fernbank"
    country = "GB"
    time_zone = "Europe/London"
    contact_name = "Ruth Adeyemi"
    contact_phone = "020 7946 0018"
    contact_email = "ruth@fernbank.example"

    @factory.post_generation
    def questionnaires(self: Practice, create: bool, extracted: Any, **kwargs: Any) -> None:
        with tenancy.practice(self.id):
            install_shipped_questionnaires(practice=self, by=None)

    @classmethod
    def _create(cls, model_class: type[Any], *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("id", uuid4())
        with tenancy.practice(kwargs["id"]):
            return super()._create(model_class, *args, **kwargs)


class MembershipFactory(TenantFactory):
    class Meta:
        model = Membership

    practice = factory.SubFactory(PracticeFactory)
    name = factory.Faker("name")
    roles = [Role.THERAPIST]

    @factory.lazy_attribute_sequence
    def user(self, n: int) -> User:
        return User.objects.create(email=f"member{n}@fernbank.example", password=hashed())


class SupervisionFactory(TenantFactory):
    class Meta:
        model = Supervision

    practice = factory.SelfAttribute("supervisor.practice")
    starts_on = factory.LazyFunction(lambda: timezone.localdate() - timedelta(days=90))
    created_at = factory.LazyFunction(lambda: timezone.now() - timedelta(days=900))


class ClientFactory(TenantFactory):
    """A client who has agreed to be asked and has a safe email address."""

    class Meta:
        model = Client
        skip_postgeneration_save = True

    practice = factory.SubFactory(PracticeFactory)
    code = factory.Sequence("FE-{:04}".format)
    initials = "K. M."
    country = "GB"
    time_zone = "Europe/London"
    discussed_on = factory.LazyFunction(lambda: timezone.localdate() - timedelta(days=30))
    consent = Client.Consent.AGREED

    @factory.post_generation
    def email(self: Client, create: bool, extracted: str | None, **kwargs: Any) -> None:
        if extracted == "":
            return
        with tenancy.practice(self.practice_id):
            ContactChannel.objects.create(
                practice=self.practice,
                client=self,
                kind=ContactChannel.Kind.EMAIL,
                address=extracted or f"{self.code.lower()}@mail.example",
                safe_to_contact=True,
            )


def last_treatment(client: Client) -> Treatment | None:
    """The client's last one, which the next follows."""
    with tenancy.practice(client.practice_id):
        return client.treatments.not_followed().first()


class TreatmentFactory(TenantFactory):
    """A treatment; `pomps` gives it attended weekly sessions with these ratings (None: unrated).

    `falling=True` is short for a steady course that ends in a clear fall.
    """

    class Meta:
        model = Treatment
        skip_postgeneration_save = True

    therapist = factory.SubFactory(MembershipFactory)
    practice = factory.SelfAttribute("therapist.practice")
    client = factory.SubFactory(ClientFactory, practice=factory.SelfAttribute("..practice"))
    approach = "CBT"
    starts_on = factory.LazyFunction(lambda: timezone.localdate() - timedelta(weeks=20))
    follows = factory.LazyAttribute(lambda made: last_treatment(made.client))

    @factory.post_generation
    def pomps(
        self: Treatment, create: bool, extracted: list[int | None] | None, **kwargs: Any
    ) -> None:
        with tenancy.practice(self.practice_id):
            rate(self, extracted or [])

    @factory.post_generation
    def falling(self: Treatment, create: bool, extracted: bool | None, **kwargs: Any) -> None:
        if not extracted:
            return
        with tenancy.practice(self.practice_id):
            rate(self, [90, 90, 80, 90, 90, 90, 80, 90, 70])


def came_from(treatment: Treatment, *, therapist: Membership) -> Treatment:
    """Of a client's first treatment: the one before it, which ended today."""
    with tenancy.practice(treatment.practice_id):
        ours = Treatment.objects.filter(id=treatment.id)
        ours.update(follows=treatment)  # a client has one first at any time
        before: Treatment = TreatmentFactory.create(
            therapist=therapist, client=treatment.client, ends_on=timezone.localdate(), follows=None
        )
        ours.update(follows=before)
        return before


class TherapySessionFactory(TenantFactory):
    """An attended session that ended an hour ago."""

    class Meta:
        model = TherapySession

    treatment = factory.SubFactory(TreatmentFactory)
    practice = factory.SelfAttribute("treatment.practice")
    starts_at = factory.LazyFunction(lambda: timezone.now() - timedelta(minutes=110))
    attendance = TherapySession.Attendance.ATTENDED
    logged_at = factory.LazyAttribute(
        lambda session: session.starts_at + timedelta(minutes=50) if session.attendance else None
    )


def rate(treatment: Treatment, pomps: list[int | None]) -> list[TherapySession]:
    """Attended weekly sessions up to yesterday with these ratings (multiples of 10), screened."""
    if not pomps:
        return []
    questionnaire = practice_questionnaire(treatment.practice)
    last = timezone.now() - timedelta(days=1)
    sessions = []
    for n, pomp in enumerate(pomps):
        starts_at = last - timedelta(weeks=len(pomps) - 1 - n)
        session = TherapySessionFactory.create(
            treatment=treatment, starts_at=starts_at, asked=pomp is not None
        )
        sessions.append(session)
        if pomp is not None:
            build_rating(
                therapy_session=session,
                questionnaire=questionnaire,
                answers={item["id"]: pomp // 10 for item in questionnaire.items},
                mode=AllianceRating.Mode.LINK,
                answered_at=starts_at + timedelta(hours=3),
            ).save()
    screen_treatment(treatment=treatment, questionnaire=questionnaire, since=sessions[0], at=None)
    return sessions


def comment_on(session: TherapySession, comment: str) -> AllianceRating:
    """Give the one rating of a session this comment."""
    rating = session.ratings.get()
    rating.comment = comment
    rating.save()
    return rating
