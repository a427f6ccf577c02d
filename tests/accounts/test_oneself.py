"""Nobody gives themselves access, nor does whoever was invited just now."""

from collections.abc import Callable
from datetime import datetime, time, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
import time_machine
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from apps.accounts import notices, oneself, services
from apps.accounts.links import LinkClosed
from apps.accounts.models import Membership, Practice, Role, Supervision
from apps.accounts.oneself import NobodyYet, NotOneself, must_ask_another, settled_from
from apps.accounts.permissions import Permission
from apps.clients.models import Client
from apps.core import tenancy
from apps.endings.services import hand_over as hand_over_to
from apps.exchange.rights import set_hold
from tests.accounts.conftest import link, sent, shown
from tests.architecture.matrix.routes import ROUTES, WRITE
from tests.factories import (
    PASSWORD,
    MembershipFactory,
    SupervisionFactory,
    TreatmentFactory,
)

TODAY = timezone.localdate


def lately() -> datetime:
    """Noon six days ago: so that the seven days end tomorrow, whatever time it is."""
    day = TODAY() - timedelta(days=6)
    return datetime.combine(day, time(12), tzinfo=timezone.get_current_timezone())


@pytest.fixture
def olga(practice: Practice) -> Membership:
    """A manager who joined six days ago, in a practice that is older."""
    practice.created_at = timezone.now() - timedelta(days=30)
    practice.save()
    return MembershipFactory.create(
        practice=practice, name="Olga Ruiz", roles=[Role.MANAGER], joined_at=lately()
    )


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
    olga: Membership,
    proven: Callable[[Membership], Browser],
    mona: Membership,
    alice: Membership,
    charlie: Membership,
) -> None:
    joined = lately()
    mona.roles = [Role.MANAGER, Role.SUPERVISOR, Role.THERAPIST]
    mona.save()
    as_olga = proven(olga)
    treatment = TreatmentFactory.create(therapist=alice)
    day = timezone.localdate(joined + timedelta(days=7))
    hand_over = reverse("hand_over", args=[alice.id])
    for page in (reverse("add_supervision"), hand_over):
        assert f"Access begins on {date_format(day, 'j M Y')} at the" in shown(as_olga.get(page))
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
        assert settled_from(olga) == day
        assert must_ask_another(mona)
    assert not must_ask_another(mona), "whom she invited decides nothing about her yet"
    olga.practice.created_at = joined
    assert settled_from(olga) == TODAY(), "in a new practice everybody is new"


def test_on_the_seventh_day_who_decides_about_others_is_asked_by_others_too(
    olga: Membership, mona: Membership
) -> None:
    """Both from midnight on, whatever the hour at which they joined."""
    day = timezone.localtime(lately()) + timedelta(days=7)
    midnight = day.replace(hour=0)
    for moment, is_new in ((midnight - timedelta(minutes=1), True), (midnight, False)):
        with time_machine.travel(moment, tick=False):
            assert oneself.is_new(olga) is is_new
            assert must_ask_another(mona) is not is_new


OTHERWISE = {
    "hand_over": "from the day the seven days are over, above",
    "add_supervision": "from that day as well",
    "ask_for_export": "a second person confirms it, once both have been here for seven days",
    "practice": "holds for everybody",
    "propose_norms": "only counts",
    "decide_rule": "holds for everybody",
}
"""What a newcomer may send that manages the practice, and why."""


def test_a_manager_of_less_than_seven_days_decides_nothing_about_others_that_holds_at_once(
    olga: Membership,
    proven: Callable[[Membership], Browser],
    practice: Practice,
    mona: Membership,
    alice: Membership,
    sam: Membership,
) -> None:
    """Whatever a manager's form changes: roles, places, supervisions, the holding, a legal hold."""
    mona.roles = [Role.MANAGER, Role.SUPERVISOR]
    mona.save()
    Practice.objects.update(record_holder=mona)
    as_olga, day = proven(olga), date_format(settled_from(olga), "j M Y")
    left = MembershipFactory.create(practice=practice, is_active=False, last_sign_in_on=TODAY())
    nina = services.invite_member(
        practice=practice, name="Nina", email="nina@x.example", roles=[Role.THERAPIST], by=mona
    )
    client = TreatmentFactory.create(therapist=alice).client
    set_hold(client=client, held=True, by=mona)
    SupervisionFactory.create(supervisor=mona, supervisee=alice)
    forms: dict[str, list[tuple[list[UUID], dict[str, Any]]]] = {
        "member": [
            ([alice.id], {"roles": ["therapist", "manager"]}),
            ([alice.id], {"roles": ["supervisor"]}),
            ([mona.id], {"roles": ["therapist"]}),
            ([mona.id], {"roles": ["manager"]}),
        ],
        "invite_member": [([], sent(roles=["therapist", "manager"]))],
        "invite_again": [([nina.id], {"email": "else@x.example"})],
        "deactivate_member": [([mona.id], {})],
        "reactivate_member": [([left.id], {})],
        "end_supervision": [
            ([each.id], {"ends_on": TODAY().isoformat()}) for each in Supervision.objects.all()
        ],
        "keeping": [([], {"record_holder": whom}) for whom in (sam.id, "")],
        "holds": [([], {"code": client.code, "lift": ""})],
    }
    permissions = (Permission.MANAGE_PRACTICE, Permission.HOLD)
    sends = {name for name, row in ROUTES.items() if row.who in permissions and row.methods & WRITE}
    assert sends == {*forms, *OTHERWISE}
    before = standing()
    for name, sheets in forms.items():
        for args, fields in sheets:
            answer = as_olga.post(reverse(name, args=args), fields, follow=True)
            assert f"can do this from {day} on" in shown(answer), (name, fields)
    assert standing() == before
    as_olga.post(reverse("invite_member"), sent())
    assert Membership.objects.filter(name="Nina Berg").exists(), "whoever gets no access is welcome"
    with time_machine.travel(lately() + timedelta(days=7)):
        services.change_roles(member=mona, roles=[Role.THERAPIST], by=olga)


