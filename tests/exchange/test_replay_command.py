"""`manage.py replay`."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.ruptures.detection import RULE_VERSION
from apps.ruptures.models import RuleChange
from apps.ruptures.rules import rule_in_force
from tests.factories import TreatmentFactory
from tests.ruptures.test_screening import FALL

pytestmark = pytest.mark.django_db


@pytest.fixture
def treatment(alice):
    return TreatmentFactory.create(therapist=alice, pomps=FALL)


def run(practice, *arguments: str) -> str:
    printed = StringIO()
    call_command("replay", f"--practice={practice.id}", *arguments, stdout=printed)
    return printed.getvalue()


def test_it_prints_counts_and_no_client(treatment, practice, tmp_path):
    file = tmp_path / "keener.json"
    file.write_text('{"possible": 0.99, "marked": 0.995}')
    said = run(practice, f"--parameters={file}")
    lines = {" ".join(line.split()) for line in said.splitlines()}
    assert "Episodes opened 1 0 0" in lines
    assert "Rated sessions screened 9 9 9" in lines
    assert "Openings per 100 rated sessions 11.11 0.00 0.00" in lines
    assert "New: 0. Lost: 1." in lines
    assert "possible: 0.3 → 0.99" in lines
    assert treatment.client.code not in said
    assert not RuleChange.objects.exists()


def test_without_a_rule_it_counts_the_one_in_force(treatment, practice):
    report = json.loads(run(practice, "--format=json"))
    assert report["counts"]["opened"] == [1, 1, 1]
    assert (report["now"], report["proposed"]) == (RULE_VERSION, RULE_VERSION)


def test_with_propose_a_manager_finds_it_for_decision(treatment, practice, mona, tmp_path):
    file = tmp_path / "norms.json"
    file.write_text('{"mean_first": 84}')
    run(practice, f"--parameters={file}", "--propose=Mona Haddad")
    change = RuleChange.objects.get()
    assert (change.parameters["mean_first"], change.proposed_by) == (84.0, mona)
    assert change.report["counts"]["opened"][0] == 1
    assert rule_in_force(practice.id, "slider").version == RULE_VERSION
    assert "+local.1" in run(practice, f"--rule={change.version}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rule=switching-filter/9"], "There is no version 'switching-filter/9' here; there are"),
        (["--parameters=/nowhere.json"], "/nowhere.json: expected a readable JSON file"),
        (["--local-norms"], "9 ratings of 1 clients are too few for local norms"),
        (["--propose=Nobody"], "No member is called 'Nobody'"),
    ],
)
def test_what_it_cannot_do_it_says(treatment, practice, arguments, message):
    with pytest.raises(CommandError, match=message) as refused:
        run(practice, *arguments)
    assert refused.value.returncode == 2


@pytest.mark.parametrize("content", ["[1]", "{", '{"hazzard": 1}'])
def test_a_file_that_holds_no_figures_is_named(treatment, practice, tmp_path, content):
    file = tmp_path / "figures.json"
    file.write_text(content)
    with pytest.raises(CommandError, match=r"figures\.json: "):
        run(practice, f"--parameters={file}")
