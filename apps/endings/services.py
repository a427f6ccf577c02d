"""Ending a treatment: closing it, moving a client on, handing a caseload over, opening it again."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from apps.accounts import notices
from apps.accounts.models import Membership, Role
from apps.accounts.oneself import access_from
from apps.clients.handing_over import pass_on
from apps.clients.models import Client, Treatment, TwoPersonRequest
from apps.clients.services import take_back_wishes, take_turn, wait_for_turn
from apps.core import audit
from apps.endings.models import Ending, Move, Offer
from apps.endings.notices import CALLED_OFF, FORM_ENDED, HANDED_OVER, KIND
from apps.feedback.lifecycle import end_requests, refit_requests
from apps.ruptures.models import RuptureEpisode
from apps.ruptures.services import record_outcome
from apps.ruptures.transitions import show_what_waited
from apps.therapy_sessions.services import call_off_planned, pass_on_planned


class AlreadyArranged(Exception):
    """The move is arranged: nothing was changed."""


class ClosedAlready(Exception):
    """The treatment is closed, with another review: nothing was changed."""


class ChangedMeanwhile(Exception):
    """Somebody saved since the form was opened: nothing is stored; `latest` is what they saved."""

    def __init__(self, latest: Move) -> None:
        super().__init__()
        self.latest = latest


class ChangesHands(Exception):
    """The client goes to somebody else on a day to come; the message says when, by whose word."""


class CannotHandOver(Exception):
    """Clients go to somebody else before that day, or nobody takes them; the message says which."""


class CannotCallOff(Exception):
    """The move stays as it is; the message says why."""


class CannotReopen(Exception):
    """The treatment cannot be opened again; the message says why."""


@transaction.atomic
def set_offer(*, member: Membership, by: Membership, **offer: Any) -> Offer:
    """Note what a therapist can offer: the fields of `Offer`."""
    saved, _created = Offer.objects.update_or_create(
        member=member, defaults={"practice_id": member.practice_id, **offer}
    )
    audit.record("set offer", saved, by=by)
    return saved


@transaction.atomic
def save_what_fits(
    *,
    treatment: Treatment,
    needs: str,
    wishes: list[str],
    language: str,
    tried: str,
    talked_over_on: date | None,
    version: str,
    by: Membership,
) -> Move:
    """Note what the client needs and prefers, and what was tried.

    Consent was given to these words: where they change afterwards, it must be asked for again.

    Args:
        version: `Move.version` of what the writer had before them; '' where there was nothing.

    Raises:
        AlreadyArranged: the move is arranged.
        ChangedMeanwhile: what was saved after that version says something else.
    """
    wait_for_turn(treatments=treatment)
    move = Move.objects.standing().filter(treatment=treatment).first() or Move(
        practice_id=treatment.practice_id, treatment=treatment
    )
    if move.arranged_at:
        raise AlreadyArranged
    words = {"needs": needs, "wishes": wishes, "language": language, "tried": tried}
    if any(getattr(move, name) != value for name, value in words.items()):
        if move.saved_at and move.version != version:
            raise ChangedMeanwhile(move)
        move.passes_on, move.agreed_on, move.agreed_how = [], None, ""
        move.saved_at = timezone.now()
    for name, value in words.items():
        setattr(move, name, value)
    move.talked_over_on = talked_over_on
    move.save()
    audit.record("save move", move, client_id=treatment.client_id, by=by)
    return move


@transaction.atomic
def record_consent(
    *,
    move: Move,
    passes_on: list[str],
    agreed_on: date,
    agreed_how: str,
    version: str,
    by: Membership,
) -> None:
    """Note which parts the client agreed to pass on; no part is an answer too.

    Saved again with the same day, and no part besides, it is the consent noted before.

    Args:
        version: `Move.version` of the words that the client agreed to.

    Raises:
        AlreadyArranged: the move is arranged.
        ChangedMeanwhile: the words are others by now.
    """
    wait_for_turn(treatments=move.treatment_id)
    move = _current(move, version=version)
    if agreed_on != move.agreed_on or not set(passes_on) <= set(move.passes_on):
        move.saved_at = timezone.now()
    move.passes_on, move.agreed_on, move.agreed_how = passes_on, agreed_on, agreed_how
    move.save(update_fields=["passes_on", "agreed_on", "agreed_how", "saved_at"])
    audit.record("record consent to move", move, client_id=move.treatment.client_id, by=by)


@transaction.atomic
def withdraw_consent(*, move: Move, by: Membership) -> None:
    """Note that the client, who has moved, passes nothing on any more. Twice equals once.

    `by`, who treats them now, reads none of it from then on. The treatment before stays as it was,
    and so does when and how the client had agreed: consent once given is on record.

    Raises:
        Http404: `by` does not treat the client any more.
    """
    take_turn(by=by, treatments=move.treatment_id)
    move = Move.objects.select_related("treatment").get(pk=move.pk)
    if not move.passes_on:
        return
    move.passes_on = []
    move.save(update_fields=["passes_on"])
    audit.record("withdraw consent to move", move, client_id=move.treatment.client_id, by=by)


@transaction.atomic
def arrange_move(
    *,
    move: Move,
    to: Membership,
    moves_on: date,
    meeting_on: date | None,
    version: str,
    by: Membership,
) -> Treatment:
    """Move the client to `to` on the day `moves_on`: access changes hands on that day.

    The treatment ends then, with its history where it is, and a new one with a new baseline begins.
    An open episode closes as moved on that day; what was planned from then on is called off. What
    its therapist wrote about stays theirs, and is nobody's session once the treatment has ended.

    Raises:
        AlreadyArranged: the move is arranged.
        ChangedMeanwhile: it is not the move of that `version` any more.
        CannotHandOver: `to` treats nobody here any more.
        ChangesHands: the client goes to somebody on a day to come.
        IntegrityError: the client has not agreed yet.
    """
    wait_for_turn(treatments=move.treatment_id)
    # Who cannot go there does not wait for the place: who closes it may be waiting for them.
    move = _current(move, version=version)
    treatment = move.treatment
    _refuse_if_it_changes_hands(treatment)
    _refuse_who_treats_nobody(to)
    # Midnight may have passed by then: what is over stays with who had it.
    today = timezone.localdate()
    moves_on, meeting_on = max(moves_on, today), meeting_on and max(meeting_on, today)
    if moves_on <= today:
        _close_episode(
            treatment, RuptureEpisode.Outcome.MOVED, reason=_("Moved to %s.") % to.name, by=by
        )
    # The times were made with the therapist before: a new one makes their own.
    _call_off(treatment, on=moves_on, by=by)
    new = pass_on(treatment, to=to, on=moves_on, by=by)
    refit_requests(new)
    _end_forms(treatment)
    move.moves_on, move.meeting_on, move.arranged_at = moves_on, meeting_on, timezone.now()
    move.save(update_fields=["moves_on", "meeting_on", "arranged_at"])
    notices.tell(member=to, kind=KIND, subject=move)
    audit.record("arrange move", move, client_id=treatment.client_id, by=by)
    return new


@transaction.atomic
def call_off_move(*, move: Move, reason: str, version: str, by: Membership) -> None:
    """Call an arranged move off before its day: the treatment goes on as if without an end. Where a
    manager handed the client on from where the move leads, it goes on until the day of that.

    The treatment that would have begun is withdrawn. Sessions that were called off stay so, to be
    planned anew. The move stays as history, and who would have taken the client on is told.

    Raises:
        ChangedMeanwhile: it is not the arranged move of that `version` any more.
        CannotCallOff: the treatment has ended.
    """
    wait_for_turn(treatments=move.treatment_id)
    move = _current(move, version=version, is_arranged=True)
    treatment = move.treatment
    if treatment.has_ended:
        raise CannotCallOff(_("The treatment has ended meanwhile; nothing was changed."))
    _undo(move, reason=reason, by=by)


def _refuse_who_treats_nobody(to: Membership) -> None:
    """Raises CannotHandOver; read anew, as whoever gives a client waited for their turn, and held:
    who closes the place, or takes the role, waits until the client is there."""
    held = Membership.objects.select_for_update(no_key=True)
    to.refresh_from_db(fields=["roles", "is_active"], from_queryset=held)
    if not (to.is_active and to.has_role(Role.THERAPIST)):
        raise CannotHandOver(_("%s treats nobody here any more.") % to.name)


@transaction.atomic
def hand_over(treatments: list[Treatment], *, to: Membership, by: Membership) -> date:
    """Hand treatments over to `to`, with their sessions to come, and tell the therapist before.

    What could not go along is called off, open forms end. Moves that were to bring or to take the
    clients later are history: the practice's word is the newer one. Who is handed back on the same
    day, before anything was written, goes on with the treatment of before (`pass_on`); what has
    ended by then, such as forms, flags and moves, stays so.

    Returns:
        The day on which access changes hands, that of `oneself.access_from`.

    Raises:
        NotOneself: another manager must hand them over to `by`.
        CannotHandOver: some go to somebody else by then, or do not come any more, or `to` treats
            nobody here any more; nothing is changed for any.
    """
    wait_for_turn(by=by, treatments__in=treatments)
    _refuse_who_treats_nobody(to)
    on = access_from(to=to, by=by)
    theirs = {each.id: each.therapist_id for each in treatments}
    found = Treatment.objects.filter(id__in=theirs).select_related("client", "therapist")
    current = found.order_by("starts_on", "id")
    # Who was still to come may be withdrawn, or be somebody else's, since the form was opened.
    if {each.id: each.therapist_id for each in current} != theirs:
        raise CannotHandOver(_("One of these clients does not come any more. Tick them anew."))
    gone = [
        _("%(code)s changes hands on %(day)s already.")
        % {"code": each.client.code, "day": date_format(each.ends_on, "j M Y")}
        for each in current
        if each.ends_on and each.ends_on <= on
    ]
    if gone:
        raise CannotHandOver(" ".join([*gone, _("Untick them.")]))
    for move in Move.objects.to_come().filter(treatment__in=theirs):
        _undo(move, reason=_("Handed over, as the practice decided."), by=by)
    told: set[tuple[Membership, date]] = set()
    for each in list(current.values_list("id", flat=True)):
        # Read one by one: what goes on, or begins sooner, takes up what was to follow it.
        told |= _hand_on(found.get(id=each), to=to, on=on, by=by)
    now = timezone.now().isoformat()
    for member, day in told:
        notices.tell(member=member, kind=HANDED_OVER, subject=to, mark=f"{day.isoformat()} {now}")
    return on


def _hand_on(
    treatment: Treatment, *, to: Membership, on: date, by: Membership
) -> set[tuple[Membership, date]]:
    """Hand one over, with its sessions to come. Where the client was to come there by a move, and
    does not any more, that is history: it was to this therapist that they agreed to come.

    Returns:
        Who is to be told that a client of theirs goes to `to`, and on which day.
    """
    begins = treatment.begins_before(on)
    day = on if begins else treatment.starts_on
    told = {(treatment.therapist, day)}
    if treatment.follows and treatment.follows.therapist != to and not begins:
        told.add((treatment.follows.therapist, day))
    move = Move.objects.to_come().filter(treatment=treatment.follows_id).first()
    if move and not begins:
        if move.treatment.therapist == to:
            reason = _("Handed back, as the practice decided.")
        else:
            reason = _("Handed on, as the practice decided.")
        _leave_as_history(move, to=treatment.therapist, reason=reason, by=by)
    audit.record("hand over client", treatment, client_id=treatment.client_id, by=by)
    # What supervisors see by now, though the beat has not come by yet, they hear of as it goes.
    show_what_waited(treatment.episodes.all(), at=timezone.now())
    new = pass_on(treatment, to=to, on=on, by=by)
    if begins and treatment.pk:
        pass_on_planned(treatment=treatment, to=new, since=_still_to_come(treatment, on=on))
        end_what_is_open(treatment, on=on, by=by)
    refit_requests(new)
    return told


@contextmanager
def letting_go(member: Membership, *, by: Membership) -> Iterator[None]:
    """What becomes of clients as `member` comes to treat nobody here any more, in the body: what
    they asked for is withdrawn, and arranged moves to them whose day is still to come are called
    off. Those clients stay with their therapists, who are told; until the day on which one who was
    handed on from there goes to somebody else.

    Whoever gives a client holds the client first, and then the place, and so does this; what was
    given between the two is found once the place is held.
    """
    moves = Move.objects.to_come().filter(treatment__followed_by__therapist=member)
    concerned = Q(treatments__moves__in=moves) | Q(
        two_person_requests__requested_by=member, two_person_requests__closed_at=None
    )
    wait_for_turn(concerned)
    yield
    wait_for_turn(concerned)
    take_back_wishes(of=member, by=by)
    for move in moves.all():
        _undo(move, reason=_("%s treats nobody here any more.") % member.name, by=by)


def _undo(move: Move, *, reason: str, by: Membership) -> None:
    """Call a move off whose day is still to come: who would have come stays. Where a manager handed
    the client on from where the move leads, until the day of that."""
    new = move.treatment.followed_by.get()
    _leave_as_history(move, to=new.therapist, reason=reason, by=by)
    stays = pass_on(new, to=move.treatment.therapist, on=new.starts_on, by=by)
    refit_requests(stays)


@transaction.atomic
def close_treatment(*, treatment: Treatment, how: str, review: str, by: Membership) -> Ending:
    """Close a treatment today, with a review. Twice equals once.

    An episode that is still open ended unrepaired; what was planned is called off, open forms end.

    Raises:
        ClosedAlready: another window closed it meanwhile, with another review, which stays.
        ChangesHands: somebody else treats the client from a day to come.
    """
    wait_for_turn(treatments=treatment)
    treatment = Treatment.objects.get(pk=treatment.pk)
    if ending := Ending.objects.filter(treatment=treatment).first():
        if (ending.how, ending.review) != (how, review):
            raise ClosedAlready
        return ending
    _refuse_if_it_changes_hands(treatment)
    today = timezone.localdate()
    _close_episode(
        treatment,
        RuptureEpisode.Outcome.ENDED_UNREPAIRED,
        reason=_("The treatment ended."),
        by=by,
    )
    treatment.starts_on = min(today, treatment.starts_on)
    treatment.ends_on = today
    treatment.save(update_fields=["starts_on", "ends_on"])
    end_what_is_open(treatment, on=today, by=by)
    ending = Ending.objects.create(
        practice_id=treatment.practice_id,
        treatment=treatment,
        how=how,
        review=review,
        closed_at=timezone.now(),
        closed_by=by,
    )
    audit.record("close treatment", treatment, client_id=treatment.client_id, by=by)
    return ending


def _refuse_if_it_changes_hands(treatment: Treatment) -> None:
    if treatment.ends_on is None:
        return
    said = _("This client changes hands on %s already, as the practice decided.")
    if Move.objects.to_come().filter(treatment=treatment).exists():
        said = _("This client moves on %s: call the move off first.")
    raise ChangesHands(said % date_format(treatment.ends_on, "j M Y"))


@transaction.atomic
def reopen_treatment(*, ending: Ending, by: Membership) -> Treatment:
    """Begin a new treatment, with a new baseline, of a client whose treatment was closed. What `by`
    asked for before, such as the client's erasure, is withdrawn.

    Raises:
        CannotReopen: the client is in treatment now, processing of their data is restricted, or
            somebody else asks for their erasure.
    """
    closed = Treatment.objects.get(pk=ending.treatment_id)
    # Two who closed a treatment of the client, one after the other, may each begin it anew.
    wait_for_turn(id=closed.client_id)
    today = timezone.localdate()
    if Treatment.objects.not_ended(on=today).filter(client=closed.client_id).exists():
        raise CannotReopen(_("This client is in treatment already; nothing was changed."))
    restricted = Client.objects.filter(id=closed.client_id, restricted_at__isnull=False)
    if restricted.filter(practice__record_holder__isnull=False).exists():
        raise CannotReopen(
            _(
                "Processing of this client’s data is restricted. The practice’s record holder can"
                " lift that; nothing was changed."
            )
        )
    if _is_to_be_erased(closed.client_id, but_for=by):
        raise CannotReopen(
            _(
                "It is asked for that this client’s records are erased: that request has to be"
                " withdrawn first; nothing was changed."
            )
        )
    take_back_wishes(client=closed.client_id, of=by, by=by)
    treatment = Treatment.objects.create(
        practice_id=closed.practice_id,
        client_id=closed.client_id,
        therapist=closed.therapist,
        approach=closed.approach,
        starts_on=today,
        follows=Treatment.objects.not_followed().get(client=closed.client_id),
    )
    audit.record("reopen treatment", treatment, client_id=treatment.client_id, by=by)
    return treatment


def _is_to_be_erased(client_id: UUID, *, but_for: Membership) -> bool:
    """Whether Rapport, or a colleague who holds the records, asks for it: what a therapist asked
    for has lapsed with the treatment."""
    asked = TwoPersonRequest.objects.filter(
        client=client_id, closed_at=None, kind=TwoPersonRequest.Kind.ERASE_CLIENT
    )
    holds = Q(is_proposal=True) | Q(requested_by=F("practice__record_holder"))
    return asked.filter(holds).exclude(requested_by=but_for).exists()


def _current(move: Move, *, version: str, is_arranged: bool = False) -> Move:
    """The move as it is now, as long as it is the one of that `version`."""
    move = Move.objects.select_related("treatment").get(pk=move.pk)
    if move.called_off_at:
        raise ChangedMeanwhile(move)
    if move.arranged_at and not is_arranged:
        raise AlreadyArranged
    if move.version != version:
        raise ChangedMeanwhile(move)
    return move


def _leave_as_history(move: Move, *, to: Membership, reason: str, by: Membership) -> None:
    """Call an arranged move off, and tell who would have taken the client on, and who arranged it
    where somebody else calls it off."""
    move.called_off_at, move.called_off_reason = timezone.now(), reason
    move.called_off_to = to
    move.save(update_fields=["called_off_at", "called_off_reason", "called_off_to"])
    for member in {to, move.treatment.therapist} - {by}:
        notices.tell(member=member, kind=CALLED_OFF, subject=move)
    audit.record("call off move", move, client_id=move.treatment.client_id, by=by)


def _close_episode(
    treatment: Treatment, outcome: RuptureEpisode.Outcome, *, reason: str, by: Membership
) -> None:
    opened = RuptureEpisode.objects.open().select_for_update(of=("self",), no_key=True)
    episode = opened.filter(treatment=treatment).first()
    if episode:
        record_outcome(episode=episode, outcome=outcome, reason=reason, by=by)


def end_what_is_open(treatment: Treatment, *, on: date, by: Membership | None) -> None:
    """What becomes of the rest where a treatment ends on the day `on`: sessions planned from then
    on and still to come are called off, forms end."""
    _call_off(treatment, on=on, by=by)
    _end_forms(treatment)


def _call_off(treatment: Treatment, *, on: date, by: Membership | None) -> None:
    """Call off the sessions planned from the day `on`, as far as they are still to come."""
    call_off_planned(treatment=treatment, since=_still_to_come(treatment, on=on), by=by)


def _still_to_come(treatment: Treatment, *, on: date) -> datetime:
    """From when on what is planned for the day `on`, or later, has not begun."""
    midnight = datetime.combine(on, time.min, tzinfo=ZoneInfo(treatment.practice.time_zone))
    return max(midnight, timezone.now())


def _end_forms(treatment: Treatment) -> None:
    """End what the client could still answer; supervisors are told, so that nobody is silenced."""
    treatment.refresh_from_db(fields=["ends_on"])
    if end_requests(treatment):
        now = timezone.now()
        for member in Membership.objects.supervising(
            treatment.therapist, on=timezone.localdate(now)
        ):
            # Where a move was called off, a later form can end with the same treatment.
            notices.tell(member=member, kind=FORM_ENDED, subject=treatment, mark=now.isoformat())
