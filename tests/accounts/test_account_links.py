"""Mailed links: invitations and new passwords. They work once, for a while, and only as made."""

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from unittest.mock import Mock

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.accounts import services
from apps.accounts.links import make_token, read_token
from apps.accounts.models import AccountLink, Membership, Practice, Role, User
from apps.accounts.tasks import mail_password_reset
from apps.core import outbox
from apps.core.models import AuditEntry, OutboxMessage
from tests.accounts.conftest import enter, goes_on, is_in, shown
from tests.at_once import at_once, sent_during
from tests.conftest import work_in
from tests.factories import PASSWORD

NEW = {
    "password": "four quiet harbour lanterns",  # pragma: allowlist secret
    "again": "four quiet harbour lanterns",
}  # pragma: allowlist secret
NEUTRAL = {"therap", "counsel", "session", "mental", "psych", "clinic", "patient", "client"}


@pytest.fixture
def nina(practice: Practice, mona: Membership) -> Membership:
    """Invited, and new to Rapport."""
    return services.invite_member(
        practice=practice,
        name="Nina Berg",
        email="Nina@Fernbank.example",
        roles=[Role.THERAPIST],
        by=mona,
    )


def address_of(member: Membership) -> str:
    return reverse("account_link", args=[make_token(member.links.latest("created_at"))])


def test_an_invitation_goes_out_by_the_outbox_in_neutral_words(nina: Membership) -> None:
    assert outbox.deliver_due() == 1
    [message] = mail.outbox
    assert message.to == ["nina@fernbank.example"]
    assert message.from_email.startswith("Fernbank <")
    said = f"{message.subject} {message.body}".lower()
    assert not [word for word in NEUTRAL if word in said]
    assert "nina berg" not in said
    token = message.body.split("/link/")[1].split("/")[0]
    assert read_token(token) == (nina.practice_id, nina.links.get().id)


def test_a_place_that_was_taken_is_offered_to_nobody_else(
    nina: Membership, mona: Membership
) -> None:
    nina = services.accept_invitation(link_id=nina.links.get().id, password=NEW["password"])
    services.deactivate_member(member=nina, by=mona)
    assert not services.may_be_invited(nina), "also before they ever signed in here"


def test_outbox_and_links_hold_neither_address_nor_token(nina: Membership) -> None:
    token = make_token(nina.links.get())
    for model in (OutboxMessage, AccountLink):
        for row in model._default_manager.values():
            assert "fernbank.example" not in str(row)
            assert token not in str(row)


def test_somebody_invited_sets_a_password_and_then_a_second_step(
    client: Browser, nina: Membership, second_step_required: None
) -> None:
    page = shown(client.get(address_of(nina)))
    assert "nina@fernbank.example" in page
    response = client.post(address_of(nina), NEW)
    assert response.status_code == 302
    assert is_in(client)
    nina.refresh_from_db()
    assert nina.is_active
    assert client.get("/caseload/")["Location"] == "/account/"
    assert "Set up an app" in shown(client.get("/account/app/add/")), "no password asked again"
    assert AuditEntry.objects.filter(action="join practice", object_id=nina.id).exists()


def test_looking_at_a_link_changes_nothing(client: Browser, nina: Membership) -> None:
    for method in (client.get, client.head, client.options):
        method(address_of(nina))
    assert nina.links.get().used_at is None
    assert not User.objects.get(email="nina@fernbank.example").has_usable_password()


@pytest.mark.parametrize(
    "sent",
    [
        {"password": "short", "again": "short"},  # pragma: allowlist secret
        {"password": "password12345678", "again": "another12345678"},  # pragma: allowlist secret
        {"password": "fourteen chars", "again": "fourteen chars"},  # pragma: allowlist secret
        {},
    ],
)
def test_a_password_against_the_rules_is_refused(
    client: Browser, nina: Membership, sent: dict[str, str]
) -> None:
    assert client.post(address_of(nina), sent).status_code == 200
    assert not is_in(client)
    assert nina.links.get().used_at is None


def test_a_link_works_once(client: Browser, nina: Membership) -> None:
    address = address_of(nina)
    client.post(address, NEW)
    second = Browser().post(address, {"password": "x" * 20, "again": "x" * 20})
    assert second.status_code == 410
    assert "This link is closed" in shown(second)
    assert User.objects.get(email="nina@fernbank.example").check_password(NEW["password"])


def test_an_invitation_runs_out_after_seven_days(client: Browser, nina: Membership) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        clock.shift(timedelta(days=7, seconds=1))
        assert client.post(address_of(nina), NEW).status_code == 410
    nina.refresh_from_db()
    assert not nina.is_active


