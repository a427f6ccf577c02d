"""Writes about clients: adding one, and how they may be asked."""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from itertools import count
from secrets import randbelow
from typing import Any, NamedTuple
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Min, Q
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone

from apps.accounts import notices
from apps.accounts.models import Membership, Notice, Practice
from apps.accounts.oneself import manages_lately
from apps.accounts.turns import ask_again
from apps.clients.addresses import clean_phone
from apps.clients.models import Client, ContactChannel, ReachedMailbox, Treatment, TwoPersonRequest
from apps.core import audit, crypto, outbox
from apps.core.spellings import mailbox

CHANNEL_STOPPED = "channel_stopped"
ONE_MAILBOX = "one_mailbox"
Reason = ContactChannel.StopReason
# A message that comes back undoes no wish of the client's; that somebody else reads it, every stop.
BY_WEIGHT = (
    "",
    Reason.BOUNCED,
    Reason.SWITCHED,
    Reason.REFUSED,
    Reason.COMPLAINED,
    Reason.STOPPED,
    Reason.NOT_MINE,
)
SAID_BY_WHO_READS = {Reason.COMPLAINED, Reason.STOPPED, Reason.NOT_MINE}
DETAILS = ("initials", "country", "time_zone", "language", "discussed_on", "consent")


class Address(NamedTuple):
    """Where a client gets messages ('' for nowhere), and whether nobody else sees them there."""

    address: str
    safe: bool


FEWEST_DIGITS = 4


def free_code(practice: Practice) -> str:
    """A client code that nobody of the practice has or had: two letters of its name, a number.

    The number is drawn: a proposal tells nobody whether colleagues took clients on. It has four
    digits; one more where half as many codes are given away, and so on. Those of erased clients
    stay so: what is kept about the work may speak of them. Only a proposal: the unique constraint
    decides.
    """
    prefix = "".join(re.findall(r"[A-Z]", practice.sender_name.upper()))[:2].ljust(2, "X")
    ours = Client.objects.filter(practice=practice, code__istartswith=f"{prefix}-")
    taken = {code.upper() for code in ours.values_list("code", flat=True)}
    erased = _erased_codes(practice)
    given_away = len(taken) + len(erased)
    digits = next(digits for digits in count(FEWEST_DIGITS) if 2 * given_away < 10**digits)
    while True:
        code = f"{prefix}-{randbelow(10**digits):0{digits}}"
        if code not in taken and _spelled(code, practice) not in erased:
            return code


HALF = 32
"""Bytes of each half of what `code_marks` makes."""


def code_marks(code: str, *, practice_id: UUID) -> bytes:
    """By which the code of somebody erased is known again: half in any spelling, half exactly."""
    exactly = code.encode().hex()
    return b"".join(crypto.blind_index(each, practice_id=practice_id) for each in (code, exactly))


ERASED_PREFIX = "erased-"
"""How codes of erased clients begin. No code that is typed or imported begins so, in whatever
spelling: that one is taken would say that the client of this id was erased."""


def was_erased(code: str, *, practice: Practice) -> bool:
    """Whether a client of the practice who is erased had this code, in whatever spelling."""
    return _spelled(code, practice) in _erased_codes(practice)


def _spelled(code: str, practice: Practice) -> bytes:
    return code_marks(code, practice_id=practice.id)[:HALF]


def _erased_codes(practice: Practice) -> set[bytes]:
    """What those of the practice who are erased had as codes, as `_spelled`."""
    erased = Client.objects.filter(practice=practice).exclude(erased_code=b"")
    return {bytes(marks)[:HALF] for marks in erased.values_list("erased_code", flat=True)}