def standing() -> list[Any]:
    """Who has which place and role, who supervises whom, who holds, what is held."""
    return [
        list(rows.order_by("id"))
        for rows in (
            Membership.objects.values("id", "roles", "is_active", "user"),
            Supervision.objects.values("id", "ends_on", "ended_at"),
            Practice.objects.values("id", "record_holder"),
            Client.objects.values("id", "held_at"),
        )
    ]


def test_a_manager_of_less_than_seven_days_ends_access_at_once_and_other_managers_are_told(
    olga: Membership,
    proven: Callable[[Membership], Browser],
    practice: Practice,
    mona: Membership,
    alice: Membership,
    sam: Membership,
) -> None:
    """But not another manager's. Everybody is told that nobody holds the records any more."""
    as_olga = proven(olga)
    Practice.objects.update(record_holder=sam)
    sam.roles = [Role.SUPERVISOR, Role.THERAPIST]
    sam.save()
    as_olga.post(reverse("member", args=[sam.id]), {"roles": ["therapist"]})
    [told] = notices.unread(mona)
    assert told.said.text.startswith("The supervision of Alice Moreau by Sam Okafor ends on")
    for person in (alice, sam):
        as_olga.post(reverse("deactivate_member", args=[person.id]))
    sam.refresh_from_db()
    alice.refresh_from_db()
    practice.refresh_from_db()
    assert (sam.roles, sam.is_active, alice.is_active) == ([Role.THERAPIST], False, False)
    assert practice.record_holder is None
    for person in (alice, mona, olga, sam):
        last, *_ = notices.unread(person)
        assert last.said.text.startswith("Sam Okafor ceased to be record holder of the practice")


def test_who_joined_less_than_seven_days_ago_is_given_access_from_the_day_they_are_over(
    practice: Practice, manager: Browser, alice: Membership, olga: Membership, charlie: Membership
) -> None:
    olga.roles = [Role.THERAPIST, Role.SUPERVISOR]
    olga.save()
    day, treatment = settled_from(olga), TreatmentFactory.create(therapist=alice)
    address = reverse("hand_over", args=[alice.id])
    page = shown(manager.get(address))
    assert f">Olga Ruiz, from {date_format(day, 'j M Y')} on<" in page
    assert ">Charlie Nowak<" in page
    assert "If it cannot wait, hand the clients to a colleague who has been here longer" in page
    refused = manager.post(reverse("add_supervision"), link(charlie, olga))
    assert f"Access begins on {date_format(day, 'j M Y')} at the earliest" in shown(refused)
    manager.post(address, {"treatments": [treatment.id], "to": olga.id})
    [to_alice] = notices.unread(alice)
    assert to_alice.said.text.startswith("Clients of yours go to Olga Ruiz on")
    visible = Client.objects.visible_to
    assert visible(alice).exists()
    assert not visible(olga).exists()
    with time_machine.travel(lately() + timedelta(days=7)):
        assert visible(olga).exists()
        assert not visible(alice).exists()
    practice.created_at = lately()
    practice.save()
    assert ">Olga Ruiz<" in shown(manager.get(address)), "in a new practice everybody is new"


def test_who_comes_back_after_seven_days_is_as_new(
    practice: Practice, olga: Membership, mona: Membership, sam: Membership
) -> None:
    for days, since in ((6, None), (7, TODAY())):
        sam.is_active, sam.left_at = False, timezone.now() - timedelta(days=days, minutes=1)
        sam.save()
        services.reactivate_member(member=sam, by=mona)
        sam.refresh_from_db()
        assert (sam.joined_at and timezone.localdate(sam.joined_at)) == since
    assert settled_from(sam) == TODAY() + timedelta(days=7)


