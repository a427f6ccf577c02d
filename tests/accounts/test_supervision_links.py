"""Who supervises whom, from which day to which."""

from datetime import date, timedelta
from functools import partial
from importlib import import_module

import pytest
from django.apps import apps
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from apps.accounts import notices
from apps.accounts.models import Membership, Practice, Role, Supervision
from apps.accounts.selectors import people_page
from apps.accounts.services import (
    change_roles,
    deactivate_member,
    end_supervision,
    reactivate_member,
    start_supervision,
)
from apps.ruptures.models import RuptureEpisode
from tests.accounts.conftest import link, noted, shown
from tests.at_once import at_once
from tests.factories import MembershipFactory, SupervisionFactory, TreatmentFactory

TODAY = timezone.localdate


def test_a_manager_links_supervisor_and_supervisee(
    manager: Browser, mona: Membership, sam: Membership, charlie: Membership
) -> None:
    ends_on = TODAY() + timedelta(days=30)
    manager.post(reverse("add_supervision"), link(charlie, sam, ends_on=ends_on.isoformat()))
    made = Supervision.objects.get(supervisee=charlie)
    assert (made.supervisor, made.starts_on, made.ends_on) == (sam, TODAY(), ends_on)
    assert [entry.object_id for entry in noted("start supervision", mona)] == [made.id]


def test_a_link_that_makes_no_sense_is_refused_with_the_reason(
    manager: Browser, sam: Membership, alice: Membership, charlie: Membership, dora: Membership
) -> None:
    both = MembershipFactory.create(practice=sam.practice, roles=[Role.THERAPIST, Role.SUPERVISOR])
    yesterday = (TODAY() - timedelta(days=1)).isoformat()
    for fields, says in (
        (link(alice, sam), "an open link already"),
        (link(both, both), "Nobody supervises themselves"),
        (link(charlie, sam, ends_on=yesterday), "The last day comes before the first"),
        (link(charlie, alice), "Select a valid choice"),
        (link(dora, sam), "Select a valid choice"),
        (link(charlie, sam, starts_on="soon"), "This is no date"),
    ):
        page = manager.post(reverse("add_supervision"), fields)
        assert says in shown(page), says
    assert Supervision.objects.count() == 1


def test_a_link_that_ended_yesterday_opens_nothing_at_the_next_request(
    manager: Browser, mona: Membership, sam: Membership, alice: Membership
) -> None:
    TreatmentFactory.create(therapist=alice, falling=True)
    RuptureEpisode.objects.update(shared_at=timezone.now())
    assert RuptureEpisode.objects.for_supervisor(sam).exists()
    supervision = Supervision.objects.get()
    yesterday = TODAY() - timedelta(days=1)
    address = reverse("end_supervision", args=[supervision.id])
    assert "Sam Okafor supervises Alice Moreau" in shown(manager.get(address))
    manager.post(address, {"ends_on": yesterday.isoformat()})
    assert not RuptureEpisode.objects.for_supervisor(sam).exists()
    assert "Ended" in shown(manager.get(reverse("people")))
    assert [entry.object_id for entry in noted("end supervision", mona)] == [supervision.id]


def test_a_link_that_ended_is_not_opened_again_without_asking_who_it_is(
    manager: Browser, sam: Membership
) -> None:
    supervision = Supervision.objects.get()
    supervision.ends_on = TODAY() - timedelta(days=1)
    supervision.save()
    address = reverse("end_supervision", args=[supervision.id])
    later = (TODAY() + timedelta(days=900)).isoformat()
    assert "For a longer time, add a new link" in shown(manager.post(address, {"ends_on": later}))
    assert not Supervision.objects.current(on=TODAY()).exists()


def test_a_link_ends_no_earlier_than_it_began(manager: Browser, sam: Membership) -> None:
    supervision = Supervision.objects.get()
    before = supervision.starts_on - timedelta(days=1)
    address = reverse("end_supervision", args=[supervision.id])
    for day, says in ((before.isoformat(), "The link began on"), ("", "required")):
        assert says in shown(manager.post(address, {"ends_on": day}))
    supervision.refresh_from_db()
    assert supervision.ends_on is None


@pytest.mark.parametrize("way", ["place", "role"])
def test_who_leaves_or_loses_the_role_supervises_nobody_when_they_are_back(
    way: str, mona: Membership, sam: Membership, alice: Membership, charlie: Membership
) -> None:
    to_come = TODAY() + timedelta(days=3)
    SupervisionFactory.create(supervisor=sam, supervisee=charlie, starts_on=to_come)
    SupervisionFactory.create(supervisor=sam, supervisee=mona)
    MembershipFactory.create(practice=sam.practice, roles=[Role.MANAGER])
    if way == "place":
        deactivate_member(member=sam, by=mona)
    else:
        change_roles(member=sam, roles=[Role.THERAPIST], by=mona)
    ends = Supervision.objects.values_list("ends_on", flat=True)
    assert list(ends) == [TODAY()] * 2, "what was to begin later never does"
    assert len(noted("end supervision", mona)) == 2
    assert len(noted("withdraw supervision", mona)) == 1
    if way == "place":
        reactivate_member(member=sam, by=mona)
    else:
        change_roles(member=sam, roles=[Role.SUPERVISOR], by=mona)
    assert not Supervision.objects.current(on=TODAY()).exists(), "not for the rest of the day"
    assert {each.state for each in people_page(mona, today=TODAY()).links} == {"Ended"}