@transaction.atomic
def add_client(
    *,
    therapist: Membership,
    code: str,
    initials: str,
    country: str,
    time_zone: str,
    language: str,
    starts_on: date,
    approach: str = "",
    discussed_on: date | None = None,
    consent: str = "",
    addresses: Mapping[str, Address] | None = None,
    by: Membership | None,
) -> Treatment:
    """Record a client and the start of their treatment with `therapist`.

    Nothing is sent before `discussed_on`, a consent and a safe channel are recorded.

    Args:
        addresses: by `ContactChannel.Kind`.

    Raises:
        PermissionDenied: `by` lost roles or place while somebody else was about to take the code.
    """
    client = Client.objects.create(
        practice_id=therapist.practice_id,
        code=code,
        initials=initials,
        country=country,
        time_zone=time_zone,
        language=language,
        discussed_on=discussed_on,
        consent=consent,
    )
    if by:
        ask_again(by)
    _record_addresses(client, addresses or {}, agreed_anew=False)
    treatment = Treatment.objects.create(
        practice_id=client.practice_id,
        client=client,
        therapist=therapist,
        approach=approach,
        starts_on=starts_on,
    )
    audit.record("add client", client, client_id=client.id, by=by)
    return treatment


def wait_for_turn(*among: Q, by: Membership | None = None, **which: Any) -> None:
    """Let whoever else changes what belongs to these clients wait until the transaction ends.

    Services that write more than one row of a client begin with it: all wait at one door, so none
    waits for another inside. What was read before it may be old, and is read again after it.

    Args:
        by: the member who writes. None where nobody does, or `TurnMiddleware` has asked already.
        among, which: look-ups of `Client`, such as `treatments=treatment`.

    Raises:
        PermissionDenied: the roles or the place of `by` are others than as they began to wait.
    """
    clients = Client.objects.select_for_update(of=("self",), no_key=True).filter(*among, **which)
    list(clients.order_by("id").values_list("id"))
    if by:
        ask_again(by)


def take_turn(*, by: Membership, **which: Any) -> None:
    """`wait_for_turn` for what a therapist writes about a client, who may be gone by then.

    Raises:
        Http404: `by` does not treat the client any more: handed over, closed or erased meanwhile.
            Said here once, as it is what each of their pages answers from then on.
    """
    wait_for_turn(by=by, **which)
    if not Client.objects.treated_by(by).filter(**which).exists():
        raise Http404


def take_turn_in(treatment: Treatment, *, by: Membership) -> Treatment:
    """`take_turn` for what a therapist writes in a treatment, which may have ended by then.

    Returns:
        The treatment as it is by then: it may have been given an end that is to come.

    Raises:
        Http404: it has ended; also where `by` treats the client again, in another one.
    """
    wait_for_turn(by=by, treatments=treatment)
    own = Treatment.objects.conducted_by(by).select_related("client__practice", "practice")
    return get_object_or_404(own, pk=treatment.pk)


@transaction.atomic
def change_client(
    *,
    client: Client,
    addresses: Mapping[str, Address],
    discussed_on: date | None,
    consent: str,
    talked_again: bool,
    by: Membership,
    **details: str,
) -> None:
    """Correct a client's details; `details` are initials, country, time_zone and language.

    What was stopped, also at another address or by a way that is recorded only now, stays stopped
    until it was discussed anew, on the day it was stopped or later. A channel that reached somebody
    else needs another mailbox besides; one whose messages came back needs that, or the talk: a
    server may have said wrongly that nobody is there. Taking the address away is no way round.

    Args:
        talked_again: whether that day's talk was about what was stopped as well.
    """
    take_turn(by=by, id=client.id)
    client = Client.objects.get(id=client.id)
    ended_by_talk = client.channels.filter(stopped_at__isnull=False).exclude(
        stop_reason=Reason.BOUNCED
    )
    stopped = ended_by_talk.values_list("stopped_at", flat=True)
    agreed_anew = bool(
        talked_again
        and consent == Client.Consent.AGREED
        and discussed_on
        and all(timezone.localdate(moment) <= discussed_on for moment in stopped)
    )
    client.discussed_on, client.consent = discussed_on, consent
    for name, value in details.items():
        setattr(client, name, value)
    client.save()
    _record_addresses(client, addresses, agreed_anew=agreed_anew)
    audit.record("change client", client, client_id=client.id, by=by)


