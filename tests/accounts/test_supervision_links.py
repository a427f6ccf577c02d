"""Who supervises whom, from which day to which."""

from datetime import date, timedelta
from functools import partial
from importlib import import_module

import pytest
from django.apps import apps
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from apps.accounts import notices
from apps.accounts.models import Membership, Notice, Practice, Role, Supervision
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


@pytest.mark.parametrize("gone", ["place", "role"])
def test_who_left_clients_behind_is_supervised_until_they_are_handed_over(
    manager: Browser, mona: Membership, sam: Membership, alice: Membership, gone: str
) -> None:
    treatment = TreatmentFactory.create(therapist=alice, falling=True)
    pam = MembershipFactory.create(practice=sam.practice, name="Pam", roles=[Role.SUPERVISOR])
    waiting = "Clients wait to be handed over"
    assert waiting not in shown(manager.get(reverse("people")))
    if gone == "place":
        deactivate_member(member=alice, by=mona)
    else:
        change_roles(member=alice, roles=[Role.SUPERVISOR], by=mona)
    deactivate_member(member=sam, by=mona)
    assert waiting in shown(manager.get(reverse("people")))
    page = manager.post(reverse("add_supervision"), link(alice, pam))
    assert page.status_code == 302
    assert RuptureEpisode.objects.for_supervisor(pam).exists()
    end_supervision(supervision=Supervision.objects.get(supervisor=pam), ends_on=TODAY(), by=mona)
    treatment.ends_on = TODAY()
    treatment.save()
    assert waiting not in shown(manager.get(reverse("people")))
    assert "Select a valid choice" in shown(
        manager.post(reverse("add_supervision"), link(alice, pam))
    )


def test_clients_of_an_import_wait_for_whoever_is_invited_to_its_place(
    manager: Browser, practice: Practice
) -> None:
    place = MembershipFactory.create(practice=practice, user=None, name="Ida Imported")
    TreatmentFactory.create(therapist=place)
    manager.post(reverse("invite_again", args=[place.id]), {"email": "ida@fernbank.example"})
    page = shown(manager.get(reverse("people")))
    assert "Invited " in page
    assert "Clients wait to be handed over" not in page


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


@pytest.mark.parametrize("first", [-900, 5, 10, 11], ids=str)
@pytest.mark.parametrize("last", [None, 40], ids=str)
def test_a_term_that_adjoins_or_overlaps_another_goes_on_as_one_supervision(
    manager: Browser, mona: Membership, sam: Membership, alice: Membership, first: int,
    last: int | None,
) -> None:  # fmt: skip
    begun = Supervision.objects.get()
    end_supervision(supervision=begun, ends_on=TODAY() + timedelta(days=10), by=mona)
    assert "ends on" in notices.unread(sam)[0].said.text
    ends_on = last and TODAY() + timedelta(days=last)
    term = link(alice, sam, starts_on=str(TODAY() + timedelta(days=first)), ends_on=ends_on or "")
    for _twice in range(2):
        manager.post(reverse("add_supervision"), term)
    after = Supervision.objects.get()
    assert (after.id, after.starts_on, after.created_at, after.ends_on) == (
        begun.id, begun.starts_on, begun.created_at, ends_on,
    )  # fmt: skip
    says = [each.said.text for each in notices.unread(sam)]
    day = ends_on and date_format(ends_on, "j M Y")
    assert says == ([f"Your supervision of Alice Moreau ends on {day}."] if last else [])
    assert [each.said.text for each in notices.unread(alice)] == [
        "Sam Okafor goes on supervising you."
    ]
    assert [entry.object_id for entry in noted("extend supervision", mona)] == [begun.id]


def test_a_term_that_is_over_is_recorded_beside_a_later_one_that_is_over(
    mona: Membership, sam: Membership, charlie: Membership
) -> None:
    for first, last in ((-100, -50), (-300, -250), (-80, -60)):
        start_supervision(
            supervisor=sam, supervisee=charlie, by=mona,
            starts_on=TODAY() + timedelta(days=first), ends_on=TODAY() + timedelta(days=last),
        )  # fmt: skip
    assert Supervision.objects.filter(supervisee=charlie).count() == 2


