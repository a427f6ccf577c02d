"""What somebody was told in one of their roles falls silent once they have lost it."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from apps.accounts import notices
from apps.accounts.models import Membership, Notice, Role
from apps.accounts.services import change_roles
from apps.clients.models import Client, ContactChannel, Treatment, TwoPersonRequest
from apps.clients.services import stop_channel
from apps.endings.models import Move
from apps.ruptures.models import RuptureEpisode
from apps.supervision.models import Meeting, SupportMessage
from tests.factories import (
    ClientFactory,
    MembershipFactory,
    SupervisionFactory,
    TreatmentFactory,
    came_from,
)

TO_EVERYBODY = {
    "two_people_needed",
    "request_withdrawn",
    "record_holder",
    "record_holder_ends",
    "left_notes_opened",
}
ABOUT_ONESELF = {
    "caseload_handed_over",
    "supervision_begins",
    "supervision_goes_on",
    "supervision_withdrawn",
}
"""Of what a change means for the reader, without naming a client: also where it is their role's."""


def move(new: Any, **changes: Any) -> Move:
    """An arranged move to `new`, a treatment."""
    today, now = timezone.localdate(), timezone.now()
    old = came_from(new, therapist=MembershipFactory.create(practice=new.practice))
    return Move.objects.create(
        practice=new.practice, treatment=old, needs="x", tried="x", saved_at=now, agreed_on=today,
        agreed_how="in_room", moves_on=today, arranged_at=now, **changes,
    )  # fmt: skip


@pytest.fixture
def nora(mona: Membership, alice: Membership, sam: Membership) -> Membership:
    """A therapist whom sam supervises, a supervisor of alice, a manager: told something as each."""
    nora = MembershipFactory.create(practice=mona.practice, name="Nora", roles=list(Role.values))
    today, now = timezone.localdate(), timezone.now()
    of_sam = Membership.objects.get(id=sam.id).supervisions_given.get()
    of_sam.ends_on = today
    of_sam.save()
    SupervisionFactory.create(supervisor=nora, supervisee=alice)
    own, hers, ended = (
        TreatmentFactory.create(therapist=each, falling=True) for each in (nora, alice, alice)
    )
    ended.ends_on = today
    ended.save()
    by_treatment = {each.treatment_id: each for each in RuptureEpisode.objects.all()}
    shared, gone = by_treatment[hers.id], by_treatment[ended.id]
    RuptureEpisode.objects.filter(id=shared.id).update(shared_at=now, waited_at=now, marked_at=now)
    channel = own.client.channels.get()
    stop_channel(channel=channel, why=ContactChannel.StopReason.STOPPED, by=None)
    meeting = Meeting.objects.create(
        practice=nora.practice, supervisor=sam, supervisee=nora, starts_at=now + timedelta(days=1)
    )
    texts = {
        each: SupportMessage.objects.create(
            practice=nora.practice, episode=each, author=sam, text="x"
        )
        for each in (by_treatment[own.id], shared)
    }
    shared_with_others, other = (
        ClientFactory.create(practice=nora.practice, email="one@mail.example") for _ in range(2)
    )
    ruth = MembershipFactory.create(practice=nora.practice, name="Ruth Mary Adeyemi")
    Notice.objects.all().delete()
    for role, subjects in {
        Role.MANAGER: {
            "many_clients_read": [alice],
            "one_mailbox": [shared_with_others],
            "supervision_ends": [of_sam],
            "contact_treats": [ruth],
        },
        Role.THERAPIST: {
            "channel_stopped": [channel],
            "client_moves_here": [move(own)],
            "move_called_off": [move(hers, called_off_at=now, called_off_to=nora)],
            "episode_opened": [by_treatment[own.id]],
            "support_message": [texts[by_treatment[own.id]]],
            # Of nora's own supervision, whose page ends with the role as well.
            "meeting": [meeting],
            "agenda": [meeting],
        },
        Role.SUPERVISOR: {
            "episode_waited": [shared],
            "episode_marked": [shared],
            "episode_withdrawn": [gone],
            "support_message": [texts[shared]],
            "form_ended": [ended],
        },
    }.items():
        for kind, rows in subjects.items():
            for row in rows:
                mark = f"{other.id} {role}" if kind == "one_mailbox" else role
                notices.tell(member=nora, kind=kind, subject=row, mark=mark)
    return nora


def read(member: Membership) -> set[tuple[str, str]]:
    shown = {each.id for each in notices.unread(member)}
    return by_mark(Notice.objects.filter(id__in=shown))


def by_mark(told: QuerySet[Notice]) -> set[tuple[str, str]]:
    return {(mark.split()[-1], kind) for mark, kind in told.values_list("mark", "kind")}


