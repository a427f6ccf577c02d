"""How long records are kept, who is named to hold them, and what is proposed then."""

import re
from datetime import date, timedelta

import pytest
import time_machine
from django.test import Client as Browser
from django.utils import timezone

from apps.accounts.models import Membership, Practice
from apps.clients.models import Client, Treatment
from apps.core.models import AuditEntry
from apps.endings.services import close_treatment
from apps.exchange import rights, two_people
from apps.exchange.retention import years_before
from apps.therapy_sessions.services import save_process_note
from tests.exchange.conftest import NOON, fresh, propose
from tests.factories import TherapySessionFactory, TreatmentFactory


def test_erasure_is_proposed_eight_years_after_the_end_and_only_once(ended: Treatment) -> None:
    assert propose(date(2034, 6, 10)) == []
    [asked] = propose(date(2034, 6, 11))
    assert asked.client == ended.client
    assert asked.requested_by is None
    assert propose(date(2034, 6, 12)) == [asked]
    assert Client.objects.get().erased_at is None


def test_of_many_whose_time_is_over_at_once_a_few_are_proposed_in_each_round(
    ended: Treatment, alice: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(two_people, "MOST_IN_A_ROUND", 2)
    days = {"starts_on": ended.starts_on, "ends_on": ended.ends_on}
    TreatmentFactory.create_batch(4, therapist=alice, **days)
    rounds = [len(propose(date(2034, 6, 11))) for _ in range(4)]
    assert rounds == [2, 4, 5, 5]


def test_what_was_planned_for_after_the_end_and_written_about_delays_no_proposal(
    ended: Treatment, alice: Membership
) -> None:
    with time_machine.travel(NOON, tick=False):
        Treatment.objects.update(ends_on=None)
        planned = TherapySessionFactory.create(
            treatment=ended, attendance="", starts_at=NOON + timedelta(days=1000)
        )
        save_process_note(therapy_session=planned, text="x", by=alice)
        close_treatment(treatment=ended, how="agreed", review="Well.", by=alice)
    assert ended.therapy_sessions.planned().get() == planned
    assert len(propose(date(2034, 6, 11))) == 1


def test_a_practice_may_keep_longer_or_without_a_limit(ended: Treatment) -> None:
    Practice.objects.update(retention_years=20)
    assert propose(date(2046, 6, 10)) == []
    Practice.objects.update(retention_years=None)
    assert propose(date(2099, 6, 10)) == []
    Practice.objects.update(retention_years=20)
    assert len(propose(date(2046, 6, 11))) == 1


@pytest.mark.parametrize("why", ["held", "in treatment", "treated again"])
def test_who_is_held_or_still_treated_is_not_proposed(
    ended: Treatment, alice: Membership, why: str
) -> None:
    if why == "held":
        rights.set_hold(client=ended.client, held=True, by=alice)
    elif why == "in treatment":
        Treatment.objects.update(ends_on=None)
    else:
        TreatmentFactory.create(client=ended.client, therapist=alice, starts_on=date(2033, 1, 1))
    assert propose(date(2036, 1, 1)) == []


def test_a_proposal_holds_as_long_as_the_time_of_keeping_is_over(
    ended: Treatment, practice: Practice, alice: Membership, mona: Membership, as_mona: Browser
) -> None:
    """Years shortened for an hour, or a treatment begun again, erase nobody later."""
    Practice.objects.update(retention_years=1)
    [asked] = propose(date(2028, 1, 1))
    Practice.objects.update(retention_years=8)
    for member in (alice, mona):
        member.practice.refresh_from_db()
    with time_machine.travel(date(2028, 1, 2)), pytest.raises(two_people.Lapsed):
        two_people.confirm(request=asked, by=mona)
    assert "the client is to be kept for longer now" in as_mona.get("/erasures/").text
    said = fresh(as_mona).post(f"/erasures/{asked.id}/", follow=True).text
    assert "This does not hold any more" in said
    with time_machine.travel(date(2034, 6, 11)):
        assert two_people.confirm(request=asked, by=mona) is False, "over by now, in eight years"
        TreatmentFactory.create(client=ended.client, therapist=alice, starts_on=date(2034, 6, 1))
        with pytest.raises(two_people.Lapsed):
            two_people.confirm(request=asked, by=alice)
    assert Client.objects.get().erased_at is None


def test_who_withdraws_a_proposal_keeps_the_client_for_a_year(
    ended: Treatment, mona: Membership
) -> None:
    [asked] = propose(date(2035, 1, 1))
    with time_machine.travel(date(2035, 1, 2)):
        two_people.withdraw(request=asked, by=mona)
    assert propose(date(2035, 12, 1)) == []
    assert len(propose(date(2036, 2, 1))) == 1


def test_a_leap_day_is_never_too_early() -> None:
    assert years_before(date(2028, 2, 29), 8) == date(2020, 2, 28)


def test_a_manager_names_how_long_and_who_but_not_themselves(
    practice: Practice, sam: Membership, mona: Membership, as_mona: Browser
) -> None:
    body = {"retention_years": "20", "record_holder": str(sam.id)}
    assert fresh(as_mona).post("/practice/records/", body).status_code == 302
    practice.refresh_from_db()
    assert (practice.retention_years, practice.record_holder) == (20, sam)
    refused = as_mona.post("/practice/records/", body | {"record_holder": str(mona.id)})
    assert refused.status_code == 200
    assert AuditEntry.objects.filter(action="set keeping of records").count() == 1


def test_a_manager_who_is_new_keeps_what_they_filled_in_when_it_is_refused(
    practice: Practice, sam: Membership, mona: Membership, as_mona: Browser
) -> None:
    practice.created_at = timezone.now() - timedelta(days=30)
    practice.save()
    mona.joined_at = timezone.now() - timedelta(days=1)
    mona.save()
    body = {"retention_years": "27", "record_holder": str(sam.id)}
    refused = fresh(as_mona).post("/practice/records/", body)
    assert refused.status_code == 200
    assert refused.context["form"].errors.keys() == {"record_holder"}
    assert 'value="27"' in refused.content.decode()
    practice.refresh_from_db()
    assert practice.record_holder is None


def test_a_manager_who_is_the_record_holder_stays_it_when_the_years_change(
    practice: Practice, alice: Membership, mona: Membership, as_mona: Browser
) -> None:
    practice.record_holder = mona
    practice.save()
    fresh(as_mona)
    page = as_mona.get("/practice/records/").content.decode()
    assert re.search(rf'value="{mona.id}"\s+selected', page)
    body = {"retention_years": "9", "record_holder": str(mona.id)}
    assert as_mona.post("/practice/records/", body).status_code == 302
    practice.refresh_from_db()
    assert (practice.retention_years, practice.record_holder) == (9, mona)
