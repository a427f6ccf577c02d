"""Codes of clients, and mailboxes of staff."""

import pytest

from apps.accounts.models import Membership, Practice, Role
from apps.accounts.services import accept_invitation, invite_member
from apps.clients.services import is_staff_address, next_code, reaches_staff
from tests.factories import PASSWORD, ClientFactory, MembershipFactory


def test_the_next_code_follows_the_highest_of_the_practice(practice: Practice) -> None:
    assert next_code(practice) == "FE-0101"
    for code in ("FE-0150", "FE-0009", "FE-X", "ZZ-9999", "P17"):
        ClientFactory.create(practice=practice, code=code)
    ClientFactory.create(code="FE-0900")
    assert next_code(practice) == "FE-0151"


def test_no_made_up_code_spoils_the_next_one(practice: Practice) -> None:
    for code in ("FE-99999999999999999", "FE-²", "FE-999999", "FE-1000000"):
        ClientFactory.create(practice=practice, code=code)
    assert next_code(practice) == "FE-1000001"


@pytest.mark.parametrize(("sender", "code"), [("Ö1", "XX-0101"), ("q", "QX-0101")])
def test_a_short_name_gives_a_code_as_well(practice: Practice, sender: str, code: str) -> None:
    practice.sender_name = sender
    assert next_code(practice) == code


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
