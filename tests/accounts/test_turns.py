"""What a manager sends waits for its turn with the practice, and is asked again then."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from apps.accounts import links, sign_in_services
from apps.accounts.links import make_token
from apps.accounts.models import AccountLink, Membership, Practice, Role, Supervision, User
from apps.accounts.oneself import NotOneself
from apps.accounts.services import (
    accept_invitation,
    change_roles,
    deactivate_member,
    invite_member,
    reactivate_member,
)
from apps.accounts.turns import hold_practice
from apps.clients.models import Client
from apps.clients.services import wait_for_turn
from apps.core import tenancy
from apps.core.models import AuditEntry
from tests.accounts.conftest import enter, is_in, link, sent
from tests.at_once import elsewhere, sent_during, wait_for
from tests.factories import PASSWORD, ClientFactory, MembershipFactory, TreatmentFactory
from tests.therapy_sessions.test_add_client import form_data

SETTINGS = {
    "name": "Ghost Contact",
    "phone": "020 7946 0018",
    "email": "",
    "most_requests_in_30_days": "9",
    "supervisor_wait_hours": "336",
}


def decided(practice: Practice) -> list[Any]:
    """What the forms below would change."""
    return [
        *Practice.objects.order_by("id").values_list(
            "contact_name", "supervisor_wait_hours", "record_holder", "retention_years"
        ),
        *Membership.objects.filter(practice=practice).order_by("id").values_list("name", "roles"),
        *Supervision.objects.order_by("id").values_list("id", "ends_on"),
    ]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "way", ["roles", "keeping", "settings", "invitation", "supervision", "its end"]
)
@pytest.mark.parametrize("loses", ["place", "role", "session"])
def test_a_manager_who_lost_place_role_or_session_while_their_form_waited_decides_nothing(
    way: str,
    loses: str,
    alice: Membership,
    charlie: Membership,
    sam: Membership,
    mona: Membership,
    practice: Practice,
    proven: Callable[[Membership], Browser],
) -> None:
    second = MembershipFactory.create(practice=practice, name="Max", roles=[Role.MANAGER])
    browser = proven(mona)
    tomorrow = timezone.localdate() + timedelta(days=1)
    address, form = {
        "roles": (reverse("member", args=[charlie.id]), {"roles": ["therapist", "manager"]}),
        "keeping": (
            reverse("keeping"),
            {"retention_years": "8", "record_holder": str(charlie.id)},
        ),
        "settings": (reverse("practice"), SETTINGS),
        "invitation": (reverse("invite_member"), sent()),
        "supervision": (reverse("add_supervision"), link(charlie, sam)),
        "its end": (
            reverse("end_supervision", args=[Supervision.objects.get().id]),
            {"ends_on": tomorrow.isoformat()},
        ),
    }[way]
    before = []

    def dismiss() -> None:
        hold_practice(second)
        if loses == "place":
            deactivate_member(member=mona, by=second)
        elif loses == "session":
            sign_in_services.end_sessions(user=mona.user)
        else:
            change_roles(member=mona, roles=[Role.THERAPIST], by=second)
        before.extend(decided(practice))

    assert sent_during(dismiss, practice, partial(browser.post, address, form)).status_code == 403
    with tenancy.practice(practice.id):
        assert decided(practice) == before


@pytest.mark.django_db(transaction=True)
def test_who_holds_the_records_no_more_as_their_form_waits_lifts_no_hold(
    alice: Membership,
    charlie: Membership,
    mona: Membership,
    practice: Practice,
    proven: Callable[[Membership], Browser],
) -> None:
    client = TreatmentFactory.create(therapist=alice).client
    Client.objects.update(held_at=timezone.now())
    Practice.objects.filter(id=practice.id).update(record_holder=charlie)
    browser = proven(charlie)

    def dismiss() -> None:
        wait_for_turn(id=client.id)
        Practice.objects.filter(id=practice.id).update(record_holder=None)

    lift = partial(browser.post, reverse("holds"), {"code": client.code, "lift": "1"})
    assert sent_during(dismiss, practice, lift).status_code == 403
    with tenancy.practice(practice.id):
        assert Client.objects.get().held_at


@pytest.mark.django_db(transaction=True)
def test_whose_place_is_closed_as_they_wait_for_a_code_adds_no_client(
    as_alice: Browser, alice: Membership, mona: Membership, practice: Practice
) -> None:
    """Somebody else was about to take it, and does not."""
    add = partial(as_alice.post, reverse("add_client"), form_data(code="FE-0777"))
    close = partial(deactivate_member, member=alice, by=mona)
    with ThreadPoolExecutor(2) as pool:
        with suppress(ConnectionAbortedError), tenancy.practice(practice.id):
            ClientFactory.create(practice=practice, code="FE-0777")
            answer = pool.submit(elsewhere, add, practice_id=None)
            wait_for(answer)
            pool.submit(elsewhere, close, practice_id=practice.id).result(timeout=30)
            raise ConnectionAbortedError
        assert answer.result(timeout=30).status_code == 403
    with tenancy.practice(practice.id):
        assert not Client.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_invitations_accepted_at_once_only_who_chose_the_password_is_signed_in(
    mona: Membership, practice: Practice, dora: Membership
) -> None:
    """They went to one mailbox, which two may read."""
    tokens = []
    for manager in (mona, dora):
        with tenancy.practice(manager.practice_id):
            member = invite_member(practice=manager.practice, **sent(), by=manager)
            tokens.append(make_token(AccountLink.objects.get(membership=member)))
    browsers = Browser(), Browser()
    chosen = "the first one's own passphrase", "the second one's own passphrase"

    def join(number: int) -> Any:
        form = dict.fromkeys(("password", "again"), chosen[number])
        return browsers[number].post(f"/link/{tokens[number]}/", form)

    def join_first() -> None:
        assert join(0).headers["Location"] == "/"

    answer = sent_during(join_first, dora.practice, partial(join, 1))
    assert answer.headers["Location"] == reverse("login")
    assert (is_in(browsers[0]), is_in(browsers[1])) == (True, False)
    assert User.objects.get(email=sent()["email"]).check_password(chosen[0])


@pytest.fixture
def invited(mona: Membership, practice: Practice) -> AccountLink:
    member = invite_member(practice=practice, **sent(), by=mona)
    return AccountLink.objects.get(membership=member)


def is_open(invitation: AccountLink) -> bool:
    return Membership.objects.get(id=invitation.membership_id).is_active


@pytest.mark.django_db(transaction=True)
def test_a_place_that_is_closed_as_its_person_joins_is_closed(
    invited: AccountLink, practice: Practice, manager: Browser
) -> None:
    close = reverse("deactivate_member", args=[invited.membership_id])
    join = partial(accept_invitation, link_id=invited.id, password=PASSWORD)
    assert sent_during(join, practice, partial(manager.post, close)).status_code == 302
    assert not is_open(invited)
    assert len(AuditEntry.objects.filter(action="join practice")) == 1


@pytest.mark.django_db(transaction=True)
def test_nobody_joins_a_place_that_is_closed_as_they_do(
    invited: AccountLink, practice: Practice, mona: Membership
) -> None:
    close = partial(deactivate_member, member=invited.membership, by=mona)
    form = {"password": PASSWORD, "again": PASSWORD}
    join = partial(Browser().post, f"/link/{make_token(invited)}/", form)
    assert sent_during(close, practice, join).status_code == 410
    assert not is_open(invited)


@pytest.mark.django_db(transaction=True)
def test_nobody_is_made_supervisor_as_their_place_is_closed(
    alice: Membership, sam: Membership, charlie: Membership, mona: Membership, manager: Browser
) -> None:
    close = partial(deactivate_member, member=sam, by=mona)
    add = partial(manager.post, reverse("add_supervision"), link(charlie, sam))
    assert sent_during(close, sam.practice, add).status_code == 200
    assert not Supervision.objects.filter(supervisee=charlie).exists()


@pytest.mark.django_db(transaction=True)
def test_a_last_day_that_is_set_as_the_role_is_taken_away_leaves_it_ended_at_once(
    sam: Membership, mona: Membership, practice: Practice, manager: Browser
) -> None:
    def take_role() -> None:
        hold_practice(mona)
        change_roles(member=sam, roles=[Role.THERAPIST], by=mona)

    address = reverse("end_supervision", args=[Supervision.objects.get().id])
    form = {"ends_on": timezone.localdate().isoformat()}
    assert sent_during(take_role, practice, partial(manager.post, address, form)).status_code == 302
    assert Supervision.objects.get().ended_at


@pytest.mark.django_db(transaction=True)
def test_who_is_dismissed_does_not_open_their_place_again_at_that_moment(
    mona: Membership, practice: Practice, manager: Browser
) -> None:
    second = MembershipFactory.create(practice=practice, name="Max", roles=[Role.MANAGER])
    dismiss = partial(deactivate_member, member=mona, by=second)
    address = reverse("reactivate_member", args=[mona.id])
    assert sent_during(dismiss, practice, partial(manager.post, address)).status_code == 403
    assert not Membership.objects.get(id=mona.id).is_active


def test_nobody_opens_their_own_place(mona: Membership, manager: Browser) -> None:
    page = manager.post(reverse("reactivate_member", args=[mona.id]), follow=True)
    assert "Nobody opens their own place" in page.content.decode()
    Membership.objects.filter(id=mona.id).update(is_active=False)
    mona.refresh_from_db()
    with pytest.raises(NotOneself):
        reactivate_member(member=mona, by=mona)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("closes", [True, False])
def test_who_signs_in_as_another_manager_decides_about_them_ends_in_no_error(
    closes: bool, mona: Membership, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither waits for the other while the other waits for them."""
    second = MembershipFactory.create(practice=practice, name="Max", roles=[Role.MANAGER])
    decide = partial(change_roles, roles=[Role.THERAPIST])
    decide = partial(deactivate_member if closes else decide, member=second, by=mona)
    note_day = sign_in_services.note_day
    with ThreadPoolExecutor(1) as pool:

        def note_day_meanwhile(*, member: Membership) -> None:
            other.append(pool.submit(elsewhere, decide, practice_id=practice.id))
            wait_for(other[0])
            note_day(member=member)

        other: list[Future[Any]] = []
        monkeypatch.setattr(sign_in_services, "note_day", note_day_meanwhile)
        assert enter(Browser(), second).status_code == 302
        other[0].result(timeout=30)
    second.refresh_from_db()
    assert (second.is_active, second.has_role(Role.MANAGER)) == (not closes, closes)


@pytest.mark.django_db(transaction=True)
def test_who_gets_a_link_for_a_new_password_as_their_place_is_closed_cannot_use_it(
    mona: Membership, practice: Practice
) -> None:
    second = MembershipFactory.create(practice=practice, name="Max", roles=[Role.MANAGER])
    purpose = AccountLink.Purpose.PASSWORD_RESET
    links.mail(second, purpose, timedelta(hours=1))
    close = partial(deactivate_member, member=second, by=mona)
    with ThreadPoolExecutor(1) as pool:
        with tenancy.practice(practice.id):
            links.withdraw(second, purpose)
            other = pool.submit(elsewhere, close, practice_id=practice.id)
            wait_for(other)
            links.mail(second, purpose, timedelta(hours=1))
        other.result(timeout=30)
    assert not AccountLink.objects.open(at=timezone.now()).exists()
