"""The audit trail: what is written, and that nobody changes it afterwards."""

import pytest
from django.db import ProgrammingError, connection, transaction
from django.test import Client as Browser

from apps.accounts.models import Membership
from apps.clients.models import Treatment
from apps.core import audit
from apps.core.models import AuditEntry, AuditSeal
from tests.factories import TreatmentFactory


@pytest.fixture
def treatment(alice: Membership) -> Treatment:
    return TreatmentFactory.create(therapist=alice)


def test_a_page_of_many_clients_leaves_one_row_that_names_them_all(
    as_alice: Browser, alice: Membership
) -> None:
    shown = {TreatmentFactory.create(therapist=alice).client_id for _ in range(3)}
    as_alice.get("/caseload/")
    entry = AuditEntry.objects.get(is_read=True)
    assert set(entry.client_ids) == shown
    assert (entry.actor_id, entry.route) == (alice.id, "caseload")
    assert (entry.object_type, entry.object_id) == ("accounts.Membership", alice.id)


def test_a_page_that_shows_nobody_leaves_no_row(as_alice: Browser) -> None:
    as_alice.get("/caseload/")
    assert not AuditEntry.objects.filter(is_read=True).exists()


def test_a_request_that_fails_leaves_no_row(
    as_alice: Browser, treatment: Treatment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fall(*args: object, **kwargs: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("apps.dashboard.views.render", fall)
    as_alice.raise_request_exception = False
    assert as_alice.get(f"/clients/{treatment.client_id}/").status_code == 500
    assert not AuditEntry.objects.filter(is_read=True).exists()


def test_entries_are_found_by_client_within_the_practice_only(
    alice: Membership, dora: Membership, treatment: Treatment
) -> None:
    audit.read("view client", client_ids=[treatment.client_id], by=alice)
    assert AuditEntry.objects.of_client(treatment.client_id).get().action == "view client"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('app.practice_id', %s, true), audit_entries_of(%s)",
            [str(dora.practice_id), treatment.client_id],
        )
        assert cursor.fetchone()[1] == []


@pytest.mark.parametrize("model", [AuditEntry, AuditSeal])
@pytest.mark.parametrize("statement", ["UPDATE {} SET practice_id = practice_id", "DELETE FROM {}"])
def test_the_serving_role_may_neither_change_nor_delete(
    db: None, model: type[AuditEntry], statement: str
) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        connection.cursor().execute(statement.format(model._meta.db_table))


def test_the_serving_role_may_not_choose_an_entrys_number(alice: Membership) -> None:
    """The sealer looks back from the newest: a number far ahead would end all sealing."""
    far = AuditEntry(
        id=9 * 10**18,
        practice_id=alice.practice_id,
        action="a",
        object_type="b",
        object_id=alice.id,
    )
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        far.save(force_insert=True)


@pytest.mark.parametrize("table", ["core_auditentry", "core_auditseal"])
def test_nobody_may_empty_it_and_the_serving_role_was_never_granted_to(
    db: None, table: str
) -> None:
    """TRUNCATE is granted to tests alone, which also switch its trigger off."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT acl::text FROM pg_default_acl, unnest(defaclacl) acl"
            " WHERE acl::text LIKE 'app=%%'"
        )
        assert all("D" not in grant.partition("/")[0] for (grant,) in cursor.fetchall())
        cursor.execute(
            "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger"
            " WHERE tgrelid = %s::regclass AND NOT tgisinternal",
            [table],
        )
        triggers = dict(cursor.fetchall())
    assert "BEFORE TRUNCATE" in triggers["never_emptied"]
    assert "BEFORE DELETE OR UPDATE" in triggers["append_only"]


@pytest.mark.usefixtures("as_owner")
@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement", ["UPDATE core_auditentry SET action = ''", "DELETE FROM core_auditentry"]
)
def test_even_the_owner_is_refused_by_the_trigger(statement: str) -> None:
    refused = pytest.raises(ProgrammingError, match="append-only")
    with refused, transaction.atomic():
        connection.cursor().execute(statement)
