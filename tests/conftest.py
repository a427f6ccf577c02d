"""People and doors that every test may use.

alice is a therapist, sam her supervisor, charlie another therapist, mona the manager, dora a
therapist in another practice; `as_alice` is a browser-like client signed in as alice.
"""

from collections.abc import Callable

import pytest
from django.test import Client as Browser

from apps.accounts.models import Membership, Practice, Role
from tests.factories import MembershipFactory, PracticeFactory, SupervisionFactory


@pytest.fixture
def practice(db: None) -> Practice:
    return PracticeFactory.create()


@pytest.fixture
def alice(practice: Practice) -> Membership:
    return MembershipFactory.create(practice=practice, name="Alice Moreau")


@pytest.fixture
def sam(practice: Practice, alice: Membership) -> Membership:
    sam = MembershipFactory.create(practice=practice, name="Sam Okafor", roles=[Role.SUPERVISOR])
    SupervisionFactory.create(supervisor=sam, supervisee=alice)
    return sam


@pytest.fixture
def charlie(practice: Practice) -> Membership:
    return MembershipFactory.create(practice=practice, name="Charlie Nowak")


@pytest.fixture
def mona(practice: Practice) -> Membership:
    return MembershipFactory.create(practice=practice, name="Mona Haddad", roles=[Role.MANAGER])


@pytest.fixture
def dora(db: None) -> Membership:
    return MembershipFactory.create(name="Dora Lind")


@pytest.fixture
def sign_in() -> Callable[[Membership], Browser]:
    def sign_in(member: Membership) -> Browser:
        browser = Browser()
        browser.force_login(member.user)
        return browser

    return sign_in


@pytest.fixture
def as_alice(alice: Membership, sign_in: Callable[[Membership], Browser]) -> Browser:
    return sign_in(alice)


@pytest.fixture
def as_sam(sam: Membership, sign_in: Callable[[Membership], Browser]) -> Browser:
    return sign_in(sam)


@pytest.fixture
def as_charlie(charlie: Membership, sign_in: Callable[[Membership], Browser]) -> Browser:
    return sign_in(charlie)


@pytest.fixture
def as_mona(mona: Membership, sign_in: Callable[[Membership], Browser]) -> Browser:
    return sign_in(mona)


@pytest.fixture
def as_dora(dora: Membership, sign_in: Callable[[Membership], Browser]) -> Browser:
    return sign_in(dora)