def test_an_older_invitation_makes_nobody_new_who_is_back_already(
    practice: Practice, olga: Membership, mona: Membership, dora: Membership
) -> None:
    joined = timezone.now() - timedelta(days=400)
    nora = MembershipFactory.create(
        practice=practice, roles=[Role.MANAGER], user=dora.user, joined_at=joined
    )
    services.deactivate_member(member=nora, by=mona)
    assert not services.reactivate_member(member=nora, by=mona), "who works elsewhere is invited"
    older = nora.links.get()
    with tenancy.practice(dora.practice_id):
        services.deactivate_member(
            member=dora,
            by=MembershipFactory.create(practice=dora.practice, roles=[Role.MANAGER]),
        )
    assert services.reactivate_member(member=nora, by=mona)
    with pytest.raises(LinkClosed):
        services.accept_invitation(link_id=older.id, password=PASSWORD)
    assert services.reactivate_member(member=nora, by=mona), "pressed again in an older window"
    nora.refresh_from_db()
    assert nora.joined_at == joined
    assert must_ask_another(mona)


def test_a_place_that_nobody_has_taken_is_given_no_access(
    manager: Browser, mona: Membership, alice: Membership, practice: Practice
) -> None:
    place = MembershipFactory.create(
        practice=practice, name="From a file", user=None, roles=[Role.THERAPIST, Role.SUPERVISOR]
    )
    treatment = TreatmentFactory.create(therapist=alice)
    address = reverse("hand_over", args=[alice.id])
    for page, fields in (
        (reverse("add_supervision"), link(alice, place)),
        (address, {"treatments": [treatment.id], "to": place.id}),
    ):
        assert "Select a valid choice" in shown(manager.post(page, fields))
    for act in (
        partial(services.start_supervision, supervisor=place, supervisee=alice, starts_on=TODAY()),
        partial(hand_over_to, [treatment], to=place),
    ):
        with pytest.raises(NobodyYet):
            act(by=mona)


def test_the_only_manager_opens_no_supervision_of_before_by_becoming_a_supervisor_again(
    manager: Browser, mona: Membership, alice: Membership
) -> None:
    SupervisionFactory.create(supervisor=mona, supervisee=alice)
    address = reverse("member", args=[mona.id])
    page = manager.post(address, {"roles": ["manager", "supervisor"]})
    assert "Set the last day of those links first" in shown(page)
    assert not Supervision.objects.current(on=TODAY()).filter(supervisor=mona).exists()


@pytest.mark.parametrize("way", ["place", "role", "invitation", "invitation of who joined lately"])
def test_nobody_is_the_only_manager_because_they_closed_the_others_place_for_a_minute(
    way: str, mona: Membership, practice: Practice, dora: Membership
) -> None:
    other = MembershipFactory.create(
        practice=practice, name="Olga", roles=[Role.MANAGER, Role.SUPERVISOR], user=dora.user
    )
    if way == "invitation of who joined lately":
        other.joined_at = timezone.now() - timedelta(days=400)
        other.save()
    if way == "role":
        services.change_roles(member=other, roles=[Role.SUPERVISOR], by=mona)
    else:
        services.deactivate_member(member=other, by=mona)
    if way.startswith("invitation"):
        assert not services.reactivate_member(member=other, by=mona), "who works elsewhere decides"
        services.accept_invitation(link_id=other.links.get(used_at=None).id, password="")
        other.refresh_from_db()
        assert other.is_active
        services.change_roles(member=mona, roles=[Role.MANAGER, Role.THERAPIST], by=other)
    with pytest.raises(NotOneself):
        services.change_roles(member=mona, roles=[Role.MANAGER, Role.SUPERVISOR], by=mona)
    if way.startswith("invitation"):
        services.deactivate_member(member=other, by=mona)
    with time_machine.travel(timezone.now() + timedelta(days=7, minutes=1)):
        services.change_roles(member=mona, roles=[Role.MANAGER, Role.SUPERVISOR], by=mona)


@pytest.mark.parametrize("is_opened", [False, True])
def test_who_joins_a_place_that_nobody_had_taken_is_new_also_where_it_was_closed_before(
    is_opened: bool, mona: Membership, olga: Membership, practice: Practice
) -> None:
    place = MembershipFactory.create(practice=practice, name="From a file", user=None)
    services.deactivate_member(member=place, by=mona)
    with time_machine.travel(timezone.now() + timedelta(days=7 if is_opened else 1, minutes=1)):
        if is_opened:
            services.reactivate_member(member=place, by=mona)
        services.invite_to_place(member=place, email="nina@x.example", by=mona)
        assert services.is_waiting(place)
        services.accept_invitation(link_id=place.links.get().id, password=PASSWORD)
        place.refresh_from_db()
        assert settled_from(place) == TODAY() + timedelta(days=7)


def test_a_place_that_was_joined_is_offered_to_nobody_else_also_before_the_first_sign_in(
    manager: Browser, mona: Membership, practice: Practice, dora: Membership
) -> None:
    """Whoever works elsewhere first is noted there alone when they sign in."""
    assert dora.user
    place = services.add_member(
        practice=practice, name="Dora", roles=[Role.THERAPIST], email=dora.user.email, by=None
    )
    services.deactivate_member(member=place, by=mona)
    services.reactivate_member(member=place, by=mona)
    page = manager.post(reverse("invite_again", args=[place.id]), sent(), follow=True)
    assert "Not sent: Dora has joined already." in shown(page)
    place.refresh_from_db()
    assert place.user == dora.user
