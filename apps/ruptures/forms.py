"""What a therapist records about an episode."""

from typing import Any, cast

from django import forms
from django.http import QueryDict
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.alliance.models import Cause
from apps.core.widgets import DetailedRadioSelect, OptionDetail
from apps.ruptures.models import RepairStep, RuleChange, RuptureEpisode, Worksheet
from apps.ruptures.repair import Sheet, StepEntry, sheet_of

Outcome = RuptureEpisode.Outcome
OUTCOMES = {
    Outcome.REPAIRED: gettext_lazy("You have talked, and both feel it is settled."),
    Outcome.SETTLED_LOWER: gettext_lazy("Needs review with your supervisor."),
    Outcome.NOT_A_RUPTURE: gettext_lazy("Asks for a reason."),
    Outcome.ENDED_UNREPAIRED: gettext_lazy("Treatment closed before it was repaired."),
    Outcome.MOVED: gettext_lazy("Opens the three-step handover."),
}
KINDS = {
    Worksheet.Kind.WITHDRAWAL: gettext_lazy("Moved away: quiet, quick to agree, elsewhere."),
    Worksheet.Kind.CONFRONTATION: gettext_lazy("Moved against: complained, pushed back."),
    Worksheet.Kind.BOTH: gettext_lazy("Some of each."),
    Worksheet.Kind.UNSURE: gettext_lazy("Cannot be told yet."),
}
NOTE_LENGTH = 5000


class CausesForm(forms.Form):
    """What may be behind it, as a working hypothesis; none ticked is an answer too."""

    causes = forms.MultipleChoiceField(
        label=gettext_lazy("What may be behind it"),
        help_text=gettext_lazy(
            "A working hypothesis. Tick any that fit; change it when you have talked."
        ),
        choices=Cause.choices,
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )


class OutcomeForm(forms.Form):
    """How an episode ended; *not a rupture* needs a reason, the others may have one.

    `fall` is the one that the page was about: of a later one nothing is recorded unseen.
    """

    fall = forms.CharField(widget=forms.HiddenInput, required=False)
    outcome = forms.TypedChoiceField(
        label=gettext_lazy("Outcome"),
        choices=[(outcome.value, outcome.label) for outcome in OUTCOMES],
        coerce=Outcome,
        widget=DetailedRadioSelect(
            details={outcome.value: OptionDetail(said) for outcome, said in OUTCOMES.items()}
        ),
        error_messages={
            "required": gettext_lazy("Choose how it ended. Until then the episode stays open.")
        },
    )
    reason = forms.CharField(
        label=gettext_lazy("In a few words"),
        help_text=gettext_lazy("Needed for “Not a rupture”."),
        max_length=500,
        widget=forms.Textarea({"rows": 2, "dir": "auto"}),
        required=False,
    )

    def __init__(self, sent: QueryDict | None, *, fall: str) -> None:
        super().__init__(sent, initial={"fall": fall})
        self.last_fall = fall

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if self.last_fall > cleaned.pop("fall", ""):
            sent = cast(QueryDict, self.data).copy()
            sent["fall"] = self.last_fall
            self.data = sent
            said = _("Ratings fell again after you opened this page. Look once more, and send it.")
            self.add_error(None, said)
        if cleaned.get("outcome") == Outcome.NOT_A_RUPTURE and not (
            cleaned.get("reason") or "reason" in self.errors
        ):
            self.add_error("reason", _("Say in a few words why this was not a rupture."))
        if cleaned.get("outcome") == Outcome.MOVED and cleaned.get("reason"):
            self.add_error("reason", _("A move has a page of its own: write it there, not here."))
        return cleaned


