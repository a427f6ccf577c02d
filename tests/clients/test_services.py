"""Codes of clients, and mailboxes of staff."""

import re

import pytest

from apps.accounts.models import Membership, Practice, Role
from apps.accounts.services import accept_invitation, invite_member
from apps.clients import services
from apps.clients.services import free_code, is_staff_address, reaches_staff
from apps.exchange.rights import erase_client
from tests.factories import PASSWORD, ClientFactory, MembershipFactory


def draws(monkeypatch: pytest.MonkeyPatch, *numbers: int) -> None:
    drawn = iter(numbers)
    monkeypatch.setattr(services, "randbelow", lambda below: next(drawn) % below)


def test_a_code_is_proposed_of_four_digits_that_are_drawn(practice: Practice) -> None:
    codes = {free_code(practice) for _ in range(20)}
    assert all(re.fullmatch(r"FE-[0-9]{4}", code) for code in codes)
    assert len(codes) > 10


def test_what_colleagues_add_changes_no_proposal(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    for code in ("FE-0150", "FE-7001", "FE-9999", "FE-X", "ZZ-4000", "P17"):
        draws(monkeypatch, 4000, 7)
        assert [free_code(practice), free_code(practice)] == ["FE-4000", "FE-0007"]
        ClientFactory.create(practice=practice, code=code)


def test_no_code_is_proposed_that_somebody_has_or_had(
    practice: Practice, mona: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    ClientFactory.create(practice=practice, code="FE-0150")
    ClientFactory.create(practice=practice, code="fe-0151")
    ClientFactory.create(code="FE-0153")
    erase_client(client=ClientFactory.create(practice=practice, code="FE-0152"), by=mona)
    draws(monkeypatch, 150, 151, 152, 153, 154)
    assert free_code(practice) == "FE-0153", "another practice's is free here"


def test_a_code_has_one_more_digit_where_half_of_them_are_given_away(
    practice: Practice, mona: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "FEWEST_DIGITS", 1)
    clients = [ClientFactory.create(practice=practice, code=f"FE-{number}") for number in range(4)]
    draws(monkeypatch, 14, 14)
    assert free_code(practice) == "FE-4"
    ClientFactory.create(practice=practice, code="FE-8")
    assert free_code(practice) == "FE-14"
    erase_client(client=clients[0], by=mona)
    draws(monkeypatch, 14)
    assert free_code(practice) == "FE-14", "a code of somebody erased is not given away again"


def test_no_made_up_code_spoils_a_proposal(practice: Practice) -> None:
    for code in ("FE-99999999999999999", "FE-²", "FE-999999", "FE-1000000"):
        ClientFactory.create(practice=practice, code=code)
    assert re.fullmatch(r"FE-[0-9]{4}", free_code(practice))


@pytest.mark.parametrize(("sender", "code"), [("Ö1", "XX-0101"), ("q", "QX-0101")])
def test_a_short_name_gives_a_code_as_well(
    practice: Practice, sender: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice.sender_name = sender
    draws(monkeypatch, 101)
    assert free_code(practice) == code


@pytest.mark.parametrize(
    ("address", "is_staff"),
    [
        ("mo@fernbank.example", True),
        (" MO@FERNBANK.EXAMPLE ", True),
        ("mo+a+b@fernbank.example", True),
        ("mo@\uff26ernbank.example", True),
        ("m.o@fernbank.example", False),
        ("mo@other.example", False),
    ],
)
def test_a_staff_mailbox_is_known_in_any_spelling(
    practice: Practice, address: str, is_staff: bool
) -> None:
    member = MembershipFactory.create(practice=practice)
    member.user.email = "mo@fernbank.example"  # type: ignore[union-attr]
    member.user.save()  # type: ignore[union-attr]
    assert is_staff_address(address, practice=practice) is is_staff


def test_inviting_a_clients_address_silences_nobody_until_somebody_has_joined_with_it(
    practice: Practice, mona: Membership
) -> None:
    client = ClientFactory.create(practice=practice)
    channel = client.channels.get()
    member = invite_member(
        practice=practice, name="Nobody", email=channel.address, roles=[Role.THERAPIST], by=mona
    )
    assert not reaches_staff(channel, practice)
    assert not is_staff_address(channel.address, practice=practice), (
        "nor is it told whom they invite"
    )
    accept_invitation(link_id=member.links.get().id, password=PASSWORD)
    assert reaches_staff(channel, practice)
