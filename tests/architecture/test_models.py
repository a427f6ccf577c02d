"""What every table of ours keeps to."""

import io

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import models

from apps.accounts.models import Practice, User
from apps.core.models import Sending

OURS = [model for model in apps.get_models() if model.__module__.startswith("apps.")]
TENANT = [model for model in OURS if model not in (Practice, User, Sending)]


@pytest.mark.parametrize("model", TENANT, ids=lambda model: model._meta.label)
def test_every_tenant_row_names_its_practice(model: type[models.Model]) -> None:
    assert not model._meta.get_field(
        "practice_id" if model._meta.app_label == "core" else "practice"
    ).null


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_primary_keys_cannot_be_guessed(model: type[models.Model]) -> None:
    # A chain counts; nobody reaches a link of it by its number.
    if model._meta.label not in {"core.AuditEntry", "core.AuditSeal", "core.Sending"}:
        assert isinstance(model._meta.pk, models.UUIDField)


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    out = io.StringIO()
    try:
        call_command("makemigrations", check=True, dry_run=True, stdout=out)
    except SystemExit:
        pytest.fail(f"Run `manage.py makemigrations`:\n{out.getvalue()}")