class WorksheetForm(CausesForm):
    """The worksheet of an episode: all of it may stay blank.

    `version` is the one the writer had before them. Where somebody saved in the meantime,
    `show_theirs` puts their text beside the writer's, and sending again saves the writer's.
    """

    version = forms.IntegerField(widget=forms.HiddenInput, min_value=0)
    kind = forms.ChoiceField(
        label=gettext_lazy("How it showed"),
        choices=Worksheet.Kind.choices,
        widget=DetailedRadioSelect(
            details={kind: OptionDetail(said) for kind, said in KINDS.items()}
        ),
        required=False,
    )
    next_action = forms.CharField(
        label=gettext_lazy("Next action"),
        help_text=gettext_lazy("What you promised or plan, a line each. Your brief shows it."),
        max_length=1000,
        widget=forms.Textarea({"rows": 2, "dir": "auto"}),
        required=False,
    )

    def __init__(self, data: QueryDict | None = None, *, worksheet: Worksheet | None) -> None:
        version = worksheet.version if worksheet else 0
        super().__init__(data, initial={"version": version, **_values(sheet_of(worksheet))})
        self.theirs: dict[str, str] = {}
        self.theirs_by: Worksheet | None = None
        for step in RepairStep:
            self.fields[f"note_{step}"] = forms.CharField(
                label=_("%(step)s: note") % {"step": step.label},
                max_length=NOTE_LENGTH,
                widget=forms.Textarea({"rows": 2, "dir": "auto"}),
                required=False,
            )
            self.fields[f"on_{step}"] = forms.DateField(
                label=_("%(step)s: day") % {"step": step.label},
                widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
                required=False,
            )

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The two fields of each step, and what somebody else saved for it meanwhile."""
        return [
            {
                "note": self[f"note_{step}"],
                "done_on": self[f"on_{step}"],
                "theirs": self.theirs.get(step, ""),
            }
            for step in RepairStep.values
        ]

    def sheet(self) -> Sheet:
        """What was filled in."""
        typed = self.cleaned_data
        entries = {
            step: StepEntry(typed[f"note_{step}"], typed[f"on_{step}"])
            for step in RepairStep.values
        }
        return Sheet(
            kind=typed["kind"],
            causes=tuple(typed["causes"]),
            next_action=typed["next_action"],
            steps={step: entry for step, entry in entries.items() if entry != StepEntry()},
        )

    def show_theirs(self, latest: Worksheet) -> None:
        """Keep what was typed, show beside it what `latest` says differently."""
        mine, theirs = self.sheet(), sheet_of(latest)
        self.theirs_by = latest
        self.data = data = cast(QueryDict, self.data).copy()
        data["version"] = str(latest.version)
        blank = _("(blank)")
        if mine.kind != theirs.kind:
            self.theirs["kind"] = str(Worksheet.Kind(theirs.kind).label) if theirs.kind else blank
        if mine.causes != theirs.causes:
            labels = [str(Cause(cause).label) for cause in theirs.causes]
            self.theirs["causes"] = ", ".join(labels) or blank
        if mine.next_action != theirs.next_action:
            self.theirs["next_action"] = theirs.next_action or blank
        for step in RepairStep.values:
            if (entry := theirs.step(step)) != mine.step(step):
                day = date_format(entry.done_on, "j M Y") if entry.done_on else ""
                self.theirs[step] = "\n".join(filter(None, (day, entry.note))) or blank


class SharingForm(forms.Form):
    """What current supervisors may see of an episode."""

    share = forms.BooleanField(required=False)
    share_notes = forms.BooleanField(required=False)


def _values(sheet: Sheet) -> dict[str, Any]:
    values: dict[str, Any] = {
        "kind": sheet.kind,
        "causes": list(sheet.causes),
        "next_action": sheet.next_action,
    }
    for step, entry in sheet.steps.items():
        values |= {f"note_{step}": entry.note, f"on_{step}": entry.done_on}
    return values


class RuleDecisionForm(forms.Form):
    """A manager's decision about a replayed change; to use it needs a reason."""

    change = forms.UUIDField(widget=forms.HiddenInput)
    decision = forms.TypedChoiceField(
        choices=RuleChange.Decision.choices, coerce=RuleChange.Decision
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=500,
        widget=forms.Textarea({"rows": 3}),
        required=False,
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        is_confirmed = cleaned.get("decision") == RuleChange.Decision.CONFIRMED
        if is_confirmed and not (cleaned.get("reason") or "reason" in self.errors):
            self.add_error("reason", _("Say in a few words why the rule should change."))
        return cleaned
