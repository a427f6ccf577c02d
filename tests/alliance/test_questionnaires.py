"""Questionnaires as data files."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from apps.accounts.models import Practice
from apps.alliance.models import Questionnaire
from apps.alliance.services import SHIPPED, install_questionnaire

pytestmark = pytest.mark.django_db
OURS = json.loads((SHIPPED / "rapport-alliance-form.v1.json").read_text(encoding="utf-8"))


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "questionnaire.json"
    path.write_text(json.dumps(OURS | {"key": "other"} | changes), encoding="utf-8")
    return path


def test_our_form_has_two_items_for_each_subscale_and_may_be_sent(practice: Practice) -> None:
    ours = Questionnaire.objects.get(practice=practice)
    assert {name: len(ids) for name, ids in ours.subscales.items()} == {
        "bond": 2,
        "goals": 2,
        "tasks": 2,
    }
    assert ours.may_be_sent
    assert not ours.validated


def test_a_version_installed_before_is_kept(practice: Practice, tmp_path: Path) -> None:
    first = install_questionnaire(practice=practice, path=write(tmp_path), by=None)
    again = install_questionnaire(practice=practice, path=write(tmp_path, title="New"), by=None)
    assert again == first
    assert again.title == OURS["title"]


@pytest.mark.parametrize(
    "changes",
    [
        {"licence": {"name": "All rights reserved", "source": "", "attested_on": None}},
        {"items": [{"id": "one", "subscale": "bond", "text": ""}]},
    ],
)
def test_without_licence_or_wording_nothing_is_sent(
    practice: Practice, tmp_path: Path, changes: dict[str, Any]
) -> None:
    path = write(tmp_path, **changes)
    assert not install_questionnaire(practice=practice, path=path, by=None).may_be_sent


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"licence": "CC0"}, "licence is"),
        ({"items": []}, "subscales are bond, goals and tasks"),
        ({"items": [{"id": "one", "subscale": "hope", "text": ""}]}, "subscales are bond"),
        ({"items": [{"id": "one"}]}, "no questionnaire file"),
        ({"scale": None}, "no questionnaire file"),
        ({"scale": {"minimum": 5, "maximum": 5}}, "questionnaire_scale_rises"),
        ({"detection_form": "other"}, "detection_form"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_and_nothing_stored(
    practice: Practice, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        install_questionnaire(practice=practice, path=write(tmp_path, **changes), by=None)
    assert not Questionnaire.objects.filter(key="other").exists()


def test_a_missing_file_is_said(practice: Practice, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="no questionnaire file"):
        install_questionnaire(practice=practice, path=tmp_path / "none.json", by=None)