def _record_addresses(
    client: Client, addresses: Mapping[str, Address], *, agreed_anew: bool
) -> None:
    """Save where a client is reached. Where the reader of a mailbox that is recorded now stopped it
    under another code, what is recorded now begins stopped: no talk noted until now was about that.
    So does a mailbox whose reader said once that it is not this client's, however often they talk.
    A way that leads where it did stays as it was.
    """
    channels = {channel.kind: channel for channel in client.channels.all()}
    led_to = {channel.kind: channel.mailbox for channel in channels.values()}
    others = ContactChannel.objects.stopped_by_reader().exclude(client=client)
    elsewhere = [
        stopped
        for kind, (address, _safe) in addresses.items()
        if address and mailbox(address) != led_to.get(kind)
        for stopped in others.with_address(address, practice_id=client.practice_id)
    ]
    stopped = [
        (each.stopped_at, Reason(each.stop_reason))
        for each in (*channels.values(), *elsewhere)
        if each.stopped_at
    ]
    stops = [stop for stop in stopped if stop[1] in {Reason.STOPPED, Reason.COMPLAINED}]
    # The client may have stopped messages before a wrong reader said so: a new way waits as well.
    wrong = [(moment, Reason.STOPPED) for moment, why in stopped if why == Reason.NOT_MINE]
    for kind, (address, safe) in addresses.items():
        channel = channels.get(kind)
        if not address:
            if channel:
                take_address_away(channel, agreed_anew=agreed_anew)
            continue
        is_led_anew = mailbox(address) != led_to.get(kind)
        was_talked_about = agreed_anew and not (is_led_anew and elsewhere)
        holding = stops if channel and not elsewhere else stops + wrong
        channel = channel or ContactChannel(
            practice_id=client.practice_id, client=client, kind=kind, address=""
        )
        if _may_be_used_again(channel, address, agreed_anew=was_talked_about):
            channel.stopped_at, channel.stop_reason = None, ""
        is_held = is_led_anew and not was_talked_about
        if holding and is_held and channel.stop_reason in {"", Reason.SWITCHED, Reason.REFUSED}:
            channel.stopped_at, channel.stop_reason = max(holding)
        channel.lead_to(address, safe=safe)
        if is_led_anew and (known := client.reached_mailboxes.wrong(channel).first()):
            channel.stopped_at, channel.stop_reason = known.wrong_since, Reason.NOT_MINE
            channel.save(update_fields=["stopped_at", "stop_reason"])


def note_reached(channel: ContactChannel) -> None:
    """Keep that something went to a client's mailbox; where a client of another therapist is, or
    was, reached there too, tell the managers, once for each pair and year.

    Those who treat neither, where there are any: whoever led one there need not be told of the
    other. Not as the address is recorded, and no therapist: what is told, the time that takes, or a
    look at it would say whom colleagues treat. Of a client who was erased as it was on its way
    nothing is kept.
    """
    wait_for_turn(id=channel.client_id)
    if Client.objects.filter(id=channel.client_id, erased_at__isnull=False).exists():
        return
    ReachedMailbox.objects.get_or_create(
        practice_id=channel.practice_id,
        client_id=channel.client_id,
        address_index=bytes(channel.address_index),
    )
    today = timezone.localdate()
    current, lately = Treatment.objects.current(on=today), Treatment.objects.lately(on=today)
    own = current.filter(client=channel.client_id).values("therapist")
    came_here = Q(ends_on__lte=today, client__in=current.filter(therapist__in=own).values("client"))
    others = lately.exclude(therapist__in=own).exclude(came_here).values("client")
    there = ContactChannel.objects.beside(channel).values("client")
    there = there.union(ReachedMailbox.objects.beside(channel).values("client"))
    # Whoever invents more clients of that mailbox makes no message wait.
    this = Q(reached_mailboxes__address_index=channel.address_index)
    since = Min("reached_mailboxes__since", filter=this)
    beside = Client.objects.filter(id__in=others).filter(id__in=there).annotate(since=since)
    in_order = beside.order_by(F("since").asc(nulls_last=True), "id")
    pairs = list(in_order[: notices.MOST_SHOWN])
    if not pairs:
        return
    manage = Membership.objects.filter(manages_lately(), practice=channel.practice_id)
    managers = list(manage.order_by("id"))
    both = lately.filter(client__in=[channel.client, *pairs])
    treat = set(both.values_list("therapist", "client"))
    for other in pairs:
        first, last = sorted((other, channel.client), key=lambda each: each.id)
        neither = [
            each for each in managers if treat.isdisjoint({(each.id, first.id), (each.id, last.id)})
        ]
        for member in neither or managers:
            mark = f"{last.id} {today.year}"
            notices.tell(member=member, kind=ONE_MAILBOX, subject=first, mark=mark)


