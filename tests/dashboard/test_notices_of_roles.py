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
from apps.clients.models import ContactChannel
from apps.clients.services import stop_channel
from apps.endings.models import Move
from apps.ruptures.models import RuptureEpisode
from apps.supervision.models import Meeting, SupportMessage
from tests.factories import (
    ClientFactory,
    MembershipFactory,
    SupervisionFactory,
    TreatmentFactory,
)

TO_EVERYBODY = {
    "two_people_needed",
    "request_withdrawn",
    "record_holder",
    "record_holder_ends",
    "left_notes_opened",
}
ABOUT_ONESELF = {"caseload_handed_over", "supervision_begins"}
"""Of what a change means for the reader, without naming a client: also where it is their role's."""


def move(new: Any, **changes: Any) -> Move:
    """An arranged move to `new`, a treatment."""
    today, now = timezone.localdate(), timezone.now()
    before = MembershipFactory.create(practice=new.practice)
    old = TreatmentFactory.create(client=new.client, therapist=before, ends_on=today)
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
    Notice.objects.all().delete()
    for role, subjects in {
        Role.MANAGER: {
            "many_clients_read": [alice],
            "one_mailbox": [shared_with_others],
            "supervision_ends": [of_sam],
        },
        Role.THERAPIST: {
            "channel_stopped": [channel],
            "client_moves_here": [move(own, new_treatment=own)],
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
        {(str(timezone.localdate()), "supervision_ends")} if lost == Role.SUPERVISOR else set()
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
        (Role.MANAGER, "supervision_ends"),
        (str(timezone.localdate()), "supervision_ends"),
    }
