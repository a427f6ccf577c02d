"""The worksheet of an episode: versions, two writers at once, sharing, and the prompts."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from apps.accounts.models import Membership, Role
from apps.alliance.models import Cause
from apps.core.models import AuditEntry
from apps.ruptures.models import RepairStep, RuptureEpisode, StepNote, Worksheet
from apps.ruptures.repair import (
    ChangedMeanwhile,
    EpisodeClosed,
    Sheet,
    StepEntry,
    latest_worksheet,
    save_worksheet,
    set_causes,
    set_sharing,
    sheet_of,
    worksheets,
)
from apps.ruptures.repair_prompts import PATH, prompt_file, step_prompts
from apps.ruptures.services import record_outcome
from tests.factories import MembershipFactory, SupervisionFactory, TreatmentFactory

pytestmark = pytest.mark.django_db
SHEET = Sheet(
    kind="withdrawal",
    causes=("misunderstanding", "expectations"),
    next_action="Come back to the sister",
    steps={
        "open": StepEntry("“How was it for you?”", date(2026, 11, 5)),
        "agree": StepEntry("Check the pace halfway through."),
        "follow_up": StepEntry(done_on=date(2026, 11, 19)),
    },
)


@pytest.fixture
def episode(alice: Membership) -> RuptureEpisode:
    return TreatmentFactory.create(therapist=alice, falling=True).episodes.get()


def save(episode: RuptureEpisode, sheet: Sheet, opened_version: int, by: Membership) -> Worksheet:
    saved = save_worksheet(episode=episode, sheet=sheet, opened_version=opened_version, by=by)
    assert saved
    return saved


def test_a_worksheet_comes_back_as_it_was_saved(episode: RuptureEpisode, alice: Membership) -> None:
    save(episode, SHEET, 0, alice)
    assert sheet_of(latest_worksheet(episode)) == SHEET
    entry = AuditEntry.objects.get(action="save worksheet")
    assert (entry.actor_id, entry.object_id) == (alice.id, episode.id)


def test_each_save_is_a_version_and_the_earlier_ones_stay(
    episode: RuptureEpisode, alice: Membership
) -> None:
    save(episode, SHEET, 0, alice)
    save(episode, Sheet(next_action="Ask again"), 1, alice)
    assert [each.version for each in worksheets(episode)] == [2, 1]
    assert [sheet_of(each) for each in worksheets(episode)] == [
        Sheet(next_action="Ask again"),
        SHEET,
    ]


def test_saving_the_same_twice_equals_once(episode: RuptureEpisode, alice: Membership) -> None:
    save(episode, SHEET, 0, alice)
    save(episode, SHEET, 0, alice)
    assert Worksheet.objects.count() == 1
    assert AuditEntry.objects.filter(action="save worksheet").count() == 1


def test_an_empty_worksheet_leaves_nothing(episode: RuptureEpisode, alice: Membership) -> None:
    assert save_worksheet(episode=episode, sheet=Sheet(), opened_version=0, by=alice) is None
    assert not Worksheet.objects.exists()


def test_who_saves_second_is_shown_what_the_first_saved_and_loses_nothing(
    episode: RuptureEpisode, alice: Membership
) -> None:
    first = save(episode, SHEET, 0, alice)
    with pytest.raises(ChangedMeanwhile) as changed:
        save(episode, Sheet(next_action="Mine"), 0, alice)
    assert changed.value.latest == first
    assert sheet_of(latest_worksheet(episode)) == SHEET


def test_the_database_refuses_the_same_version_twice(
    episode: RuptureEpisode, alice: Membership
) -> None:
    saved = save(episode, SHEET, 0, alice)
    saved.pk = None
    saved._state.adding = True
    with pytest.raises(IntegrityError, match="worksheet_one_per_version"), transaction.atomic():
        Worksheet.objects.create(
            practice=episode.practice,
            episode=episode,
            version=1,
            saved_at=saved.saved_at,
            saved_by=alice,
        )


def test_ticking_causes_keeps_the_rest_of_the_worksheet(
    episode: RuptureEpisode, alice: Membership
) -> None:
    save(episode, SHEET, 0, alice)
    set_causes(episode=episode, causes=["boundary"], by=alice)
    now = sheet_of(latest_worksheet(episode))
    assert now.causes == ("boundary",)
    assert (now.steps, now.kind, now.next_action) == (
        SHEET.steps,
        SHEET.kind,
        SHEET.next_action,
    )


def test_a_closed_episode_takes_no_more_words(episode: RuptureEpisode, alice: Membership) -> None:
    record_outcome(episode=episode, outcome=RuptureEpisode.Outcome.REPAIRED, by=alice)
    with pytest.raises(EpisodeClosed):
        save(episode, SHEET, 0, alice)
    with pytest.raises(EpisodeClosed):
        set_sharing(episode=episode, share=True, share_notes=False, by=alice)
    assert not Worksheet.objects.exists()


def test_sharing_can_be_taken_back_and_notes_go_with_the_episode(
    episode: RuptureEpisode, alice: Membership
) -> None:
    def shared() -> tuple[bool, bool]:
        episode.refresh_from_db()
        return bool(episode.shared_at), bool(episode.notes_shared_at)

    set_sharing(episode=episode, share=False, share_notes=True, by=alice)
    assert shared() == (True, True)
    set_sharing(episode=episode, share=True, share_notes=False, by=alice)
    assert shared() == (True, False)
    set_sharing(episode=episode, share=False, share_notes=False, by=alice)
    assert shared() == (False, False)
    assert AuditEntry.objects.filter(action="set sharing").count() == 3


def test_who_takes_notes_back_shares_the_episode_with_nobody_else(
    episode: RuptureEpisode, alice: Membership, sam: Membership, mona: Membership
) -> None:
    RuptureEpisode.objects.update(marked_at=None, acknowledged_at=timezone.now())
    episode.refresh_from_db()
    set_sharing(episode=episode, share=True, share_notes=True, by=alice)
    RuptureEpisode.objects.update(shared_at=F("shared_at") - timedelta(days=40))
    episode.refresh_from_db()
    pam = MembershipFactory.create(practice=alice.practice, roles=[Role.SUPERVISOR])
    SupervisionFactory.create(supervisor=pam, supervisee=alice, created_at=timezone.now())
    set_sharing(episode=episode, share=True, share_notes=False, by=alice)
    seen = RuptureEpisode.objects.for_supervisor
    assert [seen(each).exists() for each in (sam, pam)] == [True, False]
    set_sharing(episode=episode, share=True, share_notes=False, by=alice)
    assert seen(pam).exists()


def test_five_thousand_characters_are_a_note(episode: RuptureEpisode, alice: Membership) -> None:
    save(episode, Sheet(steps={"notice": StepEntry("ü" * 5000)}), 0, alice)
    assert len(StepNote.objects.get().note) == 5000


def test_a_boundary_issue_says_supervisor_first_at_each_step_it_has_words_for() -> None:
    of_boundary = [each for each in prompt_file().prompts if each.cause == Cause.BOUNDARY]
    assert {each.step for each in of_boundary} == set(RepairStep.values)
    assert "supervisor first" in step_prompts("notice", causes=["boundary"]).fitting[0]
    for step in ("open", "discuss"):
        everything = step_prompts(step, causes=Cause.values, kind="withdrawal").fitting
        assert "After talking to your supervisor" in everything[0]


@pytest.mark.parametrize("cause", Cause.values)
@pytest.mark.parametrize("kind", ["", *Worksheet.Kind.values])
def test_each_cause_and_kind_finds_words_to_open_with(cause: str, kind: str) -> None:
    found = step_prompts("open", causes=[cause], kind=kind)
    assert found.general
    assert found.say
    assert len(found.fitting) <= 3


def test_prompts_are_short_and_never_blame() -> None:
    for each in prompt_file().prompts:
        assert len(each.text) <= 130, each.text
        said = f"{each.text} {each.say}".lower()
        for word in ("fault", "resist", "risk", "fail", "non-compliant", "patient"):
            assert word not in said, each


def test_every_source_is_used() -> None:
    assert {each.source for each in prompt_file().prompts} == set(prompt_file().sources)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"step": "apologise"},
        {"cause": "her fault"},
        {"kind": "war"},
        {"source": "hearsay"},
        {"cause": "values"},
    ],
)
def test_a_prompt_file_with_unknown_words_is_refused(
    tmp_path: Path, spoilt: dict[str, str]
) -> None:
    data = json.loads(PATH.read_text(encoding="utf-8"))
    data["prompts"][0] |= spoilt
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ValueError, match=r"unknown|each step"):
        prompt_file(path)