def test_links_of_who_had_left_before_links_ended_with_places_are_ended_by_migration(
    sam: Membership, alice: Membership, charlie: Membership
) -> None:
    of_others = SupervisionFactory.create(
        supervisor=MembershipFactory.create(practice=sam.practice, roles=[Role.SUPERVISOR]),
        supervisee=charlie,
    )
    Membership.objects.filter(id=sam.id).update(is_active=False)
    migration = import_module("apps.accounts.migrations.0010_closed_supervisions")
    migration.end_those_of_who_left(apps, None)
    Membership.objects.filter(id=sam.id).update(is_active=True)
    assert Supervision.objects.current(on=TODAY()).get() == of_others


def test_when_links_of_before_were_made_is_read_from_the_trail_by_migration(
    sam: Membership, mona: Membership, charlie: Membership
) -> None:
    made = start_supervision(supervisor=sam, supervisee=charlie, starts_on=TODAY(), by=mona)
    Supervision.objects.update(created_at=None)
    migration = import_module("apps.accounts.migrations.0016_supervision_created_at")
    migration.read_from_the_trail(apps, None)
    [entry] = noted("start supervision", mona)
    for link_ in Supervision.objects.all():
        assert link_.created_at == (entry.at if link_ == made else None)


def test_the_supervisor_of_who_leaves_goes_on_seeing_the_clients_until_they_are_handed_over(
    mona: Membership, sam: Membership, alice: Membership
) -> None:
    deactivate_member(member=alice, by=mona)
    assert Supervision.objects.get().ends_on is None


@pytest.mark.django_db(transaction=True)
def test_of_two_managers_who_link_the_same_two_at_once_one_makes_the_link(
    manager: Browser, sam: Membership, charlie: Membership
) -> None:
    send = partial(manager.post, reverse("add_supervision"), link(charlie, sam))
    assert {each.status_code for each in at_once(send, send)} <= {200, 302}
    assert Supervision.objects.filter(supervisee=charlie).count() == 1


def test_nobody_ends_the_supervision_that_they_get_and_the_supervisor_is_told_of_the_end(
    manager: Browser, mona: Membership, sam: Membership, practice: Practice
) -> None:
    mona.roles = [Role.MANAGER, Role.THERAPIST]
    mona.save()
    supervision = SupervisionFactory.create(supervisor=sam, supervisee=mona)
    olga = MembershipFactory.create(practice=practice, name="Olga", roles=[Role.MANAGER])
    address = reverse("end_supervision", args=[supervision.id])
    refused = shown(manager.post(address, {"ends_on": TODAY().isoformat()}))
    assert "Nobody ends their own supervision: ask another manager." in refused
    supervision.refresh_from_db()
    assert supervision.ends_on is None
    assert notices.unread(sam) == ()
    end_supervision(supervision=supervision, ends_on=date(2040, 3, 5), by=olga)
    [told] = notices.unread(sam)
    assert told.said.text == "Your supervision of Mona Haddad ends on 5 Mar 2040."


@pytest.mark.parametrize("taken", ["nothing", "role", "place"])
def test_other_managers_are_told_where_who_is_supervised_takes_the_supervisors_role_away(
    manager: Browser, mona: Membership, sam: Membership, practice: Practice, taken: str
) -> None:
    """Also where their own role, or place, is taken away for a minute before."""
    mona.roles = [Role.MANAGER, Role.THERAPIST]
    mona.save()
    supervision = SupervisionFactory.create(supervisor=sam, supervisee=mona)
    olga = MembershipFactory.create(practice=practice, name="Olga", roles=[Role.MANAGER])
    if taken == "role":
        change_roles(member=olga, roles=[Role.THERAPIST], by=mona)
    elif taken == "place":
        deactivate_member(member=olga, by=mona)
    manager.post(reverse("member", args=[sam.id]), {"roles": [Role.THERAPIST]})
    if taken == "role":
        change_roles(member=olga, roles=[Role.MANAGER], by=mona)
    supervision.refresh_from_db()
    assert supervision.ends_on == TODAY()
    [told] = notices.unread(olga)
    assert told.said.text.startswith("The supervision of Mona Haddad by Sam Okafor ends on")
    assert any("of Mona Haddad ends on" in each.said.text for each in notices.unread(sam))
    assert notices.unread(mona) == ()