@pytest.mark.parametrize("lost", list(Role))
def test_what_was_told_in_a_role_is_read_no_more_without_it(
    nora: Membership, mona: Membership, lost: Role
) -> None:
    told = by_mark(Notice.objects.told_to(nora))
    assert {kind for _, kind in told} == set(
        settings.NOTICE_RENDERERS
    ) - TO_EVERYBODY - ABOUT_ONESELF
    assert read(nora) == told
    change_roles(member=nora, roles=[each for each in Role if each != lost], by=mona)
    own_end = (
        {(timezone.now().isoformat(), "supervision_ends")} if lost == Role.SUPERVISOR else set()
    )
    assert read(nora) == {each for each in told if each[0] != lost} | own_end


def test_who_neither_treats_nor_supervises_any_more_is_told_of_no_meetings(
    nora: Membership, mona: Membership
) -> None:
    """The page of a meeting is closed to them."""
    change_roles(member=nora, roles=[Role.MANAGER], by=mona)
    assert read(nora) == {
        (Role.MANAGER, "many_clients_read"),
        (Role.MANAGER, "one_mailbox"),
        (Role.MANAGER, "contact_treats"),
        (Role.MANAGER, "supervision_ends"),
        (timezone.now().isoformat(), "supervision_ends"),
    }


def names_only_whom(member: Membership) -> dict[str, str]:
    """What the member is told, by kind, after looking that it names no client who is none of theirs
    or of their supervisees'."""
    shown = notices.unread(member)
    kinds = dict(Notice.objects.values_list("id", "kind"))
    visible = set(Client.objects.visible_to(member).values_list("id", flat=True))
    others = Client.objects.exclude(id__in=visible)
    for each in shown:
        kind = kinds[each.id]
        assert each.said.client_id in {None, *visible}, kind
        # Who manages the practice reads codes alone, which stand under no client.
        if kind != "one_mailbox":
            named = [one.code for one in others if one.code in each.said.text]
            assert not named, kind
    return {kinds[each.id]: each.said.text for each in shown}


def test_no_notice_names_a_client_who_went_to_somebody_else(
    nora: Membership, alice: Membership, mona: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever treats them by then would read in *Who looked* when the reader opens their first
    page."""
    monkeypatch.setattr(notices, "MOST_SHOWN", 99)
    treatments = list(Treatment.objects.filter(therapist__in=[nora, alice]))
    for each in treatments:
        for asker, is_proposal in ((nora, False), (None, True)):
            asked = TwoPersonRequest.objects.create(
                practice=nora.practice, kind=TwoPersonRequest.Kind.ERASE_TEXTS, client=each.client,
                requested_by=asker, is_proposal=is_proposal, requested_at=timezone.now(),
                closed_by=mona, closed_at=timezone.now(),
            )  # fmt: skip
            notices.tell(member=nora, kind="request_withdrawn", subject=asked)
    waiting = TwoPersonRequest.objects.create(
        practice=nora.practice, kind=TwoPersonRequest.Kind.ERASE_CLIENT,
        client=treatments[0].client, requested_by=mona, requested_at=timezone.now(),
    )  # fmt: skip
    notices.tell(member=nora, kind="two_people_needed", subject=waiting)
    for kind in (
        "record_holder",
        "record_holder_ends",
        "left_notes_opened",
        "supervision_withdrawn",
    ):
        notices.tell(member=nora, kind=kind, subject=alice)
    notices.tell(
        member=nora, kind="caseload_handed_over", subject=alice, mark=str(timezone.localdate())
    )
    of_nora = SupervisionFactory.create(supervisor=mona, supervisee=nora)
    for kind in ("supervision_begins", "supervision_goes_on"):
        notices.tell(member=nora, kind=kind, subject=of_nora)
    told = Notice.objects.filter(member=nora)
    assert {each.kind for each in told} == set(settings.NOTICE_RENDERERS)
    assert set(names_only_whom(nora)) == set(settings.NOTICE_RENDERERS)

    Treatment.objects.filter(ends_on=None).update(ends_on=timezone.localdate())
    for each in treatments:
        TreatmentFactory.create(
            client=each.client, therapist=MembershipFactory.create(practice=nora.practice)
        )
    said = names_only_whom(nora)
    assert said["form_ended"].startswith(
        "A form of a client was waiting for an answer when it was decided that the treatment with"
        " Alice Moreau ends on"
    )
    assert said["episode_withdrawn"] == (
        "A possible rupture that you could see, with a client of Alice Moreau, was taken back: it"
        " is no longer marked, or no longer shared. The agenda of a meeting within 90 days of"
        " that names the client."
    )
    assert said["request_withdrawn"] == "Mona Haddad withdrew a request to erase."