@pytest.mark.parametrize("place", [0, 20, 42, 43, 44, 60, -1])
def test_a_link_that_was_tampered_with_is_no_link(
    client: Browser, nina: Membership, place: int
) -> None:
    token = make_token(nina.links.get())
    swapped = "A" if token[place] != "A" else "B"
    changed = token[:place] + swapped + (token[place + 1 :] if place != -1 else "")
    response = client.post(reverse("account_link", args=[changed]), NEW)
    assert response.status_code == 404
    assert not is_in(client)


def test_a_fresh_invitation_makes_the_one_before_void(
    client: Browser, nina: Membership, mona: Membership
) -> None:
    before = address_of(nina)
    services.invite_to_place(member=nina, email="nina@fernbank.example", by=mona)
    assert client.get(before).status_code == 410
    assert client.get(address_of(nina)).status_code == 200
    assert outbox.deliver_due() == 1, "the mail before is withdrawn"


def test_a_place_that_is_taken_at_that_moment_is_not_offered_to_another(
    nina: Membership, mona: Membership
) -> None:
    """Whoever invites again has the place from before somebody joined in hand."""
    services.accept_invitation(link_id=nina.links.get().id, password=NEW["password"])
    with pytest.raises(services.PlaceTaken):
        services.invite_to_place(member=nina, email="second@fernbank.example", by=mona)
    nina.refresh_from_db()
    assert nina.is_active
    assert nina.user
    assert nina.user.email == "nina@fernbank.example"


def test_a_withdrawn_invitation_is_void(
    client: Browser, nina: Membership, mona: Membership
) -> None:
    services.deactivate_member(member=nina, by=mona)
    assert client.post(address_of(nina), NEW).status_code == 410
    assert outbox.deliver_due() == 0


def test_an_invitation_never_touches_the_password_of_an_account(
    client: Browser, practice: Practice, mona: Membership, dora: Membership
) -> None:
    assert dora.user
    place = services.invite_member(
        practice=practice, name="Dora", email=dora.user.email, roles=[Role.THERAPIST], by=mona
    )
    assert "You have an account already" in shown(client.get(address_of(place)))
    response = client.post(address_of(place), NEW)
    assert response["Location"] == "/sign-in/"
    assert not is_in(client), "whoever holds the link still has to sign in"
    dora.user.refresh_from_db()
    assert dora.user.check_password(PASSWORD)
    place.refresh_from_db()
    assert place.is_active


def test_a_place_that_was_offered_opens_nothing_before_it_is_taken(
    client: Browser, practice: Practice, mona: Membership, dora: Membership
) -> None:
    assert dora.user
    services.invite_member(
        practice=practice, name="Dora", email=dora.user.email, roles=[Role.MANAGER], by=mona
    )
    enter(client, dora)
    assert client.get(reverse("people")).status_code == 403
    sent = {"practice": str(practice.id)}
    assert client.post("/switch-practice/", sent).status_code == 404


def test_nobody_is_invited_twice(practice: Practice, nina: Membership, mona: Membership) -> None:
    with pytest.raises(services.AlreadyMember):
        services.invite_member(
            practice=practice,
            name="Nina again",
            email="nina@fernbank.example",
            roles=[Role.THERAPIST],
            by=mona,
        )


@pytest.mark.django_db(transaction=True)
def test_of_two_invitations_of_one_address_at_once_one_is_sent(
    manager: Browser, mona: Membership
) -> None:
    nina = {"name": "Nina Berg", "email": "nina@fernbank.example", "roles": ["therapist"]}
    send = partial(manager.post, reverse("invite_member"), nina)
    assert sorted(each.status_code for each in at_once(send, send, send)) == [200, 200, 302]
    assert AccountLink.objects.filter(membership__name="Nina Berg").count() == 1


# ── New passwords ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def sent_tasks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids that tasks were sent with; no worker takes them."""
    ids: list[str] = []

    def send(args: tuple[str], *, retry: bool) -> None:
        ids.extend(args)

    monkeypatch.setattr(mail_password_reset, "apply_async", send)
    return ids


def ask(browser: Browser, email: str, sent_tasks: list[str]) -> str:
    """Ask for a new password, and let the worker do its part."""
    page = browser.post("/sign-in/forgotten/", {"email": email})
    mail_password_reset(sent_tasks[-1])
    return shown(page)