def _may_be_used_again(channel: ContactChannel, address: str, *, agreed_anew: bool) -> bool:
    if not (channel.is_wrong_address and channel.is_known_as(address)):
        return agreed_anew or channel.stop_reason == Reason.BOUNCED
    came_back, talked_on = channel.stopped_at, channel.client.discussed_on
    is_newer = came_back and talked_on and timezone.localdate(came_back) <= talked_on
    return bool(agreed_anew and is_newer and channel.stop_reason == Reason.BOUNCED)


def take_address_away(channel: ContactChannel, *, agreed_anew: bool = False) -> None:
    """Forget where a channel leads to. That it was stopped is kept, for whatever comes instead."""
    if channel.stopped_at and (channel.is_wrong_address or not agreed_anew):
        channel.lead_to("", safe=False)
    else:
        channel.delete()


@transaction.atomic
def confirm_consent(*, client: Client, on: date, by: Membership) -> None:
    """Record that the client was asked again on the day `on`, and agrees as before."""
    client.discussed_on = on
    client.save(update_fields=["discussed_on"])
    audit.record("confirm consent", client, client_id=client.id, by=by)


@transaction.atomic
def pause_asking(*, client: Client, reason: str, review_on: date, by: Membership) -> None:
    """Let asking rest for a clinical reason, until `end_pause`; `review_on` only reminds.

    A pause that lasts ends as this one begins.
    """
    take_turn(by=by, id=client.id)
    client = Client.objects.get(id=client.id)
    _keep_under_hold(client)
    client.pause_reason, client.pause_review_on = reason, review_on
    client.paused_in = Treatment.objects.conducted_by(by).filter(client=client).first()
    client.save(update_fields=["pause_reason", "pause_review_on", "paused_in"])
    audit.record("pause asking", client, client_id=client.id, by=by)


@transaction.atomic
def end_pause(*, client: Client, by: Membership) -> None:
    """Ask again; the reason goes with the pause, but not under a legal hold."""
    wait_for_turn(id=client.id)
    client = Client.objects.get(id=client.id)
    _keep_under_hold(client)
    client.pause_reason, client.pause_review_on, client.paused_in = "", None, None
    client.save(update_fields=["pause_reason", "pause_review_on", "paused_in"])
    audit.record("end pause", client, client_id=client.id, by=by)


def _keep_under_hold(client: Client) -> None:
    """Where a legal hold stands, move the reason of a pause that ends to the treatment in which the
    pause began, as a text of its therapist's: nobody who treats the client later reads it.

    Of a pause in no treatment, as one made while an update was under way, to the earliest.
    """
    if not (client.held_at and client.pause_reason):
        return
    treatment = client.paused_in or client.treatments.earliest("starts_on")
    kept = (treatment.ended_pause_reasons, client.pause_reason)
    treatment.ended_pause_reasons = "\n\n".join(filter(None, kept))
    treatment.save(update_fields=["ended_pause_reasons"])


