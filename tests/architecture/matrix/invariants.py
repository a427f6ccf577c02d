"""What holds in the database of a practice, whatever was done in it, and in whatever order.

`broken()` is asked where several people, or people and the beat, came together.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from apps.alliance.models import AllianceRating
from apps.alliance.services import accepted_until
from apps.clients.models import Client, Treatment
from apps.core.crypto import DESTROYED
from apps.core.fields import ERASED
from apps.core.models import ClientKey, OutboxMessage
from apps.endings.models import Ending, Move
from apps.exchange.records import encrypted_columns_of
from apps.feedback.lifecycle import MESSAGES
from apps.feedback.models import FeedbackRequest
from apps.ruptures.detection import Event
from apps.ruptures.falls import OF_THE_CLIENT
from apps.ruptures.models import RuptureEpisode, Screening
from apps.therapy_sessions.models import TherapySession

OPEN = FeedbackRequest.State.OPEN


def forms_open_where_the_treatment_has_ended() -> Iterable[Any]:
    ended = Q(therapy_session__treatment__ends_on__lte=timezone.localdate())
    return FeedbackRequest.objects.filter(ended, state=OPEN)


def forms_open_about_a_session_that_nobody_attended() -> Iterable[Any]:
    attended = TherapySession.objects.attended()
    return FeedbackRequest.objects.filter(state=OPEN).exclude(therapy_session__in=attended)


def forms_open_where_processing_is_restricted() -> Iterable[Any]:
    restricted = Q(therapy_session__treatment__client__restricted_at__isnull=False)
    return FeedbackRequest.objects.filter(restricted, state=OPEN)


def forms_open_about_a_session_that_has_its_rating() -> Iterable[Any]:
    ratings = AllianceRating.objects.filter(
        therapy_session=OuterRef("therapy_session"), rater=AllianceRating.Rater.CLIENT
    )
    return FeedbackRequest.objects.filter(Exists(ratings), state=OPEN)


def messages_due_about_a_form_that_is_not_open() -> Iterable[Any]:
    due = OutboxMessage.objects.filter(kind__in=MESSAGES, state=OutboxMessage.State.PENDING)
    return due.exclude(subject_id__in=FeedbackRequest.objects.filter(state=OPEN).values("id"))


def sessions_planned_after_the_end_of_their_treatment() -> Iterable[Any]:
    """As long as they are to come: what had begun stays. But for those that somebody wrote or asked
    about: what was typed is not lost. Where the treatment was begun again, the same therapist may
    have taken their note back since."""
    planned = TherapySession.objects.planned().filter(
        treatment__ends_on__isnull=False,
        starts_at__gt=timezone.now(),
        process_notes=None,
        feedback_requests=None,
    )
    begun_again = Treatment.objects.filter(
        client=OuterRef("treatment__client"),
        therapist=OuterRef("treatment__therapist"),
        starts_on__gte=OuterRef("treatment__ends_on"),
    )
    planned = planned.exclude(Exists(begun_again))
    return [
        each
        for each in planned.select_related("treatment")
        if timezone.localdate(each.starts_at) >= each.treatment.ends_on
    ]


def possible_ruptures_open_where_the_treatment_has_ended() -> Iterable[Any]:
    """As soon as the beat has been there."""
    return RuptureEpisode.objects.open().filter(treatment__ends_on__lte=timezone.localdate())


def possible_ruptures_open_by_a_session_that_nobody_attended() -> Iterable[Any]:
    """Where processing is restricted, by one that is not even logged: a correction waits there."""
    attended = Q(opened_by__attendance=TherapySession.Attendance.ATTENDED)
    waits = Q(treatment__client__restricted_at__isnull=False) & ~Q(opened_by__attendance="")
    return RuptureEpisode.objects.open().exclude(attended | waits)


def falls_that_the_filter_sees_and_nobody_else() -> Iterable[Any]:
    """The filter is within a possible rupture, of which none is open, nor ended since it was known.

    But for clients whose data may not be processed."""
    newest = Screening.objects.current().filter(treatment__client__restricted_at=None)
    newest = newest.order_by(
        "treatment", "questionnaire", "-therapy_session__starts_at", "-therapy_session"
    ).distinct("treatment", "questionnaire")
    episodes = RuptureEpisode.objects.filter(treatment=OuterRef("treatment")).exclude(
        outcome=RuptureEpisode.Outcome.SUPERSEDED
    )
    stands = episodes.filter(Q(outcome="") | Q(outcome_at__gte=OuterRef("known_at")))
    return Screening.objects.filter(
        ~Exists(stands), id__in=newest.values("id"), state_after__open=True
    )


def _opened_since_the_acknowledgement() -> QuerySet[Screening]:
    """Of the episode outside: what opens by a session that was no part of it then, or of which the
    client has said more since and which has opened nothing meanwhile."""
    opened = Screening.objects.filter(event=Event.OPENED)
    of_session = Screening.objects.filter(therapy_session=OuterRef("therapy_session"))
    ended = of_session.filter(event=Event.OPENED, superseded_at__gte=OuterRef("superseded_at"))
    of_the_client = {f"inputs__{it}": OuterRef(f"inputs__{it}") for it in OF_THE_CLIENT}
    is_back = of_session.current().filter(event=Event.OPENED, **of_the_client)
    goes_on = Screening.objects.filter(
        Q(screened_at=OuterRef("superseded_at"))
        | Q(
            screened_at__gt=OuterRef("superseded_at"),
            **{f"inputs__{it}": OuterRef(f"inputs__{it}") for it in OF_THE_CLIENT},
        ),
        therapy_session=OuterRef("therapy_session"),
        event=Event.OPENED,
    )
    taken_back = ended.filter(~Exists(goes_on), ~Exists(is_back))
    then = OuterRef(OuterRef("acknowledged_at"))
    said_then = of_session.filter(
        Q(superseded_at=None) | Q(superseded_at__gt=then), screened_at__lte=then
    )
    was_seen = Exists(said_then.filter(in_episode=True, **of_the_client)) | Exists(
        said_then.filter(~Exists(taken_back), event=Event.OPENED)
    )
    return opened.current().filter(~was_seen, treatment=OuterRef("treatment"))


def falls_that_an_acknowledgement_of_before_covers() -> Iterable[Any]:
    opened_again = _opened_since_the_acknowledgement().filter(
        therapy_session__starts_at__gte=OuterRef("opened_by__starts_at")
    )
    acknowledged = Q(fell_again_at=None) | Q(acknowledged_at__gte=F("fell_again_at"))
    seen = RuptureEpisode.objects.open().filter(acknowledged_at__isnull=False)
    return seen.filter(acknowledged, Exists(opened_again))


def possible_ruptures_that_wait_anew_without_a_fall() -> Iterable[Any]:
    fell_again = _opened_since_the_acknowledgement().filter(
        therapy_session__starts_at__gte=OuterRef("opened_by__starts_at")
    )
    waiting = RuptureEpisode.objects.open().filter(fell_again_at__gt=F("acknowledged_at"))
    processed = waiting.filter(treatment__client__restricted_at=None)
    return processed.exclude(Exists(fell_again))


def forms_open_longer_than_their_answer_counts() -> Iterable[Any]:
    opened = FeedbackRequest.objects.filter(state=OPEN, expires_at__gt=timezone.now())
    for each in opened.select_related("therapy_session__treatment__practice"):
        if each.expires_at > max(accepted_until(each.therapy_session), timezone.now()):
            yield each


def screenings_of_a_session_that_nobody_attended() -> Iterable[Any]:
    attended = TherapySession.objects.attended()
    processed = Screening.objects.current().filter(treatment__client__restricted_at=None)
    return processed.exclude(therapy_session__in=attended)


def second_treatments_of_a_client_with_one_therapist() -> Iterable[Any]:
    """At one time. Where two moves cross, one may begin on the day on which the other has ended."""
    running = Treatment.objects.not_ended(on=timezone.localdate())
    others = running.filter(client=OuterRef("client"), therapist=OuterRef("therapist"))
    begun_before = others.filter(
        Q(ends_on=None) | Q(ends_on__gt=OuterRef("starts_on")),
        Q(starts_on__lt=OuterRef("starts_on"))
        | Q(starts_on=OuterRef("starts_on"), id__lt=OuterRef("id")),
    )
    return running.filter(Exists(begun_before))


def closed_treatments_that_go_on() -> Iterable[Any]:
    return Ending.objects.filter(
        Q(treatment__ends_on__isnull=True) | Q(treatment__ends_on__gt=timezone.localdate())
    )


def arranged_moves_whose_treatment_outlasts_their_day() -> Iterable[Any]:
    arranged = Move.objects.standing().filter(arranged_at__isnull=False)
    return arranged.filter(
        Q(treatment__ends_on__isnull=True) | Q(treatment__ends_on__gt=F("moves_on"))
    )


def ratings_of_a_session_that_nobody_attended() -> Iterable[Any]:
    return AllianceRating.objects.exclude(therapy_session__in=TherapySession.objects.attended())


def ratings_by_a_client_that_were_not_screened() -> Iterable[Any]:
    """But for those that came too late, and for clients whose data may not be processed."""
    ratings = AllianceRating.objects.filter(
        rater=AllianceRating.Rater.CLIENT,
        is_late=False,
        therapy_session__treatment__client__restricted_at=None,
    )
    what = ("therapy_session_id", "questionnaire_id", "pomp")
    return set(ratings.values_list(*what)) - set(Screening.objects.current().values_list(*what))


def anything_left_of_an_erased_client() -> Iterator[Any]:
    """A text that is not empty, a key, an address, a running treatment."""
    today = timezone.localdate()
    for client in Client.objects.filter(erased_at__isnull=False):
        for column, rows in encrypted_columns_of(client.id):
            texts = ((row, row.__dict__[column.attname]) for row in rows)
            yield from (row for row, text in texts if text and text.raw != ERASED)
        yield from ClientKey.objects.filter(client_id=client.id).exclude(wrapped=DESTROYED)
        yield from client.channels.all()
        yield from client.reached_mailboxes.all()
        yield from client.treatments.not_ended(on=today)
        if client.consent or client.discussed_on or client.pause_review_on:
            yield client


RULES: tuple[Callable[[], Iterable[Any]], ...] = (
    forms_open_where_the_treatment_has_ended,
    forms_open_about_a_session_that_nobody_attended,
    forms_open_where_processing_is_restricted,
    forms_open_about_a_session_that_has_its_rating,
    messages_due_about_a_form_that_is_not_open,
    sessions_planned_after_the_end_of_their_treatment,
    possible_ruptures_open_where_the_treatment_has_ended,
    possible_ruptures_open_by_a_session_that_nobody_attended,
    falls_that_the_filter_sees_and_nobody_else,
    falls_that_an_acknowledgement_of_before_covers,
    possible_ruptures_that_wait_anew_without_a_fall,
    forms_open_longer_than_their_answer_counts,
    screenings_of_a_session_that_nobody_attended,
    second_treatments_of_a_client_with_one_therapist,
    closed_treatments_that_go_on,
    arranged_moves_whose_treatment_outlasts_their_day,
    ratings_of_a_session_that_nobody_attended,
    ratings_by_a_client_that_were_not_screened,
    anything_left_of_an_erased_client,
)


def broken() -> Iterator[str]:
    """What does not hold in the practice that is worked in, in words."""
    for rule in RULES:
        for each in rule():
            yield f"{rule.__name__.replace('_', ' ')}: {each!r}"
