"""Nobody gives themselves access, nor does whoever was invited just now."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
import time_machine
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from apps.accounts import notices, services
from apps.accounts.models import Membership, Practice, Role, Supervision
from apps.accounts.oneself import NotOneself, gives_access_from, must_ask_another
from apps.clients.models import Client
from apps.endings.services import hand_over as hand_over_to
from tests.accounts.conftest import link, shown
from tests.factories import (
    MembershipFactory,
    SupervisionFactory,
    TreatmentFactory,
)

TODAY = timezone.localdate


def test_another_manager_decides_what_concerns_a_manager(
    manager: Browser, mona: Membership, practice: Practice, alice: Membership
) -> None:
    mona.roles = [Role.MANAGER, Role.SUPERVISOR, Role.THERAPIST]
    mona.save()
    treatment = TreatmentFactory.create(therapist=alice)
    other = MembershipFactory.create(practice=practice, name="Olga", roles=[Role.MANAGER])
    address = reverse("member", args=[mona.id])
    assert "Save roles" not in shown(manager.get(address))
    answer = manager.post(address, {"roles": ["manager"]})
    assert "Nobody changes their own roles." in shown(answer)
    assert "Nobody names themselves" in shown(manager.get(reverse("add_supervision")))
    hand_over = reverse("hand_over", args=[alice.id])
    assert "Another manager hands clients over to you" in shown(manager.get(hand_over))
    for page, fields in (
        (reverse("add_supervision"), link(alice, mona)),
        (hand_over, {"treatments": [treatment.id], "to": mona.id}),
    ):
        assert "Select a valid choice" in shown(manager.post(page, fields))
    mona.refresh_from_db()
    assert mona.roles == [Role.MANAGER, Role.SUPERVISOR, Role.THERAPIST]
    for act in (
        partial(services.change_roles, member=mona, roles=[Role.MANAGER]),
        partial(services.start_supervision, supervisor=mona, supervisee=alice, starts_on=TODAY()),
        partial(hand_over_to, [treatment], to=mona),
    ):
        with pytest.raises(NotOneself):
            act(by=mona)
    services.change_roles(member=mona, roles=[Role.MANAGER], by=other)
    mona.refresh_from_db()
    assert mona.roles == [Role.MANAGER]


def test_the_only_manager_waits_seven_days_for_clients_and_those_concerned_are_told_at_once(
    proven: Callable[[Membership], Browser],
    mona: Membership,
    alice: Membership,
    charlie: Membership,
) -> None:
    proven(mona).post(reverse("member", args=[mona.id]), {"roles": list(Role.values)})
    mona.refresh_from_db()
    assert mona.user
    mona.user.refresh_from_db()
    assert len(mona.roles) == 3, "the roles alone open nothing"
    manager = proven(mona)
    treatment = TreatmentFactory.create(therapist=alice)
    day = TODAY() + timedelta(days=7)
    early = (day - timedelta(days=1)).isoformat()
    page = manager.post(reverse("add_supervision"), link(charlie, mona, starts_on=early))
    assert "you can supervise from" in shown(page)
    with pytest.raises(ValueError, match="too soon"):
        services.start_supervision(supervisor=mona, supervisee=alice, starts_on=TODAY(), by=mona)
    manager.post(reverse("add_supervision"), link(charlie, mona, starts_on=day.isoformat()))
    hand_over = reverse("hand_over", args=[alice.id])
    manager.post(hand_over, {"treatments": [treatment.id], "to": mona.id})
    [to_charlie], [to_alice] = notices.unread(charlie), notices.unread(alice)
    assert to_charlie.said.text.startswith("Mona Haddad supervises you from")
    assert to_alice.said.text.startswith("Clients of yours go to Mona Haddad on")
    visible = Client.objects.visible_to
    assert visible(alice).exists()
    assert not visible(mona).exists()
    with time_machine.travel(timezone.now() + timedelta(days=7, minutes=1)):
        assert not visible(alice).exists()
        assert visible(mona).exists()
    hand_over_to(list(mona.treatments.all()), to=alice, by=mona)
    assert [each.ends_on for each in alice.treatments.all()] == [None], "given back in time"


def test_a_manager_of_less_than_seven_days_gives_access_from_the_day_they_are_over(
    practice: Practice,
    proven: Callable[[Membership], Browser],
    mona: Membership,
    alice: Membership,
    charlie: Membership,
) -> None:
    practice.created_at = timezone.now() - timedelta(days=30)
    practice.save()
    joined = timezone.now() - timedelta(days=6)
    olga = MembershipFactory.create(
        practice=practice, name="Olga Ruiz", roles=[Role.MANAGER], joined_at=joined
    )
    mona.roles = [Role.MANAGER, Role.SUPERVISOR, Role.THERAPIST]
    mona.save()
    as_olga = proven(olga)
    treatment = TreatmentFactory.create(therapist=alice)
    day = timezone.localdate(joined + timedelta(days=7))
    hand_over = reverse("hand_over", args=[alice.id])
    for page in (reverse("add_supervision"), hand_over):
        assert "access that you give begins on" in shown(as_olga.get(page))
    refused = as_olga.post(reverse("add_supervision"), link(alice, mona))
    assert "at the earliest" in shown(refused)
    with pytest.raises(ValueError, match="too soon"):
        services.start_supervision(supervisor=mona, supervisee=alice, starts_on=TODAY(), by=olga)
    as_olga.post(reverse("add_supervision"), link(charlie, mona, starts_on=day.isoformat()))
    assert Supervision.objects.get().starts_on == day
    as_olga.post(hand_over, {"treatments": [treatment.id], "to": mona.id})
    visible = Client.objects.visible_to
    assert visible(alice).exists()
    assert not visible(mona).exists()
    with time_machine.travel(joined + timedelta(days=7)):
        assert visible(mona).exists()
        assert gives_access_from(olga) == day
        assert must_ask_another(mona)
    assert not must_ask_another(mona), "whom she invited decides nothing about her yet"
    olga.practice.created_at = joined
    assert gives_access_from(olga) == TODAY(), "in a new practice everybody is new"


def test_the_only_manager_opens_no_supervision_of_before_by_becoming_a_supervisor_again(
    manager: Browser, mona: Membership, alice: Membership
) -> None:
    SupervisionFactory.create(supervisor=mona, supervisee=alice)
    address = reverse("member", args=[mona.id])
    page = manager.post(address, {"roles": ["manager", "supervisor"]})
    assert "Set the last day of those links first" in shown(page)
    assert not Supervision.objects.current(on=TODAY()).filter(supervisor=mona).exists()