def test_each_change_of_a_day_is_told_also_where_it_is_the_same_day_again(
    mona: Membership, sam: Membership, alice: Membership
) -> None:
    day = TODAY() + timedelta(days=1)
    for _ in range(2):
        end_supervision(supervision=Supervision.objects.get(), ends_on=day, by=mona)
        start_supervision(supervisor=sam, supervisee=alice, starts_on=day, by=mona)
        end_supervision(supervision=Supervision.objects.get(), ends_on=day, by=mona)
        assert [len(notices.unread(each)) for each in (sam, alice)] == [1, 1]
        Notice.objects.update(read_at=timezone.now())


@pytest.mark.parametrize("between", [(10, 20), (5, 25), (12, None)], ids=str)
def test_what_lies_between_two_terms_makes_one_supervision_of_them(
    mona: Membership, sam: Membership, charlie: Membership, between: tuple[int, int | None]
) -> None:
    def start(first: int, last: int | None) -> Supervision:
        days = [None if each is None else TODAY() + timedelta(days=each) for each in (first, last)]
        return start_supervision(
            supervisor=sam, supervisee=charlie, starts_on=days[0] or TODAY(), ends_on=days[1],
            by=mona,
        )  # fmt: skip

    start(2, 9), start(21, 30)
    assert Supervision.objects.filter(supervisee=charlie).count() == 2, "a gap parts them"
    one = start(*between)
    if between[1] is None:
        assert Supervision.objects.filter(supervisee=charlie).count() == 2
        assert one.starts_on == TODAY() + timedelta(days=12)
    else:
        assert Supervision.objects.get(supervisee=charlie) == one
        days = [(day - TODAY()).days for day in (one.starts_on, one.ends_on) if day]
        assert days == [2, 30]
    assert one.began_on == one.starts_on
    assert start(*between) == one
    texts = [each.said.text for each in notices.unread(charlie)]
    assert len(texts) == Supervision.objects.filter(supervisee=charlie).count(), texts


@pytest.mark.parametrize("how", ["over", "ended with the role"])
def test_a_term_that_is_over_adjoins_none(
    how: str, mona: Membership, sam: Membership, alice: Membership
) -> None:
    before = Supervision.objects.get()
    if how == "over":
        end_supervision(supervision=before, ends_on=TODAY() - timedelta(days=1), by=mona)
    else:
        change_roles(member=sam, roles=[Role.THERAPIST], by=mona)
        change_roles(member=sam, roles=[Role.SUPERVISOR], by=mona)
    anew = start_supervision(supervisor=sam, supervisee=alice, starts_on=TODAY(), by=mona)
    assert anew != before
    assert anew.began_on == TODAY()


def test_a_term_may_end_on_the_last_day_there_is(
    manager: Browser, sam: Membership, alice: Membership, charlie: Membership
) -> None:
    for first, last in (("0001-01-01", "9999-12-31"), ("0001-01-01", "0001-01-01")):
        sent = manager.post(
            reverse("add_supervision"), link(charlie, sam, starts_on=first, ends_on=last)
        )
        assert sent.status_code == 302
    assert Supervision.objects.filter(supervisee=charlie).count() == 1


def test_a_link_ends_no_earlier_than_it_began(manager: Browser, sam: Membership) -> None:
    supervision = Supervision.objects.get()
    before = supervision.starts_on - timedelta(days=1)
    address = reverse("end_supervision", args=[supervision.id])
    for day, says in (
        (before.isoformat(), f"began on {date_format(supervision.starts_on, 'j M Y')}."),
        ("", "required"),
    ):
        assert says in shown(manager.post(address, {"ends_on": day}))
    supervision.refresh_from_db()
    assert supervision.ends_on is None