def test_answer_and_work_are_the_same_whether_somebody_works_here_or_not(
    client: Browser, alice: Membership, sent_tasks: list[str]
) -> None:
    pages, statements = set(), set()
    for email in (alice.user.email, "nobody@x.example"):  # type: ignore[union-attr]
        with CaptureQueriesContext(connection) as asked:
            pages.add(shown(client.post("/sign-in/forgotten/", {"email": email})))
        values = r"'[^']*'|_x\d+"  # what was asked for; numbers of savepoints
        statements.add(tuple(re.sub(values, "?", each["sql"]) for each in asked))
    [page], [_] = pages, statements
    assert "a mail with a link is on its way" in page
    assert len(sent_tasks) == len(set(sent_tasks)) == 2
    assert not AccountLink.objects.exists(), "what differs is the worker's"
    for user_id in sent_tasks:
        mail_password_reset(user_id)
    assert AccountLink.objects.get().membership == alice


@pytest.mark.parametrize("owner_asked", [True, False])
def test_links_for_a_new_password_are_few_and_nobody_reads_who_asked_besides(
    client: Browser, alice: Membership, sent_tasks: list[str], owner_asked: bool
) -> None:
    """Not by an answer, nor by the work it takes: the sixth is about nobody."""
    assert alice.user
    sent = {"email": alice.user.email}
    if owner_asked:
        Browser().post("/sign-in/forgotten/", sent)
    pages = {shown(client.post("/sign-in/forgotten/", sent)) for _ in range(6)}
    assert len(pages) == 1
    assert len(sent_tasks) == 6 + owner_asked
    assert sent_tasks.count(str(alice.user.id)) == 5


def test_while_the_broker_is_away_nobody_is_told_that_a_mail_comes(
    client: Browser, alice: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = mail_password_reset.OperationalError
    monkeypatch.setattr(mail_password_reset, "apply_async", Mock(side_effect=away))
    page = client.post("/sign-in/forgotten/", {"email": alice.user.email})  # type: ignore[union-attr]
    assert page.status_code == 503


def test_a_link_for_a_new_password_works_for_an_hour_and_once(
    client: Browser, alice: Membership, sent_tasks: list[str]
) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        ask(client, alice.user.email, sent_tasks)  # type: ignore[union-attr]
        assert outbox.deliver_due() == 1
        said = f"{mail.outbox[0].subject} {mail.outbox[0].body}".lower()
        assert not [word for word in NEUTRAL if word in said]
        clock.shift(timedelta(minutes=61))
        assert client.post(address_of(alice), NEW).status_code == 410
        ask(client, alice.user.email, sent_tasks)  # type: ignore[union-attr]
        assert client.post(address_of(alice), NEW)["Location"] == "/sign-in/"
        assert not is_in(client)
        assert client.post(address_of(alice), NEW).status_code == 410
    enter(client, alice, NEW["password"])
    assert is_in(client)
    assert AuditEntry.objects.filter(action="set a new password", object_id=alice.id).exists()


def test_asking_again_makes_the_link_before_void(
    client: Browser, alice: Membership, sent_tasks: list[str]
) -> None:
    ask(client, alice.user.email, sent_tasks)  # type: ignore[union-attr]
    before = address_of(alice)
    ask(client, alice.user.email, sent_tasks)  # type: ignore[union-attr]
    assert client.get(before).status_code == 410


@pytest.mark.django_db(transaction=True)
def test_a_link_that_waits_for_its_owners_change_of_password_is_closed(
    alice: Membership, proven: Callable[[Membership], Browser]
) -> None:
    mail_password_reset(str(alice.user_id))
    owner, new = proven(alice), "the owner's quite new words"
    form = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    change = partial(owner.post, "/account/password/", form)
    send = partial(Browser().post, address_of(alice), NEW)
    assert sent_during(change, alice.practice, send).status_code == 410
    assert User.objects.get(id=alice.user_id).check_password(new)
    assert goes_on(owner)


def test_somebody_whose_place_is_closed_gets_no_link(
    client: Browser, alice: Membership, sent_tasks: list[str]
) -> None:
    alice.is_active = False
    alice.save()
    ask(client, alice.user.email, sent_tasks)  # type: ignore[union-attr]
    assert not AccountLink.objects.exists()


def test_a_link_of_one_practice_is_no_key_to_another(
    client: Browser, nina: Membership, dora: Membership
) -> None:
    link = nina.links.get()
    link.practice_id = dora.practice_id
    assert client.post(reverse("account_link", args=[make_token(link)]), NEW).status_code == 410
    work_in(nina.practice_id)
    nina.refresh_from_db()
    assert not nina.is_active