@transaction.atomic
def stop_channel(
    *, channel: ContactChannel, why: ContactChannel.StopReason, by: Membership | None
) -> None:
    """Send nothing more by a channel, and tell whoever treats the client at once.

    They find a notice on their caseload, and get a mail that names nobody; of switches to and fro,
    which whoever holds a link can repeat, one a day until it is read. Of a channel that was stopped
    before, the reason that weighs more is kept (`BY_WEIGHT`), and nobody is told again; a talk of
    before whoever reads there said no once more does not end it.
    """
    wait_for_turn(channels=channel)
    channel = ContactChannel.objects.get(id=channel.id)
    is_known = BY_WEIGHT.index(why) <= BY_WEIGHT.index(channel.stop_reason)
    if is_known and why not in SAID_BY_WHO_READS:
        return
    channel.stopped_at = timezone.now()
    channel.stop_reason = channel.stop_reason if is_known else why
    channel.save(update_fields=["stopped_at", "stop_reason"])
    audit.record("stop channel", channel, client_id=channel.client_id, by=by)
    if is_known:
        return
    if why == Reason.NOT_MINE:
        ReachedMailbox.objects.update_or_create(
            practice_id=channel.practice_id,
            client_id=channel.client_id,
            address_index=bytes(channel.address_index),
            defaults={"wrong_since": channel.stopped_at},
        )
    current = Treatment.objects.current(on=timezone.localdate())
    treatment = current.filter(client=channel.client_id).select_related("therapist").first()
    if treatment is None:
        return
    a_day_ago = timezone.now() - timedelta(days=1)
    told = Notice.objects.unread_by(treatment.therapist).filter(
        kind=CHANNEL_STOPPED, subject_id=channel.id, created_at__gte=a_day_ago
    )
    if why == Reason.SWITCHED and told.exists():
        return
    notice = notices.tell(
        member=treatment.therapist,
        kind=CHANNEL_STOPPED,
        subject=channel,
        mark=channel.stopped_at.isoformat(),
    )
    outbox.enqueue(
        kind=CHANNEL_STOPPED,
        subject_id=notice.id,
        practice_id=notice.practice_id,
        not_before=timezone.now(),
    )


@transaction.atomic
def resume_channel(*, channel: ContactChannel, by: Membership | None) -> None:
    """Use a channel again that the client had switched from; any other is left as it is."""
    if channel.stop_reason == Reason.SWITCHED:
        channel.stopped_at, channel.stop_reason = None, ""
        channel.save(update_fields=["stopped_at", "stop_reason"])
        audit.record("resume channel", channel, client_id=channel.client_id, by=by)


def take_back_wishes(*, of: Membership, by: Membership, **about: Any) -> None:
    """Withdraw what somebody asked for as they treat nobody any more, or come to treat a client
    (`about`) anew: it has lapsed, and holds no more. What Rapport proposed waits for two people as
    before."""
    wishes = TwoPersonRequest.objects.filter(requested_by=of, closed_at=None, **about)
    wishes.filter(is_proposal=True).update(requested_by=None)
    for wish in wishes.exclude(client=None):
        wish.closed_at, wish.closed_by = timezone.now(), by
        wish.save(update_fields=["closed_at", "closed_by"])
        audit.record("withdraw what has lapsed", wish, client_id=wish.client_id, by=by)


def reaches_staff(channel: ContactChannel, practice: Practice) -> bool:
    """Whether a channel leads to a member, or the contact, of its practice by now."""
    if channel.kind == ContactChannel.Kind.EMAIL:
        return is_staff_address(channel.address, practice=practice)
    return is_staff_phone(channel.address, practice=practice)


def is_staff_address(email: str, *, practice: Practice) -> bool:
    """Whether mail to `email` reaches a member or the contact of the practice.

    Its spelling makes no difference. Ratings that reach a therapist's own mailbox are not a
    client's. Not of who is invited and has not joined: who invites a client's address silences
    nobody, and no therapist need know whom the practice invites.
    """
    members = Membership.objects.filter(practice=practice, user__isnull=False)
    members = members.exclude(is_active=False, last_sign_in_on=None)
    staff = members.values_list("user__email", flat=True)
    return mailbox(email) in {mailbox(address) for address in (*staff, practice.contact_email)}


def is_staff_phone(number: str, *, practice: Practice) -> bool:
    """Whether a number in E.164 form is the one that the practice gave for its contact."""
    try:
        return clean_phone(practice.contact_phone, country=practice.country) == number
    except ValidationError:
        return False