def test_a_link_that_is_still_to_begin_is_withdrawn_and_both_are_told(
    manager: Browser, mona: Membership, sam: Membership, charlie: Membership
) -> None:
    first = TODAY() + timedelta(days=6)
    for _twice in range(2):
        to_come = start_supervision(
            supervisor=sam, supervisee=charlie, starts_on=first, by=mona
        )  # fmt: skip
        address = reverse("end_supervision", args=[to_come.id])
        page = manager.get(address)
        assert f"It begins on {date_format(first, 'j M Y')}: a day before" in shown(page)
        assert page.context["form"]["ends_on"].value() == first, "*Save* alone withdraws nothing"
        kept = first + timedelta(days=1)
        manager.post(address, {"ends_on": kept.isoformat()})
        assert Supervision.objects.get(id=to_come.id).ends_on == kept
        before = first - timedelta(days=1)
        page = manager.post(address, {"ends_on": before.isoformat()}, follow=True)
        assert "The link is withdrawn." in shown(page)
        assert not Supervision.objects.filter(id=to_come.id).exists()
    texts = [each.said.text for each in notices.unread(charlie)]
    assert texts == ["A supervision with Sam Okafor was withdrawn before it began."] * 2
    texts = [each.said.text for each in notices.unread(sam)]
    assert texts == ["A supervision with Charlie Nowak was withdrawn before it began."] * 2
    assert len(noted("withdraw supervision", mona)) == 2


def test_a_link_that_began_today_ends_at_once(
    manager: Browser, mona: Membership, sam: Membership, charlie: Membership
) -> None:
    made = start_supervision(supervisor=sam, supervisee=charlie, starts_on=TODAY(), by=mona)
    address = reverse("end_supervision", args=[made.id])
    yesterday = {"ends_on": (TODAY() - timedelta(days=1)).isoformat()}
    manager.post(address, yesterday)
    made.refresh_from_db()
    ended_at = made.ended_at
    assert ended_at
    assert not Supervision.objects.current(on=TODAY()).filter(supervisee=charlie).exists()
    manager.post(address, yesterday)
    made.refresh_from_db()
    assert made.ended_at == ended_at, "what was written since is read by nobody who had gone"


def test_other_managers_are_told_where_who_is_to_be_supervised_has_that_withdrawn(
    mona: Membership, sam: Membership, practice: Practice
) -> None:
    mona.roles = [Role.MANAGER, Role.THERAPIST]
    mona.save()
    to_come = TODAY() + timedelta(days=3)
    SupervisionFactory.create(supervisor=sam, supervisee=mona, starts_on=to_come)
    olga = MembershipFactory.create(practice=practice, name="Olga", roles=[Role.MANAGER])
    change_roles(member=sam, roles=[Role.THERAPIST], by=mona)
    [told] = notices.unread(olga)
    assert told.said.text == "A supervision with Mona Haddad was withdrawn before it began."
    assert notices.unread(mona) == ()


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


def test_terms_of_before_that_adjoin_or_overlap_are_made_one_supervision_by_migration(
    sam: Membership, alice: Membership, charlie: Membership
) -> None:
    def day(of: int) -> date:
        return TODAY() + timedelta(days=of)

    Supervision.objects.update(ends_on=day(5))
    first = Supervision.objects.get()
    for after, last in ((3, 8), (9, 12), (13, None)):
        SupervisionFactory.create(
            supervisor=sam, supervisee=alice, starts_on=day(after),
            ends_on=last and day(last), created_at=timezone.now(),
        )  # fmt: skip
    apart = [
        SupervisionFactory.create(
            supervisor=sam, supervisee=charlie, starts_on=day(start), ends_on=day(last), **more
        )
        for start, last, more in (
            (-30, -1, {}),
            (0, 5, {"created_at": timezone.now()}),
            (7, 10, {}),
            (9, 10, {"ended_at": timezone.now()}),
        )
    ]
    migration = import_module("apps.accounts.migrations.0018_terms_of_one_supervision")
    migration.make_one(apps, None)
    one = Supervision.objects.get(supervisee=alice)
    assert (one.id, one.starts_on, one.ends_on) == (first.id, first.starts_on, None)
    assert set(Supervision.objects.filter(supervisee=charlie)) == set(apart)


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
