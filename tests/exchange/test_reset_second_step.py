"""`manage.py reset_second_step`: phone, key and codes are lost."""

from collections.abc import Callable
from io import StringIO

import pytest
from allauth.mfa.models import Authenticator
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client as Browser
from pytest_django import Settings

from apps.accounts.models import Membership
from apps.core.models import AuditEntry
from apps.core.tasks import deliver_due_messages
from tests.accounts.conftest import enrol, enter, is_in


def reset(member: Membership, by: Membership | None) -> str:
    printed = StringIO()
    assert member.user
    vouching = [f"--by={by.name}"] if by else []
    where = f"--practice={member.practice_id}"
    call_command("reset_second_step", member.user.email, where, *vouching, stdout=printed)
    return printed.getvalue()


def test_the_second_step_is_gone_sessions_end_and_the_person_is_told(
    alice: Membership,
    mona: Membership,
    sign_in: Callable[[Membership], Browser],
    settings: Settings,
) -> None:
    settings.MFA_REQUIRED = True
    enrol(alice)
    browser = sign_in(alice)
    assert browser.get("/caseload/").status_code == 200
    assert "sets up a new second step" in reset(alice, by=mona)
    assert not Authenticator.objects.filter(user=alice.user).exists()
    assert browser.get("/caseload/")["Location"].startswith("/sign-in/")
    entry = AuditEntry.objects.get(action="reset second step")
    assert (entry.actor_id, entry.object_id) == (mona.id, alice.id)
    deliver_due_messages()
    (message,) = mail.outbox
    assert alice.user
    assert message.to == [alice.user.email]
    assert "second step for signing in was removed" in str(message.body)

    anew = Browser()
    enter(anew, alice)
    assert is_in(anew)
    assert anew.get("/caseload/")["Location"] == "/account/", "nothing before a new second step"


def test_each_time_it_is_taken_away_the_person_is_told(alice: Membership, mona: Membership) -> None:
    for _ in range(2):
        enrol(alice)
        reset(alice, by=mona)
    deliver_due_messages()
    assert len(mail.outbox) == 2


def test_nobody_vouches_for_themselves(alice: Membership) -> None:
    enrol(alice)
    with pytest.raises(CommandError, match="Nobody vouches for themselves"):
        reset(alice, by=alice)
    assert Authenticator.objects.filter(user=alice.user).exists()


def test_who_has_none_loses_none(alice: Membership, mona: Membership) -> None:
    with pytest.raises(CommandError, match="has no second step"):
        reset(alice, by=mona)
    assert not AuditEntry.objects.filter(action="reset second step").exists()


def test_in_a_practice_of_one_nobody_else_can_vouch(alice: Membership) -> None:
    enrol(alice)
    reset(alice, by=None)
    assert AuditEntry.objects.get(action="reset second step").actor_id is None


def test_where_there_are_others_one_of_them_vouches(alice: Membership, mona: Membership) -> None:
    enrol(alice)
    with pytest.raises(CommandError, match="Say with --by who made sure"):
        reset(alice, by=None)
    assert Authenticator.objects.filter(user=alice.user).exists()
