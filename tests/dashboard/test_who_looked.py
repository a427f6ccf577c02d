"""Who looked at a client: the treating therapist reads it, and that look is on it too."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import Membership, Role, Supervision
from apps.accounts.services import invite_member
from apps.clients.models import Treatment
from apps.core import audit, sealer, tracing
from apps.dashboard.selectors import words
from apps.endings.services import hand_over
from apps.supervision.models import LOOKS_BACK
from tests.conftest import signed_in
from tests.factories import TreatmentFactory

Words = Callable[[Any], str]


@pytest.fixture
def treatment(alice: Membership) -> Treatment:
    return TreatmentFactory.create(therapist=alice, falling=True)


def url(treatment: Treatment) -> str:
    return f"/clients/{treatment.client_id}/who-looked/"


def rows(response: Any) -> list[tuple[str, str, str]]:
    return [(look.who, look.action, look.because) for look in response.context["page"].looks]


def look(member: Membership, treatment: Treatment) -> None:
    audit.read("view client", client_ids=[treatment.client_id], by=member)


def test_each_look_says_who_what_and_why_they_could(
    as_alice: Browser,
    alice: Membership,
    sam: Membership,
    charlie: Membership,
    mona: Membership,
    treatment: Treatment,
) -> None:
    for member in (alice, sam, charlie, mona):
        look(member, treatment)
    tracing.begin(route="export_records")
    look(mona, treatment)
    tracing.begin(route="feedback_form")
    audit.record("record rating", treatment, client_id=treatment.client_id, by=None)
    tracing.begin(route="apps.feedback.tasks.expire_feedback_requests")
    audit.record("close request", treatment, client_id=treatment.client_id, by=None)
    found = rows(as_alice.get(url(treatment)))
    assert found[0] == ("Rapport", "Close request", "")
    assert found[1] == ("Client", "Record rating", "")
    assert found[2] == ("Mona Haddad", "View client", "Record holder")
    assert found[3] == ("Mona Haddad", "View client", "Practice manager: by code only")
    assert found[4] == ("Charlie Nowak", "View client", "No relationship on record that day")
    assert found[5] == ("Sam Okafor", "View client", "Supervision")
    assert found[6] == ("Alice Moreau", "View client", "Treating therapist")
    assert rows(as_alice.get(url(treatment)))[0] == (
        "Alice Moreau", "View who looked", "Treating therapist",
    )  # fmt: skip
    sam.supervisions_given.update(created_at=timezone.now() + timedelta(days=1))
    found = rows(as_alice.get(url(treatment)))
    assert found[7][2] == "No relationship on record that day", "the link was entered later"


def test_a_look_of_before_the_treatment_is_nobodys_who_treats_the_client_since(
    alice: Membership, charlie: Membership, mona: Membership, as_charlie: Browser,
    treatment: Treatment
) -> None:  # fmt: skip
    """Whoever wrote a first treatment down ahead treated the client already."""
    days = timezone.now() - timedelta(days=10)
    treatment.starts_on = timezone.localdate() - timedelta(days=2)
    treatment.save()
    with time_machine.travel(days):
        for member in (alice, charlie):
            look(member, treatment)
    hand_over([treatment], to=charlie, by=mona)
    assert rows(as_charlie.get(url(treatment)))[-2:] == [
        ("Charlie Nowak", "View client", "No relationship on record that day"),
        ("Alice Moreau", "View client", "Treating therapist"),
    ]


def test_who_had_a_client_by_a_hand_over_that_was_taken_back_had_a_relationship(
    as_alice: Browser, alice: Membership, charlie: Membership, mona: Membership,
    treatment: Treatment,
) -> None:  # fmt: skip
    """On that day; a look of before, or theirs of long after, has none."""
    with time_machine.travel(timezone.now() - timedelta(days=2)):
        look(charlie, treatment)
    hand_over([treatment], to=charlie, by=mona)
    look(charlie, treatment)
    hand_over(list(charlie.treatments.all()), to=alice, by=mona)
    assert rows(as_alice.get(url(treatment))) == [
        ("Mona Haddad", "Take hand-over back", "Practice manager: by code only"),
        ("Mona Haddad", "Hand over client", "Practice manager: by code only"),
        ("Charlie Nowak", "View client", "Treating therapist"),
        ("Mona Haddad", "Hand over client", "Practice manager: by code only"),
        ("Charlie Nowak", "View client", "No relationship on record that day"),
    ]


def test_no_reason_tells_of_the_supervision_of_who_treated_before(
    alice: Membership, sam: Membership, charlie: Membership, mona: Membership, treatment: Treatment
) -> None:
    """Nor once the treatment has ended, of which the agenda of their meeting goes on to speak."""
    look(sam, treatment)
    hand_over([treatment], to=charlie, by=mona)
    look(sam, treatment)
    with time_machine.travel(timezone.now() + timedelta(days=3)):
        look(alice, treatment)
        look(sam, treatment)
        as_charlie = signed_in(charlie)
        found = rows(as_charlie.get(url(treatment)))
        assert found[:2] == [
            ("Sam Okafor", "View client", "An earlier treatment"),
            ("Alice Moreau", "View client", "An earlier treatment"),
        ]
        theirs = [because for who, _action, because in found if who == "Sam Okafor"]
        assert theirs == ["An earlier treatment"] * 3
        Supervision.objects.create(
            practice=sam.practice, supervisor=sam, supervisee=charlie,
            starts_on=timezone.localdate(),
        )  # fmt: skip
        look(sam, treatment)
        assert rows(as_charlie.get(url(treatment)))[0][2] == "Supervision"


def test_who_treated_the_client_long_ago_opens_what_is_about_that_time(
    alice: Membership, sam: Membership, charlie: Membership, mona: Membership, treatment: Treatment
) -> None:
    """As *Ended treatments* does; who supervised them then, as long as an agenda goes back."""
    hand_over([treatment], to=charlie, by=mona)
    with time_machine.travel(timezone.now() + LOOKS_BACK + timedelta(days=3)):
        look(sam, treatment)
        look(alice, treatment)
        assert rows(signed_in(charlie).get(url(treatment)))[:2] == [
            ("Alice Moreau", "View client", "An earlier treatment"),
            ("Sam Okafor", "View client", "No relationship on record that day"),
        ]


def test_the_list_holds_this_client_only_and_can_be_narrowed(
    as_alice: Browser, alice: Membership, charlie: Membership, treatment: Treatment
) -> None:
    other = TreatmentFactory.create(therapist=alice)
    look(alice, other)
    look(alice, treatment)
    audit.record("change something", treatment, client_id=treatment.client_id, by=charlie)
    page = url(treatment)
    assert len(rows(as_alice.get(f"{page}?what=changed&who={charlie.id}"))) == 1
    assert rows(as_alice.get(f"{page}?what=read"))[-1][1] == "View client"
    with time_machine.travel(timezone.now() + timedelta(days=40)):
        look(charlie, treatment)
    found = rows(as_alice.get(f"{page}?who={charlie.id}&when=all"))
    assert [action for _who, action, _why in found] == ["View client", "Change something"]


def test_queries_do_not_grow_with_the_record(
    as_alice: Browser,
    alice: Membership,
    treatment: Treatment,
    django_assert_max_num_queries: Any,
) -> None:
    for _ in range(30):
        look(alice, treatment)
    with django_assert_max_num_queries(24):
        as_alice.get(url(treatment))


@pytest.mark.parametrize(
    ("who", "status"), [("as_sam", 403), ("as_charlie", 404), ("as_mona", 403), ("as_dora", 404)]
)
def test_it_is_for_the_treating_therapist_alone(
    request: pytest.FixtureRequest, who: str, status: int, sam: Membership, treatment: Treatment
) -> None:
    assert request.getfixturevalue(who).get(url(treatment)).status_code == status


def test_it_only_reads(as_alice: Browser, treatment: Treatment) -> None:
    assert as_alice.post(url(treatment)).status_code == 405


def test_nobody_is_named_who_has_not_looked(
    as_alice: Browser, treatment: Treatment, mona: Membership
) -> None:
    """Whom the practice has invited, or who has left, is no business of this page."""
    invite_member(
        practice=mona.practice, name="Zoe Newcomer", email="zoe@mail.example",
        roles=[Role.THERAPIST], by=mona,
    )  # fmt: skip
    address = f"/clients/{treatment.client_id}/who-looked/"
    as_alice.get(address)
    page = as_alice.get(address).content.decode()
    assert "Alice Moreau" in page
    assert "Zoe Newcomer" not in page


def test_no_query_looks_the_clients_entries_up_for_each_member_or_entry_of_the_practice(
    as_alice: Browser, treatment: Treatment
) -> None:
    """As one with the members it took a minute, where a practice had 25,000 entries."""
    with CaptureQueriesContext(connection) as queries:
        as_alice.get(url(treatment))
    asked = [each["sql"] for each in queries if "audit_entries_of" in each["sql"]]
    assert asked
    assert not [sql for sql in asked if "accounts_membership" in sql]


def test_the_newest_seal_is_that_of_the_clients_own_entries(
    as_alice: Browser, alice: Membership, charlie: Membership, treatment: Treatment
) -> None:
    """The practice's would tell when colleagues work with clients of theirs."""
    his = TreatmentFactory.create(therapist=charlie)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        look(alice, treatment)
        sealer.seal(alice.practice_id)
        said = words.moment(timezone.now(), timezone.localdate())
        clock.shift(timedelta(minutes=7))
        look(charlie, his)
        sealer.seal(alice.practice_id)
        assert as_alice.get(url(treatment)).context["page"].sealed == said
